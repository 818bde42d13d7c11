"""Figures as words, so that every message spells them the same way."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import isnan

_ELEMENTS = {
    1: ("element",),
    2: ("row", "column"),
    3: ("slice", "row", "column"),
}


def by(values: Iterable[int | str | None]) -> str:
    """One figure per axis: ``3x3``; what is not known as ``?``."""
    return "x".join(["?" if value is None else str(value) for value in values])


def percent(share: Fraction | float) -> str:
    """A share as a percentage: ``75 %``, ``43.8 %``; never rounded to 0 % or 100 %."""
    value = float(share) * 100
    if 0 < value < 0.1:
        return "under 0.1 %"
    if 99.9 < value < 100:
        return "over 99.9 %"
    return f"{value:.1f}".removesuffix(".0") + " %"


def decibels(figure: float) -> str:
    """A ripple in decibels, its sign always told: ``+4.8 dB``, ``-inf dB``."""
    return "no number" if isnan(figure) else f"{figure:+.1f} dB".replace("-0.0", "+0.0")


def axis_name(axis: int, rank: int) -> str:
    """A spatial axis as sentences call it: ``height``, or by number where there are many."""
    names = ("depth", "height", "width")
    return names[axis - rank] if rank <= len(names) else f"axis {axis}"


def where_it_shows(reaches_output: bool, shows: bool) -> str:
    """What the ripple of a layer says about the output of the model."""
    if not reaches_output:
        return (
            "Layers behind it may cancel or amplify that, so the figure does not tell what the "
            "output shows: lint --probe does."
        )
    if shows:
        return (
            "Only pointwise operators follow up to an output, so inputs that training has not "
            "cancelled it for show it: see lint --probe."
        )
    return "It reaches an output, weakly."


def times(ratio: Fraction) -> str:
    """A ratio as a factor: ``4``, ``2.25``; never rounded to a whole number."""
    if ratio.denominator == 1:
        return str(ratio.numerator)
    digits = 2
    while round(ratio, digits).denominator == 1:
        digits += 1
    return f"{float(ratio):.{digits}f}".rstrip("0")


def elements(counts: Sequence[int]) -> str:
    """Elements per axis, those of zero left out: ``1 row and 2 columns``.

    Axes are named depth slices, rows, columns from the last backwards; other ranks by number.
    """
    names = _ELEMENTS.get(len(counts), tuple(f"axis-{i} element" for i in range(len(counts))))
    return listing(
        f"{count} {name}" + ("s" if count != 1 else "")
        for count, name in zip(counts, names, strict=True)
        if count
    )


def listing(parts: Iterable[str]) -> str:
    """Parts in a sentence: ``a``, ``a and b``, ``a, b and c``; of none, ``nothing``."""
    *before, last = list(parts) or ["nothing"]
    return f"{', '.join(before)} and {last}" if before else last


def counted(count: int, noun: str, many: str = "") -> str:
    """``1 node``, ``2 nodes``, or ``2`` of ``many`` where that is no noun with an s."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"


def counts(numbers: Sequence[int], *, at_most: int = 8) -> str:
    """A list of numbers, cut short when it is long: ``2, 1``, ``2, 2, 1, 1, .. (40 in all)``."""
    shown = ", ".join(map(str, numbers[:at_most]))
    return shown if len(numbers) <= at_most else f"{shown}, .. ({len(numbers)} in all)"
