"""A report file is written whole or not at all."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from onnxstride.errors import OnnxstrideError, UsageError, WriteError
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


@pytest.mark.parametrize("leads_to", ["victim", "nowhere", "folder"])
def test_a_link_is_not_followed(tmp_path: Path, leads_to: str) -> None:
    """Whoever planted it does not decide what is overwritten, made, or replaced."""
    (tmp_path / "victim").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "report").symlink_to(leads_to)
    with pytest.raises(WriteError, match="symbolic link, which is not followed"):
        write_file("new", str(tmp_path / "report"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "report", "victim"]
    assert (tmp_path / "report").is_symlink()
    assert (tmp_path / "victim").read_text() == "old"


def test_a_linked_folder_is_where_it_leads(tmp_path: Path) -> None:
    """Only the file itself is judged, not the way that leads to its folder."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write_file("text", str(tmp_path / "link/report"))
    assert (tmp_path / "real/report").read_text() == "text"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o444])
def test_permissions_are_kept(tmp_path: Path, mode: int) -> None:
    """A report that only its owner reads stays one."""
    target = tmp_path / "report"
    target.write_text("old")
    target.chmod(mode)
    write_file("new", str(target))
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert target.read_text() == "new"


def test_what_is_no_place_for_a_file_is_named(tmp_path: Path) -> None:
    """A folder, a missing one, a name too long or impossible: one line each."""
    for name, expected in {
        ".": "is a folder",
        "missing/report": "no such folder",
        "x" * 300: "File name too long",
        "a\0b": "null",
    }.items():
        with pytest.raises(OnnxstrideError, match=expected):
            write_file("text", f"{tmp_path}/{name}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no name for standard output")
@pytest.mark.parametrize("through", ["pipe", "file"])
def test_standard_output_has_a_name(tmp_path: Path, through: str) -> None:
    """/dev/stdout is a link of the system's, and is written into wherever it leads."""
    code = (
        "from onnxstride.output import write_file\n"
        "print('before', flush=True); write_file('text', '/dev/stdout')"
    )
    command = [sys.executable, "-c", code]
    if through == "pipe":
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"before\ntext"
        return
    with (tmp_path / "out").open("wb") as file:
        subprocess.run(command, stdout=file, check=True)
    assert (tmp_path / "out").read_text() == "before\ntext"


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
