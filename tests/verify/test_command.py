"""The verify command: what it prints, and how it exits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from onnxstride.cli import main
from onnxstride.report.verdict import render_verdict, render_verdict_json
from onnxstride.rule import NodeRef, Safety
from onnxstride.verify import (
    Disagreement,
    ModelVerdict,
    OutputFigures,
    SiteVerdict,
    Verdict,
    Worst,
)
from tests.verify.building import check_schema, is_valid, model, validated

BEFORE = """
net (float[1,2,H,W] x) => (float[1,2,H2,W2] y) {
    y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
}"""
AFTER = BEFORE.replace("MaxPool", "AveragePool")
REFUSED = BEFORE.replace("MaxPool", "Nonesuch")


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in a folder with a few models."""
    (tmp_path / "before.onnxtxt").write_text(BEFORE)
    (tmp_path / "after.onnxtxt").write_text(AFTER)
    (tmp_path / "same.onnx").write_bytes(model(BEFORE))
    (tmp_path / "refused.onnxtxt").write_text(REFUSED)
    (tmp_path / "broken.onnx").write_text("no model")
    np.savez(tmp_path / "d.npz", x=np.ones((2, 2, 4, 4), np.float32))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("ONNXSTRIDE_OUTPUT_FORMAT", raising=False)

    def started(*arguments: str) -> Result:
        code = main(["verify", *arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return started


class TestExitCodes:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            pytest.param(["before.onnxtxt", "same.onnx"], 0, id="the same"),
            pytest.param(["before.onnxtxt", "after.onnxtxt"], 1, id="another"),
            pytest.param(["before.onnxtxt", "refused.onnxtxt"], 1, id="only before runs"),
            pytest.param(["refused.onnxtxt", "refused.onnxtxt"], 2, id="neither runs"),
            pytest.param(["refused.onnxtxt", "before.onnxtxt"], 2, id="before does not run"),
            pytest.param(["before.onnxtxt", "broken.onnx"], 2, id="unreadable"),
            pytest.param(["before.onnxtxt", "gone.onnx"], 2, id="missing"),
            pytest.param(["before.onnxtxt", "after.onnxtxt", "--data", "d.npz"], 0, id="data"),
            pytest.param(["before.onnxtxt", "after.onnxtxt", "--data", "e.npz"], 2, id="no data"),
            pytest.param(["before.onnxtxt", "after.onnxtxt", "--atol", "99"], 0, id="tolerant"),
            pytest.param(["before.onnxtxt", "after.onnxtxt", "--min-snr", "-9"], 0, id="low snr"),
            pytest.param(["before.onnxtxt", "after.onnxtxt", "--min-snr", "60"], 1, id="high snr"),
            pytest.param(["before.onnxtxt", "same.onnx", "--sizes", "8,9"], 0, id="sizes"),
            pytest.param(["before.onnxtxt", "same.onnx", "--sizes", "8,x"], 2, id="no sizes"),
            pytest.param(["before.onnxtxt", "same.onnx", "--dim", "H=8"], 0, id="a symbol"),
            pytest.param(["before.onnxtxt", "same.onnx", "--dim", "Q=8"], 2, id="no such symbol"),
            pytest.param(["before.onnxtxt", "same.onnx", "--seeds", "0"], 2, id="no seeds"),
            pytest.param(["before.onnxtxt", "same.onnx", "--provider", "Q"], 2, id="no provider"),
            pytest.param(
                ["before.onnxtxt", "same.onnx", "--data", "d.npz", "--sizes", "8"],
                2,
                id="data and sizes",
            ),
            pytest.param(["before.onnxtxt"], 2, id="one model"),
        ],
    )
    def test_the_code_says_what_happened(
        self, run: Run, arguments: list[str], expected: int
    ) -> None:
        """0 they agree, 1 they differ, 2 it could not be told."""
        result = run(*arguments)
        assert result.code == expected
        assert "Traceback" not in result.out + result.err


class TestText:
    def test_the_verdict_comes_first(self, run: Run) -> None:
        """Then why, the figures, and what it is based on."""
        result = run("before.onnxtxt", "after.onnxtxt")
        lines = result.out.splitlines()
        assert lines[0] == "FAIL  after.onnxtxt does not compute what before.onnxtxt does"
        assert "output 'y' is off by" in result.out
        assert "would be needed" in " ".join(result.out.split())
        assert "float32" in result.out
        assert "Compared on 9 feeds." in result.out
        assert result.out.endswith("\n")

    def test_a_pass(self, run: Run) -> None:
        """Nothing speaks against it."""
        lines = run("before.onnxtxt", "same.onnx").out.splitlines()
        assert lines[0] == "PASS  same.onnx computes what before.onnxtxt does"
        assert "exact" in lines[3]

    def test_sizes_can_be_fixed(self, run: Run) -> None:
        """One size, one trial."""
        out = run("before.onnxtxt", "same.onnx", "--input-shape", "x:1,2,8,8").out
        assert "1x2x4x4" in out
        assert "Compared on 3 feeds." in out

    def test_names_are_made_printable(self) -> None:
        """A name from a model cannot move the cursor."""
        text = render_verdict(verdict(name="a\x1b[2J"), width=100)
        assert "\x1b" not in text

    def test_colour(self) -> None:
        """Only where asked for."""
        assert "\x1b[1;31mFAIL" in render_verdict(verdict(), color=True)
        assert "\x1b" not in render_verdict(verdict())

    def test_disagreements_and_sites_are_told(self) -> None:
        """Each in its own part."""
        text = render_verdict(verdict(), width=100)
        assert "ONNX Runtime disagrees with itself" in text
        assert "some-rewrite" in text
        assert "block > pool" in text
        assert "2 passed over" in text


