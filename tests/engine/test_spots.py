"""Findings are placed under the names that Model Explorer's ONNX adapter gives graphs and nodes.

The names below are those that model-explorer-onnx 0.4.2 answers with for the same model.
"""

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from onnxstride.engine.lint import lint_file
from onnxstride.engine.policy import Policy
from onnxstride.engine.spots import Spot, spots_of
from onnxstride.graph import Graph, read_graph
from onnxstride.modelfile import open_model
from onnxstride.registry import load_rules
from onnxstride.rule import NodeRef
from tests.planting import finding

MODEL = """
<ir_version: 8, opset_import: ["": 17, "my.dom": 1]>
top (float[1] x, bool c, int64 m) => (float[1] r4, float[1] r5, float[1] r6) {
    a = Relu (x)
    b = Relu (a)
    ["node"] d = Relu (b)
    ["dup"] e = Relu (d)
    ["dup"] f = Neg (e)
    ["dup_1"] g = Abs (f)
    ["if"] r4 = If (c) <
        then_branch = then_graph () => (float[1] t1) {
            t0 = Exp (a)
            ["same"] t1 = Neg (t0)
        },
        else_branch = else_graph () => (float[1] e1) { e1 = Loop (m, c, a) <body =
            in_branch (int64 i2, bool c2, float[1] x2) => (bool d2, float[1] y2) {
                d2 = Identity (c2)
                y2 = Ceil (x2)
            }>
        }>
    ["loop"] r5 = Loop (m, c, g) <body =
        body_graph (int64 i, bool c0, float[1] x0) => (bool c1, float[1] x1) {
            c1 = Identity (c0)
            ["inner"] x1 = Loop (m, c, x0) <body =
                deep_graph (int64 i3, bool c3, float[1] x3) => (bool d3, float[1] y3) {
                    d3 = Identity (c3)
                    ["deep"] y3 = Floor (x3)
                }>
        }>
    ["call"] r6 = my.dom.Twice (x, c)
}
<domain: "my.dom", opset_import: ["": 17]>
Twice (p, q) => (r) {
    s = Sqrt (p)
    ["choice"] r = If (q) <
        then_branch = g1 () => (float[1] u) { ["within"] u = Sin (s) },
        else_branch = g2 () => (float[1] v) { v = Cos (s) }>
}
"""


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """A model with nodes of every kind of name, in every kind of scope."""
    (tmp_path / "model.onnxtxt").write_text(MODEL)
    with open_model(tmp_path / "model.onnxtxt") as opened:
        yield read_graph(opened)


@pytest.mark.parametrize(
    ("output", "spot"),
    [
        pytest.param("a", ("top", "node"), id="without a name"),
        pytest.param("b", ("top", "node_1"), id="another without"),
        pytest.param("d", ("top", "node_2"), id="called as those without"),
        pytest.param("e", ("top", "dup"), id="its own name"),
        pytest.param("f", ("top", "dup_1"), id="a name that is taken"),
        pytest.param("g", ("top", "dup_1_1"), id="called as one that was renamed"),
        pytest.param("t0", ("top", "if/then_branch/node"), id="in a branch"),
        pytest.param("t1", ("top", "if/then_branch/same"), id="a name in a branch"),
        pytest.param("y2", ("if/else_branch/node/body", "node_3"), id="a loop in a branch"),
        pytest.param("c1", ("loop/body", "node"), id="in the body of a loop"),
        pytest.param("x1", ("loop/body", "inner"), id="a loop in a loop"),
        pytest.param("y3", ("loop/body", "inner"), id="deeper than is drawn"),
        pytest.param("s", ("[function]my.dom::Twice", "node"), id="in a function"),
        pytest.param("u", ("[function]my.dom::Twice", "choice"), id="a branch in a function"),
    ],
)
def test_a_node_is_found_where_it_is_shown(
    graph: Graph, output: str, spot: tuple[str, str]
) -> None:
    """Whatever its name, and however deep it lies."""
    (node,) = (node for node in graph.nodes() if node.output(0) == output)
    shown = spots_of(graph, [finding(node=node.ref)])
    assert shown.main == "top"
    assert shown.nodes == {node.ref: Spot(*spot)}


def test_what_is_drawn_is_found_in_one_place_only(graph: Graph) -> None:
    """No two nodes that are drawn share a spot."""
    stood_in_for = ("y3", "d3", "u", "v")
    refs = [node.ref for node in graph.nodes() if node.output(0) not in stood_in_for]
    shown = spots_of(graph, [finding(node=ref) for ref in refs])
    assert list(shown.nodes) == refs
    assert len(set(shown.nodes.values())) == len(refs)


def test_what_is_no_node_has_no_spot(graph: Graph) -> None:
    """A rule of somebody else's may name anything."""
    made_up = [NodeRef("up", "Conv", "", scope, outputs) for scope in ((), ("up.body",))
               for outputs in ((), ("a",), ("nowhere",))]  # fmt: skip
    assert spots_of(graph, [finding(node=ref) for ref in made_up]).nodes == {}


def test_nothing_is_looked_for_without_a_finding(graph: Graph) -> None:
    """The name of the main graph is all that is known then."""
    assert spots_of(graph, []) == ("top", {})


@pytest.mark.parametrize(("name", "shown"), [("", ""), (None, "<main>")], ids=["empty", "missing"])
def test_a_graph_without_a_name(tmp_path: Path, name: str | None, shown: str) -> None:
    """The adapter tells one that is empty from one that is not there."""
    model = onnx.parser.parse_model(MODEL)
    model.graph.ClearField("name")
    if name is not None:
        model.graph.name = name
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    report = lint_file(str(path), load_rules(), Policy(finds_spots=True))
    assert report.shown is not None
    assert report.shown.main == shown
    assert lint_file(str(path), load_rules(), Policy()).shown is None  # which costs nothing
