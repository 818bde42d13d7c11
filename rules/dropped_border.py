"""Strided window that leaves rows or columns at the end unread.

What is flagged
    A convolution or pool over an input of known size whose last window ends before the data
    does: with R = (W + pads - K) mod stride elements left over, R minus the padding at the end
    are data that no window reads.

Why it hurts
    The right and bottom border of the input do not influence the output. One row of a 7x7 map
    is a seventh of what the network still knows at that depth.

What to do
    Choose an input size that fits the stride, pad the end by what is missing, or use ceil_mode
    for a pool.

When to leave it alone
    When the border carries nothing, or the loss was weighed.

References
    Alsallakh et al.: Mind the Pad - CNNs Can Develop Blind Spots. ICLR, 2021.
"""

from collections.abc import Iterator

from onnxstride.api import (
    SLIDING,
    Finding,
    Graph,
    Pool,
    Rule,
    Severity,
    Skip,
    Window,
    border,
    by,
    elements,
)

RULE = Rule("DN203", "dropped-border", Severity.NOTE, on=SLIDING)

BAD = {
    "a 2x2 pool over an odd size": """
        net (float[1,8,7,7] x) => (float[1,8,3,3] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # DN203
        }""",
    "stride 3 over 14 columns": """
        net (float[1,8,14,14] x) => (float[1,8,4,4] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [3,3]> (x)  # DN203
        }""",
}
GOOD = {
    "the size fits": """
        net (float[1,8,8,8] x) => (float[1,8,4,4] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
        }""",
    "only padding is left over": """
        net (float[1,3,224,224] x) => (float[1,8,112,112] y) <float[8,3,7,7] w> {
            y = Conv <kernel_shape = [7,7], strides = [2,2], pads = [3,3,3,3]> (x, w)
        }""",
    "ceil_mode adds a window for the rest": """
        net (float[1,8,7,7] x) => (float[1,8,4,4] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (x)
        }""",
    "stride 1 leaves nothing over": """
        net (float[1,8,7,7] x) => (float[1,8,6,6] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [1,1]> (x)
        }""",
}


def check(layer: Window, graph: Graph) -> Iterator[Finding | Skip]:
    if not layer.is_strided:
        return
    ceil_mode = isinstance(layer, Pool) and layer.ceil_mode
    borders = [
        border(size, axis, ceil_mode=ceil_mode) if size is not None else None
        for size, axis in zip(layer.sizes, layer.axes, strict=True)
    ]
    if any(
        size is None and axis.stride > 1 for size, axis in zip(layer.sizes, layer.axes, strict=True)
    ):
        yield RULE.skip(layer.ref, "input size unknown")
    dropped = [found.dropped if found else 0 for found in borders]
    if not any(dropped):
        return
    yield RULE.flag(
        layer.ref,
        f"kernel {by(layer.kernel)} at stride {by(layer.strides)} does not fit an input of "
        f"{by(layer.dims)}: no window reads the last {elements(dropped)}. Fit the size to the "
        f"stride, or pad the end.",
        input_size=layer.sizes,
        dropped=dropped,
    )
