"""The protobuf wire format, read just far enough to leave the weights where they lie.

A message is a run of fields: a tag (field number * 8 + wire type, as a varint), then for wire
type 0 a varint, 1 eight bytes, 5 four bytes, 2 a length and that many bytes. ``skeleton`` steps
from field to field and descends into a message only where the schema says that a tensor may be
inside and the message is longer than ``THRESHOLD``. What it returns is the model's own bytes, in
the longest runs possible, without the data fields of large tensors. Each such tensor is marked by

    data_location = EXTERNAL, external_data = {key: index into ``cuts``}

which travels with the tensor wherever the message is copied. The key appears nowhere else in the
skeleton, so no file can point at data that is not its own.

Lengths of messages around a cut are rewritten as the shortest varint; everything else is kept
byte for byte, unknown fields, order and repetitions included.
"""

from typing import NamedTuple, NoReturn

from ..errors import NotAModel
from .source import Source, expect_anything, expect_headers, release

THRESHOLD = 1024
"""Messages and tensor data up to this many bytes are kept as they are."""

NESTING_LIMIT = 100
"""How deep messages may nest in the model; protobuf's own limit."""

SKELETON_LIMIT = 1 << 28
"""Bytes a model may have besides its weights; past this, reading it would take gigabytes."""

MARKER = "onnxstride.span"

DIVES: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
}
"""Message -> field number -> message in that field: every way that leads to a tensor."""

DATA_FIELDS = frozenset({4, 5, 6, 7, 9, 10, 11})
"""Fields of TensorProto that hold its elements."""

RAW_DATA = 9

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_DATA_LOCATION_TAG = 14 << 3
_EXTERNAL = b"\x70\x01"  # data_location: EXTERNAL
_LONGEST_VARINT = 10
_RELEASE_EVERY = 8 << 20
_CHILDREN = {
    message: {number << 3 | _BYTES: child for number, child in fields.items()}
    for message, fields in DIVES.items()
}


class Removed(NamedTuple):
    """Fields left out of a tensor: bytes ``start`` (the first tag) to ``stop`` of the source.

    Neighbours of the same number, ``fields`` of them, are one entry. ``payload`` is where the
    content of the first begins.
    """

    number: int
    start: int
    payload: int
    stop: int
    fields: int


class Cut(NamedTuple):
    """A tensor whose data was left out; its message is bytes ``start`` to ``stop``.

    The message without ``removed``, with ``marker`` at its end, is what the skeleton holds.
    ``is_external`` tells that the file says its data is elsewhere as well.
    """

    start: int
    stop: int
    removed: tuple[Removed, ...]
    is_external: bool


class Skeleton(NamedTuple):
    """A model without its large tensors' data, and where that data is."""

    data: bytes
    cuts: list[Cut]
    key: str


def skeleton(source: Source) -> Skeleton:
    """The skeleton of the model that ``source`` holds.

    Raises:
        NotAModel: the bytes end too early, nest too deep, or are no protobuf.
    """
    expect_headers(source)
    try:
        found = _scan(source, MARKER)
        if found.data.count(MARKER.encode()) == len(found.cuts):
            return found
        # The file itself speaks of the marker: use one that it cannot know.
        import secrets

        return _scan(source, f"{MARKER}.{secrets.token_hex(16)}")
    finally:
        expect_anything(source)


def marker(key: str, index: int) -> bytes:
    """The fields that mark a tensor as number ``index`` of the cuts."""
    return _marker_but_index(key) + b"%08x" % index


def _marker_but_index(key: str) -> bytes:
    """The marker up to its last eight bytes, the index in hexadecimal."""
    entry = _field(1, key.encode()) + _field(2, bytes(8))
    return (_EXTERNAL + _field(13, entry))[:-8]


def varint(value: int) -> bytes:
    """The shortest varint of a value that is not negative."""
    if value <= 0x7F:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | _BYTES) + varint(len(content)) + content


