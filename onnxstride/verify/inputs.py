"""What a model takes in, and feeds made up for it.

A feed follows from the inputs, the sizes of their dynamic axes, a seed and a kind:

- ``mixed``: normally distributed, of both signs, with values of 4 along every border, of 8 in the
  corners and one of 16 anywhere in every channel: what is cut off, shifted or padded wrongly at a
  border shows, and so does an order of neighbours;
- ``negative``: the same, all below zero: a zero that should be minus infinity shows;
- ``sparse``: nothing but the impulses: a single misplaced element shows.

Uniform values in [0, 1), which are often used, hide every fault of padding with zeros.

Integers have no kinds. ``uint8`` and ``int8`` take all their values, as images and quantised
tensors do; the others are 0 to 7, as they may be indices into something. Booleans are random.
Strings, sequences, maps and optional values cannot be made up.
"""

import math
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from ..errors import UsageError
from .mapped import blocks, converted, room_for
from .runtime import Array, dtype_of

_BORDER, _CORNER, _IMPULSE = 4.0, 8.0, 16.0
_INDEX_LIMIT = 8
_WHOLE_RANGE = {"uint8": (0, 256), "int8": (-128, 128)}
_LARGEST_FEED = 64 << 30
"""Bytes; a model that declares more at its sizes wants other sizes, or is hostile."""

_KINDS_OF_TYPE = {
    "sequence_type": "a sequence",
    "optional_type": "an optional value",
    "map_type": "a map",
    "sparse_tensor_type": "a sparse tensor",
}


class Kind(StrEnum):
    """What the floating values of a feed are like; see the module's docstring."""

    MIXED = "mixed"
    NEGATIVE = "negative"
    SPARSE = "sparse"
    SCENE = "scene"  # as ``scenes`` makes it


NOISE = (Kind.MIXED, Kind.NEGATIVE, Kind.SPARSE)
"""The kinds of feeds that are made to show faults."""


@dataclass(frozen=True, slots=True)
class Input:
    """An input as the model declares it.

    ``dtype`` is numpy's name of the type, or ``string``. An axis of ``dims`` is a size, or a
    symbol: the model's own, or ``name[axis]`` where it has none. ``dims`` is None where not even
    the rank is declared. ``problem`` says why no values can be made up or fed, if so.
    """

    name: str
    dtype: str
    dims: tuple[int | str, ...] | None
    problem: str = ""


def read_inputs(graph: onnx.GraphProto) -> tuple[Input, ...]:
    """The inputs that must be fed: those that are no initializers."""
    given = {tensor.name for tensor in graph.initializer}
    given.update(tensor.values.name for tensor in graph.sparse_initializer)
    return tuple(_input(value) for value in graph.input if value.name not in given)


def symbols(inputs: Iterable[Input]) -> tuple[str, ...]:
    """Every symbol in the inputs' shapes, once."""
    named = (dim for item in inputs for dim in item.dims or () if isinstance(dim, str))
    return tuple(dict.fromkeys(named))


