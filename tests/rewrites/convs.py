"""Strided convolutions of every kind as hypothesis draws them, and models of them."""

from dataclasses import dataclass, replace

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnxstride.geometry import Axis, same_padding, same_total

from .running import signal
from .windows import AUTO_PADS, OPSETS, sizes_to_run, stated


@dataclass(frozen=True, slots=True)
class Strided:
    """One convolution; sizes are declared on the axes that are not ``open``.

    ``read`` and ``written`` count the channels of a group.
    """

    axes: tuple[Axis, ...]
    size: tuple[int, ...]
    open: tuple[bool, ...]
    group: int = 1
    read: int = 2
    written: int = 2
    biased: bool = True
    auto_pad: str = "NOTSET"
    opset: int = 13
    dtype: str = "float32"

    @property
    def is_same(self) -> bool:
        return self.auto_pad.startswith("SAME")

    @property
    def window(self) -> tuple[Axis, ...]:
        """The axes with the padding of SAME stated, for the declared size."""
        if not self.is_same:
            return self.axes
        lower = self.auto_pad == "SAME_LOWER"
        pairs = zip(self.size, self.axes, strict=True)
        return tuple(same_padding(size, axis, lower=lower) for size, axis in pairs)

    @property
    def smallest(self) -> tuple[int, ...]:
        """The smallest size every window fits in."""
        if self.is_same:
            return (1,) * len(self.axes)
        return tuple(max(1, axis.extent - axis.begin - axis.end) for axis in self.axes)

    @property
    def is_disputed(self) -> bool:
        """True for SAME that dilates, or crops."""
        return self.is_same and any(
            axis.dilation > 1 or same_total(size, axis) < 0
            for size, axis in zip(self.size, self.axes, strict=True)
        )

    def sizes(self) -> list[tuple[int, ...]]:
        """Sizes to run at: where open, the smallest, odd and even ones."""
        return sizes_to_run(self.smallest, self.size, self.open, (0, 1, 2, 3, 6))


def conv_of(case: Strided, seed: int = 7) -> onnx.ModelProto:
    """The convolution between ``x`` and ``y``, as the node ``down``."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(case.dtype))
    sizes = [f"s{i}" if case.open[i] else size for i, size in enumerate(case.size)]
    kernel = [axis.kernel for axis in case.axes]
    weights = {"w": signal((case.group * case.written, case.read, *kernel), case.dtype, seed)}
    if case.biased:
        weights["b"] = signal((case.group * case.written,), case.dtype, seed + 1)
    node = helper.make_node(
        "Conv", ["x", *weights], ["y"], name="down", **stated(case.axes, case.group, case.auto_pad)
    )
    graph = helper.make_graph(
        [node],
        "one_convolution",
        [helper.make_tensor_value_info("x", kind, ["N", case.group * case.read, *sizes])],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    opsets = [helper.make_opsetid("", case.opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@st.composite
def convs(draw: st.DrawFn) -> Strided:
    """Convolutions that ONNX Runtime runs, nearly all with a stride."""
    rank = draw(st.sampled_from([1, 2, 2, 3]))
    auto_pad = draw(st.sampled_from(AUTO_PADS))
    axes = tuple(draw(_axes(rank, may_pad=auto_pad == "NOTSET")) for _ in range(rank))
    if rank > 1 and draw(st.booleans()):
        axes = tuple(replace(axis, stride=axes[0].stride) for axis in axes)
    case = Strided(
        axes,
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
    return replace(case, size=tuple(least + draw(st.integers(0, 6)) for least in case.smallest))


@st.composite
def _axes(draw: st.DrawFn, rank: int, *, may_pad: bool) -> Axis:
    most = 6 if rank == 1 else 4 if rank == 2 else 3
    pads = st.integers(0, most + 1 if may_pad else 0)
    dilation = draw(st.sampled_from([1, 1, 2, 3, 4]))
    return Axis(
        draw(st.integers(1, most + 1)), draw(st.integers(1, most)), dilation, draw(pads), draw(pads)
    )
