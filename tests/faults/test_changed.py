"""Models that somebody writes to while they are read: an error, and not the end of the process."""

import json
import mmap
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from onnxstride.errors import ExternalData, ModelError, UnreadableFile, UsageError
from onnxstride.graph import read_graph
from onnxstride.modelfile import guard, open_model
from onnxstride.modelfile.source import path_source
from onnxstride.verify import child
from tests.modelfile.building import loaded, model_with, raw_tensor
from tests.verify.building import model as built

from .forking import Ending, command, forked

_POOL = (
    "net (float[1,8,9,9] x) => (float[1,8,A,B] y) <float[8,8,3,3] w> "
    '{ [c] y = Conv <auto_pad = "SAME_UPPER", strides = [2,2]> (x, w) }'
)


def _cut(path: Path) -> None:
    os.truncate(path, 100)


def _grow(path: Path) -> None:
    os.truncate(path, path.stat().st_size + 10)


def _overwrite(path: Path) -> None:
    """One byte, at a time that is later than any before."""
    later = path.stat().st_mtime_ns + 10**9
    with path.open("r+b") as file:
        file.seek(50_000)
        file.write(b"\x08")
    os.utime(path, ns=(later, later))


CHANGES: dict[str, Callable[[Path], None]] = {
    "cut": _cut,
    "grown": _grow,
    "overwritten": _overwrite,
}
changes = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A model with two weights of 400,000 bytes."""
    model = model_with(raw_tensor("a", 100_000), raw_tensor("b", 100_000))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "m.onnx"


def _ended(action: Callable[[], object], folder: Path) -> str:
    """The ModelError that this ends with, in a process of its own; or how else that ended."""

    def act() -> None:
        try:
            action()
        except ModelError as error:
            (folder / "error").write_text(f"{type(error).__name__}: {error}")

    ending = forked(act, folder / "said")
    return (folder / "error").read_text() if ending == Ending(0, "") else str(ending)


@changes
def test_a_model_that_changes_before_its_weights_are_read(
    path: Path, change: Callable[[Path], None]
) -> None:
    """What was read of it may be of two models, so nothing that follows from it is told."""

    def read() -> None:
        with open_model(path) as model:
            change(path)
            loaded(model)

    assert _ended(read, path.parent).startswith("UnreadableFile: the file has changed while it")


@pytest.mark.parametrize("name", ["m.onnx", "m.onnxtxt"])
def test_a_model_that_is_cut_short_while_it_is_opened(
    path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for a damaged one."""
    target = path.with_name(name)
    if name.endswith("txt"):
        target.write_text(_POOL + "#" * 10_000)

    def cutting(source: Any) -> Any:
        found = path_source(source)
        _cut(target)
        return found

    monkeypatch.setattr("onnxstride.modelfile.reader.path_source", cutting)
    found = _ended(lambda: open_model(target), path.parent)
    assert found.startswith("UnreadableFile: the file has changed while it was read")


