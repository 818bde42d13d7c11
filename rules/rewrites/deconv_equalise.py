"""ConvTranspose with weights that answer a flat input with a flat output, to train on from.

What it does
    Sums the taps that reach each phase of the stride, and divides what a phase lacks, or has too
    much, evenly among its taps: the smallest change after which all phases have the same gain,
    with the sum of all taps kept. The layer stays what it is; only its weights move. A flat map
    then leaves it flat, away from the border.

What it costs
    Much, where the model is trained: 4 to 16 dB PSNR on the decoders of models/trained, both of
    their layers changed. Of the last layer alone it was seen to cost 0.1 to 1.8 dB, and could make
    the pattern in the image worse, because training lets layers cancel each other's patterns.
    Train on from here, or use deconv-to-resize-conv, which fits new weights on what the layer
    reads. Equal gains are lost again in training unless it keeps them.

What it refuses
    A ConvTranspose that enlarges nothing, or whose gains are equal already; one with phases that
    no tap reaches; weights that are computed, dequantised or not finite; element types other
    than float32 and float16.

References
    Sugawara, Shiota, Kiya, "Super-Resolution Using Convolutional Neural Networks without Any
    Checkerboard Artifacts", ICIP, 2018: the condition of equal gains.
"""

import numpy as np

from onnxstride.api import ConvTranspose, empty_phases, ripple_db
from onnxstride.fitting import equalised
from onnxstride.surgery import (
    Fragment,
    Refusal,
    Rewrite,
    Safety,
    Site,
    feeding,
    fixed_weights,
)

REWRITE = Rewrite("deconv-equalise", Safety.TRAINING, on=(ConvTranspose,), mends=("UP103",))

EXAMPLES = {
    "all ones of a kernel that the stride does not divide": """
        vocoder (float[N,1,W] x) => (float[N,1,P] y) <float[1,1,3] w = {1.0, 1.0, 1.0}> {
            y = ConvTranspose <strides = [2]> (x, w)  # deconv-equalise
        }""",
    "random weights, grouped and dilated": """
        decoder (float[N,4,H,W] x) => (float[N,2,P,Q] y) <float[4,1,4,4] w, float[2] b> {
            y = ConvTranspose <strides = [2,2], dilations = [1,3], group = 2> (x, w, b)  # deconv-equalise
        }""",
}
REFUSED = {
    "it enlarges nothing": """
        net (float[N,2,H,W] x) => (float[N,2,P,Q] y) <float[2,2,3,3] w> {
            y = ConvTranspose (x, w)  # deconv-equalise
        }""",
    "the gains of its phases are equal already": """
        net (float[N,1,W] x) => (float[N,1,P] y) <float[1,1,3] w = {0.5, 1.0, 0.5}> {
            y = ConvTranspose <strides = [2]> (x, w)  # deconv-equalise
        }""",
    "some phases have no tap to be made even by": """
        net (float[N,2,H,W] x) => (float[N,2,P,Q] y) <float[2,2,2,2] w> {
            y = ConvTranspose <strides = [3,3]> (x, w)  # deconv-equalise
        }""",
}


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, ConvTranspose)
    weights = fixed_weights(site, layer)
    if isinstance(weights, Refusal):
        return weights
    if not layer.is_strided:
        return Refusal("it enlarges nothing")
    if any(map(empty_phases, layer.axes)):
        return Refusal("some phases have no tap to be made even by")
    old = weights.weight
    if not np.isfinite(old).all():
        return Refusal("its weights hold NaN or infinity")
    even = equalised(old, layer.axes)
    new = even.astype(old.dtype)
    # What rounding leaves of a change is none: a second pass has nothing to do.
    if np.abs(even - old).max() <= np.finfo(old.dtype).eps * np.abs(old).max():
        return Refusal("the gains of its phases are equal already")
    fragment = site.fragment(*feeding(site, [layer.weight], kept=[layer.input, layer.bias]))
    fragment.any_size = layer.output_shape is None
    fragment.figures.update(
        ripple_db=ripple_db(old, layer.axes),
        moved=float(np.linalg.norm(even - old) / np.linalg.norm(old)),
        warning="trained decoders lost 4 to 16 dB by it; train on from here",
    )
    fragment.edit(site.node, inputs={1: fragment.constant(new, "weight")})
    return fragment
