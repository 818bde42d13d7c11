"""Padding that a runtime refuses, or carries out differently from the standard.

What is flagged
    - a pool whose padding is at least its kernel, dilated or not;
    - a ConvTranspose whose output_padding is at least its stride;
    - a ConvTranspose whose output_shape reaches a stride or more beyond its last tap;
    - auto_pad SAME with dilation, on a convolution or pool;
    - auto_pad SAME with a kernel smaller than its stride.

Why it hurts
    ONNX Runtime stops with an error for the first three. SAME with dilation is refused for
    Conv, and for pools the dilation is ignored in the padding, so the output has another size
    than the standard says. SAME with kernel < stride asks for negative padding at
    some sizes: pools are refused there, a convolution may shift by a pixel, and a
    ConvTranspose comes out smaller than W x stride.

What to do
    State pads. A pool needs less padding than its kernel; a larger output_padding can be had by
    padding the result.

When to leave it alone
    When the target is known to accept it. Where ONNX Runtime follows the standard at the known
    size the finding is a note; where the size is unknown and only some sizes go wrong, a warning.

References
    Each case was tried in ONNX Runtime 1.31.1 on the CPU.
"""

from collections.abc import Iterator
from itertools import chain

from onnxstride.api import (
    SLIDING,
    AutoPad,
    AveragePool,
    Axis,
    Conv,
    ConvTranspose,
    Finding,
    Graph,
    Pool,
    Rule,
    Severity,
    Skip,
    Window,
    by,
    same_total,
)

RULE = Rule(
    "BD306", "refused-padding", Severity.ERROR,
    on=(*SLIDING, ConvTranspose),
)  # fmt: skip

BAD = {
    "a pool padded by its whole kernel": """
        net (float[1,8,32,32] x) => (float[1,8,18,18] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], pads = [2,2,2,2]> (x)  # BD306
        }""",
    "output_padding as large as the stride": """
        net (float[1,8,16,16] x) => (float[1,4,34,34] y) <float[8,4,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1], output_padding = [2,2]> (x, w)  # BD306
        }""",
    "SAME with dilation": """
        net (float[1,8,32,32] x) => (float[1,8,32,32] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], dilations = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # BD306
        }""",
    "an output_shape two strides too large": """
        decoder (float[1,8,16,16] x) => (float[1,4,37,37] y) <float[8,4,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [2,2], output_shape = [37,37]> (x, w)  # BD306
        }""",
    "a SAME pool whose kernel is smaller than its stride": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) {
            y = MaxPool <kernel_shape = [1,1], strides = [2,2], auto_pad = "SAME_UPPER"> (x)  # BD306
        }""",
}
GOOD = {
    "a pool padded by less than its kernel": """
        net (float[1,8,32,32] x) => (float[1,8,17,17] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], pads = [1,1,1,1]> (x)
        }""",
    "output_padding below the stride": """
        net (float[1,8,16,16] x) => (float[1,4,32,32] y) <float[8,4,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]> (x, w)
        }""",
    "an output_shape one element beyond the taps is padded with bias": """
        decoder (float[1,8,16,16] x) => (float[1,4,34,34] y) <float[8,4,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [2,2], output_shape = [34,34]> (x, w)
        }""",
    "dilation with stated pads": """
        net (float[1,8,32,32] x) => (float[1,8,32,32] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], dilations = [2,2], pads = [2,2,2,2]> (x, w)
        }""",
    "SAME with a kernel of at least the stride": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], auto_pad = "SAME_UPPER"> (x)
        }""",
}


def check(layer: Window, graph: Graph) -> Iterator[Finding | Skip]:
    problems = _same(layer) if layer.auto_pad.is_same else iter(())
    for problem, severity in chain(_stated(layer), problems):
        yield RULE.flag(
            layer.ref,
            problem,
            severity=severity,
            kernel=layer.kernel,
            stride=layer.strides,
            dilation=layer.dilations,
            pads=[axis.begin for axis in layer.axes] + [axis.end for axis in layer.axes],
        )


def _stated(layer: Window) -> Iterator[tuple[str, Severity | None]]:
    if isinstance(layer, Conv):
        return
    pads = [max(axis.begin, axis.end) for axis in layer.axes]
    if isinstance(layer, Pool) and any(
        pad >= axis.kernel for pad, axis in zip(pads, layer.axes, strict=True)
    ):
        message = (
            f"padding {by(pads)} is not smaller than kernel {by(layer.kernel)}: ONNX Runtime "
            f"refuses the pool."
        )
        yield message, None
    if not isinstance(layer, ConvTranspose):
        return
    extra = layer.output_padding
    if layer.output_shape is None and any(
        op >= axis.stride for op, axis in zip(extra, layer.axes, strict=True) if op
    ):
        message = (
            f"output_padding {by(extra)} is not smaller than stride {by(layer.strides)}: ONNX "
            f"Runtime refuses it when the model runs."
        )
        yield message, None
    surplus = [max(0, -axis.end) + op for op, axis in zip(extra, layer.axes, strict=True)]
    if layer.output_shape is not None and any(
        more >= axis.stride for more, axis in zip(surplus, layer.axes, strict=True) if more
    ):
        message = (
            f"output_shape {list(layer.output_shape)} asks for {by(surplus)} elements beyond the "
            f"last tap, not fewer than stride {by(layer.strides)}: ONNX Runtime refuses it."
        )
        yield message, None


def _same(layer: Window) -> Iterator[tuple[str, Severity | None]]:
    dilated = any(dilation > 1 for dilation in layer.dilations)
    if dilated and not isinstance(layer, ConvTranspose):
        effect = "refuses it" if isinstance(layer, Conv) else "ignores the dilation in the padding"
        message = (
            f"auto_pad {layer.auto_pad.value} with dilation {by(layer.dilations)}: ONNX Runtime "
            f"{effect}. State pads."
        )
        yield message, None
    elif any(axis.kernel < axis.stride for axis in layer.axes):
        severity, effect = _small_kernel(layer)
        message = (
            f"auto_pad {layer.auto_pad.value} with kernel {by(layer.kernel)} smaller than stride "
            f"{by(layer.strides)} asks for less than no padding: {effect}. State pads."
        )
        yield message, severity


def _small_kernel(layer: Window) -> tuple[Severity | None, str]:
    """How ONNX Runtime takes SAME with kernel < stride, and how bad that is."""
    if isinstance(layer, ConvTranspose):
        return None, "the output comes out smaller than input size x stride"
    surplus = max(_surplus(size, axis) for size, axis in zip(layer.sizes, layer.axes, strict=True))
    tolerated = _tolerated_surplus(layer)
    effect = "the window shifts by a pixel" if tolerated else "ONNX Runtime refuses it"
    if surplus <= tolerated:
        return Severity.NOTE, "at this size ONNX Runtime follows the standard all the same"
    if None in layer.sizes:
        return Severity.WARNING, f"{effect} at some input sizes"
    return None, effect


def _surplus(size: int | None, axis: Axis) -> int:
    """Elements SAME asks to take away; for an unknown size the most of any size."""
    return axis.stride - axis.kernel if size is None else -same_total(size, axis)


def _tolerated_surplus(layer: Window) -> int:
    """Elements SAME may ask to take away before ONNX Runtime's result changes.

    It halves the negative total, dropping the fraction, so small ones leave the begin alone.
    MaxPool, and AveragePool before opset 19, refuse any.
    """
    lower = layer.auto_pad is AutoPad.SAME_LOWER
    if isinstance(layer, Conv):
        return 3 if lower else 2
    if isinstance(layer, AveragePool) and layer.opset >= 19:
        return 2 if lower else 1
    return 0
