"""Configuration as the commands heed it: the closest file to each model, below the options."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from onnxstride.cli import main
from onnxstride.config.keys import known
from onnxstride.engine.planning import Wanted
from onnxstride.verify import VerifyOptions
from tests.cli.running import HEAD, UNEVEN, Result
from tests.planting import write_files

ROOT = Path(__file__).parents[2]
# DN201 as a note, DN203 once H is known to be even.
POOLED = f"""{HEAD}
net (float[1,8,H,16] x) => (float[1,8,P,Q] y) {{
    ["pool"] y = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [0,1,0,1]> (x)
}}"""
CONFIG = "onnxstride.toml"

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in a folder with two models, one of them below."""
    write_files(tmp_path, {"up.onnxtxt": UNEVEN, "sub/pool.onnxtxt": POOLED})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("ONNXSTRIDE_OUTPUT_FORMAT", raising=False)

    def call(*arguments: str) -> Result:
        code = main(arguments)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


def configured(text: str, path: str = CONFIG) -> None:
    write_files(Path(), {path: text})


def findings(run: Run, *arguments: str) -> dict[str, dict[str, str]]:
    """Levels by code, by file."""
    result = run("lint", *arguments, "--output-format", "json")
    assert result.code != 2, result.err
    return {
        file["path"]: {found["code"]: found["severity"] for found in file["findings"]}
        for file in json.loads(result.out)["files"]
    }


