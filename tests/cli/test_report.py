"""The report command: what it writes, and the exit code."""

import json
from pathlib import Path

import pytest

from onnxstride.cli import main

ROOT = Path(__file__).parents[2]
LENET = str(ROOT / "models" / "lenet5.onnxtxt")
UNET = str(ROOT / "models" / "unet_deconv.onnxtxt")


def test_the_table_goes_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each layer, then sizes, then the summary."""
    assert main(["report", LENET]) == 0
    out = capsys.readouterr().out
    assert "first layer: Conv 5x5, stride 1x1" in out
    assert "smaller by 2 AveragePool 2x2 /2" in out


@pytest.mark.parametrize("form", ["json", "csv", "markdown"])
def test_other_forms_go_to_a_file(tmp_path: Path, form: str) -> None:
    """Nothing is printed beside it."""
    path = tmp_path / "out"
    assert main(["report", LENET, "--output-format", form, "--output-file", str(path)]) == 0
    assert "AveragePool" in path.read_text()


def test_sizes_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    """Symbols get the size of --dim; one that the model lacks is an error."""
    assert main(["report", UNET, "--dim", "H=64", "--dim", "W=64", "--output-format", "json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert layers[0]["input_size"] == [64, 64]
    assert main(["report", UNET, "--dim", "Q=64"]) == 2
    assert "no input and no symbol named 'Q'" in capsys.readouterr().err


def test_what_is_no_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and nothing on standard output."""
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    assert main(["report", str(tmp_path / "bad.onnx")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_the_model_is_not_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither by the report nor by its page."""
    for option in ("--output-file", "--html"):
        assert main(["report", LENET, option, LENET]) == 2
    assert main(["report", LENET, "--html", "a", "--output-file", "a"]) == 2
    assert "one file" in capsys.readouterr().err
