"""The trained decoders: they restore images, show checkerboards, and rewrites do what is said."""

import importlib
import re
from functools import cache
from itertools import product
from math import inf
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from models.trained import evaluate, evaluate_decoders, images, tables
from models.trained.evaluate_decoders import (
    DECONVOLUTIONS,
    MODELS,
    OF_DECONVOLUTIONS,
    OF_SUBPIXELS,
    REWRITTEN,
    SMOOTHING,
    Measured,
    Row,
)
from onnxstride.commands.new_layers import new_layer_options
from onnxstride.engine.lint import lint_graph
from onnxstride.graph import read_graph
from onnxstride.modelfile import open_model
from onnxstride.registry import load_rules
from onnxstride.rewrite import Options
from onnxstride.verify import Runner

checker: Any = importlib.import_module("onnx.checker")  # typed in part

# Runtimes and processors round differently; what a fit finds moves with the order of its sums.
ROUNDED, FITTED = 0.02, 0.1
MODEL_BYTES, DATA_BYTES = 200_000, 500_000


@cache
def readme() -> str:
    return tables.README.read_text(encoding="utf-8")


def said_of(model: str) -> tuple[str, ...]:
    """The README's row about a model."""
    rows = tables.table_rows(tables.section(readme(), "decoders"))
    (found,) = [row for row in rows if f"]({model}.onnx)" in row[0]]
    return found


def said_of_rewrite(model: str, row: Row) -> tuple[str, ...]:
    """The README's figures about one rewrite of a model."""
    _, after = tables.section(readme(), "decoder-rewrites").split(f"**{model}**\n\n")
    rows = tables.table_rows(after.split("\n\n")[0])
    (found,) = [cells for title, *cells in rows if title == f"`{row.label}`"]
    return tuple(found)


def metadata(model: str) -> dict[str, str]:
    proto = onnx.load(evaluate_decoders.path_of(model))
    return {each.key: each.value for each in proto.metadata_props}


class TestModels:
    @pytest.mark.parametrize("model", MODELS)
    def test_each_restores_images_as_well_as_its_readme_says(self, model: str) -> None:
        """And as its metadata say, where training wrote it."""
        psnr = evaluate_decoders.original(model).psnr
        for said in (said_of(model)[-5], metadata(model)["test_psnr"]):
            assert psnr == pytest.approx(float(said.removesuffix(" dB")), abs=ROUNDED)

    def test_a_decoder_that_mixes_up_two_colours_is_noticed(self) -> None:
        """With red and blue swapped the images come back far worse."""
        before = evaluate_decoders.original("decoder_deconv4")
        swapped = images.psnr(before.restored[:, ::-1], images.test_images())
        assert swapped < before.psnr - 3

    @pytest.mark.parametrize("model", MODELS)
    def test_each_is_valid_small_and_takes_any_batch_and_size(self, model: str) -> None:
        """Any number of images, any height and width that four divides."""
        path = evaluate_decoders.path_of(model)
        proto = onnx.load(path)
        checker.check_model(proto, full_check=True)
        assert path.stat().st_size < MODEL_BYTES
        assert [each.version for each in proto.opset_import] == [17]
        session = evaluate.opened(proto)
        for shape in ((1, 3, 64, 64), (5, 3, 4, 36), (2, 3, 100, 8)):
            (restored,) = session.run([images.OUTPUT], {images.INPUT: np.zeros(shape, np.float32)})
            assert restored.shape == shape

    def test_its_metadata_say_how_each_was_made(self) -> None:
        for model in MODELS:
            facts = metadata(model)
            assert facts["trained_by"] == "train_decoders.py"
            assert (images.FOLDER / facts["trained_by"]).exists()
            assert int(facts["seed"]) == 2016

    def test_the_readme_describes_each_model(self) -> None:
        """Layers and sizes as they are; figures are held by other tests."""
        rows = {row[0]: row for row in tables.table_rows(evaluate_decoders.models_table())}
        for model in MODELS:
            said = said_of(model)
            assert rows[said[0]][:-5] == said[:-5]

    @pytest.mark.parametrize("model", MODELS)
    def test_lint_sees_what_each_is_an_example_of(self, model: str) -> None:
        """Uneven taps where stride 2 does not divide the kernel, rippling weights in all."""
        with open_model(evaluate_decoders.path_of(model)) as file:
            findings, skips, faults = lint_graph(read_graph(file), load_rules())
        found = {(each.code, each.node.name) for each in findings if each.code.startswith("UP")}
        assert not [skip for skip in skips if skip.code.startswith("UP")]
        assert not faults
        assert found == EXPECTED[model]


def _twice(code: str, node: str) -> set[tuple[str, str]]:
    return {(code, f"/{name}/{node}") for name in ("up1", "up2")}


