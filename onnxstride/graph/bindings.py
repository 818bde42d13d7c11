"""Sizes the caller gives for inputs and symbols, written into the model's declarations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .scope import graph_attributes

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto


@dataclass(frozen=True, slots=True)
class Bindings:
    """Shapes of whole inputs by name, and sizes of symbols by name."""

    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dims: Mapping[str, int] = field(default_factory=dict)

    def names(self) -> frozenset[str]:
        """Every input name and symbol that is bound."""
        return frozenset(self.shapes) | frozenset(self.dims)


@dataclass(frozen=True, slots=True)
class Bound:
    """A model with the bindings applied, and the names of those that applied to it."""

    model: ModelProto
    used: frozenset[str]


def bind(model: ModelProto, bindings: Bindings) -> Bound:
    """Write the bound sizes into a copy of the model; the model itself when none applies.

    Raises:
        UsageError: a shape of another rank than the input's, or a size that contradicts one
            the model fixes or another binding.
    """
    if not bindings.names():
        return Bound(model, frozenset())
    inputs = {value.name: value for value in model.graph.input if value.name in bindings.shapes}
    sizes = dict(bindings.dims)
    for name, value in inputs.items():
        _check_against(value, bindings.shapes[name])
        for dim, size in zip(_dims(value), bindings.shapes[name], strict=False):
            if sizes.setdefault(dim.dim_param, size) != size and dim.dim_param:
                raise UsageError(
                    f"symbol {dim.dim_param!r} is given two sizes, {sizes[dim.dim_param]} and "
                    f"{size} (by --input-shape {name})"
                )
    sizes.pop("", None)
    used = {dim.dim_param for dim in _symbols(model.graph) if dim.dim_param in sizes}
    if not used and not inputs:
        return Bound(model, frozenset())
    return Bound(_bound_copy(model, bindings.shapes, sizes), frozenset(inputs) | used)


def _bound_copy(
    model: ModelProto, shapes: Mapping[str, tuple[int, ...]], sizes: Mapping[str, int]
) -> ModelProto:
    copy = type(model)()
    copy.CopyFrom(model)
    for value in copy.graph.input:
        if value.name in shapes:
            _set_shape(value, shapes[value.name])
    for dim in _symbols(copy.graph):
        if dim.dim_param in sizes:
            dim.dim_value = sizes[dim.dim_param]
    return copy


def _check_against(value: ValueInfoProto, given: tuple[int, ...]) -> None:
    kind = value.type.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        raise UsageError(f"--input-shape {value.name}: the input is no tensor but a {kind}")
    if not value.type.tensor_type.HasField("shape"):
        return
    declared = [
        dim.dim_param or (dim.dim_value if dim.dim_value > 0 else "?") for dim in _dims(value)
    ]
    fits = len(declared) == len(given) and all(
        size == fixed or isinstance(fixed, str) for fixed, size in zip(declared, given, strict=True)
    )
    if not fits:
        raise UsageError(
            f"--input-shape {value.name}:{','.join(map(str, given))} does not fit the input, "
            f"which is declared [{', '.join(map(str, declared))}]"
        )


def _set_shape(value: ValueInfoProto, shape: tuple[int, ...]) -> None:
    value.type.tensor_type.ClearField("shape")
    for size in shape:
        value.type.tensor_type.shape.dim.add(dim_value=size)


def _symbols(graph: GraphProto) -> Iterator[Any]:
    """Every dimension with a symbol, those in bodies included."""
    for values in (graph.input, graph.output, graph.value_info):
        for value in values:
            yield from (dim for dim in _dims(value) if dim.dim_param)
    for node in graph.node:
        for _, body in graph_attributes(node):
            yield from _symbols(body)


def _dims(value: ValueInfoProto) -> Any:
    return value.type.tensor_type.shape.dim
