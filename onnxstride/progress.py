"""One line on a terminal that says how far a long run has come."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from shutil import get_terminal_size
from time import monotonic
from typing import TextIO

from .report.terminal import printable

_FIRST_AFTER = 0.5  # seconds; a quick run shows nothing
_THEN_EVERY = 0.1
_CLEAR = "\r\x1b[K"


def progress(paths: Sequence[str], stream: TextIO) -> Iterator[str]:
    """The paths, one by one, while ``stream`` shows where we are; on terminals only."""
    if len(paths) < 2 or not stream.isatty():
        yield from paths
        return
    due = monotonic() + _FIRST_AFTER
    try:
        for number, path in enumerate(paths, 1):
            if monotonic() >= due:
                line = f"[{number}/{len(paths)}] {printable(path)}"
                stream.write(_CLEAR + line[: get_terminal_size().columns - 1])
                stream.flush()
                due = monotonic() + _THEN_EVERY
            yield path
    finally:
        stream.write(_CLEAR)
        stream.flush()


@contextmanager
def telling(stream: TextIO) -> Generator[Callable[[str], None]]:
    """A function that shows on ``stream`` what is being done now; on terminals only."""
    is_shown = stream.isatty()
    due = monotonic() + _FIRST_AFTER

    def tell(what: str) -> None:
        nonlocal due
        if is_shown and monotonic() >= due:
            stream.write(_CLEAR + printable(what)[: get_terminal_size().columns - 1])
            stream.flush()
            due = monotonic() + _THEN_EVERY

    try:
        yield tell
    finally:
        if is_shown:
            stream.write(_CLEAR)
            stream.flush()
