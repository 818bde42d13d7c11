"""Windows of every kind as hypothesis draws them, and the models they stand in."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from hypothesis import settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnxstride.geometry import Axis, floor_form, same_padding, same_total

from .running import signal

# The same examples on every run, and no files left behind.
law = settings(derandomize=True, database=None, deadline=None, max_examples=150)

CHANNELS = 2
SIGNS = ("either", "relu", "clipped below zero", "clipped at zero")
"""What feeds the pool: data of either sign, or an operator that may prove it is never negative."""

_DILATES = {"MaxPool": 10, "AveragePool": 19, "LpPool": 18, "Conv": 1}
"""First opset whose operator has dilations;"""
_ROUNDS_UP = {"MaxPool": 10, "AveragePool": 10, "LpPool": 18, "Conv": 99}
"""and ceil_mode."""

_LOWEST = {"clipped below zero": -0.5, "clipped at zero": 0.25}


@dataclass(frozen=True, slots=True)
class Case:
    """One pool or convolution in a model of its own; ``size`` is declared unless ``dynamic``."""

    op_type: str
    axes: tuple[Axis, ...]
    auto_pad: str
    ceil_mode: bool
    count_include_pad: bool
    opset: int
    dtype: str
    sign: str
    size: tuple[int, ...]
    dynamic: bool

    @property
    def is_same(self) -> bool:
        return self.auto_pad.startswith("SAME")

    @property
    def window(self) -> tuple[Axis, ...]:
        """The axes with every padding stated, that of ceil_mode included."""
        lower = self.auto_pad == "SAME_LOWER"
        if self.is_same:
            pairs = zip(self.size, self.axes, strict=True)
            return tuple(same_padding(size, axis, lower=lower) for size, axis in pairs)
        return tuple(floor_form(axis) if self.ceil_mode else axis for axis in self.axes)

    @property
    def smallest(self) -> tuple[int, ...]:
        """The smallest size every window fits in."""
        return tuple(max(1, axis.extent - axis.begin - axis.end) for axis in self.window)

    @property
    def may_miss_the_data(self) -> bool:
        """True when the taps of a window may all stand in the padding."""
        return self._is_shorter_than_dilation(self.window if self.is_same else self.axes)

    @property
    def reaches_past_a_short_map(self) -> bool:
        """True when a dilated window may hang over the end of a map shorter than its dilation."""
        return self._is_shorter_than_dilation(self.window)

    def _is_shorter_than_dilation(self, axes: tuple[Axis, ...]) -> bool:
        return any(
            axis.dilation > 1
            and axis.begin + axis.end > 0
            and (self.dynamic or size < axis.dilation)
            for size, axis in zip(self.size, axes, strict=True)
        )

    @property
    def is_disputed(self) -> bool:
        """True when ONNX Runtime does not follow the standard: SAME that dilates, or crops."""
        return self.is_same and any(
            axis.dilation > 1 or same_total(size, axis) < 0
            for size, axis in zip(self.size, self.axes, strict=True)
        )

    def sizes(self) -> list[tuple[int, ...]]:
        """Sizes to run at: the declared one, or the smallest, odd and even ones."""
        if not self.dynamic:
            return [self.size]
        return [tuple(size + more for size in self.smallest) for more in (0, 1, 2, 5)]


def model_of(case: Case) -> onnx.ModelProto:
    """The pool between ``x`` and ``y``."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(case.dtype))
    sizes = [f"s{i}" for i in range(len(case.size))] if case.dynamic else list(case.size)
    nodes, constants = _producer(case)
    source = nodes[-1].output[0] if nodes else "x"
    inputs = [source]
    if case.op_type == "Conv":
        kernel = [axis.kernel for axis in case.axes]
        weight = signal((CHANNELS, CHANNELS, *kernel), case.dtype, seed=7)
        constants.append(numpy_helper.from_array(weight, "w"))
        inputs.append("w")
    nodes.append(helper.make_node(case.op_type, inputs, ["y"], name="pool", **_attributes(case)))
    graph = helper.make_graph(
        nodes,
        "one_pool",
        [helper.make_tensor_value_info("x", kind, [1, CHANNELS, *sizes])],
        [helper.make_tensor_value_info("y", kind, None)],
        constants,
    )
    opsets = [helper.make_opsetid("", case.opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _producer(case: Case) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    if case.sign == "either":
        return [], []
    if case.sign == "relu":
        return [helper.make_node("Relu", ["x"], ["r"])], []
    lowest = _LOWEST[case.sign]
    if case.opset < 11:
        return [helper.make_node("Clip", ["x"], ["c"], min=lowest)], []
    constant = numpy_helper.from_array(np.array(lowest, case.dtype), "lowest")
    return [helper.make_node("Clip", ["x", "lowest"], ["c"])], [constant]


def _attributes(case: Case) -> dict[str, Any]:
    stated: dict[str, Any] = {
        "kernel_shape": [axis.kernel for axis in case.axes],
        "strides": [axis.stride for axis in case.axes],
    }
    if any(axis.dilation > 1 for axis in case.axes):
        stated["dilations"] = [axis.dilation for axis in case.axes]
    if case.auto_pad == "NOTSET":
        stated["pads"] = [axis.begin for axis in case.axes] + [axis.end for axis in case.axes]
    else:
        stated["auto_pad"] = case.auto_pad
    if case.ceil_mode:
        stated["ceil_mode"] = 1
    if case.count_include_pad:
        stated["count_include_pad"] = 1
    return stated


@st.composite
def cases(draw: st.DrawFn, op_type: str) -> Case:
    """Windows that ONNX Runtime accepts, of every form."""
    opsets = [11, 18, 22] if op_type == "LpPool" else [8, 9, 10, 11, 13, 18, 19, 22]
    opset = draw(st.sampled_from(opsets))
    rank = draw(st.sampled_from([1, 2, 2, 3]))
    auto_pad = draw(st.sampled_from(["NOTSET"] * 3 + ["SAME_UPPER", "SAME_LOWER", "VALID"]))
    may_dilate = opset >= _DILATES[op_type]
    axes = tuple(
        draw(_axes(may_dilate=may_dilate, may_pad=auto_pad == "NOTSET")) for _ in range(rank)
    )
    ceil_mode = opset >= _ROUNDS_UP[op_type] and draw(st.booleans())
    count_include_pad = op_type == "AveragePool" and draw(st.booleans())
    case = Case(
        op_type,
        axes,
        auto_pad,
        ceil_mode,
        count_include_pad,
        opset,
        draw(st.sampled_from(["float32", "float32", "float16"])),
        draw(st.sampled_from(SIGNS)),
        (1,) * rank,
        draw(st.booleans()),
    )
    return _sized(draw, case)


def _sized(draw: st.DrawFn, case: Case) -> Case:
    least = (1,) * len(case.axes) if case.is_same else case.smallest
    return replace(case, size=tuple(size + draw(st.integers(0, 6)) for size in least))


@st.composite
def _axes(draw: st.DrawFn, *, may_dilate: bool, may_pad: bool) -> Axis:
    kernel = draw(st.integers(1, 5))
    pads = st.integers(0, kernel - 1 if may_pad else 0)
    dilation = draw(st.sampled_from([1, 1, 2, 3])) if may_dilate else 1
    return Axis(kernel, draw(st.integers(1, 3)), dilation, draw(pads), draw(pads))
