"""The overlay has the fields that Model Explorer documents, and keeps models apart."""

import copy
import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given

from onnxstride.engine.results import FileError, FileReport
from onnxstride.engine.spots import Shown, Spot
from onnxstride.report.model_explorer import render_model_explorer
from onnxstride.rule import Finding, NodeRef, Severity
from tests.planting import CONV, finding, report
from tests.report.hostile import RUNS, law
from tests.report.samples import REPORTS

_jsonschema: Any = import_module("jsonschema")  # it ships no types

# google-ai-edge/model-explorer, node_data_builder.py: GraphNodeData by graph, NodeDataResult by
# node. A value may be of any type (types.ts), and is printed unless it is an object.
SCHEMA = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "additionalProperties": False,
        "required": ["results"],
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "hideInAggregatedStatsTable": {"type": "boolean"},
            "results": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["value", "bgColor"],
                    "properties": {
                        "value": {"type": "string", "minLength": 1},
                        # it works out the colour of the text from these digits
                        "bgColor": {"type": "string", "pattern": "^#[0-9a-f]{6}$"},
                    },
                },
            },
        },
    },
}


def check(document: Any) -> None:
    """Raise when Model Explorer would not take the document for data of several graphs."""
    _jsonschema.Draft202012Validator(SCHEMA).validate(document)
    # One with results at the top is taken for data of whatever graph is looked at.
    assert "results" not in document or "results" in document["results"]


def overlay(*reports: FileReport) -> Any:
    """The overlay, as Model Explorer would take it."""
    document = json.loads(render_model_explorer(reports))
    check(document)
    return document


def model(path: str, graph: str, *findings: Finding) -> FileReport:
    """The report of a model whose graph has this name."""
    spots = {each.node: Spot(graph, each.node.name) for each in findings}
    return report(path, *findings)._replace(shown=Shown(graph, spots))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda it: it["clean"].pop("results"), id="no results"),
        pytest.param(lambda it: it["clean"].update(title="x"), id="an unknown field"),
        pytest.param(lambda it: it["generator"]["results"].update(conv="bad"), id="a bare value"),
        pytest.param(
            lambda it: it["generator"]["results"]["conv"].update(bgColor="red-ish"), id="a colour"
        ),
        pytest.param(lambda it: it["generator"]["results"]["conv"].update(value=""), id="no text"),
        pytest.param(lambda it: it.update(results={"name": "x"}), id="for any graph"),
    ],
)
def test_other_documents_are_refused(change: Callable[[Any], object]) -> None:
    """Each departure is one the checker notices."""
    document = copy.deepcopy(overlay(*REPORTS))
    change(document)
    with pytest.raises((AssertionError, _jsonschema.ValidationError)):
        check(document)


def test_a_node_tells_all_its_findings_in_the_colour_of_the_worst() -> None:
    """One line each."""
    found = [finding(severity=severity) for severity in (Severity.NOTE, Severity.ERROR)]
    results = overlay(model("m.onnx", "net", *found))["net"]["results"]
    assert results["conv"]["value"].splitlines() == [
        "XX101 note planted: planted here",
        "XX101 error planted: planted here",
    ]
    alone = overlay(model("m.onnx", "net", found[1]))["net"]["results"]
    assert results["conv"]["bgColor"] == alone["conv"]["bgColor"]


def test_each_severity_has_a_colour() -> None:
    """Of its own."""
    documents = [overlay(model("m", "net", finding(severity=each))) for each in Severity]
    assert len({it["net"]["results"]["conv"]["bgColor"] for it in documents}) == len(Severity)


def test_a_clean_model_is_there_too() -> None:
    """A graph without a word about it has not been looked at."""
    assert overlay(model("m.onnx", "net"))["net"]["results"] == {}


def test_findings_stand_where_their_nodes_are_shown() -> None:
    """In the graph of their own, under the name given there; those of bodies say where they are."""
    inner = NodeRef("deep", "Conv", "", ("loop.body",), ("x",))
    told = report("m.onnx", finding(node=inner), finding())._replace(
        shown=Shown("net", {inner: Spot("loop/body", "node_1"), CONV: Spot("net", "conv")})
    )
    document = overlay(told)
    assert document["loop/body"]["results"]["node_1"]["value"].endswith(
        "planted: loop.body > deep: planted here"
    )
    assert list(document["net"]["results"]) == ["conv"]


def test_an_unreadable_model_is_told_of() -> None:
    """By its path; of one that can be read in part, where its graph is looked at."""
    gone = FileReport("gone.onnx", FileError("E001", "no such file"))
    part = model("m.onnx", "net", finding())._replace(error=FileError("E005", "too short"))
    document = overlay(gone, part)
    assert document["gone.onnx"]["name"] == "onnxstride: E001 no such file"
    assert document["net"]["name"] == "onnxstride: E005 too short"
    assert "conv" in document["net"]["results"]


def test_graphs_of_one_name_are_kept_apart() -> None:
    """What is wrong with one model is never shown in another; the name says what to do."""
    document = overlay(
        model("a.onnx", "main", finding()), model("b.onnx", "main"), model("c.onnx", "other")
    )
    assert document["main"]["results"] == {}
    assert "2 models have a graph of this name (a.onnx, b.onnx)" in document["main"]["name"]
    assert list(document["a.onnx: main"]["results"]) == ["conv"]
    assert document["b.onnx: main"]["results"] == document["other"]["results"] == {}


def test_names_that_are_taken_are_passed_over() -> None:
    """Nothing is lost, whatever graphs are called."""
    document = overlay(
        model("a", "main", finding()), model("b", "main"), model("c", "a: main", finding("XX102"))
    )
    assert "XX102" in document["a: main"]["results"]["conv"]["value"]
    assert "XX101" in document["a: main (2)"]["results"]["conv"]["value"]


def test_a_graph_called_results_is_one_of_several() -> None:
    """Its data are not taken for those of whatever graph is looked at."""
    assert set(overlay(model("m.onnx", "results", finding()))) == {"results"}


@law
@given(RUNS)
def test_hostile_names_stay_text(reports: list[FileReport]) -> None:
    """Every finding and error is told once; the report is ASCII, and text when read back."""
    text = render_model_explorer(reports)
    assert text.isascii()
    document = json.loads(text)
    check(document)
    json.dumps(document, ensure_ascii=False).encode()  # no half characters
    lines = [
        line
        for graph in document.values()
        for result in graph["results"].values()
        for line in result["value"].split("\n")
    ]
    assert len(lines) == sum(len(it.findings) for it in reports)
    assert sum("E001" in graph["name"] for graph in document.values()) == sum(
        it.error is not None for it in reports
    )
