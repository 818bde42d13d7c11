"""Who reads a feature map, seen through copies of it."""

import onnx

from onnxstride.graph.readers import readers, source

from .building import body, graph_of, model, node, value

X = [value("x", [1, 4, 8, 8]), value("c", [], 9)]
SCALES = {"s": [], "w": [4, 4, 1, 1]}


def _readers(proto: onnx.ModelProto, name: str) -> tuple[list[str], bool]:
    graph = graph_of(proto)
    found, is_output = readers(graph.main, name)
    return sorted(each.name for each in found), is_output


class TestReaders:
    def test_copies_are_looked_through_upstream_and_downstream(self) -> None:
        """Casts, quantisation and dropout leave an element where it stands."""
        nodes = [
            node("Neg", "x", "map"),
            node("QuantizeLinear", "map s", "q"), node("DequantizeLinear", "q s", "d"),
            node("Identity", "map", "same"), node("Dropout", "same", "dropped"),
            node("Conv", "d w", "one"), node("Conv", "dropped w", "two"), node("Relu", "map", "y"),
        ]  # fmt: skip
        proto = model(*nodes, inputs=X, weights=SCALES)
        for name in ("map", "q", "d", "same", "dropped"):
            assert _readers(proto, name) == (["one", "two", "y"], False)
        graph = graph_of(proto)
        assert source(graph.main, "dropped") == (graph.main, "map")

    def test_microsoft_quantisation_is_looked_through(self) -> None:
        """It does what ONNX's does."""
        theirs = "com.microsoft"
        nodes = [
            node("QuantizeLinear", "x s", "q", domain=theirs),
            node("DequantizeLinear", "q s", "d", domain=theirs), node("Relu", "d", "y"),
        ]  # fmt: skip
        assert _readers(model(*nodes, inputs=X, weights=SCALES), "x") == (["y"], False)
        nodes[0].domain = "f"
        assert _readers(model(*nodes, inputs=X, weights=SCALES), "x") == (["q"], False)

    def test_a_copy_that_leaves_the_graph_is_an_output(self) -> None:
        """Also when it leaves from a body."""
        assert _readers(model(node("Cast", "x", "y", to=1), inputs=X), "x") == ([], True)
        choice = node(
            "If", "c", "y", then_branch=body(node("Identity", "x", "t"), out="t"),
            else_branch=body(node("Relu", "x", "e"), out="e"),
        )  # fmt: skip
        assert _readers(model(choice, inputs=X), "x") == (["e"], True)

    def test_a_node_that_reads_twice_is_one_reader(self) -> None:
        """Once for the map and once for a copy of it."""
        nodes = [node("Identity", "x", "i"), node("Add", "x i", "y"), node("Mul", "i i", "z")]
        assert _readers(model(*nodes, inputs=X), "x") == (["y", "z"], False)

    def test_a_scale_is_read_as_a_scale(self) -> None:
        """A map that another is quantised by is not copied."""
        nodes = [node("QuantizeLinear", "x m", "y"), node("Relu", "s", "m")]
        assert _readers(model(*nodes, inputs=X, weights=SCALES), "m") == (["y"], False)

    def test_copies_in_a_ring_come_to_an_end(self) -> None:
        """They have no source; their readers are found."""
        nodes = [node("Identity", "b", "a"), node("Identity", "a", "b"), node("Relu", "b", "y")]
        assert _readers(model(*nodes, inputs=X), "a") == (["y"], False)
