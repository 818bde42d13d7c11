"""MaxPool as one convolution over the same window, with weights to train.

What it does
    Puts a Conv with the pool's kernel, strides, dilations and padding in its place, as the
    All-CNN does; ceil_mode becomes the end padding that gives the same size for every input.
    `--conv full` reads every channel for every channel, `--conv depthwise` only its own, and
    `--activation` adds the ReLU of the All-CNN. With data (`--init fit`) the weights are the
    least squares solution for what the pool made of them, as far as the data suffice: full,
    else depthwise, else the average with a fitted gain. Without (`--init mean`) they are the
    average, times what a maximum exceeds it by on a rectified Gaussian field: 1.53 for 2x2, 1.97
    for 3x3. Where the input may be negative, an offset takes the place of the gain.

What it costs
    It is no maximum any more. On three trained classifiers of digits, all pools replaced, a full
    fit kept 99 % of the answers, a depthwise one 97 to 99 % and the mean 81 to 97 %; a plain
    average kept 96, 33 and 12 % and is not offered. Train on from here: networks trained with
    such layers from the start do as well as with pools, which says nothing of one in which they
    were swapped. Full needs as many weights as the kernel has taps times the square of channels.

What it refuses
    An Indices output that is read, integer and double types, unknown channels, channels that
    come last, a window that fits nowhere, SAME padding on which runtimes disagree, a fit
    without data, and a window of many thousand elements or millions over all channels.

References
    Springenberg et al., "Striving for Simplicity: The All Convolutional Net", ICLR 2015
    workshop. The classifiers are those of models/trained.
"""

import numpy as np

from onnxstride.api import MaxPool
from onnxstride.fitting import expectation
from onnxstride.fitting.pools import (
    convolved,
    floor_axes,
    has_open_padding,
    padded_as_same,
    refused,
    start,
    too_wide,
)
from onnxstride.surgery import Fragment, Refusal, Rewrite, Safety, Site

REWRITE = Rewrite("maxpool-to-conv", Safety.TRAINING, on=(MaxPool,), mends=("DN201",))

EXAMPLES = {
    "the textbook pool": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            r = Relu (x)
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (r)  # maxpool-to-conv
        }""",
    "overlapping, padded, of either sign": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x)  # maxpool-to-conv
        }""",
    "rounding its size up": """
        net (float[N,8,W] x) => (float[N,8,Q] y) {
            r = Relu (x)
            y = MaxPool <kernel_shape = [3], strides = [2], ceil_mode = 1> (r)  # maxpool-to-conv
        }""",
    "padded by the runtime": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            r = Relu (x)
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], auto_pad = "SAME_UPPER"> (r)  # maxpool-to-conv
        }""",
}
REFUSED = {
    "its indices are read": """
        net (float[N,8,32,32] x) => (float[N,8,16,16] y, int64[N,8,16,16] i) {
            y, i = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-conv
        }""",
    "the element type is uint8: only float32 and float16 can be rewritten": """
        net (uint8[N,8,32,32] x) => (uint8[N,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-conv
        }""",
    "the element type is float64: only float32 and float16 can be rewritten": """
        net (double[N,8,32,32] x) => (double[N,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-conv
        }""",
    "the number of channels is not known": """
        net (float[N,C,32,32] x) => (float[N,C,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-conv
        }""",
    "no window fits its input": """
        net (float[N,8,4,4] x) => (float[N,8,1,1] y) {
            y = MaxPool <kernel_shape = [5,5], strides = [5,5]> (x)  # maxpool-to-conv
        }""",
    "runtimes differ on SAME with dilation": """
        net (float[N,8,32,32] x) => (float[N,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], dilations = [2,2], auto_pad = "SAME_UPPER"> (x)  # maxpool-to-conv
        }""",
    "runtimes differ on SAME with a kernel smaller than its stride": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [3,3], auto_pad = "SAME_UPPER"> (x)  # maxpool-to-conv
        }""",
    "a maximum over 90,000 elements is not estimated, only over up to 65,536": """
        net (float[N,1,H,W] x) => (float[N,1,P,Q] y) {
            y = MaxPool <kernel_shape = [300,300], strides = [2,2]> (x)  # maxpool-to-conv
        }""",
    "its convolution would have 9,437,184 elements, more than the 8,388,608 that are made up": """
        net (float[N,1048576,H,W] x) => (float[N,1048576,P,Q] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (x)  # maxpool-to-conv
        }""",
}


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, MaxPool)
    reason = refused(site, layer) or too_wide(layer.kernel)
    if reason:
        return Refusal(reason)
    axes = floor_axes(layer)
    samples = padded_as_same(site.samples(), layer) if has_open_padding(layer) else site.samples()
    average = np.full(layer.kernel, 1 / np.prod(layer.kernel))
    begun = start(site, average, expectation(axes), axes, samples)
    if isinstance(begun, str):
        return Refusal(begun)
    fragment = site.fragment()
    fragment.any_size = has_open_padding(layer) or not layer.has_implicit_padding
    pads = [*(axis.begin for axis in axes), *(axis.end for axis in axes)]
    padding = {"auto_pad": layer.auto_pad.value} if has_open_padding(layer) else {"pads": pads}
    result = convolved(
        fragment,
        site,
        layer.input,
        begun,
        strides=list(layer.strides),
        dilations=list(layer.dilations),
        **padding,
    )
    fragment.stand_in(site.node.output(0), result)
    return fragment
