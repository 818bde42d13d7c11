"""What a layer reads in a rewritten model, and what it made in the original.

Both models are run sample by sample, so that the amount of data does not matter, and only as far as
the tensor in question. Samples are the user's data, or made up for the model (see
``verify.scenes``): then at the first sizes that it takes, and in the range that its inputs seem to
have (see ``probe.ranges``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ..errors import Refused
from ..graph import read_graph
from ..graph.layers import Layer
from ..modelfile import ModelFile

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

    from ..verify.runtime import Feeds, Loadable, Runner

MADE_UP_SAMPLES = 256
"""Feeds at most; a fit stops reading when it has enough."""


class Activations:
    """Taps two models at one layer; ``data`` is what ``--data`` takes, None for made-up inputs."""

    def __init__(self, original: ModelFile, data: str | None, runner: Runner) -> None:
        from ..verify.inputs import read_inputs

        self._original = original
        self._data = data
        self._runner = runner
        self._inputs = read_inputs(original.proto.graph)
        self._scene: Callable[[int], Feeds] | None = None

    def __call__(
        self, model: ModelFile, layer: Layer
    ) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """For each sample: the layer's input in ``model``, its output in the original.

        Raises:
            RunError: a model does not run on the samples.
            UsageError: the data does not fit the model's inputs, or none can be made up.
        """
        made, read = layer.node.output(0), layer.input
        types = layer.node.scope.element_type
        before = _tapped(self._original, made, types(made))
        after = _tapped(model, read, types(read))
        try:
            for feed in self._feeds(before):
                target = self._runner.run(before, feed, outputs=[made])[made]
                source = feed.get(read)
                if source is None:
                    source = self._runner.run(after, feed, outputs=[read])[read]
                yield source, target
        finally:
            self._runner.drop(before)
            self._runner.drop(after)

    def _feeds(self, model: Loadable) -> Iterator[Feeds]:
        from ..verify.data import load_data

        if self._data is not None:
            yield from load_data(self._data, self._inputs)
            return
        if self._scene is None:
            self._scene = self._accepted(model)
        yield from map(self._scene, range(MADE_UP_SAMPLES))

    def _accepted(self, model: Loadable) -> Callable[[int], Feeds]:
        """Makes feeds of the first sizes that the model runs on.

        Raises:
            RunError: it runs on none.
        """
        from ..verify.scenes import Scenes
        from ..verify.sizes import trials

        ranges = image_ranges(self._original)
        refusal = None
        for trial in trials(self._inputs):
            for sizes in trial.candidates:
                scene = Scenes(self._inputs, sizes, ranges)
                try:
                    self._runner.run(model, scene(0))
                except Refused as error:
                    refusal = refusal or error
                else:
                    return scene
        assert refusal is not None  # there is at least one trial, with one candidate
        raise refusal


def image_ranges(model: ModelFile) -> dict[str, tuple[float, float]]:
    """The range that each input has where it is an image."""
    from ..probe.ranges import input_range
    from ..verify.inputs import read_inputs

    graph = read_graph(model)
    metadata = {each.key: each.value for each in model.proto.metadata_props}
    found = {
        item.name: input_range(graph, metadata, item.name, item.dtype)
        for item in read_inputs(model.proto.graph)
    }
    return {name: (each.low, each.high) for name, each in found.items()}


def _tapped(model: ModelFile, name: str, element_type: int | None) -> Loadable:
    """The model as far as one tensor, which is its output."""
    from ..verify.loading import complete
    from ..verify.runtime import Loadable

    proto: Any = type(model.proto)()
    proto.CopyFrom(model.proto)
    _keep_upstream(proto.graph, name)
    del proto.graph.output[:]
    value = proto.graph.output.add(name=name)
    if element_type is not None:  # else ONNX Runtime infers it
        value.type.tensor_type.elem_type = element_type
    return Loadable(f"{model.name} at {name!r}", complete(model.edited(proto)))


def _keep_upstream(graph: GraphProto, name: str) -> None:
    """Drop the nodes and initializers that ``name`` does not depend on."""
    makers = {output: node for node in graph.node for output in node.output if output}
    needed: set[str] = set()
    pending = [name]
    while pending:
        wanted = pending.pop()
        if wanted in needed:
            continue
        needed.add(wanted)
        if wanted in makers:
            pending += _read_by(makers[wanted])
    unread = {tensor.name for tensor in graph.initializer} - needed
    for entries in (graph.initializer, graph.input):  # before IR version 4 they are inputs too
        _keep(entries, lambda entry: entry.name not in unread)
    _keep(graph.node, lambda node: not needed.isdisjoint(node.output))


def _read_by(node: NodeProto) -> Iterator[str]:
    """Names that a node reads, and that the bodies it carries may read."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for body in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            yield from (value.name for value in body.output)
            for inner in body.node:
                yield from _read_by(inner)


def _keep(entries: Any, is_needed: Callable[[Any], bool]) -> None:
    for index in reversed(range(len(entries))):
        if not is_needed(entries[index]):
            del entries[index]
