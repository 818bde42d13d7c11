"""The trained models: they know what their README says, and rewrites cost them what it says."""

import importlib
import json
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from models.trained import digits, evaluate, tables
from models.trained.evaluate import MODELS, REFERENCES, REWRITES, Reference, Rewrite

ort: Any = importlib.import_module("onnxruntime")  # ships no types
checker: Any = importlib.import_module("onnx.checker")  # typed in part

POOLS = {"digits_pool2": 3, "digits_pool3": 3, "digits_vgg": 5}

# Runtimes and processors round differently, and a few images lie between two digits. What a fit
# finds moves a little with the order of its sums.
TIES, FITS = 2, 6
MODEL_BYTES, DATA_BYTES = 300_000, 400_000

# The least agreement with the original that a rewrite may have, in the order of MODELS. A gain
# made without data is only as good as its guess of how smooth the maps are.
FLOORS = {
    "maxpool-to-exact-conv": (1.0, 1.0, 1.0),
    "maxpool-to-conv --init mean": (0.9, 0.65, 0.8),
    "maxpool-to-conv --init fit --conv depthwise": (0.975, 0.965, 0.98),
    "maxpool-to-conv --init fit --conv full": (0.98, 0.98, 0.98),
    "maxpool-to-resize-conv --init fit": (0.975, 0.965, 0.975),
    "maxpool-to-blurpool": (0.96, 0.96, 0.96),
}
EXACT = 1e-5  # of the logits, relative: each pool within 4e-6 of the largest value

AVERAGE, CENTRE = REFERENCES


@cache
def readme() -> str:
    return tables.README.read_text(encoding="utf-8")


def said_of(model: str) -> tuple[str, ...]:
    """The README's row about a model."""
    rows = tables.table_rows(tables.section(readme(), "models"))
    (found,) = [row for row in rows if f"]({model}.onnx)" in row[0]]
    return found


def said_right(model: str) -> int:
    right, images = said_of(model)[-1].split(" of ")
    assert int(images) == len(digits.labelled_test()[1])
    return int(right)


def said_of_rewrite(model: str, row: evaluate.Row) -> tuple[str, ...]:
    """The README's figures about one rewrite of a model."""
    _, after = tables.section(readme(), "rewrites").split(f"**{model}**\n\n")
    rows = tables.table_rows(after.split("\n\n")[0])
    (found,) = [cells for title, *cells in rows if title == row.title]
    return tuple(found)


class TestModels:
    @pytest.mark.parametrize("model", MODELS)
    def test_each_knows_as_many_digits_as_its_readme_says(self, model: str) -> None:
        """So do its metadata, where training wrote the count; about 99 of 100."""
        right = evaluate.right_answers(evaluate.original(model))
        facts = {p.key: p.value for p in onnx.load(evaluate.path_of(model)).metadata_props}
        assert abs(right - said_right(model)) <= TIES
        assert abs(right - int(facts["test_right"].split("/")[0])) <= TIES
        assert right >= 0.985 * len(digits.labelled_test()[1])

    def test_a_classifier_that_mixes_up_two_digits_is_noticed(self, tmp_path: Path) -> None:
        """With the rows of two digits swapped the count falls far below the README's."""
        model = onnx.load(evaluate.path_of("digits_pool2"))
        (gemm,) = [node for node in model.graph.node if node.op_type == "Gemm"]
        (weight,) = [t for t in model.graph.initializer if t.name == gemm.input[1]]
        swapped = numpy_helper.to_array(weight)[[1, 0, *range(2, 10)]]
        weight.CopyFrom(numpy_helper.from_array(swapped, weight.name))
        onnx.save(model, tmp_path / "swapped.onnx")
        right = evaluate.right_answers(evaluate.observe(tmp_path / "swapped.onnx", []))
        assert right < said_right("digits_pool2") - 10 * TIES

    def test_lint_finds_every_pool(self) -> None:
        """As fixed pooling; nothing is unreadable, which --exit-zero would not hide."""
        command = [sys.executable, "-m", "onnxstride", "lint"]
        command += [str(evaluate.path_of(model)) for model in MODELS]
        command += ["--exit-zero", "--output-format", "json"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        found = {
            Path(file["path"]).stem: Counter(f["code"] for f in file["findings"])["DN201"]
            for file in json.loads(run.stdout)["files"]
        }
        assert found == POOLS

    @pytest.mark.parametrize("model", MODELS)
    def test_each_is_valid_small_and_takes_any_batch(self, model: str) -> None:
        path = evaluate.path_of(model)
        proto = onnx.load(path)
        checker.check_model(proto, full_check=True)
        assert path.stat().st_size < MODEL_BYTES
        assert [each.version for each in proto.opset_import] == [17]
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        images, _ = digits.labelled_test()
        for batch in (1, 5):
            (logits,) = session.run([digits.OUTPUT], {digits.INPUT: images[:batch]})
            assert logits.shape == (batch, 10)
            assert logits == pytest.approx(evaluate.original(model).logits[:batch], abs=1e-3)

    @pytest.mark.parametrize("model", MODELS)
    def test_the_readme_describes_each_model(self, model: str) -> None:
        """All but the count of right answers, which another test allows to move."""
        rows = {row[0]: row for row in tables.table_rows(evaluate.models_table())}
        said = said_of(model)
        assert rows[said[0]][:-1] == said[:-1]


class TestData:
    def test_the_files_are_small(self) -> None:
        files = digits.TEST_FILE, digits.CALIBRATION_FILE
        assert sum(file.stat().st_size for file in files) < DATA_BYTES

    def test_the_enlargement_is_that_of_the_onnx_resize(self) -> None:
        """Linear, half-pixel; the values are exact, so not even rounding differs."""
        pixels = np.load(digits.TEST_FILE)["pixels"][:8]
        node = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear")
        small = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [8, 1, 8, 8])
        large = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [8, 1, 32, 32])
        scales = numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "scales")
        graph = helper.make_graph([node], "resize", [small], [large], [scales])
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        session = ort.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        (expected,) = session.run(None, {"x": (pixels / 16).astype(np.float32)[:, None]})
        assert np.array_equal(digits.enlarged(pixels), expected)

    def test_feeds_are_the_input_of_the_models(self) -> None:
        """By name, type and shape; together they are all images of the file, in order."""
        for make, images in (
            (digits.test_feeds, digits.labelled_test()[0]),
            (digits.calibration_feeds, np.load(digits.CALIBRATION_FILE)[digits.INPUT]),
        ):
            parts = [feeds[digits.INPUT] for feeds in make()]
            together = np.concatenate(parts)
            assert together.dtype == np.float32
            assert together.shape[1:] == (1, 32, 32)
            assert np.array_equal(together, images)
        assert len(digits.labelled_test()[0]) == 597

    def test_no_rewrite_is_fitted_to_what_it_is_measured_on(self) -> None:
        """No calibration image is a test image."""
        calibration = {image.tobytes() for image in np.load(digits.CALIBRATION_FILE)[digits.INPUT]}
        tested = {image.tobytes() for image in digits.labelled_test()[0]}
        assert not calibration & tested


