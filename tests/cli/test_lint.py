"""The lint command: what it prints, where, and how it exits."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from onnxstride.screen import in_color
from tests import schema
from tests.cli.running import CLEAN, HEAD, UNEVEN, Lint, Result, linting
from tests.planting import rule_source, write_files, write_plugin

ROOT = Path(__file__).parents[2]

POOLED = f"""{HEAD}
net (float[1,8,16,16] x) => (float[1,8,8,8] y) {{
    ["pool"] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
}}"""
SYNTAX_ERROR = f"{HEAD} net (float[1] x => y"


@pytest.fixture
def lint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Lint:
    """Runs the lint command in a folder with a model of each kind."""
    models = {"uneven": UNEVEN, "pooled": POOLED, "clean": CLEAN, "broken": SYNTAX_ERROR}
    return linting(models, tmp_path, monkeypatch, capsys)


def as_json(result: Result) -> Any:
    """The report, checked against the schema."""
    document = json.loads(result.out)
    schema.validate(document)
    return document


class TestExitCodes:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            pytest.param(["clean.onnxtxt"], 0, id="clean"),
            pytest.param(["uneven.onnxtxt"], 1, id="a warning"),
            pytest.param(["pooled.onnxtxt"], 0, id="a note does not fail"),
            pytest.param(["pooled.onnxtxt", "--fail-on", "note"], 1, id="unless asked"),
            pytest.param(["uneven.onnxtxt", "--fail-on", "error"], 0, id="below the level"),
            pytest.param(["uneven.onnxtxt", "--fail-on", "never"], 0, id="never"),
            pytest.param(["uneven.onnxtxt", "--exit-zero"], 0, id="exit-zero"),
            pytest.param(["uneven.onnxtxt", "--ignore", "UP101,UP103"], 0, id="ignored"),
            pytest.param(["uneven.onnxtxt", "--select", "DN"], 0, id="not selected"),
            pytest.param(["broken.onnxtxt"], 2, id="unreadable"),
            pytest.param(["gone.onnx"], 2, id="missing"),
            pytest.param(["uneven.onnxtxt", "broken.onnxtxt"], 2, id="unreadable outweighs"),
            pytest.param(["broken.onnxtxt", "--exit-zero"], 2, id="exit-zero hides no error"),
            pytest.param(["broken.onnxtxt", "--fail-on", "never"], 2, id="nor does never"),
            pytest.param([], 2, id="no path"),
            pytest.param(["clean.onnxtxt", "--no-such-option"], 2, id="unknown option"),
            pytest.param(["clean.onnxtxt", "--fail-on", "bad"], 2, id="unknown level"),
            pytest.param(["clean.onnxtxt", "--select", "NOPE"], 2, id="unknown selector"),
            pytest.param(["clean.onnxtxt", "--dim", "H"], 2, id="malformed size"),
            pytest.param(["clean.onnxtxt", "--rules", "nowhere"], 2, id="no such folder"),
        ],
    )
    def test_the_code_says_what_happened(
        self, lint: Lint, arguments: Sequence[str], expected: int
    ) -> None:
        """0 clean, 1 findings at the level, 2 the job could not be done."""
        assert lint(*arguments).code == expected

    def test_unreadable_models_do_not_stop_the_others(self, lint: Lint) -> None:
        """Each has its entry, the readable one its findings."""
        result = lint("gone.onnx", "broken.onnxtxt", "uneven.onnxtxt")
        assert "gone.onnx\n  E001   error\n" in result.out
        assert "broken.onnxtxt\n  E002   error\n" in result.out
        assert "UP101" in result.out
        assert "Traceback" not in result.out + result.err


class TestUsage:
    def test_a_mistyped_selector_gets_a_suggestion(self, lint: Lint) -> None:
        """The message is one line on standard error and the report is not printed."""
        result = lint("uneven.onnxtxt", "--select", "uneven-overlop")
        assert result.out == ""
        assert result.err.count("\n") == 1
        assert "did you mean 'uneven-overlap'?" in result.err

    def test_a_binding_no_model_has_gets_a_suggestion(self, lint: Lint) -> None:
        """A size that binds nothing would leave the model as undetermined as before."""
        result = lint("uneven.onnxtxt", "clean.onnxtxt", "--input-shape", "imgae:1,8,4,4")
        assert result.code == 2
        assert "named 'imgae'; did you mean 'image'?" in result.err

    def test_a_binding_that_contradicts_a_model_names_it(self, lint: Lint) -> None:
        """The file is named along with what it declares."""
        result = lint("uneven.onnxtxt", "--input-shape", "image:1,3,4,4")
        assert result.code == 2
        assert "uneven.onnxtxt" in result.err

    def test_bindings_reach_the_rules(self, lint: Lint) -> None:
        """A symbol given a size is no longer unknown."""
        unbound = as_json(lint("uneven.onnxtxt", "--why", "--output-format", "json"))
        bound = lint("uneven.onnxtxt", "--why", "--output-format", "json", "--dim", "H=1")
        both = lint(
            "uneven.onnxtxt", "--why", "--output-format", "json", "--input-shape", "image:1,8,1,1"
        )
        assert as_json(bound) != unbound
        assert as_json(both)["summary"]["by_code"].get("UP101", 0) == 0

    def test_the_report_never_replaces_a_model(self, lint: Lint) -> None:
        """Writing the report over an input is refused."""
        result = lint("uneven.onnxtxt", "--output-file", "./uneven.onnxtxt")
        assert result.code == 2
        assert Path("uneven.onnxtxt").read_text() == UNEVEN


class TestText:
    def test_what_is_found_is_named_once(self, lint: Lint) -> None:
        """The heading holds code, severity, node, operator and name."""
        out = lint("uneven.onnxtxt", "--select", "UP101").out
        assert "uneven.onnxtxt\n  UP101  warning  up  ConvTranspose  uneven-overlap\n" in out
        assert out.endswith("\n1 model, 1 layer: 1 warning\n  UP101 1\n")

    def test_a_clean_model_is_one_line(self, lint: Lint) -> None:
        """It says how much was looked at."""
        assert lint("clean.onnxtxt").out == "1 model, 1 layer: nothing found\n"

    def test_quiet_says_nothing_about_nothing(self, lint: Lint) -> None:
        """-q leaves findings and errors only."""
        assert lint("clean.onnxtxt", "-q").out == ""
        assert "1 model" not in lint("uneven.onnxtxt", "-q").out

    def test_statistics_count_instead_of_listing(self, lint: Lint) -> None:
        """One line a rule."""
        out = lint("uneven.onnxtxt", "--select", "UP101", "--statistics").out
        assert out.startswith("     1  UP101  uneven-overlap\n")

    @pytest.mark.parametrize(
        ("arguments", "variables", "expected"),
        [
            pytest.param([], {}, False, id="no terminal"),
            pytest.param(["--color", "always"], {"NO_COLOR": "1"}, True, id="always"),
            pytest.param(["--color", "never"], {}, False, id="never"),
        ],
    )
    def test_colour_is_optional(
        self,
        lint: Lint,
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        variables: dict[str, str],
        expected: bool,
    ) -> None:
        """Escapes appear only where asked for or on a terminal."""
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert ("\x1b" in lint("uneven.onnxtxt", *arguments).out) is expected

    @pytest.mark.parametrize(
        ("variables", "expected"),
        [
            pytest.param({"TERM": "xterm"}, True, id="a terminal"),
            pytest.param({"TERM": "xterm", "NO_COLOR": "1"}, False, id="NO_COLOR"),
            pytest.param({"TERM": "dumb"}, False, id="a dumb terminal"),
        ],
    )
    def test_auto_colours_terminals(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: bool
    ) -> None:
        """The choice auto looks at the stream and the environment."""
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        terminal = io.StringIO()
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdout", terminal)
        assert in_color("auto", None) is expected
        assert in_color("auto", "report.txt") is False


class TestJson:
    def test_one_document_for_all_models(self, lint: Lint) -> None:
        """In the order given, unreadable ones included, valid by the schema."""
        names = ["uneven.onnxtxt", "broken.onnxtxt", "clean.onnxtxt", "gone.onnx"]
        document = as_json(lint(*names, "--output-format", "json"))
        assert [file["path"] for file in document["files"]] == names
        assert [file["status"] for file in document["files"]] == ["ok", "error", "ok", "error"]
        assert document["summary"]["errors"] == 2

    def test_the_environment_chooses_the_format(
        self, lint: Lint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An option outweighs the variable."""
        monkeypatch.setenv("ONNXSTRIDE_OUTPUT_FORMAT", "json")
        assert as_json(lint("clean.onnxtxt"))["summary"]["files"] == 1
        assert lint("clean.onnxtxt", "--output-format", "text").out.startswith("1 model")
        monkeypatch.setenv("ONNXSTRIDE_OUTPUT_FORMAT", "yaml")
        assert lint("clean.onnxtxt").code == 2

    def test_every_model_of_the_project_is_described_by_the_schema(self, lint: Lint) -> None:
        """Whatever figures the built-in rules give."""
        document = as_json(lint(str(ROOT / "models"), "--why", "--output-format", "json"))
        paths = [file["path"] for file in document["files"]]
        assert paths == sorted(paths)
        assert paths

    def test_two_runs_agree_to_the_byte(self, lint: Lint) -> None:
        """Nothing depends on time, order of sets or memory."""
        arguments = [str(ROOT / "models"), "--why", "--output-format", "json"]
        assert lint(*arguments).out == lint(*arguments).out


