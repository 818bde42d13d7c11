"""Operators that arrange elements anew: transpose, cut, pad, repeat, put side by side."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.attributes import Unknown, integer, integers
from .asking import Asking, staying
from .moves import (
    STAY,
    Closed,
    Cut,
    Flow,
    Fresh,
    Join,
    Lane,
    Meet,
    Move,
    Opaque,
    Shift,
    ToSpace,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FAR = 2**31 - 1  # an end this far off means "to the last"
_FEW = 4096


def transpose(ask: Asking) -> Flow:
    rank = ask.rank(0)
    perm = integers(ask.node, "perm", at_least=0) or tuple(reversed(range(rank)))
    if sorted(perm) != list(range(rank)):
        return Closed(f"perm {list(perm)} does not fit a map of rank {rank}")
    return Meet((ask.route(staying(perm)),))


def tile(ask: Asking) -> Flow:
    rank, repeats = ask.rank(0), ask.fixed(1)
    if repeats is None or len(repeats) != rank:
        return Closed("how often elements repeat is computed at run time")
    moves = [STAY if times == 1 else Opaque("its elements are repeated") for times in repeats]
    return Meet((ask.route(map(Lane, range(rank), moves)),))


def concat(ask: Asking) -> Flow:
    routes = tuple(ask.route(at=i) for i, name in enumerate(ask.node.inputs) if name)
    return Join(routes, integer(ask.node, "axis", 1))


def split(ask: Asking) -> Flow:
    rank, node = ask.rank(0), ask.node
    axis = ask.axis(0, rank)
    routes = []
    for position, cut in enumerate(_parts(ask, axis)):
        moves: list[Move] = [STAY] * rank
        moves[axis] = cut
        if node.output(position):
            routes.append(ask.route(map(Lane, range(rank), moves), to=position))
    return Meet(tuple(routes))


def _parts(ask: Asking, axis: int) -> list[Cut]:
    """The piece that each output is; the last also takes what inexact sizes leave over."""
    node = ask.node
    count = len(node.outputs)
    sizes = integers(node, "split", at_least=0) or ask.fixed(1)
    shape = node.scope.shape(node.input(0))
    size = shape[axis] if shape else None
    if sizes is None and not node.input(1) and isinstance(size, int):
        piece = -(-size // count)
        sizes = tuple(max(0, min(piece, size - piece * i)) for i in range(count))
    if sizes is None or len(sizes) != count:
        return [Cut(None, None, 1)] * count
    return [Cut(end - piece, end, 1) for piece, end in zip(sizes, accumulate(sizes), strict=True)]


def slice_(ask: Asking) -> Flow:
    rank = ask.rank(0)
    old = "starts" in ask.node.attributes
    steps = None if old else ask.stated("steps", 4)
    axes = _axes_of_slice(ask, steps)
    moves: list[Move] = [STAY] * rank
    limits = [_or_unknown(ask, "starts", 1), _or_unknown(ask, "ends", 2)]
    for i, axis in enumerate(ask.from_front(axes, rank)):
        start, end = (None if values is None else values[i] for values in limits)
        moves[axis] = _cut(start, end, 1 if steps is None else steps[i])
    return Meet((ask.route(map(Lane, range(rank), moves)),))


def _axes_of_slice(ask: Asking, steps: tuple[int, ...] | None) -> tuple[int, ...]:
    axes = ask.stated("axes", 3)
    if axes is not None:
        return axes
    lengths = [_or_unknown(ask, "starts", 1), _or_unknown(ask, "ends", 2), steps]
    known = [values for values in lengths if values is not None]
    if not known:
        raise Unknown("which dimensions are sliced is computed at run time")
    return tuple(range(len(known[0])))


def _or_unknown(ask: Asking, name: str, position: int) -> tuple[int, ...] | None:
    try:
        return ask.stated(name, position)
    except Unknown:
        return None


def _cut(start: int | None, end: int | None, step: int) -> Move:
    if step == 0:
        return Opaque("its step is 0")
    if step == 1 and start == 0 and end is not None and end >= _FAR:
        return STAY
    return Cut(start, end, step)


def pad(ask: Asking) -> Flow:
    rank, node = ask.rank(0), ask.node
    pads = integers(node, "pads", at_least=-(2**31)) or integers(
        node, "paddings", at_least=-(2**31)
    )
    axes = ask.from_front(ask.stated("axes", 3) or range(rank), rank)
    if pads is None:
        pads = ask.fixed(1)
    moves: list[Move] = [STAY] * rank
    for i, axis in enumerate(axes):
        moves[axis] = _shift(pads, i, len(axes))
    return Meet((ask.route(map(Lane, range(rank), moves)),))


def _shift(pads: tuple[int, ...] | None, i: int, count: int) -> Move:
    if pads is None:
        return Shift(None, None)
    if len(pads) != 2 * count:
        return Opaque(f"{len(pads)} pads for {count} dimensions")
    begin, end = pads[i], pads[count + i]
    return Shift(begin, end) if begin or end else STAY


def crop(ask: Asking) -> Flow:
    """The experimental Crop of opset 1: a border of left, top, right and bottom."""
    border = integers(ask.node, "border", at_least=0, length=4)
    if border is None:
        return Closed("it has no border")
    left, top, right, bottom = border
    scale = integers(ask.node, "scale", at_least=1, length=2)
    rows, columns = Shift(-top, -bottom), Shift(-left, -right)
    if scale is None:
        return _on_image(ask, rows, columns)
    return _on_image(ask, Cut(top, top + scale[0], 1), Cut(left, left + scale[1], 1))


def _on_image(ask: Asking, rows: Move, columns: Move) -> Flow:
    return Meet((ask.route([*staying(range(2)), Lane(2, rows), Lane(3, columns)]),))


def unpool(ask: Asking) -> Flow:
    """MaxUnpool: a map and the indices of its maxima, spread out again.

    Where windows tile the map, each maximum lies in the block its window was.
    """
    node, rank = ask.node, ask.rank(0)
    kernel = integers(node, "kernel_shape", at_least=1) or ()
    strides = integers(node, "strides", at_least=1) or (1,) * len(kernel)
    pads = integers(node, "pads", at_least=0) or (0,)
    if kernel != strides or any(pads) or node.input(2) or rank != len(kernel) + 2:
        return Closed("where its maxima lie depends on the map")
    lanes = [*staying(range(2)), *(Lane(dim + 2, ToSpace(k)) for dim, k in enumerate(kernel))]
    return Meet((ask.route(lanes), ask.route(lanes, at=1)))


def gather(ask: Asking) -> Flow:
    """Elements picked along one dimension; or rows of a table, by a map of indices."""
    rank = ask.rank(0)
    axis = ask.axis(0, rank)
    ahead, behind = staying(range(axis)), staying(range(axis + 1, rank))
    indices = ask.graph.constant(ask.node, ask.node.input(1))
    if indices is not None:
        picked = [Lane(axis, _picked(indices))] * indices.ndim
        return Meet((ask.route([*ahead, *picked, *behind]),))
    dims = range(ask.rank(1))
    unknown = [Lane(axis, Opaque("which elements it picks is computed at run time"))] * len(dims)
    new = Lane(None, Fresh(None))
    by_index = [*[new] * len(ahead), *staying(dims), *[new] * len(behind)]
    return Meet((ask.route([*ahead, *unknown, *behind]), ask.route(by_index, at=1)))


def _picked(indices: NDArray[Any]) -> Move:
    """Elements picked at regular distances are a slice."""
    if indices.ndim == 1 and 1 < indices.size <= _FEW and indices.dtype.kind == "i":
        start, step = int(indices[0]), int(indices[1]) - int(indices[0])
        end = int(indices[-1]) + step
        if step and min(start, end - step) >= 0 and (np.diff(indices) == step).all():
            return Cut(start, end if end >= 0 else -_FAR, step)
    return Opaque("its elements are picked one by one")


ARRANGEMENTS: dict[str, Callable[[Asking], Flow]] = {
    "Concat": concat,
    "Crop": crop,
    "Gather": gather,
    "MaxUnpool": unpool,
    "Pad": pad,
    "Slice": slice_,
    "Split": split,
    "Tile": tile,
    "Transpose": transpose,
}
