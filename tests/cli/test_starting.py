"""The console script and ``python -m onnxstride`` are one program."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from onnxstride import __version__
from tests.cli.running import CLEAN, UNEVEN
from tests.planting import write_files

SCRIPT = [str(Path(sys.executable).parent / "onnxstride")]
MODULE = [sys.executable, "-m", "onnxstride"]
BROKEN = [sys.executable, "-c", "print('onnxstride 0.0')"]  # what neither of them is

PIPE = 65_536  # bytes that a pipe holds

Answer = tuple[int, str, str]


def answer(command: list[str], folder: Path, *arguments: str) -> Answer:
    """Exit code, output and errors of a command that is run in a folder."""
    environment = {**os.environ, "COLUMNS": "100"}
    environment.pop("ONNXSTRIDE_OUTPUT_FORMAT", None)
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a model that is clean and one that is not."""
    return write_files(tmp_path, {"clean.onnxtxt": CLEAN, "uneven.onnxtxt": UNEVEN})


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param(["--version"], 0, f"onnxstride {__version__}\n", id="version"),
        pytest.param(["--help"], 0, "Usage: onnxstride [OPTIONS] COMMAND", id="help"),
        pytest.param(["lint", "clean.onnxtxt"], 0, "1 model, 1 layer", id="clean"),
        pytest.param(["lint", "uneven.onnxtxt"], 1, "UP101  warning  up", id="a finding"),
        pytest.param(["lint", "gone.onnx"], 2, "gone.onnx", id="no such model"),
        pytest.param(["lint", "--fail-no"], 2, "Usage: onnxstride lint", id="a wrong option"),
        pytest.param(["lnit"], 2, "Usage: onnxstride [OPTIONS]", id="a wrong command"),
        pytest.param(["lint", ".", "--select", "UP9"], 2, "onnxstride: error: ", id="a wrong code"),
    ],
)
def test_both_ways_to_start_say_the_same(
    models: Path, arguments: list[str], code: int, told: str
) -> None:
    """To the byte, errors and exit code included."""
    answers = [answer(command, models, *arguments) for command in (SCRIPT, MODULE)]
    assert answers[0] == answers[1]
    assert answers[0][0] == code
    assert told in answers[0][1] + answers[0][2]


def test_another_program_says_something_else(models: Path) -> None:
    """What is compared can differ."""
    assert answer(BROKEN, models, "--version") != answer(MODULE, models, "--version")


@pytest.mark.parametrize("command", [SCRIPT, MODULE], ids=["script", "module"])
def test_a_report_is_written_whole_before_the_process_ends(
    models: Path, command: list[str]
) -> None:
    """Into a pipe too, whose buffer the interpreter is not there to empty."""
    code, out, _ = answer(command, models, "lint", "clean.onnxtxt", "--output-format", "sarif")
    assert (code, json.loads(out)["version"]) == (0, "2.1.0")
    assert len(out) > PIPE
