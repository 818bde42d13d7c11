"""Small tensors of sizes: what Shape makes, and what is computed from it.

A model of dynamic size computes shapes as it runs: Shape, Gather, Mul, Concat, Cast, and the
result goes into Resize, Reshape, Slice, Pad or Expand. Here such tensors are arrays whose entries
are sizes (see ``geometry.terms``) or ratios of sizes. What is not known is an opaque size that
remembers what it may depend on; a tensor too large or of another kind is None.

Integers divide as in C, towards zero. Ratios are exact; one that is made a size again by a
multiplication that float32 would not get right for every size becomes opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from ..geometry.quasi_affine import scaled
from ..geometry.term_values import least_value
from ..geometry.terms import Size, Term, Terms, monomial

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ENTRIES = 256


class Ratio:
    """One size over another; no tuple, so that arrays hold it as one entry."""

    __slots__ = ("over", "under")

    def __init__(self, over: Size, under: Size) -> None:
        self.over = over
        self.under = under

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ratio) and (self.over, self.under) == (other.over, other.under)

    def __hash__(self) -> int:
        return hash((self.over, self.under))

    def __repr__(self) -> str:
        return f"Ratio({self.over}, {self.under})"


Entry: TypeAlias = int | Term | Ratio


class Sizes(NamedTuple):
    """A small tensor: entries, and whether they are floating point numbers."""

    entries: NDArray[Any]
    is_float: bool = False

    def flat(self) -> list[Any]:
        """The entries in order."""
        return self.entries.reshape(-1).tolist()


def sizes_of(entries: Iterable[Entry], *, is_float: bool = False) -> Sizes:
    """A list of entries as a tensor of one dimension."""
    listed = list(entries)
    array = np.empty(len(listed), object)
    for position, entry in enumerate(listed):
        array[position] = entry
    return Sizes(array, is_float)


def from_constant(array: NDArray[Any]) -> Sizes | None:
    """A small tensor of numbers; None when it is large or holds what is no number."""
    if array.size > MOST_ENTRIES or array.dtype.kind not in "iufb":
        return None
    if array.dtype.kind != "f":
        return Sizes(mapped(int, array))
    if not np.isfinite(array).all():
        return None
    return Sizes(mapped(_number, array), is_float=True)


def _number(value: float) -> Entry:
    """A float as an integer or a simple ratio, where it stands for one."""
    if value == int(value):
        return int(value)
    ratio = Fraction(float(value)).limit_denominator(1 << 10)
    if np.float32(ratio.numerator / ratio.denominator) != np.float32(value):
        ratio = Fraction(float(value))
    return Ratio(ratio.numerator, ratio.denominator)


def mapped(function: Callable[..., Any], *arrays: NDArray[Any]) -> NDArray[Any]:
    """An array of what ``function`` makes of the entries, which broadcast."""
    result = np.frompyfunc(function, len(arrays), 1)(*arrays)
    if isinstance(result, np.ndarray):
        return result
    single = np.empty((), object)
    single[()] = result
    return single


class Arithmetic:
    """What operators make of small tensors; entries are terms of ``terms``."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def _opaque(self, *entries: Entry, why: str) -> Term:
        sizes = [size for entry in entries for size in _sizes_in(entry)]
        return self._terms.opaque(sizes, why)

    def elementwise(
        self, operation: Callable[..., Entry], inputs: Sequence[Sizes | None]
    ) -> Sizes | None:
        """An operation entry by entry."""
        known = [each for each in inputs if each is not None]
        if len(known) < len(inputs):
            return None
        arrays = [each.entries for each in known]
        return Sizes(mapped(operation, *arrays), any(each.is_float for each in known))

    def add(self, one: Entry, other: Entry, sign: int = 1) -> Entry:
        if not isinstance(one, Ratio) and not isinstance(other, Ratio):
            return self._terms.linear([(one, 1), (other, sign)])
        left, right = as_ratio(one), as_ratio(other)
        if not isinstance(left.under, int) or not isinstance(right.under, int):
            return self._opaque(one, other, why="a sum of ratios of sizes")
        over = self._terms.linear([(left.over, right.under), (right.over, sign * left.under)])
        return self.ratio(over, left.under * right.under)

    def multiply(self, one: Entry, other: Entry) -> Entry:
        left, right = as_ratio(one), as_ratio(other)
        return self.ratio(
            self._terms.product([left.over, right.over]),
            self._terms.product([left.under, right.under]),
        )

    def divide(self, one: Entry, other: Entry) -> Entry:
        """The exact quotient."""
        left, right = as_ratio(one), as_ratio(other)
        return self.ratio(
            self._terms.product([left.over, right.under]),
            self._terms.product([left.under, right.over]),
        )

    def divide_integers(self, one: Entry, other: Entry) -> Entry:
        """The quotient without its fraction."""
        return self.truncated(self.divide(one, other))

    def modulo(self, one: Entry, other: Entry) -> Entry:
        """One - other * floor(one / other), for a number that is at least 1."""
        if isinstance(one, Ratio) or not isinstance(other, int) or other < 1:
            return self._opaque(one, other, why="a remainder of sizes")
        return self._terms.linear([(one, 1), (self._terms.linear([(one, 1)], 0, other), -other)])

    def ratio(self, over: Size, under: Size) -> Entry:
        """A quotient with what is in both taken out."""
        top, over_factors = monomial([over])
        bottom, under_factors = monomial([under])
        if bottom == 0:
            return self._opaque(over, under, why="a division by zero")
        left, right = list(over_factors), list(under_factors)
        for factor in over_factors:
            if factor in right:
                left.remove(factor)
                right.remove(factor)
        common = gcd(top, bottom) * (-1 if bottom < 0 else 1)
        over = self._terms.product([top // common, *left])
        under = self._terms.product([bottom // common, *right])
        return over if under == 1 else Ratio(over, under)

    def floor(self, entry: Entry) -> Entry:
        return self._rounded(entry, up=False)

    def ceil(self, entry: Entry) -> Entry:
        return self._rounded(entry, up=True)

    def _rounded(self, entry: Entry, *, up: bool) -> Entry:
        if not isinstance(entry, Ratio):
            return entry
        over, under = entry.over, entry.under
        if not isinstance(under, int):
            return self._opaque(over, under, why="a ratio of sizes is rounded")
        if isinstance(over, Term) and not _is_faithful(over, under):
            return self._opaque(over, why="a size times a scale is rounded to float32")
        return self._terms.linear([(over, 1)], under - 1 if up else 0, under)

    def truncated(self, entry: Entry) -> Entry:
        """Without the fraction, towards zero."""
        if not isinstance(entry, Ratio):
            return entry
        below = self.floor(entry)
        if isinstance(below, Ratio) or _is_at_least(entry.over, 0):
            return below
        above = self.ceil(entry)
        assert not isinstance(above, Ratio)
        # floor where positive, ceil where negative; either is 0 where the other counts
        return self._terms.linear(
            [
                (self._terms.extreme([below, 0], largest=True), 1),
                (self._terms.extreme([above, 0], largest=False), 1),
            ]
        )

    def extreme(self, entries: Sequence[Entry], *, largest: bool) -> Entry:
        sizes = [entry for entry in entries if not isinstance(entry, Ratio)]
        if len(sizes) < len(entries):
            return self._opaque(*entries, why="the extreme of ratios of sizes")
        return self._terms.extreme(sizes, largest=largest)

    def is_equal(self, one: Entry, other: Entry) -> Entry:
        """1 or 0 where that is certain, whatever the unknown sizes are; each is 1 at least."""
        if one == other:
            return 1
        if isinstance(one, int) and isinstance(other, int):
            return 0
        sized, number = (one, other) if isinstance(other, int) else (other, one)
        if isinstance(number, int) and _is_at_least(sized, number + 1):
            return 0
        return self._opaque(one, other, why="a comparison of sizes")

    def is_less(self, one: Entry, other: Entry) -> Entry:
        if isinstance(one, int) and isinstance(other, int):
            return int(one < other)
        if isinstance(one, int) and _is_at_least(other, one + 1):
            return 1
        if isinstance(other, int) and _is_at_least(one, other):
            return 0
        return self._opaque(one, other, why="a comparison of sizes")

    def chosen(self, condition: Entry, one: Entry, other: Entry) -> Entry:
        """One or the other; that they are alike helps where the condition is not known."""
        if isinstance(condition, int):
            return one if condition else other
        if one == other:
            return one
        return self._opaque(condition, one, other, why="a choice between sizes")


def _sizes_in(entry: Entry) -> tuple[Size, ...]:
    return (entry.over, entry.under) if isinstance(entry, Ratio) else (entry,)


def as_ratio(entry: Entry) -> Ratio:
    """An entry as a quotient."""
    return entry if isinstance(entry, Ratio) else Ratio(entry, 1)


def _is_faithful(over: Term, under: int) -> bool:
    """True when float32 rounds over / under as exact arithmetic would.

    That holds for a quotient, which is rounded once. A size times a scale such as 7/3 is rounded
    twice, and the two are not told apart here.
    """
    coefficient, _ = monomial([over])
    return coefficient == 1 or scaled(coefficient / under) is not None


def _is_at_least(entry: Entry, number: int) -> bool:
    """True for what is never less than a number."""
    least = None if isinstance(entry, Ratio) else least_value(entry)
    return least is not None and least >= number
