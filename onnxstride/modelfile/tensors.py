"""Tensors of a model: what is wrong with their bytes, and their values on demand.

A tensor's data is in one of four places: in the tensor itself (small), cut out of the skeleton
and still in the model's file (see ``wire``), in another file (see ``external``), or nowhere,
to be made up (see ``noise``). ``fault`` compares what type and shape ask for,

    bytes = ceil(elements * bits / 8),

with what lies there, without reading it. ``load`` returns a read-only array; the bytes of cut and
external ``raw_data`` are looked at where they are, not copied.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from struct import calcsize, unpack
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from onnx.onnx_ml_pb2 import TensorProto

from ..errors import InvalidTensor, ModelError
from .external import ExternalFiles, Region
from .protobuf import DecodeError
from .source import Source, close, release, view
from .wire import RAW_DATA, Cut, Removed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NOISE_KEY = "onnxstride.noise"  # noise.KEY, spelled here so that a plain lint needs no noise
_STRING = TensorProto.STRING
_EXTERNAL = TensorProto.EXTERNAL
_LONGEST_RANK = 64  # numpy's
_LARGEST = (1 << 63) - 1
_LONGEST_VARINT = 10

_BITS: dict[int, int] = (
    dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8)  # uint8 int8 bool float8*
    | dict.fromkeys((4, 5, 10, 16), 16)  # uint16 int16 float16 bfloat16
    | dict.fromkeys((1, 6, 12), 32)  # float int32 uint32
    | dict.fromkeys((7, 11, 13, 14), 64)  # int64 double uint64 complex64
    | {15: 128}  # complex128
    | dict.fromkeys((21, 22, 23), 4)  # uint4 int4 float4e2m1
    | dict.fromkeys((25, 26), 2)  # uint2 int2
    | dict.fromkeys((27, 28), 6)  # float6*
)
"""Bits of one element in ``raw_data``, by number, as older releases of onnx lack some names."""

_PER_ENTRY: dict[int, int] = {21: 2, 22: 2, 23: 2, 25: 4, 26: 4}
"""Elements that share one entry of ``int32_data``."""

_COMPLEX = frozenset({14, 15})  # two entries make one element

_FIELDS: dict[int, str] = {
    1: "float_data",
    14: "float_data",
    7: "int64_data",
    _STRING: "string_data",
    11: "double_data",
    15: "double_data",
    12: "uint64_data",
    13: "uint64_data",
}
"""The field that holds the elements of a type one by one; ``int32_data`` for those left out."""

_NUMPY: dict[int, str] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
"""What numpy calls a type, of those it has itself; onnx knows where the others come from."""

_LETTERS: dict[int, str] = {1: "f", 2: "B", 3: "b", 4: "H", 5: "h", 6: "i", 7: "q", 11: "d"}
"""What ``struct`` calls a type, of those it has."""

_STATED = "fiqd"  # of these, the types that have a field where each element is as it is


class Needs(NamedTuple):
    """What type and shape ask for. ``bits`` is 0 for strings, which have any length."""

    elements: int
    bits: int

    @property
    def size(self) -> int:
        """Bytes of ``raw_data``."""
        return (self.elements * self.bits + 7) // 8


class Tensors:
    """The data of one model's tensors."""

    def __init__(
        self, source: Source, cuts: list[Cut], key: str, files: ExternalFiles, *, has_noise: bool
    ) -> None:
        self.files = files
        self._source = source
        self._cuts = cuts
        self._key = key
        self._has_noise = has_noise
        self._views: list[tuple[Source, int, int]] = []

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the ``external_data`` that is no part of the file: marks of cuts and of noise."""
        return (self._key, _NOISE_KEY) if self._has_noise else (self._key,)

    def fault(self, tensor: TensorProto) -> ModelError | None:
        """What is wrong with the tensor, found without reading its data; None if nothing is."""
        try:
            self._check(tensor)
        except ModelError as error:
            return _named(tensor, error)
        return None

    def load(self, tensor: TensorProto) -> NDArray[np.generic]:
        """The tensor's values, read-only.

        Raises:
            InvalidTensor: its bytes do not match its type and shape.
            ExternalData: they are in a file that is missing, too short or out of bounds.
        """
        try:
            array = self._values(tensor, self._check(tensor))
        except ModelError as error:
            raise _named(tensor, error) from error
        except (ValueError, TypeError, OverflowError, DecodeError) as error:
            fault = InvalidTensor(f"its data cannot be read: {error}; export the model again")
            raise _named(tensor, fault) from error
        array.flags.writeable = False
        return array

    def numbers(self, tensor: TensorProto, first: int | None = None) -> list[float] | None:
        """The tensor's values, in order and without numpy; of ``first``, no more than so many.

        None where they are of a type, or spelled in a way, that takes numpy.

        Raises:
            InvalidTensor: its bytes do not match its type and shape.
            ExternalData: they are in a file that is missing, too short or out of bounds.
        """
        letter = _LETTERS.get(tensor.data_type)
        if letter is None:
            return None
        try:
            where = self._check(tensor)
        except ModelError as error:
            raise _named(tensor, error) from error
        whole = prod(tensor.dims)
        count = whole if first is None else min(whole, first)
        raw = self._beginning(tensor, where, count * calcsize(letter))
        if raw is not None:
            return list(unpack(f"<{count}{letter}", raw))
        entries = self._entries(tensor, where) if letter in _STATED and count == whole else ()
        return list(entries) if len(entries) == count else None

    def _entries(self, tensor: TensorProto, where: Region | Cut | None) -> Sequence[float]:
        """The elements one by one, where the file has them so; none for noise and damage."""
        if isinstance(where, Cut):
            try:
                held = TensorProto.FromString(self._source[where.start : where.stop])
            except DecodeError:  # which is for ``load`` to report
                return ()
            return _stated(held, tensor.data_type)
        return () if tensor.data_location == _EXTERNAL else _stated(tensor, tensor.data_type)

    def _beginning(
        self, tensor: TensorProto, where: Region | Cut | None, size: int
    ) -> bytes | memoryview | None:
        """The first bytes of the data, wherever it is; None where it is no raw data."""
        if isinstance(where, Region):
            source, start = self.files.source(where), where.start
        elif isinstance(where, Cut):
            raw = _raw(where)
            if raw is None:
                return None
            source, start = self._source, raw.payload
        else:
            return tensor.raw_data[:size] if tensor.HasField("raw_data") else None
        self._views.append((source, start, start + size))
        return view(source, start, start + size)

    def cut(self, tensor: TensorProto) -> Cut | None:
        """What was left out of this tensor; None where it is complete or its data elsewhere.

        Raises:
            InvalidTensor: its mark is damaged.
        """
        marks = [entry.value for entry in tensor.external_data if entry.key == self._key]
        if not marks:
            return None
        if len(marks) > 1:
            raise InvalidTensor(
                "it is stored in more than one piece, which no reader takes for one; export the "
                "model again"
            )
        # Without cuts no mark is ours: text can spell whatever it likes.
        index = int(marks[0], 16) if self._cuts else 0
        if index >= len(self._cuts):
            raise InvalidTensor("its data was left in another file, which it was read from")
        return self._cuts[index]

    def noise_size(self, tensor: TensorProto) -> int | None:
        """Bytes of ``raw_data`` that the noise made up for this tensor takes; None without noise.

        Raises:
            InvalidTensor: it asks for noise that cannot be made.
        """
        keys = {entry.key for entry in tensor.external_data}
        is_elsewhere = tensor.data_location == _EXTERNAL and self._key not in keys
        if not (self._has_noise and is_elsewhere and _NOISE_KEY in keys):
            return None
        fault = self.fault(tensor)
        if fault is not None:
            raise fault
        return _needs(tensor).size

    def release(self) -> None:
        """Gives back the memory of tensors that were looked into; arrays stay good.

        What a view has touched stays in memory with the map, however soon the view is gone.
        """
        for source, start, stop in self._views:
            release(source, start, stop)
        self._views.clear()

    def close(self) -> None:
        """Unmaps the files that no array looks into."""
        self.files.close()
        close(self._source)

    def _check(self, tensor: TensorProto) -> Region | Cut | None:
        """Where the data is, once it is known to fit; None where ``_values`` has no need of it."""
        needs = _needs(tensor)
        if tensor.data_location != _EXTERNAL:
            _check_inline(tensor, needs)
            return None
        cut = self.cut(tensor)
        if cut is not None:
            _check_cut(tensor, cut, needs)
            return cut
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if self._has_noise and _NOISE_KEY in entries:
            from . import noise

            noise.check(tensor, entries[_NOISE_KEY], needs.elements)
            return None
        if tensor.data_type == _STRING:
            raise InvalidTensor("strings cannot be external data; store them in the model")
        return self.files.region(entries, needs.size)

    def _values(self, tensor: TensorProto, where: Region | Cut | None) -> NDArray[np.generic]:
        if isinstance(where, Region):
            if where.start == where.stop:
                return _array(tensor, b"")
            return self._mapped(tensor, self.files.source(where), where.start, where.stop)
        if isinstance(where, Cut):
            raw = _raw(where)
            if raw is not None:
                return self._mapped(tensor, self._source, raw.payload, raw.stop)
            return _typed(tensor, self._source[where.start : where.stop])
        if tensor.data_location == _EXTERNAL:
            from . import noise

            marks = [entry.value for entry in tensor.external_data if entry.key == _NOISE_KEY]
            return noise.values(tensor, marks[-1])
        if tensor.data_type == _STRING:
            return _strings(tensor)
        if tensor.HasField("raw_data"):
            return _array(tensor, tensor.raw_data)
        return _listed(tensor)

    def _mapped(
        self, tensor: TensorProto, source: Source, start: int, stop: int
    ) -> NDArray[np.generic]:
        self._views.append((source, start, stop))
        return _array(tensor, view(source, start, stop))


def _needs(tensor: TensorProto) -> Needs:
    """What type and shape ask for; raises InvalidTensor where that is no array at all."""
    return _asked_by(tensor.data_type, tuple(tensor.dims))


@lru_cache(maxsize=1024)  # most weights are like another
def _asked_by(data_type: int, dims: tuple[int, ...]) -> Needs:
    if len(dims) > _LONGEST_RANK:
        raise InvalidTensor(f"it has {len(dims):,} axes; expected at most {_LONGEST_RANK}")
    count = extent = 1
    for size in dims:
        if size < 0:
            raise InvalidTensor(f"its shape is {list(dims)}; expected sizes of 0 or more")
        count *= size
        extent *= size or 1
    bits = 0 if data_type == _STRING else _BITS.get(data_type)
    if bits is None:
        raise InvalidTensor(
            f"its element type is {data_type}; expected one of 1 to {max(_BITS)}, the "
            "types onnx knows"
        )
    if extent * max(bits, 64) > 8 * _LARGEST:
        raise InvalidTensor(f"its shape is {list(dims)}, more bytes than 2^63 - 1; no such tensor")
    return Needs(count, bits)


def _check_inline(tensor: TensorProto, needs: Needs) -> None:
    if tensor.HasField("segment"):
        raise InvalidTensor("it is one segment of a larger tensor, which no runtime reads")
    if tensor.HasField("raw_data"):
        _check_raw(tensor, needs, len(tensor.raw_data))
        return
    field = _FIELDS.get(tensor.data_type, "int32_data")
    held, expected = len(getattr(tensor, field)), _entries(tensor.data_type, needs.elements)
    if held != expected:
        raise _wrong_length(tensor, held, expected, f"values in {field}")


def _check_raw(tensor: TensorProto, needs: Needs, held: int) -> None:
    if tensor.data_type == _STRING:
        raise InvalidTensor("its strings are in raw_data; expected string_data")
    if held != needs.size:
        raise _wrong_length(tensor, held, needs.size, "bytes")


def _check_cut(tensor: TensorProto, cut: Cut, needs: Needs) -> None:
    if cut.is_external or tensor.HasField("raw_data"):
        raise InvalidTensor(
            "its data is stored twice, in the model and outside of it; expected one place"
        )
    raw = _raw(cut)
    if raw is not None:
        _check_raw(tensor, needs, raw.stop - raw.payload)
        return
    field = _FIELDS.get(tensor.data_type, "int32_data")
    number = TensorProto.DESCRIPTOR.fields_by_name[field].number
    runs = [entry for entry in cut.removed if entry.number == number]
    expected = _entries(tensor.data_type, needs.elements)
    held = sum(entry.fields for entry in runs)
    if tensor.data_type == _STRING or not runs:
        if held != expected:
            raise _wrong_length(tensor, held, expected, f"values in {field}")
    elif held == 1:  # packed: one length, all the values
        _check_packed(tensor, field, runs[0].stop - runs[0].payload, expected)


def _check_packed(tensor: TensorProto, field: str, size: int, expected: int) -> None:
    """Fixed-width values have one length; a varint takes 1 to 10 bytes."""
    width = {"float_data": 4, "double_data": 8}.get(field)
    if width is not None and size != width * expected:
        raise _wrong_length(tensor, size, width * expected, f"bytes of {field}")
    if width is None and not expected <= size <= _LONGEST_VARINT * expected:
        raise _wrong_length(tensor, size, expected, f"values in {field}", unit="bytes")


def _wrong_length(
    tensor: TensorProto, held: int, expected: int, what: str, *, unit: str = ""
) -> InvalidTensor:
    shape = list(tensor.dims)
    if held == 0:
        return InvalidTensor(
            f"it has no data; its shape {shape} asks for {expected:,} {what}; the weights seem "
            "to be stripped: use the complete model"
        )
    found = f"{held:,} {unit}".rstrip()
    return InvalidTensor(
        f"its shape {shape} asks for {expected:,} {what}, found {found}; export the model again"
    )


def _entries(data_type: int, count: int) -> int:
    """Entries of the typed field that ``count`` elements take."""
    if data_type in _COMPLEX:
        return 2 * count
    return -(-count // _PER_ENTRY.get(data_type, 1))


def _raw(cut: Cut) -> Removed | None:
    """The ``raw_data`` that counts: the last one."""
    return next((entry for entry in reversed(cut.removed) if entry.number == RAW_DATA), None)


def _array(tensor: TensorProto, raw: bytes | memoryview) -> NDArray[np.generic]:
    """The array that ``raw_data`` spells, as a view of it wherever numpy has the layout."""
    dtype = _dtype(tensor.data_type)
    if dtype.itemsize * 8 != _BITS[tensor.data_type]:
        from onnx import numpy_helper

        whole = TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=bytes(raw))
        return numpy_helper.to_array(whole)
    array = np.frombuffer(raw, dtype).reshape(tuple(tensor.dims))
    return array.byteswap() if sys.byteorder == "big" else array


def _dtype(data_type: int) -> np.dtype[np.generic]:
    if data_type in _NUMPY:
        return np.dtype(_NUMPY[data_type])
    from onnx import helper

    return helper.tensor_dtype_to_np_dtype(data_type)


def _typed(tensor: TensorProto, message: bytes) -> NDArray[np.generic]:
    """The array in the typed fields of a whole tensor message, in ``tensor``'s type and shape."""
    whole = TensorProto.FromString(message)
    whole.data_type = tensor.data_type
    del whole.dims[:]
    whole.dims.extend(tensor.dims)
    return _strings(whole) if whole.data_type == _STRING else _listed(whole)


def _listed(tensor: TensorProto) -> NDArray[np.generic]:
    """The array of a tensor that has its elements one by one."""
    if _LETTERS.get(tensor.data_type, "-") in _STATED:
        stated = np.array(_stated(tensor, tensor.data_type), _NUMPY[tensor.data_type])
        return stated.reshape(tuple(tensor.dims))
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor)


def _stated(tensor: TensorProto, data_type: int) -> Sequence[float]:
    """The entries of the field that elements of a type are in."""
    entries: Sequence[float] = getattr(tensor, _FIELDS.get(data_type, "int32_data"))
    return entries


def _strings(tensor: TensorProto) -> NDArray[np.generic]:
    """One object per string: an array of fixed width would take the longest for each."""
    array = np.empty(len(tensor.string_data), dtype=object)
    array[:] = [text.decode() for text in tensor.string_data]
    return array.reshape(tuple(tensor.dims))


def _named(tensor: TensorProto, error: ModelError) -> ModelError:
    name = tensor.name if len(tensor.name) <= 200 else tensor.name[:200]
    return type(error)(f"tensor {name!r}: {error}")
