"""The place of a rewrite: one layer in its graph, and what may be known and built there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..graph import Graph
from ..graph.layers import Layer
from ..graph.scope import Node, Scope
from ..rewrite import Options
from ..rule import Safety
from .fragment import Fragment

if TYPE_CHECKING:
    from ..rule import NodeRef

Samples = Iterable[tuple[NDArray[Any], NDArray[Any]]]
"""Batches of (what the layer reads in the rewritten model, what it made in the original)."""


class Site:
    """One layer that a rewrite is asked to replace.

    Attributes:
        layer: the layer; ``node`` and ``scope`` are its node and that node's scope.
        graph: the model around it, as it is now.
        options: what the user chose.
        allow: the most that may be changed here.
        opset: version of the ONNX operator set that new nodes are written for: newer than the
            layer's where the model is about to be raised.
    """

    def __init__(
        self,
        layer: Layer,
        graph: Graph,
        options: Options,
        taken: set[str],
        samples: Callable[[], Samples] | None = None,
        made_up: Callable[[], Samples] | None = None,
        allow: Safety = Safety.TRAINING,
        opset: int | None = None,
    ) -> None:
        self.layer = layer
        self.graph = graph
        self.options = options
        self._taken = taken
        self.allow = allow
        self.opset = layer.opset if opset is None else opset
        self._samples = samples
        self._made_up = made_up

    @property
    def node(self) -> Node:
        return self.layer.node

    @property
    def ref(self) -> NodeRef:
        return self.layer.ref

    @property
    def scope(self) -> Scope:
        return self.layer.node.scope

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Element type of the map the layer reads; None when it is unknown."""
        return self.dtype_of(self.layer.input)

    def dtype_of(self, name: str) -> np.dtype[Any] | None:
        """Element type of a tensor; None when it is unknown."""
        from onnx import helper

        element_type = self.scope.element_type(name)
        if element_type is None:
            return None
        try:
            return np.dtype(helper.tensor_dtype_to_np_dtype(element_type))
        except (KeyError, TypeError):
            return None  # a number that stands for no type, or for none of numpy's

    @property
    def channels(self) -> int | None:
        """Channels of the map the layer reads; None when unknown, or when they come last."""
        shape = self.scope.shape(self.layer.input)
        if shape is None or len(shape) != self.layer.rank + 2 or shape[2:] != self.layer.dims:
            return None
        return shape[1] if isinstance(shape[1], int) else None

    @property
    def has_samples(self) -> bool:
        """True when the user gave data to fit new weights on."""
        return self._samples is not None

    def samples(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Activations to fit on, batch by batch; each call runs through the data anew."""
        if self._samples is not None:
            yield from self._samples()

    @property
    def can_make_up_samples(self) -> bool:
        """True when the model can be run on inputs made up for it, and the layer looked into."""
        return self._made_up is not None

    def made_up_samples(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Activations as ``samples`` gives them, of inputs made up for the model."""
        if self._made_up is not None:
            yield from self._made_up()

    def constant(self, name: str) -> NDArray[Any] | None:
        """Value of a tensor the node reads, when the file fixes it."""
        return self.graph.constant(self.node, name)

    def is_read(self, name: str) -> bool:
        """True when a node reads ``name``, or the graph hands it out."""
        return bool(name) and bool(self.scope.consumers(name) or self.scope.is_output(name))

    def fragment(self, *also: Node) -> Fragment:
        """An empty fragment in place of the node, and of ``also``, which only feed or read it."""
        removed = sorted({*also, self.node}, key=lambda node: node.index)
        return Fragment(self.node.name, self.opset, removed, self._taken)

    def fragment_at(self, node: Node) -> Fragment:
        """An empty fragment in place of another node, with names as if it were this one."""
        return Fragment(self.node.name, self.opset, [node], self._taken)
