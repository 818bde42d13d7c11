"""AveragePool as a depthwise convolution with equal weights.

What it does
    Replaces the pool by a convolution whose every tap is 1 / (number of taps). The weights are
    parameters: the model computes what it did, and can learn another average from there.

When it is exact
    Up to rounding. Where windows reach beyond what is counted, the count differs from window
    to window: the result is then divided by the same convolution of a map of ones, built from
    the input's shape, so that it is right for every input size.

What it refuses
    Element types other than float32 and float16, unknown channels, padding that depends on an
    unknown size or on which runtimes differ, a window that can lie wholly in the padding,
    opsets before 10 where a map of ones is needed, and millions of elements over all channels.

References
    Divisors as ONNX Runtime 1.31.1 and the ONNX operator specification take them.
"""

from math import prod

import numpy as np

from onnxstride.api import AveragePool, Axis, border, floor_form
from onnxstride.surgery import (
    Fragment,
    Refusal,
    Rewrite,
    Safety,
    Site,
    no_depthwise,
    padded,
    too_large,
)

REWRITE = Rewrite("avgpool-to-conv", Safety.EXACT, on=(AveragePool,))

EXAMPLES = {
    "every window is full": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = AveragePool <kernel_shape = [2,2], strides = [2,2]> (x)  # avgpool-to-conv
        }""",
    "windows at the border count what is there": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = AveragePool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x)  # avgpool-to-conv
        }""",
    "padding counts, the overhang of ceil_mode does not": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = AveragePool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1], ceil_mode = 1, count_include_pad = 1> (x)  # avgpool-to-conv
        }""",
}
REFUSED = {
    "the element type is float64: only float32 and float16 can be rewritten": """
        net (double[N,8,32,32] x) => (double[N,8,16,16] y) {
            y = AveragePool <kernel_shape = [2,2], strides = [2,2]> (x)  # avgpool-to-conv
        }""",
    "a window can lie wholly in the padding": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = AveragePool <kernel_shape = [2,2], dilations = [4,4], pads = [1,1,1,1]> (x)  # avgpool-to-conv
        }""",
    "a map of ones from the input's shape needs opset 10": """
        <ir_version: 4, opset_import: ["": 9]>
        net (float[N,8,32,32] x) => (float[N,8,32,32] y) {
            y = AveragePool <kernel_shape = [3,3], pads = [1,1,1,1]> (x)  # avgpool-to-conv
        }""",
    "the number of channels is not known": """
        net (float[N,C,32,32] x) => (float[N,C,16,16] y) {
            y = AveragePool <kernel_shape = [2,2], strides = [2,2]> (x)  # avgpool-to-conv
        }""",
    "its convolution would have 33,554,432 elements, more than the 8,388,608 that are made up": """
        net (float[N,2,H,W] x) => (float[N,2,P,Q] y) {
            y = AveragePool <kernel_shape = [4096,4096], strides = [2,2]> (x)  # avgpool-to-conv
        }""",
}


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, AveragePool)
    axes = [floor_form(axis) if layer.ceil_mode else axis for axis in layer.axes]
    counts_differ = _counts_differ(layer)
    refusal = no_depthwise(site, layer)
    if refusal is not None:
        return refusal
    if counts_differ and site.opset < 10:
        return Refusal("a map of ones from the input's shape needs opset 10")
    assert site.channels is not None
    refusal = too_large("its convolution", site.channels, *layer.kernel)
    if refusal is not None:
        return refusal
    fragment = site.fragment()
    fragment.any_size = not layer.has_implicit_padding
    fragment.accumulation = prod(layer.kernel)
    result = _averaged(fragment, site, layer.input, axes, site.channels, "average")
    if counts_differ:
        # What an average over ones falls short of 1 is the share that does not count.
        ones, window = _ones(fragment, site, layer, axes)
        counted = _averaged(fragment, site, ones, window, 1, "counted")
        result = fragment.add("Div", [result, counted], label="divided")
    fragment.stand_in(site.node.output(0), result)
    return fragment


def _counts_differ(layer: AveragePool) -> bool:
    """True when some window may reach elements that do not count."""
    if not layer.count_include_pad and any(axis.begin or axis.end for axis in layer.axes):
        return True
    return layer.ceil_mode and any(
        _hangs_over(size, axis) for size, axis in zip(layer.sizes, layer.axes, strict=True)
    )


def _hangs_over(size: int | None, axis: Axis) -> bool:
    if size is None:
        return floor_form(axis).end > axis.end
    found = border(size, axis, ceil_mode=True)
    return found is not None and found.padding_end > axis.end


def _averaged(
    fragment: Fragment, site: Site, source: str, axes: list[Axis], channels: int, label: str
) -> str:
    kernel = [axis.kernel for axis in axes]
    values = np.full((channels, 1, *kernel), 1 / prod(kernel), site.dtype)
    return fragment.add(
        "Conv",
        [source, fragment.constant(values, f"{label}_weight")],
        label=label,
        kernel_shape=kernel,
        strides=[axis.stride for axis in axes],
        dilations=[axis.dilation for axis in axes],
        pads=[axis.begin for axis in axes] + [axis.end for axis in axes],
        group=channels,
    )


def _ones(
    fragment: Fragment, site: Site, layer: AveragePool, axes: list[Axis]
) -> tuple[str, list[Axis]]:
    """Ones wherever an element counts, and the window that averages them.

    Where padding counts, the ones cover what was declared; the window pads the rest.
    """
    shape = fragment.add("Shape", [layer.input], label="shape")
    bounds = [
        fragment.constant(np.array([value], np.int64), name)
        for name, value in (("first_axis", 2), ("last_axis", 2 + layer.rank))
    ]
    sizes = fragment.add("Slice", [shape, *bounds], label="sizes")
    single = fragment.constant(np.array([1, 1], np.int64), "one_sample_one_channel")
    whole = fragment.add("Concat", [single, sizes], label="ones_shape", axis=0)
    one = np.ones(1, site.dtype)
    ones = fragment.add("ConstantOfShape", [whole], label="ones", value=one)
    if not layer.count_include_pad:
        return ones, axes
    declared = {i: (axis.begin, axis.end) for i, axis in enumerate(layer.axes)}
    ones = padded(fragment, site.opset, ones, layer.rank, declared, value=np.array(1, site.dtype))
    rest = [axis.padded(0, axis.end - own.end) for axis, own in zip(axes, layer.axes, strict=True)]
    return ones, rest
