"""The flows of layers that change resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from ..geometry.resampling import Resampling
from ..geometry.sampling import scale_of
from ..graph.layers import (
    ConvTranspose,
    GlobalPool,
    Layer,
    MaxPool,
    Pool,
    Resize,
    Shuffle,
    Window,
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

_KEPT = tuple(Lane(dim, STAY) for dim in range(8))
_NEW = Lane(None, Fresh(None))


def layer_flow(layer: Layer) -> Flow:
    """What a layer does to the map it reads; its first output is a map."""
    along = spatial_dims(layer)
    if min(along) < 0:
        return Closed("its axes count from the last dimension, and the rank is unknown")
    rank = max(along) + 1 if isinstance(layer, Resize) else len(along) + 2
    lanes = [_KEPT[dim] if dim < len(_KEPT) else Lane(dim, STAY) for dim in range(rank)]
    if _mixes_channels(layer):
        lanes[1 if along[0] > 1 else rank - 1] = _NEW
    for dim, move in zip(along, _moves(layer), strict=True):
        lanes[dim] = Lane(dim, move)
    outputs = [layer.node.output(0)]
    if isinstance(layer, MaxPool) and layer.indices:
        outputs.append(layer.indices)
    return Meet(tuple([Route(layer.input, name, tuple(lanes)) for name in outputs]))


def spatial_dims(layer: Layer) -> tuple[int, ...]:
    """The dimension of the tensor that each spatial axis of the layer is."""
    if isinstance(layer, Resize):
        return layer.along
    node, rank = layer.node, len(layer.dims)
    first = 2
    if node.domain != DEFAULT_DOMAIN:
        spelling = SPELLINGS.get((node.domain, node.op_type))
        first = 1 if spelling is not None and channels_last(node, spelling) else 2
    return tuple(range(first, first + rank))


def _mixes_channels(layer: Layer) -> bool:
    """True when the output's channels are others than the input's."""
    return not isinstance(layer, Pool | GlobalPool | Resize)


def _moves(layer: Layer) -> Sequence[Move]:
    for kind, moves in _MOVES.items():
        if isinstance(layer, kind):
            return moves(layer)
    return [Opaque(f"{layer.op} is a layer that is not followed")] * layer.rank


def _slides(layer: Window) -> list[Move]:
    """One move for each axis; the same object for axes that are alike, which is told quickly."""
    ceil_mode = isinstance(layer, Pool) and layer.ceil_mode
    moves: list[Move] = []
    before: Slide | None = None
    for axis, dim in zip(layer.axes, layer.dims, strict=True):
        size = dim if isinstance(dim, int) else None
        if before is None or before.axis != axis or before.size != size:
            before = Slide(axis, layer.auto_pad, ceil_mode, size)
        moves.append(before)
    return moves


def _spreads(layer: ConvTranspose) -> list[Move]:
    wanted = layer.output_shape or (None,) * layer.rank
    return [
        Spread(axis, padding, layer.auto_pad, size, before)
        for axis, padding, size, before in zip(
            layer.axes, layer.output_padding, wanted, layer.sizes, strict=True
        )
    ]


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
    ConvTranspose: _spreads,
    Window: _slides,
    Shuffle: _shuffles,
    GlobalPool: _globals,
    Resize: _scales,
}
