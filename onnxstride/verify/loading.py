"""Models as ONNX Runtime can open them.

A binary model is opened by its path, by ONNX Runtime itself: that is the only way for external
data and for models over 2 GiB. Its tensors are looked over first, so that what is missing or
leads out of the model's folder is reported, not opened. ONNX text has weights that are made up as
they are read: its tensors are written into the bytes.
"""

from collections.abc import Iterable, Iterator

import onnx
from onnx import numpy_helper

from ..errors import InvalidTensor
from ..modelfile import ModelFile
from .runtime import Loadable

_LARGEST = 2**31 - 1
_EXTERNAL = onnx.TensorProto.EXTERNAL


def loadable(model: ModelFile) -> Loadable:
    """The model for ONNX Runtime: its path where that holds it as it is, else its bytes.

    Raises:
        ModelError: a tensor is missing, damaged or outside the model's folder.
    """
    is_binary = model.path is not None and len(model.source) > 0
    if is_binary and not model.is_edited and model.path is not None:
        for tensor in tensors(model.proto):
            if fault := model.fault(tensor):
                raise fault
        return Loadable(model.name, model.path)
    return Loadable(model.name, complete(model))


def complete(model: ModelFile) -> bytes:
    """The model's bytes with every tensor's values in them.

    Raises:
        ModelError: a tensor cannot be read, or all of them are more than a model can hold.
    """
    whole = onnx.ModelProto()
    whole.CopyFrom(model.proto)
    for tensor in tensors(whole):
        if tensor.data_location == _EXTERNAL:
            tensor.CopyFrom(numpy_helper.from_array(model.tensor(tensor), tensor.name))
    if whole.ByteSize() > _LARGEST:
        raise InvalidTensor(
            f"its tensors take {whole.ByteSize():,} bytes; a model in one piece holds at most "
            f"{_LARGEST:,}: save it as .onnx with external data"
        )
    data: bytes = whole.SerializeToString()
    return data


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """The initializers and the tensors among attributes, of subgraphs and functions as well."""
    yield from _in_graph(model.graph)
    for function in model.functions:
        yield from _in_nodes(function.node)


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """The nodes, of subgraphs and functions as well."""
    yield from _below(model.graph.node)
    for function in model.functions:
        yield from _below(function.node)


def _below(listed: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in listed:
        yield node
        for graph in _subgraphs(node):
            yield from _below(graph.node)


def _in_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _in_nodes(graph.node)


def _in_nodes(listed: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in listed:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
        for graph in _subgraphs(node):
            yield from _in_graph(graph)


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
