"""lint writes every format, to the terminal or to files, and several in one run."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from onnxstride.errors import ModelError
from onnxstride.report.formats import FORMATS
from onnxstride.rule import Severity
from tests import schema
from tests.cli.running import CLEAN, UNEVEN, Lint, linting
from tests.report import sarif_checker, test_gitlab, test_model_explorer

ROOT = Path(__file__).parents[2]
MODELS = ("uneven.onnxtxt", "clean.onnxtxt", "gone.onnx")


@pytest.fixture
def lint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Lint:
    """Runs the lint command in a folder with two models."""
    models = {"uneven": UNEVEN, "clean": CLEAN}
    return linting(models, tmp_path, monkeypatch, capsys)


def _json(text: str) -> None:
    schema.validate(json.loads(text))


def _sarif(text: str) -> None:
    sarif_checker.check(json.loads(text))


def _gitlab(text: str) -> None:
    test_gitlab.check(json.loads(text))


def _jsonl(text: str) -> None:
    assert [json.loads(line)["kind"] for line in text.splitlines()][-1] == "summary"


def _junit(text: str) -> None:
    whole: Any = JUnitXml.fromstring(text.encode())
    assert [suite.name for suite in whole] == list(MODELS)


def _model_explorer(text: str) -> None:
    test_model_explorer.check(json.loads(text))


def _github(text: str) -> None:
    for line in text.splitlines():
        assert re.match(r"::(error|warning|notice) file=[^,:]+,title=[^,:]+::", line)


def _lines(text: str) -> None:
    assert text.endswith("\n")


CHECKS: dict[str, Callable[[str], None]] = {
    **dict.fromkeys(FORMATS, _lines),
    "json": _json,
    "jsonl": _jsonl,
    "sarif": _sarif,
    "gitlab": _gitlab,
    "junit": _junit,
    "github": _github,
    "model-explorer": _model_explorer,
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_written_and_valid(lint: Lint, name: str) -> None:
    """With what was found and what could not be read; the exit code does not depend on it."""
    result = lint(*MODELS, "--output-format", name)
    assert (result.code, result.err) == (2, "")
    assert "UP101" in result.out
    assert "E001" in result.out
    CHECKS[name](result.out)
    assert lint("uneven.onnxtxt", "--output-format", name).code == 1
    assert lint("clean.onnxtxt", "--output-format", name).code == 0


def test_one_run_writes_them_all(lint: Lint) -> None:
    """One to the terminal, the others to files, each what it would be by itself."""
    also = [part for name in FORMATS for part in ("--also", f"{name}=report.{name}")]
    result = lint(*MODELS, *also)
    assert result.code == 2
    assert result.out == lint(*MODELS).out
    for name in FORMATS:
        alone = lint(*MODELS, "--output-format", name).out
        assert Path(f"report.{name}").read_text(encoding="utf-8") == alone


def test_files_beside_a_file(lint: Lint) -> None:
    """Nothing is printed where the report itself goes to a file."""
    result = lint(
        "uneven.onnxtxt", "--output-format", "json", "--output-file", "a.json",
        "--also", "junit=a.xml", "--also", "text=a.txt",
    )  # fmt: skip
    assert (result.code, result.out) == (1, "")
    assert json.loads(Path("a.json").read_text())["summary"]["files"] == 1
    assert "\x1b" not in Path("a.txt").read_text()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(["--also", "sarfi=a"], "did you mean 'sarif'?", id="mistyped"),
        pytest.param(["--also", "pdf=a"], "expected text, concise, json", id="unknown"),
        pytest.param(["--also", "sarif"], "expected --also FORMAT=PATH", id="no path"),
        pytest.param(["--also", "sarif="], "expected --also FORMAT=PATH", id="empty path"),
        pytest.param(["--also", "sarif=-"], "names no file", id="standard output"),
        pytest.param(
            ["--also", "sarif=a", "--also", "json=./a"],
            "--also './a' is the file that --also names already",
            id="one file twice",
        ),
        pytest.param(
            ["--output-file", "a", "--also", "json=a"],
            "is the file that --output-file names already",
            id="the report's own",
        ),
        pytest.param(
            ["--also", "json=clean.onnxtxt"], "is one of the models", id="in place of a model"
        ),
        pytest.param(["--output-format", "sarfi"], "'sarif'", id="mistyped alone"),
    ],
)
def test_what_cannot_be_meant_is_refused(lint: Lint, options: list[str], told: str) -> None:
    """Before anything is linted or written, with a hint."""
    result = lint("clean.onnxtxt", "uneven.onnxtxt", *options)
    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert sorted(os.listdir()) == ["clean.onnxtxt", "uneven.onnxtxt"]
    assert Path("clean.onnxtxt").read_text() == CLEAN


def test_paths_may_hold_equals_signs(lint: Lint) -> None:
    """The first one ends the format."""
    assert lint("clean.onnxtxt", "--also", "json=a=b.json").code == 0
    assert Path("a=b.json").exists()


def test_a_file_that_cannot_be_written_is_an_error(lint: Lint) -> None:
    """The report itself has been printed by then."""
    result = lint("clean.onnxtxt", "--also", "json=no/such/a.json")
    assert result.code == 2
    assert result.out.startswith("1 model")
    assert "no/such/a.json: there is no such folder; make it first" in result.err


def test_the_environment_names_the_format_of_the_report(
    lint: Lint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others beside it stay what they were asked to be."""
    monkeypatch.setenv("ONNXSTRIDE_OUTPUT_FORMAT", "github")
    result = lint("uneven.onnxtxt", "--also", "json=a.json")
    _github(result.out)
    _json(Path("a.json").read_text())


