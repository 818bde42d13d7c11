"""Text that is safe to print, and in colour where asked.

Names in a model are written by strangers. A control character in one could move the cursor, hide
a finding or reverse a line, so everything that is not printable is shown as its escape. So is what
a CI server would take for a command where it finds it in a log: ``::`` at the beginning of a word
(GitHub), ``##[`` and ``##vso[`` anywhere (GitHub, Azure, TeamCity).
"""

import re
from collections.abc import Iterator

_STYLES = {"error": "1;31", "warning": "1;33", "note": "36", "strong": "1", "faint": "2"}


_COMMANDS = re.compile(r"(?<!\S)::|##(?=\w*\[)")


def printable(text: str) -> str:
    """The text with every character that is not printable, or begins a command, as an escape."""
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
        )
    return _COMMANDS.sub(_spelled, text) if "::" in text or "##" in text else text


def inert(document: str) -> str:
    """A JSON document that says the same, without what a log would take for a command."""
    return re.sub(r"##(?=\w*\[)", r"#\\u0023", document)


def _spelled(command: re.Match[str]) -> str:
    return f"\\x{ord(command[0][0]):02x}{command[0][1:]}"


def styled(text: str, style: str, *, color: bool) -> str:
    """The text in one of the styles, or as it is without colour."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if color else text


def wrapped(text: str, *, indent: str, width: int) -> Iterator[str]:
    """Lines of at most ``width`` columns, all indented; words too long for that stand alone.

    Line breaks in the text are kept.
    """
    room = max(width - len(indent), 0)
    for paragraph in text.split("\n"):
        rest = printable(paragraph).lstrip(" ")
        while len(rest) > room:
            end = rest.rfind(" ", 0, room + 1)
            if end < 0:
                end = rest.find(" ", room)
            if end < 0:
                break
            yield (indent + rest[:end]).rstrip()
            rest = rest[end:].lstrip(" ")
        yield (indent + rest).rstrip()
