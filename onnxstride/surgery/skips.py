"""The maps that a resized map meets again, and where their size can be read.

A resized map is followed through what keeps its size (element by element, or a dense window padded
by K - 1 in all) to where it is joined with another map. The size of that one is read where it is
made, or further up where it is the same already, so that it is there before it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ..geometry import Axis
from ..graph.layers import SLIDING, Pool, Resize, Window
from ..graph.scope import DEFAULT_DOMAIN, Node
from .site import Site

_UNARY = frozenset(
    (
        *("Abs", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "DequantizeLinear"),
        *("Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity"),
        *("InstanceNormalization", "LRN", "LeakyRelu", "Log", "Mish", "Neg", "QuantizeLinear"),
        *("Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt"),
        *("Swish", "Tanh", "ThresholdedRelu"),
    )
)
_ELEMENTWISE = frozenset(("Add", "Div", "Max", "Mean", "Min", "Mul", "PRelu", "Pow", "Sub", "Sum"))


@dataclass(frozen=True, slots=True)
class Skip:
    """A map that a resized one meets.

    Attributes:
        source: the tensor to read its size from.
        is_joined: True where the two come side by side; elsewhere one of them, of one element along
            an axis, would be repeated along it.
    """

    source: str
    is_joined: bool


def skip_of(site: Site, layer: Resize) -> Skip | str:
    """The first map that the layer's result meets and whose size is known before; or why none.

    One that is resized itself is the last choice: it may have been made to fit the result.
    """
    reason = "it meets no other map of its rank"
    resized_too: Skip | None = None
    derived, same_size = {site.node.output(0)}, {site.node.output(0)}
    for node in site.scope.nodes[site.node.index + 1 :]:
        if derived.isdisjoint(node.inputs):
            continue
        derived.update(filter(None, node.outputs))
        if same_size.isdisjoint(node.inputs):
            continue
        if _keeps_size(site, node, same_size):
            same_size.add(node.output(0))
            continue
        for name in _met(site, node, same_size):
            found = _readable(site, layer, name, derived)
            if found is None:
                reason = _unreadable(site, name, derived)
            elif not _is_resized(site, found):
                return Skip(found, node.op_type == "Concat")
            else:
                resized_too = resized_too or Skip(found, node.op_type == "Concat")
    return resized_too or reason


def _met(site: Site, node: Node, same_size: set[str]) -> Iterator[str]:
    """Maps of the same rank that ``node`` joins with a map of the size in question."""
    if node.domain != DEFAULT_DOMAIN or not _joins_by_size(site, node):
        return
    for name in node.inputs:
        shape = site.scope.shape(name) if name else None
        is_map = shape is not None and len(shape) == site.layer.rank + 2
        if is_map and name not in same_size and site.graph.constant(node, name) is None:
            yield name


def _joins_by_size(site: Site, node: Node) -> bool:
    if node.op_type != "Concat":
        return node.op_type in _ELEMENTWISE
    axis = node.attributes.get("axis")
    return axis is not None and axis.i in (1, -1 - site.layer.rank)


def _keeps_size(site: Site, node: Node, same_size: set[str]) -> bool:
    """True when the first output has the size of the one map that is read."""
    if node.domain != DEFAULT_DOMAIN:
        return False
    if node.op_type in _UNARY:
        return True
    if node.op_type in _ELEMENTWISE:
        others = [name for name in node.inputs if name and name not in same_size]
        return all(_is_alike_everywhere(site, node, name) for name in others)
    window = site.graph.layer_of(node)
    if not isinstance(window, SLIDING) or node.input(0) not in same_size:
        return False
    return all(_is_dense(window, axis) for axis in window.axes)


def _is_alike_everywhere(site: Site, node: Node, name: str) -> bool:
    value = site.graph.constant(node, name)
    return value is not None and prod(value.shape[-site.layer.rank :]) == 1


def _is_dense(window: Window, axis: Axis) -> bool:
    if axis.stride > 1:
        return False
    if window.has_implicit_padding:
        return axis.dilation == 1
    is_exact = axis.begin + axis.end == axis.extent - 1
    return is_exact and not (isinstance(window, Pool) and window.ceil_mode)


def _readable(site: Site, layer: Resize, name: str, derived: set[str]) -> str | None:
    """``name``, or the nearest tensor above it of the same size, made before the layer's node."""
    while name not in derived:
        if _is_one(site, layer, name):
            return None
        maker = _maker(site, name)
        if maker is None or maker.index < site.node.index:
            return name
        if not _keeps_size(site, maker, {maker.input(0)}):
            return None
        name = maker.input(0)
    return None


def _is_resized(site: Site, name: str) -> bool:
    maker = _maker(site, name)
    return maker is not None and isinstance(site.graph.layer_of(maker), Resize)


def _is_one(site: Site, layer: Resize, name: str) -> bool:
    """True when the map has a single element along an axis that is resized: it is repeated."""
    dims = (site.scope.shape(name) or ())[2:]
    return any(
        dim == 1 for dim, scale in zip(dims, layer.scales, strict=False) if scale not in (None, 1)
    )


def _maker(site: Site, name: str) -> Node | None:
    """The node of this scope that makes a tensor; None for inputs, and for scopes around it."""
    maker = site.scope.producer(name)
    return maker if maker is not None and maker.scope is site.scope else None


def _unreadable(site: Site, name: str, derived: set[str]) -> str:
    if name in derived:
        return "what it meets is computed from it"
    dims = (site.scope.shape(name) or ())[2:]
    if 1 in dims:
        return "what it meets is one element, repeated over the map"
    return "what it meets is computed later in the file"
