"""A read-only view of one model: its scopes, its layers, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import InvalidGraph, ModelError
from ..geometry.few import MOST, Few
from ..rule import NodeRef
from .attributes import Unknown
from .bindings import Bindings, bind
from .build import Scopes
from .constants import Constants
from .layers import Layer, Merge
from .merges import merges
from .pausing import collector_paused
from .products import Size, elements
from .recognise import recognise
from .scope import DEFAULT_DOMAIN, Node, Scope
from .thresholds import Thresholds

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
        bound: the caller's bindings that apply to this model.
        calls: nodes that call a local function.
        thresholds: from where on a pattern counts as visible.
        analyses: what has been found out about the graph as a whole, by type, so that it is
            found out once.
    """

    def __init__(self, model: ModelFile, bindings: Bindings, thresholds: Thresholds) -> None:
        bound = bind(model.proto, bindings)
        scopes = Scopes(bound.model)
        self.main = scopes.main
        self.scopes: tuple[Scope, ...] = tuple(scopes.all)
        self.bound = bound.used
        self.thresholds = thresholds
        self.ir_version: int = model.proto.ir_version
        self._model = model
        self._constants = Constants(model)
        faults = [*scopes.faults, *_tensor_faults(model, self.scopes)]
        layers: list[Layer] = []
        skips: dict[Node, str] = {}
        self._nodes = tuple([node for scope in self.scopes for node in scope.nodes])
        for node in self._nodes:
            if node in scopes.calls:
                continue  # a function of the model's own, whatever its name
            try:
                layer = recognise(node, self._constants)
            except Unknown as unknown:
                skips[node] = str(unknown)
            except ModelError as fault:
                faults.append(fault)
            else:
                if layer is not None:
                    layers.append(layer)
        self.layers = tuple(layers)
        self._layer_of = {layer.node: layer for layer in layers}
        self._skips = skips
        self.calls = scopes.calls
        self.analyses: dict[type, Any] = {}
        self.faults = tuple({str(fault): fault for fault in faults}.values())

    def nodes(self) -> tuple[Node, ...]:
        """Every node of every scope."""
        return self._nodes

    @cached_property
    def merges(self) -> tuple[Merge, ...]:
        """Where two or more maps meet, in the order of the file."""
        return merges(self.scopes)

    @property
    def skips(self) -> tuple[tuple[NodeRef, str], ...]:
        """Nodes whose geometry the model does not say, each with what is missing."""
        return tuple((node.ref, reason) for node, reason in self._skips.items())

    def reason_for_skip(self, node: Node) -> str:
        """Why the geometry of a node is unknown; empty when the node is not among the skips."""
        return self._skips.get(node, "")

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

    def few(self, node: Node, name: str, at_most: int = MOST) -> Few | None:
        """As ``constant``, for what is made of few real numbers; None for anything else.

        Takes less time by far, as it needs no numpy for most of them.
        """
        try:
            return self._constants.few(node.scope, name, at_most)
        except ModelError:
            return None

    def first_rows(self, node: Node, name: str, at_most: int = MOST) -> tuple[Few, float] | None:
        """The beginning of a ``constant`` that the file holds as it is, and its share of all.

        It has as many entries of dimension 0 as make ``at_most`` numbers, one at least.
        """
        try:
            return self._constants.first_rows(node.scope, name, at_most)
        except ModelError:
            return None

    def sizes_held(self, node: Node, name: str) -> list[Size] | None:
        """Sizes that a tensor ``node`` reads is made of; None when they cannot be followed back."""
        return elements(node.scope, name, self._constants)

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


def read_graph(
    model: ModelFile, bindings: Bindings | None = None, thresholds: Thresholds | None = None
) -> Graph:
    """The view of ``model`` with the caller's sizes bound, and the caller's thresholds.

    Raises:
        InvalidGraph: the model has no node.
        UsageError: a binding contradicts the model.
    """
    if not model.proto.graph.node:
        raise InvalidGraph("the graph has no node: there is nothing to judge")
    with collector_paused():
        return Graph(model, bindings or Bindings(), thresholds or Thresholds())


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
