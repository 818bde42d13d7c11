"""Phase gains and ripple against sums over single taps, reference figures and laws."""

from collections.abc import Callable, Sequence
from math import inf, isnan, log10, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onnxstride.geometry import Axis, ripple
from onnxstride.geometry.ripple import (
    overlap_ripple_db,
    phase_gains,
    random_ripple_db,
    ripple_db,
    transposed_ripple,
)

from .comparing import differ
from .strategies import law

Floats = NDArray[np.float64]
Gains = Callable[[Floats, Sequence[Axis]], Floats]

SHAPES = [
    pytest.param([Axis(3, 2)], id="k3 s2"),
    pytest.param([Axis(5, 3, 2)], id="k5 s3 d2"),
    pytest.param([Axis(4, 6, 4)], id="k4 s6 d4, with holes"),
    pytest.param([Axis(4, 2), Axis(3, 3)], id="k4x3 s2x3"),
    pytest.param([Axis(2, 3), Axis(5, 2, 2)], id="k2x5 s3x2 d1x2, with holes"),
    pytest.param([Axis(3, 2), Axis(1, 1), Axis(4, 3, 2)], id="3-D"),
]


def weights(axes: Sequence[Axis], *, seed: int, channels: tuple[int, int] = (3, 2)) -> Floats:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((*channels, *(axis.kernel for axis in axes)))


def summed_taps(weight: Floats, axes: Sequence[Axis]) -> Floats:
    """The gains, tap by tap."""
    strides = [axis.stride for axis in axes]
    gains = np.zeros((*strides, *weight.shape[:2]))
    for taps in np.ndindex(weight.shape[2:]):
        phase = tuple(j * a.dilation % a.stride for j, a in zip(taps, axes, strict=True))
        gains[phase] += weight[(slice(None), slice(None), *taps)]
    return gains.reshape(-1, *weight.shape[:2])


def ripple_of_gains(gains: Floats) -> float:
    """The ripple by its definition: RMS of the pattern over RMS of what it rides on."""
    mean = gains.mean(axis=0)
    return 20 * log10(sqrt(((gains - mean) ** 2).mean(axis=0).sum() / (mean**2).sum()))


class TestPhaseGains:
    """Sums of taps."""

    @pytest.mark.parametrize("axes", SHAPES)
    def test_sums_the_taps_of_each_phase(self, axes: list[Axis]) -> None:
        """Each gain is the sum of its taps, phase of the last axis fastest, 0 without taps."""
        weight = weights(axes, seed=1)
        assert not differ(phase_gains(weight, axes), summed_taps(weight, axes), atol=1e-12)

    @pytest.mark.parametrize("axes", [*SHAPES[1:2], *SHAPES[4:]])
    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(
                lambda w, axes: phase_gains(w, [Axis(a.kernel, a.stride) for a in axes]),
                id="dilation forgotten",
            ),
            pytest.param(
                lambda w, axes: phase_gains(np.flip(w, axis=tuple(range(2, w.ndim))), axes),
                id="kernel turned round",
            ),
            pytest.param(lambda w, axes: phase_gains(w, axes)[::-1], id="phases turned round"),
            pytest.param(
                lambda w, axes: phase_gains(w, axes).swapaxes(1, 2), id="channels swapped"
            ),
            pytest.param(
                lambda w, axes: phase_gains(w, axes) / w[0, 0].size, id="mean instead of sum"
            ),
        ],
    )
    def test_the_sums_find_faults(self, fault: Gains, axes: list[Axis]) -> None:
        """The same sums accuse other gains."""
        weight = weights(axes, seed=1)
        assert differ(fault(weight, axes), summed_taps(weight, axes), atol=1e-12)

    def test_half_precision_is_summed_in_double(self) -> None:
        """Taps that float16 cannot add up are added in float64."""
        weight = np.full((1, 1, 4000), 1.0, np.float16)
        assert phase_gains(weight, [Axis(4000)]).item() == 4000
        assert phase_gains(weight * np.float16(50), [Axis(4000)]).item() == 200_000

    @pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 3, 2), (1, 1, 3, 3, 3)])
    def test_weights_must_fit_the_window(self, shape: tuple[int, ...]) -> None:
        """Weights with another kernel are refused, not cut or read past their end."""
        with pytest.raises(ValueError, match=r"expected weights with kernel \(3, 3\), found"):
            phase_gains(np.ones(shape), [Axis(3, 2)] * 2)


