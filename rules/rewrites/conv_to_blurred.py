"""A strided convolution as a dense one, blurred before positions are dropped.

What it does
    Moves the convolution by one element at a time and takes every s-th result through a fixed
    filter along each strided axis: at stride 2 `--blur 3` is [1,2,1]/4 and 5 is [1,4,6,4,1]/16;
    at stride s the first average of two neighbours is one of s, [1,2,2,1]/6 at stride 3, so that
    nothing is left at the frequencies that fold onto a constant. An activation that alone reads
    the result, behind a BatchNormalization or not, stays before the blur: it makes detail of its
    own, which would fold over too. A normalisation without an activation comes after, where it
    means the same and costs less; so does all that others read as well. The dense map is continued
    by its own edge for the filter, by (m - 1) // 2 elements before and the rest of m - 1 after,
    so every size comes out as it did.

    A kernel of 1 at stride s, which reads one element of s along each axis, becomes an average
    over s elements before the same kernel, the shortcut of ResNet-D: it costs next to nothing.

What it costs
    The numbers move: the result is smoothed. A network that was trained without it wants
    fine-tuning at a small rate; ResNet-50 trained with it rose from 76.2 to 77.4 % on ImageNet,
    and gave the same answer for shifted images in 91.3 % of cases instead of 89.2. The convolution
    is computed s times as often along each strided axis.

What it refuses
    A convolution that drops no position, or that is a blur already; element types other than
    float32 and float16; SAME at sizes that are not known, or where runtimes differ on it; an
    unknown number of output channels; and a stride whose filter would have millions of elements.

References
    Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019. He et al., "Bag of
    Tricks for Image Classification with Convolutional Neural Networks", CVPR 2019 (ResNet-D).
"""

from onnxstride.api import Axis, Conv
from onnxstride.surgery import (
    Fragment,
    Refusal,
    Rewrite,
    Safety,
    Site,
    activation_of,
    blur_lengths,
    blurred,
    disputed_same,
    is_average,
    too_large,
)

REWRITE = Rewrite("conv-to-blurred", Safety.APPROXIMATE, on=(Conv,), mends=("DN202", "DN206"))

EXAMPLES = {
    "a convolution and its activation": """
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[8,4,3,3] w, float[8] b> {
            c = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w, b)  # conv-to-blurred
            y = Relu (c)
        }""",
    "normalised first": """
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[8,4,3,3] w, float[8] s, float[8] b, float[8] m, float[8] v = {1,1,1,1,1,1,1,1}> {
            c = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)  # conv-to-blurred
            n = BatchNormalization (c, s, b, m, v)
            y = LeakyRelu <alpha = 0.1> (n)
        }""",
    "an activation of two nodes": """
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4,1,3,3] w> {
            c = Conv <strides = [2,2], pads = [1,1,1,1], group = 4> (x, w)  # conv-to-blurred
            g = Sigmoid (c)
            y = Mul (c, g)
        }""",
    "a result that others read as well": """
        net (float[N,4,W] x) => (float[N,8,Q] y, float[N,8,Q] z) <float[8,4,3] w> {
            y = Conv <strides = [3], pads = [1,1]> (x, w)  # conv-to-blurred
            z = Relu (y)
        }""",
    "the shortcut of a residual block": """
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[8,4,1,1] w, float[8] b> {
            y = Conv <kernel_shape = [1,1], strides = [2,2]> (x, w, b)  # conv-to-blurred
        }""",
    "a shortcut at a size that fits": """
        net (float[N,4,32,30] x) => (float[N,8,16,10] y) <float[8,4,1,1] w> {
            y = Conv <strides = [2,3]> (x, w)  # conv-to-blurred
        }""",
    "a shortcut before AveragePool could round up": """
        <ir_version: 4, opset_import: ["": 9]>
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[8,4,1,1] w> {
            y = Conv <strides = [2,2]> (x, w)  # conv-to-blurred
        }""",
    "dilation that meets one phase of the stride only": """
        net (float[N,4,32,32] x) => (float[N,8,16,16] y) <float[8,4,3,3] w> {
            y = Conv <strides = [2,2], dilations = [2,2], pads = [2,2,2,2]> (x, w)  # conv-to-blurred
        }""",
}
REFUSED = {
    "it drops no position": """
        net (float[N,4,H,W] x) => (float[N,8,H,W] y) <float[8,4,3,3] w> {
            y = Conv <pads = [1,1,1,1]> (x, w)  # conv-to-blurred
        }""",
    "it is a blur already": """
        net (float[N,2,H,W] x) => (float[N,2,P,Q] y) <float[2,1,1,3] w = {0.25,0.5,0.25,0.25,0.5,0.25}> {
            y = Conv <strides = [1,2], pads = [0,1,0,1], group = 2> (x, w)  # conv-to-blurred
        }""",
    "the element type is float64: only float32 and float16 can be rewritten": """
        net (double[N,4,H,W] x) => (double[N,8,P,Q] y) <double[8,4,3,3] w> {
            y = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)  # conv-to-blurred
        }""",
    "its padding depends on an input size that is not known": """
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[8,4,3,3] w> {
            y = Conv <strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # conv-to-blurred
        }""",
    "runtimes differ on SAME with a kernel smaller than its stride": """
        net (float[N,4,16,16] x) => (float[N,8,8,8] y) <float[8,4,1,1] w> {
            y = Conv <strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # conv-to-blurred
        }""",
    "the number of its output channels is not known": """
        net (float[N,4,H,W] x, float[M,4,3,3] w) => (float[N,M,P,Q] y) {
            y = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)  # conv-to-blurred
        }""",
    "its blur would have 33,570,818 elements, more than the 8,388,608 that are made up": """
        net (float[N,4,H,W] x) => (float[N,2,P,Q] y) <float[2,4,3,3] w> {
            y = Conv <strides = [4096,4096]> (x, w)  # conv-to-blurred
        }""",
}

