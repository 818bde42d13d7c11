"""Opening a model: from a path, a stream or bytes, without loading its weights.

What cannot be opened is diagnosed by its first bytes, after reading it as a model has failed, so
that a model is never mistaken for something else.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
from onnx.onnx_ml_pb2 import ModelProto, TensorProto

from ..errors import ExternalData, ModelError, NotAModel, UnreadableFile
from .external import ExternalFiles
from .protobuf import DecodeError, explained
from .source import Source, close, has_changed, path_source, stream_source
from .tensors import Tensors
from .wire import MARKER, SKELETON_LIMIT, Cut, skeleton

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TEXT_SUFFIX = ".onnxtxt"
_HEAD = 4096

_PICKLE = "a Python pickle, as PyTorch saves; export the model with torch.onnx.export"
_SIGNATURES = (
    (0, b"version https://git-lfs", "a git-lfs pointer, not the model itself; run 'git lfs pull'"),
    (0, b"PK\x03\x04", "a zip archive, as PyTorch saves; export it with torch.onnx.export"),
    (0, b"\x80\x02", _PICKLE),
    (0, b"\x80\x03", _PICKLE),
    (0, b"\x80\x04", _PICKLE),
    (0, b"\x80\x05", _PICKLE),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras saves; convert it with tf2onnx"),
    (4, b"TFL3", "a TensorFlow Lite model; convert it with tf2onnx"),
    (4, b"ORTM", "an ONNX Runtime .ort model; use the .onnx file it was made from"),
    (0, b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with Zstandard; unpack it first"),
    (0, b"\x00\x05\x16\x07", "a macOS resource fork; use the file of that name without '._'"),
    (0, b"\x93NUMPY", "a numpy array, not a model"),
    (0, b"GGUF", "a GGUF model; export the original to ONNX"),
    (8, b'{"', "weights in safetensors, without a graph; export the model with torch.onnx.export"),
)


class ModelFile:
    """An ONNX model whose weights are left where they lie until asked for.

    ``proto`` is complete but for the payloads of large tensors. Its tensors, wherever they are
    copied to, are loaded by ``tensor``. ``source`` holds the bytes that the model was read from
    (none for text and for models made in memory).
    """

    def __init__(
        self,
        proto: ModelProto,
        name: str,
        path: Path | None,
        source: Source,
        tensors: Tensors,
    ) -> None:
        self.proto = proto
        self.name = name
        self.path = path
        self.source = source
        self._tensors = tensors
        self._is_owner = True

    @classmethod
    def from_proto(
        cls, proto: ModelProto, path: Path | None = None, name: str = "<memory>"
    ) -> Self:
        """A model that is in memory already; ``path`` says where its external data is."""
        files = ExternalFiles(path.parent if path is not None else None)
        tensors = Tensors(b"", [], MARKER, files, has_noise=True)
        return cls(proto, name if path is None else str(path), path, b"", tensors)

    def edited(self, proto: ModelProto) -> Self:
        """This model with another proto, which an edited copy of ``self.proto`` becomes.

        Tensors copied or moved from ``self.proto`` keep their data. The files stay this model's:
        they are open until it is closed.
        """
        model = type(self)(proto, self.name, self.path, self.source, self._tensors)
        model._is_owner = False
        return model

    @property
    def is_edited(self) -> bool:
        """True when ``proto`` is an edited copy, which the file at ``path`` does not hold."""
        return not self._is_owner

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of ``external_data`` that stand for data left out of ``proto``, not for a file."""
        return self._tensors.keys

    def tensor(self, tensor: TensorProto) -> NDArray[np.generic]:
        """The tensor's values, read-only; large ones are views of the file.

        Raises:
            InvalidTensor: its bytes do not match its type and shape.
            ExternalData: they are in a file that is missing, too short or out of bounds.
            UnreadableFile: the stream it was read from fails.
        """
        return self._tensors.load(tensor)

    def numbers(self, tensor: TensorProto, first: int | None = None) -> list[float] | None:
        """The tensor's values, or the first so many, in order and without numpy.

        None where that cannot be; see ``Tensors.numbers``.

        Raises:
            ModelError: as ``tensor``.
        """
        return self._tensors.numbers(tensor, first)

    def fault(self, tensor: TensorProto) -> ModelError | None:
        """What is wrong with the tensor's bytes, found without loading them; None if nothing."""
        return self._tensors.fault(tensor)

    def cut(self, tensor: TensorProto) -> Cut | None:
        """Which bytes of ``source`` belong to this tensor but are not in ``proto``."""
        return self._tensors.cut(tensor)

    def noise_size(self, tensor: TensorProto) -> int | None:
        """Bytes of ``raw_data`` that noise made up for this tensor takes; None without noise.

        Raises:
            InvalidTensor: it asks for noise that cannot be made.
        """
        return self._tensors.noise_size(tensor)

    def data_file(self, location: str) -> io.FileIO:
        """A file of external data, to be read as a whole.

        Raises:
            ExternalData: it is missing, out of bounds, or cannot be read.
        """
        return self._tensors.files.open(location)

    def refuse_changed(self) -> None:
        """Raises where a file was written to while this model was read from it.

        Raises:
            UnreadableFile: the model's own.
            ExternalData: one of its external data.
        """
        if not self._is_owner:
            return
        if has_changed(self.source):
            raise _changed()
        location = self._tensors.files.changed()
        if location is not None:
            raise ExternalData(
                f"external data {location!r} has changed while it was read; read the model again "
                "once nothing writes to it"
            )

    def release(self) -> None:
        """Gives back the memory that tensors were looked into with; arrays stay good."""
        self._tensors.release()

    def close(self) -> None:
        """Lets go of the files. Arrays that look into one keep it mapped until they are gone."""
        if self._is_owner:
            self._tensors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the model; what was read of a file that has changed meanwhile is worth nothing.

        Raises:
            ModelError: see ``refuse_changed``.
        """
        try:
            if error is None or isinstance(error, ModelError):
                self.refuse_changed()
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"ModelFile({self.name!r})"


def open_model(
    source: str | os.PathLike[str] | BinaryIO | bytes | bytearray | memoryview,
    name: str | None = None,
) -> ModelFile:
    """The model in a file, a binary stream or bytes. ``name`` is how messages call it.

    A path that ends in ``.onnxtxt`` is read as ONNX text, and so is a stream that begins like it.

    Raises:
        UnreadableFile: it cannot be opened or read.
        NotAModel: it is something else, damaged or incomplete.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        data = path_source(source)
        return _opened(data, name or str(path), path, is_text=path.suffix == _TEXT_SUFFIX)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _opened(bytes(source), name or "<bytes>", None, is_text=None)
    return _opened(stream_source(source), name or "<stream>", None, is_text=None)


