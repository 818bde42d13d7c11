"""Encoders and decoders on one axis and one channel, and the sizes ONNX Runtime takes them at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxstride.modelfile import parse_text

# It ships no types.
_onnxruntime: Any = import_module("onnxruntime")


class Op(NamedTuple):
    """One operator of a net: its type, attributes, and inputs besides the map."""

    type: str
    attributes: tuple[tuple[str, Any], ...] = ()
    weights: tuple[tuple[float, ...] | str, ...] = ()


def conv(kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> Op:
    window = _window(kernel, stride, (pad, pad))
    return Op("Conv", (*window, ("dilations", (dilation,))), ((1.0,) * kernel,))


def deconv(kernel: int, stride: int, pad: int = 0, output_padding: int = 0) -> Op:
    window = _window(kernel, stride, (pad, pad))
    return Op("ConvTranspose", (*window, ("output_padding", (output_padding,))),
              ((1.0,) * kernel,))  # fmt: skip


def same(kernel: int, stride: int) -> Op:
    """A convolution that leaves its padding to the runtime."""
    return Op("Conv", (("kernel_shape", (kernel,)), ("strides", (stride,)),
                       ("auto_pad", "SAME_UPPER")), ((1.0,) * kernel,))  # fmt: skip


def pool(kernel: int, stride: int, *, ceil_mode: bool = False) -> Op:
    return Op("MaxPool", (*_window(kernel, stride, (0, 0)), ("ceil_mode", int(ceil_mode))))


def scale(by: float) -> Op:
    """Resize by a scale; ``-`` stands for an input that is left out."""
    return Op("Resize", (("mode", "nearest"),), ("-", (1.0, 1.0, by)))


def _window(kernel: int, stride: int, pads: tuple[int, int]) -> tuple[tuple[str, Any], ...]:
    return (("kernel_shape", (kernel,)), ("strides", (stride,)), ("pads", pads))


class Net(NamedTuple):
    """What a decoder adds to each map of its encoder, deepest first: one pair of lists a level."""

    down: tuple[tuple[Op, ...], ...]
    up: tuple[tuple[Op, ...], ...]
    merge: str = "Concat"

    def model(self, size: int | str = "W") -> onnx.ModelProto:
        """The net on an input of that size."""
        writer = _Writer()
        skips = ["x"]
        for ops in self.down:
            skips.append(writer.chain(skips[-1], ops))
        at = skips.pop()
        for ops in self.up:
            up = writer.chain(at, ops)
            attributes = {"axis": 1} if self.merge == "Concat" else {}
            merged = writer.add(self.merge, [skips.pop(), up], f"merge{len(skips)}", **attributes)
            # a concatenation doubles the channels; their mean is one again
            at = merged if self.merge != "Concat" else writer.mean(merged)
        return writer.model(size)


def unet(levels: int, down: Sequence[Op], up: Sequence[Op], merge: str = "Concat") -> Net:
    """The same operators at every level."""
    return Net((tuple(down),) * levels, (tuple(up),) * levels, merge)


class _Writer:
    """Nodes of a model as they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def chain(self, at: str, ops: Iterable[Op]) -> str:
        for op in ops:
            names = [at, *(self._weight(op, values) for values in op.weights)]
            at = self.add(op.type, names, f"t{len(self.nodes)}", **dict(op.attributes))
        return at

    def _weight(self, op: Op, values: tuple[float, ...] | str) -> str:
        if values == "-":
            return ""
        array = np.array(values, np.float32)
        if op.type in ("Conv", "ConvTranspose"):
            array = array.reshape(1, 1, -1)
        self.weights.append(numpy_helper.from_array(array, f"w{len(self.weights)}"))
        return str(self.weights[-1].name)

    def add(self, op_type: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op_type, inputs, [output], output, **attributes))
        return output

    def mean(self, name: str) -> str:
        return self.add("ReduceMean", [name], f"{name}_mean", axes=[1], keepdims=1)

    def model(self, size: int | str) -> onnx.ModelProto:
        """The model; its last map is the output."""
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, size])],
            [onnx.ValueInfoProto(name=self.nodes[-1].output[0])],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def sizes_that_run(proto: onnx.ModelProto, sizes: Iterable[int]) -> set[int]:
    """The sizes of a net at which it runs as meant; see :func:`running_sizes`."""
    return running_sizes(proto, "W", sizes, {})


def running_sizes(
    proto: onnx.ModelProto, symbol: str, sizes: Iterable[int], others: dict[str, int]
) -> set[int]:
    """The sizes of one symbol at which ONNX Runtime runs a model, and every map holds something.

    Its pools make up a window where the map is shorter than that by less than a stride; by the
    definition of the operator there is none, so such a size does not count.
    """
    whole = _with_all_outputs(proto)
    session = _session(whole.SerializeToString())
    names = [each.name for each in (*session.get_inputs(), *session.get_outputs())]
    found: set[int] = set()
    for size in sizes:
        given = {**others, symbol: size}
        shapes: dict[str, list[Any]] = {
            each.name: [given.get(dim, dim) for dim in each.shape] for each in session.get_inputs()
        }
        outputs = runs(session, shapes)
        if outputs is None or not all(output.size for output in outputs):
            continue
        maps = dict(zip(names, [*shapes.values(), *(each.shape for each in outputs)], strict=True))
        if not any(_makes_up_a_window(node, maps) for node in proto.graph.node):
            found.add(size)
    return found


def _with_all_outputs(proto: onnx.ModelProto) -> onnx.ModelProto:
    whole = onnx.ModelProto()
    whole.CopyFrom(proto)
    known = {output.name for output in whole.graph.output}
    for node in whole.graph.node:
        for name in node.output:
            if name and name not in known:
                whole.graph.output.add(name=name)
    return whole


def _makes_up_a_window(node: onnx.NodeProto, maps: Mapping[str, Sequence[Any]]) -> bool:
    if node.op_type not in ("MaxPool", "AveragePool"):
        return False
    attributes = {each.name: each for each in node.attribute}
    if "ceil_mode" in attributes and attributes["ceil_mode"].i:
        return False
    kernel = attributes["kernel_shape"].ints
    pads = attributes["pads"].ints if "pads" in attributes else [0] * (2 * len(kernel))
    lengths = maps[node.input[0]][2:]
    rank = len(kernel)
    return any(lengths[i] + pads[i] + pads[rank + i] < kernel[i] for i in range(rank))


def runs(session: Any, shapes: dict[str, list[Any]]) -> list[Any] | None:
    """The outputs for inputs of these shapes; None when ONNX Runtime refuses them."""
    feeds = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    try:
        outputs: list[Any] = session.run(None, feeds)
    except Exception as error:
        if type(error).__module__.startswith("onnxruntime"):
            return None
        raise
    return outputs


@cache
def _session(serialised: bytes) -> Any:
    return session_of(serialised)


def session_of(serialised: bytes) -> Any:
    """A session that optimises nothing and says nothing."""
    options = _onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = _onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _onnxruntime.InferenceSession(serialised, options, providers=["CPUExecutionProvider"])


def filled(text: str) -> onnx.ModelProto:
    """The model that ONNX text describes, weights without values filled in."""
    file = parse_text(text)
    proto = onnx.ModelProto()
    proto.CopyFrom(file.proto)
    for tensor, source in zip(proto.graph.initializer, file.proto.graph.initializer, strict=True):
        tensor.CopyFrom(numpy_helper.from_array(file.tensor(source), source.name))
    return proto
