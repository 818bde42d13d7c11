"""lint --probe: what it prints, what it writes, and how it exits."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxstride.verify import Runner
from tests import schema
from tests.cli.running import Lint, Result, linting
from tests.planting import rule_source, write_files

ROOT = Path(__file__).parents[2]
image: Any = import_module("PIL.Image")

HEAD = '<ir_version: 8, opset_import: ["": 17]>\n'
RIPPLING = f"""{HEAD}
decoder (float[1,3,H,W] x) => (float[1,3,H2,W2] y)
<float[3,3,2,2] w, float[3] b = {{0.1, 0.2, 0.3}}> {{
    ["up"] d = ConvTranspose <strides = [2,2]> (x, w, b)
    ["act"] y = Tanh (d)
}}"""
FLAT = f"""{HEAD}
decoder (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <float[1,1,2,2] w = {{1.0, 1.0, 1.0, 1.0}}> {{
    ["up"] y = ConvTranspose <strides = [2,2]> (x, w)
}}"""
CLASSIFIER = f"""{HEAD}
net (float[1,3,8,8] x) => (float[1,3] y) {{
    a = GlobalAveragePool (x)
    y = Flatten (a)
}}"""
UNRUNNABLE = """<ir_version: 8, opset_import: ["": 17, "their.own": 1]>
net (float[1,1,8,8] x) => (float[1,1,17,17] y) <float[1,1,3,3] w> {
    o = their.own.Op (x)
    ["up"] d = ConvTranspose <strides = [2,2]> (x, w)
    y = Max (d, o)
}"""
REFUSED = f"""{HEAD}
net (float[1,1,8,8] x) => (float[1,1,H,W] y) <float[1,1,3,3] w> {{
    ["up"] y = ConvTranspose <strides = [2,2], output_padding = [2,2]> (x, w)
}}"""


@pytest.fixture
def lint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Lint:
    """Runs the lint command in a folder with a model of each kind."""
    models = {"rippling": RIPPLING, "flat": FLAT, "classifier": CLASSIFIER}
    models |= {"unrunnable": UNRUNNABLE, "refused": REFUSED}
    return linting(models, tmp_path, monkeypatch, capsys)


def as_json(result: Result) -> Any:
    """The report, checked against the schema."""
    document = json.loads(result.out)
    schema.validate(document)
    return document


UP106 = ("--select", "UP106", "--probe")


class TestFindings:
    def test_a_checkerboard_is_found_where_it_comes_out(self, lint: Lint) -> None:
        """At the node that makes the output, with figures and period; all colours in a table."""
        result = lint("rippling.onnxtxt", *UP106)
        assert result.code == 1
        text = " ".join(result.out.split())
        for part in (
            "UP106 warning act Tanh visible-checkerboard",
            "a pattern that repeats every 2x2 elements",
            "of the output's range rms",
            "input x 1x3x32x32 from 0 to 1 (assumed, see --probe-range)",
            "output y, period 2x2, range -1 to 1 (Tanh bounds it)",
            "image mean rms peak to peak",
            "magenta",
        ):
            assert part in text

    def test_what_is_flat_is_clean(self, lint: Lint) -> None:
        """Exit code 0, and the table shows that it was measured."""
        result = lint("flat.onnxtxt", *UP106)
        assert result.code == 0
        assert "output y, period 2x2" in result.out
        assert "nothing found" in result.out

    def test_a_model_that_enlarges_nothing_is_clean_and_not_run(
        self, lint: Lint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And it is said that nothing can show."""
        monkeypatch.delattr("onnxstride.verify.runtime.Runner.start")
        result = lint("classifier.onnxtxt", "--probe")
        assert result.code == 0
        assert "no pattern can show" in result.out

    def test_the_rule_is_silent_without_a_probe(self, lint: Lint) -> None:
        """A plain lint runs nothing."""
        result = lint("rippling.onnxtxt", "--select", "UP")
        assert "UP106" not in result.out
        assert "probe  " not in result.out

    def test_other_rules_run_beside_it(self, lint: Lint) -> None:
        """The layer is judged by what it is, the output by what it shows."""
        result = lint("rippling.onnxtxt", "--probe")
        assert "UP106" in result.out
        assert "UP103" in result.out

    def test_standard_input_is_probed(self) -> None:
        """A model from a pipe has no file to be opened by."""
        run = subprocess.run(
            [sys.executable, "-m", "onnxstride", "lint", "-", *UP106],
            input=RIPPLING.encode(), capture_output=True, cwd=ROOT, check=False,
        )  # fmt: skip
        assert run.returncode == 1
        assert b"UP106" in run.stdout

    def test_a_range_is_used(self, lint: Lint) -> None:
        """Given with --probe-range, it is what images are made of."""
        result = lint("rippling.onnxtxt", *UP106, "--probe-range", "-1,1")
        assert "from -1 to 1 (as given)" in result.out

    def test_data_takes_the_place_of_colours(self, lint: Lint, tmp_path: Path) -> None:
        """Rows are samples."""
        np.save(tmp_path / "x.npy", np.random.default_rng(0).random((2, 3, 6, 6), np.float32))
        result = lint("rippling.onnxtxt", *UP106, "--data", "x.npy")
        assert "sample 1" in result.out
        assert "sample 2" in result.out
        assert "magenta" not in result.out

    def test_quiet_leaves_the_table_out(self, lint: Lint) -> None:
        """Findings alone."""
        result = lint("rippling.onnxtxt", *UP106, "-q")
        assert "UP106" in result.out
        assert "magenta" not in result.out


class TestNothingPassesByAccident:
    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            pytest.param(["--select", "UP106"], "ask for one with --probe", id="by code"),
            pytest.param(["--select", "UP101,visible-checkerboard"], "with --probe", id="by name"),
            pytest.param(["--extend-select", "UP106"], "with --probe", id="extended"),
            pytest.param(
                ["--probe", "--select", "UP101"], "UP106, which is not selected", id="not selected"
            ),
            pytest.param(["--data", "x.npy"], "--data is about probing", id="data"),
            pytest.param(["--save-pictures", "p"], "--save-pictures is about", id="pictures"),
            pytest.param(["--probe-range", "0,1"], "--probe-range is about", id="range"),
            pytest.param(["--timeout", "5"], "--timeout is about probing", id="timeout"),
            pytest.param(
                ["--probe", "--probe-range", "1,0"], "expected --probe-range LO,HI", id="reversed"
            ),
            pytest.param(
                ["--probe", "--probe-range", "white"], "expected --probe-range", id="no numbers"
            ),
        ],
    )
    def test_misuse_is_refused(self, lint: Lint, arguments: list[str], complaint: str) -> None:
        """One line, exit code 2, nothing linted."""
        result = lint("rippling.onnxtxt", *arguments)
        assert (result.code, result.out) == (2, "")
        assert complaint in result.err

    @pytest.mark.parametrize(
        ("model", "reason"),
        [
            pytest.param("refused", "ONNX Runtime refuses", id="refused by the runtime"),
            pytest.param("unrunnable", "of domain 'their.own'", id="operators of somebody's own"),
        ],
    )
    def test_a_model_that_cannot_be_run_is_linted_and_an_error(
        self, lint: Lint, model: str, reason: str
    ) -> None:
        """The findings stand, the reason is told, the exit code is 2."""
        result = lint(f"{model}.onnxtxt", "--probe", "--why")
        text = " ".join(result.out.split())
        assert result.code == 2
        assert "E007 error the probe could not be done" in text
        assert reason in text
        assert "UP101" in text
        assert "UP106 skipped" in text
        assert "output y: not measured" in text

    def test_the_other_models_are_probed_all_the_same(self, lint: Lint) -> None:
        """One bad model hides none."""
        result = lint("refused.onnxtxt", "rippling.onnxtxt", *UP106)
        assert result.code == 2
        assert "UP106  warning" in result.out

    def test_a_run_that_takes_too_long_is_told(
        self, lint: Lint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After --timeout the model counts as one that cannot be run.

        Loading is not timed here: on a busy machine that alone may take as long.
        """
        ask = Runner._ask  # pyright: ignore[reportPrivateUsage]

        def patient(runner: Runner, head: dict[str, Any], *given: Any) -> Any:
            with monkeypatch.context() as patch:
                if head["do"] != "run":
                    patch.setattr(runner, "_timeout", None)
                return ask(runner, head, *given)

        monkeypatch.setattr(Runner, "_ask", patient)
        script = ROOT / "tests" / "verify" / "misbehaving.py"
        monkeypatch.setattr(
            "onnxstride.verify.runtime.Runner.__init__.__kwdefaults__",
            {"providers": ("CPUExecutionProvider",), "timeout": 600.0, "threads": 0,
             "script": script},
        )  # fmt: skip
        Path("hanging.onnxtxt").write_text(
            RIPPLING.replace("W2] y)", "W2] hang)").replace("y =", "hang =")
        )
        result = lint("hanging.onnxtxt", *UP106, "--timeout", "1")
        assert result.code == 2
        assert "did not finish running it within 1 s" in " ".join(result.out.split())

    def test_a_missing_runtime_is_one_line(
        self, lint: Lint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It concerns all models, so nothing is reported about any."""
        from onnxstride.errors import RuntimeUnavailable

        def fail(*_: object, **__: object) -> None:
            raise RuntimeUnavailable("ONNX Runtime cannot be imported: planted")

        monkeypatch.setattr("onnxstride.verify.runtime.Runner.run", fail)
        result = lint("rippling.onnxtxt", *UP106)
        assert (result.code, result.out) == (2, "")
        assert result.err.count("\n") == 1

    def test_data_that_does_not_fit_is_refused(self, lint: Lint, tmp_path: Path) -> None:
        """The model and the data are named."""
        np.save(tmp_path / "x.npy", np.zeros((2, 5, 6, 6), np.float32))
        result = lint("rippling.onnxtxt", *UP106, "--data", "x.npy")
        assert result.code == 2
        assert "rippling.onnxtxt: --data 'x.npy'" in result.err


class TestJson:
    def test_figures_are_in_the_finding_and_in_the_probe(self, lint: Lint) -> None:
        """For each colour, in output units and as shares of the range."""
        (file,) = as_json(lint("rippling.onnxtxt", *UP106, "--output-format", "json"))["files"]
        (finding,) = file["findings"]
        assert finding["data"]["period"] == [2, 2]
        assert finding["data"]["range"] == 2
        assert finding["data"]["threshold"] == pytest.approx(1 / 255)
        assert len(finding["data"]["replies"]) == 9
        (output,) = file["probe"]["outputs"]
        for reply, answer in zip(finding["data"]["replies"], output["answers"], strict=True):
            assert reply["rms"] == answer["rms"]
            assert reply["rms_share"] == pytest.approx(answer["rms"] / 2)
        assert file["probe"]["inputs"][0]["range"]["source"] == "assumed"

    def test_what_could_not_be_measured_has_a_skip_and_a_problem(self, lint: Lint) -> None:
        """With --why both are there."""
        result = lint("refused.onnxtxt", *UP106, "--why", "--output-format", "json")
        (file,) = as_json(result)["files"]
        assert file["error"]["code"] == "E007"
        assert file["skips"][0]["code"] == "UP106"
        assert file["probe"]["outputs"][0]["problem"] == file["skips"][0]["reason"]

    def test_a_plain_lint_has_no_probe(self, lint: Lint) -> None:
        """The document is what it was."""
        (file,) = as_json(lint("flat.onnxtxt", "--output-format", "json"))["files"]
        assert "probe" not in file

    def test_two_runs_agree_to_the_byte(self, lint: Lint) -> None:
        """Nothing depends on time or order."""
        arguments = ["rippling.onnxtxt", "flat.onnxtxt", "--probe", "--output-format", "json"]
        assert lint(*arguments).out == lint(*arguments).out


class TestPictures:
    def test_a_folder_for_each_model(self, lint: Lint, tmp_path: Path) -> None:
        """With the probe, its tile, and the taps of its layer."""
        lint("rippling.onnxtxt", "classifier.onnxtxt", "--probe", "--save-pictures", "pictures")
        found = sorted(path.name for path in (tmp_path / "pictures" / "rippling").iterdir())
        assert "taps-up.png" in found
        assert "probe-y-grey.png" in found
        assert "tile-y-grey.png" in found
        assert len(found) in (3, 5)  # grey may be the strongest itself
        with image.open(tmp_path / "pictures" / "rippling" / "taps-up.png") as opened:
            taps = np.asarray(opened)
        assert set(taps[2:384:64, 2:384:64, 0].ravel().tolist()) == {255}

    def test_a_folder_that_cannot_be_written_to_is_an_error(
        self, lint: Lint, tmp_path: Path
    ) -> None:
        """One line."""
        (tmp_path / "taken").write_text("")
        result = lint("rippling.onnxtxt", *UP106, "--save-pictures", "taken")
        assert result.code == 2
        assert "cannot write pictures to 'taken'" in result.err


def test_a_rule_of_ones_own_may_judge_what_was_measured(lint: Lint, tmp_path: Path) -> None:
    """Rules from a folder are handed responses too."""
    source = rule_source(body="yield RULE.flag(layer.ref, f'seen {layer.period}', n=1)")
    source = source.replace("import Layer", "import Layer, Response").replace(
        "(Layer,)", "(Response,)"
    )
    write_files(tmp_path / "extra", {"judging.py": source})
    result = lint("rippling.onnxtxt", "--probe", "--rules", "extra", "--select", "XX")
    assert "seen (2, 2)" in result.out
