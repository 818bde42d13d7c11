"""Figures and names as the page spells them."""

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction

from ...rule import NodeRef
from ..terminal import printable

TIMES = "\N{MULTIPLICATION SIGN}"
UNKNOWN = "?"
_LONGEST_NAME = 200
_LETTERS = re.compile(r"(?<=[\d?])x(?=[\d?])|(?<= )x(?=\d)")

Figure = int | str | Fraction | None


def name(text: str, at_most: int = _LONGEST_NAME) -> str:
    """A name from a model: harmless characters only, and of a long one the end."""
    shown = printable(text)
    return shown if len(shown) <= at_most else f"..{shown[2 - at_most :]}"


def place(node: NodeRef) -> str:
    """The subgraph or function that a node is in; empty in the main graph."""
    return name(" > ".join(node.scope))


def by(values: Iterable[Figure]) -> str:
    """One figure an axis, such as 112 times 112."""
    return TIMES.join(UNKNOWN if value is None else str(value) for value in values)


def axes(values: Sequence[Figure] | None) -> str:
    """One figure where all axes agree, else one an axis; ``-`` for none."""
    if not values:
        return "-"
    return by(values[:1] if len(set(values)) == 1 else values)


def with_signs(text: str) -> str:
    """``Conv 3x3 x2`` with the sign for each x that stands for it."""
    return _LETTERS.sub(TIMES, text)


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def compact(count: int) -> str:
    """A large number in three digits: ``371 k``, ``76.8 M``; small ones as they are."""
    if count < 10_000:
        return f"{count:,}"
    shown, unit = float(count), ""
    for unit in "kMGT":  # noqa: B007 - the last one stands where there is none to suit
        shown /= 1000
        if shown < 999.5:
            break
    digits = max(0, 3 - len(str(int(shown))))
    return f"{shown:,.{digits}f} {unit}"


def coordinate(value: float) -> str:
    """A number of a drawing, no longer than can be seen."""
    shown = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown
