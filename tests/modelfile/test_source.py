"""Sources: a map, bytes and any stream behave the same."""

import gzip
import io
import mmap
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.errors import UnreadableFile
from onnxstride.modelfile import open_model
from onnxstride.modelfile.source import PagedStream, stream_source

from .building import assert_same, loaded, model_with, raw_tensor

_DATA = bytes(range(256)) * 40


class _Pipe(io.RawIOBase):
    """A stream that can only be read forwards."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        return self._inner.readinto(cast(bytearray, buffer))


class _Trickle(io.BytesIO):
    """A stream that hands out three bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(3, size) if size and size > 0 else 3)


@given(st.lists(st.tuples(st.integers(-20, 11000), st.integers(-20, 11000)), max_size=20))
def test_a_paged_stream_is_like_bytes(ranges: list[tuple[int, int]]) -> None:
    """Slices and items equal those of the bytes, whatever pages are held."""
    paged = PagedStream(io.BytesIO(_DATA), page=100, pages_held=3)
    assert len(paged) == len(_DATA)
    for start, stop in ranges:
        assert paged[start:stop] == _DATA[start:stop]
        if 0 <= start < len(_DATA):
            assert paged[start] == _DATA[start]


def test_a_paged_stream_holds_few_pages() -> None:
    """Reading everything byte by byte keeps no more than the pages it may hold."""
    paged = PagedStream(io.BytesIO(_DATA), page=100, pages_held=3)
    assert bytes(paged[index] for index in range(len(_DATA))) == _DATA
    assert len(paged._pages) == 3  # pyright: ignore[reportPrivateUsage]


def test_past_the_end_is_an_index_error() -> None:
    """As of a map."""
    with pytest.raises(IndexError):
        PagedStream(io.BytesIO(b"abc"))[3]


def test_backwards_is_refused() -> None:
    """Streams are read forwards."""
    with pytest.raises(ValueError, match="steps of 1"):
        PagedStream(io.BytesIO(b"abc"))[::-1]


def test_a_stream_that_shrank_is_an_error() -> None:
    """What ends before its length at opening is unreadable, not silently short."""
    stream = io.BytesIO(_DATA)
    paged = PagedStream(stream, page=100)
    stream.truncate(50)
    with pytest.raises(UnreadableFile, match="50 bytes early"):
        _ = paged[0]


def _streams(tmp_path: Path, data: bytes) -> dict[str, BinaryIO]:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    packed = tmp_path / "m.onnx.gz"
    packed.write_bytes(gzip.compress(data))
    return {
        "memory": io.BytesIO(data),
        "trickle": _Trickle(data),
        "file": path.open("rb"),
        "unbuffered": path.open("rb", buffering=0),
        "gzip": cast(BinaryIO, gzip.open(packed)),
        "pipe": io.BufferedReader(_Pipe(data)),
    }


@pytest.mark.parametrize("kind", ["memory", "trickle", "file", "unbuffered", "gzip", "pipe"])
def test_every_stream_gives_the_same_model(tmp_path: Path, kind: str) -> None:
    """Map, bytes and stream lead to equal protos and equal tensors."""
    data = model_with(raw_tensor("a", 60_000), raw_tensor("b", 3)).SerializeToString()
    expected = open_model(data)
    streams = _streams(tmp_path, data)
    found = open_model(streams[kind])
    assert found.proto == expected.proto
    for one, other in zip(loaded(found), loaded(expected), strict=True):
        assert_same(one, other)
    for stream in streams.values():
        stream.close()


def test_files_and_pipes_are_mapped(tmp_path: Path) -> None:
    """A regular file is mapped as it is, a pipe by way of a temporary file; the rest is paged."""
    streams = _streams(tmp_path, _DATA)
    kinds = {name: type(stream_source(stream)) for name, stream in streams.items()}
    for stream in streams.values():
        stream.close()
    assert all(issubclass(kinds[name], mmap.mmap) for name in ("file", "unbuffered", "pipe"))
    assert kinds["memory"] is kinds["gzip"] is PagedStream


_READ_STDIN = """
import mmap, sys
from onnxstride.modelfile import open_model
model = open_model(sys.stdin.buffer, name="<stdin>")
shape = model.tensor(model.proto.graph.initializer[0]).shape
print(model.name, shape, isinstance(model.source, mmap.mmap))
"""


@pytest.mark.parametrize("through", ["pipe", "file"])
def test_standard_input(tmp_path: Path, through: str) -> None:
    """A model comes in through a pipe or a redirected file."""
    path = tmp_path / "m.onnx"
    path.write_bytes(model_with(raw_tensor("a", 6000)).SerializeToString())
    command = [sys.executable, "-c", _READ_STDIN]
    if through == "pipe":
        run = subprocess.run(command, input=path.read_bytes(), capture_output=True, check=True)
    else:
        with path.open("rb") as file:
            run = subprocess.run(command, stdin=file, capture_output=True, check=True)
    assert run.stdout.split() == b"<stdin> (6000,) True".split()


def test_a_path_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """Missing, folder, pipe, and impossible names: one UnreadableFile each, no hang."""
    os.mkfifo(tmp_path / "fifo")
    cases: dict[Path | str, str] = {
        tmp_path / "missing.onnx": "no such file",
        tmp_path: "folder",
        tmp_path / "fifo": "not a regular file",
        tmp_path / ("x" * 5000): "cannot be read",
        "a\0b": "not a usable path",
    }
    for path, expected in cases.items():
        with pytest.raises(UnreadableFile, match=expected):
            open_model(path)


def test_a_forbidden_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permission denied is its own message."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UnreadableFile, match="permission denied"):
        open_model(path)


class _Broken(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError(5, "Input/output error")


def test_a_failing_stream_is_unreadable() -> None:
    """An I/O error in the middle is an UnreadableFile, from opening or from a tensor."""
    data = model_with(raw_tensor("a", 60_000)).SerializeToString()
    with pytest.raises(UnreadableFile, match="Input/output error"):
        open_model(_Broken(data))
    stream = io.BytesIO(data)
    model = open_model(stream)
    stream.close()
    with pytest.raises(UnreadableFile, match="closed"):
        model.tensor(model.proto.graph.initializer[0])
