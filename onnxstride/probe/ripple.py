"""How strongly a map repeats with a given period, apart from everything else that is in it.

A map is cut to whole periods and folded: all elements of one phase, that is of equal position
modulo the period, are averaged. These phase means are the *tile*. What is not in the tile, the
remainder, does not repeat.

In the spectrum of N periods of length P, the tile is what stands at the folding frequencies m / P,
m = 1 .. P - 1, along every axis: at each N-th bin. (The sum of the squares there is the variance of
the phase means: Parseval.) Whatever does not repeat, such as the content of a picture or what comes
in from its border, stands at all bins alike, so the bins beside a folding frequency tell how much
of what stands on it is no pattern:

    excess of g = sum over folding frequencies f of group g of  |F(f)|^2 - B(f),
    rms = sqrt(sum over groups of max(0, excess of g))

A group is what repeats after the same number of elements: with P = 4 the frequency 1/2 is one, 1/4
and 3/4 are another. Strong content at low frequencies, where B is larger than what it stands for
because spectra of pictures are steep, then hides no fine pattern.

B(f) is the mean of |F|^2 over the nearest bins before and behind f, at most three on each side and
no farther than half the way to the next folding frequency. They lie on a line along an axis in
which f is not zero; of several such lines the strongest counts, because the content of a picture
is strongest along the axes of its spectrum. For a map that repeats perfectly B is zero.

A window (Hann) keeps strong low frequencies, whose energy would spread over the whole spectrum, in
their place. It spreads each bin over its two neighbours, so these are left out of B, which takes
four periods; without a window two will do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_PERIODS = 2
LEAST_PERIODS_WINDOWED = 4
_NEIGHBOURS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """What one map repeats.

    Attributes:
        mean: of the whole map.
        energy: mean square of the tile about the mean of its channel.
        excess: of each group, finest first; below zero where there is less than beside it.
        remainder: root mean square of what is not in the tile.
        tile: the phase means; channels first.
    """

    mean: float
    energy: float
    excess: tuple[float, ...]
    remainder: float
    tile: Floats

    @property
    def rms(self) -> float:
        """Root mean square deviation of the phase means, over phases and channels."""
        return sqrt(sum(max(0.0, each) for each in self.excess))

    @property
    def peak_to_peak(self) -> float:
        """Largest distance of two phase means of one channel, in the proportion of ``rms``."""
        if self.energy <= 0:
            return 0.0
        axes = tuple(range(1, self.tile.ndim))
        widest = float((self.tile.max(axis=axes) - self.tile.min(axis=axes)).max())
        return widest * self.rms / sqrt(self.energy)


def measure(maps: NDArray[Any], periods: Sequence[int], *, windowed: bool = False) -> Pattern:
    """The pattern of a map with channels first, one period for each axis behind them.

    Raises:
        ValueError: fewer periods than it takes along an axis that has more than one phase.
    """
    least = LEAST_PERIODS_WINDOWED if windowed else LEAST_PERIODS
    counts = [size // period for size, period in zip(maps.shape[1:], periods, strict=True)]
    needed = [least if period > 1 else 1 for period in periods]
    if any(count < each for count, each in zip(counts, needed, strict=True)):
        raise ValueError(f"expected {least} periods of {periods}, found a map of {maps.shape[1:]}")
    used = tuple(slice(n * period) for n, period in zip(counts, periods, strict=True))
    values = maps[(slice(None), *used)].astype(np.float64)
    tile = _tile(values, periods)
    over_space = tuple(range(1, tile.ndim))
    energy = float(np.square(tile - tile.mean(axis=over_space, keepdims=True)).mean())
    rest = values - np.tile(tile, (1, *counts))
    return Pattern(
        float(values.mean()),
        energy,
        _excess(_power(values, windowed=windowed), periods, counts, windowed=windowed),
        sqrt(float(np.square(rest).mean())),
        tile,
    )


def _tile(values: Floats, periods: Sequence[int]) -> Floats:
    split: list[int] = []
    for size, period in zip(values.shape[1:], periods, strict=True):
        split += [size // period, period]
    folded = values.reshape(values.shape[0], *split)
    mean: Floats = folded.mean(axis=tuple(range(1, folded.ndim, 2)))
    return mean


def _power(values: Floats, *, windowed: bool) -> Floats:
    """|F|^2 of the map without its mean, averaged over channels; one channel at a time."""
    total = np.zeros(values.shape[1:])
    window = _window(values.shape[1:]) if windowed else 1.0
    for channel in values:
        spectrum = np.fft.fftn((channel - channel.mean()) * window) / channel.size
        total += np.square(np.abs(spectrum))
    return total / len(values)


def _window(shape: Sequence[int]) -> Floats:
    """Product of Hann windows along the axes, of mean 1: a frequency on a bin keeps its height."""
    window = np.ones(tuple(shape))
    for axis, size in enumerate(shape):
        hann = 1 - np.cos(2 * np.pi * np.arange(size) / size) if size > 1 else np.ones(1)
        window *= hann.reshape([-1 if each == axis else 1 for each in range(len(shape))])
    return window


def _excess(
    power: Floats, periods: Sequence[int], counts: Sequence[int], *, windowed: bool
) -> tuple[float, ...]:
    """Sums of |F|^2 - B over the folding frequencies, one for each group."""
    bins = [np.arange(period) * n for period, n in zip(periods, counts, strict=True)]
    excess = power[np.ix_(*bins)] - _beside(power, bins, counts, windowed=windowed)
    repeats_after = _groups(periods)
    return tuple(
        float(excess[repeats_after == group].sum())
        for group in np.unique(repeats_after).tolist()
        if group > 1
    )


def _groups(periods: Sequence[int]) -> NDArray[np.int64]:
    """For every folding frequency, after how many elements it repeats: the lcm over the axes."""
    axes = [period // np.gcd(np.arange(period), period) for period in periods]
    repeats: NDArray[np.int64] = np.ones((1,) * len(axes), np.int64)
    for axis, each in enumerate(axes):
        repeats = np.lcm(repeats, each.reshape([-1 if i == axis else 1 for i in range(len(axes))]))
    return repeats


def _beside(
    power: Floats, bins: Sequence[NDArray[Any]], counts: Sequence[int], *, windowed: bool
) -> Floats:
    """B of every folding frequency."""
    background = np.zeros([len(each) for each in bins])
    for axis, (each, count) in enumerate(zip(bins, counts, strict=True)):
        steps = _steps(count, windowed=windowed) if len(each) > 1 else range(0)
        if steps:
            beside = np.mean([_shifted(power, bins, axis, step) for step in steps], axis=0)
            beside[(slice(None),) * axis + (0,)] = 0  # there f is zero along this axis
            background = np.maximum(background, beside)
    return background


def _steps(count: int, *, windowed: bool) -> range:
    nearest = 2 if windowed else 1
    return range(nearest, min(nearest + _NEIGHBOURS - 1, count // 2) + 1)


def _shifted(power: Floats, bins: Sequence[NDArray[Any]], axis: int, step: int) -> Floats:
    """Mean of the powers ``step`` bins before and behind every folding frequency."""
    size = power.shape[axis]
    both = [
        power[np.ix_(*(b if i != axis else (b + side) % size for i, b in enumerate(bins)))]
        for side in (-step, step)
    ]
    mean: Floats = (both[0] + both[1]) / 2
    return mean


def coarsest_that_fits(period: int, size: int, count: int) -> int | None:
    """The largest divisor of ``period``, over 1, that fits ``count`` times; None if none does."""
    for divisor in range(period, 1, -1):
        if period % divisor == 0 and size // divisor >= count:
            return divisor
    return None
