"""What a move along one dimension, a slice or a reshape does to sizes.

Everything here takes sizes to sizes and leaves in the program what the operator requires of
them; a place names the node and the dimension it is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..geometry import Axis
from ..geometry.quasi_affine import (
    SizeMap,
    from_blocks,
    padded,
    same,
    strided,
    to_blocks,
    transposed,
)
from ..geometry.size_program import Program
from ..geometry.terms import Size, Term, monomial
from ..graph.layers import AutoPad
from ..graph.scope import Node
from .moves import (
    Cut,
    Fresh,
    Global,
    Move,
    Opaque,
    Scale,
    Shift,
    Slide,
    Spread,
    Stay,
    ToDepth,
    ToSpace,
)
from .shape_arithmetic import Entry, Ratio

FAR = 2**31 - 1
"""An end of a slice this far off means "to the last"."""


KEPT = SizeMap()
"""The size function of what keeps every size."""


class Place(NamedTuple):
    """Where something is required of sizes: the node, and the dimension of its output."""

    node: Node
    dim: int


def moved(program: Program, move: Move, size: Size, place: Place) -> Size:
    """The size that a move makes of another."""
    if isinstance(move, Opaque):
        return program.terms.opaque([size], move.reason)
    if isinstance(move, Spread):
        return _spread(program, move, size, place)
    if isinstance(move, Scale) and move.exact is not None:
        return program.scale(move.exact, size, place)
    if isinstance(move, Cut) and move.start is not None and move.end is not None:
        return cut(program, size, (move.start, move.end, move.step), place)
    phi = _size_map(move)
    if phi is not None:
        return program.apply(phi, size, place)
    stated = move.wanted if isinstance(move, Scale) else _stated(move)
    if stated is not None:
        return stated
    if isinstance(move, Stay | Global):
        return size
    return program.terms.opaque([size], "the size is computed at run time")


def _size_map(move: Move) -> SizeMap | None:
    """The size function of a move that has one, whatever the size."""
    match move:
        case Slide(axis=axis, auto_pad=auto_pad, ceil_mode=ceil_mode):
            return slide_map(axis, auto_pad, ceil_mode=ceil_mode)
        case Shift(begin=int(begin), end=int(end)):
            return padded(begin, end)
        case ToSpace(block=block):
            return from_blocks(block)
        case ToDepth(block=block):
            return to_blocks(block)
        case _:
            return None


def slide_map(axis: Axis, auto_pad: AutoPad, *, ceil_mode: bool) -> SizeMap:
    """The size function of a window that slides; :data:`KEPT` itself where no size changes."""
    phi = same(axis.stride) if auto_pad.is_same else strided(axis, ceil_mode=ceil_mode)
    return KEPT if phi == KEPT else phi


def _stated(move: Move) -> int | None:
    return move.size if isinstance(move, Global | Fresh) else None


def _spread(program: Program, move: Spread, size: Size, place: Place) -> Size:
    """The size a transposed window leaves; SAME never pads by less than nothing."""
    axis = move.axis
    if move.wanted is not None:
        # runtimes refuse an output that is a whole stride longer than the taps reach
        program.require_least(size, (move.wanted - axis.extent) // axis.stride + 1, place)
        return move.wanted
    if move.auto_pad.is_same:
        surplus = move.output_padding + axis.extent - axis.stride
        return program.apply(SizeMap(axis.stride, min(0, surplus)), size, place)
    return program.apply(transposed(axis, move.output_padding), size, place)


def cut(program: Program, size: Size, bounds: tuple[Entry, Entry, int], place: Place) -> Size:
    """The number of elements that ``[start:end:step]`` takes, which must be one at least."""
    start, end, step = bounds
    if isinstance(start, Ratio) or isinstance(end, Ratio):
        return program.terms.opaque([size], "a slice ends at a ratio of sizes")
    if isinstance(size, int) and isinstance(start, int) and isinstance(end, int):
        result: Size = len(range(*slice(start, end, step).indices(size)))
    elif step > 0:
        result = _stepped(program, _taken(program, size, start, end), step)
    elif isinstance(start, int) and isinstance(end, int) and start == -1 and end < -FAR:
        result = _stepped(program, size, -step)
    else:
        return program.terms.opaque([size, start, end], "a slice runs backwards")
    program.require_least(result, 1, place)
    return result


def _stepped(program: Program, size: Size, step: int) -> Size:
    return program.terms.linear([(size, 1)], step - 1, step)


def _taken(program: Program, size: Size, start: Size, end: Size) -> Size:
    """Elements from ``start`` to ``end``; both count from the last when negative."""
    terms = program.terms
    to_last = isinstance(end, int) and end >= FAR
    if isinstance(start, int) and start < 0:
        if to_last:
            return 1 if start == -1 else terms.extreme([size, -start], largest=False)
        first = terms.extreme([terms.linear([(size, 1)], start), 0], largest=True)
    else:
        first = start
    if to_last or end is size:
        last = size
    elif isinstance(end, int) and end < 0:
        last = terms.linear([(size, 1)], end)
    elif end == 1:
        last = 1  # a map has one element at least
    else:
        last = terms.extreme([size, end], largest=False)
    return terms.linear([(last, 1), (first, -1)])


def reshaped(
    program: Program, dims: Sequence[Size], target: Sequence[Entry], place: Place, *, copies: bool
) -> tuple[Size, ...]:
    """The dimensions after a reshape to ``target``, where 0 copies and -1 takes what is left."""
    terms = program.terms
    after: list[Size] = []
    inferred: int | None = None
    for position, wanted in enumerate(target):
        if isinstance(wanted, Ratio):
            after.append(terms.opaque(dims, "a dimension is a ratio of sizes"))
        elif wanted == -1:
            inferred = position
            after.append(1)
        elif wanted == 0 and copies:
            after.append(dims[position] if position < len(dims) else 1)
        else:
            after.append(wanted)
    before, known = _cancelled(dims, after)
    if inferred is None:
        program.meet(
            [terms.product(before), terms.product(known)],
            place._replace(dim=_dim_of(after, known)),
            stretches=False,
        )
    else:
        place = place._replace(dim=inferred)
        after[inferred] = _left_over(program, before, known, place)
    return tuple(after)


def _dim_of(dims: Sequence[Size], factors: Sequence[Size]) -> int:
    """The last dimension that has a part in what must be equal."""
    return max((dim for dim, size in enumerate(dims) if size in factors), default=0)


def _cancelled(
    before: Sequence[Size], after: Sequence[Size]
) -> tuple[tuple[Size, ...], tuple[Size, ...]]:
    """Two products without the factors that both have."""
    (one, ones), (other, others) = monomial(before), monomial(after)
    left, right = list(ones), list(others)
    for factor in ones:
        if factor in right:
            left.remove(factor)
            right.remove(factor)
    if one and other and one % other == 0:
        return (one // other, *left), tuple(right)
    if one and other and other % one == 0:
        return tuple(left), (other // one, *right)
    return (one, *left), (other, *right)


def _left_over(
    program: Program, before: Sequence[Size], known: Sequence[Size], place: Place
) -> Size:
    """The dimension that holds all elements the others do not."""
    terms = program.terms
    total, divisor = terms.product(before), terms.product(known)
    if divisor == 1:
        return total
    if isinstance(divisor, Term) or divisor == 0:
        return terms.opaque([total, divisor], "a dimension is one size over another")
    program.require_multiple(total, divisor, place)
    return terms.linear([(total, 1)], 0, divisor)