class TestOutputFile:
    def test_the_report_goes_to_the_file(self, lint: Lint) -> None:
        """Nothing is printed, the exit code is the same, no draft is left behind."""
        Path("report.txt").write_text("old")
        result = lint("uneven.onnxtxt", "--output-file", "report.txt", "--color", "auto")
        assert (result.code, result.out) == (1, "")
        assert "UP101" in Path("report.txt").read_text()
        assert not list(Path().glob("*.tmp"))

    def test_a_file_that_cannot_be_written_is_an_error(self, lint: Lint) -> None:
        """The reason is one line."""
        result = lint("clean.onnxtxt", "--output-file", "no/such/folder/report.txt")
        assert result.code == 2
        assert result.err == (
            "onnxstride: error: no/such/folder/report.txt: there is no such folder; make it first\n"
        )

    def test_devices_are_written_to_not_replaced(self, lint: Lint) -> None:
        """/dev/null stays what it is."""
        assert lint("clean.onnxtxt", "--output-file", "/dev/null").code == 0
        assert not Path("/dev/null").is_file()


class TestPlanted:
    def test_a_rule_that_raises_is_an_error_of_the_file(self, lint: Lint, tmp_path: Path) -> None:
        """Rule, node and cause are named in one line; other files are still linted."""
        body = "yield RULE.flag(layer.ref, 'first'); raise ZeroDivisionError('planted')"
        write_files(tmp_path / "extra", {"raising.py": rule_source(body=body)})
        result = lint("uneven.onnxtxt", "gone.onnx", "--rules", "extra", "--select", "XX")
        assert result.code == 2
        for part in ("E000", "rule XX101", "ConvTranspose 'up'", "ZeroDivisionError: planted"):
            assert part in " ".join(result.out.split())
        assert "E001" in result.out
        assert "Traceback" not in result.out + result.err

    def test_debugging_shows_the_traceback(
        self, lint: Lint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With ONNXSTRIDE_DEBUG the exception is shown where it was raised."""
        write_files(tmp_path / "extra", {"raising.py": rule_source(body="yield 1 / 0")})
        monkeypatch.setenv("ONNXSTRIDE_DEBUG", "1")
        result = lint("uneven.onnxtxt", "--rules", "extra", "--select", "XX")
        assert result.code == 2
        assert "Traceback" in result.err
        assert "raising.py" in result.err

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param("return None", id="no iterator"),
            pytest.param("yield 'text'", id="neither finding nor skip"),
            pytest.param(
                "yield Rule('UP101', 'x', Severity.NOTE, ()).flag(layer.ref, 'm')",
                id="a finding of another rule",
            ),
        ],
    )
    def test_a_rule_that_answers_wrongly_is_an_error(
        self, lint: Lint, tmp_path: Path, body: str
    ) -> None:
        """An answer that is not the rule's own is not passed on."""
        write_files(tmp_path / "extra", {"wrong.py": rule_source(body=body)})
        result = lint("uneven.onnxtxt", "--rules", "extra", "--select", "XX")
        assert result.code == 2
        assert "rule XX101" in result.out

    def test_figures_json_lacks_are_spelled(self, lint: Lint, tmp_path: Path) -> None:
        """A finding with infinity in it is still standard JSON."""
        body = "yield RULE.flag(layer.ref, 'm', figure=float('-inf'))"
        write_files(tmp_path / "extra", {"infinite.py": rule_source(body=body)})
        document = as_json(
            lint("uneven.onnxtxt", "--rules", "extra", "--select", "XX", "--output-format", "json")
        )
        assert document["files"][0]["findings"][0]["data"] == {"figure": "-inf"}

    def test_a_plugin_is_found_by_every_command(
        self, lint: Lint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A distribution on PYTHONPATH adds its rule to lint, rules and explain."""
        plugin = write_plugin(tmp_path / "site", "planted_cli_rule", rule_source())
        monkeypatch.setenv("PYTHONPATH", f"{plugin}:{ROOT}")

        def run(*arguments: str) -> str:
            command = [sys.executable, "-m", "onnxstride", *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout

        assert "XX101" in run("lint", "uneven.onnxtxt")
        assert "XX101  warning  planted " in run("rules")
        assert "(warning, plugin planted)" in run("explain", "planted")

    def test_a_broken_plugin_stops_the_run(
        self, lint: Lint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A plugin that will not import is named, and nothing passes without it."""
        write_plugin(tmp_path / "site", "planted_broken_rule", "import no_such_module")
        monkeypatch.syspath_prepend(tmp_path / "site")
        result = lint("clean.onnxtxt")
        assert result.code == 2
        assert "planted_broken_rule (plugin planted) will not import" in result.err


class TestProcess:
    """What only a real process shows: streams, signals, pipes."""

    @staticmethod
    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "onnxstride", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, cwd=ROOT, check=False)

    def test_standard_input_is_a_model(self) -> None:
        """A dash reads the model from the pipe."""
        result = self.run("lint", "-", stdin=UNEVEN.encode())
        assert result.returncode == 1
        assert result.stdout.startswith(b"<stdin>\n  UP101")

    def test_nothing_on_standard_input_is_an_error(self) -> None:
        """An empty pipe is no model."""
        result = self.run("lint", "-")
        assert result.returncode == 2
        assert b"<stdin>\n  E00" in result.stdout

    def test_a_reader_that_leaves_early_is_no_error(self) -> None:
        """A closed pipe ends the output without a complaint; the exit code is the lint's."""
        reading, writing = os.pipe()
        os.close(reading)
        lint = subprocess.run(
            [sys.executable, "-m", "onnxstride", "lint", "models"],
            stdout=writing,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            check=False,
        )
        os.close(writing)
        assert lint.stderr == b""
        assert lint.returncode == 1

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
    def test_a_report_that_cannot_be_written_is_an_error(self) -> None:
        """A full disk is not a clean model."""
        with open("/dev/full", "wb") as full:
            lint = subprocess.run(
                [sys.executable, "-m", "onnxstride", "lint", "models/vgg16.onnxtxt"],
                stdout=full,
                stderr=subprocess.PIPE,
                cwd=ROOT,
                check=False,
            )
        assert lint.returncode == 2
        assert b"cannot write to standard output: No space left on device\n" in lint.stderr

    def test_all_of_a_long_report_arrives(self) -> None:
        """Leaving quickly loses nothing that was printed."""
        result = self.run("lint", "models", "--why", "--output-format", "json")
        assert schema.is_valid(json.loads(result.stdout))

    def test_the_version_is_printed(self) -> None:
        """--version is one line."""
        assert self.run("--version").stdout.startswith(b"onnxstride 0.")


def test_an_interrupt_is_quiet(lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the run with 130 and no traceback."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("onnxstride.engine.lint.open_model", interrupt)
    result = lint("clean.onnxtxt")
    assert result.code == 130
    assert result.err.strip() == ""


def test_a_fault_of_ours_is_one_line(lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception nobody planned for exits with 2 and says how to see more."""

    def fail(*_: object, **__: object) -> None:
        raise LookupError("planted")

    monkeypatch.setattr("onnxstride.registry.load_rules", fail)
    result = lint("clean.onnxtxt")
    assert result.code == 2
    assert result.err == (
        "onnxstride: error: internal error, LookupError: planted "
        "(set ONNXSTRIDE_DEBUG=1 for the traceback)\n"
    )
