"""What there is to know of a model's geometry, layer by layer and as a whole.

All values are frozen, picklable and hold nothing of the graph they were read from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any, NamedTuple

from ..analysis import Resolution, resolution
from ..analysis.layers import spatial_dims
from ..analysis.sizes import InputSize, InputSizes, input_sizes
from ..geometry import output_size, transposed_size, unread_share
from ..geometry.fields import Field, Sight
from ..geometry.sampling import scale_of
from ..geometry.size_sets import condition
from ..graph import Graph
from ..graph.layers import (
    SLIDING,
    ConvTranspose,
    GlobalPool,
    Layer,
    Pool,
    Resize,
    Shuffle,
    Window,
)
from ..rule import NodeRef
from ..wording import by, listing
from .cost import multiply_adds, parameters

_RESIZES = ("Resize", "Upsample")

Size = tuple[int | None, ...]
"""One entry per spatial axis; None where it is not known."""


class LayerFigures(NamedTuple):
    """One layer. Tuples have one entry per spatial axis; None is what is not known.

    Attributes:
        node, op_type: the node, and the operator that it amounts to.
        kernel, stride, dilation, pads: the window, ``pads`` as (begin, end); None for a layer
            that has none.
        input_size, output_size: of the map it reads and of the one it makes.
        factor: elements of its input from one element of its output to the next.
        total_stride: pixels of the image from one element of its output to the next.
        receptive_field: pixels that an element of its output sees from the first to the last.
        min_receptive_field: the same by the path that sees least.
        centre_offset: element i is centred on pixel ``total_stride i + centre_offset``.
        image_size: of the image that these refer to.
        unread_share: share of the positions it reads over that no window looks at.
        parameters: elements of its weights.
        multiply_adds: for one sample.
    """

    node: NodeRef
    op_type: str
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    dilation: tuple[int, ...] | None
    pads: tuple[tuple[int, int], ...] | None
    input_size: Size
    output_size: Size
    factor: tuple[Fraction | None, ...]
    total_stride: tuple[Fraction | None, ...]
    receptive_field: Size
    min_receptive_field: Size
    centre_offset: tuple[Fraction | None, ...]
    image_size: Size
    unread_share: float | None
    parameters: int
    multiply_adds: int | None


class Step(NamedTuple):
    """Layers alike that change resolution at one place of a network."""

    op_type: str
    kernel: tuple[int, ...] | None
    factor: tuple[Fraction | None, ...]
    nodes: tuple[NodeRef, ...]


class Stage(NamedTuple):
    """Maps of one total stride, and the layers that lead to it."""

    total_stride: tuple[Fraction | None, ...]
    by: tuple[Step, ...]


class Summary(NamedTuple):
    """How a model changes resolution.

    Attributes:
        first_layer: the first window or patch that looks at the image.
        stages: in the order of the graph.
        downsampling, upsampling: the layers that do it, in words; ``nothing`` for none.
        unresolved: layers that change resolution by how much is not known, likewise.
        parameters, multiply_adds: of all layers that are listed.
    """

    first_layer: LayerFigures | None
    stages: tuple[Stage, ...]
    downsampling: str
    upsampling: str
    unresolved: str
    parameters: int
    multiply_adds: int | None


class AdmissibleSize(NamedTuple):
    """The sizes that one dimension of the inputs may have.

    Attributes:
        name: the model's symbol, or a letter.
        dims: the dimensions of inputs it stands for, as (input, dimension).
        declared: the size that the model fixes; None when it is open.
        rule: in words, such as ``H % 32 == 0``.
        smallest: None when no size fits.
        period, residues: sizes from ``start`` on fit when size mod period is among the residues.
        sporadic: sizes below ``start`` that fit.
        forced_by: the nodes that require it, the most restrictive first.
        is_proven: False where some place may restrict the sizes further.
    """

    name: str
    dims: tuple[tuple[str, int], ...]
    declared: int | None
    rule: str
    smallest: int | None
    start: int
    period: int
    residues: tuple[int, ...]
    sporadic: tuple[int, ...]
    forced_by: tuple[NodeRef, ...]
    is_proven: bool


class Anatomy(NamedTuple):
    """A model's geometry."""

    layers: tuple[LayerFigures, ...]
    admissible_sizes: tuple[AdmissibleSize, ...]
    summary: Summary


