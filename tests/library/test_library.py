"""The functions give what the commands do."""

import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxstride import library
from onnxstride.cli import main
from onnxstride.commands.rewrite import rewrite as command
from onnxstride.engine.delivery import NotProven
from onnxstride.engine.lint import lint_file
from onnxstride.engine.policy import Policy
from onnxstride.engine.reporting import report_file
from onnxstride.errors import ModelError, NotAModel, UnreadableFile, UsageError
from onnxstride.graph import Bindings
from onnxstride.modelfile import open_model
from onnxstride.registry import load_rules
from onnxstride.rewrite import CHOICES, RANGES, Options
from onnxstride.verify import Verdict, complete
from tests.planting import rule_source, write_files

UNEVEN = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N,8,H,W] x) => (float[N,4,P,Q] y) <float[8,4,3,3] w> {
    [up] y = ConvTranspose <kernel_shape = [3,3], strides = [2,2]> (x, w)
}
"""
POOL = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N,2,H,W] x) => (float[N,2,P,Q] y) {
    [pool] y = AveragePool <kernel_shape = [2,2], strides = [2,2]> (x)
}
"""
LOOSE = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N,2,H,W] x) => (float[N,2,P,Q] y) {
    [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
}
"""
BROKEN = POOL.replace("strides = [2,2]", "strides = [0,2]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {"uneven.onnxtxt": UNEVEN, "pool.onnxtxt": POOL, "loose.onnxtxt": LOOSE}
    return write_files(tmp_path / "models", texts)


def binary(folder: Path, name: str) -> bytes:
    with open_model(folder / f"{name}.onnxtxt") as model:
        return complete(model)


def proto(folder: Path, name: str) -> onnx.ModelProto:
    return onnx.load_model_from_string(binary(folder, name))


def codes(report: library.Report) -> list[str]:
    return [finding.code for finding in report.findings]


class TestLint:
    def test_a_folder_is_linted_as_the_command_lints_it(self, folder: Path) -> None:
        """The same reports, in the same order."""
        report = library.lint(folder)
        paths = sorted(str(path) for path in folder.iterdir())
        assert report.files == tuple(lint_file(path, load_rules(), Policy()) for path in paths)
        assert "UP101" in codes(report)
        assert not report

    def test_its_text_and_json_are_those_of_the_command(
        self,
        folder: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Byte for byte."""
        report = library.lint(folder)
        main(["lint", str(folder), "--output-format", "json"])
        assert capsys.readouterr().out == report.as_json()
        monkeypatch.setenv("COLUMNS", "80")
        main(["lint", str(folder)])
        assert capsys.readouterr().out == report.as_text()

    @pytest.mark.parametrize("kind", [binary, proto], ids=["bytes", "ModelProto"])
    def test_a_model_in_memory(self, folder: Path, kind: Callable[[Path, str], Any]) -> None:
        """It gives what its file gives, under another name."""
        [file] = library.lint(kind(folder, "uneven")).files
        [expected] = library.lint(folder / "uneven.onnxtxt").files
        assert file == expected._replace(path="<model>")

    def test_several_paths_and_patterns(self, folder: Path) -> None:
        """Each file once, in the order given."""
        report = library.lint([folder / "pool.onnxtxt", str(folder / "*.onnxtxt")])
        names = [Path(file.path).stem for file in report.files]
        assert names == ["pool", "loose", "uneven"]

    def test_rules_are_chosen_by_one_text_or_several(self, folder: Path) -> None:
        """As the options of the command choose them."""
        assert set(codes(library.lint(folder, select="UP101"))) == {"UP101"}
        assert set(codes(library.lint(folder, select=["UP1"], ignore=["UP101"]))) == {"UP103"}
        both = library.lint(folder, select="UP101", extend_select=["UP103"])
        assert set(codes(both)) == {"UP101", "UP103"}
        assert codes(library.lint(folder, select="UP101,UP103")) == codes(both)

    def test_rules_of_a_folder(self, folder: Path, tmp_path: Path) -> None:
        """They are loaded besides what is installed."""
        own = write_files(tmp_path / "own", {"planted.py": rule_source()})
        assert set(codes(library.lint(folder, select="XX101", rules=own))) == {"XX101"}

    @pytest.mark.parametrize("pool", [ProcessPoolExecutor, ThreadPoolExecutor])
    def test_an_executor_changes_nothing(self, folder: Path, pool: Callable[[int], Any]) -> None:
        """The report is the same, whoever made its parts."""
        with pool(2) as executor:
            assert library.lint(folder, executor=executor) == library.lint(folder)

    def test_configurations_are_heeded(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The closest to each file, one that is named, or none; the report passes by theirs."""
        write_files(folder, {"onnxstride.toml": "select = ['UP101']\nfail-on = 'error'"})
        write_files(folder, {"other.toml": "select = ['UP103']"})
        report = library.lint(folder / "uneven.onnxtxt")
        assert codes(report) == ["UP101"]
        assert report
        assert not report.passes("warning")
        named = library.lint(folder / "uneven.onnxtxt", config=folder / "other.toml")
        assert codes(named) == ["UP103"]
        assert not named
        alone = library.lint(folder / "uneven.onnxtxt", isolated=True)
        assert set(codes(alone)) >= {"UP101", "UP103"}
        assert codes(library.lint(folder / "uneven.onnxtxt", select="UP103")) == ["UP103"]
        with ThreadPoolExecutor(2) as executor:
            assert library.lint(folder, executor=executor) == library.lint(folder)
        monkeypatch.chdir(folder)
        assert codes(library.lint(binary(folder, "uneven"))) == ["UP101"]

    def test_a_probe_shows_what_the_model_draws(self, folder: Path) -> None:
        """As --probe does."""
        report = library.lint(folder / "uneven.onnxtxt", select="UP106", probe=True)
        assert report.files[0].probed is not None

    def test_a_file_that_is_no_model_is_told_beside_the_others(self, folder: Path) -> None:
        """It is no exception, and the report is not good, whatever is let pass."""
        (folder / "bad.onnx").write_bytes(b"no model")
        report = library.lint(folder)
        assert [file.error is None for file in report.files] == [False, True, True, True]
        assert not report.passes("never")

    def test_it_is_good_when_nothing_is_as_severe_as_asked(self, folder: Path) -> None:
        """By default a warning spoils it, as it does the command's exit code."""
        clean = library.lint(folder / "pool.onnxtxt", select="UP101")
        assert clean
        assert clean.passes("note")
        found = library.lint(folder / "uneven.onnxtxt", select="UP101")
        assert {finding.severity.value for finding in found.findings} == {"warning"}
        levels = ("never", "error", "warning", "note")
        assert [found.passes(level) for level in levels] == [True, True, False, False]
        with pytest.raises(UsageError, match="expected fail_on to be one of error"):
            found.passes("fatal")

    def test_sizes_are_bound(self, folder: Path) -> None:
        """By input and by symbol."""
        path = folder / "uneven.onnxtxt"
        shaped = library.lint(path, input_shapes={"x": (1, 8, 5, 5)})
        sizes = {"N": 1, "H": 5, "W": 5}
        assert shaped.findings == library.lint(path, dims=sizes).findings
        shape = np.array([1, 8, 5, 5])
        assert library.lint(path, input_shapes={"x": tuple(shape)}).findings == shaped.findings

    @pytest.mark.parametrize(
        ("models", "options", "complaint"),
        [
            pytest.param([], {}, "found none", id="nothing to lint"),
            pytest.param("uneven.onnxtxt", {"select": "UP1O1"}, "UP101", id="no such rule"),
            pytest.param("uneven.onnxtxt", {"dims": {"Z": 3}}, "'Z'", id="no such symbol"),
            pytest.param("uneven.onnxtxt", {"dims": {"H": 0}}, "positive size", id="no size"),
            pytest.param(
                "uneven.onnxtxt", {"input_shapes": {"x": ()}}, "a shape such as", id="no shape"
            ),
            pytest.param("uneven.onnxtxt", {"input_shapes": {"x": (1, 2)}}, "x", id="another rank"),
            pytest.param("uneven.onnxtxt", {"dims": {"H": True}}, "found True", id="a bool"),
            pytest.param("uneven.onnxtxt", {"dims": {"H": 1.5}}, "found 1.5", id="a fraction"),
            pytest.param(["uneven.onnxtxt", b"x"], {}, "stands alone", id="bytes among paths"),
            pytest.param("uneven.onnxtxt", {"select": "UP106"}, "--probe", id="no probe"),
        ],
    )
    def test_misuse_is_an_error(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        models: Any,
        options: dict[str, Any],
        complaint: str,
    ) -> None:
        """Of the one tree, which says what was expected."""
        monkeypatch.chdir(folder)
        with pytest.raises(library.OnnxstrideError, match=complaint):
            library.lint(models, **options)

    def test_a_probe_needs_no_executor(self, folder: Path) -> None:
        """Both would have every core."""
        with ThreadPoolExecutor(1) as executor, pytest.raises(UsageError, match="executor"):
            library.lint(folder, probe=True, executor=executor)


class TestRewrite:
    def test_a_model_is_mended_proven_and_written(self, folder: Path, tmp_path: Path) -> None:
        """The file is what ONNX reads, and computes the same."""
        source, output = folder / "pool.onnxtxt", tmp_path / "out.onnx"
        result = library.rewrite(source, output=output, use="avgpool-to-conv")
        assert result
        assert (result.output, result.model) == (output, None)
        assert [change.rewrite for change in result.changes] == ["avgpool-to-conv"]
        assert result.verdict is not None
        assert result.verdict.verdict is Verdict.PASS
        assert [node.op_type for node in onnx.load(str(output)).graph.node] == ["Conv"]
        assert result.load() == onnx.load(str(output))
        assert library.verify(source, output)

    @pytest.mark.parametrize("kind", [binary, proto], ids=["bytes", "ModelProto"])
    def test_a_model_in_memory_stays_there(
        self, folder: Path, kind: Callable[[Path, str], Any]
    ) -> None:
        """The given one is not changed; the rewritten one is in the result."""
        given, untouched = kind(folder, "pool"), kind(folder, "pool")
        result = library.rewrite(given, use=["avgpool-to-conv"])
        assert given == untouched
        assert result
        assert result.output is None
        assert [node.op_type for node in result.load().graph.node] == ["Conv"]
        assert library.verify(given, result.load())

    def test_a_configuration_is_heeded(self, folder: Path) -> None:
        """What is left out is as it says; what is given is not."""
        write_files(folder, {"onnxstride.toml": "[rewrite]\nuse = ['avgpool-to-conv']\nrtol = 0.5"})
        pool, uneven = folder / "pool.onnxtxt", folder / "uneven.onnxtxt"
        made = library.rewrite(pool, verify=False)
        assert [change.rewrite for change in made.changes] == ["avgpool-to-conv"]
        assert not library.rewrite(pool, verify=False, isolated=True).changes
        other = library.rewrite(uneven, use="deconv-pad-kernel", verify=False)
        assert [change.rewrite for change in other.changes] == ["deconv-pad-kernel"]
        write_files(folder, {"other.toml": "[rewrite]\nallow = 'training'\nnodes = 'x'"})
        named = library.rewrite(uneven, config=folder / "other.toml", verify=False)
        assert not named.changes

    def test_findings_are_mended(self, folder: Path) -> None:
        """As far as is allowed; what more could be done is counted."""
        path = folder / "uneven.onnxtxt"
        held = library.rewrite(path, select="UP101", verify=False)
        assert (held.changes, held.proof) == ((), None)
        assert sum(held.offered.values()) == 1
        freed = library.rewrite(path, select="UP101", allow="approximate", verify=False)
        assert len(freed.changes) == 1
        assert freed

    def test_options_reach_the_rewrite(self, folder: Path) -> None:
        """Here the number of taps of a blur."""
        shapes = []
        for blur in (3, 5):
            result = library.rewrite(
                folder / "loose.onnxtxt", use="maxpool-to-blurpool", blur=blur, verify=False
            )
            [weight] = [t for t in result.load().graph.initializer if len(t.dims) == 4]
            shapes.append(numpy_helper.to_array(weight).shape[2:])
        assert shapes == [(3, 3), (5, 5)]

    def test_what_is_not_proven_is_not_written(self, folder: Path, tmp_path: Path) -> None:
        """The result is not good, says why, and there is nothing to load."""
        for output in (tmp_path / "out.onnx", None):
            result = library.rewrite(
                folder / "loose.onnxtxt", output=output, use="maxpool-to-blurpool", min_snr=200
            )
            assert not result
            assert (result.output, result.model) == (None, None)
            assert result.verdict is not None
            assert result.verdict.verdict is Verdict.FAIL
            with pytest.raises(NotProven):
                result.load()
        assert not (tmp_path / "out.onnx").exists()

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            pytest.param({"use": "avgpool-to-cony"}, "avgpool-to-conv", id="no such rewrite"),
            pytest.param({"use": "avgpool-to-conv", "select": "UP"}, "one kind", id="two kinds"),
            pytest.param({"allow": "all"}, "expected allow to be one of exact", id="allow"),
            pytest.param({"form": "round"}, "expected form to be one of additive", id="form"),
            pytest.param({"blur": 1}, "expected blur to be a number from 2 to 9", id="blur"),
            pytest.param({"kernel": 16}, "expected kernel .* 1 to 15", id="kernel"),
            pytest.param({"opset": 0}, "expected opset .* from 1 on", id="opset"),
            pytest.param({"init": "fit"}, "samples to fit on", id="nothing to fit on"),
            pytest.param({"external_data": "move"}, "expected external_data", id="external"),
            pytest.param({"output": "a.onnxtxt"}, "ends in .onnx", id="text"),
        ],
    )
    def test_misuse_is_an_error(
        self, folder: Path, options: dict[str, Any], complaint: str
    ) -> None:
        """And nothing is written."""
        with pytest.raises(UsageError, match=complaint):
            library.rewrite(folder / "pool.onnxtxt", **options)

    def test_the_values_of_options_are_those_of_the_command(self) -> None:
        """Whatever the command takes, and only that, this takes too."""
        options = {option.name: option.type for option in command.params}
        for name, choices in CHOICES.items():
            kind = options[name]
            assert isinstance(kind, click.Choice)
            assert set(kind.choices) == set(choices) - {None}
        for name, (least, most) in RANGES.items():
            kind = options[name]
            assert isinstance(kind, click.IntRange)
            assert (kind.min, kind.max) == (least, most)
        assert {*CHOICES, *RANGES, "activation"} == set(Options.__dataclass_fields__)


