"""Operators whose output sizes follow from what their inputs hold, or from more than a flow says.

A flow (see ``moves``) tells where elements go; the sizes that Reshape, Slice, Pad, Resize and
their like are given as the model runs are not in it. Here they are taken from the small tensors
that the walk keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..geometry.terms import Size
from ..graph.attributes import Unknown, integer, integers, text
from ..graph.layers import Resize, Shuffle
from ..graph.scope import Node
from .moves import Closed
from .shape_arithmetic import Entry, Ratio, Sizes, sizes_of
from .size_asking import Operator, as_sizes, dims_of, entries_of, numbers_of
from .size_moves import FAR, Place, cut, reshaped
from .size_samplers import SAMPLERS
from .sized import Dims, Lost

if TYPE_CHECKING:
    from .size_walk import SizeWalk

_UNEVEN_SPLITS = 18  # the opset since which the last part may be smaller


def _shape(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    dims = dims_of(walk, node)
    start, end = integer(node, "start", 0), integer(node, "end", FAR)
    walk.keep_value(node, sizes_of(dims[start:end]))
    return None


def _size(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    total = walk.program.terms.product(dims_of(walk, node))
    whole = sizes_of([total])
    walk.keep_value(node, Sizes(whole.entries.reshape(())))
    return None


def _constant(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    value = node.attributes.get("value")
    if value is not None and not value.ref_attr_name:
        return tuple(value.t.dims)
    array = walk.graph.constant(node, node.output(0))
    return None if array is None else tuple(array.shape)


def _constant_of_shape(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    return as_sizes(walk, node, entries_of(walk, node, 0))


def _range(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    start, limit, step = ((entries_of(walk, node, at) or [0])[0] for at in range(3))
    if isinstance(start, Ratio) or isinstance(limit, Ratio) or not isinstance(step, int):
        raise Unknown("its limits are ratios of sizes")
    if step < 1:
        raise Unknown("it runs backwards")
    return (walk.program.terms.linear([(limit, 1), (start, -1)], step - 1, step),)


def _reshape(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    try:
        target = entries_of(walk, node, 1, "shape")
    except Unknown:
        if isinstance(walk.graph.layer_of(node), Shuffle):
            walk.follow(node)
            return None
        raise
    copies = integer(node, "allowzero", 0) == 0
    place = Place(node, 0)
    return reshaped(walk.required, dims_of(walk, node), target or (), place, copies=copies)


def _expand(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    target = as_sizes(walk, node, entries_of(walk, node, 1))
    return walk.met(node, [dims_of(walk, node), target])


def _tile(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    dims = dims_of(walk, node)
    times = as_sizes(walk, node, entries_of(walk, node, 1))
    if len(times) != len(dims):
        raise Unknown("it repeats dimensions it does not have")
    product = walk.program.terms.product
    return tuple(product(pair) for pair in zip(dims, times, strict=True))


def _slice(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    dims = list(dims_of(walk, node))
    starts, ends = entries_of(walk, node, 1, "starts"), entries_of(walk, node, 2, "ends")
    axes, steps = numbers_of(walk, node, 3, "axes"), numbers_of(walk, node, 4, "steps")
    if starts is None or ends is None:
        raise Unknown("it has no starts or ends")
    chosen = range(len(starts)) if axes is None else axes
    for i, axis in enumerate(chosen):
        bounds = (starts[i], ends[i], 1 if steps is None else steps[i])
        dim = axis % len(dims)
        if bounds[2] == 0:
            raise Unknown("its step is 0")
        if bounds[2] > 1 and walk.graph.layer_of(node):
            walk.take_for_space(dims[dim])
        if bounds != (0, FAR, 1):
            dims[dim] = cut(walk.required, dims[dim], bounds, Place(node, dim))
    return tuple(dims)


def _pad(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    dims = list(dims_of(walk, node))
    attribute = "pads" if "pads" in node.attributes else "paddings"
    pads = entries_of(walk, node, 1, attribute) or []
    axes = numbers_of(walk, node, 3, "axes") or range(len(dims))
    if len(pads) != 2 * len(axes):
        raise Unknown(f"{len(pads)} pads for {len(axes)} dimensions")
    for i, axis in enumerate(axes):
        begin, end, dim = pads[i], pads[len(axes) + i], axis % len(dims)
        if isinstance(begin, Ratio) or isinstance(end, Ratio):
            dims[dim] = walk.program.terms.opaque([dims[dim]], "a pad is a ratio of sizes")
        elif begin != 0 or end != 0:
            dims[dim] = walk.program.terms.linear([(dims[dim], 1), (begin, 1), (end, 1)])
            walk.required.require_least(dims[dim], 1, Place(node, dim))
    return tuple(dims)


def _resize(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    """The scales that the file holds are the flow's; sizes, and scales computed, are read here."""
    layer = walk.graph.layer_of(node)
    legacy = node.op_type == "Upsample" or node.scope.opset() < 11
    if not legacy and node.input(3):
        return _resized_to(walk, node, entries_of(walk, node, 3) or [])
    if isinstance(layer, Resize) and None not in layer.scales:
        walk.follow(node)
        return None
    scales = entries_of(walk, node, 1 if legacy else 2) or []
    dims = list(dims_of(walk, node))
    for entry, dim in zip(scales, _resized_dims(walk, node, len(scales)), strict=True):
        if entry != 1:
            walk.take_for_space(dims[dim])
        dims[dim] = _scaled(walk, dims[dim], entry, Place(node, dim))
    return tuple(dims)


