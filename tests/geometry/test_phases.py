"""Taps per phase and what nobody reads, against walking over taps and positions."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import gcd, lcm, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.geometry import (
    Axis,
    bias_only_tail,
    empty_phases,
    is_even,
    overlap_ratio,
    reached_phases,
    tap_range,
    taps_per_phase,
    transposed_size,
    unread_by_all,
    unread_share,
)

from .comparing import disagreements
from .placing import Transposed, tap_counts, windows, written
from .strategies import HUGE, axes, law

KERNELS = [Axis(*numbers) for numbers in product(range(1, 13), range(1, 9), range(1, 13))]
COUNTS = {axis: tap_counts(axis) for axis in KERNELS}


class TestTapsPerPhase:
    """Counts of one axis and what follows from them."""

    def test_counts(self) -> None:
        """Every phase has the taps j with d j mod s equal to it."""
        assert not disagreements(taps_per_phase, COUNTS)

    def test_range(self) -> None:
        """``tap_range`` is the smallest and the largest count."""
        assert not disagreements(tap_range, {a: (min(c), max(c)) for a, c in COUNTS.items()})

    def test_even(self) -> None:
        """``is_even`` is true exactly when all counts are the same."""
        assert not disagreements(is_even, {a: len(set(c)) == 1 for a, c in COUNTS.items()})

    def test_empty_and_reached(self) -> None:
        """Phases are empty or reached."""
        assert not disagreements(empty_phases, {a: c.count(0) for a, c in COUNTS.items()})
        assert not disagreements(
            reached_phases, {a: len(c) - c.count(0) for a, c in COUNTS.items()}
        )

    @pytest.mark.parametrize(
        ("fault", "truth"),
        [
            pytest.param(
                lambda a: taps_per_phase(Axis(a.kernel, a.stride)),
                COUNTS,
                id="counts, dilation forgotten",
            ),
            pytest.param(
                lambda a: taps_per_phase(a)[::-1], COUNTS, id="counts, kernel turned round"
            ),
            pytest.param(
                lambda a: a.kernel % a.stride == 0,
                {a: len(set(c)) == 1 for a, c in COUNTS.items()},
                id="even, k mod s without gcd",
            ),
            pytest.param(
                lambda a: gcd(a.dilation, a.stride) == 1,
                {a: len(set(c)) == 1 for a, c in COUNTS.items()},
                id="even, gcd without k mod s",
            ),
            pytest.param(
                lambda a: max(0, a.stride - a.kernel),
                {a: c.count(0) for a, c in COUNTS.items()},
                id="empty, s - k without gcd",
            ),
            pytest.param(
                lambda a: (a.kernel // a.stride, -(-a.kernel // a.stride)),
                {a: (min(c), max(c)) for a, c in COUNTS.items()},
                id="range, without gcd",
            ),
            pytest.param(
                lambda a: (tap_range(a)[0], a.kernel * gcd(a.dilation, a.stride) // a.stride),
                {a: (min(c), max(c)) for a, c in COUNTS.items()},
                id="range, most rounded down",
            ),
        ],
    )
    def test_the_counts_find_faults(
        self, fault: Callable[[Axis], object], truth: Mapping[Axis, object]
    ) -> None:
        """The same counts accuse the formulas that are often written instead."""
        assert disagreements(fault, truth)

    @law
    @given(axes(60))
    def test_counts_of_any_small_window(self, axis: Axis) -> None:
        """The counts are right in a wider range, and the closed forms agree with them."""
        counts = taps_per_phase(axis)
        assert counts == tap_counts(axis)
        assert tap_range(axis) == (min(counts), max(counts))
        assert is_even(axis) == (len(set(counts)) == 1)
        assert empty_phases(axis) == counts.count(0)

    @law
    @given(axes(HUGE), st.data())
    def test_no_phase_is_out_of_range(self, axis: Axis, data: st.DataObject) -> None:
        """Any phase of a window of any magnitude has a count within the range."""
        fewest, most = tap_range(axis)
        phase = data.draw(st.integers(0, axis.stride - 1))
        assert fewest <= _taps_of(axis, phase) <= most

    @law
    @given(axes(HUGE))
    def test_the_range_is_attained(self, axis: Axis) -> None:
        """The first tap's phase has the most; the fewest are the last reached phase's, or none."""
        fewest, most = tap_range(axis)
        assert _taps_of(axis, 0) == most
        last = axis.dilation * (reached_phases(axis) - 1) % axis.stride
        assert _taps_of(axis, last) == (fewest or _taps_of(axis, last))
        assert (fewest == 0) == (reached_phases(axis) < axis.stride)

    @law
    @given(axes(HUGE))
    def test_even_means_equal_range(self, axis: Axis) -> None:
        """Even, for a window of any magnitude, is fewest equal to most."""
        fewest, most = tap_range(axis)
        assert is_even(axis) == (fewest == most)


def _taps_of(axis: Axis, phase: int) -> int:
    """Taps of one phase by solving d j = phase (mod s) for the first j."""
    common = gcd(axis.dilation, axis.stride)
    if phase % common:
        return 0
    cycle = axis.stride // common
    first = phase // common * pow(axis.dilation // common, -1, cycle) % cycle
    return len(range(first, axis.kernel, cycle))


class TestOverlapRatio:
    """Busiest over quietest output position."""

    truth = {
        pair: (
            Fraction(max(c[0] * c[1] for c in grid), min(c[0] * c[1] for c in grid))
            if all(c[0] * c[1] for c in grid)
            else None
        )
        for pair in product([a for a in KERNELS if a.kernel < 6 and a.dilation < 4][::7], repeat=2)
        for grid in ([*product(COUNTS[pair[0]], COUNTS[pair[1]])],)
    }

    def test_is_the_ratio_over_all_phases_of_the_grid(self) -> None:
        """The extreme counts of the grid multiply; without taps somewhere there is no ratio."""
        assert not disagreements(overlap_ratio, self.truth)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda axes: overlap_ratio(axes[:1]), id="one axis only"),
            pytest.param(
                lambda axes: overlap_ratio([Axis(a.kernel, a.stride) for a in axes]),
                id="dilation forgotten",
            ),
            pytest.param(
                lambda axes: prod(Fraction(max(1, tap_range(a)[1])) for a in axes),
                id="the most only",
            ),
        ],
    )
    def test_the_grid_finds_faults(
        self, fault: Callable[[tuple[Axis, ...]], Fraction | None]
    ) -> None:
        """The same comparison accuses other ratios."""
        assert disagreements(fault, self.truth)

    @pytest.mark.parametrize(
        ("axis", "by_rank"),
        [
            pytest.param(Axis(3, 2), (2, 4, 8), id="k3 s2"),
            pytest.param(Axis(5, 2), (Fraction(3, 2), Fraction(9, 4), Fraction(27, 8)), id="k5 s2"),
            pytest.param(Axis(7, 2), (Fraction(4, 3), Fraction(16, 9), Fraction(64, 27)), id="k7"),
            pytest.param(Axis(4, 2), (1, 1, 1), id="k4 s2 is even"),
            pytest.param(Axis(4, 2, 2), (None, None, None), id="k4 s2 d2 has holes"),
            pytest.param(Axis(2, 3), (None, None, None), id="k2 s3 has holes"),
        ],
    )
    def test_known_ratios(self, axis: Axis, by_rank: tuple[Fraction | int | None, ...]) -> None:
        """Ratios of well-known kernels in 1-D, 2-D and 3-D."""
        assert tuple(overlap_ratio([axis] * rank) for rank in (1, 2, 3)) == by_rank


Readers = tuple[tuple[Axis, ...], ...]


def _unread(readers: Readers) -> Fraction:
    """Share of unread positions, by marking every read one over some whole periods."""
    ranges = [_interior([window[axis] for window in readers]) for axis in range(len(readers[0]))]
    marked = {
        cell
        for window in readers
        for cell in product(
            *(_read_in(axis, within) for axis, within in zip(window, ranges, strict=True))
        )
    }
    return 1 - Fraction(len(marked), prod(len(within) for within in ranges))


def _interior(axes_of_readers: Sequence[Axis]) -> range:
    """Two whole periods, far enough from the begin for every window to have started."""
    period = lcm(*(axis.stride for axis in axes_of_readers))
    start = max(axis.extent for axis in axes_of_readers)
    return range(start, start + 2 * period)


def _read_in(axis: Axis, within: range) -> set[int]:
    made = windows(within.stop + axis.extent, axis, "down")
    return {at for window in made for at in window if at in within}


SHIFTED = [Axis(1, 2), Axis(1, 2, 1, 1), Axis(2, 4, 3, 1), Axis(2, 3, 1, 5), Axis(3, 6, 2, 2, 7)]
PLANES = list(product(SHIFTED[:4], repeat=2))
ALONE: list[Readers] = [
    *(((axis,),) for axis in KERNELS[::5]),
    *((plane,) for plane in product(KERNELS[:500:33], repeat=2)),
]
TOGETHER: list[Readers] = [
    *ALONE,
    *(tuple((axis,) for axis in axes) for axes in product(SHIFTED, repeat=2)),
    *(tuple((axis,) for axis in axes) for axes in product(SHIFTED, repeat=3)),
    *product(PLANES, PLANES[::3]),
]


class TestUnread:
    """Positions that no window reads."""

    alone = {readers: _unread(readers) for readers in ALONE}
    together = {readers: _unread(readers) for readers in TOGETHER}

    def test_share_of_one_reader(self) -> None:
        """The share is that of the positions no window touches, in 1-D and 2-D."""
        assert not disagreements(lambda readers: unread_share(readers[0]), self.alone)

    def test_share_of_several_readers(self) -> None:
        """Readers complete each other: the share is that of the positions none of them reads."""
        assert not disagreements(unread_by_all, self.together)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(
                lambda r: 1 - prod(Fraction(min(a.kernel, a.stride), a.stride) for a in r[0]),
                id="k / s without gcd",
            ),
            pytest.param(
                lambda r: unread_share([Axis(a.kernel, a.stride) for a in r[0]]),
                id="dilation forgotten",
            ),
            pytest.param(lambda r: unread_share(r[0][:1]), id="one axis only"),
            pytest.param(
                lambda r: prod(unread_share([axis]) for axis in r[0]), id="axes multiplied"
            ),
        ],
    )
    def test_one_reader_finds_faults(self, fault: Callable[[Readers], Fraction]) -> None:
        """The same positions accuse other shares."""
        assert disagreements(fault, self.alone)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda r: unread_share(r[0]), id="the first reader only"),
            pytest.param(
                lambda r: prod(unread_share(window) for window in r), id="readers independent"
            ),
            pytest.param(lambda r: min(unread_share(window) for window in r), id="the best reader"),
            pytest.param(
                lambda r: unread_by_all([[a.padded(0, 0) for a in window] for window in r]),
                id="padding forgotten",
            ),
            pytest.param(
                lambda r: unread_by_all([[a.padded(a.end, a.begin) for a in w] for w in r]),
                id="pads swapped",
            ),
            pytest.param(
                lambda r: unread_by_all(
                    [[Axis(a.kernel, a.stride, 1, a.begin) for a in window] for window in r]
                ),
                id="dilation forgotten",
            ),
        ],
    )
    def test_several_readers_find_faults(self, fault: Callable[[Readers], Fraction | None]) -> None:
        """The same positions accuse other ways to join readers."""
        assert disagreements(fault, self.together)

    @law
    @given(st.lists(axes(7), min_size=1, max_size=3))
    def test_any_readers_of_a_line(self, line: list[Axis]) -> None:
        """The share is right for any three small windows over one line."""
        readers = tuple((axis,) for axis in line)
        assert unread_by_all(readers) == _unread(readers)

    @law
    @given(st.lists(axes(9), min_size=1, max_size=3))
    def test_a_single_reader_has_one_share(self, window: list[Axis]) -> None:
        """Both functions agree on one reader, and a repeated reader reads nothing more."""
        share = unread_share(window)
        assert unread_by_all([window]) == unread_by_all([window, window]) == share

    @pytest.mark.parametrize(
        ("window", "share"),
        [
            pytest.param([Axis(1, 2)] * 2, Fraction(3, 4), id="1x1 s2 skips three quarters"),
            pytest.param([Axis(2, 2, 2)] * 2, Fraction(3, 4), id="k2 s2 d2 as well"),
            pytest.param([Axis(3, 2, 2)] * 2, Fraction(3, 4), id="k3 s2 d2 as well"),
            pytest.param([Axis(3, 4)] * 2, Fraction(7, 16), id="k3 s4"),
            pytest.param([Axis(3, 2)] * 3, Fraction(0), id="k3 s2 reads all"),
            pytest.param([Axis(1, 2), Axis(1)], Fraction(1, 2), id="one axis strided"),
        ],
    )
    def test_known_shares(self, window: list[Axis], share: Fraction) -> None:
        """Shares of well-known layers."""
        assert unread_share(window) == share

    def test_readers_that_complete_each_other(self) -> None:
        """Even and odd positions together are everything; a full reader leaves nothing."""
        assert unread_by_all([[Axis(1, 2)], [Axis(1, 2, 1, 1)]]) == 0
        assert unread_by_all([[Axis(1, 2)] * 2, [Axis(3, 2, 1, 1, 1)] * 2]) == 0
        assert unread_by_all([[Axis(1, 2)], [Axis(1, 3)]]) == Fraction(1, 3)

    def test_a_pattern_too_large_to_enumerate(self) -> None:
        """Past 100,000 cells there is no answer, up to there there is."""
        assert unread_by_all([[Axis(1, 317)] * 2]) is None
        assert unread_by_all([[Axis(1, 316)] * 2]) == 1 - Fraction(1, 316**2)

    @pytest.mark.parametrize("readers", [[], [[Axis(1)], [Axis(1), Axis(1)]]])
    def test_readers_must_be_of_one_rank(self, readers: list[list[Axis]]) -> None:
        """No reader, or readers of a line and of a plane, are refused."""
        with pytest.raises(ValueError, match="one or more windows of one rank"):
            unread_by_all(readers)


def _trailing_without_taps(case: Transposed) -> int:
    """Outputs after the last one that any tap of the uncut output reaches."""
    outputs = written(case)
    full = written(case._replace(axis=case.axis.padded(0, 0), output_padding=0))
    return len(outputs) - min(len(outputs), len(full) - case.axis.begin)


class TestBiasOnlyTail:
    """Trailing outputs that hold the bias alone."""

    truth = {
        case: _trailing_without_taps(case)
        for case in (
            Transposed(size, Axis(*numbers), output_padding)
            for size, *numbers, output_padding in product(
                (3, 4), (1, 3, 4), (1, 2, 4), (1, 2), (0, 1, 3), (-2, 0, 1, 2), (0, 1, 2, 3)
            )
        )
        if transposed_size(*case._replace(output_padding=0)) >= 1 - case.axis.end
    }

    def test_is_what_comes_after_the_last_tap(self) -> None:
        """The tail is the outputs past the last one that a tap reaches."""
        assert not disagreements(lambda c: bias_only_tail(c.axis, c.output_padding), self.truth)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda a, op: op, id="padding forgotten"),
            pytest.param(lambda a, op: max(0, op - a.begin), id="pads swapped"),
            pytest.param(lambda a, op: max(0, op + a.end), id="the sign of the padding"),
            pytest.param(lambda a, op: op - a.end, id="less than none"),
            pytest.param(lambda a, op: max(0, op - a.end - 1), id="one off"),
        ],
    )
    def test_the_taps_find_faults(self, fault: Callable[[Axis, int], int]) -> None:
        """The same comparison accuses other tails."""
        assert disagreements(lambda c: fault(c.axis, c.output_padding), self.truth)

    @law
    @given(st.integers(2, HUGE), axes(HUGE), st.integers(0, HUGE))
    def test_padding_at_the_end_eats_the_tail_first(
        self, size: int, axis: Axis, output_padding: int
    ) -> None:
        """Cutting the tail off leaves the size that has no output padding and no end padding."""
        tail = bias_only_tail(axis, output_padding)
        bare = transposed_size(size, axis.padded(axis.begin, 0))
        assert transposed_size(size, axis, output_padding) - tail == min(
            bare, transposed_size(size, axis, output_padding)
        )
