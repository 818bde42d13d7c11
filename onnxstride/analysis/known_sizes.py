"""Sizes that the moves of a layer depend on, where shape inference leaves them open.

Inference stops at operators it does not know and at sizes computed as the model runs. The walk
over sizes goes on; it is run when such a size is first asked for, which few models need.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from ..graph import Graph
from ..graph.scope import Dim, Node, Scope
from .sized import Lost

if TYPE_CHECKING:
    from ..geometry.terms import Size, Term
    from .size_walk import SizeWalk


class KnownSizes:
    """Sizes of the tensors of one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    @cached_property
    def _walk(self) -> SizeWalk:
        from .size_walk import size_walk

        return size_walk(self._graph)

    def size(self, scope: Scope, name: str, dim: int) -> int | None:
        """One dimension of a tensor, counted from the last when negative."""
        shape = scope.shape(name)
        if shape is not None and -len(shape) <= dim < len(shape):
            size = shape[dim]
            if isinstance(size, int):
                return size
        known = self._size(scope, name, dim)
        return known if isinstance(known, int) else None

    def rank(self, node: Node, name: str) -> int | None:
        """The number of dimensions of a tensor that ``node`` reads."""
        shape = node.scope.shape(name)
        if shape is not None:
            return len(shape)
        constant = self._graph.constant(node, name)
        if constant is not None:
            return int(constant.ndim)
        return self._walk.rank(node.scope, name) if _is_called_once(node.scope) else None

    def shape(self, scope: Scope, name: str) -> tuple[Dim, ...] | None:
        """Every size of a tensor, an unknown one as a symbol; the same for all of that size."""
        dims = self._walk.dims(scope, name) if _is_called_once(scope) else None
        if dims is None or isinstance(dims, Lost):
            return None
        return tuple(size if isinstance(size, int) else f"\0size {size.index}" for size in dims)

    def entries(self, node: Node, name: str) -> tuple[int, ...] | None:
        """Integers that ``node`` reads and the model computes, where they are the same always."""
        value = self._walk.value(node, name) if _is_called_once(node.scope) else None
        if value is None or value.is_float:
            return None
        found = value.flat()
        return tuple(found) if all(isinstance(entry, int) for entry in found) else None

    def ratio(self, node: Node, dim: int) -> Fraction | None:
        """Output over input size of a node along a dimension, if it is one for all sizes."""
        before = self._size(node.scope, node.input(0), dim)
        after = self._size(node.scope, node.output(0), dim)
        if before is None or after is None:
            return None
        (base, factor), (other, other_factor) = _multiple(before), _multiple(after)
        return Fraction(other_factor, factor) if base is other else None

    def _size(self, scope: Scope, name: str, dim: int) -> Size | None:
        if not _is_called_once(scope):
            return None
        dims = self._walk.dims(scope, name)
        if isinstance(dims, Lost) or not -len(dims) <= dim < len(dims):
            return None
        return dims[dim]


def _is_called_once(scope: Scope) -> bool:
    """True where a name stands for one tensor: not in a function with several calls."""
    while scope.root.is_function:
        if len(scope.root.calls) != 1:
            return False
        scope = scope.root.calls[0].scope
    return True


def _multiple(size: Size) -> tuple[Term | None, int]:
    """A size as a multiple of another; None with a number."""
    from ..geometry.terms import Floor

    if isinstance(size, int):
        return None, size
    if isinstance(size, Floor) and size.divisor == 1 and size.offset == 0 and len(size.parts) == 1:
        ((part, factor),) = size.parts
        return part, factor
    return size, 1