@changes
def test_external_data_that_changes(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """As the model itself, once it has been looked into; the file is named."""
    weight = raw_tensor("a", 100_000)
    (tmp_path / "w.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="w.bin")
    (tmp_path / "m.onnx").write_bytes(model_with(weight).SerializeToString())

    def read() -> None:
        with open_model(tmp_path / "m.onnx") as model:
            [array] = loaded(model)
            change(tmp_path / "w.bin")
            array.sum()

    assert _ended(read, tmp_path).startswith("ExternalData: external data 'w.bin' has changed")


@pytest.mark.parametrize(
    ("raised", "told"),
    [(LookupError, LookupError), (UsageError, UsageError), (ExternalData, UnreadableFile)],
)
def test_a_change_does_not_hide_what_is_wrong_otherwise(
    path: Path, raised: type[Exception], told: type[Exception]
) -> None:
    """An error that is not about the model's bytes is the one that is told."""

    def read() -> None:
        with open_model(path):
            _grow(path)
            raise raised

    with pytest.raises(told):
        read()


def test_another_file_in_its_place_is_no_change(path: Path) -> None:
    """As when a model is rewritten in place: the one that was opened is still there."""
    with open_model(path) as model:
        path.with_name("other").write_bytes(b"")
        path.with_name("other").replace(path)
        assert [array.shape for array in loaded(model)] == [(100_000,)] * 2


class TestCommands:
    """What the user sees of it."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        """A model with a finding, and weights to look at."""
        (tmp_path / "m.onnx").write_bytes(built(_POOL))
        return tmp_path / "m.onnx"

    def test_lint(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file has an error in place of findings, and the exit code is 2."""
        monkeypatch.setattr("onnxstride.engine.lint.read_graph", _after(_cut, model, read_graph))
        found = model.with_name("lint.json")
        arguments = ["lint", str(model), "--output-format", "json", "--output-file", str(found)]
        assert forked(command(*arguments), model.with_name("said")) == Ending(2, "")
        [file] = json.loads(found.read_text())["files"]
        assert file["error"]["code"] == "E001"
        assert "has changed while it was read" in file["error"]["message"]
        assert file["findings"] == []

    @pytest.mark.parametrize("what", ["verify", "rewrite"])
    def test_while_it_is_run(self, model: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is proven about a model that is another one now, and nothing is written."""
        out = model.with_name("out.onnx")
        end = {"verify": [str(model)], "rewrite": ["-o", str(out)]}[what]
        monkeypatch.setattr(child, "receive", _after(_grow, model, child.receive))
        ending = forked(command(what, str(model), *end), model.with_name("said"))
        assert ending.code == 2
        [line] = ending.err.splitlines()
        assert "has changed" in line
        assert not out.exists()


def _after(change: Callable[[Path], None], path: Path, call: Callable[..., Any]) -> Any:
    """The call, once the file has been changed."""

    def changed(*given: Any, **named: Any) -> Any:
        change(path)
        return call(*given, **named)

    return changed


class TestGuard:
    """What keeps the process alive is the guard, and it keeps out of what is not its own."""

    @staticmethod
    def read_what_is_gone(path: Path) -> None:
        with open_model(path) as model:
            _cut(path)
            loaded(model)[0].sum()

    def test_without_it_the_process_dies(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tests above would see that."""
        monkeypatch.setattr(guard, "watch", lambda *_: None)
        monkeypatch.setattr("faulthandler.enable", lambda *_: None)

        def act() -> None:
            signal.signal(signal.SIGBUS, signal.SIG_DFL)
            self.read_what_is_gone(path)

        assert forked(act, path.with_name("said")).code == -signal.SIGBUS

    def test_a_bus_error_of_somebody_else(self, path: Path) -> None:
        """It goes to who answered before, and so ends the process as ever."""

        def act() -> None:
            signal.signal(signal.SIGBUS, signal.SIG_DFL)
            guard._kept.clear()  # pyright: ignore[reportPrivateUsage]
            model = open_model(path)
            other = path.with_name("other")
            other.write_bytes(bytes(100_000))
            with other.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as own:
                os.truncate(other, 0)
                _ = own[50_000]
            model.close()

        assert forked(act, path.with_name("said")).code == -signal.SIGBUS

    def test_a_map_may_lose_more_and_more(self, path: Path) -> None:
        """Each time what is gone is zeros, and what is left is as it was."""
        expected = loaded(open_model(path.read_bytes()))[0]

        def act() -> None:
            model = open_model(path)
            [first, second] = loaded(model)
            for left in (500_000, 200_000, 100_000):
                os.truncate(path, left)
                assert second[-1] == 0
                held = (left - 5_000) // 4
                assert (first[:held] == expected[:held]).all()
            assert first[30_000:].any() == 0

        assert forked(act, path.with_name("said")) == Ending(0, "")

    def test_what_is_closed_is_not_watched(self, path: Path) -> None:
        """What lies at its place later is not overwritten; a map in use stays watched."""
        watched = guard._watched  # pyright: ignore[reportPrivateUsage]
        before = len(watched)
        model = open_model(path)
        assert len(watched) == before + 1
        array = loaded(model)[0]
        model.close()
        assert len(watched) == before + 1
        del array
        model.release()
        del model
        assert len(watched) == before
