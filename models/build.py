"""Writes the models of this folder, and the table in its README.

Each function below is one architecture: depths, kernels, strides and pads are those of the paper
or, where its title says so, of its usual implementation; channels are divided so that the text
stays readable and a run takes a moment. Weights are declared without values; onnxstride fills them
with seeded noise when it reads the text.

    python models/build.py            writes every <architecture>.onnxtxt
    python models/build.py --table    writes the README's table, asking lint what it says

A value is called what its node is called, with "_" for "/". Batch normalisation that directly
follows a convolution is folded into it, as exporters do.
"""

import argparse
import json
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
README = FOLDER / "README.md"
BEGIN, END = "<!-- lint:begin -->\n", "<!-- lint:end -->\n"
CLASSES = 10

Attribute = int | float | str | Sequence[int]

# The IR version that came with each opset used here (onnx/docs/Versioning.md).
IR_VERSION = {11: 6, 13: 7, 14: 7, 17: 8, 18: 8, 20: 9, 22: 10}


@dataclass(frozen=True, slots=True)
class Map:
    """A feature map: the node that makes it, and how many channels it has."""

    name: str
    channels: int

    @property
    def value(self) -> str:
        """The name of the value, an identifier of ONNX text."""
        return identifier(self.name)


@dataclass(frozen=True, slots=True)
class Step:
    """A window, or an upsampling, that the data passes."""

    op: str
    kernel: tuple[int, ...]
    stride: int

    @property
    def label(self) -> str:
        """For people: ``Conv 7x7 /2``, ``ConvTranspose 4x4 x2``."""
        size = " " + "x".join(map(str, self.kernel)) if self.kernel else ""
        return f"{self.op}{size} {'x' if self.is_upsampling else '/'}{self.stride}"

    @property
    def is_upsampling(self) -> bool:
        return self.op in ("ConvTranspose", "Resize nearest")


def identifier(name: str) -> str:
    """The name as ONNX text allows it without quotes."""
    return name.replace("/", "_")