class TestReferenceFigures:
    """Ripple of kernels whose figures are known."""

    @pytest.mark.parametrize(
        ("axis", "in_1d", "in_2d"),
        [
            pytest.param(Axis(3, 2), -9.5, -6.3, id="k3 s2"),
            pytest.param(Axis(5, 2), -14.0, -10.9, id="k5 s2"),
            pytest.param(Axis(7, 2), -16.9, -13.8, id="k7 s2"),
            pytest.param(Axis(2, 3), -3.0, 1.0, id="k2 s3, with holes"),
            pytest.param(Axis(4, 2, 2), 0.0, 4.8, id="k4 s2 d2, with holes"),
            pytest.param(Axis(4, 2), -inf, -inf, id="k4 s2"),
        ],
    )
    def test_all_ones(self, axis: Axis, in_1d: float, in_2d: float) -> None:
        """Overlap alone, in decibels."""
        assert ripple_db(np.ones((1, 1, axis.kernel)), [axis]) == pytest.approx(in_1d, abs=0.05)
        plane = np.ones((2, 3, axis.kernel, axis.kernel), np.float32)
        assert ripple_db(plane, [axis] * 2) == pytest.approx(in_2d, abs=0.05)

    @pytest.mark.parametrize(
        ("line", "stride"),
        [
            pytest.param([0.5, 1, 0.5], 2, id="linear, kernel 3"),
            pytest.param([0.25, 0.75, 0.75, 0.25], 2, id="linear, kernel 4"),
            pytest.param([1 / 3, 2 / 3, 1, 2 / 3, 1 / 3], 3, id="linear by 3, rounded thirds"),
            pytest.param([1, 1, 1], 3, id="nearest by 3"),
        ],
    )
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_interpolating_kernels_do_not_ripple(
        self, line: list[float], stride: int, dtype: type[np.floating[Any]]
    ) -> None:
        """Interpolation answers a constant with a constant, uneven overlap or not."""
        plane = np.outer(line, line).astype(dtype)[np.newaxis, np.newaxis]
        assert ripple_db(plane, [Axis(len(line), stride)] * 2) == -inf

    @pytest.mark.parametrize("kernel", [2, 3, 4, 5])
    @pytest.mark.parametrize(("stride", "figure"), [(2, 4.8), (3, 9.0), (4, 11.8)])
    def test_random_weights(self, kernel: int, stride: int, figure: float) -> None:
        """Zero-mean random weights ripple by sqrt(prod(s) - 1), whatever the kernel."""
        axes = [Axis(kernel, stride)] * 2
        weight = weights(axes, seed=kernel, channels=(96, 96))
        expected = 20 * log10(sqrt(stride**2 - 1))
        assert expected == pytest.approx(figure, abs=0.06)
        assert ripple_db(weight, axes) == pytest.approx(expected, abs=0.25)

    @pytest.mark.parametrize(
        ("strides", "figure"), [((2, 2), 4.8), ((3, 3), 9.0), ((4, 4), 11.8), ((2,), 0.0)]
    )
    def test_random_weights_are_predicted(self, strides: tuple[int, ...], figure: float) -> None:
        """sqrt(prod(s) - 1); a layer without a stride has nothing to ripple."""
        assert random_ripple_db(strides) == pytest.approx(figure, abs=0.06)
        assert random_ripple_db((1, 1)) == -inf

    @pytest.mark.parametrize("kernel", range(1, 10))
    @pytest.mark.parametrize("stride", range(1, 7))
    @pytest.mark.parametrize("dilation", [1, 2, 3])
    def test_all_ones_are_predicted(self, kernel: int, stride: int, dilation: int) -> None:
        """From the overlap alone, holes included, in one dimension and two."""
        axis = Axis(kernel, stride, dilation)
        line, plane = np.ones((1, 1, kernel)), np.ones((1, 1, kernel, 3))
        expected = ripple_db(line, [axis])
        assert overlap_ripple_db([axis]) == pytest.approx(expected, abs=1e-9)
        expected = ripple_db(plane, [axis, Axis(3, 2)])
        assert overlap_ripple_db([axis, Axis(3, 2)]) == pytest.approx(expected, abs=1e-9)


