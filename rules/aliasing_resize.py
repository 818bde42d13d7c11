"""Downscaling that reads too few elements to remove what then folds.

What is flagged
    A Resize (Upsample included) that makes a map smaller, without antialias, where what it reads
    lets more than a tenth of some folding frequency through: nearest always; linear by more than
    2, or by 2 where the coordinates fall on elements (asymmetric); cubic by more.

Why it hurts
    Interpolation weighs the two or four elements around a coordinate, however far apart the
    coordinates are. Downscaling by 4 that way ignores half of the elements, by nearest fifteen
    of sixteen pixels, and patterns finer than the new grid come back as coarse ones: aliasing.

What to do
    Set antialias = 1, which widens the filter to the scale (linear and cubic, opset 18 or later),
    or average first. At a half, half_pixel with antialias weighs 1 3 3 1, asymmetric 1 2 1.

When to leave it alone
    When the map holds nothing that fine, as masks or labels do, which nearest keeps whole.

References
    ONNX operator changelog: Resize-18 (antialias).
    Zhang: Making Convolutional Networks Shift-Invariant Again. ICML, 2019.
"""

from collections.abc import Iterator

from onnxstride.api import (
    FOLDS_ABOVE,
    Finding,
    Graph,
    Remedy,
    Resize,
    Rule,
    Safety,
    Severity,
    Skip,
    decibels,
    filters_before,
    in_decibels,
    percent,
    resize_gain,
)

RULE = Rule(
    "DN207", "aliasing-resize", Severity.WARNING,
    on=(Resize,),
    remedies=(Remedy("resize-to-antialiased", Safety.APPROXIMATE),),
)  # fmt: skip

BAD = {
    "nearest reads one element of four": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
            y = Resize <mode = "nearest"> (x, , scales)  # DN207
        }""",
    "linear by 4 reads two elements of four": """
        net (float[1,8,32] x) => (float[1,8,8] y) <float[3] scales = {1, 1, 0.25}> {
            y = Resize <mode = "linear"> (x, , scales)  # DN207
        }""",
    "asymmetric coordinates fall on every second element": """
        net (float[1,8,32] x) => (float[1,8,16] y) <float[3] scales = {1, 1, 0.5}> {
            y = Resize <mode = "linear", coordinate_transformation_mode = "asymmetric"> (x, , scales)  # DN207
        }""",
}
GOOD = {
    "linear by 2 between the elements averages them": """
        net (float[1,8,32] x) => (float[1,8,16] y) <float[3] scales = {1, 1, 0.5}> {
            y = Resize <mode = "linear"> (x, , scales)
        }""",
    "antialias widens the filter": """
        <ir_version: 8, opset_import: ["": 18]>
        net (float[1,8,32] x) => (float[1,8,8] y) <float[3] scales = {1, 1, 0.25}> {
            y = Resize <mode = "linear", antialias = 1> (x, , scales)
        }""",
    "nothing folds when a map grows": """
        net (float[1,8,32] x) => (float[1,8,64] y) <float[3] scales = {1, 1, 2}> {
            y = Resize <mode = "nearest"> (x, , scales)
        }""",
    "an average in front of it has removed it": """
        net (float[1,8,33] x) => (float[1,8,16] y) <float[3] scales = {1, 1, 0.5}> {
            smooth = AveragePool <kernel_shape = [2], strides = [1]> (x)
            y = Resize <mode = "nearest"> (smooth, , scales)
        }""",
}


def check(layer: Resize, graph: Graph) -> Iterator[Finding | Skip]:
    if layer.antialias and layer.mode != "nearest":
        return
    for axis, scale in enumerate(layer.scales):
        if scale is None:
            yield RULE.skip(layer.ref, f"the scale of spatial axis {axis} is not known")
            return
    gains = [
        resize_gain(layer, axis, list(filters_before(graph, layer))) for axis in range(layer.rank)
    ]
    known = [gain for gain in gains if gain is not None]
    if max(known, default=0) > FOLDS_ABOVE:
        yield RULE.flag(
            layer.ref,
            _words(layer, max(known)),
            mode=layer.mode,
            coordinates=layer.coordinates,
            scales=layer.scales,
            folding_gain=gains,
        )
    elif len(known) < layer.rank:
        yield RULE.skip(layer.ref, f"where {layer.coordinates} reads is not known")


def _words(layer: Resize, gain: float) -> str:
    scales = "x".join(f"{scale:.4g}" for scale in layer.scales)
    return (
        f"{layer.op} {layer.mode} ({layer.coordinates}) by {scales} reads single elements far "
        f"apart and lets {percent(gain)} of what lies at a folding frequency through "
        f"({decibels(in_decibels(gain))}), so patterns finer than the new grid come back as coarse ones. "
        f"Set antialias = 1 (linear or cubic, opset 18), or average first."
    )
