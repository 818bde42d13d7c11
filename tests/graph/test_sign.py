"""What is said to be never negative is so when it runs."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from onnxstride.graph.sign import is_never_negative

from .building import Array, body, function, graph_of, law, model, node, random, ref, run, value

X = {"x": [1, 4, 6, 6]}
SHAPE = [1, 4, 6, 6]
WEIGHTS: dict[str, Array] = {
    "zero": np.array(0, np.float32), "one": np.array(1, np.float32),
    "low": np.array(-1, np.float32), "scale": np.array(0.1, np.float32),
    "double": np.array(0.2, np.float32),
    "u8": np.array(128, np.uint8), "i8": np.array(3, np.int8), "more": np.array(200, np.uint8),
    "bias": np.array([-1, 1, -2, 2], np.float32).reshape(1, 4, 1, 1),
}  # fmt: skip


def _claims(proto: onnx.ModelProto, name: str = "y") -> bool:
    graph = graph_of(proto)
    return is_never_negative(graph, graph.main.nodes[-1], name)


def _said(*nodes: onnx.NodeProto, opset: int = 17) -> bool:
    return _claims(
        model(*nodes, node("Identity", "y", "end"), inputs=X, weights=WEIGHTS, opset=opset)
    )


PROVEN = {
    "a ReLU": [node("Relu", "x", "y")],
    "through what keeps the sign": [
        node("Sigmoid", "x", "a"),
        node("MaxPool", "a", "b", kernel_shape=[2, 2]),
        node("Transpose", "b", "y"),
    ],
    "a Clip from zero": [node("Clip", "x zero", "y")],
    "a Clip to an interval": [node("Clip", "x zero one", "y")],
    "a Clip from below of what is positive": [node("Exp", "x", "a"), node("Clip", "a low", "y")],
    "a square": [node("Mul", "x x", "y")],
    "a sum of positives": [node("Relu", "x", "a"), node("Abs", "x", "b"), node("Add", "a b", "y")],
    "the larger of one that is": [node("Relu", "x", "a"), node("Max", "x a", "y")],
    "quantised there and back": [
        node("Relu", "x", "a"),
        node("QuantizeLinear", "a scale u8", "q"),
        node("DequantizeLinear", "q scale u8", "y"),
    ],
    "quantised to signed and back": [
        node("Relu", "x", "a"),
        node("QuantizeLinear", "a scale i8", "q"),
        node("DequantizeLinear", "q scale i8", "y"),
    ],
    "an unsigned type": [node("QuantizeLinear", "x scale u8", "y")],
    "an unsigned type by default": [node("QuantizeLinear", "x scale", "y")],
    "a wider float": [node("Relu", "x", "a"), node("Cast", "a", "y", to=TensorProto.FLOAT16)],
}
UNPROVEN = {
    "the input": [node("Identity", "x", "y")],
    "a bias": [node("Relu", "x", "a"), node("Add", "a bias", "y")],
    "a Clip from below zero": [node("Clip", "x low", "y")],
    "a Clip to below zero": [node("Relu", "x", "a"), node("Clip", "a - low", "y")],
    "a Clip whose end is below its start": [node("Clip", "x zero low", "y")],
    "a Clip to what is computed": [
        node("ReduceMin", "x", "m", keepdims=0),
        node("Clip", "x zero m", "y"),
    ],
    "a product with what may be negative": [node("Relu", "x", "a"), node("Mul", "a x", "y")],
    "the smaller with what may be negative": [node("Relu", "x", "a"), node("Min", "a x", "y")],
    "a signed quantised type": [
        node("Relu", "x", "a"),
        node("Sub", "a one", "b"),
        node("QuantizeLinear", "b scale i8", "y"),
    ],
    "an integer that wraps": [node("Relu", "x", "a"), node("Cast", "a", "y", to=TensorProto.INT8)],
    "another zero point": [
        node("Relu", "x", "a"),
        node("QuantizeLinear", "a scale u8", "q"),
        node("DequantizeLinear", "q scale more", "y"),
    ],
    "dequantised without having been quantised": [node("DequantizeLinear", "u8 scale", "y")],
    "another scale": [
        node("Relu", "x", "a"),
        node("QuantizeLinear", "a scale u8", "q"),
        node("DequantizeLinear", "q double u8", "y"),
    ],
    "another domain's Relu": [node("Relu", "x", "y", domain="f")],
}


class TestCases:
    @pytest.mark.parametrize("label", PROVEN)
    def test_what_is_never_negative_is_proven(self, label: str) -> None:
        """And the runtime's smallest value agrees."""
        assert _said(*PROVEN[label])
        proto = model(*PROVEN[label], inputs=X, weights=WEIGHTS)
        (output,) = run(proto, {"x": 3 * random(SHAPE)})
        assert output.min() >= 0

    @pytest.mark.parametrize("label", UNPROVEN)
    def test_what_may_be_negative_is_not(self, label: str) -> None:
        """Nor what nobody can tell."""
        assert not _said(*UNPROVEN[label])

    @pytest.mark.parametrize(
        ("low", "high", "proven"), [(0, 6, True), (-1, 6, False), (0, -1, False)]
    )
    def test_limits_of_a_clip_were_attributes(self, low: float, high: float, proven: bool) -> None:
        """Before opset 11."""
        clip = node("Clip", "x", "y", min=float(low), max=float(high))
        assert _said(clip, opset=6) == proven

    def test_attributes_that_cannot_be_read_prove_nothing(self) -> None:
        """Of the wrong type, or set differently by the callers of a function."""
        assert not _said(node("Clip", "x", "y", min="zero"), opset=6)
        assert not _said(node("Relu", "x", "a"), node("Cast", "a", "y", to="float"))
        clip = node("Clip", "a", "b")
        clip.attribute.append(ref("min", "low", onnx.AttributeProto.FLOAT))
        made = function("F", "a", "b", clip, node("Relu", "b", "z"), parameters=["low"])
        calls = [node("F", "x", f"y{i}", domain="f", low=float(i)) for i in range(2)]
        graph = graph_of(model(*calls, inputs=X, functions=[made], out="y0"))
        assert not is_never_negative(graph, graph.nodes()[-1], "b")

    def test_a_body_sees_the_proof_outside(self) -> None:
        """A name from around it is followed to where it is computed."""
        choice = node(
            "If", "c", "end", then_branch=body(node("Neg", "y", "t"), out="t"),
            else_branch=body(node("Neg", "x", "e"), out="e"),
        )  # fmt: skip
        inputs = [value("x", SHAPE), value("c", [], 9)]
        graph = graph_of(model(node("Relu", "x", "y"), choice, inputs=inputs, out="end"))
        (inner,) = (each for each in graph.nodes() if each.name == "t")
        assert is_never_negative(graph, inner, "y")
        assert not is_never_negative(graph, inner, "x")