RIPPLING = _twice("UP103", "ConvTranspose")
UNEVEN = _twice("UP101", "ConvTranspose")
UNLIKE = _twice("UP104", "DepthToSpace")
EXPECTED = {
    "decoder_deconv2": RIPPLING,
    "decoder_deconv3": RIPPLING | UNEVEN,
    "decoder_deconv4": RIPPLING,
    "decoder_deconv5": RIPPLING | UNEVEN,
    "decoder_brief": RIPPLING | UNEVEN,
    "decoder_subpixel": {(code, node.replace("/D", "_shuffle/D")) for code, node in UNLIKE},
    "decoder_icnr": {(code, node.replace("/D", "_shuffle/D")) for code, node in UNLIKE},
    "decoder_resize": set[tuple[str, str]](),
}


class TestCheckerboards:
    @pytest.mark.parametrize("model", MODELS)
    def test_each_shows_the_one_its_readme_tells_of(self, model: str) -> None:
        """On images of one colour; what it learnt to restore hides it."""
        before = evaluate_decoders.original(model)
        *_, ripples, pattern, probe, worst = said_of(model)
        assert before.ripples == pytest.approx([float(each) for each in ripples.split()], abs=0.06)
        for figure, said in (
            (before.pattern, pattern),
            (before.probe, probe),
            (before.worst_probe, worst),
        ):
            assert figure == pytest.approx(float(said), abs=0.06)

    def test_training_hides_them_in_photographs_and_on_grey(self) -> None:
        """About one step of an 8-bit image there, up to 31 on saturated colours."""
        for model in set(REWRITTEN) - {"decoder_brief"}:
            before = evaluate_decoders.original(model)
            assert before.pattern < 1
            assert max(before.patterns[each] for each in ("grey", "black", "white")) < 1.5
            assert before.probe > 5
            assert before.worst_probe < 31.5

    def test_resizing_and_convolving_shows_none(self) -> None:
        before = evaluate_decoders.original("decoder_resize")
        assert all(ripple == -inf for ripple in before.ripples)
        assert before.probe == before.worst_probe == 0
        assert folded(onnx.load(evaluate_decoders.path_of("decoder_resize"))) < 1e-3

    @pytest.mark.parametrize("model", ["decoder_deconv5", "decoder_icnr"])
    def test_the_probe_is_what_folding_by_hand_gives(self, model: str) -> None:
        """Blue, from the middle of a larger image than the probe takes."""
        by_hand = folded(onnx.load(evaluate_decoders.path_of(model)))
        probed = evaluate_decoders.original(model).patterns["blue"]
        assert by_hand == pytest.approx(probed, abs=0.01)
        assert by_hand > 5


def folded(proto: ModelProto) -> float:
    """What an image all blue makes of the model repeat modulo 4, in 1/255."""
    blue = np.zeros((1, 3, 96, 96), np.float32)
    blue[:, 2] = 1
    (restored,) = evaluate.opened(proto).run([images.OUTPUT], {images.INPUT: blue})
    inner = restored[0, :, 32:64, 32:64].astype(np.float64)
    phases = np.stack([inner[:, y::4, x::4].mean(axis=(1, 2)) for y in range(4) for x in range(4)])
    return float(255 * np.sqrt(phases.var(axis=0).mean()))


class TestData:
    def test_the_files_are_small(self) -> None:
        files = images.TEST_FILE, images.CALIBRATION_FILE
        assert sum(file.stat().st_size for file in files) < DATA_BYTES

    def test_feeds_are_the_input_of_the_models(self) -> None:
        """By name, type and shape, between 0 and 1; together they are all images of the file."""
        for make, path in (
            (images.test_feeds, images.TEST_FILE),
            (images.calibration_feeds, images.CALIBRATION_FILE),
        ):
            together = np.concatenate([feeds[images.INPUT] for feeds in make()])
            pixels = np.load(path)["pixels"]
            assert together.dtype == np.float32
            assert together.shape == (len(pixels), 3, images.SIDE, images.SIDE)
            assert 0 <= together.min() < together.max() <= 1
            assert np.array_equal(
                np.rint(together * 255).astype(np.uint8).transpose(0, 2, 3, 1), pixels
            )

    def test_no_rewrite_is_fitted_to_what_it_is_measured_on(self) -> None:
        """No patch of 8x8 pixels, wherever it lies, is in both files."""
        tested = _patches(np.load(images.TEST_FILE)["pixels"])
        assert not tested & _patches(np.load(images.CALIBRATION_FILE)["pixels"])

    def test_a_crop_that_overlaps_a_test_crop_is_noticed(self) -> None:
        """Eight pixels of the corner are enough."""
        pixels = np.load(images.TEST_FILE)["pixels"]
        leaked = np.zeros_like(pixels[:1])
        leaked[0, :8, :8] = pixels[3, -8:, -8:]
        assert _patches(pixels) & _patches(leaked)

    def test_psnr_is_that_of_the_textbook(self) -> None:
        """A difference of a tenth everywhere is 20 dB."""
        assert images.psnr(np.full((2, 3), 0.6), np.full((2, 3), 0.5)) == pytest.approx(20)


