"""What the project file lists is what the folders hold."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from benchmarks import summary
from onnxstride.explain import list_rewrites, list_rules
from onnxstride.registry import load_rewrites, load_rules

ROOT = Path(__file__).parents[2]
README_SCRIPT = ROOT / ".ci" / "readme.py"


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def packages_on_disk() -> set[str]:
    """Dotted names of the packages in the two folders, rules/ under the name it is given."""
    found = set[str]()
    for root, name in (("onnxstride", "onnxstride"), ("rules", "onnxstride.rules")):
        for init in (ROOT / root).rglob("__init__.py"):
            found.add(".".join([name, *init.parent.relative_to(ROOT / root).parts]))
    return found


def test_every_package_is_shipped() -> None:
    """A package left off the list would be missing from the wheel."""
    assert set(project()["tool"]["setuptools"]["packages"]) == packages_on_disk()


def test_the_rules_come_in_by_the_public_door() -> None:
    """The built-in rules use the entry-point group that plugins use."""
    assert project()["project"]["entry-points"]["onnxstride.rules"] == {
        "builtin": "onnxstride.rules"
    }


def test_readme_says_what_the_checks_do() -> None:
    """People and .ci/run install with one command and check with one script."""
    readme, makefile, run = (
        (ROOT / name).read_text(encoding="utf-8").replace('"', "'")
        for name in ("README.md", "Makefile", ".ci/run")
    )
    assert "/bin/pip install -e '.[test]'" in readme
    assert "&& .ci/check .venv/bin/python" in readme
    assert "\n\t.ci/check $(PYTHON)\n" in makefile
    assert "/bin/pip' install --quiet -e '.[test]'\n.ci/check '$venv/bin/python'" in run


def run_readme(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(README_SCRIPT), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )


def test_the_tables_are_written_between_their_markers(tmp_path: Path) -> None:
    """What stands around the markers is kept; a second run changes nothing."""
    file = tmp_path / "page.md"
    page = "above\n<!-- rules:begin -->\n{}<!-- rules:end -->\nbelow\n"
    page += "<!-- rewrites:begin -->\n{}<!-- rewrites:end -->\n"
    page += "<!-- speed:begin -->\n{}<!-- speed:end -->\nend\n"
    file.write_text(page.format(*["old\n"] * 3))
    assert run_readme(str(file)).returncode == 0
    rules = list_rules(load_rules(), "markdown", width=0)
    rewrites = list_rewrites(load_rewrites(), "markdown", width=0)
    assert file.read_text() == page.format(rules, rewrites, summary.table())
    assert run_readme("--check", str(file)).returncode == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param(
            "<!-- rules:begin -->\nold\n<!-- rules:end -->"
            "<!-- rewrites:begin -->\nold\n<!-- rewrites:end -->"
            "<!-- speed:begin -->\nold\n<!-- speed:end -->",
            "make readme",
            id="stale",
        ),
        pytest.param(
            "<!-- rules:begin -->\nold\n<!-- rules:end -->",
            "expected a line <!-- rewrites:begin -->",
            id="no second table",
        ),
        pytest.param("no table", "expected a line <!-- rules:begin -->", id="no markers"),
    ],
)
def test_a_stale_table_is_an_error(tmp_path: Path, text: str, complaint: str) -> None:
    """The check fails and says what to run, and leaves the file as it is."""
    file = tmp_path / "page.md"
    file.write_text(text)
    result = run_readme("--check", str(file))
    assert result.returncode == 1
    assert complaint in result.stderr
    assert file.read_text() == text
