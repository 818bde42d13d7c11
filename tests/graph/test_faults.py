"""Graphs that contradict themselves: each is said in one fault, and the rest is still judged."""

from time import process_time

import onnx
import pytest
from onnx import helper

from onnxstride.errors import InvalidGraph
from onnxstride.graph import read_graph
from onnxstride.modelfile import ModelFile, open_model

from .building import body, fault_of, function, graph_of, model, node, ref, value

X = {"x": [1, 4, 8, 8]}
POOL = node("MaxPool", "x", "pooled", name="pool", kernel_shape=[2, 2])


def _branch(then: onnx.GraphProto) -> onnx.NodeProto:
    other = body(node("Relu", "x", "other"), out="other")
    return helper.make_node("If", ["c"], ["y"], "if", then_branch=then, else_branch=other)


FAULTS: dict[str, tuple[onnx.ModelProto, str]] = {
    "a cycle": (
        model(POOL, node("Add", "x b", "a"), node("Relu", "a", "b"), inputs=X, out="b"),
        "depends on its own output: the graph has a cycle",
    ),
    "a node that reads itself": (
        model(POOL, node("Add", "x y", "y"), inputs=X),
        "Add 'y' depends on its own output",
    ),
    "a cycle through a body": (
        model(
            POOL, _branch(body(node("Exp", "late", "e"), out="e")), node("Neg", "y", "late"),
            inputs=[value("x", [1, 4, 8, 8]), value("c", [], 9)],
        ),
        "depends on its own output",
    ),
    "a cycle, and before it in the file a node that only comes after it": (
        model(POOL, node("Exp", "a", "y"), node("Add", "x a", "a"), inputs=X),
        "Add 'a' depends on its own output",
    ),
    "a tensor computed twice": (
        model(POOL, node("Relu", "x", "y"), node("Neg", "x", "y"), inputs=X),
        "Neg 'y' defines 'y', which is already defined",
    ),
    "a tensor computed and given": (
        model(POOL, node("Relu", "x", "x"), inputs=X, out="x"),
        "Relu 'x' defines 'x', which is already defined",
    ),
    "a tensor computed twice in a body": (
        model(
            POOL, _branch(body(node("Exp", "x", "e"), node("Neg", "x", "e"), out="e")),
            inputs=[value("x", [1, 4, 8, 8]), value("c", [], 9)],
        ),
        "Neg 'e' defines 'e', which is already defined",
    ),
    "two inputs of one name": (
        model(POOL, node("Relu", "x", "y"), inputs=[value("x", [1, 4, 8, 8]), value("x")]),
        "two graph inputs have the same name",
    ),
    "an input nobody defines": (
        model(POOL, node("Relu", "lost", "y"), inputs=X),
        "Relu 'y' reads 'lost', which nothing in the model defines",
    ),
    "an output nobody computes": (
        model(POOL, node("Relu", "x", "z"), inputs=X),
        "graph output 'y' is computed by no node",
    ),
    "a function that calls itself": (
        model(
            POOL, node("F", "x", "y", domain="f"), inputs=X,
            functions=[function("F", "a", "b", node("F", "a", "b", domain="f"))],
        ),
        "function f::F calls itself",
    ),
    "a function defined twice": (
        model(
            POOL, node("F", "x", "y", domain="f"), inputs=X,
            functions=[function("F", "a", "b", node(op, "a", "b")) for op in ("Relu", "Neg")],
        ),
        "function f::F is defined twice",
    ),
    "no version of the operators": (
        helper.make_model(model(POOL, inputs=X, out="pooled").graph, opset_imports=[
            helper.make_opsetid("com.microsoft", 1)
        ]),
        "names no opset version",
    ),
    "a version of ONNX yet to come": (
        model(POOL, inputs=X, out="pooled", ir_version=999),
        "IR version 999 is newer than",
    ),
    "an input larger than memory": (
        model(POOL, inputs={"x": [1, 4, 8, 8], "big": [2**40, 2**40]}, out="pooled"),
        "input 'big' of shape [1099511627776, 1099511627776] has more elements",
    ),
}  # fmt: skip


@pytest.mark.parametrize("label", FAULTS)
def test_a_contradiction_is_one_fault_and_layers_are_judged(label: str) -> None:
    """The message says what was found where; the pool beside it is still a layer."""
    proto, message = FAULTS[label]
    graph = graph_of(proto)
    assert len(graph.faults) == 1
    assert message in str(graph.faults[0])
    assert isinstance(graph.faults[0], InvalidGraph)
    assert "pool" in [layer.ref.name for layer in graph.layers]


