"""Graphs of layers that change resolution, drawn at random: nearly all of them legal.

A ``Case`` is a model and the shapes it is to be fed with. One source of random numbers decides all
of it, so that hypothesis can shrink a case and a long run can repeat it. Weights and inputs are
small whole numbers: what should be equal is equal to the last bit in most layers.
"""

from random import Random
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper

from .building import Array, Builder, Layer, Map
from .windows import (
    average_pool,
    conv,
    conv_transpose,
    global_pool,
    lp_pool,
    max_pool,
    pointwise,
    quantised,
)

NEWEST = 26
"""The newest operator set that ONNX Runtime 1.31 promises to run."""
OLDEST = 7

FLOATS = (*(TensorProto.FLOAT,) * 8, TensorProto.DOUBLE, TensorProto.FLOAT16)
_LARGEST_MAP = 600
_LONGEST_CHAIN = 5


class Case(NamedTuple):
    """A model, and a shape for each of its inputs."""

    model: onnx.ModelProto
    shapes: dict[str, tuple[int, ...]]


def resize(build: Builder, at: Map) -> Map:
    random = build.random
    factors = [random.choice((0.5, 0.4, 1.0, 1.5, 2.0, 2.0, 3.0, 0.75)) for _ in at.sizes]
    sizes = tuple(int(size * factor) for size, factor in zip(at.sizes, factors, strict=True))
    scales = np.array([1, 1, *factors], np.float32)
    mode = random.choice(("nearest", "linear"))
    if build.opset < 9:
        name = build.add("Upsample", [at.name], mode=mode, scales=scales.tolist())
    elif build.opset < 11:
        op_type = "Upsample" if build.opset == 9 else "Resize"
        name = build.add(op_type, [at.name, build.constant(scales, "s")], mode=mode)
    else:
        name = _modern_resize(build, at, scales, sizes)
    return Map(name, at.channels, sizes)


def _modern_resize(build: Builder, at: Map, scales: Array, sizes: tuple[int, ...]) -> str:
    random, given = build.random, dict[str, Any]()
    given["mode"] = random.choice(("nearest", "nearest", "linear", "cubic"))
    rules = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
    if build.opset >= 19:
        rules.append("half_pixel_symmetric")
    if build.one_in(2):
        given["coordinate_transformation_mode"] = random.choice(rules)
    if build.one_in(3):
        given["nearest_mode"] = random.choice(
            ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        )
    if build.opset >= 18 and build.one_in(5) and given["mode"] != "nearest":
        given["antialias"] = 1
    is_along_some = build.opset >= 18 and build.one_in(3)
    if is_along_some:
        given["axes"] = list(range(2, 2 + at.rank))
    roi = "" if build.opset >= 13 else build.constant(np.zeros(0, np.float32), "roi")
    if build.one_in(2):
        values = scales[2:] if is_along_some else scales
        if is_along_some and build.one_in(2):  # with sizes ONNX Runtime takes no policy then
            given["axes"] = [axis - 2 - at.rank for axis in given["axes"]]
        return build.add("Resize", [at.name, roi, build.constant(values, "s")], **given)
    if is_along_some and build.one_in(2):
        given["keep_aspect_ratio_policy"] = random.choice(("not_larger", "not_smaller", "stretch"))
    wanted = list(sizes) if is_along_some else [1, at.channels, *sizes]
    return build.add("Resize", [at.name, roi, "", build.integers(wanted)], **given)


