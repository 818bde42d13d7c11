"""Padding written down is the padding a runtime works out."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnxstride.geometry import Axis, transposed_size

from .pools import Case, cases, law, model_of
from .running import refusals, rewritten, run, signal
from .test_exact_pools import OPEN, POOL, SHARE, compare

WHOLE_KERNEL = "the pool would be padded by its whole kernel, which runtimes refuse"
OVERHANG = "the average counts padding, and would count the overhang"
_BEYOND = {
    "MaxPool": {WHOLE_KERNEL},
    "AveragePool": {WHOLE_KERNEL, OVERHANG},
    "LpPool": {WHOLE_KERNEL},
    "Conv": set[str](),
}
"""Reasons that come with the floor form of ceil_mode, by operator."""

IMPLICIT = {"auto_pad", "ceil_mode", "output_shape"}


def left_implicit(model: onnx.ModelProto) -> set[str]:
    """Attributes by which the last node leaves its padding to the runtime."""
    return {each.name for each in model.graph.node[-1].attribute} & IMPLICIT


def refusal_of(case: Case) -> str:
    """Why the padding cannot be stated; empty when it can."""
    if case.auto_pad == "NOTSET" and not case.ceil_mode:
        return "its padding is stated already"
    if case.is_same and case.dynamic:
        return OPEN
    if case.is_disputed:
        return "runtimes differ on SAME"
    return ""


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool", "LpPool", "Conv"])
def test_windows(op_type: str) -> None:
    """A window with its padding stated has the same bits at every size, or is refused."""
    refused: set[str] = set()

    @law
    @given(case=cases(op_type))
    def holds(case: Case) -> None:
        result = rewritten(model_of(case), "explicit-padding")
        reason = "" if result.changes else result.declined[0].reason
        expected = refusal_of(case)
        assert reason.startswith(expected)
        refused.add(reason)
        if not reason:
            assert left_implicit(result.model.proto) == set()
            # Averages are added up by another kernel when ceil_mode counts the padding.
            share = SHARE[case.dtype] if op_type == "AveragePool" else 0.0
            compare(case, result.model.proto, share=share)

    holds()
    assert refused & {WHOLE_KERNEL, OVERHANG} <= _BEYOND[op_type]


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool", "LpPool"])
def test_padding_by_the_whole_kernel(op_type: str) -> None:
    """Under dilation the floor form of ceil_mode can pad more than runtimes take."""
    case = replace(POOL, op_type=op_type, axes=(Axis(2, 3, dilation=3),), ceil_mode=True)
    (declined,) = rewritten(model_of(case), "explicit-padding").declined
    assert declined.reason == WHOLE_KERNEL


@dataclass(frozen=True, slots=True)
class Transposed:
    """A transposed convolution of one axis that asks for a size, or for SAME."""

    axis: Axis
    output_padding: int
    auto_pad: str
    asked: int | None
    size: int


@st.composite
def transposed(draw: st.DrawFn) -> Transposed:
    """Transposed convolutions; some ask for more than a runtime gives."""
    axis = Axis(draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 2)))
    output_padding = draw(st.integers(0, axis.stride - 1))
    size = draw(st.integers(1, 5))
    auto_pad = draw(st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    full = transposed_size(size, axis, output_padding)
    asked = draw(st.integers(max(1, full - 3), full + 2))
    if auto_pad != "NOTSET" and draw(st.booleans()):
        return Transposed(axis, output_padding, auto_pad, None, size)
    return Transposed(axis, output_padding, auto_pad, asked, size)


def transposed_model(case: Transposed) -> onnx.ModelProto:
    """The transposed convolution between ``x`` and ``y``."""
    attributes: dict[str, Any] = {
        "strides": [case.axis.stride],
        "dilations": [case.axis.dilation],
        "output_padding": [case.output_padding],
        "auto_pad": case.auto_pad,
    }
    if case.asked is not None:
        attributes["output_shape"] = [case.asked]
    weight = numpy_helper.from_array(signal((2, 3, case.axis.kernel), seed=7), "w")
    graph = helper.make_graph(
        [helper.make_node("ConvTranspose", ["x", "w"], ["y"], name="up", **attributes)],
        "one_transposed",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2, case.size])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


def test_transposed() -> None:
    """What ONNX Runtime takes keeps its values; what it refuses is refused or stays refused."""
    outcomes: set[tuple[bool, bool]] = set()

    @law
    @given(case=transposed())
    def holds(case: Transposed) -> None:
        before = transposed_model(case)
        result = rewritten(before, "explicit-padding")
        x = {"x": signal((1, 2, case.size))}
        try:
            (expected,) = run(before, x)
        except refusals():
            outcomes.add((bool(result.changes), False))
            return
        outcomes.add((bool(result.changes), True))
        if result.changes:
            assert left_implicit(result.model.proto) == set()
            np.testing.assert_array_equal(run(result.model.proto, x)[0], expected)
        else:
            assert result.declined[0].reason.startswith(("runtimes", "its padding is stated"))

    holds()
    assert outcomes >= {(True, True), (False, False)}


def test_a_pad_on_the_wrong_side_is_noticed() -> None:
    """Odd padding that moves from the end to the begin changes values, and that fails."""
    case = replace(
        POOL, op_type="Conv", axes=(Axis(3, 2),), auto_pad="SAME_UPPER", size=(8,), dynamic=False
    )
    after = rewritten(model_of(case), "explicit-padding").model.proto
    for attribute in after.graph.node[-1].attribute:
        if attribute.name == "pads":
            attribute.ints[:] = reversed(attribute.ints)
    with pytest.raises(AssertionError):
        compare(case, after, share=0.0)
