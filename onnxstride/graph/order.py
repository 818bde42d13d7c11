"""The nodes of a scope in an order in which each comes after all it reads.

Files usually list them so; runtimes take others too.
"""

from __future__ import annotations

from collections.abc import Iterator

from .scope import Node, Scope


def in_order(scope: Scope) -> list[Node]:
    """The nodes of ``scope``, each after those that it, or a body it carries, reads from.

    The order of the file where that is such an order. Of nodes on a cycle each comes once.
    """
    if scope.is_sorted or _is_in_order(scope):
        return scope.nodes
    placed: dict[Node, None] = {}
    for node in scope.nodes:
        _place(node, placed)
    return list(placed)


def _is_in_order(scope: Scope) -> bool:
    unseen = {name for node in scope.nodes for name in node.outputs if name}
    for node in scope.nodes:
        if not unseen.isdisjoint(node.inputs):
            return False
        if node in scope.bodies and not unseen.isdisjoint(_read_inside(node)):
            return False
        unseen.difference_update(node.outputs)
    return True


def _place(last: Node, placed: dict[Node, None]) -> None:
    """Add ``last``, and before it everything it waits for."""
    pending = [(last, _before(last))]
    opened = {last}
    while pending:
        node, before = pending[-1]
        earlier = next((each for each in before if each not in opened), None)
        if earlier is None:
            placed.setdefault(node)
            pending.pop()
        elif earlier not in placed:
            opened.add(earlier)
            pending.append((earlier, _before(earlier)))


def _before(node: Node) -> Iterator[Node]:
    """The nodes of the same scope that ``node``, or a body it carries, reads from."""
    for name in (*node.inputs, *_read_inside(node)):
        producer = node.scope.producer(name)
        if producer is not None and producer.scope is node.scope:
            yield producer


def _read_inside(node: Node) -> Iterator[str]:
    """Names that the bodies of a node read or hand out, those they define among them."""
    for body in node.scope.bodies.get(node, ()):
        for part in body.family():
            yield from part.outputs
            for inner in part.nodes:
                yield from inner.inputs
