"""Values that are fixed in the file: initializers, Constant nodes, and what follows from them.

Followed through Identity, Cast, DequantizeLinear and ConstantOfShape, and from a local function
out to the one node that calls it. Weights are materialised only when they are asked for here,
and nothing is computed that would take more than 2^25 elements.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..geometry.few import Few
from .scope import DEFAULT_DOMAIN, Node, Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import TensorProto

    from ..modelfile import ModelFile

_MAX_STEPS = 32
_MAX_COMPUTED = 2**25
_MICROSOFT = "com.microsoft"
_NO_NUMBERS = "Oc"  # kinds of numpy: strings as objects, and complex numbers
_PLAIN_FLOATS = (1, 11)  # float, double
_FAR_TOO_MANY = 4  # times as many numbers as were asked for

_Array: TypeAlias = "NDArray[Any]"
_Known: TypeAlias = "dict[tuple[Scope, str], _Array | None]"


class Constants:
    """Reads constants of one model; arrays are read-only views where the file allows."""

    def __init__(self, model: ModelFile) -> None:
        self._model = model

    def value(self, scope: Scope, name: str) -> NDArray[Any] | None:
        """The constant called ``name`` where ``scope`` stands; None when it is computed.

        Raises:
            ModelError: the constant's bytes are missing or damaged.
        """
        return self._value(scope, name, _MAX_STEPS, {})

    def few(self, scope: Scope, name: str, at_most: int) -> Few | None:
        """The constant called ``name``, if it has few numbers; None also when it is computed.

        Raises:
            ModelError: the constant's bytes are missing or damaged.
        """
        found = self._tensor(scope, name)
        if found is not None:
            if prod(found.dims) > at_most:
                return None
            values = self._model.numbers(found)
            if values is not None:
                is_float = found.data_type in _PLAIN_FLOATS
                return Few(tuple(found.dims), values, is_float)
        value = self.value(scope, name)
        if value is None or value.size > at_most or value.dtype.kind not in "iuf":
            return None
        return Few(value.shape, value.reshape(-1).tolist(), value.dtype.kind == "f")

    def first_rows(self, scope: Scope, name: str, at_most: int) -> tuple[Few, float] | None:
        """The first entries along dimension 0 of a constant, and their share of all.

        They are as many as make ``at_most`` numbers, one at least: the beginning of the file's
        bytes, so that no more of them is read. None where the file does not hold it as it is, or
        one entry is far too long.

        Raises:
            ModelError: the constant's bytes are missing or damaged.
        """
        found = self._tensor(scope, name)
        if found is None or not found.dims or min(found.dims) < 1:
            return None
        rows, *others = found.dims
        count = min(rows, max(1, at_most // prod(others)))
        if count * prod(others) > _FAR_TOO_MANY * at_most:
            return None
        values = self._model.numbers(found, count * prod(others))
        if values is None:
            return None
        return Few((count, *others), values, found.data_type in _PLAIN_FLOATS), count / rows

    def _tensor(self, scope: Scope, name: str) -> TensorProto | None:
        """The tensor that a constant is, where it stands as such in the file."""
        home = scope.home(name) if name else None
        if home is None:
            return None
        if name in home.initializers:
            return home.initializers[name]
        node = home.producer(name)
        if node is None or (node.domain, node.op_type) != (DEFAULT_DOMAIN, "Constant"):
            return None
        value = node.attributes.get("value")
        return None if value is None or value.ref_attr_name else value.t

    def _value(self, scope: Scope, name: str, steps: int, known: _Known) -> _Array | None:
        """As ``value``; ``known`` keeps branches that meet again from being walked twice."""
        home = scope.home(name) if name else None
        if home is None or steps == 0:
            return None
        if (home, name) not in known:
            known[home, name] = None  # until shown: a cycle is no constant
            known[home, name] = self._read(home, name, steps - 1, known)
        return known[home, name]

    def _read(self, home: Scope, name: str, steps: int, known: _Known) -> _Array | None:
        if name in home.initializers:
            return self._model.tensor(home.initializers[name])
        node = home.producer(name)
        if node is not None:
            return self._computed(node, steps, known)
        outside = home.argument(name)
        return self._value(*outside, steps, known) if outside else None

    def _computed(self, node: Node, steps: int, known: _Known) -> _Array | None:
        if (node.domain, node.op_type) == (DEFAULT_DOMAIN, "Constant"):
            return self._constant(node)
        follow = _FOLLOWED.get((node.domain, node.op_type))
        if follow is None or not node.input(0):
            return None
        inputs = [self._value(node.scope, name, steps, known) for name in node.inputs]
        if any(array is None for array, name in zip(inputs, node.inputs, strict=True) if name):
            return None
        # Values beyond the range of a type wrap or become infinite, as they do at run time.
        with np.errstate(all="ignore"):
            return follow(self._model, node, inputs)

    def _constant(self, node: Node) -> _Array | None:
        for name, attribute in node.attributes.items():
            if attribute.ref_attr_name:
                return None
            if name == "value":
                return self._model.tensor(attribute.t)
            if name in ("value_int", "value_float"):
                kind: Any = np.int64 if name == "value_int" else np.float32
                return np.array(attribute.i if name == "value_int" else attribute.f, kind)
            if name == "value_ints":
                return np.array(attribute.ints, np.int64)
            if name == "value_floats":
                return np.array(attribute.floats, np.float32)
        return None


def _identity(model: ModelFile, node: Node, inputs: list[Any]) -> _Array | None:
    array: _Array | None = inputs[0]
    return array


def _cast(model: ModelFile, node: Node, inputs: list[Any]) -> _Array | None:
    from onnx import helper

    target = node.attributes.get("to")
    array: _Array = inputs[0]
    if target is None or target.ref_attr_name or array.dtype.kind in _NO_NUMBERS:
        return None
    try:
        dtype = helper.tensor_dtype_to_np_dtype(target.i)
    except (KeyError, ValueError):
        return None
    if dtype.kind in _NO_NUMBERS:
        return None
    if not any(array.strides):  # one value throughout, of any shape: see ConstantOfShape
        return np.broadcast_to(array[(slice(1),) * array.ndim].astype(dtype), array.shape)
    return array.astype(dtype) if array.size <= _MAX_COMPUTED else None


def _constant_of_shape(model: ModelFile, node: Node, inputs: list[Any]) -> _Array | None:
    attribute = node.attributes.get("value")
    if attribute is not None and attribute.ref_attr_name:
        return None
    value = model.tensor(attribute.t) if attribute is not None else np.zeros(1, np.float32)
    shape: _Array = inputs[0]
    if shape.ndim != 1 or shape.dtype != np.int64 or shape.size > 32 or np.any(shape < 0):
        return None
    if value.size != 1:
        return None
    try:
        # A view with zero strides: a shape of any size costs no memory.
        return np.broadcast_to(value.reshape(()), tuple(int(size) for size in shape))
    except ValueError:  # more elements than 64 bits can count
        return None


def _dequantize_linear(model: ModelFile, node: Node, inputs: list[Any]) -> _Array | None:
    if len(inputs) < 2 or inputs[1] is None:
        return None
    quantised, scale = inputs[0], inputs[1]
    offset = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros((), np.int32)
    if any(array.dtype.kind in _NO_NUMBERS for array in (quantised, scale, offset)):
        return None
    axis, block = _stated(node, "axis", 1), _stated(node, "block_size", 0)
    if axis is None or block is None or quantised.size > _MAX_COMPUTED:
        return None
    scale = _along(axis, block, scale, quantised)
    offset = _along(axis, block, offset, quantised)
    if scale is None or offset is None:
        return None
    centred = quantised.astype(np.float32) - offset.astype(np.float32)
    return np.asarray(centred * scale.astype(np.float32))


def _stated(node: Node, name: str, default: int) -> int | None:
    attribute = node.attributes.get(name)
    if attribute is None:
        return default
    return None if attribute.ref_attr_name else int(attribute.i)


def _along(axis: int, block: int, parameter: _Array, tensor: _Array) -> _Array | None:
    """A scale or zero point shaped to multiply ``tensor``: per tensor, per axis or per block."""
    if parameter.size == 1:
        return parameter.reshape(())
    if not -tensor.ndim <= axis < tensor.ndim:
        return None
    axis %= tensor.ndim
    size = tensor.shape[axis]
    if block == 0 and parameter.shape == (size,):
        return parameter.reshape([-1 if i == axis else 1 for i in range(tensor.ndim)])
    if not 0 < block <= size:
        return None
    if parameter.shape != (*tensor.shape[:axis], -(-size // block), *tensor.shape[axis + 1 :]):
        return None
    repeated: _Array = np.repeat(parameter, block, axis=axis)
    return repeated[(slice(None),) * axis + (slice(size),)]


_FOLLOWED: dict[tuple[str, str], Callable[[ModelFile, Node, list[Any]], _Array | None]] = {
    (DEFAULT_DOMAIN, "Identity"): _identity,
    (DEFAULT_DOMAIN, "Cast"): _cast,
    (DEFAULT_DOMAIN, "ConstantOfShape"): _constant_of_shape,
    (DEFAULT_DOMAIN, "DequantizeLinear"): _dequantize_linear,
    (_MICROSOFT, "DequantizeLinear"): _dequantize_linear,
}
