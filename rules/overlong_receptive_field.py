"""Layer whose input already sees the whole image along every path.

What is flagged
    A convolution or pool with a kernel above 1 where, along every axis it has one on, each
    element of the map it reads sees at least as many pixels as the image has, by even the path
    that sees least; and it adds more.

Why it hurts
    Such a layer cannot combine neighbourhoods into larger ones: every element has seen all
    there is. Measured with probes on trained classifiers, layers beyond that point did not improve
    the answer any more, and removing them made models faster and not worse. For the size of
    its input the network is too deep, or shrinks its maps too early.

What to do
    Feed larger images, take out early strides, or leave out the layers: with ResNet-18 on images of
    16 pixels, trimming saved four fifths of the work.

When to leave it alone
    When the model also runs on larger images. Sizes are those the model declares, or those given
    with --input-shape or --dim. Layers behind a global pool or attention see everything by design
    and are not judged.

References
    Richter, Schöning, Wiedenroth, Krumnack: Should You Go Deeper? ICMLA, 2021.
"""

from collections.abc import Iterator

from onnxstride.api import (
    SLIDING,
    Field,
    Finding,
    Graph,
    Rule,
    Severity,
    Sight,
    Skip,
    Unknown,
    Whole,
    Window,
    by,
    resolution,
)

RULE = Rule("RF501", "overlong-receptive-field", Severity.NOTE, on=SLIDING)

BAD = {
    "the map it reads sees all 5 pixels already": """
        net (float[1,1,5] x) => (float[1,1,5] y) <float[1,1,3] u, float[1,1,3] v, float[1,1,3] w> {
            a = Conv <kernel_shape = [3], pads = [1,1]> (x, u)
            b = Conv <kernel_shape = [3], pads = [1,1]> (a, v)
            y = Conv <kernel_shape = [3], pads = [1,1]> (b, w)  # RF501
        }""",
}
GOOD = {
    "a larger image is not seen yet": """
        net (float[1,1,6] x) => (float[1,1,6] y) <float[1,1,3] u, float[1,1,3] v, float[1,1,3] w> {
            a = Conv <kernel_shape = [3], pads = [1,1]> (x, u)
            b = Conv <kernel_shape = [3], pads = [1,1]> (a, v)
            y = Conv <kernel_shape = [3], pads = [1,1]> (b, w)
        }""",
    "a path around it still sees less": """
        net (float[1,1,5] x) => (float[1,1,5] y) <float[1,1,3] u, float[1,1,3] v, float[1,1,3] w> {
            a = Conv <kernel_shape = [3], pads = [1,1]> (x, u)
            b = Conv <kernel_shape = [3], pads = [1,1]> (a, v)
            c = Add (b, x)
            y = Conv <kernel_shape = [3], pads = [1,1]> (c, w)
        }""",
    "a kernel of 1 does not look further": """
        net (float[1,1,5] x) => (float[1,1,5] y) <float[1,1,3] u, float[1,1,3] v, float[1,1,1] w> {
            a = Conv <kernel_shape = [3], pads = [1,1]> (x, u)
            b = Conv <kernel_shape = [3], pads = [1,1]> (a, v)
            y = Conv <kernel_shape = [1]> (b, w)
        }""",
}


def check(layer: Window, graph: Graph) -> Iterator[Finding | Skip]:
    looking = [axis for axis, window in enumerate(layer.axes) if window.kernel > 1]
    if not looking:
        return
    known = resolution(graph)
    before = known.before(layer)
    seen: list[tuple[Field, int]] = []
    for axis in looking:
        sight = before[axis]
        if not isinstance(sight, Field) or (size := known.image_size(sight)) is None:
            yield from _not_judged(layer, sight)
            return
        seen.append((sight, size))
    if all(field.narrow >= size for field, size in seen):
        fields, sizes = [field.narrow for field, _ in seen], [size for _, size in seen]
        yield RULE.flag(
            layer.ref,
            f"kernel {by(layer.kernel)} looks at a map whose elements see {by(fields)} pixels by "
            f"the narrowest path, of {by(sizes)} that there are: it cannot widen the view. Deeper "
            f"layers of trained classifiers stopped adding to the answer here.",
            kernel=layer.kernel,
            narrowest_receptive_field=fields,
            input_size=sizes,
        )


def _not_judged(layer: Window, sight: Sight) -> Iterator[Skip]:
    """Why not, along the axis of a sight; where all of it is seen there is no question."""
    if isinstance(sight, Unknown):
        yield RULE.skip(layer.ref, sight.reason)
    elif not isinstance(sight, Whole):
        yield RULE.skip(layer.ref, "the size of the image is not known")
