"""Standard streams that are closed, full, or gone: an exit code and at most a line."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .forking import Ending, command, forked

ROOT = Path(__file__).parents[2]
MODEL = str(ROOT / "models/fsrcnn.onnxtxt")
COMMANDS = {
    "lint": (["lint", MODEL], 1),
    "report": (["report", MODEL], 0),
    "rules": (["rules"], 0),
    "explain": (["explain", "UP101"], 0),
    "rewrite": (["rewrite", MODEL, "--diff", "--use", "deconv-to-subpixel"], 1),
    "annotate": (["annotate", MODEL, "-o", "noted.onnx"], 0),
}
"""Arguments, and the exit code when nothing goes wrong."""

commands = pytest.mark.parametrize(("arguments", "code"), COMMANDS.values(), ids=COMMANDS)


def _without(action: Callable[[], object], *closed: str) -> Callable[[], object]:
    """The action, in a process that was started without these streams."""

    def act() -> None:
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            if name in closed:
                os.close(number)
                setattr(sys, name, None)  # as the interpreter has it then
        action()

    return act


def _printing_to(
    stream: Callable[[], int], action: Callable[[], object], folder: Path
) -> Callable[[], object]:
    def act() -> None:
        os.chdir(folder)
        sys.stdout = os.fdopen(stream(), "w")
        action()

    return act


def _left() -> int:
    """A pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def _full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@commands
def test_a_reader_that_leaves_early_is_no_error(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    """As in ``onnxstride lint models | head -1``; the exit code is what it would have been."""
    ending = forked(_printing_to(_left, command(*arguments), tmp_path), tmp_path / "said")
    assert ending == Ending(code, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@commands
def test_a_full_disk_is_an_error(tmp_path: Path, arguments: list[str], code: int) -> None:
    """Whatever the command found: nobody got to read it."""
    ending = forked(_printing_to(_full, command(*arguments), tmp_path), tmp_path / "said")
    assert ending.code == 2 != code
    assert ending.err.splitlines() == [
        "onnxstride: error: cannot write to standard output: No space left on device"
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "arguments",
    [
        ["lint", MODEL, "--output-file", "/dev/full"],
        ["lint", MODEL, "--also", "sarif=/dev/full"],
        ["report", MODEL, "--html", "/dev/full"],
        ["report", MODEL, "--output-file", "/dev/full"],
        ["rewrite", MODEL, "--diff", "--report", "/dev/full"],
    ],
    ids=lambda arguments: arguments[-2].lstrip("-"),
)
def test_a_file_that_takes_nothing_is_an_error(tmp_path: Path, arguments: list[str]) -> None:
    """It is named, with what the system says."""
    ending = forked(command(*arguments), tmp_path / "said")
    assert ending.code == 2
    assert ending.err.splitlines() == [
        "onnxstride: error: cannot write '/dev/full': No space left on device"
    ]


def test_closed_standard_output_is_an_error(tmp_path: Path) -> None:
    """A report that goes nowhere is told, not lost."""
    ending = forked(_without(command("lint", MODEL), "stdout"), tmp_path / "said")
    assert ending.code == 2
    assert ending.err.splitlines() == [
        "onnxstride: error: cannot write to standard output: Bad file descriptor"
    ]


def test_a_report_in_a_file_needs_no_stream(tmp_path: Path) -> None:
    """And the file is what it is otherwise: nothing else is written to its descriptor."""
    expected = tmp_path / "expected"
    arguments = ["lint", MODEL, "nowhere.onnx", "--output-format", "json", "--output-file"]
    assert forked(command(*arguments, str(expected)), tmp_path / "said").code == 2
    found = tmp_path / "found"
    action = _without(command(*arguments, str(found)), "stdin", "stdout", "stderr")
    assert forked(action, tmp_path / "said") == Ending(2, "")
    assert found.read_bytes() == expected.read_bytes()


def test_closed_standard_input_is_an_empty_one(tmp_path: Path) -> None:
    """Nothing can be read from it, and the report says so."""
    found = tmp_path / "found"
    action = _without(command("lint", "-", "--output-file", str(found)), "stdin")
    assert forked(action, tmp_path / "said") == Ending(2, "")
    assert "the file is empty" in found.read_text()


@pytest.mark.parametrize("arguments", [["verify", MODEL, MODEL], ["lint", "--select", "NO", MODEL]])
def test_closed_standard_error_is_silence(tmp_path: Path, arguments: list[str]) -> None:
    """The exit code is the same."""
    code = forked(command(*arguments), tmp_path / "said").code
    assert code == {"verify": 0, "lint": 2}[arguments[0]]
    assert forked(_without(command(*arguments), "stderr"), tmp_path / "said") == Ending(code, "")


def test_a_traceback_is_seen(tmp_path: Path) -> None:
    """What an action raises shows in how it ended."""

    def fail() -> None:
        raise LookupError("planted")

    ending = forked(fail, tmp_path / "said")
    assert ending == Ending(99, "the action raised")
