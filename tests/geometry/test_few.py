"""What is measured of few numbers in plain Python, against the same measured of arrays."""

from collections.abc import Callable
from itertools import product
from math import inf, isclose, isnan, nan, prod
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from onnxstride.geometry import Axis
from onnxstride.geometry.few import Few, phase_sums
from onnxstride.geometry.lowpass import MOST_FREQUENCIES, box_gain, folding_gain
from onnxstride.geometry.ripple import Ripple, phase_gains, transposed_ripple

from .strategies import law

Weight: TypeAlias = tuple[tuple[Axis, ...], Few]


@st.composite
def small(draw: st.DrawFn) -> Weight:
    """Windows of up to three axes, and whole or random numbers for them."""
    number = st.integers(1, 4)
    axes = tuple(draw(st.lists(st.builds(Axis, number, number, number), min_size=1, max_size=3)))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), *(axis.kernel for axis in axes))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.booleans()):  # whole numbers add up without rounding, to zero too
        values = generator.integers(-2, 3, prod(shape)).astype(float)
    else:
        values = generator.standard_normal(prod(shape))
    return axes, Few(shape, values.tolist())


def alike(found: float, expected: float) -> bool:
    """True for figures that differ by no more than rounding; nan is like nan."""
    if isnan(expected):
        return isnan(found)
    return isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def all_alike(found: Ripple, expected: Ripple) -> bool:
    figures = zip((found.total, *found.per_axis), (expected.total, *expected.per_axis), strict=True)
    return all(alike(*pair) for pair in figures)


@law
@given(small(), st.sets(st.integers(0, 2)))
def test_ripple_is_that_of_the_array(weight: Weight, alone: set[int]) -> None:
    """Along every axis, also where some of them have a single input position."""
    axes, few = weight
    alone = {i for i in alone if i < len(axes)}
    expected = transposed_ripple(few.array(), axes, sorted(alone))
    assert all_alike(transposed_ripple(few, axes, sorted(alone)), expected)


@law
@given(small())
def test_folding_gain_is_that_of_the_array(weight: Weight) -> None:
    """At the worst of all folding frequencies, opposite ones being one."""
    axes, few = weight
    expected = folding_gain(few.array(), axes)
    found = folding_gain(few, axes)
    assert expected is not None
    assert found is not None
    # A mean that cancels but for rounding leaves a gain of any size.
    assume(found == expected or min(found, expected) < 1e7)
    assert alike(found, expected)


@law
@given(small())
def test_sums_are_the_phase_gains(weight: Weight) -> None:
    """Phase by phase; a phase that is left out has no tap."""
    axes, few = weight
    [sums] = phase_sums(few, axes)
    gains = phase_gains(few.array(), axes).reshape(*(axis.stride for axis in axes), -1)
    for phase in product(*(range(axis.stride) for axis in axes)):
        np.testing.assert_allclose(sums.get(phase, 0.0), gains[phase], atol=1e-12)


@law
@given(st.lists(st.builds(Axis, *[st.integers(1, 9)] * 3), min_size=1, max_size=2))
def test_a_box_has_the_gain_of_ones(axes: list[Axis]) -> None:
    """In closed form, at dilations that pass a pattern whole too."""
    found = box_gain(axes)
    expected = folding_gain(np.ones((1, 1, *(axis.kernel for axis in axes))), axes)
    assert found is not None
    assert expected is not None
    assert alike(found, expected)


def test_a_box_of_too_many_frequencies_has_none() -> None:
    """As for any other filter: nobody waits for them."""
    axes = [Axis(3, MOST_FREQUENCIES), Axis(2, 2)]
    assert box_gain(axes) is None
    assert folding_gain(np.ones((1, 1, 3, 2)), axes) is None


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_what_is_no_number_is_told(bad: float) -> None:
    """As of arrays: neither a ripple nor a gain."""
    axes, few = [Axis(3, 2)], Few((1, 2, 3), [1.0, bad, 2.0, 1.0, 1.0, 1.0])
    gain = folding_gain(few, axes)
    assert gain is not None
    assert isnan(gain)
    assert isnan(transposed_ripple(few, axes).total)


def test_numbers_beyond_the_range_of_squares_are_told() -> None:
    """1e200 squared is infinite, which is no ripple and no gain, and no exception."""
    axes, few = [Axis(3, 2)], Few((1, 1, 3), [1e200, 2e200, -1e200])
    gain = folding_gain(few, axes)
    assert gain is not None
    assert isnan(gain)
    assert isnan(transposed_ripple(few, axes).total)


@pytest.mark.parametrize("measure", [transposed_ripple, folding_gain])
def test_another_kernel_is_refused(measure: Callable[[Few, list[Axis]], object]) -> None:
    """Weights of 3 taps are none of a window of 4."""
    with pytest.raises(ValueError, match=r"kernel \(4,\), found shape \(1, 1, 3\)"):
        measure(Few((1, 1, 3), [1.0, 2.0, 1.0]), [Axis(4, 2)])


def test_filters_in_front_count() -> None:
    """[1, 1] takes away what the kernel of one tap at stride 2 would fold."""
    tap = Few((1, 1, 1), [1.0])
    assert folding_gain(tap, [Axis(1, 2)]) == 1
    assert folding_gain(tap, [Axis(1, 2)], [(np.ones((1, 1, 2)), [Axis(2, 1)])]) == 0


def test_the_comparison_notices_a_difference() -> None:
    """A figure off by a millionth is another one."""
    axes, few = (Axis(3, 2),), Few((1, 1, 3), [1.0, 0.5, 0.25])
    ripple = transposed_ripple(few, axes)
    assert not all_alike(ripple, ripple._replace(total=ripple.total * (1 + 1e-6)))
    assert not all_alike(ripple, ripple._replace(per_axis=(nan,)))
