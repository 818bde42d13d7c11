"""Transposed convolutions of every kind as hypothesis draws them, and models of them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnxstride.geometry import Axis, transposed_padding, transposed_size

from .running import signal
from .windows import AUTO_PADS, OPSETS, sizes_to_run, stated


@dataclass(frozen=True, slots=True)
class Deconv:
    """One transposed convolution; sizes are declared on the axes that are not ``open``.

    ``read`` and ``written`` count the channels of a group. ``asked`` is its output_shape.
    """

    axes: tuple[Axis, ...]
    output_padding: tuple[int, ...]
    size: tuple[int, ...]
    open: tuple[bool, ...]
    group: int = 1
    read: int = 2
    written: int = 2
    biased: bool = True
    auto_pad: str = "NOTSET"
    asked: tuple[int, ...] | None = None
    opset: int = 13
    dtype: str = "float32"

    @property
    def window(self) -> tuple[Axis, ...]:
        """The axes with the padding of SAME stated."""
        if not self.auto_pad.startswith("SAME") or self.asked is not None:
            return self.axes
        upper = self.auto_pad == "SAME_UPPER"
        return tuple(
            transposed_padding(1, axis, op, axis.stride, upper=upper)
            for axis, op in zip(self.axes, self.output_padding, strict=True)
        )

    def sizes(self) -> list[tuple[int, ...]]:
        """Sizes to run at: where open, the smallest that leaves an output, odd and even ones."""
        return sizes_to_run(self._smallest(), self.size, self.open, (0, 1, 2, 5))

    def _smallest(self) -> list[int]:
        pairs = zip(self.window, self.output_padding, strict=True)
        return [smallest(axis, op) for axis, op in pairs]


def smallest(axis: Axis, output_padding: int) -> int:
    """The smallest size that leaves an output."""
    return next(size for size in range(1, 100) if transposed_size(size, axis, output_padding) > 0)


def deconv_of(case: Deconv, seed: int = 7) -> onnx.ModelProto:
    """The transposed convolution between ``x`` and ``y``, as the node ``up``."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(case.dtype))
    sizes = [f"s{i}" if case.open[i] else size for i, size in enumerate(case.size)]
    channels = case.group * case.read
    kernel = [axis.kernel for axis in case.axes]
    weights = {"w": signal((channels, case.written, *kernel), case.dtype, seed)}
    if case.biased:
        weights["b"] = signal((case.group * case.written,), case.dtype, seed + 1)
    node = helper.make_node("ConvTranspose", ["x", *weights], ["y"], name="up", **_stated(case))
    graph = helper.make_graph(
        [node],
        "one_deconv",
        [helper.make_tensor_value_info("x", kind, ["N", channels, *sizes])],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    opsets = [helper.make_opsetid("", case.opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _stated(case: Deconv) -> dict[str, Any]:
    attributes = stated(case.axes, case.group, case.auto_pad, states_pads=case.asked is None)
    if any(case.output_padding):
        attributes["output_padding"] = list(case.output_padding)
    if case.asked is not None:
        attributes["output_shape"] = list(case.asked)
    return attributes


@st.composite
def deconvs(draw: st.DrawFn) -> Deconv:
    """Transposed convolutions that ONNX Runtime runs; most are stated, some leave it to it."""
    rank = draw(st.sampled_from([1, 2, 2, 3]))
    auto_pad = draw(st.sampled_from(AUTO_PADS))
    axes = tuple(draw(_axes(rank, may_pad=auto_pad == "NOTSET")) for _ in range(rank))
    case = Deconv(
        axes,
        tuple(draw(st.integers(0, axis.stride - 1)) for axis in axes),
        (1,) * rank,
        tuple(draw(st.booleans()) for _ in axes),
        group=draw(st.sampled_from([1, 1, 2, 3])),
        read=draw(st.integers(1, 3)),
        written=draw(st.integers(1, 2)),
        biased=draw(st.booleans()),
        auto_pad=auto_pad,
        opset=draw(st.sampled_from(OPSETS)),
        dtype=draw(st.sampled_from(["float32", "float32", "float16"])),
    )
    pairs = zip(case.window, case.output_padding, strict=True)
    size = tuple(smallest(axis, op) + draw(st.integers(0, 4)) for axis, op in pairs)
    return replace(case, size=size)


@st.composite
def fitted(draw: st.DrawFn) -> Deconv:
    """Transposed convolutions that ask for a size, not always one that a runtime gives."""
    case = draw(deconvs())
    axes = tuple(axis.padded(0, 0) for axis in case.axes)
    asked = tuple(
        max(1, transposed_size(size, axis, op) + draw(st.integers(-4, axis.stride)))
        for size, axis, op in zip(case.size, axes, case.output_padding, strict=True)
    )
    closed = (False,) * len(axes)
    return replace(case, axes=axes, asked=asked, open=closed)


@st.composite
def _axes(draw: st.DrawFn, rank: int, *, may_pad: bool) -> Axis:
    most = 5 if rank == 1 else 4 if rank == 2 else 3
    pads = st.integers(0, most if may_pad else 0)
    dilation = draw(st.sampled_from([1, 1, 2, 3]))
    return Axis(
        draw(st.integers(1, most + 1)), draw(st.integers(1, most)), dilation, draw(pads), draw(pads)
    )
