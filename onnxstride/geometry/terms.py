"""Sizes computed from sizes: terms over the free ones, in a normal form.

A size is an int, or a :class:`Term`. Terms are made by :class:`Terms`, which keeps one object for
each function it can tell apart, so that two chains of the same size function give the same term
and meet without further ado. The normal form rests on

    floor((floor(L / c) + b) / d) = floor((L + b c) / (c d)),    floor((g L + b) / (g c)) =
    floor((L + floor(b / g)) / c),

so a chain of strided windows is one floor, however long.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from math import gcd
from typing import Any, TypeAlias

import numpy as np

from .quasi_affine import IDENTITY, Growth, SizeMap, constant_growth, extreme, floored, scaled

_LONGEST_PERIOD = 1 << 40  # beyond, a period is no more use than none


class Term:
    """A size that depends on free ones. Compared by identity; made by :class:`Terms`.

    Attributes:
        index: terms are numbered as they are made, so operands come before results.
        free: the free sizes it depends on.
        rises: True when it never falls as the free sizes grow.
    """

    __slots__ = ("free", "index", "rises")

    def __init__(self, index: int, free: frozenset[Free], *, rises: bool) -> None:
        self.index = index
        self.free = free
        self.rises = rises

    @property
    def operands(self) -> tuple[Size, ...]:
        """The sizes it is computed from."""
        return ()


Size: TypeAlias = int | Term


class Free(Term):
    """A size that is an unknown of its own."""

    __slots__ = ("name",)

    def __init__(self, index: int, name: str) -> None:
        super().__init__(index, frozenset((self,)), rises=True)
        self.name = name

    def __repr__(self) -> str:
        return self.name


class Opaque(Term):
    """A size that is not known as a function of the free ones it may depend on."""

    __slots__ = ("reason",)

    def __init__(self, index: int, free: frozenset[Free], reason: str) -> None:
        super().__init__(index, free, rises=False)
        self.reason = reason

    def __repr__(self) -> str:
        return f"unknown({self.reason})"


class Floor(Term):
    """floor((sum of coefficient * term + offset) / divisor)."""

    __slots__ = ("divisor", "offset", "parts")

    def __init__(
        self, index: int, parts: tuple[tuple[Term, int], ...], offset: int, divisor: int
    ) -> None:
        rises = all(a > 0 and part.rises for part, a in parts)
        super().__init__(index, _free(part for part, _ in parts), rises=rises)
        self.parts = parts
        self.offset = offset
        self.divisor = divisor

    @property
    def operands(self) -> tuple[Size, ...]:
        return tuple(part for part, _ in self.parts)

    def __repr__(self) -> str:
        linear = " + ".join(f"{a} {part}" if a != 1 else f"{part}" for part, a in self.parts)
        return f"({linear} + {self.offset}) // {self.divisor}"


class Rounded(Term):
    """floor(size * scale) in float32, where that is no :class:`Floor` of a simple fraction."""

    __slots__ = ("part", "scale")

    def __init__(self, index: int, part: Term, scale: float) -> None:
        super().__init__(index, part.free, rises=part.rises)
        self.part = part
        self.scale = scale

    @property
    def operands(self) -> tuple[Size, ...]:
        return (self.part,)

    def __repr__(self) -> str:
        return f"floor({self.part} * {self.scale})"


class Product(Term):
    """The product of two or more terms."""

    __slots__ = ("factors",)

    def __init__(self, index: int, factors: tuple[Term, ...]) -> None:
        super().__init__(index, _free(factors), rises=all(each.rises for each in factors))
        self.factors = factors

    @property
    def operands(self) -> tuple[Size, ...]:
        return self.factors

    def __repr__(self) -> str:
        return " * ".join(map(repr, self.factors))


class Extreme(Term):
    """The largest or the smallest of several sizes."""

    __slots__ = ("largest", "parts")

    def __init__(self, index: int, parts: tuple[Size, ...], *, largest: bool) -> None:
        terms = [part for part in parts if isinstance(part, Term)]
        super().__init__(index, _free(terms), rises=all(term.rises for term in terms))
        self.parts = parts
        self.largest = largest

    @property
    def operands(self) -> tuple[Size, ...]:
        return self.parts

    def __repr__(self) -> str:
        return f"{'max' if self.largest else 'min'}{self.parts}"


class Joined(Term):
    """The size at which maps meet: that of the first, or the largest where 1 is stretched."""

    __slots__ = ("parts",)

    def __init__(self, index: int, parts: tuple[Term, ...]) -> None:
        super().__init__(index, parts[0].free, rises=parts[0].rises)
        self.parts = parts

    @property
    def operands(self) -> tuple[Size, ...]:
        return self.parts

    def __repr__(self) -> str:
        return f"joined{self.parts}"


def _free(terms: Iterable[Term]) -> frozenset[Free]:
    return frozenset[Free]().union(*(term.free for term in terms))


class Terms:
    """Makes terms, one object for each that it can tell apart."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], Term] = {}
        self._applied: dict[tuple[Term, SizeMap], Size] = {}
        self._growth: dict[Term, Growth | None] = {}
        self._unjoined: dict[Term, Size] = {}
        self._count = 0

    def free(self, name: str) -> Free:
        """A new unknown."""
        return Free(self._next(), name)

    def opaque(self, depends_on: Iterable[Size], reason: str) -> Opaque:
        """A new size that may depend on the same free ones as these."""
        free = _free(size for size in depends_on if isinstance(size, Term))
        return Opaque(self._next(), free, reason)

    def apply(self, phi: SizeMap, size: Size) -> Size:
        """phi(size)."""
        if isinstance(size, int):
            return phi(size)
        key = (size, phi)
        if key not in self._applied:
            self._applied[key] = self.linear([(size, phi.a)], phi.b, phi.c)
        return self._applied[key]

    def linear(self, terms: Iterable[tuple[Size, int]], offset: int = 0, divisor: int = 1) -> Size:
        """floor((sum of coefficient * size + offset) / divisor), divisor at least 1."""
        parts, offset = _expanded(terms, offset)
        if not parts:
            return offset // divisor
        common = gcd(divisor, *parts.values())
        parts = {part: a // common for part, a in parts.items()}
        offset, divisor = offset // common, divisor // common
        if len(parts) == 1:
            ((part, a),) = parts.items()
            if a == divisor == 1 and offset == 0:
                return part
            if a == 1 and isinstance(part, Floor):
                return self.linear(
                    part.parts, part.offset + offset * part.divisor, part.divisor * divisor
                )
        ordered = tuple(sorted(parts.items(), key=lambda item: item[0].index))
        return self._make((Floor, ordered, offset, divisor), ordered, offset, divisor)

    def scaled(self, size: Size, scale: float) -> Size:
        """floor(size * scale) as float32 arithmetic has it, which is what runtimes resize by."""
        if isinstance(size, int):
            return int(np.float32(size) * np.float32(scale))
        phi = scaled(scale)
        if phi is not None:
            return self.apply(phi, size)
        return self._make((Rounded, size, scale), size, scale)

    def product(self, sizes: Iterable[Size]) -> Size:
        """The product of sizes, those that multiply out to a linear form taken apart."""
        coefficient, factors = monomial(sizes)
        if coefficient == 0 or not factors:
            return coefficient
        term = factors[0] if len(factors) == 1 else self._make((Product, factors), factors)
        return self.linear([(term, coefficient)])

    def extreme(self, sizes: Sequence[Size], *, largest: bool) -> Size:
        """The largest or the smallest of one or more sizes."""
        pick = max if largest else min
        known = [size for size in sizes if isinstance(size, int)]
        terms = {size: None for size in sizes if isinstance(size, Term)}
        parts: tuple[Size, ...] = (*terms, *([pick(known)] if known else []))
        if len(parts) == 1:
            return parts[0]
        return self._make((Extreme, parts, largest), parts, largest=largest)

    def joined(self, terms: tuple[Term, ...]) -> Term:
        """The size at which several maps meet, the simplest of them first."""
        if len(terms) == 1:
            return terms[0]
        ordered = tuple(sorted(terms, key=lambda term: (isinstance(term, Opaque), term.index)))
        return self._make((Joined, ordered), ordered)

    def _make(self, key: tuple[Any, ...], *arguments: Any, **keywords: Any) -> Term:
        if key not in self._made:
            self._made[key] = key[0](self._next(), *arguments, **keywords)
        return self._made[key]

    def _next(self) -> int:
        self._count += 1
        return self._count

    def growth(self, term: Size) -> Growth | None:
        """How ``term`` grows with its one free size; None when not by floors of linear forms.

        None as well for what repeats too slowly to be of any use.
        """
        if isinstance(term, int):
            return constant_growth(term)
        for each in cone([term], self._growth):
            growth = _growth_of(each, [self._known(o) for o in each.operands])
            slow = growth is not None and growth.period > _LONGEST_PERIOD
            self._growth[each] = None if slow else growth
        return self._growth[term]

    def _known(self, size: Size) -> Growth | None:
        return constant_growth(size) if isinstance(size, int) else self._growth[size]

    def unjoined(self, size: Size) -> Size:
        """The same size where all maps that meet have the size of the first of them.

        Along a network of any depth whose maps meet again and again at the size they had, it
        stays as short as it was at the start.
        """
        if isinstance(size, int):
            return size
        for each in cone([size], self._unjoined):
            self._unjoined[each] = self._rebuilt(each)
        return self._unjoined[size]

    def _rebuilt(self, term: Term) -> Size:
        """A term computed from what its operands are without joints."""
        plain = [each if isinstance(each, int) else self._unjoined[each] for each in term.operands]
        match term:
            case Joined():
                return plain[0]
            case Floor():
                factors = [a for _, a in term.parts]
                return self.linear(zip(plain, factors, strict=True), term.offset, term.divisor)
            case Rounded():
                return self.scaled(plain[0], term.scale)
            case Product():
                return self.product(plain)
            case Extreme():
                return self.extreme(plain, largest=term.largest)
            case _:
                return term


def _expanded(terms: Iterable[tuple[Size, int]], offset: int) -> tuple[dict[Term, int], int]:
    """Linear forms within a linear form written out."""
    parts: dict[Term, int] = {}
    for size, a in terms:
        if isinstance(size, int):
            offset += a * size
        elif isinstance(size, Floor) and size.divisor == 1:
            offset += a * size.offset
            for part, inner in size.parts:
                parts[part] = parts.get(part, 0) + a * inner
        else:
            parts[size] = parts.get(size, 0) + a
    return {part: a for part, a in parts.items() if a}, offset


def monomial(sizes: Iterable[Size]) -> tuple[int, tuple[Term, ...]]:
    """The product of sizes as a coefficient and factors in order."""
    coefficient = 1
    factors: list[Term] = []
    pending = list(sizes)
    while pending:
        size = pending.pop()
        if isinstance(size, int):
            coefficient *= size
        elif isinstance(size, Product):
            pending += size.factors
        elif (
            isinstance(size, Floor)
            and len(size.parts) == 1
            and size.divisor == 1
            and size.offset == 0
        ):
            coefficient *= size.parts[0][1]
            pending.append(size.parts[0][0])
        else:
            factors.append(size)
    return coefficient, tuple(sorted(factors, key=lambda term: term.index))


def cone(terms: Iterable[Term], known: Container[Term] = ()) -> list[Term]:
    """The terms and all they are computed from, operands first, down to what is ``known``."""
    found: set[Term] = set()
    pending = list(terms)
    while pending:
        term = pending.pop()
        if term not in found and term not in known:
            found.add(term)
            pending += [each for each in term.operands if isinstance(each, Term)]
    return sorted(found, key=lambda term: term.index)


def _growth_of(term: Term, operands: list[Growth | None]) -> Growth | None:
    if isinstance(term, Free):
        return IDENTITY
    known = [growth for growth in operands if growth is not None]
    if isinstance(term, Joined):
        return operands[0]
    if isinstance(term, Opaque | Rounded) or len(known) < len(operands):
        return None
    if isinstance(term, Floor):
        coefficients = [a for _, a in term.parts]
        return floored(list(zip(known, coefficients, strict=True)), term.offset, term.divisor)
    if isinstance(term, Extreme):
        result = known[0]
        for each in known[1:]:
            result = extreme(result, each, largest=term.largest)
        return result
    return None
