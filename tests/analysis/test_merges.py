"""Where maps meet, as rules are handed it."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto

from onnxstride.graph.layers import Merge
from tests.graph.building import body, function, graph_of, model, node, value

SHAPE: list[str | int | None] = ["N", 4, "H", "W"]
IMAGE = {"x": SHAPE}


def merges(*nodes: onnx.NodeProto) -> list[tuple[str, tuple[str, ...]]]:
    """Operator and maps of each merge."""
    network = model(*nodes, inputs=IMAGE, weights={"w": [4, 4, 3, 3], "b": [1, 4, 1, 1]})
    return [(merge.op, merge.inputs) for merge in graph_of(network).merges]


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum", "Concat"])
def test_nodes_that_join_maps(op: str) -> None:
    """Element by element, or side by side."""
    more = {"axis": 1} if op == "Concat" else {}
    assert merges(node("Relu", "x", "r"), node(op, "r x", "y", **more)) == [(op, ("r", "x"))]


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([node("Add", "x b", "y")], id="a map and a constant"),
        pytest.param(
            [node("Identity", "b", "c"), node("Add", "x c", "y")], id="a copy of a constant"
        ),
        pytest.param([node("Conv", "x w", "y")], id="no merge"),
        pytest.param(
            [
                node("Shape", "x", "s"), node("Gather", "s i", "g"), node("Cast", "g", "f", to=1),
                node("Mul", "x f", "y"),
            ],
            id="a number that follows from the shape",
        ),
        pytest.param(
            [
                node("Shape", "x", "s"), node("ConstantOfShape", "s", "z"), node("Add", "x z", "y")
            ],
            id="a map of zeros",
        ),
        pytest.param(
            [
                node("ReduceMean", "x", "m", axes=[1, 2, 3], keepdims=0), node("Exp", "m", "e"),
                node("Add", "m e", "y"),
            ],
            id="vectors",
        ),
    ],
)  # fmt: skip
def test_nodes_that_join_none(nodes: list[onnx.NodeProto]) -> None:
    """Constants, numbers, shapes and vectors are no maps."""
    assert merges(*nodes) == []


def test_several_maps_and_a_constant() -> None:
    """The constant is left out."""
    assert merges(node("Relu", "x", "r"), node("Sum", "r b x", "y")) == [("Sum", ("r", "x"))]


def test_a_merge_is_a_layer() -> None:
    """It has the spatial dimensions of its first map, and stands where its node does."""
    network = model(node("Relu", "x", "r"), node("Add", "x r", "y"), inputs=IMAGE)
    graph = graph_of(network, None, H=8)
    (merge,) = graph.merges
    assert isinstance(merge, Merge)
    assert (merge.input, merge.dims, merge.ref.name) == ("x", (8, "W"), "y")
    assert merge not in graph.layers
    assert graph.merges is graph.merges


def test_in_bodies_and_functions() -> None:
    """A body sees the maps around it; a function's inputs are what its calls pass."""
    choice = node(
        "If", "q", "c", then_branch=body(node("Add", "x r", "t"), out="t"),
        else_branch=body(node("Add", "x b", "e"), out="e"),
    )  # fmt: skip
    both = function("Both", "a c", "d", node("Add", "a c", "d"))
    scaled = function("Scaled", "a c", "d", node("Mul", "a c", "d"))
    network = model(
        node("Relu", "x", "r"), choice, node("Both", "c r", "d", domain="f"),
        node("Scaled", "d b", "y", domain="f"),
        inputs=[value("x", SHAPE), value("q", [], TensorProto.BOOL)],
        weights={"b": [1, 4, 1, 1]}, functions=[both, scaled],
    )  # fmt: skip
    found = [(merge.op, merge.node.scope.path) for merge in graph_of(network).merges]
    assert found == [("Add", ("c.then_branch",)), ("Add", ("function f::Both",))]


def test_nodes_out_of_order() -> None:
    """What is constant is found whatever the order of the file; merges come in that order."""
    network = model(
        node("Add", "r c", "y"), node("Identity", "b", "c"), node("Add", "x r", "r2"),
        node("Relu", "x", "r"), inputs=IMAGE, weights={"b": [1, 4, 1, 1]}, out="y r2",
    )  # fmt: skip
    assert [merge.inputs for merge in graph_of(network).merges] == [("x", "r")]


def test_quantised_spellings() -> None:
    """QLinearAdd and QLinearConcat, whose scales and zero points are no maps."""
    network = model(
        node("QLinearAdd", "a s z b s z s z", "c", domain="com.microsoft"),
        node("QLinearConcat", "s z a s z c s z", "y", domain="com.microsoft", axis=1),
        inputs=[value(name, SHAPE, TensorProto.UINT8) for name in "ab"],
        weights={"s": [1], "z": [1]},
    )  # fmt: skip
    assert [(each.op, each.inputs) for each in graph_of(network).merges] == [
        ("Add", ("a", "b")),
        ("Concat", ("a", "c")),
    ]
