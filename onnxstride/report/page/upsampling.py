"""Layers that enlarge by weights of their own: their pictures, and what there is to say of them."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import inf, prod
from typing import NamedTuple

from ...engine.patterns import Gains, Pattern
from ...rule import NodeRef
from ...wording import axis_name, decibels, listing, percent, times
from . import words
from .tiles import Tile, gain_tiles, slices_left_out, tap_tiles

MOST_DRAWN = 60
"""Layers whose pictures are drawn; there is room for more, but not for who looks at them."""


class Card(NamedTuple):
    """A layer and its pictures.

    Attributes:
        window: operator and window.
        taps, counts: how many taps reach each output, drawn and in words; none for a shuffle,
            where each output has a filter of its own.
        gains, ripple: what the weights make of a flat map, drawn and in words.
        remarks: what the pictures do not tell.
    """

    number: int
    name: str
    window: str
    taps: tuple[Tile, ...]
    counts: str
    gains: tuple[Tile, ...]
    ripple: str
    remarks: tuple[str, ...]


def cards(patterns: Sequence[Pattern], numbers: Mapping[NodeRef, int]) -> list[Card]:
    return [
        Card(
            numbers[each.node],
            words.name(each.node.name),
            _window(each),
            tap_tiles(each),
            _counts(each),
            gain_tiles(each),
            _ripple(each),
            tuple(_remarks(each)),
        )
        for each in patterns[:MOST_DRAWN]
        if each.node in numbers
    ]


def _window(pattern: Pattern) -> str:
    if pattern.kernel is None:
        return f"{pattern.op_type} {words.TIMES}{words.axes(pattern.stride)}"
    return f"{pattern.op_type} {words.by(pattern.kernel)}, stride {words.axes(pattern.stride)}"


def _counts(pattern: Pattern) -> str:
    if pattern.kernel is None:  # each output has a filter of its own
        return ""
    if pattern.taps is None:
        return "not drawn: too many phases"
    fewest, most = (prod(map(pick, pattern.taps)) for pick in (min, max))
    if fewest == most:
        return f"even: {words.plural(most, 'tap')} for each output"
    if fewest:
        return f"uneven: {fewest} to {most} taps, a factor of {times(Fraction(most, fewest))}"
    reached = prod(sum(map(bool, phases)) for phases in pattern.taps)
    empty = percent(1 - reached / prod(map(len, pattern.taps)))
    return f"{empty} of the outputs get no tap at all, nothing but the bias"


def _ripple(pattern: Pattern) -> str:
    if isinstance(pattern.gains, str):
        return f"not measured: {pattern.gains}"
    ripple = pattern.gains.ripple
    if ripple.total == -inf:
        return "flat stays flat"
    rank = len(pattern.period)
    moving = [axis for axis, phases in enumerate(pattern.period) if phases > 1]
    along = (f"{decibels(ripple.per_axis[axis])} along {axis_name(axis, rank)}" for axis in moving)
    each = f" ({', '.join(along)})" if len(moving) > 1 else ""
    return f"ripple {decibels(ripple.total)}{each}"


def _remarks(pattern: Pattern) -> Iterator[str]:
    left_out = slices_left_out(pattern.period)
    if left_out:
        yield f"{words.plural(left_out, 'slice')} of the period left out"
    if isinstance(pattern.gains, str):
        return
    gains = pattern.gains
    if gains.ripple.total == inf:
        yield "the gains cancel in the mean: there is no constant to compare the pattern with"
    elif gains.ripple.total != -inf:
        yield f"random weights would give {decibels(gains.random)}"
    if gains.share < 0.995:
        yield f"drawn is the strongest pattern, {percent(gains.share)} of the ripple's power"
    yield from _conditions(gains)


def _conditions(gains: Gains) -> Iterator[str]:
    if gains.measured < 1:
        yield f"measured on {percent(gains.measured)} of the weights, the first channels"
    if gains.through:
        yield f"at the input of {listing(gains.through)}, which may let less through"
    if gains.offset and not gains.offset.is_even:
        deviation, mean = gains.offset.deviation, gains.offset.mean
        yield f"biases differ by {deviation:.2g} about {mean:.2g}, whatever the input is"
