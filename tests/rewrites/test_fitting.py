"""Fitted and expected weights against explicit matrices, closed forms and ONNX Runtime."""

import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnxstride.fitting import (
    Accuracy,
    Expectation,
    Fit,
    Line,
    estimated,
    expectation,
    fitted,
    linear_weights,
    resized,
)
from onnxstride.fitting.fit import Samples
from onnxstride.fitting.gaussian import CORRELATION, KNOWN, averaged
from onnxstride.fitting.patches import blocks, positions
from onnxstride.geometry import Axis

Array = NDArray[np.float64]

_runtime: Any = import_module("onnxruntime")  # it ships no types

law = settings(derandomize=True, database=None, deadline=None, max_examples=40)


def window(sample: Array, axes: Sequence[Axis]) -> Array:
    """Rows (position, channel x tap), element by element."""
    rows: list[list[float]] = []
    for output in product(*map(range, positions(sample.shape[1:], axes))):
        row: list[float] = []
        for channel in sample:
            for tap in product(*(range(axis.kernel) for axis in axes)):
                where = [
                    o * axis.stride - axis.begin + t * axis.dilation
                    for o, t, axis in zip(output, tap, axes, strict=True)
                ]
                inside = all(0 <= w < n for w, n in zip(where, channel.shape, strict=True))
                row.append(float(channel[tuple(where)]) if inside else 0.0)
        rows.append(row)
    return np.array(rows)


def least_squares(rows: Array, targets: Array, prior: Array, ridge: float) -> tuple[Array, Array]:
    """Weights and bias from the matrix itself: the penalty is rows of its own."""
    unknowns = rows.shape[1]
    penalty = np.sqrt(ridge * np.square(rows).sum() / unknowns)
    matrix = np.block(
        [
            [rows, np.ones((len(rows), 1))],
            [penalty * np.eye(unknowns), np.zeros((unknowns, 1))],
        ]
    )
    wanted = np.concatenate([targets, penalty * prior])
    solution = np.asarray(np.linalg.lstsq(matrix, wanted, rcond=None)[0], np.float64)
    return solution[:-1], solution[-1]


def taken(fit: Fit | str) -> Fit:
    assert isinstance(fit, Fit), fit
    return fit


def applied(fit: Fit, rows: Array) -> Array:
    """What a fit predicts for rows of ``window``: (position, channel)."""
    channels = len(fit.weight)
    if fit.kind == "full":
        return rows @ fit.weight.reshape(channels, -1).T + fit.bias
    split = rows.reshape(len(rows), channels, -1)
    linear: Array = np.einsum("nck,ck->nc", split, fit.weight.reshape(channels, -1))
    return linear + fit.bias


axis = st.builds(
    Axis,
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(0, 2),
    st.integers(0, 2),
)


class Problem:
    """Samples over a window, with random targets or with those of a planted convolution."""

    def __init__(
        self, axes: Sequence[Axis], *, seed: int, channels: int = 2, samples: int = 4, size: int = 7
    ) -> None:
        self.axes = axes
        self.random = np.random.default_rng(seed)
        shape = (samples, channels, *[size + 3 * (len(axes) == 1)] * len(axes))
        self.inputs = self.random.standard_normal(shape)
        self.rows = [window(sample, axes) for sample in self.inputs]
        self.places = positions(shape[2:], axes)
        self.prior = self.random.standard_normal([axis.kernel for axis in axes])

    def samples(self, targets: Sequence[Array]) -> Samples:
        """One batch; ``targets`` are (position, channel) of each sample."""
        maps = [t.T.reshape(-1, *self.places) for t in targets]
        return [(self.inputs, np.stack(maps))]

    def noise(self) -> list[Array]:
        return [self.random.standard_normal((len(r), self.inputs.shape[1])) for r in self.rows]


