"""Strided layer whose backward pass writes a checkerboard.

What is flagged
    A strided convolution or pool whose windows read some input positions more often than
    others: the kernel is not divisible by the stride, or dilation and stride share a factor.

Why it hurts
    The backward pass of a strided convolution is a transposed convolution. Positions read by
    more windows get more gradient: kernel 3 at stride 2 gives every fourth pixel of the layer
    below four times the gradient terms of another fourth, kernel 7 no more than 1.8 times.
    Generators trained through such a discriminator can learn the pattern, and saliency maps
    show it.

What to do
    For new designs, a kernel divisible by the stride (4 at stride 2), or a blur before the
    subsampling. A trained classifier that is only run forward does not suffer.

When to leave it alone
    In inference. Every ResNet has such layers; this is a note for those who train, or
    differentiate with respect to the input.

References
    Odena, Dumoulin, Olah: Deconvolution and Checkerboard Artifacts. Distill, 2016.
"""

from collections.abc import Iterator

from onnxstride.api import (
    SLIDING,
    Finding,
    Graph,
    Rule,
    Severity,
    Skip,
    Window,
    by,
    is_even,
    overlap_ratio,
    percent,
    times,
    unread_share,
)

RULE = Rule("DN208", "uneven-gradient", Severity.NOTE, on=SLIDING)

BAD = {
    "kernel 3 at stride 2": """
        net (float[1,8,33,33] x) => (float[1,8,17,17] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x, w)  # DN208
        }""",
    "an overlapping pool": """
        net (float[1,8,33,33] x) => (float[1,8,16,16] y) {
            y = AveragePool <kernel_shape = [3,3], strides = [2,2]> (x)  # DN208
        }""",
}
GOOD = {
    "kernel 4 is divisible by stride 2": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <float[8,8,4,4] w> {
            y = Conv <kernel_shape = [4,4], strides = [2,2], pads = [1,1,1,1]> (x, w)
        }""",
    "stride 1 reads every position equally": """
        net (float[1,8,32,32] x) => (float[1,8,32,32] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w)
        }""",
}


def check(layer: Window, graph: Graph) -> Iterator[Finding | Skip]:
    if not layer.is_strided or all(is_even(axis) for axis in layer.axes):
        return
    ratio = overlap_ratio(layer.axes)
    unread = unread_share(layer.axes)
    effect = (
        f"{percent(unread)} of the input positions get no gradient at all"
        if ratio is None
        else f"some input positions get {times(ratio)} times the gradient terms of others"
    )
    yield RULE.flag(
        layer.ref,
        f"kernel {by(layer.kernel)} is not even over stride {by(layer.strides)}: in the backward "
        f"pass {effect}. It matters when training through this layer; a kernel divisible by the "
        f"stride is even.",
        kernel=layer.kernel,
        stride=layer.strides,
        dilation=layer.dilations,
        gradient_ratio=None if ratio is None else float(ratio),
        without_gradient_share=float(unread),
    )
