"""The rewrite command: what it writes, what it says, and the exit code."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxstride.cli import main
from onnxstride.engine.latency import RUNS
from onnxstride.modelfile import parse_text
from onnxstride.verify import complete

POOLED = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[N,3,H,W] x) => (float[N,4,P,Q] y) <float[4,3,3,3] w>
    {
        c = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w)
        r = Relu (c)
        [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (r)
    }"""
FOLDED = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[1,2,8,8] x) => (float[1,2,4,4] y) <int64[8] pads = {0,0,1,1,0,0,1,1}>
    {
        p = Pad (x, pads)
        [pool] y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (p)
    }"""


def written(folder: Path, text: str, name: str = "model.onnx") -> Path:
    """A model file with all its weights."""
    path = folder / name
    path.write_bytes(complete(parse_text(text, name)))
    return path


def op_types(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


class TestWriting:
    """What ends up in the file."""

    def test_a_finding_is_mended_and_proven(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The pool is gone, the rest is as it was, and the report says it was verified."""
        model, out = written(tmp_path, POOLED), tmp_path / "out.onnx"
        before = model.read_bytes()
        assert main(["rewrite", str(model), "-o", str(out)]) == 0
        assert op_types(out) == [*("Conv", "Relu"), *("Conv", "Conv", "Relu", "Add") * 2]
        assert model.read_bytes() == before
        told = capsys.readouterr().out
        assert "pool  MaxPool  maxpool-to-exact-conv (exact)" in told
        assert "verified on its own" in told
        assert "1 site rewritten" in told
        kept, weight = (onnx.load(path).graph.initializer[0] for path in (out, model))
        assert kept == weight

    def test_in_place(self, tmp_path: Path) -> None:
        """The model itself is replaced, and only when asked to."""
        model = written(tmp_path, POOLED)
        assert main(["rewrite", str(model), "--in-place"]) == 0
        assert "MaxPool" not in op_types(model)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx"]

    def test_nothing_to_do_is_a_copy(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Without a site the output is the model as it was."""
        model, out = written(tmp_path, POOLED), tmp_path / "out.onnx"
        assert main(["rewrite", str(model), "-o", str(out), "--nodes", "no such*"]) == 0
        assert onnx.load(out) == onnx.load(model)
        assert "0 sites rewritten" in capsys.readouterr().out

    def test_text_models_come_out_complete(self, tmp_path: Path) -> None:
        """ONNX text is rewritten into a binary model that holds its weights."""
        model, out = tmp_path / "model.onnxtxt", tmp_path / "out.onnx"
        model.write_text(POOLED, encoding="utf-8")
        assert main(["rewrite", str(model), "-o", str(out)]) == 0
        assert main(["verify", str(model), str(out)]) == 0

    def test_a_named_rewrite_is_allowed_what_it_needs(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """--use asks for one rewrite, whatever its safety; its figures are reported."""
        model, out = written(tmp_path, POOLED), tmp_path / "out.onnx"
        assert main(["rewrite", str(model), "-o", str(out), "--use", "maxpool-to-conv"]) == 0
        assert op_types(out) == ["Conv", "Relu", "Conv"]
        assert "maxpool-to-conv (training)" in capsys.readouterr().out

    def test_weights_are_fitted_on_data(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """--init fit solves for the weights on the activations of the user's samples."""
        model, out, data = written(tmp_path, POOLED), tmp_path / "out.onnx", tmp_path / "data.npz"
        random = np.random.default_rng(0)
        np.savez(data, x=random.standard_normal((8, 3, 16, 16)).astype(np.float32))
        arguments = ["--use", "maxpool-to-conv", "--init", "fit", "--data", str(data)]
        assert main(["rewrite", str(model), "-o", str(out), *arguments]) == 0
        assert "init fit" in capsys.readouterr().out

    def test_the_guard_changes_nothing_unoptimised(self, tmp_path: Path) -> None:
        """A zero Pad before a pool is kept apart from it, bit for bit the same function."""
        model, out = written(tmp_path, FOLDED), tmp_path / "out.onnx"
        assert main(["rewrite", str(model), "-o", str(out), "--select", "BD303"]) == 0
        assert op_types(out) == ["Pad", "Max", "MaxPool"]


class TestDiff:
    """--diff tells and does not write."""

    def test_a_change_is_exit_one(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Nodes out, nodes in, parameters and multiply-adds are told; nothing is written."""
        model = written(tmp_path, POOLED)
        assert main(["rewrite", str(model), "--diff"]) == 1
        told = capsys.readouterr().out
        assert "1 MaxPool -> 4 Conv, 2 Relu, 2 Add" in told
        assert "parameters 0 -> 32" in told
        assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]

    def test_no_change_is_exit_zero(self, tmp_path: Path) -> None:
        """A model without anything to mend."""
        model = written(tmp_path, POOLED)
        assert main(["rewrite", str(model), "--diff", "--nodes", "none*"]) == 0

    def test_more_is_offered(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What a flag would allow is said, not done."""
        model = written(tmp_path, POOLED.replace("float[", "double["))
        assert main(["rewrite", str(model), "--diff", "--why"]) == 0
        told = capsys.readouterr().out
        assert "more could be rewritten with --allow training" in told
        assert "left alone by maxpool-to-exact-conv: pool" in told


class TestProof:
    """Nothing is written unless it is proven."""

    def test_a_gate_that_is_missed(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An approximate result below --min-snr is exit 1, and no file."""
        model, out = written(tmp_path, POOLED), tmp_path / "out.onnx"
        arguments = ["--use", "maxpool-to-conv", "--min-snr", "90"]
        assert main(["rewrite", str(model), "-o", str(out), *arguments]) == 1
        assert "Nothing was written" in capsys.readouterr().out
        assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]

    def test_no_verify_writes_all_the_same(self, tmp_path: Path) -> None:
        """Asked not to prove, it does not."""
        model, out = written(tmp_path, POOLED), tmp_path / "out.onnx"
        arguments = ["--use", "maxpool-to-conv", "--min-snr", "90", "--no-verify"]
        assert main(["rewrite", str(model), "-o", str(out), *arguments]) == 0
        assert out.exists()

    def test_the_report_holds_changes_and_proof(self, tmp_path: Path) -> None:
        """--report is the verdict's document with the changes beside it."""
        model, out, report = (tmp_path / name for name in ("m.onnx", "o.onnx", "r.json"))
        model.write_bytes(complete(parse_text(POOLED, "m")))
        assert main(["rewrite", str(model), "-o", str(out), "--report", str(report)]) == 0
        content = json.loads(report.read_text(encoding="utf-8"))
        assert content["schema_version"] == "1"
        assert content["verdict"] == "pass"
        assert [site["node"]["name"] for site in content["sites"]] == ["pool"]
        assert [change["rewrite"] for change in content["changes"]] == ["maxpool-to-exact-conv"]
        assert content["output"] == str(out)


class TestBench:
    """--bench tells how long the rewritten model runs, and decides nothing."""

    def test_both_are_timed(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The text and the report have the same figures."""
        model, out, report = written(tmp_path, POOLED), tmp_path / "o.onnx", tmp_path / "r.json"
        arguments = ["-o", str(out), "--bench", "--report", str(report)]
        assert main(["rewrite", str(model), *arguments]) == 0
        told = json.loads(report.read_text(encoding="utf-8"))["latency"]
        assert told["runs"] == RUNS
        assert told["ratio"] == told["after_ms"] / told["before_ms"] > 0
        assert told["sizes"] == {"N": 2, "H": 64, "W": 48}
        line = " ".join(capsys.readouterr().out.split("\n\n")[-1].split())
        assert line == (
            f"latency {told['ratio']:.2f} x (median of {RUNS} runs each, "
            f"{told['before_ms']:.3g} ms -> {told['after_ms']:.3g} ms), on one thread at "
            "N=2, H=64, W=48"
        )

    def test_the_proof_may_be_left_out(self, tmp_path: Path) -> None:
        """Timing needs none; without --bench nothing is timed."""
        model, out, report = written(tmp_path, POOLED), tmp_path / "o.onnx", tmp_path / "r.json"
        base = ["rewrite", str(model), "-o", str(out), "--no-verify", "--report", str(report)]
        for more, expected in (([], False), (["--bench"], True)):
            assert main([*base, *more]) == 0
            assert ("latency" in json.loads(report.read_text(encoding="utf-8"))) is expected

    def test_nothing_to_time(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A model that was left alone is not run."""
        model, out, report = written(tmp_path, POOLED), tmp_path / "o.onnx", tmp_path / "r.json"
        arguments = ["-o", str(out), "--nodes", "no such*", "--bench", "--report", str(report)]
        assert main(["rewrite", str(model), *arguments]) == 0
        assert "latency not measured: nothing was rewritten" in capsys.readouterr().out
        content = json.loads(report.read_text(encoding="utf-8"))
        assert content["latency"] == {"not_measured": "nothing was rewritten"}

    def test_what_cannot_be_run_is_written_all_the_same(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The reason is told; the exit code is that of the rewrite."""
        stranger = POOLED.replace('"" : 17', '"" : 17, "strange" : 1')
        stranger = stranger.replace("[pool] y", "[pool] p").replace("(r)", "(r) y = strange.Op (p)")
        model, out = written(tmp_path, stranger), tmp_path / "o.onnx"
        arguments = ["-o", str(out), "--no-verify", "--bench"]
        assert main(["rewrite", str(model), *arguments, "--use", "maxpool-to-exact-conv"]) == 0
        assert "latency not measured: model.onnx" in capsys.readouterr().out
        assert out.exists()

    def test_a_proof_that_fails_ends_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nothing was written, so nothing is timed."""
        model, out = written(tmp_path, POOLED), tmp_path / "out.onnx"
        arguments = ["--use", "maxpool-to-conv", "--min-snr", "90", "--bench"]
        assert main(["rewrite", str(model), "-o", str(out), *arguments]) == 1
        assert "latency" not in capsys.readouterr().out


USAGE = {
    "nowhere to write": ([], "expected one of -o OUT, --in-place and --diff"),
    "two places to write": (["--in-place", "--diff"], "found --in-place and --diff"),
    "an unknown rewrite": (["--diff", "--use", "maxpool-to-cnv"], "maxpool-to-conv"),
    "an unknown rule": (["--diff", "--select", "DN999"], "DN999"),
    "fitting on nothing": (["--diff", "--init", "fit"], "--init fit needs --data"),
    "timing what is not written": (["--diff", "--bench"], "name one with -o OUT"),
    "timing what is written over": (["--in-place", "--bench"], "name one with -o OUT"),
    "both kinds of choice": (
        ["--diff", "--use", "maxpool-to-conv", "--select", "DN201"],
        "give one kind",
    ),
}


@pytest.mark.parametrize(("arguments", "said"), USAGE.values(), ids=USAGE)
def test_misuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Misuse is exit 2 and one line that says what was expected."""
    model = written(tmp_path, POOLED)
    assert main(["rewrite", str(model), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_model_is_not_its_own_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """-o never overwrites the input; --in-place says so aloud."""
    model = written(tmp_path, POOLED)
    assert main(["rewrite", str(model), "-o", str(model)]) == 2
    assert "--in-place" in capsys.readouterr().err


@pytest.mark.parametrize("report", ["model.onnx", "out.onnx"])
def test_the_report_takes_the_place_of_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], report: str
) -> None:
    """--report over the model or its rewrite is refused before anything is written."""
    model, out = written(tmp_path, POOLED), tmp_path / "out.onnx"
    before = model.read_bytes()
    assert main(["rewrite", str(model), "-o", str(out), "--report", str(tmp_path / report)]) == 2
    assert "--report" in capsys.readouterr().err
    assert model.read_bytes() == before
    assert not out.exists()


def test_an_unreadable_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no model is exit 2, and nothing is written."""
    model = tmp_path / "model.onnx"
    model.write_text("not a model", encoding="utf-8")
    assert main(["rewrite", str(model), "-o", str(tmp_path / "out.onnx")]) == 2
    assert capsys.readouterr().err.startswith("onnxstride: error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


ENLARGED = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[1,1,H,W] x) => (float[1,1,P,Q] y) <float[1,1,3,3] w = {1,1,1,1,1,1,1,1,1}>
    {
        [up] y = ConvTranspose <strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]> (x, w)
    }"""


class TestProbing:
    """What the outputs draw of constant images, before and after."""

    def test_a_mended_checkerboard_is_shown_to_be_gone(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Without being asked, where the rewrite is meant to mend one."""
        model, report = written(tmp_path, ENLARGED), tmp_path / "report.json"
        command = ["rewrite", str(model), "-o", str(tmp_path / "out.onnx")]
        assert main([*command, "--use", "deconv-to-resize-conv", "--report", str(report)]) == 0
        assert "/255 rms (white); now 0/255" in capsys.readouterr().out
        probe = json.loads(report.read_text())["probe"]
        strongest = {
            name: max(answer["rms"] for answer in seen["outputs"][0]["answers"])
            for name, seen in probe.items()
        }
        assert strongest["before"] > 0.5
        assert strongest["after"] < 1e-5

    def test_the_same_function_keeps_its_pattern(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nothing is probed unless it is asked for; then the figures are equal."""
        model = written(tmp_path, ENLARGED)
        command = ["rewrite", str(model), "--use", "deconv-to-subpixel", "-o"]
        assert main([*command, str(tmp_path / "quiet.onnx")]) == 0
        assert "/255" not in capsys.readouterr().out
        assert main([*command, str(tmp_path / "told.onnx"), "--probe"]) == 0
        told = capsys.readouterr().out.splitlines()[-1]
        before, after = (part.split("/255")[0].split()[-1] for part in told.split("; now"))
        assert before == after != "0"

    def test_pictures_of_both(self, tmp_path: Path) -> None:
        """The probe and its tile, before and after, and the taps of what was there."""
        model, pictures = written(tmp_path, ENLARGED), tmp_path / "pictures"
        command = ["rewrite", str(model), "-o", str(tmp_path / "out.onnx")]
        options = ["--use", "deconv-to-resize-conv", "--save-pictures", str(pictures)]
        assert main([*command, *options]) == 0
        names = [path.name for path in pictures.glob("*.png")]
        assert {name.split("-")[0] for name in names} == {"before", "after"}
        assert [name for name in names if "taps" in name] == ["before-taps-up.png"]

    def test_a_rule_that_needs_a_probe_selects_nothing_to_mend(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The message names the rewrites that mend what it judges."""
        model = written(tmp_path, ENLARGED)
        assert main(["rewrite", str(model), "--diff", "--select", "UP106"]) == 2
        assert "--use deconv-to-resize-conv or --use smooth-output" in capsys.readouterr().err
