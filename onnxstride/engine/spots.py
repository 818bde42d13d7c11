"""Where Model Explorer shows the nodes that findings are about.

Its ONNX adapter names graphs and nodes as follows, and data for a node finds it by these alone:

1. The main graph goes by its own name, a local function by ``[function]domain::name``.
2. A node goes by its name. One without a name is called ``node``; one whose name is taken in its
   graph gets a number after it, which counts on through the function or main graph around it.
3. The branches of an If are drawn within the graph around it: ``if/then_branch/node``.
4. The body of another node of the main graph, such as a Loop, is a graph ``loop/body``.
5. Deeper bodies, and bodies in functions, are not drawn; the node that carries them stands in.

Source: model-explorer-onnx 0.4.2, ``main`` and ``_passes``; onnx-ir 1.1.0, ``NameFixPass``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..graph import Graph
from ..graph.scope import DEFAULT_DOMAIN, Node, Scope
from ..rule import Finding, NodeRef

_NAMELESS_GRAPH, _NAMELESS_NODE = "<main>", "node"


class Spot(NamedTuple):
    """A node of a graph, as Model Explorer knows both."""

    graph: str
    node: str


class Shown(NamedTuple):
    """What Model Explorer makes of a model: its main graph, and some of its nodes."""

    main: str
    nodes: Mapping[NodeRef, Spot]


def spots_of(graph: Graph, findings: Iterable[Finding]) -> Shown:
    """The main graph, and the spots of the nodes that the findings are about.

    What a rule made up and is no node of the graph has no spot.
    """
    scopes = {scope.path: scope for scope in graph.scopes}
    names = _Names()
    spots: dict[NodeRef, Spot] = {}
    for ref in dict.fromkeys(finding.node for finding in findings):
        node = _find(scopes.get(ref.scope, graph.main), ref)
        if node is not None:
            spots[ref] = _spot(node, names)[0]
    return Shown(_graph_id(graph.main), spots)


def _find(scope: Scope, ref: NodeRef) -> Node | None:
    for output in filter(None, ref.outputs):
        node = scope.producer(output)
        if node is not None and node.ref == ref:
            return node
    return next((node for node in scope.nodes if node.ref == ref), None)


class _Names:
    """The names of nodes, case 2.

    Most are their own: all the nodes of a graph are named apart, or no number ends the name. For
    others it takes all the nodes around, which are looked through once.
    """

    def __init__(self) -> None:
        self._of: dict[Scope, dict[Node, str]] = {}

    def of(self, node: Node) -> str:
        own: str = node.proto.name
        scope = node.scope
        is_own = own != _NAMELESS_NODE and scope.is_unique_name(own) and not own[-1:].isdigit()
        if own and (is_own or scope.has_distinct_names):
            return own
        if scope.root not in self._of:
            self._of[scope.root] = _names(scope.root)
        return self._of[scope.root][node]


def _names(root: Scope) -> dict[Node, str]:
    """The name of every node in a graph and its bodies, in the order of the file."""
    names: dict[Node, str] = {}
    counts: Counter[str] = Counter()

    def visit(scope: Scope) -> None:
        taken = set[str]()
        for node in scope.nodes:
            own = node.proto.name or _NAMELESS_NODE
            name = own
            while name in taken:
                counts[own] += 1
                name = f"{own}_{counts[own]}"
            taken.add(name)
            names[node] = name
            for body in scope.bodies.get(node, ()):
                visit(body)

    visit(root)
    return names


def _spot(node: Node, names: _Names) -> tuple[Spot, bool]:
    """Where a node is drawn, and True; or where what stands in for it is, and False."""
    scope, name = node.scope, names.of(node)
    if scope.holder is None:
        return Spot(_graph_id(scope), name), True
    outer, is_drawn = _spot(scope.holder, names)
    if not is_drawn or scope.is_in_function:
        return outer, False
    path = f"{outer.node}/{scope.holder_attribute}"
    if scope.holder.op_type == "If" and scope.holder.domain == DEFAULT_DOMAIN:
        return Spot(outer.graph, f"{path}/{name}"), True
    if outer.graph != _graph_id(scope.root):
        return outer, False
    return Spot(path, name), True


def _graph_id(root: Scope) -> str:
    """Case 1."""
    proto: Any = root.proto  # a GraphProto or a FunctionProto
    if not root.is_function:
        name: str = proto.name
        return name if proto.HasField("name") else _NAMELESS_GRAPH
    overload = f"::{proto.overload}" if proto.overload else ""
    return f"[function]{proto.domain}::{proto.name}{overload}"