def parse_text(text: str, name: str = "<text>") -> ModelFile:
    """The model that ONNX text describes; see ``text`` for what may be left out.

    Raises:
        NotAModel: with the line, and what was expected there.
    """
    # Few runs read text: its modules are loaded by those that do.
    from .text import model_of

    return ModelFile.from_proto(model_of(text), name=name)


def _opened(data: Source, name: str, path: Path | None, *, is_text: bool | None) -> ModelFile:
    """The model in ``data``, which is closed again where there is none."""
    is_text = _is_text(data) if is_text is None else is_text
    try:
        return _from_text(data, name, path) if is_text else _from_binary(data, name, path)
    except (DecodeError, NotAModel) as error:
        if has_changed(data):
            close(data)
            raise _changed() from error
        said = str(error) if isinstance(error, NotAModel) else explained(error)
        better = _diagnosis(data, is_text=is_text) or said
        close(data)
        raise NotAModel(better) from error


def _from_binary(data: Source, name: str, path: Path | None) -> ModelFile:
    found = skeleton(data)
    proto = ModelProto.FromString(found.data)
    if not proto.HasField("graph"):
        raise NotAModel(
            "protobuf without a graph; expected an ONNX model; a TensorFlow model is converted "
            "with tf2onnx, a tensor or a function library is nothing to lint"
        )
    files = ExternalFiles(path.parent if path is not None else None)
    tensors = Tensors(data, found.cuts, found.key, files, has_noise=False)
    return ModelFile(proto, name, path, data, tensors)


def _from_text(data: Source, name: str, path: Path | None) -> ModelFile:
    from .text import read_text

    if len(data) > SKELETON_LIMIT:
        raise NotAModel(f"more than {SKELETON_LIMIT >> 20} MiB of text; save it as .onnx")
    text = data[:]
    if has_changed(data):
        close(data)
        raise _changed()
    model = ModelFile.from_proto(read_text(text), path, name)
    model.name = name
    close(data)
    return model


def _changed() -> UnreadableFile:
    return UnreadableFile(
        "the file has changed while it was read; read it again once nothing writes to it"
    )


def _is_text(data: Source) -> bool:
    """True for ONNX text; a look at one byte tells nearly every binary model."""
    if len(data) == 0 or data[0] < 9:
        return False
    from .text import looks_like_text

    return looks_like_text(data[:_HEAD])


def _diagnosis(data: Source, *, is_text: bool) -> str | None:
    """What the bytes are instead, where that can be told; None otherwise."""
    if len(data) == 0:
        return "the file is empty (0 bytes); fetch or export it again"
    head = data[:_HEAD]
    for position, signature, what in _SIGNATURES:
        if head.startswith(signature, position):
            return what
    if is_text:
        return None
    from .text import CONTROL_CHARACTER, looks_like_text

    if CONTROL_CHARACTER.search(head):
        return None
    if looks_like_text(head):
        return "ONNX text; give the file a name that ends in .onnxtxt"
    return _text_diagnosis(head)


def _text_diagnosis(head: bytes) -> str:
    """What a text is that is no ONNX text."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "an HTML or XML page, not a model; the download went to the wrong address"
    if start.startswith((b"{", b"[")):
        return "JSON, not a model; expected binary ONNX or ONNX text (.onnxtxt)"
    if start.startswith((b"ir_version:", b"graph {", b"producer_name:")):
        return "protobuf text format; convert it with onnx.load(..., format='textproto')"
    return "text, not a model; expected binary ONNX, or ONNX text in a file named .onnxtxt"
