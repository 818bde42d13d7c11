"""Symmetric padding of which only one side is used.

What is flagged
    A strided convolution or pool with equal padding at begin and end, over an input of known
    size that does not fit the stride: the windows cover the padding at the begin and only part
    of, or none of, the padding at the end. In ceil mode they can cover more than was declared.

Why it hurts
    The window grid sits off centre, by up to half a stride, and the border is treated
    differently at the left and at the right. Trained filters adapt to it: they become
    lopsided, and foreground near one border is seen less well than near the other. All strided
    layers of a ResNet at 224 pixels do this; at 225 none does.

What to do
    Choose a size that fits: for odd kernels 1 above a multiple of the total stride. Or state
    the padding that is really used, so that the model says what it does.

When to leave it alone
    In a trained model, changing the padding changes the function: keep it unless it is trained
    again.

References
    Alsallakh et al.: Mind the Pad - CNNs Can Develop Blind Spots. ICLR, 2021.
"""

from collections.abc import Iterator

from onnxstride.api import (
    SLIDING,
    Axis,
    Finding,
    Graph,
    Pool,
    Rule,
    Severity,
    Skip,
    Window,
    border,
    by,
)

RULE = Rule("DN204", "uneven-padding", Severity.NOTE, on=SLIDING)

BAD = {
    "the stem of ResNet at 224 uses 3 at the top and 2 at the bottom": """
        net (float[1,3,224,224] x) => (float[1,8,112,112] y) <float[8,3,7,7] w> {
            y = Conv <kernel_shape = [7,7], strides = [2,2], pads = [3,3,3,3]> (x, w)  # DN204
        }""",
}
GOOD = {
    "at 225 both sides are used": """
        net (float[1,3,225,225] x) => (float[1,8,113,113] y) <float[8,3,7,7] w> {
            y = Conv <kernel_shape = [7,7], strides = [2,2], pads = [3,3,3,3]> (x, w)
        }""",
    "padding on one side was asked for": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], pads = [0,0,1,1]> (x, w)
        }""",
    "nothing is padded": """
        net (float[1,8,32,32] x) => (float[1,8,15,15] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2]> (x, w)
        }""",
}


def check(layer: Window, graph: Graph) -> Iterator[Finding | Skip]:
    padded = [axis.stride > 1 and axis.begin == axis.end > 0 for axis in layer.axes]
    if layer.has_implicit_padding or not any(padded):
        return
    sized = list(zip(layer.sizes, layer.axes, padded, strict=True))
    if any(size is None for size, _, is_padded in sized if is_padded):
        yield RULE.skip(layer.ref, "input size unknown")
    ceil_mode = isinstance(layer, Pool) and layer.ceil_mode
    used = [
        _used_at_end(size, axis, ceil_mode) if is_padded and size is not None else axis.end
        for size, axis, is_padded in sized
    ]
    begin = [axis.begin for axis in layer.axes]
    if used == [axis.end for axis in layer.axes]:
        return
    yield RULE.flag(
        layer.ref,
        f"pads of {by(begin)} are declared at both ends, but for an input of "
        f"{by(layer.dims)} the windows cover {by(begin)} at the begin and "
        f"{by(used)} at the end: the grid sits off centre. Input sizes 1 above a multiple of "
        f"the total stride fit odd kernels.",
        input_size=layer.sizes,
        pads_begin=begin,
        pads_end_used=used,
    )


def _used_at_end(size: int, axis: Axis, ceil_mode: bool) -> int:
    """Padding the last window covers; all of it where data is dropped or no window fits."""
    found = border(size, axis, ceil_mode=ceil_mode)
    if found is None or found.dropped:
        return axis.end
    return found.padding_end
