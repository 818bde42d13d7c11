"""New nodes that take the place of old ones, built with onnx-graphsurgeon.

A fragment names tensors by string: those of the model as they are called there, new ones by what
``add`` and ``constant`` return. This is the only module that touches graphsurgeon, which keeps
the order of nodes, their attributes and the bytes of constants; what it would drop of a whole
model (metadata, doc strings) it never sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..rule import Safety

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

    from ..graph.scope import Node


@dataclass(frozen=True, slots=True, eq=False)
class Replacement:
    """A finished fragment: what goes, what comes, and what is to be known of it.

    Attributes:
        removed: the nodes that go.
        nodes: the nodes that come, in topological order.
        constants: the new constants they read.
        accumulation: most terms added up in one output value; 0 when no arithmetic is done and
            the result is bit exact.
        any_size: False when the new nodes are right only for the sizes the model declares.
        non_negative: tensors of the model that the new nodes rely on to be zero or more.
        figures: what the rewrite measured or chose, ready for JSON.
        safety: what it changes here, where that is less than the rewrite does in general.
        opset: version of the ONNX operator set that the new nodes are written for.
        widens: True when the new nodes also take sizes that the old ones refuse.
        uncut: why the nodes mean nothing without the rest of the model; empty when they do.
    """

    removed: tuple[Node, ...]
    nodes: tuple[NodeProto, ...]
    constants: tuple[TensorProto, ...]
    accumulation: int
    any_size: bool
    non_negative: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    safety: Safety | None = None
    opset: int | None = None
    widens: bool = False
    uncut: str = ""


class Fragment:
    """Builds the nodes that replace ``removed``; new names begin with ``prefix`` and a slash."""

    def __init__(self, prefix: str, opset: int, removed: Sequence[Node], taken: set[str]) -> None:
        from onnx_graphsurgeon import Constant, Graph, Node, Variable

        self._constant_type, self._node_type, self._variable = Constant, Node, Variable
        self._graph: Any = Graph(opset=opset)
        self._opset = opset
        self._prefix = prefix
        self._removed = tuple(removed)
        self._taken = taken
        self._tensors: dict[str, Any] = {}
        self._edited: list[NodeProto] = []
        self._renamed: list[NodeProto] = []
        self.accumulation = 0
        self.any_size = True
        self.non_negative: list[str] = []
        self.figures: dict[str, Any] = {}
        self.safety: Safety | None = None
        self.widens = False
        self.uncut = ""

    def constant(self, values: NDArray[Any], label: str) -> str:
        """A new constant; returns its name."""
        name = self._new_name(label)
        self._tensors[name] = self._constant_type(name, values)
        return name

    def add(
        self, op_type: str, inputs: Iterable[str], *, label: str = "", **attributes: Any
    ) -> str:
        """A new node with one output; returns the output's name.

        An empty input is left out; an array among the attributes becomes a tensor.
        """
        name = self._new_name(label or op_type.lower())
        output = self._variable(name)
        self._tensors[name] = output
        self._graph.nodes.append(
            self._node_type(
                op_type,
                name,
                attrs={key: _attribute(value) for key, value in attributes.items()},
                inputs=[self._tensor(source) for source in inputs],
                outputs=[output],
            )
        )
        return name

    def edit(
        self,
        node: Node,
        *,
        attributes: Mapping[str, Any] | None = None,
        inputs: Mapping[int, str] | None = None,
        outputs: int | None = None,
        op_type: str | None = None,
    ) -> None:
        """Keep a removed node after all, changed only in what is given; it comes last.

        Its name, documentation and metadata stay. Attributes are set, or dropped where the value
        is None; inputs are replaced by position, also behind the last; ``outputs`` keeps that
        many of the first; ``op_type`` makes it another operator.
        """
        proto = _changed(node, attributes or {}, inputs or {})
        if outputs is not None:
            del proto.output[outputs:]
        if op_type is not None:
            proto.op_type = op_type
        self._edited.append(proto)

    def rename_output(
        self,
        node: Node,
        label: str,
        *,
        attributes: Mapping[str, Any] | None = None,
        inputs: Mapping[int, str] | None = None,
    ) -> str:
        """Keep a removed node, its first output under a new name, which comes back; it comes first.

        What is built on the new name can then stand in for the old. Attributes and inputs are
        changed as ``edit`` changes them.
        """
        proto = _changed(node, attributes or {}, inputs or {})
        proto.output[0] = self._new_name(label)
        self._renamed.append(proto)
        name: str = proto.output[0]
        return name

    def stand_in(self, old: str, new: str) -> None:
        """Let the new tensor ``new`` be what the model calls ``old`` from now on."""
        made = self._tensor(new)
        if not made.inputs:  # a tensor of the model, or a constant: it keeps its own name
            made = self._tensors[self.add("Identity", [new])]
        made.name = old

    def finished(self) -> Replacement:
        """The nodes and constants built so far."""
        from onnx_graphsurgeon import export_onnx

        self._graph.inputs = []
        self._graph.outputs = []
        exported = export_onnx(self._graph, do_type_check=False).graph
        return Replacement(
            self._removed,
            (*self._renamed, *exported.node, *self._edited),
            (*exported.initializer, *self._read_by_edited(exported.initializer)),
            self.accumulation,
            self.any_size,
            tuple(self.non_negative),
            self.figures,
            self.safety,
            self._opset,
            self.widens,
            self.uncut,
        )

    def _read_by_edited(self, exported: Iterable[TensorProto]) -> Iterator[TensorProto]:
        """New constants that only nodes outside graphsurgeon's graph read."""
        from onnx import numpy_helper

        known = {tensor.name for tensor in exported}
        for name in dict.fromkeys(
            name for node in (*self._renamed, *self._edited) for name in node.input
        ):
            if name not in known and isinstance(self._tensors.get(name), self._constant_type):
                yield numpy_helper.from_array(self._tensors[name].values, name)

    def _tensor(self, name: str) -> Any:
        if name not in self._tensors:
            self._tensors[name] = self._variable(name)
        return self._tensors[name]

    def _new_name(self, label: str) -> str:
        name = f"{self._prefix}/{label}"
        number = 1
        while name in self._taken:
            number += 1
            name = f"{self._prefix}/{label}_{number}"
        self._taken.add(name)
        return name


def _changed(node: Node, attributes: Mapping[str, Any], inputs: Mapping[int, str]) -> NodeProto:
    """A copy with attributes set, or dropped where None, and inputs replaced by position."""
    from onnx import helper

    proto = type(node.proto)()
    proto.CopyFrom(node.proto)
    for name, value in attributes.items():
        for index in reversed(range(len(proto.attribute))):
            if proto.attribute[index].name == name:
                del proto.attribute[index]
        if value is not None:
            proto.attribute.append(helper.make_attribute(name, value))
    for position, name in inputs.items():
        proto.input.extend([""] * (position + 1 - len(proto.input)))
        proto.input[position] = name
    return proto


def _attribute(value: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