class TestWhichOneHolds:
    def test_each_model_has_its_own(self, run: Run) -> None:
        """The closest, alone: what it does not say is as by default, not as above."""
        configured('select = ["UP101"]\nfail-on = "never"')
        configured('[severity]\nDN201 = "error"', f"sub/{CONFIG}")
        found = findings(run, ".")
        assert found["./up.onnxtxt"] == {"UP101": "warning"}
        assert found["./sub/pool.onnxtxt"]["DN201"] == "error"
        assert run("lint", "up.onnxtxt").code == 0
        assert run("lint", ".").code == 1

    def test_pyproject_without_the_table_is_passed_over(self, run: Run) -> None:
        """The one above it holds."""
        configured('select = ["DN201"]')
        configured("[project]\nname = 'onnxstride'", "sub/pyproject.toml")
        assert findings(run, "sub") == {"sub/pool.onnxtxt": {"DN201": "note"}}

    def test_in_one_folder_the_own_file_comes_first(self, run: Run) -> None:
        """And pyproject.toml holds without it."""
        configured("[tool.onnxstride]\nselect = ['UP103']", "pyproject.toml")
        assert findings(run, "up.onnxtxt") == {"up.onnxtxt": {"UP103": "warning"}}
        configured("select = ['UP101']")
        assert findings(run, "up.onnxtxt") == {"up.onnxtxt": {"UP101": "warning"}}

    def test_one_for_all_and_none(self, run: Run) -> None:
        """--config and --isolated."""
        configured("select = ['UP101']")
        configured("select = ['UP103', 'DN201']", "ci/strict.toml")
        named = findings(run, ".", "--config", "ci/strict.toml")
        assert [list(each) for each in named.values()] == [["DN201"], ["UP103"]]
        assert set(findings(run, "up.onnxtxt", "--isolated")["up.onnxtxt"]) == {"UP101", "UP103"}

    def test_standard_input_is_of_the_current_folder(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As a file there would be."""
        configured("select = ['UP103']")
        with Path("up.onnxtxt").open("rb") as stream:
            monkeypatch.setattr(sys, "stdin", stream_of(stream))
            assert findings(run, "-") == {"<stdin>": {"UP103": "warning"}}

    def test_processes_change_nothing(self, run: Run) -> None:
        """Byte for byte, with a configuration for each folder."""
        configured("[thresholds]\nripple-db = 50\n[per-file-ignores]\n'up*' = ['UP101', 'UP102']")
        configured("[severity]\nDN201 = 'error'\n[[inputs]]\ndims.H = 16", f"sub/{CONFIG}")
        write_files(Path(), {"sub/more.onnxtxt": UNEVEN, "other.onnxtxt": POOLED})
        for output in ("text", "json"):
            alone = run("lint", ".", "--output-format", output)
            assert alone.code == 1
            assert run("lint", ".", "--output-format", output, "--jobs", "2") == alone


def stream_of(file: Any) -> Any:
    class Stdin(NamedTuple):
        buffer: Any

    return Stdin(file)


class TestOptionsWin:
    @pytest.mark.parametrize(
        ("text", "options", "expected"),
        [
            pytest.param("select = ['DN']", ["--select", "UP101"], {"UP101"}, id="--select"),
            pytest.param("ignore = ['UP103']", ["--ignore", "UP101"], {"UP103"}, id="--ignore"),
            pytest.param(
                "select = ['UP101']", ["--extend-select", "UP103"], {"UP101", "UP103"}, id="added"
            ),
            pytest.param(
                "select = ['DN']\nextend-select = ['UP103']",
                ["--select", "UP101"],
                {"UP101"},
                id="--select is of these rules only",
            ),
            pytest.param(
                "select = ['DN']\nextend-select = ['UP103']",
                ["--extend-select", "UP101"],
                {"UP101", "UP103"},
                id="both are added",
            ),
            pytest.param(
                "ignore = ['UP103']", ["--select", "UP"], {"UP101"}, id="what is left out stays out"
            ),
        ],
    )
    def test_rules(self, run: Run, text: str, options: list[str], expected: set[str]) -> None:
        """Key by key."""
        configured(text)
        assert set(findings(run, "up.onnxtxt", *options)["up.onnxtxt"]) == expected

    def test_nothing_left_names_the_configuration(self, run: Run) -> None:
        """What is ignored there is the reason."""
        configured("ignore = ['UP101']")
        result = run("lint", "up.onnxtxt", "--select", "UP101")
        assert result.code == 2
        assert "also ignored (with onnxstride.toml)" in result.err

    @pytest.mark.parametrize(
        ("options", "code"),
        [([], 0), (["--fail-on", "warning"], 1), (["--fail-on", "warning", "--exit-zero"], 0)],
    )
    def test_fail_on(self, run: Run, options: list[str], code: int) -> None:
        """--fail-on over the key, and --exit-zero over both."""
        configured("fail-on = 'error'")
        assert run("lint", "up.onnxtxt", *options).code == code

    def test_sizes_one_by_one(self, run: Run) -> None:
        """A size that is given replaces that of its name, the others stay."""
        configured("[[inputs]]\ndims = { H = 16, Z = 3 }")
        told = run("config", "sub/pool.onnxtxt", "--dim", "H=17").out
        assert rows(told)["inputs.dims.H"] == ("17", "--dim")
        assert rows(told)["inputs.dims.Z"] == ("3", "onnxstride.toml:2")

    def test_a_size_gives_way_to_the_shape_of_an_option(self, run: Run) -> None:
        """They do not contradict each other: the option holds."""
        configured("[[inputs]]\ndims = { H = 16 }")
        shape = ["--input-shape", "x:1,8,17,16"]
        assert "DN203" not in findings(run, "sub/pool.onnxtxt", *shape)["sub/pool.onnxtxt"]
        configured("[[inputs]]\nshapes = { x = [1, 8, 16, 16] }")
        found = findings(run, "sub/pool.onnxtxt", "--dim", "H=17")["sub/pool.onnxtxt"]
        assert "DN203" not in found
        assert "DN203" in findings(run, "sub/pool.onnxtxt")["sub/pool.onnxtxt"]


class TestSizes:
    def test_what_contradicts_the_model_is_an_error_with_the_line(self, run: Run) -> None:
        """Of the configuration, not of an option that nobody gave."""
        configured("# sizes\n[[inputs]]\nfiles = '*'\nshapes = { x = [1, 3, 16, 16] }")
        result = run("lint", "sub/pool.onnxtxt")
        assert result.code == 2
        assert (
            "sub/pool.onnxtxt: onnxstride.toml:4: the shape [1, 3, 16, 16] of 'x' does not fit the "
            "input, which is declared [1, 8, H, 16]" in result.err
        )

    def test_two_sizes_for_one_symbol_are_an_error_with_the_line(self, run: Run) -> None:
        """Where one configuration gives both."""
        configured("[[inputs]]\ndims.H = 16\nshapes.x = [1, 8, 17, 16]")
        result = run("lint", "sub/pool.onnxtxt")
        assert result.code == 2
        assert "'H' is given two sizes, 16 and 17 (by onnxstride.toml:3)" in result.err

    def test_what_no_model_has_a_use_for_is_told(self, run: Run) -> None:
        """With the nearest name, and it fails nothing."""
        configured("[[inputs]]\ndims = { h = 16 }")
        result = run("lint", "sub", "--fail-on", "error")
        assert result.code == 0
        assert "onnxstride.toml:2: no model has an input or symbol named 'h'; did you" in result.err
        assert run("lint", "sub", "--fail-on", "error", "-q").err == ""

    @pytest.mark.parametrize("paths", [["."], ["up.onnxtxt", "sub"]])
    def test_what_one_model_uses_is_not_told(self, run: Run, paths: list[str]) -> None:
        """Others need not have it; nor is what is about other files told."""
        configured("[[inputs]]\ndims.P = 8\n[[inputs]]\nfiles = 'elsewhere/*'\ndims.Z = 8")
        assert run("lint", *paths).err == ""

    def test_the_last_of_several_holds(self, run: Run) -> None:
        """Where two entries mean one file and one name."""
        configured("[[inputs]]\ndims.H = 17\n[[inputs]]\nfiles = 'sub/*'\ndims.H = 16")
        assert "DN203" in findings(run, "sub/pool.onnxtxt")["sub/pool.onnxtxt"]


class TestBroken:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            pytest.param("\nselct = []", "onnxstride.toml:2: unknown key 'selct'", id="key"),
            pytest.param("a = = 1", "onnxstride.toml:1:5: ", id="no TOML"),
            pytest.param("select = [\n'UP',\n'UP999']", "onnxstride.toml:3: selector", id="code"),
            pytest.param("ignore = ['UP,DN']", "onnxstride.toml:1: selector", id="two in one"),
            pytest.param("[severity]\nUP1 = 'note'", "onnxstride.toml:2: no rule has", id="level"),
            pytest.param(
                "[severity]\nUP101 = 'note'\nuneven-overlap = 'note'",
                "onnxstride.toml:3: UP101 is given two levels",
                id="one rule twice",
            ),
            pytest.param(
                "[per-file-ignores]\n'*' = ['E001']", "onnxstride.toml:2: selector", id="an error"
            ),
            pytest.param(
                "[[per-node-ignores]]\nnodes='*'\ncodes=['XX']", "onnxstride.toml:3: ", id="node"
            ),
            pytest.param("[rewrite]\nselect = ['XX']", "onnxstride.toml:2: ", id="rewrite"),
        ],
    )
    @pytest.mark.parametrize("command", ["lint", "config"])
    def test_it_is_one_line_and_exits_with_2(
        self, run: Run, command: str, text: str, told: str
    ) -> None:
        """With the file and the line; nothing is linted."""
        configured(text)
        result = run(command, "up.onnxtxt")
        assert result.code == 2
        assert result.out == ""
        assert result.err.startswith(f"onnxstride: error: {told}")
        assert result.err.count("\n") == 1

    def test_a_rewrite_that_does_not_exist(self, run: Run) -> None:
        """As for rules."""
        configured("[rewrite]\nuse = ['maxpool-to-con']")
        for command in (["rewrite", "--diff"], ["config"]):
            result = run(*command, "up.onnxtxt")
            assert result.code == 2
            assert "onnxstride.toml:2: no rewrite has the name 'maxpool-to-con'" in result.err

    def test_the_one_that_holds_for_no_model_is_not_read(self, run: Run) -> None:
        """A broken file elsewhere is nobody's affair."""
        configured("broken", f"sub/{CONFIG}")
        assert run("lint", "up.onnxtxt", "--fail-on", "error").code == 0

    def test_a_rule_for_probes_alone_wants_one(self, run: Run) -> None:
        """Else the run would pass unheard."""
        configured("select = ['UP106']")
        assert run("lint", "up.onnxtxt").code == 2
        configured("select = ['UP101', 'UP106']")
        assert run("lint", "up.onnxtxt").code == 1


class Effect(NamedTuple):
    """What a key does: findings of two models with it, beside those without."""

    text: str
    expected: Mapping[str, Mapping[str, str | None]]


UP, POOL = "./up.onnxtxt", "./sub/pool.onnxtxt"
OF_LINT = {
    "select": Effect("select = ['DN']", {UP: {"UP101": None}}),
    "ignore": Effect("ignore = ['UP101']", {UP: {"UP101": None}}),
    "extend-select": Effect(
        "select = ['DN']\nextend-select = ['UP101']", {UP: {"UP101": "warning", "UP103": None}}
    ),
    "severity": Effect("[severity]\nrippling-weights = 'error'", {UP: {"UP103": "error"}}),
    "thresholds.ripple-db": Effect("thresholds.ripple-db = 50", {UP: {"UP103": "note"}}),
    "inputs.dims": Effect("[[inputs]]\ndims.H = 16", {POOL: {"DN203": "note"}}),
    "inputs.shapes": Effect("[[inputs]]\nshapes.x = [1, 8, 16, 16]", {POOL: {"DN203": "note"}}),
    "inputs.files": Effect("[[inputs]]\nfiles = 'x*'\ndims.H = 16", {POOL: {"DN203": None}}),
    "per-file-ignores": Effect(
        "[per-file-ignores]\n'sub/*' = ['DN201']", {UP: {"UP101": "warning"}, POOL: {"DN201": None}}
    ),
    "per-node-ignores.nodes": Effect(
        "[[per-node-ignores]]\nnodes = 'u?'\ncodes = ['UP', 'DN']",
        {UP: {"UP101": None}, POOL: {"DN201": "note"}},
    ),
    "per-node-ignores.codes": Effect(
        "[[per-node-ignores]]\nnodes = '*'\ncodes = ['UP101']",
        {UP: {"UP101": None, "UP103": "warning"}},
    ),
    "per-node-ignores.files": Effect(
        "[[per-node-ignores]]\nfiles = 'sub/'\nnodes = '*'\ncodes = ['UP101']",
        {UP: {"UP101": "warning"}},
    ),
}
OF_REWRITE: dict[str, tuple[Any, Callable[["Captured"], Any]]] = {
    "allow": ("training", lambda c: c.wanted.allow),
    "use": (["deconv-pad-kernel"], lambda c: list(c.wanted.use)),
    "select": (["UP101"], lambda c: list(c.wanted.select)),
    "ignore": (["UP101"], lambda c: list(c.wanted.ignore)),
    "nodes": ("p*", lambda c: c.wanted.nodes),
    "form": ("slice-max", lambda c: c.wanted.options.form),
    "conv": ("depthwise", lambda c: c.wanted.options.conv),
    "init": ("mean", lambda c: c.wanted.options.init),
    "activation": (True, lambda c: c.wanted.options.activation),
    "blur": (5, lambda c: c.wanted.options.blur),
    "kernel": (5, lambda c: c.wanted.options.kernel),
    "mode": ("linear", lambda c: c.wanted.options.mode),
    "smooth": ("box", lambda c: c.wanted.options.smooth),
    "opset": (18, lambda c: c.wanted.options.opset),
    "rtol": (0.5, lambda c: c.verifying.rtol),
    "atol": (0.25, lambda c: c.verifying.atol),
    "timeout": (7.0, lambda c: c.verifying.timeout),
    "external-data": ("copy", lambda c: c.external),
}


class Captured:
    """What the rewrite command hands to the engine."""

    wanted: Wanted
    verifying: VerifyOptions
    external: str


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Captured:
    seen, planning = Captured(), import_module("onnxstride.engine.planning")
    real = planning.plan_of

    def plan_of(model: Any, wanted: Wanted, runner: Any) -> Any:
        seen.wanted = wanted
        return real(model, wanted, runner)

    def delivered(_: Any, __: Any, ___: Any, external: str, options: VerifyOptions) -> Any:
        seen.external, seen.verifying = external, options
        return None, 0

    monkeypatch.setattr("onnxstride.engine.planning.plan_of", plan_of)
    monkeypatch.setattr("onnxstride.commands.rewrite._delivered", delivered)
    return seen


class TestEveryKey:
    @pytest.mark.parametrize("key", OF_LINT)
    def test_of_lint(self, run: Run, key: str) -> None:
        """A lint with it differs from one without, as it says."""
        text, expected = OF_LINT[key]
        plain = findings(run, ".")
        configured(text)
        found = findings(run, ".")
        for path, codes in expected.items():
            for code, level in codes.items():
                assert found[path].get(code) == level
        if key not in ("inputs.files", "per-node-ignores.files"):  # which take an effect away
            assert found != plain

    @pytest.mark.parametrize("key", OF_REWRITE)
    def test_of_rewrite(self, run: Run, captured: Captured, key: str) -> None:
        """It reaches the engine as an option would, and the option wins."""
        value, read = OF_REWRITE[key]
        assert run("rewrite", "up.onnxtxt", "-o", "out.onnx").code == 0
        assert read(captured) != value
        configured(f"[rewrite]\n{key} = {json.dumps(value)}")
        assert run("rewrite", "up.onnxtxt", "-o", "out.onnx").code == 0
        assert read(captured) == value
        assert run("rewrite", "up.onnxtxt", "-o", "out.onnx", "--isolated").code == 0
        assert read(captured) != value

    def test_fail_on(self, run: Run) -> None:
        """A note is enough, or nothing is."""
        for level, code in (("note", 1), ("warning", 0), ("never", 0)):
            configured(f"fail-on = '{level}'")
            assert run("lint", "sub").code == code

    def test_baseline(self, run: Run) -> None:
        """What it records passes, from wherever lint is called."""
        assert run("lint", ".", "--write-baseline", "known.json").code == 0
        configured("baseline = 'known.json'")
        assert run("lint", ".").code == 0
        assert run("lint", ".", "--isolated").code == 1

    def test_reason(self, run: Run) -> None:
        """It is told with what is ignored, and where that is said."""
        configured("[[per-node-ignores]]\nnodes = 'up'\ncodes = ['UP101']\nreason = 'because'")
        [file] = json.loads(run("lint", "up.onnxtxt", "--output-format", "json").out)["files"]
        [ignored] = file["ignored"]
        told = {key: ignored[key] for key in ("by", "where", "reason")}
        assert told == {"by": "config", "where": "onnxstride.toml:3", "reason": "because"}

    def test_probe(self, run: Run) -> None:
        """A pattern shows above it, and the message says what holds."""
        probing = ["up.onnxtxt", "--select", "UP106", "--probe", "--output-format", "json"]
        for share, code, told in (("0.0078431372549", 1, "above 2/255 it shows"), ("1", 0, "")):
            configured(f"thresholds.probe = {share}")
            result = run("lint", *probing)
            assert result.code == code
            assert told in result.out

    def test_min_snr(self, run: Run) -> None:
        """It decides in place of tolerances, for models that differ a little."""
        text = UNEVEN.replace("<float[8,4,3,3] w>", "<float[1] a = {1.01}, float[8,4,3,3] w>")
        changed = text.replace("(image, w)", "(b, w)").replace(
            '["up"]', 'b = Mul (image, a)\n["up"]'
        )
        write_files(Path(), {"near.onnxtxt": changed})
        assert run("verify", "up.onnxtxt", "near.onnxtxt").code == 1
        configured("thresholds.min-snr = 30")
        assert run("verify", "up.onnxtxt", "near.onnxtxt").code == 0
        assert run("verify", "up.onnxtxt", "near.onnxtxt", "--min-snr", "60").code == 1
        assert run("verify", "up.onnxtxt", "near.onnxtxt", "--rtol", "1e-6").code == 1

    def test_none_is_left_out(self) -> None:
        """Each key that is accepted has its effect shown here."""
        alone = {"fail-on", "baseline", "per-node-ignores.reason"}
        measured = {"thresholds.probe", "thresholds.min-snr"}
        shown = {*OF_LINT, *(f"rewrite.{key}" for key in OF_REWRITE), *alone, *measured}
        assert shown == known()


class TestRewriting:
    def test_what_is_ignored_is_not_mended(self, run: Run) -> None:
        """A finding that is let pass asks for no remedy; a rewrite that is named is applied."""
        plain = run("rewrite", "up.onnxtxt", "--diff", "--allow", "approximate")
        assert plain.code == 1
        configured("[[per-node-ignores]]\nnodes = 'up'\ncodes = ['UP']")
        assert run("rewrite", "up.onnxtxt", "--diff", "--allow", "approximate").code == 0
        assert run("rewrite", "up.onnxtxt", "--diff", "--use", "deconv-pad-kernel").code == 1

    def test_rules_that_do_not_run_find_nothing_to_mend(self, run: Run) -> None:
        """What lint leaves out, rewrite leaves alone, unless its own keys say more."""
        arguments = ["rewrite", "up.onnxtxt", "--diff", "--allow", "approximate"]
        configured("ignore = ['UP']")
        assert run(*arguments).code == 0
        configured("select = ['DN']\n[rewrite]\nselect = ['UP']")
        assert run(*arguments).code == 1

    @pytest.mark.parametrize(
        ("text", "options", "use", "select"),
        [
            ("use = ['deconv-pad-kernel']", ["--select", "UP101"], (), ("UP101",)),
            ("select = ['UP101']", ["--use", "deconv-pad-kernel"], ("deconv-pad-kernel",), ()),
        ],
        ids=["findings for rewrites", "rewrites for findings"],
    )
    def test_one_kind_of_wish_takes_the_place_of_the_other(
        self,
        run: Run,
        captured: Captured,
        text: str,
        options: Sequence[str],
        use: tuple[str, ...],
        select: tuple[str, ...],
    ) -> None:
        """An option does not exclude what the configuration says: it replaces it."""
        configured(f"[rewrite]\n{text}")
        assert run("rewrite", "up.onnxtxt", "-o", "out.onnx", *options).code == 0
        assert (captured.wanted.use, captured.wanted.select) == (use, select)

    def test_one_measure_takes_the_place_of_the_others(self, run: Run, captured: Captured) -> None:
        """--rtol asks for other proof than a signal to noise ratio."""
        configured("thresholds.min-snr = 20\nrewrite.atol = 1")
        assert run("rewrite", "up.onnxtxt", "-o", "out.onnx").code == 0
        assert (captured.verifying.min_snr, captured.verifying.atol) == (20, 1)
        assert run("rewrite", "up.onnxtxt", "-o", "out.onnx", "--rtol", "0.5").code == 0
        found = captured.verifying
        assert (found.min_snr, found.atol, found.rtol) == (None, None, 0.5)


class TestOtherCommands:
    def test_report_binds_sizes_and_heeds_ignores(self, run: Run) -> None:
        """As lint does; what one model has no use for is no error."""
        configured("[[inputs]]\ndims = { H = 16, Z = 1 }\n[per-file-ignores]\n'*' = ['DN201']")
        assert "8x16 -> " not in run("report", "sub/pool.onnxtxt", "--isolated").out
        assert "16x16" in run("report", "sub/pool.onnxtxt").out
        for options, shown in (([], False), (["--isolated"], True)):
            assert run("report", "sub/pool.onnxtxt", "--html", "page.html", *options).code == 0
            assert ("DN201" in Path("page.html").read_text()) is shown

    def test_annotate_writes_what_lint_shows(self, run: Run) -> None:
        """Neither what is ignored, nor what does not run."""
        configured("ignore = ['UP103']\n[per-file-ignores]\n'*' = ['UP101']")
        assert "no finding to note" in run("annotate", "up.onnxtxt", "-o", "a.onnx").out
        assert "2 findings" in run("annotate", "up.onnxtxt", "-o", "b.onnx", "--isolated").out


def rows(text: str) -> dict[str, tuple[str, str]]:
    """Values and origins by key, of the table that config prints."""
    lines = [line.split(maxsplit=2) for line in text.splitlines() if line.startswith("  ")]
    return {line[0]: (line[1], line[2]) for line in lines if len(line) == 3}


class TestConfigCommand:
    def test_it_tells_what_holds_and_from_where(self, run: Run) -> None:
        """By default, by an option, by a line."""
        configured("fail-on = 'error'\n\n[severity]\nUP101 = 'note'\n[rewrite]\nblur = 5")
        found = rows(run("config", "up.onnxtxt", "--select", "UP").out)
        assert found["select"] == ('["UP"]', "--select")
        assert found["fail-on"] == ('"error"', "onnxstride.toml:1")
        assert found["severity.UP101"] == ('"note"', "onnxstride.toml:4")
        assert found["rewrite.blur"] == ("5", "onnxstride.toml:6")
        assert found["thresholds.ripple-db"] == ("-20.0", "default")

    def test_models_with_the_same_stand_together(self, run: Run) -> None:
        """One table for all of them."""
        write_files(Path(), {"more.onnxtxt": POOLED})
        assert run("config", "up.onnxtxt", "more.onnxtxt").out.count("fail-on") == 1
        configured("fail-on = 'note'", f"sub/{CONFIG}")
        assert run("config", "up.onnxtxt", "more.onnxtxt", "sub").out.count("fail-on") == 2

    def test_without_a_path_it_is_the_current_folder(self, run: Run) -> None:
        """As for standard input."""
        configured("fail-on = 'error'")
        assert rows(run("config").out)["fail-on"] == ('"error"', "onnxstride.toml:1")

    def test_the_document_is_as_its_schema_says(self, run: Run) -> None:
        """For a configuration with everything, and without one."""
        jsonschema: Any = import_module("jsonschema")
        schema = json.loads((ROOT / "onnxstride/schemas/config.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        configured(readme.partition("```toml\n")[2].partition("```")[0])
        document = json.loads(run("config", "up.onnxtxt", "--output-format", "json").out)
        jsonschema.Draft202012Validator(schema).validate(document)
        [file] = document["files"]
        keys = {key for key in known() if key.partition(".")[0] not in ("inputs", "severity")}
        keys = {key for key in keys if not key.startswith("per-")}
        assert keys <= set(file["settings"])
        document["files"][0]["settings"]["x"] = {"value": 1}
        assert not jsonschema.Draft202012Validator(schema).is_valid(document)
        bare = json.loads(run("config", "--isolated", "--output-format", "json").out)
        jsonschema.Draft202012Validator(schema).validate(bare)
        assert {each["from"] for each in bare["files"][0]["settings"].values()} == {"default"}

    def test_what_it_tells_is_what_lint_does(self, run: Run) -> None:
        """The rules that run are those it lists."""
        configured("select = ['UP']\nignore = ['UP103']")
        [file] = json.loads(run("config", "up.onnxtxt", "--output-format", "json").out)["files"]
        assert set(findings(run, "up.onnxtxt")["up.onnxtxt"]) <= set(file["rules"])
        assert "UP103" not in file["rules"]
