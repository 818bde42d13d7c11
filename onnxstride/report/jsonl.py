"""JSON Lines: one object a line, and in each a ``kind`` that says what it is.

``error``, ``finding``, ``ignored``, ``unmatched_ignore`` and ``probe`` have what the JSON document
has of them, and the path of their file; ``stale_baseline`` belongs to no file that was linted. The
last line is the ``summary``, with the versions of tool and format; without it a report is not
whole.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ..engine.results import FileReport, Stale, summarise
from .ignored import ignored_as_json, stale_as_json, unmatched_as_json
from .json import document_head, finding_as_json, json_value, summary_as_json
from .terminal import inert


def render_jsonl(reports: Sequence[FileReport], *, stale: Sequence[Stale] = ()) -> str:
    """The lines in the order of the report; then what baselines record and was not found."""
    files = zip(reports, unmatched_as_json(reports), strict=True)
    lines = [line for report, unmatched in files for line in _of_file(report, unmatched)]
    lines += [{"kind": "stale_baseline", **stale_as_json(each)} for each in stale]
    lines.append({"kind": "summary", **document_head(), **summary_as_json(summarise(reports))})
    return "".join(inert(json.dumps(line, allow_nan=False)) + "\n" for line in lines)


def _of_file(report: FileReport, unmatched: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    path = report.path
    if report.error:
        code, message = report.error
        yield {"kind": "error", "path": path, "code": code, "message": message}
    for finding in report.findings:
        yield {"kind": "finding", "path": path, **finding_as_json(finding)}
    for each in report.ignored:
        ignored = ignored_as_json(each, finding_as_json(each.finding))
        yield {"kind": "ignored", "path": path, **ignored}
    for ignore in unmatched:
        yield {"kind": "unmatched_ignore", "path": path, **ignore}
    if report.probed is not None:
        from .probe import probe_as_json

        yield {"kind": "probe", "path": path, **json_value(probe_as_json(report.probed))}
