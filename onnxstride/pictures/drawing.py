"""What there is to see of a probe.

========  ==================================================================================
probe     a part of an output, its contrast stretched around its mean: black and white are as
          far below and above as the caption says. At least 1/255 of the range, or what else
          counts as visible if that is less: an output without a pattern is plain grey, not a
          picture of its rounding errors
tile      the phase means of the same answer on the same scale, two periods along each axis
taps      how many taps of a transposed convolution reach each output, three periods along
          each axis: black none, white the most
========  ==================================================================================

Of an output the answer with the strongest pattern is drawn, and grey. One axis is drawn as stripes,
of three the middle slice. Models drawn together, such as one before and after a rewrite, share
their scales.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..geometry import Axis, taps_per_phase
from ..probe import VISIBLE_SHARE, Answer, OutputProbe, Probed, TapMap
from ..wording import by
from .canvas import (
    Pixels,
    enlarged,
    flat,
    numbered,
    shown_channels,
    stretched,
    with_caption,
)
from .files import file_name

if TYPE_CHECKING:
    from PIL.Image import Image

_ALWAYS = "grey"
_TILES = 2
_TAP_PERIODS = 3
_TAP_CELL = 64
_WIDEST_MAP = 768
_LONGEST_STRIDE = 256

Key = tuple[str, str]
"""An output and what it answered."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture and the name of its file, which is safe to use."""

    name: str
    image: "Image"


def draw(probes: Mapping[str, Probed]) -> Iterator[Picture]:
    """Pictures of models by their labels, such as before and after; one may have none.

    The same answers are drawn of every model, on the same scale.
    """
    wanted = [key for probed in probes.values() for key in _keys(probed)]
    found = {label: _answers(probed) for label, probed in probes.items()}
    for key in dict.fromkeys(wanted):
        seen = {label: answers[key] for label, answers in found.items() if key in answers}
        scale = max(_scale(*each) for each in seen.values())
        names = key[0], key[1].replace(" ", "_")
        for label, (output, answer) in seen.items():
            yield Picture(file_name(label, "probe", *names), _part(output, answer, scale))
            yield Picture(file_name(label, "tile", *names), _tile(output, answer, scale))
    for label, probed in probes.items():
        for taps in probed.taps:
            if max(axis.stride for axis in taps.axes) <= _LONGEST_STRIDE:
                place = "/".join([*taps.node.scope, taps.node.name])
                yield Picture(file_name(label, "taps", place), _taps(taps))


def tap_counts(axes: Sequence[Axis]) -> NDArray[np.int64]:
    """Taps that reach each output away from the border: three periods from output 0 on."""
    along = [np.tile(np.roll(taps_per_phase(axis), -axis.begin), _TAP_PERIODS) for axis in axes]
    return reduce(np.multiply.outer, along).astype(np.int64)


def _keys(probed: Probed) -> Iterator[Key]:
    for output in probed.outputs:
        worst = output.worst
        for answer in output.answers:
            if answer is worst or answer.stimulus == _ALWAYS:
                yield output.name, answer.stimulus


def _answers(probed: Probed) -> dict[Key, tuple[OutputProbe, Answer]]:
    return {
        (output.name, answer.stimulus): (output, answer)
        for output in probed.outputs
        for answer in output.answers
    }


def _scale(output: OutputProbe, answer: Answer) -> float:
    """How far the part strays from its mean; one step of an 8-bit image at least.

    Where a pattern smaller than that counts as visible, it is drawn as large as any.
    """
    part = answer.part.astype(np.float64)
    strays = np.abs(part - part.mean(axis=tuple(range(1, part.ndim)), keepdims=True)).max()
    step = (
        min(VISIBLE_SHARE, output.threshold) * output.range.span
        if output.range is not None
        else 0.0
    )
    return max(float(strays), step, float(np.finfo(np.float32).tiny))


def _part(output: OutputProbe, answer: Answer, scale: float) -> "Image":
    pixels = enlarged(stretched(flat(shown_channels(answer.part)), scale))
    return with_caption(pixels, _caption(output, answer, scale))


def _tile(output: OutputProbe, answer: Answer, scale: float) -> "Image":
    tile = shown_channels(answer.tile)
    repeated = np.tile(tile, (1, *[_TILES] * (tile.ndim - 1)))
    return with_caption(enlarged(stretched(flat(repeated), scale)), _caption(output, answer, scale))


def _caption(output: OutputProbe, answer: Answer, scale: float) -> list[str]:
    steps, rms, widest = (
        f"{255 * output.share(figure):.3g}/255"
        for figure in (scale, answer.rms, answer.peak_to_peak)
    )
    return [
        f"{output.name}, {answer.stimulus}, period {by(output.period)}",
        f"{answer.mean:.4g} +- {scale:.2g} ({steps} of the range)",
        f"pattern {rms} rms, {widest} peak to peak",
    ]


def _taps(taps: TapMap) -> "Image":
    counts = tap_counts(taps.axes)
    grey: Pixels = np.rint(counts * (255 / counts.max())).astype(np.uint8)
    pixels, numbers = flat(grey[np.newaxis]), flat(counts[np.newaxis])[0]
    cell = max(1, min(_TAP_CELL, _WIDEST_MAP // max(pixels.shape[1:])))
    kernel, stride = (
        by(getattr(axis, name) for axis in taps.axes) for name in ("kernel", "stride")
    )
    lines = [
        f"{taps.node.name}, kernel {kernel}, stride {stride}",
        f"taps per output: {counts.min()} to {counts.max()} (white)",
    ]
    picture = with_caption(enlarged(pixels, cell), lines)
    if counts.ndim > 1:  # stripes stand for a single row
        numbered(picture, numbers, cell)
    return picture
