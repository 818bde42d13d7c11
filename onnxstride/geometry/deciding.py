"""Where one requirement on one unknown holds, for all sizes at once.

With M the common period of the sizes in it (see ``quasi_affine``):

1. sizes that grow alike meet with period M: one period of sizes decides every larger one;
2. sizes that grow differently meet only where their bounds cross, so finitely often;
3. "at least" is open only between bounds, and "a multiple of" repeats.

What repeats too slowly to be tabulated, or is no floor of a linear form, is not decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain, islice
from math import ceil, floor, gcd, lcm, prod
from typing import Any

import numpy as np

from .size_program import Fitting, Meeting, Requirement, Tiling
from .size_sets import ALL_SIZES, SizeSet, at_least, intersection, only, size_set, tabulated
from .term_values import Values, evaluate
from .terms import Free, Opaque, Product, Rounded, Size, Term, Terms, cone

LARGEST_PERIOD = 4096
_MOST_VALUES = 1 << 22  # of all terms at all sizes that are tried for one requirement
_LARGEST_SIZE = 1 << 40
_LARGEST_TRIED = 1 << 48  # of sizes in arrays, whose 64 bits also hold multiples of them


def decide(terms: Terms, requirement: Requirement) -> SizeSet | str:
    """The sizes at which a requirement holds; text when that is not decided."""
    match requirement:
        case Meeting(sizes=(first, *others)):
            return _meet(terms, [requirement._replace(sizes=(first, other)) for other in others])
        case Fitting():
            return _fit(terms, requirement)
        case Tiling():
            return _tile(terms, requirement)
        case _:
            raise ValueError(f"{requirement} is empty")


def _meet(terms: Terms, pairs: Iterable[Meeting]) -> SizeSet | str:
    """Where the sizes of every pair are equal."""
    result = ALL_SIZES
    for pair in pairs:
        sizes = _meet_two(terms, pair)
        if isinstance(sizes, str):
            return sizes
        both = intersection(result, sizes, largest_period=LARGEST_PERIOD)
        if both is None:
            return too_slow(lcm(result.period, sizes.period))
        result = both
    return result


def _meet_two(terms: Terms, pair: Meeting) -> SizeSet | str:
    one, other = (terms.growth(size) for size in pair.sizes)
    if one is None or other is None:
        number, term = sorted(pair.sizes, key=lambda size: isinstance(size, Term))
        if isinstance(number, int) and isinstance(term, Term):
            return _reach(term, number)
        return _unknown(*pair.sizes)
    start = max(one.start, other.start)
    slope = one.slope - other.slope
    if slope == 0:
        return _tabulated(pair, start, lcm(one.period, other.period))
    ends = ((other.low - one.high) / slope, (other.high - one.low) / slope)
    first = 1 if start > 1 else floor(min(ends))
    return _scanned(pair, first, max(start, ceil(max(ends))), beyond=False)


def _fit(terms: Terms, fitting: Fitting) -> SizeSet | str:
    size, least = fitting.size, fitting.least
    growth = terms.growth(size)
    if growth is None:
        return _reach(size, least, or_more=True) if isinstance(size, Term) else _unknown(size)
    if growth.slope == 0:
        return _tabulated(fitting, growth.start, growth.period)
    ends = ((least - growth.low) / growth.slope, (least - growth.high) / growth.slope)
    rises = growth.slope > 0
    first = floor(min(ends)) if rises and growth.start == 1 else 1
    return _scanned(fitting, first, max(growth.start, ceil(max(ends))), beyond=rises)


def _tile(terms: Terms, tiling: Tiling) -> SizeSet | str:
    growth = terms.growth(tiling.size)
    if growth is None:
        return _unknown(tiling.size)
    period = growth.period * (tiling.multiple // gcd(tiling.multiple, growth.gain))
    return _tabulated(tiling, growth.start, period)


def too_slow(period: int) -> str:
    """Why sizes that repeat with this period are not tabulated."""
    return f"the sizes that fit repeat only every {_shown(period)}, over {LARGEST_PERIOD:,}"


def _shown(number: int) -> str:
    """A number in digits, if those are few enough to be read."""
    return f"{number:,}" if number <= _LARGEST_SIZE else f"2^{number.bit_length() - 1} or more"


def _tabulated(requirement: Requirement, start: int, period: int) -> SizeSet | str:
    if period > LARGEST_PERIOD:
        return too_slow(period)
    if start + period > most_tried(requirement):
        return f"sizes up to {_shown(start + period)} would have to be tried one by one"
    return tabulated(start, period, partial(holds_at, requirement))


def _scanned(requirement: Requirement, first: int, last: int, *, beyond: bool) -> SizeSet | str:
    """The sizes that hold from ``first`` to ``last``; below none does, above all or none."""
    first = max(1, first)
    if last - first > most_tried(requirement) or last > _LARGEST_TRIED:
        return f"sizes from {_shown(first)} to {_shown(last)} would have to be tried one by one"
    sizes = np.arange(first, last + 1, dtype=np.int64)
    found = sizes[holds_at(requirement, sizes)].tolist() if sizes.size else []
    return size_set(last + 1, 1, (0,) if beyond else (), found)


def most_tried(requirement: Requirement) -> int:
    """How many sizes may be tried: the more terms each of them takes, the fewer."""
    return _MOST_VALUES // max(1, len(cone(terms_of(requirement))))


def _reach(term: Term, number: int, *, or_more: bool = False) -> SizeSet | str:
    """Where a rising size equals a number, or is at least that."""
    if not term.rises:
        return _unknown(term)
    first = _first_reaching([term], number)
    if first is not None and or_more:
        return at_least(first)
    return reached([term], number) or _unknown(term)


def reached(factors: Sequence[Term], number: int) -> SizeSet | None:
    """Where the product of rising sizes equals a number; None when that takes too long to tell."""
    first, end = (_first_reaching(factors, each) for each in (number, number + 1))
    if first is None or end is None or end - first > _MOST_VALUES:
        return None
    return only(range(first, end))


def _first_reaching(factors: Sequence[Term], number: int) -> int | None:
    """The smallest size at which a product of rising sizes is at least ``number``, if any."""

    def reaches(size: int) -> bool:
        return prod(int(value[0]) for value in _at(factors, np.array([size]))) >= number

    above = 1
    while not reaches(above):
        above *= 2
        if above > _LARGEST_SIZE:
            return None
    below = above // 2
    while above - below > 1:
        middle = (above + below) // 2
        below, above = (below, middle) if reaches(middle) else (middle, above)
    return above


def _unknown(*sizes: Size) -> str:
    """Why a requirement on these sizes is not decided."""
    terms = cone(size for size in sizes if isinstance(size, Term))
    reasons = dict.fromkeys(term.reason for term in terms if isinstance(term, Opaque))
    scales = [term.scale for term in terms if isinstance(term, Rounded)]
    if scales and not reasons:
        return f"sizes times {scales[0]:.7g} are rounded to float32, which follows no period"
    if any(isinstance(term, Product) for term in terms):
        return next(iter(reasons), "sizes are multiplied with each other")
    return next(iter(reasons), "the sizes that fit repeat too slowly to be tried")


def _at(asked: Sequence[Size], sizes: Values, *, stretching: bool = False) -> list[Values]:
    """What sizes come to where every unknown has each of ``sizes`` in turn."""
    terms = cone(size for size in asked if isinstance(size, Term))
    given = {term: sizes for term in terms if isinstance(term, Free)}
    return evaluate(asked, given or {Free(0, ""): sizes}, stretching=stretching)


def unjoined(terms: Terms, requirement: Requirement) -> Requirement:
    """The same requirement on sizes without joints; see :meth:`~.terms.Terms.unjoined`."""
    if isinstance(requirement, Meeting):
        return requirement._replace(sizes=tuple(map(terms.unjoined, requirement.sizes)))
    return requirement._replace(size=terms.unjoined(requirement.size))


def sizes_of(requirement: Requirement) -> tuple[Size, ...]:
    """The sizes a requirement is about."""
    return requirement.sizes if isinstance(requirement, Meeting) else (requirement.size,)


def terms_of(requirement: Requirement) -> list[Term]:
    """The sizes a requirement is about, numbers left out."""
    return [size for size in sizes_of(requirement) if isinstance(size, Term)]


def sizes_at(requirement: Requirement, size: int) -> tuple[int, ...]:
    """What the sizes in a requirement come to where every unknown is ``size``."""
    return tuple(int(found[0]) for found in _at(sizes_of(requirement), np.array([size])))


def holds_at(requirement: Requirement, sizes: Values) -> Values:
    """Whether a requirement holds, size by size."""
    return _is_met(requirement, _at(sizes_of(requirement), sizes))


def hold_stretched(requirements: Sequence[Requirement], sizes: Values) -> Values:
    """Whether all requirements hold where maps of size 1 are stretched, size by size."""
    asked = list(chain.from_iterable(map(sizes_of, requirements)))
    terms = cone(size for size in asked if isinstance(size, Term))
    parts = max(1, -(-len(terms) * len(sizes) // _MOST_VALUES))
    return np.concatenate(
        [_hold_stretched(requirements, asked, part) for part in np.array_split(sizes, parts)]
    )


def _hold_stretched(
    requirements: Iterable[Requirement], asked: Sequence[Size], sizes: Values
) -> Values:
    found = iter(_at(asked, sizes, stretching=True))
    met = np.ones(len(sizes), bool)
    for requirement in requirements:
        own = list(islice(found, len(sizes_of(requirement))))
        met &= _is_met(requirement, own, stretching=True)
    return met


def _is_met(
    requirement: Requirement, values: Sequence[Values], *, stretching: bool = False
) -> Values:
    """Whether a requirement holds where its sizes have these values."""
    found = np.stack(values)
    met: Any
    match requirement:
        case Fitting(least=least):
            met = found >= least
        case Tiling(multiple=multiple):
            met = found % multiple == 0
        case Meeting(stretches=stretches):
            met = (found == found.max(axis=0)) | ((found == 1) & (stretching and stretches))
    return np.asarray(met.all(axis=0), bool)
