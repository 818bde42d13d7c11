"""ConvTranspose as a Resize and a convolution: no checkerboard, whatever the input.

What it does
    Enlarges the map by repeating its elements (`--mode linear`: by interpolation), then convolves
    it. A map that is repeated stays flat where it was flat, so nothing that follows can answer a
    flat input with a pattern. The convolution stands where the windows of the ConvTranspose did,
    and the size is the same at every input size.

    Where the kernel is a box of the stride convolved with another kernel, that other one does it,
    and nothing changes but rounding; the figures say `exact`, and a plain `rewrite` does it. Any
    other is fitted by least squares: inputs as the layers rewritten before it leave them, targets
    from the original model, on `--data`, else on made-up images whose spectrum falls off as that of
    natural ones does. Half of the samples are held out; the figures are theirs. `--kernel` sets
    the taps; without it there are 3, or K - s + 1 of a kernel K at stride s if that is more, and 5
    where those are better on what was held out. `--init mean` projects the weights alone.

What it costs
    Detail that the network has learnt to place by phase. Decoders trained to the end lost 2.3 to
    2.8 dB PSNR with both of their layers rewritten (models/trained), one trained briefly nothing,
    others 0.1 to 0.4 dB; made-up images did as well as data, 7 taps gave back 0.2 dB. Projected
    weights alone cost 4 to 16 dB. A hidden layer that is left as it was keeps its checkerboard.
    The convolution runs on the large map: more multiply-adds.

What it refuses
    A ConvTranspose that enlarges nothing; weights that are computed, dequantised or not finite;
    element types other than float32 and float16; output_shape at sizes that are not known;
    opsets before 7, before 11 for linear; too little data, or more unknowns than can be solved
    for; strides and dilations that spread the weights over millions of elements or make thousands
    of phases; and, inside a body or function, anything that needs samples.

References
    Odena, Dumoulin, Olah, "Deconvolution and Checkerboard Artifacts", Distill, 2016. Aitken et al.,
    "Checkerboard artifact free sub-pixel convolution", 2017.
"""

from math import prod

import numpy as np

from onnxstride.api import ConvTranspose
from onnxstride.fitting.resize_convs import ResizeConv, resize_conv
from onnxstride.surgery import (
    Fragment,
    Refusal,
    Rewrite,
    Safety,
    Site,
    cropped,
    enlarged,
    feeding,
    fixed_weights,
    no_enlargement,
)

REWRITE = Rewrite(
    "deconv-to-resize-conv",
    Safety.APPROXIMATE,
    on=(ConvTranspose,),
    mends=("UP101", "UP102", "UP103", "UP106"),
    at_best=Safety.EXACT,
)

EXAMPLES = {
    "weights that interpolate factor": """
        upsampler (float[N,1,W] x) => (float[N,1,P] y) <float[1,1,3] w = {0.5, 1.0, 0.5}> {
            y = ConvTranspose <kernel_shape = [3], strides = [2]> (x, w)  # deconv-to-resize-conv
        }""",
    "weights that do not are fitted": """
        decoder (float[N,2,H,W] x) => (float[N,2,P,Q] y) <float[2,2,3,3] w, float[2] b> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]> (x, w, b)  # deconv-to-resize-conv
        }""",
    "holes are closed": """
        decoder (float[N,2,W] x) => (float[N,1,P] y) <float[2,1,2] w> {
            y = ConvTranspose <kernel_shape = [2], strides = [3]> (x, w)  # deconv-to-resize-conv
        }""",
}
REFUSED = {
    "it enlarges nothing": """
        net (float[N,2,H,W] x) => (float[N,2,P,Q] y) <float[2,2,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3]> (x, w)  # deconv-to-resize-conv
        }""",
    "its weights are computed when the model runs, or missing from the file": """
        net (float[N,2,H,W] x, float[2,2,3,3] w) => (float[N,2,P,Q] y) {
            y = ConvTranspose <kernel_shape = [3,3], strides = [2,2]> (x, w)  # deconv-to-resize-conv
        }""",
    "the element type is float64: only float32 and float16 can be rewritten": """
        net (double[N,2,H,W] x) => (double[N,2,P,Q] y) <double[2,2,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [2,2]> (x, w)  # deconv-to-resize-conv
        }""",
    "its padding depends on an input size that is not known": """
        net (float[N,1,W] x) => (float[N,1,16] y) <float[1,1,2] w = {1.0, 1.0}> {
            y = ConvTranspose <kernel_shape = [2], strides = [2], output_shape = [16]> (x, w)  # deconv-to-resize-conv
        }""",
    "with its strides and dilations its weights are spread over 67,174,416 elements, more than 16,777,216": """
        net (float[N,2,H,W] x) => (float[N,2,P,Q] y) <float[2,2,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [2047,2047]> (x, w)  # deconv-to-resize-conv
        }""",
    "its 4,000 taps along an axis are more than can be solved for": """
        net (float[N,2,H,W] x) => (float[N,2,P,Q] y) <float[2,2,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [1,2], dilations = [1,2000]> (x, w)  # deconv-to-resize-conv
        }""",
    "a nearest Resize needs opset 7": """
        <ir_version: 3, opset_import: ["": 6]>
        net (float[1,1,8] x) => (float[1,1,16] y, float[1,1,2] w) {
            w = Constant <value = float[1,1,2] {1.0, 1.0}> ()
            y = ConvTranspose <kernel_shape = [2], strides = [2]> (x, w)  # deconv-to-resize-conv
        }""",
}


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, ConvTranspose)
    weights = fixed_weights(site, layer)
    if isinstance(weights, Refusal):
        return weights
    mode = site.options.mode
    reason = no_enlargement(site.opset, mode) if layer.is_strided else "it enlarges nothing"
    if reason:
        return Refusal(reason)
    found = resize_conv(site, layer, weights)
    if isinstance(found, str):
        return Refusal(found)
    fragment = site.fragment(*feeding(site, [layer.weight, layer.bias], kept=[layer.input]))
    fragment.any_size = layer.output_shape is None
    fragment.figures.update(resize=mode, **found.figures)
    fragment.safety = Safety.EXACT if found.is_exact else None
    fragment.accumulation = prod(found.weight.shape[1:]) + 1
    fragment.stand_in(
        site.node.output(0), _built(fragment, site, layer, found, weights.weight.dtype)
    )
    return fragment


def _built(
    fragment: Fragment, site: Site, layer: ConvTranspose, found: ResizeConv, dtype: np.dtype
) -> str:
    """The Resize, the convolution, and what it made too much cut off."""
    large = enlarged(fragment, site.opset, layer.input, layer.strides, mode=site.options.mode)
    inputs = [large, fragment.constant(found.weight.astype(dtype), "weight")]
    if found.bias is not None:
        inputs.append(fragment.constant(found.bias.astype(dtype), "bias"))
    begins = [each.begin for each in found.choice]
    ends = [
        each.end(axis, op)
        for each, axis, op in zip(found.choice, found.axes, layer.output_padding, strict=True)
    ]
    made = fragment.add(
        "Conv",
        inputs,
        label="conv",
        kernel_shape=list(found.weight.shape[2:]),
        pads=[max(0, end) for end in (*begins, *ends)],
        group=layer.group,
    )
    surplus = {
        number: (max(0, -begin), max(0, -end))
        for number, (begin, end) in enumerate(zip(begins, ends, strict=True))
    }
    return cropped(fragment, site.opset, made, surplus)
