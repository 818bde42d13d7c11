"""The rows that convolutions behind a Resize are fitted on: windows of the map, phase by phase.

With nearest neighbours the taps of one output fall on few elements of the input, and on which
ones follows from the phase of the output: for o = s t + r and taps a from -q on, tap a reads
element t + floor((r - q + a) / s). So the rows are windows of the small map, one a position t, and
the targets of all phases r go with them: for each phase a link A_r, which is 1 where a tap reads an
element, takes the window to the taps.

A linear Resize is computed as such, and the rows are windows of the large map: one phase.

Maps are continued by zeros, as convolutions read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .enlargement import Enlargement
from .interpolation import resized
from .moments import Array

Choice: TypeAlias = tuple[Enlargement, ...]
"""One convolution: what stands along each axis."""


@dataclass(frozen=True, slots=True)
class PhaseWindows:
    """The windows that hold the taps of every choice.

    Attributes:
        strides: of the Resize, along each axis.
        steps: phases along each axis; 1 where the rows are windows of the large map.
        lows: first element of a window, from its position.
        highs: last element.
    """

    strides: tuple[int, ...]
    steps: tuple[int, ...]
    lows: tuple[int, ...]
    highs: tuple[int, ...]

    @classmethod
    def over(cls, choices: Sequence[Choice]) -> PhaseWindows:
        strides = tuple(each.stride for each in choices[0])
        is_linear = any(each.is_linear for each in choices[0])
        steps = (1,) * len(strides) if is_linear else strides
        reach = [
            [_elements(each, step) for each, step in zip(choice, steps, strict=True)]
            for choice in choices
        ]
        lows = (min(low for low, _ in axis) for axis in zip(*reach, strict=True))
        highs = (max(high for _, high in axis) for axis in zip(*reach, strict=True))
        return cls(strides, steps, tuple(lows), tuple(highs))

    @property
    def extents(self) -> tuple[int, ...]:
        return tuple(high - low + 1 for low, high in zip(self.lows, self.highs, strict=True))

    @property
    def phases(self) -> int:
        return prod(self.steps)

    def links(self, choice: Choice) -> Iterator[Array]:
        """A_r for each phase r, the last axis running fastest: (taps, elements of the window)."""
        each_axis = [
            [self._link(number, choice[number], phase) for phase in range(step)]
            for number, step in enumerate(self.steps)
        ]
        for links in product(*each_axis):
            yield reduce(_kron, links)

    def _link(self, number: int, enlargement: Enlargement, phase: int) -> Array:
        taps = np.arange(enlargement.taps)
        read = (phase - enlargement.begin + taps) // self.steps[number]
        elements = np.arange(self.lows[number], self.highs[number] + 1)
        return np.equal.outer(read, elements).astype(np.float64)

    def positions(self, outputs: Sequence[int]) -> tuple[int, ...]:
        """Positions of which all phases are there: outputs left over at the end are not used."""
        return tuple(size // step for size, step in zip(outputs, self.steps, strict=True))

    def windows(self, sample: NDArray[Any], positions: Sequence[int]) -> NDArray[Any]:
        """The windows (channel, position .., element ..) of one sample."""
        source = self._source(sample)
        for number, count in enumerate(positions):
            first, last = self.lows[number], count + self.highs[number]
            source = _cut(source, number + 1, first, last)
        axes = tuple(range(1, source.ndim))
        view: NDArray[Any] = sliding_window_view(source, self.extents, axis=axes)
        return view

    def targets(self, target: NDArray[Any], positions: Sequence[int]) -> NDArray[Any]:
        """What was made of each window (position .., phase .., channel)."""
        used = tuple(slice(n * step) for n, step in zip(positions, self.steps, strict=True))
        split = [size for pair in zip(positions, self.steps, strict=True) for size in pair]
        parted: NDArray[Any] = target[(slice(None), *used)].reshape(len(target), *split)
        return parted.transpose(*range(1, parted.ndim, 2), *range(2, parted.ndim, 2), 0)

    def _source(self, sample: NDArray[Any]) -> NDArray[Any]:
        if self.steps == self.strides:
            return sample
        large = [size * s for size, s in zip(sample.shape[1:], self.strides, strict=True)]
        enlarged: NDArray[Any] = resized(sample[np.newaxis], large, "half_pixel", antialias=False)
        first: NDArray[Any] = enlarged[0]
        return first


def _kron(first: Array, second: Array) -> Array:
    return np.asarray(np.kron(first, second), np.float64)


def _elements(enlargement: Enlargement, step: int) -> tuple[int, int]:
    """The first and last element that taps of any phase read, from the position."""
    last = step - 1 - enlargement.begin + enlargement.taps - 1
    return -enlargement.begin // step, last // step


def _cut(values: NDArray[Any], axis: int, first: int, last: int) -> NDArray[Any]:
    """Elements from ``first`` to the one before ``last``, zeros where there are none."""
    size = values.shape[axis]
    inside = [slice(None)] * values.ndim
    inside[axis] = slice(max(0, first), max(0, last))
    ends = [(0, 0)] * values.ndim
    ends[axis] = max(0, min(-first, last - first)), max(0, min(last - size, last - first))
    return np.pad(values[tuple(inside)], ends)
