"""Transposed convolution whose last outputs lie beyond every tap.

What is flagged
    A ConvTranspose whose output_padding is larger than its padding at the end, or whose
    output_shape is larger than its taps reach.

Why it hurts
    output_padding lengthens the output; it adds no data. Padding at the end crops outputs that
    taps do reach, so as long as it is at least as large, output_padding only takes part of the
    crop back. What it adds beyond that are rows and columns no tap reaches: they hold the bias,
    a constant line along the bottom and the right edge.

What to do
    Reduce output_padding to the padding at the end, and crop less at the begin or pad the
    result if the size is needed.

When to leave it alone
    When the last rows and columns are cropped away downstream.

References
    The output of a transposed convolution ends at stride (W - 1) + K - 1 - pads_begin; its size,
    from the ONNX operator specification, is output_padding - pads_end longer than that.
"""

from collections.abc import Iterator

from onnxstride.api import (
    ConvTranspose,
    Finding,
    Graph,
    Rule,
    Severity,
    Skip,
    bias_only_tail,
    by,
    elements,
)

RULE = Rule("UP107", "bias-only-tail", Severity.WARNING, on=(ConvTranspose,))

BAD = {
    "output_padding with nothing cropped at the end": """
        decoder (float[1,8,16,16] x) => (float[1,4,33,33] y) <float[8,4,2,2] w> {
            y = ConvTranspose <kernel_shape = [2,2], strides = [2,2], output_padding = [1,1]> (x, w)  # UP107
        }""",
    "output_shape beyond the last tap": """
        decoder (float[1,8,16,16] x) => (float[1,4,34,34] y) <float[8,4,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [2,2], output_shape = [34,34]> (x, w)  # UP107
        }""",
}
GOOD = {
    "output_padding takes back part of the crop": """
        decoder (float[1,8,16,16] x) => (float[1,4,32,32] y) <float[8,4,4,4] w> {
            y = ConvTranspose <kernel_shape = [4,4], strides = [2,2], pads = [1,1,2,2], output_padding = [1,1]> (x, w)
        }""",
    "no output_padding": """
        decoder (float[1,8,16,16] x) => (float[1,4,32,32] y) <float[8,4,2,2] w> {
            y = ConvTranspose <kernel_shape = [2,2], strides = [2,2]> (x, w)
        }""",
}


def check(layer: ConvTranspose, graph: Graph) -> Iterator[Finding | Skip]:
    if not any(layer.output_padding) and layer.output_shape is None:
        return
    if layer.has_implicit_padding and None in layer.sizes:
        yield RULE.skip(layer.ref, "padding depends on an input size that is not known")
        return
    tails = [
        bias_only_tail(axis, extra)
        for axis, extra in zip(layer.axes, layer.output_padding, strict=True)
    ]
    if not any(tails):
        return
    yield RULE.flag(
        layer.ref,
        f"{_cause(layer)}: no tap reaches the last {elements(tails)}, which hold the bias alone. "
        f"Ask for an output that ends where the taps do.",
        output_padding=layer.output_padding,
        output_shape=layer.output_shape,
        tail=tails,
    )


def _cause(layer: ConvTranspose) -> str:
    if layer.output_shape is not None:
        return f"output_shape {list(layer.output_shape)} is larger than the taps reach"
    return (
        f"output_padding {by(layer.output_padding)} is larger than the padding at the end, "
        f"{by(axis.end for axis in layer.axes)}"
    )