class TestRewrites:
    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("row", REWRITES, ids=lambda row: row.label.replace(" --", "/"))
    def test_each_costs_what_the_readme_says(self, row: Rewrite, model: str) -> None:
        """Measured again: as many agree, within what a fit may move, and enough of them."""
        said = said_of_rewrite(model, row)
        assert "not measured" not in said[0], "run: python -m models.trained.evaluate"
        images = len(digits.labelled_test()[1])
        measured = evaluate.measure(model, row)
        for figure, text in zip((measured.right, measured.agreeing), said, strict=False):
            assert abs(figure - float(text.rstrip("%")) / 100 * images) <= FITS
        assert measured.agreeing >= FLOORS[row.label][MODELS.index(model)] * images
        if row.allow == "exact":
            assert measured.logits_off < EXACT

    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("row", REFERENCES, ids=lambda row: row.label)
    def test_the_references_are_what_the_readme_says(self, row: Reference, model: str) -> None:
        before = evaluate.original(model)
        measured = evaluate.measure(model, row)
        assert measured.logits_off > 0.5
        right, agrees, *others = evaluate.cells(measured, before)
        said_right, said_agrees, *said = said_of_rewrite(model, row)
        images = len(before.logits)
        for now, then in ((right, said_right), (agrees, said_agrees)):
            moved = abs(float(now.rstrip("%")) - float(then.rstrip("%"))) / 100 * images
            assert moved <= FITS
        assert others[-1] == said[-1]

    @pytest.mark.parametrize("model", ["digits_pool3", "digits_vgg"])
    def test_a_plain_average_can_destroy_a_model(self, model: str) -> None:
        """Fewer than half of its answers remain."""
        measured = evaluate.measure(model, AVERAGE)
        assert measured.agreeing < 0.5 * len(evaluate.original(model).logits)

    def test_what_replaces_nothing_has_no_figures(self, tmp_path: Path) -> None:
        """A rewrite that copies the model would agree with it entirely."""
        copying = _Copying("copy", "exact")
        with pytest.raises(evaluate.NotMeasured, match="3 of 3 pools are still there"):
            evaluate.measure("digits_pool2", copying)

    def test_a_rewrite_that_fails_gives_its_reason(self) -> None:
        """What the command line said last."""
        with pytest.raises(evaluate.NotMeasured, match="rewrite"):
            evaluate.measure("digits_pool2", Rewrite("no-such-rewrite", "exact"))

    def test_the_error_of_doubled_values_is_their_size(self) -> None:
        values = np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32)
        assert evaluate.relative_error(values, values) == 0
        assert evaluate.relative_error(2 * values, values) == pytest.approx(1)

    def test_the_average_is_the_average_pool_of_the_runtime(self, tmp_path: Path) -> None:
        """The reference against an operator made for it, padding counted."""
        model = "digits_pool3"
        AVERAGE.apply(evaluate.path_of(model), tmp_path / "convolution.onnx")
        proto = onnx.load(evaluate.path_of(model))
        for pool in evaluate.pools(proto):
            kept = {k: v for k, v in evaluate.attributes(pool).items() if k in WINDOW}
            pool.CopyFrom(
                helper.make_node(
                    "AveragePool", pool.input, pool.output, count_include_pad=1, **kept
                )
            )
        onnx.save(proto, tmp_path / "pool.onnx")
        first = evaluate.observe(tmp_path / "convolution.onnx", []).logits
        second = evaluate.observe(tmp_path / "pool.onnx", []).logits
        assert evaluate.relative_error(first, second) < EXACT


WINDOW = ("kernel_shape", "strides", "pads")


class _Copying(Rewrite):
    """A rewrite that rewrites nothing."""

    def apply(self, model: Path, out: Path) -> None:
        out.write_bytes(model.read_bytes())
