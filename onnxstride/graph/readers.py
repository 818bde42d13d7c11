"""Which nodes read the same feature map, seen through what leaves it in place."""

from __future__ import annotations

from .scope import DEFAULT_DOMAIN, Node, Scope

_TRANSPARENT = frozenset(
    ["Identity", "Cast", "Dropout", "QuantizeLinear", "DequantizeLinear"]
)  # one map in, the same map out: an element is read where it stands


def source(scope: Scope, name: str) -> tuple[Scope, str]:
    """The map ``name`` is a copy of, upstream of casts and quantisation."""
    passed: set[Node] = set()  # a cycle of copies has no upstream end
    while (
        (producer := scope.producer(name)) is not None
        and _is_transparent(producer)
        and producer not in passed
    ):
        passed.add(producer)
        scope, name = producer.scope, producer.input(0)
    return scope, name


def readers(scope: Scope, name: str) -> tuple[list[Node], bool]:
    """Nodes that read the map ``name`` is a copy of, and whether it leaves the graph as output."""
    found: dict[Node, None] = {}
    is_output = False
    pending = [source(scope, name)]
    passed: set[Node] = set()
    while pending:
        at, copy = pending.pop()
        is_output |= at.is_output(copy)
        for node in at.consumers(copy):
            if not (_is_transparent(node) and node.input(0) == copy):
                found[node] = None
            elif node not in passed:
                passed.add(node)
                pending.append((node.scope, node.output(0)))
    return list(found), is_output


def _is_transparent(node: Node) -> bool:
    return node.op_type in _TRANSPARENT and node.domain in (DEFAULT_DOMAIN, "com.microsoft")
