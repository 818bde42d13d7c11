"""Writing: everything as it was but what was edited, and a complete file or none."""

import errno
import gc
import io
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from onnx import TensorProto, helper

from onnxstride.errors import ExternalData, InvalidTensor, UnreadableFile, WriteError
from onnxstride.modelfile import ModelFile, open_model, parse_text, staging, writer
from onnxstride.modelfile.pieces import Plan, Span, plan_of
from onnxstride.modelfile.protobuf import EncodeError
from onnxstride.modelfile.source import Source
from onnxstride.modelfile.wire import DIVES, MARKER, skeleton
from onnxstride.modelfile.writer import write_model

from .building import (
    TYPES,
    CountingSource,
    assert_same,
    encoded,
    field,
    loaded,
    model_with,
    opened_files,
    raw_tensor,
    tensors_of,
)
from .everything import EXTERNAL, everything, runnable, write_everything
from .test_wire import SLOW_TO_DRAW, models

_ORIGINAL = b"what was there before"


def _written(model: ModelFile) -> bytes:
    """What writing a model that refers to no other file makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.onnx"
        write_model(model, path)
        assert os.listdir(folder) == ["out.onnx"]
        return path.read_bytes()


def _large_model(count: int = 3) -> bytes:
    """A model whose weights take several chunks to write, once chunks are short."""
    tensors = [raw_tensor(f"w{index}", 5000, seed=index) for index in range(count)]
    data: bytes = model_with(*tensors).SerializeToString()
    return data


def _external_model(*locations: str) -> bytes:
    """A model with a tensor of six floats in each of these files."""
    tensors: list[onnx.TensorProto] = []
    for location in locations:
        tensor = TensorProto(name=location, data_type=1, dims=[6])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        tensors.append(tensor)
    data: bytes = model_with(*tensors).SerializeToString()
    return data


def _folder_with(folder: Path, data: bytes, **files: bytes) -> ModelFile:
    """A model opened in a folder, with other files beside it: ``w_bin`` is ``w.bin``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    (folder / "m.onnx").write_bytes(data)
    return open_model(folder / "m.onnx")


