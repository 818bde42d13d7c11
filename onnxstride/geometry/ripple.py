"""How unevenly the weights of an upsampling layer answer a constant input.

A constant input c, away from the border, makes output phase r equal to
``bias + sum_ci c[ci] G_r[ci]`` where the phase gain G_r[ci, co] is the sum of the taps that
reach phase r. The isotropic ripple

    rho = sqrt(sum_{ci,co} mean_r (G_r - Gbar)^2) / sqrt(sum_{ci,co} Gbar^2),   Gbar = mean_r G_r

is the RMS of the periodic pattern over the RMS of the constant it rides on, for a random
constant input; in decibels 20 log10(rho). All-ones kernel 3 at stride 2 gives -6.3 dB in 2-D,
zero-mean random weights +4.8 dB, an interpolation kernel minus infinity.

Source: the condition of equal polyphase gains is that of Sugawara, Shiota, Kiya, "Super-
resolution using convolutional neural networks without any checkerboard artifacts", ICIP 2018.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from math import inf, isfinite, log10, nan, prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axis import Axis

_CHUNK_ELEMENTS = 1 << 20


def phase_gains(weight: NDArray[Any], axes: Sequence[Axis]) -> NDArray[np.float64]:
    """Sum of the taps of each output phase, 0 for a phase that no tap reaches.

    The result grows with the product of the strides; :func:`ripple_db` does not build it.

    Args:
        weight: shape (C_in, C_out / group, k_1, .., k_n), the ONNX ConvTranspose layout.
        axes: one Axis per spatial axis; kernel, stride and dilation are used.

    Returns:
        float64 array of shape (s_1 * .. * s_n, C_in, C_out / group); phase 0 holds the first
        tap, the phase of the last axis runs fastest.

    Raises:
        ValueError: the spatial shape of ``weight`` is not the kernel of ``axes``.
    """
    reached = list(_reached_gains(weight, axes))
    phases = product(*(_taps_by_phase(axis) for axis in axes))
    strides = tuple(axis.stride for axis in axes)
    gains = np.zeros((prod(strides), *weight.shape[:2]))
    for phase, gain in zip(phases, reached, strict=True):
        gains[_flat_phase(phase, strides)] = gain
    return gains


def ripple_db(weight: NDArray[Any], axes: Sequence[Axis]) -> float:
    """Isotropic ripple of a transposed convolution in dB; -inf when perfectly even.

    Shapes as in :func:`phase_gains`. +inf when the gains cancel in the mean, nan when the
    weights hold nan or infinity. Works through the input channels in slices of about a
    million elements, so the weights may be a view of a file larger than memory, and over
    the reached phases only, so no stride is too large.
    """
    phases = prod(axis.stride for axis in axes)
    ripple = constant = 0.0
    for part in _channel_slices(weight):
        gains = np.stack(list(_reached_gains(part, axes)))
        with np.errstate(invalid="ignore", over="ignore"):
            mean = gains.sum(axis=0) / float(phases)
            power = float(np.square(mean).sum())
            ripple += float(np.square(gains - mean).sum()) / phases
        # A phase without taps has gain 0: it is off the mean by the mean itself.
        ripple += power * ((phases - len(gains)) / phases)
        constant += power
    return _decibels(ripple, constant)


def _channel_slices(weight: NDArray[Any]) -> Iterator[NDArray[Any]]:
    per_channel = max(1, weight[:1].size)
    step = max(1, _CHUNK_ELEMENTS // per_channel)
    for first in range(0, weight.shape[0], step):
        yield weight[first : first + step]


def _reached_gains(weight: NDArray[Any], axes: Sequence[Axis]) -> Iterator[NDArray[np.float64]]:
    """Gain (C_in, C_out / group) of each phase that taps reach, in the order of the phases."""
    kernel = tuple(axis.kernel for axis in axes)
    if weight.shape[2:] != kernel:
        raise ValueError(f"expected weights with kernel {kernel}, found shape {weight.shape}")
    for taps in product(*(_taps_by_phase(axis).values() for axis in axes)):
        chosen: tuple[Any, ...] = (slice(None), slice(None), *np.ix_(*taps))
        with np.errstate(invalid="ignore", over="ignore"):
            gain = weight[chosen].sum(axis=tuple(range(2, weight.ndim)), dtype=np.float64)
        yield gain


def _taps_by_phase(axis: Axis) -> dict[int, list[int]]:
    """Taps of each phase that has any, O(k)."""
    taps: dict[int, list[int]] = {}
    for tap in range(axis.kernel):
        taps.setdefault(tap * axis.dilation % axis.stride, []).append(tap)
    return taps


def _flat_phase(phase: Sequence[int], strides: Sequence[int]) -> int:
    flat = 0
    for index, stride in zip(phase, strides, strict=True):
        flat = flat * stride + index
    return flat


def _decibels(ripple: float, constant: float) -> float:
    if not (isfinite(ripple) and isfinite(constant)):
        return nan
    # Gains of equal phases can differ by rounding of the weights themselves (float32 thirds):
    # anything under 1e-12 of the power, -120 dB, is that.
    if ripple <= 1e-12 * constant:
        return -inf
    if constant == 0:
        return inf
    return 20 * log10(sqrt(ripple / constant))
