"""The GitHub action lints once, tells it in three places, and takes its inputs for mere text."""

import copy
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import CLEAN, UNEVEN
from tests.packaging.action import ROOT, Runner, faults, load
from tests.planting import write_files
from tests.report import sarif_checker

MODELS = {
    "models/uneven.onnxtxt": UNEVEN,
    "models/clean.onnxtxt": CLEAN,
    "two words/one more.onnxtxt": CLEAN,
}
HOSTILE = [
    pytest.param("; touch pwned", id="another command"),
    pytest.param("$(touch pwned)", id="a command's output"),
    pytest.param("`touch pwned`", id="in backquotes"),
    pytest.param('"; touch pwned; "', id="out of quotes"),
    pytest.param("'; touch pwned; '", id="out of single quotes"),
    pytest.param("x\ntouch pwned\n", id="another line"),
    pytest.param("models/clean.onnxtxt && touch pwned", id="after a success"),
    pytest.param("a[$(touch pwned)]", id="in a subscript"),
    pytest.param("::set-output name=x::y", id="a command to the runner"),
]


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner whose workspace holds three models, one of them not clean."""
    workspace = write_files(tmp_path / "workspace", {".git/HEAD": "", **MODELS})
    return Runner(workspace, tmp_path / "home")


@pytest.fixture
def dry(runner: Runner) -> Runner:
    """The same, where onnxstride is called and does nothing."""
    return Runner(runner.workspace, runner.home, {"IS_DRY": "1"})


def files(runner: Runner) -> set[str]:
    """What lies in the workspace."""
    every = (path for path in runner.workspace.rglob("*") if path.is_file())
    return {path.relative_to(runner.workspace).as_posix() for path in every} - {".git/HEAD"}


def test_inputs_reach_the_scripts_as_variables() -> None:
    """Each is declared, described, handed over by the environment, and used."""
    assert faults(load()) == []
    assert set(load()["inputs"]) == {"paths", "select", "fail-on", "args", "sarif-file", "version"}


def _inline(action: Any) -> None:
    step = action["runs"]["steps"][1]
    step["run"] = step["run"].replace('<<<"$PATHS"', '<<<"${{ inputs.paths }}"')


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(_inline, "Lint: an expression within the script", id="inline"),
        pytest.param(
            lambda it: it["inputs"].update(more={"description": "x", "default": ""}),
            "inputs.more is declared and not used",
            id="an input without use",
        ),
        pytest.param(
            lambda it: it["inputs"].pop("select"),
            "inputs.select is used and not there",
            id="an input that is not declared",
        ),
        pytest.param(
            lambda it: it["runs"]["steps"][1]["env"].pop("ARGS"),
            "Lint: ARGS is read and not given",
            id="a variable nobody sets",
        ),
        pytest.param(
            lambda it: it["runs"]["steps"][1]["env"].update(MORE="${{ inputs.args }}"),
            "Lint: MORE is given and not read",
            id="a variable nobody reads",
        ),
        pytest.param(
            lambda it: it["outputs"]["exit-code"].update(value="${{ steps.lint.outputs.code }}"),
            "steps.lint.outputs.code is used and not there",
            id="an output nobody writes",
        ),
        pytest.param(
            lambda it: it["runs"]["steps"][0].pop("shell"), "Install onnxstride: no shell", id="sh"
        ),
        pytest.param(
            lambda it: it["inputs"]["args"].pop("default"),
            "inputs.args has no description or no default",
            id="nothing by default",
        ),
    ],
)
def test_a_faulty_action_is_seen(change: Callable[[Any], object], told: str) -> None:
    """Each fault is one the checker tells."""
    action = copy.deepcopy(load())
    change(action)
    assert told in faults(action)


def test_findings_fail_the_step_once_all_is_told(runner: Runner) -> None:
    """Annotations in the log, SARIF in a file, a summary after what the page held before."""
    outcome = runner.run()
    assert outcome.code == 1
    assert "::warning file=models/uneven.onnxtxt,title=UP101" in outcome.log
    document = json.loads((runner.workspace / "onnxstride.sarif").read_text())
    sarif_checker.check(document)
    assert "UP101" in {result["ruleId"] for result in document["runs"][0]["results"]}
    assert outcome.summary.startswith("an earlier step\n## onnxstride\n")
    assert "UP101 uneven-overlap" in outcome.summary
    assert outcome.outputs == {"sarif-file": "onnxstride.sarif", "exit-code": "1"}
    assert [call[0] for call in outcome.calls] == ["lint"]
    assert outcome.installed == [str(ROOT)]
    assert files(runner) == {*MODELS, "onnxstride.sarif"}
    assert {path.name for path in (runner.home / "temp").iterdir()} == {"onnxstride-venv"}


def test_clean_models_pass(runner: Runner) -> None:
    """One path a line, spaces and all; what stands around a path is not part of it."""
    outcome = runner.run(paths="models/clean.onnxtxt\n\n  two words/one more.onnxtxt\n")
    assert (outcome.code, outcome.outputs["exit-code"]) == (0, "0")
    assert "2 models, 2 layers" in outcome.summary
    assert outcome.calls[0][-3:] == ["--", "models/clean.onnxtxt", "two words/one more.onnxtxt"]


def test_what_cannot_be_read_is_told_and_fails(runner: Runner) -> None:
    """The other models are linted all the same."""
    write_files(runner.workspace, {"models/broken.onnx": "version https://git-lfs"})
    outcome = runner.run(paths="models")
    assert (outcome.code, outcome.outputs["exit-code"]) == (2, "2")
    assert "::error file=models/broken.onnx" in outcome.log
    assert "::warning file=models/uneven.onnxtxt" in outcome.log
    assert "models/broken.onnx" in outcome.summary
    assert outcome.outputs["sarif-file"] == "onnxstride.sarif"


def test_a_wrong_word_fails_without_a_report(runner: Runner) -> None:
    """A file of an earlier run is not passed off as this one's."""
    write_files(runner.workspace, {"onnxstride.sarif": "old"})
    outcome = runner.run(select="UP999")
    assert outcome.code == 2
    assert "selector 'UP999' fits no rule" in outcome.log
    assert outcome.outputs == {"sarif-file": "", "exit-code": "2"}
    assert outcome.summary == "an earlier step\n"