def test_two_initializers_of_one_name_are_a_fault() -> None:
    """Which one is meant cannot be known."""
    proto = model(POOL, inputs=X, out="pooled", weights={"w": [2]})
    proto.graph.initializer.append(proto.graph.initializer[0])
    assert fault_of(proto) == "two initializers have the same name"


def test_a_graph_without_nodes_is_refused() -> None:
    """Nothing judged must not read as nothing wrong."""
    with pytest.raises(InvalidGraph, match="no node"):
        read_graph(ModelFile.from_proto(model(inputs=X, out="x")))


@pytest.mark.parametrize("name", [b"pooled", b"pool_1", b"MaxPool"])
def test_a_name_that_is_not_text_is_refused(name: bytes) -> None:
    """Nothing can be called by such a name, so the model is refused as a whole."""
    pool = node("MaxPool", "x", "pooled", name="pool_1", kernel_shape=[2, 2])
    whole = model(pool, inputs=X, out="pooled").SerializeToString()
    damaged = open_model(whole.replace(name, b"\xff" * len(name)))
    with pytest.raises(InvalidGraph, match="is not UTF-8 text"):
        read_graph(damaged)


def test_the_order_of_nodes_does_not_matter() -> None:
    """A file whose nodes are turned round is no contradiction."""
    chain = [node("Relu", "c", "y"), node("Conv", "b w", "c"), node("Relu", "x", "b")]
    graph = graph_of(model(*chain, inputs=X, weights={"w": [4, 4, 3, 3]}))
    assert graph.faults == ()
    assert [layer.ref.name for layer in graph.layers] == ["c"]


class TestCalls:
    def test_calls_that_multiply_are_not_expanded(self) -> None:
        """Thirty functions that each call the next twice stand for 2^30 nodes: a quick fault."""
        functions = [
            function(
                f"F{i}", "a", "b",
                node(f"F{i + 1}", "a", "c", domain="f"), node(f"F{i + 1}", "c", "b", domain="f"),
            )
            for i in range(30)
        ]  # fmt: skip
        last = function("F30", "a", "b", node("MaxPool", "a", "b", kernel_shape=[2, 2]))
        call = node("F0", "x", "y", domain="f")
        start = process_time()
        graph = graph_of(model(call, inputs=X, functions=[*functions, last]))
        assert process_time() - start < 2
        assert "expand to more than 200,000 nodes" in str(graph.faults[0])
        assert len(graph.layers) == 1

    def test_few_calls_of_a_large_function_count_by_its_nodes(self) -> None:
        """What costs is the nodes that calls stand for, not the calls."""
        large = function("F", "a", "b", *(node("Relu", "a", f"t{i}") for i in range(999)),
                         node("Relu", "a", "b"))  # fmt: skip
        calls = [node("F", "x", f"y{i}", domain="f") for i in range(201)]
        assert "expand to more than" in fault_of(
            model(*calls, inputs=X, functions=[large], out="y0")
        )
        assert graph_of(model(*calls[:9], inputs=X, functions=[large], out="y0")).faults == ()

    @pytest.mark.parametrize("count", [66, 5000])
    def test_a_tower_of_calls_is_a_fault(self, count: int) -> None:
        """Too deep for onnx to expand, and for Python to walk."""
        functions = [
            function(f"F{i}", "a", "b", node(f"F{i + 1}", "a", "b", domain="f"))
            for i in range(count)
        ]
        pool = node("MaxPool", "a", "b", kernel_shape=[2, 2])
        pool.attribute.append(ref("strides", "strides", onnx.AttributeProto.INTS))
        last = function(f"F{count}", "a", "b", pool, parameters=["strides"])
        graph = graph_of(
            model(node("F0", "x", "y", domain="f"), inputs=X, functions=[*functions, last])
        )
        assert f"call each other {count + 1} deep" in str(graph.faults[0])

    def test_functions_that_call_each_other_with_parameters_come_to_an_end(self) -> None:
        """A parameter handed round in a ring has no value, and is not looked for for ever."""
        pool = node("MaxPool", "a", "c", name="pool", kernel_shape=[2, 2])
        again = node("F", "c", "b", domain="f")
        for each in (pool, again):
            each.attribute.append(ref("strides", "strides", onnx.AttributeProto.INTS))
        ring = function("F", "a", "b", pool, again, parameters=["strides"])
        graph = graph_of(
            model(node("F", "x", "y", domain="f", strides=[2, 2]), inputs=X, functions=[ring])
        )
        assert "calls itself" in str(graph.faults[0])
        assert [reason for _, reason in graph.skips] == [
            "strides is set by the callers of the function, not all alike"
        ]