def _patches(pixels: NDArray[np.uint8]) -> set[bytes]:
    """Every 8x8 patch of every crop, those of one colour left out: the sky has many."""
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (8, 8, 3), axis=(1, 2, 3))
    flat = windows.reshape(-1, 8 * 8 * 3)
    return {patch.tobytes() for patch in flat[np.ptp(flat, axis=1) > 0]}


TO_SUBPIXEL, PAD_KERNEL, FITTED_ON_DATA, NARROW, WIDE, LINEAR, *UNAIDED, EQUALISED = (
    row for row in OF_DECONVOLUTIONS if row not in SMOOTHING
)
MADE_UP, PROJECTED = UNAIDED
BINOMIAL, BOX = SMOOTHING
TO_DECONV, BOTH = (row for row in OF_SUBPIXELS if row not in SMOOTHING)
MEASURED = (
    ("decoder_deconv3", TO_SUBPIXEL),
    ("decoder_deconv4", PAD_KERNEL),
    ("decoder_deconv5", PAD_KERNEL),
    ("decoder_deconv4", NARROW),
    ("decoder_brief", FITTED_ON_DATA),
    ("decoder_deconv2", MADE_UP),
    ("decoder_deconv5", PROJECTED),
    ("decoder_deconv3", EQUALISED),
    ("decoder_deconv2", BINOMIAL),
    ("decoder_subpixel", BOX),
    ("decoder_subpixel", TO_DECONV),
    ("decoder_icnr", TO_DECONV),
    ("decoder_icnr", BOTH),
)


def _id(value: object) -> str:
    return value.label.replace(" --", "/") if isinstance(value, Row) else str(value)


@cache
def measured(model: str, row: Row) -> Measured:
    return evaluate_decoders.measure(model, row)


