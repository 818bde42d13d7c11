"""GitHub's annotations: lines that a workflow's log turns into marks on files.

A step shows ten of each level. So there is one annotation a file and rule, with the first nodes
named; where these are more than ten of one level, the tenth counts those it stands for.

Source: GitHub, Workflow commands for GitHub Actions; the escapes are those the runner undoes.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from ..engine.results import FileReport
from ..rule import Severity
from .entries import Entry, entries, flat
from .paths import relative
from .terminal import printable

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_MOST = 10  # of one level
_NAMED = 3


def render_github(reports: Sequence[FileReport], *, root: str) -> str:
    """One line an annotation, the worst first; files are named by their path from ``root``."""
    groups: dict[Severity, dict[tuple[str, str], list[Entry]]] = {level: {} for level in _LEVELS}
    for entry in flat(entries(reports)):
        groups[entry.severity].setdefault((entry.path, entry.code), []).append(entry)
    lines = [line for level in _LEVELS for line in _of_level(list(groups[level].values()), root)]
    return "".join(f"{line}\n" for line in lines)


def _of_level(groups: Sequence[Sequence[Entry]], root: str) -> Iterator[str]:
    shown = groups if len(groups) <= _MOST else groups[: _MOST - 1]
    for group in shown:
        first, count = group[0], len(group)
        title = f"{first.code} {first.name}" + (f" ({count} nodes)" if count > 1 else "")
        file = printable(relative(first.path, root))
        yield _annotation(first.severity, _message(group), file=file, title=title)
    if len(shown) < len(groups):
        yield _rest([entry for group in groups[len(shown) :] for entry in group])


def _rest(left: Sequence[Entry]) -> str:
    """One annotation for all that do not fit; it belongs to no file."""
    counts = Counter(entry.code for entry in left)
    codes = ", ".join(f"{code} {count}" for code, count in sorted(counts.items()))
    files = len({entry.path for entry in left})
    title = f"{len(left)} more in {files} {'file' if files == 1 else 'files'}"
    message = f"{title} that GitHub has no room to show: {codes}"
    return _annotation(left[0].severity, message, title=title)


def _message(group: Sequence[Entry]) -> str:
    """What is wrong with the first, after the names of the first few."""
    named = [entry.where for entry in group[:_NAMED] if entry.where]
    more = f" and {len(group) - _NAMED} more" if len(group) > _NAMED else ""
    where = f"{', '.join(named)}{more}: " if named else ""
    return where + group[0].message


def _annotation(severity: Severity, message: str, **properties: str) -> str:
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_LEVELS[severity]} {told}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
