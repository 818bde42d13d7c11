"""How unevenly the weights of an upsampling layer answer a constant input.

A constant input c, away from the border, makes output phase r equal to
``bias + sum_ci c[ci] G_r[ci]`` where the phase gain G_r[ci, co] is the sum of the taps that
reach phase r. The isotropic ripple

    rho = sqrt(sum_{ci,co} mean_r (G_r - Gbar)^2) / sqrt(sum_{ci,co} Gbar^2),   Gbar = mean_r G_r

is the RMS of the periodic pattern over the RMS of the constant it rides on, for a random
constant input; in decibels 20 log10(rho). The ripple along one axis is that of the gains
averaged over the phases of all other axes: the pattern that is left when the output is averaged
across. All-ones kernel 3 at stride 2 gives -6.3 dB in 2-D, -9.5 dB along each axis; zero-mean
random weights sqrt(prod(s) - 1), +4.8 dB for 2x2; an interpolation kernel minus infinity. For a
separable kernel 1 + rho^2 is the product of that of its axes.

Source: the condition of equal polyphase gains is that of Sugawara, Shiota, Kiya, "Super-
resolution using convolutional neural networks without any checkerboard artifacts", ICIP 2018.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from math import dist, gcd, inf, isfinite, log10, nan, prod, sqrt
from operator import add
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .axis import Axis
from .doubles import doubles
from .few import Few, Phase, kernel_of, phase_sums, sum_of_squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTERPOLATES_BELOW_DB = -40.0
"""Weights with less ripple than this, a hundredth of the constant, interpolate."""

VISIBLE_ABOVE_DB = -20.0
"""A ripple over a tenth of the constant shows, unless something behind it blends it."""

_CHUNK_ELEMENTS = 1 << 18


class Ripple(NamedTuple):
    """Ripple in dB: of the whole pattern, and along each axis."""

    total: float
    per_axis: tuple[float, ...]


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
    reached = _reached_gains(weight, axes)
    phases = [sorted(_taps_by_phase(axis.kernel, axis.stride, axis.dilation)) for axis in axes]
    gains = np.zeros((*(axis.stride for axis in axes), *weight.shape[:2]))
    gains[np.ix_(*phases)] = reached.reshape(*map(len, phases), *weight.shape[:2])
    return gains.reshape(-1, *weight.shape[:2])


def ripple_db(weight: NDArray[Any], axes: Sequence[Axis]) -> float:
    """Isotropic ripple of a transposed convolution in dB; see :func:`transposed_ripple`."""
    return transposed_ripple(weight, axes).total


def transposed_ripple(
    weight: NDArray[Any] | Few, axes: Sequence[Axis], alone: Collection[int] = ()
) -> Ripple:
    """Ripple of a transposed convolution; -inf when perfectly even.

    Shapes as in :func:`phase_gains`. +inf when the gains cancel in the mean, nan when the
    weights hold nan or infinity. Works through the input channels in slices of about 2^18
    elements, so the weights may be a view of a file larger than memory, and over the reached
    phases only, so no stride is too large.

    Args:
        weight: as in :func:`phase_gains`, or the same as ``Few`` numbers.
        axes: one Axis per spatial axis.
        alone: axes with a single input position. Nothing repeats along them: each tap writes a
            line of its own, as another output channel would, and the ripple along them is -inf.
    """
    pattern = Pattern([axis.stride for i, axis in enumerate(axes) if i not in alone])
    taps = [Axis(axis.kernel, axis.kernel) if i in alone else axis for i, axis in enumerate(axes)]
    if isinstance(weight, Few):
        for phases in phase_sums(weight, axes, alone):
            pattern.add_few(phases)
    else:
        _add_slices(pattern, weight, taps, alone)
    total, along = pattern.ripple()
    found = iter(along)
    return Ripple(total, tuple(-inf if i in alone else next(found) for i in range(len(axes))))


def _add_slices(
    pattern: Pattern, weight: NDArray[Any], taps: Sequence[Axis], alone: Collection[int]
) -> None:
    for part in _channel_slices(weight):
        gains = _reached_gains(part, taps)
        if alone:
            gains = np.moveaxis(gains, sorted(alone), range(-1 - len(alone), -1))
        pattern.add(gains)


class Pattern:
    """Gains by phase, added up part by part into the ripple."""

    def __init__(self, strides: Sequence[int]) -> None:
        self._whole = _Power(prod(strides))
        self._each = [_Power(stride) for stride in strides]

    def add(self, gains: NDArray[np.float64]) -> None:
        """Add the gains of some channels: the reached phases of each axis, then channels.

        A phase that is left out has gain 0.
        """
        axes = range(len(self._each))
        phases = gains.shape[: len(axes)]
        gains = gains.reshape(*phases, -1)
        with np.errstate(invalid="ignore", over="ignore"):
            total = np.add.reduce(gains, axis=tuple(axes))
            constant = _power(total)
            self._whole.add(gains.reshape(prod(phases), -1), total, constant)
            for i, power in enumerate(self._each):
                along = np.add.reduce(gains, axis=tuple([j for j in axes if j != i]))
                power.add(along, total, constant)

    def add_few(self, gains: Mapping[Phase, Sequence[float]]) -> None:
        """As ``add``, for numbers by phase."""
        total = list(map(sum, zip(*gains.values(), strict=True)))
        constant = sum_of_squares(total)
        self._whole.add_few(gains.values(), total, constant)
        for i, power in enumerate(self._each):
            along: dict[int, Sequence[float]] = {}
            for phase, values in gains.items():
                held = along.get(phase[i])
                along[phase[i]] = values if held is None else list(map(add, held, values))
            power.add_few(along.values(), total, constant)

    def ripple(self) -> Ripple:
        return Ripple(self._whole.decibels(), tuple(power.decibels() for power in self._each))


class _Power:
    """Power of a pattern, and of the constant it rides on."""

    def __init__(self, phases: int) -> None:
        self._phases = phases
        self._ripple = self._constant = 0.0

    def add(self, gains: NDArray[np.float64], total: NDArray[np.float64], constant: float) -> None:
        """Add gains of shape (phases reached, channels); ``total`` is their sum over phases.

        ``constant`` is the sum of the squares of ``total``.
        """
        off = gains - total / float(self._phases)
        self._add(_power(off), len(gains), constant)

    def add_few(
        self, gains: Collection[Sequence[float]], total: Iterable[float], constant: float
    ) -> None:
        """As ``add``, for the numbers of each phase reached."""
        mean = [each / self._phases for each in total]
        off = [dist(values, mean) for values in gains]
        self._add(sum_of_squares(off), len(gains), constant)

    def _add(self, off: float, reached: int, constant: float) -> None:
        """Add so many phases whose gains are off the mean by this power."""
        power = constant / self._phases / self._phases
        self._ripple += off / self._phases
        # A phase without taps has gain 0: it is off the mean by the mean itself.
        self._ripple += power * ((self._phases - reached) / self._phases)
        self._constant += power

    def decibels(self) -> float:
        if not (isfinite(self._ripple) and isfinite(self._constant)):
            return nan
        # Gains of equal phases can differ by rounding of the weights themselves (float32
        # thirds): anything under 1e-12 of the power, -120 dB, is that.
        if self._ripple <= 1e-12 * self._constant:
            return -inf
        if self._constant == 0:
            return inf
        return 20 * log10(sqrt(self._ripple / self._constant))


def _power(values: NDArray[np.float64]) -> float:
    return float(np.add.reduce(np.square(values), axis=None))


def random_ripple_db(strides: Iterable[int]) -> float:
    """Ripple expected of zero-mean random weights, sqrt(prod(s) - 1), whatever the kernel."""
    return _decibels(prod(strides) - 1, 1)


def overlap_ripple_db(axes: Iterable[Axis]) -> float:
    """Ripple of all-ones weights, which is that of the overlap alone; -inf where it is even.

    A cycle of s / g phases is reached, g = gcd(d, s), by floor(k g / s) taps or one more. With
    t taps per phase 1 + rho^2 is the mean of t^2 over the square of the mean, k / s.
    """
    squares = count = 1
    for axis in axes:
        cycle = axis.stride // gcd(axis.dilation, axis.stride)
        fewer, more = divmod(axis.kernel, cycle)
        squares *= ((cycle - more) * fewer**2 + more * (fewer + 1) ** 2) * axis.stride
        count *= axis.kernel**2
    return _decibels(squares - count, count)


def _decibels(power: int, reference: int) -> float:
    return 10 * log10(power / reference) if power else -inf


def _channel_slices(weight: NDArray[Any]) -> Iterator[NDArray[Any]]:
    per_channel = max(1, weight[:1].size)
    step = max(1, _CHUNK_ELEMENTS // per_channel)
    for first in range(0, weight.shape[0], step):
        yield weight[first : first + step]


def _reached_gains(weight: NDArray[Any], axes: Sequence[Axis]) -> NDArray[np.float64]:
    """Gains of the phases that taps reach, in their order: per axis, then channels."""
    kernel = kernel_of(weight.shape, axes)
    taps = weight.reshape(-1, prod(kernel)).T
    gains = doubles(taps).reshape(*kernel, -1)
    for i, axis in enumerate(axes):
        grouping = _grouping(axis.kernel, axis.stride, axis.dilation)
        if grouping is not None:
            with np.errstate(invalid="ignore", over="ignore"):
                gains = np.add.reduceat(gains.take(grouping.taps, axis=i), grouping.starts, axis=i)
    return gains


class _Grouping(NamedTuple):
    """Taps in the order of their phases, and where each phase that has any starts."""

    taps: NDArray[np.intp]
    starts: NDArray[np.intp]


@lru_cache(maxsize=16)  # a model has few kinds of windows
def _grouping(kernel: int, stride: int, dilation: int) -> _Grouping | None:
    """How taps add up along one axis; None where each has its own phase, in their order."""
    groups = sorted(_taps_by_phase(kernel, stride, dilation).items())
    order = [tap for _, taps in groups for tap in taps]
    if len(groups) == kernel and order == list(range(kernel)):
        return None
    starts = accumulate((len(taps) for _, taps in groups[:-1]), initial=0)
    return _Grouping(np.array(order, np.intp), np.array(list(starts), np.intp))


def _taps_by_phase(kernel: int, stride: int, dilation: int) -> dict[int, list[int]]:
    """Taps of each phase that has any, O(k)."""
    taps: dict[int, list[int]] = {}
    for tap in range(kernel):
        taps.setdefault(tap * dilation % stride, []).append(tap)
    return taps
