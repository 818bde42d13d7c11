"""Which layers reach an output of the model through pointwise operators."""

from typing import Any

import numpy as np
import onnx
import pytest

from onnxstride.graph.downstream import reaches_output
from onnxstride.graph.layers import ConvTranspose

from .building import Array, body, function, graph_of, model, node, ref, value

UP = node("ConvTranspose", "x w", "d", strides=[2, 2])


def reaches(*after: onnx.NodeProto, out: str = "y", **more: Any) -> bool:
    """Whether a ConvTranspose from ``x`` to ``d`` does, with these nodes behind it."""
    proto = model(UP, *after, inputs={"x": [1, 2, 8, 8]}, out=out, **_with_weight(more))
    return _reaches(proto)


def _with_weight(more: dict[str, Any]) -> dict[str, Any]:
    weights: dict[str, Array] = {"w": np.ones((2, 4, 2, 2), np.float32), **more.pop("weights", {})}
    return {**more, "weights": weights}


def _reaches(proto: onnx.ModelProto) -> bool:
    graph = graph_of(proto)
    (layer,) = (each for each in graph.layers if isinstance(each, ConvTranspose))
    return reaches_output(graph, layer.node)


INT = np.array
POINTWISE = {
    "Tanh": node("Tanh", "d", "y"),
    "Sigmoid": node("Sigmoid", "d", "y"),
    "Clip": node("Clip", "d k k", "y"),
    "Relu": node("Relu", "d", "y"),
    "PRelu": node("PRelu", "d k", "y"),
    "Add with a constant": node("Add", "d k", "y"),
    "Add with itself": node("Add", "d d", "y"),
    "Mul with another map": node("Mul", "other d", "y"),
    "Cast": node("Cast", "d", "y", to=onnx.TensorProto.DOUBLE),
    "Identity": node("Identity", "d", "y"),
    "Slice": node("Slice", "d one five axes", "y"),
    "Transpose": node("Transpose", "d", "y", perm=[0, 2, 3, 1]),
    "QuantizeLinear": node("QuantizeLinear", "d k", "y"),
    "BatchNormalization": node("BatchNormalization", "d c c c c", "y"),
    "Concat of channels": node("Concat", "d other", "y", axis=1),
    "Softmax over channels": node("Softmax", "d", "y", axis=1),
    "ArgMax over channels": node("ArgMax", "d", "y", axis=1),
    "Gather of one channel": node("Gather", "d one", "y", axis=1),
    "Split": node("Split", "d", "y z", axis=1, num_outputs=2),
    "ImageScaler": node("ImageScaler", "d", "y", scale=1.0, bias=[0.0] * 4),
    "Crop": node("Crop", "d", "y", border=[1, 1, 1, 1]),
    "Affine": node("Affine", "d", "y", alpha=2.0, beta=1.0),
    "QuickGelu": node("QuickGelu", "d", "y", domain="com.microsoft"),
}
SPATIAL = {
    "Conv": node("Conv", "d v", "y"),
    "MaxPool": node("MaxPool", "d", "y", kernel_shape=[2, 2]),
    "GlobalAveragePool": node("GlobalAveragePool", "d", "y"),
    "ReduceMean": node("ReduceMean", "d", "y"),
    "Resize": node("Resize", "d - scales", "y"),
    "InstanceNormalization": node("InstanceNormalization", "d c c", "y"),
    "Slice with a step": node("Slice", "d one five axes two", "y"),
    "Softmax over the width": node("Softmax", "d", "y", axis=3),
    "Softmax over the last axis, as by default": node("Softmax", "d", "y"),
    "Gather of several": node("Gather", "d several", "y", axis=1),
    "Reshape": node("Reshape", "d flat", "y"),
    "MatMul": node("MatMul", "d square", "y"),
    "another domain's Relu": node("Relu", "d", "y", domain="f"),
    "DepthToSpace": node("DepthToSpace", "d", "y", blocksize=2),
}
CONSTANTS: dict[str, Array] = {
    "k": np.array(1, np.float32),
    "c": np.ones(4, np.float32),
    "v": np.ones((3, 4, 1, 1), np.float32),
    "other": np.ones((1, 4, 16, 16), np.float32),
    "square": np.ones((16, 16), np.float32),
    "one": INT([1]),
    "two": INT([2]),
    "five": INT([5]),
    "axes": INT([2]),
    "several": INT([0, 2]),
    "flat": INT([1, -1]),
    "scales": np.array([1, 1, 2, 2], np.float32),
}


@pytest.mark.parametrize("after", POINTWISE.values(), ids=POINTWISE)
def test_pointwise_operators_let_a_pattern_through(after: onnx.NodeProto) -> None:
    """Each element answers from its own place, or the map is moved as a whole."""
    assert reaches(after, weights=CONSTANTS, opset=18)


