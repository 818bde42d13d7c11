"""Sub-pixel convolution whose phases answer a constant differently.

What is flagged
    A Conv whose channels become pixels, in a DepthToSpace of either mode or the same spelled as
    Reshape, Transpose and Reshape, when the filters that write the phases of one output channel
    sum to different gains, or have different biases. Per-channel operators in between are
    folded first: multiplication, addition and batch normalisation by constants, and positive
    factors behind Relu, LeakyRelu and PRelu, whose slopes count as factors of its negative side.

Why it hurts
    Each phase has filters of its own, so a flat input leaves with a pattern of the period of
    the block. Ripple is the pattern's RMS over the RMS of the constant it rides on, for a
    random constant input: random filters give sqrt(prod(block) - 1), +4.8 dB for 2x2 and
    +9.0 dB for 3x3; equal filters minus infinity. Unequal biases add a pattern that is there
    whatever the input is. They count as unequal when their standard deviation over the phases
    is above a thousandth of their mean, or of 1 where the mean is smaller.

    A layer whose output reaches the image through pointwise operators alone is a warning, for
    its biases or above -20 dB: nothing behind it can cancel the pattern. Training cancels it
    for typical inputs, in the filters themselves, and flat saturated colours bring it back.

What to do
    Measure the image: `lint --probe` runs the model on constant images. Start training from
    filters that are alike for all phases (ICNR) and without a bias per phase, or resize by
    nearest neighbour and convolve.

When to leave it alone
    In a hidden layer the figure does not predict what the image shows: the layers behind may
    have learnt to cancel the pattern. Hidden layers are reported as notes for that reason, and
    so is a ripple between -40 and -20 dB; below -40 dB the filters are alike. With an
    activation on the way the figures are about its input, and it may let less through. Of
    weights over a million elements the first input channels are measured; `measured_share`
    tells how much.

References
    Aitken, Ledig, Theis, Caballero, Wang, Shi: Checkerboard Artifact Free Sub-Pixel
    Convolution. arXiv 1707.02937, 2017.
"""

from collections.abc import Iterator
from math import isnan

from onnxstride.api import (
    INTERPOLATES_BELOW_DB,
    Feed,
    Finding,
    Graph,
    Offset,
    Ripple,
    Rule,
    Severity,
    Shuffle,
    Skip,
    by,
    decibels,
    feed,
    listing,
    random_ripple_db,
    reaches_output,
    where_it_shows,
)

RULE = Rule("UP104", "rippling-subpixel", Severity.WARNING, on=(Shuffle,))

_MEASURED_ELEMENTS = 1 << 20  # so that lint's time and memory do not grow with the weights

BAD = {
    "filters of each phase sum to another gain": """
        upscaler (float[1,1,8,8] x) => (float[1,1,16,16] y)
        <float[4,1,1,1] w = {1.0, 2.0, 1.0, 1.0}> {
            c = Conv (x, w)
            y = DepthToSpace <blocksize = 2> (c)  # UP104
        }""",
    "the same spelled as three operators": """
        upscaler (float[1,1,8,8] x) => (float[1,1,16,16] y)
        <float[4,1,1,1] w = {1.0, 2.0, 1.0, 1.0}, int64[6] split = {1, 1, 2, 2, 8, 8},
         int64[4] merged = {1, 1, 16, 16}> {
            c = Conv (x, w)
            s = Reshape (c, split)
            t = Transpose <perm = [0,1,4,2,5,3]> (s)
            y = Reshape (t, merged)  # UP104
        }""",
    "filters alike, biases not": """
        upscaler (float[1,1,8,8] x) => (float[1,1,16,16] y)
        <float[4,1,1,1] w = {1.0, 1.0, 1.0, 1.0}, float[4] b = {0.0, 0.1, 0.0, 0.0}> {
            c = Conv (x, w, b)
            y = DepthToSpace <blocksize = 2> (c)  # UP104
        }""",
    "slopes of a PRelu that differ between phases": """
        upscaler (float[1,1,8,8] x) => (float[1,1,16,16] y)
        <float[4,1,1,1] w = {1.0, 1.0, 1.0, 1.0}, float[4,1,1] a = {0.1, 0.4, 0.1, 0.1}> {
            c = Conv (x, w)
            p = PRelu (c, a)
            y = DepthToSpace <blocksize = 2> (p)  # UP104
        }""",
    "a hidden layer, which is a note": """
        upscaler (float[1,1,8,8] x) => (float[1,1,16,16] y)
        <float[4,1,1,1] w = {1.0, 2.0, 1.0, 1.0}, float[1,1,3,3] v> {
            c = Conv (x, w)
            d = DepthToSpace <blocksize = 2> (c)  # UP104
            y = Conv <pads = [1,1,1,1]> (d, v)
        }""",
}
GOOD = {
    "filters alike for all phases, as ICNR makes them": """
        upscaler (float[1,1,8,8] x) => (float[1,1,16,16] y)
        <float[4,1,1,1] w = {1.0, 1.0, 1.0, 1.0}> {
            c = Conv (x, w)
            y = DepthToSpace <blocksize = 2> (c)
        }""",
    "a scale between makes filters alike": """
        upscaler (float[1,1,8,8] x) => (float[1,1,16,16] y)
        <float[4,1,1,1] w = {1.0, 2.0, 1.0, 1.0}, float[4,1,1] a = {1.0, 0.5, 1.0, 1.0}> {
            c = Conv (x, w)
            m = Mul (c, a)
            y = DepthToSpace <blocksize = 2> (m)
        }""",
    "biases differ between output channels, not phases": """
        upscaler (float[1,1,8,8] x) => (float[1,2,16,16] y)
        <float[8,1,1,1] w = {1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0},
         float[8] b = {0.0, 0.1, 0.0, 0.1, 0.0, 0.1, 0.0, 0.1}> {
            c = Conv (x, w, b)
            y = DepthToSpace <blocksize = 2> (c)
        }""",
    "channels become pixels in no other direction": """
        downscaler (float[1,1,8,8] x) => (float[1,16,4,4] y)
        <float[4,1,1,1] w = {1.0, 2.0, 1.0, 1.0}> {
            c = Conv (x, w)
            y = SpaceToDepth <blocksize = 2> (c)
        }""",
    "a single input position is followed by no second period": """
        generator (float[1,1,1,1] x) => (float[1,1,2,2] y)
        <float[4,1,1,1] w = {1.0, 2.0, 1.0, 1.0}> {
            c = Conv (x, w)
            y = DepthToSpace <blocksize = 2> (c)
        }""",
    "weights that are computed cannot be measured": """
        upscaler (float[1,1,8,8] x, float[4,1,1,1] w) => (float[1,1,16,16] y) {
            c = Conv (x, w)
            y = DepthToSpace <blocksize = 2> (c)
        }""",
}


