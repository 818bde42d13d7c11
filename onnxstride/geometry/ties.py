"""Which sizes a network takes, for all its unknowns together.

Unknowns are independent unless a requirement names several. Maps of two inputs that meet make
their sizes equal: they are solved as one unknown. A product that must be a number, as
where a map is flattened in front of a matrix, leaves a solution for each factorisation: h w = 49
gives h = 7 and w = 7, but also 1 and 49. Products of several unknowns that must be equal, as
where a map is cut into blocks, h w = 4 floor(h / 2) floor(w / 2), come apart when no factor on one
side can be smaller than its counterpart: then each equals its own. Any other requirement on
several unknowns is a doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import isqrt, prod
from typing import NamedTuple

from .admissible import Admissible, Doubt, solve_one
from .deciding import LARGEST_PERIOD, decide, reached, terms_of
from .size_program import Meeting, Program, Requirement
from .size_sets import SizeSet, intersection
from .terms import Floor, Free, Product, Size, Term, Terms, monomial

_LARGEST_PRODUCT = 1 << 32
_MOST_PRODUCTS = 64


class Tie(NamedTuple):
    """Two unknowns of which each solution takes one set of sizes and the set that goes with it."""

    free: tuple[Free, Free]
    requirement: Meeting
    solutions: tuple[tuple[SizeSet, SizeSet], ...]


class Solution(NamedTuple):
    """The admissible sizes of every unknown that anything is required of, and their ties."""

    admissible: tuple[Admissible, ...]
    ties: tuple[Tie, ...]


def solve(program: Program) -> Solution:
    """The sizes that meet every requirement."""
    groups = _Groups()
    requirements = [
        part for each in program.requirements for part in _taken_apart(program.terms, each)
    ]
    for requirement in requirements:
        if _makes_equal(program.terms, requirement, groups):
            groups.unite(_free_of(requirement))
    alone: dict[Free, list[Requirement]] = {}
    together: list[Requirement] = []
    for requirement in requirements:
        roots = groups.roots(_free_of(requirement))
        for root in roots:
            alone.setdefault(root, [])
        (alone[roots[0]] if len(roots) == 1 else together).append(requirement)
    admissible = {
        root: solve_one(program.terms, groups.members(root), own) for root, own in alone.items()
    }
    ties: dict[tuple[Free, Free], Tie] = {}
    for requirement in together:
        tie = _tied(requirement, groups, admissible)
        if tie is not None:
            known = ties.get(tie.free)
            ties[tie.free] = tie if known is None else _both(known, tie)
        else:
            _doubt(requirement, groups.roots(_free_of(requirement)), admissible)
    return Solution(tuple(admissible.values()), tuple(ties.values()))


def _both(one: Tie, other: Tie) -> Tie:
    """The solutions that two ties of the same unknowns have in common."""
    solutions = [
        (left, right)
        for first, second in one.solutions
        for third, fourth in other.solutions
        if (left := _common(first, third)) and (right := _common(second, fourth))
    ]
    return one._replace(solutions=tuple(solutions))


def _common(one: SizeSet, other: SizeSet) -> SizeSet | None:
    """The sizes in both sets; None when there are none."""
    both = intersection(one, other, largest_period=LARGEST_PERIOD)
    return None if both is None or both.is_empty else both


def _doubt(
    requirement: Requirement, roots: Iterable[Free], admissible: dict[Free, Admissible]
) -> None:
    doubt = Doubt(requirement, "it depends on several sizes at once")
    for root in roots:
        known = admissible[root]
        admissible[root] = known._replace(doubts=(*known.doubts, doubt), tried=None)


class _Groups:
    """Unknowns that must be equal."""

    def __init__(self) -> None:
        self._parent: dict[Free, Free] = {}
        self._seen: dict[Free, None] = {}

    def root(self, free: Free) -> Free:
        self._seen.setdefault(free)
        while free in self._parent:
            free = self._parent[free]
        return free

    def roots(self, free: Iterable[Free]) -> list[Free]:
        """One unknown for each group, in the order they were made."""
        return sorted(set(map(self.root, free)), key=lambda each: each.index)

    def unite(self, free: Iterable[Free]) -> None:
        first, *others = self.roots(free)
        for other in others:
            self._parent[other] = first

    def members(self, root: Free) -> tuple[Free, ...]:
        found = [free for free in self._seen if self.root(free) is root]
        return tuple(sorted(found, key=lambda free: free.index))


def _free_of(requirement: Requirement) -> list[Free]:
    free = {each for term in terms_of(requirement) for each in term.free}
    return sorted(free, key=lambda each: each.index)


def _makes_equal(terms: Terms, requirement: Requirement, groups: _Groups) -> bool:
    """True for maps of one unknown each that meet at some size if those unknowns are equal."""
    if len(groups.roots(_free_of(requirement))) < 2 or not isinstance(requirement, Meeting):
        return False
    if any(len(groups.roots(term.free)) > 1 for term in terms_of(requirement)):
        return False
    if any(terms.growth(size) is None for size in requirement.sizes):
        return False
    sizes = decide(terms, requirement)
    return isinstance(sizes, SizeSet) and not sizes.is_empty


def _taken_apart(terms: Terms, requirement: Requirement) -> list[Requirement]:
    """A meeting of products as one meeting for each unknown, where it amounts to that."""
    if not isinstance(requirement, Meeting) or len(requirement.sizes) != 2:
        return [requirement]
    (one, ones), (other, others) = (monomial([size]) for size in requirement.sizes)
    if len(ones) < 2 or len(ones) != len(others) or min(one, other) < 1:
        return [requirement]
    pairs = [_paired(terms, left, others) for left in ones]
    known = [pair for pair in pairs if pair is not None]
    whole = prod((pair.ratio for pair in known), start=Fraction(one, other))
    if len(known) < len(pairs) or whole != 1:
        return [requirement]
    if not (all(pair.never_less for pair in known) or all(pair.never_more for pair in known)):
        return [requirement]
    return [requirement._replace(sizes=pair.sizes) for pair in known]


class _Pair(NamedTuple):
    """Factors of one unknown on either side, scaled to grow alike."""

    sizes: tuple[Size, Size]
    ratio: Fraction
    never_less: bool
    never_more: bool


def _paired(terms: Terms, one: Term, others: Iterable[Term]) -> _Pair | None:
    """A factor with the only one of ``others`` that depends on the same unknown."""
    same = [other for other in others if other.free == one.free]
    growth = terms.growth(one) if len(same) == 1 and len(one.free) == 1 else None
    other_growth = terms.growth(same[0]) if growth is not None else None
    if growth is None or other_growth is None or min(growth.gain, other_growth.gain) < 1:
        return None
    ratio = other_growth.slope / growth.slope
    sizes = (
        terms.linear([(one, ratio.numerator)]),
        terms.linear([(same[0], ratio.denominator)]),
    )
    scaled, other_scaled = (terms.growth(size) for size in sizes)
    assert scaled is not None
    assert other_scaled is not None
    starts = scaled.start == other_scaled.start == 1
    return _Pair(
        sizes,
        1 / ratio,
        starts and scaled.low >= other_scaled.high,
        starts and scaled.high <= other_scaled.low,
    )


def _tied(
    requirement: Requirement, groups: _Groups, admissible: dict[Free, Admissible]
) -> Tie | None:
    """The solutions of a product of two unknowns that must be a number; None for anything else."""
    wanted = _product(requirement)
    if wanted is None or not isinstance(requirement, Meeting):
        return None
    products, factors = wanted
    sides: dict[Free, list[Term]] = {}
    for factor in factors:
        roots = {groups.root(free) for free in factor.free}
        if len(roots) != 1 or not factor.rises:
            return None
        sides.setdefault(roots.pop(), []).append(factor)
    if len(sides) != 2:
        return None
    (one, ones), (other, others) = sorted(sides.items(), key=lambda side: side[0].index)
    solutions = [
        (left, right)
        for product in products
        for divisor in _divisors(product)
        if (left := _within(ones, divisor, admissible[one].sizes))
        and (right := _within(others, product // divisor, admissible[other].sizes))
    ]
    return Tie((one, other), requirement, tuple(sorted(solutions, key=_squareness)))


def _product(requirement: Requirement) -> tuple[range, tuple[Term, ...]] | None:
    """The values that a product may have, and its factors, where that is what is required."""
    if not isinstance(requirement, Meeting) or len(requirement.sizes) != 2:
        return None
    number, term = sorted(requirement.sizes, key=lambda size: isinstance(size, Term))
    if not isinstance(number, int) or not isinstance(term, Term):
        return None
    least, most = number, number
    if isinstance(term, Floor) and len(term.parts) == 1 and term.parts[0][1] > 0:
        ((part, a),) = term.parts
        least = -((term.offset - number * term.divisor) // a)
        most = -((term.offset - (number + 1) * term.divisor) // a) - 1
        term = part
    if not isinstance(term, Product) or most - least >= _MOST_PRODUCTS or most > _LARGEST_PRODUCT:
        return None
    return range(max(1, least), most + 1), monomial([term])[1]


def _divisors(number: int) -> Iterator[int]:
    for divisor in range(1, isqrt(number) + 1):
        if number % divisor == 0:
            yield divisor
            if divisor * divisor < number:
                yield number // divisor


def _within(factors: list[Term], product: int, sizes: SizeSet) -> SizeSet | None:
    """The sizes at which rising factors multiply to ``product``, those not admissible left out."""
    found = reached(factors, product)
    return None if found is None else _common(found, sizes)


def _squareness(solution: tuple[SizeSet, SizeSet]) -> int:
    """How far apart the two sides are."""
    one, other = (sizes.smallest or 0 for sizes in solution)
    return abs(one - other)
