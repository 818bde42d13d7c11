"""SARIF 2.1.0, as code scanning reads it.

A model is a binary: a result points at line 1 of it, and names the node as a logical location.
GitHub tells results apart by ``primaryLocationLineHash``, which an upload would otherwise make
up from lines of text; it is the finding's own fingerprint here. A file that could not be read is a
result, for viewers show nothing else, and a notification of an invocation that did not succeed.
There are no ``automationDetails``: an upload sets them to its category only where they are missing.
Findings that are ignored are left out, not marked with ``suppressions``: GitHub's code scanning
opens alerts for suppressed results all the same, unless a repository is set up to dismiss them.

Sources: OASIS, Static Analysis Results Interchange Format 2.1.0; GitHub, SARIF support for code
scanning, for what is required, and for the limits on texts and results.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..engine.results import FileReport
from ..rule import Finding
from .cards import RuleCard
from .entries import Entry, entries, flat, worst_first
from .json import json_value
from .paths import relative
from .terminal import inert, printable

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LONGEST = 1024  # of a description
_MOST_RESULTS = 25_000  # of a run; more are refused as a whole
_PRECISION = {"error": "very-high", "warning": "high", "note": "medium"}
_PROBLEMS = {"error": "error", "warning": "warning", "note": "recommendation"}


def render_sarif(reports: Sequence[FileReport], rules: Sequence[RuleCard], *, root: str) -> str:
    """One run, with everything that is known of the rules; files are named from ``root``."""
    index = {card.code: position for position, card in enumerate(rules)}
    found = flat(entries(reports))
    shown = found if len(found) <= _MOST_RESULTS else worst_first(found)[:_MOST_RESULTS]
    run = {
        "tool": {
            "driver": {
                "name": "onnxstride",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(card) for card in rules],
            }
        },
        "invocations": [
            {
                "executionSuccessful": all(report.error is None for report in reports),
                "toolExecutionNotifications": list(_notifications(found, len(shown), root)),
            }
        ],
        "artifacts": [_analysed(path) for path in dict.fromkeys(_uris(reports, root))],
        "results": [_result(entry, index, root) for entry in shown],
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return inert(json.dumps(document, indent=2, allow_nan=False)) + "\n"


def _rule(card: RuleCard) -> dict[str, Any]:
    return {
        "id": card.code,
        "name": "".join(word.capitalize() for word in card.name.split("-")),
        "shortDescription": {"text": _short(card.summary)},
        "fullDescription": {"text": _short(card.documentation)},
        "help": {"text": card.documentation, "markdown": card.markdown},
        "defaultConfiguration": {"level": card.severity},
        "properties": {
            "tags": ["onnx", "resolution"],
            "precision": _PRECISION[card.severity],
            "problem.severity": _PROBLEMS[card.severity],
        },
    }


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 2] + ".."


def _notifications(found: Sequence[Entry], shown: int, root: str) -> Iterator[dict[str, Any]]:
    for entry in found:
        if entry.finding is None:
            yield {
                "level": "error",
                "message": {"text": _unlinked(f"{entry.code} {entry.message}")},
                "locations": [{"physicalLocation": {"artifactLocation": _artifact(entry, root)}}],
            }
    if shown < len(found):
        told = f"{len(found) - shown} results are left out: a run holds {_MOST_RESULTS}."
        yield {"level": "warning", "message": {"text": told}}


def _result(entry: Entry, index: Mapping[str, int], root: str) -> dict[str, Any]:
    where: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": _artifact(entry, root),
            "region": {"startLine": 1},
        }
    }
    result: dict[str, Any] = {
        "ruleId": entry.code,
        "level": entry.severity.value,
        "message": {"text": _unlinked(entry.sentence)},
        "locations": [where],
        "partialFingerprints": {"primaryLocationLineHash": f"{entry.fingerprint}:1"},
    }
    if entry.code in index:
        result["ruleIndex"] = index[entry.code]
    if entry.finding is not None:
        where["logicalLocations"] = [_logical(entry, entry.finding)]
        result["properties"] = _properties(entry.finding)
    return result


def _unlinked(text: str) -> str:
    """The text without what a message would show as a link, ``[words](target)``."""
    return text.replace("](", "] (")


def _logical(entry: Entry, finding: Finding) -> dict[str, str]:
    return {
        "name": printable(finding.node.name) or entry.where,
        "fullyQualifiedName": entry.where,
        "kind": "node",
    }


def _properties(finding: Finding) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "operator": finding.node.op_type,
        "data": json_value(finding.data),
        "remedies": [
            {"name": remedy.name, "safety": remedy.safety.value} for remedy in finding.remedies
        ],
    }
    return {key: _showable(value) for key, value in properties.items()}


def _showable(value: Any) -> Any:
    """The same with texts safe to print, and null for empty ones: GitHub refuses those."""
    if isinstance(value, dict):
        return {key: _showable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_showable(item) for item in value]
    return printable(value) or None if isinstance(value, str) else value


def _analysed(uri: str) -> dict[str, Any]:
    return {"location": {"uri": uri}, "roles": ["analysisTarget"]}


def _artifact(entry: Entry, root: str) -> dict[str, str]:
    return {"uri": _uri(entry.path, root)}


def _uris(reports: Sequence[FileReport], root: str) -> Iterator[str]:
    for report in reports:
        yield _uri(report.path, root)


def _uri(path: str, root: str) -> str:
    """The path as a reference by RFC 3986; of a name that is no text, its bytes."""
    spelled = relative(path, root)
    try:
        name = spelled.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        name = spelled.encode("utf-8", "surrogatepass")
    return quote(name, safe="/~")
