"""ConvTranspose with zero taps added until every output phase has as many as the next.

What it does
    Lengthens the kernel with zeros to a multiple of the stride and the padding at the end by as
    much, so that nothing moves: kernel 3 at stride 2 becomes kernel 4. Dilation that shares a
    factor with the stride, which leaves phases without any tap, is folded into the kernel first.
    The layer can then learn an even answer that its old kernel could not express.

When it is exact
    Always, at every size, for finite input: what comes in addition is zero. Bits are the same too,
    but where a product of matrices has one row or one column (a map of one element, a kernel of
    one tap and one channel), which ONNX Runtime adds up in another order. It is the same
    function, so nothing that can be seen changes: the ripple of the weights and the checkerboard in
    the image stay until the layer is trained on. It costs the multiply-adds of the new taps: 4 x 4
    for 3 x 3 is 1.8 times as many.

What it refuses
    A kernel whose taps are even already, weights that are computed or dequantised when the model
    runs, element types other than float32 and float16, output_shape at sizes that are not known,
    and padding that runtimes refuse or on which they differ.

References
    Odena, Dumoulin, Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016.
"""

from collections.abc import Sequence
from typing import Any

from onnxstride.api import Axis, ConvTranspose, is_even, ripple_db
from onnxstride.surgery import (
    Fragment,
    Refusal,
    Rewrite,
    Safety,
    Site,
    evened,
    feeding,
    fixed_weights,
    placed,
    stated_axes,
    terms,
    too_many,
)

REWRITE = Rewrite("deconv-pad-kernel", Safety.EXACT, on=(ConvTranspose,))

EXAMPLES = {
    "kernel 3 at stride 2": """
        decoder (float[N,8,H,W] x) => (float[N,4,P,Q] y) <float[8,4,3,3] w, float[4] b> {
            y = ConvTranspose <strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]> (x, w, b)  # deconv-pad-kernel
        }""",
    "dilation that leaves phases empty": """
        decoder (float[N,4,L] x) => (float[N,4,P] y) <float[4,2,4] w> {
            y = ConvTranspose <kernel_shape = [4], strides = [2], dilations = [2], group = 2> (x, w)  # deconv-pad-kernel
        }""",
    "dilation that does not": """
        decoder (float[N,4,L] x) => (float[N,4,P] y) <float[4,4,3] w> {
            y = ConvTranspose <strides = [2], dilations = [3]> (x, w)  # deconv-pad-kernel
        }""",
    "SAME, whose padding is stated from then on": """
        decoder (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4,4,3,3] w> {
            y = ConvTranspose <strides = [2,2], auto_pad = "SAME_LOWER"> (x, w)  # deconv-pad-kernel
        }""",
    "a size asked for that goes beyond the last tap": """
        decoder (float[N,4,8,8] x) => (float[N,4,24,24] y) <float[4,4,1,2] w> {
            y = ConvTranspose <strides = [3,3], output_shape = [24,24]> (x, w)  # deconv-pad-kernel
        }""",
}
REFUSED = {
    "every phase has as many taps as the next": """
        decoder (float[N,8,H,W] x) => (float[N,4,P,Q] y) <float[8,4,4,4] w> {
            y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w)  # deconv-pad-kernel
        }""",
    "its weights are computed when the model runs, or missing from the file": """
        decoder (float[N,8,H,W] x, float[8,4,3,3] w) => (float[N,4,P,Q] y) {
            y = ConvTranspose <strides = [2,2]> (x, w)  # deconv-pad-kernel
        }""",
    "its padding depends on an input size that is not known": """
        decoder (float[N,8,H,16] x) => (float[N,4,32,32] y) <float[8,4,3,3] w> {
            y = ConvTranspose <strides = [2,2], output_shape = [32,32]> (x, w)  # deconv-pad-kernel
        }""",
    "its weights would grow from 1 to 400,000,000 elements": """
        decoder (float[N,1,H,W] x) => (float[N,1,P,Q] y) <float[1,1,1,1] w> {
            y = ConvTranspose <strides = [20000,20000]> (x, w)  # deconv-pad-kernel
        }""",
}


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, ConvTranspose)
    if all(map(is_even, layer.axes)):
        return Refusal("every phase has as many taps as the next")
    weights = fixed_weights(site, layer)
    if isinstance(weights, Refusal):
        return weights
    axes = stated_axes(layer)
    if isinstance(axes, Refusal):
        return axes
    wider = [evened(axis) for axis in axes]
    kernel = [axis.kernel for axis in wider]
    refusal = too_many(weights.weight, [*weights.weight.shape[:2], *kernel])
    if refusal is not None:
        return refusal
    fragment = site.fragment(*feeding(site, [layer.weight], kept=[layer.input, layer.bias]))
    fragment.accumulation = terms(layer, weights)
    fragment.any_size = layer.output_shape is None
    fragment.figures.update(kernel=kernel, kept_ripple_db=ripple_db(weights.weight, axes))
    weight = fragment.constant(placed(weights.weight, axes, wider), "weight")
    fragment.edit(layer.node, attributes=_attributes(layer, wider), inputs={1: weight})
    return fragment


def _attributes(layer: ConvTranspose, axes: Sequence[Axis]) -> dict[str, Any]:
    """The window in full; an end below zero goes on as output padding."""
    beyond = [op + max(0, -axis.end) for op, axis in zip(layer.output_padding, axes, strict=True)]
    dilations = [axis.dilation for axis in axes]
    return {
        "auto_pad": None,
        "output_shape": None,
        "kernel_shape": [axis.kernel for axis in axes],
        "dilations": dilations if max(dilations) > 1 else None,
        "pads": [axis.begin for axis in axes] + [max(0, axis.end) for axis in axes],
        "output_padding": beyond if any(beyond) else None,
    }
