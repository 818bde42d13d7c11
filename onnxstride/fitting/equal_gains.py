"""The nearest weights whose output phases all have the same gain.

A phase's gain is the sum of the taps that reach it (see ``geometry.ripple``). Of all weights with
equal gains that keep the sum of all taps, the nearest in the mean of squares has what a phase
lacks, or has too much, divided evenly among its taps:

    w' = w + (Gbar - G_r) / n_r        for the n_r taps of phase r, Gbar the mean over phases.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Axis
from .moments import Array


def equalised(weight: NDArray[Any], axes: Sequence[Axis]) -> Array:
    """Weights (inputs, outputs / group, kernel ..) of a transposed convolution, made even.

    Every phase must have a tap: see ``geometry.empty_phases``.
    """
    result: Array = weight.astype(np.float64)
    kernel = tuple(range(2, weight.ndim))
    mean = result.sum(axis=kernel) / prod(axis.stride for axis in axes)
    for taps in _phases(axes):
        where: tuple[Any, ...] = (slice(None), slice(None), *taps)
        of_phase = result[where]
        count = prod(of_phase.shape[2:])
        missing = (mean - of_phase.sum(axis=kernel)) / count
        result[where] += missing.reshape(*missing.shape, *[1] * len(axes))
    return result


def _phases(axes: Sequence[Axis]) -> Iterator[tuple[slice, ...]]:
    """The taps of each phase: along an axis they are equally far apart."""
    each_axis: list[list[slice]] = []
    for axis in axes:
        first = {tap * axis.dilation % axis.stride: tap for tap in reversed(range(axis.kernel))}
        apart = len(first)  # phases repeat after as many taps as there are phases
        each_axis.append([slice(tap, None, apart) for tap in first.values()])
    yield from product(*each_axis)