def anatomy(graph: Graph) -> Anatomy:
    """The geometry of ``graph``; the weights themselves are not read."""
    known = resolution(graph)
    figures = tuple(_figures(layer, graph, known) for layer in graph.layers)
    sizes = dict.fromkeys(map(_admissible, _all(input_sizes(graph, freed=True))))
    return Anatomy(figures, tuple(sizes), _summary(figures))


def _figures(layer: Layer, graph: Graph, known: Resolution) -> LayerFigures:
    sights = known.after(layer)
    fields = [sight if isinstance(sight, Field) else None for sight in sights]
    window = layer if isinstance(layer, Window) else None
    return LayerFigures(
        node=layer.ref,
        op_type=layer.op,
        kernel=None if window is None else window.kernel,
        stride=None if window is None else window.strides,
        dilation=None if window is None else window.dilations,
        pads=None if window is None else _pads(window),
        input_size=layer.sizes,
        output_size=_output_size(layer),
        factor=tuple(_factors(layer)),
        total_stride=tuple(field and abs(field.stride) for field in fields),
        receptive_field=tuple(field and field.receptive_field for field in fields),
        min_receptive_field=tuple(field and field.narrow for field in fields),
        centre_offset=tuple(field and field.centre for field in fields),
        image_size=tuple(_image_size(sight, known) for sight in sights),
        unread_share=float(unread_share(window.axes)) if isinstance(window, SLIDING) else None,
        parameters=parameters([layer.node]),
        multiply_adds=multiply_adds([layer.node], graph),
    )


def _pads(window: Window) -> tuple[tuple[int, int], ...] | None:
    """The padding; None where it depends on a size that is not known."""
    if window.has_implicit_padding and None in window.sizes:
        return None
    return tuple((axis.begin, axis.end) for axis in window.axes)


def _factors(layer: Layer) -> Iterator[Fraction | None]:
    if isinstance(layer, Resize):
        yield from (None if scale is None else 1 / scale_of(scale) for scale in layer.scales)
    elif isinstance(layer, Shuffle):
        shrinks = layer.op == "SpaceToDepth"
        yield from (Fraction(block) if shrinks else Fraction(1, block) for block in layer.blocks)
    elif isinstance(layer, ConvTranspose):
        yield from (Fraction(1, stride) for stride in layer.strides)
    elif isinstance(layer, Window):
        yield from map(Fraction, layer.strides)
    else:
        yield from [None] * layer.rank


def _image_size(sight: Sight, known: Resolution) -> int | None:
    return known.image_size(sight) if isinstance(sight, Field) else None


def _output_size(layer: Layer) -> Size:
    """As the model says it, else as the window makes it."""
    shape = layer.node.scope.shape(layer.node.output(0))
    stated: list[int | None] = [None] * layer.rank
    if shape is not None and len(shape) == layer.rank + 2:
        dims = [shape[dim] for dim in spatial_dims(layer)]
        stated = [dim if isinstance(dim, int) else None for dim in dims]
    made = _made(layer)
    return tuple(own if own is not None else size for own, size in zip(made, stated, strict=True))


def _made(layer: Layer) -> Size:
    if isinstance(layer, GlobalPool):
        return (1,) * layer.rank
    if isinstance(layer, Shuffle):
        shrinks = layer.op == "SpaceToDepth"
        return tuple(
            None if size is None else size // block if shrinks else size * block
            for size, block in zip(layer.sizes, layer.blocks, strict=True)
        )
    if not isinstance(layer, Window):
        return (None,) * layer.rank
    if layer.has_implicit_padding and None in layer.sizes:
        return (None,) * layer.rank
    return tuple(_slid(layer, index) for index in range(layer.rank))


