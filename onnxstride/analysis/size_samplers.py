"""Sizes of operators that pick elements, by a table, by coordinates or by value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..geometry import Axis
from ..geometry.quasi_affine import transposed
from ..graph.attributes import Unknown, integer, integers
from ..graph.scope import Node
from .size_asking import Operator, as_sizes, dims_of, entries_of
from .size_moves import Place
from .sized import Dims, Lost

if TYPE_CHECKING:
    from .size_walk import SizeWalk


def _gather(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    dims, picked = dims_of(walk, node), dims_of(walk, node, 1)
    axis = integer(node, "axis", 0) % max(1, len(dims))
    return (*dims[:axis], *picked, *dims[axis + 1 :])


def _like_first(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    return walk.dims(node.scope, node.input(0))


def _like_second(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    return walk.dims(node.scope, node.input(1))


def _top_k(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    dims = list(dims_of(walk, node))
    (count,) = as_sizes(walk, node, entries_of(walk, node, 1, "k"))
    dims[integer(node, "axis", -1)] = count
    walk.keep(node, tuple(dims), 1)
    return tuple(dims)


def _grid_sample(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    return (*dims_of(walk, node)[:2], *dims_of(walk, node, 1)[1:-1])


def _roi_align(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    height, width = integer(node, "output_height", 1), integer(node, "output_width", 1)
    return (dims_of(walk, node, 1)[0], dims_of(walk, node)[1], height, width)


def _max_unpool(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    dims = dims_of(walk, node)
    wanted = entries_of(walk, node, 2)
    if wanted is not None:
        return as_sizes(walk, node, wanted)
    rank = len(dims) - 2
    kernel = integers(node, "kernel_shape", at_least=1, length=rank)
    strides = integers(node, "strides", at_least=1, length=rank) or (1,) * rank
    pads = integers(node, "pads", at_least=0, length=2 * rank) or (0,) * (2 * rank)
    if kernel is None:
        raise Unknown("it has no kernel_shape")
    axes = map(Axis, kernel, strides, (1,) * rank, pads, pads[rank:])
    spatial = [
        walk.required.apply(transposed(axis), dims[i + 2], Place(node, i + 2))
        for i, axis in enumerate(axes)
    ]
    return _like_the_pooled(walk, node, (*dims[:2], *spatial))


def _like_the_pooled(walk: SizeWalk, node: Node, dims: Dims) -> Dims:
    """Indices count the elements of the map that was pooled: elsewhere they point astray."""
    pool = node.scope.producer(node.input(1))
    if pool is None or pool.op_type != "MaxPool":
        return dims
    pooled = walk.met(node, [dims_of(walk, pool), dims], stretches=False)
    return dims if isinstance(pooled, Lost) else pooled


def _count(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    """What values decide, such as a number of detections, is no matter of input sizes."""
    shape = node.scope.shape(node.output(0))
    opaque = walk.program.terms.opaque((), f"{node.op_type} counts")
    if shape is None:
        return Lost(f"{node.op_type} counts")
    return tuple(size if isinstance(size, int) else opaque for size in shape)


SAMPLERS: dict[str, Operator] = {
    "Compress": _count,
    "EyeLike": _like_first,
    "Gather": _gather,
    "GatherElements": _like_second,
    "GridSample": _grid_sample,
    "MaxUnpool": _max_unpool,
    "NonMaxSuppression": _count,
    "NonZero": _count,
    "RandomNormalLike": _like_first,
    "RandomUniformLike": _like_first,
    "RoiAlign": _roi_align,
    "ScatterElements": _like_first,
    "ScatterND": _like_first,
    "TopK": _top_k,
    "Unique": _count,
}
