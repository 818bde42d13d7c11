"""What a filter with a stride lets fold.

Along one axis, a stride s keeps every s-th position. The input frequencies 2 pi m / s for
m = 1 .. s - 1 then look like a constant: these are the folding frequencies. The response of taps
w_j at distance d is

    H(m) = sum_j w_j exp(-2 pi i m d j / s)

and its gain |H(m)| / |H(0)| says how much of a pattern at that frequency comes out as flat grey.
With several axes a folding frequency is any combination that is not all zero. Over channels,
gains are root mean squares: what reaches the outputs of a pattern of random signs in all inputs,
over what reaches them of a constant. Zero-mean random weights have a gain of 1, a box that is a
multiple of the stride long has 0, and [1, 2, 1] at stride 2 too.

Source: the sampling theorem; Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML
2019, for why it matters to networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product, repeat
from math import cos, inf, isnan, log10, nan, pi, prod, sin, sqrt
from operator import add, mul
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .axis import Axis
from .few import Few, Phase, kernel_of, phase_sums, sum_of_squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS_ABOVE = 0.1
"""Gain, -20 dB, from which a rule calls a filter no low-pass."""

MOST_FREQUENCIES = 1 << 10
_MOST_OF_FEW = 16
_NO_TURN = 1e-15  # what is left of the sine of half a turn
_ROUNDING = 1e-12  # power over that of a constant, of what should cancel in float32
_CHUNK_ELEMENTS = 1 << 16


def folding_gain(
    weight: NDArray[Any] | Few, axes: Sequence[Axis], before: Sequence[Filter] = ()
) -> float | None:
    """The largest gain at any folding frequency; None where the strides have too many of them.

    Args:
        weight: shape (A, B, k_1, .., k_n); A and B are any channels. An array, or ``Few``.
        axes: one Axis per spatial axis; kernel, stride and dilation are used.
        before: filters of stride 1 that the input has passed through.

    Returns:
        0 for a perfect low-pass, 1 for no filter at all, infinity where nothing but the pattern
        gets through; nan where the weights hold nan or infinity.

    Raises:
        ValueError: the spatial shape of ``weight`` is not the kernel of ``axes``.
    """
    strides = tuple(axis.stride for axis in axes)
    if not 1 < prod(strides) <= MOST_FREQUENCIES:
        return None if prod(strides) > 1 else 0.0
    if isinstance(weight, Few):
        if not before and prod(strides) <= _MOST_OF_FEW:
            return _gain_of_few(weight, axes, strides)
        weight = weight.array()
    gains = relative_gains(weight, axes, strides)
    for taps, window in before:
        with np.errstate(invalid="ignore", over="ignore"):  # infinity times 0 neither
            gains = gains * relative_gains(taps, window, strides)
    return float(gains.reshape(-1)[1:].max())


def box_gain(axes: Sequence[Axis]) -> float | None:
    """As ``folding_gain``, of equal weights over the whole window.

    The gain is the product of those along the axes, each |sin(pi k t)| / (k |sin(pi t)|) for a
    frequency that turns t = m d / s between two taps, and 1 at most: so one axis alone has the
    largest.
    """
    if prod(axis.stride for axis in axes) > MOST_FREQUENCIES:
        return None
    return max((_box_gain(axis, m) for axis in axes for m in range(1, axis.stride)), default=0.0)


def _box_gain(axis: Axis, frequency: int) -> float:
    turned = frequency * axis.dilation % axis.stride
    if turned == 0:
        return 1.0
    whole = axis.kernel * turned % axis.stride
    return abs(sin(pi * whole / axis.stride) / (axis.kernel * sin(pi * turned / axis.stride)))


def _gain_of_few(weight: Few, axes: Sequence[Axis], strides: Sequence[int]) -> float:
    (sums,) = phase_sums(weight, axes)
    powers: list[float] = []
    for frequency in product(*map(range, strides)):
        # The response at the opposite frequency is the conjugate.
        if frequency > tuple([-m % s for m, s in zip(frequency, strides, strict=True)]):
            continue
        turns = [_turn(frequency, phase, strides) for phase in sums]
        parts = (_weighted(sums.values(), list(map(turned, turns))) for turned in (cos, sin))
        powers.append(sum(map(sum_of_squares, parts)))
    constant, *folding = powers
    if any(map(isnan, powers)):
        return nan
    if constant == 0:
        return inf if any(folding) else 0.0
    relative = max(folding) / constant
    return 0.0 if relative < _ROUNDING else sqrt(relative)


def _weighted(columns: Iterable[Sequence[float]], factors: Sequence[float]) -> Sequence[float]:
    """The sum of some columns, each times a factor."""
    total: Sequence[float] = ()
    for column, factor in zip(columns, factors, strict=True):
        if abs(factor) < _NO_TURN:
            continue
        scaled = column if factor == 1 else list(map(mul, repeat(factor), column))
        total = list(map(add, total, scaled)) if total else scaled
    return total


def _turn(frequency: Sequence[int], phase: Phase, strides: Sequence[int]) -> float:
    """The angle 2 pi sum_a m_a r_a / s_a that a frequency turns between the taps of a phase."""
    each = zip(frequency, phase, strides, strict=True)
    return 2 * pi * sum(m * r % s / s for m, r, s in each)


def in_decibels(gain: float) -> float:
    """20 log10 of a gain; -inf for 0."""
    return 20 * log10(gain) if gain else -inf


def relative_gains(
    weight: NDArray[Any], axes: Sequence[Axis], periods: Sequence[int]
) -> NDArray[np.float64]:
    """|H| / |H(0)| at the multiples of 2 pi / period along each axis, of the periods' shape."""
    return np.sqrt(_relative(_power(weight, axes, tuple(periods))))