def shuffle(build: Builder, at: Map) -> Map:
    block = build.random.choice((2, 2, 3))
    if at.rank != 2:
        return spelled_shuffle(build, at)
    if build.one_in(2) and all(size % block == 0 for size in at.sizes):
        name = build.add("SpaceToDepth", [at.name], blocksize=block)
        sizes = tuple(size // block for size in at.sizes)
        return Map(name, at.channels * block**2, sizes)
    wide = Map(*at)
    if at.channels % block**2:
        weight = build.numbers(block**2, at.channels, *[1] * at.rank)
        wide = Map(build.add("Conv", [at.name, weight]), block**2, at.sizes)
    mode = build.random.choice(("DCR", "CRD", None)) if build.opset >= 11 else None
    name = build.add("DepthToSpace", [wide.name], blocksize=block, mode=mode)
    return Map(name, wide.channels // block**2, tuple(size * block for size in at.sizes))


def spelled_shuffle(build: Builder, at: Map) -> Map:
    """A pixel shuffle as Reshape, Transpose and Reshape, in any number of axes."""
    block, rank = 2, at.rank
    if build.one_in(2) and all(size % block == 0 for size in at.sizes):
        split = [1, at.channels]
        for size in at.sizes:
            split += [size // block, block]
        order = [0, 1, *range(3, 3 + 2 * rank, 2), *range(2, 2 + 2 * rank, 2)]
        if build.one_in(2):
            order = [0, *range(3, 3 + 2 * rank, 2), 1, *range(2, 2 + 2 * rank, 2)]
        channels = at.channels * block**rank
        sizes = tuple(size // block for size in at.sizes)
    else:
        if at.channels % block**rank:
            return at
        channels = at.channels // block**rank
        split = [1, channels, *[block] * rank, *at.sizes]
        order = [0, 1]
        for axis in range(rank):
            order += [2 + rank + axis, 2 + axis]
        sizes = tuple(size * block for size in at.sizes)
    name = build.add("Reshape", [at.name, build.integers(split)])
    name = build.add("Transpose", [name], perm=order)
    if build.one_in(3):
        whole = [0, channels, *sizes[:-1], -1]
    else:
        whole = [1, channels, *sizes]
    return Map(build.add("Reshape", [name, build.integers(whole)]), channels, sizes)


def sliced(build: Builder, at: Map) -> Map:
    random = build.random
    axes = list(range(2, 2 + at.rank))
    starts = [random.randint(0, 2) for _ in axes]
    ends = [random.choice((2**31 - 1, 2**63 - 1, -1, 5)) for _ in axes]
    steps = [random.choice((1, 2, 2, 3)) for _ in axes] if build.opset >= 10 else [1] * at.rank
    sizes = tuple(
        len(range(*slice(start, end, step).indices(size)))
        for size, start, end, step in zip(at.sizes, starts, ends, steps, strict=True)
    )
    if build.one_in(4):
        axes = [axis - 2 - at.rank for axis in axes]
    if build.opset < 10:
        name = build.add("Slice", [at.name], starts=starts, ends=ends, axes=axes)
    else:
        given = [build.integers(values) for values in (starts, ends, axes, steps)]
        name = build.add("Slice", [at.name, *given])
    return Map(name, at.channels, sizes)


def pad(build: Builder, at: Map) -> Map:
    random = build.random
    least = -1 if build.one_in(3) else 0
    begins = [random.randint(least, 2) for _ in at.sizes]
    ends = [random.randint(least, 2) for _ in at.sizes]
    mode = random.choice(("constant", "constant", "reflect", "edge"))
    pads = [0, 0, *begins, 0, 0, *ends]
    if build.opset < 11:
        name = build.add("Pad", [at.name], pads=pads, mode=mode)
    else:
        inputs = [at.name, build.integers(pads)]
        if build.one_in(2):
            inputs.append(build.constant(np.array(random.choice((0, -1, 3)), build.dtype)))
        name = build.add("Pad", inputs, mode=mode)
    sizes = tuple(n + b + e for n, b, e in zip(at.sizes, begins, ends, strict=True))
    return Map(name, at.channels, sizes)


def transposed(build: Builder, at: Map) -> Map:
    """Two axes of space the other way round, or there and back."""
    order = [0, 1, *reversed(range(2, 2 + at.rank))]
    name = build.add("Transpose", [at.name], perm=order)
    return Map(name, at.channels, at.sizes[::-1])


def there_and_back(build: Builder, at: Map) -> Map:
    """Channels last and first again, or space flattened and spread out again."""
    if build.one_in(2):
        last = build.add("Transpose", [at.name], perm=[0, *range(2, 2 + at.rank), 1])
        name = build.add("Transpose", [last], perm=[0, 1 + at.rank, *range(1, 1 + at.rank)])
    else:
        flat = build.add("Reshape", [at.name, build.integers([0, 0, -1])])
        shape = build.add("Shape", [at.name])
        name = build.add("Reshape", [flat, shape])
    return at._replace(name=name)


def met(build: Builder, at: Map) -> Map:
    """Two branches of the map, joined again: side by side, or element by element."""
    one = (pointwise if build.one_in(2) else same_size)(build, at)
    other = (pointwise if build.one_in(2) else same_size)(build, at)
    if one.channels == other.channels and build.one_in(2):
        op_type = build.random.choice(("Add", "Mul", "Sub", "Max"))
        return one._replace(name=build.add(op_type, [one.name, other.name]))
    axis = build.random.choice((1, -1 - at.rank)) if build.opset >= 11 else 1
    name = build.add("Concat", [one.name, other.name], axis=axis)
    return Map(name, one.channels + other.channels, one.sizes)


def same_size(build: Builder, at: Map) -> Map:
    weight = build.numbers(at.channels, at.channels, *[3] * at.rank)
    return at._replace(name=build.add("Conv", [at.name, weight], pads=[1] * 2 * at.rank))


def skip_connection(build: Builder, at: Map) -> Map:
    """Down by two, up by two, and what went round it."""
    down = build.add("MaxPool", [at.name], kernel_shape=[2] * at.rank, strides=[2] * at.rank)
    weight = build.numbers(at.channels, at.channels, *[2] * at.rank)
    up = build.add("ConvTranspose", [down, weight], strides=[2] * at.rank)
    return Map(build.add("Concat", [at.name, up], axis=1), 2 * at.channels, at.sizes)


def in_branches(build: Builder, at: Map) -> Map:
    """A layer in both branches of an If, which are of one kind or not."""
    if build.in_function:
        return pointwise(build, at)
    is_true = build.one_in(2)
    condition = build.constant(np.array(is_true))
    one = build.random.choice(IN_BODIES)
    other = one if build.one_in(2) else build.random.choice(IN_BODIES)
    (then, end), (otherwise, other_end) = _body(build, at, one), _body(build, at, other)
    name = build.add("If", [condition], then_branch=then, else_branch=otherwise)
    return (end if is_true else other_end)._replace(name=name)


def _body(build: Builder, at: Map, layer: Layer) -> tuple[onnx.GraphProto, Map]:
    outer, build.nodes = build.nodes, []
    end = layer(build, at)
    end = end._replace(name=build.add("Identity", [end.name]))
    nodes, build.nodes = build.nodes, outer
    output = helper.make_tensor_value_info(end.name, build.kind, None)
    return helper.make_graph(nodes, build.name("body"), [], [output]), end


def in_a_loop(build: Builder, at: Map) -> Map:
    """A layer that a Loop carries its map through, once."""
    if build.in_function or build.opset < 11:
        return pointwise(build, at)
    times, going = build.integers([1]), build.constant(np.array(True))
    carried = at._replace(name=build.name("carried"))
    outer, build.nodes = build.nodes, []
    end = build.random.choice(IN_BODIES)(build, carried)
    end = end._replace(name=build.add("Identity", [end.name]))
    goes_on = build.add("Identity", ["going"])
    nodes, build.nodes = build.nodes, outer
    inputs = [
        helper.make_tensor_value_info("turn", TensorProto.INT64, []),
        helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        helper.make_tensor_value_info(carried.name, build.kind, None),
    ]
    outputs = [
        helper.make_tensor_value_info(goes_on, TensorProto.BOOL, None),
        helper.make_tensor_value_info(end.name, build.kind, None),
    ]
    body = helper.make_graph(nodes, build.name("body"), inputs, outputs)
    return end._replace(name=build.add("Loop", [times, going, at.name], body=body))


def in_a_function(build: Builder, at: Map) -> Map:
    """A layer in a local function, which is called once or twice over."""
    if build.in_function:
        return pointwise(build, at)
    outer, build.nodes, build.in_function = build.nodes, [], True
    inner = at._replace(name="X")
    end = build.random.choice(IN_BODIES)(build, inner)
    end = end._replace(name=build.add("Identity", [end.name]))
    nodes, build.nodes, build.in_function = build.nodes, outer, False
    name = build.name("Block")
    opsets = [helper.make_opsetid("", build.opset), helper.make_opsetid("com.microsoft", 1)]
    build.functions.append(helper.make_function("f", name, ["X"], [end.name], nodes, opsets))
    return end._replace(name=build.add(name, [at.name], domain="f"))


IN_BODIES: tuple[Layer, ...] = (
    conv,
    conv_transpose,
    max_pool,
    average_pool,
    resize,
    shuffle,
    pad,
    sliced,
    met,
)
LAYERS: tuple[Layer, ...] = (
    *(conv, conv, conv_transpose, conv_transpose, max_pool, max_pool, average_pool, lp_pool),
    *(global_pool, resize, resize, shuffle, spelled_shuffle, sliced, pad, pointwise, transposed),
    *(there_and_back, met, skip_connection, quantised, in_branches, in_a_loop, in_a_function),
)


def legal(random: Random) -> Case:
    """A model that ONNX Runtime should run, but for what it does not implement."""
    opset = random.choice((random.randint(OLDEST, NEWEST), random.randint(11, NEWEST)))
    build = Builder(random, opset, random.choice(FLOATS))
    rank = random.choice((1, 2, 2, 2, 3))
    sizes = tuple(random.choice((1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16)) for _ in range(rank))
    at = Map("x", random.choice((1, 2, 3, 4, 8)), sizes)
    shape = (1, at.channels, *sizes)
    for _ in range(random.randint(1, _LONGEST_CHAIN)):
        at = random.choice(LAYERS)(build, at)
        if at.channels > 64 or any(not 0 < size <= _LARGEST_MAP for size in at.sizes):
            break
    if not build.nodes:
        at = pointwise(build, at)
    return Case(_model(build, at, shape), {"x": shape})


def _model(build: Builder, at: Map, shape: tuple[int, ...]) -> onnx.ModelProto:
    random = build.random
    dims: list[int | str | None] = list(shape)
    for axis in range(len(shape)):
        if axis != 1 and build.one_in(3):
            dims[axis] = random.choice((None, f"s{axis}", "NCHWD"[axis]))
    inputs = [helper.make_tensor_value_info("x", build.kind, dims)]
    if build.one_in(10):
        inputs += [
            helper.make_tensor_value_info(each.name, each.data_type, each.dims)
            for each in build.weights
        ]
    output = onnx.ValueInfoProto(name=at.name)
    graph = helper.make_graph(build.nodes, "g", inputs, [output], build.weights)
    domains = [("", build.opset), ("com.microsoft", 1), ("f", 1)]
    return helper.make_model(
        graph,
        functions=build.functions,
        opset_imports=[helper.make_opsetid(*domain) for domain in domains],
        ir_version=random.choice((8, 9, 10)),
    )