def literal(value: Attribute) -> str:
    """An attribute value as ONNX text spells it."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Sequence):
        return "[" + ",".join(map(str, value)) + "]"
    return repr(value)


class Net:
    """A model being written: each method adds a node and returns the map it makes."""

    def __init__(
        self,
        name: str,
        title: str,
        source: str,
        shows: str,
        *,
        image: str,
        result: str,
        opset: int = 17,
        divisor: int = 8,
    ) -> None:
        self.name, self.title, self.source, self.shows = name, title, source, shows
        self.signature = f"{name} ({image}) => ({result})"
        self.opset, self.divisor = opset, divisor
        dims, self.input_name = image.removeprefix("float[").split("] ")
        self.dims = dims.split(",")
        self.rank = len(self.dims) - 2
        self.input = Map(self.input_name, int(self.dims[1]))
        self.steps: list[Step] = []
        self._body: list[str] = []
        self._declared: list[str] = []

    def width(self, channels: int) -> int:
        """The narrow copy's channels for the paper's."""
        return max(2, channels // self.divisor)

    def comment(self, text: str) -> None:
        self._body.append(f"  # {text}")

    # -- nodes of any kind

    def node(self, op: str, name: str, *inputs: str, **attributes: Attribute) -> str:
        listed = ", ".join(f"{key} = {literal(value)}" for key, value in attributes.items())
        given = f" <{listed}>" if listed else ""
        self._body.append(f'  ["{name}"] {identifier(name)} = {op}{given} ({", ".join(inputs)})')
        return name

    def declare(self, name: str, shape: Sequence[int], values: str = "") -> str:
        """An initializer; without values, a weight to be filled with noise."""
        assigned = f" = {{{values}}}" if values else ""
        self._declared.append(f"float{literal(shape)} {identifier(name)}{assigned}")
        return identifier(name)

    def op(self, op: str, name: str, *maps: Map, **attributes: Attribute) -> Map:
        """A node that keeps the channels of its widest input: Relu, Add, Mul ..."""
        self.node(op, name, *(x.value for x in maps), **attributes)
        return Map(name, max(x.channels for x in maps))

    def relu(self, x: Map) -> Map:
        return self.op("Relu", f"{x.name}/relu", x)

    def swish(self, x: Map) -> Map:
        return self.op("Mul", f"{x.name}/swish", x, self.op("Sigmoid", f"{x.name}/sigmoid", x))

    def scaled(self, op: str, name: str, x: Map, *shape: int, **attributes: Attribute) -> Map:
        """``op`` of a map and one weight: PRelu, a bias, a layer scale."""
        self.node(op, name, x.value, self.declare(f"{name}/w", shape), **attributes)
        return Map(name, x.channels)

    def concat(self, name: str, *maps: Map) -> Map:
        self.node("Concat", name, *(x.value for x in maps), axis=1)
        return Map(name, sum(x.channels for x in maps))

    def flatten(self, x: Map, positions: int = 1) -> Map:
        """One vector a sample, from a map of so many positions."""
        return Map(self.node("Flatten", "flatten", x.value, axis=1), x.channels * positions)

    def dense(self, name: str, x: Map, features: int) -> Map:
        weight = self.declare(f"{name}/w", (features, x.channels))
        bias = self.declare(f"{name}/b", (features,))
        return Map(self.node("Gemm", name, x.value, weight, bias, transB=1), features)

    def batch_norm(self, name: str, x: Map) -> Map:
        parts = ("scale", "b", "mean", "var")
        weights = (self.declare(f"{name}/{part}", (x.channels,)) for part in parts)
        return Map(self.node("BatchNormalization", name, x.value, *weights), x.channels)

    # -- windows

    def each(self, value: int) -> tuple[int, ...]:
        """The same figure on every axis."""
        return (value,) * self.rank

    def conv(
        self,
        name: str,
        x: Map,
        channels: int,
        kernel: int,
        stride: int = 1,
        pad: int = 0,
        *,
        group: int = 1,
        bias: bool = True,
        **more: Attribute,
    ) -> Map:
        weight = self.declare(f"{name}/w", (channels, x.channels // group, *self.each(kernel)))
        biases = (self.declare(f"{name}/b", (channels,)),) if bias else ()
        if group > 1:
            more["group"] = group
        self._window("Conv", name, (x.value, weight, *biases), kernel, stride, pad, more)
        return Map(name, channels)

    def deconv(
        self,
        name: str,
        x: Map,
        channels: int,
        kernel: int,
        stride: int,
        pad: int = 0,
        output_padding: int = 0,
    ) -> Map:
        weight = self.declare(f"{name}/w", (x.channels, channels, *self.each(kernel)))
        bias = self.declare(f"{name}/b", (channels,))
        more = {"output_padding": self.each(output_padding)} if output_padding else {}
        self._window("ConvTranspose", name, (x.value, weight, bias), kernel, stride, pad, more)
        return Map(name, channels)

    def pool(
        self,
        op: str,
        name: str,
        x: Map,
        kernel: int,
        stride: int,
        pad: int = 0,
        **more: Attribute,
    ) -> Map:
        self._window(op, name, (x.value,), kernel, stride, pad, more)
        return Map(name, x.channels)

    def upsample(self, name: str, x: Map, factor: int) -> Map:
        """Nearest-neighbour Resize, spelled as torch exports it."""
        scales = ",".join(map(str, (1, 1, *self.each(factor))))
        sizes = self.declare(f"{name}/scales", (2 + self.rank,), values=scales)
        self.node(
            "Resize",
            name,
            x.value,
            "",
            sizes,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        self.steps.append(Step("Resize nearest", (), factor))
        return Map(name, x.channels)

    def _window(
        self,
        op: str,
        name: str,
        inputs: Sequence[str],
        kernel: int,
        stride: int,
        pad: int,
        more: Mapping[str, Attribute],
    ) -> None:
        geometry: dict[str, Attribute] = {
            "kernel_shape": self.each(kernel),
            "strides": self.each(stride),
            "pads": self.each(pad) * 2,
        }
        self.node(op, name, *inputs, **geometry, **more)
        self.steps.append(Step(op, self.each(kernel), stride))

    # -- the result

    @property
    def text(self) -> str:
        """The whole file."""
        shrunk = f" Channels divided by {self.divisor}." if self.divisor > 1 else " Full width."
        about = textwrap.wrap(f"{self.title} ({self.source}).{shrunk}", 98)
        about += textwrap.wrap(f"Look at: {self.shows}", 98)
        lines = [f"# {line}" for line in about]
        lines.append(f'<ir_version: {IR_VERSION[self.opset]}, opset_import: ["": {self.opset}]>')
        lines += [self.signature, "<"]
        lines += [f"  {each}," for each in self._declared[:-1]]
        lines += [f"  {self._declared[-1]}", ">", "{", *self._body, "}"]
        return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------ classification


def lenet5() -> Net:
    net = Net(
        "lenet5",
        "LeNet-5",
        "LeCun et al. 1998",
        "sizes halve by averaging 2x2 windows that tile the map: nothing overlaps, nothing is lost."
        " The paper's trainable coefficients after each average and its sparse C3 are left out.",
        image="float[N,1,32,32] image",
        result="float[N,10] logits",
        divisor=1,
    )
    x = net.op("Tanh", "c1/tanh", net.conv("c1", net.input, 6, 5))
    x = net.pool("AveragePool", "s2", x, 2, 2)
    x = net.op("Tanh", "c3/tanh", net.conv("c3", x, 16, 5))
    x = net.pool("AveragePool", "s4", x, 2, 2)
    x = net.op("Tanh", "c5/tanh", net.conv("c5", x, 120, 5))
    x = net.op("Tanh", "f6/tanh", net.dense("f6", net.flatten(x), 84))
    net.dense("logits", x, CLASSES)
    return net


def alexnet() -> Net:
    net = Net(
        "alexnet",
        "AlexNet",
        "Krizhevsky, Sutskever, Hinton 2012",
        "the first layer strides by 4, then pools overlap: 3x3 windows at stride 2."
        " At 224 the stem does not fit, and one of its two padding columns at the end is unread.",
        image="float[N,3,224,224] image",
        result="float[N,10] logits",
        opset=11,
    )
    w = net.width
    x = net.relu(net.conv("conv1", net.input, w(96), 11, 4, 2))
    x = net.op("LRN", "norm1", x, size=5, alpha=0.0001, beta=0.75, bias=2.0)
    x = net.pool("MaxPool", "pool1", x, 3, 2)
    x = net.relu(net.conv("conv2", x, w(256), 5, 1, 2, group=2))
    x = net.op("LRN", "norm2", x, size=5, alpha=0.0001, beta=0.75, bias=2.0)
    x = net.pool("MaxPool", "pool2", x, 3, 2)
    x = net.relu(net.conv("conv3", x, w(384), 3, 1, 1))
    x = net.relu(net.conv("conv4", x, w(384), 3, 1, 1, group=2))
    x = net.relu(net.conv("conv5", x, w(256), 3, 1, 1, group=2))
    x = net.pool("MaxPool", "pool5", x, 3, 2)
    x = net.relu(net.dense("fc6", net.flatten(x, positions=6 * 6), w(4096)))
    x = net.relu(net.dense("fc7", x, w(4096)))
    net.dense("logits", x, CLASSES)
    return net


def vgg16() -> Net:
    net = Net(
        "vgg16",
        "VGG-16",
        "Simonyan, Zisserman 2014",
        "every halving is a 2x2 MaxPool that tiles the map: fixed, not learnable, even.",
        image="float[N,3,224,224] image",
        result="float[N,10] logits",
        opset=13,
    )
    x = net.input
    for stage, (depth, channels) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 1):
        net.comment(f"stage {stage}")
        for layer in range(1, depth + 1):
            name = f"stage{stage}/conv{layer}"
            x = net.relu(net.conv(name, x, net.width(channels), 3, 1, 1))
        x = net.pool("MaxPool", f"stage{stage}/pool", x, 2, 2)
    x = net.relu(net.dense("fc6", net.flatten(x, positions=7 * 7), net.width(4096)))
    x = net.relu(net.dense("fc7", x, net.width(4096)))
    net.dense("logits", x, CLASSES)
    return net


def googlenet() -> Net:
    net = Net(
        "googlenet",
        "GoogLeNet, Inception v1",
        "Szegedy et al. 2014",
        "the paper's kernels (a true 5x5 branch, every halving pool 3x3), pools rounding up as in"
        " torchvision: at stride 2 the last window hangs over the edge, at stride 1 ceil_mode"
        " changes nothing. Auxiliary heads are left out.",
        image="float[N,3,224,224] image",
        result="float[N,10] logits",
    )
    w = net.width
    x = net.relu(net.conv("conv1", net.input, w(64), 7, 2, 3))
    x = net.pool("MaxPool", "pool1", x, 3, 2, ceil_mode=1)
    x = net.relu(net.conv("conv2", x, w(64), 1))
    x = net.relu(net.conv("conv3", x, w(192), 3, 1, 1))
    x = net.pool("MaxPool", "pool2", x, 3, 2, ceil_mode=1)
    x = _inception(net, "inception3a", x, (64, 96, 128, 16, 32, 32))
    x = _inception(net, "inception3b", x, (128, 128, 192, 32, 96, 64))
    x = net.pool("MaxPool", "pool3", x, 3, 2, ceil_mode=1)
    x = _inception(net, "inception4a", x, (192, 96, 208, 16, 48, 64))
    x = _inception(net, "inception4b", x, (160, 112, 224, 24, 64, 64))
    x = _inception(net, "inception4c", x, (128, 128, 256, 24, 64, 64))
    x = _inception(net, "inception4d", x, (112, 144, 288, 32, 64, 64))
    x = _inception(net, "inception4e", x, (256, 160, 320, 32, 128, 128))
    x = net.pool("MaxPool", "pool4", x, 3, 2, ceil_mode=1)
    x = _inception(net, "inception5a", x, (256, 160, 320, 32, 128, 128))
    x = _inception(net, "inception5b", x, (384, 192, 384, 48, 128, 128))
    x = net.op("GlobalAveragePool", "average", x)
    net.dense("logits", net.flatten(x), CLASSES)
    return net


def _inception(net: Net, name: str, x: Map, channels: Sequence[int]) -> Map:
    """Four branches side by side: 1x1, 3x3, 5x5 and a pool that keeps the size."""
    one, reduce3, three, reduce5, five, proj = map(net.width, channels)
    net.comment(name)
    a = net.relu(net.conv(f"{name}/1x1", x, one, 1))
    b = net.relu(net.conv(f"{name}/3x3_reduce", x, reduce3, 1))
    b = net.relu(net.conv(f"{name}/3x3", b, three, 3, 1, 1))
    c = net.relu(net.conv(f"{name}/5x5_reduce", x, reduce5, 1))
    c = net.relu(net.conv(f"{name}/5x5", c, five, 5, 1, 2))
    d = net.pool("MaxPool", f"{name}/pool", x, 3, 1, 1, ceil_mode=1)
    d = net.relu(net.conv(f"{name}/pool_proj", d, proj, 1))
    return net.concat(f"{name}/concat", a, b, c, d)


def resnet50_v1() -> Net:
    return _resnet50(
        Net(
            "resnet50_v1",
            "ResNet-50 v1",
            "He et al. 2015",
            "stages 2 to 4 begin with stride 2 on a 1x1 Conv, and so does the shortcut beside it:"
            " three quarters of the tensor between stages are computed and read by nobody.",
            image="float[N,3,224,224] image",
            result="float[N,10] logits",
            opset=13,
        ),
        stride_at=1,
    )


def resnet50_v1_5() -> Net:
    return _resnet50(
        Net(
            "resnet50_v1_5",
            "ResNet-50 v1.5",
            "He et al. 2015, as torchvision trains it",
            "the stride moved to the 3x3 Conv, which reads everything; only the 1x1 shortcut still"
            " skips, beside a neighbour that does not.",
            image="float[N,3,224,224] image",
            result="float[N,10] logits",
        ),
        stride_at=2,
    )


def _resnet50(net: Net, stride_at: int) -> Net:
    """``stride_at`` names the convolution of a bottleneck that strides: 1 (1x1) or 2 (3x3)."""
    x = net.relu(net.conv("conv1", net.input, net.width(64), 7, 2, 3))
    x = net.pool("MaxPool", "pool1", x, 3, 2, 1)
    for stage, depth in enumerate((3, 4, 6, 3), 1):
        net.comment(f"stage {stage}")
        for block in range(1, depth + 1):
            strides = [1, 1, 1]
            if block == 1 and stage > 1:
                strides[stride_at - 1] = 2
            channels = net.width(64 * 2 ** (stage - 1))
            x = _bottleneck(net, f"stage{stage}/block{block}", x, channels, strides)
    x = net.op("GlobalAveragePool", "average", x)
    net.dense("logits", net.flatten(x), CLASSES)
    return net


def _bottleneck(net: Net, name: str, x: Map, channels: int, strides: Sequence[int]) -> Map:
    y = net.relu(net.conv(f"{name}/conv1", x, channels, 1, strides[0]))
    y = net.relu(net.conv(f"{name}/conv2", y, channels, 3, strides[1], 1))
    y = net.conv(f"{name}/conv3", y, 4 * channels, 1, strides[2])
    if name.endswith("block1"):
        x = net.conv(f"{name}/shortcut", x, 4 * channels, 1, max(strides))
    return net.relu(net.op("Add", f"{name}/add", y, x))


def densenet121() -> Net:
    net = Net(
        "densenet121",
        "DenseNet-121",
        "Huang et al. 2016",
        "maps only grow by concatenation, so sizes change between the blocks: a 1x1 Conv, then a"
        " 2x2 AveragePool. The pool could go first: a quarter of the work.",
        image="float[N,3,224,224] image",
        result="float[N,10] logits",
    )
    growth = net.width(32)
    x = net.relu(net.conv("conv0", net.input, net.width(64), 7, 2, 3))
    x = net.pool("MaxPool", "pool0", x, 3, 2, 1)
    for block, depth in enumerate((6, 12, 24, 16), 1):
        net.comment(f"block {block}")
        for layer in range(1, depth + 1):
            name = f"block{block}/layer{layer}"
            y = net.relu(net.batch_norm(f"{name}/norm", x))
            y = net.relu(net.conv(f"{name}/conv1", y, 4 * growth, 1))
            y = net.conv(f"{name}/conv2", y, growth, 3, 1, 1, bias=False)
            x = net.concat(f"{name}/concat", x, y)
        if block < 4:
            name = f"transition{block}"
            y = net.relu(net.batch_norm(f"{name}/norm", x))
            y = net.conv(f"{name}/conv", y, x.channels // 2, 1, bias=False)
            x = net.pool("AveragePool", f"{name}/pool", y, 2, 2)
    x = net.op("GlobalAveragePool", "average", net.relu(net.batch_norm("norm", x)))
    net.dense("logits", net.flatten(x), CLASSES)
    return net


def efficientnet_b0() -> Net:
    net = Net(
        "efficientnet_b0",
        "EfficientNet-B0",
        "Tan, Le 2019",
        "depthwise 3x3 and 5x5 Convs stride, padded evenly as in torchvision: every odd kernel at"
        " stride 2 spreads its gradient unevenly. The squeeze-and-excite gates see the whole map.",
        image="float[N,3,224,224] image",
        result="float[N,10] logits",
        divisor=4,
    )
    x = net.swish(net.conv("stem", net.input, net.width(32), 3, 2, 1))
    stages = (  # expansion, kernel, stride, channels, depth: the paper's table 1
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    )
    for stage, (expansion, kernel, stride, channels, depth) in enumerate(stages, 1):
        net.comment(f"stage {stage}")
        for block in range(1, depth + 1):
            name = f"stage{stage}/block{block}"
            step = stride if block == 1 else 1
            y = _mbconv(net, name, x, expansion, kernel, step, net.width(channels))
            x = y if block == 1 else net.op("Add", f"{name}/add", y, x)
    x = net.swish(net.conv("head", x, net.width(1280), 1))
    x = net.op("GlobalAveragePool", "average", x)
    net.dense("logits", net.flatten(x), CLASSES)
    return net


def _mbconv(
    net: Net, name: str, x: Map, expansion: int, kernel: int, stride: int, channels: int
) -> Map:
    """Widen, filter each channel, weigh the channels, narrow."""
    squeezed = max(2, x.channels // 4)
    if expansion > 1:
        x = net.swish(net.conv(f"{name}/expand", x, expansion * x.channels, 1))
    pad = kernel // 2
    depthwise = net.conv(f"{name}/depthwise", x, x.channels, kernel, stride, pad, group=x.channels)
    x = net.swish(depthwise)
    gate = net.op("GlobalAveragePool", f"{name}/se/average", x)
    gate = net.swish(net.conv(f"{name}/se/reduce", gate, squeezed, 1))
    gate = net.op("Sigmoid", f"{name}/se/gate", net.conv(f"{name}/se/expand", gate, x.channels, 1))
    x = net.op("Mul", f"{name}/se/scale", x, gate)
    return net.conv(f"{name}/project", x, channels, 1)


def convnext_tiny() -> Net:
    net = Net(
        "convnext_tiny",
        "ConvNeXt-T",
        "Liu et al. 2022",
        "a 4x4 stride-4 patchify stem and 2x2 stride-2 Convs between the stages: windows tile the"
        " map, each value is read once, gradients spread evenly.",
        image="float[N,3,224,224] image",
        result="float[N,10] logits",
        opset=20,
    )
    x = _channel_norm(net, "stem/norm", net.conv("stem/conv", net.input, net.width(96), 4, 4))
    for stage, depth in enumerate((3, 3, 9, 3), 1):
        net.comment(f"stage {stage}")
        if stage > 1:
            x = _channel_norm(net, f"downsample{stage}/norm", x)
            x = net.conv(f"downsample{stage}/conv", x, 2 * x.channels, 2, 2)
        for block in range(1, depth + 1):
            x = _convnext_block(net, f"stage{stage}/block{block}", x)
    x = net.op("GlobalAveragePool", "average", x)
    x = _layer_norm(net, "norm", net.flatten(x))
    net.dense("logits", x, CLASSES)
    return net


def _convnext_block(net: Net, name: str, x: Map) -> Map:
    c = x.channels
    y = net.conv(f"{name}/depthwise", x, c, 7, 1, 3, group=c)
    y = net.op("Transpose", f"{name}/to_last", y, perm=(0, 2, 3, 1))
    y = _layer_norm(net, f"{name}/norm", y)
    y = _linear_last(net, f"{name}/widen", y, 4 * c)
    y = net.op("Gelu", f"{name}/gelu", y)
    y = _linear_last(net, f"{name}/narrow", y, c)
    y = net.op("Transpose", f"{name}/to_first", y, perm=(0, 3, 1, 2))
    y = net.scaled("Mul", f"{name}/layer_scale", y, c, 1, 1)
    return net.op("Add", f"{name}/add", x, y)


def _linear_last(net: Net, name: str, x: Map, channels: int) -> Map:
    """A matrix over the last axis, then a bias."""
    y = net.scaled("MatMul", f"{name}/matmul", x, x.channels, channels)
    return net.scaled("Add", name, Map(y.name, channels), channels)


def _layer_norm(net: Net, name: str, x: Map) -> Map:
    scale, bias = (net.declare(f"{name}/{part}", (x.channels,)) for part in ("scale", "b"))
    attributes: dict[str, Attribute] = {"axis": -1, "epsilon": 0.000001}
    return Map(net.node("LayerNormalization", name, x.value, scale, bias, **attributes), x.channels)


def _channel_norm(net: Net, name: str, x: Map) -> Map:
    """Layer normalisation over the channels of each position."""
    y = net.op("Transpose", f"{name}/to_last", x, perm=(0, 2, 3, 1))
    y = _layer_norm(net, name, y)
    return net.op("Transpose", f"{name}/to_first", y, perm=(0, 3, 1, 2))


# ------------------------------------------------------------------- generation and upsampling


def dcgan_generator() -> Net:
    net = Net(
        "dcgan_generator",
        "DCGAN generator",
        "Radford, Metz, Chintala 2015, kernel 4 as in the PyTorch example",
        "four ConvTranspose k4 s2 p1: the kernel is a multiple of the stride, so taps fall evenly;"
        " whether the weights do is another question.",
        image="float[N,100,1,1] latent",
        result="float[N,3,64,64] image",
        opset=11,
    )
    x = net.relu(net.deconv("project", net.input, net.width(1024), 4, 1))
    for layer, channels in enumerate((512, 256, 128), 1):
        x = net.relu(net.deconv(f"up{layer}", x, net.width(channels), 4, 2, 1))
    x = net.deconv("up4", x, 3, 4, 2, 1)
    net.op("Tanh", "image", x)
    return net


def unet_deconv() -> Net:
    return _unet(
        Net(
            "unet_deconv",
            "U-Net with ConvTranspose",
            "Ronneberger, Fischer, Brox 2015, convolutions padded",
            "2x2 pools down, ConvTranspose k2 s2 up. Each is even, but the skips only meet when H"
            " and W are multiples of 16.",
            image="float[N,3,H,W] image",
            result="float[N,2,H,W] logits",
        ),
        _up_by_deconv,
    )


def unet_resize() -> Net:
    return _unet(
        Net(
            "unet_resize",
            "U-Net with Resize",
            "Ronneberger, Fischer, Brox 2015, upsampled as Odena, Dumoulin, Olah 2016 advise",
            "nearest Resize x2 and a 3x3 Conv instead of each ConvTranspose: no uneven overlap"
            " whatever the weights. Sizes are bound to multiples of 16 all the same.",
            image="float[N,3,H,W] image",
            result="float[N,2,H,W] logits",
            opset=18,
        ),
        _up_by_resize,
    )


def _up_by_deconv(net: Net, name: str, x: Map, channels: int) -> Map:
    return net.deconv(f"{name}/up", x, channels, 2, 2)


def _up_by_resize(net: Net, name: str, x: Map, channels: int) -> Map:
    return net.relu(
        net.conv(f"{name}/up_conv", net.upsample(f"{name}/up", x, 2), channels, 3, 1, 1)
    )


def _unet(net: Net, up: Callable[[Net, str, Map, int], Map]) -> Net:
    x = net.input
    skips: list[Map] = []
    for level in range(4):
        net.comment(f"down, level {level}")
        x = _two_convs(net, f"down{level}", x, net.width(64 * 2**level))
        skips.append(x)
        x = net.pool("MaxPool", f"down{level}/pool", x, 2, 2)
    x = _two_convs(net, "bottom", x, net.width(1024))
    for level, skip in reversed(list(enumerate(skips))):
        net.comment(f"up, level {level}")
        name = f"up{level}"
        x = net.concat(f"{name}/concat", skip, up(net, name, x, skip.channels))
        x = _two_convs(net, name, x, skip.channels)
    net.conv("logits", x, 2, 1)
    return net


def _two_convs(net: Net, name: str, x: Map, *channels: int) -> Map:
    for number, width in enumerate((channels[0], channels[-1]), 1):
        x = net.relu(net.conv(f"{name}/conv{number}", x, width, 3, 1, 1))
    return x


def fsrcnn() -> Net:
    net = Net(
        "fsrcnn",
        "FSRCNN(56,12,4) x2",
        "Dong, Loy, Tang 2016",
        "the whole enlargement is one ConvTranspose k9 s2 at the end, straight into the image: five"
        " taps on even pixels, four on odd. At the paper's x3 the nine taps would divide evenly.",
        image="float[N,1,H,W] luma",
        result="float[N,1,H2,W2] enlarged",
        opset=14,
        divisor=1,
    )
    x = _prelu(net, net.conv("feature", net.input, 56, 5, 1, 2))
    x = _prelu(net, net.conv("shrink", x, 12, 1))
    for layer in range(1, 5):
        x = _prelu(net, net.conv(f"map{layer}", x, 12, 3, 1, 1))
    x = _prelu(net, net.conv("expand", x, 56, 1))
    net.deconv("enlarged", x, 1, 9, 2, 4, output_padding=1)
    return net


def _prelu(net: Net, x: Map) -> Map:
    return net.scaled("PRelu", f"{x.name}/prelu", x, x.channels, 1, 1)


def hifigan_generator() -> Net:
    net = Net(
        "hifigan_generator",
        "HiFi-GAN V1 generator",
        "Kong, Kim, Bae 2020",
        "sound, one axis: ConvTranspose 8, 8, 2, 2 times, each kernel twice its stride, then"
        " residual blocks dilated by 1, 3 and 5, so 256 samples for each frame.",
        image="float[N,80,frames] mel",
        result="float[N,1,samples] audio",
        divisor=16,
    )
    third = net.declare("third", (1,), values="0.33333334")
    x = net.conv("conv_pre", net.input, net.width(512), 7, 1, 3)
    for stage, (rate, kernel) in enumerate(((8, 16), (8, 16), (2, 4), (2, 4)), 1):
        net.comment(f"stage {stage}: x{rate}")
        name = f"stage{stage}"
        x = _leaky(net, f"{name}/leaky", x)
        x = net.deconv(f"{name}/up", x, x.channels // 2, kernel, rate, (kernel - rate) // 2)
        three, seven, eleven = (
            _residual_dilated(net, f"{name}/res{size}", x, size) for size in (3, 7, 11)
        )
        x = net.op("Add", f"{name}/sum2", three, seven)
        x = net.op("Add", f"{name}/sum3", x, eleven)
        x = Map(net.node("Mul", f"{name}/mean", x.value, third), x.channels)
    x = net.op("LeakyRelu", "leaky_post", x, alpha=0.01)
    net.op("Tanh", "audio", net.conv("conv_post", x, 1, 7, 1, 3))
    return net


def _leaky(net: Net, name: str, x: Map) -> Map:
    return net.op("LeakyRelu", name, x, alpha=0.1)


def _residual_dilated(net: Net, name: str, x: Map, size: int) -> Map:
    half, c = size // 2, x.channels
    for d in (1, 3, 5):
        y = _leaky(net, f"{name}/leaky{d}a", x)
        y = net.conv(f"{name}/conv{d}a", y, c, size, 1, d * half, dilations=net.each(d))
        y = _leaky(net, f"{name}/leaky{d}b", y)
        y = net.conv(f"{name}/conv{d}b", y, c, size, 1, half)
        x = net.op("Add", f"{name}/add{d}", y, x)
    return x


def unet3d() -> Net:
    net = Net(
        "unet3d",
        "3-D U-Net",
        "Çiçek et al. 2016, upsampled as MONAI's UNet does",
        "ConvTranspose k3 s2 p1 with output_padding 1 on three axes: 2 taps against 1 on each, 8"
        " against 1 on the corners of every 2x2x2 cell. The paper's own k2 s2 is even.",
        image="float[N,1,64,64,64] volume",
        result="float[N,3,64,64,64] logits",
        opset=22,
        divisor=16,
    )
    x = net.input
    skips: list[Map] = []
    for level, channels in enumerate((32, 64, 128)):
        net.comment(f"down, level {level}")
        x = _two_convs(net, f"down{level}", x, net.width(channels), net.width(2 * channels))
        skips.append(x)
        x = net.pool("MaxPool", f"down{level}/pool", x, 2, 2)
    x = _two_convs(net, "bottom", x, net.width(256), net.width(512))
    for level, skip in reversed(list(enumerate(skips))):
        net.comment(f"up, level {level}")
        y = net.deconv(f"up{level}/up", x, x.channels, 3, 2, 1, output_padding=1)
        x = net.concat(f"up{level}/concat", skip, y)
        x = _two_convs(net, f"up{level}", x, skip.channels)
    net.conv("logits", x, 3, 1)
    return net


ARCHITECTURES: tuple[Callable[[], Net], ...] = (
    lenet5,
    alexnet,
    vgg16,
    googlenet,
    resnet50_v1,
    resnet50_v1_5,
    densenet121,
    efficientnet_b0,
    convnext_tiny,
    dcgan_generator,
    unet_deconv,
    unet_resize,
    fsrcnn,
    hifigan_generator,
    unet3d,
)

# ----------------------------------------------------------------------------------- the README


COLUMNS: tuple[str, ...] = (
    "model",
    "paper",
    "channels",
    "input",
    "first layer",
    "smaller by",
    "larger by",
    "what it shows",
    "what lint says",
)


def lint_counts() -> dict[str, Counter[str]]:
    """For each file in this folder, how often lint reports each code."""
    command = [sys.executable, "-m", "onnxstride", "lint", FOLDER.name]
    command += ["--exit-zero", "--output-format", "json"]
    run = subprocess.run(  # noqa: S603 - every word of the command is written here
        command, cwd=FOLDER.parent, capture_output=True, encoding="utf-8", check=False
    )
    if run.returncode:
        raise SystemExit(f"lint of {FOLDER.name}/ failed: {run.stderr.strip()}")
    files = json.loads(run.stdout)["files"]
    return {Path(each["path"]).name: _codes(each) for each in files}


def _codes(report: Mapping[str, list[dict[str, str]]]) -> Counter[str]:
    return Counter(finding["code"] for finding in report["findings"])


def table(counts: Mapping[str, Counter[str]]) -> str:
    """The README's table; the last column is what lint says."""
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    rows += [_row(build(), counts) for build in ARCHITECTURES]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(net: Net, counts: Mapping[str, Counter[str]]) -> tuple[str, ...]:
    file = f"{net.name}.onnxtxt"
    found = counts[file]  # a model that lint did not report on is an error, not a blank
    strided = [step for step in net.steps if step.stride > 1]
    return (
        f"[{net.title}]({file})",
        net.source,
        f"1/{net.divisor}" if net.divisor > 1 else "all",
        " x ".join(net.dims),
        net.steps[0].label,
        ", ".join(_tally(step for step in strided if not step.is_upsampling)) or "-",
        ", ".join(_tally(step for step in strided if step.is_upsampling)) or "-",
        net.shows,
        ", ".join(f"{n} {code}" for code, n in sorted(found.items())) or "nothing",
    )


def _tally(steps: Iterator[Step]) -> Iterator[str]:
    """``2 MaxPool 2x2 /2``: equal steps counted, in order of first appearance."""
    for label, times in Counter(step.label for step in steps).items():
        yield f"{times} {label}" if times > 1 else label


def with_table(readme: str, new: str) -> str:
    """The README with ``new`` between its markers."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + new + END + after


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the models of this folder.")
    parser.add_argument("--table", action="store_true", help="write the README's table instead")
    if parser.parse_args().table:
        old = README.read_text(encoding="utf-8")
        new = with_table(old, table(lint_counts()))
        README.write_text(new, encoding="utf-8", newline="\n")
        return
    for build in ARCHITECTURES:
        net = build()
        file = FOLDER / f"{net.name}.onnxtxt"
        file.write_text(net.text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
