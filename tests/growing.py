"""Models of any length, each long in a way of its own, and a count of the work done on them.

Work is counted in executed lines of Python, and so is the same on every machine. What numpy and
protobuf do within one line does not count; what is done once a node, or once a pair of nodes, does.
"""

import sys
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

Side = int | str | None
_FLOAT = TensorProto.FLOAT
_CHANNELS = 2


class Work:
    """Executed lines, by the function they are of."""

    def __init__(self) -> None:
        self.by_code: Counter[CodeType] = Counter()

    @property
    def lines(self) -> int:
        return sum(self.by_code.values())

    def steepest(self, half: "Work", count: int = 3) -> str:
        """The functions that account for most of what this is more than twice ``half``."""
        beyond = Counter(
            {code: lines - 2 * half.by_code[code] for code, lines in self.by_code.items()}
        )
        return ", ".join(
            f"{code.co_qualname} {more:+,}" for code, more in beyond.most_common(count)
        )


@contextmanager
def counted() -> Generator[Work]:
    """Counts the lines that are executed in the block."""
    work = Work()
    lines = work.by_code

    def within(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            lines[frame.f_code] += 1
        return within

    before = sys.gettrace()
    sys.settrace(lambda frame, event, argument: within)
    try:
        yield work
    finally:
        sys.settrace(before)


def residual(blocks: int, side: Side = 32) -> ModelProto:
    """Blocks that go down and up again, each with a skip connection around it."""
    nodes: list[NodeProto] = []
    for i in range(blocks):
        nodes += [
            _conv(f"v{i}", f"a{i}", stride=2),
            _node("Relu", [f"a{i}"], f"b{i}"),
            _up(f"b{i}", f"c{i}"),
            _node("Add", [f"c{i}", f"v{i}"], f"v{i + 1}"),
        ]
    return _model(nodes, f"v{blocks}", side)


def chain(blocks: int, side: Side = 32) -> ModelProto:
    """One layer after the other, down and up, with nothing around them."""
    nodes: list[NodeProto] = []
    for i in range(blocks):
        nodes += [
            _node("MaxPool", [f"v{i}"], f"a{i}", kernel_shape=[2, 2], strides=[2, 2]),
            _conv(f"a{i}", f"b{i}"),
            _up(f"b{i}", f"v{i + 1}"),
        ]
    return _model(nodes, f"v{blocks}", side)


def nested_skips(blocks: int, side: Side = 32) -> ModelProto:
    """What the first layer makes meets what the last does, the second the last but one, .."""
    nodes = [_conv(f"v{i}", f"v{i + 1}") for i in range(blocks)]
    at = f"v{blocks}"
    for i in reversed(range(blocks)):
        nodes += [
            _node("Concat", [at, f"v{i}"], f"m{i}", axis=1),
            _node("Conv", [f"m{i}", "wide"], f"u{i}", pads=[1] * 4),
        ]
        at = f"u{i}"
    return _model(nodes, at, side)


def dilated(blocks: int, side: Side = 32) -> ModelProto:
    """Dilated convolutions one after the other."""
    nodes = [_conv(f"v{i}", f"v{i + 1}", dilation=2) for i in range(blocks)]
    return _model(nodes, f"v{blocks}", side)


def fan(blocks: int, side: Side = 32) -> ModelProto:
    """One map that very many layers read, and one node that reads all they make."""
    nodes = [_conv("v0", f"a{i}", stride=2) for i in range(blocks)]
    nodes.append(_node("Concat", [f"a{i}" for i in range(blocks)], "y", axis=1))
    return _model(nodes, "y", side)


def pointwise(blocks: int, side: Side = 32) -> ModelProto:
    """Very long stretches of operators that leave resolution alone, with a window after each."""
    nodes: list[NodeProto] = [_conv("v0", "a0", stride=2), _up("a0", "p0")]
    nodes += [_node("Relu", [f"p{i}"], f"p{i + 1}") for i in range(6 * blocks)]
    nodes += [_conv(f"p{6 * blocks}", "y")]
    return _model(nodes, "y", side)


def branching(blocks: int, side: Side = 32) -> ModelProto:
    """Nodes that carry bodies, with layers in both branches."""
    nodes = [
        _node(
            "If",
            ["flag"],
            f"v{i + 1}",
            then_branch=_body([_conv(f"v{i}", f"t{i}")], f"t{i}"),
            else_branch=_body([_node("Relu", [f"v{i}"], f"e{i}")], f"e{i}"),
        )
        for i in range(blocks)
    ]
    return _model(nodes, f"v{blocks}", side)


def calling(blocks: int, side: Side = 32) -> ModelProto:
    """Calls of a function that holds a layer."""
    nodes = [_node("Half", [f"v{i}"], f"v{i + 1}", domain="local") for i in range(blocks)]
    model = _model(nodes, f"v{blocks}", side)
    body = [
        _node("Constant", [], "k", value=_weight("k", 3)),
        _node("Conv", ["x", "k"], "a", pads=[1] * 4),
        _node("AveragePool", ["a"], "y", kernel_shape=[3, 3], pads=[1] * 4),
    ]
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("local", "Half", ["x"], ["y"], body, opset))
    model.opset_import.append(helper.make_opsetid("local", 1))
    return model


