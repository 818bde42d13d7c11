"""Strided layer whose padding auto_pad leaves to the runtime.

What is flagged
    A convolution or pool with auto_pad SAME_UPPER or SAME_LOWER and a stride above 1.

Why it hurts
    SAME promises an output of ceil(W / stride), so the padding depends on the input size and is
    odd about half of the time. The odd element goes to one side: the grid shifts by half a
    pixel against symmetric padding, and a model trained with one convention and run with the
    other loses accuracy without an error. Dynamic sizes make it change from image to image, and
    several runtimes refuse it or convert it wrongly.

What to do
    State the pads. The message gives them for the known input size; a model with dynamic
    sizes needs a size that always gives the same.

When to leave it alone
    When size and runtime are fixed and the result was checked. If at the known size the padding
    is symmetric, or none, every convention agrees and the finding is a note.

References
    microsoft/onnxruntime issue 495; pytorch/pytorch issue 27602; opencv/opencv issue 20342.
"""

from collections.abc import Iterator

from onnxstride.api import (
    SLIDING,
    Finding,
    Graph,
    Remedy,
    Rule,
    Safety,
    Severity,
    Skip,
    Window,
)

RULE = Rule(
    "BD302",
    "same-padding",
    Severity.WARNING,
    on=SLIDING,
    remedies=(Remedy("explicit-padding", Safety.EXACT),),
)

BAD = {
    "an even size is padded at the end only": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # BD302
        }""",
    "an unknown size may be": """
        net (float[1,8,H,W] x) => (float[1,8,P,Q] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], auto_pad = "SAME_LOWER"> (x, w)  # BD302
        }""",
    "an odd size is padded evenly, which is a note": """
        net (float[1,8,33,33] x) => (float[1,8,17,17] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # BD302
        }""",
}
GOOD = {
    "stated pads": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], pads = [0,0,1,1]> (x, w)
        }""",
    "stride 1": """
        net (float[1,8,32,32] x) => (float[1,8,32,32] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], auto_pad = "SAME_UPPER"> (x, w)
        }""",
    "VALID is no padding": """
        net (float[1,8,32,32] x) => (float[1,8,15,15] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], auto_pad = "VALID"> (x, w)
        }""",
}


def check(layer: Window, graph: Graph) -> Iterator[Finding | Skip]:
    if not layer.auto_pad.is_same or not layer.is_strided:
        return
    known = None not in layer.sizes
    symmetric = known and all(axis.begin == axis.end for axis in layer.axes)
    pads = [axis.begin for axis in layer.axes] + [axis.end for axis in layer.axes]
    yield RULE.flag(
        layer.ref,
        f"auto_pad {layer.auto_pad.value} leaves the padding to the runtime. "
        + _consequence(known, symmetric, pads),
        severity=Severity.NOTE if symmetric else None,
        auto_pad=layer.auto_pad.value,
        input_size=layer.sizes,
        pads=pads if known else None,
    )


def _consequence(known: bool, symmetric: bool, pads: list[int]) -> str:
    if not known:
        return (
            "It depends on the input size, is lopsided for some sizes, and shifts the grid by "
            "half a pixel there. State pads, or fix the size."
        )
    if symmetric:
        return f"At this size it is symmetric and all agree; pads {pads} would say so."
    return (
        f"At this size it is lopsided, pads {pads}, which shifts the grid by half a pixel against "
        f"symmetric padding. State these pads."
    )
