"""The benchmarks measure what they say, on models that are models, and tell when a promise breaks.

Nothing here depends on how fast the machine is.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from benchmarks import deconv, inputs, lint, peers, rewrite, summary
from benchmarks.measure import Command, Measured, Run, measure, measure_rounds
from benchmarks.report import (
    BROKEN,
    HELD,
    NOT_MEASURED,
    Case,
    Figure,
    Result,
    Spread,
    is_kept,
    render_json,
    render_result,
    spread,
    verdict,
)
from onnxstride.registry import load_rewrites
from onnxstride.rule import Safety

ROOT = Path(__file__).parents[1]
MEGABYTES = 64


def python(program: str, *arguments: str, timeout: float = 60) -> Command:
    return Command([sys.executable, "-c", program, *arguments], timeout)


def smaller(build: Callable[..., Any]) -> Callable[..., Any]:
    """The same builder, for a hundredth of the size asked for."""
    return lambda *sizes, **named: build(
        *(size // 100 for size in sizes), **{name: size // 100 for name, size in named.items()}
    )


class TestInputs:
    @pytest.mark.parametrize(
        "model",
        [
            pytest.param(inputs.encoder_decoder(), id="encoder-decoder"),
            pytest.param(inputs.blocks(30), id="blocks"),
        ],
    )
    def test_models_are_valid(self, model: ModelProto) -> None:
        """The checker of onnx, shape inference included, has nothing to say."""
        onnx.checker.check_model(model, full_check=True)

    def test_half_the_nodes_are_windows(self) -> None:
        """The model has as many nodes as asked for, and as many windows as its title says."""
        nodes = inputs.blocks(1000).graph.node
        windows = [node for node in nodes if node.op_type in ("Conv", "ConvTranspose", "MaxPool")]
        assert (len(nodes), len(windows)) == (1000, 500)

    @pytest.mark.parametrize("write", [inputs.write_inline, inputs.write_external])
    @pytest.mark.parametrize("build", [inputs.convolutions, inputs.deconvolutions])
    def test_weights_are_zeros_of_the_shapes_asked_for(
        self,
        tmp_path: Path,
        build: Callable[[int, int], tuple[ModelProto, inputs.Shapes]],
        write: Callable[[ModelProto, inputs.Shapes, Path], None],
    ) -> None:
        """Loaded by onnx, the file is the model with its weights put in by onnx's own helper."""
        model, shapes = build(6, 10)
        path = tmp_path / "model.onnx"
        write(model, shapes, path)
        onnx.checker.check_model(path, full_check=True)
        loaded = onnx.load(path)
        for tensor, (name, shape) in zip(loaded.graph.initializer, shapes.items(), strict=True):
            tensor.ClearField("data_location")  # loading external data leaves it at its default
            assert tensor == numpy_helper.from_array(np.zeros(shape, np.float32), name)
        loaded.graph.ClearField("initializer")
        assert loaded == model

    def test_without_weights_the_graph_is_the_same(self, tmp_path: Path) -> None:
        """The weights are inputs of the same shapes, and nothing else differs."""
        model, shapes = inputs.convolutions(channels=6, layers=10)
        path = tmp_path / "model.onnx"
        inputs.write_weightless(model, shapes, path)
        onnx.checker.check_model(path, full_check=True)
        loaded = onnx.load(path)
        assert [value.name for value in loaded.graph.input] == ["v0", *shapes]
        assert loaded.graph.node == model.graph.node

    @pytest.mark.parametrize("name", lint.CASES)
    def test_a_case_finds_the_inputs_written_for_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """Every path in a command line is there, whatever the size of what it holds."""
        for function in ("convolutions", "deconvolutions", "blocks"):
            monkeypatch.setattr(inputs, function, smaller(getattr(inputs, function)))
        inputs.WRITERS[name](tmp_path)
        own = lint.OWN_CASES.get(name)
        cases = [own(tmp_path)] if own else list(lint.peer_cases(tmp_path, lint.Options()))
        words = [word for case in cases for each in case.commands.values() for word in each.words]
        paths = [Path(word) for word in words if word.startswith(str(tmp_path))]
        assert paths
        assert [path for path in paths if not path.exists()] == []

    @pytest.mark.parametrize("name", rewrite.CASES_BY_NAME)
    def test_a_rewrite_finds_its_inputs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """Every path in a command line is there, or is one that the command makes."""
        monkeypatch.setattr(inputs, "convolutions", smaller(inputs.convolutions))
        monkeypatch.setattr(inputs, "pooled", lambda channels: inputs.convolutions(channels, 900))
        writer, case_of = rewrite.CASES_BY_NAME[name]
        inputs.WRITERS[writer](tmp_path)
        commands = case_of(tmp_path).commands.values()
        paths = {
            Path(word)
            for each in commands
            for word in each.words
            if word.startswith(str(tmp_path)) and Path(word) not in each.makes
        }
        assert paths
        assert [path for path in paths if not path.exists()] == []

    def test_a_pooled_model_has_one_site(self, tmp_path: Path) -> None:
        """One MaxPool behind the convolutions, whatever the weights."""
        model, shapes = inputs.pooled(channels=6, layers=10)
        path = tmp_path / "model.onnx"
        inputs.write_inline(model, shapes, path)
        onnx.checker.check_model(path, full_check=True)
        assert [node.op_type for node in model.graph.node] == ["Conv"] * 10 + ["MaxPool"]

    def test_filled_holes_are_zeros_on_the_disk(self, tmp_path: Path) -> None:
        """The bytes are the same, and take room."""
        path = tmp_path / "data"
        with path.open("wb") as file:
            file.write(b"head")
            file.truncate(5 << 20)
        before = path.read_bytes()
        inputs.fill_holes(path)
        assert path.read_bytes() == before
        assert path.stat().st_blocks * 512 >= 5 << 20