class TestVerify:
    def test_two_models_that_agree_and_two_that_do_not(self, folder: Path) -> None:
        """The verdict is true for the first only."""
        path = folder / "pool.onnxtxt"
        assert library.verify(path, proto(folder, "pool"))
        verdict = library.verify(binary(folder, "pool"), folder / "loose.onnxtxt", sizes=[4])
        assert not verdict
        assert (verdict.before, verdict.after) == ("before", "loose.onnxtxt")
        assert verdict.reasons

    def test_a_signal_to_noise_ratio_may_do(self, folder: Path) -> None:
        """What the tolerances refuse, a low ratio accepts."""
        models = folder / "pool.onnxtxt", folder / "loose.onnxtxt"
        assert library.verify(*models, sizes=[4], min_snr=-60.0)

    def test_data_brings_its_own_sizes(self, folder: Path, tmp_path: Path) -> None:
        """Feeds may come from a file; sizes beside them are misuse."""
        np.savez(tmp_path / "x.npz", x=np.ones((1, 2, 4, 4), np.float32))
        models = folder / "pool.onnxtxt", folder / "loose.onnxtxt"
        assert library.verify(*models, data=tmp_path / "x.npz")  # of ones: mean is maximum
        with pytest.raises(UsageError, match="leave out seeds"):
            library.verify(*models, data=tmp_path / "x.npz", dims={"H": 4})


