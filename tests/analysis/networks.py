"""Random small networks, and what ONNX Runtime says their elements depend on.

Every network has one image of one channel and ends in one map. All weights are positive, so
that nothing cancels: an output is not zero for an image that is 1 along one row exactly when it
depends on that row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.graph.building import run

Array = NDArray[Any]
_TINY = 1e-6  # what float arithmetic leaves of a weight that is zero
_MOST_GROWTH = 6
_OTHER_ROWS = 24  # along the axis that is not asked about


@dataclass
class Network:
    """A network as it grows, operator after operator."""

    rank: int
    seed: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, Array] = field(default_factory=dict)
    last: str = "image"
    growth: float = 1.0  # of the largest axis, at most

    def grow(self, factor: float) -> bool:
        """Whether the map may grow by this factor, as it then does."""
        if self.growth * factor > _MOST_GROWTH:
            return False
        self.growth *= factor
        return True

    def add(self, op: str, *more: str, at: str | None = None, **attributes: Any) -> str:
        """Put an operator after the last map, or after ``at``; the name of what it makes."""
        name = f"{op.lower()}{len(self.nodes)}"
        inputs = [self.last if at is None else at, *more]
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.last = name
        return name

    def hold(self, values: Any) -> str:
        """The name of a constant."""
        name = f"w{len(self.weights)}"
        self.weights[name] = np.asarray(values)
        return name

    def weight(self, *shape: int) -> str:
        """The name of positive weights of this shape."""
        random = np.random.default_rng((self.seed, len(self.weights)))
        return self.hold(random.uniform(0.5, 1.5, shape).astype(np.float32))

    def model(self) -> onnx.ModelProto:
        """The network as a model of dynamic size."""
        symbols: list[str | int | None] = ["N", 1, *[f"S{i}" for i in range(self.rank)]]
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, symbols)],
            [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(values, name) for name, values in self.weights.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def _conv(draw: Any, net: Network) -> None:
    window = _window(draw, net.rank, most=4)
    net.add("Conv", net.weight(1, 1, *window["kernel_shape"]), **window)


def _dilated(draw: Any, net: Network) -> None:
    window = _window(draw, net.rank, most=3)
    dilations = [draw(st.integers(2, 3)) for _ in range(net.rank)]
    net.add("Conv", net.weight(1, 1, *window["kernel_shape"]), dilations=dilations, **window)


def _pool(draw: Any, net: Network) -> None:
    window = _window(draw, net.rank, most=4)
    net.add("AveragePool", count_include_pad=1, ceil_mode=draw(st.integers(0, 1)), **window)


def _window(draw: Any, rank: int, most: int) -> dict[str, Any]:
    kernel = [draw(st.integers(1, most)) for _ in range(rank)]
    strides = [draw(st.sampled_from([1, 1, 2, 2, 3])) for _ in range(rank)]
    pads = [draw(st.integers(0, k - 1)) for k in kernel * 2]
    return {"kernel_shape": kernel, "strides": strides, "pads": pads}


def _deconv(draw: Any, net: Network) -> None:
    strides = [draw(st.integers(1, 3)) for _ in range(net.rank)]
    if not net.grow(max(strides)):
        return
    kernel = [draw(st.integers(s, s + 3)) for s in strides]
    pads = [draw(st.integers(0, k - 1)) for k in kernel * 2]
    more = [draw(st.integers(0, s - 1)) for s in strides]
    net.add(
        "ConvTranspose", net.weight(1, 1, *kernel), kernel_shape=kernel, strides=strides,
        pads=pads, output_padding=more,
    )  # fmt: skip


def _deconv_with_holes(draw: Any, net: Network) -> None:
    """Some phases get no tap: the kernel is below the stride, or the taps stand apart."""
    strides = [draw(st.integers(1, 3)) for _ in range(net.rank)]
    if not net.grow(max(strides)):
        return
    kernel = [draw(st.integers(1, 3)) for _ in strides]
    dilations = [draw(st.integers(1, 3)) for _ in strides]
    net.add(
        "ConvTranspose", net.weight(1, 1, *kernel), kernel_shape=kernel, strides=strides,
        dilations=dilations,
    )  # fmt: skip


def _resize(draw: Any, net: Network) -> None:
    _interpolate(draw, net, draw(st.sampled_from(["nearest", "linear"])))


def _cubic(draw: Any, net: Network) -> None:
    if net.rank == 2:  # all that ONNX Runtime has
        _interpolate(draw, net, "cubic")


def _interpolate(draw: Any, net: Network, mode: str) -> None:
    scales = [draw(st.sampled_from([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])) for _ in range(net.rank)]
    if not net.grow(max(scales)):
        return
    attributes: dict[str, Any] = {
        "mode": mode,
        "coordinate_transformation_mode": draw(st.sampled_from(["half_pixel", "asymmetric"])),
    }
    if mode == "nearest":
        rounding = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
        attributes["nearest_mode"] = draw(st.sampled_from(rounding))
    elif min(scales) < 1:
        attributes["antialias"] = draw(st.integers(0, 1))
    net.add("Resize", "", net.hold(np.array([1, 1, *scales], np.float32)), **attributes)


def _pad(draw: Any, net: Network) -> None:
    pads = [draw(st.integers(-2, 3)) for _ in range(2 * net.rank)]
    zeros = [0, 0]
    every = np.array([*zeros, *pads[: net.rank], *zeros, *pads[net.rank :]], np.int64)
    net.add("Pad", net.hold(every), mode="constant" if min(pads) < 0 else "edge")


def _slice(draw: Any, net: Network) -> None:
    starts = [draw(st.integers(0, 4)) for _ in range(net.rank)]
    steps = [draw(st.sampled_from([1, 2, 3])) for _ in range(net.rank)]
    ends, axes = [2**62] * net.rank, range(2, 2 + net.rank)
    given = (net.hold(np.array(each, np.int64)) for each in (starts, ends, axes, steps))
    net.add("Slice", *given)


def _subpixel(draw: Any, net: Network) -> None:
    block = draw(st.integers(2, 3))
    if net.rank != 2 or not net.grow(block):
        return
    net.add("Conv", net.weight(block * block, 1, 1, 1))
    net.add("DepthToSpace", blocksize=block, mode=draw(st.sampled_from(["DCR", "CRD"])))


def _residual(draw: Any, net: Network) -> None:
    """A branch with a window of its own beside the straight one, both of one size."""
    straight = net.last
    kernel = [draw(st.sampled_from([1, 3, 5])) for _ in range(net.rank)]
    pads = [k // 2 for k in kernel] * 2
    net.add("Conv", net.weight(1, 1, *kernel), kernel_shape=kernel, pads=pads)
    if draw(st.booleans()):
        net.add("Add", straight)
    else:
        net.add("Concat", straight, axis=1)
        net.add("Conv", net.weight(1, 2, *[1] * net.rank))


def _detour(draw: Any, net: Network) -> None:
    """Down and up again beside a straight line, as in a U-Net; cut to one size."""
    straight = net.last
    net.add("AveragePool", kernel_shape=[2] * net.rank, strides=[2] * net.rank)
    kernel = draw(st.integers(2, 4))
    pads = [draw(st.integers(0, 1)), 0] if net.rank == 1 else [draw(st.integers(0, 1)), 0, 0, 0]
    net.add(
        "ConvTranspose", net.weight(1, 1, *[kernel] * net.rank), strides=[2] * net.rank, pads=pads
    )
    up = net.last
    shapes = [net.add("Shape", at=each) for each in (straight, up)]
    least = net.add("Min", shapes[1], at=shapes[0])
    spatial = [net.hold(np.array(each, np.int64)) for each in ([2], [2 + net.rank], [0])]
    sizes = net.add("Slice", *spatial, at=least)
    axes = net.hold(np.arange(2, 2 + net.rank))
    starts = net.hold(np.zeros(net.rank, np.int64))
    cuts = [net.add("Slice", starts, sizes, axes, at=each) for each in (straight, up)]
    net.add("Add", cuts[1], at=cuts[0])


STEPS: list[Callable[[Any, Network], None]] = [
    _conv, _dilated, _pool, _deconv, _resize, _pad, _slice, _subpixel, _residual, _detour,
]  # fmt: skip
WITH_HOLES = [*STEPS, _cubic, _deconv_with_holes]
"""Steps of which a field may tell more than is seen; see ``geometry.fields``."""


@st.composite
def networks(draw: Any, rank: int, steps: Sequence[Any] = STEPS) -> Network:
    """Networks of one to five steps."""
    net = Network(rank, draw(st.integers(0, 1000)))
    for step in draw(st.lists(st.sampled_from(list(steps)), min_size=1, max_size=5)):
        step(draw, net)
    if not net.nodes:
        net.add("Relu")
    return net


def depends(model: onnx.ModelProto, axis: int, rank: int, size: int) -> NDArray[np.bool_]:
    """A table [image row, map row]: whether the map depends on the image along an axis."""
    shape = [size if i == axis else _OTHER_ROWS for i in range(rank)]
    x = np.zeros((size, 1, *shape), np.float32)
    for row in range(size):
        x[(row, 0, *[row if i == axis else slice(None) for i in range(rank)])] = 1
    (y,) = run(model, {"image": x})
    there = np.moveaxis(np.abs(y), 2 + axis, 1).reshape(size, y.shape[2 + axis], -1)
    return np.asarray(there.max(-1, initial=0) > _TINY * float(np.abs(y).max(initial=1)))


def flat(model: onnx.ModelProto, rank: int, size: int) -> Array:
    """What the model makes of an image that is 1 throughout, its first channel."""
    (y,) = run(model, {"image": np.ones((1, 1, *[size] * rank), np.float32)})
    return np.asarray(y[0, 0])
