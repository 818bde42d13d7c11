"""How messages spell figures."""

from fractions import Fraction
from math import inf, nan

import pytest

from onnxstride.wording import (
    axis_name,
    by,
    counted,
    counts,
    decibels,
    elements,
    listing,
    percent,
    times,
)


@pytest.mark.parametrize(
    ("values", "text"),
    [((3, 5), "3x5"), ((3,), "3"), ((3, None, "H"), "3x?xH"), ((), "")],
)
def test_figures_per_axis(values: tuple[int | str | None, ...], text: str) -> None:
    """What is not known is a question mark."""
    assert by(values) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (Fraction(3, 4), "75 %"),
        (Fraction(7, 16), "43.8 %"),
        (Fraction(1, 3), "33.3 %"),
        (0.001, "0.1 %"),
        (Fraction(0), "0 %"),
        (Fraction(1), "100 %"),
        (Fraction(1, 10**6), "under 0.1 %"),
        (1 - Fraction(1, 10**6), "over 99.9 %"),
        (0.9990001, "over 99.9 %"),
        (Fraction(999, 1000), "99.9 %"),
    ],
)
def test_shares(share: Fraction | float, text: str) -> None:
    """Nothing is rounded to none or to all of it."""
    assert percent(share) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Fraction(4), "4"),
        (Fraction(9, 4), "2.25"),
        (Fraction(3, 2), "1.5"),
        (Fraction(4, 3), "1.33"),
        (Fraction(1001, 1000), "1.001"),
        (Fraction(100001, 100000), "1.00001"),
        (Fraction(299999, 100000), "2.99999"),
        (Fraction(10, 3), "3.33"),
        (Fraction(1001, 10), "100.1"),
    ],
)
def test_factors(ratio: Fraction, text: str) -> None:
    """Two decimals, or as many as tell it from a whole number."""
    assert times(ratio) == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((1,), "1 element"),
        ((1, 2), "1 row and 2 columns"),
        ((0, 1), "1 column"),
        ((3, 0), "3 rows"),
        ((1, 2, 3), "1 slice, 2 rows and 3 columns"),
        ((0, 0, 2, 1), "2 axis-2 elements and 1 axis-3 element"),
        ((0, 0), "nothing"),
    ],
)
def test_elements(numbers: tuple[int, ...], text: str) -> None:
    """Axes by name, those of zero left out, one in the singular."""
    assert elements(numbers) == text


@pytest.mark.parametrize(
    ("parts", "text"),
    [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c"), ([], "nothing")],
)
def test_lists(parts: list[str], text: str) -> None:
    """Commas, and before the last an "and"."""
    assert listing(parts) == text


def test_nouns_follow_their_numbers() -> None:
    """One alone is singular, and none is many."""
    assert counted(1, "node") == "1 node"
    assert [counted(n, "node") for n in (0, 2)] == ["0 nodes", "2 nodes"]
    assert [counted(n, "entry", "entries") for n in (1, 3)] == ["1 entry", "3 entries"]


def test_long_lists_of_numbers_are_cut_short() -> None:
    """With how many there are; exactly as many as fit are shown."""
    assert counts([2, 1]) == "2, 1"
    assert counts(range(8)) == "0, 1, 2, 3, 4, 5, 6, 7"
    assert counts([2, 2, 1, 1, 1], at_most=4) == "2, 2, 1, 1, .. (5 in all)"
    assert counts([]) == ""


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (4.77, "+4.8 dB"),
        (-6.34, "-6.3 dB"),
        (-10.0, "-10.0 dB"),
        (-0.04, "+0.0 dB"),
        (-inf, "-inf dB"),
        (inf, "+inf dB"),
        (nan, "no number"),
    ],
)
def test_decibels(figure: float, text: str) -> None:
    """With their sign, and no negative zero."""
    assert decibels(figure) == text


def test_axes_have_names() -> None:
    """From the last backwards; where there are more than three, by number."""
    assert [axis_name(i, 1) for i in range(1)] == ["width"]
    assert [axis_name(i, 2) for i in range(2)] == ["height", "width"]
    assert [axis_name(i, 3) for i in range(3)] == ["depth", "height", "width"]
    assert axis_name(1, 4) == "axis 1"
