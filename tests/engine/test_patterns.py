"""Taps and gains of layers that enlarge, against what ONNX Runtime makes of constant maps."""

import pickle
from collections.abc import Sequence
from importlib import import_module
from itertools import product
from math import inf, prod
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnxstride.engine.patterns import Gains, Pattern, patterns
from onnxstride.graph import read_graph
from onnxstride.modelfile import open_model, parse_text

_onnxruntime: Any = import_module("onnxruntime")  # it ships no types

Floats = NDArray[Any]

SIZE = 9  # wide enough for every border below


def enlarging(nodes: Sequence[onnx.NodeProto], rank: int, **weights: Floats) -> onnx.ModelProto:
    """A model of these nodes, from ``x`` to ``y``."""
    shape = ["n", "c", *(f"d{axis}" for axis in range(rank))]
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * (rank + 2))
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def transposed(weights: Floats, **attributes: Any) -> onnx.ModelProto:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], **attributes)
    return enlarging([node], weights.ndim - 2, w=weights)


def shuffled(weights: Floats, block: int, mode: str) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=block, mode=mode),
    ]
    return enlarging(nodes, 2, w=weights)


def pattern_of(model: onnx.ModelProto, tmp_path: Any) -> Pattern:
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with open_model(path) as file:
        [found] = patterns(read_graph(file))
    return found


def folded(model: onnx.ModelProto, inputs: int, period: Sequence[int]) -> Floats:
    """Answers to 1 in one input channel at a time, by phase: (phases, inputs, outputs).

    Taken from the middle of the map, where each phase is the same wherever it is.
    """
    options = _onnxruntime.SessionOptions()
    options.graph_optimization_level = _onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = _onnxruntime.InferenceSession(model.SerializeToString(), options)
    rank = len(period)
    feed = np.zeros((inputs, inputs, *[SIZE] * rank), np.float32)
    feed[range(inputs), range(inputs)] = 1
    answers = session.run(None, {"x": feed})[0].astype(np.float64)
    starts = [answers.shape[2 + axis] // 2 // phases * phases for axis, phases in enumerate(period)]
    phases = [
        answers[(..., *(start + r for start, r in zip(starts, cell, strict=True)))]
        for cell in product(*map(range, period))
    ]
    return np.stack(phases)


TRANSPOSED = [
    pytest.param((5,), {"strides": [3]}, id="one axis"),
    pytest.param((4,), {"strides": [3], "dilations": [2], "pads": [2, 1]}, id="dilated"),
    pytest.param((4,), {"strides": [4], "dilations": [2]}, id="phases without a tap"),
    pytest.param((3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1]}, id="shifted by the padding"),
    pytest.param((4, 3), {"strides": [2, 3], "pads": [1, 2, 0, 1]}, id="axes that differ"),
    pytest.param((3, 1), {"strides": [2, 1]}, id="along one axis"),
    pytest.param((3, 2, 3), {"strides": [2, 2, 1], "pads": [1, 0, 1, 0, 1, 1]}, id="three axes"),
]


@pytest.mark.parametrize(("kernel", "attributes"), TRANSPOSED)
def test_taps_are_those_that_the_runtime_adds_up(
    kernel: tuple[int, ...], attributes: dict[str, Any], tmp_path: Any
) -> None:
    """With ones for weights and inputs an output counts its taps."""
    model = transposed(np.ones((1, 1, *kernel), np.float32), **attributes)
    found = pattern_of(model, tmp_path)
    assert found.taps is not None
    assert found.period == tuple(attributes["strides"])
    taps = [prod(each) for each in product(*found.taps)]
    assert taps == folded(model, 1, found.period).reshape(-1).tolist()


@pytest.mark.parametrize(("kernel", "attributes"), TRANSPOSED)
def test_gains_of_one_channel_are_the_answer_itself(
    kernel: tuple[int, ...], attributes: dict[str, Any], tmp_path: Any
) -> None:
    """Each phase of the answer to a constant, as a share of their mean, off that mean."""
    random = np.random.default_rng(3)
    model = transposed(random.random((1, 1, *kernel), np.float32) - 0.3, **attributes)
    found = pattern_of(model, tmp_path)
    answers = folded(model, 1, found.period).reshape(-1)
    expected = answers / answers.mean() - 1
    assert isinstance(found.gains, Gains)
    np.testing.assert_allclose(found.gains.pattern, expected, rtol=0, atol=2e-5)
    assert found.gains.share == pytest.approx(1)


def holds(gains: Gains, answers: Floats, tolerance: float) -> bool:
    """True when the gains are the strongest pattern in these answers, and the ripple theirs."""
    by_phase = answers.reshape(len(answers), -1)
    mean = by_phase.mean(axis=0)
    shapes, powers, channels = np.linalg.svd(by_phase - mean, full_matrices=False)
    strongest = shapes[:, 0] * powers[0] / np.linalg.norm(mean)
    strongest *= np.sign(channels[0] @ mean)
    squares = np.square(powers)
    ripple = 10 * np.log10(squares.sum() / len(answers) / np.square(mean).sum())
    return bool(
        np.allclose(gains.pattern, strongest, rtol=0, atol=tolerance)
        and abs(gains.share - squares[0] / squares.sum()) < tolerance
        and abs(gains.ripple.total - ripple) < 1e-3
    )


