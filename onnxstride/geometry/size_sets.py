"""Sets of sizes that repeat from some size on, and the words for them.

A :class:`SizeSet` holds x >= ``start`` when x mod ``period`` is one of ``residues``, and below
``start`` the sizes listed. All operations are exact and give the least start and period.
"""

from collections.abc import Callable, Iterable, Sequence
from math import gcd, lcm
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SHOWN = 8


class SizeSet(NamedTuple):
    """Sizes from 1 on; made by :func:`size_set` and what follows from it."""

    start: int
    period: int
    residues: frozenset[int]
    sporadic: tuple[int, ...] = ()

    def __contains__(self, size: object) -> bool:
        if not isinstance(size, int) or size < 1:
            return False
        if size < self.start:
            return size in self.sporadic
        return size % self.period in self.residues

    @property
    def is_empty(self) -> bool:
        return not self.residues and not self.sporadic

    @property
    def is_finite(self) -> bool:
        return not self.residues

    @property
    def is_bounded_below_only(self) -> bool:
        """True when every size of at least the smallest one is in."""
        return len(self.residues) == self.period and not self.sporadic

    @property
    def smallest(self) -> int | None:
        """The smallest size; None when there is none."""
        return self.sporadic[0] if self.sporadic else self.at_or_above(self.start)

    def at_or_above(self, size: int) -> int | None:
        """The smallest size that is at least ``size``."""
        listed = next((each for each in self.sporadic if each >= size), None)
        if listed is not None or not self.residues:
            return listed
        first = max(size, self.start)
        return first + min((residue - first) % self.period for residue in self.residues)

    def at_or_below(self, size: int) -> int | None:
        """The largest size that is at most ``size``."""
        if self.residues:
            found = size - min((size - residue) % self.period for residue in self.residues)
            if found >= self.start:
                return found
        return max((each for each in self.sporadic if each <= size), default=None)

    def up_to(self, limit: int) -> list[int]:
        """Every size up to ``limit``."""
        repeating = range(self.start, limit + 1) if self.residues else ()
        return [size for size in self.sporadic if size <= limit] + [
            size for size in repeating if size % self.period in self.residues
        ]


def size_set(
    start: int, period: int, residues: Iterable[int], sporadic: Iterable[int] = ()
) -> SizeSet:
    """The set with its least period and its least start."""
    start = max(1, start)
    kept = frozenset(residue % period for residue in residues)
    listed = sorted(size for size in set(sporadic) if 1 <= size < start)
    period = _least_period(period, kept)
    kept = frozenset(residue % period for residue in kept)
    while start > 1 and (bool(listed) and listed[-1] == start - 1) == (
        (start - 1) % period in kept
    ):
        if not kept:
            start = listed[-1] + 1 if listed else 1
            break
        start -= 1
        if listed and listed[-1] == start:
            listed.pop()
    return SizeSet(start, period, kept, tuple(listed))


def _least_period(period: int, residues: frozenset[int]) -> int:
    """The smallest divisor of ``period`` that the residues repeat with."""
    if not residues:
        return 1
    for divisor in range(1, period):
        if period % divisor == 0 and len(residues) * divisor == period * len(
            {residue % divisor for residue in residues}
        ):
            return divisor
    return period


ALL_SIZES = SizeSet(1, 1, frozenset((0,)))
NO_SIZE = SizeSet(1, 1, frozenset())


def at_least(size: int) -> SizeSet:
    """Every size from ``size`` on."""
    return SizeSet(max(1, size), 1, frozenset((0,)))


def only(sizes: Iterable[int]) -> SizeSet:
    """These sizes and no other."""
    listed = sorted(set(sizes))
    return size_set(listed[-1] + 1, 1, (), listed) if listed else NO_SIZE


def tabulated(start: int, period: int, holds: Callable[[NDArray[np.int64]], object]) -> SizeSet:
    """The set of sizes that satisfy ``holds``, which repeats with ``period`` from ``start`` on."""
    start = max(1, start)
    sizes = np.arange(1, start + period, dtype=np.int64)
    found = sizes[np.asarray(holds(sizes), bool)].tolist()
    return size_set(
        start,
        period,
        (size for size in found if size >= start),
        (size for size in found if size < start),
    )


def intersection(one: SizeSet, other: SizeSet, *, largest_period: int) -> SizeSet | None:
    """Sizes in both; None when they repeat with a period beyond ``largest_period``."""
    if one.is_bounded_below_only:
        one, other = other, one
    later, earlier = (one, other) if one.start >= other.start else (other, one)
    sporadic = [size for size in later.sporadic if size in earlier]
    if one.is_finite or other.is_finite:
        return size_set(later.start, 1, (), sporadic)
    period = lcm(one.period, other.period)
    if period > largest_period:
        return None
    fewer, more = (one, other) if len(one.residues) <= len(other.residues) else (other, one)
    residues = [
        residue
        for first in fewer.residues
        for residue in range(first, period, fewer.period)
        if residue % more.period in more.residues
    ]
    return size_set(later.start, period, residues, sporadic)


def is_subset(one: SizeSet, other: SizeSet) -> bool:
    """True when every size in ``one`` is in ``other``."""
    size = one.smallest
    while size is not None and size < max(one.start, other.start):
        if size not in other:
            return False
        size = one.at_or_above(size + 1)
    # residues r mod p and q mod m meet in some size exactly when r = q mod gcd(p, m): every
    # residue of ``one`` must stay among those of ``other`` whatever it is modulo their period
    common = gcd(one.period, other.period)
    return all(
        all(residue in other.residues for residue in range(each % common, other.period, common))
        for each in one.residues
    )


def condition(sizes: SizeSet, name: str) -> str:
    """The set as a condition on ``name``: ``H % 32 == 0, at least 64``."""
    if sizes.is_empty:
        return f"no {name}"
    if sizes.is_finite:
        return (
            f"{name} == {runs(sizes.sporadic)}"
            if len(sizes.sporadic) == 1
            else (f"{name} in {{{runs(sizes.sporadic)}}}")
        )
    first = sizes.at_or_above(sizes.start)
    assert first is not None
    repeating = _repeating(sizes, name, first)
    if not sizes.sporadic:
        return repeating
    return f"{repeating}, or {name} in {{{runs(sizes.sporadic)}}}"


def _repeating(sizes: SizeSet, name: str, first: int) -> str:
    if sizes.period == 1:
        return f"any {name}" if first == 1 else f"{name} >= {first}"
    residues = sorted(sizes.residues)
    missing = [each for each in range(sizes.period) if each not in sizes.residues]
    if len(residues) == 1:
        text = f"{name} % {sizes.period} == {residues[0]}"
    elif len(missing) == 1:
        text = f"{name} % {sizes.period} != {missing[0]}"
    elif len(missing) < len(residues):
        text = f"{name} % {sizes.period} not in {{{runs(missing)}}}"
    else:
        text = f"{name} % {sizes.period} in {{{runs(residues)}}}"
    # the smallest size goes without saying when the residues alone imply it
    implied = min(residue or sizes.period for residue in residues)
    return text if first == implied else f"{text}, at least {first}"


def runs(numbers: Sequence[int]) -> str:
    """Numbers in rising order, neighbours drawn together: ``1, 4..7``; cut short when long."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    shown = [
        f"{part[0]}..{part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts
    ]
    cut = ", .." if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + cut
