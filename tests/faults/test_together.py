"""Two processes that write to one place at a time: one whole result is there in the end."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import TensorProto

from onnxstride.errors import WriteError
from onnxstride.modelfile import open_model
from onnxstride.modelfile.writer import write_model
from onnxstride.output import write_file
from tests.modelfile.building import model_with, raw_tensor

from .forking import started

_TIMES = 40


def _model(folder: Path, seed: int, *, external: bool = False) -> Path:
    """A model with a weight of 200 KB or more, in it or beside it."""
    folder.mkdir()
    weight = raw_tensor("w", 50_000 + seed, seed=seed)
    if external:
        (folder / "w.bin").write_bytes(weight.raw_data)
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="w.bin")
    (folder / "m.onnx").write_bytes(model_with(weight).SerializeToString())
    return folder / "m.onnx"


def _contended(
    target: Path, ours: Callable[[], object], theirs: Callable[[], object]
) -> tuple[int, set[bytes]]:
    """Both at once; the other's exit code, and all that was found at ``target`` meanwhile."""

    def act() -> None:
        for _ in range(_TIMES):
            theirs()

    other = started(act, target.with_name("said"))
    found = set[bytes]()
    status = 0, 0
    while status == (0, 0):
        status = os.waitpid(other, os.WNOHANG)
        ours()
        found.add(target.read_bytes())
    return os.waitstatus_to_exitcode(status[1]), found


def test_a_model_is_whole_at_any_time(tmp_path: Path) -> None:
    """Whoever reads it, and whoever was last, it is one of the two."""
    paths = [_model(tmp_path / name, seed) for seed, name in enumerate("ab")]
    target = tmp_path / "out.onnx"
    with open_model(paths[0]) as first, open_model(paths[1]) as second:
        code, found = _contended(
            target, lambda: write_model(first, target), lambda: write_model(second, target)
        )
    assert code == 0
    assert found <= {path.read_bytes() for path in paths}
    assert list(tmp_path.glob(".*")) == []


def test_a_report_is_whole_at_any_time(tmp_path: Path) -> None:
    """As a model is."""
    texts = "a" * 100_000, "b" * 200_000
    target = tmp_path / "report"
    code, found = _contended(
        target,
        lambda: write_file(texts[0], str(target)),
        lambda: write_file(texts[1], str(target)),
    )
    assert code == 0
    assert found <= {text.encode() for text in texts}
    assert list(tmp_path.glob(".*")) == []


def test_writing_in_place_is_seen(tmp_path: Path) -> None:
    """The comparison above notices a file that is written where it stands."""
    target = tmp_path / "report"
    texts = b"a" * 2_000_000, b"b" * 2_000_000

    def write_in_halves() -> None:
        with target.open("wb") as file:
            file.write(texts[0][:1_000_000])
            file.flush()
            found.add(target.read_bytes())  # as another process might, at that moment
            file.write(texts[0][1_000_000:])

    found = set[bytes]()
    write_in_halves()
    assert not found <= set(texts)


@pytest.mark.parametrize("is_same", [True, False], ids=["the same data", "other data"])
def test_data_that_appears_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_same: bool
) -> None:
    """Somebody else's copy serves if it is the same; otherwise nothing is overwritten or left."""
    out = tmp_path / "out"
    out.mkdir()
    one, other = (_model(tmp_path / name, seed, external=True) for seed, name in enumerate("ab"))
    faster = one if is_same else other
    real = os.ftruncate

    def first_the_other(descriptor: int, size: int) -> None:
        """The other process has finished when this one's copy is complete."""
        monkeypatch.setattr(os, "ftruncate", real)
        with open_model(faster) as model:
            write_model(model, out / "theirs.onnx", external="copy")
        real(descriptor, size)

    monkeypatch.setattr(os, "ftruncate", first_the_other)
    with open_model(one) as model:
        if is_same:
            write_model(model, out / "ours.onnx", external="copy")
        else:
            with pytest.raises(WriteError, match="in the way of the external data: a different"):
                write_model(model, out / "ours.onnx", external="copy")
    expected = {"theirs.onnx": faster.read_bytes(), "w.bin": (faster.parent / "w.bin").read_bytes()}
    expected |= {"ours.onnx": one.read_bytes()} if is_same else {}
    assert {path.name: path.read_bytes() for path in out.iterdir()} == expected
