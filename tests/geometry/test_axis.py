"""Sizes and paddings against windows put down one at a time, and their laws at any magnitude."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.geometry import (
    Axis,
    floor_form,
    may_start_in_padding,
    output_size,
    same_padding,
    same_size,
    same_total,
    starts_in_padding,
    transposed_padding,
    transposed_size,
)

from .comparing import disagreements
from .placing import Fitted, Strided, Transposed, windows, windows_of, written
from .strategies import HUGE, axes, law, sizes

WINDOWS = [
    Axis(*numbers)
    for numbers in product((1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 3), (0, 1, 3), (0, 1, 2, 6))
]
SHORT = range(1, 11)
STRIDED = [
    Strided(size, axis, ceil_mode)
    for axis, size, ceil_mode in product(WINDOWS, SHORT, (False, True))
]


def claimed_size(case: Strided) -> int:
    return max(0, output_size(case.size, case.axis, ceil_mode=case.ceil_mode))


class TestOutputSize:
    """O of strided windows."""

    truth = {case: len(windows_of(case)) for case in STRIDED}

    def test_counts_the_windows(self) -> None:
        """O is the number of windows that can be put down, in floor and in ceil mode."""
        assert not disagreements(claimed_size, self.truth)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda c: max(0, claimed_size(c) - 1), id="one window less"),
            pytest.param(
                lambda c: claimed_size(c._replace(axis=_undilated(c.axis))),
                id="dilation forgotten",
            ),
            pytest.param(
                lambda c: claimed_size(c._replace(ceil_mode=False)), id="ceil mode forgotten"
            ),
            pytest.param(
                lambda c: claimed_size(c._replace(ceil_mode=True)), id="always rounded up"
            ),
            pytest.param(lambda c: claimed_size(_swapped(c)), id="pads swapped"),
        ],
    )
    def test_the_count_finds_faults(self, fault: Callable[[Strided], int]) -> None:
        """The same comparison accuses formulas that are slightly off."""
        assert disagreements(fault, self.truth)

    @law
    @given(sizes(HUGE), axes(HUGE, least_padding=-HUGE))
    def test_one_more_window_would_not_fit(self, size: int, axis: Axis) -> None:
        """O windows end within the padded input and O + 1 do not, for integers of any size."""
        outputs = output_size(size, axis)
        last_end = (outputs - 1) * axis.stride - axis.begin + axis.extent
        assert last_end <= size + axis.end < last_end + axis.stride

    @law
    @given(sizes(HUGE), axes(HUGE))
    def test_ceil_mode_covers_all_or_runs_out_of_data(self, size: int, axis: Axis) -> None:
        """The last window starts in the data; the next would start past it or have no need."""
        last = (output_size(size, axis, ceil_mode=True) - 1) * axis.stride - axis.begin
        assert last < size
        assert last + axis.extent >= size + axis.end or last + axis.stride >= size

    @pytest.mark.parametrize(
        ("size", "axis", "ceil_mode", "outputs"),
        [
            pytest.param(7, Axis(3), False, 5, id="7 with k3"),
            pytest.param(7, Axis(3, 2), False, 3, id="7 with k3 s2"),
            pytest.param(8, Axis(3, 3), False, 2, id="8 with k3 s3 leaves two over"),
            pytest.param(8, Axis(3, 3), True, 3, id="8 with k3 s3, rounded up"),
            pytest.param(224, Axis(7, 2, 1, 3, 3), False, 112, id="the first layer of ResNet"),
            pytest.param(112, Axis(3, 2, 1, 1, 1), False, 56, id="the pool of ResNet"),
            pytest.param(227, Axis(11, 4), False, 55, id="the first layer of AlexNet"),
            pytest.param(224, Axis(16, 16), False, 14, id="patches of a vision transformer"),
            pytest.param(32, Axis(3, 1, 2, 2, 2), False, 32, id="k3 d2 p2 keeps the size"),
            pytest.param(6, Axis(3, 3, 1, 1, 1), True, 3, id="6 with k3 s3 p1, rounded up"),
            pytest.param(5, Axis(3, 3, 1, 1, 1), True, 2, id="5 with k3 s3 p1: no third window"),
            pytest.param(12, Axis(1, 2), True, 6, id="12 with k1 s2: no seventh window"),
            pytest.param(2, Axis(3), False, 0, id="a window larger than the data"),
            pytest.param(1, Axis(5), False, -3, id="a window much larger than the data"),
            pytest.param(1, Axis(5, 10), True, 1, id="rounded up, a window may overhang"),
        ],
    )
    def test_known_sizes(self, size: int, axis: Axis, ceil_mode: bool, outputs: int) -> None:
        """Sizes found in textbooks and papers come out."""
        assert output_size(size, axis, ceil_mode=ceil_mode) == outputs


def _undilated(axis: Axis) -> Axis:
    return Axis(axis.kernel, axis.stride, 1, axis.begin, axis.end)


def _swapped(case: Strided) -> Strided:
    axis = case.axis
    return case._replace(axis=axis.padded(axis.end, axis.begin))


class TestFloorForm:
    """Ceil mode spelled as padding."""

    truth = {case: claimed_size(case) for case in STRIDED if case.ceil_mode}

    @staticmethod
    def size_with(form: Callable[[Axis], Axis]) -> Callable[[Strided], int]:
        return lambda case: max(0, output_size(case.size, form(case.axis)))

    def test_floor_mode_then_gives_the_same_windows(self) -> None:
        """In floor mode the windows of the floor form are those of ceil mode, for every size."""
        assert not disagreements(
            lambda case: windows(case.size, floor_form(case.axis), "down"),
            {case: windows_of(case) for case in self.truth},
        )

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda a: a, id="no padding added"),
            pytest.param(
                lambda a: a.padded(a.begin, a.end + a.stride - 1), id="windows start in padding"
            ),
            pytest.param(
                lambda a: a.padded(a.begin, min(a.end + a.stride - 1, a.kernel - 1)),
                id="dilation forgotten",
            ),
            pytest.param(
                lambda a: a.padded(a.begin, min(a.end + a.stride, a.extent - 1)),
                id="one element too many",
            ),
            pytest.param(
                lambda a: a.padded(a.begin, min(a.begin + a.stride - 1, a.extent - 1)),
                id="pads swapped",
            ),
        ],
    )
    def test_the_sizes_find_faults(self, fault: Callable[[Axis], Axis]) -> None:
        """The same sizes accuse forms that add other padding."""
        assert not disagreements(self.size_with(floor_form), self.truth)
        assert disagreements(self.size_with(fault), self.truth)

    @law
    @given(axes(HUGE))
    def test_only_the_end_changes(self, axis: Axis) -> None:
        """Kernel, stride, dilation and the padding at the begin are kept."""
        form = floor_form(axis)
        assert form == axis.padded(axis.begin, form.end)

    @law
    @given(axes(30))
    def test_when_the_form_is_the_window_itself(self, axis: Axis) -> None:
        """Stride 1 changes nothing while a window is longer than the padding at the end."""
        unchanged = axis.end == axis.extent - 1 or (axis.stride == 1 and axis.end < axis.extent)
        assert (floor_form(axis) == axis) == unchanged

    def test_it_is_taken_once(self) -> None:
        """The floor form of a floor form has more padding: it no longer means ceil mode."""
        once = floor_form(Axis(5, 2))
        assert (once.end, floor_form(once).end) == (1, 2)


class TestStartsInPadding:
    """Sizes at which rounding up would make windows of nothing but padding."""

    truth = {
        case: windows(case.size, case.axis, "up") != windows_of(case)
        for case in STRIDED
        if case.ceil_mode
    }
    for_some_size = {
        axis: any(
            windows(size, axis, "up") != windows_of(Strided(size, axis, ceil_mode=True))
            for size in range(1, 16)
        )
        for axis in WINDOWS
    }

    def test_says_when_such_a_window_is_asked_for(self) -> None:
        """It is true exactly when plain rounding up makes a window that starts past the data."""
        assert not disagreements(lambda c: starts_in_padding(c.size, c.axis), self.truth)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda a, w: w % a.stride != 0, id="size that the stride does not divide"),
            pytest.param(
                lambda a, w: starts_in_padding(w, _undilated(a)),
                id="dilation forgotten",
            ),
            pytest.param(
                lambda a, w: starts_in_padding(w, a.padded(a.end, a.begin)), id="pads swapped"
            ),
        ],
    )
    def test_the_windows_find_faults(self, fault: Callable[[Axis, int], bool]) -> None:
        """The same comparison accuses other criteria."""
        assert disagreements(lambda c: fault(c.axis, c.size), self.truth)

    def test_for_some_size(self) -> None:
        """``may_start_in_padding`` says whether there is any size at which it happens."""
        assert not disagreements(may_start_in_padding, self.for_some_size)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda a: a.end + a.stride >= a.extent, id="one too eager"),
            pytest.param(lambda a: a.end + a.stride > a.kernel, id="dilation forgotten"),
            pytest.param(lambda a: a.begin + a.stride > a.extent, id="pads swapped"),
            pytest.param(lambda a: a.stride > a.extent, id="padding forgotten"),
        ],
    )
    def test_some_size_finds_faults(self, fault: Callable[[Axis], bool]) -> None:
        """The same comparison accuses other criteria."""
        assert disagreements(fault, self.for_some_size)

    @law
    @given(axes(40), sizes(HUGE))
    def test_one_period_of_sizes_decides(self, axis: Axis, first: int) -> None:
        """Any s sizes in a row, however large, hold one exactly when some size does."""
        found = any(starts_in_padding(first + step, axis) for step in range(axis.stride))
        assert may_start_in_padding(axis) == found

    def test_known_sizes(self) -> None:
        """k3 s3 p1 asks for such a window at 5 and not at 6; k1 s2 does at every even size."""
        pool = Axis(3, 3, 1, 1, 1)
        assert [starts_in_padding(size, pool) for size in (5, 6)] == [True, False]
        assert [starts_in_padding(size, Axis(1, 2)) for size in (11, 12)] == [False, True]


def _least_padding(size: int, axis: Axis) -> int:
    outputs = len(range(0, size, axis.stride))
    total = 0
    while len(windows(size, axis.padded(0, total), "down")) < outputs:
        total += 1
    return total


def _dealt_out(total: int, axis: Axis, *, end_first: bool) -> Axis:
    """One element of padding after the other, to the two ends in turn."""
    at_end = end_first
    for _ in range(total):
        axis = axis.padded(axis.begin, axis.end + 1) if at_end else _one_more_at_begin(axis)
        at_end = not at_end
    return axis


def _one_more_at_begin(axis: Axis) -> Axis:
    return axis.padded(axis.begin + 1, axis.end)


class TestSamePadding:
    """SAME_UPPER and SAME_LOWER made explicit."""

    truth = {
        (size, axis, lower): _dealt_out(_least_padding(size, axis), axis, end_first=not lower)
        for size, axis, lower in product(
            SHORT, (axis for axis in WINDOWS if axis.begin == axis.end == 0), (False, True)
        )
    }

    def test_is_the_least_padding_dealt_out_in_turn(self) -> None:
        """SAME is the least padding that gives ceil(W / s) windows, split as evenly as can be."""
        assert not disagreements(lambda c: same_padding(c[0], c[1], lower=c[2]), self.truth)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda w, a, low: same_padding(w, a, lower=not low), id="pads swapped"),
            pytest.param(
                lambda w, a, low: _dealt_out(a.extent - 1, a, end_first=not low),
                id="stride forgotten",
            ),
            pytest.param(
                lambda w, a, low: _dealt_out(
                    same_total(w, Axis(a.kernel, a.stride)), a, end_first=not low
                ),
                id="dilation forgotten",
            ),
            pytest.param(
                lambda w, a, low: a.padded(same_total(w, a) // 2, -(-same_total(w, a) // 2)),
                id="negative padding kept",
            ),
        ],
    )
    def test_the_least_padding_finds_faults(self, fault: Callable[[int, Axis, bool], Axis]) -> None:
        """The same comparison accuses other paddings."""
        assert disagreements(lambda c: fault(*c), self.truth)

    @law
    @given(sizes(HUGE), axes(HUGE), st.booleans())
    def test_gives_the_same_size(self, size: int, axis: Axis, lower: bool) -> None:
        """The explicit padding gives ceil(W / s) windows, whatever the window had before."""
        explicit = same_padding(size, axis, lower=lower)
        outputs = same_size(size, axis.stride)
        assert output_size(size, explicit) == outputs
        assert (outputs - 1) * axis.stride < size <= outputs * axis.stride

    @law
    @given(sizes(HUGE), axes(HUGE))
    def test_the_two_halves(self, size: int, axis: Axis) -> None:
        """The halves add up to the total and differ by one at most; LOWER mirrors UPPER."""
        upper = same_padding(size, axis, lower=False)
        assert upper.begin + upper.end == max(0, same_total(size, axis))
        assert 0 <= upper.end - upper.begin <= 1
        assert same_padding(size, axis, lower=True) == axis.padded(upper.end, upper.begin)

    @law
    @given(sizes(300), axes(60))
    def test_a_surplus_needs_a_stride_longer_than_the_window(self, size: int, axis: Axis) -> None:
        """The total is negative for some size only when K < s."""
        assert same_total(size, axis) >= 0 or axis.extent < axis.stride

    @pytest.mark.parametrize(
        ("size", "axis", "pads"),
        [
            pytest.param(224, Axis(7, 2), (2, 3), id="even size, odd kernel: uneven"),
            pytest.param(225, Axis(7, 2), (3, 3), id="2^n + 1: even"),
            pytest.param(224, Axis(2, 2), (0, 0), id="kernel equal to the stride: none"),
            pytest.param(10, Axis(3, 1, 2), (2, 2), id="dilated"),
            pytest.param(7, Axis(1, 2), (0, 0), id="kernel 1: none"),
            pytest.param(8, Axis(1, 2), (0, 0), id="kernel 1 with a surplus: none"),
        ],
    )
    def test_known_paddings(self, size: int, axis: Axis, pads: tuple[int, int]) -> None:
        """SAME_UPPER of well-known layers."""
        explicit = same_padding(size, axis, lower=False)
        assert (explicit.begin, explicit.end) == pads


TRANSPOSED = [
    case
    for case in (
        Transposed(size, axis, output_padding)
        for size, axis, output_padding in product((1, 2, 5), WINDOWS, (0, 1, 3))
    )
    if transposed_size(*case) >= 0
]


class TestTransposedSize:
    """O of transposed convolutions."""

    truth = {case: len(written(case)) for case in TRANSPOSED}

    def test_counts_the_outputs(self) -> None:
        """O is the number of outputs left when every tap has been written and the pads cut."""
        assert not disagreements(lambda case: transposed_size(*case), self.truth)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda w, a, op: transposed_size(w, a), id="output padding forgotten"),
            pytest.param(
                lambda w, a, op: transposed_size(w, _undilated(a), op),
                id="dilation forgotten",
            ),
            pytest.param(lambda w, a, op: transposed_size(w + 1, a, op), id="s W, not s (W - 1)"),
            pytest.param(
                lambda w, a, op: transposed_size(w, a.padded(a.begin, a.begin), op),
                id="the padding at the begin taken twice",
            ),
        ],
    )
    def test_the_count_finds_faults(self, fault: Callable[[int, Axis, int], int]) -> None:
        """The same comparison accuses formulas that are slightly off."""
        assert disagreements(lambda case: fault(*case), self.truth)

    @law
    @given(sizes(HUGE), axes(HUGE), st.data())
    def test_undoes_a_strided_window(self, size: int, axis: Axis, data: st.DataObject) -> None:
        """Output padding R gives back the size a strided window started from."""
        outputs = output_size(size, axis)
        remainder = (size + axis.begin + axis.end - axis.extent) % axis.stride
        assert transposed_size(outputs, axis, remainder) == size
        smaller = data.draw(st.integers(0, axis.stride - 1))
        assert output_size(transposed_size(outputs, axis, smaller), axis) == outputs

    @pytest.mark.parametrize(
        ("axis", "output_padding"),
        [
            pytest.param(Axis(4, 2, 1, 1, 1), 0, id="k4 s2 p1"),
            pytest.param(Axis(2, 2), 0, id="k2 s2"),
            pytest.param(Axis(3, 2, 1, 1, 1), 1, id="k3 s2 p1 with output padding"),
            pytest.param(Axis(3, 2, 1, 0, 1), 0, id="k3 s2, one cut at the end"),
        ],
    )
    def test_spellings_of_doubling(self, axis: Axis, output_padding: int) -> None:
        """The usual spellings of a factor 2 double every size."""
        assert [transposed_size(size, axis, output_padding) for size in (1, 7, 64)] == [2, 14, 128]


class TestTransposedPadding:
    """Padding of a transposed convolution that is told its output size."""

    truth = {
        Fitted(size, axis, op, full - total, auto_pad): (
            _dealt_out(total, axis, end_first=auto_pad == "SAME_UPPER")
            if total >= 0
            else axis.padded(0, total)
        )
        for size, axis, op in product((1, 4), (Axis(1, 3), Axis(3, 2), Axis(2, 3, 2)), (0, 1))
        for full in (len(written(Transposed(size, axis, op))),)
        for total in range(-2, full)
        for auto_pad in ("SAME_UPPER", "SAME_LOWER", "NOTSET")
    }

    @staticmethod
    def claim(case: Fitted) -> Axis:
        return transposed_padding(*case[:4], upper=case.auto_pad == "SAME_UPPER")

    def test_is_the_total_dealt_out_in_turn(self) -> None:
        """The odd one goes to the end for SAME_UPPER only; outputs are added at the end."""
        assert not disagreements(self.claim, self.truth)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(
                lambda c: transposed_padding(*c[:4], upper=c.auto_pad != "SAME_UPPER"),
                id="pads swapped",
            ),
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
                lambda c: _dealt_out(
                    transposed_size(*c[:3]) - c.output_size,
                    c.axis,
                    end_first=c.auto_pad == "SAME_UPPER",
                ),
                id="no outputs added",
            ),
        ],
    )
    def test_dealing_out_finds_faults(self, fault: Callable[[Fitted], Axis]) -> None:
        """The same comparison accuses other paddings."""
        assert disagreements(fault, self.truth)

    @law
    @given(sizes(HUGE), axes(HUGE), st.integers(0, HUGE), sizes(HUGE), st.booleans())
    def test_gives_the_size_asked_for(
        self, size: int, axis: Axis, output_padding: int, outputs: int, upper: bool
    ) -> None:
        """With that padding the output has the size asked for, whatever the window had before."""
        fitted = transposed_padding(size, axis, output_padding, outputs, upper=upper)
        assert transposed_size(size, fitted, output_padding) == outputs
        assert fitted.begin >= 0
        assert fitted.end < 0 or abs(fitted.end - fitted.begin) <= 1


class TestAxis:
    """The window itself."""

    @pytest.mark.parametrize("numbers", [(0,), (-3,), (3, 0), (3, 1, 0), (3, -1, 1)])
    def test_numbers_below_one_are_refused(self, numbers: tuple[int, ...]) -> None:
        """Kernel, stride and dilation are at least 1; the message says what was found."""
        with pytest.raises(ValueError, match="must be at least 1, found"):
            Axis(*numbers)

    def test_extent(self) -> None:
        """K counts the gaps that dilation opens between the taps."""
        assert [Axis(3, 1, dilation).extent for dilation in (1, 2, 5)] == [3, 5, 11]
        assert Axis(1, 1, 9).extent == 1

    def test_is_a_value(self) -> None:
        """Equal windows are one key; a window cannot be changed in place."""
        axis = Axis(3, 2, 1, 1, 1)
        assert {axis: "seen"}[Axis(3, 2).padded(1, 1)] == "seen"
        with pytest.raises(FrozenInstanceError):
            axis.kernel = 5  # type: ignore[misc]