Filter: TypeAlias = "tuple[NDArray[Any], Sequence[Axis]]"
"""Weights as ``folding_gain`` takes them, and their window."""


def _power(
    weight: NDArray[Any], axes: Sequence[Axis], strides: tuple[int, ...]
) -> NDArray[np.float64]:
    """Sum over channels of |H|^2 at each frequency: an array of the shape of the strides."""
    kernel = kernel_of(weight.shape, axes)
    turns = [_turns(axis, stride) for axis, stride in zip(axes, strides, strict=True)]
    flat = weight.reshape(-1, *kernel)
    step = max(1, _CHUNK_ELEMENTS // max(prod(kernel), prod(strides)))
    power = np.zeros(strides)
    with np.errstate(over="ignore", invalid="ignore"):  # weights may be huge, or no numbers
        for first in range(0, len(flat), step):
            response: NDArray[Any] = flat[first : first + step].astype(np.float64)
            for axis, turn in enumerate(turns, start=1):
                response = np.moveaxis(np.tensordot(response, turn, (axis, 1)), -1, axis)
            power += np.square(np.abs(response)).sum(axis=0)
    return power


def _turns(axis: Axis, stride: int) -> NDArray[np.complex128]:
    """exp(-2 pi i m d j / s), one row a frequency m, one column a tap j."""
    # Reduced as integers, so that frequencies that coincide do so exactly.
    turned = np.outer(np.arange(stride), np.arange(axis.kernel) * axis.dilation) % stride
    turns: NDArray[np.complex128] = np.exp(-2j * np.pi / stride * turned)
    return turns


def _relative(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power over that of a constant. What is left by rounding of the weights counts as none."""
    constant = power.reshape(-1)[0]
    if constant == 0:
        return np.where(power > 0, inf, 0.0)
    with np.errstate(invalid="ignore", over="ignore"):  # infinity over infinity is no number
        relative: NDArray[np.float64] = power / constant
    return np.where(relative < _ROUNDING, 0.0, relative)
