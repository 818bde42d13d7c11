"""Strided window that steps over positions which nobody else reads.

What is flagged
    A convolution, pool or strided slice whose window does not reach every position of the map
    it reads: kernel smaller than stride, or a dilation that shares a factor with the stride.
    All readers of the map are looked at together, through casts and quantisation.

Why it hurts
    What no window reads was computed for nothing, and its information is lost. A 1x1 convolution
    at stride 2 reads a quarter of an image; kernel 3 with dilation 2 at stride 2 reads the same
    quarter, although the kernel is larger than the stride.

What to do
    Use a kernel that covers the stride, average before a 1x1 convolution (the shortcut of
    ResNet-D), or move the stride to an earlier layer and save the work.

When to leave it alone
    A strided 1x1 shortcut beside a branch that reads every position discards nothing: that is
    reported as a note. Several readers that share the positions out between them, such as the
    slices of a space-to-depth, are not reported.

References
    He et al.: Bag of Tricks for Image Classification with CNNs. CVPR, 2019 (ResNet-B, ResNet-D).
"""

from collections.abc import Iterator
from fractions import Fraction

from onnxstride.api import (
    SLIDING,
    Axis,
    Finding,
    Graph,
    Remedy,
    Rule,
    Safety,
    Severity,
    Skip,
    StridedSlice,
    Window,
    by,
    percent,
    readers,
    unread_by_all,
    unread_share,
)

RULE = Rule(
    "DN202", "skipped-positions", Severity.WARNING,
    on=(*SLIDING, StridedSlice),
    remedies=(Remedy("conv-to-blurred", Safety.APPROXIMATE),),
)  # fmt: skip

BAD = {
    "a 1x1 kernel at stride 2 reads a quarter": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <float[8,8,1,1] w> {
            y = Conv <kernel_shape = [1,1], strides = [2,2]> (x, w)  # DN202
        }""",
    "dilation 2 meets one phase of stride 2 only": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], dilations = [2,2], pads = [2,2,2,2]> (x, w)  # DN202
        }""",
    "two 1x1 branches read the same quarter": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <float[8,8,1,1] v, float[8,8,1,1] w> {
            a = Conv <kernel_shape = [1,1], strides = [2,2]> (x, v)  # DN202
            b = Conv <kernel_shape = [1,1], strides = [2,2]> (x, w)  # DN202
            y = Add (a, b)
        }""",
    "a shortcut beside a branch that reads everything is only a note": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <float[8,8,1,1] v, float[8,8,3,3] w> {
            a = Conv <kernel_shape = [1,1], strides = [2,2]> (x, v)  # DN202
            b = Conv <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x, w)
            y = Add (a, b)
        }""",
}
GOOD = {
    "kernel 3 covers stride 2": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x, w)
        }""",
    "a patchify stem reads every pixel once": """
        net (float[1,3,32,32] x) => (float[1,8,8,8] y) <float[8,3,4,4] w> {
            y = Conv <kernel_shape = [4,4], strides = [4,4]> (x, w)
        }""",
    "a single position leaves nothing to skip": """
        net (float[1,8,1,1] x) => (float[1,8,1,1] y) <float[8,8,1,1] w> {
            y = Conv <kernel_shape = [1,1], strides = [2,2]> (x, w)
        }""",
}


def check(layer: Window, graph: Graph) -> Iterator[Finding | Skip]:
    if not layer.is_strided:
        return
    skipped = unread_share(_reading(layer))
    if not skipped:
        return
    unread = _unread_by_anyone(layer, graph)
    if unread is None:
        yield RULE.skip(layer.ref, "the strides of the map's readers make too large a pattern")
        return
    if isinstance(layer, StridedSlice) and not unread:
        return
    yield RULE.flag(
        layer.ref,
        _message(layer, skipped, unread),
        severity=None if unread else Severity.NOTE,
        kernel=layer.kernel,
        stride=layer.strides,
        dilation=layer.dilations,
        skipped_share=float(skipped),
        unread_share=float(unread),
    )


def _message(layer: Window, skipped: Fraction, unread: Fraction) -> str:
    reads = (
        f"kernel {by(layer.kernel)}"
        + (f" dilation {by(layer.dilations)}" if any(d > 1 for d in layer.dilations) else "")
        + f" at stride {by(layer.strides)} skips {percent(skipped)} of the positions it moves over"
    )
    if not unread:
        return f"{reads}. Others read them, so nothing is lost: a strided shortcut."
    everyone = "" if unread == skipped else f", and {percent(unread)} are read by nobody"
    return f"{reads}{everyone}: computed and thrown away. Cover the stride with the kernel, or average first."


def _reading(layer: Window) -> tuple[Axis, ...]:
    """The window's axes, those of a single position left whole: there is nothing to skip."""
    return tuple(
        Axis(1) if size == 1 else axis for axis, size in zip(layer.axes, layer.sizes, strict=True)
    )


def _unread_by_anyone(layer: Window, graph: Graph) -> Fraction | None:
    """Share of positions no reader of the map reads; None when the pattern is too large."""
    nodes, is_output = readers(layer.node.scope, layer.input)
    windows = [graph.layer_of(node) for node in nodes]
    reading = [
        _reading(window)
        for window in windows
        if isinstance(window, (*SLIDING, StridedSlice)) and window.rank == layer.rank
    ]
    if is_output or len(reading) < len(windows):
        return Fraction(0)
    # Nobody is listed as a reader of a name that nothing defines, not even this layer.
    return unread_by_all(reading or [_reading(layer)])
