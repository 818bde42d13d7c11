"""A local function as a model of its own, as those who call it see it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .scope import DEFAULT_DOMAIN, Scope, graph_attributes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

_FLOAT = 1
_UNREAD_DOMAIN = "onnxstride.unread"


def as_model(function: Scope, model: ModelProto) -> ModelProto:
    """A model whose main graph is the function's body.

    Its inputs have the shapes, and its attributes the values, that all calls agree on; what a
    single call passes as a constant is one here too.
    """
    copy = type(model)(ir_version=model.ir_version)
    proto: Any = function.proto
    copy.opset_import.extend(proto.opset_import)
    copy.functions.extend(model.functions)
    copy.graph.name = proto.name
    copy.graph.node.extend(proto.node)
    _resolve_references(copy.graph.node, function)
    copy.graph.value_info.extend(proto.value_info)
    for position, name in enumerate(proto.input):
        value = copy.graph.input.add(name=name)
        _declare_input(value, function, position)
        constant = _constant_argument(function, name)
        if constant is not None:
            value.type.tensor_type.elem_type = constant.data_type
            copy.graph.initializer.add().CopyFrom(constant)
            copy.graph.initializer[-1].name = name
    for name in proto.output:
        copy.graph.output.add(name=name)
    return copy


def _resolve_references(protos: Iterable[NodeProto], scope: Scope) -> None:
    """Write what the calls pass into the nodes; hide nodes on which the calls differ."""
    for proto, node in zip(protos, scope.nodes, strict=True):
        if any(attribute.ref_attr_name for attribute in proto.attribute):
            del proto.attribute[:]
            for name, attribute in node.attributes.items():
                proto.attribute.add().CopyFrom(attribute)
                proto.attribute[-1].name = name
                if attribute.ref_attr_name:
                    proto.domain = _UNREAD_DOMAIN
        bodies = scope.bodies.get(node, ())
        for (_, graph), body in zip(graph_attributes(proto), bodies, strict=False):
            _resolve_references(graph.node, body)


def _declare_input(value: ValueInfoProto, function: Scope, position: int) -> None:
    passed = [(call.scope, call.input(position)) for call in function.calls]
    shapes = {scope.shape(name) for scope, name in passed if name}
    shape = shapes.pop() if len(shapes) == 1 else None
    # The element type does not matter to the shape of a window layer, but inference stops at
    # an input without one: float stands in where the calls do not say, or do not agree.
    value.type.tensor_type.elem_type = _argument_type(function, position) or _FLOAT
    if shape is None:
        return
    value.type.tensor_type.shape.SetInParent()
    for size in shape:
        dim = value.type.tensor_type.shape.dim.add()
        if isinstance(size, int):
            dim.dim_value = size
        elif isinstance(size, str):
            dim.dim_param = size


def has_one_type(function: Scope) -> bool:
    """True when every input of a function has an element type that all calls agree on."""
    proto: Any = function.proto
    return all(
        _argument_type(function, position) is not None or _constant_argument(function, name)
        for position, name in enumerate(proto.input)
    )


def _argument_type(function: Scope, position: int) -> int | None:
    """Element type of what the calls pass; None where one does not say, or they differ."""
    passed = [(call.scope, call.input(position)) for call in function.calls]
    types = {scope.element_type(name) for scope, name in passed if name}
    return types.pop() if len(types) == 1 else None


def _constant_argument(function: Scope, name: str) -> TensorProto | None:
    """The constant that the one call of ``function`` passes, also through calls around it."""
    outside = function.argument(name)
    while outside is not None:
        home = outside[0].home(outside[1])
        if home is None:
            return None
        if outside[1] in home.initializers:
            return home.initializers[outside[1]]
        producer = home.producer(outside[1])
        if producer is not None:
            is_constant = (producer.domain, producer.op_type) == (DEFAULT_DOMAIN, "Constant")
            value = producer.attributes.get("value") if is_constant else None
            return value.t if value is not None and value.HasField("t") else None
        outside = home.argument(outside[1])
    return None
