"""GitLab's Code Quality report: a JSON array with one entry a finding.

Source: GitLab, Code Quality, the format of a report. A model is a binary: all are on line 1.
"""

import json
from collections.abc import Sequence
from typing import Any

from ..engine.results import FileReport
from ..rule import Severity
from .entries import Entry, entries, flat
from .paths import relative
from .terminal import inert

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.NOTE: "info"}
_UNREADABLE = "blocker"


def render_gitlab(reports: Sequence[FileReport], *, root: str) -> str:
    """Findings, and files that could not be read as blockers; paths are those from ``root``."""
    issues = [_issue(entry, root) for entry in flat(entries(reports))]
    return inert(json.dumps(issues, indent=2)) + "\n"


def _issue(entry: Entry, root: str) -> dict[str, Any]:
    path = relative(entry.path, root).encode("utf-8", "backslashreplace").decode()
    return {
        "description": f"{entry.code} {entry.sentence}",
        "check_name": f"{entry.code} {entry.name}",
        "fingerprint": entry.fingerprint,
        "severity": _SEVERITIES[entry.severity] if entry.finding else _UNREADABLE,
        "location": {"path": path, "lines": {"begin": 1}},
    }
