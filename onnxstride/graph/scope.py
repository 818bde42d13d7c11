"""Nodes, and the scopes in which their names mean something.

A scope is the main graph, the body of an If, Loop or Scan, or a local function. A body sees the
names of the scopes around it; a function sees only its own. Every look-up here starts where the
name is used and walks outwards to the scope that defines it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from ..rule import NodeRef

if TYPE_CHECKING:
    from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto

    from .shapes import Shapes

Dim: TypeAlias = int | str | None
"""One dimension: its size, its symbol, or None when nothing is known."""

Shape: TypeAlias = tuple[Dim, ...]

# Numbers of AttributeProto.AttributeType: one graph, several; files of IR version 1 leave it out.
_MAY_BE_GRAPHS = (5, 10, 0)

DEFAULT_DOMAIN = ""
_DEFAULT_DOMAIN_ALIAS = "ai.onnx"


class Node:
    """One operator of the model, in its scope. Compared by identity.

    ``own_name`` is the one that the file gives it: empty where it gives none, and others of its
    scope may have the same.
    """

    __slots__ = (
        "_attributes",
        "_ref",
        "_stated",
        "domain",
        "index",
        "inputs",
        "op_type",
        "outputs",
        "own_name",
        "proto",
        "scope",
    )

    def __init__(self, proto: NodeProto, scope: Scope, index: int) -> None:
        self.proto = proto
        self.scope = scope
        self.index = index
        self.own_name: str = proto.name
        self.op_type: str = proto.op_type
        domain: str = proto.domain
        self.domain = DEFAULT_DOMAIN if domain == _DEFAULT_DOMAIN_ALIAS else domain
        # Slices, as protobuf takes three times as long to hand out one entry after the other.
        self.inputs: tuple[str, ...] = tuple(proto.input[:])
        self.outputs: tuple[str, ...] = tuple(proto.output[:])
        self._stated: Sequence[AttributeProto] = proto.attribute[:]
        self._attributes: Mapping[str, AttributeProto] | None = None
        self._ref: NodeRef | None = None

    def __repr__(self) -> str:
        return f"Node({self.op_type} {self.name!r})"

    @property
    def name(self) -> str:
        """The node's name when it has one that is unique in its scope, else its first output."""
        if self.own_name and self.scope.is_unique_name(self.own_name):
            return self.own_name
        return next((output for output in self.outputs if output), self.own_name)

    @property
    def ref(self) -> NodeRef:
        """The node as reports name it."""
        if self._ref is None:
            path, outputs = self.scope.path, self.outputs
            self._ref = NodeRef(self.name, self.op_type, self.domain, path, outputs)
        return self._ref

    @property
    def attributes(self) -> Mapping[str, AttributeProto]:
        """Attributes by name; inside a function, references to its parameters are resolved."""
        if self._attributes is None:
            own = {attribute.name: attribute for attribute in self._stated}
            self._attributes = self.scope.with_arguments(own)
        return self._attributes

    def graphs(self) -> Iterator[tuple[str, GraphProto]]:
        """As ``graph_attributes``."""
        return _graphs_in(self._stated)

    def input(self, position: int) -> str:
        """Name of the input at ``position``; empty when it is left out."""
        return self.inputs[position] if position < len(self.inputs) else ""

    def output(self, position: int) -> str:
        """Name of the output at ``position``; empty when it is left out."""
        return self.outputs[position] if position < len(self.outputs) else ""


def graph_attributes(node: NodeProto) -> Iterator[tuple[str, GraphProto]]:
    """The graphs a node carries, each with the name of the attribute that holds it."""
    return _graphs_in(node.attribute)


def _graphs_in(attributes: Iterable[AttributeProto]) -> Iterator[tuple[str, GraphProto]]:
    for attribute in attributes:
        if attribute.type not in _MAY_BE_GRAPHS:
            continue
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        for position, graph in enumerate(attribute.graphs):
            yield f"{attribute.name}[{position}]", graph


