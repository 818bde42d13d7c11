"""Window larger than the map it slides over.

What is flagged
    A convolution or pool whose window spans more than the whole input along some axis, padding
    not counted; on a map of a single position that is any kernel above 1.

Why it hurts
    Taps that only ever meet padding are work and weights for nothing: a 3x3 kernel on a 1x1 map
    uses its centre alone, a ninth. A dilated kernel degenerates the same way: at dilation 18 on
    a 33-pixel map it is a 1x1 kernel in disguise. Where not even the padded input is
    large enough there is no output, and runtimes refuse the model.

What to do
    Feed a larger input, drop a stage, or use the kernel that is left. Reduce the dilation with
    the map.

When to leave it alone
    When larger inputs are the normal case and this size is the exception. Sizes that are not
    known are not judged.

References
    Chen et al.: Rethinking Atrous Convolution for Semantic Image Segmentation. 2017, section 3.3.
"""

from collections.abc import Iterator

from onnxstride.api import (
    SLIDING,
    Axis,
    ConvTranspose,
    Finding,
    Graph,
    Pool,
    Rule,
    Severity,
    Skip,
    Window,
    by,
    output_size,
    transposed_size,
)

RULE = Rule(
    "SZ402", "collapsed-window", Severity.WARNING,
    on=(*SLIDING, ConvTranspose),
)  # fmt: skip

BAD = {
    "a map that is already 1x1": """
        net (float[1,8,1,1] x) => (float[1,8,1,1] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w)  # SZ402
        }""",
    "dilation beyond the map": """
        net (float[1,8,33,33] x) => (float[1,8,33,33] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], dilations = [18,18], pads = [18,18,18,18]> (x, w)  # SZ402
        }""",
    "no window fits, so there is no output": """
        net (float[1,8,2,2] x) => (float[1,8,N,M] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3]> (x, w)  # SZ402
        }""",
}
GOOD = {
    "the window just fits": """
        net (float[1,8,3,3] x) => (float[1,8,3,3] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w)
        }""",
    "kernel 1 fits anything": """
        net (float[1,8,1,1] x) => (float[1,8,1,1] y) <float[8,8,1,1] w> {
            y = Conv <kernel_shape = [1,1]> (x, w)
        }""",
    "a transposed window slides over its output": """
        net (float[1,8,1,1] x) => (float[1,8,4,4] y) <float[8,8,4,4] w> {
            y = ConvTranspose <kernel_shape = [4,4]> (x, w)
        }""",
}


def check(layer: Window, graph: Graph) -> Iterator[Finding | Skip]:
    if not isinstance(layer, ConvTranspose) and _fits(layer):
        return
    spanned = [axis.extent for axis in layer.axes]
    if any(s is None and e > 1 for s, e in zip(layer.sizes, spanned, strict=True)):
        yield RULE.skip(layer.ref, "input size unknown")
    outputs = _output_sizes(layer)
    if any(size is not None and size < 1 for size in outputs):
        message = (
            f"{layer.op} has no output for an input of {by(layer.dims)}: its size would be "
            f"{by(outputs)}. Runtimes refuse the model, or make up a window."
        )
        severity = Severity.ERROR
    elif _spans_all(layer):
        message = (
            f"a window that spans {by(spanned)} slides over a map of {by(layer.dims)}: taps that "
            f"meet only padding are wasted. Enlarge the input or shrink the kernel or dilation."
        )
        severity = Severity.WARNING
    else:
        return
    yield RULE.flag(
        layer.ref,
        message,
        severity=severity,
        input_size=layer.sizes,
        extent=spanned,
        output_size=outputs,
    )


def _fits(layer: Window) -> bool:
    """True when the window spans no more than the known data: the usual case, told at once."""
    for size, axis in zip(layer.sizes, layer.axes, strict=True):
        if size is None or axis.extent > size:
            return False
    return True


def _spans_all(layer: Window) -> bool:
    return not isinstance(layer, ConvTranspose) and any(
        size is not None and axis.kernel > 1 and axis.extent > size
        for size, axis in zip(layer.sizes, layer.axes, strict=True)
    )


def _output_sizes(layer: Window) -> list[int | None]:
    return [
        None if size is None else _output_size(layer, i, size, layer.axes[i])
        for i, size in enumerate(layer.sizes)
    ]


def _output_size(layer: Window, i: int, size: int, axis: Axis) -> int:
    if isinstance(layer, ConvTranspose):
        return transposed_size(size, axis, layer.output_padding[i])
    return output_size(size, axis, ceil_mode=isinstance(layer, Pool) and layer.ceil_mode)
