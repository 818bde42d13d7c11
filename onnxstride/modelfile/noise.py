"""Seeded noise: weights for a text model that names them but gives no values.

A tensor so marked carries ``external_data = {KEY: "role:seed"}``. With n drawn from a standard
normal distribution and fan_in the product of all dimensions but the first:

========  ==========================  =======================================
role      values                      for
========  ==========================  =======================================
weight    n sqrt(2 / fan_in)          kernels and matrices (He et al. 2015)
offset    0.1 n                       biases, means: whatever has one axis
positive  1 + 0.1 abs(n)              scales and variances
========  ==========================  =======================================

Integers are small: -8 .. 7 or 0 .. 15 as the type allows, from 1 where they must be positive.
"""

import math
import zlib

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from ..errors import InvalidTensor

KEY = "onnxstride.noise"
WEIGHT, OFFSET, POSITIVE = "weight", "offset", "positive"
ELEMENT_LIMIT = 1 << 28
"""Noise is made in memory; past this many elements it would fill it."""
_PIECE = 1 << 18
"""Elements drawn at a time: what is drawn is wider than what most tensors hold."""

_TYPES = onnx.TensorProto
_SIGNED = frozenset({_TYPES.INT4, _TYPES.INT8, _TYPES.INT16, _TYPES.INT32, _TYPES.INT64})
_UNSIGNED: dict[int, int] = {
    _TYPES.BOOL: 1,
    _TYPES.UINT4: 4,
    _TYPES.UINT8: 8,
    _TYPES.UINT16: 16,
    _TYPES.UINT32: 32,
    _TYPES.UINT64: 64,
}


def noise_tensor(name: str, data_type: int, dims: list[int], role: str) -> onnx.TensorProto:
    """A tensor without data, whose values follow from its name, type, shape and role."""
    tensor = onnx.TensorProto(name=name, data_type=data_type, dims=dims)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key=KEY, value=f"{role}:{zlib.crc32(name.encode())}")
    return tensor


def check(tensor: onnx.TensorProto, mark: str | bytes, count: int) -> None:
    """Raises InvalidTensor where no noise can be made."""
    _role_and_seed(mark)
    if tensor.data_type == _TYPES.STRING:
        raise InvalidTensor("strings need values; give them after '='")
    if count > ELEMENT_LIMIT:
        raise InvalidTensor(
            f"{count:,} elements without values; at most {ELEMENT_LIMIT:,} are made up; store the "
            "weights in the model or make them smaller"
        )


def values(tensor: onnx.TensorProto, mark: str | bytes) -> NDArray[np.generic]:
    """The noise itself: the same for the same mark, type and shape, everywhere and always."""
    role, seed = _role_and_seed(mark)
    # RandomState's stream is frozen for good; Generator's may change with numpy.
    random = np.random.RandomState(seed)
    shape = tuple(tensor.dims)
    found = np.empty(shape, helper.tensor_dtype_to_np_dtype(tensor.data_type))
    flat = found.reshape(-1)
    for start in range(0, flat.size, _PIECE):
        piece = flat[start : start + _PIECE]
        piece[...] = _drawn(random, tensor.data_type, role, shape, piece.size).astype(found.dtype)
    return found


def _drawn(
    random: np.random.RandomState, data_type: int, role: str, shape: tuple[int, ...], count: int
) -> NDArray[np.generic]:
    """The next elements of a tensor: the same however many are drawn at a time."""
    if data_type in _SIGNED or data_type in _UNSIGNED:
        low, high = _bounds(data_type)
        low = max(low, 1) if role == POSITIVE else low
        return random.randint(low, high + 1, count)
    normal = random.standard_normal(count)
    if role == POSITIVE:
        return np.asarray(1 + 0.1 * np.abs(normal))
    scale = 0.1 if role == OFFSET else math.sqrt(2 / math.prod(shape[1:]))
    return np.asarray(scale * normal)


def _bounds(data_type: int) -> tuple[int, int]:
    """The smallest and largest integer made for a type."""
    if data_type in _SIGNED:
        return -8, 7
    return 0, min(15, (1 << _UNSIGNED[data_type]) - 1)


def _role_and_seed(mark: str | bytes) -> tuple[str, int]:
    role, _, seed = mark.partition(":") if isinstance(mark, str) else ("", "", "")
    known = role in (WEIGHT, OFFSET, POSITIVE)
    if not (known and seed.isascii() and seed.isdigit() and len(seed) <= 10):
        raise InvalidTensor(f"expected 'role:seed' as the mark of seeded noise, found {mark!r}")
    return role, int(seed) & 0xFFFF_FFFF
