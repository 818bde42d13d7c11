"""Transposed convolutions as convolutions of the small map whose channels are the phases.

Output o of a transposed convolution is what the taps with ``i s + p = o + pb`` write, p = d j
being the place of tap j in the window. With o + c = s q + r, phase r of position q reads

    i = q + e,    e = (r + pb - c - p) / s,    r = (p - pb + c) mod s,

so every tap belongs to one phase and looks one fixed offset e away. One convolution with stride 1
over the span of all offsets, s times as many channels, and the phases put side by side are the
same function. Positions and places of the result:

    t = W + ceil((c + A) / s) - 1    positions, A = op + K - pb - pe (so O = s (W - 1) + A)
    O = s t - c - c',  0 <= c' < s   places: c are cropped at the begin, c' at the end

The crop c is free. At c = 0, *aligned*, nothing is lost at the begin, but the taps of a phase may
spread one position wider than at c = pb mod s, *cropped*, where the span is the least there is:
ceil(K / s) without dilation. No other crop is better than both.

The convolution never crops its input: the span takes in the offsets 0 and W - t, so that padding
comes out at zero or more. Where all offsets share a step, that is its dilation.

Backwards, a convolution of M taps with pads qb, qe, its phases put side by side, is the transposed
convolution of s M taps, tap r + s (M - 1 - a) being tap a of phase r, with pads s (M - 1 - qb) and
s (M - 1 - qe).

Source: Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axis import Axis

COPY = 8
"""Multiply-adds that take as long as copying one element of the result once more to crop it.

