"""Strided convolution whose weights let fine patterns fold into coarse ones.

What is flagged
    A Conv with a stride above 1 whose weights, together with any fixed filter of stride 1
    directly in front of it, let more than a tenth of some folding frequency through, as against a
    constant. The figure is measured on the weights in the file.

Why it hurts
    A stride keeps every s-th output of a convolution that could have been computed everywhere.
    Input at the frequencies 2 pi m / s is then indistinguishable from a constant: aliasing.
    Answers change when the image moves by a pixel, and detail turns into patterns that were never
    there. Random weights pass as much at the folding frequencies as of a constant (0 dB);
    1 2 1 at stride 2 passes nothing.

What to do
    Convolve at stride 1 and let a fixed blur do the stride, behind the activation; of a 1x1
    convolution, average first. Networks trained that way were steadier under shifts and slightly
    more accurate.

When to leave it alone
    When small shifts do not matter, or when the model cannot be trained again. A stem that cuts
    an image into patches folds by design. This is a note for that reason. An axis with a
    single output has nothing to fold. Of weights over 16,384 elements the first filters are
    measured.

References
    Zhang: Making Convolutional Networks Shift-Invariant Again. ICML, 2019.
    He et al.: Bag of Tricks for Image Classification with CNNs. CVPR, 2019.
"""

from collections.abc import Iterator

from onnxstride.api import (
    FOLDS_ABOVE,
    Conv,
    Finding,
    Graph,
    Remedy,
    Rule,
    Safety,
    Severity,
    Skip,
    by,
    decibels,
    filters_before,
    folding_axes,
    folding_gain,
    in_decibels,
    weights_sample,
)

RULE = Rule(
    "DN206", "aliasing-conv", Severity.NOTE,
    on=(Conv,),
    remedies=(Remedy("conv-to-blurred", Safety.APPROXIMATE),),
)  # fmt: skip

_MEASURED_ELEMENTS = 1 << 14  # so that lint's time and memory do not grow with the weights

BAD = {
    "random weights are no low-pass": """
        net (float[1,3,224,224] x) => (float[1,8,112,112] y) <float[8,3,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x, w)  # DN206
        }""",
    "one tap passes everything": """
        net (float[1,1,9] x) => (float[1,1,5] y) <float[1,1,1] w = {1.0}> {
            y = Conv <kernel_shape = [1], strides = [2]> (x, w)  # DN206
        }""",
}
GOOD = {
    "binomial weights remove the folding frequency": """
        net (float[1,1,9] x) => (float[1,1,4] y) <float[1,1,3] w = {0.25, 0.5, 0.25}> {
            y = Conv <kernel_shape = [3], strides = [2]> (x, w)
        }""",
    "an average in front of it has removed it": """
        net (float[1,1,9] x) => (float[1,1,4] y) <float[1,1,1] w = {1.0}> {
            smooth = AveragePool <kernel_shape = [2], strides = [1]> (x)
            y = Conv <kernel_shape = [1], strides = [2]> (smooth, w)
        }""",
    "nothing folds at stride 1": """
        net (float[1,1,9] x) => (float[1,1,9] y) <float[1,1,1] w = {1.0}> {
            y = Conv <kernel_shape = [1], strides = [1]> (x, w)
        }""",
    "a single output has nothing to fold": """
        net (float[1,3,3,3] x) => (float[1,8,1,1] y) <float[8,3,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2]> (x, w)
        }""",
}


def check(layer: Conv, graph: Graph) -> Iterator[Finding | Skip]:
    if not layer.is_strided:
        return
    axes = folding_axes(layer)
    if all(axis.stride == 1 for axis in axes):
        return
    found = weights_sample(graph, layer, _MEASURED_ELEMENTS, of_first="rows")
    if isinstance(found, str):
        yield RULE.skip(layer.ref, found)
        return
    gain = folding_gain(found.values, axes, list(filters_before(graph, layer)))
    if gain is None:
        yield RULE.skip(layer.ref, f"stride {by(layer.strides)} has too many folding frequencies")
    elif gain > FOLDS_ABOVE:
        yield RULE.flag(
            layer.ref,
            f"the weights, kernel {by(layer.kernel)} stride {by(layer.strides)}, pass {gain:.2f} "
            f"times as much at a folding frequency as of a constant ({decibels(in_decibels(gain))}; random "
            f"weights 0 dB): patterns finer than the new grid come back as coarse ones. A "
            f"convolution of stride 1 and a blur with the stride remove them.",
            kernel=layer.kernel,
            stride=layer.strides,
            folding_gain=gain,
            measured_share=found.share,
        )
