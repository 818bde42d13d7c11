"""The Code Quality report has the fields that GitLab documents, and no others."""

import copy
import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given

from onnxstride.engine.results import FileError, FileReport
from onnxstride.report.gitlab import render_gitlab
from onnxstride.rule import Severity
from tests.planting import finding, report
from tests.report.hostile import RUNS, law
from tests.report.samples import REPORTS

_jsonschema: Any = import_module("jsonschema")  # it ships no types

_TEXT = {"type": "string", "minLength": 1}
# GitLab, Code Quality: description, check_name, fingerprint, severity, location.path and
# location.lines.begin are all it reads, and it passes over an issue without one of them.
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": _TEXT,
            "check_name": _TEXT,
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "additionalProperties": False,
                "required": ["path", "lines"],
                "properties": {
                    # a relative path, without ./ in front
                    "path": {"type": "string", "pattern": "^(?!\\.?/)"},
                    "lines": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


def check(document: Any) -> None:
    """Raise when GitLab would not take the document, or show less than it holds."""
    _jsonschema.Draft202012Validator(SCHEMA).validate(document)
    fingerprints = [issue["fingerprint"] for issue in document]
    assert len(fingerprints) == len(set(fingerprints)), "equal ones collapse to one"


def issues(*reports: FileReport, root: str = ".") -> Any:
    """The report, as GitLab would take it."""
    document = json.loads(render_gitlab(reports, root=root))
    check(document)
    return document


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda it: it[0].pop("fingerprint"), id="no fingerprint"),
        pytest.param(lambda it: it.append(it[0]), id="a fingerprint twice"),
        pytest.param(lambda it: it[0].update(severity="warning"), id="unknown severity"),
        pytest.param(lambda it: it[0]["location"].pop("lines"), id="no line"),
        pytest.param(lambda it: it[0]["location"].update(path="/m.onnx"), id="absolute"),
        pytest.param(lambda it: it[0]["location"].update(path="./m.onnx"), id="from a dot"),
        pytest.param(lambda it: it[0].update(description=""), id="nothing to say"),
    ],
)
def test_other_documents_are_refused(change: Callable[[Any], object]) -> None:
    """Each departure is one the checker notices."""
    document = copy.deepcopy(issues(*REPORTS))
    change(document)
    with pytest.raises((AssertionError, _jsonschema.ValidationError)):
        check(document)


def test_severities_are_gitlabs() -> None:
    """A model that cannot be read is worse than any finding."""
    found = issues(
        report("m", *(finding(severity=severity) for severity in Severity)),
        FileReport("n", FileError("E001", "no such file")),
    )
    assert [each["severity"] for each in found] == ["critical", "major", "info", "blocker"]


def test_paths_start_at_the_top_of_the_repository() -> None:
    """Wherever the tool was run; bytes that are no text are spelled out."""
    paths = ["/repository/models/a.onnx", "/repository/\udce9.onnx"]
    found = issues(*(report(path, finding()) for path in paths), root="/repository")
    assert [each["location"]["path"] for each in found] == ["models/a.onnx", "\\udce9.onnx"]


@law
@given(RUNS)
def test_hostile_names_stay_text(reports: list[FileReport]) -> None:
    """One issue for each finding and error; the report is ASCII without a mark in front."""
    text = render_gitlab(reports, root=".")
    assert text.isascii()
    document = json.loads(text)
    check(document)
    json.dumps(document, ensure_ascii=False).encode()  # no half characters
    assert len(document) == sum(len(it.findings) + (it.error is not None) for it in reports)
