"""From a node that a finding is about to the layers whose rewrite would mend it.

Most findings are about a layer. Some are about a place where maps meet: what can be changed there
are the layers that the maps come out of.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from ..graph import Graph
from ..graph.layers import Layer
from ..graph.scope import Node
from ..rule import NodeRef


class Upstream:
    """Looks up the layers of one graph by the nodes that findings name."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def layers_at(self, ref: NodeRef, kinds: tuple[type, ...]) -> list[Layer]:
        """The layer that a node is, if of these kinds; where maps meet, those that lead there.

        Along every way back it is the first; ways end at the borders of the node's scope.
        """
        if ref in self._layers:
            return [self._layers[ref]] if isinstance(self._layers[ref], kinds) else []
        merge = self._merges.get(ref)
        if merge is None:
            return []
        found = {layer.node: layer for layer in self._graph.layers if isinstance(layer, kinds)}
        reached = _reached(merge, found)
        return [layer for node, layer in found.items() if node in reached]

    @cached_property
    def _layers(self) -> dict[NodeRef, Layer]:
        return {layer.ref: layer for layer in self._graph.layers}

    @cached_property
    def _merges(self) -> dict[NodeRef, Node]:
        return {merge.ref: merge.node for merge in self._graph.merges}


def _reached(start: Node, ends: Collection[Node]) -> set[Node]:
    """What can be reached backwards, not beyond ``ends``."""
    seen: set[Node] = set()
    waiting = [start]
    while waiting:
        node = waiting.pop()
        if node in ends:
            continue
        makers = map(node.scope.producer, node.inputs)
        new = {maker for maker in makers if maker and maker.scope is node.scope} - seen
        seen |= new
        waiting += new
    return seen
