"""How long a ConvTranspose takes, and the layers that can stand in for it.

    python benchmarks/deconv.py [--runs N] [--only LAYER ...] [--json FILE]

Each layer is timed in four forms: as it is; as a convolution and its phases put side by side,
*aligned* and *cropped* (deconv-to-subpixel builds one of the two); and as a nearest-neighbour
Resize with a convolution of k - s + 1 taps. The first three are one function, which is seen to
before they are timed; the weights of the last are as many as it has, and random.

All forms take turns within one process, on one thread, at the default optimisation level.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from math import prod
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

# Where this package is, when this file is run as a script.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import lint
from benchmarks.report import Spread, render_facts, render_table
from onnxstride.geometry import Axis
from onnxstride.geometry.polyphase import Polyphase, aligned, cheapest, cropped, to_phases
from onnxstride.surgery import Fragment, interleaved, interleaving
from onnxstride.surgery import cropped as cropped_ends

OPSET = 18
WARM_UP = 3
DECONV, ALIGNED, CROPPED, RESIZED = FORMS = ("ConvTranspose", "aligned", "cropped", "resize-conv")

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """A transposed convolution with the same window along each of ``rank`` axes."""

    read: int
    written: int
    size: int
    axis: Axis
    output_padding: int = 0
    group: int = 1
    rank: int = 2

    @property
    def title(self) -> str:
        channels = f"{self.read}->{self.written}" if self.group == 1 else f"{self.read} depthwise"
        size = "x".join([str(self.size)] * self.rank)
        window = f"k{self.axis.kernel} s{self.axis.stride} p{self.axis.begin}"
        extra = f" op{self.output_padding}" if self.output_padding else ""
        return f"{channels} @{size} {window}{extra}"

    @property
    def axes(self) -> list[Axis]:
        return [self.axis] * self.rank

    @property
    def extra(self) -> list[int]:
        return [self.output_padding] * self.rank

    def weights(self, *shape: int) -> Weights:
        return np.random.default_rng(1).standard_normal(shape, np.float32)

    @property
    def weight(self) -> Weights:
        return self.weights(self.read, self.written // self.group, *[self.axis.kernel] * self.rank)


def layer(kernel: int, stride: int, padding: int, *sizes: int, op: int = 0, **more: int) -> Layer:
    """A layer from kernel, stride and padding; then channels read, written, and the size."""
    read, written, size = sizes
    axis = Axis(kernel, stride, begin=padding, end=padding)
    return Layer(read, written, size, axis, op, **more)


LAYERS = (
    layer(4, 2, 1, 256, 128, 16),
    layer(4, 2, 1, 128, 64, 32),
    layer(4, 2, 1, 64, 32, 64),
    layer(4, 2, 1, 64, 3, 64),
    layer(3, 2, 1, 128, 64, 32, op=1),
    layer(3, 2, 1, 64, 3, 64, op=1),
    layer(5, 2, 2, 128, 64, 32, op=1),
    layer(2, 2, 0, 256, 256, 28),
    layer(9, 3, 4, 56, 1, 64, op=2),
    layer(4, 2, 1, 64, 64, 32, group=64),
    layer(16, 8, 4, 21, 21, 32, group=21),
    layer(16, 8, 4, 128, 64, 128, rank=1),
    layer(3, 2, 1, 32, 16, 16, op=1, rank=3),
)


def model_of(
    layer: Layer, nodes: Sequence[NodeProto], constants: Sequence[TensorProto]
) -> ModelProto:
    shape = [1, layer.read, *[layer.size] * layer.rank]
    graph = helper.make_graph(
        nodes,
        "one_layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def transposed(layer: Layer) -> ModelProto:
    """The layer as it is."""
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w"],
        ["y"],
        strides=[layer.axis.stride] * layer.rank,
        pads=[layer.axis.begin] * layer.rank + [layer.axis.end] * layer.rank,
        output_padding=layer.extra,
        group=layer.group,
    )
    return model_of(layer, [node], [numpy_helper.from_array(layer.weight, "w")])


def phased(layer: Layer, form: Polyphase) -> ModelProto:
    """Its phases side by side."""
    fragment = Fragment("layer", OPSET, [], set())
    weight = to_phases(layer.weight, form, layer.group)
    flat = np.ascontiguousarray(weight.reshape(-1, *weight.shape[2:]))
    made = fragment.add(
        "Conv",
        ["x", fragment.constant(flat, "weight")],
        pads=[window.begin for window in form.windows] + [window.end for window in form.windows],
        group=layer.group,
    )
    spelling = interleaving(OPSET, form.blocks, layer.group)
    sizes = [layer.size + window.begin + window.end - window.extent + 1 for window in form.windows]
    whole = interleaved(fragment, made, layer.written, form.blocks, sizes, spelling=spelling)
    fragment.stand_in("y", cropped_ends(fragment, OPSET, whole, dict(enumerate(form.crop))))
    built = fragment.finished()
    return model_of(layer, built.nodes, built.constants)


def resized(layer: Layer) -> ModelProto:
    """A nearest-neighbour Resize and a convolution that sees what the layer sees."""
    axis, rank = layer.axis, layer.rank
    kernel = [axis.kernel - axis.stride + 1] * rank
    reach = axis.kernel - axis.stride
    begin, end = reach - axis.begin, reach + layer.output_padding - axis.end
    weight = layer.weights(layer.written, layer.read // layer.group, *kernel)
    scales = np.array([1, 1, *[axis.stride] * rank], np.float32)
    nodes = [
        helper.make_node(
            "Resize",
            ["x", "", "scales"],
            ["large"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        helper.make_node(
            "Conv", ["large", "w"], ["y"], pads=[begin] * rank + [end] * rank, group=layer.group
        ),
    ]
    constants = {"scales": scales, "w": weight}
    return model_of(layer, nodes, [numpy_helper.from_array(v, k) for k, v in constants.items()])


BUILD: Mapping[str, Callable[[Layer], ModelProto]] = {
    DECONV: transposed,
    ALIGNED: lambda layer: phased(layer, aligned(layer.axes, layer.extra)),
    CROPPED: lambda layer: phased(layer, cropped(layer.axes, layer.extra)),
    RESIZED: resized,
}


def is_alone(layer: Layer) -> bool:
    """True when the cropped form is the aligned one."""
    return cropped(layer.axes, layer.extra).name == ALIGNED


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of each form of a layer, round by round."""

    layer: Layer
    rounds: Sequence[Mapping[str, float]]

    def ratio(self, form: str) -> Spread:
        """How many times as long as the ConvTranspose."""
        return Spread.over(each[form] / each[DECONV] for each in self.rounds)

    @property
    def chosen(self) -> str:
        """The form that deconv-to-subpixel builds."""
        read = self.layer.read // self.layer.group
        return cheapest(self.layer.axes, self.layer.extra, read).name

    @property
    def cells(self) -> list[str]:
        own = 1e3 * Spread.over(each[DECONV] for each in self.rounds).median
        ratios = [
            f"{self.ratio(form).median:.2f}" if form in self.rounds[0] else "" for form in FORMS[1:]
        ]
        return [self.layer.title, f"{own:.3g}", *ratios, self.chosen]