class TestMeasuring:
    def test_waiting_is_wall_time(self, tmp_path: Path) -> None:
        """A child that sleeps takes that long."""
        run = measure(python("import time; time.sleep(0.3)"), tmp_path)
        assert run.wall >= 0.3
        assert run.failure == ""

    def test_working_is_processor_time(self, tmp_path: Path) -> None:
        """A child that works until its own clock shows 0.3 s has used that much."""
        program = "import time\nwhile time.process_time() < 0.3: pass"
        assert measure(python(program), tmp_path).cpu >= 0.3

    def test_memory_is_seen_at_its_peak(self, tmp_path: Path) -> None:
        """A child that fills memory and frees it is seen to have needed it.

        A process as large as this one would hide the difference, so a small one measures.
        """
        program = """
import json, sys
from pathlib import Path
from benchmarks.measure import Command, measure
for size in sys.argv[1:]:
    child = f"x = bytearray(b'x') * {size}; del x"
    print(measure(Command([sys.executable, "-c", child]), Path.cwd()).peak)
"""
        command = [sys.executable, "-c", program, "1", str(MEGABYTES * 10**6)]
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        small, large = map(float, shown.stdout.split())
        assert small < MEGABYTES / 2
        assert MEGABYTES < large < MEGABYTES + small

    def test_what_measures_stays_small(self) -> None:
        """Neither numpy nor onnx is loaded where commands are started."""
        program = "import sys, benchmarks.lint; print({'numpy', 'onnx'} & set(sys.modules))"
        shown = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert shown.stdout == "set()\n"

    def test_a_failure_says_what_the_command_said_last(self, tmp_path: Path) -> None:
        """The exit code and the last line of standard error."""
        run = measure(python("print('!'); raise SystemExit('first\\nlast')"), tmp_path)
        assert run.failure == "exit code 1: last"

    def test_findings_need_not_be_a_failure(self, tmp_path: Path) -> None:
        """An exit code that means the work was done counts as that, another does not."""
        for code, failure in ((1, ""), (2, "exit code 2")):
            words = [sys.executable, "-c", f"raise SystemExit({code})"]
            assert measure(Command(words, done=(0, 1)), tmp_path).failure == failure

    def test_what_a_command_makes_is_gone_before_it_runs(self, tmp_path: Path) -> None:
        """A file of the round before would be in the way, or spare the work."""
        made = tmp_path / "made"
        program = "import sys; open(sys.argv[1], 'x').close()"
        command = replace(python(program, str(made)), makes=[made])
        assert [measure(command, tmp_path).failure for _ in range(2)] == ["", ""]

    def test_a_command_that_takes_too_long_is_ended(self, tmp_path: Path) -> None:
        """It and the processes it started do not outlive their time."""
        program = "import subprocess; subprocess.run(['sleep', '600'])"
        assert measure(python(program, timeout=0.5), tmp_path).failure == "over 0.5 s"

    def test_commands_take_turns(self, tmp_path: Path) -> None:
        """A B after A B, the first round uncounted; what fails is not run again."""
        program = "import sys; open('log', 'a').write(sys.argv[1]); sys.exit(sys.argv[1] == 'C')"
        measured = measure_rounds({name: python(program, name) for name in "ABC"}, 2, tmp_path)
        assert (tmp_path / "log").read_text() == "ABCABAB"
        assert [list(each) for each in measured.rounds] == [["A", "B"], ["A", "B"]]
        assert list(measured.failures) == ["C"]


