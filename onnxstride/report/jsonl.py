"""JSON Lines: one object a line, and in each a ``kind`` that says what it is.

``error``, ``finding`` and ``probe`` have what the JSON document has of them, and the path of their
file. The last line is the ``summary``, with the versions of tool and format; without it a report
is not whole.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ..engine.results import FileReport, summarise
from .json import document_head, finding_as_json, json_value, summary_as_json


def render_jsonl(reports: Sequence[FileReport]) -> str:
    """The lines in the order of the report."""
    lines = [line for report in reports for line in _of_file(report)]
    lines.append({"kind": "summary", **document_head(), **summary_as_json(summarise(reports))})
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)


def _of_file(report: FileReport) -> Iterator[dict[str, Any]]:
    path = report.path
    if report.error:
        code, message = report.error
        yield {"kind": "error", "path": path, "code": code, "message": message}
    for finding in report.findings:
        yield {"kind": "finding", "path": path, **finding_as_json(finding)}
    if report.probed is not None:
        from .probe import probe_as_json

        yield {"kind": "probe", "path": path, **json_value(probe_as_json(report.probed))}
