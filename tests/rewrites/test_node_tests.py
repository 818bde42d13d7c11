"""The operator tests of the onnx package give their reference outputs after an exact rewrite."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

from .running import rewritten, run

INTEGERS = "the element type is uint8: only float32 and float16 can be rewritten"
INDICES = "its indices are read"
MAX_REFUSED = {
    "test_maxpool_2d_uint8": INTEGERS,
    "test_maxpool_with_argmax_2d_precomputed_pads": INDICES,
    "test_maxpool_with_argmax_2d_precomputed_strides": INDICES,
}
PADDING_REFUSED = {
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True": (
        "the average counts padding, and would count the overhang"
    ),
}
EVEN = "every phase has as many taps as the next"
DECONV_REFUSED: dict[str, dict[str, str]] = {
    "deconv-to-subpixel": {},
    "deconv-pad-kernel": dict.fromkeys(
        (
            "test_convtranspose",
            "test_convtranspose_1d",
            "test_convtranspose_3d",
            "test_convtranspose_dilations",
            "test_convtranspose_group_2",
            "test_convtranspose_group_2_image_3",
        ),
        EVEN,
    ),
}
COMPUTED = "its weights are computed when the model runs, or missing from the file"
STATED = "its padding is stated already"

WINDOWS = {"MaxPool", "AveragePool", "LpPool", "Conv", "ConvTranspose"}


@cache
def every_node_test() -> tuple[Any, ...]:
    """Every backend node test of the onnx package; collecting them takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the collected cases overflow on purpose
        return tuple(collect_testcases(None))


@cache
def node_tests() -> tuple[Any, ...]:
    """Every backend node test with a pool or a convolution of the default operator set."""
    return tuple(case for case in every_node_test() if WINDOWS & _operators(case))


def with_operator(*op_types: str) -> list[Any]:
    return [case for case in node_tests() if _operators(case) & set(op_types)]


def _operators(case: Any) -> set[str]:
    return {node.op_type for node in case.model.graph.node}


def wrong(case: Any, model: onnx.ModelProto) -> Iterator[str]:
    """What a model returns that is not the reference output, which some cases round."""
    names = [value.name for value in model.graph.input]
    for inputs, outputs in case.data_sets:
        found = run(model, dict(zip(names, inputs, strict=True)))
        for one, other in zip(found, outputs, strict=True):
            if one.shape != other.shape or one.dtype != other.dtype:
                yield f"{case.name}: {one.shape} {one.dtype} for {other.shape} {other.dtype}"
            elif not np.allclose(one, other, rtol=case.rtol, atol=1e-6):
                yield f"{case.name}: off by {np.abs(one - other).max()}"


def judged(cases: list[Any], name: str, **options: Any) -> tuple[dict[str, str], int, list[str]]:
    """Refused cases with their reasons, the number of those rewritten, and what is wrong."""
    refused: dict[str, str] = {}
    faults: list[str] = []
    count = 0
    for case in cases:
        result = rewritten(case.model, name, **options)
        if result.changes:
            count += 1
            faults += wrong(case, result.model.proto)
        else:
            refused[case.name] = result.declined[0].reason
    return refused, count, faults


@pytest.mark.parametrize("form", ["additive", "slice-max"])
def test_max_pools(form: str) -> None:
    """Every MaxPool of the node tests but the three named, in both forms."""
    cases = with_operator("MaxPool")
    refused, count, faults = judged(cases, "maxpool-to-exact-conv", form=form)
    assert faults == []
    assert refused == MAX_REFUSED
    assert count >= 16


def test_average_pools() -> None:
    """Every AveragePool of the node tests."""
    refused, count, faults = judged(with_operator("AveragePool"), "avgpool-to-conv")
    assert faults == []
    assert refused == {}
    assert count >= 19


@dataclass(frozen=True, slots=True)
class Frozen:
    """A node test with the weights, which it has as inputs, in the file."""

    name: str
    model: onnx.ModelProto
    data_sets: list[tuple[list[Any], list[Any]]]
    rtol: float

    @classmethod
    def of(cls, case: Any) -> "Frozen":
        ((inputs, outputs),) = case.data_sets
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        names = [value.name for value in model.graph.input]
        model.graph.initializer.extend(map(numpy_helper.from_array, inputs[1:], names[1:]))
        del model.graph.input[1:]
        return cls(case.name, model, [(inputs[:1], outputs)], case.rtol)


@pytest.mark.parametrize(("name", "expected"), DECONV_REFUSED.items(), ids=DECONV_REFUSED)
def test_transposed(name: str, expected: dict[str, str]) -> None:
    """Every ConvTranspose whose taps are not even already, once its weights are in the file."""
    cases = with_operator("ConvTranspose")
    refused, count, faults = judged(list(map(Frozen.of, cases)), name)
    assert faults == []
    assert refused == expected
    assert count == len(cases) - len(expected) >= 5


def test_transposed_by_inputs() -> None:
    """As they are, with weights that are inputs, all are refused."""
    refused, _, _ = judged(with_operator("ConvTranspose"), "deconv-to-subpixel")
    assert set(refused.values()) == {COMPUTED}
    assert len(refused) == len(with_operator("ConvTranspose"))


def test_padding() -> None:
    """Every window that leaves padding to the runtime, but the one named."""
    refused, count, faults = judged(with_operator(*WINDOWS), "explicit-padding")
    assert faults == []
    stated = {name for name, reason in refused.items() if reason == STATED}
    assert {name: refused[name] for name in refused if name not in stated} == PADDING_REFUSED
    assert stated == {case.name for case in with_operator(*WINDOWS) if states_its_padding(case)}
    assert count >= 15


def states_its_padding(case: Any) -> bool:
    """True when no attribute of its window leaves anything to the runtime."""
    return not any(
        (attribute.name == "auto_pad" and attribute.s != b"NOTSET")
        or (attribute.name == "ceil_mode" and attribute.i)
        or attribute.name == "output_shape"
        for node in case.model.graph.node
        if node.op_type in WINDOWS
        for attribute in node.attribute
    )


def test_another_result_is_noticed() -> None:
    """A pool of another window than the reference's is reported."""
    case = next(case for case in node_tests() if case.name == "test_maxpool_2d_strides")
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "kernel_shape":
            attribute.ints[:] = [kernel - 1 for kernel in attribute.ints]
    assert list(wrong(case, model)) != []
