"""What windows leave over at the two ends, against windows put down one at a time."""

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.geometry import Axis, Border, border, output_size

from .comparing import disagreements
from .placing import Strided, windows_of
from .strategies import HUGE, axes, law, sizes

CASES = [
    Strided(size, Axis(*numbers), ceil_mode)
    for *numbers, size, ceil_mode in product(
        (1, 2, 3, 4),
        (1, 2, 3, 5),
        (1, 2, 3),
        (-1, 0, 1, 3),
        (-1, 0, 1, 2, 6),
        range(1, 11),
        (False, True),
    )
]


def _spanned(case: Strided) -> Border | None:
    """The border read off the elements between the first and the last tap of any window."""
    made = windows_of(case)
    if not made:
        return None
    spanned = {at for window in made for at in range(window[0], window[-1] + 1)}
    return Border(
        padding_begin=max(0, -min(spanned)),
        padding_end=max(0, max(spanned) + 1 - case.size),
        dropped=len([at for at in range(case.size) if at > max(spanned)]),
    )


def claim(case: Strided) -> Border | None:
    return border(case.size, case.axis, ceil_mode=case.ceil_mode)


def _remainder(case: Strided, span: int) -> int:
    return (case.size + case.axis.begin + case.axis.end - span) % case.axis.stride


def _by_remainder(case: Strided, *, span: int, end: int) -> Border | None:
    """The figures of the module's docstring, of which faults change one thing each."""
    if claim(case) is None:
        return None
    left_over = _remainder(case, span)
    return Border(case.axis.begin, max(0, end - left_over), max(0, left_over - end))


class TestBorder:
    """Padding reached and data dropped."""

    truth = {case: _spanned(case) for case in CASES}
    # The documented figures are those of floor mode, for padding that no window fits into.
    documented = {
        case: found
        for case, found in truth.items()
        if not case.ceil_mode
        and min(case.axis.begin, case.axis.end) >= 0
        and max(case.axis.begin, case.axis.end) < case.axis.extent
    }

    def test_is_what_the_windows_span(self) -> None:
        """Both paddings and the dropped data are those of the windows, in floor and ceil mode."""
        assert not disagreements(claim, self.truth)

    def test_the_documented_figures(self) -> None:
        """Padding max(0, pe - R) is reached and max(0, R - pe) elements are dropped."""
        assert not disagreements(
            lambda c: _by_remainder(c, span=c.axis.extent, end=c.axis.end), self.documented
        )

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(
                lambda c: _by_remainder(c, span=c.axis.kernel, end=c.axis.end),
                id="dilation forgotten",
            ),
            pytest.param(
                lambda c: _by_remainder(c, span=c.axis.extent, end=c.axis.begin),
                id="pads swapped",
            ),
            pytest.param(
                lambda c: _by_remainder(c, span=c.axis.extent, end=0),
                id="everything left over is data",
            ),
            pytest.param(
                lambda c: _by_remainder(c, span=c.axis.extent - 1, end=c.axis.end),
                id="one off",
            ),
            pytest.param(
                lambda c: border(c.size, c.axis, ceil_mode=not c.ceil_mode),
                id="the other rounding",
            ),
        ],
    )
    def test_the_windows_find_faults(self, fault: Callable[[Strided], Border | None]) -> None:
        """The same comparison accuses other figures."""
        assert disagreements(fault, self.documented)

    @law
    @given(sizes(HUGE), axes(HUGE), st.booleans())
    def test_all_data_and_padding_is_accounted_for(
        self, size: int, axis: Axis, ceil_mode: bool
    ) -> None:
        """The windows' length is the data, less what is dropped, plus the padding reached."""
        found = border(size, axis, ceil_mode=ceil_mode)
        outputs = output_size(size, axis, ceil_mode=ceil_mode)
        assert (found is None) == (outputs < 1)
        if found is None or found.dropped == size:
            return
        length = (outputs - 1) * axis.stride + axis.extent
        assert length == found.padding_begin + size - found.dropped + found.padding_end
        assert not (found.padding_end and found.dropped)

    @law
    @given(sizes(HUGE), axes(HUGE))
    def test_ceil_mode_drops_only_what_no_window_starts_in(self, size: int, axis: Axis) -> None:
        """Rounded up, data is dropped only where the stride is longer than the window."""
        found = border(size, axis, ceil_mode=True)
        assert found is None or found.dropped == 0 or axis.stride > axis.extent

    @pytest.mark.parametrize(
        ("size", "axis", "found"),
        [
            pytest.param(224, Axis(7, 2, 1, 3, 3), Border(3, 2, 0), id="ResNet at 224: uneven"),
            pytest.param(112, Axis(3, 2, 1, 1, 1), Border(1, 0, 0), id="its pool: one side only"),
            pytest.param(225, Axis(7, 2, 1, 3, 3), Border(3, 3, 0), id="ResNet at 225: even"),
            pytest.param(25, Axis(2, 2), Border(0, 0, 1), id="third pool of VGG at 100: one lost"),
            pytest.param(8, Axis(3, 3), Border(0, 0, 2), id="8 with k3 s3: two lost"),
            pytest.param(2, Axis(3), None, id="no window"),
            pytest.param(3, Axis(1, 20, 1, 10), Border(10, 0, 3), id="one window, all padding"),
        ],
    )
    def test_known_borders(self, size: int, axis: Axis, found: Border | None) -> None:
        """Borders of well-known layers, in floor mode."""
        assert border(size, axis) == found

    @pytest.mark.parametrize("size", [225, 257, 33, 1 + 32 * 2**40])
    def test_sizes_of_32_n_plus_1_are_even_throughout(self, size: int) -> None:
        """Five halvings with kernel 3 and padding 1 use both paddings at sizes 32 n + 1."""
        axis = Axis(3, 2, 1, 1, 1)
        for _ in range(5):
            assert border(size, axis) == Border(1, 1, 0)
            size = output_size(size, axis)
