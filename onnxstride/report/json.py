"""The report for programs: one JSON document, described by ``schemas/lint.schema.json``.

Figures become what JSON has: a fraction is its integer or float, an array a list, a set a sorted
list, an enumeration its value, and the floats JSON lacks are the strings ``"inf"``, ``"-inf"`` and
``"nan"``. Anything else is its text. The document is ASCII, so no terminal, code page or log can
spoil a name.
"""

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from math import isfinite
from typing import Any

from .. import __version__
from ..engine.results import FileReport, Stale, Summary, summarise
from ..rule import Finding, NodeRef, Skip
from .ignored import ignored_as_json, stale_as_json, unmatched_as_json
from .terminal import inert

SCHEMA_VERSION = "1"


def render_json(
    reports: Sequence[FileReport], *, why: bool = False, stale: Sequence[Stale] | None = None
) -> str:
    """All reports as one document; ``skips`` are listed only where ``why`` is asked.

    ``stale`` is what baselines record and was not found; None where there was no baseline.
    """
    unmatched = unmatched_as_json(reports)
    gone = {} if stale is None else {"stale_baseline": [stale_as_json(each) for each in stale]}
    return document(
        files=[_file(*each, why) for each in zip(reports, unmatched, strict=True)],
        **gone,
        summary=summary_as_json(summarise(reports)),
    )


def document(**content: Any) -> str:
    """A JSON document that says which tool and which version of the format wrote it."""
    return inert(json.dumps({**document_head(), **content}, indent=2, allow_nan=False)) + "\n"


def document_head() -> dict[str, Any]:
    """The versions of the format and of the tool."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "onnxstride", "version": __version__},
    }


def summary_as_json(counts: Summary) -> dict[str, Any]:
    """The counts over all files."""
    return {
        "files": counts.files,
        "errors": counts.errors,
        "by_code": counts.by_code,
        "by_severity": counts.by_severity,
        "ignored": counts.ignored,
    }


def json_value(value: Any) -> Any:
    """A figure as JSON has it; see the module's docstring."""
    if isinstance(value, Enum):
        return json_value(value.value)
    if value is None or isinstance(value, bool | str):
        return value
    if hasattr(value, "tolist"):  # arrays and scalars of numpy, without importing it
        return json_value(value.tolist())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, set | frozenset):
        return [json_value(item) for item in sorted(value)]
    if hasattr(value, "denominator"):  # Fraction, without importing it
        return value.numerator if value.denominator == 1 else float(value)
    return str(value)


def _file(report: FileReport, unmatched: list[dict[str, Any]], why: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": report.path, "status": "error" if report.error else "ok"}
    if report.error:
        entry["error"] = {"code": report.error.code, "message": report.error.message}
    entry["findings"] = [finding_as_json(finding) for finding in report.findings]
    entry["ignored"] = [
        ignored_as_json(each, finding_as_json(each.finding)) for each in report.ignored
    ]
    entry["unmatched_ignores"] = unmatched
    if why:
        entry["skips"] = [_skip(skip) for skip in report.skips]
    if report.probed is not None:
        from .probe import probe_as_json

        entry["probe"] = json_value(probe_as_json(report.probed))
    return entry


def finding_as_json(finding: Finding) -> dict[str, Any]:
    """A finding as every document has it."""
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "message": finding.message,
        "node": node_as_json(finding.node),
        "data": json_value(finding.data),
        "remedies": [
            {"name": remedy.name, "safety": remedy.safety.value} for remedy in finding.remedies
        ],
    }


def _skip(skip: Skip) -> dict[str, Any]:
    return {"code": skip.code, "node": node_as_json(skip.node), "reason": skip.reason}


def node_as_json(node: NodeRef) -> dict[str, Any]:
    """A node as every document names it."""
    return {
        "name": node.name,
        "op_type": node.op_type,
        "domain": node.domain,
        "scope": list(node.scope),
        "outputs": list(node.outputs),
    }
