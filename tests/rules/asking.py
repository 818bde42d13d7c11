"""One window operator as a model, what the rules say of it, and what ONNX Runtime does with it."""

from importlib import import_module
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnxstride.engine.lint import lint_graph
from onnxstride.graph import read_graph
from onnxstride.modelfile import ModelFile
from onnxstride.registry import load_rules
from onnxstride.rule import Finding

_RULES = load_rules()
_runtime: Any = import_module("onnxruntime")  # it ships no types


def model_of(
    nodes: list[onnx.NodeProto],
    size: int,
    weights: dict[str, NDArray[Any]] | None = None,
    *,
    opset: int = 22,
    rank: int = 1,
) -> onnx.ModelProto:
    """A model from ``x`` of shape (1, 1, size, ..) to ``y``."""
    graph = helper.make_graph(
        nodes,
        "asked",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 1, *[size] * rank])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def findings(model: onnx.ModelProto, code: str) -> list[Finding]:
    """What the rule with this code says of the model."""
    rules = [loaded for loaded in _RULES if loaded.code == code]
    assert rules, f"no rule {code}"
    graph = read_graph(ModelFile.from_proto(model))
    assert graph.faults == ()
    return lint_graph(graph, rules)[0]


def run(model: onnx.ModelProto, x: NDArray[Any], *, optimised: bool = False) -> NDArray[Any] | None:
    """The model's output; None when ONNX Runtime refuses to load or to run it."""
    options = _runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    levels = _runtime.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    )
    try:
        session = _runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        output: NDArray[Any] = session.run(None, {"x": x})[0]
    except _refusals():
        return None
    return output


def _refusals() -> tuple[type[Exception], ...]:
    state = _runtime.capi.onnxruntime_pybind11_state
    return (state.Fail, state.InvalidArgument, state.InvalidGraph, state.RuntimeException)


def ramp(size: int, rank: int = 1) -> NDArray[np.float32]:
    """Distinct values, all below zero, so that no padding of zeros goes unnoticed."""
    count = size**rank
    return -np.arange(1, count + 1, dtype=np.float32).reshape(1, 1, *[size] * rank)
