"""ConvTranspose as a convolution whose channels are its phases, put side by side.

What it does
    At stride s an output belongs to one of s phases along each axis, and each phase is an
    ordinary convolution of the small map with the taps that reach it. One Conv computes them all,
    with so many times as many channels; DepthToSpace (mode CRD) puts them side by side. In 1-D and
    3-D, at unequal strides, and with groups before opset 11, a Reshape, a Transpose and a Reshape
    do; where several sizes are open their target is computed from the Shape. A stride of 1 leaves
    a plain Conv; the taps over a map of one element, as at the start of a generator, all become
    phases. Dilation is folded into the kernel.

    Two forms, of which the one is built that costs less by multiply-adds (a crop counted as 8 for
    each output); the figures name it. *Aligned* takes the padding into the phases: nothing is cut
    off at the begin, but a kernel of 4 at stride 2 with padding 1 becomes 3 taps of which a third
    are zeros. *Cropped* computes the phases from the edge of the first window, with 2 taps, and
    slices the surplus off.

When it is exact
    Always, up to rounding, at every input size, for finite input: a tap of weight zero makes a
    NaN of an infinity. It is the same function, so it keeps the checkerboard: the ripple of
    the weights in the figures is that of before and after. On a CPU it is seldom faster (a large
    stride on few channels is); it is for targets that have no ConvTranspose.

What it refuses
    Weights or bias that are computed or dequantised when the model runs, element types other than
    float32 and float16 (ONNX Runtime has no Conv of doubles), output_shape at sizes that are not
    known, padding that runtimes refuse or on which they differ, and weights that would grow
    to millions of elements and sixteen times what they are, or beyond 2^27 elements.

References
    Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016.
"""

from dataclasses import replace
from math import prod

import numpy as np

from onnxstride.api import Axis, ConvTranspose, ripple_db
from onnxstride.surgery import (
    Fragment,
    Polyphase,
    Refusal,
    Rewrite,
    Safety,
    Site,
    Weights,
    cheapest,
    cropped,
    feeding,
    fixed_weights,
    interleaved,
    interleaving,
    stated_axes,
    terms,
    to_phases,
    too_many,
)

REWRITE = Rewrite("deconv-to-subpixel", Safety.EXACT, on=(ConvTranspose,))

EXAMPLES = {
    "kernel 4 at stride 2, cropped": """
        decoder (float[N,8,H,W] x) => (float[N,4,P,Q] y) <float[8,4,4,4] w, float[4] b> {
            y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w, b)  # deconv-to-subpixel
        }""",
    "kernel 3 with output padding, aligned": """
        decoder (float[N,8,H,W] x) => (float[N,4,P,Q] y) <float[8,4,3,3] w> {
            y = ConvTranspose <strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]> (x, w)  # deconv-to-subpixel
        }""",
    "a dimension alone, dilated, in groups": """
        decoder (float[N,6,L] x) => (float[N,4,P] y) <float[6,2,3] w> {
            y = ConvTranspose <strides = [3], dilations = [2], group = 2> (x, w)  # deconv-to-subpixel
        }""",
    "a volume of open sizes at unequal strides": """
        decoder (float[N,2,D,H,W] x) => (float[N,3,O,P,Q] y) <float[2,3,1,2,5] w> {
            y = ConvTranspose <strides = [1,2,3], pads = [0,0,1,0,0,1]> (x, w)  # deconv-to-subpixel
        }""",
    "the phases that no tap reaches": """
        decoder (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4,4,1,1] w, float[4] b> {
            y = ConvTranspose <strides = [2,2], auto_pad = "VALID", output_padding = [1,1]> (x, w, b)  # deconv-to-subpixel
        }""",
    "SAME, which pads alike at every size": """
        decoder (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4,4,3,3] w> {
            y = ConvTranspose <strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # deconv-to-subpixel
        }""",
    "a stride of 1": """
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4,4,3,3] w> {
            y = ConvTranspose <pads = [1,1,1,1]> (x, w)  # deconv-to-subpixel
        }""",
    "a map of one element": """
        generator (float[N,8,1,1] x) => (float[N,4,4,4] y) <float[8,4,4,4] w, float[4] b> {
            y = ConvTranspose (x, w, b)  # deconv-to-subpixel
        }""",
    "before DepthToSpace had modes": """
        <ir_version: 4, opset_import: ["": 9]>
        decoder (float[N,4,H,16] x) => (float[N,4,P,33] y) <float[4,2,2,2] w, float[4,4,2,2] v> {
            z = ConvTranspose <kernel_shape = [2,2], strides = [2,2], group = 2> (x, w)  # deconv-to-subpixel
            y = ConvTranspose <kernel_shape = [2,2]> (z, v)  # deconv-to-subpixel
        }""",
}
REFUSED = {
    "its weights are computed when the model runs, or missing from the file": """
        decoder (float[N,8,H,W] x, float[8,4,4,4] w) => (float[N,4,P,Q] y) {
            y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w)  # deconv-to-subpixel
        }""",
    "its weights are dequantised when the model runs, and would lose the integers they are stored in": """
        decoder (float[N,8,H,W] x) => (float[N,4,P,Q] y) <int8[8,4,4,4] q, float s = {0.1}> {
            w = DequantizeLinear (q, s)
            y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w)  # deconv-to-subpixel
        }""",
    "the element type is float64: only float32 and float16 can be rewritten": """
        decoder (double[N,8,H,W] x) => (double[N,4,P,Q] y) <double[8,4,4,4] w> {
            y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w)  # deconv-to-subpixel
        }""",
    "its padding depends on an input size that is not known": """
        decoder (float[N,8,H,16] x) => (float[N,4,32,32] y) <float[8,4,3,3] w> {
            y = ConvTranspose <strides = [2,2], output_shape = [32,32]> (x, w)  # deconv-to-subpixel
        }""",
    "runtimes differ on SAME with a kernel smaller than its stride": """
        decoder (float[N,8,16,16] x) => (float[N,4,P,Q] y) <float[8,4,1,1] w> {
            y = ConvTranspose <strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # deconv-to-subpixel
        }""",
    "runtimes refuse an output that reaches a stride beyond the last tap": """
        decoder (float[N,8,16,16] x) => (float[N,4,P,Q] y) <float[8,4,3,3] w> {
            y = ConvTranspose <strides = [2,2], output_padding = [2,2]> (x, w)  # deconv-to-subpixel
        }""",
    "its weights would grow from 1 to 400,000,000 elements": """
        decoder (float[N,1,H,W] x) => (float[N,1,P,Q] y) <float[1,1,1,1] w> {
            y = ConvTranspose <strides = [20000,20000]> (x, w)  # deconv-to-subpixel
        }""",
}

