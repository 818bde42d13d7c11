"""The replaced nodes and their replacement, each as a small model of its own.

Both read the same inputs and make the same outputs, so they can be run side by side without
the rest of the model. Constants travel along, loaded when the models are asked for; spatial
sizes are left open where the replacement claims to be right for every size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..geometry import Axis, floor_form, transposed_size
from ..graph import Graph
from ..graph.layers import ConvTranspose, Layer, Pool, Window
from ..graph.scope import DEFAULT_DOMAIN, Dim, Scope, Shape
from .fragment import Replacement

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """Two models: the nodes that went and the nodes that came.

    Attributes:
        old: the nodes that went, without the constants they share with the rest of the model.
        new: the nodes that came, likewise; constants of their own are in it.
        constants: makes those that are left out. They may be large, so they are not kept.
        smallest: along each spatial axis, the smallest input the layer has an output for.
        non_negative: inputs that are zero or more wherever the nodes stand in the whole model.
    """

    old: ModelProto
    new: ModelProto
    constants: Callable[[], Iterable[TensorProto]]
    smallest: tuple[int, ...]
    non_negative: tuple[str, ...]

    @property
    def before(self) -> bytes:
        """The nodes that went as a complete model, serialised; the model's file is still open."""
        return self._complete(self.old)

    @property
    def after(self) -> bytes:
        """The nodes that came as a complete model, serialised; the model's file is still open."""
        return self._complete(self.new)

    def _complete(self, model: ModelProto) -> bytes:
        copy = type(model)()
        copy.CopyFrom(model)
        read = {name for node in model.graph.node for name in node.input}
        copy.graph.initializer.extend(each for each in self.constants() if each.name in read)
        serialised: bytes = copy.SerializeToString()
        return serialised


def cut_out(graph: Graph, layer: Layer, replacement: Replacement) -> Cutout | str:
    """The two models; or, where they cannot run alone, what is missing for it."""
    if replacement.uncut:
        return replacement.uncut
    scope = layer.node.scope
    old = [_standalone(node.proto, scope) for node in replacement.removed]
    new = [_standalone(proto, scope) for proto in replacement.nodes]
    outputs = _shared_outputs(old, new)
    constants: list[str] = []
    inputs: list[Any] = []
    for name in _read_from_outside([*old, *new], replacement.constants):
        if graph.constant(layer.node, name) is not None:
            constants.append(name)
            continue
        value = _declared(scope, name, open_sizes=replacement.any_size)
        if isinstance(value, str):
            return value
        inputs.append(value)
    return Cutout(
        _model(graph, scope, old, (), inputs, outputs),
        _model(graph, scope, new, replacement.constants, inputs, outputs, replacement.opset),
        partial(_loaded, graph, scope, constants),
        _smallest(layer),
        replacement.non_negative,
    )


def _loaded(graph: Graph, scope: Scope, names: list[str]) -> Iterator[TensorProto]:
    for name in names:
        tensor = graph.constant_tensor(scope, name)
        if tensor is not None:
            yield tensor


def _standalone(proto: NodeProto, scope: Scope) -> NodeProto:
    """The node with what it takes from a function's parameters written into it."""
    if not any(attribute.ref_attr_name for attribute in proto.attribute):
        return proto
    resolved = scope.with_arguments({each.name: each for each in proto.attribute})
    copy = type(proto)()
    copy.CopyFrom(proto)
    del copy.attribute[:]
    for name, attribute in resolved.items():
        copy.attribute.append(attribute)
        copy.attribute[-1].name = name
    return copy


def _smallest(layer: Layer) -> tuple[int, ...]:
    if isinstance(layer, ConvTranspose):
        return tuple(map(_smallest_transposed, layer.axes, layer.output_padding))
    if not isinstance(layer, Window):
        return (1,) * layer.rank
    ceil_mode = isinstance(layer, Pool) and layer.ceil_mode and not layer.has_implicit_padding
    axes = map(floor_form, layer.axes) if ceil_mode else layer.axes
    return tuple(max(1, axis.extent - axis.begin - axis.end) for axis in axes)


def _smallest_transposed(axis: Axis, output_padding: int) -> int:
    """The first size whose output is not empty: each element more adds a stride to it."""
    short = 1 - transposed_size(1, axis, output_padding)
    return 1 + max(0, -(-short // axis.stride))


def _shared_outputs(old: list[NodeProto], new: list[NodeProto]) -> list[str]:
    made = {name for node in new for name in node.output}
    return [name for node in old for name in node.output if name in made]


def _read_from_outside(nodes: list[NodeProto], constants: tuple[TensorProto, ...]) -> list[str]:
    inside = {name for node in nodes for name in node.output}
    inside.update(tensor.name for tensor in constants)
    return [
        name
        for name in dict.fromkeys(name for node in nodes for name in node.input)
        if name and name not in inside
    ]


def _declared(scope: Scope, name: str, *, open_sizes: bool) -> Any:
    """A value_info for an input of the small models; or why there can be none."""
    from onnx import helper

    shape, element_type = scope.shape(name), scope.element_type(name)
    if element_type is None:
        return f"the element type of {name!r} is unknown"
    if shape is None:
        return f"the rank of {name!r} is unknown"
    return helper.make_tensor_value_info(name, element_type, _opened(shape, open_sizes=open_sizes))


def _opened(shape: Shape, *, open_sizes: bool) -> list[Dim]:
    """Batch and spatial dimensions as symbols of their own, so that any size may be tried."""
    if not open_sizes or len(shape) < 3:
        return [dim if dim is not None else f"axis{i}" for i, dim in enumerate(shape)]
    channels = shape[1] if isinstance(shape[1], int) else "channels"
    return ["batch", channels, *(f"size{i}" for i in range(len(shape) - 2))]


def _model(
    graph: Graph,
    scope: Scope,
    nodes: list[NodeProto],
    constants: tuple[TensorProto, ...],
    inputs: list[Any],
    outputs: list[str],
    opset: int | None = None,
) -> ModelProto:
    """These nodes as a model; ``opset`` is the scope's unless another is given."""
    from onnx import helper

    made = [helper.make_empty_tensor_value_info(name) for name in outputs]
    for value in made:
        value.type.tensor_type.elem_type = scope.element_type(value.name) or 0
    body = helper.make_graph(nodes, "cutout", inputs, made, constants)
    versions = {**scope.opsets} if opset is None else {**scope.opsets, DEFAULT_DOMAIN: opset}
    opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    return helper.make_model(body, opset_imports=opsets, ir_version=graph.ir_version)
