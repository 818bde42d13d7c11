"""Operators that give the same elements another shape."""

from __future__ import annotations

from collections.abc import Callable

from ..graph.attributes import integer, integers
from ..graph.products import Size
from ..graph.scope import Dim
from .asking import Asking, staying
from .moves import STAY, Closed, Flow, Fresh, Lane, Meet, Refold


def reshape(ask: Asking) -> Flow:
    node = ask.node
    shape = node.scope.shape(node.output(0))
    target = _target(ask)
    if target is not None:
        # A shape of another rank contradicts the target, which is what runs.
        known = shape if shape and len(shape) == len(target) else (None,) * len(target)
        wanted = [None if size == -1 else size for size in target]
        shape = tuple(
            size if isinstance(size, int) else each
            for size, each in zip(known, wanted, strict=True)
        )
    copies = integer(node, "allowzero", 0) == 0
    kept = tuple(i for i, size in enumerate(target or ()) if size == 0 and copies)
    return Refold(node.input(0), node.output(0), shape, None, kept, _whose_shape(ask))


def _target(ask: Asking) -> tuple[Dim, ...] | None:
    """The target of a Reshape as far as it can be followed: sizes and symbols, -1 and 0."""
    stated = integers(ask.node, "shape", at_least=-1)
    if stated is not None:
        return stated
    held = ask.graph.sizes_held(ask.node, ask.node.input(1)) if ask.node.input(1) else None
    return None if held is None else tuple(map(as_dim, held))


def as_dim(size: Size) -> Dim:
    """A product of sizes as a size, or as a symbol that spells it."""
    number, symbols = size
    if not symbols:
        return number
    return " * ".join(symbols if number == 1 else (str(number), *symbols))


def _whose_shape(ask: Asking) -> str:
    """The tensor whose whole shape the target of a Reshape is."""
    producer = ask.node.scope.producer(ask.node.input(1)) if ask.node.input(1) else None
    if producer is None or (producer.domain, producer.op_type) != ("", "Shape"):
        return ""
    return "" if {"start", "end"} & set(producer.attributes) else producer.input(0)


def flatten(ask: Asking) -> Flow:
    node, rank = ask.node, ask.rank(0)
    axis = integer(node, "axis", 1)
    axis += rank if axis < 0 else 0
    groups = (tuple(range(axis)), tuple(range(axis, rank)))
    return Refold(node.input(0), node.output(0), node.scope.shape(node.output(0)), groups)


def squeeze(ask: Asking) -> Flow:
    rank = ask.rank(0)
    axes = ask.stated("axes", 1)
    if axes is None:
        shape = ask.node.scope.shape(ask.node.input(0))
        if shape is None or None in shape or any(isinstance(dim, str) for dim in shape):
            return Closed("which dimensions have size 1 is unknown")
        axes = tuple(i for i, dim in enumerate(shape) if dim == 1)
    dropped = ask.from_front(axes, rank)
    return Meet((ask.route(staying(dim for dim in range(rank) if dim not in dropped)),))


def unsqueeze(ask: Asking) -> Flow:
    axes = ask.stated("axes", 1) or ()
    rank = ask.rank(0) + len(axes)
    added = ask.from_front(axes, rank)
    kept = iter(range(rank))
    lanes = [
        Lane(None, Fresh(1)) if dim in added else Lane(next(kept), STAY) for dim in range(rank)
    ]
    return Meet((ask.route(lanes),))


def expand(ask: Asking) -> Flow:
    """Broadcast to a shape; only its rank matters, for dimensions that are not 1 stay."""
    rank = ask.rank(0)
    shape = ask.node.scope.shape(ask.node.output(0))
    target = ask.fixed(1)
    if shape is None and target is None:
        return Closed("the shape it is broadcast to is unknown")
    added = max(0, len(shape if shape is not None else target or ()) - rank)
    return Meet((ask.route([Lane(None, Fresh(None))] * added + staying(range(rank))),))


RESHAPES: dict[str, Callable[[Asking], Flow]] = {
    "Expand": expand,
    "Flatten": flatten,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
}
