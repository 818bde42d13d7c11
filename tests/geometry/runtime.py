"""What ONNX Runtime does, asked with inputs whose answers can be read back.

Many configurations share one model, one node each, so that a run costs little. Optimisations
are off: the operators answer for themselves.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnxstride.geometry import Axis

from .placing import Fitted, Strided, Taps, Transposed

# It ships no types.
_onnxruntime: Any = import_module("onnxruntime")

Floats = NDArray[np.float32]
AnyCase = TypeVar("AnyCase", Strided, Transposed, Fitted)


def runtime_reads(
    op_type: str, cases: Iterable[Strided], *, opset: int = 22, auto_pad: str = "NOTSET"
) -> dict[Strided, tuple[frozenset[int], ...]]:
    """The elements that each window of Conv, MaxPool or AveragePool reads.

    One sample per element, 1 there and 0 elsewhere: a window answers with something positive
    exactly when it reads that element.
    """
    answers: dict[Strided, tuple[frozenset[int], ...]] = {}
    for size, group in _by_size(cases).items():
        nodes = [_strided_node(op_type, case, index, auto_pad) for index, case in enumerate(group)]
        kernels = {case.axis.kernel for case in group} if op_type == "Conv" else set[int]()
        weights = {f"w{kernel}": np.ones((1, 1, kernel), np.float32) for kernel in kernels}
        impulses = np.eye(size, dtype=np.float32)[:, np.newaxis, :]
        for case, output in zip(group, run(nodes, weights, impulses, opset=opset), strict=True):
            answers[case] = tuple(
                frozenset(np.flatnonzero(column > 0).tolist()) for column in output[:, 0, :].T
            )
    return answers


def runtime_written(
    cases: Iterable[Transposed], *, auto_pad: str = "NOTSET"
) -> dict[Transposed, tuple[Taps, ...]]:
    """The taps that write each output of ConvTranspose."""
    answers: dict[Transposed, tuple[Taps, ...]] = {}
    for size, group in _by_size(cases).items():
        nodes = [_transposed_node(case, index, auto_pad) for index, case in enumerate(group)]
        answers |= zip(group, _taps(nodes, [case.axis for case in group], size), strict=True)
    return answers


def runtime_fitted(cases: Iterable[Fitted]) -> dict[Fitted, tuple[Taps, ...]]:
    """The taps that write each output of ConvTranspose with ``output_shape``."""
    answers: dict[Fitted, tuple[Taps, ...]] = {}
    for size, group in _by_size(cases).items():
        nodes: list[onnx.NodeProto] = []
        for index, case in enumerate(group):
            transposed = Transposed(size, case.axis, case.output_padding)
            node = _transposed_node(transposed, index, case.auto_pad)
            node.attribute.append(helper.make_attribute("output_shape", [case.output_size]))
            nodes.append(node)
        answers |= zip(group, _taps(nodes, [case.axis for case in group], size), strict=True)
    return answers


def run(
    nodes: Sequence[onnx.NodeProto], weights: dict[str, Floats], x: Floats, *, opset: int = 22
) -> list[Floats]:
    """The first output of every node; all of them read ``x`` and ``weights``."""
    names = [node.output[0] for node in nodes]
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    session = _onnxruntime.InferenceSession(
        model.SerializeToString(), _options(), providers=["CPUExecutionProvider"]
    )
    outputs: list[Floats] = session.run(names, {"x": x})
    return outputs


def _options() -> Any:
    options = _onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.graph_optimization_level = _onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Below opset 22 its shape inference disagrees with its pools and it says so, at length.
    options.log_severity_level = 4
    return options


def _strided_node(op_type: str, case: Strided, index: int, auto_pad: str) -> onnx.NodeProto:
    inputs = ["x", f"w{case.axis.kernel}"] if op_type == "Conv" else ["x"]
    node = helper.make_node(op_type, inputs, [f"y{index}"], **_window(case.axis, auto_pad))
    if case.ceil_mode:
        node.attribute.append(helper.make_attribute("ceil_mode", 1))
    return node


def _transposed_node(case: Transposed, index: int, auto_pad: str) -> onnx.NodeProto:
    return helper.make_node(
        "ConvTranspose",
        ["x", f"w{case.axis.kernel}"],
        [f"y{index}"],
        output_padding=[case.output_padding],
        **_window(case.axis, auto_pad),
    )


def _window(axis: Axis, auto_pad: str) -> dict[str, Any]:
    window: dict[str, Any] = {"kernel_shape": [axis.kernel], "strides": [axis.stride]}
    if axis.dilation > 1:  # AveragePool has the attribute only since opset 19
        window["dilations"] = [axis.dilation]
    if auto_pad == "NOTSET":
        return window | {"pads": [axis.begin, axis.end]}
    return window | {"auto_pad": auto_pad}


def _taps(
    nodes: Sequence[onnx.NodeProto], axes: Sequence[Axis], size: int
) -> list[tuple[Taps, ...]]:
    """Tap j weighs 2^j, so each output on ones is the set of its taps in binary."""
    kernels = {axis.kernel for axis in axes}
    weights = {
        f"w{kernel}": np.exp2(np.arange(kernel, dtype=np.float32))[np.newaxis, np.newaxis]
        for kernel in kernels
    }
    outputs = run(nodes, weights, np.ones((1, 1, size), np.float32))
    return [tuple(_bits(round(float(value))) for value in output.ravel()) for output in outputs]


def _bits(number: int) -> Taps:
    return frozenset(bit for bit in range(number.bit_length()) if number >> bit & 1)


def _by_size(cases: Iterable[AnyCase]) -> dict[int, list[AnyCase]]:
    groups: dict[int, list[AnyCase]] = defaultdict(list)
    for case in cases:
        groups[case.size].append(case)
    return groups
