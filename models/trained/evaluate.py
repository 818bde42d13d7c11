"""Writes the tables of this folder's README: what each rewrite of the pools does to each model.

    python -m models.trained.evaluate            measures, and writes both tables
    python -m models.trained.evaluate --check    exits 1 if that would change the README

Every rewrite is made by the command that users run, with its own verification left out: what is
measured here is how far the answers move on images that neither the training nor the fit has seen.
With z the logits of the original and z' those of the rewritten model, over all test images,

    right         images whose largest z' is at the digit shown
    agrees        images whose largest z' and largest z are at the same digit
    logits off    |z' - z| / |z|
    pools off     the same for what stands in each pool's place, first to last, every pool before
                  it replaced too
    weights       numbers in initializers, more than the original has

The last rows are references, made here and offered by no rewrite: one strided depthwise convolution
for each pool, as a plain average of its window or as a copy of the value at its centre. Both are
smaller than the maximum, and after each pool the values fall shorter still. How many answers
survive that depends on the model.

A rewrite that fails, or leaves a strided pool where it was, has no figures: its row says why, and
the exit code is 1.
"""

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from . import digits
from .tables import one_cell, table, with_section, write_readme

ort: Any = importlib.import_module("onnxruntime")  # ships no types

CHECKOUT = digits.FOLDER.parent.parent
MODELS = ("digits_pool2", "digits_pool3", "digits_vgg")
PATIENCE = 600  # seconds for one rewrite

Floats = NDArray[np.float32]


class NotMeasured(Exception):
    """A row without figures; the message is the reason, for the table."""


# ------------------------------------------------------------------------- what is done to pools


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A rewrite by the command line; the label is its name and the options that matter."""

    label: str
    allow: str

    @property
    def title(self) -> str:
        return f"`{self.label}`"

    def apply(self, model: Path, out: Path) -> None:
        command = self.command(model, out)
        try:
            run = subprocess.run(  # noqa: S603 - every word of the command is written here
                command,
                cwd=CHECKOUT,
                capture_output=True,
                encoding="utf-8",
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NotMeasured(f"not done after {PATIENCE} seconds") from error
        if run.returncode or not out.exists():
            said = run.stderr.strip().splitlines() or [f"exit code {run.returncode}"]
            raise NotMeasured(said[-1])

    def command(self, model: Path, out: Path) -> list[str]:
        command = [sys.executable, "-m", "onnxstride", "rewrite", str(model), "-o", str(out)]
        command += ["--use", *self.label.split(), "--allow", self.allow, "--no-verify"]
        if "--init fit" in self.label:
            command += ["--data", str(digits.CALIBRATION_FILE)]
        return command


@dataclass(frozen=True, slots=True)
class Reference:
    """A depthwise convolution for each pool, with one fixed kernel."""

    label: str
    kernel: Callable[[Sequence[int]], Floats]

    @property
    def title(self) -> str:
        return f"{self.label} (not offered)"

    def apply(self, model: Path, out: Path) -> None:
        proto = onnx.load(model)
        nodes = [self._replaced(node, proto) for node in proto.graph.node]
        del proto.graph.node[:]
        proto.graph.node.extend(nodes)
        onnx.save(proto, out)

    def _replaced(self, node: NodeProto, proto: ModelProto) -> NodeProto:
        if not is_strided_pool(node):
            return node
        a = attributes(node)
        channels = _channels(proto, node.input[0])
        kernel = self.kernel(a["kernel_shape"])
        weight = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
        proto.graph.initializer.append(numpy_helper.from_array(weight, f"{node.name}/weight"))
        shared = {key: a[key] for key in ("kernel_shape", "strides", "pads") if key in a}
        inputs = [node.input[0], f"{node.name}/weight"]
        return helper.make_node(
            "Conv", inputs, node.output, name=node.name, group=channels, **shared
        )


def average(shape: Sequence[int]) -> Floats:
    """Every value of the window alike."""
    return np.full(shape, 1 / np.prod(shape), np.float32)


def delta(shape: Sequence[int]) -> Floats:
    """The value at the centre of the window; where that is between values, the one before."""
    kernel = np.zeros(shape, np.float32)
    kernel[tuple((size - 1) // 2 for size in shape)] = 1
    return kernel


Row = Rewrite | Reference

REWRITES = (
    Rewrite("maxpool-to-exact-conv", "exact"),
    Rewrite("maxpool-to-conv --init mean", "training"),
    Rewrite("maxpool-to-conv --init fit --conv depthwise", "training"),
    Rewrite("maxpool-to-conv --init fit --conv full", "training"),
    Rewrite("maxpool-to-resize-conv --init fit", "training"),
    Rewrite("maxpool-to-blurpool", "approximate"),
)
REFERENCES = (
    Reference("plain average", average),
    Reference("centre value", delta),
)

# ------------------------------------------------------------------------------------- the models


def path_of(model: str) -> Path:
    return digits.FOLDER / f"{model}.onnx"


def attributes(node: NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def is_strided_pool(node: NodeProto) -> bool:
    return node.op_type == "MaxPool" and max(attributes(node).get("strides", [1])) > 1


def pools(proto: ModelProto) -> list[NodeProto]:
    return [node for node in proto.graph.node if is_strided_pool(node)]


def weights(proto: ModelProto) -> int:
    return sum(int(np.prod(tensor.dims)) for tensor in proto.graph.initializer)


def _channels(proto: ModelProto, value: str) -> int:
    """How many channels a value has, from the convolution before it."""
    makers = {name: node for node in proto.graph.node for name in node.output}
    filters = {tensor.name: tensor.dims[0] for tensor in proto.graph.initializer}
    node = makers[value]
    while node.op_type != "Conv":
        node = makers[node.input[0]]
    return int(filters[node.input[1]])


# ----------------------------------------------------------------------------------- measurements


@dataclass(frozen=True, slots=True)
class Observation:
    """What a model makes of the test images: its logits, and the values where pools were."""

    logits: Floats
    pooled: tuple[Floats, ...]
    weights: int

    @property
    def answers(self) -> NDArray[np.intp]:
        best: NDArray[np.intp] = self.logits.argmax(axis=1)
        return best


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of figures, as the module's docstring defines them."""

    right: int
    agreeing: int
    logits_off: float
    pools_off: tuple[float, ...]
    weights: int