def _slid(window: Window, index: int) -> int | None:
    size, axis = window.sizes[index], window.axes[index]
    if size is None:
        return None
    if isinstance(window, ConvTranspose):
        return transposed_size(size, axis, window.output_padding[index])
    return output_size(size, axis, ceil_mode=isinstance(window, Pool) and window.ceil_mode)


def _summary(figures: Sequence[LayerFigures]) -> Summary:
    windows = [each for each in figures if each.kernel is not None]
    adds = [each.multiply_adds for each in figures if each.multiply_adds is not None]
    smaller = [each for each in figures if _is_any(each, lambda factor: factor > 1)]
    larger = [each for each in figures if _is_any(each, lambda factor: factor < 1)]
    unknown = [each for each in figures if each.op_type in _RESIZES and None in each.factor]
    changed = {id(each) for each in (*smaller, *larger, *unknown)}
    changing = [each for each in figures if id(each) in changed]
    return Summary(
        first_layer=windows[0] if windows else None,
        stages=tuple(_stages(changing)),
        downsampling=listing(map(in_words, _steps(smaller))),
        upsampling=listing(map(in_words, _steps(larger))),
        unresolved=listing(map(in_words, _steps(unknown))),
        parameters=sum(each.parameters for each in figures),
        multiply_adds=sum(adds) if len(adds) == len(figures) else None,
    )


def _is_any(figures: LayerFigures, holds: Callable[[Fraction], bool]) -> bool:
    return any(factor is not None and holds(factor) for factor in figures.factor)


def _stages(changing: Iterable[LayerFigures]) -> Iterator[Stage]:
    """Layers by the total stride they lead to, which a decoder goes back through."""
    for stride, layers in groupby(changing, key=lambda each: each.total_stride):
        yield Stage(stride, tuple(_steps(layers)))


def _steps(layers: Iterable[LayerFigures]) -> Iterator[Step]:
    """Layers of one form together, in the order in which the forms first occur."""
    alike: dict[tuple[Any, ...], list[LayerFigures]] = {}
    for each in layers:
        alike.setdefault((each.op_type, each.kernel, each.factor), []).append(each)
    for (op_type, kernel, factor), group in alike.items():
        yield Step(op_type, kernel, factor, tuple(each.node for each in group))


def in_words(step: Step) -> str:
    """A step as tables spell it: ``3 Conv 3x3 /2``, ``ConvTranspose 4x4 x2``."""
    count = f"{len(step.nodes)} " if len(step.nodes) > 1 else ""
    kernel = f" {by(step.kernel)}" if step.kernel else ""
    return f"{count}{step.op_type}{kernel} {_by_how_much(step.factor)}"


def _by_how_much(factor: tuple[Fraction | None, ...]) -> str:
    """``/2`` for halving, ``x2`` for doubling, an entry per axis where they differ."""
    marks = ["?" if each is None else _mark(each) for each in factor]
    return marks[0] if len(set(marks)) == 1 else " by ".join(marks)


def _mark(factor: Fraction) -> str:
    larger = 1 / factor
    return f"x{larger}" if factor < 1 else f"/{factor}"


def _all(sizes: InputSizes) -> Iterator[InputSize]:
    yield from sizes.inputs
    for tied in sizes.tied:
        yield from (tied.first, tied.second)


def _admissible(size: InputSize) -> AdmissibleSize:
    found = size.sizes
    return AdmissibleSize(
        name=size.name,
        dims=tuple((dim.input, dim.dim) for dim in size.dims),
        declared=size.declared,
        rule=condition(found, size.name),
        smallest=found.smallest,
        start=found.start,
        period=found.period,
        residues=tuple(sorted(found.residues)),
        sporadic=found.sporadic,
        forced_by=tuple(dict.fromkeys(cause.node.ref for cause in size.causes)),
        is_proven=not size.unproven,
    )
