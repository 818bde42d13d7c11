"""Opening a model: what it is called, where it comes from, and what it is instead."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

import onnxstride.modelfile
from onnxstride.errors import ModelError, NotAModel, UnreadableFile
from onnxstride.modelfile import ModelFile, open_model, parse_text

from .building import field, loaded, model_with, raw_tensor

_TEXT = "g (float[1] x) => (float[1] y) { y = Relu (x) }"
_SOUND = model_with(raw_tensor("w", 600)).SerializeToString()


def test_a_model_knows_its_name_and_path(tmp_path: Path) -> None:
    """Messages call it by the name given, else by its path; a stream has no path."""
    path = tmp_path / "m.onnx"
    path.write_bytes(_SOUND)
    with open_model(path) as model:
        assert (model.name, model.path) == (str(path), path)
    with open_model(str(path), name="shown") as model:
        assert (model.name, model.path) == ("shown", path)
    assert open_model(io.BytesIO(_SOUND)).name == "<stream>"
    assert open_model(_SOUND).name == "<bytes>"
    assert open_model(bytearray(_SOUND), name="shown").path is None
    assert parse_text(_TEXT, "example").name == "example"
    assert repr(parse_text(_TEXT, "example")) == "ModelFile('example')"


def test_the_proto_is_complete_but_for_weights() -> None:
    """Names, shapes, documentation and metadata are as in the file."""
    original = model_with(raw_tensor("w", 600), raw_tensor("small", 3))
    original.doc_string = "text" * 1000
    original.metadata_props.add(key="a", value="b")
    found = open_model(original.SerializeToString()).proto
    for proto in (found, original):
        tensor = proto.graph.initializer[0]
        for name in ("raw_data", "data_location", "external_data"):
            tensor.ClearField(name)
    assert found == original


def test_text_is_known_by_its_suffix(tmp_path: Path) -> None:
    """``.onnxtxt`` is ONNX text; its external data would be beside it."""
    path = tmp_path / "m.onnxtxt"
    path.write_bytes(b"\xef\xbb\xbf" + _TEXT.encode())
    model = open_model(path)
    assert (model.name, model.path) == (str(path), path)
    assert model.proto.graph.node[0].op_type == "Relu"


@pytest.mark.parametrize(
    "text", [_TEXT, f"# comment\n\n{_TEXT}", f'<ir_version: 10, opset_import: ["" : 22]> {_TEXT}']
)
def test_text_is_known_in_a_stream(text: str) -> None:
    """A stream that begins like ONNX text is read as such."""
    assert open_model(io.BytesIO(text.encode())).proto.graph.node[0].op_type == "Relu"


def test_text_under_another_name_is_told(tmp_path: Path) -> None:
    """A file ``.onnx`` that holds ONNX text says which name it should have."""
    path = tmp_path / "m.onnx"
    path.write_text(_TEXT)
    with pytest.raises(NotAModel, match=r"ends in \.onnxtxt"):
        open_model(path)


def test_a_model_in_memory() -> None:
    """A proto is wrapped as it is, and its tensors are read from it."""
    proto = model_with(raw_tensor("w", 600))
    model = ModelFile.from_proto(proto)
    assert model.proto is proto
    assert loaded(model)[0].tobytes() == proto.graph.initializer[0].raw_data


def test_a_model_in_memory_finds_its_external_data(tmp_path: Path) -> None:
    """With a path, external data lies in that path's folder."""
    (tmp_path / "w.bin").write_bytes(np.arange(3, dtype=np.float32).tobytes())
    tensor = TensorProto(name="w", data_type=1, dims=[3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.bin")
    model = ModelFile.from_proto(model_with(tensor), tmp_path / "m.onnx")
    assert loaded(model)[0].tolist() == [0, 1, 2]


def test_a_cut_tensor_needs_its_own_model() -> None:
    """A proto taken out of its ModelFile says where its data was left."""
    model = ModelFile.from_proto(open_model(_SOUND).proto)
    with pytest.raises(ModelError, match="left in another file"):
        loaded(model)


_OTHERS = {
    "empty": (b"", "empty"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
    "text": (b"hello, this is no model\n" * 9, "text, not a model"),
    "text like a graph": (b":hello, this is no model\n" * 9, "text, not a model"),
    "html": (b"\n<!DOCTYPE html><html></html>", "HTML"),
    "json": (b'{"graph": {}}', "JSON"),
    "protobuf text": (b"ir_version: 7\ngraph {\n}\n", "protobuf text"),
    "zip": (b"PK\x03\x04" + bytes(100), "torch.onnx"),
    "pickle": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "torch.onnx"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "tf2onnx"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(100), "tf2onnx"),
    "ort": (b"\x1c\0\0\0ORTM" + bytes(100), ".ort"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "gzip"),
    "resource fork": (b"\0\x05\x16\x07\0\x02\0\0" + bytes(100), "resource fork"),
    "safetensors": (b"\x40\0\0\0\0\0\0\0{" + b'"w":{}}', "safetensors"),
    "numpy": (b"\x93NUMPY\x01\0" + bytes(100), "numpy"),
    "saved model": (b"\x08\x01" + field(2, b"meta"), "without a graph"),
    "zeros": (bytes(5000), "field number 0"),
    "noise": (np.random.default_rng(5).bytes(5000), "damaged"),
}


@pytest.mark.parametrize(("data", "expected"), _OTHERS.values(), ids=_OTHERS)
def test_what_is_no_model_is_named(tmp_path: Path, data: bytes, expected: str) -> None:
    """One line says what the file is, from a path as from a stream."""
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    for source in (path, io.BytesIO(data)):
        with pytest.raises(NotAModel, match=expected) as caught:
            open_model(source)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("head", [data for data, _ in _OTHERS.values()], ids=_OTHERS)
def test_a_model_is_never_mistaken(head: bytes) -> None:
    """Signatures are looked at only after reading has failed: here they are a model's text."""
    found = open_model(field(2, head) + _SOUND)
    assert len(loaded(found)) == 1


def test_the_example_models_of_onnx_open() -> None:
    """Every model of onnx's backend tests opens; none has a fault."""
    folder = Path(onnx.__file__).parent / "backend/test/data/simple"
    paths = sorted(folder.rglob("*.onnx"))
    assert paths
    for path in paths:
        with open_model(path) as model:
            assert loaded(model) is not None


def test_reading_is_light_to_import() -> None:
    """Beyond what onnx itself imports, the package adds itself and mmap."""
    code = (
        "import onnx, sys; before = set(sys.modules); import onnxstride.modelfile; "
        "print(*sorted(name for name in set(sys.modules) - before if 'onnxstride' not in name))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.split() == ["mmap"]


def test_text_is_imported_when_needed() -> None:
    """Reading a binary model loads neither the text parser's module nor that for noise."""
    code = (
        "import io, sys; from onnxstride.modelfile import open_model; "
        f"open_model({model_with().SerializeToString()!r}); "
        "print(any(name.endswith(('.text', '.noise')) for name in sys.modules "
        "if name.startswith('onnxstride')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "False"


def test_the_public_names() -> None:
    """The package offers these, and unreadable files are of the same tree of errors."""
    assert onnxstride.modelfile.__all__ == ["ModelFile", "open_model", "parse_text"]
    assert issubclass(UnreadableFile, ModelError)
