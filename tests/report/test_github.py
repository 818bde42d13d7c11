"""Annotations are what GitHub's runner makes of them: no more, no fewer, word for word."""

import re
from typing import NamedTuple

import pytest
from hypothesis import given

from onnxstride.engine.results import FileError, FileReport
from onnxstride.report import entries, github
from onnxstride.report.github import render_github
from onnxstride.report.terminal import printable
from onnxstride.rule import NodeRef, Severity
from tests.planting import finding, report
from tests.report.hostile import RUNS, law

_CODES = {"%25": "%", "%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ","}


class Annotation(NamedTuple):
    level: str
    file: str
    title: str
    message: str


def parsed(line: str) -> Annotation:
    """A line as the runner reads it: two colons, a command, properties, two colons, data."""
    command, separator, data = line.lstrip().removeprefix("::").partition("::")
    level, _, told = command.partition(" ")
    if not line.startswith("::") or not separator or level not in ("error", "warning", "notice"):
        raise ValueError(f"no annotation: {line!r}")
    properties = dict(part.split("=", 1) for part in told.split(","))
    if not set(properties) <= {"file", "title"}:
        raise ValueError(f"unknown properties: {line!r}")
    file, title = (_undone(properties.get(key, "")) for key in ("file", "title"))
    return Annotation(level, file, title, _undone(data))


def _undone(text: str) -> str:
    return re.sub("%(?:25|0D|0A|3A|2C)", lambda match: _CODES[match[0]], text)


def annotations(*reports: FileReport) -> list[Annotation]:
    """What the runner makes of a log with the report in it; it breaks lines at CR and LF."""
    text = render_github(reports, root=".")
    assert text == "" or text.endswith("\n")
    return [parsed(line) for line in re.split(r"\r\n|\r|\n", text)[:-1]]


def test_each_part_of_a_finding_has_its_place() -> None:
    """File and title are properties, node and message the data."""
    assert annotations(report("models/a.onnx", finding("UP101"))) == [
        Annotation("warning", "models/a.onnx", "UP101 planted", "conv: planted here")
    ]


def test_the_worst_come_first() -> None:
    """What the runner drops is what matters least."""
    found = annotations(
        report("a", finding(severity=Severity.NOTE), finding("XX102")),
        FileReport("b", FileError("E001", "no such file")),
    )
    assert [(each.level, each.file) for each in found] == [
        ("error", "b"),
        ("warning", "a"),
        ("notice", "a"),
    ]


def test_findings_of_one_rule_in_one_file_are_one_annotation() -> None:
    """With the first nodes named and all of them counted."""
    nodes = [NodeRef(f"n{i}", "Conv", "", (), ()) for i in range(5)]
    (only,) = annotations(report("m", *(finding(node=node) for node in nodes)))
    assert only.title == "XX101 planted (5 nodes)"
    assert only.message == "n0, n1, n2 and 2 more: planted here"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(10, [f"m{i}" for i in range(10)], id="ten fit"),
        pytest.param(11, [*(f"m{i}" for i in range(9)), ""], id="eleven do not"),
        pytest.param(40, [*(f"m{i}" for i in range(9)), ""], id="forty do not"),
    ],
)
def test_there_are_ten_of_a_level_at_most(files: int, expected: list[str]) -> None:
    """GitHub shows no more; the tenth stands for the rest, in no file."""
    levels = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
    reports = [
        report(f"m{i}", *(finding(f"XX10{n}", severity=level) for n, level in enumerate(levels)))
        for i in range(files)
    ]
    found = annotations(*reports)
    for level in ("error", "warning", "notice"):
        assert [each.file for each in found if each.level == level] == expected
    if files > 10:
        rest = found[9]
        assert rest.title == f"{files - 9} more in {files - 9} files"
        assert rest.message.endswith(f": XX100 {files - 9}")


def assert_faithful(reports: list[FileReport]) -> None:
    """Each annotation is one that was meant, and says what was meant."""
    found = annotations(*reports)
    groups = {
        (entry.path, entry.code, entry.severity): entry
        for entry in reversed(entries.flat(entries.entries(reports)))
    }
    assert len(found) == len(groups)
    expected = {
        (
            {"note": "notice"}.get(entry.severity.value, entry.severity.value),
            printable(entry.path),
            entry.message,
        )
        for entry in groups.values()
    }
    for each in found:
        assert any(
            (each.level, each.file) == meant[:2] and each.message.endswith(meant[2])
            for meant in expected
        )


@law
@given(RUNS)
def test_hostile_names_forge_nothing(reports: list[FileReport]) -> None:
    """Line breaks, percent signs, colons and whole commands in names are read as they are."""
    assert_faithful(reports)


@pytest.mark.parametrize("name", ["_data", "_property"])
def test_without_escapes_they_would(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The law above is red for each escape that is left out."""
    monkeypatch.setattr(github, name, str)
    bad = NodeRef("%0A\r\n::error file=x::forged", "Conv", "", (), ())
    with pytest.raises((AssertionError, ValueError)):
        assert_faithful(
            [report("models/a,title=b::c%0A.onnx", finding(node=bad, message="100%25"))]
        )
