"""Branches that meet out of step: their elements see places a fraction of a pixel apart.

What is flagged
    An Add, Concat or other operator that joins maps of one image whose elements, at the same
    index, are centred on different places, or whose strides differ. Centres follow from every
    padding, stride and resize on the way; the message says by how far.

Why it hurts
    What is added up does not belong to the same place. Half a pixel of a map with stride 16 is
    eight pixels of the image: edges blur, boxes and masks sit beside their objects. A network
    learns to live with it and pays in capacity. Its usual sources are ConvTranspose k3 s2 p1 with
    output padding, linear resizes with asymmetric coordinates, kernels of even size, and padding
    on one side only.

What to do
    Make the branches agree: MaxPool 2x2 goes with ConvTranspose k2 s2 or k4 s2 p1, or with a resize
    by half_pixel; a 3x3 window of stride 2 with a 1x1 of stride 2.

When to leave it alone
    When the model is trained so, as an exact place does not matter to a classifier. ResNet-D's
    average on the shortcut is half a pixel off beside a padded 3x3 and works well. Maps whose
    place depends on sizes that are not known are not judged.

References
    Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks. Distill,
    2019.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from onnxstride.api import (
    Disagreement,
    Finding,
    Graph,
    Merge,
    Rule,
    Severity,
    Skip,
    listing,
    resolution,
)

RULE = Rule("RF502", "misaligned-merge", Severity.NOTE, on=(Merge,))

BAD = {
    "a transposed kernel of 3 is half a pixel off": """
        net (float[1,1,16] x) => (float[1,1,16] y) <float[1,1,3] w> {
            p = MaxPool <kernel_shape = [2], strides = [2]> (x)
            u = ConvTranspose <kernel_shape = [3], strides = [2], pads = [1,1], output_padding = [1]> (p, w)
            y = Add (u, x)  # RF502
        }""",
    "asymmetric interpolation too": """
        net (float[1,1,16] x) => (float[1,2,16] y) <float[3] scales = {1, 1, 2}> {
            p = MaxPool <kernel_shape = [2], strides = [2]> (x)
            u = Resize <mode = "linear", coordinate_transformation_mode = "asymmetric"> (p, , scales)
            y = Concat <axis = 1> (u, x)  # RF502
        }""",
}
GOOD = {
    "a transposed kernel of 2 is in step": """
        net (float[1,1,16] x) => (float[1,1,16] y) <float[1,1,2] w> {
            p = MaxPool <kernel_shape = [2], strides = [2]> (x)
            u = ConvTranspose <kernel_shape = [2], strides = [2]> (p, w)
            y = Add (u, x)
        }""",
    "half_pixel interpolation is in step": """
        net (float[1,1,16] x) => (float[1,2,16] y) <float[3] scales = {1, 1, 2}> {
            p = MaxPool <kernel_shape = [2], strides = [2]> (x)
            u = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (p, , scales)
            y = Concat <axis = 1> (u, x)
        }""",
    "a 3x3 window and a 1x1 of the same stride are centred alike": """
        net (float[1,1,17] x) => (float[1,1,9] y) <float[1,1,3] v, float[1,1,1] w> {
            a = Conv <kernel_shape = [3], strides = [2], pads = [1,1]> (x, v)
            b = Conv <kernel_shape = [1], strides = [2]> (x, w)
            y = Add (a, b)
        }""",
}


def check(layer: Merge, graph: Graph) -> Iterator[Finding | Skip]:
    apart = resolution(graph).apart(layer.node)
    if not apart:
        return
    worst = max(apart, key=_distance)
    yield RULE.flag(
        layer.ref,
        f"maps meet out of step: {_words(worst)}. What is joined does not belong to the same place.",
        inputs=list(worst.inputs),
        strides=[str(field.stride) for field in worst.fields],
        centres=[None if field.centre is None else str(field.centre) for field in worst.fields],
        distance=float(_distance(worst)),
    )


def _distance(apart: Disagreement) -> Fraction:
    """Pixels between the centres that are farthest apart."""
    centres = [field.centre for field in apart.fields if field.centre is not None]
    return max(centres) - min(centres) if centres else Fraction(0)


def _words(apart: Disagreement) -> str:
    strides = list(dict.fromkeys(field.stride for field in apart.fields))
    if len(strides) > 1:
        return f"their strides are {listing(map(str, strides))} pixels of the image"
    distance, stride = _distance(apart), abs(strides[0])
    return (
        f"their centres are {_number(distance)} pixels of the image apart, "
        f"{_number(distance / stride)} elements at stride {stride} ({_where(apart.inputs)})"
    )


def _number(value: Fraction) -> str:
    return f"{float(value):.3g}"


def _where(inputs: Sequence[str]) -> str:
    return listing(dict.fromkeys(repr(name) for name in inputs))
