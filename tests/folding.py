"""The fault of optimisers that fold a zero Pad into the MaxPool behind it, done on purpose.

ONNX Runtime up to 1.31 does so above the lowest optimisation level, and onnxoptimizer; ONNX Runtime
1.32 does not any more. The tests plant the fault themselves, so that what notices it is
tried with every version.
"""

from importlib import import_module
from typing import Any

import onnx
from onnx import helper, numpy_helper

_onnxruntime: Any = import_module("onnxruntime")  # it ships no types

IS_FOLDED_HERE = tuple(map(int, _onnxruntime.__version__.split(".")[:2])) < (1, 32)
"""True where the ONNX Runtime that is installed has the fault."""


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the spatial zeros of every Pad moved into the MaxPool that reads them."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    pads = {node.output[0]: node for node in graph.node if _is_zero_pad(node, constants)}
    for node in graph.node:
        if node.op_type != "MaxPool" or node.input[0] not in pads:
            continue
        pad = pads[node.input[0]]
        _add_pads(node, [int(each) for each in constants[pad.input[1]]])
        node.input[0] = pad.input[0]
    return result


def _is_zero_pad(node: onnx.NodeProto, constants: dict[str, Any]) -> bool:
    modes = [attribute.s for attribute in node.attribute if attribute.name == "mode"]
    if node.op_type != "Pad" or modes not in ([], [b"constant"]) or node.input[1] not in constants:
        return False
    values = [constants.get(name) for name in node.input[2:3] if name]
    return all(value is not None and not value.any() for value in values)


def _add_pads(pool: onnx.NodeProto, pads: list[int]) -> None:
    """Add the padding of all dimensions, begins before ends, to a pool's own."""
    rank = len(pads) // 2
    spatial = [*pads[2:rank], *pads[rank + 2 :]]
    own = next((attribute for attribute in pool.attribute if attribute.name == "pads"), None)
    if own is None:
        pool.attribute.append(helper.make_attribute("pads", spatial))
    else:
        own.ints[:] = [mine + added for mine, added in zip(own.ints, spatial, strict=True)]
