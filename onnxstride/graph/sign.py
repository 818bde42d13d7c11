"""Whether a feature map can hold a value below zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from .attributes import Unknown, integer, number
from .scope import DEFAULT_DOMAIN, Node

if TYPE_CHECKING:
    from .graph import Graph

_NEVER_NEGATIVE = frozenset(
    ["Relu", "Sigmoid", "HardSigmoid", "Softmax", "Softplus", "Exp", "Abs", "Sqrt", "ReduceL1",
     "ReduceL2", "ReduceSumSquare", "LpPool", "GlobalLpPool"]
)  # fmt: skip
_KEEPS_SIGN = frozenset(
    ["Identity", "Dropout", "MaxPool", "AveragePool", "GlobalAveragePool",
     "GlobalMaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice",
     "Upsample", "DepthToSpace", "SpaceToDepth", "Expand", "Tile"]
)  # fmt: skip
_COMBINES = frozenset(["Concat", "Add", "Mul", "Sum", "Mean", "Min"])
_FLOATS = frozenset([1, 10, 11, 16])  # float, float16, double, bfloat16
_MAX_STEPS = 64


def is_never_negative(graph: Graph, node: Node, name: str) -> bool:
    """True when every value of ``name``, as ``node`` reads it, is provably zero or more.

    Walks back through operators that keep the sign to ones that fix it: Relu, Sigmoid, a Clip
    from zero, and their like. False means "not proven".
    """
    return _Proof(graph).holds(node, name, _MAX_STEPS)


class _Proof:
    """One walk; remembers each node, so that shared branches are walked once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[Node, bool] = {}

    def holds(self, reader: Node, name: str, steps: int) -> bool:
        node = reader.scope.producer(name)
        if node is None or steps == 0 or node.domain != DEFAULT_DOMAIN:
            return False
        if node not in self._known:
            self._known[node] = False  # until shown: a cycle proves nothing
            self._known[node] = self._output_of(node, steps - 1)
        return self._known[node]

    def _output_of(self, node: Node, steps: int) -> bool:
        if node.op_type in _NEVER_NEGATIVE or (node.op_type == "Mul" and _is_square(node)):
            return True
        if node.op_type in _KEEPS_SIGN:
            return self.holds(node, node.input(0), steps)
        if node.op_type in _COMBINES:
            return all(self.holds(node, name, steps) for name in node.inputs)
        match node.op_type:
            case "Max":
                return any(self.holds(node, name, steps) for name in node.inputs)
            case "Clip":
                return self._clip(node, steps)
            case "Cast":  # to an integer a large value may wrap around
                return _casts_to_float(node) and self.holds(node, node.input(0), steps)
            case "QuantizeLinear":
                return self._is_unsigned(node)
            case "DequantizeLinear":
                return self._dequantized(node, steps)
            case _:
                return False

    def _clip(self, node: Node, steps: int) -> bool:
        """min(max(x, lowest), highest): the highest counts last, also when it is the lower."""
        lowest, highest = self._limit(node, "min", 1), self._limit(node, "max", 2)
        has_highest = bool(node.input(2)) or "max" in node.attributes
        if has_highest and (highest is None or not highest >= 0):
            return False
        return (lowest is not None and lowest >= 0) or self.holds(node, node.input(0), steps)

    def _limit(self, node: Node, name: str, position: int) -> float | None:
        """A limit of a Clip, where the file fixes it: an attribute before opset 11, or an input."""
        try:
            stated = number(node, name)
        except (ModelError, Unknown):
            return None
        few = self._graph.few(node, node.input(position), at_most=1)
        if stated is not None or few is None or few.size != 1:
            return stated
        return float(few.values[0])

    def _is_unsigned(self, quantize: Node) -> bool:
        """The zero point decides the type of the result: unsigned, or uint8 when there is none."""
        if not quantize.input(2):
            return "output_dtype" not in quantize.attributes
        zero_point = self._graph.constant(quantize, quantize.input(2))
        return zero_point is not None and zero_point.dtype.name.startswith("uint")

    def _dequantized(self, node: Node, steps: int) -> bool:
        """A value that was quantised with the same scale and zero point comes back in kind."""
        quantize = node.scope.producer(node.input(0))
        if quantize is None or (quantize.domain, quantize.op_type) != ("", "QuantizeLinear"):
            return False
        return (
            self._are_equal(node, quantize, 1)
            and (node.input(2) == quantize.input(2) == "" or self._are_equal(node, quantize, 2))
            and self.holds(quantize, quantize.input(0), steps)
        )

    def _are_equal(self, one: Node, other: Node, position: int) -> bool:
        left = self._graph.constant(one, one.input(position))
        right = self._graph.constant(other, other.input(position))
        return left is not None and right is not None and np.array_equal(left, right)


def _is_square(node: Node) -> bool:
    return len(node.inputs) == 2 and node.input(0) == node.input(1)


def _casts_to_float(node: Node) -> bool:
    try:
        return integer(node, "to", 0) in _FLOATS
    except (ModelError, Unknown):
        return False
