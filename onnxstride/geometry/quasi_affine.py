"""Sizes as functions of a size: floors of linear forms, and the period they repeat with.

Every spatial operator turns a size x into

    phi(x) = floor((a x + b) / c),   for x >= w, and x divisible by m where it says so.

====================  =====  =======================  =====  ====================
operator              a      b                        c      w, m
====================  =====  =======================  =====  ====================
Conv, pool            1      pb + pe - K + s          s      w = K - pb - pe
SAME padding          1      s - 1                    s
ConvTranspose         s      op + K - pb - pe - s     1      phi(w) >= 1
Resize by p / q       p      0                        q      phi(w) >= 1
DepthToSpace, block   block  0                        1
SpaceToDepth, block   1      0                        block  m = block
Pad, crop             1      begin + end              1      phi(w) >= 1
====================  =====  =======================  =====  ====================

A size computed from x by such functions repeats: f(x + M) = f(x) + N for all x, with M the
period and N the gain. Through (a, c) a pair (M, N) becomes (M j, N j a / c), j = c / gcd(c, a N).
So f lies between two parallels of slope N / M, and that is all :class:`Growth` says.
"""

from fractions import Fraction
from math import gcd, lcm
from typing import NamedTuple

import numpy as np

from .axis import Axis, floor_form

_EXACT_UP_TO = 1 << 13
_LARGEST_DENOMINATOR = 1 << 10


class SizeMap(NamedTuple):
    """phi(x) = floor((a x + b) / c) for x >= ``least`` that ``multiple`` divides."""

    a: int = 1
    b: int = 0
    c: int = 1
    least: int = 1
    multiple: int = 1

    def __call__(self, size: int) -> int:
        return (self.a * size + self.b) // self.c

    def takes(self, size: int) -> bool:
        """True for a size that the operator accepts."""
        return size >= self.least and size % self.multiple == 0


def strided(axis: Axis, *, ceil_mode: bool = False) -> SizeMap:
    """Conv or pool: one more output for every s elements beyond the first window."""
    if ceil_mode:
        axis = floor_form(axis)
    room = axis.begin + axis.end - axis.extent
    return SizeMap(1, room + axis.stride, axis.stride, max(1, -room))


def same(stride: int) -> SizeMap:
    """Conv or pool under SAME padding: ceil(x / s)."""
    return SizeMap(1, stride - 1, stride)


def transposed(axis: Axis, output_padding: int = 0) -> SizeMap:
    """ConvTranspose: s (x - 1) + op + K - pb - pe."""
    room = output_padding + axis.extent - axis.begin - axis.end - axis.stride
    return _with_output(SizeMap(axis.stride, room))


def scaled(scale: float) -> SizeMap | None:
    """Resize by a float32 scale, as runtimes compute it: floor(x * scale) in float32.

    None when that is not floor(p x / q) with a small q for every size up to 8192: a scale that is
    no simple fraction, or one that float32 rounds down so that whole results come out one short,
    as 27 * 2.3333333 does.
    """
    ratio = Fraction(scale).limit_denominator(_LARGEST_DENOMINATOR)
    if ratio <= 0 or np.float32(ratio.numerator / ratio.denominator) != np.float32(scale):
        return None
    if ratio.denominator > 1:
        sizes = np.arange(1, _EXACT_UP_TO + 1)
        rounded = np.floor(sizes.astype(np.float32) * np.float32(scale)).astype(np.int64)
        if not np.array_equal(rounded, sizes * ratio.numerator // ratio.denominator):
            return None
    return _with_output(SizeMap(ratio.numerator, 0, ratio.denominator))


def to_blocks(block: int) -> SizeMap:
    """SpaceToDepth: blocks must tile the map."""
    return SizeMap(1, 0, block, block, block)


def from_blocks(block: int) -> SizeMap:
    """DepthToSpace."""
    return SizeMap(block)


def padded(begin: int, end: int) -> SizeMap:
    """Pad, or with negative figures a crop."""
    return _with_output(SizeMap(1, begin + end))


def _with_output(phi: SizeMap) -> SizeMap:
    """The same function where it gives at least one element: a x + b >= c."""
    return phi._replace(least=max(1, -((phi.b - phi.c) // phi.a)))


class Growth(NamedTuple):
    """f(x + period) = f(x) + gain for x >= start, and f(x) - slope x in [low, high] there."""

    period: int
    gain: int
    low: Fraction
    high: Fraction
    start: int = 1

    @property
    def slope(self) -> Fraction:
        return Fraction(self.gain, self.period)


IDENTITY = Growth(1, 1, Fraction(0), Fraction(0))


def constant_growth(number: int) -> Growth:
    """The growth of a size that does not change."""
    return Growth(1, 0, Fraction(number), Fraction(number))


def floored(terms: list[tuple[Growth, int]], offset: int, divisor: int) -> Growth:
    """The growth of floor((sum of coefficient * term + offset) / divisor)."""
    period = lcm(*(growth.period for growth, _ in terms))
    gain = sum(a * growth.gain * (period // growth.period) for growth, a in terms)
    steps = divisor // gcd(divisor, gain)
    low = high = Fraction(offset)
    for growth, a in terms:
        low += a * (growth.low if a > 0 else growth.high)
        high += a * (growth.high if a > 0 else growth.low)
    return Growth(
        period * steps,
        gain * steps // divisor,
        (low - (divisor - 1)) / divisor,
        high / divisor,
        max(growth.start for growth, _ in terms),
    )


def extreme(one: Growth, other: Growth, *, largest: bool) -> Growth:
    """The growth of the larger or the smaller of two sizes: past their crossing it is one's."""
    difference = one.slope - other.slope
    start = max(one.start, other.start)
    if difference == 0:
        period = lcm(one.period, other.period)
        pick = max if largest else min
        return Growth(
            period,
            one.gain * (period // one.period),
            pick(one.low, other.low),
            pick(one.high, other.high),
            start,
        )
    if difference < 0:
        one, other, difference = other, one, -difference
    # one - other >= difference x + (one.low - other.high), which is positive from here on
    crossing = (other.high - one.low) / difference
    winner = one if largest else other
    return winner._replace(start=max(start, int(crossing) + 1))
