"""Exact rewrites of pools compute what the pool computed, whatever its window and the size."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from onnx import helper

from onnxstride.geometry import Axis
from onnxstride.modelfile import parse_text
from tests.folding import IS_FOLDED_HERE, folded

from .pools import CHANNELS, Case, cases, law, model_of
from .running import LEVELS, Array, Session, rewritten, run, signal

SHARE = {"float32": 1e-6, "float16": 2.0**-9}
"""How far values may be apart, as a share of the largest: two units in the last place and less."""

MISSES = "a window can lie wholly in the padding"
OPEN = "its padding depends on an input size that is not known"


def outcome(case: Case, name: str, **options: Any) -> tuple[onnx.ModelProto | None, str]:
    """The rewritten model, or why there is none."""
    result = rewritten(model_of(case), name, **options)
    if result.changes:
        return result.model.proto, ""
    (declined,) = result.declined
    return None, declined.reason


def compare(
    case: Case, after: onnx.ModelProto, *, share: float, level: str = "DISABLE_ALL"
) -> None:
    """Fails unless shapes are equal, and values within a share of the largest, at every size."""
    old, new = Session(model_of(case)), Session(after, level)
    for seed, size in enumerate(case.sizes()):
        x = signal((1, CHANNELS, *size), case.dtype, seed)
        (expected,), (found,) = old.run({"x": x}), new.run({"x": x})
        assert found.shape == expected.shape, size
        assert found.dtype == expected.dtype
        assert_near(found, expected, share * float(np.abs(x).max()))


def assert_near(found: Array, expected: Array, bound: float) -> None:
    """Fails where values are further apart than ``bound``, and where one is no number."""
    if bound == 0:
        np.testing.assert_array_equal(found, expected)
        return
    apart = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    assert np.all(apart <= bound), f"{apart.max()} exceeds {bound}"


def refusal_of(case: Case) -> str:
    """Why a pool cannot be rewritten, whatever the form; empty when it can."""
    if case.is_same and case.dynamic:
        return OPEN
    if case.is_disputed:
        return "runtimes differ on SAME"
    return MISSES if case.may_miss_the_data else ""


@law
@given(case=cases("MaxPool"))
def test_additive_max(case: Case) -> None:
    """Convolutions, ReLU and Add are the maximum within rounding, or the pool is refused."""
    after, reason = outcome(case, "maxpool-to-exact-conv")
    expected = refusal_of(case)
    may_be_negative = case.sign in ("either", "clipped below zero")
    if not expected and may_be_negative and case.reaches_past_a_short_map:
        expected = "its padding repeats elements that a small map does not have"
    assert reason.startswith(expected)
    assert bool(reason) == bool(expected), reason
    if after is not None:
        compare(case, after, share=SHARE[case.dtype])
        compare(case, after, share=SHARE[case.dtype], level="ENABLE_ALL")


@law
@given(case=cases("MaxPool"))
def test_sliced_max(case: Case) -> None:
    """Strided slices and Max are the maximum bit for bit, or the pool is refused."""
    after, reason = outcome(case, "maxpool-to-exact-conv", form="slice-max")
    expected = refusal_of(case)
    if not expected and case.opset < 10 and any(axis.stride > 1 for axis in case.axes):
        expected = "a Slice with steps needs opset 10"
    assert reason.startswith(expected)
    assert bool(reason) == bool(expected), reason
    if after is not None:
        compare(case, after, share=0.0)


@law
@given(case=cases("AveragePool"))
def test_average(case: Case) -> None:
    """A depthwise convolution is the average within rounding, or the pool is refused."""
    after, reason = outcome(case, "avgpool-to-conv")
    expected = refusal_of(case)
    is_padded = any(axis.begin or axis.end for axis in case.window)
    if not expected and case.opset < 10 and is_padded and not case.count_include_pad:
        expected = "a map of ones from the input's shape needs opset 10"
    assert reason.startswith(expected)
    assert bool(reason) == bool(expected), reason
    if after is not None:
        compare(case, after, share=2 * SHARE[case.dtype])


POOL = Case(
    op_type="MaxPool",
    axes=(Axis(2, 2),),
    auto_pad="NOTSET",
    ceil_mode=False,
    count_include_pad=False,
    opset=22,
    dtype="float32",
    sign="either",
    size=(7,),
    dynamic=True,
)


def test_wrong_values_are_noticed() -> None:
    """Zeros where the edge belongs change the border of a map below zero, and that fails."""
    case = replace(POOL, axes=(Axis(3, 2, begin=1, end=1),))
    after, _ = outcome(case, "maxpool-to-exact-conv")
    assert after is not None
    compare(case, after, share=SHARE["float32"])
    (pad,) = [node for node in after.graph.node if node.op_type == "Pad"]
    del pad.attribute[:]
    with pytest.raises(AssertionError):
        compare(case, after, share=SHARE["float32"])


def test_a_wrong_size_is_noticed() -> None:
    """A window too many fails, whatever its values."""
    after = model_of(replace(POOL, ceil_mode=True))
    with pytest.raises(AssertionError):
        compare(POOL, after, share=1.0)


PADDED_POOL = """
    <ir_version: 8, opset_import: ["": {opset}]>
    net ({kind}[1,2,H,W] x) => ({kind}[1,2,P,Q] y)
    <int64[8] pads = {{0,0,{begin},{begin},0,0,1,1}}> {{
        p = Pad (x, pads)
        y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (p)
    }}"""


@pytest.mark.parametrize("kind", ["float", "float16"])
@pytest.mark.parametrize("begin", [0, 1])
@pytest.mark.parametrize("opset", [11, 13, 18, 22])
def test_guarded_pad(opset: int, begin: int, kind: str) -> None:
    """With a guard every optimisation level returns the zeros of the Pad, bit for bit."""
    before = parse_text(PADDED_POOL.format(opset=opset, kind=kind, begin=begin)).proto
    after = rewritten(before, "guard-zero-pad").model.proto
    dtype = np.float16 if kind == "float16" else np.float32
    for size in ((2, 3), (6, 7), (9, 9)):
        for x in (-1 - np.abs(signal((1, 2, *size), dtype)), signal((1, 2, *size), dtype, 1)):
            expected = run(before, {"x": x})[0]
            for level in LEVELS:
                np.testing.assert_array_equal(run(after, {"x": x}, level)[0], expected)


def test_an_unguarded_pad_is_folded() -> None:
    """Without the guard an optimiser's result is another: the guard is not for nothing."""
    before = parse_text(PADDED_POOL.format(opset=13, kind="float", begin=1)).proto
    x = {"x": -1 - np.abs(signal((1, 2, 6, 7)))}
    plain, optimised = run(before, x)[0], run(folded(before), x)[0]
    assert not np.array_equal(plain, optimised)
    if IS_FOLDED_HERE:
        assert np.array_equal(optimised, run(before, x, "ENABLE_ALL")[0])


@pytest.mark.parametrize("kind", ["float", "float16", "double", "int8", "uint8"])
def test_dropped_indices(kind: str) -> None:
    """Without its second output a pool of any type returns the same bits."""
    before = parse_text(f"""
        net ({kind}[1,2,H,W] x) => ({kind}[1,2,P,Q] y) {{
            y, i = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x)
        }}""").proto
    after = rewritten(before, "drop-unused-indices").model.proto
    assert [list(node.output) for node in after.graph.node] == [["y"]]
    dtype = helper.tensor_dtype_to_np_dtype(before.graph.input[0].type.tensor_type.elem_type)
    for size in ((1, 2), (7, 8)):
        x = {"x": signal((1, 2, *size), dtype)}
        np.testing.assert_array_equal(run(after, x)[0], run(before, x)[0])
