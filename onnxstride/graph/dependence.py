"""What a tensor is computed from."""

from .scope import Node, Scope


def nodes_before(scope: Scope, name: str) -> set[Node]:
    """Every node that ``name`` depends on, in its scope and those around it."""
    found: set[Node] = set()
    pending = [name]
    while pending:
        node = scope.producer(pending.pop())
        if node is None or node in found:
            continue
        found.add(node)
        pending += node.inputs
        bodies = (inner for body in scope.bodies.get(node, ()) for inner in body.family())
        pending += [read for body in bodies for each in body.nodes for read in each.inputs]
    return found
