"""Upsample and the Resize of opset 10 as a Resize that says where it reads.

What it does
    Makes the node a Resize of opset 13 with coordinate_transformation_mode asymmetric and
    nearest_mode floor, which is what the old operators mean: element i of the output is read at
    i / scale of the input. Mode and scales stay; the scales of Upsample-7, an attribute, become an
    input. The name of the node and all else about it stay too.

    The old operators only exist up to opset 10, so the model's operator set has to rise: give
    `--opset 13`, or a later one. That is done when every other node is known to mean the same
    there: its operator has not changed, or only by more types and choices. The file's other bytes
    are untouched. Otherwise it stays and the nodes in the way are named; onnx.version_converter
    can rewrite those.

When it is exact
    Always, bit for bit in ONNX Runtime.

What it refuses
    A Resize that states its coordinates; a model that must not be raised, or in which another
    node would mean something else; the experimental Upsample before opset 7; modes other than
    nearest and linear; and, since runtimes do not agree on them, nearest neighbours in a map that
    shrinks, unless by a power of two: ONNX Runtime rounds their places up, converters write floor.

References
    ONNX operator changelog: Upsample-7, Upsample-9, Resize-10, Resize-11, Resize-13. Measured with
    ONNX Runtime 1.31.1.
"""

from math import frexp

import numpy as np

from onnxstride.api import Resize
from onnxstride.surgery import Fragment, Refusal, Rewrite, Safety, Site

REWRITE = Rewrite("upsample-to-resize", Safety.EXACT, on=(Resize,), mends=("BD307",), opset=13)

EXAMPLES = {
    "two Upsamples": """
        <ir_version: 4, opset_import: ["": 9]>
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4] scales = {1, 1, 2, 2}> {
            a = Upsample <mode = "nearest"> (x, scales)  # upsample-to-resize
            b = Relu (a)
            y = Upsample <mode = "linear"> (b, scales)  # upsample-to-resize
        }""",
    "Upsample with its scales as an attribute": """
        <ir_version: 4, opset_import: ["": 7]>
        net (float[N,4,8,8] x) => (float[N,4,16,24] y) {
            y = Upsample <mode = "nearest", scales = [1.0, 1.0, 2.0, 3.0]> (x)  # upsample-to-resize
        }""",
    "Resize of opset 10, by a fraction": """
        <ir_version: 5, opset_import: ["": 10]>
        net (float[N,4,8,8] x) => (float[N,4,12,20] y) <float[4] scales = {1, 1, 1.5, 2.5}> {
            y = Resize <mode = "nearest"> (x, scales)  # upsample-to-resize
        }""",
    "halved": """
        <ir_version: 5, opset_import: ["": 10]>
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
            y = Resize <mode = "nearest"> (x, scales)  # upsample-to-resize
        }""",
}
REFUSED = {
    "it states its coordinates": """
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4] scales = {1, 1, 2, 2}> {
            y = Resize <mode = "linear"> (x, , scales)  # upsample-to-resize
        }""",
    "not known to mean the same in opset 13: Clip 'b'": """
        <ir_version: 4, opset_import: ["": 9]>
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4] scales = {1, 1, 2, 2}> {
            a = Upsample <mode = "nearest"> (x, scales)  # upsample-to-resize
            b = Clip <min = 0.0, max = 6.0> (a)
            y = Upsample <mode = "nearest"> (b, scales)  # upsample-to-resize
        }""",
    "nearest neighbours in a map that shrinks, on which runtimes differ": """
        <ir_version: 5, opset_import: ["": 10]>
        net (float[N,4,12,12] x) => (float[N,4,8,8] y) <float[4] scales = {1, 1, 0.6667, 0.6667}> {
            y = Resize <mode = "nearest"> (x, scales)  # upsample-to-resize
        }""",
    "its scales are not known, and where they shrink the map runtimes differ": """
        <ir_version: 5, opset_import: ["": 10]>
        net (float[N,4,H,W] x, float[4] scales) => (float[N,4,P,Q] y) {
            y = Resize <mode = "nearest"> (x, scales)  # upsample-to-resize
        }""",
    "before opset 7 Upsample was an experiment, and every runtime's own": """
        <ir_version: 3, opset_import: ["": 6]>
        net (float[N,4,8,8] x) => (float[N,4,16,16] y) {
            y = Upsample <mode = "nearest", width_scale = 2.0, height_scale = 2.0> (x)  # upsample-to-resize
        }""",
    "it asks Upsample to shrink the map, which runtimes refuse": """
        <ir_version: 4, opset_import: ["": 9]>
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
            y = Upsample <mode = "linear"> (x, scales)  # upsample-to-resize
        }""",
    "its mode is 'cubic', which the old operators do not have": """
        <ir_version: 5, opset_import: ["": 10]>
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4] scales = {1, 1, 2, 2}> {
            y = Resize <mode = "cubic"> (x, scales)  # upsample-to-resize
        }""",
}

_STANDARD = 7
_SCALES = 2
"""Position of the scales among the inputs of Resize, behind the region of interest."""


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, Resize)
    reason = _refused(layer)
    if reason:
        return Refusal(reason)
    fragment = site.fragment()
    scales = site.node.input(1) or fragment.constant(_stated_scales(layer), "scales")
    attributes = {
        "scales": None,
        "mode": layer.mode,
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    fragment.edit(
        site.node, op_type="Resize", attributes=attributes, inputs={1: "", _SCALES: scales}
    )
    return fragment


def _refused(layer: Resize) -> str:
    if not layer.is_legacy:
        return "it states its coordinates"
    if layer.opset < _STANDARD:
        return "before opset 7 Upsample was an experiment, and every runtime's own"
    if layer.mode not in ("nearest", "linear"):
        return f"its mode is {layer.mode!r}, which the old operators do not have"
    shrinking = [scale for scale in layer.scales if scale is not None and scale < 1]
    if layer.op == "Upsample":
        return "it asks Upsample to shrink the map, which runtimes refuse" if shrinking else ""
    if layer.mode == "linear":
        return ""
    if None in layer.scales:
        return "its scales are not known, and where they shrink the map runtimes differ"
    if any(map(_is_disputed, shrinking)):
        return "nearest neighbours in a map that shrinks, on which runtimes differ"
    return ""


def _is_disputed(scale: float) -> bool:
    """True when some place i / scale lies between two elements; powers of two are met exactly."""
    return frexp(scale)[0] != 0.5


def _stated_scales(layer: Resize) -> np.ndarray:
    return np.array(list(layer.node.attributes["scales"].floats), np.float32)
