"""MaxPool as a maximum at every position, blurred before positions are dropped.

What it does
    Keeps the pool's kernel and dilation but moves it by one element at a time, then takes every
    s-th result through a fixed binomial filter along each strided axis: `--blur 3` is [1,2,1]/4,
    5 is [1,4,6,4,1]/16. A shift of the input by one element then shifts the output smoothly
    instead of making it jump. The dense map is continued by its own edge for the filter, by
    (m - 1) // 2 elements before and the rest of m - 1 after, so every size comes out as it did.
    Edge and not reflection: a reflection needs more elements than it pads by, and the map may be
    one element wide.

What it costs
    The output is a smoothed maximum: lower at isolated peaks, and half an element later for an
    even number of taps. The networks it was proposed for were trained with it. Three classifiers
    of digits that were not kept 98 to 99 % of their answers with three taps and 95 to 98 % with
    two. The maximum is computed s times as often along each strided axis.

What it refuses
    A pool that drops no position, an Indices output that is read, integer and double types,
    unknown channels, padding that depends on an unknown size or reaches as far as the kernel,
    a window that can lie wholly in the padding, and a filter of millions of elements.

References
    Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019.
"""

import numpy as np
from numpy.typing import NDArray

from onnxstride.api import Axis, MaxPool
from onnxstride.fitting.pools import floor_axes, has_open_padding, refused
from onnxstride.surgery import (
    Fragment,
    Refusal,
    Rewrite,
    Safety,
    Site,
    may_miss_the_data,
    padded,
    too_large,
)

REWRITE = Rewrite(
    "maxpool-to-blurpool", Safety.APPROXIMATE, on=(MaxPool,), mends=("DN201", "DN205")
)

EXAMPLES = {
    "the textbook pool": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-blurpool
        }""",
    "overlapping and padded": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x)  # maxpool-to-blurpool
        }""",
    "strided along one axis only": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [1,2], pads = [1,1,1,1]> (x)  # maxpool-to-blurpool
        }""",
}
REFUSED = {
    "it drops no position": """
        net (float[N,8,H,W] x) => (float[N,8,H,W] y) {
            y = MaxPool <kernel_shape = [3,3], pads = [1,1,1,1]> (x)  # maxpool-to-blurpool
        }""",
    "its indices are read": """
        net (float[N,8,32,32] x) => (float[N,8,16,16] y, int64[N,8,16,16] i) {
            y, i = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-blurpool
        }""",
    "the element type is uint8: only float32 and float16 can be rewritten": """
        net (uint8[N,8,32,32] x) => (uint8[N,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-blurpool
        }""",
    "the number of channels is not known": """
        net (float[N,C,32,32] x) => (float[N,C,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-blurpool
        }""",
    "its padding depends on an input size that is not known": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [2,2], auto_pad = "SAME_UPPER"> (x)  # maxpool-to-blurpool
        }""",
    "its padding reaches as far as its kernel, which runtimes refuse": """
        net (float[N,8,32,32] x) => (float[N,8,14,14] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [3,3], dilations = [4,4], pads = [1,1,1,1], ceil_mode = 1> (x)  # maxpool-to-blurpool
        }""",
    "a window can lie wholly in the padding": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], dilations = [4,4], pads = [1,1,1,1]> (x)  # maxpool-to-blurpool
        }""",
    "its blur would have 9,000,000 elements, more than the 8,388,608 that are made up": """
        net (float[N,1000000,H,W] x) => (float[N,1000000,P,Q] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-blurpool
        }""",
}

_FEWEST_TAPS = 2


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, MaxPool)
    axes = floor_axes(layer)
    reason = refused(site, layer) or _refused(site, layer, axes)
    if reason:
        return Refusal(reason)
    fragment = site.fragment()
    fragment.any_size = not layer.has_implicit_padding
    fragment.figures["blur"] = site.options.blur
    dense = _dense(fragment, site, axes)
    fragment.stand_in(site.node.output(0), _blurred(fragment, site, dense, axes))
    return fragment


def _refused(site: Site, layer: MaxPool, axes: tuple[Axis, ...]) -> str:
    if not layer.is_strided:
        return "it drops no position"
    if site.options.blur < _FEWEST_TAPS:
        return f"a blur has at least {_FEWEST_TAPS} taps, found {site.options.blur}"
    if has_open_padding(layer):
        return "its padding depends on an input size that is not known"
    if any(max(axis.begin, axis.end) >= axis.kernel for axis in axes):
        return "its padding reaches as far as its kernel, which runtimes refuse"
    if any(map(may_miss_the_data, axes, layer.sizes)):
        return "a window can lie wholly in the padding"
    assert site.channels is not None
    large = too_large("its blur", site.channels, *_lengths(site, axes))
    return "" if large is None else large.reason


def _lengths(site: Site, axes: tuple[Axis, ...]) -> list[int]:
    """Taps of the blur along each axis."""
    return [site.options.blur if axis.stride > 1 else 1 for axis in axes]


def _dense(fragment: Fragment, site: Site, axes: tuple[Axis, ...]) -> str:
    """The maximum of the window at every position."""
    pads = [*(axis.begin for axis in axes), *(axis.end for axis in axes)]
    window = {"kernel_shape": [axis.kernel for axis in axes], "pads": pads}
    dilations = [axis.dilation for axis in axes]
    if any(dilation > 1 for dilation in dilations):  # MaxPool has the attribute since opset 10
        window["dilations"] = dilations
    return fragment.add("MaxPool", [site.layer.input], label="dense", **window)


def _blurred(fragment: Fragment, site: Site, source: str, axes: tuple[Axis, ...]) -> str:
    """Every s-th position of the filtered map, along the axes with a stride."""
    assert site.dtype is not None
    assert site.channels is not None
    taps = _lengths(site, axes)
    ends = {i: ((m - 1) // 2, m - 1 - (m - 1) // 2) for i, m in enumerate(taps) if m > 1}
    source = padded(fragment, site.opset, source, len(axes), ends, mode="edge")
    kernel = np.ones((site.channels, 1, *[1] * len(axes)))
    for i, m in enumerate(taps):
        along = [-1 if axis == i else 1 for axis in range(len(axes))]
        kernel = kernel * binomial(m).reshape(along)
    weight = fragment.constant(kernel.astype(site.dtype), "blur_weight")
    return fragment.add(
        "Conv",
        [source, weight],
        label="blur",
        kernel_shape=taps,
        strides=[axis.stride for axis in axes],
        group=site.channels,
    )


def binomial(taps: int) -> NDArray[np.float64]:
    """The filter of so many taps that repeated averages of neighbours make; its sum is 1."""
    kernel = np.ones(1)
    for _ in range(taps - 1):
        kernel = np.convolve(kernel, [0.5, 0.5])
    return kernel
