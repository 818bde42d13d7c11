"""Counts over reports are what a reader would count."""

import pickle

import pytest

from onnxstride.engine.results import FileError, FileReport, Summary, fails, reaches, summarise
from onnxstride.rule import Severity, Skip
from tests.planting import CONV, finding, report

MIXED = [
    report("a.onnx", finding("UP101"), finding("DN201", severity=Severity.NOTE), finding("DN201")),
    FileReport("b.onnx", FileError("E001", "gone")),
    report("c.onnx"),
]


def test_summary_counts_files_layers_and_findings() -> None:
    """Codes that do not occur are left out, severities never."""
    assert summarise(MIXED) == Summary(
        files=3,
        errors=1,
        layers=2,
        by_code={"DN201": 2, "UP101": 1},
        by_severity={"error": 0, "warning": 2, "note": 1},
        ignored=0,
    )


@pytest.mark.parametrize("worst", list(Severity))
@pytest.mark.parametrize("level", list(Severity))
def test_a_level_is_reached_from_above(worst: Severity, level: Severity) -> None:
    """A finding reaches its own level and those below it, and no error of a file counts."""
    found = report("a", finding(severity=worst))
    assert reaches(found, level) == (worst.rank >= level.rank)
    assert not reaches(found, None)
    reports = [MIXED[1]._replace(fail_on=Severity.NOTE), found._replace(fail_on=level)]
    assert fails(reports) == (worst.rank >= level.rank)


def test_each_file_has_its_own_level() -> None:
    """A finding counts against the level of its own file."""
    noted = report("a", finding(severity=Severity.NOTE))
    assert not fails([noted, MIXED[1]._replace(fail_on=Severity.NOTE)])
    assert fails([noted._replace(fail_on=Severity.NOTE)])


def test_reports_travel_between_processes() -> None:
    """A report survives pickling unchanged."""
    original = report("a", finding(ratio=2.5, taps=(2, 1)), skips=[Skip("ALL", CONV, "unknown")])
    assert pickle.loads(pickle.dumps(original)) == original  # noqa: S301 - our own bytes