@st.composite
def kernels(draw: st.DrawFn, *, most_taps: int = 6) -> tuple[Floats, Axis]:
    """A line of whole-numbered weights, whose sums are exact, and its window."""
    line = draw(st.lists(st.integers(-8, 8), min_size=1, max_size=most_taps))
    axis = Axis(len(line), draw(st.integers(1, 5)), draw(st.integers(1, 4)))
    return np.array(line, np.float64), axis


class TestRipple:
    """What the ripple is and is not changed by."""

    @pytest.mark.parametrize("axes", SHAPES)
    def test_is_its_definition(self, axes: list[Axis]) -> None:
        """RMS over phases and channels, holes counted, as computed from the single taps."""
        weight = weights(axes, seed=2)
        expected = ripple_of_gains(summed_taps(weight, axes))
        assert ripple_db(weight, axes) == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda gains: ripple_of_gains(gains) / 2, id="10 log10"),
            pytest.param(
                lambda gains: ripple_of_gains(gains[np.abs(gains).sum(axis=(1, 2)) > 0]),
                id="holes left out",
            ),
            pytest.param(
                lambda gains: ripple_of_gains(gains.sum(axis=1, keepdims=True)),
                id="one grey input instead of any",
            ),
        ],
    )
    def test_the_definition_finds_faults(self, fault: Callable[[Floats], float]) -> None:
        """The same comparison accuses other measures."""
        axes = [Axis(2, 3), Axis(5, 2, 2)]
        weight = weights(axes, seed=2)
        expected = ripple_db(weight, axes)
        assert fault(summed_taps(weight, axes)) != pytest.approx(expected, abs=1e-9)

    @law
    @given(kernels(), kernels())
    def test_axes_of_a_separable_kernel(
        self, one: tuple[Floats, Axis], two: tuple[Floats, Axis]
    ) -> None:
        """1 + rho^2 of an outer product is the product of the axes' own."""
        if not (one[0].sum() and two[0].sum()):
            return
        plane = np.outer(one[0], two[0])[np.newaxis, np.newaxis]
        together = _one_plus_square(ripple_db(plane, [one[1], two[1]]))
        apart = [_one_plus_square(ripple_db(line[None, None], [axis])) for line, axis in (one, two)]
        assert together == pytest.approx(apart[0] * apart[1], rel=1e-9)

    @law
    @given(kernels(), st.sampled_from([-1024.0, -0.125, 2.0**-60, 2.0**90]))
    def test_scale_and_sign_do_not_matter(self, kernel: tuple[Floats, Axis], factor: float) -> None:
        """Ripple is relative: the weights times a number ripple as before."""
        line, axis = kernel
        weight = line[np.newaxis, np.newaxis]
        assert ripple_db(weight * factor, [axis]) == ripple_db(weight, [axis])

    @law
    @given(kernels(), st.integers(1, 5))
    def test_a_box_makes_any_kernel_even(self, kernel: tuple[Floats, Axis], stride: int) -> None:
        """In 1-D every kernel with box(s) as a factor answers a constant with a constant."""
        line = np.convolve(kernel[0], np.ones(stride))
        assert ripple_db(line[np.newaxis, np.newaxis], [Axis(len(line), stride)]) == -inf

    @law
    @given(kernels(), st.integers(2, 5))
    def test_one_tap_off_an_even_kernel_ripples(
        self, kernel: tuple[Floats, Axis], stride: int
    ) -> None:
        """The measure sees a single tap that an even kernel is off by."""
        line = np.convolve(kernel[0], np.ones(stride))
        line[0] += 1
        assert ripple_db(line[np.newaxis, np.newaxis], [Axis(len(line), stride)]) > -100

    def test_stride_one_never_ripples(self) -> None:
        """With one phase there is no pattern."""
        assert ripple_db(weights([Axis(3)] * 2, seed=3), [Axis(3, 1, 2)] * 2) == -inf

    def test_slices_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Channel by channel, the figure is that of all channels at once."""
        axes = [Axis(3, 2)] * 2
        weight = weights(axes, seed=4, channels=(17, 5))
        whole = ripple_db(weight, axes)
        monkeypatch.setattr(ripple, "_CHUNK_ELEMENTS", 1)
        assert ripple_db(weight, axes) == pytest.approx(whole, abs=1e-9)

    def test_no_stride_is_too_large(self) -> None:
        """Phases without taps are counted, not built."""
        alone = ripple_db(np.ones((1, 1, 3, 3)), [Axis(3, 2**40)] * 2)
        assert alone == pytest.approx(20 * log10(sqrt(2.0**80 / 9)), abs=1e-6)


def ripple_along(gains: Floats, strides: Sequence[int], i: int) -> float:
    """The ripple that is left when the pattern is averaged over all axes but one."""
    apart = gains.reshape(*strides, *gains.shape[1:])
    others = tuple(j for j in range(len(strides)) if j != i)
    return ripple_of_gains(apart.mean(axis=others))


class TestPerAxis:
    """Ripple along each axis."""

    @pytest.mark.parametrize("axes", SHAPES)
    def test_is_its_definition(self, axes: list[Axis]) -> None:
        """The gains averaged over the phases of all other axes, holes counted."""
        weight = weights(axes, seed=5)
        gains, strides = summed_taps(weight, axes), [axis.stride for axis in axes]
        for i, figure in enumerate(transposed_ripple(weight, axes).per_axis):
            if strides[i] == 1:
                assert figure == -inf
            else:
                assert figure == pytest.approx(ripple_along(gains, strides, i), abs=1e-9)

    def test_the_definition_finds_faults(self) -> None:
        """The same comparison accuses axes that changed places, and the whole for a part."""
        axes = [Axis(2, 3), Axis(5, 2, 2)]
        weight = weights(axes, seed=5)
        gains = summed_taps(weight, axes)
        along = [ripple_along(gains, (3, 2), i) for i in (0, 1)]
        total, per_axis = transposed_ripple(weight, axes)
        assert per_axis == pytest.approx(along, abs=1e-9)
        assert per_axis[::-1] != pytest.approx(along, abs=1e-9)
        assert (total, total) != pytest.approx(along, abs=1e-9)

    def test_a_separable_kernel_ripples_as_its_axes_do(self) -> None:
        """Along each axis an outer product ripples as the line along it."""
        one, two = np.array([3.0, 1, 4]), np.array([1.0, 5, 9, 2])
        axes = [Axis(3, 2), Axis(4, 3)]
        found = transposed_ripple(np.outer(one, two)[None, None], axes)
        lines = [
            ripple_db(line[None, None], [axis]) for line, axis in zip((one, two), axes, strict=True)
        ]
        assert found.per_axis == pytest.approx(lines, abs=1e-9)

    def test_a_pattern_across_has_nothing_along(self) -> None:
        """A chessboard averages out along either axis, and is there all the same."""
        chessboard = np.array([[2.0, 1], [1, 2]])[None, None]
        found = transposed_ripple(chessboard, [Axis(2, 2)] * 2)
        assert found.per_axis == (-inf, -inf)
        assert found.total == pytest.approx(20 * log10(1 / 3), abs=1e-9)


class TestAlone:
    """Axes with a single input position."""

    def test_their_taps_answer_for_themselves(self) -> None:
        """The rows that one input row writes ripple each along the width, as channels would."""
        axes = [Axis(3, 2), Axis(4, 2)]
        weight = weights(axes, seed=6)
        found = transposed_ripple(weight, axes, alone=[0])
        rows = np.moveaxis(weight, 2, 1).reshape(3, -1, 4)
        expected = ripple_db(rows, [Axis(4, 2)])
        assert found.total == pytest.approx(expected, abs=1e-9)
        assert found.per_axis[0] == -inf
        assert found.per_axis[1] == pytest.approx(expected, abs=1e-9)
        assert found.total != pytest.approx(ripple_db(weight, axes), abs=1e-3)

    @pytest.mark.parametrize("alone", [[1], [0, 2], [2, 0, 1]])
    def test_any_of_three(self, alone: list[int]) -> None:
        """Whichever they are and in whatever order they are named."""
        axes = [Axis(3, 2), Axis(2, 3), Axis(4, 2)]
        weight = weights(axes, seed=7)
        kept = [i for i in range(3) if i not in alone]
        order = [0, 1, *(2 + i for i in sorted(alone)), *(2 + i for i in kept)]
        lines = weight.transpose(order).reshape(3, -1, *(axes[i].kernel for i in kept))
        expected = ripple_db(lines, [axes[i] for i in kept])
        found = transposed_ripple(weight, axes, alone)
        assert found.total == pytest.approx(expected, abs=1e-9)
        assert all(found.per_axis[i] == -inf for i in alone)


def _one_plus_square(decibels: float) -> float:
    return 1 + float(10 ** (decibels / 10))


class TestOddWeights:
    """Weights at the edge of what a number can be."""

    def test_all_zero_is_even(self) -> None:
        """Zero weights answer a constant with the bias alone."""
        assert ripple_db(np.zeros((2, 2, 3)), [Axis(3, 2)]) == -inf

    def test_no_channels_is_even(self) -> None:
        """Weights without input channels have nothing to ripple."""
        assert ripple_db(np.zeros((0, 2, 3)), [Axis(3, 2)]) == -inf

    def test_gains_that_cancel(self) -> None:
        """A pattern that rides on nothing is infinitely strong."""
        assert ripple_db(np.array([[[1.0, -1.0]]]), [Axis(2, 2)]) == inf

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
    def test_nan_and_infinity(self, odd: float, dtype: type[np.floating[Any]]) -> None:
        """There is no figure for weights that are not numbers, and no warning either."""
        for line in ([1, odd, 1], [odd, odd, odd], [odd, 1, -odd]):
            assert isnan(ripple_db(np.array([[line]], dtype), [Axis(3, 2)]))

    def test_squares_out_of_range(self) -> None:
        """There is no figure either when squares of the gains leave the range of float64."""
        weight = np.full((1, 1, 3), 1e200)
        assert isnan(ripple_db(weight, [Axis(3, 2)]))
        assert isnan(ripple_db(weight, [Axis(3, 4)]))

    @pytest.mark.parametrize(
        ("excess", "decibels"),
        [
            pytest.param(4e-6, -114, id="two millionths off the mean"),
            pytest.param(1e-6, -inf, id="half a millionth, as rounding leaves"),
        ],
    )
    def test_where_rounding_begins(self, excess: float, decibels: float) -> None:
        """A pattern below -120 dB is rounding of the weights, above it is a pattern."""
        weight = np.array([[[1.0, 1.0 + excess]]])
        assert ripple_db(weight, [Axis(2, 2)]) == pytest.approx(decibels, abs=0.1)

    def test_largest_single_precision(self) -> None:
        """The largest float32 weights are well within range."""
        weight = np.full((4, 4, 3, 3), np.finfo(np.float32).max)
        assert ripple_db(weight, [Axis(3, 2)] * 2) == pytest.approx(-6.3, abs=0.05)
