"""A strided window as a dense window over blocks of s elements.

Put p elements before the map and cut it into blocks of s: element i is phase (i + p) mod s of
block (i + p) // s. With the phases as channels, tap j of the window at output o, which reads
element o s + j d - pb, reads phase f_j of block o + a_j, where

    j d - pb + p = s a_j + f_j,  0 <= f_j < s.

That is a convolution of stride 1. Its kernel spans M = max a_j - min a_j + 1 blocks, with a
dilation where all a_j lie on a grid, and begins lo = -min a_j blocks before the map. The weights
that no tap falls on are zero. O outputs read up to block B = O + M - 1 - lo, so the map is padded,
or cropped where nobody reads it, to B s elements, or to fewer where the convolution pads the rest.
"""

from collections.abc import Sequence
from itertools import product
from math import gcd, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .axis import Axis, output_size


class Fold(NamedTuple):
    """How a window along one axis becomes one over blocks.

    Attributes:
        block: s, elements of a block.
        before: p, elements put before the map.
        window: the dense window, with the blocks that it begins before the map as padding.
        taps: of each old tap, the new tap and the phase it falls on.
    """

    block: int
    before: int
    window: Axis
    taps: tuple[tuple[int, int], ...]

    def blocks(self, size: int, axis: Axis) -> int:
        """B, the blocks of the map and what follows it that the window ``axis`` reads."""
        return output_size(size, axis) + self.surplus

    @property
    def surplus(self) -> int:
        """B - O, the same at every size."""
        return self.window.extent - 1 - self.window.begin


def fold(axis: Axis) -> Fold:
    """The fold with the smallest kernel, and of those the one with the least before the map.

    Every window reads a block of the map or one behind it, so B is at least 1.
    """
    s, pb = axis.stride, axis.begin
    if s == 1:
        return _folded(axis, 0)
    forms = [_folded(axis, before) for before in sorted({0, pb % s, pb})]
    return min((form for form in forms if form.surplus >= 0), key=lambda form: form.window.kernel)


def _folded(axis: Axis, before: int) -> Fold:
    start = before - axis.begin
    reached = [divmod(start + j * axis.dilation, axis.stride) for j in range(axis.kernel)]
    first = reached[0][0]
    step = gcd(*(a - first for a, _ in reached)) or 1
    taps = tuple(((a - first) // step, phase) for a, phase in reached)
    window = Axis(taps[-1][0] + 1, 1, step, -first, 0)
    return Fold(axis.stride, before, window, taps)


def fold_weight(weight: NDArray[Any], folds: Sequence[Fold], *, by_channel: bool) -> NDArray[Any]:
    """The weights (C_out, C_in / group, k_1 ..) for the dense window.

    Args:
        weight: of the strided convolution.
        folds: one per spatial axis.
        by_channel: the phases of a channel lie next to each other; else the channels of a phase
            do. Phases are numbered with the last axis running fastest.
    """
    blocks = [each.block for each in folds]
    outputs, inputs = weight.shape[:2]
    kernel = [each.window.kernel for each in folds]
    folded = np.zeros((outputs, inputs, prod(blocks), *kernel), weight.dtype)
    for old in product(*(range(size) for size in weight.shape[2:])):
        taps = [each.taps[j] for each, j in zip(folds, old, strict=True)]
        phase = int(np.ravel_multi_index([each for _, each in taps], blocks))
        new: Any = (slice(None), slice(None), phase, *(place for place, _ in taps))
        read: Any = (slice(None), slice(None), *old)
        folded[new] = weight[read]
    if not by_channel:
        folded = folded.swapaxes(1, 2)
    return np.ascontiguousarray(folded.reshape(outputs, -1, *kernel))
