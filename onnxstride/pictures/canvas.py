"""From numbers to pixels a person can tell apart."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]

_MIDDLE = 127.5
_STRIPE = 32  # rows that a picture with one axis is given
_LONGEST_SIDE = 512
_NARROWEST = 360  # room for the caption
_LINE, _MARGIN = 14, 4
_ROOM_FOR_NUMBER = 32


def flat(maps: NDArray[Any]) -> NDArray[Any]:
    """Two spatial axes behind the channels: stripes of a line, the middle slice of a volume."""
    if maps.ndim == 2:
        return np.repeat(maps[:, np.newaxis], _STRIPE, axis=1)
    while maps.ndim > 3:
        maps = maps[:, maps.shape[1] // 2]
    return maps


def shown_channels(maps: NDArray[Any]) -> NDArray[Any]:
    """Three channels as they are, as colours; of other numbers the one that varies most."""
    if len(maps) == 3:
        return maps
    space = tuple(range(1, maps.ndim))
    strongest = int((maps.max(axis=space) - maps.min(axis=space)).argmax())
    return maps[strongest : strongest + 1]


def stretched(maps: NDArray[Any], scale: float) -> Pixels:
    """Channels around their means: mid grey the mean, black and white ``scale`` below and above."""
    values = maps.astype(np.float64)
    values -= values.mean(axis=tuple(range(1, maps.ndim)), keepdims=True)
    pixels = np.clip(_MIDDLE + _MIDDLE * values / scale, 0, 255)
    rounded: Pixels = np.rint(pixels).astype(np.uint8)
    return rounded


def enlarged(pixels: Pixels, factor: int | None = None) -> Pixels:
    """Every pixel as a square, by default so that the longest side has about 512 pixels."""
    if factor is None:
        factor = max(1, _LONGEST_SIDE // max(pixels.shape[1:]))
    larger: Pixels = pixels.repeat(factor, axis=1).repeat(factor, axis=2)
    return larger


def numbered(picture: "Image", numbers: NDArray[Any], cell: int) -> None:
    """Writes a number into the middle of each square of ``cell`` pixels, if there is room."""
    from PIL import ImageDraw, ImageFont

    if cell < _ROOM_FOR_NUMBER:
        return
    text, font = ImageDraw.Draw(picture), ImageFont.load_default()
    for (row, column), number in np.ndenumerate(numbers):
        fill = "black" if number > numbers.max() / 2 else "white"
        place = ((column + 0.5) * cell, (row + 0.5) * cell)
        text.text(place, str(number), fill=fill, font=font, anchor="mm")


def with_caption(pixels: Pixels, lines: Sequence[str]) -> "Image":
    """The picture on white, with lines of text below it. Channels are first: one or three."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = pixels.shape[1:]
    canvas = Image.new(
        "RGB", (max(width, _NARROWEST), height + _LINE * len(lines) + 2 * _MARGIN), "white"
    )
    colours = np.ascontiguousarray(np.broadcast_to(pixels, (3, height, width)).transpose(1, 2, 0))
    canvas.paste(Image.fromarray(colours), (0, 0))
    text = ImageDraw.Draw(canvas)
    font = ImageFont.load_default()
    for number, line in enumerate(lines):
        # The font has few letters, and names are written by strangers.
        plain = line.encode("ascii", "backslashreplace").decode()
        text.text((_MARGIN, height + _MARGIN + _LINE * number), plain, fill="black", font=font)
    return canvas