@pytest.mark.parametrize("select", ["UP101,DN202", "UP101, DN202", " UP101\nDN202\n"])
def test_codes_are_told_apart_by_commas_spaces_and_lines(dry: Runner, select: str) -> None:
    """Each is one --select; nothing is selected twice or as an empty word."""
    (call,) = dry.run(select=select, fail_on="error").calls
    assert call[1:5] == [
        "--output-format=github", "--select=UP101", "--select=DN202", "--fail-on=error",
    ]  # fmt: skip


def test_arguments_are_words_as_in_a_shell(dry: Runner) -> None:
    """Quotes hold a word together; what a shell would expand stays as it is."""
    (call,) = dry.run(args="""--ignore 'UP101' --dim H="8" '' *""", select="UP101").calls
    assert call[3:8] == ["--ignore", "UP101", "--dim", "H=8", ""]
    assert call[8] == "*"


def test_no_sarif_is_written_where_none_is_wanted(runner: Runner) -> None:
    """The summary and the log do not depend on it."""
    outcome = runner.run(sarif_file="", fail_on="never")
    assert (outcome.code, outcome.outputs["sarif-file"]) == (0, "")
    assert "UP101" in outcome.summary
    assert files(runner) == set(MODELS)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        pytest.param({"paths": " \n"}, "paths names no model", id="no path"),
        pytest.param({"args": "--ignore 'UP101"}, "args leaves a quotation open", id="a quote"),
        pytest.param({"sarif_file": "a\nexit-code=0"}, "sarif-file holds a line break", id="lines"),
        pytest.param({"sarif_file": "models/clean.onnxtxt"}, "is one of the models", id="a model"),
        pytest.param({"version": "--index-url=x"}, "expected a version", id="an option of pip"),
        pytest.param({"version": "1.0\n--pre"}, "expected a version", id="two lines"),
        pytest.param({"version": "latest"}, "expected a version", id="a word"),
    ],
)
def test_what_cannot_be_meant_is_refused(runner: Runner, inputs: dict[str, str], told: str) -> None:
    """With a reason, exit code 2, and nothing touched."""
    outcome = runner.run(**inputs)
    assert outcome.code == 2
    assert told in outcome.log
    assert files(runner) == set(MODELS)
    assert (runner.workspace / "models/clean.onnxtxt").read_text() == CLEAN
    assert "version" not in inputs or outcome.installed == []


@pytest.mark.parametrize("text", HOSTILE)
def test_no_input_is_carried_out(dry: Runner, text: str) -> None:
    """Each arrives word for word where it is meant to."""
    given = {"paths": text, "select": text, "fail_on": text}
    if "\n" not in text:
        given["sarif_file"] = text
    given["args"] = shlex.quote(text)
    (call,) = dry.run(**given).calls
    assert f"--fail-on={text}" in call
    assert text in call[: call.index("--")]
    assert call[call.index("--") + 1 :] == text.splitlines()
    assert [word for word in call if word.startswith("--select")] == [
        f"--select={word}" for word in text.split()
    ]
    assert "\n" in text or f"--also=sarif={text}" in call
    assert (files(dry), list(dry.home.rglob("pwned"))) == (set(MODELS), [])


@pytest.mark.parametrize("text", HOSTILE)
def test_no_version_is_carried_out(runner: Runner, text: str) -> None:
    """What pip hears of are versions alone."""
    outcome = runner.run(version=text)
    assert (outcome.code, outcome.installed) == (2, [])
    assert (files(runner), list(runner.home.rglob("pwned"))) == (set(MODELS), [])


@pytest.mark.parametrize("text", HOSTILE[:7])
def test_the_texts_are_hostile(runner: Runner, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written into a script, each of them would be carried out."""
    action = load()
    action["runs"]["steps"][1]["run"] = f"echo \"{text}\" '{text}'\n: {text}\n"
    monkeypatch.setattr("tests.packaging.action.load", lambda: action)
    runner.run()
    assert (runner.workspace / "pwned").exists()


def test_a_release_is_installed_where_one_is_named(dry: Runner) -> None:
    """By its version, from the index that pip uses."""
    assert dry.run(version="1.2.0rc1").installed == ["onnxstride==1.2.0rc1"]


def test_an_old_python_is_told(runner: Runner) -> None:
    """With what to do about it, before anything is installed."""
    outcome = Runner(runner.workspace, runner.home, {"IS_OLD": "1"}).run()
    assert outcome.code == 2
    assert "run actions/setup-python before it" in outcome.log
    assert (outcome.installed, outcome.calls) == ([], [])
