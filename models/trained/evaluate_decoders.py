"""Writes the decoders' tables in this folder's README: what each rewrite does to each of them.

    python -m models.trained.evaluate_decoders            measures, and writes both tables
    python -m models.trained.evaluate_decoders --check    exits 1 if that would change the README

The rewrites are made as the command line makes them, with its own verification left out. With x the
test images, y what the original gives back and y' what the rewritten model does,

    PSNR      10 log10 of 1 / mean (y' - x)^2; `change`: how much that is above the original's
    SNR       10 log10 of mean y^2 / mean (y' - y)^2: how close it stays to the original
    ripple    of the weights of each upsampling layer, first to last, in dB, as
              onnxstride.geometry.ripple defines it; +4.8 for random weights, -inf for even ones
    probe     what `lint --probe` measures: the pattern on images of one colour (grey, black, white
              and six saturated ones), away from the border and folded modulo 4, as the root mean
              square deviation of the phase means; over all nine images, in 1/255
    worst     the same of the colour that shows it most
    weights   numbers in initializers, more than the original has

A rewrite that takes only some of the layers it is asked about, or none, is a row too, which says
why; one that fails has no figures, and the exit code is 1.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from math import inf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnxstride.engine.activations import Activations
from onnxstride.engine.changes import Plan, Rewritten
from onnxstride.engine.rewriting import rewrite_model
from onnxstride.errors import OnnxstrideError
from onnxstride.geometry.ripple import ripple_db
from onnxstride.geometry.subpixel import phase_channels, subpixel_ripple
from onnxstride.graph import Graph, read_graph
from onnxstride.graph.layers import Conv, ConvTranspose, Layer, Resize, Shuffle, Window
from onnxstride.modelfile import open_model
from onnxstride.modelfile.writer import write_model
from onnxstride.probe import ProbeOptions, probe_model
from onnxstride.probe.ripple import measure as pattern_of
from onnxstride.registry import find_rewrite, load_rewrites
from onnxstride.rewrite import Options
from onnxstride.rule import Safety
from onnxstride.verify import Runner

from . import images
from .evaluate import NotMeasured, opened, weights
from .tables import one_cell, table, with_section, write_readme

DECONVOLUTIONS = (*(f"decoder_deconv{kernel}" for kernel in (2, 3, 4, 5)), "decoder_brief")
SUBPIXELS = ("decoder_subpixel", "decoder_icnr")
REWRITTEN = (*DECONVOLUTIONS, *SUBPIXELS)
MODELS = (*REWRITTEN, "decoder_resize")
DATA = "models.trained.images:calibration_feeds"
FACTOR, PERIOD = 2, 4
DEFAULTS = Options()

# ----------------------------------------------------------------------------- what is done to them


@dataclass(frozen=True, slots=True)
class Row:
    """Rewrites that are used together; ``label`` spells them as the command line does."""

    rewrites: tuple[str, ...]
    options: Options = DEFAULTS
    with_data: bool = False

    @property
    def label(self) -> str:
        words = list(self.rewrites)
        for field in fields(Options):
            value = getattr(self.options, field.name)
            if value != field.default:
                words += [f"--{field.name}", str(value)]
        return " ".join([*words, *(["--data"] if self.with_data else [])])

    def apply(self, model: Path, out: Path, runner: Runner) -> Rewritten:
        """Write the rewritten model."""
        loaded = load_rewrites()
        with open_model(model) as original:
            plan = Plan(
                [find_rewrite(loaded, name) for name in self.rewrites],
                named=True,
                allow=Safety.TRAINING,
                options=self.options,
                tap=Activations(original, DATA, runner) if self.with_data else None,
                made_up=Activations(original, None, runner),
            )
            rewritten = rewrite_model(original, plan)
            write_model(rewritten.model, out, external="reference")
        return rewritten


TO_RESIZE = ("deconv-to-resize-conv",)
SMOOTHING = (
    Row(("smooth-output",)),
    Row(("smooth-output",), Options(smooth="box")),
)
OF_DECONVOLUTIONS = (
    Row(("deconv-to-subpixel",)),
    Row(("deconv-pad-kernel",)),
    Row(TO_RESIZE, with_data=True),
    Row(TO_RESIZE, Options(kernel=3), with_data=True),
    Row(TO_RESIZE, Options(kernel=7), with_data=True),
    Row(TO_RESIZE, Options(mode="linear"), with_data=True),
    Row(TO_RESIZE),
    Row(TO_RESIZE, Options(init="mean")),
    Row(("deconv-equalise",)),
    *SMOOTHING,
)
OF_SUBPIXELS = (
    Row(("subpixel-to-deconv",)),
    Row(("subpixel-to-deconv", *TO_RESIZE), with_data=True),
    *SMOOTHING,
)


def rows_of(model: str) -> tuple[Row, ...]:
    return OF_DECONVOLUTIONS if model in DECONVOLUTIONS else OF_SUBPIXELS


def path_of(model: str) -> Path:
    return images.FOLDER / f"{model}.onnx"


# ----------------------------------------------------------------------------------- measurements


@dataclass(frozen=True, slots=True)
class Observation:
    """What a model gives back of the test images, and what it shows of its upsamplings."""

    restored: images.Images
    ripples: tuple[float, ...]
    patterns: dict[str, float]  # by colour; none where no layer enlarges by weights
    weights: int

    @property
    def psnr(self) -> float:
        return images.psnr(self.restored, images.test_images())

    @property
    def pattern(self) -> float:
        """What all test images' errors repeat modulo 4, in 1/255."""
        error = (self.restored.astype(np.float64) - images.test_images()).mean(axis=0)
        return images.BRIGHTEST * pattern_of(error, (PERIOD, PERIOD)).rms

    @property
    def probe(self) -> float:
        """What images of one colour show, over all colours, in 1/255."""
        squares = [each**2 for each in self.patterns.values()]
        return sqrt(sum(squares) / max(1, len(squares)))

    @property
    def worst_probe(self) -> float:
        """Of the colour that shows it most."""
        return max(self.patterns.values(), default=0.0)


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of figures: how many layers were rewritten, and why others were not."""

    after: Observation
    snr: float
    changed: int
    refusals: tuple[str, ...]


def observe(path: Path, runner: Runner) -> Observation:
    proto = onnx.load(path)
    session = opened(proto)
    batches = [session.run([images.OUTPUT], feeds)[0] for feeds in images.test_feeds()]
    with open_model(path) as model:
        graph = read_graph(model)
        probed = probe_model(model, graph, ProbeOptions(range=(0.0, 1.0)), runner)
        ripples = tuple(_ripples(graph))
    if probed.problem:
        raise NotMeasured(probed.problem)
    answers = [answer for output in probed.outputs for answer in output.answers]
    patterns = {answer.stimulus: images.BRIGHTEST * answer.rms for answer in answers}
    return Observation(np.concatenate(batches), ripples, patterns, weights(proto))


@cache
def original(model: str) -> Observation:
    with Runner(threads=1) as runner:
        return observe(path_of(model), runner)


def measure(model: str, row: Row) -> Measured:
    """The figures of one row.

    Raises:
        NotMeasured: the rewrite failed, with the reason.
    """
    with tempfile.TemporaryDirectory() as folder, Runner(threads=1) as runner:
        out = Path(folder) / "rewritten.onnx"
        try:
            rewritten = row.apply(path_of(model), out, runner)
        except OnnxstrideError as error:
            raise NotMeasured(error.message) from error
        after = observe(out, runner)
    snr = _snr(after.restored, original(model).restored)
    reasons = tuple(declined.reason for declined in rewritten.declined)
    return Measured(after, snr, len(rewritten.changes), reasons)


def _snr(values: images.Images, expected: images.Images) -> float:
    """Power of the expected over that of the difference, in dB."""
    noise = np.square(values.astype(np.float64) - expected).mean()
    power = np.square(expected.astype(np.float64)).mean()
    return float(10 * np.log10(power / noise)) if noise else inf


def _ripples(graph: Graph) -> Iterator[float]:
    """Of every layer that enlarges, in dB; a Resize leaves what is constant constant."""
    made_by = {layer.node.output(0): layer for layer in graph.layers}
    for layer in graph.layers:
        if isinstance(layer, ConvTranspose):
            yield ripple_db(_weight(layer, graph), layer.axes)
        elif isinstance(layer, Shuffle):
            convolution = made_by[layer.input]
            assert isinstance(convolution, Conv)
            weight = _weight(convolution, graph)
            phases = phase_channels(layer.blocks, len(weight), layer.mode)
            yield subpixel_ripple(weight, phases, np.ones(1)).total
        elif isinstance(layer, Resize):
            yield -inf


def _weight(layer: Conv | ConvTranspose, graph: Graph) -> NDArray[Any]:
    weight = graph.constant(layer.node, layer.weight)
    assert weight is not None
    return weight


# ------------------------------------------------------------------------------------- the README

MODEL_COLUMNS = (
    "model",
    "upsampling, twice",
    "weights",
    "file",
    "PSNR",
    "ripple",
    "pattern",
    "probe",
    "worst",
)
REWRITE_COLUMNS = ("rewrite", "PSNR", "change", "SNR", "ripple", "probe", "worst", "weights")


def models_table() -> str:
    """The decoders as they were trained."""
    return table([MODEL_COLUMNS, *map(_model_row, MODELS)])


def _model_row(model: str) -> tuple[str, ...]:
    before = original(model)
    return (
        f"[{model}]({model}.onnx)",
        _upsampling(model),
        f"{before.weights:,}",
        f"{path_of(model).stat().st_size / 1000:.0f} kB",
        f"{before.psnr:.2f} dB",
        _listed(before.ripples),
        f"{before.pattern:.1f}",
        f"{before.probe:.1f}",
        f"{before.worst_probe:.1f}",
    )


def _upsampling(model: str) -> str:
    """Its last upsampling; the one before it is of the same kind."""
    with open_model(path_of(model)) as file:
        *_, before, last = read_graph(file).layers
    if isinstance(last, Shuffle):
        return f"Conv {_kernel(before)}, DepthToSpace x{last.blocks[0]}"
    if isinstance(before, Resize):
        return f"Resize {before.mode} x{FACTOR}, Conv {_kernel(last)}"
    return f"{last.op} {_kernel(last)} x{FACTOR}"


def _kernel(layer: Layer) -> str:
    assert isinstance(layer, Window)
    return "x".join(map(str, layer.kernel))


def rewrites_table(model: str) -> tuple[str, bool]:
    """The table of one model, and whether no row of it failed."""
    before = original(model)
    rows = [REWRITE_COLUMNS, ("as trained", *cells(Measured(before, inf, 0, ()), before))]
    complete = True
    for row in rows_of(model):
        try:
            rows.append((f"`{row.label}`", *cells(measure(model, row), before)))
        except NotMeasured as error:
            complete = False
            rows.append((f"`{row.label}`", *_wordy(f"not measured: {error}")))
    return f"**{model}**\n\n{table(rows)}", complete


def _wordy(text: str) -> tuple[str, ...]:
    """A row that has no figures but something to say."""
    return (one_cell(text), *[""] * (len(REWRITE_COLUMNS) - 2))


def cells(measured: Measured, before: Observation) -> tuple[str, ...]:
    """The figures of a row; where nothing was rewritten, the reason."""
    after = measured.after
    if measured.refusals and not measured.changed:
        return _wordy(f"refused: {measured.refusals[0]}")
    return (
        f"{after.psnr:.2f}",
        f"{round(after.psnr - before.psnr, 2) + 0.0:+.2f}",
        f"{measured.snr:.0f}" if measured.snr < inf else "exact",
        _listed(after.ripples),
        f"{after.probe:.1f}",
        f"{after.worst_probe:.1f}",
        f"{after.weights - before.weights:+,}",
    )


def _listed(ripples: Sequence[float]) -> str:
    return " ".join(f"{each:+.1f}" for each in ripples)


def fresh_readme(text: str) -> tuple[str, bool]:
    """The README with the decoders measured anew, and whether every row has figures."""
    tables = [rewrites_table(model) for model in REWRITTEN]
    text = with_section(text, "decoders", models_table())
    text = with_section(text, "decoder-rewrites", "\n".join(table for table, _ in tables))
    return text, all(complete for _, complete in tables)


if __name__ == "__main__":
    write_readme("models.trained.evaluate_decoders", fresh_readme)
