"""How many taps reach each phase of the stride.

Tap j of a window lands d j elements after its first, so along one axis it belongs to phase
``d j mod s``. A transposed convolution writes output phase r with exactly the taps of phase r;
a strided window reads input phase r with them, and its gradient is written with them. One
count therefore answers three questions: uneven overlap, unread input, uneven gradient.

With g = gcd(d, s) the phases reached are the multiples of g, in a cycle of length s / g that
the k taps walk through in turn: each reached phase gets floor(k g / s) taps or one more. The
counts are even over all phases exactly when s == 1, or g == 1 and k is a multiple of s.

Source: Odena, Dumoulin, Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016, for
d = 1; the dilated form follows from the residues of d j.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd, lcm, prod

from .axis import Axis


def taps_per_phase(axis: Axis) -> tuple[int, ...]:
    """Taps that reach each of the s phases, phase of the first tap first.

    O(s) in time and memory: for a stride nobody has vouched for, ask :func:`tap_range` and
    :func:`empty_phases` instead.
    """
    cycle = axis.stride // gcd(axis.dilation, axis.stride)
    counts = [0] * axis.stride
    for step in range(min(axis.kernel, cycle)):
        counts[axis.dilation * step % axis.stride] = -(-(axis.kernel - step) // cycle)
    return tuple(counts)


def reached_phases(axis: Axis) -> int:
    """Phases that at least one tap reaches: min(k, s / gcd(d, s))."""
    return min(axis.kernel, axis.stride // gcd(axis.dilation, axis.stride))


def empty_phases(axis: Axis) -> int:
    """Phases no tap reaches: s - min(k, s / gcd(d, s))."""
    return axis.stride - reached_phases(axis)


def is_even(axis: Axis) -> bool:
    """True when every phase gets the same number of taps."""
    return empty_phases(axis) == 0 and axis.kernel % axis.stride == 0


def tap_range(axis: Axis) -> tuple[int, int]:
    """Fewest and most taps of any phase, in O(1)."""
    cycle = axis.stride // gcd(axis.dilation, axis.stride)
    most = -(-axis.kernel // cycle)
    return (0 if empty_phases(axis) else axis.kernel // cycle), most


def overlap_ratio(axes: Iterable[Axis]) -> Fraction | None:
    """Taps of the busiest over taps of the quietest output position; None when that has none.

    Counts multiply over the axes: kernel 3 at stride 2 is 2 in 1-D, 4 in 2-D, 8 in 3-D.
    """
    ratio = Fraction(1)
    for axis in axes:
        fewest, most = tap_range(axis)
        if fewest == 0:
            return None
        ratio *= Fraction(most, fewest)
    return ratio


def unread_share(axes: Iterable[Axis]) -> Fraction:
    """Share of input positions, away from the border, that no window reads.

    For a transposed convolution: the share of output positions that no tap writes.
    """
    skipping = [axis for axis in axes if axis.stride > 1 and empty_phases(axis)]
    if not skipping:  # the usual case, asked of every window in a model
        return Fraction(0)
    return 1 - prod(
        (Fraction(reached_phases(axis), axis.stride) for axis in skipping), start=Fraction(1)
    )


def unread_by_all(readers: Sequence[Sequence[Axis]]) -> Fraction | None:
    """Share of positions, away from the border, that none of several windows reads.

    Each reader is one window, an Axis per spatial axis. Along an axis a reader reads the
    residues ``(d j - pb) mod s``; together they repeat with the least common multiple of the
    strides. None when that pattern has more than 100,000 cells, too many to enumerate.

    Raises:
        ValueError: no readers, or readers of different rank.
    """
    if not readers or len({len(axes) for axes in readers}) != 1:
        raise ValueError("readers must be one or more windows of one rank")
    periods = [lcm(*(axes[i].stride for axes in readers)) for i in range(len(readers[0]))]
    if prod(periods) > 100_000:
        return None
    union: set[tuple[int, ...]] = set()
    for axes in readers:
        cells: set[tuple[int, ...]] = {()}
        for axis, period in zip(axes, periods, strict=True):
            residues = _residues_read(axis, period)
            cells = {(*cell, residue) for cell in cells for residue in residues}
        union |= cells
    return 1 - Fraction(len(union), prod(periods))


def _residues_read(axis: Axis, period: int) -> list[int]:
    """Residues modulo ``period`` (a multiple of the stride) that the window reads."""
    phases = {
        (axis.dilation * step - axis.begin) % axis.stride for step in range(reached_phases(axis))
    }
    return [residue for residue in range(period) if residue % axis.stride in phases]


def bias_only_tail(axis: Axis, output_padding: int) -> int:
    """Trailing outputs of a transposed convolution that no tap reaches: max(0, op - pe).

    The last tap of the last window writes output s (W - 1) + K - 1 - pb, and O goes on op - pe
    beyond it. They hold the bias and nothing else.
    """
    return max(0, output_padding - axis.end)
