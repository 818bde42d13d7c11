"""Rules and rewrites of another distribution, built as a wheel, installed, and used by command."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onnxstride.scaffold import rule_module
from tests.packaging.wheels import installed
from tests.planting import rule_source

ROOT = Path(__file__).parents[2]
RULES, REWRITES = "onnxstride.rules", "onnxstride.rewrites"
MODEL = """<ir_version: 8, opset_import: ["": 17]>
net (float[1,8,32,32] x) => (float[1,8,8,8] y) {
    y, spare = MaxPool <kernel_shape = [4,4], strides = [4,4]> (x)
}
"""


def a_rewrite() -> str:
    """One that comes with onnxstride, under a name of its own."""
    text = (ROOT / "rules" / "rewrites" / "drop_unused_indices.py").read_text(encoding="utf-8")
    return text.replace("drop-unused-indices", "drop-spare-indices").replace(
        ', mends=("BD304",)', ""
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip makes of a distribution with a rule and a rewrite."""
    files = {
        "xy_rules/__init__.py": '"""The rules of XY."""\n',
        "xy_rules/far_stride.py": rule_module("XY101", "far-stride", "MaxPool"),
        "xy_rewrites/__init__.py": '"""The rewrites of XY."""\n',
        "xy_rewrites/drop_spare_indices.py": a_rewrite(),
    }
    groups = {RULES: "xy_rules", REWRITES: "xy_rewrites.drop_spare_indices"}
    return installed(tmp_path_factory.mktemp("plugin"), "xy-rules", files, groups)


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.onnxtxt"
    path.write_text(MODEL, encoding="utf-8")
    return str(path)


def onnxstride(site: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process that finds what is installed in ``site``."""
    script = shutil.which("onnxstride", path=str(Path(sys.executable).parent))
    command = [script] if script else [sys.executable, "-m", "onnxstride"]
    paths = [str(ROOT), *([str(site)] if site else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "100"}
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize("selector", ["XY101", "XY", "far-stride"])
def test_lint_finds_what_the_rule_flags(site: Path, model: str, selector: str) -> None:
    """Selected by its code, by the letters of its code, and by its name."""
    ran = onnxstride(site, "lint", model, "--select", selector, "--output-format", "json")
    assert (ran.returncode, ran.stderr) == (1, "")
    (report,) = json.loads(ran.stdout)["files"]
    assert [finding["code"] for finding in report["findings"]] == ["XY101"]
    assert report["findings"][0]["data"] == {"strides": [4, 4]}


def test_it_is_among_all_rules(site: Path, model: str) -> None:
    """A plain lint asks it with the built-in ones; it can be left out like any other."""
    assert "XY101" in onnxstride(site, "lint", model).stdout
    ran = onnxstride(site, "lint", model, "--ignore", "XY")
    assert (ran.returncode, "XY101" in ran.stdout, "BD304" in ran.stdout) == (0, False, True)


def test_without_the_wheel_the_rule_is_unknown(model: str) -> None:
    """It comes from nowhere else."""
    ran = onnxstride(None, "lint", model, "--select", "XY101")
    assert ran.returncode == 2
    assert "XY101" in ran.stderr


def test_it_is_listed_with_its_distribution(site: Path) -> None:
    """So that whoever meets its findings knows whom to ask."""
    ran = onnxstride(site, "rules")
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith("XY101")]
    assert "far-stride" in line
    assert "(plugin xy-rules)" in " ".join(ran.stdout.partition("XY101")[2].split())


@pytest.mark.parametrize(
    ("output_format", "told"),
    [
        ("text", "XY101 far-stride (warning, plugin xy-rules)\n"),
        ("markdown", "# XY101 far-stride\n"),
        ("json", '"origin": "plugin xy-rules"'),
    ],
)
def test_it_is_explained(site: Path, output_format: str, told: str) -> None:
    """In each format, with its examples and what it says of them."""
    ran = onnxstride(site, "explain", "XY101", "--output-format", output_format)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert told in ran.stdout
    assert "it moves by 2 positions" in ran.stdout
    assert "moves by (4, 4)" in ran.stdout or "warning: The layer moves by 4" in ran.stdout


def test_a_slip_of_its_code_is_noticed(site: Path, model: str) -> None:
    """The nearest code is one of its own."""
    ran = onnxstride(site, "lint", model, "--select", "XY110")
    assert ran.returncode == 2
    assert "did you mean 'XY101'" in ran.stderr


def test_its_rewrite_is_listed_applied_and_proven(site: Path, model: str, tmp_path: Path) -> None:
    """By the name it has in its module."""
    assert "drop-spare-indices" in onnxstride(site, "rewrites").stdout
    assert "(exact, plugin xy-rules)" in onnxstride(site, "explain", "drop-spare-indices").stdout
    out = tmp_path / "out.onnx"
    ran = onnxstride(site, "rewrite", model, "-o", str(out), "--use", "drop-spare-indices")
    assert ran.returncode == 0, ran.stderr
    assert "\nPASS" in ran.stdout
    assert "spare" not in out.read_bytes().decode("latin-1").replace("drop-spare-indices", "")


BROKEN = {
    "imports what is not there": (
        RULES,
        "import not_there\n",
        (
            "rule module broken_pack.planted (plugin broken-pack) will not import: "
            "ModuleNotFoundError: No module named 'not_there'"
        ),
    ),
    "takes a code that is taken": (
        RULES,
        rule_source("UP101"),
        (
            "two rules are called UP101: onnxstride.rules.uneven_overlap (built in) and "
            "broken_pack.planted (plugin broken-pack); rename or remove one"
        ),
    ),
    "has a RULE of another type": (
        RULES,
        '"""A rule."""\nRULE = "XY101"\n',
        (
            "rule module broken_pack.planted (plugin broken-pack) has a str for its RULE: "
            "expected RULE = Rule("
        ),
    ),
    "has a REWRITE of another type": (
        REWRITES,
        '"""A rewrite."""\nREWRITE = None\n',
        (
            "rewrite module broken_pack.planted (plugin broken-pack) has no REWRITE: "
            "expected REWRITE = Rewrite("
        ),
    ),
}


@pytest.mark.parametrize(("group", "source", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_one_is_an_error(tmp_path: Path, group: str, source: str, said: str) -> None:
    """One line with the module, the distribution and the cause; nothing passes without it."""
    files = {"broken_pack/__init__.py": "", "broken_pack/planted.py": source}
    site = installed(tmp_path, "broken-pack", files, {group: "broken_pack"})
    asked = ["rules"] if group == RULES else ["rewrites"]
    ran = onnxstride(site, *asked)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"onnxstride: error: {said}")
    assert len(ran.stderr.splitlines()) == 1
