"""Findings as notes on nodes: a line each for people, one JSON list for programs."""

import json
from collections.abc import Iterable

from ..engine.annotating import Note
from ..rule import Finding, NodeRef
from .json import finding_as_json
from .terminal import printable
from .text import remedies


def notes(findings: Iterable[Finding]) -> list[Note]:
    """One note for each node that has findings, in the order of the report."""
    by_node: dict[NodeRef, list[Finding]] = {}
    for finding in findings:
        by_node.setdefault(finding.node, []).append(finding)
    return [
        Note(node, tuple(_line(each) for each in found), _record(found))
        for node, found in by_node.items()
    ]


def _line(finding: Finding) -> str:
    label = f"{finding.code} {finding.name} ({finding.severity.value})"
    text = f"{label}: {finding.message} {remedies(finding)}"
    return printable(text.replace("\n", " ").strip())


def _record(findings: Iterable[Finding]) -> str:
    """The findings as the JSON report has them, without the node: they stand at it."""
    entries = [finding_as_json(finding) for finding in findings]
    for entry in entries:
        del entry["node"]
    return json.dumps(entries, allow_nan=False)
