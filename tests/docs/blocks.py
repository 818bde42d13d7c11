"""The fenced blocks of a page, each with what the comment right before it says of it.

::

    <!-- save as NAME -->           the reader is told to save the block under this name
    <!-- needs torch, sklearn -->   it runs only where these can be imported
    <!-- not run: reason -->        it is not run at all

Several are joined by semicolons in one comment.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))

_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*) -->\n)?"
    r"^(?P<fence>`{3,})(?P<language>\w*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_NOTES = ("save as ", "needs ", "not run: ")


class Block(NamedTuple):
    """A fenced block. ``line`` is that of its first line of text, from 1."""

    page: str
    line: int
    language: str
    text: str
    save_as: str = ""
    needs: tuple[str, ...] = ()
    not_run: str = ""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str, text: str) -> list[Block]:
    """The blocks in order.

    Raises:
        ValueError: a comment before a block that is none of the above.
    """
    return [
        Block(
            page,
            text.count("\n", 0, found.start("text")) + 1,
            found["language"],
            found["text"],
            **_notes(found["note"] or ""),
        )
        for found in _BLOCK.finditer(text)
    ]


def _notes(comment: str) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for note in filter(None, comment.split("; ")):
        word = next((word for word in _NOTES if note.startswith(word)), None)
        if word is None:
            raise ValueError(f"expected one of {_NOTES} before a block, found {note!r}")
        rest = note.removeprefix(word)
        key = word.strip(": ").replace(" ", "_")
        said[key] = tuple(rest.split(", ")) if key == "needs" else rest
    return said


class Step(NamedTuple):
    """A command, and the output shown for it; None where none is shown."""

    line: int
    command: str
    shown: str | None


def steps_of(block: Block) -> Iterator[Step]:
    """The commands of a ``sh`` or ``console`` block. A line that ends in a backslash goes on."""
    if block.language == "sh":
        for number, line in enumerate(block.text.splitlines()):
            if command := _without_comment(line):
                yield Step(block.line + number, command, None)
        return
    lines = block.text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        shown = "".join(lines[start + 1 : end])
        yield Step(block.line + start, lines[start][2:].strip(), shown)


def _without_comment(line: str) -> str:
    """A line without the remark that two spaces set apart."""
    return re.sub(r"(^|  +)# .*", "", line).strip()


_MEASURED = re.compile(
    r"^(verified on its own|\w+ \d+x\d|output '|at \[|error \d|init fit|resize )"
)
"""Beginnings of lines whose figures come from a run, and differ in the last digits by machine."""


def is_as_shown(shown: str, printed: str) -> bool:
    """Whether the output is what is shown, where ``...`` stands for anything.

    How many spaces stand between words is not compared, and neither are measured figures.
    """
    pattern = re.escape(_compared(shown)).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, _compared(printed), re.DOTALL) is not None


def _compared(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.strip().splitlines()]
    return "\n".join(
        re.sub(r"\S*\d\S*", "#", line) if _MEASURED.match(line) else line for line in lines
    )
