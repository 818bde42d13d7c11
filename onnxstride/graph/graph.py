"""A read-only view of one model: its scopes, its layers, and what could not be read."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import InvalidGraph, ModelError
from ..rule import NodeRef
from .attributes import Unknown
from .bindings import Bindings, bind
from .build import Scopes
from .constants import Constants
from .layers import Layer
from .recognise import recognise
from .scope import DEFAULT_DOMAIN, Node, Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import TensorProto

    from ..modelfile import ModelFile


class Graph:
    """What a rule may ask about a model.

    Attributes:
        main: the main graph's scope; ``scopes`` holds it and all others.
        layers: the layers that change resolution, in the order of the file.
        faults: parts of the model that cannot be read; the rest is in ``layers`` all the same.
        skips: nodes whose geometry the model does not say, each with what is missing.
        bound: the caller's bindings that apply to this model.
    """

    def __init__(self, model: ModelFile, bindings: Bindings) -> None:
        bound = bind(model.proto, bindings)
        scopes = Scopes(bound.model)
        self.main = scopes.main
        self.scopes: tuple[Scope, ...] = tuple(scopes.all)
        self.bound = bound.used
        self.ir_version: int = model.proto.ir_version
        self._model = model
        self._constants = Constants(model)
        faults = [*scopes.faults, *_tensor_faults(model, self.scopes)]
        layers: list[Layer] = []
        skips: list[tuple[NodeRef, str]] = []
        for node in self.nodes():
            if node in scopes.calls:
                continue  # a function of the model's own, whatever its name
            try:
                layer = recognise(node, self._constants)
            except Unknown as unknown:
                skips.append((node.ref, str(unknown)))
            except ModelError as fault:
                faults.append(fault)
            else:
                if layer is not None:
                    layers.append(layer)
        self.layers = tuple(layers)
        self._layer_of = {layer.node: layer for layer in layers}
        self.skips = tuple(skips)
        self.faults = tuple({str(fault): fault for fault in faults}.values())

    def nodes(self) -> list[Node]:
        """Every node of every scope."""
        return [node for scope in self.scopes for node in scope.nodes]

    def layer_of(self, node: Node) -> Layer | None:
        """The layer a node amounts to; None when it is none, or could not be read."""
        return self._layer_of.get(node)

    def constant(self, node: Node, name: str) -> NDArray[Any] | None:
        """Value of a tensor ``node`` reads, when the file fixes it and holds it; else None.

        Bytes that are missing or damaged are among ``faults``, so a rule need not report them.
        """
        try:
            return self._constants.value(node.scope, name)
        except ModelError:
            return None

    def release(self) -> None:
        """Give back the memory that constants were looked into with; arrays stay good."""
        self._model.release()

    def constant_tensor(self, scope: Scope, name: str) -> TensorProto | None:
        """The constant called ``name`` where ``scope`` stands, complete with its data."""
        from onnx import numpy_helper

        try:
            value = self._constants.value(scope, name)
        except ModelError:
            return None
        return None if value is None else numpy_helper.from_array(value, name)


def read_graph(model: ModelFile, bindings: Bindings | None = None) -> Graph:
    """The view of ``model`` with the caller's sizes bound.

    Raises:
        InvalidGraph: the model has no node.
        UsageError: a binding contradicts the model.
    """
    if not model.proto.graph.node:
        raise InvalidGraph("the graph has no node: there is nothing to judge")
    # A large graph makes many objects and no garbage: the collector would go through all of them
    # again and again, for a third of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        return Graph(model, bindings or Bindings())
    finally:
        if collects:
            gc.enable()


def _tensor_faults(model: ModelFile, scopes: tuple[Scope, ...]) -> list[ModelError]:
    faults = (model.fault(tensor) for scope in scopes for tensor in _tensors(scope))
    return [fault for fault in faults if fault is not None]


def _tensors(scope: Scope) -> Iterator[TensorProto]:
    yield from scope.initializers.values()
    for node in scope.nodes:
        if node.op_type == "Constant" and node.domain == DEFAULT_DOMAIN:
            value = node.attributes.get("value")
            if value is not None and not value.ref_attr_name:
                yield value.t
