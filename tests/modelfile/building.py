"""Models built for these tests, and oracles that share no code with what they judge."""

import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnxstride.modelfile import ModelFile
from onnxstride.modelfile.wire import Cut, Skeleton, marker

TYPES = [number for number in TensorProto.DataType.values() if number]


def encoded(value: int) -> bytes:
    """A varint."""
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return encoded(number << 3 | 2) + encoded(len(content)) + content


def raw_tensor(name: str, size: int, seed: int = 1) -> onnx.TensorProto:
    """A float tensor of ``size`` elements in raw_data."""
    values = np.random.default_rng(seed).standard_normal(size, np.float32)
    return TensorProto(name=name, data_type=1, dims=[size], raw_data=values.tobytes())


def string_tensor(name: str, *words: bytes) -> onnx.TensorProto:
    """A string tensor of one axis."""
    return TensorProto(name=name, data_type=8, dims=[len(words)], string_data=words)


def model_with(*tensors: onnx.TensorProto) -> onnx.ModelProto:
    """A model with these initializers and one node."""
    node = helper.make_node("Relu", ["x"], ["y"], name="relu")
    return helper.make_model(helper.make_graph([node], "g", [], [], list(tensors)))


def tensors_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of a model, in one order for all models of the same structure."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        for attribute in function.attribute_proto:
            yield from _of_attribute(attribute)
        yield from _of_nodes(function.node)
    for training in model.training_info:
        yield from _of_graph(training.initialization)
        yield from _of_graph(training.algorithm)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from _of_attribute(attribute)


def _of_attribute(attribute: onnx.AttributeProto) -> Iterator[onnx.TensorProto]:
    yield from ([attribute.t] if attribute.HasField("t") else [])
    yield from attribute.tensors
    for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
        yield from _of_graph(graph)
    sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
    for entry in [*sparse, *attribute.sparse_tensors]:
        yield from (entry.values, entry.indices)


def loaded(model: ModelFile) -> list[NDArray[np.generic]]:
    """Every tensor of an opened model."""
    return [model.tensor(tensor) for tensor in tensors_of(model.proto)]


def dive_table() -> dict[str, dict[int, str]]:
    """Message -> field -> message, for every way from a model to a tensor, by the schema."""
    reach = {"TensorProto"}
    fields = _message_fields()
    while True:
        more = {name for name, inner in fields.items() if reach & set(inner.values())} - reach
        if not more:
            break
        reach |= more
    return {
        name: {number: child for number, child in fields[name].items() if child in reach}
        for name in sorted(reach - {"TensorProto"})
    }


def _message_fields() -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    waiting: list[Any] = [onnx.ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        if message.name in found:
            continue
        inner = [entry for entry in message.fields if entry.message_type is not None]
        found[message.name] = {entry.number: entry.message_type.name for entry in inner}
        waiting += [entry.message_type for entry in inner]
    return found


def put_back(skeleton: Skeleton, source: bytes) -> bytes:
    """The original bytes, from a skeleton and what it says was removed."""
    return _Restorer(skeleton, source).message("ModelProto", skeleton.data)


class _Restorer:
    def __init__(self, skeleton: Skeleton, source: bytes) -> None:
        marks = [marker(skeleton.key, index) for index in range(len(skeleton.cuts))]
        self._cuts = dict(zip(marks, skeleton.cuts, strict=True))
        self._length = len(marks[0]) if marks else 1
        self._source = source
        self._table = dive_table()

    def message(self, kind: str, body: bytes) -> bytes:
        if kind == "TensorProto":
            cut = self._cuts.get(body[-self._length :])
            return body if cut is None else self._tensor(cut, body[: -self._length])
        out, position = b"", 0
        while position < len(body):
            start = position
            tag, position = decoded(body, position)
            if tag & 7 != 2:
                position = _after(tag, body, position)
                out += body[start:position]
                continue
            size, content = decoded(body, position)
            inner, child = body[content : content + size], self._table[kind].get(tag >> 3)
            inner = self.message(child, inner) if child else inner
            out += body[start:position] + encoded(len(inner)) + inner
            position = content + size
        return out

    def _tensor(self, cut: Cut, kept: bytes) -> bytes:
        out, at = b"", cut.start
        for entry in cut.removed:
            gap = entry.start - at
            out, kept = out + kept[:gap] + self._source[entry.start : entry.stop], kept[gap:]
            at = entry.stop
        return out + kept


def decoded(data: bytes, position: int) -> tuple[int, int]:
    """A varint and the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _after(tag: int, body: bytes, position: int) -> int:
    if tag & 7 == 0:
        return decoded(body, position)[1]
    return position + {1: 8, 5: 4}[tag & 7]


class CountingSource:
    """A source of any size: pieces of bytes at given places, zeros elsewhere. Counts its use."""

    def __init__(self, size: int, pieces: dict[int, bytes]) -> None:
        self._size = size
        self._pieces = pieces
        self.touched = 0

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int | slice) -> "int | bytes":
        start, stop, _ = (
            index.indices(self._size) if isinstance(index, slice) else (index, index + 1, 1)
        )
        if stop > self._size:
            raise IndexError(index)
        self.touched += max(stop - start, 0)
        out = bytearray(max(stop - start, 0))
        for at, piece in self._pieces.items():
            low, high = max(start, at), min(stop, at + len(piece))
            if low < high:
                out[low - start : high - start] = piece[low - at : high - at]
        return bytes(out) if isinstance(index, slice) else out[0]


_watching: list[list[str]] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _watching:
        for names in _watching:
            names.append(str(arguments[0]))


sys.addaudithook(_hook)


@contextmanager
def opened_files() -> Generator[list[str]]:
    """The name of every file that Python opens meanwhile, by whatever call."""
    names: list[str] = []
    _watching.append(names)
    try:
        yield names
    finally:
        _watching.remove(names)


def assert_same(found: NDArray[np.generic], expected: NDArray[np.generic]) -> None:
    """Fails unless type, shape and every byte are equal, NaN included."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if found.dtype == object:
        assert found.tolist() == expected.tolist()
    else:
        assert found.tobytes() == expected.tobytes()
