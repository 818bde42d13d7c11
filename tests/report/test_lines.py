"""The formats of one record a line: for grep and editors, and for programs."""

import json
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given

from onnxstride.engine.results import FileError, FileReport
from onnxstride.report import entries
from onnxstride.report.concise import render_concise
from onnxstride.report.json import render_json
from onnxstride.report.jsonl import render_jsonl
from onnxstride.rule import Remedy, Safety
from tests import schema
from tests.planting import finding, report
from tests.report.hostile import RUNS, law
from tests.report.samples import REPORTS
from tests.report.test_probe import answer, output, probed

_jsonschema: Any = import_module("jsonschema")  # it ships no types


def objects(*reports: FileReport) -> list[Any]:
    """The lines of the report, each read for itself."""
    text = render_jsonl(reports)
    assert text.isascii()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


class TestJsonl:
    def test_lines_hold_what_the_document_holds(self) -> None:
        """Findings and errors in order, with the path of their file; the counts come last."""
        *told, summary = objects(*REPORTS)
        document = json.loads(render_json(REPORTS))
        schema.validate(document)
        expected: list[Any] = []
        for file in document["files"]:
            if "error" in file:
                expected.append({"kind": "error", "path": file["path"], **file["error"]})
            for kind, key in (
                ("finding", "findings"),
                ("ignored", "ignored"),
                ("unmatched_ignore", "unmatched_ignores"),
            ):
                expected += [{"kind": kind, "path": file["path"], **each} for each in file[key]]
        assert told == expected
        head = {key: document[key] for key in ("schema_version", "tool")}
        assert summary == {"kind": "summary", **head, **document["summary"]}

    def test_a_clean_run_is_one_line(self) -> None:
        """A report that is cut short is told from one with nothing in it."""
        assert [line["kind"] for line in objects(report())] == ["summary"]

    def test_a_probe_is_a_line(self) -> None:
        """With the figures of the document."""
        seen = report("m")._replace(probed=probed(output("y", answer("grey", 0.5))))
        probe, _ = objects(seen)
        document = json.loads(render_json([seen]))
        assert probe == {"kind": "probe", "path": "m", **document["files"][0]["probe"]}

    @law
    @given(RUNS)
    def test_hostile_names_stay_on_their_line(self, reports: list[FileReport]) -> None:
        """One object for each finding and error, and the summary."""
        expected = sum(len(it.findings) + (it.error is not None) for it in reports)
        assert len(objects(*reports)) == expected + 1


class TestConcise:
    def test_one_line_says_it_all(self) -> None:
        """File, node, code, severity, message, remedies with their safety."""
        remedy = Remedy("resize", Safety.TRAINING)
        broken = FileReport("b.onnx", FileError("E001", "no such file"))
        assert render_concise([report("a.onnx", finding(remedies=[remedy])), broken]) == (
            "a.onnx: conv: XX101 warning planted here Remedies: resize (training).\n"
            "b.onnx: E001 error no such file\n"
        )

    def test_a_clean_run_is_silent(self) -> None:
        """There is nothing to jump to."""
        assert render_concise([report("m")]) == ""

    @law
    @given(RUNS)
    def test_hostile_names_stay_on_their_line(self, reports: list[FileReport]) -> None:
        """One printable line for each finding and error."""
        assert_one_line_each(reports)

    def test_without_escapes_they_would_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The law above is red where names are passed on."""
        monkeypatch.setattr(entries, "printable", str)
        with pytest.raises(AssertionError):
            assert_one_line_each([report("m", finding(message="a\x85b\x1b[2J"))])


def assert_one_line_each(reports: list[FileReport]) -> None:
    """No name breaks a line or holds what a terminal obeys."""
    lines = render_concise(reports).split("\n")[:-1]
    assert len(lines) == sum(len(it.findings) + (it.error is not None) for it in reports)
    assert all(line.isprintable() for line in lines)
