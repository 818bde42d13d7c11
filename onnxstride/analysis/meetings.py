"""What is known where maps meet, element by element or side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple, TypeAlias

from ..geometry.fields import Field, Origin, Unknown, Whole
from ..graph.scope import Node
from .cells import (
    Cell,
    Folded,
    Unranked,
    Value,
    because,
    cells_of,
    image,
    meeting,
    of_one_image,
    origin_of,
)
from .known_sizes import KnownSizes
from .moves import Join, Lane, Shift
from .moving import Moving

Named: TypeAlias = tuple[str, Value]
"""A map by the name of its tensor."""


class Disagreement(NamedTuple):
    """Maps of one image that meet out of step: their strides or their centres differ.

    Attributes:
        node: where they meet.
        dim: the dimension of its output.
        inputs: the maps that have a field along it, by name.
        fields: the field of each.
    """

    node: Node
    dim: int
    inputs: tuple[str, ...]
    fields: tuple[Field, ...]


class Meetings:
    """Where maps meet in one graph.

    Attributes:
        disagreements: those that are out of step, by node and dimension.
        ranks: of inputs that declare none, as the layers that read them tell.
    """

    def __init__(self, order: Mapping[str, int], sizes: KnownSizes, moving: Moving) -> None:
        """``order`` ranks the images by name."""
        self.disagreements: dict[tuple[Node, int], Disagreement] = {}
        self.ranks: dict[str, int] = {}
        self._order = order
        self._sizes = sizes
        self._moving = moving

    def meet(self, node: Node, maps: Sequence[Named], least: int = 0) -> Value:
        """What is known of maps that meet element by element, dimensions aligned at the last.

        ``least`` is the rank of the result at least.
        """
        first = maps[0][1]
        alike = len(maps) == 1 or all(value is first for _, value in maps)
        if alike and (isinstance(first, Unknown | Unranked) or len(first) >= least):
            return first
        ranked: list[tuple[str, tuple[Cell, ...]]] = []
        for name, value in maps:
            if isinstance(value, Unranked) and value.name in self.ranks:
                value = image(value.name, self.ranks[value.name])
            cells = cells_of(node, value)
            if isinstance(cells, Unknown):
                return cells
            ranked.append((name, cells))
        rank = max(least, *[len(cells) for _, cells in ranked])
        aligned = [(None,) * (rank - len(cells)) + cells for _, cells in ranked]
        return tuple(
            [
                column[0]
                if column.count(column[0]) == len(column)
                else self._meet_at(node, dim, dim - rank, column, ranked)
                for dim, column in enumerate(zip(*aligned, strict=True))
            ]
        )

    def join(self, node: Node, join: Join, maps: Sequence[Named]) -> Value:
        """What is known of maps side by side along one dimension."""
        value = self.meet(node, maps)
        if isinstance(value, Unknown | Unranked) or len(join.routes) == 1:
            return value
        dim = join.dim + len(value) if join.dim < 0 else join.dim
        if not 0 <= dim < len(value):
            return Unknown(because(node, f"it has no dimension {join.dim}"))
        known = [cells_of(node, each) for _, each in maps]
        if any(not isinstance(each, Unknown) and len(each) != len(value) for each in known):
            return Unknown(because(node, "its maps differ in their number of dimensions"))
        self.disagreements.pop((node, dim), None)
        if _are_slices_of_one_map(node, [name for name, _ in maps]):
            for other in range(len(value)):  # space to depth: they are meant to be apart
                self.disagreements.pop((node, other), None)
        return (*value[:dim], self._join_at(node, dim, join, maps), *value[dim + 1 :])

    def either(self, node: Node, values: Sequence[Value]) -> Value:
        """What is known of a map that is one of these."""
        first = values[0]
        if all(value == first for value in values):
            return first
        ranked = [value for value in values if not isinstance(value, Unknown | Unranked)]
        if len({len(cells) for cells in ranked}) > 1 or len(ranked) < len(values):
            return Unknown(because(node, "its branches hand out maps of different kinds"))
        met = [meeting(cells, self._order) for cells in zip(*ranked, strict=True)]
        if any(each.is_clash for each in met):
            return Unknown(because(node, "its branches hand out maps of different strides"))
        return tuple(each.cell for each in met)

    def _meet_at(
        self,
        node: Node,
        dim: int,
        from_last: int,
        column: Sequence[Cell],
        maps: Sequence[tuple[str, tuple[Cell, ...]]],
    ) -> Cell:
        met = meeting(column, self._order)
        if met.in_step:
            return met.cell
        there = [(name, cells[from_last]) for name, cells in maps if -from_last <= len(cells)]
        return self._out_of_step(node, dim, from_last, there)

    def _out_of_step(
        self, node: Node, dim: int, from_last: int, there: Sequence[tuple[str, Cell]]
    ) -> Cell:
        """What is known where strides or centres differ, once it is recorded.

        A map of size 1 is broadcast to the others: a gate, which does not count.
        """
        size = self._sizes.size
        wide = [each for each in there if size(node.scope, each[0], from_last) != 1]
        met = meeting([cell for _, cell in wide or there], self._order)
        if met.in_step:
            return met.cell
        self._record(node, dim, wide or there)
        if not met.is_clash:
            return met.cell
        fields = [cell for _, cell in wide or there if isinstance(cell, Field)]
        strides = " and ".join(dict.fromkeys(str(field.stride) for field in fields))
        origin = of_one_image(fields, self._order)[0].origin if fields else None
        return Unknown(because(node, f"maps of strides {strides} meet"), origin)

    def _record(self, node: Node, dim: int, there: Sequence[tuple[str, Cell]]) -> None:
        """Keep the fields that are out of step; those within merged dimensions go unrecorded."""
        fields = [(name, cell) for name, cell in there if isinstance(cell, Field)]
        if not fields:
            return
        counted = of_one_image([field for _, field in fields], self._order)[0].origin
        names, kept = zip(*((name, f) for name, f in fields if f.origin == counted), strict=True)
        self.disagreements.setdefault((node, dim), Disagreement(node, dim, names, kept))

    def _join_at(self, node: Node, dim: int, join: Join, maps: Sequence[Named]) -> Cell:
        """Along the dimension of the join a single map is only shifted, by the constants ahead."""
        known = [cells_of(node, value) for _, value in maps]
        cells = [value[dim] for value in known if not isinstance(value, Unknown)]
        telling = [cell for cell in cells if cell is not None]
        if not telling:
            return None
        first = telling[0]
        if len(maps) > 1 or not isinstance(first, Field):
            return Unknown(because(node, "maps stand side by side along it"), origin_of(first))
        ((name, _),) = maps
        begin: int | None = 0
        for ahead in takewhile(lambda route: route.input != name, join.routes):
            size = self._sizes.size(node.scope, ahead.input, dim)
            begin = None if begin is None or size is None else begin + size
        return self._moving.seen(node, name, Lane(dim, Shift(begin, begin and 0)), first)


def _are_slices_of_one_map(node: Node, names: Sequence[str]) -> bool:
    """True for space to depth spelled as slices put side by side, YOLO's Focus."""
    cut: set[str] = set()
    for name in names:
        producer = node.scope.producer(name)
        if producer is None or producer.op_type != "Slice":
            return False
        while producer is not None and producer.op_type == "Slice":
            name = producer.input(0)
            producer = producer.scope.producer(name)
        cut.add(name)
    return len(cut) == 1


def summed_over(value: Value, summed: Sequence[Cell]) -> Value:
    """A map whose elements see all that lies along ``summed``, besides what they see already."""
    if isinstance(value, Unknown | Unranked):
        return value
    return tuple(_summed_over(cell, summed) for cell in value)


def _summed_over(cell: Cell, summed: Sequence[Cell]) -> Cell:
    images = _images(cell)
    for each in summed:
        if isinstance(each, Unknown) and images and each.origin is None:
            return each
        if images & _images(each):
            return Whole(origin_of(cell))
    return cell


def _images(cell: Cell) -> set[Origin]:
    if isinstance(cell, Folded):
        return {origin for _, part in cell.parts for origin in _images(part)}
    origin = origin_of(cell)
    return set() if origin is None else {origin}
