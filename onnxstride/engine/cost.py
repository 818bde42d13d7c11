"""What a layer costs: parameters it learns, and multiply-adds for one sample."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import TYPE_CHECKING

from ..geometry import output_size
from ..graph import Graph
from ..graph.layers import Conv, ConvTranspose
from ..graph.scope import Node

if TYPE_CHECKING:
    from onnx import TensorProto

_INT64 = 7


def parameters(nodes: Iterable[Node]) -> int:
    """Elements of the constants that nodes read; what is not fixed in the file does not count.

    Nor do integers of 64 bits, which say where and how much, never what; a constant that two of
    the nodes share counts once.
    """
    read = [_constant(node, name) for node in nodes for name in node.inputs]
    tensors = {id(tensor): tensor for tensor in read if tensor is not None}
    return sum(prod(each.dims) for each in tensors.values() if each.data_type != _INT64)


def _constant(node: Node, name: str) -> TensorProto | None:
    """An initializer, or the tensor of a Constant node."""
    initializer = node.scope.initializer(name) if name else None
    producer = node.scope.producer(name) if name else None
    if initializer is not None or producer is None or producer.op_type != "Constant":
        return initializer
    value = producer.attributes.get("value")
    return None if value is None or value.ref_attr_name else value.t


def multiply_adds(nodes: Iterable[Node], graph: Graph) -> int | None:
    """Multiply-adds of nodes for one sample; None when the sizes of one are not known.

    Convolutions count; comparing, adding and moving do not.
    """
    total = 0
    for node in nodes:
        layer = graph.layer_of(node)
        if not isinstance(layer, Conv | ConvTranspose):
            continue
        weight, positions = node.scope.shape(layer.weight), _positions(layer)
        if weight is None or positions is None:
            return None
        sizes = [dim for dim in weight if isinstance(dim, int)]
        if len(sizes) < len(weight):
            return None
        total += prod(sizes) * positions
    return total


def _positions(layer: Conv | ConvTranspose) -> int | None:
    """Places the kernel is applied at: outputs of a convolution, inputs of a transposed one."""
    counts = []
    for size, axis in zip(layer.sizes, layer.axes, strict=True):
        if size is None:
            return None
        counts.append(size if isinstance(layer, ConvTranspose) else output_size(size, axis))
    return prod(max(0, count) for count in counts)
