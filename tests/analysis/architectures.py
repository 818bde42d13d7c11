"""Published networks, built from the tables of their papers and of TF-slim; one channel each.

A size is a number for both axes or a pair; a padding is "SAME", "VALID" or a number for all
sides. What follows the last map (global pool, classifier) is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx

from tests.graph.building import model, node

Pair: TypeAlias = int | tuple[int, int]
Padding: TypeAlias = int | str


class Drawing:
    """A network as it is drawn; every method gives the name of the map it makes."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, Any] = {}

    def model(self, out: str, size: int | None) -> onnx.ModelProto:
        """The network for images of this size; of any when it is None."""
        spatial = ["H", "W"] if size is None else [size, size]
        return model(
            *self._nodes, inputs={"image": ["N", 1, *spatial]}, out=out, weights=self._weights
        )

    def conv(self, x: str, kernel: Pair, stride: int = 1, pad: Padding = "SAME") -> str:
        return self._add("Conv", f"{x} {self._weight(kernel)}", kernel, stride, pad)

    def dilated(self, x: str, dilation: int, stride: int = 1) -> str:
        """A convolution of 3x3 that keeps the size but for its stride."""
        name = f"{x} {self._weight(3)}"
        return self._add("Conv", name, 3, stride, dilation, dilations=[dilation] * 2)

    def pool(self, x: str, kernel: int, stride: int, pad: Padding = "VALID") -> str:
        return self._add("MaxPool", x, kernel, stride, pad)

    def convs(self, x: str, *kernels: Pair) -> str:
        """Convolutions of stride 1 that keep the size, one after the other."""
        for kernel in kernels:
            x = self.conv(x, kernel)
        return x

    def add(self, *maps: str) -> str:
        return self._join("Sum", maps)

    def concat(self, *maps: str) -> str:
        """Maps side by side, and a convolution of 1x1 that makes them one channel again."""
        joined = self._join("Concat", maps, axis=1)
        weight = f"w1x1x{len(maps)}"
        self._weights[weight] = np.ones((1, len(maps), 1, 1), np.float32)
        return self._add("Conv", f"{joined} {weight}", 1, 1, 0)

    def _weight(self, kernel: Pair) -> str:
        size = _pair(kernel)
        weight = f"w{size[0]}x{size[1]}"
        self._weights[weight] = np.ones((1, 1, *size), np.float32)
        return weight

    def _add(
        self, op: str, inputs: str, kernel: Pair, stride: int, pad: Padding, **more: Any
    ) -> str:
        size = _pair(kernel)
        padding: dict[str, Any] = {"pads": [pad] * 4}
        if pad == "SAME" and stride == 1:  # the same whatever the size of the map
            padding = {"pads": [(k - 1) // 2 for k in size] * 2}
        elif isinstance(pad, str):
            padding = {"auto_pad": "SAME_UPPER" if pad == "SAME" else "VALID"}
        name = f"{op}{len(self._nodes)}"
        self._nodes.append(
            node(op, inputs, name, kernel_shape=size, strides=[stride] * 2, **padding, **more)
        )
        return name

    def _join(self, op: str, maps: Sequence[str], **attributes: Any) -> str:
        name = f"{op}{len(self._nodes)}"
        self._nodes.append(node(op, " ".join(maps), name, **attributes))
        return name


def _pair(size: Pair) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def alexnet_v2() -> onnx.ModelProto:
    net = Drawing()
    x = net.pool(net.conv("image", 11, 4, "VALID"), 3, 2)
    x = net.pool(net.conv(x, 5), 3, 2)
    return net.model(net.pool(net.convs(x, 3, 3, 3), 3, 2), 224)


def vgg_16() -> onnx.ModelProto:
    net = Drawing()
    x = "image"
    for depth in (2, 2, 3, 3, 3):
        x = net.pool(net.convs(x, *[3] * depth), 2, 2)
    return net.model(x, None)


def mobilenet_v1() -> onnx.ModelProto:
    """SAME pads the even sizes of 224 on one side only, so strided windows begin at 0."""
    net = Drawing()
    x = net.conv("image", 3, 2)
    for stride in (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1):
        x = net.conv(net.conv(x, 3, stride), 1)
    return net.model(x, 224)


def resnet_v1(depths: Sequence[int]) -> onnx.ModelProto:
    """As in TF-slim: the last unit of a block strides, and its Convs pad by explicit Pads.

    Its pool has SAME padding, which at 224 begins at 0, not at 1: that makes the published
    padding 2 less than with a pool padded by 1, as torchvision has it.
    """
    net = Drawing()
    x = net.pool(net.conv("image", 7, 2, 3), 3, 2, "SAME")
    for depth, last_stride in zip(depths, (2, 2, 2, 1), strict=True):
        for unit in range(depth):
            stride = last_stride if unit == depth - 1 else 1
            branch = net.conv(net.conv(net.conv(x, 1), 3, stride, 1), 1)
            skip = net.pool(x, 1, stride) if stride > 1 else x
            x = net.add(branch, skip)
    return net.model(x, 224)


def inception_v3() -> onnx.ModelProto:
    net = Drawing()
    x = net.conv(net.conv(net.conv("image", 3, 2, "VALID"), 3, 1, "VALID"), 3)
    x = net.conv(net.conv(net.pool(x, 3, 2), 1), 3, 1, "VALID")
    x = net.pool(x, 3, 2)
    for _ in range(3):  # 5b, 5c, 5d
        x = net.concat(
            net.conv(x, 1), net.convs(x, 1, 5), net.convs(x, 1, 3, 3), net.conv(_kept(net, x), 1)
        )
    x = net.concat(
        net.conv(x, 3, 2, "VALID"), net.conv(net.convs(x, 1, 3), 3, 2, "VALID"), net.pool(x, 3, 2)
    )
    tall, wide = (7, 1), (1, 7)
    for _ in range(4):  # 6b to 6e
        x = net.concat(
            net.conv(x, 1), net.convs(x, 1, wide, tall),
            net.convs(x, 1, tall, wide, tall, wide), net.conv(_kept(net, x), 1),
        )  # fmt: skip
    x = net.concat(
        net.conv(net.conv(x, 1), 3, 2, "VALID"),
        net.conv(net.convs(x, 1, wide, tall), 3, 2, "VALID"), net.pool(x, 3, 2),
    )  # fmt: skip
    for _ in range(2):  # 7b, 7c
        one, three = net.conv(x, 1), net.convs(x, 1, 3)
        x = net.concat(
            net.conv(x, 1), net.conv(one, (1, 3)), net.conv(one, (3, 1)), net.conv(three, (1, 3)),
            net.conv(three, (3, 1)), net.conv(_kept(net, x), 1),
        )  # fmt: skip
    return net.model(x, None)


def _kept(net: Drawing, x: str) -> str:
    """A pool of stride 1 that keeps the size."""
    return net.pool(x, 3, 1, "SAME")


def resnet_18() -> onnx.ModelProto:
    """As torchvision builds it, up to the last Conv."""
    net = Drawing()
    x = branch = net.pool(net.conv("image", 7, 2, 3), 3, 2, 1)
    for stage in range(4):
        for unit in range(2):
            stride = 2 if stage > 0 and unit == 0 else 1
            branch = net.conv(net.conv(x, 3, stride, 1), 3)
            x = net.add(branch, net.conv(x, 1, stride, 0) if stride > 1 else x)
    return net.model(branch, None)


def resnet_50() -> onnx.ModelProto:
    """As torchvision builds it, up to the last Conv: the first unit of a stage strides."""
    net = Drawing()
    x = branch = net.pool(net.conv("image", 7, 2, 3), 3, 2, 1)
    for stage, depth in enumerate((3, 4, 6, 3)):
        for unit in range(depth):
            stride = 2 if stage > 0 and unit == 0 else 1
            branch = net.conv(net.conv(net.conv(x, 1), 3, stride, 1), 1)
            x = net.add(branch, x if unit else net.conv(x, 1, stride, 0))
    return net.model(branch, None)


def mobilenet_v2() -> onnx.ModelProto:
    """As torchvision builds it."""
    net = Drawing()
    x = net.conv("image", 3, 2, 1)
    for repeats, first in ((1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)):
        for unit in range(repeats):
            stride = first if unit == 0 else 1
            branch = net.conv(net.conv(net.conv(x, 1), 3, stride, 1), 1)
            x = branch if unit == 0 else net.add(branch, x)
    return net.model(net.conv(x, 1), None)


def deeplab_v3() -> onnx.ModelProto:
    """ResNet-50 with dilation instead of the last two strides, and its pyramid of dilations."""
    net = Drawing()
    x = net.pool(net.conv("image", 7, 2, 3), 3, 2, 1)
    for depth, stride, first, later in ((3, 1, 1, 1), (4, 2, 1, 1), (6, 1, 1, 2), (3, 1, 2, 4)):
        for unit in range(depth):
            step = stride if unit == 0 else 1
            middle = net.dilated(net.conv(x, 1), later if unit else first, step)
            x = net.add(net.conv(middle, 1), x if unit else net.conv(x, 1, step, 0))
    x = net.concat(net.conv(x, 1), *[net.dilated(x, rate) for rate in (12, 24, 36)])
    return net.model(net.conv(x, 3), None)