_RESHAPE_READS_ITS_TARGET = 5


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, ConvTranspose)
    weights = fixed_weights(site, layer)
    if isinstance(weights, Refusal):
        return weights
    stated = stated_axes(layer)
    if isinstance(stated, Refusal):
        return stated
    axes = list(map(_spread, stated, layer.sizes))
    form = cheapest(axes, layer.output_padding, weights.weight.shape[0] // layer.group)
    spelling = interleaving(site.opset, form.blocks, layer.group)
    refusal = _refused(site, weights, form, spelling)
    if refusal is not None:
        return refusal
    replaced = [layer.weight, layer.bias] if prod(form.blocks) > 1 else [layer.weight]
    fragment = site.fragment(*feeding(site, replaced, kept=[layer.input]))
    fragment.accumulation = terms(layer, weights)
    is_open = layer.output_shape is None and form.blocks == layer.strides
    fragment.any_size = is_open and not _uses_sizes(layer, form, spelling)
    fragment.figures.update(
        form=form.name,
        kernel=list(form.kernel),
        crop=[*(begin for begin, _ in form.crop), *(end for _, end in form.crop)],
        kept_ripple_db=ripple_db(weights.weight, layer.axes),
    )
    fragment.stand_in(site.node.output(0), _built(fragment, site, weights, form, spelling))
    return fragment


def _spread(axis: Axis, size: int | None) -> Axis:
    """A single element has no neighbour to be a stride away from: its taps may all be phases."""
    return replace(axis, stride=max(axis.stride, axis.extent)) if size == 1 else axis


def _refused(site: Site, weights: Weights, form: Polyphase, spelling: str) -> Refusal | None:
    if spelling == "Reshape" and prod(form.blocks) > 1 and site.opset < _RESHAPE_READS_ITS_TARGET:
        return Refusal("a Reshape to a computed shape needs opset 5")
    return too_many(weights.weight, [*weights.weight.shape[:2], form.growth])


def _uses_sizes(layer: ConvTranspose, form: Polyphase, spelling: str) -> bool:
    """True when known sizes are written into the target of a Reshape."""
    is_spelled_out = spelling == "Reshape" and prod(form.blocks) > 1 and layer.rank > 1
    return is_spelled_out and layer.sizes.count(None) < 2


def _built(fragment: Fragment, site: Site, weights: Weights, form: Polyphase, spelling: str) -> str:
    layer = site.layer
    assert isinstance(layer, ConvTranspose)
    phases = to_phases(weights.weight, form, layer.group)
    channels = phases.shape[0]
    if spelling == "DCR":
        phases = phases.swapaxes(0, 1)
    weight = np.ascontiguousarray(phases.reshape(-1, *phases.shape[2:]))
    inputs = [layer.input, fragment.constant(weight, "weight")]
    if weights.bias is not None:
        inputs.append(_bias(fragment, layer, weights, form, spelling))
    windows = form.windows
    dilations = [window.dilation for window in windows]
    made = fragment.add(
        "Conv",
        inputs,
        label="conv",
        kernel_shape=list(form.kernel),
        pads=[window.begin for window in windows] + [window.end for window in windows],
        group=layer.group,
        **({"dilations": dilations} if max(dilations) > 1 else {}),
    )
    sizes = [
        None if size is None else size + window.begin + window.end - window.extent + 1
        for size, window in zip(layer.sizes, windows, strict=True)
    ]
    whole = interleaved(fragment, made, channels, form.blocks, sizes, spelling=spelling)
    return cropped(fragment, site.opset, whole, dict(enumerate(form.crop)))


def _bias(
    fragment: Fragment, layer: ConvTranspose, weights: Weights, form: Polyphase, spelling: str
) -> str:
    """The bias of a channel for each of its phases."""
    assert weights.bias is not None
    count = prod(form.blocks)
    if count == 1:
        return layer.bias
    repeated = np.tile(weights.bias, count) if spelling == "DCR" else weights.bias.repeat(count)
    return fragment.constant(repeated, "bias")
