"""Damaged models: bytes of a sound one, changed at random where the format has its joints.

Half of the damage is blind, to single bytes and to runs of them. The other half knows the protobuf
wire format, walks down to a message anywhere in the model, changes one field there, and writes the
lengths of all that is around it anew: what comes out is still protobuf, and says nonsense.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from tests.modelfile.building import encoded

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_DEEPEST = 12
_LARGEST = 1 << 21
"""Bytes that a damaged model may have; repetition would double it again and again."""

NUMBERS = (
    *(0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 65535, 65536, 10**6),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**53, 2**62, 2**63 - 1),
    *(2**63, 2**64 - 1, 2**64 - 2, 2**64 - 2**31),  # as int64: the least, -1, -2, -2**31
)
"""Values at which something overflows, wraps around, is empty or takes all memory."""

TEXTS = (b"", b"x", b"y", b"\xff\xfe", b"\0", b"a" * 3000, b"../../x", "\u202e\u0301".encode())
OP_TYPES = tuple(
    name.encode()
    for name in (
        *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool"),
        *("Resize", "Upsample", "DepthToSpace", "SpaceToDepth", "Slice", "Pad", "Concat"),
        *("Add", "Reshape", "Transpose", "Shape", "Gather", "Constant", "If", "Loop", "Scan"),
        *("QLinearConv", "DequantizeLinear", "ConvInteger", "Unsqueeze", "Cast", "Split"),
    )
)


class Field(NamedTuple):
    """A field of a message: its number, its wire type, and the bytes behind the tag and length."""

    number: int
    wire: int
    content: bytes


def fields(message: bytes) -> list[Field] | None:
    """The fields of a message; None for bytes that are none."""
    found: list[Field] = []
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire = tag & 7
        if position < 0 or tag < 8 or wire not in (_VARINT, _EIGHT, _BYTES, _FOUR):
            return None
        start = position
        if wire == _VARINT:
            _, position = _varint(message, position)
        elif wire == _BYTES:
            length, start = _varint(message, position)
            position = start + length if start >= 0 else -1
        else:
            position += 8 if wire == _EIGHT else 4
        if position < 0 or position > len(message):
            return None
        found.append(Field(tag >> 3, wire, message[start:position]))
    return found


def joined(parts: Sequence[Field]) -> bytes:
    """The message that these fields make."""
    out = bytearray()
    for number, wire, content in parts:
        out += encoded(number << 3 | wire)
        if wire == _BYTES:
            out += encoded(len(content))
        out += content
    return bytes(out)


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """A varint and where it ends; a negative place where there is none."""
    value = 0
    for index in range(10):
        if position + index >= len(message):
            return 0, -1
        byte = message[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    return 0, -1


def mutated(data: bytes, others: Sequence[bytes], random: Random, most: int = 4) -> bytes:
    """A damaged copy of ``data``, by one to ``most`` changes; ``others`` lend parts of theirs."""
    for _ in range(random.randint(1, most)):
        if random.random() < 0.5:
            data = _deep(data, random.choice(others), random, 0) or data
        else:
            data = random.choice(BLIND)(data, random.choice(others), random)
    return data[:_LARGEST]


def _deep(message: bytes, other: bytes, random: Random, depth: int) -> bytes | None:
    """The message with a change to one of its fields, or far inside one; None if it is none."""
    parts = fields(message)
    if not parts:
        return None
    # A long field holds more that may be changed, but not in proportion: most of it is weights.
    weights = [1 + len(part.content).bit_length() for part in parts]
    index = random.choices(range(len(parts)), weights)[0]
    number, wire, content = parts[index]
    if wire == _BYTES and depth < _DEEPEST and random.random() < 0.8:
        donor = [part.content for part in fields(other) or () if part.number == number]
        inner = _deep(content, random.choice(donor or [other]), random, depth + 1)
        if inner is not None:
            parts[index] = Field(number, wire, inner)
            return joined(parts)
    random.choice(DEEP)(parts, index, other, random)
    return joined(parts)


def _repeat(parts: list[Field], index: int, other: bytes, random: Random) -> None:
    times = random.choice((1, 1, 1, 2, 10, 300))
    times = min(times, 1 + _LARGEST // 8 // (1 + len(parts[index].content)))
    at = random.randint(0, len(parts))
    parts[at:at] = [parts[index]] * times


def _drop(parts: list[Field], index: int, other: bytes, random: Random) -> None:
    del parts[index]


def _swap(parts: list[Field], index: int, other: bytes, random: Random) -> None:
    at = random.randrange(len(parts))
    parts[index], parts[at] = parts[at], parts[index]


def _renumber(parts: list[Field], index: int, other: bytes, random: Random) -> None:
    parts[index] = parts[index]._replace(number=random.choice((*range(1, 27), 2**28)))


def _copy_a_neighbour(parts: list[Field], index: int, other: bytes, random: Random) -> None:
    alike = [part for part in parts if part.number == parts[index].number]
    parts[index] = random.choice(alike)


def _take_from_another(parts: list[Field], index: int, other: bytes, random: Random) -> None:
    theirs = fields(other)
    if theirs:
        alike = [part for part in theirs if part.number == parts[index].number]
        parts.insert(index, random.choice(alike or theirs))


def _rewrite(parts: list[Field], index: int, other: bytes, random: Random) -> None:
    """Another value in place of the field's: a number, a name, an operator, numbers in a row."""
    number, wire, content = parts[index]
    if wire == _VARINT:
        content = encoded(random.choice(NUMBERS))
    elif wire == _BYTES:
        packed = b"".join(encoded(random.choice(NUMBERS)) for _ in range(random.randint(0, 6)))
        content = random.choice((*TEXTS, random.choice(OP_TYPES), packed, content * 2))
    else:
        content = random.randbytes(len(content))
    parts[index] = Field(number, wire, content)


