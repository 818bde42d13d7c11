"""Sub-pixel convolution as the one ConvTranspose that computes the same.

What it does
    Replaces a convolution of stride 1 and the shuffle behind it (DepthToSpace, or Reshape,
    Transpose and Reshape) by a ConvTranspose: tap a of phase r becomes tap r + s (M - 1 - a) of a
    kernel of s M taps, padded by s (M - 1 - pad). Outer taps that are zero are left off where the
    padding has room, so what came from a ConvTranspose gets its kernel back.

When it is exact
    Always, up to rounding, at every input size. The figures give the ripple of the weights, which
    is that of before and after.

What it refuses
    Phases with biases of their own: a ConvTranspose has one bias for all. A shuffle that no
    convolution feeds directly, a convolution that is read elsewhere too, is strided or dilated,
    pads by more than its kernel reaches, or whose groups part the phases of one channel; weights
    that are computed or dequantised when the model runs, and element types other than float32 and
    float16.

References
    Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016.
"""

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from onnxstride.api import Conv, Node, Shuffle, ripple_db
from onnxstride.surgery import (
    Fragment,
    Refusal,
    Rewrite,
    Safety,
    Site,
    Weights,
    dense_axes,
    feeding,
    fixed_weights,
    from_phases,
    terms,
    transposed_axis,
    trimmed,
)

REWRITE = Rewrite("subpixel-to-deconv", Safety.EXACT, on=(Shuffle,))

EXAMPLES = {
    "no bias": """
        decoder (float[N,8,H,W] x) => (float[N,4,P,Q] y) <float[16,8,3,3] w> {
            c = Conv <pads = [1,1,1,1]> (x, w)
            y = DepthToSpace <blocksize = 2, mode = "CRD"> (c)  # subpixel-to-deconv
        }""",
    "phases that share a bias, one after the other": """
        decoder (float[N,2,H,W] x) => (float[N,2,P,Q] y)
        <float[8,2,2,3] w, float[8] b = {1,2, 1,2, 1,2, 1,2}> {
            c = Conv <pads = [0,0,1,2]> (x, w, b)
            y = DepthToSpace <blocksize = 2> (c)  # subpixel-to-deconv
        }""",
    "groups": """
        decoder (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[16,2,3,3] w> {
            c = Conv <auto_pad = "SAME_UPPER", group = 2> (x, w)
            y = DepthToSpace <blocksize = 2, mode = "CRD"> (c)  # subpixel-to-deconv
        }""",
    "spelled out, along one dimension": """
        decoder (float[N,4,L] x) => (float[N,2,P] y)
        <float[6,4,3] w, int64[4] split = {0,2,3,-1}, int64[3] joined = {0,2,-1}> {
            c = Conv <pads = [1,1]> (x, w)
            s = Reshape (c, split)
            t = Transpose <perm = [0,1,3,2]> (s)
            y = Reshape (t, joined)  # subpixel-to-deconv
        }""",
}
REFUSED = {
    "its phases have biases of their own, and a ConvTranspose has one for all": """
        decoder (float[N,2,H,W] x) => (float[N,1,P,Q] y)
        <float[4,2,3,3] w, float[4] b = {1,1,1,2}> {
            c = Conv <pads = [1,1,1,1]> (x, w, b)
            y = DepthToSpace <blocksize = 2, mode = "CRD"> (c)  # subpixel-to-deconv
        }""",
    "no convolution feeds it directly": """
        decoder (float[N,2,H,W] x) => (float[N,1,P,Q] y) <float[4,2,3,3] w> {
            c = Conv <pads = [1,1,1,1]> (x, w)
            r = Relu (c)
            y = DepthToSpace <blocksize = 2, mode = "CRD"> (r)  # subpixel-to-deconv
        }""",
    "what its convolution makes is read elsewhere, too": """
        decoder (float[N,2,H,W] x) => (float[N,1,P,Q] y, float[N,4,H,W] c) <float[4,2,3,3] w> {
            c = Conv <pads = [1,1,1,1]> (x, w)
            y = DepthToSpace <blocksize = 2, mode = "CRD"> (c)  # subpixel-to-deconv
        }""",
    "its convolution is strided": """
        decoder (float[N,2,H,W] x) => (float[N,1,H,W] y) <float[4,2,3,3] w> {
            c = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)
            y = DepthToSpace <blocksize = 2, mode = "CRD"> (c)  # subpixel-to-deconv
        }""",
    "its convolution is dilated": """
        decoder (float[N,2,H,W] x) => (float[N,1,P,Q] y) <float[4,2,3,3] w> {
            c = Conv <dilations = [2,2], pads = [2,2,2,2]> (x, w)
            y = DepthToSpace <blocksize = 2, mode = "CRD"> (c)  # subpixel-to-deconv
        }""",
    "its convolution pads by more than its kernel reaches": """
        decoder (float[N,2,H,W] x) => (float[N,1,P,Q] y) <float[4,2,1,1] w> {
            c = Conv <pads = [1,1,1,1]> (x, w)
            y = DepthToSpace <blocksize = 2, mode = "CRD"> (c)  # subpixel-to-deconv
        }""",
    "the groups of its convolution part the phases of a channel": """
        decoder (float[N,4,H,W] x) => (float[N,2,P,Q] y) <float[8,2,3,3] w> {
            c = Conv <pads = [1,1,1,1], group = 2> (x, w)
            y = DepthToSpace <blocksize = 2, mode = "DCR"> (c)  # subpixel-to-deconv
        }""",
    "it folds space into channels": """
        net (float[N,2,H,W] x) => (float[N,16,P,Q] y) <float[4,2,3,3] w> {
            c = Conv <pads = [1,1,1,1]> (x, w)
            y = SpaceToDepth <blocksize = 2> (c)  # subpixel-to-deconv
        }""",
    "its weights are computed when the model runs, or missing from the file": """
        decoder (float[N,2,H,W] x, float[4,2,3,3] w) => (float[N,1,P,Q] y) {
            c = Conv <pads = [1,1,1,1]> (x, w)
            y = DepthToSpace <blocksize = 2, mode = "CRD"> (c)  # subpixel-to-deconv
        }""",
}


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, Shuffle)
    if layer.op != "DepthToSpace":
        return Refusal("it folds space into channels")
    convolution = _convolution(site, layer)
    if isinstance(convolution, Refusal):
        return convolution
    conv, going = convolution
    weights = fixed_weights(site, conv)
    if isinstance(weights, Refusal):
        return weights
    refusal = _refused(layer, conv, weights)
    return refusal or _built(site, layer, conv, weights, going)


