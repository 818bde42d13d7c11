"""What every forked process needs is loaded once, here."""

import contextlib
import io
from pathlib import Path

import pytest

from onnxstride.cli import main

_MODEL = str(Path(__file__).parents[2] / "models/fsrcnn.onnxtxt")


@pytest.fixture(scope="session", autouse=True)
def loaded() -> None:
    """Models have been linted, reported on and rewritten in this process."""
    with contextlib.redirect_stdout(io.StringIO()):
        main(["lint", _MODEL, "--output-format", "json"])
        main(["report", _MODEL])
        main(["rewrite", _MODEL, "--diff"])
        main(["verify", _MODEL, _MODEL, "--sizes", "8"])
