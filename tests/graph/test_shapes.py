"""Shapes: declared, or inferred by onnx on a model without its weights."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, shape_inference
from onnx.onnx_cpp2py_export import shape_inference as inference

from onnxstride.graph import read_graph, shapes
from onnxstride.modelfile import open_model

from .building import body, function, graph_of, model, node, ref, value

X = {"x": [1, 4, 8, 8]}


class _Counting:
    """Counts how often onnx infers shapes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs = 0
        infer = inference.infer_shapes

        def counted(*arguments: Any, **options: Any) -> Any:
            self.runs += 1
            return infer(*arguments, **options)

        monkeypatch.setattr(inference, "infer_shapes", counted)


class TestWhenInferred:
    def test_nothing_is_inferred_where_the_file_says_it_all(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Declared inputs, outputs, values and weights are enough."""
        counting = _Counting(monkeypatch)
        proto = model(
            node("Relu", "x", "r"), node("Conv", "r w", "y"), inputs=X,
            weights={"w": [4, 4, 3, 3]}, values=[value("r", [1, 4, 8, 8])],
        )  # fmt: skip
        assert graph_of(proto).layers[0].sizes == (8, 8)
        assert counting.runs == 0
        assert graph_of(proto).main.shape("y") == (1, 4, 6, 6)  # a planted question is counted
        assert counting.runs == 1

    def test_a_model_is_inferred_once_and_a_function_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many shapes are asked for, in the main graph and in its bodies."""
        counting = _Counting(monkeypatch)
        pool = function("F", "a", "b", node("Relu", "a", "r"),
                        node("MaxPool", "r", "b", kernel_shape=[2, 2]))  # fmt: skip
        chain = [node("Relu", "x", "t0")] + [
            node("MaxPool", f"t{i}", f"t{i + 1}", kernel_shape=[2, 2]) for i in range(5)
        ]
        proto = model(*chain, node("F", "t5", "y", domain="f"), inputs=X, functions=[pool])
        graph = graph_of(proto)
        assert [layer.sizes for layer in graph.layers] == [(8 - i,) * 2 for i in (0, 1, 2, 3, 4, 5)]
        assert counting.runs == 2

    @pytest.mark.parametrize("error", [RuntimeError, ValueError, IndexError, MemoryError])
    def test_inference_that_gives_up_leaves_what_is_declared(
        self, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
    ) -> None:
        """Its exceptions are not the reader's."""

        def fails(*_: Any, **__: Any) -> Any:
            raise error("planted")

        monkeypatch.setattr(inference, "infer_shapes", fails)
        graph = graph_of(model(node("Relu", "x", "y"), inputs=X))
        assert (graph.main.shape("x"), graph.main.shape("y")) == ((1, 4, 8, 8), None)

    def test_limits_of_onnx_are_no_traceback(self) -> None:
        """Onnx refuses to walk more than 10,000 functions, with an exception of its own."""
        functions = [function(f"F{i}", "a", "b", node("Relu", "a", "b")) for i in range(10_001)]
        proto = model(node("F0", "x", "y", domain="f"), inputs=X, functions=functions)
        assert graph_of(proto).main.shape("y") is None


class TestUnknownSizes:
    @pytest.mark.parametrize("size", [0, -1])
    def test_inference_does_not_calculate_with_a_size_that_means_any(self, size: int) -> None:
        """-1 + 2 3 - 3 + 1 = 3 rows would come of a padded Conv over -1 rows."""
        conv = node("Conv", "x w", "c", pads=[3, 3, 3, 3])
        proto = model(conv, node("MaxPool", "c", "y", kernel_shape=[2, 2]),
                      inputs={"x": [1, 4, size, 8]}, weights={"w": [4, 4, 3, 3]})  # fmt: skip
        onnx_says = shape_inference.infer_shapes(proto).graph.value_info[0].type.tensor_type.shape
        assert onnx_says.dim[2].dim_value == 4 + size  # the poison, if it were let in
        assert [layer.sizes for layer in graph_of(proto).layers] == [(None, 8), (None, 12)]

    def test_symbols_empty_dimensions_and_missing_shapes_are_told_apart(self) -> None:
        """A symbol is kept, an empty dimension is None, a missing shape is no shape."""
        proto = model(node("Add", "x z", "y"), inputs={"x": ["N", None, 4], "z": None})
        main = graph_of(proto).main
        assert (main.shape("x"), main.shape("z"), main.shape("nowhere")) == (
            ("N", None, 4), None, None,
        )  # fmt: skip


def _deep(kind: str) -> onnx.NodeProto:
    pool = [node("Relu", "v", "r"), node("MaxPool", "r", "p", kernel_shape=[2, 2], name="pool")]
    if kind == "If":
        pool[0].input[0] = "x"
        other = body(node("Relu", "x", "e"), out="e")
        return node("If", "c", "y", then_branch=body(*pool, out="p"), else_branch=other)
    if kind == "Loop":
        inputs = [value("i", [], 7), value("k", [], 9), value("v")]
        step = body(node("Identity", "k", "on"), *pool, node("Relu", "x", "next"), out="on next",
                    inputs=inputs)  # fmt: skip
        step.node[1].input[0] = "x"
        return node("Loop", "n c x", "y", body=step)
    step = body(*pool, out="p", inputs=[value("v")])
    return node("Scan", "x", "y", body=step, num_scan_inputs=1)


@pytest.mark.parametrize(("kind", "sizes"), [("If", (8, 8)), ("Loop", (8, 8)), ("Scan", (8, 8))])
def test_shapes_are_inferred_inside_bodies(kind: str, sizes: tuple[int, ...]) -> None:
    """A Scan hands its body one slice of what it reads."""
    shape = [5, 1, 4, 8, 8] if kind == "Scan" else [1, 4, 8, 8]
    inputs = [value("x", shape), value("c", [], 9), value("n", [], 7)]
    graph = graph_of(model(_deep(kind), inputs=inputs))
    assert graph.faults == ()
    assert graph.layers[0].sizes == sizes


class TestFunctions:
    POOL = function("F", "a", "b", node("Relu", "a", "r"),
                    node("MaxPool", "r", "b", kernel_shape=[2, 2]))  # fmt: skip

    @pytest.mark.parametrize(
        ("shapes_passed", "dims"),
        [
            ([[1, 4, 8, 8]], (8, 8)),
            ([[1, 4, 8, 8], [1, 4, 8, 8]], (8, 8)),
            ([[1, 4, 8, 8], [1, 4, 9, 9]], (None, None)),
            ([[1, 4, "H", 8]], ("H", 8)),
            ([], (None, None)),
        ],
        ids=["one call", "calls that agree", "calls that differ", "a symbol", "no call"],
    )
    def test_a_function_sees_the_shape_all_its_calls_agree_on(
        self, shapes_passed: list[list[int | str]], dims: tuple[object, ...]
    ) -> None:
        """What only some calls pass is unknown inside."""
        calls = [node("F", f"x{i}", f"y{i}", domain="f") for i in range(len(shapes_passed))]
        inputs = {f"x{i}": shape for i, shape in enumerate(shapes_passed)} | {"x": [1]}
        proto = model(node("Relu", "x", "y"), *calls, inputs=inputs, functions=[self.POOL])
        assert graph_of(proto).layers[0].dims == dims

    def test_shapes_reach_a_function_called_by_a_function(self) -> None:
        """Through as many calls as there are."""
        outer = function("Outer", "a", "b", node("Relu", "a", "t"), node("F", "t", "b", domain="f"))
        proto = model(node("Outer", "x", "y", domain="f"), inputs=X, functions=[self.POOL, outer])
        assert graph_of(proto).layers[0].sizes == (8, 8)

    def test_a_parameter_counts_as_what_the_calls_pass(self) -> None:
        """Inference reads a reference as an attribute without a value, so it is filled in."""
        first = node("MaxPool", "a", "t", kernel_shape=[2, 2])
        first.attribute.append(ref("strides", "step", onnx.AttributeProto.INTS))
        two = function("Two", "a", "b", first, node("MaxPool", "t", "b", kernel_shape=[2, 2]),
                       parameters=["step"])  # fmt: skip
        calls = [node("Two", "x", f"y{i}", domain="f", step=[2, i]) for i in (2, 2, 4)]
        agreed = model(*calls[:1], *calls[1:2], inputs=X, functions=[two], out="y2")
        agreed.graph.node[1].output[0] = "z"
        assert [layer.sizes for layer in graph_of(agreed).layers] == [(8, 8), (4, 4)]
        differing = graph_of(model(*calls[1:], inputs=X, functions=[two], out="y2"))
        assert [layer.sizes for layer in differing.layers] == [(None, None)]
        assert len(differing.skips) == 1

    def test_a_node_on_which_the_calls_differ_has_no_shape(self) -> None:
        """Read as an attribute without a value, ceil_mode would pass for 0."""
        first = node("MaxPool", "a", "t", kernel_shape=[2, 2], strides=[2, 2])
        first.attribute.append(ref("ceil_mode", "up", onnx.AttributeProto.INT))
        two = function("Two", "a", "b", first, node("MaxPool", "t", "b", kernel_shape=[2, 2]),
                       parameters=["up"])  # fmt: skip
        for modes, sizes in (((0, 1), (None, None)), ((1, 1), (5, 5))):
            calls = [node("Two", "x", f"y{i}", domain="f", up=up) for i, up in enumerate(modes)]
            proto = model(*calls, inputs={"x": [1, 4, 9, 9]}, functions=[two], out="y0")
            assert graph_of(proto).layers[-1].sizes == sizes

    def test_a_constant_that_one_call_passes_is_known_inside(self) -> None:
        """A Reshape in a function follows the target its call gives."""
        inner = function("In", "a s", "b", node("Reshape", "a s", "t"),
                         node("MaxPool", "t", "b", kernel_shape=[2, 2]))  # fmt: skip
        outer = function("Out", "a s", "b", node("In", "a s", "b", domain="f"))
        target = np.array([1, 1, 16, 16])
        for passed, weights in (("target", {"target": target}), ("made", None)):
            make = [] if weights else [node("Constant", "", "made", value_ints=target.tolist())]
            if make:
                tensor = onnx.numpy_helper.from_array(target)
                make = [node("Constant", "", "made", value=tensor)]
            proto = model(*make, node("Out", f"x {passed}", "y", domain="f"), inputs=X,
                          weights=weights, functions=[inner, outer])  # fmt: skip
            assert graph_of(proto).layers[0].sizes == (16, 16)

    def test_shapes_declared_in_a_function_count(self) -> None:
        """Since IR version 10 a function may declare what is in it."""
        odd = function("F", "a", "b", node("Mystery", "a", "t", domain="f"),
                       node("MaxPool", "t", "b", kernel_shape=[2, 2]))  # fmt: skip
        odd.value_info.append(value("t", [1, 4, 6, 6]))
        proto = model(node("F", "x", "y", domain="f"), inputs=X, functions=[odd], ir_version=10)
        assert graph_of(proto).layers[0].sizes == (6, 6)


def _with_large_weights() -> onnx.ModelProto:
    """Weights beyond what the reader keeps, and small tensors that decide about shapes."""
    large = onnx.numpy_helper.from_array(np.ones((64, 16, 3, 3), np.float32))
    return model(
        node("Conv", "x w1", "a", strides=[2, 2]),
        node("Constant", "", "w2", value=large),
        node("Conv", "a w2", "b"),
        node("Shape", "b", "s"),
        node("Slice", "s zero two", "nc"),
        node("Concat", "nc hw", "target", axis=0),
        node("Reshape", "b target", "c"),
        node("Resize", "c - scales", "d"),
        node("Gather", "table index", "target2"),
        node("Reshape", "d target2", "e"),
        node("MaxPool", "e", "y", kernel_shape=[2, 2]),
        inputs={"x": [1, 8, 35, 35]},
        weights={
            "w1": [16, 8, 3, 3],
            "zero": np.array([0]), "two": np.array([2]), "hw": np.array([45, 5]),
            "scales": np.array([1, 1, 2, 2], np.float32),
            "table": np.arange(4096), "index": np.array([1, 64, 900, 1]),
        },
    )  # fmt: skip


def test_a_model_without_its_weights_has_the_shapes_of_the_whole(tmp_path: Path) -> None:
    """What is cut out of the file never decides about a shape."""
    proto = _with_large_weights()
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    whole = {
        each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in shape_inference.infer_shapes(proto, data_prop=True).graph.value_info
    }
    with open_model(path) as file:
        cut = [tensor.name for tensor in file.proto.graph.initializer if file.cut(tensor)]
        assert cut == ["w1", "table"]  # or nothing is tested
        main = read_graph(file).main
        for name in "abcd":
            assert main.shape(name) == tuple(whole[name])
        assert len(main.shape("e") or ()) == 4


def test_a_planted_wrong_inference_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison of whole and cut models fails when inference is taken away."""
    monkeypatch.setattr(shapes, "_inferred", lambda model: model)
    assert graph_of(_with_large_weights()).main.shape("d") is None


def test_a_file_of_an_unknown_operator_version_keeps_what_is_declared() -> None:
    """The rest of the model is judged by its declarations."""
    pool = node("MaxPool", "x", "y", kernel_shape=[2, 2])
    graph = graph_of(helper.make_model(
        model(pool, inputs=X).graph, opset_imports=[helper.make_opsetid("", 9999)]
    ))  # fmt: skip
    assert graph.layers[0].sizes == (8, 8)
