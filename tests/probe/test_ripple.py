"""What a map repeats, against averages taken one element at a time and patterns put in by hand."""

from collections.abc import Callable, Sequence
from itertools import product
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onnxstride.probe.ripple import Pattern, coarsest_that_fits, measure

from .building import Floats, picture


def folded(maps: Floats, periods: tuple[int, ...]) -> Floats:
    """The phase means, one element after the other."""
    tile = np.zeros((len(maps), *periods))
    for channel in range(len(maps)):
        for phase in product(*map(range, periods)):
            axes = zip(phase, maps.shape[1:], periods, strict=True)
            at = [range(begin, size, period) for begin, size, period in axes]
            tile[(channel, *phase)] = np.mean([maps[(channel, *each)] for each in product(*at)])
    return tile


def deviation(tile: Floats) -> float:
    """Root mean square deviation of the phase means from the mean of their channel."""
    return sqrt(np.mean([np.square(each - each.mean()).mean() for each in tile]))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(2, 3)), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_a_map_that_repeats_is_measured_exactly(
    axes: list[tuple[int, int]], channels: int, seed: int
) -> None:
    """Figures are those of the phase means, nothing remains, whatever the rank."""
    periods, counts = tuple(p for p, _ in axes), [n for _, n in axes]
    tile = np.random.default_rng(seed).standard_normal((channels, *periods))
    maps = np.tile(tile, (1, *counts))
    found = measure(maps, periods)
    assert np.allclose(found.tile, folded(maps, periods), atol=1e-12)
    assert found.rms == pytest.approx(deviation(tile), rel=1e-9, abs=1e-12)
    widest = max(float(np.ptp(each)) for each in tile)
    assert found.peak_to_peak == pytest.approx(widest, rel=1e-9, abs=1e-12)
    assert found.remainder == pytest.approx(0, abs=1e-12)
    assert found.mean == pytest.approx(float(tile.mean()))


def test_a_multiple_of_the_period_finds_the_same() -> None:
    """So a product of factors may stand in for a period that nobody knows."""
    tile = np.random.default_rng(0).standard_normal((2, 3, 2))
    maps = np.tile(tile, (1, 12, 12))
    assert measure(maps, (6, 4)).rms == pytest.approx(measure(maps, (3, 2)).rms)


@pytest.mark.parametrize("periods", [(2, 2), (3, 2), (4, 3)], ids=str)
def test_a_wrong_period_leaves_a_remainder(periods: tuple[int, int]) -> None:
    """A period that is no multiple of the true one is noticed."""
    maps = np.tile(np.random.default_rng(1).standard_normal((1, 4, 4)), (1, 6, 6))
    assert measure(maps, (4, 4)).remainder < 1e-12
    assert measure(maps, periods).remainder > 0.1


def test_a_slope_is_no_pattern() -> None:
    """Its phase means differ, but the spectrum beside the folding frequency tells why."""
    slope = np.linspace(0, 1, 64)[np.newaxis].repeat(64, axis=0)[np.newaxis]
    assert deviation(folded(slope, (4, 4))) > 0.01
    assert measure(slope, (4, 4)).rms < 1e-3


def excesses(maps: Sequence[NDArray[Any]], periods: tuple[int, int]) -> Floats:
    return np.array([measure(each, periods, windowed=True).excess for each in maps])


@pytest.mark.parametrize("period", [2, 4, 8, 16])
def test_the_content_of_pictures_is_no_pattern(period: int) -> None:
    """On average over pictures there is no more on the folding frequencies than beside them."""
    found = excesses([picture(64, seed) for seed in range(24)], (period, period)).mean(axis=0)
    assert np.all(np.sqrt(np.maximum(0, found)) / 2 < 1 / 255)


def test_blocks_of_equal_elements_are_no_pattern() -> None:
    """A nearest-neighbour enlargement has steps at every period, and zeros at the folds."""
    blocks = [np.kron(picture(16, seed), np.ones((1, 4, 4))) for seed in range(4)]
    assert np.all(excesses(blocks, (4, 4)).mean(axis=0) < 0)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(lambda y, x: (-1.0) ** (x + y), id="checkerboard"),
        pytest.param(lambda y, x: (-1.0) ** x, id="columns"),
        pytest.param(lambda y, x: np.sqrt(2) * np.cos(np.pi * x / 2), id="every four columns"),
    ],
)
def test_a_pattern_under_content_is_found(pattern: Callable[..., Floats]) -> None:
    """Weaker than the picture by far, it is found and its strength is told to a fifth."""
    weak = 0.03
    planted = weak * pattern(*np.mgrid[:64, :64])
    found = excesses([picture(64, seed) + planted for seed in range(8)], (16, 16)).mean(axis=0)
    assert sqrt(np.maximum(0, found).sum()) == pytest.approx(weak, rel=0.2)


def test_groups_are_what_repeats_after_as_many_elements() -> None:
    """With period 4 a checkerboard is in the first group, stripes of four in the second."""
    y, x = np.mgrid[:16, :16]
    fine = measure(((-1.0) ** (x + y))[np.newaxis], (4, 4)).excess
    coarse = measure(np.cos(np.pi * x / 2)[np.newaxis], (4, 4)).excess
    assert fine == pytest.approx((1, 0), abs=1e-12)
    assert coarse == pytest.approx((0, 0.5), abs=1e-12)


@pytest.mark.parametrize(("size", "windowed"), [(7, False), (15, True)])
def test_too_few_periods_are_refused(size: int, *, windowed: bool) -> None:
    """Two are needed, four with a window."""
    with pytest.raises(ValueError, match="periods"):
        measure(np.zeros((1, size)), (4,), windowed=windowed)


def test_a_constant_has_no_pattern() -> None:
    """Nothing is divided by nothing."""
    found = measure(np.full((3, 8, 8), 0.3), (2, 2))
    assert (found.rms, found.peak_to_peak) == (0, 0)


def test_a_pattern_weaker_than_what_surrounds_it_is_none() -> None:
    """Its figures are zero, not the root of something negative."""
    found = Pattern(0.0, 1.0, (-0.5, -0.1), 1.0, np.array([[0.0, 1.0]]))
    assert (found.rms, found.peak_to_peak) == (0, 0)


@pytest.mark.parametrize(
    ("period", "size", "expected"), [(16, 64, 16), (16, 32, 8), (6, 13, 3), (5, 19, None)]
)
def test_a_part_of_a_period_may_fit(period: int, size: int, expected: int | None) -> None:
    """The largest divisor that fits four times."""
    assert coarsest_that_fits(period, size, 4) == expected