def _convolution(site: Site, layer: Shuffle) -> tuple[Conv, tuple[Node, ...]] | Refusal:
    """The convolution that the shuffle reads, and all nodes that go with it."""
    producer = site.scope.producer(layer.input)
    conv = None if producer is None else site.graph.layer_of(producer)
    if not isinstance(conv, Conv) or conv.node.scope is not site.scope:
        return Refusal("no convolution feeds it directly")
    targets = [name for node in _chain(site, layer) for name in node.inputs]
    going = feeding(site, targets, kept=[conv.input])
    if conv.node not in going:
        return Refusal("what its convolution makes is read elsewhere, too")
    return conv, going


def _chain(site: Site, layer: Shuffle) -> Iterator[Node]:
    """The nodes of the shuffle, the last one first; a single one unless it is spelled out."""
    node: Node | None = site.node
    while node is not None:
        yield node
        node = None if node.input(0) == layer.input else site.scope.producer(node.input(0))


def _refused(layer: Shuffle, conv: Conv, weights: Weights) -> Refusal | None:
    if conv.is_strided:
        return Refusal("its convolution is strided")
    if any(dilation > 1 for dilation in conv.dilations):
        return Refusal("its convolution is dilated")
    if any(max(axis.begin, axis.end) >= axis.kernel for axis in dense_axes(conv)):
        return Refusal("its convolution pads by more than its kernel reaches")
    channels = weights.weight.shape[0]
    if channels % prod(layer.blocks) or channels % conv.group:
        return Refusal("its channels do not divide into phases and groups")
    order = _order(layer, weights)
    groups = order // (order.size // conv.group)
    own = np.arange(len(order)) // max(1, len(order) // conv.group)
    if len(order) % conv.group or np.any(groups != own[:, np.newaxis]):
        return Refusal("the groups of its convolution part the phases of a channel")
    if weights.bias is not None and np.any(np.ptp(weights.bias[order], axis=1) != 0):
        return Refusal("its phases have biases of their own, and a ConvTranspose has one for all")
    return None


def _order(layer: Shuffle, weights: Weights) -> NDArray[np.int64]:
    """Which channel of the convolution is phase r of channel c, at [c, r]."""
    channels, phases = weights.weight.shape[0], prod(layer.blocks)
    numbers = np.arange(channels)
    if layer.mode == "DCR":
        return numbers.reshape(phases, -1).T
    return numbers.reshape(-1, phases)


def _built(
    site: Site, layer: Shuffle, conv: Conv, weights: Weights, going: tuple[Node, ...]
) -> Fragment:
    order = _order(layer, weights)
    axes = tuple(map(transposed_axis, dense_axes(conv), layer.blocks))
    weight = from_phases(weights.weight[order], layer.blocks, conv.group)
    weight, axes = trimmed(weight, axes)
    fragment = site.fragment(*going)
    fragment.any_size = site.node.op_type == layer.op  # a Reshape may name the sizes declared
    fragment.accumulation = terms(conv, weights)
    fragment.figures.update(
        kernel=[axis.kernel for axis in axes], kept_ripple_db=ripple_db(weight, axes)
    )
    inputs = [conv.input, fragment.constant(np.ascontiguousarray(weight), "weight")]
    if weights.bias is not None:
        inputs.append(fragment.constant(weights.bias[order[:, 0]], "bias"))
    made = fragment.add(
        "ConvTranspose",
        inputs,
        label="deconv",
        kernel_shape=[axis.kernel for axis in axes],
        strides=list(layer.blocks),
        pads=[axis.begin for axis in axes] + [axis.end for axis in axes],
        group=conv.group,
    )
    fragment.stand_in(site.node.output(0), made)
    return fragment
