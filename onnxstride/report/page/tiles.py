"""Patterns of layers that enlarge, drawn over a few periods.

They show how many taps reach each output, and what the weights make of a flat map. One axis is
drawn as stripes; of three, each phase of the first is a slice of its own. The depth of a tone
tells a share v of the constant as |v| / (|v| + 1/2), which shows a tenth as well as ten times:
1/6 at a tenth, 1/2 at a half, 2/3 at once the constant.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from math import isinf, prod
from typing import NamedTuple

from ...engine.patterns import Pattern
from ...wording import axis_name
from . import words

TONES = 10

_CELL = 100
_STRIPE = 240  # height of what has one axis
_MOST_SLICES = 8
_WIDEST = 180  # pixels that a tile is given
_LEAST_TYPE = 8  # pixels high, below which numbers cannot be read
_LISTED = 64  # numbers that are read out one by one
_HALF_TONE = 0.5


class Label(NamedTuple):
    x: int
    y: int
    text: str


class Tile(NamedTuple):
    """A picture: cells by tone, as paths, and the numbers of one period.

    Attributes:
        caption: which slice it is; empty where there is one alone.
        width, height: of the box it is drawn in.
        period: width and height of one period, at the top left.
        tones: a path for each kind of cell.
        labels: empty where there is no room for numbers of ``type_size``.
        says: the numbers in words.
    """

    caption: str
    width: int
    height: int
    period: tuple[int, int]
    tones: Mapping[str, str]
    labels: tuple[Label, ...]
    type_size: int
    says: str


class _Slice(NamedTuple):
    """Values of one period, two axes of space."""

    caption: str
    rows: int
    columns: int
    values: Sequence[float]


def tap_tiles(pattern: Pattern) -> tuple[Tile, ...]:
    """How many taps reach each output; none where they are not known."""
    if pattern.taps is None:
        return ()
    counts = [prod(phases) for phases in product(*pattern.taps)]
    most = max(counts)

    def tone(count: float) -> str:
        return f"t{-(-TONES * int(count) // most)}" if count else "none"

    return tuple(_tiles(pattern.period, counts, tone, lambda count: f"{int(count)}"))


def gain_tiles(pattern: Pattern) -> tuple[Tile, ...]:
    """What the weights make of a flat map; none where it is not known."""
    if isinstance(pattern.gains, str):
        return ()
    texts = _sign if isinf(pattern.gains.ripple.total) else _in_percent
    return tuple(_tiles(pattern.period, pattern.gains.pattern, _tone, texts))


def _in_percent(share: float) -> str:
    """Per cent of the constant, or times the constant where it is very much."""
    rounded = round(share * 100)
    shown = f"{rounded:+}" if abs(rounded) < 1000 else f"{words.compact(round(share))}{words.TIMES}"
    return "0" if not rounded else shown.replace("-", "\N{MINUS SIGN}")


def _sign(share: float) -> str:
    """All there is to say where there is no constant to compare with."""
    return "0" if not share else "+" if share > 0 else "\N{MINUS SIGN}"


def _tone(share: float) -> str:
    depth = round(TONES * abs(share) / (abs(share) + _HALF_TONE))
    if not depth:
        return "mean"
    return f"{'a' if share > 0 else 'b'}{depth}"


def slices_left_out(period: Sequence[int]) -> int:
    return max(0, prod(period[:-2]) - _MOST_SLICES)


def _tiles(
    period: Sequence[int],
    values: Sequence[float],
    tone: Callable[[float], str],
    text: Callable[[float], str],
) -> Iterator[Tile]:
    for part in list(_slices(period, values))[:_MOST_SLICES]:
        yield _tile(part, len(period), tone, text)


def _slices(period: Sequence[int], values: Sequence[float]) -> Iterator[_Slice]:
    """One of two axes for each phase of the others."""
    rows, columns = (1, *period)[-2:]
    rank, size = len(period), rows * columns
    for index, phases in enumerate(product(*(range(count) for count in period[:-2]))):
        named = [
            f"{axis_name(axis, rank)} {phase}"
            for axis, phase in enumerate(phases)
            if period[axis] > 1
        ]
        yield _Slice(", ".join(named), rows, columns, values[index * size : (index + 1) * size])


def _tile(
    part: _Slice, rank: int, tone: Callable[[float], str], text: Callable[[float], str]
) -> Tile:
    across = part.columns * _periods(part.columns)
    down = 1 if rank == 1 else part.rows * _periods(part.rows)
    height = _STRIPE * across // 8 if rank == 1 else _CELL
    paths: dict[str, list[str]] = {}
    for row, column in product(range(down), range(across)):
        value = part.values[row % part.rows * part.columns + column % part.columns]
        cell = f"M{column * _CELL} {row * height}h{_CELL}v{height}h-{_CELL}z"
        paths.setdefault(tone(value), []).append(cell)
    type_size = _type_size(part, text)
    has_room = type_size * _WIDEST >= _LEAST_TYPE * across * _CELL
    return Tile(
        part.caption,
        across * _CELL,
        down * height,
        (part.columns * _CELL, part.rows * height),
        {kind: "".join(cells) for kind, cells in sorted(paths.items())},
        tuple(_labels(part, height, text)) if has_room else (),
        type_size,
        _in_words(part, text),
    )


def _periods(phases: int) -> int:
    """How often a period is drawn."""
    return 4 if phases == 1 else 2 if phases <= 12 else 1


def _type_size(part: _Slice, text: Callable[[float], str]) -> int:
    """Such that the longest number has room in its cell, where there are few."""
    longest = max((len(text(value)) for value in part.values[:_LISTED]), default=1)
    return min(34, 120 // max(1, longest))


def _labels(part: _Slice, height: int, text: Callable[[float], str]) -> Iterator[Label]:
    for row, column in product(range(part.rows), range(part.columns)):
        x, y = column * _CELL + _CELL // 2, row * height + height // 2
        yield Label(x, y, text(part.values[row * part.columns + column]))


def _in_words(part: _Slice, text: Callable[[float], str]) -> str:
    """Rows of numbers, apart by semicolons; of many, the least and the most."""
    if len(part.values) > _LISTED:
        return f"from {text(min(part.values))} to {text(max(part.values))}"
    rows = [part.values[i : i + part.columns] for i in range(0, len(part.values), part.columns)]
    return "; ".join(" ".join(map(text, row)) for row in rows)