def timed(layer: Layer, runs: int) -> Timed:
    """All forms, in turn; the first rounds, which set up memory, are not counted.

    Raises:
        ValueError: a form that should be the same function is not.
    """
    names = [form for form in FORMS if form != CROPPED or not is_alone(layer)]
    sessions = {name: _session(BUILD[name](layer)) for name in names}
    x = layer.weights(1, layer.read, *[layer.size] * layer.rank)
    _hold_equal({name: session.run(None, {"x": x})[0] for name, session in sessions.items()})
    rounds = [
        {name: _seconds(session, x) for name, session in sessions.items()}
        for _ in range(WARM_UP + runs)
    ]
    return Timed(layer, rounds[WARM_UP:])


def _session(model: ModelProto) -> Any:
    runtime: Any = import_module("onnxruntime")  # it ships no types
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _seconds(session: Any, x: Weights) -> float:
    start = perf_counter()
    session.run(None, {"x": x})
    return perf_counter() - start


def _hold_equal(outputs: Mapping[str, Weights]) -> None:
    expected = outputs[DECONV]
    for name, found in outputs.items():
        if found.shape != expected.shape:
            raise ValueError(f"{name} makes {found.shape}, expected {expected.shape}")
        apart = 0.0 if name == RESIZED else float(np.abs(found - expected).max())
        if apart > 1e-5 * float(np.abs(expected).max()):
            raise ValueError(f"{name} is off by {apart}")


def render(rows: Sequence[Timed]) -> str:
    head = ["layer", f"{DECONV} ms", *(f"{form} x" for form in FORMS[1:]), "deconv-to-subpixel"]
    return f"\n{render_table(head, [row.cells for row in rows])}\n"


def as_json(row: Timed) -> dict[str, Any]:
    return {
        "layer": row.layer.title,
        "elements": prod([row.layer.size] * row.layer.rank),
        "chosen": row.chosen,
        "rounds": [dict(each) for each in row.rounds],
    }


@dataclass(slots=True)
class Options:
    """The command line."""

    runs: int = 30
    only: Sequence[str] = ()
    json: Path | None = None


def parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description="How long transposed convolutions take.")
    add = parser.add_argument
    add("--runs", type=int, metavar="N", help="rounds that count (default: 30)")
    add("--only", nargs="+", metavar="TEXT", help="layers whose titles hold one of these")
    add("--json", type=Path, metavar="FILE", help="write every round here")
    options = parser.parse_args(arguments, namespace=Options())
    if options.runs < 1:
        parser.error(f"--runs {options.runs}: at least one round is needed")
    if not list(chosen(options)):
        parser.error("--only: no layer has such a title")
    return options


def chosen(options: Options) -> Iterator[Layer]:
    for each in LAYERS:
        if not options.only or any(text in each.title for text in options.only):
            yield each


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    about = lint.facts(lint.Options(runs=options.runs, only=()))
    about["ONNX Runtime"] = version("onnxruntime")
    sys.stdout.write(render_facts(about))
    rows = [timed(each, options.runs) for each in chosen(options)]
    sys.stdout.write(render(rows))
    if options.json:
        document = {"facts": dict(about), "layers": [as_json(row) for row in rows]}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
