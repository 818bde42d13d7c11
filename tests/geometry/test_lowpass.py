"""Gains at the folding frequencies, against waves sent through ONNX Runtime's Conv."""

from importlib import import_module
from itertools import product
from math import inf, isnan, prod, sqrt
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnxstride.geometry import Axis
from onnxstride.geometry.lowpass import folding_gain, relative_gains
from onnxstride.geometry.ripple import ripple_db

_onnxruntime: Any = import_module("onnxruntime")

Floats = NDArray[np.float64]


def convolved(weight: Floats, axes: tuple[Axis, ...], waves: Floats) -> Floats:
    """ONNX Runtime's Conv, without optimisation, of real waves (batch, channel, ..)."""
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"],
        strides=[axis.stride for axis in axes], dilations=[axis.dilation for axis in axes],
    )  # fmt: skip
    shape = [None] * waves.ndim
    values = [helper.make_tensor_value_info(name, 1, shape) for name in "xy"]
    weights = numpy_helper.from_array(weight.astype(np.float32), "w")
    graph = helper.make_graph([node], "g", values[:1], values[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    options = _onnxruntime.SessionOptions()
    options.graph_optimization_level = _onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = _onnxruntime.InferenceSession(model.SerializeToString(), options)
    [result] = session.run(None, {"x": waves.astype(np.float32)})
    return np.asarray(result, np.float64)


def measured(weight: Floats, axes: tuple[Axis, ...]) -> Floats:
    """RMS over channels of what a wave at each folding frequency leaves, over a constant."""
    strides = [axis.stride for axis in axes]
    size = max(axis.extent + 2 * axis.stride for axis in axes)
    at = np.meshgrid(*[np.arange(size)] * len(axes), indexing="ij")
    power = np.zeros(strides)
    for frequency in product(*map(range, strides)):
        turn = sum(m / s * x for m, s, x in zip(frequency, strides, at, strict=True))
        for channel, wave in product(range(weight.shape[1]), (np.cos, np.sin)):
            image = np.zeros((1, weight.shape[1], *[size] * len(axes)))
            image[0, channel] = wave(2 * np.pi * np.asarray(turn))
            # Both quadratures together have the magnitude of the response, at any output.
            out = convolved(weight, axes, image)[0].reshape(weight.shape[0], -1)[:, 0]
            power[frequency] += np.square(out).sum()
    relative: Floats = np.sqrt(power / power.reshape(-1)[0])
    return relative


CASES = [
    ((2, 3, 3), (Axis(3, 2),)),
    ((1, 1, 5), (Axis(5, 3),)),
    ((2, 2, 3), (Axis(3, 4, 2),)),
    ((2, 1, 3, 2), (Axis(3, 2), Axis(2, 3))),
    ((1, 2, 2, 3), (Axis(2, 2, 2), Axis(3, 2))),
]


@pytest.mark.parametrize(("shape", "axes"), CASES)
def test_gains_are_those_of_waves(shape: tuple[int, ...], axes: tuple[Axis, ...]) -> None:
    """At every folding frequency, of random weights; the largest is the one that is told."""
    weight = np.random.default_rng(3).standard_normal(shape)
    expected = measured(weight, axes)
    strides = [axis.stride for axis in axes]
    assert np.allclose(relative_gains(weight, axes, strides), expected, rtol=1e-4)
    gain = folding_gain(weight, axes)
    assert gain == pytest.approx(expected.reshape(-1)[1:].max(), rel=1e-4)


def test_a_wrong_stride_is_noticed() -> None:
    """The comparison is no formality."""
    weight = np.random.default_rng(3).standard_normal((2, 3, 3))
    expected = measured(weight, (Axis(3, 3),))
    assert not np.allclose(relative_gains(weight, (Axis(3),), [3])[:2], expected[1:], rtol=0.01)


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.integers(1, 5),
    stride=st.integers(2, 5),
    dilation=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_gains_add_up_to_the_ripple(kernel: int, stride: int, dilation: int, seed: int) -> None:
    """Parseval: the power at all folding frequencies is that of the uneven phases."""
    axis = Axis(kernel, stride, dilation)
    weight = np.random.default_rng(seed).standard_normal((2, 3, kernel)) + 0.5
    gains = relative_gains(weight, (axis,), (stride,))
    together = sqrt(float(np.square(gains[1:]).sum()))
    assert 20 * np.log10(together) == pytest.approx(ripple_db(weight, (axis,)), abs=1e-6)


@pytest.mark.parametrize(
    ("taps", "stride", "expected"),
    [
        ([1.0], 2, 1.0),
        ([1.0, 1.0], 2, 0.0),
        ([1.0, 2.0, 1.0], 2, 0.0),
        ([1.0, 3.0, 3.0, 1.0], 2, 0.0),
        ([1.0, 1.0, 1.0], 2, 1 / 3),
        ([1.0, -1.0], 2, inf),
        ([0.0], 2, 0.0),
    ],
)
def test_known_filters(taps: list[float], stride: int, expected: float) -> None:
    """The figures that the rules quote."""
    weight = np.array([[taps]])
    assert folding_gain(weight, (Axis(len(taps), stride),)) == pytest.approx(expected, abs=1e-9)


def test_random_weights_pass_as_much_as_of_a_constant() -> None:
    """0 dB, give or take what a finite number of channels leaves."""
    weight = np.random.default_rng(0).standard_normal((64, 64, 3, 3))
    gains = relative_gains(weight, (Axis(3, 2), Axis(3, 2)), (2, 2))
    assert np.allclose(gains, 1, atol=0.05)


def test_a_filter_in_front_multiplies() -> None:
    """Decimation behind an average of two passes nothing, behind one of three a third."""
    one = np.ones((1, 1, 1))
    for length, expected in ((2, 0.0), (3, 1 / 3)):
        before = [(np.ones((1, 1, length)), (Axis(length),))]
        assert folding_gain(one, (Axis(1, 2),), before) == pytest.approx(expected, abs=1e-9)


def test_nothing_folds_at_stride_1_and_too_much_at_huge_ones() -> None:
    """No frequencies give 0; more than can be looked at, None."""
    assert folding_gain(np.ones((1, 1, 3)), (Axis(3),)) == 0
    assert folding_gain(np.ones((1, 1, 1)), (Axis(1, 2**40),)) is None


@pytest.mark.parametrize("weight", [[np.nan, 1.0], [np.inf, 1.0], [np.inf, -np.inf]])
def test_weights_that_are_no_numbers_have_no_gain(weight: list[float]) -> None:
    """Nothing is said of them, and nothing warned, whatever stands in front."""
    values, axes = np.array([[weight]]), (Axis(2, 2),)
    high_pass = (np.array([[[1.0, 1.0]]]), (Axis(2, 1),))
    for before in ([], [high_pass]):
        gain = folding_gain(values, axes, before)
        assert gain is not None
        assert isnan(gain)


def test_a_kernel_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected weights"):
        folding_gain(np.ones((1, 1, 2)), (Axis(3, 2),))


def test_many_channels_are_worked_through_in_slices() -> None:
    """The result is that of all at once."""
    weight = np.random.default_rng(1).standard_normal((700, 500, 1))
    expected = np.abs(np.fft.fft(np.pad(weight, [(0, 0), (0, 0), (0, 1)]), axis=-1))
    power = np.square(expected).sum(axis=(0, 1))
    found = folding_gain(weight, (Axis(1, 2),))
    assert found == pytest.approx(sqrt(power[1] / power[0]))
    assert prod(weight.shape) > 1 << 18
