"""The latency of a rewritten model: what runs in turn, at which sizes, and what is counted."""

from pathlib import Path
from typing import Any

import pytest

from onnxstride.engine import latency
from onnxstride.engine.latency import RUNS, Latency, measure_latency
from onnxstride.errors import Refused
from onnxstride.modelfile import parse_text
from onnxstride.verify import Loadable, Runner, VerifyOptions, complete

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
ONCE = "net (float[N,1,H,W] x) => (float[N,1,P,Q] y) { y = MaxPool <kernel_shape = [3,3]> (x) }"
OPTIONS = VerifyOptions()


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(complete(parse_text(f"{HEAD} {text}", name)))
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models in the order in which they were timed; the after takes twice as long."""
    names: list[str] = []

    def time(_: Runner, model: Loadable, *__: Any) -> float:
        names.append(model.name)
        slow = 2.0 if len(names) % 20 == 0 else 1.0  # outliers, which a median ignores
        return slow * (0.002 if model.name == "after.onnx" else 0.001)

    monkeypatch.setattr(Runner, "time", time)
    return names


def test_models_take_turns(tmp_path: Path, asked: list[str]) -> None:
    """A B A B; the ratio is of medians, over what was counted."""
    before, after = written(tmp_path, "before.onnx", ONCE), written(tmp_path, "after.onnx", ONCE)
    found = measure_latency(before, after, OPTIONS)
    assert (found.before_ms, found.after_ms, found.ratio) == pytest.approx((1, 2, 2))
    assert found.runs == RUNS
    turns = asked[1:]  # the first run finds the sizes
    assert turns == ["before.onnx", "after.onnx"] * (len(turns) // 2)
    assert len(turns) > 2 * RUNS  # some rounds were not counted


@pytest.mark.usefixtures("asked")
def test_slow_models_are_run_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When patience is over there are a few runs, and the result says how few."""
    monkeypatch.setattr(latency, "_PATIENCE", 0.0)
    model = written(tmp_path, "before.onnx", ONCE)
    assert 1 <= measure_latency(model, model, OPTIONS).runs < RUNS


def test_open_sizes_are_tried(tmp_path: Path) -> None:
    """Until the model runs; the result names those it runs at."""
    only = "net (float[N,A] x) => (float[N,5] y) <float[48,5] w> { y = MatMul (x, w) }"
    model = written(tmp_path, "before.onnx", only)
    found = measure_latency(model, model, OPTIONS)
    assert found.sizes["A"] == 48
    assert "A=48" in found.place
    assert found.ratio > 0


def test_a_model_that_accepts_nothing(tmp_path: Path) -> None:
    """The last refusal is the reason."""
    none = "net (float[2,3] x) => (float[2,3] y) { y = MatMul (x, x) }"
    model = written(tmp_path, "before.onnx", none)
    with pytest.raises(Refused, match=r"before\.onnx"):
        measure_latency(model, model, OPTIONS)


def test_declared_sizes_are_kept() -> None:
    """In words they are just that."""
    assert Latency(1.0, 1.0, 1, {}).place == "the declared sizes"
