"""Questions about the resolution of a model, in one line each."""

from __future__ import annotations

from typing import Any

import onnx

from onnxstride.analysis import Resolution, resolution
from onnxstride.geometry.fields import Field, Sight, Unknown
from onnxstride.graph import Graph
from tests.graph.building import graph_of


def sights(
    proto: onnx.ModelProto | str, name: str = "", **dims: int
) -> tuple[Sight, ...] | Unknown:
    """What a tensor of the main graph sees, the first output by default."""
    graph = graph_of(proto, None, **dims)
    return resolution(graph).at(graph.main, name or _output(graph))


def fields(proto: onnx.ModelProto | str, name: str = "", **dims: int) -> tuple[Field, ...]:
    """The same where every axis is known."""
    found = sights(proto, name, **dims)
    assert not isinstance(found, Unknown), found.reason
    return tuple(_field(sight) for sight in found)


def field(proto: onnx.ModelProto | str, name: str = "", **dims: int) -> Field:
    """The same where all axes are alike."""
    first, *others = fields(proto, name, **dims)
    assert all(figures(each) == figures(first) for each in others)
    return first


def figures(field: Field) -> tuple[object, ...]:
    """Stride, receptive field, the same along the narrowest path, and centre."""
    return field.stride, field.receptive_field, field.narrow, field.centre


def reason(proto: onnx.ModelProto | str, name: str = "", **dims: int) -> str:
    """Why a tensor is unknown, along every axis for the same reason."""
    found = sights(proto, name, **dims)
    if isinstance(found, Unknown):
        return found.reason
    (only,) = {sight.reason if isinstance(sight, Unknown) else "known" for sight in found}
    return only


def resolved(proto: onnx.ModelProto | str) -> tuple[Graph, Resolution]:
    graph = graph_of(proto)
    return graph, resolution(graph)


def _field(sight: Sight) -> Field:
    assert isinstance(sight, Field), sight
    return sight


def _output(graph: Graph) -> str:
    outputs: Any = graph.main.proto.output
    return str(outputs[0].name)