def resizing(blocks: int, side: Side = 32) -> ModelProto:
    """Maps enlarged to sizes that are computed as the model runs, as exporters write it."""
    nodes: list[NodeProto] = []
    for i in range(blocks):
        nodes += [
            _conv(f"v{i}", f"a{i}", stride=2),
            _node("Shape", [f"v{i}"], f"s{i}"),
            _node("Slice", [f"s{i}", "two", "four"], f"hw{i}"),
            _node("Shape", [f"a{i}"], f"t{i}"),
            _node("Slice", [f"t{i}", "zero", "two"], f"nc{i}"),
            _node("Concat", [f"nc{i}", f"hw{i}"], f"to{i}", axis=0),
            _node("Resize", [f"a{i}", "", "", f"to{i}"], f"u{i}"),
            _node("Add", [f"u{i}", f"v{i}"], f"v{i + 1}"),
        ]
    return _model(nodes, f"v{blocks}", side)


def shuffling(blocks: int, side: Side = 32) -> ModelProto:
    """Sub-pixel convolutions, each with a space-to-depth behind it."""
    nodes: list[NodeProto] = []
    for i in range(blocks):
        nodes += [
            _node("Conv", [f"v{i}", "quadruple"], f"a{i}", pads=[1] * 4),
            _node("DepthToSpace", [f"a{i}"], f"b{i}", blocksize=2),
            _node("SpaceToDepth", [f"b{i}"], f"c{i}", blocksize=2),
            _node("Conv", [f"c{i}", "quarter"], f"v{i + 1}", pads=[1] * 4),
        ]
    return _model(nodes, f"v{blocks}", side)


def padding(blocks: int, side: Side = 32) -> ModelProto:
    """Zero padding in front of pools that average and take maxima."""
    nodes: list[NodeProto] = []
    for i in range(blocks):
        nodes += [
            _node("Pad", [f"v{i}", "around"], f"a{i}"),
            _node("MaxPool", [f"a{i}"], f"b{i}", kernel_shape=[3, 3]),
            _node("Pad", [f"b{i}", "around"], f"c{i}"),
            _node("AveragePool", [f"c{i}"], f"v{i + 1}", kernel_shape=[3, 3]),
        ]
    return _model(nodes, f"v{blocks}", side)


SHAPES: dict[str, Callable[[int, Side], ModelProto]] = {
    "residual": residual,
    "chain": chain,
    "nested skips": nested_skips,
    "dilated": dilated,
    "fan": fan,
    "pointwise": pointwise,
    "branching": branching,
    "calling": calling,
    "resizing": resizing,
    "shuffling": shuffling,
    "padding": padding,
}


def _node(op: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs, [output], name=f"{op}_{output}", **attributes)


def _conv(source: str, output: str, *, stride: int = 1, dilation: int = 1) -> NodeProto:
    around = {"strides": [stride] * 2, "dilations": [dilation] * 2, "pads": [dilation] * 4}
    return _node("Conv", [source, "square"], output, **around)


def _up(source: str, output: str) -> NodeProto:
    return _node("ConvTranspose", [source, "even"], output, strides=[2, 2])


def _body(nodes: list[NodeProto], output: str) -> GraphProto:
    value = helper.make_tensor_value_info(output, _FLOAT, None)
    return helper.make_graph(nodes, "body", [], [value])


def _weight(name: str, kernel: int, filters: int = _CHANNELS, inputs: int = _CHANNELS) -> Any:
    shape = (filters, inputs, kernel, kernel)
    size = filters * inputs * kernel * kernel
    values = [((7 * i) % 11 - 5) / 10 for i in range(size)]
    return helper.make_tensor(name, _FLOAT, shape, values)


def _integers(name: str, *values: int) -> TensorProto:
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def _model(nodes: list[NodeProto], output: str, side: Side) -> ModelProto:
    """A model of one image; ``side`` is its height and width, a number, a symbol or unknown."""
    sides = [f"{side}_h", f"{side}_w"] if isinstance(side, str) else [side] * 2
    image = helper.make_tensor_value_info("v0", _FLOAT, [1, _CHANNELS, *sides])
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    made = helper.make_tensor_value_info(output, _FLOAT, None)
    tensors = [
        _weight("square", 3),
        _weight("wide", 3, inputs=2 * _CHANNELS),
        _weight("even", 2),
        _weight("quadruple", 3, filters=4 * _CHANNELS),
        _weight("quarter", 3, inputs=4 * _CHANNELS),
        _integers("zero", 0),
        _integers("two", 2),
        _integers("four", 4),
        _integers("around", 0, 0, 1, 1, 0, 0, 1, 1),
    ]
    read = {name for node in nodes for name in node.input}
    inputs = [image, *([flag] if "flag" in read else [])]
    held = [tensor for tensor in tensors if tensor.name in read]
    graph = helper.make_graph(nodes, "growing", inputs, [made], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