def rounds(*walls: tuple[float, float], failures: dict[str, str] | None = None) -> Measured:
    """Rounds of two commands, A and B, of which only the wall time matters."""
    made = [{"A": Run(a, a, 50), "B": Run(b, b, 50)} for a, b in walls]
    failed = failures or {}
    kept = [{name: run for name, run in each.items() if name not in failed} for each in made]
    return Measured(kept, failed)


def result(measured: Measured, limit: float | None = 1.2) -> Result:
    commands = {"A": Command(["a"]), "B": Command(["b"])}
    return Result(Case("Two", commands, [lint.ratio("A / B", "A", "B", limit)]), measured)


class TestPromises:
    @pytest.mark.parametrize(
        ("measured", "expected"),
        [
            pytest.param(rounds((1.2, 1.0)), HELD, id="exactly at the limit"),
            pytest.param(rounds((1.21, 1.0)), BROKEN, id="above it"),
            pytest.param(rounds((9, 1), (1, 1), (1, 1)), HELD, id="one outlier"),
            pytest.param(rounds((9, 1), (9, 1), (1, 1)), BROKEN, id="one lucky round"),
            pytest.param(rounds((1, 1), failures={"B": "exit code 2"}), NOT_MEASURED, id="failure"),
        ],
    )
    def test_a_broken_promise_is_called_broken(self, measured: Measured, expected: str) -> None:
        """By the median; the table says so, and only a promise held is kept."""
        made = result(measured)
        assert verdict(made.case.figures[0], measured) == expected
        assert f"| {expected}" in render_result(made)
        assert is_kept([made]) == (expected == HELD)

    def test_ratios_are_taken_within_rounds(self) -> None:
        """A machine that slows down from round to round does not change what is compared."""
        drifting = rounds((1.1, 1), (11, 10), (110, 100))
        value = spread(lint.ratio("A / B", "A", "B"), drifting)
        assert value is not None
        assert [value.least, value.median, value.greatest] == pytest.approx([1.1] * 3, rel=1e-9)

    def test_a_figure_without_promise_is_only_shown(self) -> None:
        """It is neither held nor broken."""
        made = result(rounds((5, 1)), limit=None)
        assert verdict(made.case.figures[0], made.measured) == ""
        assert is_kept([made])
        assert "5.00 (5.00-5.00) x" in render_result(made)

    def test_a_failure_without_promise_counts(self) -> None:
        """A command that did not do its work is no success, promised or not."""
        assert not is_kept([result(rounds((1, 1), failures={"A": "over 1 s"}), limit=None)])

    def test_the_spread_is_median_and_range(self) -> None:
        """The order in which values come does not matter."""
        assert Spread.over([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)

    def test_growth_is_measured_beyond_startup(self) -> None:
        """Ten times the work above the same start-up is a factor of ten."""
        times = {lint.SMALL: 1.0, "10,000 nodes": 1.5, "100,000 nodes": 6.0}
        measured = Measured([{name: Run(wall, wall, 1) for name, wall in times.items()}], {})
        few, *_, growth = lint.nodes(Path()).figures
        assert figure_value(few, measured) == 0.5
        assert figure_value(growth, measured) == 10


def figure_value(figure: Figure, measured: Measured) -> float:
    value = spread(figure, measured)
    assert value is not None
    return value.median


class TestRewriting:
    def test_start_up_is_taken_off(self) -> None:
        """What a rewrite without weights takes is no part of what its weights cost."""
        times = {rewrite.NO_WEIGHTS: 1.0, "rewrite": 4.0, rewrite.COPY: 2.0}
        measured = Measured([{name: Run(wall, wall, 1) for name, wall in times.items()}], {})
        against_copy, *_ = rewrite.inline(Path()).figures
        assert (figure_value(against_copy, measured), against_copy.limit) == (1.5, 1.5)

    def test_every_rewrite_that_keeps_a_model_is_timed(self) -> None:
        """Exact and approximate ones, by their names."""
        kept = {each.name for each in load_rewrites() if each.rewrite.safety is not Safety.TRAINING}
        assert {name.split()[0] for name in rewrite.REWRITES} == kept

    def test_a_latency_is_measured_and_shown(self, tmp_path: Path) -> None:
        """One row for the rewrite that fits, and none for one that has no site."""
        model = tmp_path / "small.onnx"
        onnx.save(inputs.encoder_decoder(), model)
        [timed] = rewrite.latencies([model], ["maxpool-to-exact-conv", "avgpool-to-conv"])
        assert (timed.rewrite, timed.sites) == ("maxpool-to-exact-conv", 1)
        shown = rewrite.render_latencies([timed])
        assert f"| {timed.latency['ratio']:.2f} " in shown

    def test_a_model_that_cannot_be_rewritten_has_a_row(self, tmp_path: Path) -> None:
        """It says why, and has no figures."""
        [timed] = rewrite.latencies([tmp_path / "missing.onnx"], ["avgpool-to-conv"])
        assert "ratio" not in timed.latency
        assert "no such file" in timed.cells[3]


SMALL = deconv.layer(4, 2, 1, 3, 2, 5)


def always(model: ModelProto) -> Callable[[deconv.Layer], ModelProto]:
    """A builder of one model, whatever the layer."""
    return lambda layer: model


class TestDeconvs:
    @pytest.mark.parametrize(
        "layer",
        [
            pytest.param(SMALL, id="cropped or aligned"),
            pytest.param(deconv.layer(3, 2, 1, 4, 4, 5, op=1, group=4), id="aligned alone"),
            pytest.param(deconv.layer(5, 3, 2, 2, 3, 6, rank=1), id="one dimension"),
            pytest.param(deconv.layer(2, 2, 0, 2, 3, 3, rank=3), id="a volume"),
        ],
    )
    def test_every_form_is_timed(self, layer: deconv.Layer) -> None:
        """In every round, against the layer as it is; the first three compute the same."""
        row = deconv.timed(layer, runs=2)
        forms = set(deconv.FORMS) - ({deconv.CROPPED} if deconv.is_alone(layer) else set())
        assert [set(each) for each in row.rounds] == [forms] * 2
        assert row.ratio(deconv.ALIGNED).least > 0
        assert f"| {layer.title} | " in deconv.render([row])

    def test_forms_are_what_they_are_called(self) -> None:
        """Nothing is cut off the aligned one."""
        ops = {
            name: [n.op_type for n in deconv.BUILD[name](SMALL).graph.node] for name in deconv.FORMS
        }
        assert ops[deconv.DECONV] == ["ConvTranspose"]
        assert ops[deconv.ALIGNED] == ["Conv", "DepthToSpace"]
        assert ops[deconv.CROPPED] == ["Conv", "DepthToSpace", "Slice"]
        assert ops[deconv.RESIZED] == ["Resize", "Conv"]

    @pytest.mark.parametrize("form", [deconv.ALIGNED, deconv.CROPPED])
    def test_another_function_is_not_timed(
        self, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        """A form of other values, or of another size, is no form of the layer."""
        right = deconv.BUILD[form]
        others = [
            replace(SMALL, axis=replace(SMALL.axis, begin=0, end=2)),
            replace(SMALL, output_padding=1),
        ]
        for other in others:
            monkeypatch.setattr(deconv, "BUILD", {**deconv.BUILD, form: always(right(other))})
            with pytest.raises(ValueError, match=form):
                deconv.timed(SMALL, runs=1)

    def test_layers_can_be_told_apart(self) -> None:
        """No two rows of the table have one title."""
        titles = [layer.title for layer in deconv.LAYERS]
        assert len(set(titles)) == len(titles)

    def test_one_layer_runs_from_the_command_line(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It prints the table and writes every round."""
        path = tmp_path / "rounds.json"
        assert deconv.main(["--only", "64->3 @64x64 k3", "--runs", "2", "--json", str(path)]) == 0
        [layer] = json.loads(path.read_text())["layers"]
        assert len(layer["rounds"]) == 2
        assert f"| {layer['layer']} | " in capsys.readouterr().out

    @pytest.mark.parametrize("arguments", [["--runs", "0"], ["--only", "nothing"]])
    def test_misuse_is_refused(self, arguments: list[str]) -> None:
        """Exit code 2."""
        with pytest.raises(SystemExit) as ended:
            deconv.main(arguments)
        assert ended.value.code == 2


class TestPeers:
    @pytest.fixture
    def bare(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A machine on which nothing is installed, and the folder to install into."""
        monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere" / "python"))
        monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
        return tmp_path

    def test_what_is_not_installed_is_named(self, bare: Path) -> None:
        """Its row says so, and the others are still compared."""
        case = lint.peer_case("a small model", bare / "small.onnx", lint.Options())
        assert list(case.commands) == [lint.LINT]
        assert dict(case.missing) == {peer.title: "not installed" for peer in peers.PEERS}
        shown = render_result(Result(case, Measured([{lint.LINT: Run(1, 1, 1)}], {})))
        assert shown.count("not installed") == len(peers.PEERS)

    def test_peers_are_found_beside_the_interpreter_named(self, bare: Path) -> None:
        """A relative path will do, wherever the commands are run."""
        install(bare, "trtcheck", "polygraphy")
        options = lint.Options(peers_python=str(bare / "python"))
        case = lint.peer_case("a small model", bare / "small.onnx", options)
        assert list(case.commands) == [lint.LINT, "trtcheck", "polygraphy"]
        assert case.commands["trtcheck"].words[0] == str(bare / "trtcheck")

    def test_what_takes_minutes_has_to_be_asked_for(self, bare: Path) -> None:
        """Polygraphy runs on DenseNet with --slow only."""
        install(bare, "polygraphy")
        model, python = bare / "densenet121.onnx", str(bare / "python")
        case = lint.peer_case("light DenseNet-121", model, lint.Options(peers_python=python))
        assert case.missing["polygraphy"] == "only with --slow"
        slow = lint.Options(peers_python=python, slow=True)
        assert "polygraphy" in lint.peer_case("light DenseNet-121", model, slow).commands


FACTS = {"date": "2026-01-02 03:04 UTC", "machine": "2 CPUs", "Python": "3.11.0"}


def all_results(folder: Path) -> list[Result]:
    """Every case, each command twice at one second and 50 MB; of the peers, one at three."""
    results: list[Result] = []
    for case in (*(case(folder) for case in lint.OWN_CASES.values()), *peered(folder)):
        runs = {name: Run(3 if name == "trtcheck" else 1, 1, 50) for name in case.commands}
        for start in {lint.FLOOR, lint.SMALL} & runs.keys():
            runs[start] = Run(0.25, 0.25, 40)
        results.append(Result(case, Measured([runs, runs], {})))
    return results


def peered(folder: Path) -> list[Case]:
    install(folder, "trtcheck", "onnxsim")
    return list(lint.peer_cases(folder, lint.Options(peers_python=str(folder / "python"))))


class TestSummary:
    """The short table in the README."""

    def shown(self, folder: Path) -> str:
        facts = {**FACTS, "packages": "onnx 1", "peers": "trtcheck 2"}
        return summary.summary(render_json(facts, all_results(folder)))

    @pytest.fixture
    def bare(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere" / "python"))
        monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
        return tmp_path

    def test_each_tool_has_a_row(self, bare: Path) -> None:
        """Its cost, and its time beside that of lint; what is missing says so."""
        rows = {
            line.split("|")[1].strip(): line
            for line in self.shown(bare).splitlines()
            if "|" in line
        }
        assert rows[summary.LINT].count("1.00 s, 50 MB") == 3
        assert rows["trtcheck"].count("3.00 s, 50 MB, 3.0 x") == 3
        assert rows["onnx-doctor"].count("not installed") == 3

    def test_the_figures_of_lint_are_those_of_the_benchmark(self, bare: Path) -> None:
        """Beyond start-up, or beside the same without weights."""
        shown = self.shown(bare)
        assert "10,000 nodes, beyond start-up" in shown
        assert shown.count("0.75 s") == 4
        assert shown.count("1.00 x") == 4
        assert "2026-01-02, 2 CPUs, Python 3.11.0" in shown

    def test_a_case_that_was_not_run_is_no_table(self, bare: Path) -> None:
        """All of them are needed: a table with holes would pass for the whole."""
        facts = {**FACTS, "packages": "", "peers": ""}
        with pytest.raises(KeyError):
            summary.summary(render_json(facts, all_results(bare)[:-1]))


def install(folder: Path, *names: str) -> None:
    for name in names:
        program = folder / name
        program.touch()
        program.chmod(0o755)


class TestCommandLine:
    @pytest.mark.parametrize("name", [*lint.CASES, *rewrite.CASES])
    def test_every_case_is_explained(self, name: str) -> None:
        """It has a row of its own in the README."""
        assert f"\n| `{name}` | " in (ROOT / "benchmarks" / "README.md").read_text()

    def test_one_case_runs_from_anywhere(self, tmp_path: Path) -> None:
        """It measures both commands, prints both tables and writes every run."""
        command = [sys.executable, str(ROOT / "benchmarks" / "lint.py")]
        options = ["--only", "startup", "--runs", "1", "--json", "out.json"]
        shown = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        case = json.loads((tmp_path / "out.json").read_text())["cases"][0]
        assert case["failures"] == {}
        assert {name: len(runs) for name, runs in case["runs"].items()} == {
            lint.FLOOR: 1,
            lint.LINT: 1,
        }
        held = case["figures"][0]["verdict"] == HELD
        assert shown.returncode == (0 if held else 1)
        assert "at most 1.3 x" in shown.stdout
        assert shown.stderr == ""

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            pytest.param(["--runs", "0"], "at least one round", id="no rounds"),
            pytest.param(["--only", "nothing"], "invalid choice", id="unknown case"),
            pytest.param(["--peers-python", "nowhere"], "expected an interpreter", id="no python"),
        ],
    )
    def test_misuse_is_refused(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
    ) -> None:
        """Exit code 2, and what was expected."""
        with pytest.raises(SystemExit) as ended:
            lint.main(arguments)
        assert ended.value.code == 2
        assert complaint in capsys.readouterr().err