def observe(path: Path, pooled: Sequence[str]) -> Observation:
    """One run over the test images; ``pooled`` names the values to look at."""
    proto = onnx.load(path)
    proto.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in pooled)
    session = opened(proto)
    names = [digits.OUTPUT, *pooled]
    batches = [session.run(names, feeds) for feeds in digits.test_feeds()]
    logits, *others = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return Observation(logits, tuple(others), weights(proto))


def opened(proto: ModelProto) -> Any:
    """The model in ONNX Runtime, on one thread, so that the figures are the same each time."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@cache
def original(model: str) -> Observation:
    path = path_of(model)
    return observe(path, [node.output[0] for node in pools(onnx.load(path))])


def right_answers(observation: Observation) -> int:
    _, labels = digits.labelled_test()
    return int((observation.answers == labels).sum())


def measure(model: str, row: Row) -> Measured:
    """The figures of one row.

    Raises:
        NotMeasured: there is no rewritten model to measure, with the reason.
    """
    before = original(model)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rewritten.onnx"
        row.apply(path_of(model), out)
        if left := pools(onnx.load(out)):
            raise NotMeasured(f"{len(left)} of {len(before.pooled)} pools are still there")
        places = [node.output[0] for node in pools(onnx.load(path_of(model)))]
        after = observe(out, places)
    return Measured(
        right_answers(after),
        int((after.answers == before.answers).sum()),
        relative_error(after.logits, before.logits),
        tuple(map(relative_error, after.pooled, before.pooled)),
        after.weights - before.weights,
    )


def relative_error(values: Floats, expected: Floats) -> float:
    """|values - expected| / |expected|, in the Euclidean norm over everything."""
    difference = values.astype(np.float64) - expected
    return float(np.linalg.norm(difference) / np.linalg.norm(expected.astype(np.float64)))


# ------------------------------------------------------------------------------------- the README


MODEL_COLUMNS = ("model", "convolutions 3x3", "pools", "weights", "file", "right")
REWRITE_COLUMNS = ("pools replaced by", "right", "agrees", "logits off", "pools off", "weights")


def models_table() -> str:
    """The models as they are: layers, size, and how many test images they get right."""
    return table([MODEL_COLUMNS, *map(_model_row, MODELS)])


def _model_row(model: str) -> tuple[str, ...]:
    proto = onnx.load(path_of(model))
    shapes = {tensor.name: tensor.dims for tensor in proto.graph.initializer}
    convolutions = [node for node in proto.graph.node if node.op_type == "Conv"]
    pool = attributes(pools(proto)[0])
    kernel = "x".join(map(str, pool["kernel_shape"]))
    pads = f" pads {pool['pads'][0]}" if any(pool.get("pads", ())) else ""
    before = original(model)
    return (
        f"[{model}]({model}.onnx)",
        ", ".join(str(shapes[node.input[1]][0]) for node in convolutions),
        f"{len(pools(proto))} MaxPool {kernel} /{pool['strides'][0]}{pads}",
        f"{weights(proto):,}",
        f"{path_of(model).stat().st_size / 1000:.0f} kB",
        f"{right_answers(before)} of {len(before.logits)}",
    )


def rewrites_table(model: str) -> tuple[str, bool]:
    """The table of one model, and whether every row of it has figures."""
    rows: list[tuple[str, ...]] = [REWRITE_COLUMNS]
    complete = True
    for row in (*REWRITES, *REFERENCES):
        try:
            rows.append((row.title, *cells(measure(model, row), original(model))))
        except NotMeasured as error:
            complete = False
            rows.append((row.title, f"not measured: {one_cell(str(error))}", "", "", "", ""))
    return f"**{model}**\n\n{table(rows)}", complete


def cells(measured: Measured, before: Observation) -> tuple[str, ...]:
    images = len(before.logits)
    return (
        f"{measured.right / images:.1%}",
        f"{measured.agreeing / images:.1%}",
        f"{measured.logits_off:.2g}",
        " ".join(f"{each:.2g}" for each in measured.pools_off),
        f"{measured.weights:+,}",
    )


def fresh_readme(text: str) -> tuple[str, bool]:
    """The README measured anew, and whether every row has figures."""
    tables = [rewrites_table(model) for model in MODELS]
    text = with_section(text, "models", models_table())
    text = with_section(text, "rewrites", "\n".join(table for table, _ in tables))
    return text, all(complete for _, complete in tables)


if __name__ == "__main__":
    write_readme("models.trained.evaluate", fresh_readme)
