"""A model as the sequence of pieces it is written from.

The proto of a ``ModelFile`` is a skeleton: see ``wire`` for what is left out and how it is
marked. Here the way back: the proto is encoded, and wherever a mark stands the piece that was
left out takes its place, as a range of the source that nobody has to load. With

    length(message) = sum of the lengths of its pieces,

the length in front of every message around such a place is written anew. The other bytes are
those of the encoded proto.

The marks themselves go: a tensor has again the ``data_location`` and ``external_data`` of the
file. Noise (see ``noise``) becomes ``raw_data``.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

import onnx

from ..errors import InvalidTensor, WriteError
from .protobuf import EncodeError
from .reader import ModelFile
from .source import Source, release
from .wire import DATA_FIELDS, DIVES, RAW_DATA, Cut, Removed, varint

BLOCK = 2 << 20
"""Bytes of the largest blocks that files are cached in: touching a page maps all of its block."""

_TENSOR = "TensorProto"
_EXTERNAL = onnx.TensorProto.EXTERNAL
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


class Span(NamedTuple):
    """Bytes ``start`` to ``stop`` of the model's source."""

    start: int
    stop: int


class Noise(NamedTuple):
    """The ``raw_data`` made up for a tensor, ``size`` bytes."""

    tensor: onnx.TensorProto
    size: int


Piece = bytes | memoryview | Span | Noise


class Plan(NamedTuple):
    """What to write, how long it is, and which files of external data it refers to."""

    pieces: list[Piece]
    size: int
    locations: tuple[str, ...]


class _Field(NamedTuple):
    """A field: its tag, where it starts, where what follows the tag does, its content, its end."""

    tag: int
    start: int
    value: int
    payload: int
    stop: int


def plan_of(model: ModelFile) -> Plan:
    """The pieces that make up the file of a model.

    Raises:
        WriteError: the proto has no encoding, or a tensor has data in two places.
        InvalidTensor: a tensor's data was left in another model, or in several pieces.
    """
    try:
        data = model.proto.SerializeToString()
    except (EncodeError, ValueError) as error:
        raise WriteError(
            "protobuf cannot encode the model; expected less than 2 GiB besides the weights that "
            "were left in its file; keep new weights as external data"
        ) from error
    planner = _Planner(model, data)
    pieces = planner.message("ModelProto", 0, len(data))
    return Plan(pieces, _total(pieces), tuple(planner.locations))


def _total(pieces: list[Piece]) -> int:
    return sum(
        piece.stop - piece.start
        if isinstance(piece, Span)
        else piece.size
        if isinstance(piece, Noise)
        else len(piece)
        for piece in pieces
    )


class _Planner:
    """One pass over an encoded proto; ``locations`` of external data gather on the way.

    Few messages hold anything to put back. Where that is shows in the bytes: as a key of
    ``external_data``. Only messages around such a clue are looked into.
    """

    def __init__(self, model: ModelFile, data: bytes) -> None:
        self.locations: dict[str, None] = {}
        self._model = model
        self._data = memoryview(data)
        clues = (_clue(key) for key in (*model.keys, "location"))
        self._clues = sorted(place for clue in clues for place in _places(data, clue))

    def message(self, kind: str, start: int, stop: int) -> list[Piece]:
        """The pieces of the message that the proto has from ``start`` to ``stop``."""
        if kind == _TENSOR:
            return self._tensor(start, stop)
        pieces: list[Piece] = []
        kept = start
        for field in _fields(self._data, start, stop):
            child = DIVES[kind].get(field.tag >> 3) if field.tag & 7 == _BYTES else None
            if child is None or not self._has_clue(field.payload, field.stop):
                continue
            inner = self.message(child, field.payload, field.stop)
            pieces += [self._data[kept : field.value], varint(_total(inner)), *inner]
            kept = field.stop
        pieces.append(self._data[kept:stop])
        return pieces

    def _has_clue(self, start: int, stop: int) -> bool:
        index = bisect_left(self._clues, start)
        return index < len(self._clues) and self._clues[index] < stop

    def _tensor(self, start: int, stop: int) -> list[Piece]:
        tensor = onnx.TensorProto.FromString(self._data[start:stop].tobytes())
        try:
            cut = self._model.cut(tensor)
        except InvalidTensor as error:
            raise InvalidTensor(f"tensor {tensor.name!r}: {error}") from error
        if cut is not None:
            _refuse_second_data(tensor)
            _unmark(tensor, self._model.keys[0], _left_in_place(self._model.source, cut))
            self._note_location(tensor)
            return _with_cut(tensor, cut)
        size = self._model.noise_size(tensor)
        if size is not None:
            return _with_noise(tensor, size)
        self._note_location(tensor)
        return [self._data[start:stop]]

    def _note_location(self, tensor: onnx.TensorProto) -> None:
        if tensor.data_location != _EXTERNAL:
            return
        entries: dict[str, str | bytes] = {e.key: e.value for e in tensor.external_data}
        location = entries.get("location")
        if location and isinstance(location, str):  # bytes, where they are no UTF-8
            self.locations[location] = None