class TestLeastSquares:
    @law
    @given(
        axes=st.lists(axis, min_size=1, max_size=3),
        ridge=st.sampled_from([1e-3, 1e-1]),
        seed=st.integers(0, 1000),
    )
    def test_depthwise_solves_the_explicit_system(
        self, axes: list[Axis], ridge: float, seed: int
    ) -> None:
        """From sums over blocks comes what numpy's lstsq makes of the whole matrix."""
        problem = Problem(axes, seed=seed, size=5 if len(axes) == 3 else 7)
        targets = problem.noise()
        fit = taken(
            fitted(problem.samples(targets), axes, problem.prior, full=False, ridge=ridge,
                   largest_block=64)
        )  # fmt: skip
        if fit.kind != "depthwise":
            return  # noise: scaling the prior may do better on what is held out
        taps = problem.prior.size
        rows, wanted = np.vstack(problem.rows[::2]), np.vstack(targets[::2])
        for channel in range(len(fit.weight)):
            own = rows[:, channel * taps : (channel + 1) * taps]
            weight, bias = least_squares(own, wanted[:, channel], problem.prior.ravel(), ridge)
            np.testing.assert_allclose(fit.weight[channel].ravel(), weight, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(fit.bias[channel], bias, rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("ridge", [1e-3, 1e-1])
    @pytest.mark.parametrize("sizes", [(40,), (9, 8), (4, 5, 6)], ids=["1-D", "2-D", "3-D"])
    def test_full_solves_the_explicit_system(self, sizes: tuple[int, ...], ridge: float) -> None:
        """The same for the system that mixes channels; its prior mixes none."""
        axes = [Axis(2, 1, 1, 1, 0)] * len(sizes)
        random = np.random.default_rng(3)
        inputs = random.standard_normal((10, 3, *sizes))
        rows = [window(sample, axes) for sample in inputs]
        planted = random.standard_normal((rows[0].shape[1], 3))
        targets = [r @ planted + 0.1 * random.standard_normal((len(r), 3)) for r in rows]
        maps = np.stack([t.T.reshape(3, *positions(sizes, axes)) for t in targets])
        prior = np.full([2] * len(sizes), 0.5)
        fit = taken(fitted([(inputs, maps)], axes, prior, full=True, ridge=ridge, largest_block=99))
        assert fit.kind == "full"
        spread: Array = np.kron(np.eye(3), prior.reshape(-1, 1)).astype(np.float64)
        weight, bias = least_squares(np.vstack(rows[::2]), np.vstack(targets[::2]), spread, ridge)
        np.testing.assert_allclose(fit.weight.reshape(3, -1), weight.T, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(fit.bias, bias, rtol=1e-7, atol=1e-9)
        wrong, _ = least_squares(np.vstack(rows[::2]), np.vstack(targets[::2]), 0 * spread, ridge)
        assert not np.allclose(fit.weight.reshape(3, -1), wrong.T, rtol=1e-7, atol=1e-9)

    def test_accuracy_is_that_of_a_second_pass(self) -> None:
        """Relative error, SNR and cosine from sums are those of explicit predictions."""
        axes = [Axis(3, 2, 1, 1, 1)] * 2
        problem = Problem(axes, seed=5, samples=10, size=12)
        targets = [np.abs(noise) for noise in problem.noise()]
        fit = taken(fitted(problem.samples(targets), axes, problem.prior, full=False))
        predicted = np.vstack([applied(fit, rows) for rows in problem.rows[1::2]])
        wanted = np.vstack(targets[1::2])
        error = np.linalg.norm(predicted - wanted) / np.linalg.norm(wanted)
        cosine = np.sum(predicted * wanted) / np.linalg.norm(predicted) / np.linalg.norm(wanted)
        expected = Accuracy(float(error), float(-20 * np.log10(error)), float(cosine))
        for name in ("relative_error", "snr_db", "cosine"):
            assert getattr(fit.accuracy, name) == pytest.approx(getattr(expected, name), rel=1e-9)
        trained = np.vstack([applied(fit, rows) for rows in problem.rows[::2]])
        learnt = np.vstack(targets[::2])
        seen = np.linalg.norm(trained - learnt) / np.linalg.norm(learnt)
        assert not np.isclose(fit.accuracy.relative_error, seen, rtol=1e-3)  # held out it is

    @pytest.mark.parametrize("kind", ["full", "depthwise", "gain"])
    def test_planted_weights_are_recovered(self, kind: str) -> None:
        """Where a convolution made the targets, it is found, and found in the right class."""
        axes = [Axis(2, 2), Axis(3, 1, 1, 1, 1)]
        problem = Problem(axes, seed=7, samples=20)
        taps, bias = problem.prior.size, np.array([0.5, -2.0])
        planted = {
            "full": problem.random.standard_normal((2, 2, taps)),
            "depthwise": problem.random.standard_normal((2, 1, taps)),
            "gain": np.array([1.5, 0.25]).reshape(2, 1, 1) * problem.prior.reshape(1, 1, -1),
        }[kind]
        weight = planted if kind == "full" else planted * np.eye(2)[..., np.newaxis]
        targets = [rows @ weight.reshape(2, -1).T + bias for rows in problem.rows]
        fit = taken(fitted(problem.samples(targets), axes, problem.prior, full=True, ridge=0))
        assert fit.accuracy.relative_error < 1e-7
        assert fit.accuracy.cosine == pytest.approx(1)
        found = fit.weight.reshape(2, -1, taps)
        found = found if fit.kind == "full" else found * np.eye(2)[..., np.newaxis]
        np.testing.assert_allclose(found, weight, atol=1e-8)
        np.testing.assert_allclose(fit.bias, bias, atol=1e-8)

    def test_the_held_out_half_has_no_say(self) -> None:
        """Weights come from samples 0, 2, 4 ..; the others only judge, across batches too."""
        axes = [Axis(2, 2)]
        problem = Problem(axes, seed=9, samples=6, size=40)
        targets = problem.noise()
        other = [noise + 5 * (i % 2) for i, noise in enumerate(targets)]
        [(inputs, maps)] = problem.samples(targets)
        [(_, shifted)] = problem.samples(other)
        whole = taken(fitted([(inputs, maps)], axes, problem.prior, full=False))
        batches = [(inputs[:3], maps[:3]), (inputs[3:], maps[3:])]
        split = taken(fitted(batches, axes, problem.prior, full=False))
        judged = taken(fitted([(inputs, shifted)], axes, problem.prior, full=False))
        np.testing.assert_array_equal(whole.weight, split.weight)
        assert whole.accuracy == split.accuracy
        assert judged.accuracy != whole.accuracy
        if judged.kind == whole.kind:
            np.testing.assert_array_equal(judged.weight, whole.weight)


class TestChoice:
    def test_full_needs_five_positions_to_an_unknown(self) -> None:
        """One position less, and it is the depthwise fit with the reason for it."""
        axes = [Axis(1)]
        random = np.random.default_rng(0)
        mix = random.standard_normal((3, 3))
        for size, kind in ((20, "full"), (19, "depthwise")):
            inputs = random.standard_normal((2, 3, size))
            samples = [(inputs, np.einsum("oc,ncw->now", mix, inputs))]
            fit = taken(fitted(samples, axes, np.ones(1), full=True))
            assert (fit.kind == "full") is (kind == "full")
            assert ("needs 20 positions to train on for 4 unknowns" in fit.fallback) is (
                kind != "full"
            )

    def test_too_little_for_depthwise_scales_the_prior(self) -> None:
        """With hardly any position there is only a gain to fit, and two reasons are given."""
        inputs = np.random.default_rng(0).standard_normal((2, 2, 8))
        prior = np.array([0.5, 0.5])
        targets = 3 * (inputs[..., ::2] + inputs[..., 1::2]) / 2 + 1
        fit = taken(fitted([(inputs, targets)], [Axis(2, 2)], prior, full=True, ridge=0))
        assert fit.kind == "gain"
        np.testing.assert_allclose(fit.weight, np.full((2, 1, 2), 1.5))
        assert "full needs" in fit.fallback
        assert "depthwise needs" in fit.fallback

    def test_a_model_that_overfits_is_passed_over(self) -> None:
        """Pure noise beside a plain average: the smaller model is better on what is held out."""
        random = np.random.default_rng(2)
        inputs = random.standard_normal((2, 8, 200))
        average = (inputs[..., ::2] + inputs[..., 1::2]) / 2
        samples = [(inputs, average + random.standard_normal(average.shape))]
        fit = taken(fitted(samples, [Axis(2, 2)], np.array([0.5, 0.5]), full=True))
        assert fit.kind != "full"
        assert "full has a held-out error of" in fit.fallback

    def test_too_many_unknowns_for_memory(self) -> None:
        """Sums that would not fit are not begun; the reason names the limit."""
        inputs = np.random.default_rng(0).standard_normal((4, 2600, 4)).astype(np.float32)
        targets = np.maximum(inputs[..., ::2], inputs[..., 1::2])
        fit = taken(fitted([(inputs, targets)], [Axis(2, 2)], np.array([0.5, 0.5]), full=True))
        assert fit.weight.shape == (2600, 1, 2)
        assert "more than 5000" in fit.fallback

    def test_a_silent_channel_keeps_the_prior(self) -> None:
        """A channel without any activity in the data still answers when there is some."""
        inputs = np.random.default_rng(0).random((4, 2, 64))
        inputs[:, 1] = 0
        targets = np.maximum(inputs[..., ::2], inputs[..., 1::2])
        prior = np.array([0.6, 0.6])
        for full in (False, True):
            fit = taken(fitted([(inputs, targets)], [Axis(2, 2)], prior, full=full))
            own = fit.weight[1, 1 if fit.kind == "full" else 0]
            np.testing.assert_allclose(own, prior, rtol=1e-6)

    @pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
    def test_the_unit_of_the_data_does_not_matter(self, scale: float) -> None:
        """Weights are the same for data in any unit: the penalty is a share of their size."""
        inputs = np.random.default_rng(0).random((4, 2, 64))
        targets = np.maximum(inputs[..., ::2], inputs[..., 1::2])
        axes, prior = [Axis(2, 2)], np.array([0.6, 0.6])
        plain = taken(fitted([(inputs, targets)], axes, prior, full=False))
        scaled = taken(fitted([(inputs * scale, targets * scale)], axes, prior, full=False))
        np.testing.assert_allclose(scaled.weight, plain.weight, rtol=1e-8)
        np.testing.assert_allclose(scaled.bias, plain.bias * scale, rtol=1e-8)

    @pytest.mark.parametrize(
        ("inputs", "targets", "reason"),
        [
            pytest.param((1, 2, 8), (1, 2, 4), "at least 2 samples", id="one sample"),
            pytest.param((0, 2, 8), (0, 2, 4), "at least 2 samples", id="none"),
            pytest.param((2, 2, 8), (2, 2, 3), r"should give \(2, 4\), found", id="another size"),
            pytest.param((2, 2, 8), (2, 3, 4), r"should give \(2, 4\), found", id="channels"),
            pytest.param((2, 2, 1), (2, 2, 1), r"should give \(2, 0\), found", id="no window"),
        ],
    )
    def test_data_of_no_use(
        self, inputs: tuple[int, ...], targets: tuple[int, ...], reason: str
    ) -> None:
        """Data that cannot be fitted to are answered with the reason, not with an exception."""
        answer = fitted(
            [(np.ones(inputs), np.ones(targets))], [Axis(2, 2)], np.ones(2) / 2, full=True
        )
        assert isinstance(answer, str)
        assert re.search(reason, answer)

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            pytest.param(np.nan, "NaN or infinity", id="NaN"),
            pytest.param(np.inf, "NaN or infinity", id="infinity"),
            pytest.param(0.0, "nothing but zeros", id="dead layer"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
    def test_values_of_no_use(self, value: float, reason: str) -> None:
        """NaN is never fitted to, and a layer that is always zero has nothing to fit."""
        inputs, targets = np.ones((4, 2, 8)), np.full((4, 2, 4), value)
        answer = fitted([(inputs, targets)], [Axis(2, 2)], np.ones(2) / 2, full=True)
        assert isinstance(answer, str)
        assert reason in answer


class TestMemory:
    def test_blocks_are_bounded_and_cover_everything(self) -> None:
        """No block is larger than asked, and together they are the whole matrix."""
        axes = [Axis(3, 1, 1, 1, 1)] * 2
        sample = np.random.default_rng(0).standard_normal((4, 17, 19))
        parts = list(blocks(sample, sample, axes, largest=500))
        assert len(parts) > 10
        assert max(x.size for x, _ in parts) <= 500
        rows = np.concatenate([x for x, _ in parts], axis=1).transpose(1, 0, 2)
        np.testing.assert_array_equal(rows.reshape(17 * 19, -1), window(sample, axes))

    def test_more_data_takes_no_more_memory(self) -> None:
        """The peak over 40 batches is that over 4: what has been summed up is let go."""
        # The least of three: whatever else this process happens to do only adds to a peak.
        peaks = [min(_peak(batches) for _ in range(3)) for batches in (4, 40)]
        assert peaks[1] < 1.1 * peaks[0]
        assert peaks[1] < 40 * 8 * 32 * 32 * 8 * 4 / 4  # a quarter of the data alone


def _peak(batches: int) -> int:
    def stream() -> Iterator[tuple[Array, Array]]:
        random = np.random.default_rng(0)
        for _ in range(batches):
            inputs = random.random((4, 8, 32, 32))
            yield inputs, inputs.reshape(4, 8, 16, 2, 16, 2).max((3, 5))

    tracemalloc.start()
    try:
        prior = np.full((2, 2), 0.4)
        fit = taken(fitted(stream(), [Axis(2, 2)] * 2, prior, full=True, largest_block=1 << 14))
        assert fit.samples == 4 * batches
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def pair_gain(correlation: float) -> float:
    """The gain for two taps, by an integral over directions.

    Both expectations are of functions of degree 2 of two Gaussians a and b, and so is their
    ratio that of the means over the circle.
    """
    turn = np.linspace(0, 2 * np.pi, 200_000, endpoint=False)
    a = np.maximum(np.cos(turn), 0)
    b = np.maximum(np.cos(turn - np.arccos(correlation)), 0)
    average = (a + b) / 2
    return float(np.mean(np.maximum(a, b) * average) / np.mean(average**2))


class TestGaussian:
    @pytest.mark.parametrize(
        ("kernel", "gain"),
        [
            ((2,), 1.25), ((3,), 1.43), ((2, 2), 1.53), ((3, 2), 1.74), ((2, 2, 2), 1.85),
            ((3, 3), 1.97), ((3, 3, 3), 2.61), ((5, 5), 2.73),
        ],
    )  # fmt: skip
    def test_gains_of_the_usual_windows(self, kernel: tuple[int, ...], gain: float) -> None:
        """A maximum exceeds an average by a quarter for two taps, and by 2.7 times for 5x5."""
        assert expectation([Axis(k) for k in kernel]).gain == pytest.approx(gain, abs=0.01)

    @pytest.mark.parametrize("kernel", [k for k in KNOWN if len(k) < 3 and k != (5, 5)], ids=str)
    def test_the_table_is_what_is_drawn(self, kernel: tuple[int, ...]) -> None:
        """Every figure of the table is what 2^20 fields give, to the digits it is stated in."""
        drawn = estimated([averaged(Axis(k)) for k in kernel], 1 << 20)
        assert drawn == pytest.approx(KNOWN[kernel], abs=1e-3)

    @pytest.mark.parametrize("kernel", KNOWN, ids=str)
    def test_a_quick_draw_is_near_the_table(self, kernel: tuple[int, ...]) -> None:
        """What is drawn for a window that is not in the table is good to a hundredth."""
        drawn = estimated([averaged(Axis(k)) for k in kernel])
        assert drawn == pytest.approx(KNOWN[kernel], abs=0.02)

    @pytest.mark.parametrize("dilation", [1, 2, 3])
    def test_two_taps_in_closed_form(self, dilation: int) -> None:
        """The draw agrees with the integral, and the offset with sqrt((1 - r) / pi)."""
        drawn = expectation([Axis(2, 1, dilation)])
        r = CORRELATION**dilation
        assert drawn.gain == pytest.approx(pair_gain(r), abs=3e-3)
        assert drawn.offset == pytest.approx(np.sqrt((1 - r) / np.pi), abs=3e-3)

    def test_wrong_correlation_is_noticed(self) -> None:
        """The closed form tells 0.75 from 0.7."""
        assert abs(expectation([Axis(2)]).gain - pair_gain(0.7)) > 0.02

    def test_one_tap_is_its_own_maximum(self) -> None:
        """Axes of one tap change nothing, whatever their stride and dilation."""
        assert expectation([Axis(1, 3, 2)]) == Expectation(1.0, 0.0)
        assert expectation([Axis(1, 2), Axis(2), Axis(1)]) == expectation([Axis(2)])

    def test_the_order_of_axes_does_not_matter(self) -> None:
        """3x2 is 2x3, in the table and out of it."""
        assert expectation([Axis(2), Axis(3)]) == expectation([Axis(3), Axis(2)])
        assert expectation([Axis(2), Axis(4)]) == expectation([Axis(4), Axis(2)])

    @pytest.mark.parametrize(
        "kernel", [(2, 2), (4, 4), (7, 7), (3, 5, 2), (13, 13), (40,), (64, 64)]
    )
    def test_any_window_has_an_answer(self, kernel: tuple[int, ...]) -> None:
        """A gain for every window, the same at every call, and larger for a larger window."""
        axes = [Axis(k) for k in kernel]
        larger = [Axis(k + 1) for k in kernel]
        assert 1 < expectation(axes).gain < expectation(larger).gain
        lines = [averaged(axis) for axis in axes]
        assert estimated(lines, 500) == estimated(lines, 500)

    def test_a_filter_other_than_the_average(self) -> None:
        """A filter that reads past the window is farther from its maximum."""
        window = np.array([False, True, True, False])
        box = Line(window, np.array([0.0, 0.5, 0.5, 0.0]))
        blur = Line(window, np.array([0.125, 0.375, 0.375, 0.125]))
        assert estimated([box]).gain == pytest.approx(expectation([Axis(2)]).gain, abs=0.01)
        assert estimated([blur]).gain > estimated([box]).gain


class TestInterpolation:
    @pytest.mark.parametrize("antialias", [False, True], ids=["plain", "antialias"])
    @pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric"])
    @pytest.mark.parametrize(
        ("sizes", "outputs"),
        [
            ((12,), (6,)), ((13,), (6,)), ((9,), (3,)), ((7,), (7,)), ((5,), (1,)), ((4,), (6,)),
            ((12, 9), (6, 4)), ((1, 8), (1, 3)), ((6, 8, 9), (3, 4, 4)),
        ],
        ids=str,
    )  # fmt: skip
    def test_it_is_what_resize_does(
        self, sizes: tuple[int, ...], outputs: tuple[int, ...], coordinates: str, antialias: bool
    ) -> None:
        """The same values as ONNX Runtime's Resize to the same sizes."""
        x = np.random.default_rng(0).standard_normal((2, 3, *sizes)).astype(np.float32)
        mine = resized(x, outputs, coordinates, antialias=antialias)
        theirs = _by_resize(x, outputs, coordinates, antialias=antialias)
        np.testing.assert_allclose(mine, theirs, atol=2e-6)

    def test_the_modes_are_told_apart(self) -> None:
        """Neither the other coordinates nor the other smoothing passes for the right one."""
        x = np.random.default_rng(0).standard_normal((1, 1, 12)).astype(np.float32)
        theirs = _by_resize(x, (6,), "half_pixel", antialias=True)
        for mode, antialias in (("asymmetric", True), ("half_pixel", False)):
            assert np.abs(resized(x, (6,), mode, antialias=antialias) - theirs).max() > 0.05

    def test_halving_is_a_binomial_filter(self) -> None:
        """Smoothed, half_pixel weighs [1,3,3,1]/8 and asymmetric [1,2,1]/4."""
        half = linear_weights(16, 8, "half_pixel", antialias=True)[4]
        whole = linear_weights(16, 8, "asymmetric", antialias=True)[4]
        np.testing.assert_allclose(half[7:11], np.array([1, 3, 3, 1]) / 8)
        np.testing.assert_allclose(whole[7:10], np.array([1, 2, 1]) / 4)


def _by_resize(
    x: NDArray[np.float32], outputs: tuple[int, ...], coordinates: str, *, antialias: bool
) -> NDArray[np.float32]:
    node = helper.make_node(
        "Resize",
        ["x", "", "", "sizes"],
        ["y"],
        mode="linear",
        coordinate_transformation_mode=coordinates,
        antialias=int(antialias),
    )
    sizes = numpy_helper.from_array(np.array([*x.shape[:2], *outputs], np.int64), "sizes")
    graph = helper.make_graph(
        [node],
        "resize",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [sizes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = _runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    result: NDArray[np.float32] = session.run(None, {"x": x})[0]
    return result


def test_it_knows_no_model() -> None:
    """The numbers are made without onnx, onnxruntime or graphsurgeon."""
    program = "import sys, onnxstride.fitting; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "numpy" in loaded
    assert not {"onnx", "onnxruntime", "onnx_graphsurgeon", "google.protobuf"} & set(loaded)
