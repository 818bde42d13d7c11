"""JUnit's XML is read by a parser others wrote, with every file and finding in it."""

from typing import Any

import pytest
from hypothesis import given
from junitparser import JUnitXml, TestCase, TestSuite

from onnxstride.engine.results import FileError, FileReport
from onnxstride.report import entries, junit
from onnxstride.report.junit import render_junit
from onnxstride.rule import Severity
from tests.planting import finding, report
from tests.report.hostile import RUNS, law


def suites(*reports: FileReport, fail_on: Severity | None = Severity.WARNING) -> list[TestSuite]:
    """The suites as the parser reads them; the counts of the whole are their sums."""
    text = render_junit([report._replace(fail_on=fail_on) for report in reports], root=".")
    whole: Any = JUnitXml.fromstring(text.encode())
    found: list[TestSuite] = list(whole)
    for count in ("tests", "failures", "errors"):
        assert getattr(whole, count) == sum(getattr(suite, count) for suite in found)
    return found


def outcomes(suite: TestSuite) -> list[str]:
    """What became of each case of a suite; the counts it declares are those."""
    named = [_outcome(case) for case in suite]
    assert suite.tests == len(named)
    assert suite.failures == named.count("Failure")
    assert suite.errors == named.count("Error")
    return named


def _outcome(case: TestCase) -> str:
    return " ".join(type(result).__name__ for result in case.result) or "passed"


def test_a_clean_file_has_a_case_that_passes() -> None:
    """Else viewers say that nothing was tested."""
    (suite,) = suites(report("models/clean.onnx"))
    assert suite.name == "models/clean.onnx"
    assert outcomes(suite) == ["passed"]


@pytest.mark.parametrize(
    ("fail_on", "expected"),
    [
        (Severity.NOTE, ["Failure", "Failure", "Failure"]),
        (Severity.WARNING, ["Failure", "Failure", "passed"]),
        (Severity.ERROR, ["Failure", "passed", "passed"]),
        (None, ["passed", "passed", "passed"]),
    ],
)
def test_what_fails_the_run_fails_its_case(fail_on: Severity | None, expected: list[str]) -> None:
    """The rest is in the output of a case that passes."""
    found = [finding(severity=severity, message=severity.name) for severity in Severity]
    (suite,) = suites(report("m", *found), fail_on=fail_on)
    assert outcomes(suite) == expected
    for case, severity in zip(suite, Severity, strict=True):
        told = case.result[0].text if case.result else case.system_out
        assert told is not None
        assert told.endswith(f"conv: {severity.name}")


def test_a_file_that_cannot_be_read_is_an_error_whatever_fails() -> None:
    """Beside it stand the findings about the rest."""
    broken = FileReport("m", FileError("E005", "too short"), (finding(),))
    (suite,) = suites(broken, fail_on=None)
    assert outcomes(suite) == ["Error", "passed"]
    (error,) = next(iter(suite)).result
    assert (error.type, error.message) == ("E005", "too short")


def test_cases_are_named_by_rule_and_node() -> None:
    """So that servers follow one from build to build."""
    (suite,) = suites(report("m", finding("UP101", name="uneven-overlap")))
    assert [(case.classname, case.name) for case in suite] == [("m", "UP101 uneven-overlap conv")]


def assert_faithful(reports: list[FileReport]) -> None:
    """The parser finds each finding in its file, and each message whole."""
    found = suites(*reports)
    assert len(found) == len(reports)
    for suite, file in zip(found, entries.entries(reports), strict=True):
        cases = list(suite)
        assert len(cases) == max(len(file), 1)
        for case, entry in zip(cases, file, strict=False):
            told = case.result[0].text if case.result else case.system_out
            assert told is not None
            assert entry.message.strip() in told
            assert case.name == f"{entry.code} {entry.name} {entry.where}".rstrip()


@law
@given(RUNS)
def test_hostile_names_stay_text(reports: list[FileReport]) -> None:
    """Ends of elements and sections, control and half characters in names change nothing."""
    assert render_junit(reports, root=".").isascii()
    assert_faithful(reports)


@pytest.mark.parametrize("place", [entries, junit], ids=["nodes", "paths"])
def test_without_escapes_they_would(monkeypatch: pytest.MonkeyPatch, place: object) -> None:
    """XML has no spelling for a null: the parser refuses the document."""
    monkeypatch.setattr(place, "printable", str)
    with pytest.raises(Exception, match="invalid"):
        assert_faithful([report("m\x00.onnx", finding(message="\x00"))])