@pytest.mark.parametrize("after", SPATIAL.values(), ids=SPATIAL)
def test_others_hide_it(after: onnx.NodeProto) -> None:
    """Operators that read neighbours, and those that are not known."""
    assert not reaches(after, weights=CONSTANTS, opset=18)


class TestPaths:
    """From the layer to an output, by any path."""

    def test_the_layer_itself_may_write_the_output(self) -> None:
        """Nothing behind it at all."""
        assert reaches(out="d")

    def test_one_path_is_enough(self) -> None:
        """One branch leads through a convolution, the other does not."""
        conv, tanh = node("Conv", "d v", "c"), node("Tanh", "d", "t")
        assert reaches(conv, tanh, out="c t", weights=CONSTANTS)
        assert not reaches(conv, tanh, out="c", weights=CONSTANTS)

    def test_several_pointwise_operators(self) -> None:
        """As long as no other comes between."""
        chain = [node("Relu", "d", "a"), node("Mul", "a k", "b"), node("Transpose", "b", "y")]
        assert reaches(*chain, weights=CONSTANTS)
        chain[1] = node("AveragePool", "a", "b", kernel_shape=[3, 3])
        assert not reaches(*chain, weights=CONSTANTS)

    def test_what_is_computed_from_its_shape_does_not_count(self) -> None:
        """A shape carries no pattern."""
        assert not reaches(node("Shape", "d", "y"))

    def test_many_joins_are_walked_once(self) -> None:
        """Sixty additions of a map to itself have 2^60 paths."""
        first = node("Identity", "d", "a0")
        chain = [node("Add", f"a{i} a{i}", f"a{i + 1}") for i in range(60)]
        assert reaches(first, *chain, out="a60")
        assert not reaches(first, *chain, node("MaxPool", "a60", "y", kernel_shape=[2, 2]))


class TestScopes:
    """Layers inside bodies and functions."""

    @pytest.mark.parametrize(
        ("behind", "expected"),
        [(node("Tanh", "r", "y"), True), (node("MaxPool", "r", "y", kernel_shape=[2, 2]), False)],
    )
    def test_a_branch_hands_on_to_what_is_behind_the_if(
        self, behind: onnx.NodeProto, expected: bool
    ) -> None:
        """The output of a branch is the If's, in its position."""
        branch = body(node("Identity", "x", "e"), UP, out="e d")
        other = body(node("Identity", "x", "f"), node("Identity", "x", "g"), out="f g")
        chosen = node("If", "which", "q r", then_branch=branch, else_branch=other)
        inputs = [value("x", [1, 2, 8, 8]), value("which", [], onnx.TensorProto.BOOL)]
        weights = _with_weight({})["weights"]
        assert _reaches(model(chosen, behind, inputs=inputs, weights=weights)) is expected

    def test_a_branch_may_read_the_map_from_outside(self) -> None:
        """A branch that hands out an outer map hands it on."""
        inner = body(node("Relu", "d", "e"), out="e")
        chosen = node("If", "which", "y", then_branch=inner, else_branch=inner)
        inputs = [value("x", [1, 2, 8, 8]), value("which", [], onnx.TensorProto.BOOL)]
        weights = _with_weight({})["weights"]
        assert _reaches(model(UP, chosen, inputs=inputs, weights=weights))

    def test_a_loop_hides_it(self) -> None:
        """What several rounds make of a pattern is not known."""
        iteration = [value("i", [], onnx.TensorProto.INT64), value("go", [], onnx.TensorProto.BOOL)]
        inner = body(node("Identity", "go", "on"), UP, out="on d", inputs=iteration)
        loop = node("Loop", "n go0", "y", body=inner)
        inputs = [value("x", [1, 2, 8, 8]), value("n", [], onnx.TensorProto.INT64)]
        weights = {**_with_weight({})["weights"], "go0": np.array(True)}
        assert not _reaches(model(loop, inputs=inputs, weights=weights))

    @pytest.mark.parametrize(
        ("behind", "expected"),
        [(node("Tanh", "r", "y"), True), (node("MaxPool", "r", "y", kernel_shape=[2, 2]), False)],
    )
    def test_a_function_hands_on_to_what_is_behind_its_call(
        self, behind: onnx.NodeProto, expected: bool
    ) -> None:
        """The function's output is the call's."""
        kernel = ref("kernel_shape", "size", onnx.AttributeProto.INTS)
        up = node("ConvTranspose", "x w", "d", strides=[2, 2])
        up.attribute.append(kernel)
        inside = function("Up", "x w", "t d", node("Relu", "x", "t"), up, parameters=["size"])
        call = node("Up", "x w", "q r", domain="f", size=[2, 2])
        proto = model(
            call, behind, inputs={"x": [1, 2, 8, 8]}, functions=[inside], **_with_weight({})
        )
        assert _reaches(proto) is expected
