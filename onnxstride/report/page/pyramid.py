"""The maps of a model one below the other, as wide as they are large.

Each layer is a slab, at its top as wide as the map it reads and at its bottom as the one it makes;
neighbours of one total stride stand together on a floor. Widths are logarithms, so that halving
takes off the same everywhere: of sizes where all are known, else of what total strides make of the
image.

Layers that work on one element per channel, as a squeeze-and-excitation does behind its pool, are
left out, unless nothing else follows them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from math import log2
from typing import NamedTuple

from ...engine.anatomy import LayerFigures, Step, in_words
from ...wording import listing
from . import words

STANDING_OUT = ("error", "warning")
"""Severities that show in the picture."""

_NARROWEST, _PILLAR, _VAGUE = 16.0, 5.0, 55.0  # per cent of the whole width
_HALVING = 14.0  # taken off at each halving, unless there are many
_THICKEST, _THINNEST, _TALLEST = 9.0, 0.3, 640.0  # pixels
_DENSE = 3.0  # pixels, below which slabs have no gaps between them
_LINKED = 8
_LEAST_FLOOR, _IMAGE = 46, 34  # pixels


class Slab(NamedTuple):
    """A layer: its number, its shape in a box 100 wide, where it stands 1 high, and its kind."""

    number: int
    points: str
    kind: str


class Marked(NamedTuple):
    """Layers that stand out: of what severity, the first of their numbers, and how many more."""

    severity: str
    numbers: tuple[int, ...]
    more: int


class Floor(NamedTuple):
    """Layers of one total stride, one after another.

    Attributes:
        size, stride: of their maps, in words.
        by: the layers that lead there, likewise.
        first, last: numbers of the layers, 0 for the image.
        cost: their share of all multiply-adds, None where it is not known.
        marked: those that stand out.
        height: in pixels, at least.
    """

    size: str
    stride: str
    by: str
    first: int
    last: int
    cost: float | None
    marked: tuple[Marked, ...]
    slabs: tuple[Slab, ...]
    height: int


class Pyramid(NamedTuple):
    """Floors, from the image on.

    Attributes:
        by_size: True where slabs are as wide as sizes, else as total strides make them.
        left_out: layers that are no part of it.
        marks: kinds of slabs that stand out, the worst first.
        is_dense: True where there is no room for gaps between slabs.
        open: floors that are shown at once; more can be opened.
    """

    floors: tuple[Floor, ...]
    by_size: bool
    left_out: int
    marks: tuple[str, ...]
    is_dense: bool
    open: int = 40


class _Numbered(NamedTuple):
    number: int
    layer: LayerFigures


def pyramid(layers: Sequence[LayerFigures], marks: Mapping[int, str]) -> Pyramid:
    """The picture of these layers; ``marks`` are severities, by number of the layer."""
    every = [_Numbered(number, layer) for number, layer in enumerate(layers, 1)]
    spread = [each for each in every if not is_pooled(each.layer)]
    if not spread:
        return Pyramid((), by_size=False, left_out=len(every), marks=(), is_dense=False)
    shown = [*spread, *every[spread[-1].number :]]
    builder = _Builder(shown, marks, _sum(layers))
    floors = [
        builder.floor(list(group))
        for _, group in groupby(shown, key=lambda each: _storey(each.layer))
    ]
    found = {marks.get(each.number, "") for each in shown}
    seen = tuple(mark for mark in STANDING_OUT if mark in found)
    return Pyramid(
        (builder.image, *floors),
        builder.by_size,
        len(every) - len(shown),
        seen,
        builder.thickness < _DENSE,
    )


def is_pooled(layer: LayerFigures) -> bool:
    """True where each channel is one element that has seen the whole image."""
    return set(layer.total_stride) == {None} and set(layer.output_size) == {1}


def is_changing(layer: LayerFigures) -> bool:
    """True for a layer that changes resolution, or may."""
    if is_pooled(layer):
        return set(layer.input_size) != {1}
    return any(factor != 1 for factor in layer.factor)


def steps(layers: Iterable[LayerFigures]) -> Iterator[Step]:
    """Layers alike together, in the order in which the first of each occurs."""
    alike: dict[object, list[LayerFigures]] = {}
    for each in layers:
        alike.setdefault((each.op_type, each.kernel, each.factor), []).append(each)
    for group in alike.values():
        first = group[0]
        yield Step(first.op_type, first.kernel, first.factor, tuple(each.node for each in group))


def _storey(layer: LayerFigures) -> object:
    return layer.output_size if None in layer.total_stride else layer.total_stride


class _Builder:
    """Draws floors to the scale of the model."""

    def __init__(
        self, shown: Sequence[_Numbered], marks: Mapping[int, str], adds: int | None
    ) -> None:
        layers = [each.layer for each in shown]
        self.by_size = all(None not in (*each.input_size, *each.output_size) for each in layers)
        start = _log2s(layers[0].input_size) if self.by_size else 0.0
        known = [find(each) for each in layers for find in (self._read, self._made)]
        levels = [start, *(level for level in known if level is not None)]
        self._highest = max(levels)
        range_ = self._highest - min(levels)
        self._halving = min(_HALVING, (100 - _NARROWEST) / range_) if range_ else 0.0
        self._marks = marks
        self.thickness = max(_THINNEST, min(_THICKEST, _TALLEST / len(layers)))
        self._adds = adds
        width = self._at(start)
        size = words.by(layers[0].input_size) if self.by_size else ""
        slab = Slab(0, _points(width, width, 0), "image")
        self.image = Floor(size, "input", "", 0, 0, None, (), (slab,), _IMAGE)

    def floor(self, group: Sequence[_Numbered]) -> Floor:
        layers = [each.layer for each in group]
        adds = _sum(layers)
        return Floor(
            size=_sizes(layers),
            stride=_stride(layers[0]),
            by=_by(layers),
            first=group[0].number,
            last=group[-1].number,
            cost=adds / self._adds if self._adds and adds is not None else None,
            marked=tuple(self._marked(group)),
            slabs=tuple(self._slab(each, row) for row, each in enumerate(group)),
            height=max(_LEAST_FLOOR, round(self.thickness * len(group))),
        )

    def _marked(self, group: Sequence[_Numbered]) -> Iterator[Marked]:
        for severity in STANDING_OUT:
            found = [number for number, _ in group if self._marks.get(number) == severity]
            if found:
                yield Marked(severity, tuple(found[:_LINKED]), len(found[_LINKED:]))

    def _slab(self, numbered: _Numbered, row: int) -> Slab:
        number, layer = numbered
        kinds = [mark for mark in STANDING_OUT if mark == self._marks.get(number)]
        if is_changing(layer):
            kinds.append("step")
        read, made = self._read(layer), self._made(layer)
        if made is None and not is_pooled(layer):
            kinds.append("vague")
        below = self._at(made) if made is not None else _PILLAR if is_pooled(layer) else _VAGUE
        above = self._at(read) if read is not None else below
        return Slab(number, _points(above, below, row), " ".join(kinds))

    def _at(self, level: float) -> float:
        return min(100.0, 100 - (self._highest - level) * self._halving)

    def _made(self, layer: LayerFigures) -> float | None:
        """Logarithm of the size of a layer's map, or of its share of the image, if known."""
        if is_pooled(layer):
            return None
        if self.by_size:
            return _log2s(layer.output_size)
        return None if None in layer.total_stride else -_log2s(layer.total_stride)

    def _read(self, layer: LayerFigures) -> float | None:
        """The same of the map it reads."""
        if self.by_size:
            is_spread = is_changing(layer) or not is_pooled(layer)
            return _log2s(layer.input_size) if is_spread else None
        made = self._made(layer)
        return None if made is None or None in layer.factor else made + _log2s(layer.factor)


