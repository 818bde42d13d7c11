"""Scopes, producers, consumers, and the names of nodes."""

from time import process_time

import onnx
import pytest
from onnx import helper

from onnxstride.graph import Graph
from onnxstride.graph.scope import Node, Scope

from .building import body, function, graph_of, model, node, value


def _named(graph: Graph, name: str) -> Node:
    (found,) = (each for each in graph.nodes() if each.name == name)
    return found


def _conditional(*then: onnx.NodeProto, out: str) -> onnx.NodeProto:
    other = body(node("Relu", "x", "other"), out="other")
    return helper.make_node(
        "If", ["c"], ["y"], "if", then_branch=body(*then, out=out), else_branch=other
    )


def _inputs() -> list[onnx.ValueInfoProto]:
    return [value("x", [1, 4, 8, 8]), value("c", [], onnx.TensorProto.BOOL)]


class TestBodies:
    def test_a_node_in_a_body_that_reads_an_outer_name_is_a_consumer_there(self) -> None:
        """Consumers are found across scopes, each node once however often it reads the name."""
        choice = _conditional(node("Add", "x x", "twice", name="inner"), out="twice")
        graph = graph_of(model(node("Neg", "x", "n", name="outer"), choice, inputs=_inputs()))
        consumers = graph.main.consumers("x")
        assert [each.op_type for each in consumers] == ["Neg", "Relu", "Add"]
        inner = _named(graph, "inner")
        assert inner.scope.consumers("x") is consumers
        assert inner.scope.producer("n") is _named(graph, "outer")

    def test_an_inner_definition_hides_the_outer_one(self) -> None:
        """A name belongs to the innermost scope that defines it."""
        choice = _conditional(node("Relu", "x", "n"), node("Exp", "n", "e"), out="e")
        graph = graph_of(model(node("Neg", "x", "n"), choice, inputs=_inputs()))
        (inner,) = (each for each in graph.nodes() if each.op_type == "Exp")
        producer = inner.scope.producer("n")
        assert producer is not None
        assert producer.op_type == "Relu"
        assert graph.main.consumers("n") == []

    def test_a_path_leads_from_the_main_graph_to_a_body_in_a_body(self) -> None:
        """Each step names the node that carries the body, and the attribute."""
        inside = _conditional(node("Neg", "x", "deep", name="deep"), out="deep")
        graph = graph_of(model(_conditional(inside, out="y"), inputs=_inputs()))
        deep = _named(graph, "deep")
        assert deep.ref.scope == ("if.then_branch", "if.then_branch")
        assert [scope.path for scope in graph.main.family()].count(()) == 1

    def test_what_a_body_hands_out_of_an_outer_scope_counts_as_output(self) -> None:
        """A map returned by a branch leaves the graph although no node reads it."""
        choice = _conditional(out="n")
        graph = graph_of(model(node("Neg", "x", "n"), choice, inputs=_inputs()))
        assert graph.main.is_output("n")
        assert not graph.main.is_output("x")

    @pytest.mark.parametrize("op_type", ["Loop", "Scan"])
    def test_bodies_of_loops_and_scans_are_scopes(self, op_type: str) -> None:
        """A convolution in the body of a loop is a layer."""
        step = body(
            node("Identity", "going", "on"),
            node("Conv", "x w", "made", strides=[2, 2], name="inner"),
            out="on made",
            inputs=[value("i", [], 7), value("going", [], 9)],
        )
        carrier = node(op_type, "n c", "y", body=step)
        inputs = [*_inputs(), value("n", [], 7)]
        graph = graph_of(model(carrier, inputs=inputs, weights={"w": [4, 4, 3, 3]}))
        (layer,) = graph.layers
        assert layer.sizes == (8, 8)
        assert layer.ref.scope == ("y.body",)


class TestFunctions:
    def test_a_function_sees_none_but_its_own_names(self) -> None:
        """A name of the main graph is undefined in a function."""
        half = function("Half", "a", "b", node("Add", "a x", "b"))
        graph = graph_of(
            model(node("Half", "x", "y", domain="f"), inputs=_inputs(), functions=[half])
        )
        assert "reads 'x', which nothing in the model defines" in str(graph.faults[0])

    def test_calls_are_known_through_functions_and_bodies(self) -> None:
        """A function knows every node that calls it, wherever that is."""
        inner = function("Inner", "a", "b", node("Relu", "a", "b", name="leaf"))
        outer = function("Outer", "a", "b", node("Inner", "a", "b", domain="f", name="from outer"))
        choice = _conditional(node("Inner", "x", "z", domain="f", name="from body"), out="z")
        proto = model(
            node("Outer", "x", "o", domain="f"), choice, inputs=_inputs(), functions=[inner, outer]
        )
        leaf = _named(graph_of(proto), "leaf")
        assert leaf.ref.scope == ("function f::Inner",)
        assert [call.name for call in leaf.scope.calls] == ["from body", "from outer"]
        assert leaf.scope.argument("a") is None

    def test_functions_that_differ_in_overload_are_different(self) -> None:
        """Domain and name do not tell two overloads apart."""
        one, two = (function("F", "a", "b", node(op, "a", "b")) for op in ("Relu", "Neg"))
        one.overload, two.overload = "", "second"
        call = node("F", "x", "y", domain="f")
        call.overload = "second"
        graph = graph_of(model(call, inputs=_inputs(), functions=[one, two], ir_version=10))
        assert graph.faults == ()
        assert [(scope.path, len(scope.calls)) for scope in graph.scopes[1:]] == [
            (("function f::F",), 0),
            (("function f::F:second",), 1),
        ]

    def test_a_call_is_no_layer_whatever_the_function_is_called(self) -> None:
        """A model's own FusedConv counts by the Conv in it, once."""
        own = function("FusedConv", "a w", "b", node("Conv", "a w", "b", name="inner"))
        own.domain = "com.microsoft"
        call = node("FusedConv", "x w", "y", domain="com.microsoft")
        proto = model(call, inputs=_inputs(), weights={"w": [4, 4, 3, 3]}, functions=[own])
        assert [layer.ref.name for layer in graph_of(proto).layers] == ["inner"]

    def test_a_domain_written_out_is_the_default_domain(self) -> None:
        """``ai.onnx`` and the empty domain are one, in operators and in opset imports."""
        relu = function(
            "F", "a", "b", node("MaxPool", "a", "b", domain="ai.onnx", kernel_shape=[2, 2])
        )
        relu.opset_import[0].domain = "ai.onnx"
        proto = model(node("F", "x", "y", domain="f"), inputs=_inputs(), functions=[relu])
        (layer,) = graph_of(proto).layers
        assert (layer.opset, layer.sizes) == (17, (8, 8))


