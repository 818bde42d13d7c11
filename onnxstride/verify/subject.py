"""A model to be verified: what runs it, what it takes in and gives out, how precise it is."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import onnx
from onnx import helper

from ..graph.bindings import Bindings, bind
from ..modelfile import ModelFile, open_model
from .inputs import Input, read_inputs
from .loading import loadable, nodes, tensors
from .runtime import Loadable
from .tolerance import epsilon

Source = str | PathLike[str] | bytes

_FLOATS = {
    onnx.TensorProto.DOUBLE: "float64",
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.BFLOAT16: "bfloat16",
    **dict.fromkeys((17, 18, 19, 20), "float8"),
}
_SINGLE = epsilon("float32")


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the two models.

    ``uncheckable`` names outputs that are no tensors, with what they are. ``coarsest`` is the
    least precise floating type in use, if that is less precise than float32 or the only one.
    ``bound`` are the names of the bindings that applied.
    """

    model: ModelFile
    loadable: Loadable
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    uncheckable: dict[str, str]
    coarsest: str | None
    bound: frozenset[str]

    @property
    def name(self) -> str:
        """How messages call the model."""
        return self.loadable.name


def read_subject(source: Source, name: str | None, bindings: Bindings) -> Subject:
    """The model in a file or in bytes; its ``model`` is to be closed.

    Raises:
        ModelError: it cannot be read, or one of its tensors cannot.
        UsageError: a binding contradicts it.
    """
    model = open_model(source, name)
    try:
        bound = bind(model.proto, bindings)
        graph = bound.model.graph
        return Subject(
            model,
            _loadable(source, model),
            read_inputs(graph),
            tuple(value.name for value in graph.output),
            _uncheckable(graph),
            _coarsest(model.proto),
            bound.used,
        )
    except BaseException:
        model.close()
        raise


def _loadable(source: Source, model: ModelFile) -> Loadable:
    if isinstance(source, bytes) and len(model.source) > 0:
        return Loadable(model.name, source)
    return loadable(model)


def file_name(source: Source, otherwise: str) -> str:
    """How messages call a model that nobody named."""
    return otherwise if isinstance(source, bytes) else Path(source).name


def _uncheckable(graph: onnx.GraphProto) -> dict[str, str]:
    """Outputs that have no tensors to compare."""
    kinds = {value.name: value.type for value in graph.output}
    found: dict[str, str] = {}
    for name, kind in kinds.items():
        if kind.HasField("sequence_type"):
            kind = kind.sequence_type.elem_type
        which = kind.WhichOneof("value")
        if which in ("map_type", "sparse_tensor_type", "optional_type", "sequence_type"):
            found[name] = which.removesuffix("_type").replace("_", " ")
    return found


def _coarsest(model: onnx.ModelProto) -> str | None:
    """The least precise floating type among weights, casts, inputs and outputs."""
    used = {tensor.data_type for tensor in tensors(model)}
    for values in (model.graph.input, model.graph.output, model.graph.value_info):
        used.update(value.type.tensor_type.elem_type for value in values)
    for node in nodes(model):
        if node.op_type == "Cast":
            used.update(
                helper.get_attribute_value(item) for item in node.attribute if item.name == "to"
            )
    named = {_FLOATS[number] for number in used if number in _FLOATS}
    return max(named, key=epsilon) if named else None