def _tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class TestEverything:
    """The model that holds every kind of field."""

    def test_it_comes_out_byte_for_byte(self, tmp_path: Path) -> None:
        """Unedited, all of it is as it was."""
        path = write_everything(tmp_path)
        with open_model(path) as model:
            write_model(model, tmp_path / "out.onnx")
        assert (tmp_path / "out.onnx").read_bytes() == path.read_bytes()

    def test_its_values_are_equal(self, tmp_path: Path) -> None:
        """Every tensor of the copy has the values of the original, external ones included."""
        (tmp_path / "copy").mkdir()
        original = open_model(write_everything(tmp_path))
        write_model(original, tmp_path / "copy/out.onnx", external="copy")
        copy = open_model(tmp_path / "copy/out.onnx")
        before, after = ([_value(m, t) for t in tensors_of(m.proto)] for m in (original, copy))
        assert len(before) > 100
        for one, other in zip(before, after, strict=True):
            assert_same(other, one)

    def test_it_is_a_sound_model(self, tmp_path: Path) -> None:
        """The full check of onnx accepts it."""
        onnx.checker.check_model(str(write_everything(tmp_path)), full_check=True)

    def test_a_variant_runs(self, tmp_path: Path) -> None:
        """ONNX Runtime runs it, and the copy of it, with equal results."""
        runtime: Any = pytest.importorskip("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        path = write_everything(tmp_path, runnable())
        write_model(open_model(path), tmp_path / "out.onnx")
        x = np.random.default_rng(3).standard_normal((1, 4, 17, 17), np.float32)
        results = []
        for name in ("everything.onnx", "out.onnx"):
            session = runtime.InferenceSession(str(tmp_path / name), options)
            results.append(session.run(None, {"x": x, "flag": np.array(True)})[0])
        assert_same(results[1], results[0])

    def test_no_field_is_missing(self) -> None:
        """Every field of every message that a model can hold has a value somewhere in it."""
        assert _fields_of(everything()) == set(_schema())

    def test_a_missing_field_is_noticed(self) -> None:
        """Without one message's documentation, the model holds less than the schema."""
        model = everything()
        for function in model.functions:
            function.ClearField("doc_string")
        missing = set(_schema()) - _fields_of(model)
        assert missing == {("onnx.FunctionProto", "doc_string")}

    def test_weights_are_cut_on_every_way(self) -> None:
        """Each field through which a tensor can be reached holds one that is cut."""
        assert _ways_with_a_cut(everything()) == {
            (message, number) for message, inner in DIVES.items() for number in inner
        }

    def test_every_type_is_stored_in_every_way(self) -> None:
        """Every data type is there in raw_data and in its typed field, cut from the skeleton."""
        proto = open_model(everything().SerializeToString()).proto
        cut = {t.name for t in proto.graph.initializer if _is_marked(t)}
        names = {TensorProto.DataType.Name(number).lower() for number in TYPES}
        assert {f"many/{name}" for name in names} <= cut
        assert {f"raw/{name}" for name in names - {"string"}} <= cut


def _value(model: ModelFile, tensor: onnx.TensorProto) -> Any:
    # A segment of a tensor is no tensor; the model has one for its fields.
    return np.zeros(0) if tensor.HasField("segment") else model.tensor(tensor)


def _is_marked(tensor: onnx.TensorProto) -> bool:
    return any(entry.key == MARKER for entry in tensor.external_data)


def _fields_of(message: Any) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for entry, value in message.ListFields():
        found.add((message.DESCRIPTOR.full_name, entry.name))
        if entry.message_type is not None:
            for inner in value if entry.is_repeated else [value]:
                found |= _fields_of(inner)
    return found


def _schema() -> Iterator[tuple[str, str]]:
    done: set[str] = set()
    waiting: list[Any] = [onnx.ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        if message.full_name in done:
            continue
        done.add(message.full_name)
        yield from ((message.full_name, entry.name) for entry in message.fields)
        waiting += [entry.message_type for entry in message.fields if entry.message_type]


def _ways_with_a_cut(model: onnx.ModelProto) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    _gather_ways(open_model(model.SerializeToString()).proto, found)
    return found


def _gather_ways(message: Any, found: set[tuple[str, int]]) -> bool:
    """True where a cut tensor is inside; the ways to it are added to ``found``."""
    if message.DESCRIPTOR.name == "TensorProto":
        return _is_marked(message)
    has_cut = False
    for entry, value in message.ListFields():
        if entry.message_type is None:
            continue
        inner = [_gather_ways(child, found) for child in (value if entry.is_repeated else [value])]
        if any(inner):
            found.add((message.DESCRIPTOR.name, entry.number))
            has_cut = True
    return has_cut


class TestLossless:
    """Any model comes back as protobuf would write it."""

    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=SLOW_TO_DRAW)
    @given(models())
    def test_what_is_read_is_written(self, data: bytes) -> None:
        """Canonical bytes come out the same; others come out as what they mean."""
        proto = onnx.ModelProto.FromString(data)
        assert onnx.ModelProto.FromString(_written(open_model(data))) == proto
        canonical = proto.SerializeToString()
        assert _written(open_model(canonical)) == canonical

    def test_a_shifted_piece_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The comparison fails when one range is off by a byte."""
        data = model_with(raw_tensor("w", 600)).SerializeToString()
        assert _written(open_model(data)) == data
        monkeypatch.setattr(writer, "plan_of", _shifted)
        assert _written(open_model(data)) != data

    @pytest.mark.parametrize("location", [None, TensorProto.DEFAULT, TensorProto.EXTERNAL])
    def test_the_data_location_is_that_of_the_file(self, location: int | None) -> None:
        """Absent, DEFAULT and EXTERNAL are three things, and each stays what it was."""
        tensor = raw_tensor("w", 600)
        if location is not None:
            tensor.data_location = cast(Any, location)
        data = model_with(tensor).SerializeToString()
        found = onnx.ModelProto.FromString(_written(open_model(data))).graph.initializer[0]
        assert found == tensor
        assert found.HasField("data_location") is (location is not None)

    def test_entries_of_the_file_stay(self) -> None:
        """External data that a tensor names besides its own data is kept, in its order."""
        tensor = raw_tensor("w", 600)
        for key in ("b", MARKER, "a", "onnxstride.noise", "location"):
            tensor.external_data.add(key=key, value="00000000")
        data = model_with(tensor).SerializeToString()
        model = ModelFile.edited(open_model(data), open_model(data).proto)
        with pytest.raises(WriteError, match="stream"):  # it does name a location
            write_model(model, Path(tempfile.gettempdir()) / "never.onnx")
        del tensor.external_data[-1]
        data = model_with(tensor).SerializeToString()
        assert _written(open_model(data)) == data

    def test_repeated_data_fields_keep_their_order(self) -> None:
        """Of two raw_data the last counts, before and after."""
        head = TensorProto(name="w", data_type=1, dims=[600]).SerializeToString()
        first, last = field(9, bytes(2400)), field(9, b"\x01" * 2400)
        model = model_with()
        graph = model.graph.SerializeToString() + field(5, head + first + last)
        data = model.SerializeToString() + field(7, graph)
        found = onnx.ModelProto.FromString(_written(open_model(data)))
        assert found == onnx.ModelProto.FromString(data)
        assert found.graph.initializer[0].raw_data == b"\x01" * 2400

    def test_data_fields_in_any_order_go_where_protobuf_has_them(self) -> None:
        """Data in front of all else, and the higher field number first, is put in order."""
        data = field(9, bytes(2400)) + field(5, b"\x01" * 2400)
        rest = TensorProto(name="w", data_type=1, dims=[600], doc_string="d").SerializeToString()
        model = field(7, field(5, data + rest) + field(2, b"graph"))
        expected = onnx.ModelProto.FromString(model).SerializeToString()
        assert _written(open_model(model)) == expected

    def test_what_cannot_be_told_apart_is_refused(self) -> None:
        """A tensor in two pieces, which protobuf merges, is refused and named."""
        tensor = raw_tensor("twice", 600).SerializeToString()
        attribute = field(1, b"value") + field(5, tensor) * 2 + encoded(20 << 3) + b"\x04"
        node = field(2, b"y") + field(4, b"Constant") + field(5, attribute)
        with pytest.raises(InvalidTensor, match=r"'twice'.*more than one piece"):
            _written(open_model(field(7, field(1, node))))

    def test_a_group_on_the_way_is_refused(self) -> None:
        """A group, which ONNX does not use, in front of a weight is named rather than lost."""
        model = open_model(_large_model())
        proto = onnx.ModelProto()
        proto.CopyFrom(model.proto)
        proto.graph.MergeFromString(encoded(1000 << 3 | 3) + encoded(1000 << 3 | 4))
        proto.graph.initializer[0].MergeFromString(encoded(9 << 3 | 3) + encoded(9 << 3 | 4))
        with pytest.raises(WriteError, match="field 9 is a group"):
            _written(model.edited(proto))

    def test_a_proto_without_encoding_is_refused(self) -> None:
        """What protobuf itself refuses to encode, for its size, is an error of ours."""

        class Unwieldy:
            def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
                raise EncodeError("planted")

        with pytest.raises(WriteError, match="cannot encode"):
            _written(open_model(_large_model()).edited(cast(Any, Unwieldy())))

    def test_noise_becomes_raw_data(self) -> None:
        """Weights that text leaves open are written with the values they were run with."""
        text = "g (float[1,8,3,3] x) => (float[1,4,1,1] y) <float[4,8,3,3] w, float[0] e> "
        model = parse_text(text + "{ z = Neg (e)\n y = Conv (x, w) }")
        expected = {t.name: model.tensor(t) for t in model.proto.graph.initializer}
        data = _written(model)
        assert b"onnxstride.noise" not in data
        found = onnx.ModelProto.FromString(data).graph.initializer
        assert [t.name for t in found] == ["w", "e"]
        for tensor in found:
            assert_same(onnx.numpy_helper.to_array(tensor), expected[tensor.name])
            assert tensor.HasField("raw_data")
            assert not tensor.HasField("data_location")
        onnx.checker.check_model(data)

    @pytest.mark.parametrize("number", [n for n in TYPES if n != TensorProto.STRING])
    def test_noise_of_every_type_has_its_length(self, number: int) -> None:
        """The length announced for noise is the length written, whatever the bits of a type."""
        tensor = TensorProto(name="w", data_type=number, dims=[7])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="onnxstride.noise", value="weight:5")
        model = ModelFile.from_proto(model_with(tensor, raw_tensor("after", 3)))
        written = onnx.ModelProto.FromString(_written(model))
        after = open_model(written.SerializeToString())
        assert_same(after.tensor(after.proto.graph.initializer[0]), model.tensor(tensor))

    def test_noise_that_cannot_be_made_is_refused(self) -> None:
        """A mark without a role is an error, not a model without weights."""
        tensor = TensorProto(name="w", data_type=1, dims=[7], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="onnxstride.noise", value="junk")
        with pytest.raises(InvalidTensor, match="role:seed"):
            _written(ModelFile.from_proto(model_with(tensor)))

    @pytest.mark.parametrize("value", ["00000000", "junk"])
    def test_a_mark_in_text_is_no_mark(self, value: str) -> None:
        """A mark that text spells leads to nobody's data, and is not written."""
        entries = f'["{MARKER}": "{value}"]'
        text = f"g (float[6] x) => (float[6] y) <float[6] w = {entries}> {{ y = Add (x, w) }}"
        model = parse_text(text)
        assert model.fault(model.proto.graph.initializer[0]) is not None
        with pytest.raises(InvalidTensor, match="another file"):
            _written(model)


def _shifted(model: ModelFile) -> Plan:
    plan = plan_of(model)
    moved = [Span(p.start + 1, p.stop + 1) if isinstance(p, Span) else p for p in plan.pieces]
    return plan._replace(pieces=moved)


def _remove(model: onnx.ModelProto) -> None:
    del model.graph.initializer[0]
    del model.graph.node[0]


def _add(model: onnx.ModelProto) -> None:
    model.graph.initializer.insert(0, raw_tensor("new", 2000, seed=9))
    model.graph.node.append(helper.make_node("Relu", ["y"], ["z"]))
    model.metadata_props.add(key="onnxstride.rewrites", value="[]")


def _reverse(model: onnx.ModelProto) -> None:
    tensors = list(model.graph.initializer)
    del model.graph.initializer[:]
    model.graph.initializer.extend(reversed(tensors))


def _move(model: onnx.ModelProto) -> None:
    """A weight from the main graph into a constant in a subgraph in a function."""
    node = helper.make_node("Constant", [], ["c"], value=model.graph.initializer[1])
    graph = helper.make_graph([node], "inner", [], [])
    branch = helper.make_node("If", ["flag"], ["y"], then_branch=graph)
    model.functions.add(name="f", domain="example").node.append(branch)
    del model.graph.initializer[1]


def _duplicate(model: onnx.ModelProto) -> None:
    copy = model.graph.initializer.add()
    copy.CopyFrom(model.graph.initializer[0])
    copy.name, copy.doc_string = "copy", "Has the same data."
    copy.dims[:] = [50, 100]


def _replace(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(raw_tensor("w0", 700, seed=8))


def _nothing(model: onnx.ModelProto) -> None:
    """No edit at all."""


_EDITS = [_nothing, _remove, _add, _reverse, _move, _duplicate, _replace]


class TestEdited:
    """An edited copy of the skeleton, written with the weights of the original."""

    @pytest.mark.parametrize("edit", _EDITS, ids=[edit.__name__[1:] for edit in _EDITS])
    def test_it_equals_the_whole_model_edited(self, edit: Callable[..., None]) -> None:
        """The same edit on the complete model in memory gives the same bytes."""
        data = _large_model()
        whole = onnx.ModelProto.FromString(data)
        edit(whole)
        model = open_model(data)
        proto = onnx.ModelProto()
        proto.CopyFrom(model.proto)
        edit(proto)
        assert _written(model.edited(proto)) == whole.SerializeToString()
        assert _written(model) == data

    def test_the_edits_differ(self) -> None:
        """Each edit above does something else, so none of them passes for another."""
        results: set[bytes] = set()
        for edit in _EDITS:
            whole = onnx.ModelProto.FromString(_large_model())
            edit(whole)
            results.add(whole.SerializeToString())
        assert len(results) == len(_EDITS)

    def test_everything_edited(self, tmp_path: Path) -> None:
        """A node taken out of the model that holds everything leaves all else as it was."""
        path = write_everything(tmp_path)
        whole = onnx.load(path, load_external_data=False)
        model = open_model(path)
        for proto in (whole, model.proto):
            del proto.graph.node[1]
            del proto.graph.node[1].attribute[0].g.node[0]
        write_model(model, tmp_path / "out.onnx")
        assert (tmp_path / "out.onnx").read_bytes() == whole.SerializeToString()

    def test_it_knows_what_the_original_knows(self, tmp_path: Path) -> None:
        """Name, path, source and tensors are those of the model it was made from."""
        original = _folder_with(tmp_path, _large_model())
        proto = onnx.ModelProto()
        proto.CopyFrom(original.proto)
        edited = original.edited(proto)
        assert edited.proto is proto
        assert (edited.name, edited.path, edited.source) == (
            original.name,
            original.path,
            original.source,
        )
        for one, other in zip(loaded(edited), loaded(original), strict=True):
            assert_same(one, other)

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux for open files")
    def test_no_file_stays_open(self, tmp_path: Path) -> None:
        """Closed or forgotten, written or not, a model leaves no file open behind it."""
        _folder_with(tmp_path, _external_model("w.bin"), w_bin=_FLOATS).close()
        before = os.listdir("/proc/self/fd")
        for is_closed in (True, False):
            model = open_model(tmp_path / "m.onnx")
            assert len(os.listdir("/proc/self/fd")) > len(before)
            assert len(loaded(model)) == 1
            write_model(model, tmp_path / "out.onnx")
            if is_closed:
                model.close()
            del model
            gc.collect()
            assert os.listdir("/proc/self/fd") == before

    def test_closing_it_leaves_the_original_open(self, tmp_path: Path) -> None:
        """The files belong to the model that opened them."""
        original = _folder_with(tmp_path, _large_model())
        with original.edited(original.proto):
            pass
        assert len(loaded(original)) == 3
        original.close()
        with pytest.raises(ValueError, match="closed"):
            len(original.source)

    def test_data_besides_a_mark_is_refused(self) -> None:
        """New data beside the mark of the old would be two answers to one question."""
        model = open_model(_large_model())
        model.proto.graph.initializer[0].raw_data = bytes(20_000)
        with pytest.raises(WriteError, match="'w0' has data of its own besides"):
            _written(model)

    def test_a_mark_of_another_model_is_refused(self) -> None:
        """A tensor brought over without its data is not written as an empty one."""
        other = open_model(_large_model(9))
        model = open_model(_large_model())
        model.proto.graph.initializer.append(other.proto.graph.initializer[8])
        with pytest.raises(InvalidTensor, match=r"'w8'.*left in another file"):
            _written(model)


class TestLarge:
    """Models larger than memory, and larger than protobuf."""

    def test_nothing_large_is_held(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No buffer is longer than a chunk, whether the source is a file or a stream."""
        _folder_with(tmp_path, _large_model())
        monkeypatch.setattr(writer, "CHUNK", 1000)
        monkeypatch.setattr(staging, "_GATHERED", 1000)
        for source in (tmp_path / "m.onnx", io.BytesIO(_large_model())):
            assert _longest_write(source, tmp_path, monkeypatch) == 1000

    def test_a_large_buffer_is_noticed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With chunks as large as a weight, the measure above sees the weight."""
        _folder_with(tmp_path, _large_model())
        monkeypatch.setattr(staging, "_GATHERED", 1000)
        assert _longest_write(tmp_path / "m.onnx", tmp_path, monkeypatch) > 20_000

    def test_more_than_two_gibibytes_are_planned_unread(self) -> None:
        """Three weights of 1 GiB: a few hundred bytes are read, every piece is in its place."""
        source = _three_gibibytes()
        model = _model_on(source)
        source.touched = 0
        plan = plan_of(model)
        assert source.touched < 1000
        assert plan.size == len(source)
        position = 0
        for piece in plan.pieces:
            if isinstance(piece, Span):
                assert piece.start == position
                position = piece.stop
                continue
            assert isinstance(piece, (bytes, memoryview))
            assert source[position : position + len(piece)] == bytes(piece)
            position += len(piece)
        assert position == plan.size

    def test_no_model_grows_past_what_can_be_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A model that would become longer than protobuf reads is refused."""
        model = open_model(_large_model())
        monkeypatch.setattr(writer, "LONGEST_MODEL", len(_large_model()))
        assert _written(model) == _large_model()
        model.proto.doc_string += "."
        with pytest.raises(WriteError, match="less than 2 GiB"):
            write_model(model, tmp_path / "out.onnx")
        assert _tree(tmp_path) == {}

    def test_a_model_that_was_too_long_may_stay_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What nobody could read before is no reason to refuse an edit."""
        monkeypatch.setattr(writer, "LONGEST_MODEL", len(_large_model()) - 1)
        assert _written(open_model(_large_model())) == _large_model()

    def test_a_sparse_file_is_copied_with_its_holes(self, tmp_path: Path) -> None:
        """3 GiB of external data, nearly all of it a hole, are copied in no time and no space."""
        size = 3 << 30
        model = _folder_with(tmp_path / "a", _external_model("w.bin"))
        with open(tmp_path / "a/w.bin", "wb") as file:
            file.write(b"first")
            file.truncate(size)
            file.seek(size - 4)
            file.write(b"last")
        if (tmp_path / "a/w.bin").stat().st_blocks > 2048:
            pytest.skip("the file system keeps no holes")
        (tmp_path / "b").mkdir()
        write_model(model, tmp_path / "b/m.onnx", external="copy")
        found = (tmp_path / "b/w.bin").stat()
        assert (found.st_size, found.st_blocks <= 2048) == (size, True)
        with open(tmp_path / "b/w.bin", "rb") as file:
            assert file.read(6) == b"first\0"
            file.seek(size - 5)
            assert file.read() == b"\0last"


def _longest_write(source: Path | io.BytesIO, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    lengths: list[int] = []
    real = os.write

    def write(descriptor: int, data: memoryview) -> int:
        lengths.append(len(data))
        return real(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        patch.setattr(os, "copy_file_range", _failing(errno.ENOSYS), raising=False)
        write_model(open_model(source), folder / "out.onnx")
    assert (folder / "out.onnx").read_bytes() == _large_model()
    return max(lengths)


def _three_gibibytes() -> CountingSource:
    size = 1 << 30
    heads: list[bytes] = []
    for index in range(3):
        tensor = TensorProto(name=f"w{index}", data_type=1, dims=[size // 4]).SerializeToString()
        body = tensor + b"\x4a" + encoded(size)
        heads.append(b"\x2a" + encoded(len(body) + size) + body)
    graph = sum(map(len, heads)) + 3 * size
    places, position = {0: b"\x08\x0a\x3a" + encoded(graph)}, 3 + len(encoded(graph))
    for head in heads:
        places[position] = head
        position += len(head) + size
    return CountingSource(position, places)


def _model_on(source: CountingSource) -> ModelFile:
    from onnxstride.modelfile.external import ExternalFiles
    from onnxstride.modelfile.tensors import Tensors

    plain = cast(Source, source)
    found = skeleton(plain)
    tensors = Tensors(plain, found.cuts, found.key, ExternalFiles(None), has_noise=False)
    proto = onnx.ModelProto.FromString(found.data)
    return ModelFile(proto, "large", None, plain, tensors)


_FLOATS = np.arange(6, dtype=np.float32).tobytes()


class TestExternal:
    """Data in other files, by reference and copied."""

    def test_a_reference_stays_in_its_folder(self, tmp_path: Path) -> None:
        """In the same folder locations stay valid, and no data file is touched."""
        model = _folder_with(tmp_path, _external_model("w.bin"), w_bin=_FLOATS)
        before = (tmp_path / "w.bin").stat()
        with opened_files() as names:
            write_model(model, tmp_path / "out.onnx", external="reference")
        assert _tree(tmp_path)["out.onnx"] == _external_model("w.bin")
        after = (tmp_path / "w.bin").stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert names
        assert not [name for name in names if name.endswith("w.bin")]

    def test_a_reference_needs_no_data(self, tmp_path: Path) -> None:
        """Without its weights at hand a model can still be edited beside where they belong."""
        write_model(_folder_with(tmp_path, _external_model("w.bin")), tmp_path / "out.onnx")
        assert _tree(tmp_path)["out.onnx"] == _external_model("w.bin")

    def test_a_reference_leads_nowhere_from_elsewhere(self, tmp_path: Path) -> None:
        """In another folder the locations would be wrong: refused, with what to do."""
        model = _folder_with(tmp_path / "a", _external_model("w.bin"), w_bin=_FLOATS)
        (tmp_path / "b").mkdir()
        with pytest.raises(WriteError, match=r"'w\.bin'.*have the data copied"):
            write_model(model, tmp_path / "b/m.onnx")
        assert _tree(tmp_path / "b") == {}

    def test_the_way_to_a_folder_does_not_matter(self, tmp_path: Path) -> None:
        """The same folder by another name is the same folder."""
        model = _folder_with(tmp_path / "a", _external_model("w.bin"))
        (tmp_path / "link").symlink_to("a")
        write_model(model, tmp_path / "link/../link/out.onnx")
        assert (tmp_path / "a/out.onnx").exists()

    def test_a_stream_has_no_folder(self, tmp_path: Path) -> None:
        """What a model from a stream refers to is nowhere."""
        model = open_model(_external_model("w.bin"))
        with pytest.raises(WriteError, match="was read from a stream"):
            write_model(model, tmp_path / "out.onnx")
        with pytest.raises(ExternalData, match="was read from a stream"):
            write_model(model, tmp_path / "out.onnx", external="copy")
        assert _tree(tmp_path) == {}

    def test_an_edit_may_do_without_a_file(self, tmp_path: Path) -> None:
        """Only what the written model refers to is copied, or asked for at all."""
        data = _external_model("w.bin", "gone.bin")
        model = _folder_with(tmp_path / "a", data, w_bin=_FLOATS, more_bin=b"unused")
        (tmp_path / "b").mkdir()
        del model.proto.graph.initializer[1]
        write_model(model, tmp_path / "b/m.onnx", external="copy")
        assert _tree(tmp_path / "b") == {"m.onnx": _external_model("w.bin"), "w.bin": _FLOATS}
        del model.proto.graph.initializer[:]
        write_model(model, tmp_path / "b/bare.onnx", external="reference")

    def test_folders_are_made_for_copies(self, tmp_path: Path) -> None:
        """The relative locations of the copies are those of the originals."""
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        model = open_model(write_everything(tmp_path / "a"))
        write_model(model, tmp_path / "b/everything.onnx", external="copy")
        assert _tree(tmp_path / "b") == _tree(tmp_path / "a")
        assert set(EXTERNAL) < set(_tree(tmp_path / "b"))

    def test_copies_in_the_same_folder_are_the_originals(self, tmp_path: Path) -> None:
        """Where the data is beside the new model already, nothing is copied."""
        model = _folder_with(tmp_path, _external_model("w.bin"), w_bin=_FLOATS)
        inode = (tmp_path / "w.bin").stat().st_ino
        write_model(model, tmp_path / "out.onnx", external="copy")
        assert (tmp_path / "w.bin").stat().st_ino == inode

    def test_two_spellings_are_one_copy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``w.bin`` and ``./w.bin`` are one file, copied once."""
        renamed: list[str] = []
        real = os.replace

        def replace(source: str, target: str) -> None:
            renamed.append(os.path.basename(target))
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        data = _external_model("w.bin", "./w.bin")
        model = _folder_with(tmp_path / "a", data, w_bin=_FLOATS)
        (tmp_path / "b").mkdir()
        write_model(model, tmp_path / "b/m.onnx", external="copy")
        assert _tree(tmp_path / "b") == {"m.onnx": data, "w.bin": _FLOATS}
        assert renamed == ["w.bin", "m.onnx"]

    def test_what_a_link_leads_to_is_copied(self, tmp_path: Path) -> None:
        """A link to data inside the model's folder becomes a file."""
        model = _folder_with(tmp_path / "a", _external_model("w.bin"), real_bin=_FLOATS)
        (tmp_path / "a/w.bin").symlink_to("real.bin")
        (tmp_path / "b").mkdir()
        write_model(model, tmp_path / "b/m.onnx", external="copy")
        assert _tree(tmp_path / "b")["w.bin"] == _FLOATS

    @pytest.mark.parametrize("way", ["inside the system", "by hand", "without holes"])
    def test_all_ways_of_copying_agree(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        """Where the system cannot copy ranges, or tell holes, reading and writing does."""
        content = np.random.default_rng(1).bytes(5000)
        model = _folder_with(tmp_path / "a", _external_model("w.bin"), w_bin=content)
        (tmp_path / "b").mkdir()
        monkeypatch.setattr(writer, "CHUNK", 999)
        if way == "by hand":
            monkeypatch.setattr(os, "copy_file_range", _failing(errno.EXDEV), raising=False)
            monkeypatch.delattr(os, "SEEK_DATA", raising=False)
        if way == "without holes":
            monkeypatch.setattr(os, "SEEK_DATA", 99, raising=False)  # as EINVAL as it gets
        write_model(model, tmp_path / "b/m.onnx", external="copy")
        assert _tree(tmp_path / "b")["w.bin"] == content

    def test_an_identical_file_serves(self, tmp_path: Path) -> None:
        """A second copy finds the first one, and leaves it."""
        model = _folder_with(tmp_path / "a", _external_model("w.bin"), w_bin=_FLOATS)
        (tmp_path / "b").mkdir()
        (tmp_path / "b/w.bin").write_bytes(_FLOATS)
        inode = (tmp_path / "b/w.bin").stat().st_ino
        write_model(model, tmp_path / "b/m.onnx", external="copy")
        assert (tmp_path / "b/w.bin").stat().st_ino == inode

    @pytest.mark.parametrize("content", [_FLOATS + b"\0", _FLOATS[:-1], _FLOATS[:-1] + b"\xff"])
    def test_a_different_file_is_not_overwritten(self, tmp_path: Path, content: bytes) -> None:
        """Longer, shorter or one byte different: refused, and everything stays."""
        model = _folder_with(tmp_path / "a", _external_model("w.bin"), w_bin=_FLOATS)
        (tmp_path / "b").mkdir()
        (tmp_path / "b/w.bin").write_bytes(content)
        with pytest.raises(WriteError, match="different file of that name"):
            write_model(model, tmp_path / "b/m.onnx", external="copy")
        assert _tree(tmp_path / "b") == {"w.bin": content}

    def test_a_link_in_the_way_is_refused(self, tmp_path: Path) -> None:
        """A planted link, symbolic or hard, is neither followed nor replaced nor taken for data."""
        model = _folder_with(tmp_path / "a", _external_model("w.bin"), w_bin=_FLOATS)
        (tmp_path / "b").mkdir()
        (tmp_path / "victim").write_bytes(_FLOATS)
        for target in (tmp_path / "victim", tmp_path / "nowhere"):
            (tmp_path / "b/w.bin").unlink(missing_ok=True)
            (tmp_path / "b/w.bin").symlink_to(target)
            with pytest.raises(WriteError, match="in the way"):
                write_model(model, tmp_path / "b/m.onnx", external="copy")
        assert not (tmp_path / "nowhere").exists()
        (tmp_path / "b/w.bin").unlink()
        (tmp_path / "b/w.bin").hardlink_to(tmp_path / "victim")
        with pytest.raises(WriteError, match="in the way"):
            write_model(model, tmp_path / "b/m.onnx", external="copy")
        assert os.listdir(tmp_path / "b") == ["w.bin"]

    def test_a_folder_that_leads_out_is_refused(self, tmp_path: Path) -> None:
        """Copies are not written through a planted link to another folder."""
        data = _external_model("sub/w.bin")
        model = _folder_with(tmp_path / "a", data)
        (tmp_path / "a/sub").mkdir()
        (tmp_path / "a/sub/w.bin").write_bytes(_FLOATS)
        (tmp_path / "victim").mkdir()
        (tmp_path / "b").mkdir()
        (tmp_path / "b/sub").symlink_to(tmp_path / "victim")
        with pytest.raises(WriteError, match="outside of"):
            write_model(model, tmp_path / "b/m.onnx", external="copy")
        assert os.listdir(tmp_path / "victim") == []

    @pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "a\0b", "gone.bin"])
    def test_what_is_not_read_is_not_copied(self, tmp_path: Path, location: str) -> None:
        """Locations outside of the folder, and missing files, are refused as in reading."""
        data = _external_model("w.bin", location)
        model = _folder_with(tmp_path / "a", data, w_bin=_FLOATS)
        (tmp_path / "w.bin").write_bytes(_FLOATS)
        (tmp_path / "b").mkdir()
        with pytest.raises(ExternalData):
            write_model(model, tmp_path / "b/m.onnx", external="copy")
        assert _tree(tmp_path / "b") == {}

    def test_a_model_does_not_replace_its_weights(self, tmp_path: Path) -> None:
        """The name of a data file, or of what a link to it is called, is refused."""
        model = _folder_with(tmp_path, _external_model("link.bin"), w_bin=_FLOATS)
        (tmp_path / "link.bin").symlink_to("w.bin")
        for external in ("reference", "copy"):
            with pytest.raises(WriteError, match="holds weights of the model"):
                write_model(model, tmp_path / "w.bin", external=cast(Any, external))
        assert _tree(tmp_path)["w.bin"] == _FLOATS

    def test_a_check_sees_all_before_it_appears(self, tmp_path: Path) -> None:
        """A check reads the complete model beside its data; if it raises, neither stays."""
        data = _external_model("w.bin")
        model = _folder_with(tmp_path / "a", data, w_bin=_FLOATS)
        (tmp_path / "b").mkdir()
        seen: list[object] = []

        def check(path: str) -> None:
            seen.append((Path(path).read_bytes() == data, loaded(open_model(path))[0].tobytes()))
            seen.append((tmp_path / "b/m.onnx").exists())
            if len(seen) == 2:
                raise WriteError("planted")

        with pytest.raises(WriteError, match="planted"):
            write_model(model, tmp_path / "b/m.onnx", external="copy", check=check)
        assert _tree(tmp_path / "b") == {}
        write_model(model, tmp_path / "b/m.onnx", external="copy", check=check)
        assert _tree(tmp_path / "b") == _tree(tmp_path / "a")
        assert seen == [(True, _FLOATS), False] * 2

    def test_a_copy_made_is_taken_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When the model fails last, its data does not stay, nor a folder made for it."""
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        model = open_model(write_everything(tmp_path / "a"))
        real = os.replace

        def replace(source: str, target: str) -> None:
            if target.endswith(".onnx"):
                raise OSError(errno.EIO, "planted")
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        with pytest.raises(WriteError, match="planted"):
            write_model(model, tmp_path / "b/everything.onnx", external="copy")
        assert list((tmp_path / "b").iterdir()) == []


def _failing(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


def _interrupting(*_: object) -> Any:
    raise KeyboardInterrupt


class TestFaults:
    """Whatever goes wrong: no file under the final name, or the one that was there."""

    @pytest.fixture(params=[False, True], ids=["a new file", "an old file"])
    def folder(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        """A folder in which a model is to be written, perhaps over another file."""
        (tmp_path / "out").mkdir()
        if request.param:
            (tmp_path / "out/m.onnx").write_bytes(_ORIGINAL)
        return tmp_path / "out"

    @pytest.mark.parametrize("call", ["write", "copy_file_range", "fsync", "replace", "open"])
    @pytest.mark.parametrize(
        ("number", "advice"),
        [
            (errno.ENOSPC, "make room"),
            (errno.EACCES, "has to be writable"),
            (errno.EROFS, "another disk"),
            (errno.EIO, "choose another place"),
        ],
    )
    def test_the_system_refuses(
        self, folder: Path, call: str, number: int, advice: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A full disk, a folder that may not be written: one line, and all is as before."""
        if call == "fsync":  # which only a file that replaces another waits for
            (folder / "m.onnx").write_bytes(_ORIGINAL)
        model, before = _folder_with(folder.parent / "a", _large_model()), _tree(folder)
        with monkeypatch.context() as patch:
            patch.setattr(os, call, _failing(number), raising=False)
            with pytest.raises(WriteError, match=advice) as caught:
                write_model(model, folder / "m.onnx")
        assert str(folder / "m.onnx") in str(caught.value)
        assert "\n" not in str(caught.value)
        assert _tree(folder) == before

    @pytest.mark.parametrize("call", ["write", "fsync", "replace"])
    def test_an_interrupt(self, folder: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C leaves what was there before."""
        if call == "fsync":
            (folder / "m.onnx").write_bytes(_ORIGINAL)
        model, before = open_model(_large_model()), _tree(folder)
        with monkeypatch.context() as patch:
            patch.setattr(os, call, _interrupting)
            with pytest.raises(KeyboardInterrupt):
                write_model(model, folder / "m.onnx")
        assert _tree(folder) == before

    def test_an_interrupt_after_the_rename(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once the model is in place it stays, and so does its data."""
        (folder / "m.onnx").write_bytes(_ORIGINAL)  # only what replaces another is flushed then
        source = folder.parent / "a"
        model = _folder_with(source, _external_model("w.bin"), w_bin=_FLOATS)
        with monkeypatch.context() as patch:
            patch.setattr(staging, "_flush_folder", _interrupting)
            with pytest.raises(KeyboardInterrupt):
                write_model(model, folder / "m.onnx", external="copy")
        assert _tree(folder) == _tree(source)

    def test_a_disk_that_fills_up(self, folder: Path) -> None:
        """A limit on file size stops the writing half-way: nothing stays of it."""
        before = _tree(folder)
        code = (
            "import resource, signal, sys\n"
            "from onnxstride.errors import WriteError\n"
            "from onnxstride.modelfile import open_model\n"
            "from onnxstride.modelfile.writer import write_model\n"
            "model = open_model(sys.argv[1])\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
            "try:\n"
            "    write_model(model, sys.argv[2])\n"
            "except WriteError as error:\n"
            "    print(error)\n"
        )
        source = folder.parent / "large.onnx"
        source.write_bytes(_large_model())
        command = [sys.executable, "-c", code, str(source), str(folder / "m.onnx")]
        run = subprocess.run(command, capture_output=True, check=True, text=True)
        assert "File too large" in run.stdout
        assert _tree(folder) == before

    def test_a_killed_process(self, folder: Path) -> None:
        """Killed in the middle, it leaves its temporary file and nothing under the final name."""
        before = _tree(folder)
        code = (
            "import os, sys, time\n"
            "from onnxstride.modelfile import open_model\n"
            "from onnxstride.modelfile.writer import write_model\n"
            "def stall(source, target):\n"
            "    print('here', flush=True)\n"
            "    time.sleep(60)\n"
            "os.replace = stall\n"
            "write_model(open_model(sys.argv[1]), sys.argv[2])\n"
        )
        source = folder.parent / "large.onnx"
        source.write_bytes(_large_model())
        command = [sys.executable, "-c", code, str(source), str(folder / "m.onnx")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "here\n"
            process.send_signal(signal.SIGKILL)
        after = _tree(folder)
        left = {name for name in after if name not in before}
        assert all(name.startswith(".onnxstride-") for name in left)
        assert len(left) == 1
        assert {name: after[name] for name in before} == before

    @pytest.mark.parametrize("is_late", [False, True], ids=["before", "while it is written"])
    @pytest.mark.parametrize("change", ["cut short", "made longer", "overwritten"])
    def test_a_source_that_changes(
        self, folder: Path, change: str, monkeypatch: pytest.MonkeyPatch, *, is_late: bool
    ) -> None:
        """A model that is written to after it was opened is noticed, whenever that happens."""
        model = _folder_with(folder.parent / "a", _large_model())
        assert model.path is not None
        path, before = model.path, _tree(folder)
        if not is_late:
            _change(path, change)
        real = os.close

        def close(descriptor: int) -> None:
            # Not any file: a map that another test has left may be collected at any time.
            if os.fstat(descriptor).st_ino in {each.stat().st_ino for each in folder.iterdir()}:
                _change(path, change)
            real(descriptor)

        monkeypatch.setattr(os, "close", close)
        with pytest.raises(WriteError, match="has changed"):
            write_model(model, folder / "m.onnx")
        assert _tree(folder) == before

    def test_a_source_cut_short_while_it_is_copied(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Bytes that a map has lost end the writing, not the process."""
        tensors = [raw_tensor(f"w{index}", 100_000, seed=index) for index in range(3)]
        data = model_with(*tensors).SerializeToString()
        model, before = _folder_with(folder.parent / "a", data), _tree(folder)
        real = os.write

        def write(descriptor: int, piece: memoryview) -> int:
            os.truncate(cast(Path, model.path), 1000)
            return real(descriptor, piece)

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            with pytest.raises(WriteError, match="cut short"):
                write_model(model, folder / "m.onnx")
        assert _tree(folder) == before

    def test_a_stream_on_a_file_that_is_cut_short(self, folder: Path) -> None:
        """A model from a stream has no path to ask for times; its size is watched."""
        _folder_with(folder.parent / "a", _large_model())
        path, before = folder.parent / "a/m.onnx", _tree(folder)
        with open(path, "rb") as file:
            model = open_model(file)
        _change(path, "cut short")
        with pytest.raises(WriteError, match="has changed"):
            write_model(model, folder / "m.onnx")
        assert _tree(folder) == before

    def test_a_system_that_writes_little_at_a_time(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the system leaves over from one write is written by the next."""
        real = os.write
        monkeypatch.setattr(os, "write", lambda out, data: real(out, data[:999]))
        write_model(open_model(_large_model()), folder / "m.onnx")
        assert _tree(folder) == {"m.onnx": _large_model()}

    def test_a_replaced_source_is_still_there(self, folder: Path) -> None:
        """Another file under the model's name is another file: the one that was opened lives on."""
        model = _folder_with(folder.parent / "a", _large_model())
        (folder.parent / "other").write_bytes(b"other")
        os.replace(folder.parent / "other", cast(Path, model.path))
        write_model(model, folder / "m.onnx")
        assert _tree(folder) == {"m.onnx": _large_model()}

    def test_a_stream_that_fails(self, folder: Path) -> None:
        """A stream that ends early is reported as such."""
        stream = io.BytesIO(model_with(raw_tensor("w", 100_000)).SerializeToString())
        model, before = open_model(stream), _tree(folder)
        stream.truncate(30_000)
        with pytest.raises(UnreadableFile, match="ended"):
            write_model(model, folder / "m.onnx")
        assert _tree(folder) == before

    def test_data_that_changes_while_it_is_copied(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A data file is watched while it is copied, too."""
        data = _external_model("w.bin")
        model, before = _folder_with(folder.parent / "a", data, w_bin=_FLOATS), _tree(folder)
        real = os.ftruncate

        def ftruncate(descriptor: int, size: int) -> None:
            _change(folder.parent / "a/w.bin", "overwritten")
            real(descriptor, size)

        monkeypatch.setattr(os, "ftruncate", ftruncate)
        with pytest.raises(WriteError, match="changed while it was copied"):
            write_model(model, folder / "m.onnx", external="copy")
        assert _tree(folder) == before


def _change(path: Path, change: str) -> None:
    """Writes into a file; the time of the change is a second later than any before."""
    if change == "cut short":
        os.truncate(path, path.stat().st_size - 4096)
    elif change == "made longer":
        os.truncate(path, path.stat().st_size + 1)
    else:
        with open(path, "r+b") as file:
            file.write(b"\x08")
        later = path.stat().st_mtime_ns + 10**9
        os.utime(path, ns=(later, later))


class TestPlace:
    """Where the file goes, and what it may be read and written by."""

    def test_in_place(self, tmp_path: Path) -> None:
        """The file a model was read from can be the one that is written."""
        model = _folder_with(tmp_path, _large_model())
        os.chmod(tmp_path / "m.onnx", 0o640)
        model.proto.doc_string = "edited"
        write_model(model, tmp_path / "m.onnx")
        whole = onnx.ModelProto.FromString(_large_model())
        whole.doc_string = "edited"
        assert _tree(tmp_path) == {"m.onnx": whole.SerializeToString()}
        assert stat.S_IMODE((tmp_path / "m.onnx").stat().st_mode) == 0o640
        assert len(loaded(model)) == 3  # from the old file, which is still mapped

    @pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o755, 0o444])
    def test_permissions_are_kept(self, tmp_path: Path, mode: int) -> None:
        """A file that is replaced hands on its permissions, whatever the umask."""
        (tmp_path / "out.onnx").write_bytes(_ORIGINAL)
        os.chmod(tmp_path / "out.onnx", mode)
        write_model(open_model(_large_model()), tmp_path / "out.onnx")
        assert stat.S_IMODE((tmp_path / "out.onnx").stat().st_mode) == mode

    @pytest.mark.parametrize("mask", [0o022, 0o077])
    def test_a_new_file_follows_the_umask(self, tmp_path: Path, mask: int) -> None:
        """A new file is readable as any other new file is."""
        before = os.umask(mask)
        try:
            write_model(open_model(_large_model()), tmp_path / "out.onnx")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "out.onnx").stat().st_mode) == 0o666 & ~mask

    def test_private_data_stays_private(self, tmp_path: Path) -> None:
        """A copy of weights that only their owner reads is one that only the owner reads."""
        model = _folder_with(tmp_path / "a", _external_model("w.bin"), w_bin=_FLOATS)
        os.chmod(tmp_path / "a/w.bin", 0o600)
        (tmp_path / "b").mkdir()
        write_model(model, tmp_path / "b/m.onnx", external="copy")
        assert stat.S_IMODE((tmp_path / "b/w.bin").stat().st_mode) == 0o600

    @pytest.mark.parametrize("exists", [True, False])
    def test_a_link_is_not_followed(self, tmp_path: Path, *, exists: bool) -> None:
        """A symbolic link under the final name is refused; what it leads to is untouched."""
        if exists:
            (tmp_path / "victim").write_bytes(_ORIGINAL)
        (tmp_path / "out.onnx").symlink_to("victim")
        with pytest.raises(WriteError, match="symbolic link"):
            write_model(open_model(_large_model()), tmp_path / "out.onnx")
        assert _tree(tmp_path) == ({"victim": _ORIGINAL} if exists else {})

    def test_a_link_planted_meanwhile_is_replaced(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A link that appears during the writing is not followed either."""
        (tmp_path / "victim").write_bytes(_ORIGINAL)
        real = os.close

        def close(descriptor: int) -> None:
            real(descriptor)
            if not (tmp_path / "out.onnx").exists():
                (tmp_path / "out.onnx").symlink_to("victim")

        monkeypatch.setattr(os, "close", close)
        write_model(open_model(_large_model()), tmp_path / "out.onnx")
        assert _tree(tmp_path) == {"victim": _ORIGINAL, "out.onnx": _large_model()}

    def test_a_planted_temporary_file_is_not_written_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Even who guesses the temporary name gains nothing."""
        (tmp_path / "victim").write_bytes(_ORIGINAL)
        (tmp_path / ".onnxstride-guessed.tmp").symlink_to("victim")
        monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
        with pytest.raises(WriteError, match="File exists"):
            write_model(open_model(_large_model()), tmp_path / "out.onnx")
        assert _tree(tmp_path) == {"victim": _ORIGINAL}

    def test_what_is_no_file_is_not_replaced(self, tmp_path: Path) -> None:
        """A folder, a pipe, a missing folder: each is named."""
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")
        model = open_model(_large_model())
        for name, expected in (
            ("folder", "is a folder"),
            (".", "is a folder"),
            ("pipe", "no regular file"),
            ("missing/out.onnx", "no such folder"),
            ("x" * 300, "shorter name"),
        ):
            with pytest.raises(WriteError, match=expected):
                write_model(model, tmp_path / name)
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
        assert _tree(tmp_path) == {}

    @pytest.mark.skipif(os.geteuid() == 0, reason="everything is writable for root")
    def test_a_folder_that_may_not_be_written(self, tmp_path: Path) -> None:
        """The folder has to be writable, and the message says so."""
        (tmp_path / "folder").mkdir(mode=0o555)
        with pytest.raises(WriteError, match="has to be writable"):
            write_model(open_model(_large_model()), tmp_path / "folder/out.onnx")

    @pytest.mark.parametrize("replaces", [True, False])
    def test_what_replaces_a_file_is_on_the_disk_before_it_does(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, replaces: bool
    ) -> None:
        """Flushed complete, renamed, its folder flushed; a file in a new place is renamed."""
        if replaces:
            (tmp_path / "out.onnx").write_bytes(_ORIGINAL)
        events: list[tuple[str, int]] = []
        fsync, replace = os.fsync, os.replace

        def flush(descriptor: int) -> None:
            status = os.fstat(descriptor)
            events.append(("flush", -1 if stat.S_ISDIR(status.st_mode) else status.st_size))
            fsync(descriptor)

        def rename(source: str, target: str) -> None:
            events.append(("rename", os.stat(source).st_size))
            replace(source, target)

        monkeypatch.setattr(os, "fsync", flush)
        monkeypatch.setattr(os, "replace", rename)
        write_model(open_model(_large_model()), tmp_path / "out.onnx")
        renamed = ("rename", len(_large_model()))
        flushed = ("flush", len(_large_model()))
        assert events == ([flushed, renamed, ("flush", -1)] if replaces else [renamed])


def test_reading_does_not_load_the_writer() -> None:
    """A model is linted without the modules that write one."""
    code = (
        "import sys, onnxstride.modelfile; "
        "print(*(name for name in sys.modules if name.startswith('onnxstride.modelfile')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    names = {name.rpartition(".")[2] for name in run.stdout.split()}
    assert "reader" in names
    assert not names & {"writer", "staging", "pieces"}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak")
@pytest.mark.parametrize("size", [1 << 16, 1 << 20, 1 << 26])
def test_the_memory_of_a_large_model_stays_small(tmp_path: Path, size: int) -> None:
    """Of 64 MiB of mapped weights, in any portions, few are in memory at a time."""
    code = (
        "import re, sys\n"
        "from onnxstride.modelfile import open_model\n"
        "from onnxstride.modelfile.writer import write_model\n"
        "def peak():\n"
        "    status = open('/proc/self/status').read()\n"
        "    return int(re.search(r'VmHWM:\\s*(\\d+) kB', status)[1])\n"
        "model = open_model(sys.argv[1])\n"
        "before = peak()\n"
        "write_model(model, sys.argv[2])\n"
        "print(peak() - before)\n"
    )
    count = (64 << 20) // size
    tensors = [TensorProto(name=str(i), data_type=2, dims=[size]) for i in range(count)]
    for tensor in tensors:
        tensor.raw_data = bytes(size)
    source = tmp_path / "m.onnx"
    source.write_bytes(model_with(*tensors).SerializeToString())
    command = [sys.executable, "-c", code, str(source), str(tmp_path / "out.onnx")]
    run = subprocess.run(command, capture_output=True, check=True, text=True)
    assert int(run.stdout) << 10 < 24 << 20
    assert (tmp_path / "out.onnx").stat().st_size == source.stat().st_size
