"""What linting leaves behind: one report a file, and the counts over all of them.

These are named tuples: a frozen dataclass takes seven times as long to define, and a lint of a
small model is over in a few milliseconds.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..rule import Finding, Severity, Skip

if TYPE_CHECKING:
    from ..probe import Probed

UNJUDGED = "ALL"
"""Code of a skip that concerns every rule: nothing about the node's window is known."""


class FileError(NamedTuple):
    """Why a file, or a part of it, could not be read."""

    code: str
    message: str


class FileReport(NamedTuple):
    """What the rules say about one file.

    With ``error`` set there may still be findings: those about the parts that could be read.
    ``layers`` counts the layers that were looked at. ``bindable`` are the input names and symbols
    of the model, ``used_bindings`` those that were given a size. ``probed`` is what a run of the
    model showed, where one was asked for.
    """

    path: str
    error: FileError | None = None
    findings: tuple[Finding, ...] = ()
    skips: tuple[Skip, ...] = ()
    layers: int = 0
    bindable: frozenset[str] = frozenset()
    used_bindings: frozenset[str] = frozenset()
    probed: "Probed | None" = None


class Summary(NamedTuple):
    """Counts over all reports. ``errors`` counts files with an error, not findings."""

    files: int
    errors: int
    layers: int
    by_code: Mapping[str, int]
    by_severity: Mapping[str, int]


def summarise(reports: Sequence[FileReport]) -> Summary:
    """Counts of files and findings; every severity has a count, codes only when they occur."""
    findings = [finding for report in reports for finding in report.findings]
    codes = Counter(finding.code for finding in findings)
    severities = Counter(finding.severity.value for finding in findings)
    return Summary(
        files=len(reports),
        errors=sum(report.error is not None for report in reports),
        layers=sum(report.layers for report in reports),
        by_code=dict(sorted(codes.items())),
        by_severity={severity.value: severities[severity.value] for severity in Severity},
    )


def reaches(reports: Sequence[FileReport], level: Severity) -> bool:
    """True when a finding is at least as severe as ``level``."""
    return any(
        finding.severity.rank >= level.rank for report in reports for finding in report.findings
    )
