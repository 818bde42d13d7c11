"""Runs a model on constant images, or on latent vectors, and measures what its outputs repeat."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from ..errors import ModelError, Refused, RunError, UsageError
from ..graph import Graph
from ..graph.layers import ConvTranspose
from ..modelfile import ModelFile
from ..verify.inputs import Input, read_inputs
from ..verify.loading import loadable
from ..verify.runtime import Array, Loadable, Runner
from .fold import Folding
from .foldings import Target, targets
from .judge import Judge
from .ranges import Range, input_range, output_range
from .sizing import candidates, sizes_of
from .stimuli import (
    Image,
    Stimulus,
    constant_images,
    images_among,
    latent_vectors,
    mean_colours,
)
from .values import InputProbe, OutputProbe, Probed, ProbeOptions, TapMap

Tell = Callable[[str], None]

_MOST_TRIED = 12  # sizes
_TOLD = 3  # reasons
_PIXEL_FORMAT = "Image.BitmapPixelFormat"


def probe_model(
    model: ModelFile,
    graph: Graph,
    options: ProbeOptions,
    runner: Runner,
    *,
    like: Probed | None = None,
    tell: Tell | None = None,
) -> Probed:
    """What the model's outputs repeat that should be flat; see ``values``.

    A model that cannot be run is no exception, but a ``Probed`` with a problem. With ``like``, what
    was seen of another model, the outputs measured there are measured here as well, by the same
    periods and ranges, even if nothing can repeat in them: it is shown, then, that nothing does.

    Raises:
        UsageError: the data does not fit the model.
        RuntimeUnavailable: there is nothing to run it with.
    """
    taps = tuple(
        TapMap(layer.ref, layer.axes)
        for layer in graph.layers
        if isinstance(layer, ConvTranspose) and layer.is_strided
    )
    periods = {each.name: each.period for each in like.outputs} if like is not None else {}
    found: list[Target] = []
    try:
        found += targets(graph, periods)
        probed = _probed(model, graph, options, runner, found, like, tell or _silent)
    except (ModelError, RunError) as error:
        probed = _failed(model.name, found, error.message)
    return replace(probed, taps=taps)


def _probed(
    model: ModelFile,
    graph: Graph,
    options: ProbeOptions,
    runner: Runner,
    found: Sequence[Target],
    like: Probed | None,
    tell: Tell,
) -> Probed:
    if not found:
        return Probed(model.name)
    if all(each.folding is None for each in found):
        return _failed(model.name, found, "no output can be folded")
    ready = loadable(model)
    try:
        return _Probe(model, graph, options, runner, ready, like, tell).of(found)
    finally:
        runner.drop(ready)


def _silent(what: str) -> None:
    """Nobody is listening."""


def _failed(name: str, found: Sequence[Target], why: str) -> Probed:
    """Nothing was measured: every output has the same problem, or one of its own."""
    outputs = [
        OutputProbe(
            each.name,
            each.node.ref,
            each.folding.periods if each.folding else (),
            problem=each.problem or why,
        )
        for each in found
    ]
    reasons = [output.problem for output in outputs] or [why]
    return Probed(name, outputs=tuple(outputs), problem=_joined(reasons))


def _joined(reasons: Iterable[str]) -> str:
    """The first few different reasons."""
    different = list(dict.fromkeys(reasons))
    first, rest = different[:_TOLD], different[_TOLD:]
    return "; ".join([*first, *([f"and {len(rest)} more"] if rest else [])])


class _Probe:
    """One probe of one model."""

    def __init__(
        self,
        model: ModelFile,
        graph: Graph,
        options: ProbeOptions,
        runner: Runner,
        ready: Loadable,
        like: Probed | None,
        tell: Tell,
    ) -> None:
        self._graph = graph
        self._options = options
        self._runner = runner
        self._model = ready
        self._tell = tell
        self._metadata = {each.key: each.value for each in model.proto.metadata_props}
        proto: Any = graph.main.proto
        self._inputs = read_inputs(proto)
        known = like or Probed("")
        self._known = {each.name: each.range for each in known.inputs}
        self._known_of_outputs = {each.name: each.range for each in known.outputs}
        self._images: list[Image] = []
        self._others: list[Input] = []

    def of(self, found: Sequence[Target]) -> Probed:
        """What the outputs answer; those that cannot be folded have a problem."""
        images = images_among(self._inputs, [each.folding for each in found if each.folding])
        self._images = [Image(each, self._range(each)) for each in images]
        self._others = [each for each in self._inputs if each not in images]
        judges = {each.name: self._judge(each) for each in found}
        names = [each.name for each in found if each.folding is not None]
        try:
            shapes = self._shown(judges, names, found)
        except UsageError as error:  # an input that nobody can make up
            if self._options.data is not None:
                raise
            return _failed(self._model.name, found, error.message)
        outputs = tuple(filter(None, (judge.result() for judge in judges.values())))
        shown = tuple(
            InputProbe(each.item.name, tuple(shapes[each.item.name]), each.range)
            for each in self._images
        )
        is_measured = any(each.answers for each in outputs) or not outputs
        reasons = [f"output {each.name!r}: {each.problem}" for each in outputs]
        problem = "" if is_measured else _joined(reasons)
        return Probed(self._model.name, shown, outputs, problem=problem)

    def _shown(
        self, judges: Mapping[str, Judge], names: Sequence[str], found: Sequence[Target]
    ) -> Mapping[str, Sequence[int]]:
        """Shows every stimulus to the model and its answers to the judges; the images' shapes."""
        shapes: dict[str, Sequence[int]] = {}
        for stimulus, answers in self._answers(names, found):
            shapes = {each.item.name: stimulus.feed[each.item.name].shape for each in self._images}
            for name, array in answers.items():
                if name in judges:
                    judges[name].see(stimulus.name, array, shapes)
        return shapes

    def _answers(
        self, names: Sequence[str], found: Sequence[Target]
    ) -> Iterator[tuple[Stimulus, Mapping[str, Array]]]:
        if not self._images:
            stimuli = iter(self._stimuli(sizes_of(self._inputs)))
        else:
            foldings = [each.folding for each in found if each.folding is not None]
            first, answers, stimuli = self._accepted(names, foldings)
            yield first, answers
        for stimulus in stimuli:
            yield stimulus, self._run(stimulus, names)

    def _accepted(
        self, names: Sequence[str], foldings: Sequence[Folding]
    ) -> tuple[Stimulus, Mapping[str, Array], Iterator[Stimulus]]:
        """The first stimulus at the first sizes that the model takes, its answers, the others.

        Raises:
            Refused: it takes none of those that were tried; told is why it did not take the first.
        """
        refusals: list[Refused] = []
        for sizes in islice(candidates(self._images, self._others, foldings), _MOST_TRIED):
            stimuli = iter(self._stimuli(sizes))
            first = next(stimuli)
            try:
                return first, self._run(first, names), stimuli
            except Refused as error:
                refusals.append(error)
        raise refusals[0]

    def _stimuli(self, sizes: Mapping[str, int]) -> Iterable[Stimulus]:
        data = self._options.data
        if not self._images:
            return latent_vectors(self._inputs, sizes, data)
        if data is not None:
            return mean_colours(self._images, self._inputs, sizes, data)
        is_bgr = self._metadata.get(_PIXEL_FORMAT, "").startswith("Bgr")
        return constant_images(self._images, self._others, sizes, is_bgr=is_bgr)

    def _run(self, stimulus: Stimulus, names: Sequence[str]) -> Mapping[str, Array]:
        self._tell(f"probing {self._model.name} with {stimulus.name}")
        return self._runner.run(self._model, stimulus.feed, outputs=names)

    def _judge(self, target: Target) -> Judge:
        dtype = _dtype(self._graph, target.name)
        declared = output_range(self._graph, self._metadata, target.name, dtype)
        known = self._known_of_outputs.get(target.name)
        images = {each.channels: each.range for each in reversed(self._images)}
        return Judge(target, known or declared, images, self._graph.thresholds.probe)

    def _range(self, item: Input) -> Range:
        given = self._options.declared() or self._known.get(item.name)
        return given or input_range(self._graph, self._metadata, item.name, item.dtype)


def _dtype(graph: Graph, name: str) -> str:
    element_type = graph.main.element_type(name)
    return {2: "uint8", 3: "int8"}.get(element_type or 0, "")