_FEWEST_TAPS = 2
_CEIL_MODE = 10
"""Opset from which AveragePool rounds up where asked."""


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, Conv)
    refusal = _refused(site, layer)
    if refusal is not None:
        return refusal
    if _is_pointwise(layer):
        return _averaged(site, layer)
    return _blurred(site, layer)


def _refused(site: Site, layer: Conv) -> Refusal | None:
    if not layer.is_strided:
        return Refusal("it drops no position")
    if layer.node.domain or layer.node.op_type != "Conv":
        return Refusal(f"{layer.node.op_type} computes in its own way: only Conv can be rewritten")
    if site.dtype is None or site.dtype.name not in ("float32", "float16"):
        kinds = "only float32 and float16 can be rewritten"
        return Refusal(f"the element type is {site.dtype}: {kinds}")
    if layer.has_implicit_padding and None in layer.sizes:
        return Refusal("its padding depends on an input size that is not known")
    if is_average(site, layer):
        return Refusal("it is a blur already")
    return disputed_same(layer)


def _is_pointwise(layer: Conv) -> bool:
    return all(axis == Axis(1, axis.stride, axis.dilation) for axis in layer.axes)


def _averaged(site: Site, layer: Conv) -> Fragment:
    """The average of every block, the last one of fewer elements, and the kernel at stride 1."""
    strides = list(layer.strides)
    sizes = zip(layer.sizes, strides, strict=True)
    rounds_up = any(size is None or size % stride for size, stride in sizes)
    fragment = site.fragment()
    fragment.any_size = rounds_up
    fragment.figures["average"] = strides
    window: dict[str, object] = {"kernel_shape": strides, "strides": strides}
    if rounds_up and site.opset >= _CEIL_MODE:
        window |= {"ceil_mode": 1, "count_include_pad": 0}
    elif rounds_up:  # the same sizes, and by default padding does not count
        window["pads"] = [0] * layer.rank + [stride - 1 for stride in strides]
    small = fragment.add("AveragePool", [layer.input], label="average", **window)
    stated = {"strides": None, "auto_pad": None, "pads": None}
    fragment.edit(layer.node, attributes=stated, inputs={0: small})
    return fragment


def _blurred(site: Site, layer: Conv) -> Fragment | Refusal:
    """The kernel at every position, what follows it there, and a blur that takes every s-th."""
    taps = site.options.blur
    if taps < _FEWEST_TAPS:
        return Refusal(f"a blur has at least {_FEWEST_TAPS} taps, found {taps}")
    channels = (site.scope.shape(layer.weight) or (None,))[0]
    if not isinstance(channels, int):
        return Refusal("the number of its output channels is not known")
    refusal = too_large("its blur", channels, *blur_lengths(layer.strides, taps))
    if refusal is not None:
        return refusal
    following = activation_of(site, site.node)
    fragment = site.fragment(*following)
    fragment.any_size = not layer.has_implicit_padding
    kept = ", ".join(node.op_type for node in following)
    fragment.figures.update(blur=taps, blurred_behind=kept or layer.op)
    pads = [*(axis.begin for axis in layer.axes), *(axis.end for axis in layer.axes)]
    renamed = {
        site.node.output(0): fragment.rename_output(
            site.node, "dense", attributes={"strides": None, "auto_pad": None, "pads": pads}
        )
    }
    for node in following:
        inputs = {i: renamed[name] for i, name in enumerate(node.inputs) if name in renamed}
        renamed[node.output(0)] = fragment.rename_output(node, node.op_type.lower(), inputs=inputs)
    last = (following or (site.node,))[-1].output(0)
    fragment.stand_in(last, _blur(fragment, site, renamed[last], channels))
    return fragment


def _blur(fragment: Fragment, site: Site, source: str, channels: int) -> str:
    layer = site.layer
    assert isinstance(layer, Conv)
    assert site.dtype is not None
    return blurred(
        fragment, site.opset, source, channels, layer.strides, site.options.blur, dtype=site.dtype
    )
