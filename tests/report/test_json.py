"""The JSON report is one valid document that its schema describes."""

import json
from fractions import Fraction
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.engine.results import UNJUDGED, FileError, FileReport
from onnxstride.report.json import json_value, render_json
from onnxstride.rule import NodeRef, Remedy, Safety, Severity, Skip
from tests import schema
from tests.planting import CONV, finding, report

REPORTS = [
    report(
        "b.onnx",
        finding(
            "UP101",
            node=NodeRef("up", "ConvTranspose", "com.microsoft", ("loop.body",), ("y", "")),
            remedies=[Remedy("pad-kernel", Safety.EXACT)],
            overlap_ratio=Fraction(9, 4),
            ripple_db=-inf,
        ),
        skips=[Skip("DN203", CONV, "size unknown"), Skip(UNJUDGED, CONV, "kernel unknown")],
    ),
    FileReport("a.onnx", FileError("E005", "short"), (finding("DN201", severity=Severity.NOTE),)),
    FileReport("c.onnx", FileError("E001", "no such file")),
]


def rendered(*reports: FileReport, why: bool = False) -> Any:
    """The document, checked against the schema."""
    document = json.loads(render_json(reports, why=why))
    schema.validate(document)
    return document


def test_the_schema_is_itself_valid() -> None:
    """The shipped file is a JSON Schema of the draft it names."""
    schema.check_schema()


def test_the_document_holds_everything_in_the_order_given() -> None:
    """Files as given, each with status, error and findings; figures as JSON has them."""
    document = rendered(*REPORTS)
    assert document["schema_version"] == "1"
    assert document["tool"]["name"] == "onnxstride"
    assert [file["path"] for file in document["files"]] == ["b.onnx", "a.onnx", "c.onnx"]
    assert [file["status"] for file in document["files"]] == ["ok", "error", "error"]
    assert document["files"][1]["error"] == {"code": "E005", "message": "short"}
    assert len(document["files"][1]["findings"]) == 1
    assert document["files"][0]["findings"] == [
        {
            "code": "UP101",
            "name": "planted",
            "severity": "warning",
            "message": "planted here",
            "node": {
                "name": "up",
                "op_type": "ConvTranspose",
                "domain": "com.microsoft",
                "scope": ["loop.body"],
                "outputs": ["y", ""],
            },
            "data": {"overlap_ratio": 2.25, "ripple_db": "-inf"},
            "remedies": [{"name": "pad-kernel", "safety": "exact"}],
        }
    ]
    assert document["summary"] == {
        "files": 3,
        "errors": 2,
        "by_code": {"DN201": 1, "UP101": 1},
        "by_severity": {"error": 0, "warning": 1, "note": 1},
        "ignored": 0,
    }


def test_no_files_is_a_document_too() -> None:
    """Even an empty run is valid."""
    assert rendered()["files"] == []


def test_skips_are_there_only_where_asked() -> None:
    """With --why every file has them, possibly none."""
    assert all("skips" not in file for file in rendered(*REPORTS)["files"])
    skips = [file["skips"] for file in rendered(*REPORTS, why=True)["files"]]
    assert [len(entry) for entry in skips] == [2, 0, 0]
    assert skips[0][1]["code"] == "ALL"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(inf, "inf", id="infinity"),
        pytest.param(nan, "nan", id="nan"),
        pytest.param(np.float64(-inf), "-inf", id="numpy infinity"),
        pytest.param(np.float32(0.5), 0.5, id="numpy float"),
        pytest.param(np.int64(7), 7, id="numpy int"),
        pytest.param(np.bool_(True), True, id="numpy bool"),
        pytest.param(np.array([[1.0, nan]]), [[1.0, "nan"]], id="array"),
        pytest.param(Fraction(6, 3), 2, id="whole fraction"),
        pytest.param(Fraction(3, 4), 0.75, id="fraction"),
        pytest.param(Severity.NOTE, "note", id="enumeration"),
        pytest.param((1, (2, None)), [1, [2, None]], id="tuples"),
        pytest.param({3, 1, 2}, [1, 2, 3], id="set"),
        pytest.param({1: {"a": -inf}}, {"1": {"a": "-inf"}}, id="mapping"),
        pytest.param(2**70, 2**70, id="large integer"),
        pytest.param(10**400, 10**400, id="integer beyond any float"),
        pytest.param(True, True, id="bool"),
        pytest.param(Path("x"), "x", id="anything else"),
    ],
)
def test_figures_become_what_json_has(value: object, expected: object) -> None:
    """A rule may put any value in its data; the document stays standard JSON."""
    document = rendered(report("m", finding(figure=value)))
    assert document["files"][0]["findings"][0]["data"] == {"figure": expected}


@given(st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=9))
def test_any_figure_survives_strict_json(value: object) -> None:
    """Converted figures serialise without the extensions JSON readers choke on."""
    text = json.dumps(json_value(value), allow_nan=False)
    assert json_value(json.loads(text)) == json_value(value)


def test_the_document_is_ascii_and_the_same_every_time() -> None:
    """Names in any script, even broken ones, survive any terminal, log or code page."""
    hostile = report("\udce9\x1b.onnx", finding(message="入力 \x9b"))
    text = render_json([hostile])
    assert text.isascii()
    assert text == render_json([hostile])
    assert "\x1b" not in text
    assert json.loads(text)["files"][0]["path"] == "\udce9\x1b.onnx"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(["files", 0, "status"], "fine", id="unknown status"),
        pytest.param(["files", 0, "status"], "error", id="error status without an error"),
        pytest.param(["files", 2, "status"], "ok", id="ok status with an error"),
        pytest.param(["files", 0, "findings", 0, "severity"], "bad", id="unknown severity"),
        pytest.param(["files", 0, "findings", 0, "code"], "x", id="malformed code"),
        pytest.param(["files", 0, "findings", 0, "extra"], 1, id="extra field"),
        pytest.param(["summary", "by_severity"], {}, id="severities missing"),
        pytest.param(["schema_version"], "2", id="another version"),
        pytest.param(["files", 0, "ignored"], [{}], id="ignored by nobody"),
        pytest.param(["files", 0, "unmatched_ignores"], [{"code": "UP"}], id="a wish of nobody"),
        pytest.param(["stale_baseline"], [{"recorded": 1}], id="stale without a place"),
        pytest.param(["summary", "ignored"], -1, id="less than none ignored"),
    ],
)
def test_the_schema_refuses_other_documents(path: list[Any], value: object) -> None:
    """Each departure from the contract is one the schema notices."""
    document = rendered(*REPORTS)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not schema.is_valid(document)