By ONNX Runtime 1.31 on a CPU: a depthwise layer of kernel 4 at stride 2 takes as long aligned (9
multiply-adds) as cropped (4 and a copy), and one of kernel 16 at stride 8 is faster aligned.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Phased:
    """One axis of the convolution that stands in, and what is cropped off its phases.

    Attributes:
        stride: number of phases.
        window: the convolution along this axis, its stride 1.
        crop: elements to take off at begin and end once the phases are side by side.
        slots: where each tap goes: phase x M + position in the window.
    """

    stride: int
    window: Axis
    crop: tuple[int, int]
    slots: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Polyphase:
    """A transposed convolution as a convolution and a shuffle: ``aligned`` or ``cropped``."""

    name: str
    axes: tuple[Phased, ...]

    @property
    def blocks(self) -> tuple[int, ...]:
        """Phases along each axis."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def windows(self) -> tuple[Axis, ...]:
        return tuple(axis.window for axis in self.axes)

    @property
    def kernel(self) -> tuple[int, ...]:
        return tuple(window.kernel for window in self.windows)

    @property
    def crop(self) -> tuple[tuple[int, int], ...]:
        return tuple(axis.crop for axis in self.axes)

    @property
    def growth(self) -> int:
        """Weights there are for each pair of channels: taps times phases."""
        return prod(self.kernel) * prod(self.blocks)

    def cost(self, channels: int) -> int:
        """Work for one element of the result, which reads so many channels, in multiply-adds."""
        is_cropped = any(map(any, self.crop))
        return channels * prod(self.kernel) + COPY * is_cropped


def phased(axis: Axis, output_padding: int, crop: int = 0) -> Phased:
    """The axis with ``crop`` elements to take off at the begin.

    A negative ``axis.end`` counts as output padding.
    """
    s = axis.stride
    places = np.arange(axis.kernel, dtype=np.int64) * axis.dilation
    base = axis.begin - crop
    phases = (places - base) % s
    offsets = (phases + base - places) // s
    tail = crop + output_padding + axis.extent - axis.begin - axis.end
    more = -(-tail // s) - 1
    first, last = min(0, int(offsets.min())), max(-more, int(offsets.max()))
    step = gcd(int(np.gcd.reduce(offsets - first)), last - first) or 1
    taps = (last - first) // step + 1
    window = Axis(taps, 1, step, begin=-first, end=last + more)
    slots = phases * taps + (offsets - first) // step
    return Phased(s, window, (crop, s * (more + 1) - tail), slots)


def aligned(axes: Sequence[Axis], output_padding: Sequence[int]) -> Polyphase:
    """The form that crops nothing at the begin."""
    return Polyphase("aligned", tuple(map(phased, axes, output_padding)))


def cropped(axes: Sequence[Axis], output_padding: Sequence[int]) -> Polyphase:
    """The form with the smallest kernel; it crops the begin only where that makes it smaller."""
    chosen: list[Phased] = []
    for axis, op in zip(axes, output_padding, strict=True):
        whole, least = phased(axis, op), phased(axis, op, axis.begin % axis.stride)
        chosen.append(least if least.window.kernel < whole.window.kernel else whole)
    is_cropped = any(axis.crop[0] for axis in chosen)
    return Polyphase("cropped" if is_cropped else "aligned", tuple(chosen))


def cheapest(axes: Sequence[Axis], output_padding: Sequence[int], channels: int) -> Polyphase:
    """The form that costs less where an element of the result reads ``channels`` channels."""
    forms = aligned(axes, output_padding), cropped(axes, output_padding)
    return min(forms, key=lambda form: form.cost(channels))


def to_phases(weight: NDArray[Any], form: Polyphase, group: int) -> NDArray[Any]:
    """Weights of the convolution, shape (C_out, phases, C_in / group, M_1, .., M_n).

    Args:
        weight: shape (C_in, C_out / group, k_1, .., k_n).
        form: how each axis falls apart.
        group: groups of both; their channels stay contiguous.
    """
    rank = len(form.axes)
    slots = [axis.stride * axis.window.kernel for axis in form.axes]
    grouped = weight.reshape(group, -1, *weight.shape[1:])
    spread = np.zeros((*grouped.shape[:3], *slots), weight.dtype)
    spread[(slice(None),) * 3 + np.ix_(*(axis.slots for axis in form.axes))] = grouped
    split = [size for axis in form.axes for size in (axis.stride, axis.window.kernel)]
    spread = spread.reshape(*grouped.shape[:3], *split)
    phases = range(3, 3 + 2 * rank, 2)
    spread = spread.transpose(0, 2, *phases, 1, *(phase + 1 for phase in phases))
    return spread.reshape(-1, prod(form.blocks), grouped.shape[1], *form.kernel)


def from_phases(weight: NDArray[Any], blocks: Sequence[int], group: int) -> NDArray[Any]:
    """Weights of the transposed convolution, shape (C_in, C_out / group, s_1 M_1, .., s_n M_n).

    Args:
        weight: shape (C_out, phases, C_in / group, M_1, .., M_n), last phase fastest.
        blocks: phases along each axis.
        group: groups of both.
    """
    rank, read, kernel = len(blocks), weight.shape[2], weight.shape[3:]
    flipped = np.flip(weight, tuple(range(3, 3 + rank)))
    split = flipped.reshape(group, -1, *blocks, read, *kernel)
    taps = [place for i in range(rank) for place in (3 + rank + i, 2 + i)]
    joined = split.transpose(0, 2 + rank, 1, *taps)
    sizes = [taps * phases for taps, phases in zip(kernel, blocks, strict=True)]
    return joined.reshape(group * read, -1, *sizes)


def transposed_axis(window: Axis, block: int) -> Axis:
    """The transposed window of a convolution with stride 1 whose phases are put side by side.

    Its padding is negative where the convolution pads by more than it reaches.
    """
    begin = block * (window.kernel - 1 - window.begin)
    end = block * (window.kernel - 1 - window.end)
    return Axis(block * window.kernel, block, begin=begin, end=end)


def trimmed(weight: NDArray[Any], axes: Sequence[Axis]) -> tuple[NDArray[Any], tuple[Axis, ...]]:
    """A transposed convolution without the outer taps that are zero, as far as padding allows.

    A tap less at one end is an element of padding less there. ``axes`` have no dilation.
    """
    kept: list[Axis] = []
    for i, axis in enumerate(axes):
        others = tuple(j for j in range(weight.ndim) if j != i + 2)
        used = np.flatnonzero(np.any(weight != 0, axis=others))
        first, last = (int(used[0]), int(used[-1])) if used.size else (0, 0)
        begin = max(0, min(first, axis.begin))
        end = max(0, min(axis.kernel - 1 - last, axis.end))
        taps = axis.kernel - begin - end
        weight = weight.take(range(begin, begin + taps), axis=i + 2)
        kept.append(Axis(taps, axis.stride, 1, axis.begin - begin, axis.end - end))
    return weight, tuple(kept)


def evened(axis: Axis) -> Axis:
    """The transposed window with taps added at the end, so that every phase has as many.

    The padding grows by what they reach, so outputs are what they were. Dilation that shares a
    factor with the stride leaves phases empty; it is folded into the kernel first.
    """
    dilation = axis.dilation if gcd(axis.dilation, axis.stride) == 1 else 1
    taps = (axis.extent - 1) // dilation + 1
    taps += -taps % axis.stride
    extent = dilation * (taps - 1) + 1
    return Axis(taps, axis.stride, dilation, axis.begin, axis.end + extent - axis.extent)


def placed(weight: NDArray[Any], axes: Sequence[Axis], wider: Sequence[Axis]) -> NDArray[Any]:
    """The taps of ``axes`` where they stand in the ``wider`` windows; zeros at all others."""
    zeros = np.zeros((*weight.shape[:2], *(axis.kernel for axis in wider)), weight.dtype)
    places = [
        np.arange(old.kernel) * (old.dilation // new.dilation)
        for old, new in zip(axes, wider, strict=True)
    ]
    zeros[(slice(None),) * 2 + np.ix_(*places)] = weight
    return zeros
