"""The oldest versions that are promised are those that are tried, and named the same everywhere."""

import re
import sys
import tomllib
from typing import Any

import pytest

from tests.platforms.reading import ROOT

_PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
_LOWEST = (ROOT / ".ci" / "lowest.txt").read_text("utf-8")


def bounds(requirements: list[str]) -> dict[str, tuple[int, ...]]:
    """The lower bound of each requirement, ``name>=1.2``.

    Raises:
        ValueError: one has another form.
    """
    return dict(_split(line, ">=") for line in requirements)


def pins(text: str) -> dict[str, tuple[int, ...]]:
    """The one version of each library in a list of constraints."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return dict(_split(line, "==") for line in lines if line)


def _split(line: str, sign: str) -> tuple[str, tuple[int, ...]]:
    match = re.fullmatch(rf"([A-Za-z0-9-]+){sign}(\d+(?:\.\d+)*)", line)
    if match is None:
        raise ValueError(f"expected NAME{sign}VERSION, found {line!r}")
    version = [int(part) for part in match[2].split(".")]
    while version and version[-1] == 0:  # 8.1 is 8.1.0
        version.pop()
    return match[1], tuple(version)


def test_the_lowest_versions_are_those_of_the_project() -> None:
    """What is tried in the second environment is what pip may install at the least."""
    assert pins(_LOWEST) == bounds(_PROJECT["project"]["dependencies"])


@pytest.mark.parametrize(
    "text",
    ["numpy==2.0.1", "numpy==2", "numpy==2.0.0\n# click==8.1"],
    ids=["later", "short", "two"],
)
def test_versions_are_compared_as_numbers(text: str) -> None:
    """Zeros at the end make no difference, other figures do, and a remark is no library."""
    assert (pins(text) == bounds(["numpy>=2.0"])) is ("2.0.1" not in text)


@pytest.mark.parametrize("line", ["numpy", "numpy~=2.0", "numpy>=2.0,<3", "numpy==2.*"])
def test_other_requirements_are_refused(line: str) -> None:
    """A bound that nobody can try is no bound."""
    with pytest.raises(ValueError, match=re.escape(repr(line))):
        bounds([line])


def test_both_ends_are_among_the_checks() -> None:
    """The checks run the oldest versions, the tests' own environment has the newest."""
    check = (ROOT / ".ci" / "check").read_text("utf-8")
    assert '\n.ci/lowest "$python" >"$said" 2>&1 &\nlowest=$!\n' in check
    assert '\nwait "$lowest" || { cat "$said"; exit 1; }\n' in check
    assert "-c .ci/lowest.txt" in (ROOT / ".ci" / "lowest").read_text("utf-8")


def test_the_oldest_python_is_one_everywhere() -> None:
    """Installers, ruff, pyright and the list of versions start with the same Python."""
    lowest = _PROJECT["project"]["requires-python"].removeprefix(">=")
    assert _PROJECT["tool"]["ruff"]["target-version"] == "py" + lowest.replace(".", "")
    assert _PROJECT["tool"]["pyright"]["pythonVersion"] == lowest
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(_PROJECT["project"]["classifiers"]))
    assert named[0] == lowest
    assert [int(name.removeprefix("3.")) for name in named] == sorted(
        {int(name.removeprefix("3.")) for name in named}
    )
    assert sys.version_info >= tuple(map(int, lowest.split(".")))
