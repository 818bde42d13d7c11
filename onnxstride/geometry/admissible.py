"""Which sizes of one unknown a network takes: the intersection of what it requires.

Each requirement of a :class:`~.size_program.Program` is decided for all sizes at once
(``deciding``), so the result is exact: every size in it goes through, and no other, but for those
at which maps of size 1 are stretched, which are told apart. Of requirements in doubt the sizes
that were tried are listed instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import chain
from math import ceil, lcm
from typing import NamedTuple

import numpy as np

from .deciding import (
    LARGEST_PERIOD,
    decide,
    hold_stretched,
    holds_at,
    most_tried,
    terms_of,
    too_slow,
    unjoined,
)
from .size_program import Meeting, Requirement
from .size_sets import ALL_SIZES, SizeSet, intersection, is_subset
from .terms import Free, Opaque, Term, Terms, cone

_MOST_REQUIREMENTS = 1000  # on one unknown, no two of them alike; seconds at most


class Limit(NamedTuple):
    """A requirement, and the sizes at which it holds by itself."""

    requirement: Requirement
    sizes: SizeSet


class Doubt(NamedTuple):
    """A requirement that is not decided for all sizes, and why."""

    requirement: Requirement
    reason: str


class Admissible(NamedTuple):
    """The sizes that one unknown may have.

    Attributes:
        free: the unknown, or several that must be equal.
        sizes: the sizes that meet every requirement that is decided.
        forced_by: requirements that ``sizes`` follows from, the most restrictive first.
        stretched: sizes not in ``sizes`` at which the network runs all the same, because maps of
            size 1 are stretched to the size of another.
        doubts: requirements that are not decided.
        tried: where there are doubts, the sizes up to LARGEST_PERIOD that meet the requirements
            in doubt as well; None when they cannot be tried.
    """

    free: tuple[Free, ...]
    sizes: SizeSet
    forced_by: tuple[Limit, ...] = ()
    stretched: tuple[int, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    tried: tuple[int, ...] | None = None


def solve_one(
    terms: Terms, free: tuple[Free, ...], requirements: Sequence[Requirement]
) -> Admissible:
    """The admissible sizes of one unknown, from the requirements on it alone."""
    limits: list[Limit] = []
    doubts: list[Doubt] = []
    decided: dict[tuple[type, Requirement], SizeSet | str] = {}
    for requirement in requirements[:_MOST_REQUIREMENTS]:
        plain = unjoined(terms, requirement)
        alike = (type(plain), plain._replace(place=None))
        if alike not in decided:  # in a network of like blocks, most are one and the same
            decided[alike] = decide(terms, plain)
        answer = decided[alike]
        if isinstance(answer, SizeSet):
            limits.append(Limit(requirement, answer))
        else:
            doubts.append(Doubt(requirement, answer))
    if len(requirements) > _MOST_REQUIREMENTS:
        reason = f"over {_MOST_REQUIREMENTS:,} places require something"
        doubts.append(Doubt(requirements[_MOST_REQUIREMENTS], reason))
    sizes, forced_by, undecided = _intersected(limits)
    doubts += undecided
    if doubts:
        return Admissible(free, sizes, forced_by, (), tuple(doubts), _tried(terms, sizes, doubts))
    return Admissible(free, sizes, forced_by, _stretched(terms, requirements, sizes))


def _intersected(
    limits: list[Limit],
) -> tuple[SizeSet, tuple[Limit, ...], list[Doubt]]:
    """The sizes in all limits, the limits they follow from, and those that repeat too slowly."""
    sizes = ALL_SIZES
    forced_by: list[Limit] = []
    doubts: list[Doubt] = []
    for limit in sorted(limits, key=lambda limit: _share(limit.sizes)):
        if is_subset(sizes, limit.sizes):
            continue
        both = intersection(sizes, limit.sizes, largest_period=LARGEST_PERIOD)
        if both is None:
            period = lcm(sizes.period, limit.sizes.period)
            doubts.append(Doubt(limit.requirement, too_slow(period)))
            continue
        sizes = both
        forced_by.append(limit)
    return sizes, tuple(forced_by), doubts


def _share(sizes: SizeSet) -> Fraction:
    return Fraction(len(sizes.residues), sizes.period)


def _tried(terms: Terms, sizes: SizeSet, doubts: Sequence[Doubt]) -> tuple[int, ...] | None:
    """Those of ``sizes`` up to LARGEST_PERIOD at which the requirements in doubt hold."""
    requirements = [unjoined(terms, doubt.requirement) for doubt in doubts]
    asked = cone(chain.from_iterable(map(terms_of, requirements)))
    if any(isinstance(term, Opaque) for term in asked):
        return None
    if any(most_tried(requirement) < LARGEST_PERIOD for requirement in requirements):
        return None
    tried = np.array(sizes.up_to(LARGEST_PERIOD), np.int64)
    for requirement in requirements:
        tried = tried[holds_at(requirement, tried)]
    return tuple(tried.tolist())


def _stretched(
    terms: Terms, requirements: Sequence[Requirement], sizes: SizeSet
) -> tuple[int, ...]:
    """Sizes not in ``sizes`` at which stretching maps of size 1 meets every requirement.

    A map that is stretched has size 1, which a size that grows has only below some bound; and
    stretching makes sizes larger, never smaller.
    """
    growths = [
        terms.growth(size)
        for requirement in requirements
        if isinstance(requirement, Meeting) and requirement.stretches
        for size in requirement.sizes
        if isinstance(size, Term)
    ]
    bounds = [ceil((1 - g.low) / g.slope) for g in growths if g is not None and g.slope > 0]
    last = min(max(bounds, default=0), LARGEST_PERIOD)
    tried = np.array([size for size in range(1, last + 1) if size not in sizes], np.int64)
    # Few sizes pass the first requirements; what all take is computed in a few passes.
    first, count = 0, 1
    while tried.size and first < len(requirements):
        tried = tried[hold_stretched(requirements[first : first + count], tried)]
        first, count = first + count, 2 * count
    return tuple(tried.tolist())
