"""Layers that slide a window, drawn at random: convolutions and pools, in eight bits as well."""

from typing import Any

import numpy as np
from onnx import TensorProto

from .building import Builder, Map


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


def pointwise(build: Builder, at: Map) -> Map:
    op_type = build.random.choice(("Relu", "Sigmoid", "Identity", "Neg", "LeakyRelu"))
    return at._replace(name=build.add(op_type, [at.name]))


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
