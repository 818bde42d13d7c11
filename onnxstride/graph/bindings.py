"""Sizes the caller gives for inputs and symbols, written into the model's declarations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UsageError
from .scope import graph_attributes

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto


class Bindings(NamedTuple):
    """Shapes of whole inputs by name, and sizes of symbols by name.

    ``origins`` tells of names that a configuration gives sizes where they stand in it; the others
    are asked for by options, and hold where the two differ.
    """

    shapes: Mapping[str, tuple[int, ...]] = {}
    dims: Mapping[str, int] = {}
    origins: Mapping[str, str] = {}

    def names(self) -> frozenset[str]:
        """Every input name and symbol that is bound."""
        return frozenset(self.shapes) | frozenset(self.dims)


class Bound(NamedTuple):
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
    for value in inputs.values():
        _check_against(value, bindings)
    sizes = _sizes_of_symbols(inputs, bindings)
    used = {dim.dim_param for dim in _symbols(model.graph) if dim.dim_param in sizes}
    if not used and not inputs:
        return Bound(model, frozenset())
    return Bound(_bound_copy(model, bindings.shapes, sizes), frozenset(inputs) | used)


def _sizes_of_symbols(inputs: Mapping[str, ValueInfoProto], bindings: Bindings) -> dict[str, int]:
    """The size of each symbol that is bound, or that a bound shape has in an input's place."""
    given = [(name, size, name) for name, size in bindings.dims.items()]
    given += [
        (dim.dim_param, size, name)
        for name, value in inputs.items()
        for dim, size in zip(_dims(value), bindings.shapes[name], strict=False)
        if dim.dim_param
    ]
    # What is asked for comes first: a configuration does not contradict it, it gives way.
    given.sort(key=lambda each: each[2] in bindings.origins)
    sizes: dict[str, int] = {}
    asked: set[str] = set()
    for symbol, size, name in given:
        origin = bindings.origins.get(name)
        if sizes.setdefault(symbol, size) != size and not (origin and symbol in asked):
            raise UsageError(
                f"symbol {symbol!r} is given two sizes, {sizes[symbol]} and {size} "
                f"(by {origin or f'--input-shape {name}'})"
            )
        if origin is None:
            asked.add(symbol)
    return sizes


def _bound_copy(
    model: ModelProto, shapes: Mapping[str, tuple[int, ...]], sizes: Mapping[str, int]
) -> ModelProto:
    copy = type(model)()
    copy.CopyFrom(model)
    for value in copy.graph.input:
        if value.name in shapes:
            symbols = [dim.dim_param for dim in _dims(value)] or [""] * len(shapes[value.name])
            both = zip(symbols, shapes[value.name], strict=True)
            _set_shape(value, [sizes.get(symbol, size) for symbol, size in both])
    for dim in _symbols(copy.graph):
        if dim.dim_param in sizes:
            dim.dim_value = sizes[dim.dim_param]
    return copy


def _check_against(value: ValueInfoProto, bindings: Bindings) -> None:
    given, origin = bindings.shapes[value.name], bindings.origins.get(value.name)
    kind = value.type.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        subject = f"{origin}: shape of {value.name!r}" if origin else f"--input-shape {value.name}"
        raise UsageError(f"{subject}: the input is no tensor but a {kind}")
    if not value.type.tensor_type.HasField("shape"):
        return
    declared = [
        dim.dim_param or (dim.dim_value if dim.dim_value > 0 else "?") for dim in _dims(value)
    ]
    fits = len(declared) == len(given) and all(
        size == fixed or isinstance(fixed, str) for fixed, size in zip(declared, given, strict=True)
    )
    if not fits:
        option = f"--input-shape {value.name}:{','.join(map(str, given))}"
        configured = f"{origin}: the shape {list(given)} of {value.name!r}"
        raise UsageError(
            f"{configured if origin else option} does not fit the input, "
            f"which is declared [{', '.join(map(str, declared))}]"
        )


def _set_shape(value: ValueInfoProto, shape: Sequence[int]) -> None:
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