class TestNames:
    def test_a_name_that_is_unique_in_its_scope_is_used(self) -> None:
        """The same name in another scope does not matter."""
        choice = _conditional(node("Exp", "x", "e", name="n"), out="e")
        graph = graph_of(model(node("Neg", "x", "z", name="n"), choice, inputs=_inputs()))
        assert [each.name for each in graph.nodes()] == ["n", "if", "other", "n"]

    @pytest.mark.parametrize("name", ["", "same"])
    def test_any_other_node_is_called_by_its_first_output(self, name: str) -> None:
        """Without a name, or with one that two nodes share."""
        pair = (node("Neg", "x", "a", name=name), node("Dropout", "a", "- m", name=name))
        graph = graph_of(model(*pair, inputs=_inputs(), out="a"))
        assert [each.name for each in graph.nodes()] == ["a", "m"]

    @pytest.mark.parametrize("name", ["a.b/c", "a\nb\x1b[31m", "\u202ea b", "'"])
    def test_a_name_is_kept_as_it_is_written(self, name: str) -> None:
        """Dots, control characters and quotes are part of a name, and escaped in messages."""
        bad = helper.make_node("MaxPool", ["x"], ["y"], name=name)
        graph = graph_of(model(bad, inputs=_inputs()))
        assert graph.nodes()[0].name == name
        (fault,) = graph.faults
        assert str(fault).isprintable()

    def test_initializers_listed_as_inputs_are_constants(self) -> None:
        """As every model of IR version 3 lists them."""
        proto = model(
            node("Conv", "x w", "y"),
            inputs={"x": [1, 4, 8, 8], "w": [4, 4, 3, 3]},
            weights={"w": [4, 4, 3, 3]},
            ir_version=3,
        )
        graph = graph_of(proto)
        assert graph.faults == ()
        weight = graph.constant(graph.nodes()[0], "w")
        assert weight is not None
        assert weight.shape == (4, 4, 3, 3)


class _Counting:
    """Counts how often a scope is asked where a name is defined."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        home = Scope.home

        def counted(scope: Scope, name: str) -> Scope | None:
            self.asked += 1
            return home(scope, name)

        monkeypatch.setattr(Scope, "home", counted)


def _many_bodies(count: int) -> onnx.ModelProto:
    choices = [
        node(
            "If", "c", f"y{i}", name=f"if{i}",
            then_branch=body(node("Conv", "x w", "a"), node("Relu", "a", "t"), out="t"),
            else_branch=body(node("Relu", "x", "e"), out="e"),
        )
        for i in range(count)
    ]  # fmt: skip
    return model(*choices, inputs=_inputs(), weights={"w": [4, 4, 3, 3]}, out="y0")


class TestCost:
    def test_many_nodes_cost_time_in_proportion(self) -> None:
        """A chain of 100,000 nodes, all of whose consumers are asked for, takes seconds."""
        chain = [node("Relu", f"t{i}", f"t{i + 1}") for i in range(100_000)]
        proto = model(*chain, inputs={"t0": [1, 4, 8, 8]}, out="t100000")
        start = process_time()
        graph = graph_of(proto)
        assert [len(graph.main.consumers(f"t{i}")) for i in (0, 50_000)] == [1, 1]
        assert process_time() - start < 20

    @pytest.mark.parametrize("turned", [False, True], ids=["sorted", "unsorted"])
    def test_many_bodies_cost_look_ups_in_proportion(
        self, monkeypatch: pytest.MonkeyPatch, turned: bool
    ) -> None:
        """Twice the bodies, twice the look-ups; a planted quadratic walk shows."""
        asked: list[int] = []
        for count in (50, 100):
            counting = _Counting(monkeypatch)
            proto = _many_bodies(count)
            if turned:
                proto.graph.node.append(node("Relu", "late", "early"))
                proto.graph.node.append(node("Relu", "x", "late"))
            graph = graph_of(proto)
            assert graph.faults == ()
            graph.main.consumers("x")
            asked.append(counting.asked)
        assert asked[1] < 2.2 * asked[0]

    def test_2000_nodes_with_two_bodies_each_take_seconds_at_most(self) -> None:
        """Bodies are found from the node that carries them, not by going through all."""
        proto = _many_bodies(2000)
        start = process_time()
        assert len(graph_of(proto).layers) == 2000
        assert process_time() - start < 5
