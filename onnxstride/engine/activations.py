"""What a layer reads in a rewritten model, and what it made in the original, on the user's data.

Both models are run with the tensor in question as one more output, sample by sample, so that the
amount of data does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ..graph.layers import Layer
from ..modelfile import ModelFile

if TYPE_CHECKING:
    from ..verify.runtime import Loadable, Runner


class Activations:
    """Taps two models at one layer; ``data`` is what ``--data`` takes."""

    def __init__(self, original: ModelFile, data: str, runner: Runner) -> None:
        from ..verify.inputs import read_inputs

        self._original = original
        self._data = data
        self._runner = runner
        self._inputs = read_inputs(original.proto.graph)

    def __call__(
        self, model: ModelFile, layer: Layer
    ) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """For each sample: the layer's input in ``model``, its output in the original.

        Raises:
            RunError: a model does not run on the data.
            UsageError: the data does not fit the model's inputs.
        """
        from ..verify.data import load_data

        made, read = layer.node.output(0), layer.input
        types = layer.node.scope.element_type
        before = _tapped(self._original, made, types(made))
        after = _tapped(model, read, types(read))
        try:
            for feed in load_data(self._data, self._inputs):
                target = self._runner.run(before, feed, outputs=[made])[made]
                source = feed.get(read)
                if source is None:
                    source = self._runner.run(after, feed, outputs=[read])[read]
                yield source, target
        finally:
            self._runner.drop(before)
            self._runner.drop(after)


def _tapped(model: ModelFile, name: str, element_type: int | None) -> Loadable:
    """The model with one tensor more among its outputs."""
    from ..verify.loading import complete
    from ..verify.runtime import Loadable

    proto: Any = type(model.proto)()
    proto.CopyFrom(model.proto)
    if all(value.name != name for value in proto.graph.output):
        value = proto.graph.output.add(name=name)
        value.type.tensor_type.elem_type = element_type or 0
    return Loadable(f"{model.name} at {name!r}", complete(model.edited(proto)))
