"""A report file is written whole or not at all."""

import os
from pathlib import Path

import pytest

from onnxstride.errors import UsageError
from onnxstride.output import write_file


def test_a_failure_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing breaks off, the file still holds what it held and no draft remains."""

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "report.json"
    target.write_text("old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UsageError, match="No space left on device"):
        write_file("new", str(target))
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert target.read_text() == "old"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file it leads to is the one replaced."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "report")
    write_file("text", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "report").read_text() == "text"


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    """What is no regular file keeps its kind."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file("text", str(pipe))
    assert os.read(reader, 10) == b"text"
    os.close(reader)


def test_text_that_utf8_lacks_is_escaped(tmp_path: Path) -> None:
    """A name with broken bytes does not stop the report."""
    write_file("a\udce9", str(tmp_path / "report"))
    assert (tmp_path / "report").read_bytes() == b"a\\udce9"
