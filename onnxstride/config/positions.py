"""On which line a key of a TOML document stands, which ``tomllib`` does not tell.

A statement of TOML, a header or a key with its value, is a document of its own. So the document
falls into its statements by parsing: each is the fewest lines, after the one before it, that parse.
A statement of several lines is an open list or string: its first lines, closed, parse as well, and
the fewest that hold an item already end with the line on which the item begins. Any spelling of a
key is found in this way: dotted, quoted, in an inline table, under a header or two.
"""

import tomllib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from .values import Key

_CLOSINGS = ("", "]", "}]", "]}]", "]]", '"""', "'''", '"""]', "''']")
_MOST_PARSED = 1 << 24  # characters; what takes longer gets no line, rather than minutes


class _Statement(NamedTuple):
    """Lines of a document from ``first`` on, counted from 1, and the table that they are about."""

    first: int
    lines: Sequence[str]
    table: Key
    content: Any
    is_header: bool

    def line_of(self, key: Key) -> int | None:
        """The line on which ``key`` begins; None where it does not stand in this statement."""
        if self.is_header:
            return self.first if self.table[: len(key)] == key else None
        below = key[len(self.table) :]
        if key[: len(self.table)] != self.table or not _holds(self.content, below):
            return None
        for count in range(1, len(self.lines)):
            if any(_holds(each, below) for each in _completions(self.lines[:count])):
                return self.first + count - 1
        return self.first + len(self.lines) - 1


class Positions:
    """Finds keys in a document that parses.

    Args:
        text: the document.
        base: the table that keys are given from.
    """

    def __init__(self, text: str, base: Key = ()) -> None:
        self._lines = text.replace("\r\n", "\n").split("\n")
        self._base = base

    def line_of(self, key: Key) -> int | None:
        """The line, from 1, on which the key or what encloses it begins; None if it takes long."""
        key = (*self._base, *key)
        if self._statements is None:
            return None
        while key:
            for statement in self._statements:
                line = statement.line_of(key)
                if line is not None:
                    return line
            key = key[:-1]
        return 1

    @cached_property
    def _statements(self) -> Sequence[_Statement] | None:
        try:
            return list(_statements(self._lines))
        except TimeoutError:
            return None


def _statements(lines: Sequence[str]) -> Iterator[_Statement]:
    counts: dict[Key, int] = {}
    table: Key = ()
    first, parsed = 0, 0
    for end in range(1, len(lines) + 1):
        text = "\n".join(lines[first:end])
        parsed += len(text)
        if parsed > _MOST_PARSED:
            raise TimeoutError
        content = _parsed(text)
        if content is None:
            continue
        if content:
            is_header = lines[first].lstrip().startswith("[")
            table = _resolved(content, counts) if is_header else table
            yield _Statement(first + 1, lines[first:end], table, content, is_header)
        first = end


def _resolved(header: Any, counts: dict[Key, int]) -> Key:
    """The table that a header opens; ``counts`` are those of lists of tables so far."""
    table: Key = ()
    while header:
        name = next(iter(header))
        header = header[name]
        table = (*table, name)
        if isinstance(header, list):  # only the last name of a header in two brackets
            counts[table] = counts.get(table, 0) + 1
            header = None
        if table in counts:
            table = (*table, counts[table] - 1)
    return table


def _completions(lines: Sequence[str]) -> Iterator[Any]:
    text = "\n".join(lines)
    for closing in _CLOSINGS:
        content = _parsed(text + closing) or _parsed(f"{text}\n{closing}")
        if content is not None:
            yield content


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _holds(content: Any, key: Key) -> bool:
    for part in key:
        if isinstance(part, int):
            if not isinstance(content, list) or part >= len(content):
                return False
            content = content[part]
        elif not isinstance(content, dict) or part not in content:
            return False
        else:
            content = content[part]
    return True
