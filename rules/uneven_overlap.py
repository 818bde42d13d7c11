"""Transposed convolution whose taps fall unevenly on the output.

What is flagged
    A ConvTranspose where some output positions receive more taps of the kernel than others,
    along any axis: the kernel is not divisible by the stride. Without dilation, tap j lands on
    phase j mod stride; with dilation d, on d j mod stride.

Why it hurts
    Where more taps add up, the output is larger: a pattern with the period of the stride, known
    as the checkerboard. Per-axis counts multiply, so kernel 3 at stride 2 gives some pixels of
    an image four times the taps of others. Training can learn to cancel it and seldom does so
    for every input; the pattern shows most in flat and saturated regions.

What to do
    Make the kernel a multiple of the stride, or resize by nearest neighbour and convolve. An
    even count removes the built-in unevenness only: the weights may still ripple.

When to leave it alone
    When the weights themselves interpolate, as a bilinear kernel 3 at stride 2 does, a flat
    input gives a flat output. The rule measures this: below -40 dB it reports a note that says
    so. Rule UP103 reports the measure itself, where it is above. Of weights over 262,144
    elements the first input channels are measured. An axis with a single input position has no
    overlap and is not flagged.

References
    Odena, Dumoulin, Olah: Deconvolution and Checkerboard Artifacts. Distill, 2016.
"""

from collections.abc import Iterator

from onnxstride.api import (
    INTERPOLATES_BELOW_DB,
    Axis,
    ConvTranspose,
    Finding,
    Graph,
    Remedy,
    Rule,
    Safety,
    Severity,
    Skip,
    by,
    counts,
    is_even,
    overlap_ratio,
    tap_range,
    taps_per_phase,
    times,
    weights_ripple,
)

RULE = Rule(
    "UP101",
    "uneven-overlap",
    Severity.WARNING,
    on=(ConvTranspose,),
    remedies=(Remedy("deconv-to-resize-conv", Safety.APPROXIMATE),),
)

_LISTED_PHASES = 64

BAD = {
    "kernel 3 is not divisible by stride 2": """
        decoder (float[1,8,16,16] x) => (float[1,4,33,33] y) <float[8,4,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [2,2]> (x, w)  # UP101
        }""",
    "one axis is enough": """
        decoder (float[1,8,16,16] x) => (float[1,4,32,33] y) <float[8,4,4,3] w> {
            y = ConvTranspose <kernel_shape = [4,3], strides = [2,2], pads = [1,0,1,0]> (x, w)  # UP101
        }""",
    "in one dimension too": """
        vocoder (float[1,8,50] x) => (float[1,4,256] y) <float[8,4,11] w> {
            y = ConvTranspose <kernel_shape = [11], strides = [5]> (x, w)  # UP101
        }""",
    "weights that interpolate cancel it, which is a note": """
        upsampler (float[1,1,50] x) => (float[1,1,101] y) <float[1,1,3] w = {0.5, 1.0, 0.5}> {
            y = ConvTranspose <kernel_shape = [3], strides = [2]> (x, w)  # UP101
        }""",
}
GOOD = {
    "kernel 4 is divisible by stride 2": """
        decoder (float[1,8,16,16] x) => (float[1,4,34,34] y) <float[8,4,4,4] w> {
            y = ConvTranspose <kernel_shape = [4,4], strides = [2,2]> (x, w)
        }""",
    "stride 1 reaches every output with the whole kernel": """
        decoder (float[1,8,16,16] x) => (float[1,4,18,18] y) <float[8,4,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [1,1]> (x, w)
        }""",
    "a single input position overlaps nothing": """
        decoder (float[1,8,1,1] x) => (float[1,4,3,3] y) <float[8,4,3,3] w> {
            y = ConvTranspose <kernel_shape = [3,3], strides = [2,2]> (x, w)
        }""",
    "phases that no tap reaches are another rule's": """
        decoder (float[1,8,16,16] x) => (float[1,4,47,47] y) <float[8,4,2,2] w> {
            y = ConvTranspose <kernel_shape = [2,2], strides = [3,3]> (x, w)
        }""",
}


def check(layer: ConvTranspose, graph: Graph) -> Iterator[Finding | Skip]:
    axes = [axis for axis, size in zip(layer.axes, layer.sizes, strict=True) if size != 1]
    if all(is_even(axis) for axis in axes):
        return
    ratio = overlap_ratio(axes)
    if ratio is None:
        return
    ripple = _ripple(layer, graph)
    interpolates = ripple is not None and ripple < INTERPOLATES_BELOW_DB
    yield RULE.flag(
        layer.ref,
        _interpolating(layer, ripple) if interpolates else _uneven(layer, axes, times(ratio)),
        severity=Severity.NOTE if interpolates else None,
        kernel=layer.kernel,
        stride=layer.strides,
        dilation=layer.dilations,
        taps_per_phase=[_listed(axis) for axis in layer.axes],
        overlap_ratio=float(ratio),
        ripple_db=ripple,
    )


def _ripple(layer: ConvTranspose, graph: Graph) -> float | None:
    """Ripple of the weights in dB.

    None when the weights are not in the file, or all zero: then there is nothing to measure.
    """
    found = weights_ripple(graph, layer)
    return None if isinstance(found, str) or found.are_zero else found.ripple.total


def _uneven(layer: ConvTranspose, axes: list[Axis], ratio: str) -> str:
    even = by(-(-axis.kernel // axis.stride) * axis.stride for axis in layer.axes)
    shares = " and ".join(
        f"{counts(_listed(axis) or tap_range(axis))} taps per phase"
        for axis in dict.fromkeys(axes)
        if not is_even(axis)
    )
    return (
        f"kernel {by(layer.kernel)} is not divisible by stride {by(layer.strides)}: "
        f"{shares}, so some outputs add up {ratio} times the taps of others, a checkerboard "
        f"wherever the weights do not cancel it. Use kernel {even}, or resize and then convolve."
    )


def _interpolating(layer: ConvTranspose, ripple: float | None) -> str:
    return (
        f"kernel {by(layer.kernel)} is not divisible by stride {by(layer.strides)}, but its "
        f"weights interpolate: a flat input gives a flat output (ripple {ripple:.0f} dB). "
        f"Nothing to mend."
    )


def _listed(axis: Axis) -> tuple[int, ...] | None:
    return taps_per_phase(axis) if axis.stride <= _LISTED_PHASES else None
