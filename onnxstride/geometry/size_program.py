"""Sizes that follow from each other, and what a network requires of them.

A :class:`Program` is filled as a network is walked, one call for each operator and merge:

* maps meet: their sizes are equal, or, element by element, 1, which is stretched;
* a size is at least some number: a window fits;
* a size is a multiple of some number: blocks tile the map.

What is required of a chain of rising size functions is required of its origin instead:
floor((a x + b) / c) >= n exactly when x >= ceil((n c - b) / a). ``admissible`` solves the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

from .quasi_affine import SizeMap
from .terms import Floor, Free, Opaque, Size, Term, Terms

Place: TypeAlias = Any
"""Whatever the caller names the place of a requirement by."""


class Meeting(NamedTuple):
    """Maps of these sizes meet: all are equal, or 1 where sizes of 1 are stretched."""

    sizes: tuple[Size, ...]
    place: Place
    stretches: bool


class Fitting(NamedTuple):
    """``size`` is at least ``least``."""

    size: Size
    place: Place
    least: int


class Tiling(NamedTuple):
    """``size`` is a multiple of ``multiple``."""

    size: Size
    place: Place
    multiple: int


Requirement: TypeAlias = Meeting | Fitting | Tiling


class Program:
    """Sizes, and what is required of them.

    Attributes:
        terms: where sizes are made.
        impossible: requirements on numbers alone that they do not meet, in the order found.
    """

    def __init__(self, terms: Terms | None = None) -> None:
        self.terms = terms or Terms()
        self.impossible: list[Requirement] = []
        self._meetings: dict[tuple[frozenset[Size], bool], Meeting] = {}
        self._fittings: dict[Term, Fitting] = {}
        self._tilings: dict[tuple[Term, int], Tiling] = {}

    @property
    def requirements(self) -> list[Requirement]:
        """Every requirement that depends on an unknown, merges first, each in the order found."""
        return [*self._meetings.values(), *self._tilings.values(), *self._fittings.values()]

    def apply(self, phi: SizeMap, size: Size, place: Place) -> Size:
        """phi(size), which requires a size that the operator takes."""
        if phi.multiple > 1:
            self.require_multiple(size, phi.multiple, place)
        if phi.least > 1:
            self.require_least(size, phi.least, place)
        return self.terms.apply(phi, size)

    def scale(self, scale: float, size: Size, place: Place) -> Size:
        """floor(size * scale) in float32, which requires a size that leaves one element."""
        result = self.terms.scaled(size, scale)
        self.require_least(result, 1, place)
        return result

    def require_least(self, size: Size, least: int, place: Place) -> None:
        """Require ``size`` >= ``least``."""
        size, least = _at_origin(size, least)
        if isinstance(size, int):
            if size < least:
                self.impossible.append(Fitting(size, place, least))
        elif not isinstance(size, Opaque) and (least > 1 or not isinstance(size, Free)):
            known = self._fittings.get(size)
            if known is None or known.least < least:
                self._fittings[size] = Fitting(size, place, least)

    def require_multiple(self, size: Size, multiple: int, place: Place) -> None:
        """Require that ``multiple`` divides ``size``."""
        if isinstance(size, int):
            if size % multiple:
                self.impossible.append(Tiling(size, place, multiple))
        elif multiple > 1 and not _is_unrelated(size):
            self._tilings.setdefault((size, multiple), Tiling(size, place, multiple))

    def meet(self, sizes: Iterable[Size], place: Place, *, stretches: bool) -> Size:
        """The size at which maps of these sizes meet, which requires that they do."""
        distinct: tuple[Size, ...] = tuple(dict.fromkeys(sizes))
        if stretches and len(distinct) > 1:
            distinct = tuple(size for size in distinct if size != 1)
        related = tuple(size for size in distinct if not _is_unrelated(size))
        if len(related) < 2:
            return next(iter(related or distinct))
        numbers = [size for size in related if isinstance(size, int)]
        terms = tuple(size for size in related if isinstance(size, Term))
        meeting = Meeting(related, place, stretches)
        if len(numbers) > 1:
            self.impossible.append(meeting)
        if terms:
            self._meetings.setdefault((frozenset(related), stretches), meeting)
        return numbers[0] if numbers else self.terms.joined(terms)


def _at_origin(size: Size, least: int) -> tuple[Size, int]:
    """What a lower bound on the end of a rising chain requires of its origin."""
    while isinstance(size, Floor) and len(size.parts) == 1 and size.parts[0][1] > 0:
        ((part, a),) = size.parts
        least = -((size.offset - least * size.divisor) // a)
        size = part
    return size, least


def _is_unrelated(size: Size) -> bool:
    """True for a size that no free one decides, such as a number of detections."""
    return isinstance(size, Opaque) and not size.free
