"""A period for outputs that the analysis of resolution does not know: the product of all factors.

A layer multiplies the period by its factor or leaves it as it is, so the product of the factors of
everything before an output that enlarges is a multiple of its period (see ``fold``). Nothing is to
be found where no such layer has weights: what interpolation makes of a constant is constant.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from ..errors import InvalidNode
from ..graph import Graph
from ..graph.attributes import Unknown, integers
from ..graph.layers import ConvTranspose, Layer, Resize, Shuffle
from ..graph.scope import Node
from .fold import Fold, Folding
from .layout import spatial_axes

_LONGEST_PERIOD = 256
_KNOWN_DOMAINS = frozenset({"", "ai.onnx.ml", "com.microsoft"})
_ENLARGING = frozenset({"ConvTranspose", "DepthToSpace", "QLinearConvTranspose"})
_FINEST = 64  # denominator of a scale


class _Growing(NamedTuple):
    """Something that enlarges, so many times along each axis; None where that is not known."""

    node: Node
    factors: Sequence[int] | None
    interpolates: bool = False


def guessed(graph: Graph, name: str) -> Folding | str:
    """How to fold an output by the product of all factors before it, or why it cannot be."""
    before = upstream(graph, name)
    for node in before:
        if node.domain not in _KNOWN_DOMAINS and node not in graph.calls:
            return f"what {node.op_type} of domain {node.domain!r} does is not known"
    growing = list(_growing(graph, before))
    shape = graph.main.shape(name)
    if all(each.interpolates for each in growing) or (shape is not None and len(shape) < 3):
        return Folding(())
    rank = max(len(each.factors or ()) for each in growing)
    for each in growing:
        if each.factors is None or len(each.factors) != rank:
            return f"how much {each.node.op_type} {each.node.name!r} enlarges is not known"
    if shape is not None and len(spatial_axes(shape)) != rank:
        return f"its shape {list(shape)} is not that of a map with {rank} spatial axes"
    return _product(growing, rank)


def upstream(graph: Graph, name: str) -> dict[Node, None]:
    """The nodes of the main graph that a tensor is made by, bodies and what they read included."""
    before: dict[Node, None] = {}
    names = [name]
    while names:
        node = graph.main.producer(names.pop())
        if node is None or node in before:
            continue
        before[node] = None
        names += node.inputs
        for body in graph.main.bodies.get(node, []):
            names += [n for scope in body.family() for each in scope.nodes for n in each.inputs]
            names += [n for scope in body.family() for n in scope.outputs]
    return before


def _product(growing: Sequence[_Growing], rank: int) -> Folding | str:
    periods = [1] * rank
    for each in growing:
        times = max(1, len(each.node.scope.root.calls))
        factors = each.factors or ()
        periods = [p * factor**times for p, factor in zip(periods, factors, strict=True)]
    if max(periods) > _LONGEST_PERIOD:
        return f"its layers enlarge {max(periods)} times in all, too much to find a period in"
    return Folding(tuple(map(Fold, periods)), is_guess=True)


def _growing(graph: Graph, before: dict[Node, None]) -> Iterator[_Growing]:
    """What enlarges before an output; every layer of a function counts."""
    for layer in graph.layers:
        if layer.node.scope.is_in_function or _in_main(layer.node) in before:
            factors = _factors(layer)
            if factors is None or max(factors, default=1) > 1:
                yield _Growing(layer.node, factors, isinstance(layer, Resize))
    unread = {ref for ref, _ in graph.skips}  # layers whose geometry the model does not say
    for node in before:
        if node.op_type == "MaxUnpool":
            yield _Growing(node, _unpooled(node))
        elif node.op_type in _ENLARGING and node.ref in unread:
            yield _Growing(node, None)


def _unpooled(node: Node) -> Sequence[int] | None:
    try:
        return integers(node, "strides", at_least=1)
    except (InvalidNode, Unknown):
        return None


def _in_main(node: Node) -> Node:
    """The node of the main graph that holds a node of a body."""
    while node.scope.holder is not None:
        node = node.scope.holder
    return node


def _factors(layer: Layer) -> Sequence[int] | None:
    """By how much a layer enlarges each axis; the numerator of a fraction; None if unknown."""
    if isinstance(layer, ConvTranspose):
        return layer.strides
    if isinstance(layer, Shuffle):
        return layer.blocks if layer.op == "DepthToSpace" else ()
    if isinstance(layer, Resize):
        scales = [scale for scale in layer.scales if scale is not None]
        if len(scales) < layer.rank:
            return None
        return [Fraction(scale).limit_denominator(_FINEST).numerator for scale in scales]
    return ()
