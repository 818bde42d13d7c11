"""One pass over all scopes of a graph, in the order of computation.

Each tensor gets a value (see ``cells``). Images are the inputs of the model; a layer that reads
a dimension which holds nothing of an image makes its input an image of its own. A body sees the
values around it; a local function is walked for each call, with the values of that call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..geometry.fields import Origin, Unknown
from ..graph import Graph
from ..graph.layers import Layer, MaxPool, StridedSlice
from ..graph.order import in_order
from ..graph.products import sizes_of
from ..graph.scope import DEFAULT_DOMAIN, Node, Scope
from .cells import Cell, Unranked, Value, because, cells_of, image
from .known_sizes import KnownSizes
from .layers import course_of
from .meetings import Disagreement, Meetings, Named, summed_over
from .moves import Closed, Meet, Refold, Route
from .moving import Moving
from .operators import ELEMENTWISE, NO_MAP, OF_FIRST, flow
from .regroup import HIDDEN, layout, refolded
from .reshapes import as_dim

_MOST_CALLED_NODES = 50_000
_DEEPEST = 64


class Walk:
    """The pass, and what it has found: ``values`` of the tensors of each scope, by name.

    What is not among them is no map.
    """

    def __init__(self, graph: Graph) -> None:
        self.values: dict[Scope, dict[str, Value]] = {}
        self._graph = graph
        self._layers = {
            layer.node: layer
            for layer in graph.layers
            if not isinstance(layer, StridedSlice)  # as a Slice it is exact
        }
        self._sizes = KnownSizes(graph)
        self._moving = Moving(self._sizes)
        inputs: Any = graph.main.proto.input
        order = {str(value.name): i for i, value in enumerate(inputs)}
        self._meetings = Meetings(order, self._sizes, self._moving)
        self._callees = {
            call: scope for scope in graph.scopes if scope.is_function for call in scope.calls
        }
        self._at: dict[Scope, dict[str, Value]] = {}  # of the scopes as they are walked
        self._called_nodes = 0
        self._depth = 0
        self._start(graph.main)
        for scope in graph.scopes:  # functions that nobody calls, or that call themselves
            if scope.is_function and scope not in self.values:
                self._start(scope)

    @property
    def spatial(self) -> set[Origin]:
        """The dimensions of images that some layer treats as space."""
        return self._moving.spatial

    @property
    def disagreements(self) -> tuple[Disagreement, ...]:
        """Where maps of one image meet out of step."""
        return tuple(self._meetings.disagreements.values())

    def _start(self, scope: Scope) -> None:
        """Walk a scope whose inputs are images."""
        images: dict[str, Value] = {}
        for name in scope.inputs:
            if name not in scope.initializers:
                shape = scope.shape(name)
                images[name] = Unranked(name) if shape is None else image(name, len(shape))
        self._walk(scope, images)

    def _walk(self, scope: Scope, given: dict[str, Value]) -> None:
        self._at[scope] = given
        self._depth += 1
        for node in in_order(scope):
            self._node(node)
        self._depth -= 1
        before = self.values.setdefault(scope, given)
        if before is not given:
            _keep_what_agrees(before, given)

    def _value(self, scope: Scope | None, name: str) -> Value | None:
        """The value of a tensor as seen from a scope; None for what is no map."""
        while scope is not None:
            found = self._at.get(scope, _NOTHING).get(name)
            if found is not None:
                return found
            scope = scope.parent
        return None

    def _maps(self, node: Node, names: Iterable[str]) -> list[Named]:
        """Those of the tensors that are maps, with their values."""
        values = [(name, self._value(node.scope, name)) for name in names]
        return [(name, value) for name, value in values if value is not None]

    def _keep(self, node: Node, name: str, value: Value | None) -> None:
        if name and value is not None:
            self._at[node.scope][name] = value

    def _node(self, node: Node) -> None:
        layer = self._layers.get(node)
        key = (node.domain, node.op_type)
        if layer is not None:
            self._layer(node, layer)
        elif node in self._graph.calls:
            self._call(node)
        elif key in ELEMENTWISE:
            self._elementwise(node)
        elif key in OF_FIRST:
            self._keep(node, node.output(0), self._value(node.scope, node.input(0)))
        elif node in node.scope.bodies:
            self._bodies(node)
        elif key not in NO_MAP:
            self._flow(node)

    def _elementwise(self, node: Node) -> None:
        if len(node.inputs) == 1:
            self._keep(node, node.output(0), self._value(node.scope, node.inputs[0]))
            return
        maps = self._maps(node, node.inputs)
        if not maps:
            return
        least: int | None = 0
        if len(maps) < len(node.inputs):  # a constant of higher rank adds dimensions
            least = self._highest_rank(node, {name for name, _ in maps})
        if least is None:
            self._close(node, "the rank of what it adds to a map is unknown")
        else:
            self._keep(node, node.output(0), self._meetings.meet(node, maps, least))

    def _highest_rank(self, node: Node, maps: set[str]) -> int | None:
        """The highest rank of what a node reads besides these maps; None when one is unknown."""
        ranks: list[int] = [0]
        for name in node.inputs:
            if name and name not in maps:
                rank = self._sizes.rank(node, name)
                if rank is None:
                    return None
                ranks.append(rank)
        return max(ranks)

    def _layer(self, node: Node, layer: Layer) -> None:
        course = course_of(layer)
        if isinstance(course, Closed):
            self._close(node, course.reason)
            return
        cells = self._read_by(layer, len(course.lanes))
        if cells is None:
            return
        made = cells if isinstance(cells, Unknown) else self._moving.through(layer, course, cells)
        self._keep(node, node.output(0), made)
        if isinstance(layer, MaxPool):
            self._keep(node, layer.indices, made)

    def _flow(self, node: Node) -> None:
        what = flow(
            self._graph,
            node,
            lambda name: self._rank(node.scope, name),
            lambda name: self._sizes.entries(node, name),
        )
        if isinstance(what, Meet):
            self._routes(node, what)
        elif isinstance(what, Closed):
            self._close(node, what.reason)
        elif isinstance(what, Refold):
            self._refold(node, what)
        else:
            maps = self._maps(node, [route.input for route in what.routes])
            if maps:
                self._keep(node, node.output(0), self._meetings.join(node, what, maps))

    def _rank(self, scope: Scope, name: str) -> int | None:
        value = self._value(scope, name)
        if value is None or isinstance(value, Unknown | Unranked):
            shape = scope.shape(name)
            return None if shape is None else len(shape)
        return len(value)

    def _close(self, node: Node, reason: str) -> None:
        """Outputs of which nothing is known, if the node reads a map."""
        maps = self._maps(node, node.inputs)
        if not maps:
            return
        unknown = next((value for _, value in maps if isinstance(value, Unknown)), None)
        for name in node.outputs:
            self._keep(node, name, unknown or Unknown(because(node, reason)))

    def _routes(self, node: Node, meet: Meet) -> None:
        arriving: dict[str, list[Named]] = {}
        for route in meet.routes:
            arrived = self._arriving(node, route)
            if arrived is not None:
                arriving.setdefault(route.output, []).append((route.input, arrived))
        summed = self._summed(node, meet) if meet.mixed else []
        for output, maps in arriving.items():
            value = self._meetings.meet(node, maps)
            self._keep(node, output, summed_over(value, summed) if summed else value)

    def _arriving(self, node: Node, route: Route) -> Value | None:
        """What comes out at the other end of a route; None for what is no map."""
        if route.lanes is None:
            return self._value(node.scope, route.input)
        layer = self._graph.layer_of(node)
        if layer is None or layer.input != route.input:
            value = self._value(node.scope, route.input)
        else:
            value = self._read_by(layer, len(route.lanes))
        if value is None:
            return None
        return self._moving.along(node, route.input, route.lanes, value)

    def _read_by(self, layer: Layer, rank: int) -> tuple[Cell, ...] | Unknown | None:
        """The map that a layer of this rank reads, which tells the rank where nothing else does."""
        scope, name = layer.node.scope, layer.input
        value = self._value(scope, name)
        if value is None:
            return None if scope.initializer(name) is not None else (None,) * rank
        if isinstance(value, Unranked):
            return image(value.name, self._meetings.ranks.setdefault(value.name, rank))
        return value

    def _summed(self, node: Node, meet: Meet) -> list[Cell]:
        """What lies along the dimensions that are summed over."""
        cells: list[Cell] = []
        for name, dim in meet.mixed:
            value = self._value(node.scope, name)
            if value is not None and not isinstance(value, Unknown | Unranked):
                cells.append(value[dim])
        return [cell for cell in cells if cell is not None]

    def _refold(self, node: Node, refold: Refold) -> None:
        value = self._value(node.scope, refold.input)
        if value is not None:
            cells = cells_of(node, value)
            known = cells if isinstance(cells, Unknown) else self._refolded(node, refold, cells)
            self._keep(node, refold.output, known)

    def _refolded(self, node: Node, refold: Refold, cells: tuple[Cell, ...]) -> Value:
        scope = node.scope
        like = self._value(scope, refold.like) if refold.like else None
        if like is not None and not isinstance(like, Unknown | Unranked):
            is_restored = layout(cells) == layout(like)
            if is_restored:
                return like
        sizes = sizes_of(scope, refold.input) or []
        shape = tuple(map(as_dim, sizes)) if len(sizes) == len(cells) else (None,) * len(cells)
        found = refolded(cells, shape, refold)
        if found is None or HIDDEN in found:  # what inference left open
            before = self._sizes.shape(scope, refold.input)
            after = self._sizes.shape(scope, refold.output)
            if before is not None and after is not None and len(before) == len(cells):
                found = refolded(cells, before, refold._replace(shape=after))
        if found is None:
            return Unknown(because(node, "its shape is computed at run time"))
        hidden = Unknown(because(node, HIDDEN.reason))
        return tuple(hidden if cell == HIDDEN else cell for cell in found)

    def _call(self, node: Node) -> None:
        callee = self._callees.get(node)
        if callee is None or self._depth > _DEEPEST or self._called_nodes > _MOST_CALLED_NODES:
            self._close(node, "calls of functions are nested too deeply, or too many")
            return
        self._called_nodes += sum(len(scope.nodes) for scope in callee.family())
        given: dict[str, Value] = {}
        for name, passed in zip(callee.proto.input, node.inputs, strict=False):
            value = self._value(node.scope, passed) if passed else None
            if value is not None:
                given[str(name)] = value
        self._walk(callee, given)
        for name, output in zip(callee.proto.output, node.outputs, strict=False):
            self._keep(node, output, given.get(str(name)))

    def _bodies(self, node: Node) -> None:
        bodies = node.scope.bodies[node]
        if self._depth > _DEEPEST:
            self._close(node, "bodies are nested too deeply")
        elif (node.domain, node.op_type) == (DEFAULT_DOMAIN, "If"):
            for body in bodies:
                self._walk(body, {})
            self._branches(node, self._taken(node, bodies))
        else:
            carried = Unknown(because(node, "what goes round in it is not followed"))
            for body in bodies:
                self._walk(body, dict.fromkeys(sorted(body.inputs), carried))
            for name in node.outputs:
                self._keep(node, name, carried)

    def _taken(self, node: Node, bodies: Sequence[Scope]) -> Sequence[Scope]:
        """The branches of an If that may be taken: sizes may decide it, as for a squeeze."""
        condition = self._sizes.entries(node, node.input(0))
        if not condition:
            return bodies
        wanted = "then_branch" if condition[0] else "else_branch"
        return [body for body in bodies if body.holder_attribute == wanted] or bodies

    def _branches(self, node: Node, bodies: Iterable[Scope]) -> None:
        """Outputs of an If are those of one branch or the other."""
        declared: list[tuple[Scope, Any]] = [(body, body.proto.output) for body in bodies]
        handed_out = [
            [self._value(body, str(value.name)) for value in outputs] for body, outputs in declared
        ]
        for output, values in zip(node.outputs, zip(*handed_out, strict=False), strict=False):
            maps = [value for value in values if value is not None]
            if maps:
                self._keep(node, output, self._meetings.either(node, maps))


_NOTHING: dict[str, Value] = {}


def _keep_what_agrees(before: dict[str, Value], found: dict[str, Value]) -> None:
    """Of a function with several calls, the values that all of them agree on."""
    for name, value in found.items():
        if before.get(name) != value:
            before[name] = Unknown("it differs from call to call of the function")