@pytest.mark.parametrize("shape", [(4, 3, 4, 3), (6, 1, 5, 5), (1, 5, 2, 2)])
def test_gains_of_many_channels_are_their_strongest_pattern(
    shape: tuple[int, ...], tmp_path: Any
) -> None:
    """By a singular value decomposition of what the runtime answers to each channel."""
    weights = np.random.default_rng(5).standard_normal(shape).astype(np.float32) + 0.2
    model = transposed(weights, strides=[2, 3], pads=[1, 0, 0, 0])
    found = pattern_of(model, tmp_path)
    assert isinstance(found.gains, Gains)
    answers = folded(model, shape[0], found.period)
    assert holds(found.gains, answers, 1e-4)
    turned = tuple(-each for each in found.gains.pattern)
    assert not holds(found.gains._replace(pattern=turned), answers, 1e-4)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_gains_of_a_shuffle(mode: str, tmp_path: Any) -> None:
    """The filters that write each phase of an output channel, in both orders."""
    weights = np.random.default_rng(7).standard_normal((12, 2, 3, 3)).astype(np.float32) + 0.2
    model = shuffled(weights, 2, mode)
    found = pattern_of(model, tmp_path)
    assert found.taps is None
    assert found.kernel is None
    assert isinstance(found.gains, Gains)
    assert holds(found.gains, folded(model, 2, (2, 2)), 1e-4)


def of_text(text: str) -> tuple[Pattern, ...]:
    return patterns(read_graph(parse_text(text)))


def one_layer(weights: str, attributes: str, size: str = "9") -> Pattern:
    [found] = of_text(
        f"net (float[1,1,{size}] x) => (float[1,1,n] y) {weights} "
        f"{{ y = ConvTranspose <{attributes}> (x, w) }}"
    )
    return found


def test_interpolating_weights_leave_flat_what_is_flat() -> None:
    """A ripple of minus infinity is a pattern of zeros."""
    found = one_layer("<float[1,1,3] w = {0.5, 1.0, 0.5}>", "strides = [2]")
    assert isinstance(found.gains, Gains)
    assert found.gains.ripple.total == -inf
    assert found.gains.pattern == (0, 0)


def test_gains_that_cancel_have_a_pattern_all_the_same() -> None:
    """There is no constant to measure it by, so it is of no particular scale."""
    found = one_layer("<float[1,1,2] w = {1.0, -1.0}>", "strides = [2]")
    assert isinstance(found.gains, Gains)
    assert found.gains.ripple.total == inf
    assert found.gains.pattern[0] == -found.gains.pattern[1] != 0


@pytest.mark.parametrize(
    ("weights", "attributes", "reason"),
    [
        ("<float[1,1,2] w = {nan, 1.0}>", "strides = [2]", "not finite"),
        ("<float[1,1,2] w>", "strides = [2000]", "2,000 phases are too many"),
    ],
)
def test_what_cannot_be_drawn_says_why(weights: str, attributes: str, reason: str) -> None:
    """A text in place of the gains."""
    gains = one_layer(weights, attributes).gains
    assert isinstance(gains, str)
    assert reason in gains


def test_weights_that_are_computed_are_not_measured() -> None:
    """Their taps are known all the same."""
    [found] = of_text(
        "net (float[1,1,9] x, float[1,1,3] w) => (float[1,1,n] y) "
        "{ y = ConvTranspose <kernel_shape = [3], strides = [2]> (x, w) }"
    )
    assert found.taps == ((2, 1),)
    assert isinstance(found.gains, str)


def test_a_stride_out_of_all_proportion_costs_nothing() -> None:
    """Neither time nor memory in proportion to it."""
    found = one_layer("<float[1,1,2] w>", "strides = [2000000000]")
    assert found.taps is None


def test_nothing_repeats_along_an_axis_of_one_position() -> None:
    """A period of 1 there, and no pattern at all when no axis has another."""
    layer = "{ y = ConvTranspose <kernel_shape = [4,4], strides = [2,2]> (x, w) }"
    head = "net (float[1,1,{}] x) => (float[1,1,p,q] y) <float[1,1,4,4] w> "
    assert of_text(head.format("1,1") + layer) == ()
    [found] = of_text(head.format("1,8") + layer)
    assert (found.period, found.taps) == ((1, 2), ((1,), (2, 2)))
    assert isinstance(found.gains, Gains)
    assert len(found.gains.pattern) == 2
    assert found.gains.ripple.per_axis[0] == -inf


def test_only_layers_that_enlarge_by_weights_are_listed() -> None:
    """No interpolation, no shuffle the other way, no stride of 1."""
    assert (
        of_text(
            """net (float[1,1,8,8] x) => (float[1,p,q,r] y) <float[1,1,3,3] w, float[4] s> {
                a = ConvTranspose <kernel_shape = [3,3]> (x, w)
                b = Resize <mode = "nearest"> (a, , s)
                y = SpaceToDepth <blocksize = 2> (b)
            }"""
        )
        == ()
    )


def test_patterns_travel() -> None:
    """Nothing of the graph is held."""
    found = one_layer("<float[1,1,3] w>", "strides = [2]")
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own bytes