def _refuse_second_data(tensor: onnx.TensorProto) -> None:
    if any(field.number in DATA_FIELDS for field, _ in tensor.ListFields()):
        raise WriteError(
            f"tensor {tensor.name!r} has data of its own besides the data it was read with; "
            "expected one of them: to replace a tensor's data, make it a new tensor"
        )


def _left_in_place(source: Source, cut: Cut) -> onnx.TensorProto:
    """A cut tensor as the file has it, but for its data."""
    parts: list[bytes] = []
    kept = cut.start
    for entry in cut.removed:
        parts.append(source[kept : entry.start])
        kept = entry.stop
    parts.append(source[kept : cut.stop])
    release(source, cut.start - BLOCK, cut.stop + BLOCK)
    tensor: onnx.TensorProto = onnx.TensorProto.FromString(b"".join(parts))
    return tensor


def _unmark(tensor: onnx.TensorProto, key: str, before: onnx.TensorProto) -> None:
    """Takes the mark off, leaving ``data_location`` as it was ``before``, be it absent or 0."""
    for index in reversed(range(len(tensor.external_data))):
        if tensor.external_data[index].key == key:
            del tensor.external_data[index]
    if before.HasField("data_location"):
        tensor.data_location = before.data_location
    else:
        tensor.ClearField("data_location")


def _with_cut(tensor: onnx.TensorProto, cut: Cut) -> list[Piece]:
    """The tensor with its data, each field at the place protobuf gives its number."""
    data = memoryview(tensor.SerializeToString())
    pieces: list[Piece] = []
    kept = 0
    for entry in sorted(cut.removed, key=_number):
        place = _place(data, entry.number)
        pieces += [data[kept:place], Span(entry.start, entry.stop)]
        kept = place
    pieces.append(data[kept:])
    return pieces


def _number(entry: Removed) -> int:
    return entry.number


def _with_noise(tensor: onnx.TensorProto, size: int) -> list[Piece]:
    """The tensor with its noise as ``raw_data``."""
    bare = onnx.TensorProto()
    bare.CopyFrom(tensor)
    bare.ClearField("external_data")
    bare.ClearField("data_location")
    data = memoryview(bare.SerializeToString())
    place = _place(data, RAW_DATA)
    head = varint(RAW_DATA << 3 | _BYTES) + varint(size)
    return [data[:place], head, Noise(tensor, size), data[place:]]


def _place(data: memoryview, number: int) -> int:
    """Where a field of this number goes: in front of the first with a higher one."""
    for field in _fields(data, 0, len(data)):
        if field.tag >> 3 > number:
            return field.start
    return len(data)


def _clue(key: str) -> bytes:
    """A key as an entry of ``external_data`` spells it."""
    content = key.encode()
    return varint(1 << 3 | _BYTES) + varint(len(content)) + content


def _places(data: bytes, clue: bytes) -> Iterator[int]:
    place = data.find(clue)
    while place >= 0:
        yield place
        place = data.find(clue, place + 1)


def _fields(data: memoryview, start: int, stop: int) -> Iterator[_Field]:
    """The fields of a message that protobuf itself has encoded."""
    position = start
    while position < stop:
        tag, value = _varint(data, position)
        payload, wire = value, tag & 7
        if wire == _BYTES:
            size, payload = _varint(data, value)
            end = payload + size
        elif wire == _VARINT:
            end = _varint(data, value)[1]
        elif wire in (_EIGHT, _FOUR):
            end = value + (8 if wire == _EIGHT else 4)
        else:
            raise WriteError(
                f"unknown field {tag >> 3} is a group, which ONNX does not use and onnxstride "
                "cannot keep; export the model again"
            )
        yield _Field(tag, position, value, payload, end)
        position = end


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """A varint's value and the position after it."""
    byte = data[position]
    value, shift = byte & 0x7F, 7
    position += 1
    while byte > 0x7F:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        shift += 7
    return value, position
