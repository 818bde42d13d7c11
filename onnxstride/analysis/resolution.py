"""What every tensor of a model sees of the images that enter it, in one pass over the graph.

    seen = resolution(graph)
    for axis in seen.after(layer):
        match axis:
            case Field():    # stride, receptive field, centre, padding, period: see geometry.fields
            case Whole():    # sees the whole axis: a global pool, attention, a recurrence
            case Unknown():  # and its reason

A figure refers to the image that ``Field.origin`` names. The image is an input of the model, or
a map that the model makes out of none (``Origin.is_input`` is False): a vector folded into a
small map, a map folded out of a flat input.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..geometry.fields import Field, Origin, Sight, Unknown
from ..graph import Graph
from ..graph.layers import Layer
from ..graph.pausing import collector_paused
from ..graph.scope import Node, Scope
from .cells import Cell, Folded, Unranked
from .layers import spatial_dims
from .meetings import Disagreement
from .walk import Walk

__all__ = ["Disagreement", "Resolution", "resolution"]


def resolution(graph: Graph) -> Resolution:
    """The resolution of every tensor of ``graph``, found out when first asked for."""
    found: Resolution | None = graph.analyses.get(Resolution)
    if found is None:
        found = graph.analyses[Resolution] = Resolution(graph)
    return found


class Resolution:
    """What the tensors of one graph see.

    Attributes:
        disagreements: where maps of one image meet whose strides or centres differ.
    """

    def __init__(self, graph: Graph) -> None:
        with collector_paused():
            walk = Walk(graph)
        self._values = walk.values
        self._spatial = walk.spatial
        self.disagreements: tuple[Disagreement, ...] = walk.disagreements
        self._main = graph.main
        self._image_sizes: dict[Origin, int | None] = {}  # of the images asked about
        self._apart: dict[Node, list[Disagreement]] = {}
        for each in self.disagreements:
            self._apart.setdefault(each.node, []).append(each)

    @property
    def spatial(self) -> frozenset[Origin]:
        """The dimensions of images that some layer treats as space."""
        return frozenset(self._spatial)

    def at(self, scope: Scope, name: str) -> tuple[Sight, ...] | Unknown:
        """What a tensor sees, one entry for each spatial axis; Unknown if not even they are known.

        Spatial are the dimensions along which some layer moves, wherever they stand; of a map
        that has none of these, those from 2 on. Empty for what is no map.
        """
        cells = self.dims(scope, name)
        if isinstance(cells, Unknown):
            return cells
        found = [cell for dim, cell in enumerate(cells) if self._is_spatial(dim, cell)]
        return tuple(map(_sight, found or [cell for cell in cells[2:] if cell is not None]))

    def _is_spatial(self, dim: int, cell: Cell) -> bool:
        if isinstance(cell, Folded):
            return any(self._is_spatial(dim, part) for _, part in cell.parts)
        if isinstance(cell, Unknown) and cell.origin is None:
            return dim > 1
        return cell is not None and cell.origin in self._spatial

    def dims(self, scope: Scope, name: str) -> tuple[Cell, ...] | Unknown:
        """What is known along each dimension of a tensor, channels included."""
        home = scope.home(name)
        values = self._values.get(home) if home else None
        value = values.get(name) if values else None
        if value is None:
            return ()
        if isinstance(value, Unranked):
            return Unknown(f"the rank of {value.name!r} is unknown")
        return value

    def sources(self, scope: Scope, name: str) -> tuple[str, ...]:
        """The inputs of the model that a map depends on through other maps, in their order.

        Its figures refer to one of them; see ``Field.origin``.
        """
        found: set[str] = set()
        passed: set[tuple[Scope, str]] = set()
        pending = [(scope, name)]
        while pending:
            at, each = pending.pop()
            home = at.home(each)
            if home is None or (home, each) in passed or each not in self._values.get(home, ()):
                continue
            passed.add((home, each))
            found.update([each] if home is self._main and each in home.inputs else ())
            pending += _before(home, each)
        inputs: Any = self._main.proto.input
        return tuple(str(each.name) for each in inputs if each.name in found)

    def apart(self, node: Node) -> tuple[Disagreement, ...]:
        """The disagreements at one node, one for each dimension in which maps differ."""
        return tuple(self._apart.get(node, ()))

    def image_size(self, field: Field) -> int | None:
        """Pixels of the image that a field refers to, along its axis; None when unknown."""
        origin = field.origin
        try:
            return self._image_sizes[origin]
        except KeyError:
            shape = self._main.shape(origin.name) if origin.is_input else None
            size = shape[origin.dim] if shape and origin.dim < len(shape) else None
            self._image_sizes[origin] = known = size if isinstance(size, int) else None
            return known

    def before(self, layer: Layer) -> tuple[Sight, ...]:
        """What the map that a layer reads sees, one entry for each axis of the layer."""
        return self._of_axes(layer, layer.input)

    def after(self, layer: Layer) -> tuple[Sight, ...]:
        """What the map that a layer makes sees, one entry for each axis of the layer."""
        return self._of_axes(layer, layer.node.output(0))

    def _of_axes(self, layer: Layer, name: str) -> tuple[Sight, ...]:
        cells = self.dims(layer.node.scope, name)
        if isinstance(cells, Unknown):
            return (cells,) * layer.rank
        return tuple([_sight_along(cells, dim) for dim in spatial_dims(layer)])


def _sight_along(cells: tuple[Cell, ...], dim: int) -> Sight:
    try:
        return _sight(cells[dim])
    except IndexError:
        return _sight(None)


def _sight(cell: Cell) -> Sight:
    if isinstance(cell, Field):  # nearly always
        return cell
    if cell is None:
        return Unknown("nothing of an image lies along it")
    if isinstance(cell, Folded):
        return Unknown("several axes lie in one dimension")
    return cell


def _before(home: Scope, name: str) -> Iterator[tuple[Scope, str]]:
    """What a tensor is computed from: what its node, or the bodies it carries, read or hand out.

    Of what comes into a function or a body: what goes in where it is called or carried.
    """
    node = home.producer(name)
    if node is None:
        if home.is_function:
            position = [str(each) for each in home.proto.input].index(name)
            yield from ((call.scope, call.input(position)) for call in home.calls)
        elif home.holder is not None:
            yield from ((home.holder.scope, each) for each in home.holder.inputs)
        return
    yield from ((home, each) for each in node.inputs)
    for body in home.bodies.get(node, ()):
        outputs: Any = body.proto.output
        yield from ((body, str(value.name)) for value in outputs)