class TestAnalyse:
    @pytest.mark.parametrize("kind", [binary, proto], ids=["bytes", "ModelProto"])
    def test_it_is_what_the_report_command_tells(
        self, folder: Path, kind: Callable[[Path, str], Any]
    ) -> None:
        """Of a file, and of a model in memory."""
        path = folder / "pool.onnxtxt"
        sizes = {"H": 9, "W": 6}
        expected = report_file(str(path), Bindings(dims=sizes)).anatomy
        assert library.analyse(path, dims=sizes) == expected
        assert library.analyse(kind(folder, "pool"), dims=sizes) == expected
        assert expected.layers[0].output_size == (4, 3)

    def test_weights_may_be_missing(self, folder: Path) -> None:
        """They are not read; a layer that cannot be is an error."""
        model = proto(folder, "uneven")
        [weight] = model.graph.initializer
        weight.ClearField("raw_data")
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="gone.bin")
        assert library.lint(model).files[0].error is not None
        assert library.analyse(model) == library.analyse(folder / "uneven.onnxtxt")

    def test_a_layer_that_cannot_be_read_is_an_error(self, tmp_path: Path) -> None:
        """Leaving it out would tell of another model."""
        write_files(tmp_path, {"broken.onnxtxt": BROKEN})
        with pytest.raises(ModelError, match="stride"):
            library.analyse(tmp_path / "broken.onnxtxt")

    def test_errors_are_of_the_tree(self, folder: Path) -> None:
        """What is no model, and sizes it has no use for."""
        with pytest.raises(NotAModel, match="<model>: text"):
            library.analyse(b"no model")
        with pytest.raises(UnreadableFile, match=r"nowhere\.onnx: no such file"):
            library.analyse("nowhere.onnx")
        with pytest.raises(UsageError, match="'Z'"):
            library.analyse(folder / "pool.onnxtxt", dims={"Z": 1})


def test_values_are_frozen_and_picklable(folder: Path) -> None:
    """They can be had from another process, and compared."""
    result = library.rewrite(folder / "pool.onnxtxt", use="avgpool-to-conv")
    values = [
        library.lint(folder),
        result,
        library.verify(folder / "pool.onnxtxt", result.load()),
        library.analyse(folder / "pool.onnxtxt"),
    ]
    for value in values:
        assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own
        names = [name for name in ("files", "changes", "verdict", "layers") if hasattr(value, name)]
        with pytest.raises((FrozenInstanceError, AttributeError)):
            setattr(value, names[0], ())


def test_functions_travel_to_other_processes(folder: Path) -> None:
    """Each is found by its name there, though ``verify`` is a package too."""
    with ProcessPoolExecutor(1) as executor:
        path = folder / "pool.onnxtxt"
        assert executor.submit(library.analyse, path).result() == library.analyse(path)
        assert executor.submit(library.verify, path, path, sizes=[4]).result()
