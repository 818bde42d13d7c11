"""The readings of the operators that keep space; the table stands in ``fields``.

Those of interpolations are in ``resampling``.
"""

from __future__ import annotations

from .axis import Axis
from .fields import MOST_PHASES, Reading, Unknown


def sliding(axis: Axis, adrift: str = "") -> Reading:
    """A window of a convolution or a pool."""
    return Reading(axis.stride, ((-axis.begin, axis.extent - 1 - axis.begin),), False, adrift)


def transposed(axis: Axis, adrift: str = "") -> Reading | Unknown:
    """A transposed convolution."""
    s, begin, extent = axis.stride, axis.begin, axis.extent
    if s > MOST_PHASES:
        return Unknown(f"it grows {s} times, beyond all that is followed")
    spans = tuple((-((extent - 1 - begin - r) // s), (r + begin) // s) for r in range(s))
    return Reading(1, spans, False, adrift)


def shifted(begin: int, adrift: str = "") -> Reading:
    """Padding by ``begin`` elements in front; cropping when negative."""
    return Reading(1, ((-begin, -begin),), False, adrift)


def sliced(start: int, step: int, adrift: str = "") -> Reading:
    """Every ``step``-th element from ``start``; backwards for a negative step."""
    return Reading(step, ((start, start),), False, adrift)


def to_space(block: int) -> Reading | Unknown:
    """Channels dealt out in blocks of ``block`` elements."""
    if block > MOST_PHASES:
        return Unknown(f"it grows {block} times, beyond all that is followed")
    return Reading(1, ((0, 0),) * block)


def to_depth(block: int) -> Reading:
    """Blocks of ``block`` elements stacked into channels; a window over all the channels."""
    return Reading(block, ((0, block - 1),))
