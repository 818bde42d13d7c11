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
    from .spots import Shown

UNJUDGED = "ALL"
"""Code of a skip that concerns every rule: nothing about the node's window is known."""


class FileError(NamedTuple):
    """Why a file, or a part of it, could not be read."""

    code: str
    message: str


class Ignore(NamedTuple):
    """A wish to let findings pass.

    Attributes:
        codes: selectors of rules (see ``selection``).
        nodes: nodes as reports spell them, with the scopes around them: a glob, or one node.
        reason: why, in the words of whoever asked for it; may be empty.
        by: ``model``, ``config`` or ``baseline``.
        where: the file, and the line in it, that holds the wish.
        is_glob: False where ``nodes`` is one node, whatever signs are in its name.
    """

    codes: tuple[str, ...]
    nodes: str
    reason: str
    by: str
    where: str
    is_glob: bool = True


EVERY_NODE = "*"
"""The glob of a wish that names no node."""


class Ignored(NamedTuple):
    """A finding that was let pass, and by what: the first wish that asks for it, and others."""

    finding: Finding
    ignore: Ignore
    others: tuple[Ignore, ...] = ()


class FileReport(NamedTuple):
    """What the rules say about one file.

    With ``error`` set there may still be findings: those about the parts that could be read.
    ``layers`` counts the layers that were looked at. ``bindable`` are the input names and symbols
    of the model, ``used_bindings`` those that were given a size. ``probed`` is what a run of the
    model showed, where one was asked for. ``ignored`` are findings that were let pass, and
    ``unmatched`` the wishes, of one selector each, that let nothing pass here although their rules
    ran. ``fail_on`` is the least severity that fails the run over this file; None for none.
    ``ran`` are the codes of the rules that had their say. ``shown`` says where a viewer shows the
    nodes that findings are about; None where that was not asked for, or no graph could be read.
    """

    path: str
    error: FileError | None = None
    findings: tuple[Finding, ...] = ()
    skips: tuple[Skip, ...] = ()
    layers: int = 0
    bindable: frozenset[str] = frozenset()
    used_bindings: frozenset[str] = frozenset()
    probed: "Probed | None" = None
    ignored: tuple[Ignored, ...] = ()
    unmatched: tuple[Ignore, ...] = ()
    fail_on: Severity | None = Severity.WARNING
    ran: frozenset[str] = frozenset()
    shown: "Shown | None" = None


class Place(NamedTuple):
    """Where a baseline counts findings: a file as it names it, a rule, a node by its path."""

    file: str
    code: str
    node: str


class Stale(NamedTuple):
    """An entry of a baseline of which less was found than is recorded."""

    baseline: str
    place: Place
    recorded: int
    found: int


class Summary(NamedTuple):
    """Counts over all reports. ``errors`` counts files with an error, not findings.

    ``ignored`` findings are in no other count.
    """

    files: int
    errors: int
    layers: int
    by_code: Mapping[str, int]
    by_severity: Mapping[str, int]
    ignored: int


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
        ignored=sum(len(report.ignored) for report in reports),
    )


def unmatched(reports: Sequence[FileReport]) -> tuple[Ignore, ...]:
    """The wishes that let nothing pass in any of the files that they are about, each once."""
    heeded = {
        wish
        for report in reports
        for each in report.ignored
        for wish in (each.ignore, *each.others)
    }
    wishes = dict.fromkeys(wish for report in reports for wish in report.unmatched)
    return tuple(wish for wish in wishes if wish not in heeded)


def reaches(report: FileReport, level: Severity | None) -> bool:
    """True when a finding of the file is at least as severe as ``level``; never for None."""
    return level is not None and any(
        finding.severity.rank >= level.rank for finding in report.findings
    )


def fails(reports: Sequence[FileReport]) -> bool:
    """True when a finding is as severe as its file's ``fail_on``."""
    return any(reaches(report, report.fail_on) for report in reports)
