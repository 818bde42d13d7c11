"""Windows of a map as rows of a matrix, a bounded number of them at a time."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..geometry import Axis, output_size

LARGEST_BLOCK = 1 << 20
"""Elements of one block of rows, but for a window that holds more by itself."""

Block = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Inputs (channel, position, tap) and targets (channel, position)."""


def windows(sample: NDArray[Any], axes: Sequence[Axis]) -> NDArray[Any]:
    """A view (channel, position .., tap ..) of the windows over one zero-padded sample."""
    padded = np.pad(sample, [(0, 0), *((axis.begin, axis.end) for axis in axes)])
    extents = tuple(axis.extent for axis in axes)
    view = sliding_window_view(padded, extents, axis=tuple(range(1, len(axes) + 1)))
    positions = [slice(None, None, axis.stride) for axis in axes]
    taps = [slice(None, None, axis.dilation) for axis in axes]
    return view[(slice(None), *positions, *taps)]


def positions(sizes: Sequence[int], axes: Sequence[Axis]) -> tuple[int, ...]:
    """How many windows fit along each axis."""
    return tuple(output_size(size, axis) for size, axis in zip(sizes, axes, strict=True))


def blocks(
    sample: NDArray[Any],
    target: NDArray[Any],
    axes: Sequence[Axis],
    *,
    largest: int = LARGEST_BLOCK,
) -> Iterator[Block]:
    """The windows of one sample with the targets they have, block by block."""
    view = windows(sample, axes)
    channels, shape = view.shape[0], view.shape[1 : 1 + len(axes)]
    taps = prod(axis.kernel for axis in axes)
    wanted = target.reshape(channels, -1)
    at_once = max(1, largest // (channels * taps))
    for first in range(0, prod(shape), at_once):
        last = min(first + at_once, prod(shape))
        where: tuple[Any, ...] = np.unravel_index(np.arange(first, last), shape)
        rows = view[(slice(None), *where)].reshape(channels, last - first, taps)
        yield rows.astype(np.float64), wanted[:, first:last].astype(np.float64)
