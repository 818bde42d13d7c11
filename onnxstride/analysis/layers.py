"""The flows of layers that change resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

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


def layer_flow(layer: Layer) -> Flow:
    """What a layer does to the map it reads; its first output is a map."""
    along = spatial_dims(layer)
    if min(along) < 0:
        return Closed("its axes count from the last dimension, and the rank is unknown")
    lanes = _lanes(layer, along)
    route = Route(layer.input, layer.node.output(0), lanes)
    if isinstance(layer, MaxPool) and layer.indices:
        return Meet((route, Route(layer.input, layer.indices, lanes)))
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


def _lanes(layer: Layer, along: tuple[int, ...]) -> tuple[Lane, ...]:
    if isinstance(layer, SLIDING):
        ceil_mode = isinstance(layer, Pool) and layer.ceil_mode
        return _sliding(
            along, layer.axes, layer.sizes, layer.auto_pad, ceil_mode, isinstance(layer, Conv)
        )
    if isinstance(layer, ConvTranspose):
        wanted = layer.output_shape or (None,) * layer.rank
        return _spreading(
            along, layer.axes, layer.output_padding, wanted, layer.sizes, layer.auto_pad
        )
    rank = max(along) + 1 if isinstance(layer, Resize) else len(along) + 2
    moves = _MOVES.get(type(layer), _unfollowed)(layer)
    return _placed(along, rank, moves, mixes_channels=not isinstance(layer, GlobalPool | Resize))


def _placed(
    along: tuple[int, ...], rank: int, moves: Iterable[Move], *, mixes_channels: bool
) -> tuple[Lane, ...]:
    """The moves along these dimensions, where all others stay but channels that are mixed."""
    lanes = [Lane(dim, STAY) for dim in range(rank)]
    if mixes_channels:
        lanes[1 if along[0] > 1 else rank - 1] = Lane(None, Fresh(None))
    for dim, move in zip(along, moves, strict=True):
        lanes[dim] = Lane(dim, move, told(move))
    return tuple(lanes)


# Most windows of a model are like another. One move serves axes and layers that are alike, too,
# which is quick to tell where they are followed.


@lru_cache(maxsize=1024)
def _sliding(
    along: tuple[int, ...],
    axes: tuple[Axis, ...],
    sizes: tuple[int | None, ...],
    auto_pad: AutoPad,
    ceil_mode: bool,
    mixes_channels: bool,
) -> tuple[Lane, ...]:
    each = list(zip(axes, sizes, strict=True))
    moves = {(axis, size): Slide(axis, auto_pad, ceil_mode, size) for axis, size in each}
    placed = [moves[axis] for axis in each]
    return _placed(along, len(along) + 2, placed, mixes_channels=mixes_channels)


@lru_cache(maxsize=1024)
def _spreading(
    along: tuple[int, ...],
    axes: tuple[Axis, ...],
    output_padding: tuple[int, ...],
    wanted: tuple[int | None, ...],
    sizes: tuple[int | None, ...],
    auto_pad: AutoPad,
) -> tuple[Lane, ...]:
    each = list(zip(axes, output_padding, wanted, sizes, strict=True))
    moves = {
        (axis, padding, after, before): Spread(axis, padding, auto_pad, after, before)
        for axis, padding, after, before in each
    }
    placed = [moves[axis] for axis in each]
    return _placed(along, len(along) + 2, placed, mixes_channels=True)


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
