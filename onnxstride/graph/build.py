"""From a model to its scopes, and what is wrong with how its names hang together.

A contradiction (a name defined twice, a name nobody defines, a cycle) is a fault of the model,
not the end of reading it: whatever can still be judged is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ..errors import InvalidGraph, ModelError
from .scope import DEFAULT_DOMAIN, Node, Scope
from .shapes import Shapes

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto

_MAX_CALLED_NODES = 200_000  # shape inference expands every call: seconds at most
_MAX_CALL_DEPTH = 64  # onnx refuses more than 100
_MAX_ELEMENTS = 2**63 // 8

_Key: TypeAlias = tuple[str, str, str]
_T = TypeVar("_T")


class Scopes:
    """The scopes of one model, main graph first, and the faults met on the way.

    ``calls`` holds the nodes that call a local function.

    Raises:
        InvalidGraph: a name is not text, so that nothing can be called by it.
    """

    def __init__(self, model: ModelProto) -> None:
        self.faults: list[ModelError] = []
        self.calls: set[Node] = set()
        self.shapes = Shapes(model)
        self._check_versions(model)
        self._check_inputs(model)
        self.main = self._graph(model.graph, (), None, _opsets(model.opset_import))
        self.functions = self._read_functions(model.functions)
        roots = (self.main, *self.functions.values())
        self.all = [scope for root in roots for scope in root.family()]
        for root in roots:
            if not _is_sorted(root):
                self._check_order(root)
        if self.functions:
            self._check_calls(self._record_calls())
        self.shapes.may_infer = not self.faults

    def _graph(
        self,
        proto: GraphProto,
        path: tuple[str, ...],
        parent: Scope | None,
        opsets: Mapping[str, int],
    ) -> Scope:
        scope = Scope(proto, path, parent, opsets, self.shapes)
        inputs = [value.name for value in proto.input]
        sparse = [tensor.values.name for tensor in proto.sparse_initializer]
        scope.initializers = {tensor.name: tensor for tensor in proto.initializer}
        scope.inputs = frozenset(inputs + sparse)
        scope.outputs = frozenset(value.name for value in proto.output)
        _refuse_bytes((*scope.inputs, *scope.initializers, *scope.outputs))
        if len(scope.initializers) != len(proto.initializer):
            self._fault("two initializers have the same name")
        if len(set(inputs)) != len(inputs):
            self._fault("two graph inputs have the same name")
        self._add_nodes(scope, proto.node)
        return scope

    def _read_functions(self, protos: Iterable[FunctionProto]) -> dict[_Key, Scope]:
        functions: dict[_Key, Scope] = {}
        for proto in protos:
            key = (proto.domain, proto.name, proto.overload)
            overload = f":{proto.overload}" if proto.overload else ""
            path = (f"function {proto.domain}::{proto.name}{overload}",)
            if key in functions:
                self._fault(f"{path[0]} is defined twice")
                continue
            scope = Scope(proto, path, None, _opsets(proto.opset_import), self.shapes)
            scope.inputs = frozenset(proto.input)
            scope.outputs = frozenset(proto.output)
            _refuse_bytes((*key, *scope.inputs, *scope.outputs))
            self._add_nodes(scope, proto.node)
            functions[key] = scope
        return functions

    def _add_nodes(self, scope: Scope, protos: Iterable[NodeProto]) -> None:
        scope.receive((*scope.inputs, *scope.initializers))
        scope.nodes = [Node(proto, scope, index) for index, proto in enumerate(protos)]
        _refuse_bytes(chain.from_iterable(map(_names_in, scope.nodes)))
        for node in scope.nodes:
            for name in scope.define(node):
                self._fault(
                    f"{node.op_type} {node.name!r} defines {name!r}, which is already "
                    f"defined; every tensor needs a name of its own"
                )
        for node in scope.nodes:
            for attribute, body in node.graphs():
                path = (*scope.path, f"{node.name}.{attribute}")
                child = self._graph(body, path, scope, scope.opsets)
                child.holder, child.holder_attribute = node, attribute
                scope.bodies.setdefault(node, []).append(child)

    def _fault(self, what: str) -> None:
        self.faults.append(InvalidGraph(what))

    def _check_versions(self, model: ModelProto) -> None:
        from onnx.onnx_ml_pb2 import IR_VERSION

        if model.ir_version > IR_VERSION:
            self._fault(
                f"IR version {model.ir_version} is newer than {IR_VERSION}, the newest that "
                f"the installed onnx knows; upgrade onnx"
            )
        # Before IR version 3 a model had no list of operator sets, and meant version 1.
        unversioned = model.ir_version >= 3 and DEFAULT_DOMAIN not in _opsets(model.opset_import)
        if unversioned and any(node.domain in ("", "ai.onnx") for node in model.graph.node):
            self._fault("the model uses ONNX operators but names no opset version")

    def _check_inputs(self, model: ModelProto) -> None:
        for value in model.graph.input:
            sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            if prod(size for size in sizes if size > 0) > _MAX_ELEMENTS:
                self._fault(
                    f"input {value.name!r} of shape {sizes} has more elements than 64 bits "
                    f"can count the bytes of"
                )

    def _check_order(self, root: Scope) -> None:
        """What keeps the nodes from being listed in order, if anything does."""
        for scope in root.family():
            for what in _undefined_names(scope):
                self._fault(what)
            if node := _node_on_a_cycle(scope):
                self._fault(
                    f"{node.op_type} {node.name!r} depends on its own output: the graph has a cycle"
                )

    def _record_calls(self) -> dict[Scope, Counter[Scope]]:
        """The functions that the main graph and each function call, and how often."""
        callees: dict[Scope, Counter[Scope]] = {scope.root: Counter() for scope in self.all}
        for scope in self.all:
            for node in scope.nodes:
                key = (node.proto.domain, node.op_type, node.proto.overload)
                callee = self.functions.get(key)
                if callee is not None:
                    self.calls.add(node)
                    callee.calls.append(node)
                    callees[scope.root][callee] += 1
        return callees

    def _check_calls(self, callees: dict[Scope, Counter[Scope]]) -> None:
        """Functions that call themselves, nest too deep, or multiply beyond what can be expanded.

        Every one is measured after those it calls; what remains then is a ring of calls.
        """
        callers: dict[Scope, list[Scope]] = {}
        for caller, called in callees.items():
            for callee in called:
                callers.setdefault(callee, []).append(caller)
        waiting = {caller: len(called) for caller, called in callees.items()}
        nodes = dict.fromkeys(callees, 0)  # that the calls in each expand to
        depth = dict.fromkeys(callees, 0)
        own = Counter(dict.fromkeys(callees, 0))
        for scope in self.all:
            own[scope.root] += len(scope.nodes)
        ready = [caller for caller, count in waiting.items() if not count]
        while ready:
            done = ready.pop()
            del waiting[done]
            for caller in callers.get(done, ()):
                nodes[caller] += callees[caller][done] * (own[done] + nodes[done])
                depth[caller] = max(depth[caller], depth[done] + 1)
                waiting[caller] -= 1
                if not waiting[caller]:
                    ready.append(caller)
        if waiting:
            self._forget_calls(f"{_on_a_ring(waiting, callees).path[0]} calls itself")
        elif max(depth.values()) > _MAX_CALL_DEPTH:
            self._forget_calls(
                f"local functions call each other {max(depth.values())} deep, more than "
                f"{_MAX_CALL_DEPTH}"
            )
        elif sum(nodes.values()) > _MAX_CALLED_NODES:
            self._fault(
                f"calls of local functions expand to more than {_MAX_CALLED_NODES:,} nodes; "
                f"inline or simplify them"
            )

    def _forget_calls(self, what: str) -> None:
        """Record the fault, and judge each function by itself: no caller tells about it."""
        self._fault(what)
        for function in self.functions.values():
            function.calls.clear()


def _opsets(entries: Iterable[OperatorSetIdProto]) -> dict[str, int]:
    return {
        DEFAULT_DOMAIN if entry.domain == "ai.onnx" else entry.domain: entry.version
        for entry in entries
    }


def _is_sorted(scope: Scope, outer: tuple[set[str], ...] = ()) -> bool:
    """True when every node comes after all it reads: nothing is undefined, nothing cyclic."""
    seen = {"", *scope.inputs, *scope.initializers}
    for node in scope.nodes:
        if not _are_seen(node.inputs, seen, outer):
            return False
        for body in scope.bodies.get(node, ()):
            if not _is_sorted(body, (*outer, seen)):
                return False
        seen.update(node.outputs)
    scope.is_sorted = _are_seen(scope.outputs, seen, outer)
    return scope.is_sorted


def _are_seen(names: Collection[str], seen: set[str], outer: tuple[set[str], ...]) -> bool:
    return seen.issuperset(names) or all(
        any(name in known for known in (seen, *outer)) for name in names
    )


def _undefined_names(scope: Scope) -> list[str]:
    found = [
        f"{node.op_type} {node.name!r} reads {name!r}, which nothing in the model defines"
        for node in scope.nodes
        for name in node.inputs
        if name and scope.home(name) is None
    ]
    found += [
        f"graph output {name!r} is computed by no node"
        for name in sorted(scope.outputs)
        if name and scope.home(name) is None
    ]
    return found


def _node_on_a_cycle(scope: Scope) -> Node | None:
    """A node that depends on itself; None when the nodes can be ordered."""
    waiting = {node.index: _earlier(node, scope) for node in scope.nodes}
    followers: dict[int, list[int]] = {}
    for index, earlier in waiting.items():
        for before in earlier:
            followers.setdefault(before, []).append(index)
    ready = [index for index, earlier in waiting.items() if not earlier]
    while ready:
        done = ready.pop()
        del waiting[done]
        for index in followers.get(done, ()):
            waiting[index].discard(done)
            if not waiting[index]:
                ready.append(index)
    return scope.nodes[_on_a_ring(waiting, waiting)] if waiting else None


def _earlier(node: Node, scope: Scope) -> set[int]:
    """Positions of the nodes of this scope that ``node``, or a body it carries, reads from."""
    inside = [
        inner
        for body in scope.bodies.get(node, ())
        for part in body.family()
        for inner in part.nodes
    ]
    producers = (inner.scope.producer(name) for inner in (node, *inside) for name in inner.inputs)
    return {producer.index for producer in producers if producer and producer.scope is scope}


def _on_a_ring(waiting: Mapping[_T, object], before: Mapping[_T, Iterable[_T]]) -> _T:
    """One that waits for itself, among those that each wait for another."""
    passed: set[_T] = set()
    each = next(iter(waiting))
    while each not in passed:
        passed.add(each)
        each = next(other for other in before[each] if other in waiting)
    return each


def _names_in(node: Node) -> tuple[str, ...]:
    return (node.own_name, node.op_type, node.domain, *node.inputs, *node.outputs)


def _refuse_bytes(names: Iterable[object]) -> None:
    """Raise for a name that is not UTF-8, which protobuf hands out as bytes."""
    every = list(names)
    if set(map(type, every)) <= {str}:  # as in nearly every model
        return
    for name in every:
        if not isinstance(name, str):
            raise InvalidGraph(
                f"the name {name!r} is not UTF-8 text: the file is damaged; export it again"
            )
