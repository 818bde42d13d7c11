"""Runs the lint command in a folder of models, as the tests of its parts do."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from onnxstride.cli import main
from tests.planting import write_files


class Result(NamedTuple):
    code: int
    out: str
    err: str


Lint = Callable[..., Result]


def linting(
    models: Mapping[str, str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Lint:
    """A function that lints in ``folder``, which holds these models as ONNX text."""
    write_files(folder, {f"{name}.onnxtxt": text for name, text in models.items()})
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("ONNXSTRIDE_OUTPUT_FORMAT", raising=False)

    def run(*arguments: str) -> Result:
        code = main(["lint", *arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run
