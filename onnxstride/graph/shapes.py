"""Shapes of tensors: declared in the file, or inferred.

Inference is onnx's own, run at most once for the model and once for each local function, and
only when a shape is asked for that the file does not state in full. It sees the model without
its weights, whose types and dimensions are all it needs. Sizes of zero or less, written by some
exporters for "any", are unknown here and to inference alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from .calls import as_model, has_one_type
from .disagreements import forget_stopped, may_disagree, reconcile
from .scope import Dim, Scope, Shape, graph_attributes

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

_FLOATS = frozenset([1, 10, 11, 16])  # float, float16, double, bfloat16


class Shapes:
    """Every known shape of one model."""

    def __init__(self, model: ModelProto) -> None:
        self.may_infer = True  # False for graphs that inference cannot walk, such as cyclic ones
        self._model = model
        self._declared: dict[Scope, _Declared] = {}
        self._others: dict[Scope, dict[str, Shape]] = {}
        self._inferred_roots: dict[Scope, GraphProto] = {}
        self._declared_types: dict[Scope, dict[str, int]] = {}
        self._inferred_types: dict[Scope, dict[str, int]] = {}

    def of(self, scope: Scope, name: str) -> Shape | None:
        """Shape of ``name``, which ``scope`` defines; None when not even its rank is known."""
        declared = self._declared.get(scope)
        if declared is None:
            declared = self._declared[scope] = _declared_in(scope)
        shape = declared.whole.get(name)
        return self._others_in(scope, declared).get(name) if shape is None else shape

    def element_type_of(self, scope: Scope, name: str) -> int | None:
        """Element type of ``name``, which ``scope`` defines; None when it is unknown."""
        if name in scope.initializers:
            return int(scope.initializers[name].data_type)
        if not scope.is_function and scope not in self._declared_types:
            self._declared_types[scope] = _element_types_in(scope.proto)
        declared = self._declared_types.get(scope, {}).get(name)
        if declared is not None or not self.may_infer:
            return declared
        if scope.is_in_function and not has_one_type(scope.root):
            return None  # inference was told float, to get at the shapes
        if scope not in self._inferred_types:
            self._inferred_types[scope] = _element_types_in(self._inferred_graph(scope))
        return self._inferred_types[scope].get(name)

    def _others_in(self, scope: Scope, declared: _Declared) -> dict[str, Shape]:
        """Shapes that are not declared in full: as inferred, where they are."""
        if not self.may_infer:
            return declared.partly
        if scope not in self._others:
            inferred = _shapes_in(_values_of(self._inferred_graph(scope)))
            self._others[scope] = {**declared.partly, **inferred}
        return self._others[scope]

    def _inferred_graph(self, scope: Scope) -> GraphProto:
        """The counterpart of ``scope`` in the model after inference."""
        inwards: list[Scope] = []
        while scope.holder is not None:
            inwards.append(scope)
            scope = scope.holder.scope
        if scope not in self._inferred_roots:
            self._inferred_roots[scope] = _inferred(self._to_infer(scope)).graph
        graph = self._inferred_roots[scope]
        for body in reversed(inwards):
            assert body.holder is not None
            bodies = graph_attributes(graph.node[body.holder.index])
            graph = next(inner for name, inner in bodies if name == body.holder_attribute)
        return graph

    def _to_infer(self, root: Scope) -> ModelProto:
        """A copy of the model that ``root`` is the main graph of, as inference can read it."""
        model = as_model(root, self._model) if root.is_function else self._model
        copy = type(model)()
        copy.CopyFrom(model)
        if any(any(_sizes_for_any(_declared_values(scope))) for scope in root.family()):
            _forget_sizes_for_any(copy.graph)
        _forget_weights(copy.graph)
        return copy


@lru_cache(maxsize=1024)  # asked of every map, and most are like another
def _is_stated(shape: Shape) -> bool:
    """True when every size of a shape is known."""
    return all(isinstance(dim, int) for dim in shape)


class _Declared(NamedTuple):
    """Shapes that a scope declares: those whose every size is known, and the others."""

    whole: dict[str, Shape]
    partly: dict[str, Shape]


def _declared_in(scope: Scope) -> _Declared:
    whole, partly = dict[str, Shape](), dict[str, Shape]()
    for name, shape in _shapes_in(_declared_values(scope)).items():
        (whole if _is_stated(shape) else partly)[name] = shape
    for name, tensor in scope.initializers.items():
        whole[name] = tuple(tensor.dims[:])
    return _Declared(whole, partly)


def _declared_values(scope: Scope) -> list[ValueInfoProto]:
    proto: Any = scope.proto
    if scope.is_function:  # its inputs and outputs are bare names
        return list(proto.value_info)
    return _values_of(proto)


def _values_of(graph: Any) -> list[ValueInfoProto]:
    """What a graph declares. By slices, which protobuf hands out faster than one by one."""
    return [*graph.input[:], *graph.output[:], *graph.value_info[:]]


def _inferred(model: ModelProto) -> ModelProto:
    """The model after shape inference; the model itself when inference gives up on it."""
    from onnx.onnx_cpp2py_export import checker, shape_inference
    from onnx.onnx_ml_pb2 import ModelProto

    from ..modelfile.protobuf import DecodeError

    given = model.SerializeToString()
    if may_disagree(given):
        reconcile(model)
        given = model.SerializeToString()
    del model  # inference takes the memory of several models

    try:
        return _outcome(given)
    except (
        checker.ValidationError,
        shape_inference.InferenceError,
        IndexError,
        MemoryError,
        RuntimeError,
        ValueError,
        DecodeError,  # a shape in the innermost body that protobuf reads would nest too deep
    ):
        # Unknown operator versions, contradictory types, limits of onnx: what is declared still
        # counts, and what is not is reported as unknown by the rule that needs it.
        declared: ModelProto = ModelProto.FromString(given)
        return declared


def _outcome(given: bytes) -> ModelProto:
    """What inference makes of a model, where it comes to its end."""
    from onnx.onnx_ml_pb2 import ModelProto

    inferred = _completed(given)
    if b"output_shape" in given:
        again = ModelProto.FromString(given)
        if forget_stopped(again, inferred):
            return _completed(again.SerializeToString())
    return inferred


def _completed(given: bytes) -> ModelProto:
    """``onnx.shape_inference.infer_shapes``, whose module would import all of onnx."""
    from onnx.onnx_cpp2py_export import shape_inference
    from onnx.onnx_ml_pb2 import ModelProto

    how = False, False, True  # check_type, strict_mode, data_prop
    inferred: ModelProto = ModelProto.FromString(shape_inference.infer_shapes(given, *how))
    return inferred


def _sizes_for_any(values: Iterable[ValueInfoProto]) -> Iterator[Any]:
    for value in values:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value <= 0 and dim.HasField("dim_value"):
                yield dim


def _forget_sizes_for_any(graph: GraphProto) -> None:
    for dim in _sizes_for_any(_values_of(graph)):
        dim.ClearField("dim_value")
    for node in graph.node:
        for _, body in graph_attributes(node):
            _forget_sizes_for_any(body)


def _forget_weights(graph: GraphProto) -> None:
    """Leave out what is none of the sizes, axes and scales that inference reads."""
    for tensor in graph.initializer:
        if tensor.data_type in _FLOATS and len(tensor.dims) > 1:
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")


def _shapes_in(values: Iterable[ValueInfoProto]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    known: dict[bytes, Shape | None] = {}  # by type: most maps are of the type of another
    for value in values:
        kind = value.type.SerializeToString()
        if kind not in known:
            known[kind] = _shape_in(value)
        shape = known[kind]
        if shape is not None:
            shapes[value.name] = shape
    return shapes


def _shape_in(value: ValueInfoProto) -> Shape | None:
    tensor = value.type.tensor_type  # of any other type: an empty one, without a shape
    return tuple(map(_dim, tensor.shape.dim)) if tensor.HasField("shape") else None


def _dim(dim: Any) -> Dim:
    size: int = dim.dim_value
    if size > 0:
        return size
    return dim.dim_param or None


def _element_types_in(graph: Any) -> dict[str, int]:
    """What is stated first counts."""
    types: dict[str, int] = {}
    for value in _values_of(graph):
        kind = value.type.tensor_type.elem_type
        if kind:
            types.setdefault(value.name, int(kind))
    return types
