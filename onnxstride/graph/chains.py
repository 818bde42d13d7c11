"""Windows one after the other, with nothing between them that looks at neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .layers import SLIDING, Window
from .scope import Node

if TYPE_CHECKING:
    from .graph import Graph

_IN_PLACE = frozenset(
    ["Abs", "BatchNormalization", "Cast", "Celu", "Clip", "DequantizeLinear", "Dropout", "Elu",
     "Erf", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Mish", "Pad", "PRelu",
     "QuantizeLinear", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Swish", "Tanh",
     "ThresholdedRelu"]
)  # fmt: skip
_MOST = 64


def windows_before(graph: Graph, layer: Window) -> Iterator[Window]:
    """The windows whose output ``layer`` reads, the nearest first."""
    node, passed = layer.node, 0
    while passed < _MOST:
        before = node.scope.producer(node.input(0))
        if before is None:
            return
        window = _window(graph, before)
        if window is not None:
            yield window
        elif before.op_type not in _IN_PLACE:
            return
        node, passed = before, passed + 1


def windows_after(graph: Graph, layer: Window) -> Iterator[Window]:
    """The windows that read the output of ``layer``, nearest first, while nobody else does."""
    node, passed = layer.node, 0
    while passed < _MOST:
        output = node.output(0)
        readers = node.scope.consumers(output)
        if len(readers) != 1 or node.scope.is_output(output) or readers[0].input(0) != output:
            return
        node, passed = readers[0], passed + 1
        window = _window(graph, node)
        if window is not None:
            yield window
        elif node.op_type not in _IN_PLACE:
            return


def _window(graph: Graph, node: Node) -> Window | None:
    layer = graph.layer_of(node)
    return layer if isinstance(layer, SLIDING) else None
