"""How unevenly a sub-pixel convolution answers a constant input.

A convolution to C P channels and a pixel shuffle with blocks b_1 .. b_n, P = b_1 .. b_n, write
output channel c at phase r from convolution channel

    m(r, c) = r C + c  (DCR),   m(r, c) = c P + r  (CRD),   phase of the last axis fastest.

Away from the border a constant input gives ``B_r[c] + sum_ci x[ci] G_r[ci, c]`` with phase gain
G_r[ci, c] the sum of the taps of filter m(r, c) that read ci, and phase bias B_r[c] = bias[m].
The ripple of the gains is that of :mod:`ripple`. The biases add a pattern of their own that no
input changes; both must be even for a flat input to give a flat output.

Source: Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017: with all filters
of an output channel alike (ICNR) the whole is a convolution and a nearest-neighbour resize.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .doubles import doubles
from .ripple import Pattern, Ripple

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNEVEN_OFFSET = 1e-3
"""Phase biases are uneven above this standard deviation, as a share of their mean or of 1."""

_CHUNK_ELEMENTS = 1 << 20


class Offset(NamedTuple):
    """Biases of one output channel over its phases: standard deviation and mean."""

    deviation: float
    mean: float

    @property
    def share(self) -> float:
        """Standard deviation over the mean, or over 1 where the mean is smaller."""
        return self.deviation / max(1.0, abs(self.mean))

    @property
    def is_even(self) -> bool:
        return self.share <= UNEVEN_OFFSET


def phase_channels(
    blocks: Sequence[int], channels: int, mode: str, alone: Collection[int] = ()
) -> NDArray[np.intp]:
    """Convolution channel m of each phase and output channel: shape (b_1, .., b_n, C).

    Along the axes in ``alone``, which have a single input position, nothing repeats: their
    blocks count as output channels, and b_i is 1.
    """
    count = channels // prod(blocks)
    every = np.arange(count * prod(blocks))
    if mode == "DCR":
        found = every.reshape(*blocks, count)
    else:
        found = np.moveaxis(every.reshape(count, *blocks), 0, -1)
    last = [*sorted(alone), len(blocks)]
    phases = np.moveaxis(found, last, range(-len(last), 0))
    return phases.reshape(*(1 if i in alone else block for i, block in enumerate(blocks)), -1)


def read_alike(phases: NDArray[np.intp], group: int) -> bool:
    """True when all phases of each output channel are in one group, and so read the same inputs.

    Where they are not, the weights alone do not tell how the phases differ: a depthwise
    convolution before a shuffle hands on whatever differs between its inputs.
    """
    by_phase = phases.reshape(-1, phases.shape[-1])
    groups = by_phase // max(1, phases.size // group)
    return bool((groups == groups[:1]).all())


def subpixel_ripple(weight: NDArray[Any], phases: NDArray[np.intp], scale: NDArray[Any]) -> Ripple:
    """Ripple of the phase gains of a convolution before a shuffle; -inf when perfectly even.

    Args:
        weight: shape (C_out, C_in / group, k_1, .., k_n), the ONNX Conv layout; the phases of
            an output channel must :func:`read_alike`.
        phases: convolution channel of each phase and output channel, see `phase_channels`.
        scale: what the filters are multiplied by, one or one each.
    """
    pattern = Pattern(phases.shape[:-1])
    for part in _input_slices(weight):
        with np.errstate(invalid="ignore", over="ignore"):
            with np.errstate(invalid="ignore"):
                gains = part.sum(axis=tuple(range(2, part.ndim)), dtype=np.float64)
            gains = gains * np.reshape(scale, (-1, 1))
        pattern.add(gains[phases])
    return pattern.ripple()


def worst_offset(biases: NDArray[Any], phases: NDArray[np.intp]) -> Offset:
    """The biases of the output channel that is least even over its phases.

    Args:
        biases: one per convolution channel, or one for all.
        phases: convolution channel of each phase and output channel, see `phase_channels`.
    """
    each = np.broadcast_to(doubles(biases), phases.size)
    by_phase = each[phases.reshape(-1, phases.shape[-1])]
    with np.errstate(invalid="ignore", over="ignore"):
        mean, deviation = by_phase.mean(axis=0), by_phase.std(axis=0)
        worst = np.argmax(deviation / np.maximum(1, np.abs(mean)))
    return Offset(float(deviation[worst]), float(mean[worst]))


def _input_slices(weight: NDArray[Any]) -> Iterator[NDArray[Any]]:
    per_channel = max(1, weight[:, :1].size)
    step = max(1, _CHUNK_ELEMENTS // per_channel)
    for first in range(0, weight.shape[1], step):
        yield weight[:, first : first + step]