def _scaled(walk: SizeWalk, size: Size, scale: Entry, place: Place) -> Size:
    """A size times a scale that is computed from sizes, which float32 may round either way."""
    if isinstance(scale, int):
        return walk.required.scale(float(scale), size, place)
    if isinstance(scale, Ratio) and isinstance(scale.over, int) and isinstance(scale.under, int):
        return walk.required.scale(scale.over / scale.under, size, place)
    sizes = (scale.over, scale.under) if isinstance(scale, Ratio) else (scale,)
    reason = "a scale is computed from sizes, and rounded to float32"
    return walk.program.terms.opaque([size, *sizes], reason)


def _resized_to(walk: SizeWalk, node: Node, entries: Sequence[Entry]) -> Dims:
    if text(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unknown("it keeps the aspect ratio of a size that is unknown")
    dims = list(dims_of(walk, node))
    sizes = as_sizes(walk, node, entries)
    for size, dim in zip(sizes, _resized_dims(walk, node, len(sizes)), strict=True):
        if size is not dims[dim] and dim > 1:
            walk.take_for_space(dims[dim])
        dims[dim] = size
        walk.required.require_least(size, 1, Place(node, dim))
    return tuple(dims)


def _resized_dims(walk: SizeWalk, node: Node, count: int) -> Sequence[int]:
    rank = len(dims_of(walk, node))
    axes = integers(node, "axes", at_least=-64)
    dims = range(rank) if axes is None else [axis % rank for axis in axes]
    if len(dims) != count:
        raise Unknown(f"{count} sizes for {len(dims)} dimensions")
    return dims


def _split(walk: SizeWalk, node: Node) -> Dims | Lost | None:
    dims, count = list(dims_of(walk, node)), len(node.outputs)
    axis = integer(node, "axis", 0) % max(1, len(dims))
    stated = entries_of(walk, node, 1, "split")
    parts = as_sizes(walk, node, stated) if stated else _equal_parts(walk, node, dims[axis])
    if len(parts) != count:
        raise Unknown(f"it has {count} outputs and {len(parts)} sizes for them")
    if stated:
        whole = walk.program.terms.linear([(part, 1) for part in parts])
        walk.required.meet([whole, dims[axis]], Place(node, axis), stretches=False)
    for position, part in enumerate(parts):
        walk.keep(node, (*dims[:axis], part, *dims[axis + 1 :]), position)
    return None


def _equal_parts(walk: SizeWalk, node: Node, size: Size) -> Dims:
    """Parts of one size; since opset 18 the last one is what is left, before it must be equal."""
    count = len(node.outputs)
    place, terms = Place(node, integer(node, "axis", 0)), walk.program.terms
    if node.scope.opset() < _UNEVEN_SPLITS:
        walk.required.require_multiple(size, count, place)
    part = terms.linear([(size, 1)], count - 1, count)
    last = terms.linear([(size, 1), (part, 1 - count)])
    walk.required.require_least(last, 1, place)
    return (*[part] * (count - 1), last)


_OWN: dict[str, Operator] = {
    **SAMPLERS,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Tile": _tile,
    "Upsample": _resize,
}


def follow_own(walk: SizeWalk, node: Node) -> None:
    """Record the dimensions of the outputs of an operator of :data:`OWN`."""
    try:
        dims = _OWN[node.op_type](walk, node)
    except Unknown as unknown:
        walk.close(node, Closed(str(unknown)))
    except (ModelError, IndexError, ValueError):
        walk.close(node, Closed(f"{node.op_type} {node.name!r} contradicts itself"))
    else:
        if dims is not None:
            walk.keep(node, dims)


OWN = frozenset(_OWN)
"""Operators of the ONNX domain that are read here, by name."""
