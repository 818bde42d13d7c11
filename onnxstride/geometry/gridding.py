"""Which part of its receptive field a chain of windows reads at all.

A window reads the elements at ``o s + j d`` from its first tap on, so that, from the last window
of a chain back to the map the first one reads, one output reads the set

    R = {0},    then for each window backwards    R <- {r s + j d : r in R, j < k}.

Its density is the number of these elements over the receptive field, max R - min R + 1. A
single window of dilation d has 1 / d at most; dense windows in the chain fill the gaps, and so do
dilations without a common factor.

Source: Wang et al., "Understanding Convolution for Semantic Segmentation", WACV 2018.
"""

from collections.abc import Iterable
from fractions import Fraction

from .axis import Axis

_MOST_ELEMENTS = 1 << 14


def density(windows: Iterable[Axis]) -> Fraction | None:
    """Share of the receptive field that is read, along one axis.

    Args:
        windows: the last one first.

    Returns:
        None where the receptive field is too large to be looked at.
    """
    read = 1  # bit r is set for every element r of R, which begins with 0
    for axis in windows:
        if (read.bit_length() - 1) * axis.stride + axis.extent > _MOST_ELEMENTS:
            return None
        spread = _spread(read, axis.stride)
        read = 0
        for tap in range(0, axis.extent, axis.dilation):
            read |= spread << tap
    return Fraction(read.bit_count(), read.bit_length())


def _spread(bits: int, stride: int) -> int:
    """Bit r moved to r * stride."""
    return bits if stride == 1 else int(("0" * (stride - 1)).join(f"{bits:b}"), 2)
