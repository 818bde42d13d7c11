"""The closed forms against what ONNX Runtime's operators do.

The configurations are those it runs as documented. Left out are the ones it refuses: pools with
padding as long as the kernel, dilated or shorter kernels under SAME, output padding of a
stride or more, and Conv on input shorter than its window.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from onnxstride.geometry import (
    Axis,
    bias_only_tail,
    border,
    floor_form,
    output_size,
    same_padding,
    same_size,
    starts_in_padding,
    taps_per_phase,
    transposed_padding,
    transposed_size,
    unread_by_all,
    unread_share,
)
from onnxstride.geometry.ripple import phase_gains, ripple_db

from .comparing import differ, disagreements
from .placing import Fitted, Strided, Taps, Transposed, reads, windows_of, written
from .runtime import run, runtime_fitted, runtime_reads, runtime_written

Reads = tuple[frozenset[int], ...]

SIZES = range(1, 11)
WINDOWS = [
    axis
    for axis in (
        Axis(*numbers)
        for numbers in product((1, 2, 3, 4), (1, 2, 3, 5), (1, 2), (0, 1, 2), (0, 1, 3))
    )
    if max(axis.begin, axis.end) < axis.kernel
]
FLOOR = [
    Strided(size, axis)
    for size, axis in product(SIZES, WINDOWS)
    if size + axis.begin + axis.end >= axis.extent
]
CEIL = [case._replace(ceil_mode=True) for case in FLOOR]
UNDILATED = [case for case in [*FLOOR, *CEIL] if case.axis.dilation == 1]

STRIDED = [
    pytest.param("Conv", 22, FLOOR, id="Conv"),
    pytest.param("MaxPool", 22, [*FLOOR, *CEIL], id="MaxPool-22"),
    pytest.param("MaxPool", 12, [*FLOOR, *CEIL], id="MaxPool-12"),
    pytest.param("AveragePool", 22, [*FLOOR, *CEIL], id="AveragePool-22"),
    pytest.param("AveragePool", 11, UNDILATED, id="AveragePool-11"),
]


@pytest.fixture(scope="module")
def max_pool() -> Mapping[Strided, Reads]:
    """What MaxPool reads, in floor and in ceil mode."""
    return runtime_reads("MaxPool", [*FLOOR, *CEIL])


def claimed_size(case: Strided) -> int:
    return max(0, output_size(case.size, case.axis, ceil_mode=case.ceil_mode))


def _padding_windows_counted(case: Strided) -> int:
    plain = claimed_size(case)
    return plain + starts_in_padding(case.size, case.axis) if case.ceil_mode else plain


class TestStrided:
    """Conv and pools with explicit padding."""

    @pytest.mark.parametrize(("op_type", "opset", "cases"), STRIDED)
    def test_sizes_and_reads(self, op_type: str, opset: int, cases: list[Strided]) -> None:
        """Every window is where enumeration puts it, and O of them are made."""
        truth = runtime_reads(op_type, cases, opset=opset)
        assert not disagreements(reads, truth)
        assert not disagreements(claimed_size, {case: len(made) for case, made in truth.items()})

    def test_floor_form(self, max_pool: Mapping[Strided, Reads]) -> None:
        """A pool in floor mode with the padding of the floor form is the pool in ceil mode."""
        spelled = {case: _spelled_as_padding(case) for case in CEIL}
        runnable = {
            case: floor
            for case, floor in spelled.items()
            if floor.axis.end < floor.axis.kernel
            and floor.size + floor.axis.begin + floor.axis.end >= floor.axis.extent
        }
        answers = runtime_reads("MaxPool", runnable.values())
        truth = {case: max_pool[case] for case in runnable}
        assert not disagreements(lambda case: answers[runnable[case]], truth)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(
                lambda c: claimed_size(c) - (c.axis.stride > 1), id="one window less at a stride"
            ),
            pytest.param(
                lambda c: claimed_size(c._replace(axis=_undilated(c.axis))),
                id="dilation forgotten",
            ),
            pytest.param(
                lambda c: claimed_size(c._replace(ceil_mode=False)), id="ceil mode forgotten"
            ),
            pytest.param(_padding_windows_counted, id="windows of padding counted"),
            pytest.param(
                lambda c: claimed_size(c._replace(axis=_swapped(c.axis))), id="pads swapped"
            ),
        ],
    )
    def test_max_pool_finds_faults(
        self, max_pool: Mapping[Strided, Reads], fault: Callable[[Strided], int]
    ) -> None:
        """The same comparison accuses sizes that are slightly off."""
        truth = {case: len(made) for case, made in max_pool.items()}
        assert not disagreements(claimed_size, truth)
        assert disagreements(fault, truth)

    @pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
    def test_pools_make_a_window_that_does_not_fit(self, op_type: str) -> None:
        """A pool short of its window by less than a stride makes one; by more, none."""
        short_by_1, short_by_2 = Strided(2, Axis(3, 2)), Strided(1, Axis(3, 2))
        answers = runtime_reads(op_type, [short_by_1, short_by_2])
        assert answers == {short_by_1: (frozenset({0, 1}),), short_by_2: ()}
        assert [output_size(*case[:2]) for case in (short_by_1, short_by_2)] == [0, 0]


def _undilated(axis: Axis) -> Axis:
    return Axis(axis.kernel, axis.stride, 1, axis.begin, axis.end)


def _swapped(axis: Axis) -> Axis:
    return axis.padded(axis.end, axis.begin)


def _spelled_as_padding(case: Strided) -> Strided:
    return Strided(case.size, floor_form(case.axis))


def _reached(case: Strided) -> int:
    """Elements of padding reached at the end, or, negative, elements of data dropped."""
    found = border(case.size, case.axis, ceil_mode=case.ceil_mode)
    assert found is not None
    return found.padding_end - found.dropped


def _end_by_remainder(case: Strided, *, span: int, end: int) -> int:
    room = case.size + case.axis.begin + case.axis.end - span
    return end - room % case.axis.stride


@pytest.fixture(scope="module")
def by_impulse(max_pool: Mapping[Strided, Reads]) -> Mapping[Strided, int]:
    """Minus the elements after the last one read, where the last tap falls on data."""
    return {
        case: max(made[-1]) + 1 - case.size
        for case, made in max_pool.items()
        if made and windows_of(case)[-1][-1] < case.size
    }


@pytest.fixture(scope="module")
def by_length(max_pool: Mapping[Strided, Reads]) -> Mapping[Strided, int]:
    """Elements to append for as many windows without end padding; negative, to cut off."""
    candidates = {
        Strided(size, case.axis.padded(case.axis.begin, 0))
        for case in max_pool
        for size in range(1, SIZES.stop + 12)
        if size + case.axis.begin >= case.axis.extent
    }
    lengths: dict[tuple[Axis, int], int] = {}
    for case, made in sorted(
        runtime_reads("MaxPool", candidates).items(), key=lambda answer: answer[0].size
    ):
        lengths.setdefault((case.axis, len(made)), case.size)
    return {
        case: lengths[case.axis.padded(case.axis.begin, 0), len(made)] - case.size
        for case, made in max_pool.items()
        if made
    }


class TestBorders:
    """Padding reached and data dropped, without asking where windows start."""

    def test_impulses_in_the_dropped_data_are_not_seen(
        self, by_impulse: Mapping[Strided, int]
    ) -> None:
        """Where no padding is reached, exactly the dropped elements come after the last read."""
        assert not disagreements(_reached, by_impulse)

    def test_elements_to_append_or_cut(self, by_length: Mapping[Strided, int]) -> None:
        """Data in place of the padding reached, or less the data dropped, has as many windows."""
        assert not disagreements(_reached, by_length)
        assert disagreements(lambda case: _reached(case._replace(ceil_mode=False)), by_length)

    @pytest.mark.parametrize("oracle", ["by_impulse", "by_length"])
    def test_both_find_faults(self, oracle: str, request: pytest.FixtureRequest) -> None:
        """In floor mode pe - R agrees, and what is slightly off it does not."""
        answers: Mapping[Strided, int] = request.getfixturevalue(oracle)
        truth = {case: found for case, found in answers.items() if not case.ceil_mode}
        figures = _end_by_remainder
        assert not disagreements(lambda c: figures(c, span=c.axis.extent, end=c.axis.end), truth)
        for fault in (
            lambda c: figures(c, span=c.axis.kernel, end=c.axis.end),
            lambda c: figures(c, span=c.axis.extent, end=c.axis.begin),
            lambda c: figures(c, span=c.axis.extent - 1, end=c.axis.end),
            lambda c: figures(c, span=c.axis.extent, end=0),
        ):
            assert disagreements(fault, truth)


SAME = [
    Strided(size, Axis(kernel, stride))
    for size, kernel, stride in product(range(1, 14), (1, 2, 3, 4, 5, 7), (1, 2, 3, 4))
    if kernel >= stride
]


class TestSamePadding:
    """auto_pad SAME_UPPER and SAME_LOWER."""

    @pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
    @pytest.mark.parametrize("op_type", ["Conv", "MaxPool", "AveragePool"])
    def test_reads_what_the_explicit_padding_reads(self, op_type: str, auto_pad: str) -> None:
        """SAME is the explicit padding, window by window, and makes ceil(W / s) of them."""
        truth = runtime_reads(op_type, SAME, auto_pad=auto_pad)
        lower = auto_pad == "SAME_LOWER"
        assert not disagreements(lambda case: _reads_same(case, lower=lower), truth)
        assert disagreements(lambda case: _reads_same(case, lower=not lower), truth)
        assert not disagreements(
            lambda case: same_size(case.size, case.axis.stride),
            {case: len(made) for case, made in truth.items()},
        )

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(
                lambda w, a: a.padded((a.kernel - 1) // 2, a.kernel // 2), id="stride forgotten"
            ),
            pytest.param(lambda w, a: same_padding(w + 1, a, lower=False), id="one off"),
            pytest.param(lambda w, a: a, id="VALID"),
        ],
    )
    def test_conv_finds_faults(self, fault: Callable[[int, Axis], Axis]) -> None:
        """The same comparison accuses other paddings."""
        truth = runtime_reads("Conv", SAME, auto_pad="SAME_UPPER")
        assert disagreements(lambda c: reads(Strided(c.size, fault(c.size, c.axis))), truth)


def _reads_same(case: Strided, *, lower: bool) -> Reads:
    return reads(Strided(case.size, same_padding(case.size, case.axis, lower=lower)))


LINE = 72
INTERIOR = range(24, 48)
"""Whole periods of every stride below, clear of both ends."""

READERS = [
    Strided(LINE, Axis(*numbers))
    for numbers in product((1, 2, 3), (1, 2, 3, 4, 6), (1, 2, 3), (0, 1, 2))
    if numbers[3] < numbers[0]
]


@pytest.fixture(scope="module")
def pooled() -> Mapping[Strided, Reads]:
    return runtime_reads("AveragePool", READERS)


class TestUnread:
    """Positions that no window reads, and how often the others are read."""

    def test_share(self, pooled: Mapping[Strided, Reads]) -> None:
        """The share of interior impulses that a pool does not see."""
        truth = {case: _unseen([made]) for case, made in pooled.items()}
        assert not disagreements(lambda case: unread_share([case.axis]), truth)
        assert disagreements(lambda case: unread_share([_undilated(case.axis)]), truth)
        assert disagreements(
            lambda case: max(0, 1 - Fraction(case.axis.kernel, case.axis.stride)), truth
        )

    def test_share_of_two(self, pooled: Mapping[Strided, Reads]) -> None:
        """The share of interior impulses that neither of two pools sees."""
        truth = {
            (one, two): _unseen([pooled[one], pooled[two]])
            for one, two in product(READERS, READERS[::4])
        }
        assert not disagreements(lambda pair: unread_by_all([[c.axis] for c in pair]), truth)
        assert disagreements(lambda pair: unread_by_all([[_bare(c.axis)] for c in pair]), truth)
        assert disagreements(
            lambda pair: unread_share([pair[0].axis]) * unread_share([pair[1].axis]), truth
        )

    def test_times_read(self, pooled: Mapping[Strided, Reads]) -> None:
        """Interior elements are read as often as their phase has taps: so is the gradient."""
        truth = {
            case: tuple(sum(at in window for window in made) for at in INTERIOR)
            for case, made in pooled.items()
        }
        assert not disagreements(_times_read, truth)
        assert disagreements(
            lambda case: _times_read(case._replace(axis=_undilated(case.axis))), truth
        )
        assert disagreements(lambda case: _times_read(case._replace(axis=_bare(case.axis))), truth)


def _bare(axis: Axis) -> Axis:
    return axis.padded(0, 0)


def _unseen(readers: list[Reads]) -> Fraction:
    seen = {at for made in readers for window in made for at in window}
    return Fraction(len([at for at in INTERIOR if at not in seen]), len(INTERIOR))


def _times_read(case: Strided) -> tuple[int, ...]:
    counts = taps_per_phase(case.axis)
    return tuple(counts[(at + case.axis.begin) % case.axis.stride] for at in INTERIOR)


TRANSPOSED = [
    case
    for case in (
        Transposed(size, Axis(*numbers), output_padding)
        for size, *numbers, output_padding in product(
            (1, 2, 3, 7), (1, 2, 3, 4, 5), (1, 2, 3, 4), (1, 2, 3), (0, 1, 2), (0, 1, 3), (0, 1, 2)
        )
    )
    if case.output_padding < case.axis.stride and transposed_size(*case) >= 1
]


@pytest.fixture(scope="module")
def transposed() -> Mapping[Transposed, tuple[Taps, ...]]:
    return runtime_written(TRANSPOSED)


class TestTransposed:
    """ConvTranspose with explicit padding."""

    def test_sizes_and_taps(self, transposed: Mapping[Transposed, tuple[Taps, ...]]) -> None:
        """Every tap writes where enumeration says, and the size is O."""
        truth = {case: len(outputs) for case, outputs in transposed.items()}
        assert not disagreements(written, transposed)
        assert not disagreements(lambda case: transposed_size(*case), truth)
        assert disagreements(lambda case: transposed_size(*case[:2]), truth)
        assert disagreements(lambda c: transposed_size(c.size, _undilated(c.axis), c[2]), truth)
        assert disagreements(lambda case: transposed_size(*case) + 1, truth)

    def test_taps_per_phase(self, transposed: Mapping[Transposed, tuple[Taps, ...]]) -> None:
        """Away from the border an output gets as many taps as its phase has."""
        truth = {
            case: counts
            for case, outputs in transposed.items()
            if (counts := tuple(len(outputs[at]) for at in _interior(case)))
        }
        assert not disagreements(lambda c: _counts(c, taps_per_phase(c.axis)), truth)
        assert disagreements(lambda c: _counts(c, taps_per_phase(_undilated(c.axis))), truth)
        assert disagreements(lambda c: _counts(c, taps_per_phase(c.axis)[::-1]), truth)
        assert disagreements(lambda c: _counts(c._replace(axis=_swapped(c.axis))), truth)

    def test_bias_only_tail(self, transposed: Mapping[Transposed, tuple[Taps, ...]]) -> None:
        """Unless padding cuts into holes, as many outputs at the end are empty as the tail is."""
        truth = {
            case: len(outputs) - 1 - max(at for at, taps in enumerate(outputs) if taps)
            for case, outputs in transposed.items()
            if any(outputs) and (case.axis.end == 0 or _has_no_holes(case))
        }
        assert not disagreements(lambda c: bias_only_tail(c.axis, c.output_padding), truth)
        assert disagreements(lambda c: bias_only_tail(_swapped(c.axis), c.output_padding), truth)
        assert disagreements(lambda c: c.output_padding, truth)


def _has_no_holes(case: Transposed) -> bool:
    return all(written(Transposed(case.size, _bare(case.axis))))


def _interior(case: Transposed) -> range:
    """Outputs o with K - 1 <= o + pb <= s (W - 1), which every tap of their phase reaches."""
    axis = case.axis
    start = max(0, axis.extent - 1 - axis.begin)
    stop = min(transposed_size(*case), axis.stride * (case.size - 1) + 1 - axis.begin)
    return range(start, stop)


def _counts(case: Transposed, by_phase: tuple[int, ...] | None = None) -> tuple[int, ...]:
    counts = by_phase or taps_per_phase(case.axis)
    return tuple(counts[(at + case.axis.begin) % case.axis.stride] for at in _interior(case))


PLAIN = [
    Transposed(size, Axis(*numbers), output_padding)
    for size, *numbers, output_padding in product(
        (1, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4), (1, 2), (0, 1)
    )
    if output_padding < numbers[1]
]
FITTED = [
    Fitted(*case, full - total, auto_pad)
    for case, auto_pad in product(PLAIN, ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    for full in (transposed_size(*case),)
    for total in range(case.output_padding - case.axis.stride + 1, min(6, full))
]


@pytest.fixture(scope="module")
def fitted() -> Mapping[Fitted, tuple[Taps, ...]]:
    return runtime_fitted(FITTED)


class TestTransposedPadding:
    """ConvTranspose that is told its output size, or SAME."""

    def test_output_shape(self, fitted: Mapping[Fitted, tuple[Taps, ...]]) -> None:
        """The padding puts every tap where output_shape puts it, for every auto_pad."""
        assert not disagreements(_written_fitted, fitted)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda c: _swapped(_fitted(c)), id="pads swapped"),
            pytest.param(
                lambda c: transposed_padding(*c[:4], upper=c.auto_pad != "SAME_LOWER"),
                id="NOTSET as SAME_UPPER",
            ),
            pytest.param(
                lambda c: transposed_padding(
                    c.size, c.axis, 0, c.output_size, upper=c.auto_pad == "SAME_UPPER"
                ),
                id="output padding forgotten",
            ),
            pytest.param(
                lambda c: _halved(c, transposed_size(*c[:3]) - c.output_size),
                id="a negative total halved as well",
            ),
        ],
    )
    def test_output_shape_finds_faults(
        self, fitted: Mapping[Fitted, tuple[Taps, ...]], fault: Callable[[Fitted], Axis]
    ) -> None:
        """The same comparison accuses other paddings."""
        assert disagreements(
            lambda c: written(Transposed(c.size, fault(c), c.output_padding)), fitted
        )

    @pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
    def test_same(self, auto_pad: str) -> None:
        """SAME asks for W s outputs; where the taps reach fewer it pads nothing."""
        upper = auto_pad == "SAME_UPPER"
        truth = runtime_written(PLAIN, auto_pad=auto_pad)
        assert not disagreements(lambda case: _written_same(case, upper=upper), truth)
        assert disagreements(lambda case: _written_same(case, upper=not upper), truth)


def _fitted(case: Fitted) -> Axis:
    return transposed_padding(*case[:4], upper=case.auto_pad == "SAME_UPPER")


def _written_fitted(case: Fitted) -> tuple[Taps, ...]:
    return written(Transposed(case.size, _fitted(case), case.output_padding))


def _halved(case: Fitted, total: int) -> Axis:
    halves = total // 2, total - total // 2
    return case.axis.padded(*(halves if case.auto_pad == "SAME_UPPER" else halves[::-1]))


def _written_same(case: Transposed, *, upper: bool) -> tuple[Taps, ...]:
    size, axis, output_padding = case
    fitted = transposed_padding(size, axis, output_padding, size * axis.stride, upper=upper)
    return written(case._replace(axis=fitted if fitted.end >= 0 else axis))


Layer = tuple[list[Axis], tuple[int, int], int, list[int]]
"""Axes, channels as in the weights, groups, output padding."""

LAYERS = [
    pytest.param(([Axis(3, 2)], (3, 2), 1, [0]), id="k3 s2"),
    pytest.param(([Axis(5, 3, 2, 1, 2)], (2, 4), 1, [2]), id="k5 s3 d2, uneven pads"),
    pytest.param(([Axis(4, 2, 2, 2, 0)], (4, 1), 2, [0]), id="k4 s2 d2 in 2 groups, with holes"),
    pytest.param(([Axis(3, 2, 1, 1, 1)] * 2, (3, 5), 1, [1, 1]), id="k3 s2 p1 op1"),
    pytest.param(([Axis(4, 2, 1, 1, 1)] * 2, (6, 2), 3, [0, 0]), id="k4 s2 p1 in 3 groups"),
    pytest.param(([Axis(2, 3), Axis(5, 2, 3)], (2, 2), 1, [0, 0]), id="k2x5 s3x2 d1x3"),
    pytest.param(([Axis(4, 3, 1, 1), Axis(3, 1)], (4, 1), 4, [0, 0]), id="depthwise, one stride"),
    pytest.param(([Axis(3, 2), Axis(2, 2), Axis(3, 3, 2)], (2, 3), 1, [0] * 3), id="3-D"),
    pytest.param(([Axis(2, 2), Axis(4, 3), Axis(1, 2)], (4, 1), 2, [0] * 3), id="3-D in 2 groups"),
]


def _answers_to_constants(layer: Layer, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """One period of the output per input channel: shape (phases, C_in, C_out)."""
    axes, (channels, _), groups, output_padding = layer
    sizes = [-(-2 * axis.extent // axis.stride) + 4 for axis in axes]
    constants = np.eye(channels, dtype=np.float32).reshape(channels, channels, *[1] * len(axes))
    x = np.broadcast_to(constants, (channels, channels, *sizes))
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w"],
        ["y"],
        group=groups,
        strides=[axis.stride for axis in axes],
        dilations=[axis.dilation for axis in axes],
        pads=[axis.begin for axis in axes] + [axis.end for axis in axes],
        output_padding=output_padding,
    )
    (y,) = run([node], {"w": weight}, np.ascontiguousarray(x))
    periods = [_one_period(axis, size) for axis, size in zip(axes, sizes, strict=True)]
    block = y[(slice(None), slice(None), *periods)]
    return np.moveaxis(block.reshape(channels, y.shape[1], -1), -1, 0)


def _one_period(axis: Axis, size: int) -> slice:
    """Interior outputs of phases 0 to s - 1, in this order."""
    first = -(-(axis.extent - 1) // axis.stride) * axis.stride - axis.begin
    first += axis.stride if first < 0 else 0
    assert first + axis.stride - 1 in _interior(Transposed(size, axis))
    return slice(first, first + axis.stride)


def _spread_over_groups(gains: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
    """Gains to every output channel, 0 to those of other groups."""
    phases, channels, outputs = gains.shape
    spread = np.zeros((phases, channels, groups, outputs))
    for channel in range(channels):
        spread[:, channel, channel * groups // channels] = gains[:, channel]
    return spread.reshape(phases, channels, groups * outputs)


class TestConstantInput:
    """Phase gains and ripple of ConvTranspose."""

    @pytest.mark.parametrize("layer", LAYERS)
    def test_gains_are_the_answer_to_a_constant(self, layer: Layer) -> None:
        """Each phase answers 1 in one channel with its gain; fp32 rounding is all that is left."""
        axes, _, groups, _ = layer
        weight = _weight(layer)
        answers = _answers_to_constants(layer, weight)
        expected = _spread_over_groups(phase_gains(weight, axes), groups)
        assert not differ(answers, expected, atol=1e-5)
        assert differ(answers, expected[::-1], atol=1e-5)
        assert differ(answers, np.roll(expected, 1, axis=0), atol=1e-5)

    @pytest.mark.parametrize("layer", LAYERS)
    def test_ripple_is_that_of_the_answer(self, layer: Layer) -> None:
        """RMS of the periodic pattern over RMS of its mean, over all constant inputs, in dB."""
        weight = _weight(layer)
        measured = _measured_ripple(layer, weight)
        assert ripple_db(weight, layer[0]) == pytest.approx(measured, abs=1e-3)

    def test_ripple_of_a_dilated_layer_finds_the_dilation_forgotten(self) -> None:
        """Where dilation and stride share a factor the taps fall on other phases."""
        axes = [Axis(4, 2, 2, 2, 0)]
        layer: Layer = (axes, (4, 1), 2, [0])
        measured = _measured_ripple(layer, _weight(layer))
        assert ripple_db(_weight(layer), axes) == pytest.approx(measured, abs=1e-3)
        undilated = ripple_db(_weight(layer), [_undilated(axis) for axis in axes])
        assert undilated != pytest.approx(measured, abs=1e-3)


def _measured_ripple(layer: Layer, weight: NDArray[np.float32]) -> float:
    answers = _answers_to_constants(layer, weight).astype(np.float64)
    mean = answers.mean(axis=0)
    pattern = np.square(answers - mean).mean(axis=0).sum() / np.square(mean).sum()
    return float(10 * np.log10(pattern))


def _weight(layer: Layer) -> NDArray[np.float32]:
    axes, channels, _, _ = layer
    shape = (*channels, *(axis.kernel for axis in axes))
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)
