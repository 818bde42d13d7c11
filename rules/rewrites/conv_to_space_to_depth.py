"""A strided convolution as a dense one over blocks of pixels.

What it does
    Cuts the map into blocks as large as the stride, makes the elements of a block channels, and
    runs over the blocks with a convolution of stride 1 whose kernel holds the old taps and zeros
    between them. SpaceToDepth gathers the blocks; in 1-D and 3-D, at unequal strides and in groups
    a Reshape, a Transpose and a Reshape do. A Pad in front completes the last block, or crops what
    no window reads; at open sizes it is computed from the Shape. A kernel of 7 at stride 2 becomes
    4 with 1.31 times the parameters, 3 becomes 2 with 1.78 times, a kernel as large as its stride
    becomes 1 with the same; the figures say how it is here. The map is padded before its begin
    too where that makes the kernel smaller.

When it is exact
    Always, up to rounding, at every input size, for finite input: a tap of weight zero makes a
    NaN of an infinity. On a CPU it is slower (1.4 times for a stem of 7x7, 4 times for 1x1 at
    stride 2). It is for accelerators that prefer many channels to a stride, and the start of
    SPD-Conv, which trains the zeros too.

What it refuses
    Weights that are computed or dequantised when the model runs, element types other than float32
    and float16, SAME at sizes that are not known or where runtimes differ on it, and weights that
    would grow to millions of elements and sixteen times what they are, or beyond 2^27 elements. A
    weight that two convolutions share is written once for each.

References
    Sunkara and Luo, "No More Strided Convolutions or Pooling: A New CNN Building Block for
    Low-Resolution Images and Small Objects" (SPD-Conv), ECML PKDD 2022.
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from onnxstride.api import Conv, output_size
from onnxstride.surgery import (
    Fold,
    Fragment,
    Refusal,
    Rewrite,
    Safety,
    Site,
    calculated,
    disputed_same,
    feeding,
    fixed_weights,
    fold,
    fold_weight,
    gathered,
    is_single_operator,
    padded,
    spatial_sizes,
    too_many,
)

REWRITE = Rewrite("conv-to-space-to-depth", Safety.EXACT, on=(Conv,))

EXAMPLES = {
    "the stem of a ResNet at an open size": """
        net (float[N,3,H,W] x) => (float[N,8,P,Q] y) <float[8,3,7,7] w, float[8] b> {
            y = Conv <strides = [2,2], pads = [3,3,3,3]> (x, w, b)  # conv-to-space-to-depth
        }""",
    "an odd size that is known": """
        net (float[N,4,15,16] x) => (float[N,8,8,8] y) <float[8,4,3,3] w> {
            y = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)  # conv-to-space-to-depth
        }""",
    "patches": """
        net (float[N,3,32,32] x) => (float[N,8,8,8] y) <float[8,3,4,4] w> {
            y = Conv <strides = [4,4]> (x, w)  # conv-to-space-to-depth
        }""",
    "rows at the end that no window reads": """
        net (float[N,4,11,11] x) => (float[N,8,3,3] y) <float[8,4,2,2] w> {
            y = Conv <strides = [4,4]> (x, w)  # conv-to-space-to-depth
        }""",
    "a dimension alone, dilated, in groups": """
        net (float[N,6,L] x) => (float[N,4,P] y) <float[4,3,3] w> {
            y = Conv <strides = [2], dilations = [3], pads = [1,2], group = 2> (x, w)  # conv-to-space-to-depth
        }""",
    "a volume at unequal strides": """
        net (float[N,2,D,H,W] x) => (float[N,4,O,P,Q] y) <float[4,2,3,3,2] w> {
            y = Conv <strides = [1,2,3], pads = [1,1,0,1,1,1]> (x, w)  # conv-to-space-to-depth
        }""",
    "SAME at a known size": """
        net (float[N,4,9,10] x) => (float[N,8,5,5] y) <float[8,4,3,3] w> {
            y = Conv <strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # conv-to-space-to-depth
        }""",
    "before Pad read its padding": """
        <ir_version: 4, opset_import: ["": 9]>
        net (float[N,4,15,17] x) => (float[N,8,8,9] y) <float[8,2,3,3] w> {
            y = Conv <strides = [2,2], pads = [1,1,1,1], group = 2> (x, w)  # conv-to-space-to-depth
        }""",
}
REFUSED = {
    "it has no stride": """
        net (float[N,4,H,W] x) => (float[N,8,H,W] y) <float[8,4,3,3] w> {
            y = Conv <pads = [1,1,1,1]> (x, w)  # conv-to-space-to-depth
        }""",
    "its weights are computed when the model runs, or missing from the file": """
        net (float[N,4,H,W] x, float[8,4,3,3] w) => (float[N,8,P,Q] y) {
            y = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)  # conv-to-space-to-depth
        }""",
    "its weights are dequantised when the model runs, and would lose the integers they are stored in": """
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <int8[8,4,3,3] q, float s = {0.1}> {
            w = DequantizeLinear (q, s)
            y = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)  # conv-to-space-to-depth
        }""",
    "the element type is float64: only float32 and float16 can be rewritten": """
        net (double[N,4,H,W] x) => (double[N,8,P,Q] y) <double[8,4,3,3] w> {
            y = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)  # conv-to-space-to-depth
        }""",
    "its padding depends on an input size that is not known": """
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[8,4,3,3] w> {
            y = Conv <strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # conv-to-space-to-depth
        }""",
    "runtimes differ on SAME with a kernel smaller than its stride": """
        net (float[N,4,16,16] x) => (float[N,8,8,8] y) <float[8,4,1,1] w> {
            y = Conv <strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # conv-to-space-to-depth
        }""",
    "padding to a multiple of the stride at an open size needs opset 11": """
        <ir_version: 4, opset_import: ["": 10]>
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[8,4,3,3] w> {
            y = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)  # conv-to-space-to-depth
        }""",
    "its window is larger than the padded map": """
        net (float[N,4,4,4] x) => (float[N,8,P,Q] y) <float[8,4,5,5] w> {
            y = Conv <strides = [2,2]> (x, w)  # conv-to-space-to-depth
        }""",
    "its weights would grow from 1 to 400,000,000 elements": """
        net (float[N,1,H,W] x) => (float[N,1,P,Q] y) <float[1,1,1,1] w> {
            y = Conv <strides = [20000,20000]> (x, w)  # conv-to-space-to-depth
        }""",
}

_RESHAPE_READS_ITS_TARGET, _PAD_READS_ITS_PADDING = 5, 11


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, Conv)
    if not layer.is_strided:
        return Refusal("it has no stride")
    weights = fixed_weights(site, layer)
    if isinstance(weights, Refusal):
        return weights
    refusal = _refused(layer)
    if refusal is not None:
        return refusal
    folds = [fold(axis) for axis in layer.axes]
    grown = [*weights.weight.shape[:2], *(each.block * each.window.kernel for each in folds)]
    refusal = _too_old(site, folds) or too_many(weights.weight, grown)
    if refusal is not None:
        return refusal
    weight = fold_weight(weights.weight, folds, by_channel=layer.group > 1)
    fragment = site.fragment(*feeding(site, [layer.weight], kept=[layer.input]))
    fragment.any_size = _is_open(layer)
    fragment.accumulation = prod(weight.shape[1:]) + bool(layer.bias)
    fragment.figures.update(
        kernel=[each.window.kernel for each in folds],
        parameters_times=weight.size / weights.weight.size,
        zero_share=1 - weights.weight.size / weight.size,
    )
    blocks, ends = _blocks(fragment, site, folds, layer.group * weights.weight.shape[1])
    fragment.edit(
        layer.node,
        attributes=_attributes(folds, ends),
        inputs={0: blocks, 1: fragment.constant(weight, "weight")},
    )
    return fragment


def _refused(layer: Conv) -> Refusal | None:
    if layer.has_implicit_padding and None in layer.sizes:
        return Refusal("its padding depends on an input size that is not known")
    sizes = zip(layer.sizes, layer.axes, strict=True)
    if any(size is not None and output_size(size, axis) < 1 for size, axis in sizes):
        return Refusal("its window is larger than the padded map")
    return disputed_same(layer)


def _too_old(site: Site, folds: Sequence[Fold]) -> Refusal | None:
    layer = site.layer
    assert isinstance(layer, Conv)
    if _is_open(layer) and site.opset < _PAD_READS_ITS_PADDING:
        return Refusal("padding to a multiple of the stride at an open size needs opset 11")
    spelled_out = not is_single_operator([each.block for each in folds], by_channel=layer.group > 1)
    if spelled_out and site.opset < _RESHAPE_READS_ITS_TARGET:
        return Refusal("a Reshape to a computed shape needs opset 5")
    return None


def _is_open(layer: Conv) -> bool:
    """True when the padding, or the shape of the blocks, is to be computed where the model runs."""
    unknown = [axis for size, axis in zip(layer.sizes, layer.axes, strict=True) if size is None]
    return len(unknown) > 1 or any(axis.stride > 1 for axis in unknown)


def _attributes(folds: Sequence[Fold], ends: Sequence[int]) -> dict[str, object]:
    """The window over the blocks; ``ends`` are those it pads behind the map."""
    windows = [each.window for each in folds]
    dilations = [window.dilation for window in windows]
    return {
        "auto_pad": None,
        "strides": None,
        "kernel_shape": [window.kernel for window in windows],
        "dilations": dilations if max(dilations) > 1 else None,
        "pads": [*(window.begin for window in windows), *ends],
    }


def _blocks(
    fragment: Fragment, site: Site, folds: Sequence[Fold], channels: int
) -> tuple[str, list[int]]:
    """The blocks as channels, and how many behind them the convolution pads along each axis."""
    layer = site.layer
    assert isinstance(layer, Conv)
    sizes = [each.block for each in folds]
    by_channel = layer.group > 1
    if not _is_open(layer):
        counts, ends, pads = _known(layer, folds)
        whole = padded(fragment, site.opset, layer.input, layer.rank, pads)
        return gathered(fragment, whole, channels, sizes, counts, by_channel=by_channel), ends
    whole, numbers = _computed(fragment, layer, folds)
    blocks = gathered(fragment, whole, channels, sizes, numbers, by_channel=by_channel)
    return blocks, [axis.end if axis.stride == 1 else 0 for axis in layer.axes]


def _known(
    layer: Conv, folds: Sequence[Fold]
) -> tuple[list[int | None], list[int], dict[int, tuple[int, int]]]:
    """Blocks along each axis, those behind them that the convolution pads, and the padding."""
    counts: list[int | None] = []
    ends: list[int] = []
    pads: dict[int, tuple[int, int]] = {}
    for i, (size, axis, each) in enumerate(zip(layer.sizes, layer.axes, folds, strict=True)):
        if size is None:  # and no stride
            counts.append(None)
            ends.append(axis.end)
            continue
        read = each.blocks(size, axis)
        count = min(read, -(-(size + each.before) // each.block))
        counts.append(count)
        ends.append(read - count)
        pads[i] = (each.before, count * each.block - each.before - size)
    return counts, ends, {i: pair for i, pair in pads.items() if any(pair)}


def _computed(fragment: Fragment, layer: Conv, folds: Sequence[Fold]) -> tuple[str, str]:
    """The map padded to as many blocks as are read at whatever size, and their numbers.

    B = (W + pb + pe - K) // s + 1 + surplus. n strides are added before the division and taken
    off after it, so that nothing negative is divided: runtimes round that toward zero, and would
    find a window where there is none.
    """
    source, rank = layer.input, layer.rank
    moved, added = [], []
    for axis, each in zip(layer.axes, folds, strict=True):
        room = axis.begin + axis.end - axis.extent
        n = max(0, -(room // axis.stride))
        strided = axis.stride > 1
        moved.append(room + n * axis.stride if strided else 0)
        added.append(1 - n + each.surplus if strided else 0)
    sizes = spatial_sizes(fragment, source, rank)
    strides = list(layer.strides)
    numbers = calculated(
        fragment,
        sizes,
        ("Add", "room", moved),
        ("Div", "steps", strides),
        ("Add", "numbers", added),
    )
    wanted = calculated(fragment, numbers, ("Mul", "wanted", strides))
    before = [each.before for each in folds]
    there = calculated(fragment, sizes, ("Add", "there", before))
    after = fragment.add("Sub", [wanted, there], label="after")
    start = fragment.constant(np.array([0, 0, *before, 0, 0], np.int64), "pads_start")
    pads = fragment.add("Concat", [start, after], label="pads", axis=0)
    return fragment.add("Pad", [source, pads], label="padded"), numbers