class TestRewrites:
    @pytest.mark.parametrize(("model", "row"), MEASURED, ids=_id)
    def test_each_does_what_the_readme_says(self, model: str, row: Row) -> None:
        """Measured again: as close to the images, as much of a checkerboard, as many weights."""
        said = said_of_rewrite(model, row)
        assert "not measured" not in said[0], "run: python -m models.trained.evaluate_decoders"
        now = evaluate_decoders.cells(measured(model, row), evaluate_decoders.original(model))
        assert is_alike(now, said)

    def test_a_row_that_says_less_of_a_cost_is_noticed(self) -> None:
        """A quarter of a dB, or a refusal that did not happen."""
        said = said_of_rewrite("decoder_deconv2", BINOMIAL)
        assert is_alike(said, said)
        assert not is_alike((f"{float(said[0]) + 0.25:.2f}", *said[1:]), said)
        assert not is_alike(("refused: no reason", *[""] * (len(said) - 1)), said)

    def test_the_same_function_shows_the_same_checkerboard(self) -> None:
        for model, row in (
            ("decoder_deconv3", TO_SUBPIXEL),
            ("decoder_deconv5", PAD_KERNEL),
            ("decoder_icnr", TO_DECONV),
        ):
            before = evaluate_decoders.original(model)
            found = measured(model, row)
            assert found.snr > 120  # float32 keeps seven digits
            assert found.after.patterns == pytest.approx(before.patterns, abs=1e-3)
            assert found.after.ripples == pytest.approx(before.ripples, abs=1e-3)

    @pytest.mark.parametrize(
        ("model", "row"),
        [
            ("decoder_brief", FITTED_ON_DATA),
            ("decoder_deconv2", MADE_UP),
            ("decoder_icnr", BOTH),
            ("decoder_subpixel", BOX),
        ],
        ids=_id,
    )
    def test_what_ought_to_show_none_shows_none(self, model: str, row: Row, tmp_path: Path) -> None:
        """A thousandth of a step of an 8-bit image, folded by hand: several before."""
        with Runner(threads=1) as runner:
            row.apply(evaluate_decoders.path_of(model), tmp_path / "even.onnx", runner)
        assert folded(onnx.load(tmp_path / "even.onnx")) < 1e-3
        assert folded(onnx.load(evaluate_decoders.path_of(model))) > 3

    def test_a_brief_training_leaves_little_to_lose(self) -> None:
        """What an even upsampling costs is what the decoder has learnt to write phase by phase."""
        brief = measured("decoder_brief", FITTED_ON_DATA)
        long = measured("decoder_deconv2", MADE_UP)
        assert brief.after.psnr > evaluate_decoders.original("decoder_brief").psnr - 0.2
        assert long.after.psnr < evaluate_decoders.original("decoder_deconv2").psnr - 2

    def test_the_readme_sums_its_tables_up(self) -> None:
        """The ranges in its text, from the rows of the decoders that were trained long."""
        fitted = [*product(LONG_DECONVOLUTIONS, [FITTED_ON_DATA, MADE_UP]), ("decoder_icnr", BOTH)]
        blind = [*product([*LONG_DECONVOLUTIONS, "decoder_brief"], [PROJECTED, EQUALISED])]
        for low, high, rows in (
            ("2.3", "2.8", fitted),
            ("4", "16", blind),
            ("1.1", "2.1", [*product(LONG, [BINOMIAL])]),
            ("3.0", "4.4", [*product(LONG, [BOX])]),
        ):
            assert is_range_of([said_cost(model, row) for model, row in rows], low, high)

    def test_the_readme_says_what_other_windows_cost(self) -> None:
        """More than five taps do by default, or less, in the rows of the same decoder."""
        for sign, low, high, row in (
            (1, "0.6", "0.9", NARROW),
            (-1, "0.2", "0.3", WIDE),
            (1, "0.4", "1.5", LINEAR),
        ):
            more = [
                sign * (said_cost(model, row) - said_cost(model, FITTED_ON_DATA))
                for model in LONG_DECONVOLUTIONS
            ]
            assert is_range_of(more, low, high)

    def test_smoothing_costs_the_images_themselves_what_the_readme_says(self) -> None:
        """Their own PSNR after either filter."""
        box = np.convolve(np.convolve(np.ones(4) / 4, [0.5, 0.5]), [0.5, 0.5])
        for kernel in (np.array([0.25, 0.5, 0.25]), box):
            assert f"{_smoothed_psnr(kernel):.1f} dB" in readme()

    @pytest.mark.parametrize("row", dict.fromkeys([*OF_DECONVOLUTIONS, *OF_SUBPIXELS]), ids=_id)
    def test_each_row_is_titled_as_the_command_line_spells_it(self, row: Row) -> None:
        words = row.label.split()[len(row.rewrites) :]
        spelled = [word for word in words if word != "--data"]
        command = new_layer_options(click.Command("rewrite"))
        parsed = command.make_context("rewrite", spelled).params
        assert Options(**parsed) == row.options
        assert ("--data" in words) == row.with_data


LONG = [model for model in REWRITTEN if model != "decoder_brief"]
LONG_DECONVOLUTIONS = [model for model in LONG if model in DECONVOLUTIONS]


def said_cost(model: str, row: Row) -> float:
    """By how much the PSNR is lower, in dB."""
    return -float(said_of_rewrite(model, row)[1])


def is_range_of(figures: list[float], low: str, high: str) -> bool:
    """True when the README's text names this range, and it is that of the figures, rounded."""
    digit = 1.0 if "." not in low else 0.1
    bounds = pytest.approx([min(figures), max(figures)], abs=0.6 * digit)
    return [float(low), float(high)] == bounds and bool(
        re.search(rf"{low}\s+to\s+{high}\s+dB", readme())
    )


# By column: what a fit finds moves with the order of its sums, and rounding at the last digit.
SLACK = (FITTED, FITTED, 6.0, 0.06, 0.11, 0.11, 0.5)


def is_alike(now: tuple[str, ...], said: tuple[str, ...]) -> bool:
    """True when two rows of cells agree within SLACK, and in every word."""
    return all(
        one == other or _near(one.split(), other.split(), slack)
        for one, other, slack in zip(now, said, SLACK, strict=True)
    )


def _near(one: list[str], other: list[str], slack: float) -> bool:
    """False where one of them is words, and where there are more of them."""
    try:
        numbers = [[float(each.replace(",", "")) for each in cells] for cells in (one, other)]
    except ValueError:
        return False
    return len(one) == len(other) and numbers[0] == pytest.approx(numbers[1], abs=slack)


def _smoothed_psnr(kernel: NDArray[np.float64]) -> float:
    """PSNR of the test images after a separable filter, their border continued."""
    tested = images.test_images().astype(np.float64)
    smooth, taps = tested, len(kernel)
    for axis in (2, 3):
        around = [(0, 0)] * 4
        around[axis] = (taps // 2, taps - 1 - taps // 2)
        padded = np.pad(smooth, around, mode="edge")
        views = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=axis)
        smooth = views @ kernel
    return images.psnr(smooth, tested)
