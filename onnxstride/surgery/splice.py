"""Puts a replacement into a model, and touches nothing else.

The proto is edited in place: the removed nodes leave their list, the new ones enter where the
last of them stood, constants join the initializers. In a local function, which has none, they
are Constant nodes. Before IR version 4 every initializer is an input of its graph as well, which
the body of an If or a Loop cannot have: there they are Constant nodes too.

What only the removed nodes knew goes with them: the value_info of tensors that are no more, and,
once all is done, initializers that nobody reads any longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..graph import Graph
from ..graph.scope import Scope
from .fragment import Replacement

if TYPE_CHECKING:
    from onnx import NodeProto


_INITIALIZERS_STAND_ALONE = 4
"""First IR version in which an initializer need not be listed among the inputs."""


def splice(scope: Scope, replacement: Replacement, ir_version: int) -> None:
    """Replace nodes of ``scope``, whose proto is edited, in a model of this IR version."""
    proto: Any = scope.proto
    positions = _positions(proto.node, [node.proto for node in replacement.removed])
    new = list(replacement.nodes)
    are_inputs = ir_version < _INITIALIZERS_STAND_ALONE
    if scope.is_in_function or (are_inputs and scope.parent is not None):
        new = [_constant_node(tensor) for tensor in replacement.constants] + new
    else:
        proto.initializer.extend(replacement.constants)
        if are_inputs:
            proto.input.extend(map(_declared, replacement.constants))
    at = max(positions)
    for node in reversed(new):
        proto.node.insert(at + 1, node)
    for position in sorted(positions, reverse=True):
        del proto.node[position]
    made = {name for node in new for name in node.output}
    gone = {name for node in replacement.removed for name in node.outputs} - made
    _forget(proto, gone)


def _positions(nodes: Any, wanted: list[NodeProto]) -> list[int]:
    """Where the wanted nodes stand now: earlier splices may have moved them."""
    outputs = {tuple(node.output) for node in wanted}
    found = [index for index, node in enumerate(nodes) if tuple(node.output) in outputs]
    if len(found) != len(wanted):
        raise ValueError("a node to be replaced is not in its graph any more")
    return found


def _constant_node(tensor: Any) -> NodeProto:
    from onnx import helper

    return helper.make_node("Constant", [], [tensor.name], name=tensor.name, value=tensor)


def _declared(tensor: Any) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))


def _forget(proto: Any, names: set[str]) -> None:
    """Drop what the graph says about tensors that are no more."""
    for field in ("value_info", "quantization_annotation"):
        entries: Any = getattr(proto, field, ())  # a function has no annotations
        for index in reversed(range(len(entries))):
            entry = entries[index]
            if getattr(entry, "name", getattr(entry, "tensor_name", "")) in names:
                del entries[index]


def drop_unread(graph: Graph, candidates: Iterable[tuple[tuple[str, ...], str]]) -> None:
    """Remove initializers that nothing reads any longer.

    Candidates are given by the path of a scope and what they are called there.
    """
    scopes = {scope.path: scope for scope in graph.scopes}
    for path, name in candidates:
        scope = scopes[path].home(name) if path in scopes else None
        if scope is None or name not in scope.initializers:
            continue
        if scope.consumers(name) or scope.is_output(name):
            continue
        for field in ("initializer", "input", "value_info"):
            entries = getattr(scope.proto, field)
            for index in reversed(range(len(entries))):
                if entries[index].name == name:
                    del entries[index]
