"""From the move of one dimension to how its elements read the map before them."""

from __future__ import annotations

from collections.abc import Callable

from ..geometry import Axis, same_padding, transposed_padding
from ..geometry.fields import Reading, Unknown
from ..geometry.readings import shifted, sliced, sliding, to_depth, to_space, transposed
from ..geometry.resampling import resampled
from ..graph.layers import AutoPad
from ..graph.scope import Node
from .moves import Cut, Move, Scale, Shift, Slide, Spread, ToDepth, ToSpace

_MOST_RESIDUES = 64


def told(move: Move) -> Reading | Unknown | None:
    """The reading of a window that its move tells by itself; None for any other."""
    if isinstance(move, Slide) and (move.size is not None or not move.auto_pad.is_same):
        return sliding(move.axis)
    if isinstance(move, Spread) and (
        move.size is not None or (move.wanted is None and not move.auto_pad.is_same)
    ):
        return transposed(move.axis)
    return None


def reading(move: Move, node: Node, size: Callable[[], int | None]) -> Reading | Unknown:
    """The reading of a move that is neither Stay, Global, Fresh nor Opaque.

    ``size`` finds the input's size along the dimension where the move does not state it.
    """
    known = told(move)
    if known is not None:
        return known
    if isinstance(move, Slide):
        return _sliding(move, node, size)
    if isinstance(move, Shift):
        return _shifted(move, node)
    if isinstance(move, Spread):
        return _transposed(move, node, size)
    if isinstance(move, Scale):
        return resampled(move.resampling)
    if isinstance(move, Cut):
        return _sliced(move, node, size)
    if isinstance(move, ToSpace):
        return to_space(move.block)
    assert isinstance(move, ToDepth)
    return to_depth(move.block)


def _named(node: Node, what: str) -> str:
    return f"{node.op_type} {node.name!r}: {what}"


def _sliding(move: Slide, node: Node, size: Callable[[], int | None]) -> Reading:
    """Under SAME padding, where the move does not state the size."""
    axis = move.axis
    lower = move.auto_pad is AutoPad.SAME_LOWER
    padded = _same_at_any_size(axis, lower=lower)
    if padded is not None:
        return sliding(padded)
    known = size()
    if known is not None:
        return sliding(same_padding(known, axis, lower=lower))
    return sliding(axis, _named(node, "its SAME padding depends on the input size"))


def _same_at_any_size(axis: Axis, *, lower: bool) -> Axis | None:
    """The window with its SAME padding at the begin, where that is one for all sizes."""
    if axis.stride > _MOST_RESIDUES:
        return None
    # Sizes of one residue modulo the stride are padded alike, once they hold a window.
    first = axis.extent
    sizes = range(first, first + axis.stride)
    begins = {same_padding(size, axis, lower=lower).begin for size in sizes}
    return axis.padded(begins.pop(), 0) if len(begins) == 1 else None


def _transposed(move: Spread, node: Node, size: Callable[[], int | None]) -> Reading | Unknown:
    """Where the padding follows from a size that the move does not state."""
    axis, wanted = move.axis, move.wanted
    upper = move.auto_pad is AutoPad.SAME_UPPER
    if wanted is None:  # SAME without output_shape pads alike at every size
        padded = transposed_padding(1, axis, move.output_padding, axis.stride, upper=upper)
        return transposed(padded if padded.begin + padded.end >= 0 else axis.padded(0, 0))
    known = size()
    if known is None:
        return transposed(axis, _named(node, "its padding follows from output_shape"))
    return transposed(transposed_padding(known, axis, move.output_padding, wanted, upper=upper))


def _shifted(move: Shift, node: Node) -> Reading:
    if move.begin is None:
        return shifted(0, _named(node, "its pads are computed at run time"))
    return shifted(move.begin)


def _sliced(move: Cut, node: Node, size: Callable[[], int | None]) -> Reading:
    start, step = move.start, move.step
    if start is None:
        return sliced(0, step, _named(node, "where it starts is computed at run time"))
    if start >= 0 and step > 0:
        return sliced(start, step)
    known = size()
    if known is None:
        return sliced(0, step, _named(node, "where it starts depends on the input size"))
    return sliced(slice(start, None, step).indices(known)[0], step)
