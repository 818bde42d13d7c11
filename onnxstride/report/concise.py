"""One line a finding, for grep and for editors: ``file: node: code severity message``."""

from collections.abc import Sequence

from ..engine.results import FileReport
from .entries import entries, flat
from .terminal import printable


def render_concise(reports: Sequence[FileReport]) -> str:
    """A line for each file that could not be read, and for each finding."""
    lines = [
        f"{printable(entry.path)}: {entry.where + ': ' if entry.where else ''}"
        f"{entry.code} {entry.severity.value} {entry.message}\n"
        for entry in flat(entries(reports))
    ]
    return "".join(lines)
