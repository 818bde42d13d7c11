"""Pool whose ceil_mode adds a window that runtimes count differently.

What is flagged
    A strided pool with ceil_mode where rounding up asks for a window that would start past the
    data, in the padding: the standard before opset 22, shape inference and older runtimes count
    it, ONNX Runtime and the standard since do not. Averages that include the padding and a
    window over the end are flagged too, because divisors have differed. Where everyone
    agrees but ceil_mode does add a window, the rule reports a note.

Why it hurts
    Two tools compute two output sizes, and whatever follows (a Flatten, a skip connection)
    breaks in one of them; or an extra row holds the lowest float, NaN, or an average over
    nothing.

What to do
    Write floor mode with pads_end = min(pads_end + stride - 1, K - 1): the same size for every
    input. The message gives the pads.

When to leave it alone
    With stride 1, or a known size that fits the stride, ceil_mode changes nothing, and this rule
    is silent.

References
    onnx/onnx issues 4958, 5711; microsoft/onnxruntime issues 10083, 15446; pytorch/pytorch
    issue 71549. ONNX operator changelog, MaxPool-22.
"""

from collections.abc import Iterator

from onnxstride.api import (
    AveragePool,
    Finding,
    Graph,
    LpPool,
    MaxPool,
    Pool,
    Remedy,
    Rule,
    Safety,
    Severity,
    Skip,
    by,
    floor_form,
    may_start_in_padding,
    output_size,
    starts_in_padding,
)

RULE = Rule(
    "BD301",
    "ceil-mode",
    Severity.WARNING,
    on=(MaxPool, AveragePool, LpPool),
    remedies=(Remedy("explicit-padding", Safety.EXACT),),
)

BAD = {
    "kernel 3, stride 3, padding 1: size 5 asks for a window in the padding": """
        <ir_version: 8, opset_import: ["": 17]>
        net (float[1,8,5,5] x) => (float[1,8,2,2] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [3,3], pads = [1,1,1,1], ceil_mode = 1> (x)  # BD301
        }""",
    "some size will, when sizes are not known": """
        <ir_version: 8, opset_import: ["": 17]>
        net (float[1,8,H,W] x) => (float[1,8,P,Q] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], pads = [1,1,1,1], ceil_mode = 1> (x)  # BD301
        }""",
    "all agree on a window over the end, so this is a note": """
        net (float[1,8,6,6] x) => (float[1,8,3,3] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [2,2], ceil_mode = 1> (x)  # BD301
        }""",
}
GOOD = {
    "stride 1 never rounds": """
        net (float[1,8,7,7] x) => (float[1,8,7,7] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [1,1], pads = [1,1,1,1], ceil_mode = 1> (x)
        }""",
    "the size fits the stride": """
        net (float[1,8,8,8] x) => (float[1,8,4,4] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (x)
        }""",
    "floor mode": """
        net (float[1,8,5,5] x) => (float[1,8,2,2] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [3,3], pads = [1,1,1,1]> (x)
        }""",
}


def check(layer: Pool, graph: Graph) -> Iterator[Finding | Skip]:
    if not layer.ceil_mode or not layer.is_strided or layer.has_implicit_padding:
        return
    known = None not in layer.sizes
    adds_window = not known or any(
        output_size(size, axis) != output_size(size, axis, ceil_mode=True)
        for size, axis in zip(layer.sizes, layer.axes, strict=True)
        if size is not None
    )
    in_padding = _asks_for_window_in_padding(layer)
    if not adds_window and not in_padding:
        return
    averages_padding = isinstance(layer, AveragePool) and layer.count_include_pad
    disagree = in_padding or averages_padding
    end = [floor_form(axis).end for axis in layer.axes]
    yield RULE.flag(
        layer.ref,
        f"{_reason(in_padding, averages_padding, known)} Floor mode with "
        f"padding {by(end)} at the end gives the same size everywhere.",
        severity=None if disagree else Severity.NOTE,
        input_size=layer.sizes,
        starts_in_padding=in_padding,
        floor_pads_end=end,
    )


def _asks_for_window_in_padding(layer: Pool) -> bool:
    return any(
        may_start_in_padding(axis) if size is None else starts_in_padding(size, axis)
        for size, axis in zip(layer.sizes, layer.axes, strict=True)
    )


def _reason(in_padding: bool, averages_padding: bool, known: bool) -> str:
    when = "" if known else "for some input sizes "
    if in_padding:
        return (
            f"ceil_mode {when}asks for a window that starts past the data: some tools count it, "
            f"ONNX Runtime does not, and the output sizes differ."
        )
    if averages_padding:
        return (
            f"ceil_mode {when}adds a window that hangs over the end while the average counts "
            f"padding: runtimes have divided it by different counts."
        )
    return f"ceil_mode {when}adds a window that hangs over the end; tools agree on this one."
