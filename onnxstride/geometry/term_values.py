"""What terms come to, over many values of the unknown sizes at once.

Values are computed in 64 bits where every one fits, and in Python's integers where one does not.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .terms import Extreme, Floor, Free, Joined, Opaque, Product, Rounded, Size, Term, cone

Values: TypeAlias = NDArray[Any]

_WIDEST = 1 << 62


def evaluate(
    terms: Sequence[Size], given: Mapping[Free, Values], *, stretching: bool = False
) -> list[Values]:
    """The values of sizes, for every value of the free ones they depend on.

    Args:
        terms: the sizes asked for; none may depend on an :class:`Opaque`, but for maps that meet
            another of known size.
        given: values of the free sizes, arrays of one length.
        stretching: whether maps of size 1 are stretched where maps meet; otherwise all maps
            that meet count as having the size of the first.

    Raises:
        ValueError: a size that is asked for depends on an :class:`Opaque`.
    """
    order = _valued(cone(term for term in terms if isinstance(term, Term)))
    length = len(next(iter(given.values())))
    wide = _largest_magnitude(order, given) >= _WIDEST
    known: dict[Term, Values] = {}

    def of(size: Size) -> Values:
        if isinstance(size, Term):
            if size not in known:
                raise ValueError(f"{size!r} has no value")
            return known[size]
        return np.full(length, size, object if wide or abs(size) >= _WIDEST else np.int64)

    for term in order:
        if isinstance(term, Free):
            known[term] = given[term].astype(object) if wide else given[term]
        else:
            known[term] = _value(term, known, of, stretching=stretching)
    return [of(term) for term in terms]


def least_value(size: Size) -> int | None:
    """The value of a rising size where every unknown is 1; None for a size that may fall."""
    if isinstance(size, int):
        return size
    if not size.rises:
        return None
    given = {term: np.array([1]) for term in cone([size]) if isinstance(term, Free)}
    return int(evaluate([size], given)[0][0])


def _valued(order: Iterable[Term]) -> list[Term]:
    """Those of the terms, operands first, that depend on no :class:`Opaque`.

    Maps that meet have the size of the first, whatever is known of the others.
    """
    found: dict[Term, None] = {}
    for term in order:
        operands = term.parts[:1] if isinstance(term, Joined) else term.operands
        is_known = all(each in found for each in operands if isinstance(each, Term))
        if is_known and not isinstance(term, Opaque):
            found[term] = None
    return list(found)


def _value(
    term: Term, known: Container[Term], of: Callable[[Size], Values], *, stretching: bool
) -> Values:
    result: Values
    match term:
        case Floor():
            (first, a), *rest = term.parts
            result = of(first) * a + term.offset
            for part, coefficient in rest:
                result = result + of(part) * coefficient
            return result // term.divisor
        case Rounded():
            rounded = of(term.part).astype(np.float32) * np.float32(term.scale)
            return np.asarray(rounded.astype(np.int64))
        case Product():
            result = of(term.factors[0])
            for factor in term.factors[1:]:
                result = result * of(factor)
            return result
        case Extreme():
            pick: Any = np.maximum if term.largest else np.minimum
            return _folded(pick, [of(part) for part in term.parts])
        case Joined():
            parts = [of(part) for part in term.parts if part in known]
            return _folded(np.maximum, parts) if stretching else parts[0]
        case _:
            raise ValueError(f"{term!r} has no value")


def _folded(pick: Any, parts: list[Values]) -> Values:
    result = parts[0]
    for part in parts[1:]:
        result = pick(result, part)
    return result


def _largest_magnitude(order: list[Term], given: Mapping[Free, Values]) -> int:
    """A bound on every value, and on what is computed on the way to it."""
    bounds: dict[Term, int] = {}

    def of(size: Size) -> int:
        return abs(size) if isinstance(size, int) else bounds[size]

    for term in order:
        match term:
            case Free():
                bounds[term] = max(map(abs, given[term].tolist()), default=0)
            case Floor():
                bounds[term] = sum(of(part) * abs(a) for part, a in term.parts) + abs(term.offset)
            case Rounded():
                bounds[term] = int(of(term.part) * term.scale) + 1
            case Product():
                bounds[term] = prod(max(1, of(factor)) for factor in term.factors)
            case _:
                operands = (
                    each for each in term.operands if not isinstance(each, Term) or each in bounds
                )
                bounds[term] = max(map(of, operands), default=0)
    return max(bounds.values(), default=0)
