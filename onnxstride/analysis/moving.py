"""What a move makes of the cells of a map: the readings of ``geometry.fields``, applied."""

from __future__ import annotations

from collections.abc import Iterable

from ..geometry.composing import seen
from ..geometry.fields import Field, Origin, Unknown, View, Whole, pixels
from ..graph.layers import Layer, Resize
from ..graph.scope import Node
from .cells import Cell, Folded, Value, because, cells_of, is_open, origin_of
from .known_sizes import KnownSizes
from .layers import Course, scaled
from .moves import STAY, Cut, Fresh, Global, Lane, Move, Opaque, Scale, Shift
from .readings import reading

# Moves that nodes make along channels too; only a layer makes them along an axis of space.
_ANYWHERE = frozenset([Shift, Cut, Global, Opaque])


class Moving:
    """Takes maps along routes.

    Attributes:
        spatial: the dimensions of images that some layer treats as space.
    """

    def __init__(self, sizes: KnownSizes) -> None:
        self.spatial: set[Origin] = set()
        self._sizes = sizes
        nothing = pixels(Origin("", 0)).view
        self._last: tuple[Move, View, View] = (STAY, nothing, nothing)

    def through(self, layer: Layer, course: Course, cells: tuple[Cell, ...]) -> Value:
        """The map that a layer makes of the one it reads."""
        node = layer.node
        rank = len(course.lanes)
        if len(cells) < rank:
            return _misfit(node, len(cells))
        arrived = list(cells[:rank])
        if course.mixed is not None:
            arrived[course.mixed] = None
        for dim, lane in course.moving:
            cell = arrived[dim]
            if lane.reading is not None and isinstance(cell, Field):  # nearly always
                self.spatial.add(cell.origin)
                arrived[dim] = self.seen(node, layer.input, lane, cell)
            else:
                arrived[dim] = self._moved(node, layer, layer.input, lane, cell)
        return tuple(arrived)

    def along(self, node: Node, name: str, lanes: Iterable[Lane], value: Value) -> Value:
        """What the map called ``name`` becomes along lanes of a node that is no layer."""
        cells = cells_of(node, value)
        if isinstance(cells, Unknown):
            return cells
        arrived: list[Cell] = []
        try:
            read = [(lane, None if lane.dim is None else cells[lane.dim]) for lane in lanes]
        except IndexError:
            return _misfit(node, len(cells))
        for lane, cell in read:
            stays = lane.move is STAY or isinstance(lane.move, Fresh)
            arrived.append(cell if stays else self._moved(node, None, name, lane, cell))
        return tuple(arrived)

    def seen(self, node: Node, name: str, lane: Lane, field: Field) -> Cell:
        """What a field becomes along one lane."""
        move, before, after = self._last  # axes are usually alike
        if move is lane.move and before is field.view:
            return Field(field.origin, after)
        found = self._seen(node, name, lane, field)
        if isinstance(found, Field):
            self._last = (lane.move, field.view, found.view)
        return found

    def _seen(self, node: Node, name: str, lane: Lane, field: Field) -> Cell:
        dim, move, read = lane
        if read is None:
            assert dim is not None
            if isinstance(move, Scale) and move.resampling.size == 1 != move.resampling.ratio:
                return Whole(field.origin)  # the one element everywhere
            read = reading(move, node, lambda: self._sizes.size(node.scope, name, dim))
        after = read.reason if isinstance(read, Unknown) else seen(field.view, read)
        if isinstance(after, str):
            return Unknown(because(node, after), field.origin)
        return Field(field.origin, after)

    def _moved(self, node: Node, layer: Layer | None, name: str, lane: Lane, cell: Cell) -> Cell:
        dim, move, _ = lane
        assert dim is not None
        if layer is not None or type(move) not in _ANYWHERE:
            cell = self._as_space(cell, name, dim)
        if cell is None:
            return None
        if isinstance(move, Global):
            return Whole(origin_of(cell))
        if isinstance(move, Opaque):
            known = self._resize(layer, dim) if isinstance(layer, Resize) else None
            if known is None:
                return Unknown(because(node, move.reason), origin_of(cell))
            lane = Lane(dim, known)
        if isinstance(cell, Folded):
            return Unknown(because(node, "several axes lie in one dimension"))
        return self.seen(node, name, lane, cell) if isinstance(cell, Field) else cell

    def _as_space(self, cell: Cell, name: str, dim: int) -> Cell:
        """The cell a layer finds along one of its axes: a new image where it holds none."""
        if cell is None or (isinstance(cell, Folded) and is_open(cell)):
            cell = pixels(Origin(name, dim, False))
        origin = origin_of(cell)
        if origin is not None:
            self.spatial.add(origin)
        return cell

    def _resize(self, layer: Resize, dim: int) -> Move | None:
        """The move of a Resize whose scale only the walk over sizes can tell."""
        node = layer.node
        ratio = self._sizes.ratio(node, dim)
        if ratio is None:
            return None
        size = self._sizes.size(node.scope, layer.input, dim)
        return scaled(layer, ratio, size, self._sizes.size(node.scope, node.output(0), dim))


def _misfit(node: Node, rank: int) -> Unknown:
    return Unknown(because(node, f"a map of rank {rank} does not fit it"))
