"""Where branches of a model meet: nodes that join two or more maps.

A map is a tensor that depends on what goes into the model and may have a spatial axis: rank 3
and up, or unknown. What follows from weights alone is no map, and neither is arithmetic on
shapes.
"""

from __future__ import annotations

from collections.abc import Iterable

from .layers import Merge
from .order import in_order
from .scope import DEFAULT_DOMAIN, Node, Scope

_MICROSOFT = "com.microsoft"
_ELEMENTWISE = ["Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum", "Pow", "PRelu", "Where"]
_MERGING = {
    **{(DEFAULT_DOMAIN, op): op for op in (*_ELEMENTWISE, "Concat")},
    (_MICROSOFT, "QLinearAdd"): "Add",
    (_MICROSOFT, "QLinearMul"): "Mul",
    (_MICROSOFT, "QLinearConcat"): "Concat",
    (_MICROSOFT, "QLinearWhere"): "Where",
}
_OF_SHAPES = frozenset(["Shape", "Size"])


def merges(scopes: Iterable[Scope]) -> tuple[Merge, ...]:
    """The merges of these scopes, which stand in the order of the model."""
    fixed = _Fixed()
    found: list[Merge] = []
    for scope in scopes:
        fixed.walk(scope)
        for node in scope.nodes:
            op = _MERGING.get((node.domain, node.op_type))
            if op is None:
                continue
            maps = [name for name in node.inputs if name and _is_map(scope, name, fixed)]
            if len(maps) > 1:
                dims = (scope.shape(maps[0]) or ())[2:]
                found.append(Merge(node, op, maps[0], dims, tuple(maps)))
    return tuple(found)


def _is_map(scope: Scope, name: str, fixed: _Fixed) -> bool:
    if fixed.holds(scope, name):
        return False
    shape = scope.shape(name)
    return shape is None or len(shape) > 2


class _Fixed:
    """Names whose values do not depend on what goes into the model, but on shapes at most."""

    def __init__(self) -> None:
        self._names: dict[Scope, set[str]] = {}

    def holds(self, scope: Scope, name: str) -> bool:
        home = scope.home(name)
        return home is None or name in self._names.get(home, ())

    def walk(self, scope: Scope) -> None:
        """Find the names of one scope; those around it, and those that call it, come before."""
        names = self._names[scope] = set(scope.initializers)
        if scope.is_function:
            names.update(name for name in scope.inputs if self._passed_fixed(scope, name))
        for node in in_order(scope):
            if node.op_type in _OF_SHAPES or self._follows(node):
                names.update(node.outputs)

    def _follows(self, node: Node) -> bool:
        scope = node.scope
        for name in node.inputs:  # a loop: asked of every node, and mostly told by the first input
            if name and not self.holds(scope, name):
                return False
        return not scope.bodies.get(node)

    def _passed_fixed(self, function: Scope, name: str) -> bool:
        """True when every call passes a value that is fixed."""
        position = list(function.proto.input).index(name)
        passed = [(call.scope, call.input(position)) for call in function.calls]
        return bool(passed) and all(self.holds(*argument) for argument in passed if argument[1])
