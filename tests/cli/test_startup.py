"""A plain lint loads nothing it does not need.

Time would make a flaky test; the modules a command imports are what that time is made of.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from onnxstride.modelfile import open_model
from onnxstride.verify import complete

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"

PROBE = """
import json, sys
{setup}
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
RUN = "from onnxstride.cli import main\nmain({arguments})"

# What linting may load beyond onnx and click, apart from onnxstride itself.
AFFORDABLE = {
    *("_decimal", "decimal", "fractions", "numbers"),  # exact shares and ratios
    *("dataclasses", "encodings.utf_8_sig", "gc", "mmap", "pkgutil"),
}
HEAVY = {
    "difflib",
    "configparser",
    "onnxruntime",
    "onnx_graphsurgeon",
    "rich",
    "asyncio",
    "logging",
}


def modules_after(setup: str) -> set[str]:
    """Modules a fresh interpreter has loaded once ``setup`` has run."""
    run = subprocess.run(
        [sys.executable, "-c", PROBE.format(setup=setup)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(run.stderr.splitlines()[-1]))


@pytest.mark.parametrize("options", [[], ["--output-format", "json"]], ids=["text", "json"])
@pytest.mark.parametrize("name", ["dcgan_generator", "unet_resize", "resnet50_v1"])
def test_lint_loads_little_beyond_onnx_and_click(
    tmp_path: Path, name: str, options: list[str]
) -> None:
    """Beyond the two libraries it cannot do without, it loads itself and a handful more."""
    model = tmp_path / "model.onnx"  # with weights in the file, as users have them
    with open_model(MODELS / f"{name}.onnxtxt") as text:
        model.write_bytes(complete(text))
    needed = modules_after("import onnx, click")
    loaded = modules_after(RUN.format(arguments=["lint", str(model), *options])) - needed
    others = {name for name in loaded if name.partition(".")[0] != "onnxstride"}
    assert others - AFFORDABLE == set()


@pytest.mark.parametrize(
    "arguments",
    [["rules"], ["explain", "UP101"], ["rules", "--output-format", "json"]],
    ids=["rules", "explain", "rules as json"],
)
def test_documentation_needs_no_onnx(arguments: list[str]) -> None:
    """Reading about rules does not load the library for reading models."""
    loaded = modules_after(RUN.format(arguments=arguments))
    assert not {"onnx", *HEAVY} & loaded


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_questions_about_the_tool_load_neither_rules_nor_numpy(argument: str) -> None:
    """--version and --help answer from the command line's own module."""
    loaded = modules_after(RUN.format(arguments=[argument]))
    assert not {"onnx", "numpy", "onnxstride.registry", *HEAVY} & loaded