class TestJson:
    def test_the_schema_is_one(self) -> None:
        """A valid JSON Schema."""
        check_schema()

    @pytest.mark.parametrize(
        ("after", "expected"),
        [("same.onnx", "pass"), ("after.onnxtxt", "fail"), ("refused.onnxtxt", "fail")],
    )
    def test_the_command_writes_it(self, run: Run, after: str, expected: str) -> None:
        """To the terminal, as the schema says."""
        document = validated(run("before.onnxtxt", after, "--output-format", "json").out)
        assert document["verdict"] == expected

    def test_a_file(self, run: Run, tmp_path: Path) -> None:
        """Written instead; a model is not overwritten."""
        arguments = "before.onnxtxt", "same.onnx", "--output-format", "json", "--output-file"
        assert run(*arguments, "report.json").out == ""
        assert validated((tmp_path / "report.json").read_text())["verdict"] == "pass"
        assert run(*arguments, "same.onnx").code == 2

    def test_every_field(self) -> None:
        """Exactly those that are promised, whatever the figures."""
        document = validated(render_verdict_json(verdict()))
        assert document["schema_version"] == "1"
        assert set(document["sites"][0]) == {
            *("node", "rewrite", "safety", "verdict", "cases", "max_abs", "max_rel", "snr_db")
        }
        assert set(document["outputs"][0]) == {
            *("name", "shape_before", "shape_after", "dtype", "max_abs", "mean_abs", "max_rel"),
            *("p99_abs", "snr_db", "psnr_db", "cosine", "required_atol", "worst_index"),
            "top1_agreement",
        }
        assert document["outputs"][0]["max_abs"] == "inf"
        assert document["outputs"][0]["worst_index"] == {"feed": "seed 0", "index": [0, 1]}
        assert document["runtime_disagreements"][0]["model"] == "before"

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param({"verdict": "perhaps"}, id="another verdict"),
            pytest.param({"verdict": "pass"}, id="a pass with reasons"),
            pytest.param({"reasons": []}, id="a failure without"),
            pytest.param({"outputs": [{}]}, id="an output without figures"),
            pytest.param({"feeds": -1}, id="less than no feeds"),
            pytest.param({"extra": 1}, id="an unknown field"),
        ],
    )
    def test_the_schema_bites(self, fault: dict[str, Any]) -> None:
        """A document that is not as promised is refused."""
        document = json.loads(render_verdict_json(verdict()))
        assert is_valid(document)
        assert not is_valid({**document, **fault})


def figures(name: str = "y") -> OutputFigures:
    inf = float("inf")
    worst = Worst("seed 0", (0, 1), 1.0, float("nan"))
    return OutputFigures(
        name=name,
        shape_before=(2, 3),
        shape_after=(2, 3),
        dtype="float32",
        compared=6,
        max_abs=inf,
        mean_abs=inf,
        max_rel=inf,
        p99_abs=0.5,
        snr_db=-inf,
        psnr_db=-inf,
        cosine=0.9999999,
        required_atol=inf,
        rtol=1e-4,
        tolerance_used=inf,
        worst=worst,
        top1_agreement=0.5,
        matches=False,
    )


def verdict(name: str = "y") -> ModelVerdict:
    """A failure with something in every field."""
    node = NodeRef("pool", "MaxPool", "", ("block",), ("p",))
    site = SiteVerdict(
        node, "some-rewrite", Safety.EXACT, Verdict.FAIL, 3, 0.5, 0.1, 12.0, ("it is off",)
    )
    whole = ModelVerdict(
        before="before.onnx",
        after="after.onnx",
        verdict=Verdict.PASS,
        outputs=(figures(name),),
        disagreements=(Disagreement("before", "it disagrees", figures(name)),),
        feeds=3,
        passed_over=("H=1", "H=2"),
    )
    return whole.with_sites((site,))


def test_the_worst_site_decides() -> None:
    """A failed site fails the whole, and its reasons are told."""
    assert verdict().verdict is Verdict.FAIL
    assert verdict().reasons == ("some-rewrite at pool: it is off",)
