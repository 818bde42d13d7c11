"""The skeleton: a model's own bytes, without the data of its large tensors."""

import mmap
import os
import random
from pathlib import Path
from typing import Any, cast

import onnx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from onnxstride.errors import ModelError, NotAModel
from onnxstride.modelfile import open_model, wire
from onnxstride.modelfile.source import Source
from onnxstride.modelfile.wire import DATA_FIELDS, DIVES, MARKER, THRESHOLD, Skeleton, skeleton

from .building import (
    CountingSource,
    dive_table,
    encoded,
    field,
    loaded,
    model_with,
    put_back,
    raw_tensor,
    string_tensor,
    tensors_of,
)

# Without shrinking: on models of many kilobytes it takes minutes and explains little.
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large]
"""A model of many kilobytes takes as long to draw as the machine lets it."""

_drawn = settings(
    max_examples=60,
    deadline=None,
    phases=_PHASES,
    derandomize=True,
    suppress_health_check=SLOW_TO_DRAW,
)
_SIZES = st.sampled_from([0, 1, 900, 1020, 1024, 1025, 1030, 3000])


@st.composite
def _unknown(draw: st.DrawFn) -> bytes:
    """Fields that no ONNX message has."""
    number = draw(st.sampled_from([99, 1000, 100_000]))
    content = draw(st.binary(max_size=5)) * draw(st.sampled_from([1, 400]))
    kinds = [
        field(number, content),
        encoded(number << 3) + encoded(draw(st.integers(0, 2**64 - 1))),
        encoded(number << 3 | 1) + bytes(8),
        encoded(number << 3 | 5) + bytes(4),
    ]
    return draw(st.sampled_from([b"", *kinds]))


