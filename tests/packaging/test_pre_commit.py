"""The hook of .pre-commit-hooks.yaml, run by pre-commit itself in a repository of models.

pre-commit would install onnxstride from the repository that holds the manifest. Here the hook is
declared again beside the models, word for word, to run what is installed already: the files it
gets, the command it becomes and what is made of the outcome are pre-commit's own doing.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.running import CLEAN, UNEVEN
from tests.planting import write_files

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / ".pre-commit-hooks.yaml"

_clientlib: Any = import_module("pre_commit.clientlib")  # these two ship no types
_yaml: Any = import_module("yaml")
_GIT = shutil.which("git") or ""

MODELS = {"models/uneven.onnxtxt": UNEVEN, "clean.onnxtxt": CLEAN, "readme.md": UNEVEN}


class Result(NamedTuple):
    """What pre-commit said, and what the hook exited with; None where it was not run."""

    code: int
    out: str
    exit_code: int | None


def hook() -> dict[str, Any]:
    """The hook as the manifest has it, without what pre-commit fills in."""
    (only,) = _yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    return dict(only)


def commit(folder: Path, *files: str, changes: Mapping[str, Any] | None = None) -> Result:
    """What happens when these files are committed in a repository that uses the hook."""
    used = {**hook(), "language": "system", "verbose": True, **(changes or {})}
    config = folder / ".git" / "config.yaml"
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / ".git"),
        "PRE_COMMIT_HOME": str(folder / ".git" / "pre-commit"),
        "PRE_COMMIT_COLOR": "never",
        "COLUMNS": "100",
    }
    subprocess.run([_GIT, "init", "--quiet", str(folder)], env=environment, check=True)
    config.write_text(_yaml.safe_dump({"repos": [{"repo": "local", "hooks": [used]}]}))
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--config", str(config), "--files", *files],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("- exit code: ")]
    passed = 0 if "Passed" in done.stdout else None
    return Result(done.returncode, done.stdout, int(told[0].split()[-1]) if told else passed)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder that git looks after, with two models and a text."""
    if not _GIT:
        pytest.skip("pre-commit needs git")
    return write_files(tmp_path, MODELS)


def test_the_manifest_is_one() -> None:
    """pre-commit's own reading of it finds the hook, with nothing it does not know."""
    (loaded,) = _clientlib.load_manifest(str(MANIFEST))
    assert loaded["id"] == "onnxstride"
    assert (loaded["language"], loaded["entry"]) == ("python", "onnxstride lint")
    assert set(hook()) <= set(loaded)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("- id: onnxstride\n  name: onnxstride\n  entry: x\n", id="no language"),
        pytest.param("- {id: a, name: a, entry: a, language: pyhton}\n", id="mistyped language"),
        pytest.param("- {id: a, name: a, entry: a, language: python, files: (}\n", id="no pattern"),
        pytest.param("id: onnxstride\n", id="no list"),
    ],
)
def test_other_manifests_are_refused(tmp_path: Path, text: str) -> None:
    """The reading is one that can fail."""
    (tmp_path / "hooks.yaml").write_text(text)
    with pytest.raises(_clientlib.InvalidManifestError):
        _clientlib.load_manifest(str(tmp_path / "hooks.yaml"))


def test_a_finding_keeps_a_commit_back(repository: Path) -> None:
    """The report is shown, as lint would print it of all models that are committed."""
    result = commit(repository, *MODELS)
    assert (result.code, result.exit_code) == (1, 1)
    assert "models/uneven.onnxtxt\n  UP101  warning  up  ConvTranspose" in result.out
    assert "2 models, 2 layers: " in result.out


def test_a_clean_model_passes(repository: Path) -> None:
    """Whatever else is in the repository: only what is committed is looked at."""
    result = commit(repository, "clean.onnxtxt", "readme.md")
    assert (result.code, result.exit_code) == (0, 0)
    assert "1 model, 1 layer" in result.out


def test_a_model_that_cannot_be_read_keeps_a_commit_back(repository: Path) -> None:
    """It is told apart from a finding by the exit code."""
    (repository / "broken.onnx").write_bytes(b"version https://git-lfs")
    result = commit(repository, "broken.onnx", "clean.onnxtxt")
    assert (result.code, result.exit_code) == (1, 2)
    assert "broken.onnx\n  E0" in result.out


def test_other_files_are_left_alone(repository: Path) -> None:
    """Weights beside a model are no model."""
    names = ("readme.md", "net.onnx.data", "net.onnxtxt.bak", "onnx")
    write_files(repository, dict.fromkeys(names, "no model"))
    result = commit(repository, *names)
    assert (result.code, result.exit_code) == (0, None)
    assert "no files to check" in result.out


def test_arguments_of_the_user_come_before_the_files(repository: Path) -> None:
    """``args`` of a repository's own configuration."""
    result = commit(repository, *MODELS, changes={"args": ["--fail-on", "error"]})
    assert (result.code, result.exit_code) == (0, 0)


@pytest.mark.parametrize(
    ("change", "exit_code"),
    [
        pytest.param({"entry": "onnxstride rules"}, 2, id="another command"),
        pytest.param({"pass_filenames": False}, 2, id="no files"),
        pytest.param({"files": "nothing"}, None, id="another pattern"),
        pytest.param({"types": ["image"]}, None, id="another type"),
    ],
)
def test_another_hook_does_something_else(
    repository: Path, change: dict[str, Any], exit_code: int | None
) -> None:
    """What is asserted above depends on each line of the manifest."""
    assert commit(repository, *MODELS, changes=change).exit_code == exit_code
