"""What importing the library costs."""

import json
import subprocess
import sys

import pytest

from onnxstride import library

LOADED = "import json, sys; {setup}; print(json.dumps(sorted(sys.modules)))"


def modules_after(setup: str) -> set[str]:
    """Modules a fresh interpreter has loaded once ``setup`` has run."""
    run = subprocess.run(
        [sys.executable, "-c", LOADED.format(setup=setup)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(run.stdout))


def test_the_package_alone_loads_nothing() -> None:
    """Neither onnx nor numpy, nor any module of its own."""
    loaded = modules_after("import onnxstride")
    assert not {"onnx", "numpy", "click"} & loaded
    assert {name for name in loaded if name.startswith("onnxstride.")} == set()


def test_the_functions_alone_load_no_onnx() -> None:
    """What a function needs is imported when it is called."""
    loaded = modules_after("from onnxstride import library")
    assert not {"onnx", "numpy", "click", "onnxstride.engine", "onnxstride.verify"} & loaded


@pytest.mark.parametrize("name", library.__all__)
def test_what_is_announced_is_there(name: str) -> None:
    """Every name of ``__all__`` is something of its own, and no module."""
    assert not isinstance(getattr(library, name), type(sys))
