"""Text from a model cannot command the terminal it is printed on."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.report.terminal import printable, styled, wrapped

HOSTILE = {
    "escape sequence": "\x1b[2J\x1b]0;owned\x07",
    "8-bit escape": "\x9b31m",
    "carriage return": "ok\rbad",
    "backspace": "abc\b\b\b",
    "right-to-left override": "\u202egnp.xnno",
    "zero width": "a\u200bb",
    "line separator": "a\u2028b",
    "lone surrogate": "\udce9",
    "null": "a\0b",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_spelled_out(text: str) -> None:
    """What would move, hide or reverse text is shown as an escape, the rest as it is."""
    shown = printable(text)
    assert shown.isprintable()
    assert "\\" in shown
    assert shown.encode("utf-8").decode("unicode_escape") or text == ""


@given(st.text())
def test_nothing_unprintable_is_ever_printed(text: str) -> None:
    """For any text: no control, format, surrogate or separator character gets through."""
    for char in printable(text):
        assert char == " " or unicodedata.category(char)[0] not in "CZ"


@pytest.mark.parametrize("text", ["conv_1/Conv", "入力", "größe", "a b"])
def test_plain_text_is_left_alone(text: str) -> None:
    """Names in any script are shown as they are."""
    assert printable(text) == text


@given(st.text(alphabet="ab \n\x1b", max_size=200), st.integers(10, 60))
def test_wrapped_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    """No line with more than one word is too wide; all words are there, in order."""
    lines = list(wrapped(text, indent="  ", width=width))
    words = [word for part in text.split("\n") for word in printable(part).split()]
    assert [word for line in lines for word in line.split()] == words
    assert all(len(line) <= width or len(line.split()) == 1 for line in lines)
    assert all(line.startswith("  ") or not line for line in lines)


@given(st.lists(st.text(alphabet="ab", min_size=1, max_size=30)), st.integers(3, 60))
def test_a_line_ends_only_where_the_next_word_would_not_fit(words: list[str], width: int) -> None:
    """Of two lines that follow each other the first has no room for what begins the second."""
    lines = list(wrapped(" ".join(words), indent="  ", width=width))
    for line, following in pairwise(lines):
        assert len(line) + 1 + len(following.split()[0]) > width


def test_lines_are_filled() -> None:
    """A line ends only where the next word would not fit."""
    assert list(wrapped("aa bb cc", indent=" ", width=6)) == [" aa bb", " cc"]


def test_colour_is_only_added_when_asked() -> None:
    """Without colour the text is untouched; with it, it is reset at the end."""
    assert styled("x", "error", color=False) == "x"
    assert styled("x", "error", color=True) == "\x1b[1;31mx\x1b[0m"
