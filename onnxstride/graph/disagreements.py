"""Nodes whose sizes onnx infers otherwise than runtimes make them, put so that it does not.

Four are known (onnx 1.23, ONNX Runtime 1.32):

1. A pool with ``ceil_mode`` before opset 22. Inference counts a last window that begins behind the
   map and its leading padding; no runtime makes it. That takes a window which a whole stride of
   overhang can carry so far: end + stride > reach. Such a pool becomes a Slice of unknown bounds,
   which keeps the rank and the type.
2. A ConvTranspose with ``auto_pad`` SAME and ``output_padding``. The output is input times stride,
   and inference adds the padding to it. Without the attribute it does not.
3. A pool whose ``ceil_mode`` is neither 0 nor 1. Runtimes round up at 1 alone, inference at all
   but 0. It loses the attribute.
4. A ConvTranspose whose ``output_shape`` is smaller than its input. Inference stops after the first
   two dimensions and states those as the whole shape, which only the outcome shows: the node
   becomes a Slice like that of 1, and inference is to be asked again.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from .scope import graph_attributes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_POOLS = frozenset(["AveragePool", "LpPool", "MaxPool"])
_RIGHT_SINCE = 22
_BOUND = "onnxstride.bound"
_UNREAD_DOMAIN = "onnxstride.unread"


def may_disagree(serialized: bytes) -> bool:
    """False for a model, in bytes, that spells none of the attributes that the first three take."""
    return b"ceil_mode" in serialized or (b"output_padding" in serialized and b"SAME" in serialized)


def reconcile(model: ModelProto) -> None:
    """Edit a model that is about to be inferred; nodes stay where they are in their lists."""
    graph: Any = model.graph
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    is_right = max(opsets.get("", 0), opsets.get("ai.onnx", 0)) >= _RIGHT_SINCE
    if _reconciled(graph.node, is_right=is_right, in_function=False):
        _declare_bound(graph)
    for function in model.functions:
        _reconciled(function.node, is_right=is_right, in_function=True)


def forget_stopped(model: ModelProto, inferred: ModelProto) -> bool:
    """True where ``inferred`` holds shapes that are cut short; ``model`` makes them unknown then.

    Args:
        model: what was inferred, to be inferred again.
        inferred: what inference made of it.
    """
    graph: Any = model.graph
    outcome: Any = inferred.graph
    if not _stopped(graph, outcome):
        return False
    _declare_bound(graph)
    return True


def _declare_bound(graph: Any) -> None:
    if not any(value.name == _BOUND for value in graph.input):
        graph.input.add(name=_BOUND).type.tensor_type.elem_type = 7  # INT64


def _stopped(graph: Any, inferred: Any) -> bool:
    """The same of one graph and the bodies in it."""
    found = False
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in chain(inferred.value_info, inferred.output)
    }
    for node, outcome in zip(graph.node, inferred.node, strict=True):
        is_sized = any(attribute.name == "output_shape" for attribute in node.attribute)
        if node.op_type == "ConvTranspose" and is_sized and ranks.get(node.output[0]) == 2:
            _make_unknown(node, in_function=False)
            found = True
        bodies = zip(graph_attributes(node), graph_attributes(outcome), strict=True)
        for (_, body), (_, inferred_body) in bodies:
            found |= _stopped(body, inferred_body)
    return found


def _reconciled(nodes: Iterable[NodeProto], *, is_right: bool, in_function: bool) -> bool:
    """Edit these nodes and those in their bodies; True when one reads the unknown bound."""
    reads = False
    for node in nodes:
        if node.op_type == "ConvTranspose":
            _forget_output_padding(node)
        elif node.op_type in _POOLS:
            _forget_ceil_mode(node)
            if not is_right and _may_begin_behind(node):
                _make_unknown(node, in_function=in_function)
                reads = not in_function
        for _, body in graph_attributes(node):
            reads |= _reconciled(body.node, is_right=is_right, in_function=in_function)
    return reads


def _forget_output_padding(node: Any) -> None:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if "output_padding" in attributes and _is_same(attributes):
        node.attribute.remove(attributes["output_padding"])


def _forget_ceil_mode(node: Any) -> None:
    for attribute in node.attribute:
        if attribute.name == "ceil_mode" and attribute.i not in (0, 1):
            node.attribute.remove(attribute)
            return


def _may_begin_behind(node: Any) -> bool:
    """True when rounding up may make a window that begins behind what may be padded."""
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if "ceil_mode" not in attributes or attributes["ceil_mode"].i != 1 or _is_same(attributes):
        return False
    kernel = _ints(attributes, "kernel_shape")
    rank = len(kernel)
    strides, dilations = (
        _ints(attributes, name) or [1] * rank for name in ("strides", "dilations")
    )
    pads = _ints(attributes, "pads") or [0] * 2 * rank
    return any(
        end + stride > (size - 1) * dilation + 1
        for size, stride, dilation, end in zip(
            kernel, strides, dilations, pads[rank:], strict=False
        )
        if stride > 1
    )


def _make_unknown(node: Any, *, in_function: bool) -> None:
    if in_function or not node.input or not node.output:
        node.domain = _UNREAD_DOMAIN
        return
    del node.attribute[:], node.input[1:], node.output[1:]
    node.op_type = "Slice"
    node.input.extend([_BOUND, _BOUND])


def _is_same(attributes: dict[str, Any]) -> bool:
    return "auto_pad" in attributes and attributes["auto_pad"].s.startswith(b"SAME")


def _ints(attributes: dict[str, Any], name: str) -> list[int]:
    return list(attributes[name].ints) if name in attributes else []
