"""Graphs of layers that change resolution, drawn at random: nearly all of them legal.

A ``Case`` is a model and the shapes it is to be fed with. One source of random numbers decides all
of it, so that hypothesis can shrink a case and a long run can repeat it. Weights and inputs are
small whole numbers: what should be equal is equal to the last bit in most layers.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]

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


class Map(NamedTuple):
    """A feature map as the builder believes it to be; ``sizes`` one entry per spatial axis."""

    name: str
    channels: int
    sizes: tuple[int, ...]

    @property
    def rank(self) -> int:
        return len(self.sizes)


Layer: TypeAlias = "Callable[[Builder, Map], Map]"


class Builder:
    """Nodes and tensors of a graph as they are added."""

    def __init__(self, random: Random, opset: int, kind: int) -> None:
        self.random = random
        self.opset = opset
        self.kind = kind
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.functions: list[onnx.FunctionProto] = []
        self.in_function = False
        self._count = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(helper.tensor_dtype_to_np_dtype(self.kind))

    def name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def add(
        self, op_type: str, inputs: Sequence[str], outputs: int = 1, domain: str = "", **given: Any
    ) -> str:
        """The first output of a new node; attributes that are None are left out."""
        attributes = {key: value for key, value in given.items() if value is not None}
        names = [self.name(op_type.lower()) for _ in range(outputs)]
        label = names[0] if self.random.random() < 0.8 else ""
        node = helper.make_node(op_type, inputs, names, label, domain=domain, **attributes)
        self.nodes.append(node)
        return names[0]

    def constant(self, array: Array, stem: str = "w") -> str:
        """A tensor with these values: an initializer, or what a Constant makes."""
        name = self.name(stem)
        tensor = numpy_helper.from_array(array, name)
        if self.in_function or self.random.random() < 0.15:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.weights.append(tensor)
        return name

    def numbers(self, *shape: int) -> str:
        """A weight of whole numbers."""
        generator = np.random.default_rng(self.random.getrandbits(32))
        return self.constant(generator.integers(-2, 3, shape).astype(self.dtype))

    def integers(self, values: Sequence[int]) -> str:
        return self.constant(np.array(values, np.int64), "i")

    def one_in(self, chances: int) -> bool:
        return self.random.randrange(chances) == 0


def window(
    build: Builder, at: Map, *, transposed: bool = False, roomy: bool = False
) -> dict[str, Any]:
    """Attributes of a window that fits the map: lists of one number an axis."""
    random = build.random
    kernel = [random.choice((1, 2, 3, 3, 4, 5, 7)) for _ in at.sizes]
    stride = [random.choice((1, 2, 2, 3, 4)) for _ in at.sizes]
    dilation = [random.choice((1, 1, 1, 2, 3)) for _ in at.sizes]
    pads = [random.randint(0, max(0, k - 1)) for k in (*kernel, *kernel)]
    if build.one_in(2):
        pads = [0] * len(pads)
    if not transposed and not roomy:
        for axis, size in enumerate(at.sizes):
            room = size + pads[axis] + pads[axis + at.rank]
            while dilation[axis] > 1 and (kernel[axis] - 1) * dilation[axis] >= room:
                dilation[axis] -= 1
            kernel[axis] = max(1, min(kernel[axis], room))
            for side in (axis, axis + at.rank):
                pads[side] = min(pads[side], kernel[axis] - 1)
    found = {"kernel_shape": kernel, "strides": stride, "dilations": dilation, "pads": pads}
    if build.one_in(4):
        del found["pads"]
        auto_pad = random.choice(("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"))
        return {**found, "auto_pad": auto_pad}
    for name in ("strides", "dilations", "pads"):
        if build.one_in(6):
            del found[name]
    return found


def slid(at: Map, given: dict[str, Any], *, ceil_mode: bool = False) -> tuple[int, ...]:
    """Sizes of the map that such a window makes, at the least 0."""
    return tuple(_slid(size, axis, at.rank, given, ceil_mode) for axis, size in enumerate(at.sizes))


def _slid(size: int, axis: int, rank: int, given: dict[str, Any], ceil_mode: bool) -> int:
    stride: int = given.get("strides", [1] * rank)[axis]
    if given.get("auto_pad", "").startswith("SAME"):
        return -(-size // stride)
    pads = given.get("pads", [0] * 2 * rank)
    reach = (given["kernel_shape"][axis] - 1) * given.get("dilations", [1] * rank)[axis] + 1
    room: int = size + pads[axis] + pads[axis + rank] - reach
    return max(0, -(-room // stride) + 1 if ceil_mode else room // stride + 1)


def conv(build: Builder, at: Map) -> Map:
    given, random = window(build, at), build.random
    group = random.choice([g for g in range(1, at.channels + 1) if at.channels % g == 0])
    channels = group * random.randint(1, 2)
    weight = build.numbers(channels, at.channels // group, *given["kernel_shape"])
    bias = [build.numbers(channels)] if build.one_in(3) else []
    sizes = slid(at, given)
    if build.one_in(4):
        del given["kernel_shape"]
    domain, activation = "", None
    if build.one_in(12) and build.kind == TensorProto.FLOAT and at.rank < 3:
        domain, activation = "com.microsoft", "Relu"
    if group > 1:
        given["group"] = group
    op_type = "FusedConv" if domain else "Conv"
    inputs = [at.name, weight, *bias]
    name = build.add(op_type, inputs, domain=domain, activation=activation, **given)
    return Map(name, channels, sizes)


def conv_transpose(build: Builder, at: Map) -> Map:
    given, random = window(build, at, transposed=True), build.random
    group = random.choice([g for g in range(1, at.channels + 1) if at.channels % g == 0])
    each = random.randint(1, 2)
    weight = build.numbers(at.channels, each, *given["kernel_shape"])
    bias = [build.numbers(group * each)] if build.one_in(3) else []
    stride = given.get("strides", [1] * at.rank)
    dilation = given.get("dilations", [1] * at.rank)
    reach = [(k - 1) * d + 1 for k, d in zip(given["kernel_shape"], dilation, strict=True)]
    pads = given.get("pads", [0] * 2 * at.rank)
    extra = [0] * at.rank
    if build.one_in(3):
        extra = [random.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True)]
        given["output_padding"] = extra
    sizes = tuple(
        s * (n - 1) + e + r - pads[i] - pads[i + at.rank]
        for i, (n, s, e, r) in enumerate(zip(at.sizes, stride, extra, reach, strict=True))
    )
    if given.get("auto_pad", "").startswith("SAME"):
        sizes = tuple(n * s for n, s in zip(at.sizes, stride, strict=True))
    if build.one_in(6):
        sizes = tuple(max(1, size + random.randint(-1, 1)) for size in sizes)
        given["output_shape"] = list(sizes)
    if build.one_in(4):
        del given["kernel_shape"]
    if group > 1:
        given["group"] = group
    name = build.add("ConvTranspose", [at.name, weight, *bias], **given)
    return Map(name, group * each, sizes)


def max_pool(build: Builder, at: Map) -> Map:
    given = _pool_window(build, at, dilated=10)
    outputs, order = 1, None
    if build.opset >= 8 and build.one_in(5):
        outputs, order = 2, build.random.randint(0, 1)
    ceil_mode = given.get("ceil_mode", 0) == 1
    name = build.add("MaxPool", [at.name], outputs, storage_order=order, **given)
    return Map(name, at.channels, slid(at, given, ceil_mode=ceil_mode))


def average_pool(build: Builder, at: Map) -> Map:
    given = _pool_window(build, at, dilated=19)
    counted = build.random.randint(0, 1) if build.one_in(2) else None
    name = build.add("AveragePool", [at.name], count_include_pad=counted, **given)
    return Map(name, at.channels, slid(at, given, ceil_mode=given.get("ceil_mode", 0) == 1))


def lp_pool(build: Builder, at: Map) -> Map:
    given = _pool_window(build, at, dilated=18)
    power = build.random.randint(1, 3) if build.one_in(2) else None
    if build.opset < 18:
        given.pop("ceil_mode", None)
    name = build.add("LpPool", [at.name], p=power, **given)
    return Map(name, at.channels, slid(at, given, ceil_mode=given.get("ceil_mode", 0) == 1))


def _pool_window(build: Builder, at: Map, dilated: int) -> dict[str, Any]:
    given = window(build, at)
    if build.opset < dilated:
        given.pop("dilations", None)
    if build.opset >= 10 and build.one_in(3):
        given["ceil_mode"] = build.random.randint(0, 1)
    return given


def global_pool(build: Builder, at: Map) -> Map:
    op_type = build.random.choice(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"))
    return Map(build.add(op_type, [at.name]), at.channels, (1,) * at.rank)


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


def pointwise(build: Builder, at: Map) -> Map:
    op_type = build.random.choice(("Relu", "Sigmoid", "Identity", "Neg", "LeakyRelu"))
    return at._replace(name=build.add(op_type, [at.name]))


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


def quantised(build: Builder, at: Map) -> Map:
    """The map in eight bits, a layer on that, and back."""
    if build.kind != TensorProto.FLOAT or build.opset < 10:
        return pointwise(build, at)
    random = build.random
    kind = random.choice((np.uint8, np.int8))
    scale = build.constant(np.array(0.5, np.float32))
    zero = build.constant(np.array(0 if kind is np.int8 else 128, kind))
    eight = build.add("QuantizeLinear", [at.name, scale, zero])
    found = at._replace(name=eight)
    choice = random.choice(("conv", "pool", "average", "global", "weights"))
    if choice == "weights":
        return _conv_of_quantised_weights(build, at, scale)
    if choice == "conv":
        given = window(build, at)
        weight = build.constant(np.ones((2, at.channels, *given["kernel_shape"]), kind))
        inputs = [eight, scale, zero, weight, scale, zero, scale, zero]
        found = Map(build.add("QLinearConv", inputs, **given), 2, slid(at, given))
    elif choice == "pool" and build.opset >= 12:
        given = _pool_window(build, at, dilated=10)
        ceil_mode = given.get("ceil_mode", 0) == 1
        name = build.add("MaxPool", [eight], **given)
        found = Map(name, at.channels, slid(at, given, ceil_mode=ceil_mode))
    elif choice == "average":
        given = _pool_window(build, at, dilated=99)
        given.pop("ceil_mode", None)
        inputs = [eight, scale, zero, scale, zero]
        name = build.add("QLinearAveragePool", inputs, domain="com.microsoft", **given)
        found = Map(name, at.channels, slid(at, given))
    elif choice == "global":
        inputs = [eight, scale, zero, scale, zero]
        name = build.add(
            "QLinearGlobalAveragePool", inputs, domain="com.microsoft", channels_last=0
        )
        found = Map(name, at.channels, (1,) * at.rank)
    return found._replace(name=build.add("DequantizeLinear", [found.name, scale, zero]))


def _conv_of_quantised_weights(build: Builder, at: Map, scale: str) -> Map:
    given = window(build, at)
    zero = build.constant(np.array(0, np.int8))
    generator = np.random.default_rng(build.random.getrandbits(32))
    values = generator.integers(-3, 4, (2, at.channels, *given["kernel_shape"])).astype(np.int8)
    weight = build.add("DequantizeLinear", [build.constant(values), scale, zero])
    return Map(build.add("Conv", [at.name, weight], **given), 2, slid(at, given))


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
