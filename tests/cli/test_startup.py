"""A plain lint loads nothing it does not need.

Time would make a flaky test; the modules a command imports are what that time is made of.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxstride.modelfile import open_model
from onnxstride.verify import complete
from tests.planting import write_files

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


SMALL = """
<ir_version: 8, opset_import: ["" : 13]>
net (float[1,3,64,64] x) => (float[1,3,A,B] y) <
    float[8,3,3,3] down = {D}, int64[4] whole = {0, 8, 16, 16}, float[0] none = {},
    float[4] scales = {1, 1, 2, 2}, float[8,8,3,3] up = {U}, float[8,3,4,4] out = {O},
    float least = {0}, float most = {6}
> {
    a = Conv <strides = [2,2], pads = [1,1,1,1]> (x, down)
    b = Clip (a, least, most)
    c = MaxPool <kernel_shape = [2,2], strides = [2,2]> (b)
    d = Reshape (c, whole)
    e = ConvTranspose <strides = [2,2]> (d, up)
    f = AveragePool <kernel_shape = [3,3], strides = [2,2]> (e)
    g = Resize <mode = "nearest"> (f, none, scales)
    y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (g, out)
}
"""
WHOLE = {"numpy._core", "onnx.helper"}


def small_model(folder: Path, enlarged: Sequence[str] = ()) -> Path:
    """A model with weights of a few hundred elements, but those of 64 x 64 channels here."""
    many = ", ".join(["0.5"] * 216), ", ".join(["0.25"] * 576), ", ".join(["1"] * 384)
    text = SMALL
    for letter, values in zip("DUO", many, strict=True):
        text = text.replace("{" + letter + "}", "{" + values + "}")
    model = onnx.parser.parse_model(text)
    for weight in model.graph.initializer:
        if weight.name in enlarged:
            ones = np.ones((64, 64, *weight.dims[2:]), np.float32)
            weight.CopyFrom(onnx.numpy_helper.from_array(ones, weight.name))
    onnx.save(model, folder / "small.onnx")
    return folder / "small.onnx"


@pytest.mark.parametrize("options", [[], ["--output-format", "sarif"]], ids=["text", "sarif"])
def test_a_small_model_needs_neither_numpy_nor_all_of_onnx(
    tmp_path: Path, options: list[str]
) -> None:
    """Its layers are read, its weights measured, and the report written without them."""
    arguments = ["lint", str(small_model(tmp_path)), *options]
    assert not WHOLE & modules_after(RUN.format(arguments=arguments))


def test_large_convolutions_need_neither(tmp_path: Path) -> None:
    """Only the first rows of their weights are measured."""
    arguments = ["lint", str(small_model(tmp_path, ["down"]))]
    assert not WHOLE & modules_after(RUN.format(arguments=arguments))


def test_a_large_transposed_convolution_needs_numpy_alone(tmp_path: Path) -> None:
    """More of it is measured, as an array; the rest of onnx still has no part in that."""
    arguments = ["lint", str(small_model(tmp_path, ["up"]))]
    assert WHOLE & modules_after(RUN.format(arguments=arguments)) == {"numpy._core"}


CONFIGURING = {"tomllib", "onnxstride.config.reading"}


def test_a_lint_without_a_configuration_loads_no_parser_of_one(tmp_path: Path) -> None:
    """Looking for one is a matter of a few names; one that is there is read."""
    write_files(tmp_path, {"pyproject.toml": "[project]\nname = 'onnxstride-x'\n[tool.other]\n"})
    (tmp_path / "net.onnxtxt").write_bytes((MODELS / "fsrcnn.onnxtxt").read_bytes())
    setup = RUN.format(arguments=["lint", str(tmp_path / "net.onnxtxt")])
    assert not CONFIGURING & modules_after(setup)
    write_files(tmp_path, {"onnxstride.toml": "fail-on = 'error'"})
    assert modules_after(setup) >= CONFIGURING


# What only other commands, formats and options are about.
ELSEWHERE = ("fitting", "library", "pictures", "probe", "surgery", "verify", "geometry.ties")
MOST_MODULES = 130  # of onnxstride itself, besides one for each rule


def of_others(loaded: set[str]) -> set[str]:
    """Modules of onnxstride that a plain lint has no use for."""
    places = tuple(f"onnxstride.{place}" for place in ELSEWHERE)
    return {name for name in loaded if name.startswith(places)}


def own(loaded: set[str]) -> set[str]:
    """Modules of onnxstride that are no rules."""
    return {
        name
        for name in loaded
        if name.partition(".")[0] == "onnxstride" and not name.startswith("onnxstride.rules.")
    }


def test_lint_loads_little_of_onnxstride() -> None:
    """Of a model with fixed sizes it loads the graph, the rules, and what these two need."""
    loaded = modules_after(RUN.format(arguments=["lint", str(MODELS / "dcgan_generator.onnxtxt")]))
    assert of_others(loaded) == set()
    assert len(own(loaded)) <= MOST_MODULES


def test_a_module_too_many_is_seen() -> None:
    """A package that a lint has no use for, and modules beyond the number that is allowed."""
    setup = RUN.format(arguments=["lint", str(MODELS / "dcgan_generator.onnxtxt")])
    others = "onnxstride.verify, onnxstride.library, onnxstride.engine.rewriting"
    heavier = modules_after(f"import {others}, onnxstride.report.html\n{setup}")
    assert {"onnxstride.verify", "onnxstride.library"} <= of_others(heavier)
    assert len(own(heavier)) > MOST_MODULES


@pytest.mark.parametrize("option", [[], ["--output-format", "json"]], ids=["text", "json"])
@pytest.mark.parametrize("command", [["rules"], ["rewrites"]])
def test_documentation_needs_no_onnx(command: list[str], option: list[str]) -> None:
    """Reading about rules and rewrites does not load the library for reading models."""
    arguments = [*command, *option]
    loaded = modules_after(RUN.format(arguments=arguments))
    assert not {"onnx", *HEAVY} & loaded


@pytest.mark.parametrize("name", ["UP101", "maxpool-to-conv"])
def test_explaining_runs_no_model(name: str) -> None:
    """The examples of a rule are linted for what is said of them, which takes onnx and no more."""
    loaded = modules_after(RUN.format(arguments=["explain", name]))
    assert not HEAVY & loaded


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_questions_about_the_tool_load_neither_rules_nor_numpy(argument: str) -> None:
    """--version and --help answer from the command line's own module."""
    loaded = modules_after(RUN.format(arguments=[argument]))
    assert not {"onnx", "numpy", "onnxstride.registry", *HEAVY} & loaded