@st.composite
def _tensor(draw: st.DrawFn) -> bytes:
    """A tensor message: its fields in any order, some twice, some unknown."""
    size = draw(_SIZES)
    data = [
        field(9, bytes(size)),
        field(4, bytes(size // 4 * 4)),
        field(7, b"\x85\x01" * (size // 2)),
        (encoded(4 << 3 | 5) + b"\0\0\x80\x3f") * (size // 5),
        field(6, b"text") * (size // 6),
        field(9, bytes(size)) + field(5, b"\x01" * size),
    ]
    parts = [b"\x08\x03", b"\x10\x01", field(8, b"name"), draw(st.sampled_from(data))]
    parts += draw(st.lists(_unknown(), max_size=2))
    return b"".join(draw(st.permutations(parts)))


@st.composite
def _attribute(draw: st.DrawFn, depth: int) -> bytes:
    sparse = field(1, draw(_tensor())) + field(2, draw(_tensor()))
    parts = [field(5, draw(_tensor())), field(10, draw(_tensor())), field(22, sparse)]
    parts += [field(23, sparse), b"\x18\x05", draw(_unknown())]
    if depth:
        parts += [field(draw(st.sampled_from([6, 11])), draw(_graph(depth - 1)))]
    return b"".join(draw(st.permutations(parts)))


@st.composite
def _graph(draw: st.DrawFn, depth: int) -> bytes:
    node = field(4, b"Op") + field(5, draw(_attribute(depth)))
    parts = [field(1, node), field(2, b"graph" * draw(st.sampled_from([1, 300]))), draw(_unknown())]
    parts += [field(5, tensor) for tensor in draw(st.lists(_tensor(), max_size=3))]
    parts += [field(15, field(1, draw(_tensor())) + field(2, draw(_tensor())))]
    return b"".join(draw(st.permutations(parts)))


@st.composite
def models(draw: st.DrawFn) -> bytes:
    """The bytes of a model with tensors wherever the schema allows one."""
    node = field(4, b"Op") + field(5, draw(_attribute(0)))
    parts = [b"\x08\x0a", field(7, draw(_graph(1))), draw(_unknown())]
    parts += [field(25, field(7, node) + field(11, draw(_attribute(0))))]
    parts += [field(20, field(1, draw(_graph(0))) + field(2, draw(_graph(0))))]
    parts += [field(7, draw(_graph(0)))] * draw(st.sampled_from([0, 1]))
    return b"".join(draw(st.permutations(parts)))


@_drawn
@given(models())
def test_what_was_cut_goes_back_exactly(data: bytes) -> None:
    """A skeleton and its cuts make the original bytes, whatever the order of the fields."""
    assert put_back(skeleton(data), data) == data


@_drawn
@given(models())
def test_no_large_tensor_stays(data: bytes) -> None:
    """The skeleton is a model in which no tensor that holds more than the threshold is left."""
    found = skeleton(data)
    proto = onnx.ModelProto.FromString(found.data)
    kept = [len(tensor.raw_data) + 4 * len(tensor.float_data) for tensor in tensors_of(proto)]
    # A graph that occurs twice is merged by protobuf, and its single tensors with it.
    assert max(kept, default=0) <= 2 * THRESHOLD
    assert len(found.data) <= len(data) + 80 * len(found.cuts)


def test_a_shifted_cut_is_noticed() -> None:
    """The round trip above fails when one offset is wrong by one byte."""
    data = model_with(raw_tensor("w", 600)).SerializeToString()
    found = skeleton(data)
    (cut,) = found.cuts
    entry = cut.removed[0]
    shifted = cut._replace(removed=(entry._replace(start=entry.start + 1, stop=entry.stop + 1),))
    assert put_back(found, data) == data
    assert put_back(Skeleton(found.data, [shifted], found.key), data) != data


def test_the_dive_table_is_the_schema() -> None:
    """``DIVES`` lists every field that leads from a model to a tensor, and no other."""
    assert dive_table() == DIVES


def test_the_dive_table_check_notices_a_missing_way() -> None:
    """A table without function bodies, or with one field too many, differs from the schema."""
    assert dive_table() != {**DIVES, "FunctionProto": {11: "AttributeProto"}}
    assert {**DIVES, "SparseTensorProto": {**DIVES["SparseTensorProto"], 3: "TensorProto"}} != (
        dive_table()
    )


def test_the_data_fields_are_the_schema() -> None:
    """The fields that are cut are those named ``*_data`` that hold elements."""
    fields = {entry.name: entry.number for entry in TensorProto.DESCRIPTOR.fields}
    data = {number for name, number in fields.items() if name.endswith("_data")}
    assert data - {fields["external_data"]} == DATA_FIELDS


@pytest.mark.parametrize(("size", "is_cut"), [(255, False), (256, True), (5000, True)])
def test_small_tensors_stay_in_the_model(size: int, is_cut: bool) -> None:
    """Shapes, scales and axes, up to the threshold in bytes with their tag, are kept inline."""
    found = skeleton(model_with(raw_tensor("w", size)).SerializeToString())
    assert bool(found.cuts) is is_cut


def test_a_whole_model_is_returned_byte_for_byte() -> None:
    """Where nothing is cut the skeleton is the model."""
    data = model_with(raw_tensor("w", 8)).SerializeToString() + field(99, bytes(5000))
    assert skeleton(data).data == data


def test_the_marker_survives_a_copy() -> None:
    """A cut tensor copied into another model still leads to its own data."""
    tensors = [raw_tensor("a", 600, seed=1), raw_tensor("b", 600, seed=2)]
    model = open_model(model_with(*tensors).SerializeToString())
    moved = TensorProto()
    moved.CopyFrom(model.proto.graph.initializer[1])
    moved.name = "renamed"
    assert model.tensor(moved).tobytes() == tensors[1].raw_data


@pytest.mark.parametrize("key", [MARKER, MARKER + ".0", "x" + MARKER])
def test_a_file_cannot_forge_the_marker(key: str) -> None:
    """A tensor that carries the private key in the file reaches nobody's data."""
    forged = TensorProto(name="forged", data_type=1, dims=[600])
    forged.data_location = TensorProto.EXTERNAL
    forged.external_data.add(key=key, value="00000000")
    real = raw_tensor("secret", 600)
    model = open_model(model_with(real, forged).SerializeToString())
    secret, other = model.proto.graph.initializer
    assert model.tensor(secret).tobytes() == real.raw_data
    assert model.fault(other) is not None
    with pytest.raises(ModelError, match="no usable location"):
        model.tensor(other)


def test_two_pieces_of_one_tensor_are_a_fault() -> None:
    """An attribute whose tensor occurs twice, which protobuf merges, is refused."""
    tensor = raw_tensor("w", 600).SerializeToString()
    attribute = field(1, b"value") + field(5, tensor) * 2 + encoded(20 << 3) + b"\x04"
    node = field(2, b"y") + field(4, b"Constant") + field(5, attribute)
    model = open_model(field(7, field(1, node)))
    (found,) = tensors_of(model.proto)
    fault = model.fault(found)
    assert fault is not None
    assert "more than one piece" in str(fault)


def _nested(levels: int, payload: bytes) -> bytes:
    """A graph inside a graph ... inside a model."""
    graph = field(2, payload)
    for _ in range(levels):
        graph = field(1, field(5, field(6, graph)))
    return field(7, graph)


@pytest.mark.parametrize("payload", [b"name", b"name" * 500], ids=["short", "long"])
def test_thousands_of_nested_graphs_are_one_clear_error(payload: bytes) -> None:
    """Depth is limited whether the scanner or protobuf meets it first."""
    with pytest.raises(NotAModel, match="more than 100 messages nested"):
        open_model(_nested(2000, payload))
    with pytest.raises(NotAModel, match="more than 100 messages nested"):
        open_model(_nested(34, payload))


@pytest.mark.parametrize("payload", [b"name", b"name" * 500], ids=["short", "long"])
def test_what_protobuf_reads_is_not_refused_for_its_depth(payload: bytes) -> None:
    """The limit is protobuf's own, to the message."""
    data = _nested(33, payload)
    assert onnx.ModelProto.FromString(data).HasField("graph")
    assert open_model(data).proto.HasField("graph")


def _rich_model() -> bytes:
    """A model of a few kilobytes with tensors in every place."""
    inner = helper.make_graph([], "inner", [], [], [raw_tensor("i", 300)])
    nodes = [
        helper.make_node("Constant", [], ["c"], value=raw_tensor("c", 280)),
        helper.make_node("If", ["x"], ["y"], then_branch=inner),
    ]
    typed = helper.make_tensor("typed", TensorProto.INT64, [600], list(range(600)))
    words = string_tensor("words", *[b"word"] * 300)
    graph = helper.make_graph(nodes, "g", [], [], [raw_tensor("w", 256), typed, words])
    sparse = graph.sparse_initializer.add(dims=[4000])
    sparse.values.CopyFrom(raw_tensor("s", 400))
    sparse.indices.CopyFrom(helper.make_tensor("n", TensorProto.INT64, [400], list(range(400))))
    return bytes(helper.make_model(graph).SerializeToString())


def _load_or_refuse(data: bytes) -> bool:
    """True when the model opens; its tensors load, or are refused, as ``fault`` foretells."""
    try:
        model = open_model(data)
    except ModelError:
        return False
    for tensor in tensors_of(model.proto):
        fault = model.fault(tensor)
        try:
            model.tensor(tensor)
        except ModelError:
            continue
        assert fault is None
    return True


def test_a_truncated_model_never_breaks() -> None:
    """Every proper prefix is refused or, where it ends between fields, read; none raises more."""
    data = _rich_model()
    assert _load_or_refuse(data)
    assert not any(_load_or_refuse(data[:length]) for length in range(len(data) - 40))


def test_truncation_says_where_and_how_much() -> None:
    """The message names the field, and counts the bytes that are missing."""
    data = model_with(raw_tensor("w", 600)).SerializeToString()
    with pytest.raises(NotAModel, match=r"truncated: ModelProto.graph at byte \d+ .*; 696 bytes"):
        open_model(data[:-700])


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes_never_break(seed: int) -> None:
    """Flipped, replaced, removed and repeated bytes give a model or a ModelError."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, nothing secret
    original = _rich_model()
    opened = 0
    for _ in range(250):
        data = bytearray(original)
        for _ in range(chance.randint(1, 6)):
            # Half of the damage goes to the headers, which a uniform choice would hardly meet.
            at = chance.randrange(len(data) if chance.random() < 0.5 else 80)
            span = chance.choice([1, 1, 1, 2, 8])
            change = [b"", bytes(data[at : at + span]) * 2, chance.randbytes(span)]
            data[at : at + span] = chance.choice(change)
        opened += _load_or_refuse(bytes(data))
    assert opened  # some damage is only to values: those models are read


@pytest.mark.parametrize("wire_type", [3, 4, 6, 7])
def test_unused_wire_types_are_named(wire_type: int) -> None:
    """Groups and reserved types are a clear error with the field and the byte."""
    with pytest.raises(NotAModel, match=r"field 30 of ModelProto at byte 2"):
        open_model(b"\x08\x0a" + encoded(30 << 3 | wire_type) + bytes(8))


def test_a_field_that_leaves_its_message_is_named() -> None:
    """A tensor longer than the graph that holds it is damage, not truncation."""
    graph = field(5, raw_tensor("w", 600).SerializeToString())
    data = field(7, graph.replace(encoded(len(graph) - 3), encoded(len(graph) + 5), 1))
    with pytest.raises(NotAModel, match="past the GraphProto"):
        open_model(data + field(2, bytes(50)))


def test_longer_than_any_varint_is_refused() -> None:
    """Eleven bytes of continuation are no number."""
    with pytest.raises(NotAModel, match="longer than 10 bytes"):
        skeleton(b"\x08" + b"\xff" * 11 + b"\0")


def test_more_than_a_graph_can_need_is_refused_unread() -> None:
    """A gigabyte of text besides the tensors is refused before it is copied."""
    head = b"\x32" + encoded(1 << 30)
    source = CountingSource(len(head) + (1 << 30), {0: head})
    with pytest.raises(NotAModel, match="MiB besides its tensors"):
        skeleton(cast(Source, source))
    assert source.touched < 100


def test_weights_beyond_two_gibibytes_are_not_touched() -> None:
    """Three tensors of 1 GiB each: a few hundred bytes are read, and the lengths are right."""
    size = 1 << 30
    heads = []
    for index in range(3):
        tensor = TensorProto(name=f"w{index}", data_type=1, dims=[size // 4]).SerializeToString()
        body = tensor + b"\x4a" + encoded(size)
        heads.append(b"\x2a" + encoded(len(body) + size) + body)
    graph = sum(map(len, heads)) + 3 * size
    pieces, position = {0: b"\x08\x0a\x3a" + encoded(graph)}, 3 + len(encoded(graph))
    for head in heads:
        pieces[position] = head
        position += len(head) + size
    source = CountingSource(position, pieces)
    found = skeleton(cast(Source, source))
    assert [cut.removed[0].stop - cut.removed[0].payload for cut in found.cuts] == [size] * 3
    assert source.touched < 1000
    names = [tensor.name for tensor in onnx.ModelProto.FromString(found.data).graph.initializer]
    assert names == ["w0", "w1", "w2"]


class _Resident(mmap.mmap):
    """A map that keeps count of its pages in memory, on a system with blocks of 2 MiB.

    To touch a byte brings the whole block, as a page cache of large blocks does. Advice is
    recorded, and so is the first read.
    """

    def __init__(
        self,
        fileno: int,
        length: int,
        flags: int = 0,
        prot: int = 0,
        access: int = 0,
        offset: int = 0,
    ) -> None:
        self.pages: set[int] = set()
        self.most = 0
        self.events: list[str] = []

    def __getitem__(self, index: Any, /) -> Any:
        self.events.append("read")
        at = index if isinstance(index, int) else index.start
        if at // mmap.PAGESIZE not in self.pages:
            first = at - at % _BLOCK
            self.pages.update(range(first // mmap.PAGESIZE, (first + _BLOCK) // mmap.PAGESIZE))
            self.most = max(self.most, len(self.pages) * mmap.PAGESIZE)
        return super().__getitem__(index)

    def madvise(self, option: int, start: int = 0, length: int | None = None, /) -> None:
        if option == mmap.MADV_DONTNEED:
            assert length is not None
            stop = (start + length) // mmap.PAGESIZE
            self.pages.difference_update(range(start // mmap.PAGESIZE, stop))
        else:
            names = {mmap.MADV_RANDOM: "random", mmap.MADV_NORMAL: "normal"}
            self.events.append(names.get(option, ""))


_BLOCK = 2 << 20


@pytest.mark.skipif(not hasattr(mmap, "MADV_RANDOM"), reason="this system takes no such advice")
def test_a_gibibyte_of_weights_takes_a_few_megabytes(tmp_path: Path) -> None:
    """A thousand tensors of 1 MiB: few pages stay, and the system does not read ahead."""
    size = 1 << 20
    tensor = TensorProto(name="w", data_type=1, dims=[size // 4]).SerializeToString()
    head = tensor + b"\x4a" + encoded(size)
    head = b"\x2a" + encoded(len(head) + size) + head
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.write(b"\x08\x0a\x3a" + encoded(1000 * (len(head) + size)))
        for _ in range(1000):
            file.write(head)
            file.seek(size, os.SEEK_CUR)
        file.truncate(file.tell())
    with path.open("rb") as file:
        source = _Resident(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert len(skeleton(source).cuts) == 1000
    assert 2 * size < source.most <= 16 * size
    assert len(source.pages) * mmap.PAGESIZE <= 16 * size
    advice = [event for event in source.events if event]
    assert (advice[0], advice[-1]) == ("random", "normal")
    assert advice.count("random") == advice.count("normal") == 1


def test_the_count_of_touched_bytes_notices_a_read() -> None:
    """The counting source above does count: a slice of a payload would exceed the bound."""
    source = CountingSource(1 << 30, {5: b"abc"})
    assert source[4:9] == b"\0abc\0"
    assert source[6] == ord("b")
    assert len(cast(bytes, source[100:5000])) == 4900
    assert source.touched == 4906


def test_work_does_not_grow_with_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work grows with the fields of the model, not with the size of its weights."""
    monkeypatch.setattr(wire, "THRESHOLD", 64)
    touched = []
    for size in (100, 1000):
        tensors = [raw_tensor(f"w{index}", size) for index in range(200)]
        data = model_with(*tensors).SerializeToString()
        source = CountingSource(len(data), {0: data})
        skeleton(cast(Source, source))
        touched.append(source.touched)
    assert touched[1] <= touched[0] + 200 * 4  # a length may take a byte more


def test_every_part_of_a_rich_model_loads_as_protobuf_reads_it() -> None:
    """Wherever a tensor stands, its values are those of the complete model."""
    data = _rich_model()
    expected = [onnx.numpy_helper.to_array(t) for t in tensors_of(onnx.ModelProto.FromString(data))]
    found = loaded(open_model(data))
    assert [array.tolist() for array in found] == [array.tolist() for array in expected]
