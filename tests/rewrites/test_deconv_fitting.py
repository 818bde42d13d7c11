"""Projected and fitted kernels against explicit matrices, element by element."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.fitting.deconvs import DeconvFit, fitted_deconv
from onnxstride.fitting.enlargement import Enlargement, dense, placements, projected
from onnxstride.fitting.fit import Samples
from onnxstride.fitting.interpolation import resized
from onnxstride.fitting.phase_sums import Deconv
from onnxstride.geometry import Axis, transposed_size

from .pools import law
from .running import Array, signal


@st.composite
def enlargements(draw: st.DrawFn) -> tuple[list[Axis], list[Enlargement]]:
    """Axes of a transposed convolution, and what is to stand along them."""
    is_linear = draw(st.booleans())
    axes: list[Axis] = []
    chosen: list[Enlargement] = []
    for _ in range(draw(st.integers(1, 2))):
        axis = Axis(draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 2)))
        axis = axis.padded(draw(st.integers(0, 2)), 0)
        places = placements(axis, draw(st.integers(1, 4)), is_linear=is_linear)
        axes.append(axis)
        chosen.append(draw(st.sampled_from(places)))
    return axes, chosen


def response(choice: Sequence[Enlargement], tap: tuple[int, ...], span: range) -> Array:
    """What one element of a map becomes behind a Resize and a convolution of one tap.

    It stands in the middle of a map that is large enough; the result is cut to ``span`` around
    the first of the elements that it is repeated as.
    """
    middle = 20
    size = 2 * middle + 1
    x = np.zeros((1, 1, *[size] * len(choice)))
    centre: tuple[Any, ...] = (0, 0, *[middle] * len(choice))
    x[centre] = 1
    for axis, each in enumerate(choice, start=2):
        if each.is_linear:
            outputs = [*x.shape[2:]]
            outputs[axis - 2] *= each.stride
            x = resized(x, outputs, "half_pixel", antialias=False)
        else:
            x = x.repeat(each.stride, axis)
    starts = [
        each.stride * middle + span.start - each.begin + a
        for each, a in zip(choice, tap, strict=True)
    ]
    around: tuple[Any, ...] = (0, 0, *(slice(start, start + len(span)) for start in starts))
    cut: Array = x[around]
    return cut


class TestProjection:
    """Weights taken by themselves."""

    @law
    @given(drawn=enlargements(), seed=st.integers(0, 99))
    def test_it_is_the_least_squares_solution(
        self, drawn: tuple[list[Axis], list[Enlargement]], seed: int
    ) -> None:
        """Of the explicit system: one column a tap, what it makes of a single element."""
        axes, choice = drawn
        span = range(-8, 9)
        weight = signal((2, 1, *(axis.kernel for axis in axes)), np.float64, seed)
        wanted = np.zeros((2, *[len(span)] * len(axes)))
        at = [slice(8 - axis.begin, 8 - axis.begin + axis.extent) for axis in axes]
        inside: tuple[Any, ...] = (slice(None), *at)
        wanted[inside] = dense(weight, axes)[:, 0]
        taps = list(product(*(range(each.taps) for each in choice)))
        matrix = np.stack([response(choice, tap, span).ravel() for tap in taps], axis=1)
        rows = wanted.reshape(2, -1).T
        expected, *_ = np.linalg.lstsq(matrix, rows, rcond=None)
        found = projected(weight, axes, choice)
        np.testing.assert_allclose(found.kernel.reshape(2, -1).T, expected, atol=1e-9)
        left = np.linalg.norm(rows - matrix @ expected) / np.linalg.norm(rows)
        assert found.residual == pytest.approx(left, abs=1e-9)

    def test_known_kernels(self) -> None:
        """Bilinear ones factor, a single tap at stride 2 keeps half of its energy."""
        for kernel, stride in (([1, 2, 1], 2), ([1, 3, 3, 1], 2), ([1, 2, 3, 2, 1], 3)):
            axis = Axis(len(kernel), stride)
            (place,) = placements(axis, len(kernel) - stride + 1)
            found = projected(np.array([[kernel]], np.float64), [axis], [place])
            assert found.residual == pytest.approx(0, abs=1e-12)
        found = projected(np.ones((1, 1, 1)), [Axis(1, 2)], [Enlargement(2, 1, 0)])
        assert found.residual == pytest.approx(0.5**0.5)


def behind_a_resize(
    x: Array, weight: Array, bias: Array, choice: Sequence[Enlargement], outputs: Sequence[int]
) -> Array:
    """A convolution behind a Resize, position by position, zeros around the map."""
    x = x.astype(np.float64)
    strides = [each.stride for each in choice]
    if choice[0].is_linear:
        large = [size * s for size, s in zip(x.shape[2:], strides, strict=True)]
        x = resized(x, large, "half_pixel", antialias=False)
    else:
        for axis, stride in enumerate(strides, start=2):
            x = x.repeat(stride, axis)
    x = np.pad(x, [(0, 0), (0, 0), *[(9, 9 + max(outputs))] * len(choice)])
    found = np.zeros((len(x), len(weight), *outputs))
    for tap in product(*(range(each.taps) for each in choice)):
        at = [9 - each.begin + a for each, a in zip(choice, tap, strict=True)]
        ends = [first + size for first, size in zip(at, outputs, strict=True)]
        read: tuple[Any, ...] = (slice(None), slice(None), *map(slice, at, ends))
        of_tap: tuple[Any, ...] = (slice(None), slice(None), *tap)
        found += np.einsum("nc...,oc->no...", x[read], weight[of_tap])
    biased: Array = found + bias.reshape(1, -1, *[1] * len(choice))
    return biased


class Problem:
    """A transposed convolution, and data of a convolution behind a Resize that was planted."""

    def __init__(
        self, axes: Sequence[Axis], taps: Sequence[int], *, is_linear: bool = False
    ) -> None:
        self.axes = tuple(axes)
        weight = signal((3, 2, *(axis.kernel for axis in axes)), np.float64)
        self.deconv = Deconv(weight, self.axes, (0,) * len(axes))
        places = [
            placements(axis, count, is_linear=is_linear)
            for axis, count in zip(axes, taps, strict=True)
        ]
        self.choices = list(product(*places))
        self.planted = self.choices[-1]
        self.weight = signal((2, 3, *taps), np.float64, 5)
        self.bias = np.array([0.5, -3.0])

    def samples(self, count: int, *, noise: float = 0.0, seed: int = 0) -> Samples:
        random = np.random.default_rng(seed)
        for _ in range(count):
            sizes = random.integers(5, 8, len(self.axes))
            x = random.standard_normal((1, 3, *sizes)) + 0.3
            outputs = [
                transposed_size(int(size), axis)
                for size, axis in zip(sizes, self.axes, strict=True)
            ]
            y = behind_a_resize(x, self.weight, self.bias, self.planted, outputs)
            yield x, y + noise * random.standard_normal(y.shape)


def fit_of(answer: DeconvFit | str) -> DeconvFit:
    assert isinstance(answer, DeconvFit), answer
    return answer


class TestFit:
    """Least squares on what a layer reads and made."""

    @pytest.mark.parametrize("is_linear", [False, True])
    @pytest.mark.parametrize(
        ("axes", "taps"),
        [
            ([Axis(4, 2, 1, 1, 1)], [3]),
            ([Axis(3, 2, 1, 1, 0)], [3]),
            ([Axis(2, 3)], [4]),
            ([Axis(3, 2, 1, 1, 1), Axis(4, 3, 1, 0, 2)], [3, 2]),
            ([Axis(3, 1, 1, 1, 1), Axis(4, 2, 1, 1, 1)], [3, 5]),
        ],
        ids=str,
    )
    def test_what_was_planted_is_found(
        self, axes: list[Axis], taps: list[int], *, is_linear: bool
    ) -> None:
        """The weights, the bias, and where the taps stand."""
        problem = Problem(axes, taps, is_linear=is_linear)
        fit = fit_of(
            fitted_deconv(problem.samples(30), problem.deconv, problem.choices, ridge=1e-9)
        )
        assert fit.choice == problem.planted
        np.testing.assert_allclose(fit.weight, problem.weight, atol=1e-5)
        np.testing.assert_allclose(fit.bias, problem.bias, atol=1e-5)
        assert fit.accuracy.relative_error < 1e-5

    @pytest.mark.parametrize("is_linear", [False, True])
    def test_it_solves_the_explicit_system(self, *, is_linear: bool) -> None:
        """Sums over phases give what lstsq makes of one row an output, ridge and held-out half."""
        problem = Problem([Axis(4, 2, 1, 1, 1)], [3], is_linear=is_linear)
        ridge = 1e-2
        samples = list(problem.samples(24, noise=0.5))
        fit = fit_of(
            fitted_deconv(samples, problem.deconv, problem.choices, ridge=ridge, largest_block=64)
        )
        prior = projected(problem.deconv.weight, problem.axes, problem.planted).kernel
        training = [self.rows(problem, *pair) for pair in samples[::2]]
        rows, wanted = (np.concatenate(parts) for parts in zip(*training, strict=True))
        centred = rows - rows.mean(0)
        penalty = ridge * np.square(rows).sum() / rows.shape[1]
        system = centred.T @ centred + penalty * np.eye(rows.shape[1])
        start = prior.swapaxes(1, 2).reshape(-1, 2)  # (input, tap), output
        right = centred.T @ (wanted - wanted.mean(0)) + penalty * start
        expected = np.linalg.solve(system, right)
        np.testing.assert_allclose(fit.weight.reshape(2, -1).T, expected, rtol=1e-6, atol=1e-9)
        held_out = [self.rows(problem, *pair) for pair in samples[1::2]]
        rows, wanted = (np.concatenate(parts) for parts in zip(*held_out, strict=True))
        apart = rows @ fit.weight.reshape(2, -1).T + fit.bias - wanted
        error = np.linalg.norm(apart) / np.linalg.norm(wanted)
        assert fit.accuracy.relative_error == pytest.approx(error)
        every = np.concatenate([y.ravel() for _, y in samples])
        psnr = 20 * np.log10(np.ptp(every)) - 10 * np.log10(np.square(apart).mean())
        assert fit.psnr_db == pytest.approx(psnr)

    @staticmethod
    def rows(problem: Problem, x: Array, y: Array) -> tuple[Array, Array]:
        """One row an output that has all its phases: what each tap reads, channel by channel."""
        count = y.shape[2] if problem.planted[0].is_linear else y.shape[2] // 2 * 2
        taps = problem.planted[0].taps
        each = np.eye(3 * taps).reshape(3 * taps, 3, taps)
        read = behind_a_resize(x, each, np.zeros(3 * taps), problem.planted, y.shape[2:])
        return read[0, :, :count].T, y[0, :, :count].T

    def test_a_larger_kernel_has_to_pay(self) -> None:
        """It is taken where the data has something for it, and not for noise."""
        five = Problem([Axis(4, 2, 1, 1, 1)], [5])
        three = Problem([Axis(4, 2, 1, 1, 1)], [3])
        choices = [*three.choices, *five.choices]
        for problem, taps in ((five, 5), (three, 3)):
            fit = fit_of(fitted_deconv(problem.samples(40, noise=0.3), problem.deconv, choices))
            assert fit.choice[0].taps == taps
            assert ("held-out error" in fit.fallback) is (taps == 3)

    def test_large_data_is_read_in_part(self) -> None:
        """Reading ends when there is enough; the same data gives the same weights."""
        problem = Problem([Axis(4, 2, 1, 1, 1)], [3])
        read: list[int] = []

        def endless() -> Samples:
            for number, pair in enumerate(problem.samples(10_000, noise=0.1)):
                read.append(number)
                yield pair

        fits = [fit_of(fitted_deconv(endless(), problem.deconv, problem.choices)) for _ in range(2)]
        assert len(read) < 2 * 200
        np.testing.assert_array_equal(fits[0].weight, fits[1].weight)

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda x, y: (x[:, :2], y), "data of shape (2, "),
            (lambda x, y: (x, y[:, :, 1:]), "data of shape (3, "),
            (lambda x, y: (x, y * np.nan), "the data hold NaN or infinity here"),
            (lambda x, y: (x, 0 * y), "the layer answers the data with nothing but zeros"),
        ],
        ids=["channels", "size", "NaN", "zeros"],
    )
    def test_useless_data(self, spoil: Any, reason: str) -> None:
        """Is a reason, not a fit."""
        problem = Problem([Axis(4, 2, 1, 1, 1)], [3])
        samples = [spoil(*pair) for pair in problem.samples(30)]
        answer = fitted_deconv(samples, problem.deconv, problem.choices)
        assert isinstance(answer, str)
        assert answer.startswith(reason)

    def test_too_little_data(self) -> None:
        """Five outputs an unknown are asked for, and a sample to hold out."""
        problem = Problem([Axis(4, 2, 1, 1, 1)], [3])
        answer = fitted_deconv(problem.samples(4), problem.deconv, problem.choices)
        assert str(answer).startswith("3 taps need 50 outputs to train on, found ")
        answer = fitted_deconv(problem.samples(1), problem.deconv, problem.choices)
        assert str(answer).startswith("half of the data is held out")

    def test_too_many_unknowns(self) -> None:
        """What cannot be solved for is said before anything is read."""
        wide = Deconv(np.ones((2000, 1, 4)), (Axis(4, 2),), (0,))
        choices = [(place,) for place in placements(Axis(4, 2), 3)]
        answer = fitted_deconv([], wide, choices)
        assert answer == "6001 unknowns a channel are more than the 5000 that can be solved for"
