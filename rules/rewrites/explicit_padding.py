"""The padding that a runtime would work out, written down.

What it does
    Replaces auto_pad, ceil_mode or a ConvTranspose's output_shape by the pads (and
    output_padding) they come to. ceil_mode becomes floor mode with
    pads_end = min(pads_end + stride - 1, K - 1), which has the same output size for every input.

When it is exact
    Always, wherever ONNX Runtime follows the standard: bit for bit, but for averages, which it
    may add up in another order once ceil_mode is gone.
    ceil_mode and auto_pad VALID are replaced for every input size; SAME and output_shape depend
    on the size, so they are replaced only where the model fixes it.

What it refuses
    Sizes the model leaves open, for SAME and output_shape; what ONNX Runtime refuses or carries
    out differently (SAME with dilation, or with a kernel smaller than the stride; a pool
    padded by its whole kernel); an average that counts padding under ceil_mode, because the
    overhang would then be counted too.

References
    ONNX operator specification; the normal form of ceil_mode is proven over a grid in the tests.
"""

from math import prod

from onnxstride.api import (
    AveragePool,
    Axis,
    Conv,
    ConvTranspose,
    LpPool,
    MaxPool,
    Pool,
    Window,
    border,
    floor_form,
)
from onnxstride.surgery import Fragment, Refusal, Rewrite, Safety, Site, disputed_same

REWRITE = Rewrite(
    "explicit-padding",
    Safety.EXACT,
    on=(Conv, ConvTranspose, MaxPool, AveragePool, LpPool),
    mends=("BD301", "BD302", "UP105"),
)

EXAMPLES = {
    "ceil_mode, whatever the size": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [2,2], ceil_mode = 1> (x)  # explicit-padding
        }""",
    "an average that rounds its size up": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = AveragePool <kernel_shape = [3,3], strides = [2,2], ceil_mode = 1> (x)  # explicit-padding
        }""",
    "SAME at a known size": """
        net (float[N,8,32,33] x) => (float[N,8,16,17] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], auto_pad = "SAME_LOWER"> (x, w)  # explicit-padding
        }""",
    "a ConvTranspose that asks for a size": """
        decoder (float[N,8,16,16] x) => (float[N,4,32,32] y) <float[8,4,3,3] w> {
            y = ConvTranspose <strides = [2,2], output_shape = [32,32]> (x, w)  # explicit-padding
        }""",
}
REFUSED = {
    "its padding is stated already": """
        net (float[N,8,32,32] x) => (float[N,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # explicit-padding
        }""",
    "its padding depends on an input size that is not known": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) <float[8,8,3,3] w> {
            y = Conv <kernel_shape = [3,3], strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # explicit-padding
        }""",
    "runtimes differ on SAME with dilation": """
        net (float[N,8,32,32] x) => (float[N,8,32,32] y) {
            y = MaxPool <kernel_shape = [3,3], dilations = [2,2], auto_pad = "SAME_UPPER"> (x)  # explicit-padding
        }""",
    "runtimes differ on SAME with a kernel smaller than its stride": """
        net (float[N,8,32,32] x) => (float[N,8,16,16] y) {
            y = MaxPool <kernel_shape = [1,1], strides = [2,2], auto_pad = "SAME_UPPER"> (x)  # explicit-padding
        }""",
    "the average counts padding, and would count the overhang": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = AveragePool <kernel_shape = [3,3], strides = [2,2], ceil_mode = 1, count_include_pad = 1> (x)  # explicit-padding
        }""",
}


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, Window)
    axes = _stated_axes(layer)
    if isinstance(axes, Refusal):
        return axes
    attributes: dict[str, object] = {
        "auto_pad": None,
        "pads": [axis.begin for axis in axes] + [max(0, axis.end) for axis in axes],
    }
    if isinstance(layer, Pool) and layer.ceil_mode:
        attributes["ceil_mode"] = None
    if isinstance(layer, ConvTranspose):
        attributes |= {"output_shape": None, "output_padding": _output_padding(layer, axes)}
    fragment = site.fragment()
    fragment.any_size = not layer.has_implicit_padding
    if isinstance(layer, AveragePool):
        fragment.accumulation = prod(layer.kernel)
    fragment.edit(layer.node, attributes=attributes)
    return fragment


def _stated_axes(layer: Window) -> list[Axis] | Refusal:
    """The window with all padding in its axes, or why it cannot be stated."""
    ceil_mode = isinstance(layer, Pool) and layer.ceil_mode
    stated = layer.auto_pad.value == "NOTSET" and not layer.has_implicit_padding
    if stated and not ceil_mode:
        return Refusal("its padding is stated already")
    if layer.has_implicit_padding and None in layer.sizes:
        return Refusal("its padding depends on an input size that is not known")
    refusal = _where_runtimes_differ(layer)
    if refusal is not None:
        return refusal
    if not ceil_mode or layer.has_implicit_padding:
        return list(layer.axes)
    if isinstance(layer, AveragePool) and layer.count_include_pad and _may_hang_over(layer):
        return Refusal("the average counts padding, and would count the overhang")
    axes = [floor_form(axis) for axis in layer.axes]
    if any(axis.end >= axis.kernel for axis in axes):
        return Refusal("the pool would be padded by its whole kernel, which runtimes refuse")
    return axes


def _where_runtimes_differ(layer: Window) -> Refusal | None:
    if isinstance(layer, ConvTranspose):
        extra = _output_padding(layer, list(layer.axes))
        if any(more >= axis.stride for more, axis in zip(extra, layer.axes, strict=True) if more):
            return Refusal("runtimes refuse an output that reaches a stride beyond the last tap")
        if layer.auto_pad.is_same and layer.output_shape is None and _asks_for_less(layer):
            return Refusal("runtimes differ on SAME with a kernel smaller than its stride")
        return None
    return disputed_same(layer)


def _asks_for_less(layer: ConvTranspose) -> bool:
    """True when input size x stride is more than the taps reach."""
    return any(
        op + axis.extent < axis.stride
        for op, axis in zip(layer.output_padding, layer.axes, strict=True)
    )


def _output_padding(layer: ConvTranspose, axes: list[Axis]) -> list[int]:
    """output_padding, with what output_shape asks for beyond the last tap."""
    return [op + max(0, -axis.end) for op, axis in zip(layer.output_padding, axes, strict=True)]


def _may_hang_over(layer: Window) -> bool:
    """True when, at some size the model allows, ceil_mode covers more than the declared padding."""
    for size, axis in zip(layer.sizes, layer.axes, strict=True):
        if size is None:
            if floor_form(axis).end > axis.end:
                return True
            continue
        found = border(size, axis, ceil_mode=True)
        if found is not None and found.padding_end > axis.end:
            return True
    return False