def _sum(layers: Iterable[LayerFigures]) -> int | None:
    """Multiply-adds of all, None where those of one are not known."""
    adds = [layer.multiply_adds for layer in layers]
    known = [each for each in adds if each is not None]
    return sum(known) if len(known) == len(adds) else None


def _log2s(values: Iterable[int | Fraction | None]) -> float:
    """The mean of the logarithms; a map that holds nothing counts as one element."""
    logarithms = [log2(value) if value and value > 0 else 0.0 for value in values]
    return sum(logarithms) / max(1, len(logarithms))


def _points(above: float, below: float, row: int) -> str:
    """A slab that is ``above`` wide at its top and ``below`` at its bottom."""
    corners = [
        (50 - above / 2, row),
        (50 + above / 2, row),
        (50 + below / 2, row + 1),
        (50 - below / 2, row + 1),
    ]
    return " ".join(f"{words.coordinate(x)},{y}" for x, y in corners)


def _by(layers: Iterable[LayerFigures]) -> str:
    changing = [layer for layer in layers if is_changing(layer)]
    named = [
        step.op_type if is_pooled(changing[0]) else words.with_signs(in_words(step))
        for step in steps(changing)
    ]
    return listing(named) if named else ""


def _sizes(layers: Sequence[LayerFigures]) -> str:
    """The size of the maps, from the first to the last where it changes; empty if unknown."""
    first, last = layers[0].output_size, layers[-1].output_size
    if None in (*first, *last):
        return ""
    return words.by(last) if first == last else f"{words.by(first)} to {words.by(last)}"


def _stride(layer: LayerFigures) -> str:
    if is_pooled(layer):
        return "the whole image"
    if None in layer.total_stride:
        return "" if None not in layer.output_size else "size not known"
    return f"total stride {words.axes(layer.total_stride)}"