@pytest.mark.parametrize("options", [["--fail-on", "never"], ["--exit-zero"]])
def test_no_case_fails_where_the_run_cannot(lint: Lint, options: list[str]) -> None:
    """JUnit agrees with the exit code."""

    def failures(*more: str) -> int:
        text = lint("uneven.onnxtxt", "--output-format", "junit", *more).out
        whole: Any = JUnitXml.fromstring(text.encode())
        count: int = whole.failures
        return count

    assert failures(*options) == 0
    assert failures() > 0


def test_servers_get_paths_from_the_top_of_the_checkout(lint: Lint) -> None:
    """Wherever below it the command is run; people get the path they gave."""
    os.makedirs(".git")
    os.makedirs("models/deep")
    os.rename("uneven.onnxtxt", "models/deep/uneven.onnxtxt")
    os.chdir("models")
    for name in ("sarif", "github", "gitlab", "junit"):
        assert "models/deep/uneven.onnxtxt" in lint("deep", "--output-format", name).out
    for name in ("text", "json", "concise", "jsonl", "markdown"):
        text = lint("deep", "--output-format", name).out
        assert "deep/uneven.onnxtxt" in text
        assert "models/deep" not in text


def test_sarif_knows_every_rule_and_error(lint: Lint) -> None:
    """Also those that were not run: an alert that is gone is told from a rule that is."""
    text = lint("clean.onnxtxt", "--select", "UP101", "--output-format", "sarif").out
    document = json.loads(text)
    sarif_checker.check(document)
    rules = {rule["id"]: rule for rule in document["runs"][0]["tool"]["driver"]["rules"]}
    assert {kind.code for kind in ModelError.__subclasses__()} <= set(rules)
    assert rules["UP101"]["name"] == "UnevenOverlap"
    assert rules["UP101"]["help"]["markdown"].startswith("# UP101 uneven-overlap\n")
    assert rules["E002"]["shortDescription"]["text"] == "The bytes are no ONNX model."
    assert {rule["defaultConfiguration"]["level"] for rule in rules.values()} == set(Severity)


@pytest.mark.parametrize("name", ["sarif", "json", "jsonl"])
def test_two_runs_on_the_projects_models_agree_to_the_byte(lint: Lint, name: str) -> None:
    """And what they agree on is valid."""
    arguments = [str(ROOT / "models"), "--output-format", name]
    os.chdir(ROOT)
    text = lint(*arguments).out
    assert text == lint(*arguments).out
    CHECKS[name](text)
