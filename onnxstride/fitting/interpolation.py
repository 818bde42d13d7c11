"""Linear interpolation along each axis, as the Resize operator does it.

With f = O / W the output o stands at the input coordinate

    half_pixel  (o + 1/2) / f - 1/2          asymmetric  o / f

and weighs inputs by a triangle around it that reaches one element to each side; with antialias,
1 / f elements when that is more. Weights add up to one. What falls outside the input is read
from its first or last element.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

COORDINATES = {"half_pixel": 0.5, "asymmetric": 0.0}
"""Coordinate modes, with where in an element its value is taken to stand."""


def linear_weights(
    size: int, output: int, coordinates: str, *, antialias: bool
) -> NDArray[np.float64]:
    """What each of ``output`` elements takes from each of ``size``: a matrix (output, size)."""
    shift = COORDINATES[coordinates]
    at = (np.arange(output) + shift) * (size / output) - shift
    reach = max(1.0, size / output) if antialias else 1.0
    taps = np.arange(np.floor(at[0] - reach), np.ceil(at[-1] + reach) + 1)
    weights = np.maximum(0, 1 - np.abs(taps - at[:, np.newaxis]) / reach)
    weights /= weights.sum(1, keepdims=True)
    inside = np.equal.outer(taps.clip(0, size - 1), np.arange(size))
    folded: NDArray[np.float64] = weights @ inside
    return folded


def resized(
    maps: NDArray[Any], outputs: Sequence[int], coordinates: str, *, antialias: bool
) -> NDArray[np.float64]:
    """Maps (sample, channel, size ..) interpolated to ``outputs`` along their axes."""
    result: NDArray[np.float64] = maps.astype(np.float64)
    for axis, output in enumerate(outputs, start=2):
        weights = linear_weights(result.shape[axis], output, coordinates, antialias=antialias)
        result = np.moveaxis(np.moveaxis(result, axis, -1) @ weights.T, -1, axis)
    return result
