"""Skip connections that only meet for certain input sizes.

What is flagged
    A model whose height or width is left open although the maps that meet in its Adds and
    Concats have one size only for some inputs; a size that is fixed, or given with --input-shape
    or --dim, that is none of those; and merges that meet for no size at all. Blocks that must
    tile a map (SpaceToDepth), reshapes to fixed sizes and matrices behind a flattened map limit
    sizes as well and are reported alike.

Why it hurts
    An encoder halves a map and rounds, a decoder doubles it: back come 16 rows where the skip
    connection has 17, and the runtime stops. Where a map happens to have size 1 it does not
    stop but stretches that map over the other, and the result is silently wrong.

What to do
    Feed sizes from the set that the message gives, and pad images to them. Or make the model take
    any size: resize to the size of the skip connection instead of by a scale, crop it, or pad.

When to leave it alone
    When whoever feeds the model keeps to the set. A minimum alone is not reported, and neither
    are sizes that agree by construction. Sizes are exact, found from the size function of
    each operator; where a function is not known the rule says so and reports what is certain.

References
    Ronneberger, Fischer, Brox: U-Net. MICCAI, 2015, which picks its tile size for this reason.
"""

from collections.abc import Iterator

from onnxstride.api import (
    Finding,
    Graph,
    Layer,
    LimitKind,
    Remedy,
    Resize,
    Rule,
    Safety,
    Severity,
    Skip,
    size_limits,
)

RULE = Rule(
    "SZ401", "size-multiple", Severity.WARNING,
    on=(Layer,),
    remedies=(Remedy("resize-to-skip-size", Safety.EXACT),),
)  # fmt: skip

BAD = {
    "halved and doubled, odd sizes do not come back": """
        unet (float[1,4,H,W] x) => (float[1,8,h,w] y) <float[4] scales = {1.0, 1.0, 2.0, 2.0}> {
            down = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            up = Resize <mode = "nearest"> (down, , scales)
            y = Concat <axis = 1> (x, up)  # SZ401
        }""",
    "a size that is fixed, and odd": """
        unet (float[1,4,30,31] x) => (float[1,4,h,w] y) <float[4,4,2,2] k> {
            down = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            up = ConvTranspose <kernel_shape = [2,2], strides = [2,2]> (down, k)
            y = Add (x, up)  # SZ401
        }""",
    "convolutions without padding, and a skip that nobody crops": """
        unet (float[1,4,H,W] x) => (float[1,8,h,w] y) <float[4,4,3,3] k> {
            inner = Conv <kernel_shape = [3,3]> (x, k)
            y = Concat <axis = 1> (x, inner)  # SZ401
        }""",
    "blocks that must tile the map": """
        spd (float[1,4,H,W] x) => (float[1,16,h,w] y) {
            y = SpaceToDepth <blocksize = 2> (x)  # SZ401
        }""",
    "a matrix that fits one number of positions": """
        classifier (float[1,8,H,W] x) => (float[1,10] y) <float[392,10] matrix> {
            down = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            flat = Flatten (down)
            y = MatMul (flat, matrix)  # SZ401
        }""",
}
GOOD = {
    "resized to the size of the skip": """
        unet (float[1,4,H,W] x) => (float[1,8,h,w] y) {
            down = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            batch_channels_height_width = Shape (x)
            up = Resize <mode = "nearest"> (down, , , batch_channels_height_width)
            y = Concat <axis = 1> (x, up)
        }""",
    "a size that is fixed, and fits": """
        unet (float[1,4,30,32] x) => (float[1,4,h,w] y) <float[4,4,2,2] k> {
            down = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            up = ConvTranspose <kernel_shape = [2,2], strides = [2,2]> (down, k)
            y = Add (x, up)
        }""",
    "convolutions with padding": """
        residual (float[1,4,H,W] x) => (float[1,8,h,w] y) <float[4,4,3,3] k> {
            inner = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, k)
            y = Concat <axis = 1> (x, inner)
        }""",
    "a minimum alone": """
        net (float[1,4,H,W] x) => (float[1,4,h,w] y) <float[4,4,7,7] k> {
            y = Conv <kernel_shape = [7,7]> (x, k)
        }""",
    "a mean over all positions fits any number of them": """
        classifier (float[1,8,H,W] x) => (float[1,10] y) <float[8,10] matrix> {
            down = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            mean = GlobalAveragePool (down)
            flat = Flatten (mean)
            y = MatMul (flat, matrix)
        }""",
    "a gate of size 1 is stretched on purpose": """
        gated (float[1,8,H,W] x) => (float[1,8,H,W] y) {
            mean = GlobalAveragePool (x)
            y = Mul (x, mean)
        }""",
}


def check(layer: Layer, graph: Graph) -> Iterator[Finding | Skip]:
    for limit in size_limits(graph, layer):
        if limit.kind is LimitKind.UNPROVEN:
            yield RULE.skip(limit.node.ref, limit.words())
            continue
        severity = Severity.WARNING if limit.kind is LimitKind.RESTRICTED else Severity.ERROR
        yield RULE.flag(
            limit.node.ref,
            limit.words(),
            severity=severity,
            is_mendable=any(isinstance(each, Resize) for each in graph.layers),
            **limit.figures(),
        )