class Scope:
    """One graph or function body: its nodes, and what each name in it stands for."""

    def __init__(
        self,
        proto: GraphProto | FunctionProto,
        path: tuple[str, ...],
        parent: Scope | None,
        opsets: Mapping[str, int],
        shapes: Shapes,
    ) -> None:
        self.proto = proto
        self.path = path
        self.parent = parent
        self.root: Scope = self if parent is None else parent.root
        self.opsets = opsets
        self.nodes: list[Node] = []
        self.bodies: dict[Node, list[Scope]] = {}  # of each node that carries some
        self.is_sorted = False  # True when every node is known to come after all it reads
        self.calls: list[Node] = []  # of a function: the nodes that call it
        self.holder: Node | None = None  # of a body: the node that carries it,
        self.holder_attribute = ""  # and the attribute it is in
        self.initializers: dict[str, TensorProto] = {}
        self.inputs: frozenset[str] = frozenset()
        self.outputs: frozenset[str] = frozenset()
        self._shapes = shapes
        self._producers: dict[str, Node | None] = {}  # None for inputs and initializers
        self._arguments: dict[str, list[AttributeProto | None]] = {}

    def __repr__(self) -> str:
        return f"Scope({'/'.join(self.path) or 'main'})"

    @property
    def is_function(self) -> bool:
        return self.parent is None and bool(self.path)

    @property
    def children(self) -> list[Scope]:
        """The bodies that nodes of this scope carry."""
        return [body for bodies in self.bodies.values() for body in bodies]

    @property
    def is_in_function(self) -> bool:
        """True in a local function, and in the bodies inside it."""
        return self.root.is_function

    def opset(self, domain: str = DEFAULT_DOMAIN) -> int:
        """Version of an operator set in force here; 1 when the model imports none."""
        return self.opsets.get(domain, 1)

    def receive(self, names: Iterable[str]) -> None:
        """Define names that no node of this scope computes."""
        self._producers.update(dict.fromkeys(names))

    def define(self, node: Node) -> list[str]:
        """Define what a node computes; those of its names come back that were defined before."""
        again: list[str] = []
        for name in node.outputs:
            if name:
                if name in self._producers:
                    again.append(name)
                self._producers[name] = node
        return again

    def home(self, name: str) -> Scope | None:
        """The scope that defines ``name``, looking outwards from here."""
        scope: Scope | None = self
        while scope is not None and name not in scope._producers:
            scope = scope.parent
        return scope

    def producer(self, name: str) -> Node | None:
        """The node that computes ``name``; None for inputs, initializers and unknown names."""
        home = self.home(name)
        return home._producers[name] if home else None

    def initializer(self, name: str) -> TensorProto | None:
        home = self.home(name)
        return home.initializers.get(name) if home else None

    def consumers(self, name: str) -> list[Node]:
        """Every node that reads ``name``, once each, those of inner scopes included."""
        home = self.home(name)
        return home._consumers.get(name, []) if home else []

    @cached_property
    def _consumers(self) -> dict[str, list[Node]]:
        consumers: dict[str, list[Node]] = {}
        for scope in self.family():
            for node in scope.nodes:
                for name in dict.fromkeys(node.inputs):
                    if name and scope.home(name) is self:
                        consumers.setdefault(name, []).append(node)
        return consumers

    def family(self) -> Iterator[Scope]:
        """This scope and every scope inside it."""
        yield self
        for child in self.children:
            yield from child.family()

    def is_output(self, name: str) -> bool:
        """True when the scope that defines ``name``, or a body in it, hands it out."""
        home = self.home(name)
        return home is not None and name in home._handed_out

    @cached_property
    def _handed_out(self) -> frozenset[str]:
        return frozenset(
            name
            for scope in self.family()
            for name in scope.outputs
            if scope is self or scope.home(name) is self
        )

    def shape(self, name: str) -> Shape | None:
        """Shape of a tensor, as far as declared or inferred; None when its rank is unknown."""
        home = self if name in self._producers else self.home(name)
        return self._shapes.of(home, name) if home else None

    def element_type(self, name: str) -> int | None:
        """Element type of a tensor, a number of TensorProto.DataType; None when unknown."""
        home = self.home(name)
        return self._shapes.element_type_of(home, name) if home else None

    def argument(self, name: str) -> tuple[Scope, str] | None:
        """For an input of a function called exactly once: what the call passes, and where."""
        if not self.is_function or len(self.calls) != 1 or name not in self.inputs:
            return None
        call = self.calls[0]
        passed = call.input(list(self.proto.input).index(name))
        return (call.scope, passed) if passed else None

    def with_arguments(self, own: dict[str, AttributeProto]) -> Mapping[str, AttributeProto]:
        """Attributes with references to the function's parameters replaced by what calls pass.

        An attribute whose parameter no call passes, and that has no default, is left out. A
        reference stays as it is, without a value, when the calls pass different values.
        """
        if not self.root.is_function:
            return own
        resolved: dict[str, AttributeProto] = {}
        for name, attribute in own.items():
            if not attribute.ref_attr_name:
                resolved[name] = attribute
                continue
            passed = self.root._passed(attribute.ref_attr_name)
            value = passed[0] if len(passed) == 1 else attribute
            if value is not None:
                resolved[name] = value
        return resolved

    def _passed(self, parameter: str) -> list[AttributeProto | None]:
        """The different values that calls give a parameter of this function, None for none."""
        if parameter not in self._arguments:
            proto: Any = self.proto  # a FunctionProto: only functions have parameters
            defaults = [each for each in proto.attribute_proto if each.name == parameter]
            default = defaults[0] if defaults else None
            distinct: list[AttributeProto | None] = [] if self.calls else [*defaults[:1]]
            for call in self.calls:
                value = call.attributes.get(parameter, default)
                if value not in distinct:
                    distinct.append(value)
            self._arguments[parameter] = distinct
        return self._arguments[parameter]

    def is_unique_name(self, name: str) -> bool:
        return self._name_counts[name] == 1

    @property
    def has_distinct_names(self) -> bool:
        """True when every node has a name, and no two have the same."""
        return len(self._name_counts) == len(self.nodes) and not self._name_counts[""]

    @cached_property
    def _name_counts(self) -> Counter[str]:
        return Counter([node.own_name for node in self.nodes])
