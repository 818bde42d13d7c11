"""Runs the lint command in a folder of models, as the tests of its parts do."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from onnxstride.cli import main
from tests.planting import write_files

HEAD = '<ir_version: 8, opset_import: ["": 17]>\n'

# UP101 and UP103 as warnings, and one symbol for each size.
UNEVEN = f"""{HEAD}
decoder (float[1,8,H,W] image) => (float[1,4,H2,W2] y) <float[8,4,3,3] w> {{
    ["up"] y = ConvTranspose <kernel_shape = [3,3], strides = [2,2]> (image, w)
}}"""
CLEAN = f"""{HEAD}
net (float[1,8,16,16] x) => (float[1,4,16,16] y) <float[4,8,1,1] w> {{
    ["c"] y = Conv <kernel_shape = [1,1]> (x, w)
}}"""


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
