"""What a maximum amounts to on average, when nothing is known of the data but its smoothness.

The map is taken for a Gaussian field of zero mean and unit variance whose neighbours along each
axis correlate by r = 0.75, as neighbours of an AR(1) process do, independently along the axes:
elements a and b apart along two axes correlate by r^a r^b. Over one window let M be the maximum
and A what a linear filter makes of it, an average unless said otherwise. Then

* after a ReLU, the gain that brings A nearest to M in the mean of squares is
  E[M A] / E[A^2], with both taken of the rectified field;
* before one, M lies above A by E[M], in units of the standard deviation: an offset.

The gain is 1.25 for two taps and 2.7 for a 5x5 window: what a plain average is short of. On the
layers of trained networks the neighbours correlate by 0.5 to 0.9, less the deeper they stand.

The expectations are means over fields drawn with a seed. KNOWN holds the usual windows, drawn
with many fields; any other window is drawn for when it is asked for, in a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..geometry import Axis

CORRELATION = 0.75
"""Correlation of neighbours along an axis."""

_SEED = 1
_ELEMENTS_AT_ONCE = 1 << 18
_ELEMENTS_IN_ALL = 1 << 20
_FEWEST_FIELDS = 1 << 10


class Expectation(NamedTuple):
    """Gain of a rectified field; offset of one that is not, in standard deviations."""

    gain: float
    offset: float


KNOWN: dict[tuple[int, ...], Expectation] = {
    (): Expectation(1.0, 0.0),
    (2,): Expectation(1.2462, 0.2833),
    (3,): Expectation(1.4301, 0.4698),
    (2, 2): Expectation(1.5283, 0.5600),
    (3, 2): Expectation(1.7395, 0.7416),
    (3, 3): Expectation(1.9651, 0.9199),
    (5, 5): Expectation(2.7295, 1.4016),
    (2, 2, 2): Expectation(1.8476, 0.8314),
    (3, 3, 3): Expectation(2.6061, 1.3512),
}
"""By kernel, longest axis first: what ``estimated`` says over 2^20 fields."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One axis of a window on the field, and of the filter beside it.

    Attributes:
        window: True for each position that belongs to the window.
        filter: what the filter weighs each position by.
        correlation: of one position and the next.
    """

    window: NDArray[np.bool_]
    filter: NDArray[np.float64]
    correlation: float = CORRELATION


def averaged(axis: Axis) -> Line:
    """The taps of a window, and their average. Dilated taps correlate less."""
    taps = np.ones(axis.kernel, np.bool_)
    return Line(taps, taps / axis.kernel, CORRELATION**axis.dilation)


def expectation(axes: Sequence[Axis]) -> Expectation:
    """Gain and offset of an average over the window of ``axes``."""
    moving = [axis for axis in axes if axis.kernel > 1]
    shape = tuple(sorted(((axis.kernel, axis.dilation) for axis in moving), reverse=True))
    kernel = tuple(taps for taps, _ in shape)
    if kernel in KNOWN and all(dilation == 1 for _, dilation in shape):
        return KNOWN[kernel]
    return _of_average(shape)


@cache
def _of_average(shape: tuple[tuple[int, int], ...]) -> Expectation:
    return estimated([averaged(Axis(kernel, 1, dilation)) for kernel, dilation in shape])


def estimated(lines: Sequence[Line], fields: int | None = None) -> Expectation:
    """Gain and offset, as means over ``fields`` draws; the same at every call.

    The number of fields is chosen by the size of the window when it is None; the gain of a 3x3
    window is then within a hundredth.
    """
    grid = tuple(len(line.window) for line in lines)
    if fields is None:
        fields = max(_FEWEST_FIELDS, _ELEMENTS_IN_ALL // prod(grid))
    product = square = highest = 0.0
    for field in _fields(lines, grid, fields):
        rectified = np.maximum(field, 0)
        average, maximum = _filtered(rectified, lines), _maximum(rectified, lines)
        product += float(maximum @ average)
        square += float(average @ average)
        highest += float(_maximum(field, lines).sum())
    return Expectation(product / square, highest / fields)


def _fields(
    lines: Sequence[Line], grid: tuple[int, ...], fields: int
) -> Iterator[NDArray[np.float64]]:
    """Draws of the field on ``grid``, some at a time."""
    random = np.random.default_rng(_SEED)
    at_once = max(1, _ELEMENTS_AT_ONCE // prod(grid))
    for first in range(0, fields, at_once):
        field = random.standard_normal((min(at_once, fields - first), *grid))
        for number, line in enumerate(lines, start=1):
            along = np.moveaxis(field, number, 0)
            rest = np.sqrt(1 - line.correlation**2)
            for position in range(1, len(along)):
                along[position] *= rest
                along[position] += line.correlation * along[position - 1]
        yield field


def _filtered(field: NDArray[np.float64], lines: Sequence[Line]) -> NDArray[np.float64]:
    for line in reversed(lines):
        field = field @ line.filter
    return field


def _maximum(field: NDArray[np.float64], lines: Sequence[Line]) -> NDArray[np.float64]:
    for line in reversed(lines):
        field = field[..., line.window].max(-1)
    return field
