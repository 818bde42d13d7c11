"""Weights as float64, whatever they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def doubles(values: NDArray[Any]) -> NDArray[np.float64]:
    """The values as float64. A NaN that signals is a NaN, and no occasion for a warning."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)
