"""What each layer sees, drawn against depth.

A layer is a bar, from what its elements see by the path that sees least to what they see by the
one that sees most. The image is a line across: bars wholly above it belong to layers that see all
of it along every path. Axes of space that have the same figures share a chart.

Coordinates along the depth are per cent, so that a chart is as wide as the page has room for;
heights are pixels, and text keeps its size.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import ceil, floor, log2
from typing import NamedTuple

from ...engine.anatomy import LayerFigures
from ...wording import axis_name, listing
from . import words

TOP, BOTTOM = 26, 246
"""Where the highest and the lowest value are drawn, in pixels from the top."""

_LOGARITHMIC_FROM = 8  # times the smallest value
_LEAST_BAND = 5.0  # per cent that a label needs
_LEAST_BAR = 3.0  # pixels
_DETAILED = 400  # layers, above which bars are all that is drawn
_LONGEST_NAME = 80  # it stands in the table in full
_TICKS = 6


class Bar(NamedTuple):
    """A layer, and what it says when pointed at. ``x`` and ``width`` are per cent."""

    number: int
    says: str
    x: str
    width: str
    y: str
    height: str
    is_stuck: bool


class Line(NamedTuple):
    """The size of the image, over the layers that refer to it."""

    x: str
    end: str
    width: str
    y: str
    size: int


class Band(NamedTuple):
    """Layers of one total stride; the label is empty where there is no room for it."""

    x: str
    width: str
    middle: str
    label: str
    is_even: bool


class Tick(NamedTuple):
    y: str
    value: int


class Chart(NamedTuple):
    """What layers see along some axes of space.

    Attributes:
        axes: their names in words.
        has_details: whether there is room for more than the bars themselves.
        unknown: layers of which it is not known what they see.
        most: pixels that any layer sees.
        image: size of the image that the last layer known sees, None where that is open.
    """

    axes: str
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    bands: tuple[Band, ...]
    ticks: tuple[Tick, ...]
    is_logarithmic: bool
    has_details: bool
    unknown: int
    most: int
    image: int | None


class _Seen(NamedTuple):
    """One layer along one axis of space."""

    number: int
    name: str
    most: int | None
    least: int | None
    image: int | None
    stride: str


def charts(layers: Sequence[LayerFigures], stuck: frozenset[int]) -> tuple[Chart, ...]:
    """Charts of these layers; ``stuck`` are the numbers of those that cannot see more."""
    rank = max((len(layer.total_stride) for layer in layers), default=0)
    alike: dict[tuple[_Seen, ...], list[str]] = {}
    for back in range(1, rank + 1):
        seen = tuple(_along(layers, back))
        if any(each.most is not None for each in seen):
            alike.setdefault(seen, []).insert(0, _axis(rank, back))
    drawn = [_chart(names, seen, len(layers), stuck) for seen, names in alike.items()]
    return tuple(reversed(drawn))


def _axis(rank: int, back: int) -> str:
    return "length" if rank == 1 else axis_name(rank - back, rank)


def _along(layers: Sequence[LayerFigures], back: int) -> Iterator[_Seen]:
    """All layers that have this axis, the first from the last backwards being 1."""
    for number, layer in enumerate(layers, 1):
        if len(layer.total_stride) >= back:
            stride = layer.total_stride[-back]
            yield _Seen(
                number,
                words.name(layer.node.name, at_most=_LONGEST_NAME),
                layer.receptive_field[-back],
                layer.min_receptive_field[-back],
                layer.image_size[-back],
                words.UNKNOWN if stride is None else str(stride),
            )


def _chart(
    names: Sequence[str], seen: Sequence[_Seen], deepest: int, stuck: frozenset[int]
) -> Chart:
    known = [each for each in seen if each.most is not None]
    images = [each.image for each in known if each.image is not None]
    scale = _Scale(
        [*(each.least or 1 for each in known), *(each.most or 1 for each in known), *images]
    )
    return Chart(
        axes=listing(names),
        bars=tuple(_bar(each, scale, deepest, each.number in stuck) for each in known),
        lines=tuple(_lines(known, scale, deepest)),
        bands=tuple(_bands(seen, deepest)),
        ticks=tuple(Tick(words.coordinate(scale.y(value)), value) for value in scale.ticks()),
        is_logarithmic=scale.is_logarithmic,
        has_details=len(known) <= _DETAILED,
        unknown=len(seen) - len(known),
        most=max(each.most or 0 for each in known),
        image=known[-1].image,
    )


class _Scale:
    """From pixels of the image to pixels of the chart."""

    def __init__(self, values: Sequence[int]) -> None:
        smallest, largest = max(1, min(values)), max(2, *values)
        self.is_logarithmic = largest >= _LOGARITHMIC_FROM * smallest
        if self.is_logarithmic:
            self._base = float(floor(log2(smallest)))
            self._range = max(1.0, log2(largest) * 1.02 - self._base)
        else:
            self._base, self._range = 0.0, largest * 1.06

    def y(self, value: float) -> float:
        at = log2(max(1, value)) if self.is_logarithmic else value
        return BOTTOM - (BOTTOM - TOP) * (at - self._base) / self._range

    def ticks(self) -> list[int]:
        """A few round values: powers of two, or of a step of 1, 2 or 5."""
        if self.is_logarithmic:
            first, last = int(self._base), floor(self._base + self._range)
            return [2**power for power in range(first, last + 1, ceil((last - first + 1) / 9))]
        step = next(
            step * 10**power
            for power in range(20)
            for step in (1, 2, 5)
            if step * 10**power * _TICKS >= self._range
        )
        return list(range(0, int(self._range) + 1, step))


def _slot(number: int, deepest: int) -> tuple[float, float]:
    """Where a layer begins, and its width."""
    width = 100 / deepest
    return (number - 1) * width, width


def _bar(seen: _Seen, scale: _Scale, deepest: int, is_stuck: bool) -> Bar:
    most, least = seen.most or 1, seen.least or seen.most or 1
    x, width = _slot(seen.number, deepest)
    gap = min(width * 0.18, 0.3)
    top, bottom = scale.y(most), scale.y(least)
    says = f"{seen.number} {seen.name}: sees {most:,}"
    says += f", at least {least:,}" if least != most else ""
    says += ", RF501" if is_stuck else ""
    return Bar(
        seen.number,
        says,
        words.coordinate(x + gap),
        words.coordinate(max(width - 2 * gap, 0.05)),
        words.coordinate(top),
        words.coordinate(max(_LEAST_BAR, bottom - top)),
        is_stuck,
    )


def _span(first: _Seen, last: _Seen, deepest: int) -> tuple[float, float]:
    """Where a run of layers begins and ends."""
    x, _ = _slot(first.number, deepest)
    end, width = _slot(last.number, deepest)
    return x, end + width


def _lines(known: Sequence[_Seen], scale: _Scale, deepest: int) -> Iterator[Line]:
    for image, group in groupby(known, key=lambda each: each.image):
        if image is None:
            continue
        layers = list(group)
        x, end = _span(layers[0], layers[-1], deepest)
        yield Line(
            words.coordinate(x),
            words.coordinate(end),
            words.coordinate(end - x),
            words.coordinate(scale.y(image)),
            image,
        )


def _bands(seen: Sequence[_Seen], deepest: int) -> Iterator[Band]:
    runs = [list(group) for _, group in groupby(seen, key=lambda each: each.stride)]
    for index, run in enumerate(runs):
        x, end = _span(run[0], run[-1], deepest)
        yield Band(
            words.coordinate(x),
            words.coordinate(end - x),
            words.coordinate((x + end) / 2),
            run[0].stride if end - x >= _LEAST_BAND else "",
            index % 2 == 0,
        )
