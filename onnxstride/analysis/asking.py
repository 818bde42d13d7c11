"""What an operator's entry may ask about the node at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from ..graph import Graph
from ..graph.attributes import Unknown, integer, integers, invalid
from ..graph.scope import Node
from .moves import STAY, Lane, Route

Ranks: TypeAlias = Callable[[str], int | None]
"""The rank of a tensor the node reads, by name; None when unknown."""

Entries: TypeAlias = Callable[[str], tuple[int, ...] | None]
"""Integers that a tensor holds, by name; None when they are not the same always."""

_MOST_AXES = 64  # numpy's
_ANY = -(2**31)


class Asking:
    """One node, with typed answers; what the model does not say is raised as Unknown."""

    __slots__ = ("_entries", "_ranks", "graph", "node")

    def __init__(self, graph: Graph, node: Node, ranks: Ranks, entries: Entries | None) -> None:
        self.graph = graph
        self.node = node
        self._ranks = ranks
        self._entries = entries

    def rank(self, position: int) -> int:
        """Rank of the input at ``position``."""
        rank = self._ranks(self.node.input(position))
        if rank is None:
            raise Unknown(f"the rank of {self.node.input(position)!r} is unknown")
        return rank

    def fixed(self, position: int) -> tuple[int, ...] | None:
        """Integers that an input holds; None when it is left out or computed at run time."""
        name = self.node.input(position)
        few = self.graph.few(self.node, name, _MOST_AXES) if name else None
        if few is None:
            return self._entries(name) if name and self._entries is not None else None
        return None if few.is_float else tuple(map(int, few.values))

    def stated(self, name: str, position: int) -> tuple[int, ...] | None:
        """Integers of an attribute, or of the input that newer versions have in its place.

        None when the node has neither.

        Raises:
            Unknown: computed at run time.
        """
        given = integers(self.node, name, at_least=_ANY)
        if given is not None or not self.node.input(position):
            return given
        given = self.fixed(position)
        if given is None:
            raise Unknown(f"{name} is computed at run time")
        return given

    def axis(self, default: int, rank: int) -> int:
        """The attribute ``axis``, counted from the front."""
        return self.from_front([integer(self.node, "axis", default)], rank)[0]

    def from_front(self, axes: Iterable[int], rank: int) -> tuple[int, ...]:
        """Axes counted from the front."""
        stated = list(axes)
        if any(not -rank <= axis < rank for axis in stated):
            raise invalid(self.node, f"axes {stated} should lie within a tensor of rank {rank}")
        return tuple(axis % rank for axis in stated)

    def route(self, lanes: Iterable[Lane] | None = None, *, at: int = 0, to: int = 0) -> Route:
        """From the input at one position to the output at another; all stays without lanes."""
        node = self.node
        return Route(node.input(at), node.output(to), None if lanes is None else tuple(lanes))


def staying(dims: Iterable[int]) -> list[Lane]:
    """Lanes of dimensions that stay as they are."""
    return [Lane(dim, STAY) for dim in dims]
