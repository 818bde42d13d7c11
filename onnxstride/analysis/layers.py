"""The flows of layers that change resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from ..geometry import Axis
from ..geometry.resampling import Resampling
from ..geometry.sampling import scale_of
from ..graph.layers import (
    SLIDING,
    AutoPad,
    Conv,
    ConvTranspose,
    GlobalPool,
    Layer,
    MaxPool,
    Pool,
    Resize,
    Shuffle,
)
from ..graph.scope import DEFAULT_DOMAIN
from ..graph.spellings import SPELLINGS, channels_last
from .moves import (
    STAY,
    Closed,
    Flow,
    Fresh,
    Global,
    Lane,
    Meet,
    Move,
    Opaque,
    Route,
    Scale,
    Slide,
    Spread,
    ToDepth,
    ToSpace,
)
from .readings import told


class Course(NamedTuple):
    """What a layer does to the dimensions of the map it reads, each of which keeps its place.

    Attributes:
        lanes: of all dimensions.
        moving: those of the layer's axes, by dimension.
        mixed: the dimension of the channels, where the layer makes its own; None for none.
    """

    lanes: tuple[Lane, ...]
    moving: tuple[tuple[int, Lane], ...]
    mixed: int | None


def layer_flow(layer: Layer) -> Flow:
    """What a layer does to the map it reads."""
    course = course_of(layer)
    if isinstance(course, Closed):
        return course
    route = Route(layer.input, layer.node.output(0), course.lanes)
    if isinstance(layer, MaxPool) and layer.indices:
        return Meet((route, route._replace(output=layer.indices)))
    return Meet((route,))


def spatial_dims(layer: Layer) -> tuple[int, ...]:
    """The dimension of the tensor that each spatial axis of the layer is."""
    if isinstance(layer, Resize):
        return layer.along
    node, rank = layer.node, len(layer.dims)
    if node.domain == DEFAULT_DOMAIN and rank < len(_FROM_THE_THIRD):
        return _FROM_THE_THIRD[rank]
    spelling = SPELLINGS.get((node.domain, node.op_type))
    first = 1 if spelling is not None and channels_last(node, spelling) else 2
    return tuple(range(first, first + rank))


_FROM_THE_THIRD = [tuple(range(2, 2 + rank)) for rank in range(8)]


def course_of(layer: Layer) -> Course | Closed:
    """What a layer does; its first output is a map, and so are the indices of a MaxPool."""
    along = spatial_dims(layer)
    if isinstance(layer, SLIDING):
        mixes_channels = isinstance(layer, Conv)
        ceil_mode = isinstance(layer, Pool) and layer.ceil_mode
        if layer.auto_pad is AutoPad.NOTSET:
            return _sliding(along, layer.axes, ceil_mode, mixes_channels)
        return _sliding(along, layer.axes, ceil_mode, mixes_channels, layer.auto_pad, layer.sizes)
    if isinstance(layer, ConvTranspose):
        wanted = layer.output_shape
        if wanted is None and layer.auto_pad is AutoPad.NOTSET:
            return _spreading(along, layer.axes, layer.output_padding)
        return _spreading(
            along, layer.axes, layer.output_padding, layer.auto_pad, wanted, layer.sizes
        )
    if min(along) < 0:
        return Closed("its axes count from the last dimension, and the rank is unknown")
    rank = max(along) + 1 if isinstance(layer, Resize) else len(along) + 2
    moves = _MOVES.get(type(layer), _unfollowed)(layer)
    return _placed(along, rank, moves, mixes_channels=not isinstance(layer, GlobalPool | Resize))


def _placed(
    along: tuple[int, ...], rank: int, moves: Iterable[Move], *, mixes_channels: bool
) -> Course:
    """The moves along these dimensions, where all others stay but channels that are mixed."""
    lanes = [Lane(dim, STAY) for dim in range(rank)]
    mixed = None
    if mixes_channels:
        mixed = 1 if along[0] > 1 else rank - 1
        lanes[mixed] = Lane(None, Fresh(None))
    moving = [(dim, Lane(dim, move, told(move))) for dim, move in zip(along, moves, strict=True)]
    for dim, lane in moving:
        lanes[dim] = lane
    return Course(tuple(lanes), tuple(moving), mixed)


# Most windows of a model are like another. One move serves axes and layers that are alike, too,
# which is quick to tell where they are followed. Sizes are stated where the padding rests on them.


@lru_cache(maxsize=1024)
def _sliding(
    along: tuple[int, ...],
    axes: tuple[Axis, ...],
    ceil_mode: bool,
    mixes_channels: bool,
    auto_pad: AutoPad = AutoPad.NOTSET,
    sizes: tuple[int | None, ...] | None = None,
) -> Course:
    each = list(zip(axes, sizes or _unknown(axes), strict=True))
    moves = {(axis, size): Slide(axis, auto_pad, ceil_mode, size) for axis, size in each}
    placed = [moves[axis] for axis in each]
    return _placed(along, len(along) + 2, placed, mixes_channels=mixes_channels)


@lru_cache(maxsize=1024)
def _spreading(
    along: tuple[int, ...],
    axes: tuple[Axis, ...],
    output_padding: tuple[int, ...],
    auto_pad: AutoPad = AutoPad.NOTSET,
    wanted: tuple[int | None, ...] | None = None,
    sizes: tuple[int | None, ...] | None = None,
) -> Course:
    nothing = _unknown(axes)
    each = list(zip(axes, output_padding, wanted or nothing, sizes or nothing, strict=True))
    moves = {
        (axis, padding, after, before): Spread(axis, padding, auto_pad, after, before)
        for axis, padding, after, before in each
    }
    placed = [moves[axis] for axis in each]
    return _placed(along, len(along) + 2, placed, mixes_channels=True)


def _unknown(axes: tuple[Axis, ...]) -> tuple[None, ...]:
    return (None,) * len(axes)


def _unfollowed(layer: Layer) -> list[Move]:
    return [Opaque(f"{layer.op} is a layer that is not followed")] * layer.rank


def _shuffles(layer: Shuffle) -> list[Move]:
    kind = ToSpace if layer.op == "DepthToSpace" else ToDepth
    return [kind(block) for block in layer.blocks]


def _globals(layer: Layer) -> list[Move]:
    return [Global(1)] * layer.rank


def _scales(layer: Resize) -> list[Move]:
    shape = layer.node.scope.shape(layer.node.output(0))
    after = [shape[dim] if shape and dim < len(shape) else None for dim in layer.along]
    return [
        Opaque("the scale is computed at run time")
        if scale is None
        else scaled(layer, scale_of(scale), before, size if isinstance(size, int) else None, scale)
        for scale, before, size in zip(layer.scales, layer.sizes, after, strict=True)
    ]


def scaled(
    layer: Resize, ratio: Fraction, before: int | None, after: int | None, scale: float = 1.0
) -> Scale:
    """The move of a Resize along an axis of these sizes; ``scale`` is the number in the file."""
    states_sizes = not layer.is_legacy and bool(layer.node.input(3))
    resampling = Resampling(
        ratio, layer.coordinates, layer.mode, layer.nearest_mode, layer.antialias, before, after
    )
    return Scale(resampling, None if states_sizes else scale, after if states_sizes else None)


_MOVES: dict[type[Layer], Callable[[Any], Sequence[Move]]] = {
    Shuffle: _shuffles,
    GlobalPool: _globals,
    Resize: _scales,
}