def shape_of(item: Input, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape at these sizes."""
    return tuple(dim if isinstance(dim, int) else sizes[dim] for dim in item.dims or ())


def make_feed(
    inputs: Sequence[Input],
    sizes: Mapping[str, int],
    seed: int,
    kind: Kind,
    *,
    non_negative: Collection[str] = (),
) -> dict[str, Array]:
    """One feed: the same for the same arguments. Inputs in ``non_negative`` get magnitudes only.

    Raises:
        UsageError: it would not fit on the disk, or an input cannot be made up.
    """
    shapes = {item.name: shape_of(item, sizes) for item in inputs}
    _refuse_giants(inputs, shapes)
    try:
        feed = {item.name: _values(item, shapes[item.name], seed, kind) for item in inputs}
    except OSError as error:
        raise UsageError(
            f"no feed can be made up: {error}; give a smaller one with --input-shape"
        ) from error
    for name in set(non_negative) & set(feed):
        np.abs(feed[name], out=feed[name])
    return feed


def _refuse_giants(inputs: Sequence[Input], shapes: Mapping[str, tuple[int, ...]]) -> None:
    for item in inputs:
        if item.problem:
            raise UsageError(f"input {item.name!r}: {item.problem}; give values with --data")
        if math.prod(shapes[item.name]) * 4 > _LARGEST_FEED:
            shape = "x".join(map(str, shapes[item.name]))
            raise UsageError(
                f"input {item.name!r} of shape {shape} takes more than "
                f"{_LARGEST_FEED >> 30} GiB; give a smaller one with --input-shape"
            )


def _input(value: onnx.ValueInfoProto) -> Input:
    which = value.type.WhichOneof("value")
    if which != "tensor_type":
        what = _KINDS_OF_TYPE.get(which or "", "of no declared type")
        return Input(value.name, "", None, f"it is {what}, which cannot be checked")
    tensor = value.type.tensor_type
    try:
        dtype = _dtype(tensor.elem_type)
    except (KeyError, TypeError):
        return Input(value.name, "", None, f"its element type {tensor.elem_type} is unknown")
    if not tensor.HasField("shape"):
        problem = "its shape is not declared; give one with --input-shape"
        return Input(value.name, dtype, None, problem)
    dims = tuple(
        dim.dim_value if dim.dim_value > 0 else dim.dim_param or f"{value.name}[{axis}]"
        for axis, dim in enumerate(tensor.shape.dim)
    )
    return Input(value.name, dtype, dims, "" if dtype in _MAKERS else _unmade(dtype))


def _unmade(dtype: str) -> str:
    return f"no values can be made up for type {dtype}"


def _dtype(element_type: int) -> str:
    if element_type == onnx.TensorProto.STRING:
        return "string"
    if element_type == onnx.TensorProto.BFLOAT16:  # older releases of onnx say float32
        return "bfloat16"
    return helper.tensor_dtype_to_np_dtype(element_type).name


def _values(item: Input, shape: tuple[int, ...], seed: int, kind: Kind) -> Array:
    random = np.random.default_rng([seed, zlib.crc32(item.name.encode()), *map(ord, kind.value)])
    return _MAKERS[item.dtype](random, shape, item.dtype, kind)


def _floats(random: np.random.Generator, shape: tuple[int, ...], dtype: str, kind: Kind) -> Array:
    values = room_for(shape, np.dtype(np.float32))
    if kind is not Kind.SPARSE:
        random.standard_normal(out=values, dtype=np.float32)
    _strengthen_borders(random, values, kind)
    _set_impulses(random, values)
    if kind is Kind.NEGATIVE:
        np.abs(values, out=values)
        values += np.float32(0.1)
        np.negative(values, out=values)
    stored = dtype_of("float" if dtype == "float32" else dtype)
    return values if stored == values.dtype else converted(values, stored)


def _strengthen_borders(random: np.random.Generator, values: NDArray[Any], kind: Kind) -> None:
    """Sets corners, and all of the borders unless ``sparse``, to strong values of either sign."""
    axes = range(max(0, min(2, values.ndim - 1)), values.ndim)
    edges = [sorted({0, values.shape[axis] - 1}) if values.shape[axis] else [] for axis in axes]
    for axis, ends in zip(axes, edges, strict=True):
        for end in ends if kind is not Kind.SPARSE else []:
            border = (slice(None),) * axis + (end,)
            values[border] = _signs(random, values[border].shape) * _BORDER
    if values.ndim:
        corners = np.ix_(*(range(size) for size in values.shape[: axes.start]), *edges)
        values[corners] = _signs(random, values[corners].shape) * _CORNER


def _set_impulses(random: np.random.Generator, values: NDArray[Any]) -> None:
    """One very strong value in every channel: of the last axes together, behind the first two."""
    if values.size == 0 or values.ndim == 0:
        return
    leading = min(2, values.ndim - 1)
    rows = values.reshape(math.prod(values.shape[:leading]), -1)
    places = random.integers(rows.shape[1], size=len(rows))
    rows[np.arange(len(rows)), places] = _signs(random, places.shape) * _IMPULSE


def _signs(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return random.choice(np.array([-1, 1], np.float32), size=shape)


def _integers(random: np.random.Generator, shape: tuple[int, ...], dtype: str, _: Kind) -> Array:
    return _whole(random, shape, dtype, *_WHOLE_RANGE.get(dtype, (0, _INDEX_LIMIT)))


def _booleans(random: np.random.Generator, shape: tuple[int, ...], dtype: str, _: Kind) -> Array:
    return _whole(random, shape, dtype, 0, 2)


def _whole(
    random: np.random.Generator, shape: tuple[int, ...], dtype: str, low: int, high: int
) -> Array:
    values = room_for(shape, np.dtype(dtype))
    for block in blocks(values):
        block[...] = random.integers(low, high, size=block.size)
    return values


_Maker = Callable[[np.random.Generator, tuple[int, ...], str, Kind], Array]
_MAKERS: dict[str, _Maker] = {
    **dict.fromkeys(("float16", "bfloat16", "float32", "float64"), _floats),
    **dict.fromkeys(("int8", "int16", "int32", "int64"), _integers),
    **dict.fromkeys(("uint8", "uint16", "uint32", "uint64"), _integers),
    "bool": _booleans,
}