class TestCost:
    def test_branches_that_meet_again_are_walked_once(self) -> None:
        """Each of 200 sums reads the one before twice: 2^200 walks, if each were walked."""
        chain = [node("Relu", "x", "t0")] + [
            node("Add", f"t{i} t{i}", f"t{i + 1}") for i in range(200)
        ]
        proto = model(*chain, inputs=X, out="t200")
        assert _claims(proto, "t40")
        assert not _claims(proto, "t200")  # too far away: not proven

    def test_a_cycle_proves_nothing(self) -> None:
        """And comes to an end."""
        nodes = [node("Add", "y y", "a"), node("Identity", "a", "y"), node("Neg", "y", "end")]
        assert not _claims(model(*nodes, inputs=X))


_UNARY: list[tuple[str, dict[str, Any]]] = [
    ("Relu", {}), ("Sigmoid", {}), ("Neg", {}), ("Abs", {}), ("Exp", {}), ("Tanh", {}),
    ("Softplus", {}), ("Identity", {}), ("Floor", {}), ("Dropout", {}), ("HardSigmoid", {}),
    ("LeakyRelu", {}), ("HardSwish", {}), ("Elu", {}), ("Selu", {}), ("Softsign", {}),
    ("Transpose", {"perm": [0, 1, 3, 2]}), ("Softmax", {"axis": 1}), ("LogSoftmax", {"axis": 1}),
    ("MaxPool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    ("LpPool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
]  # fmt: skip
_BINARY = ["Add", "Mul", "Sum", "Mean", "Min", "Max", "Sub", "PRelu"]


@st.composite
def _graphs(draw: st.DrawFn) -> onnx.ModelProto:
    """Up to eight operators, each reading what is already there; every tensor is an output."""
    names = ["x"]
    nodes: list[onnx.NodeProto] = []
    for i in range(draw(st.integers(1, 8))):
        one, two = (draw(st.sampled_from(names)) for _ in range(2))
        out = f"t{i}"
        kind = draw(st.sampled_from(["unary", "unary", "binary", "clip", "quantise"]))
        if kind == "unary":
            op_type, attributes = draw(st.sampled_from(_UNARY))
            nodes.append(node(op_type, one, out, **attributes))
        elif kind == "binary":
            nodes.append(node(draw(st.sampled_from(_BINARY)), f"{one} {two}", out))
        elif kind == "clip":
            limits = draw(
                st.sampled_from(["zero", "low", "zero one", "- low", "zero low", "- one"])
            )
            nodes.append(node("Clip", f"{one} {limits}", out))
        else:
            zero, back = (draw(st.sampled_from(["u8", "i8"])) for _ in range(2))
            nodes.append(node("QuantizeLinear", f"{one} scale {zero}", f"q{i}"))
            scale = draw(st.sampled_from(["scale", "one"]))
            point = back if back == zero else ""
            nodes.append(node("DequantizeLinear", f"q{i} {scale} {point}", out))
        names.append(out)
    outputs = [name for single in nodes for name in single.output]
    return model(*nodes, inputs=X, weights=WEIGHTS, out=" ".join(outputs))


def _wrongly_proven(proto: onnx.ModelProto, prove: Any = is_never_negative) -> list[str]:
    """Names of tensors said to be never negative that are, on some input."""
    graph = graph_of(proto)
    wrong: list[str] = []
    for seed in range(2):
        outputs = run(proto, {"x": 4 * random(SHAPE, seed)})
        for output, found in zip(proto.graph.output, outputs, strict=True):
            is_negative = bool(np.any(found.astype(np.float64) < 0))
            if is_negative and prove(graph, graph.main.nodes[-1], output.name):
                wrong.append(output.name)
    return wrong


class TestAgainstRuntime:
    @law
    @given(_graphs())
    def test_nothing_proven_is_ever_negative(self, proto: onnx.ModelProto) -> None:
        """Whatever small graph, on inputs of either sign."""
        assert _wrongly_proven(proto) == []

    def test_a_planted_wrong_proof_is_seen(self) -> None:
        """A proof that takes everything is caught at the first negative value."""
        proto = model(node("Tanh", "x", "y"), inputs=X)
        assert _wrongly_proven(proto, lambda *_: True) != []
