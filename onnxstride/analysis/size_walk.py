"""One pass over a graph that computes every size from the free ones, and collects requirements.

Every tensor gets its dimensions as terms over the unknown input sizes (``geometry.terms``), or
is :class:`Lost`; small integer tensors keep their entries (``shape_values``), so that sizes that
are computed as the model runs are followed too. A body sees what is around it; a local function
is walked for each call. What stands in a branch of an If need not run: what it requires is kept
apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..geometry.quasi_affine import SizeMap
from ..geometry.terms import Size, Term
from ..graph import Graph
from ..graph.layers import SLIDING, Conv, Layer, Pool, Window
from ..graph.order import in_order
from ..graph.scope import DEFAULT_DOMAIN, Node, Scope
from .moves import Closed, Fresh, Join, Meet, Refold, Route, Stay
from .operators import ELEMENTWISE, OF_FIRST, flow
from .shape_arithmetic import Sizes
from .size_moves import KEPT, Place, moved, slide_map
from .size_operators import OWN, follow_own
from .size_table import Gap, InputDim, SizeTable
from .sized import Dims, Lost

_MOST_CALLED_NODES = 50_000
_DEEPEST = 64
_BROADCASTS = 7  # the opset since which operands are aligned at the last dimension


class SizeWalk(SizeTable):
    """The pass; what it finds is in the table."""

    def __init__(self, graph: Graph, freed: frozenset[InputDim] = frozenset()) -> None:
        """Walk ``graph``; ``freed`` names dimensions that are unknown although declared."""
        super().__init__(graph, freed)
        self._callees = {
            call: scope for scope in graph.scopes if scope.is_function for call in scope.calls
        }
        self._called_nodes = 0
        self._depth = 0
        self._maps: dict[tuple[object, ...], list[SizeMap]] = {}
        self._walk(graph.main, self.inputs())

    def _walk(
        self,
        scope: Scope,
        given: dict[str, Dims | Lost],
        values: dict[str, Sizes] | None = None,
    ) -> None:
        self.open(scope, given, values)
        self._depth += 1
        for node in in_order(scope):
            self._node(node)
        self._depth -= 1

    def _node(self, node: Node) -> None:
        key = (node.domain, node.op_type)
        if node in self.graph.calls:
            self._call(node)
        elif node in node.scope.bodies:
            self._bodies(node)
        elif self.compute(node) or self._slide(node):
            pass
        elif key in ELEMENTWISE:
            self._elementwise(node)
        elif key in OF_FIRST:
            self._like_first(node)
        elif node.domain == DEFAULT_DOMAIN and node.op_type in OWN:
            follow_own(self, node)
        else:
            self.follow(node)

    def _like_first(self, node: Node) -> None:
        """The first output is like the first input; others, such as means, are as inferred."""
        self.keep(node, self.dims(node.scope, node.input(0)))
        for position, name in enumerate(node.outputs):
            if position and name:
                self.keep(node, self.inferred(node, name, f"{node.op_type} makes it"), position)

    def _slide(self, node: Node) -> bool:
        """Follow a window in the usual layout; most nodes of most models are one of these."""
        layer = self.graph.layer_of(node)
        if node.domain or not isinstance(layer, SLIDING):
            return False
        dims = self.dims(node.scope, layer.input)
        if isinstance(dims, Lost) or len(dims) != layer.rank + 2:
            return False
        after: list[Size] = [dims[0], self._channels(layer, dims)]
        for dim, phi in enumerate(self._size_maps(layer), 2):
            size = dims[dim]
            self.take_for_space(size)
            kept = phi is KEPT
            after.append(size if kept else self.required.apply(phi, size, Place(node, dim)))
        for position in range(len(node.outputs)):
            self.keep(node, tuple(after), position)
        return True

    def _size_maps(self, layer: Window) -> list[SizeMap]:
        ceil_mode = isinstance(layer, Pool) and layer.ceil_mode
        key = (layer.axes, layer.auto_pad, ceil_mode)
        maps = self._maps.get(key)
        if maps is None:
            maps = self._maps[key] = [
                slide_map(axis, layer.auto_pad, ceil_mode=ceil_mode) for axis in layer.axes
            ]
        return maps

    def _channels(self, layer: Window, dims: Dims) -> Size:
        """Channels after a window: of a pool as before, of a convolution one for each filter."""
        if not isinstance(layer, Conv):
            return dims[1]
        scope = layer.node.scope
        weight = scope.initializer(layer.weight)
        shape = tuple(weight.dims) if weight is not None else scope.shape(layer.weight)
        filters = shape[0] if shape else None
        if isinstance(filters, int):
            return filters
        return self.program.terms.opaque((), "the filters are not counted")

    def _elementwise(self, node: Node) -> None:
        scope = node.scope
        given = [self.dims(scope, name) for name in node.inputs if name]
        first = given[0] if given else ()
        # before opset 7 the second operand is broadcast to the first, along a stated axis
        is_like_first = len(given) == 1 or scope.opset() < _BROADCASTS
        if is_like_first or all(dims is first or dims == first for dims in given):
            self.keep(node, first)
        else:
            self.keep(node, self.met(node, given))

    def follow(self, node: Node) -> None:
        """What a node does by its flow (see ``operators``)."""
        what = flow(
            self.graph,
            node,
            lambda name: self.rank(node.scope, name),
            lambda name: self.integers(node, name),
        )
        if isinstance(what, Meet):
            self._routes(node, what)
        elif isinstance(what, Join):
            self._join(node, what)
        elif isinstance(what, Refold):
            self._refold(node, what)
        else:
            self.close(node, what)

    def _routes(self, node: Node, meet: Meet) -> None:
        arriving: dict[str, list[Dims | Lost]] = {}
        layer = self.graph.layer_of(node)
        for route in meet.routes:
            if route.output:
                dims = self._along(node, route, layer)
                arriving.setdefault(route.output, []).append(dims)
        for position, name in enumerate(node.outputs):
            if name in arriving:
                self.keep(
                    node, self._complete(node, self.met(node, arriving[name]), name), position
                )
            elif name:
                self.keep(node, self.inferred(node, name, f"{node.op_type} makes it"), position)
        if len(meet.mixed) == 2:
            self._contract(node, meet.mixed)

    def _along(self, node: Node, route: Route, layer: Layer | None) -> Dims | Lost:
        """The dimensions in which one map arrives at an output; None entries are the node's own."""
        dims = self.dims(node.scope, route.input)
        if route.lanes is None:
            return dims
        if isinstance(dims, Lost) and layer is not None and node.scope is self.graph.main:
            dims = self.give_rank(route.input, len(route.lanes))
        if isinstance(dims, Lost):
            return dims
        found: list[Size] = []
        for dim, lane in enumerate(route.lanes):
            if lane.dim is None:
                own = lane.move.size if isinstance(lane.move, Fresh) else None
                found.append(_OWN if own is None else own)
            elif lane.dim >= len(dims):
                return Lost(f"a map of rank {len(dims)} does not fit {node.op_type}")
            elif isinstance(lane.move, Stay):
                found.append(dims[lane.dim])
            else:
                if layer is not None:
                    self.take_for_space(dims[lane.dim])
                place = Place(node, dim)
                found.append(moved(self.required, lane.move, dims[lane.dim], place))
        return tuple(found)

    def _complete(self, node: Node, dims: Dims | Lost, name: str) -> Dims | Lost:
        """Dimensions that are the node's own, such as channels, as inference states them."""
        if isinstance(dims, Lost) or _OWN not in dims:
            return dims
        shape = node.scope.shape(name)
        if shape is None or len(shape) != len(dims):
            shape = (None,) * len(dims)
        return tuple(
            size if size != _OWN
            else known if isinstance(known, int)
            else self.program.terms.opaque((), f"{node.op_type} makes it")
            for size, known in zip(dims, shape, strict=True)
        )  # fmt: skip

    def met(
        self, node: Node, given: Sequence[Dims | Lost], *, stretches: bool = True
    ) -> Dims | Lost:
        """The dimensions in which maps meet, aligned at the last."""
        known = [dims for dims in given if not isinstance(dims, Lost)]
        if len(known) < len(given):
            return self._lost(node, given)
        rank = max((len(dims) for dims in known), default=0)
        result: list[Size] = []
        for dim in range(rank):
            there = [dims[dim - rank] for dims in known if len(dims) >= rank - dim]
            there = [size for size in there if size != _OWN] or [_OWN]
            first = there[0]
            if all(size is first or size == first for size in there):
                result.append(first)
            else:
                result.append(self.required.meet(there, Place(node, dim), stretches=stretches))
        return tuple(result)

    def _lost(self, node: Node, given: Sequence[Dims | Lost]) -> Lost:
        lost = next(dims for dims in given if isinstance(dims, Lost))
        if len(given) == 1:
            return lost
        sizes = [
            size for dims in given for size in (dims.depends_on if isinstance(dims, Lost) else dims)
        ]
        free = frozenset(each for size in sizes if isinstance(size, Term) for each in size.free)
        if any(isinstance(dims, Lost) and dims.depends_on for dims in given) and free:
            self.gaps.append(Gap(Place(node, 0), lost.reason, free))
        return Lost(lost.reason, tuple(size for size in sizes if isinstance(size, Term)))

    def _contract(self, node: Node, mixed: Sequence[tuple[str, int]]) -> None:
        """Two dimensions that are summed over together have one size."""
        sizes: list[Size] = []
        for name, dim in mixed:
            dims = self.dims(node.scope, name)
            if not isinstance(dims, Lost) and -len(dims) <= dim < len(dims):
                sizes.append(dims[dim])
        if len(sizes) == 2 and not all(isinstance(size, int) for size in sizes):
            self.required.meet(sizes, Place(node, mixed[0][1]), stretches=False)

    def _join(self, node: Node, join: Join) -> None:
        given = [self.dims(node.scope, route.input) for route in join.routes]
        known = [dims for dims in given if not isinstance(dims, Lost)]
        ranks = {len(dims) for dims in known}
        if len(known) < len(given) or len(ranks) != 1:
            self.keep(node, self._lost(node, given) if len(known) < len(given) else Lost("ranks"))
            return
        rank = ranks.pop()
        dim = join.dim % rank if -rank <= join.dim < rank else 0
        along = self.program.terms.linear([(dims[dim], 1) for dims in known])
        others = [(*dims[:dim], 1, *dims[dim + 1 :]) for dims in known]
        dims = self.met(node, others, stretches=False)
        assert not isinstance(dims, Lost)
        self.keep(node, (*dims[:dim], along, *dims[dim + 1 :]))

    def _refold(self, node: Node, refold: Refold) -> None:
        """Flatten; a Reshape is read from what its target holds."""
        dims = self.dims(node.scope, refold.input)
        if isinstance(dims, Lost) or refold.groups is None:
            self.close(node, Closed("the shape is computed at run time"))
            return
        product = self.program.terms.product
        self.keep(node, tuple(product(dims[dim] for dim in group) for group in refold.groups))

    # Functions and bodies.

    def _call(self, node: Node) -> None:
        callee = self._callees.get(node)
        if callee is None or self._depth > _DEEPEST or self._called_nodes > _MOST_CALLED_NODES:
            self.close(node, Closed("calls of functions are nested too deeply, or too many"))
            return
        self._called_nodes += len(callee.nodes)
        given: dict[str, Dims | Lost] = {}
        values: dict[str, Sizes] = {}
        for name, passed in zip(callee.proto.input, node.inputs, strict=False):
            if passed:
                given[str(name)] = self.dims(node.scope, passed)
                value = self.value(node, passed)
                if value is not None:
                    values[str(name)] = value
        self._walk(callee, given, values)
        for position, name in enumerate(callee.proto.output):
            self.keep_result(node, position, callee, str(name))

    def _bodies(self, node: Node) -> None:
        bodies = node.scope.bodies[node]
        if self._depth > _DEEPEST:
            self.close(node, Closed("bodies are nested too deeply"))
        elif (node.domain, node.op_type) == (DEFAULT_DOMAIN, "If"):
            self._branches(node, bodies)
        else:
            around, self.required = self.required, self.optional
            for body in bodies:
                lost = Lost(
                    f"what goes round in {node.op_type} is not followed", self.depends_on(node)
                )
                self._walk(body, dict.fromkeys(sorted(body.inputs), lost))
            self.required = around
            self.close(node, Closed(f"what goes round in {node.op_type} is not followed"))

    def _branches(self, node: Node, bodies: Sequence[Scope]) -> None:
        """Outputs of an If: of the branch that is taken, else what both agree on."""
        condition = self.value(node, node.input(0))
        taken = condition.flat()[0] if condition is not None and condition.entries.size else None
        if isinstance(taken, int):
            wanted = "then_branch" if taken else "else_branch"
            bodies = [body for body in bodies if body.holder_attribute == wanted] or bodies
        around = self.required
        if len(bodies) > 1:
            self.required = self.optional
        for body in bodies:
            self._walk(body, {})
        self.required = around
        for position, name in enumerate(node.outputs):
            if name:
                self.keep(node, self._either(node, name, bodies, position), position)

    def _either(self, node: Node, name: str, bodies: Iterable[Scope], position: int) -> Dims | Lost:
        found: list[Dims | Lost] = []
        for body in bodies:
            proto: Any = body.proto  # a GraphProto: functions are no bodies
            found += [self.dims(body, str(each.name)) for each in proto.output[position:][:1]]
        if found and all(dims == found[0] for dims in found):
            return found[0]
        return self.inferred(node, name, "the branches of an If hand out maps of different sizes")


_OWN = -1
"""Stands for a dimension that is the node's own, until it is known."""


def size_walk(graph: Graph) -> SizeWalk:
    """The walk over ``graph`` with the sizes it fixes, taken when first asked for."""
    found = graph.analyses.get(SizeWalk)
    if found is None:
        found = graph.analyses[SizeWalk] = SizeWalk(graph)
    assert isinstance(found, SizeWalk)
    return found