def check(layer: Shuffle, graph: Graph) -> Iterator[Finding | Skip]:
    repeated = [block for block, size in zip(layer.blocks, layer.sizes, strict=True) if size != 1]
    if layer.op != "DepthToSpace" or max(repeated, default=1) == 1:
        return
    found = feed(graph, layer, _MEASURED_ELEMENTS)
    if found is None:
        return
    if isinstance(found, str):
        yield RULE.skip(layer.ref, found)
        return
    ripple, offset = found.ripple(), found.offset()
    least = _least(graph)
    if (ripple and isnan(ripple.total)) or (offset and isnan(offset.share)):
        yield RULE.skip(layer.ref, "weights or biases hold values that are not finite, or near it")
    elif any(_what(ripple, offset, least)):
        yield _finding(layer, graph, found, random_ripple_db(repeated))
    elif ripple is None:
        yield RULE.skip(layer.ref, "its phases read different groups of a grouped convolution")


def _finding(layer: Shuffle, graph: Graph, found: Feed, random: float) -> Finding:
    ripple, offset = found.ripple(), found.offset()
    uneven = offset is not None and not offset.is_even
    reaches, shows_above = reaches_output(graph, layer.node), graph.thresholds.ripple_db
    shows = reaches and (uneven or (ripple is not None and ripple.total > shows_above))
    where = f" (at the input of {found.through[0]})" if found.through else ""
    return RULE.flag(
        layer.ref,
        f"the phases of a sub-pixel convolution differ, a pattern of period {by(layer.blocks)}: "
        f"{listing(_what(ripple, offset, _least(graph)))}{where}. Random filters give {decibels(random)}, equal "
        f"ones minus infinity. {where_it_shows(reaches, shows)}",
        severity=None if shows else Severity.NOTE,
        block=layer.blocks,
        mode=layer.mode,
        conv=found.conv.ref.name,
        through=found.through,
        ripple_db=ripple and ripple.total,
        ripple_db_per_axis=ripple and ripple.per_axis,
        random_db=random,
        bias_deviation=offset and offset.deviation,
        bias_mean=offset and offset.mean,
        reaches_output=reaches,
        measured_share=found.weights.share,
        threshold_db=shows_above,
    )


def _least(graph: Graph) -> float:
    """The ripple in dB from where on there is something to say."""
    return min(INTERPOLATES_BELOW_DB, graph.thresholds.ripple_db)


def _what(ripple: Ripple | None, offset: Offset | None, least: float) -> Iterator[str]:
    if ripple and ripple.total >= least:
        yield f"gains ripple by {decibels(ripple.total)}"
    if offset and not offset.is_even:
        yield f"biases differ by {offset.deviation:.2g} about {offset.mean:.2g}, whatever the input"
