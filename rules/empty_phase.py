"""Transposed convolution with output positions that no tap reaches.

What is flagged
    A ConvTranspose whose kernel is smaller than its stride, or whose dilation shares a factor
    with it: along some axis whole phases of the output receive nothing from the input.

Why it hurts
    Those outputs hold the bias and nothing else, whatever the input is: holes in a regular
    grid. With stride s, dilation d and g their greatest common divisor, only min(k, s / g) of s
    phases are reached. Dilation 2 at stride 2 empties half of every axis however large the
    kernel is.

What to do
    Use a kernel at least as large as the stride, and a dilation without a common factor with it.

When to leave it alone
    When the holes are wanted: zero insertion before a filter of its own. Then the next layer
    fills them, and an ordinary ConvTranspose with that filter as its kernel does both at once.

References
    Odena, Dumoulin, Olah: Deconvolution and Checkerboard Artifacts. Distill, 2016.
"""

from collections.abc import Iterator

from onnxstride.api import (
    ConvTranspose,
    Finding,
    Graph,
    Remedy,
    Rule,
    Safety,
    Severity,
    Skip,
    by,
    empty_phases,
    percent,
    unread_share,
)

RULE = Rule(
    "UP102",
    "empty-phase",
    Severity.ERROR,
    on=(ConvTranspose,),
    remedies=(Remedy("deconv-to-resize-conv", Safety.APPROXIMATE),),
)

BAD = {
    "kernel 2 leaves every third output empty at stride 3": """
        decoder (float[1,8,16,16] x) => (float[1,4,47,47] y) <float[8,4,2,2] w> {
            y = ConvTranspose <kernel_shape = [2,2], strides = [3,3]> (x, w)  # UP102
        }""",
    "dilation 2 only ever reaches one phase of stride 2": """
        decoder (float[1,8,16,16] x) => (float[1,4,37,37] y) <float[8,4,4,4] w> {
            y = ConvTranspose <kernel_shape = [4,4], strides = [2,2], dilations = [2,2]> (x, w)  # UP102
        }""",
}
GOOD = {
    "kernel 3 reaches all phases of stride 3": """
        decoder (float[1,8,16,16] x) => (float[1,4,48,48] y) <float[8,4,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [3,3]> (x, w)
        }""",
    "dilation 3 has no factor in common with stride 2": """
        decoder (float[1,8,16,16] x) => (float[1,4,40,40] y) <float[8,4,4,4] w> {
            y = ConvTranspose <kernel_shape = [4,4], strides = [2,2], dilations = [3,3]> (x, w)
        }""",
    "a single input position leaves no gap between inputs": """
        decoder (float[1,8,1,1] x) => (float[1,4,2,2] y) <float[8,4,2,2] w> {
            y = ConvTranspose <kernel_shape = [2,2], strides = [3,3]> (x, w)
        }""",
}


def check(layer: ConvTranspose, graph: Graph) -> Iterator[Finding | Skip]:
    axes = [axis for axis, size in zip(layer.axes, layer.sizes, strict=True) if size != 1]
    empty = unread_share(axes)
    if not empty:
        return
    shared = any(axis.kernel >= axis.stride for axis in axes if empty_phases(axis))
    cause = (
        f"dilation {by(layer.dilations)} shares a factor with stride {by(layer.strides)}"
        if shared
        else f"kernel {by(layer.kernel)} is smaller than stride {by(layer.strides)}"
    )
    yield RULE.flag(
        layer.ref,
        f"{cause}: no tap reaches {percent(empty)} of the outputs, which hold the bias alone. "
        f"Use a kernel of at least the stride, and a dilation without a common factor with it.",
        kernel=layer.kernel,
        stride=layer.strides,
        dilation=layer.dilations,
        empty_phases=[empty_phases(axis) for axis in layer.axes],
        empty_share=float(empty),
    )
