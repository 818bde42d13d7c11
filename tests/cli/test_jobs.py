"""Linting several models at a time: the same report, and one line when a process dies."""

from pathlib import Path

import pytest

from onnxstride.cli import main
from tests.planting import rule_source, write_files

ROOT = Path(__file__).parents[2]
MODELS = str(ROOT / "models")


@pytest.mark.parametrize("form", ["json", "sarif", "text"])
def test_reports_are_the_same_to_the_byte(tmp_path: Path, form: str) -> None:
    """Whatever finishes first, files come in the order given, and the exit code is the same."""
    written = []
    for jobs in ("1", "2"):
        path = tmp_path / jobs
        options = ["--output-format", form, "--output-file", str(path), "--jobs", jobs]
        assert main(["lint", MODELS, *options]) == 1
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert len(written[0]) > 1000


def test_a_file_that_cannot_be_read_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with the findings of the rest."""
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    assert main(["lint", str(tmp_path), MODELS, "--jobs", "2"]) == 2
    out = capsys.readouterr().out
    assert "1 unreadable" in out
    assert "UP101" in out


def test_a_process_that_dies_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when the system kills it for want of memory: no traceback, no hang, no clean exit."""
    rule = rule_source(body="__import__('os')._exit(9); yield")
    folder = write_files(tmp_path, {"deadly.py": rule})
    assert main(["lint", MODELS, "--jobs", "2", "--rules", str(folder)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert line.startswith("onnxstride: error: a process that lints was killed")
    assert "fewer --jobs" in line


def test_a_probe_uses_every_core_already(capsys: pytest.CaptureFixture[str]) -> None:
    """The two do not go together, and the message says why."""
    assert main(["lint", MODELS, "--jobs", "2", "--probe"]) == 2
    assert "every core already" in capsys.readouterr().err


def test_sizes_that_fit_no_model_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """What no model could use is found out from all of them, here as there."""
    assert main(["lint", MODELS, "--jobs", "2", "--dim", "nowhere=3"]) == 2
    assert "nowhere" in capsys.readouterr().err