def _scan(source: Source, key: str) -> Skeleton:
    scanner = _Scanner(source, key)
    if scanner.message("ModelProto", 0, len(source), 0) is None:
        return Skeleton(scanner.kept(0, len(source)), [], key)
    return Skeleton(b"".join(scanner.pieces), scanner.cuts, key)


class _Scanner:
    """One pass over a source; ``pieces`` of the skeleton and ``cuts`` gather on the way."""

    def __init__(self, source: Source, key: str) -> None:
        self.pieces: list[bytes] = []
        self.cuts: list[Cut] = []
        self._source = source
        self._size = len(source)
        self._marker = _marker_but_index(key)
        self._kept = 0
        self._released = 0

    def message(self, kind: str, start: int, stop: int, depth: int) -> int | None:
        """The length of a message once shortened, its pieces added; None where it stays whole."""
        if depth > NESTING_LIMIT:
            raise _too_deep(start)
        source, children = self._source, _CHILDREN[kind]
        length = stop - start
        kept = position = start
        while position < stop:
            field = position
            tag = source[position]
            position += 1
            if not 8 <= tag <= 0x7F:
                tag, position = self._tag(field, stop, kind)
            if tag & 7 != _BYTES:
                position = self._skipped(tag, field, position, stop, kind)
                continue
            length_at = position
            size = source[position] if position < stop else 0x80
            position += 1
            if size > 0x7F:
                size, position = self._varint(length_at, stop, kind)
            end = position + size
            if end > stop:
                self._overrun(kind, tag, field, end, stop)
            if size > THRESHOLD and tag in children:
                before = len(self.pieces)
                shorter = self._child(children[tag], position, end, depth + 1)
                if shorter is not None:
                    header = varint(shorter)
                    self.pieces[before] = self.kept(kept, length_at) + header
                    length += len(header) + shorter - (end - length_at)
                    kept = end
            position = end
        if kept == start:
            return None
        self.pieces.append(self.kept(kept, stop))
        return length

    def _child(self, kind: str, start: int, stop: int, depth: int) -> int | None:
        """As ``message``, with one piece in front for what precedes the child."""
        before = len(self.pieces)
        self.pieces.append(b"")
        shorter = (
            self._tensor(start, stop)
            if kind == "TensorProto"
            else self.message(kind, start, stop, depth)
        )
        if shorter is None:
            del self.pieces[before:]
        return shorter

    def kept(self, start: int, stop: int) -> bytes:
        """A run of bytes that belongs to the skeleton."""
        self._kept += stop - start
        if self._kept > SKELETON_LIMIT:
            raise NotAModel(
                f"more than {SKELETON_LIMIT >> 20} MiB besides its tensors; expected a graph that "
                "is small without them; look for text or bytes stored in attributes"
            )
        return self._source[start:stop]

    def _tensor(self, start: int, stop: int) -> int | None:
        """As ``message``, for a tensor: None where its data is small."""
        removed, is_external = self._data_fields(start, stop)
        size = 0
        for entry in removed:
            size += entry.stop - entry.start
        if size <= THRESHOLD:
            return None
        kept = start
        for entry in removed:
            if entry.start > kept:
                self.pieces.append(self.kept(kept, entry.start))
            kept = entry.stop
        mark = self._marker + b"%08x" % len(self.cuts)
        self.pieces.append(self.kept(kept, stop) + mark if kept < stop else mark)
        self.cuts.append(Cut(start, stop, tuple(removed), is_external))
        if stop - self._released > _RELEASE_EVERY:
            # Once more for the stretch before: a page of a large block brings the whole block.
            release(self._source, self._released - _RELEASE_EVERY, stop)
            self._released = stop
        return stop - start - size + len(mark)

    def _data_fields(self, start: int, stop: int) -> tuple[list[Removed], bool]:
        """The data fields of a tensor, and whether its last ``data_location`` is external."""
        source = self._source
        found: list[Removed] = []
        is_external = False
        position = start
        while position < stop:
            field = position
            tag = source[position]
            position += 1
            if not 8 <= tag <= 0x7F:
                tag, position = self._tag(field, stop, "TensorProto")
            payload = position
            wire = tag & 7
            if wire == _VARINT and position < stop and source[position] <= 0x7F:
                position += 1
            elif wire == _BYTES:
                size = source[position] if position < stop else 0x80
                payload += 1
                if size > 0x7F:
                    size, payload = self._varint(position, stop, "TensorProto")
                position = payload + size
                if position > stop:
                    self._overrun("TensorProto", tag, field, position, stop)
            else:
                position = self._skipped(tag, field, position, stop, "TensorProto")
            if tag >> 3 in DATA_FIELDS:
                _add(found, Removed(tag >> 3, field, payload, position, 1))
            elif tag == _DATA_LOCATION_TAG:
                is_external = self._varint(payload, stop, "TensorProto")[0] == 1
        return found, is_external

    def _tag(self, position: int, stop: int, kind: str) -> tuple[int, int]:
        tag, after = self._varint(position, stop, kind)
        if tag < 8:
            raise NotAModel(
                f"byte {position:,} should begin a field of {kind}, found field number 0; the "
                "file is damaged or no ONNX model"
            )
        return tag, after

    def _skipped(self, tag: int, field: int, position: int, stop: int, kind: str) -> int:
        """The position after a field that is not length-delimited."""
        wire = tag & 7
        if wire == _VARINT:
            return self._varint(position, stop, kind)[1]
        if wire not in (_EIGHT, _FOUR):
            what = "a group" if wire in (3, 4) else f"wire type {wire}"
            raise NotAModel(
                f"field {tag >> 3} of {kind} at byte {field:,} is {what}, which ONNX does not "
                "use; the file is damaged or no ONNX model"
            )
        position += 8 if wire == _EIGHT else 4
        if position > stop:
            self._overrun(kind, tag, field, position, stop)
        return position

    def _varint(self, position: int, stop: int, kind: str) -> tuple[int, int]:
        """A varint's value and the position after it."""
        source, after = self._source, position
        value = shift = 0
        while after < stop and shift < 7 * _LONGEST_VARINT:
            byte = source[after]
            value |= (byte & 0x7F) << shift
            after += 1
            if byte <= 0x7F:
                return value, after
            shift += 7
        if after == stop:
            self._overrun(kind, 0, position, stop + 1, stop)
        raise NotAModel(
            f"a number in {kind} at byte {position:,} is longer than {_LONGEST_VARINT} bytes; "
            "the file is damaged or no ONNX model"
        )

    def _overrun(self, kind: str, tag: int, field: int, end: int, stop: int) -> NoReturn:
        """A field that reaches past the end: of the file, or of the message that holds it."""
        what = f"{_field_name(kind, tag >> 3)} at byte {field:,}"
        if stop == self._size:
            raise NotAModel(
                f"the file is truncated: {what} ends at byte {end:,}, the file at {stop:,}; "
                f"{end - stop:,} bytes or more are missing; fetch the file again"
            )
        raise NotAModel(
            f"{what} ends at byte {end:,}, {end - stop:,} past the {kind} it is part of; the "
            "file is damaged"
        )


def _add(found: list[Removed], entry: Removed) -> None:
    """Appends a data field, as one with the last where it continues it.

    Each ``raw_data`` stays its own: the last one alone counts.
    """
    last = found[-1] if found else None
    if last is None or entry.number == RAW_DATA:
        found.append(entry)
    elif last.number == entry.number and last.stop == entry.start:
        found[-1] = last._replace(stop=entry.stop, fields=last.fields + 1)
    else:
        found.append(entry)


def _too_deep(position: int) -> NotAModel:
    return NotAModel(
        f"more than {NESTING_LIMIT} messages nested at byte {position:,}; protobuf reads no "
        "deeper; flatten the nested subgraphs"
    )


def _field_name(kind: str, number: int) -> str:
    """``GraphProto.initializer``, or the number where the schema has no name for it."""
    import onnx

    fields = getattr(onnx, kind).DESCRIPTOR.fields_by_number
    if number == 0:
        return f"a number in {kind}"
    return f"{kind}.{fields[number].name}" if number in fields else f"field {number} of {kind}"
