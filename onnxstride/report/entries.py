"""The lines of a report as formats with one record each have them: safe to print, all told.

What keeps a file from being read is such a record like any finding, and comes first in its file.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..engine.results import FileReport
from ..rule import Finding, Severity
from .fingerprint import Fingerprints
from .terminal import printable
from .text import remedies

_UNREADABLE = "unreadable"
_NAMELESS = "?"  # some formats take no empty text


class Entry(NamedTuple):
    """A finding, or the error of a file.

    Attributes:
        path: of the file, as it was given.
        code: of the rule or the error, and ``name`` its name.
        severity: an error of a file counts as the worst.
        where: the node with the scopes around it; empty where the file as a whole is meant.
        message: one line; a finding's remedies are named in it with their safety.
        fingerprint: no other entry of the run has it.
        finding: None for an error.
    """

    path: str
    code: str
    name: str
    severity: Severity
    where: str
    message: str
    fingerprint: str
    finding: Finding | None

    @property
    def sentence(self) -> str:
        """Where, and what is wrong there."""
        return f"{self.where}: {self.message}" if self.where else self.message


def entries(reports: Iterable[FileReport]) -> list[list[Entry]]:
    """What there is to tell of each file, in the order of the report; nothing of a clean one."""
    fingerprints = Fingerprints()
    return [list(_of_file(report, fingerprints)) for report in reports]


def flat(files: Iterable[Sequence[Entry]]) -> list[Entry]:
    """The entries of all files."""
    return [entry for file in files for entry in file]


def worst_first(some: Iterable[Entry]) -> list[Entry]:
    """The entries by severity, errors of files before all, otherwise in the order they had."""
    return sorted(some, key=lambda entry: (entry.finding is not None, -entry.severity.rank))


def _of_file(report: FileReport, fingerprints: Fingerprints) -> Iterator[Entry]:
    if report.error is not None:
        code, message = report.error
        fingerprint = fingerprints.of(report.path, code, None)
        yield Entry(
            report.path, code, _UNREADABLE, Severity.ERROR, "", _line(message), fingerprint, None
        )
    for finding in report.findings:
        yield Entry(
            report.path,
            finding.code,
            finding.name,
            finding.severity,
            printable(finding.node.path) or _NAMELESS,
            _line(f"{finding.message} {remedies(finding)}".strip()),
            fingerprints.of(report.path, finding.code, finding.node),
            finding,
        )


def _line(text: str) -> str:
    return printable(text.replace("\n", " ")) or _NAMELESS
