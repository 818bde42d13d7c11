"""Models built for these tests, and ONNX Runtime to ask about them."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import onnx
from hypothesis import settings
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnxstride.graph import Bindings, Graph, read_graph
from onnxstride.graph.layers import Layer
from onnxstride.modelfile import ModelFile
from onnxstride.modelfile.reader import parse_text

# It ships no types.
_onnxruntime: Any = import_module("onnxruntime")

# The same examples on every run, and no files left behind.
law = settings(derandomize=True, database=None, deadline=None, max_examples=60)

Array = NDArray[Any]
Shape = Sequence[int | str | None] | None


def node(op_type: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node; names of inputs and outputs apart by spaces, ``-`` for one left out."""
    return helper.make_node(op_type, _names(inputs), _names(outputs), **attributes)


def _names(text: str) -> list[str]:
    return ["" if name == "-" else name for name in text.split()]


def ref(name: str, parameter: str, kind: onnx.AttributeProto.AttributeType) -> onnx.AttributeProto:
    """An attribute that stands for a parameter of the function it is in."""
    return onnx.AttributeProto(name=name, ref_attr_name=parameter, type=kind)


def value(name: str, shape: Shape = None, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def body(*nodes: onnx.NodeProto, out: str, inputs: Sequence[Any] = ()) -> onnx.GraphProto:
    """The body of an If, Loop or Scan; outputs by name or declared."""
    return helper.make_graph(nodes, "body", inputs, [value(name) for name in out.split()])


def model(
    *nodes: onnx.NodeProto,
    inputs: Mapping[str, Shape] | Sequence[onnx.ValueInfoProto] = (),
    out: str = "y",
    weights: Mapping[str, Array | Sequence[int]] | None = None,
    values: Iterable[onnx.ValueInfoProto] = (),
    functions: Iterable[onnx.FunctionProto] = (),
    opset: int = 17,
    domains: Sequence[str] = ("com.microsoft", "f"),
    ir_version: int = 8,
) -> onnx.ModelProto:
    """A model; a weight given as a list of dimensions is filled with ones."""
    declared = (
        [value(name, shape) for name, shape in inputs.items()]
        if isinstance(inputs, Mapping)
        else list(inputs)
    )
    tensors = [
        numpy_helper.from_array(
            array if isinstance(array, np.ndarray) else np.ones(array, np.float32), name
        )
        for name, array in (weights or {}).items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in out.split()]  # of whatever type
    graph = helper.make_graph(nodes, "g", declared, outputs, tensors, value_info=[*values])
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset)]
        + [helper.make_opsetid(domain, 1) for domain in domains],
        functions=[*functions],
        ir_version=ir_version,
    )


def function(
    name: str,
    inputs: str,
    outputs: str,
    *nodes: onnx.NodeProto,
    parameters: Sequence[str] = (),
    defaults: Sequence[onnx.AttributeProto] = (),
) -> onnx.FunctionProto:
    """A local function in domain ``f``."""
    return helper.make_function(
        "f",
        name,
        inputs.split(),
        outputs.split(),
        nodes,
        [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)],
        attributes=[*parameters],
        attribute_protos=[*defaults],
    )


def graph_of(
    proto: onnx.ModelProto | str,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    **dims: int,
) -> Graph:
    """The graph of a model or of ONNX text, with these sizes bound."""
    file = parse_text(proto) if isinstance(proto, str) else ModelFile.from_proto(proto)
    return read_graph(file, Bindings(shapes or {}, dims))


def only_layer(
    single: onnx.NodeProto,
    inputs: Mapping[str, Shape],
    weights: Mapping[str, Array | Sequence[int]] | None = None,
    opset: int = 17,
) -> Any:
    """The layer that a model of this one node holds; it must have no fault and no skip."""
    graph = graph_of(model(single, inputs=inputs, weights=weights, opset=opset))
    assert (graph.faults, graph.skips) == ((), ())
    (layer,) = graph.layers
    return layer


def fault_of(proto: onnx.ModelProto | str) -> str:
    """The one fault of a model, as text."""
    (fault,) = graph_of(proto).faults
    return str(fault)


def skip_of(proto: onnx.ModelProto | str) -> str:
    """The reason for the one skip of a model that has no fault."""
    graph = graph_of(proto)
    assert graph.faults == ()
    ((_, reason),) = graph.skips
    return reason


def describe(layer: Layer) -> tuple[object, ...]:
    """All a layer says, except which node it is and what its tensors are called."""
    names = {"node", "input", "weight", "bias", "indices"}
    fields = type(layer).__dataclass_fields__
    return (type(layer), *(getattr(layer, name) for name in fields if name not in names))


def run(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    """Every output of a model, unoptimised."""
    outputs: list[Array] = _session(proto).run(None, dict(feeds))
    return outputs


def runs(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[Array] | None:
    """Every output of a model; None when ONNX Runtime refuses it."""
    try:
        return run(proto, feeds)
    except Exception as error:
        if type(error).__module__.startswith("onnxruntime"):
            return None
        raise


def _session(proto: onnx.ModelProto) -> Any:
    options = _onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = _onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def random(shape: Sequence[int], seed: int = 0) -> Array:
    """Values of either sign."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
