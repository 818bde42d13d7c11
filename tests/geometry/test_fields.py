"""Fields composed of readings, against sets of pixels followed one by one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxstride.geometry import Axis, composing
from onnxstride.geometry.fields import (
    MOST_PHASES,
    Field,
    Origin,
    Reach,
    Reading,
    Unknown,
    View,
    is_untouched,
    pixels,
)
from onnxstride.geometry.readings import (
    shifted,
    sliced,
    sliding,
    to_depth,
    to_space,
    transposed,
)
from onnxstride.geometry.resampling import Resampling, resampled

IMAGE = Origin("image", 2)
law = settings(derandomize=True, database=None, deadline=None, max_examples=150)


def seen(field: Field, reading: Reading) -> Field | Unknown:
    """The field of a map that reads a map with this field."""
    after = composing.seen(field.view, reading)
    return Unknown(after) if isinstance(after, str) else Field(field.origin, after)


def met(one: Field, other: Field) -> tuple[Field | None, bool]:
    """The field of a map made of two, and whether they are in step."""
    view, in_step = composing.met(one.view, other.view)
    return None if view is None else Field(one.origin, view), in_step


def of(*readings: Reading | Unknown) -> Field:
    """The field of a chain of readings, from the image on."""
    field = pixels(IMAGE)
    for reading in readings:
        assert isinstance(reading, Reading)
        after = seen(field, reading)
        assert isinstance(after, Field)
        field = after
    return field


def followed(readings: Sequence[Reading], element: int) -> tuple[int, int]:
    """The first and last pixel that an element of the last map sees, element by element."""
    first = last = element
    elements = {element}
    for reading in reversed(readings):
        read = [_read(reading, each) for each in elements]
        elements = {i for first, last in read for i in range(first, last + 1)}
        first, last = min(elements), max(elements)
    return first, last


def _read(reading: Reading, element: int) -> tuple[int, int]:
    k, r = divmod(element, len(reading.spans))
    lo, hi = reading.spans[r]
    return reading.advance * k + lo, reading.advance * k + hi


def told(field: Field, element: int) -> tuple[int, int]:
    step, lows, highs = field.reach
    k, r = divmod(element, len(lows))
    return lows[r] + step * k, highs[r] + step * k


small = st.integers(1, 4)
windows = st.builds(
    lambda k, s, d, pb: sliding(Axis(k, s, d, pb)), small, small, small, st.integers(0, 3)
)
deconvs = st.builds(
    lambda s, more, pb: transposed(Axis(s + more, s, 1, pb)),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(0, 3),
)
ratios = st.sampled_from([Fraction(1, 2), Fraction(2), Fraction(3), Fraction(3, 2), Fraction(2, 3)])
resizes = st.builds(
    lambda ratio, coordinates, mode: resampled(Resampling(ratio, coordinates, mode)),
    ratios,
    st.sampled_from(["half_pixel", "asymmetric", "tf_half_pixel_for_nn"]),
    st.sampled_from(["nearest", "linear"]),
)
blocks = st.integers(2, 3)
moves = st.builds(shifted, st.integers(-3, 3))
slices = st.builds(sliced, st.integers(0, 3), st.sampled_from([1, 2, 3, -1, -2]))
readings = st.one_of(
    windows,
    deconvs,
    resizes,
    moves,
    slices,
    st.builds(to_space, blocks),
    st.builds(to_depth, blocks),
)


@law
@given(st.lists(readings, max_size=5), st.integers(-20, 20))
def test_a_field_tells_what_following_every_element_finds(
    chain: list[Reading], element: int
) -> None:
    """Through windows, deconvolutions, resizes, shuffles, pads and slices, backwards too."""
    assert told(of(*chain), element) == followed(chain, element)


@law
@given(st.lists(readings, max_size=4))
def test_the_interval_holds_every_element_and_is_reached(chain: list[Reading]) -> None:
    """Element i lies in [stride i + first, stride i + last], and some element at either end."""
    field = of(*chain)
    stride = field.stride
    firsts, lasts = zip(*(told(field, i) for i in range(field.phases)), strict=True)
    assert min(low - stride * i for i, low in enumerate(firsts)) == field.first
    assert max(high - stride * i for i, high in enumerate(lasts)) == field.last
    assert field.receptive_field == max(
        high - low + 1 for low, high in zip(firsts, lasts, strict=True)
    )


def test_a_wrong_reading_is_seen() -> None:
    """A planted fault: a window that starts one element late tells other pixels."""
    chain = [sliding(Axis(3, 2, 1, 1)), sliding(Axis(3, 1, 1, 1))]
    assert told(of(*chain), 5) == followed(chain, 5)
    assert told(of(chain[0], sliding(Axis(3, 1, 1, 0))), 5) != followed(chain, 5)


@pytest.mark.parametrize(
    ("readings", "stride", "receptive_field", "centre", "padding"),
    [
        pytest.param([], 1, 1, 0, 0, id="the image"),
        pytest.param([sliding(Axis(3, 1, 1, 1))], 1, 3, 0, 1, id="3x3, padded"),
        pytest.param([sliding(Axis(3, 2, 2, 0))], 2, 5, 2, 0, id="dilated"),
        pytest.param([sliding(Axis(2, 2))] * 3, 8, 8, Fraction(7, 2), 0, id="three halvings"),
        pytest.param([sliding(Axis(2, 2)), transposed(Axis(2, 2))], 1, 2, 0, 1, id="down and up"),
        pytest.param(
            [sliding(Axis(2, 2)), transposed(Axis(3, 2, 1, 1))], 1, 4, Fraction(1, 2), Fraction(1),
            id="down and up by an uneven deconvolution: half a pixel off",
        ),
        pytest.param([transposed(Axis(4, 2, 1, 1))], Fraction(1, 2), 2, Fraction(-1, 4), 1,
                     id="deconvolution in place of pixels with an extent"),
        pytest.param([shifted(2)], 1, 1, -2, 2, id="padding"),
        pytest.param([sliced(3, 2)], 2, 1, 3, -3, id="slice"),
        pytest.param([sliced(9, -1)], -1, 1, 9, -9, id="backwards"),
        pytest.param([to_space(2)], Fraction(1, 2), 1, Fraction(-1, 4), Fraction(1, 2),
                     id="depth to space"),
        pytest.param([to_depth(2)], 2, 2, Fraction(1, 2), 0, id="space to depth"),
        pytest.param([to_depth(3), to_space(3)], 1, 3, 0, 2, id="there and back"),
    ],
)  # fmt: skip
def test_the_figures(
    readings: list[Reading], stride: object, receptive_field: int, centre: object, padding: object
) -> None:
    """Stride, receptive field, centre and effective padding of short chains, worked by hand."""
    field = of(*readings)
    found = (field.stride, field.receptive_field, field.centre, field.padding)
    assert found == (stride, receptive_field, centre, padding)


def test_windows_obey_the_recurrence_of_the_literature() -> None:
    """The field is the sum of (K - 1) S, and 1; the padding that of pb S, as in Araujo et al."""
    axes = [Axis(7, 2, 1, 3), Axis(3, 2, 1, 1), Axis(3, 1, 2, 2), Axis(5, 3, 1, 0)]
    strides = [1, 2, 4, 4]
    field = of(*map(sliding, axes))
    total = sum((axis.extent - 1) * s for axis, s in zip(axes, strides, strict=True)) + 1
    padding = sum(axis.begin * s for axis, s in zip(axes, strides, strict=True))
    found: tuple[object, ...] = (field.receptive_field, field.padding, field.stride)
    assert found == (total, padding, 12)


@pytest.mark.parametrize(
    ("axis", "exact"),
    [
        pytest.param(Axis(3, 2, 1, 1), True, id="uneven"),
        pytest.param(Axis(4, 4, 1, 0), True, id="tiling"),
        pytest.param(Axis(7, 3, 1, 2), True, id="wide"),
        pytest.param(Axis(2, 3, 1, 0), False, id="phases without a tap"),
        pytest.param(Axis(2, 2, 3, 0), False, id="dilated past its phases"),
    ],
)
def test_a_deconvolution_reads_the_elements_whose_taps_land_there(axis: Axis, exact: bool) -> None:
    """Element o reads i where some tap has s i + d j - pb = o; phases without one read none."""
    reading = transposed(axis)
    assert isinstance(reading, Reading)
    for o in range(12, 12 + 2 * axis.stride):
        low, high = _read(reading, o)
        landing = [
            i
            for i in range(-20, 20)
            for j in range(axis.kernel)
            if axis.stride * i + axis.dilation * j - axis.begin == o
        ]
        assert all(low <= i <= high for i in landing)
        assert not exact or (low, high) == (min(landing), max(landing))


class TestResampling:
    """Readings of interpolations."""

    @pytest.mark.parametrize("ratio", [Fraction(2), Fraction(3), Fraction(4), Fraction(3, 2)])
    @pytest.mark.parametrize("mode", ["nearest", "linear"])
    def test_half_pixel_keeps_the_image_in_place(self, ratio: Fraction, mode: str) -> None:
        """The centre is (1 / f - 1) / 2: pixels have an extent, and theirs is kept."""
        field = of(resampled(Resampling(ratio, "half_pixel", mode, "round_prefer_ceil")))
        assert field.stride == 1 / ratio
        if ratio.denominator == 1:  # else nearest copies unevenly, and rounding shows
            assert field.centre == (1 / ratio - 1) / 2

    @pytest.mark.parametrize("ratio", [Fraction(2), Fraction(3), Fraction(1, 2), Fraction(3, 2)])
    def test_asymmetric_linear_keeps_element_0_in_place(self, ratio: Fraction) -> None:
        """The centre is 0, which is off by (1 - 1 / f) / 2 for pixels with an extent."""
        field = of(resampled(Resampling(ratio, "asymmetric", "linear")))
        found: tuple[object, ...] = (field.stride, field.centre)
        assert found == (1 / ratio, 0)

    @pytest.mark.parametrize("ratio", [Fraction(2), Fraction(3), Fraction(4)])
    def test_exact_repetition_is_in_place_whatever_it_is_called(self, ratio: Fraction) -> None:
        """Each element is repeated f times, by asymmetric and floor as by half_pixel."""
        spelled = [
            resampled(Resampling(ratio, "asymmetric", "nearest", "floor")),
            resampled(Resampling(ratio, "half_pixel", "nearest", "round_prefer_floor")),
            resampled(Resampling(ratio, "pytorch_half_pixel", "nearest", "round_prefer_ceil")),
            to_space(int(ratio)),
        ]
        views = [of(reading).view._replace(period=1) for reading in spelled]
        assert all(view == views[0] for view in views)

    @pytest.mark.parametrize(
        ("ratio", "mode", "antialias", "receptive_field", "centre"),
        [
            pytest.param(Fraction(1, 2), "linear", False, 2, Fraction(1, 2), id="mean of two"),
            pytest.param(Fraction(1, 3), "linear", False, 1, 1, id="one of three"),
            pytest.param(Fraction(1, 2), "linear", True, 4, Fraction(1, 2), id="triangle of 4"),
            pytest.param(Fraction(1, 3), "linear", True, 5, 1, id="triangle of 5"),
            pytest.param(Fraction(1, 2), "cubic", False, 4, Fraction(1, 2), id="cubic"),
            pytest.param(Fraction(1, 2), "cubic", True, 8, Fraction(1, 2), id="wide cubic"),
            pytest.param(Fraction(2), "linear", True, 2, Fraction(-1, 4), id="upwards, no wider"),
        ],
    )
    def test_what_shrinking_reads(
        self, ratio: Fraction, mode: str, antialias: bool, receptive_field: int, centre: object
    ) -> None:
        """Antialiasing widens the kernel by the ratio, and only where the map shrinks."""
        field = of(resampled(Resampling(ratio, "half_pixel", mode, antialias=antialias)))
        assert (field.receptive_field, field.centre) == (receptive_field, centre)

    def test_align_corners_needs_both_sizes(self) -> None:
        """From 5 to 9 elements every step is half an element; without the sizes nobody knows."""
        known = Resampling(Fraction(9, 5), "align_corners", "linear", size=5, output_size=9)
        assert of(resampled(known)).stride == Fraction(1, 2)
        unknown = resampled(known._replace(size=None))
        assert isinstance(unknown, Unknown)
        assert "sizes that are unknown" in unknown.reason

    def test_half_pixel_symmetric_cuts_both_ends_alike(self) -> None:
        """7 elements by 1/2 make 3: half a pixel is cut at either end. Else it is half_pixel."""
        odd = Resampling(Fraction(1, 2), "half_pixel_symmetric", "linear", size=7)
        assert of(resampled(odd)).centre == 1
        assert of(resampled(odd._replace(size=8))).centre == Fraction(1, 2)
        assert of(resampled(odd._replace(size=None))).adrift
        whole = Resampling(Fraction(2), "half_pixel_symmetric", "linear")
        assert of(resampled(whole)) == of(resampled(whole._replace(coordinates="half_pixel")))

    @pytest.mark.parametrize(
        ("resampling", "reason"),
        [
            pytest.param(
                Resampling(Fraction(2), "tf_crop_and_resize"), "region of interest", id="crop"
            ),
            pytest.param(Resampling(Fraction(2), mode="lanczos"), "none that is known", id="mode"),
            pytest.param(
                Resampling(Fraction(2), nearest_mode="up"), "none that is known", id="rounding"
            ),
            pytest.param(Resampling(Fraction(10007, 10009)), "no simple fraction", id="ratio"),
        ],
    )
    def test_what_is_not_known_says_why(self, resampling: Resampling, reason: str) -> None:
        """Each kind of gap has its own words."""
        found = resampled(resampling)
        assert isinstance(found, Unknown)
        assert reason in found.reason


class TestPeriods:
    """After a constant image."""

    @pytest.mark.parametrize(
        ("readings", "period"),
        [
            pytest.param([sliding(Axis(3, 2))], 1, id="windows make none"),
            pytest.param([transposed(Axis(3, 2))], 2, id="a deconvolution its stride"),
            pytest.param([transposed(Axis(3, 2)), transposed(Axis(5, 3))], 6, id="two multiply"),
            pytest.param([to_space(3)], 3, id="depth to space its block"),
            pytest.param([resampled(Resampling(Fraction(2)))], 1, id="interpolation none"),
            pytest.param(
                [transposed(Axis(3, 2)), resampled(Resampling(Fraction(3)))], 6,
                id="interpolation stretches one there is",
            ),
            pytest.param(
                [transposed(Axis(3, 2)), resampled(Resampling(Fraction(3, 2)))], 3,
                id="by 3/2, 2 become 3",
            ),
            pytest.param([transposed(Axis(3, 4)), sliding(Axis(3, 2))], 2, id="stride 2 halves 4"),
            pytest.param([transposed(Axis(3, 2)), sliding(Axis(3, 3))], 2, id="stride 3 mixes 2"),
            pytest.param([transposed(Axis(3, 2)), to_depth(2)], 1, id="space to depth takes it in"),
        ],
    )  # fmt: skip
    def test_the_period_of_a_chain(self, readings: list[Reading], period: int) -> None:
        """What deconvolutions and shuffles make, windows and slices thin out."""
        assert of(*readings).period == period


class TestMeeting:
    """Maps that meet element by element."""

    def test_the_union_is_seen_and_the_narrowest_path_kept(self) -> None:
        """A 1x1 beside a 5x5 sees 5 pixels, and 1 along its narrow path."""
        both, in_step = met(of(sliding(Axis(5, 1, 1, 2))), of(sliding(Axis(1))))
        assert both is not None
        assert (both.receptive_field, both.narrow, in_step) == (5, 1, True)
        after = seen(both, sliding(Axis(3, 1, 1, 1)))
        assert isinstance(after, Field)
        assert (after.receptive_field, after.narrow) == (7, 3)

    def test_centres_that_differ_are_out_of_step(self) -> None:
        """A map of stride 2 padded by 1 and one not padded: the union is kept, and it is said."""
        both, in_step = met(of(sliding(Axis(3, 2, 1, 1))), of(sliding(Axis(3, 2))))
        assert both is not None
        assert (int(both.first), int(both.last), in_step) == (-1, 2, False)

    def test_maps_of_different_strides_have_no_common_form(self) -> None:
        """There is no field to go on with."""
        assert met(of(sliding(Axis(2, 2))), of(sliding(Axis(3, 3)))) == (None, False)
        assert met(of(transposed(Axis(2, 2))), pixels(IMAGE)) == (None, False)

    def test_phases_and_periods_meet_in_their_common_multiple(self) -> None:
        """Down by 6 and up again, in two orders of steps."""
        down = sliding(Axis(6, 6))
        one = of(down, transposed(Axis(2, 2)), sliced(0, 1), transposed(Axis(3, 3)))
        other = of(down, transposed(Axis(6, 6)))
        both, in_step = met(one, other)
        assert both is not None
        assert (both.phases, both.period, int(both.stride), in_step) == (6, 6, 1, True)
        small, _ = met(of(sliding(Axis(2, 2)), transposed(Axis(2, 2))), of(down, to_space(6)))
        assert small is not None
        assert small.phases == 6

    @law
    @given(st.lists(windows, max_size=3), st.lists(moves, max_size=3), st.integers(-9, 9))
    def test_every_element_sees_what_it_sees_on_either_side(
        self, chain: list[Reading], shifts: list[Reading], element: int
    ) -> None:
        """The union of both, whichever comes first."""
        one, other = of(*chain), of(*chain, *shifts)
        both, _ = met(one, other)
        back, _ = met(other, one)
        assert both is not None
        assert back is not None
        (low, high), (other_low, other_high) = told(one, element), told(other, element)
        union = (min(low, other_low), max(high, other_high))
        assert told(both, element) == told(back, element) == union

    def test_paths_adrift_in_different_ways_keep_the_wider(self) -> None:
        """The shift between them is unknown, so a union would be a guess."""
        lost = partial(shifted, 0)
        one = of(sliding(Axis(5)), lost("here"))
        other = of(sliding(Axis(3)), lost("there"))
        both, in_step = met(one, other)
        assert both is not None
        assert (both.receptive_field, both.narrow, in_step) == (5, 3, True)
        assert both.adrift == ("here", "there")
        assert (both.centre, both.padding) == (None, None)

    def test_paths_adrift_alike_are_compared(self) -> None:
        """A shift that both share takes nothing from the comparison."""
        base = of(shifted(0, "here"))
        moved = seen(base, shifted(1))
        assert isinstance(moved, Field)
        both, in_step = met(base, moved)
        assert both is not None
        assert (both.receptive_field, in_step) == (2, False)


class TestLimits:
    """What is not followed is unknown, and says so."""

    @pytest.mark.parametrize(
        "grow", [transposed(Axis(1, MOST_PHASES + 1)), to_space(MOST_PHASES + 1)]
    )
    def test_growth_beyond_all_use(self, grow: Reading | Unknown) -> None:
        """No table of thousands of phases is made for a stride nobody has vouched for."""
        assert isinstance(grow, Unknown)

    def test_growth_in_steps(self) -> None:
        """Nor by many layers."""
        field: Field | Unknown = pixels(IMAGE)
        reading = transposed(Axis(2, 2))
        assert isinstance(reading, Reading)
        for _ in range(20):
            if isinstance(field, Field):
                field = seen(field, reading)
        assert isinstance(field, Unknown)

    def test_strides_beyond_64_bits(self) -> None:
        """They do not grow without end."""
        field: Field | Unknown = pixels(IMAGE)
        for _ in range(5):
            if isinstance(field, Field):
                field = seen(field, sliding(Axis(2, 2**31 - 1)))
        assert isinstance(field, Unknown)

    def test_an_unknown_start_among_phases(self) -> None:
        """Every second element of a map with two phases: of the one or of the other."""
        two = of(transposed(Axis(4, 2)))
        after = seen(two, sliced(0, 2, "where it starts is unknown"))
        assert isinstance(after, Unknown)
        assert after.reason.startswith("where it starts is unknown")
        assert isinstance(seen(two, sliced(0, 3, "where it starts is unknown")), Field)


def test_only_an_image_is_untouched() -> None:
    """A window of one element sees what an image sees; a shift does not."""
    assert is_untouched(pixels(IMAGE))
    assert is_untouched(of(sliding(Axis(1))))
    assert not is_untouched(of(shifted(1)))
    assert not is_untouched(Field(IMAGE, View(Reach(2, (0,), (0,)), Reach(2, (0,), (0,)))))
