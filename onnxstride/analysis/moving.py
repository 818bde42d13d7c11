"""What a move makes of the cells of a map: the readings of ``geometry.fields``, applied."""

from __future__ import annotations

from ..geometry.composing import seen
from ..geometry.fields import Field, Origin, Unknown, Whole, pixels
from ..graph import Graph
from ..graph.layers import Layer, Resize, StridedSlice
from ..graph.scope import Node
from .cells import Cell, Folded, Value, because, cells_of, is_open, origin_of
from .known_sizes import KnownSizes
from .layers import scaled
from .moves import STAY, Cut, Fresh, Global, Lane, Move, Opaque, Route, Scale, Shift
from .readings import reading

# Moves that nodes make along channels too; only a layer makes them along an axis of space.
_ANYWHERE = frozenset([Shift, Cut, Global, Opaque])


class Moving:
    """Takes maps along routes.

    Attributes:
        spatial: the dimensions of images that some layer treats as space.
    """

    def __init__(self, graph: Graph, sizes: KnownSizes) -> None:
        self.spatial: set[Origin] = set()
        self._graph = graph
        self._sizes = sizes
        nothing = pixels(Origin("", 0))
        self._last: tuple[Move, Field, Field] = (STAY, nothing, nothing)

    def along(self, node: Node, route: Route, value: Value) -> Value:
        """The map that arrives at the end of a route."""
        if route.lanes is None:
            return value
        cells = cells_of(node, value)
        if isinstance(cells, Unknown):
            return cells
        try:
            read = [None if lane.dim is None else cells[lane.dim] for lane in route.lanes]
        except IndexError:
            return Unknown(because(node, f"a map of rank {len(cells)} does not fit it"))
        layer = self._graph.layer_of(node)
        if isinstance(layer, StridedSlice):  # it cuts channels as it cuts space
            layer = None
        arrived: list[Cell] = []
        for lane, cell in zip(route.lanes, read, strict=True):
            if lane.move is not STAY and type(lane.move) is not Fresh:
                cell = self._moved(node, layer, route.input, lane, cell)
            arrived.append(cell)
        return tuple(arrived)

    def seen(self, node: Node, name: str, lane: Lane, field: Field) -> Cell:
        """What a field becomes along one lane."""
        move, before, after = self._last  # axes are usually alike
        if move is lane.move and before[1:] == field[1:]:
            return Field(field.origin, *after[1:])
        found = self._seen(node, name, lane, field)
        if isinstance(found, Field):
            self._last = (lane.move, field, found)
        return found

    def _seen(self, node: Node, name: str, lane: Lane, field: Field) -> Cell:
        dim, move, read = lane
        assert dim is not None
        if isinstance(move, Scale) and move.resampling.size == 1 != move.resampling.ratio:
            return Whole(field.origin)  # the one element everywhere
        if read is None:
            read = reading(move, node, lambda: self._sizes.size(node.scope, name, dim))
        after = read if isinstance(read, Unknown) else seen(field, read)
        if isinstance(after, Unknown):
            return Unknown(because(node, after.reason), field.origin)
        return after

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
        if isinstance(cell, Field):  # nearly always
            self.spatial.add(cell.origin)
            return cell
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
