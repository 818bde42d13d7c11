"""Which operator does what to the maps it reads: tables, and :func:`flow` that consults them.

Normalisations over the map (InstanceNormalization, Softmax over positions, ..) count as
pointwise. Strictly each element sees the whole map, but by two numbers a channel only; the
question is where the rest comes from. Quantised spellings read scales and zero points besides;
those are constants, and constants are no maps.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ModelError
from ..graph import Graph
from ..graph.attributes import Unknown
from ..graph.layers import StridedSlice
from ..graph.scope import DEFAULT_DOMAIN, Node
from ..graph.spellings import SPELLINGS
from .arrangements import ARRANGEMENTS, concat
from .asking import Asking, Entries, Ranks
from .contractions import CONTRACTIONS, attention, quantised_matmul, reduction
from .layers import layer_flow
from .moves import Closed, Flow, Meet, Route
from .reshapes import RESHAPES

_MICROSOFT = "com.microsoft"
_MICROSOFT_NCHW = "com.microsoft.nchwc"

# Every input that is a map meets the others element by element.
_ELEMENTWISE = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr
    BitwiseXor Cast Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual
    HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish
    Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus
    Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
    Affine ImageScaler ParametricSoftplus Scale ScaledTanh
"""
_ELEMENTWISE_OF_MICROSOFT = """
    BiasAdd BiasGelu BiasSplitGelu FastGelu Gelu QLinearAdd QLinearLeakyRelu QLinearMul
    QLinearSigmoid QLinearWhere QuickGelu
"""
# The first input is the map; the others are parameters, whatever they are made of.
_OF_FIRST = """
    BatchNormalization Bernoulli CastLike DequantizeLinear Dropout GroupNormalization Hardmax
    InstanceNormalization LRN LayerNormalization LogSoftmax LpNormalization
    MeanVarianceNormalization QuantizeLinear RMSNormalization Softmax Trilu
"""
_OF_FIRST_OF_MICROSOFT = """
    DequantizeLinear GroupNorm QLinearSoftmax QuantizeLinear SimplifiedLayerNormalization
"""
# What they make depends on shapes or on chance, not on the elements of a map.
_NO_MAP = """
    BlackmanWindow Constant ConstantOfShape EyeLike HammingWindow HannWindow MelWeightMatrix
    RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Shape Size
"""


def _keys(domain: str, names: str) -> frozenset[tuple[str, str]]:
    return frozenset((domain, name) for name in names.split())


ELEMENTWISE = _keys(DEFAULT_DOMAIN, _ELEMENTWISE) | _keys(_MICROSOFT, _ELEMENTWISE_OF_MICROSOFT)
"""Operators, by domain and name, whose inputs meet element by element; their flow is cheap."""

OF_FIRST = (
    _keys(DEFAULT_DOMAIN, _OF_FIRST)
    | _keys(_MICROSOFT, _OF_FIRST_OF_MICROSOFT)
    | _keys(_MICROSOFT_NCHW, "ReorderInput ReorderOutput")
)
"""Operators whose first output is like the first input, element by element.

What else they hand out, such as the mean of a normalisation, is no map.
"""

NO_MAP = _keys(DEFAULT_DOMAIN, _NO_MAP)
"""Operators that make no map."""

_TABLE: dict[tuple[str, str], Callable[[Asking], Flow]] = {
    **{(DEFAULT_DOMAIN, op): read for op, read in (ARRANGEMENTS | CONTRACTIONS | RESHAPES).items()},
    (_MICROSOFT, "Attention"): attention,
    (_MICROSOFT, "MultiHeadAttention"): attention,
    (_MICROSOFT, "QLinearConcat"): concat,
    (_MICROSOFT, "QLinearMatMul"): quantised_matmul,
    (_MICROSOFT, "QLinearReduceMean"): reduction,
}


def flow(
    graph: Graph, node: Node, ranks: Ranks | None = None, entries: Entries | None = None
) -> Flow:
    """What ``node`` does to the maps it reads.

    Args:
        graph: the graph the node is in.
        node: neither a call of a local function nor one that carries bodies.
        ranks: the rank of a tensor the node reads, where more is known than the shapes say.
        entries: the integers in one, where more is known than its constants.
    """
    layer = graph.layer_of(node)
    if layer is not None and not isinstance(layer, StridedSlice):  # as a Slice it is exact
        return layer_flow(layer)
    key = (node.domain, node.op_type)
    if key in NO_MAP:
        return Meet(())
    if key in ELEMENTWISE:
        names = dict.fromkeys(name for name in node.inputs if name)
        return Meet(tuple(Route(name, node.output(0)) for name in names))
    if key in OF_FIRST:
        return Meet((Route(node.input(0), node.output(0)),))
    read = _TABLE.get(key)
    if read is None:
        return Closed(_why_not(graph, node))
    try:
        return read(Asking(graph, node, ranks or _shape_ranks(node), entries))
    except Unknown as unknown:
        return Closed(str(unknown))
    except (ModelError, IndexError):
        return Closed("it contradicts itself")


def _shape_ranks(node: Node) -> Ranks:
    def rank(name: str) -> int | None:
        shape = node.scope.shape(name)
        return None if shape is None else len(shape)

    return rank


def _why_not(graph: Graph, node: Node) -> str:
    """Why nothing is known of what a node does."""
    if (node.domain, node.op_type) in SPELLINGS:
        reason = graph.reason_for_skip(node)
        return reason or "it contradicts itself"
    return "it is an operator that is not followed"
