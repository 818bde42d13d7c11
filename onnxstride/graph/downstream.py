"""Whether what a node writes reaches an output of the model unblended.

A pointwise operator answers each element from that element alone, or from what stands at the
same place in other maps and channels, so a pattern passes it in place. It also does where a map
is cut, padded, turned, or joined to others. Whatever reads neighbours (convolutions, pools,
resizes, normalisation over the map) blends the pattern or hides it; an operator that is not
known here counts as one of those.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from ..errors import ModelError
from .attributes import Unknown, integer
from .scope import DEFAULT_DOMAIN, Node, Scope

if TYPE_CHECKING:
    from .graph import Graph

_Map: TypeAlias = tuple[Scope, str]
"""A tensor, and the scope that defines it."""

_MICROSOFT = "com.microsoft"
_POINTWISE = {
    DEFAULT_DOMAIN: frozenset(
        ["Abs", "Add", "Affine", "BatchNormalization", "Cast", "CastLike", "Ceil", "Celu", "Clip",
         "Concat", "Cos", "Crop", "DequantizeLinear", "Div", "Dropout", "Elu", "Erf", "Exp",
         "Floor", "Gelu", "Greater", "HardSigmoid", "HardSwish", "Identity", "ImageScaler",
         "LeakyRelu", "Less", "Log", "Max", "Mean", "Min", "Mish", "Mul", "Neg", "PRelu", "Pad",
         "ParametricSoftplus", "Pow", "QuantizeLinear", "Reciprocal", "Relu", "Round", "Scale",
         "ScaledTanh", "Selu", "Sigmoid", "Sign", "Sin", "Slice", "Softplus", "Softsign",
         "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish", "Tanh", "ThresholdedRelu",
         "Transpose", "Unsqueeze", "Where"]
    ),
    _MICROSOFT: frozenset(
        ["BiasGelu", "DequantizeLinear", "FastGelu", "Gelu", "QLinearAdd", "QLinearConcat",
         "QLinearLeakyRelu", "QLinearMul", "QLinearSigmoid", "QLinearWhere", "QuantizeLinear",
         "QuickGelu"]
    ),
}  # fmt: skip
_OVER_CHANNELS = frozenset(["ArgMax", "ArgMin", "LogSoftmax", "Softmax"])


class _Unblended:
    """The key under which a graph keeps the maps that reach an output unblended."""


def reaches_output(graph: Graph, node: Node) -> bool:
    """True when an output of the model is what ``node`` writes, behind pointwise operators only.

    From the branch of an If the way leads on behind the If, and from a local function behind
    the nodes that call it; what a Loop or Scan hands out counts as hidden.
    """
    unblended = _unblended(graph)
    return any((node.scope, name) in unblended for name in node.outputs if name)


def _unblended(graph: Graph) -> set[_Map]:
    """Every map that reaches an output so, found out when first asked for: one way back."""
    found: set[_Map] | None = graph.analyses.get(_Unblended)
    if found is None:
        found = {(graph.main, name) for name in graph.main.outputs}
        pending = list(found)
        while pending:
            new = set(_behind(graph, *pending.pop())) - found
            found |= new
            pending += new
        graph.analyses[_Unblended] = found
    return found


def _behind(graph: Graph, scope: Scope, name: str) -> Iterator[_Map]:
    """The maps that this one is, put through one pointwise operator or handed out."""
    node = scope.producer(name)
    if node is None:
        return
    if node in graph.calls or (node.op_type == "If" and node in node.scope.bodies):
        yield from _inside(graph, node, node.outputs.index(name))
    elif _is_pointwise(graph, node):
        for read in filter(None, node.inputs):
            home = node.scope.home(read)
            if home is not None:
                yield home, read


def _inside(graph: Graph, holder: Node, position: int) -> Iterator[_Map]:
    """What an output of an If, or of a call, is called inside."""
    for scope in [*holder.scope.bodies.get(holder, []), *_called(graph, holder)]:
        names = list(_output_names(scope))
        if position < len(names):
            home = scope.home(names[position])
            if home is not None:
                yield home, names[position]


def _called(graph: Graph, call: Node) -> list[Scope]:
    if call not in graph.calls:
        return []
    return [scope for scope in graph.scopes if scope.is_function and call in scope.calls]


def _output_names(scope: Scope) -> Iterator[str]:
    for output in scope.proto.output:
        yield output if isinstance(output, str) else output.name


def _is_pointwise(graph: Graph, node: Node) -> bool:
    """True for an operator that keeps every element in its place, or moves the map as a whole."""
    if graph.layer_of(node) is not None:  # a Slice with a step, say
        return False
    if node.op_type in _POINTWISE.get(node.domain, ()):
        return True
    if node.domain != DEFAULT_DOMAIN:
        return False
    if node.op_type in _OVER_CHANNELS:
        return _axis(node) == 1
    return node.op_type == "Gather" and _takes_one(graph, node)


def _axis(node: Node) -> int | None:
    try:
        return integer(node, "axis", -1)
    except (ModelError, Unknown):
        return None


def _takes_one(graph: Graph, gather: Node) -> bool:
    """True when a Gather picks one position: a channel, most often."""
    indices = graph.few(gather, gather.input(1), at_most=1)
    return indices is not None and indices.size == 1
