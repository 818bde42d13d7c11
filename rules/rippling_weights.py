"""Transposed convolution whose weights turn a constant into a pattern.

What is flagged
    A ConvTranspose with a stride whose taps, summed per phase of the stride, differ: measured
    from the weights themselves, grouped, dilated or quantised, however even the overlap is. The
    ripple is the pattern's RMS over the RMS of the constant it rides on, for a random constant
    input, in decibels; also per axis, averaged over the others.

Why it hurts
    A flat input leaves the layer with a pattern of the period of the stride, the checkerboard.
    What the figure means, by layers whose figures are known:

    - random weights give sqrt(prod(stride) - 1): +4.8 dB at stride 2x2, +9.0 dB at 3x3;
    - all-ones weights give what the overlap alone does: -6.3 dB for kernel 3x3 at stride 2x2;
    - an interpolation kernel, bilinear or nearest, gives minus infinity.

    A layer whose output reaches the image through pointwise operators alone is a warning above
    -20 dB, a tenth of the constant: nothing behind it can cancel the pattern. Training cancels
    it for typical inputs, in the weights themselves, and flat saturated colours bring it back.
    The key `ripple-db` of the configuration moves that threshold.

What to do
    Measure the image: `lint --probe` runs the model on constant images. Where the pattern
    shows, resize by nearest neighbour and convolve, or smooth the output.

When to leave it alone
    In a hidden layer the figure does not predict what the image shows: small trained decoders
    had hidden layers between -0.1 and +2.5 dB, without any relation to their kernel or to the
    pattern in the image. Hidden layers are reported as notes for that reason, and so is a
    ripple between -40 and -20 dB; below -40 dB the weights interpolate.

    Rule UP101 counts taps, which anyone can check in the architecture; this one measures what
    the weights make of the taps. Even counts do not silence it, and weights that interpolate
    turn UP101 into a note. Phases without any tap are rule UP102's. Of weights over 262,144
    elements the first input channels are measured; `measured_share` tells how much.

References
    Sugawara, Shiota, Kiya: Super-Resolution Using Convolutional Neural Networks without Any
    Checkerboard Artifacts. ICIP, 2018.
    Odena, Dumoulin, Olah: Deconvolution and Checkerboard Artifacts. Distill, 2016.
"""

from collections.abc import Iterator
from math import inf, isnan

from onnxstride.api import (
    INTERPOLATES_BELOW_DB,
    ConvTranspose,
    Finding,
    Graph,
    Remedy,
    Ripple,
    Rule,
    Safety,
    Severity,
    Skip,
    axis_name,
    by,
    decibels,
    empty_phases,
    overlap_ripple_db,
    random_ripple_db,
    reaches_output,
    weights_ripple,
    where_it_shows,
)

RULE = Rule(
    "UP103",
    "rippling-weights",
    Severity.WARNING,
    on=(ConvTranspose,),
    remedies=(
        Remedy("deconv-to-resize-conv", Safety.APPROXIMATE),
        Remedy("deconv-equalise", Safety.TRAINING),
    ),
)

BAD = {
    "random weights, though the overlap is even": """
        decoder (float[1,8,16,16] x) => (float[1,3,32,32] y) <float[8,3,4,4] w> {
            d = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w)  # UP103
            y = Tanh (d)
        }""",
    "all ones of a kernel that the stride does not divide": """
        vocoder (float[1,1,50] x) => (float[1,1,101] y) <float[1,1,3] w = {1.0, 1.0, 1.0}> {
            y = ConvTranspose <strides = [2]> (x, w)  # UP103
        }""",
    "a hidden layer, which is a note": """
        decoder (float[1,8,16,16] x) => (float[1,3,32,32] y) <float[8,4,4,4] w, float[3,4,3,3] v> {
            d = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w)  # UP103
            y = Conv <pads = [1,1,1,1]> (d, v)
        }""",
    "along one axis": """
        decoder (float[1,1,9,9] x) => (float[1,1,9,18] y) <float[1,1,1,2] w = {1.0, 0.5}> {
            y = ConvTranspose <strides = [1,2]> (x, w)  # UP103
        }""",
}
GOOD = {
    "weights that interpolate, though the overlap is uneven": """
        vocoder (float[1,1,50] x) => (float[1,1,101] y) <float[1,1,3] w = {0.5, 1.0, 0.5}> {
            y = ConvTranspose <strides = [2]> (x, w)
        }""",
    "stride 1 has a single phase": """
        decoder (float[1,8,16,16] x) => (float[1,3,17,17] y) <float[8,3,4,4] w> {
            d = ConvTranspose <pads = [1,1,1,1]> (x, w)
            y = Tanh (d)
        }""",
    "a single input position is followed by no second period": """
        decoder (float[1,8,1,1] x) => (float[1,3,2,2] y) <float[8,3,4,4] w> {
            d = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w)
            y = Tanh (d)
        }""",
    "weights that are computed cannot be measured": """
        decoder (float[1,8,16,16] x, float[8,3,4,4] w) => (float[1,3,32,32] y) {
            d = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w)
            y = Tanh (d)
        }""",
    "phases that no tap reaches are another rule's": """
        decoder (float[1,8,16,16] x) => (float[1,3,62,62] y) <float[8,3,4,4] w> {
            d = ConvTranspose <strides = [4,4], dilations = [2,2], pads = [2,2,3,3]> (x, w)
            y = Tanh (d)
        }""",
}


def check(layer: ConvTranspose, graph: Graph) -> Iterator[Finding | Skip]:
    alone = [i for i, size in enumerate(layer.sizes) if size == 1]
    axes = [axis for i, axis in enumerate(layer.axes) if i not in alone]
    if all(axis.stride == 1 for axis in axes) or any(map(empty_phases, axes)):
        return
    found = weights_ripple(graph, layer)
    if isinstance(found, str):
        yield RULE.skip(layer.ref, found)
        return
    ripple = found.ripple
    if isnan(ripple.total):
        yield RULE.skip(layer.ref, "the weights hold values that are not finite, or near it")
        return
    shows_above = graph.thresholds.ripple_db
    if ripple.total < min(INTERPOLATES_BELOW_DB, shows_above):
        return
    reaches = reaches_output(graph, layer.node)
    shows = reaches and ripple.total > shows_above
    random, overlap = random_ripple_db(axis.stride for axis in axes), overlap_ripple_db(axes)
    yield RULE.flag(
        layer.ref,
        f"the weights answer a constant with a pattern of period {by(layer.strides)}: ripple "
        f"{_figures(layer, ripple)}. Random weights give {decibels(random)}, "
        f"{'' if overlap == -inf else f'all ones {decibels(overlap)}, '}interpolation minus "
        f"infinity. {where_it_shows(reaches, shows)}",
        severity=None if shows else Severity.NOTE,
        kernel=layer.kernel,
        stride=layer.strides,
        ripple_db=ripple.total,
        ripple_db_per_axis=ripple.per_axis,
        random_db=random,
        overlap_db=overlap,
        reaches_output=reaches,
        measured_share=found.share,
        threshold_db=shows_above,
    )


def _figures(layer: ConvTranspose, ripple: Ripple) -> str:
    strided = [i for i, stride in enumerate(layer.strides) if stride > 1]
    each = (f"{decibels(ripple.per_axis[i])} along {axis_name(i, layer.rank)}" for i in strided)
    return decibels(ripple.total) + (f" ({', '.join(each)})" if len(strided) > 1 else "")
