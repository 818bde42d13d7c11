"""The share of a receptive field that a chain reads, against impulses sent through it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxstride.geometry import Axis
from onnxstride.geometry.gridding import density

WINDOWS = st.lists(
    st.builds(Axis, st.integers(1, 4), st.integers(1, 2), st.integers(1, 4)), min_size=1, max_size=4
)


def looked_at(windows: list[Axis]) -> list[int]:
    """Elements that output 0 changes with, found by moving an impulse through every window."""
    size = 1
    for axis in windows:
        size = (size - 1) * axis.stride + axis.extent
    read = []
    for place in range(size):
        values = np.zeros(size, np.int64)
        values[place] = 1
        for axis in reversed(windows):
            outputs = (len(values) - axis.extent) // axis.stride + 1
            taps = range(0, axis.extent, axis.dilation)
            values = np.array(
                [sum(int(values[o * axis.stride + tap]) for tap in taps) for o in range(outputs)]
            )
        if values[0]:
            read.append(place)
    return read


@settings(max_examples=60, deadline=None)
@given(windows=WINDOWS)
def test_what_an_output_changes_with_is_what_counts(windows: list[Axis]) -> None:
    """Windows are given the last one first."""
    read = looked_at(windows)
    assert density(windows) == Fraction(len(read), read[-1] - read[0] + 1)


def test_the_order_matters_with_strides() -> None:
    """The comparison would notice windows taken the wrong way round."""
    windows = [Axis(2, 1, 2), Axis(3, 2)]
    assert density(windows) != density(reversed(windows))


@pytest.mark.parametrize(
    ("dilations", "expected"),
    [
        ((2, 2, 2), Fraction(7, 13)),
        ((2, 4, 8), Fraction(15, 29)),
        ((1, 2, 4), Fraction(1)),
        ((1, 2, 5), Fraction(1)),
        ((6,), Fraction(3, 13)),
    ],
)
def test_known_chains(dilations: tuple[int, ...], expected: Fraction) -> None:
    """Windows of 3 at the dilations that papers discuss."""
    assert density(Axis(3, 1, d) for d in dilations) == expected


def test_a_field_too_large_to_look_at() -> None:
    assert density([Axis(3, 1, 1 << 40)]) is None
