"""Sizes of every tensor against shape inference, on the models that come with onnx.

Each model is walked twice: with its sizes as they are, which must give the numbers that onnx
infers, and with every size of its inputs free, which must give terms that come to those numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxstride.analysis.size_table import InputDim
from onnxstride.analysis.size_walk import SizeWalk
from onnxstride.analysis.sized import Lost
from onnxstride.geometry.size_program import Fitting, Meeting, Requirement, Tiling
from onnxstride.geometry.term_values import Values, evaluate
from onnxstride.geometry.terms import Free, Opaque, Size, Term, cone
from onnxstride.graph import Graph

from ..graph.building import graph_of, model, node

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
KINDS = ("light", "pytorch-converted", "pytorch-operator", "simple")


MODELS = sorted(path for kind in KINDS for path in (DATA / kind).rglob("*.onnx"))


@cache
def graph_at(path: Path) -> Graph | None:
    """The graph of a model; None for one without nodes."""
    proto = onnx.load(path)
    return graph_of(proto) if proto.graph.node else None


class Disagreement(Exception):
    """A size that is not what onnx infers."""


def compared(graph: Graph, walk: SizeWalk, at: Mapping[Free, Values]) -> Iterator[tuple[int, int]]:
    """Sizes found and inferred, of every dimension of which both are known."""
    for each in graph.main.nodes:
        for name in filter(None, each.outputs):
            shape, dims = graph.main.shape(name), walk.dims(graph.main, name)
            if shape is None or isinstance(dims, Lost) or each.op_type == "BatchNormalization":
                continue
            if len(shape) != len(dims):
                raise Disagreement(f"{name}: {dims} for {shape}")
            for size, inferred in zip(dims, shape, strict=True):
                value = known(size, at)
                if value is not None and isinstance(inferred, int):
                    yield value, inferred


def known(size: Size, at: Mapping[Free, Values]) -> int | None:
    """What a size comes to, sizes of 1 stretched; None for one that is not followed."""
    if isinstance(size, Term) and any(isinstance(each, Opaque) for each in cone([size])):
        return None
    (found,) = evaluate([size], at or {Free(0, ""): np.array([1])}, stretching=True)
    return int(found[0])


def freed(graph: Graph) -> tuple[SizeWalk, dict[Free, Values]]:
    """The walk with every size of the inputs free, and the sizes they have in the file."""
    shapes = {name: graph.main.shape(name) or () for name in graph.main.inputs}
    dims = {
        InputDim(name, dim)
        for name, shape in shapes.items()
        if name not in graph.main.initializers
        for dim, size in enumerate(shape)
        if isinstance(size, int)
    }
    walk = SizeWalk(graph, frozenset(dims))
    sizes = {free: shapes[at[0].input][at[0].dim] for free, at in walk.free.items()}
    return walk, {
        free: np.array([size if isinstance(size, int) else 1]) for free, size in sizes.items()
    }


def holds(requirement: Requirement, at: Mapping[Free, Values]) -> bool:
    """Whether a requirement holds at these sizes; True for one that cannot be followed."""
    match requirement:
        case Meeting(sizes=sizes, stretches=stretches):
            values = {known(size, at) for size in sizes}
            return None in values or len(values - ({1} if stretches else set())) <= 1
        case Fitting(size=size, least=least):
            value = known(size, at)
            return value is None or value >= least
        case Tiling(size=size, multiple=multiple):
            value = known(size, at)
            return value is None or value % multiple == 0


@pytest.mark.parametrize("path", MODELS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_walk_finds_what_onnx_infers(path: Path) -> None:
    """Numbers agree, terms come to the same numbers, and what is required holds of them."""
    graph = graph_at(path)
    if graph is None:
        return
    assert all(found == inferred for found, inferred in compared(graph, SizeWalk(graph), {}))
    walk, at = freed(graph)
    assert all(found == inferred for found, inferred in compared(graph, walk, at))
    assert all(holds(requirement, at) for requirement in walk.program.requirements)


def test_enough_is_compared() -> None:
    """Hundreds of sizes of more than a hundred models are compared, most of them as terms."""
    found = [graph for path in MODELS if (graph := graph_at(path)) is not None]
    pairs = [len(list(compared(graph, *freed(graph)))) for graph in found]
    assert len(pairs) > 100
    assert sum(pairs) > 400


def test_the_comparison_finds_faults() -> None:
    """A model evaluated at another size than it has comes to other numbers."""
    graph = graph_of(
        model(node("MaxPool", "x", "y", kernel_shape=[2], strides=[2]), inputs={"x": [1, 1, 8]})
    )
    walk, at = freed(graph)
    assert [*compared(graph, walk, at)] == [(1, 1), (1, 1), (4, 4)]
    wrong = {free: values + 2 for free, values in at.items()}
    assert any(found != inferred for found, inferred in compared(graph, walk, wrong))
    short = {free: values * 0 + 1 for free, values in at.items()}
    assert not all(holds(requirement, short) for requirement in walk.program.requirements)