def _retype(parts: list[Field], index: int, other: bytes, random: Random) -> None:
    """The field as another wire type, its bytes cut to fit."""
    number, _, content = parts[index]
    wire = random.choice((_VARINT, _EIGHT, _BYTES, _FOUR))
    if wire == _VARINT:
        content = encoded(random.choice(NUMBERS))
    elif wire != _BYTES:
        content = content.ljust(8, b"\0")[: 8 if wire == _EIGHT else 4]
    parts[index] = Field(number, wire, content)


def _nest(parts: list[Field], index: int, other: bytes, random: Random) -> None:
    """The field inside a field of its own number, over and over."""
    number, wire, content = parts[index]
    if wire != _BYTES:
        return
    for _ in range(random.choice((1, 2, 30, 120))):
        if len(content) > _LARGEST // 8:
            break
        content = joined([Field(number, wire, content)])
    parts[index] = Field(number, wire, content)


def _flip(data: bytes, other: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8)) if data else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _set(data: bytes, other: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    if data:
        changed[random.randrange(len(changed))] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
    return bytes(changed)


def _truncate(data: bytes, other: bytes, random: Random) -> bytes:
    return data[: random.randint(0, len(data))]


def _cut_out(data: bytes, other: bytes, random: Random) -> bytes:
    start = random.randint(0, len(data))
    return data[:start] + data[start + random.choice((1, 2, 8, 100, 5000)) :]


def _say_again(data: bytes, other: bytes, random: Random) -> bytes:
    start = random.randint(0, len(data))
    stop = start + random.choice((1, 2, 8, 100, 5000))
    return data[:stop] + data[start:stop] + data[stop:]


def _splice(data: bytes, other: bytes, random: Random) -> bytes:
    return data[: random.randint(0, len(data))] + other[random.randint(0, len(other)) :]


def _insert_number(data: bytes, other: bytes, random: Random) -> bytes:
    """A varint written over what is there."""
    start, value = random.randint(0, len(data)), encoded(random.choice(NUMBERS))
    return data[:start] + value + data[start + random.choice((0, 1, len(value))) :]


BLIND: tuple[Callable[[bytes, bytes, Random], bytes], ...] = (
    *(_flip, _set, _truncate, _cut_out, _say_again, _splice, _insert_number),
)
DEEP: tuple[Callable[[list[Field], int, bytes, Random], None], ...] = (
    *(_repeat, _drop, _swap, _renumber, _copy_a_neighbour, _take_from_another),
    *(_rewrite, _rewrite, _rewrite, _retype, _nest),
)
