"""A shrinking Resize that averages over what it steps across.

What it does
    Sets antialias on a linear or cubic Resize that makes a map smaller: the filter becomes as wide
    as the step between outputs, so that every element is read and detail finer than the new grid
    is averaged out, where it would turn up as a false pattern. At half the size, linear
    with half_pixel then reads [1,3,3,1] / 8, and with asymmetric [1,2,1] / 4, where it read a mean
    of two and a single element.

What it costs
    The numbers move: smooth maps little, fine texture much. A network that was trained with the
    aliasing may want fine-tuning; an image that is only resized, for a loss or for display, gets
    better. At a third of the size a linear filter does three times the work.

What it refuses
    Nearest neighbours, which have no filter to widen: linear would be another function. Maps that
    do not shrink, or at sizes that are not known; cubic maps other than 2-D, and cropping, which
    runtimes do not take; and models before opset 18, where the attribute appeared: `--opset 18`
    lets the model be raised if every other node means the same there.

References
    ONNX operator specification, Resize-18. Zhang, "Making Convolutional Networks Shift-Invariant
    Again", ICML 2019, for the filters.
"""

from onnxstride.api import Resize
from onnxstride.surgery import Fragment, Refusal, Rewrite, Safety, Site

REWRITE = Rewrite(
    "resize-to-antialiased", Safety.APPROXIMATE, on=(Resize,), mends=("DN207",), opset=18
)

EXAMPLES = {
    "half the size": """
        net (float[N,3,H,W] x) => (float[N,3,P,Q] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
            y = Resize <mode = "linear"> (x, , scales)  # resize-to-antialiased
        }""",
    "a thumbnail of a known size": """
        net (float[N,3,64,48] x) => (float[N,3,16,12] y) <int64[4] sizes = {1, 3, 16, 12}> {
            y = Resize <mode = "cubic", coordinate_transformation_mode = "align_corners"> (x, , , sizes)  # resize-to-antialiased
        }""",
    "along one axis, while the other grows": """
        net (float[N,3,H,W] x) => (float[N,3,P,Q] y) <float[4] scales = {1, 1, 0.25, 2}> {
            y = Resize <mode = "linear"> (x, , scales)  # resize-to-antialiased
        }""",
    "a model that may be raised": """
        <ir_version: 7, opset_import: ["": 13]>
        net (float[N,3,H,W] x) => (float[N,3,P,Q] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
            r = Relu (x)
            y = Resize <mode = "linear", coordinate_transformation_mode = "asymmetric"> (r, , scales)  # resize-to-antialiased
        }""",
}
REFUSED = {
    "it is antialiased already": """
        net (float[N,3,H,W] x) => (float[N,3,P,Q] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
            y = Resize <mode = "linear", antialias = 1> (x, , scales)  # resize-to-antialiased
        }""",
    "nearest neighbours have no filter to widen": """
        net (float[N,3,H,W] x) => (float[N,3,P,Q] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
            y = Resize <mode = "nearest"> (x, , scales)  # resize-to-antialiased
        }""",
    "it makes nothing smaller": """
        net (float[N,3,H,W] x) => (float[N,3,P,Q] y) <float[4] scales = {1, 1, 2, 2}> {
            y = Resize <mode = "linear"> (x, , scales)  # resize-to-antialiased
        }""",
    "whether it makes the map smaller depends on sizes that are not known": """
        net (float[N,3,H,W] x) => (float[N,3,16,16] y) <int64[4] sizes = {1, 3, 16, 16}> {
            y = Resize <mode = "linear"> (x, , , sizes)  # resize-to-antialiased
        }""",
    "runtimes take antialias in cubic mode for 2-D maps only": """
        net (float[N,3,D,H,W] x) => (float[N,3,O,P,Q] y) <float[5] scales = {1, 1, 0.5, 0.5, 0.5}> {
            y = Resize <mode = "cubic"> (x, , scales)  # resize-to-antialiased
        }""",
    "it crops, which no filter is defined for": """
        net (float[N,3,H,W] x) => (float[N,3,P,Q] y) <float[4] scales = {1, 1, 0.5, 0.5}, float[8] roi = {0, 0, 0, 0, 1, 1, 1, 1}> {
            y = Resize <mode = "linear", coordinate_transformation_mode = "tf_crop_and_resize"> (x, roi, scales)  # resize-to-antialiased
        }""",
    "it states no coordinates; upsample-to-resize does that first": """
        <ir_version: 5, opset_import: ["": 10]>
        net (float[N,3,H,W] x) => (float[N,3,P,Q] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
            y = Resize <mode = "linear"> (x, scales)  # resize-to-antialiased
        }""",
    "not known to mean the same in opset 18: ReduceMean 'y'": """
        <ir_version: 7, opset_import: ["": 13]>
        net (float[N,3,H,W] x) => (float[N,3,1,1] y) <float[4] scales = {1, 1, 0.5, 0.5}> {
            r = Resize <mode = "linear"> (x, , scales)  # resize-to-antialiased
            y = ReduceMean <axes = [2, 3]> (r)
        }""",
}

_CUBIC_RANK = 2


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, Resize)
    reason = _refused(layer)
    if reason:
        return Refusal(reason)
    fragment = site.fragment()
    fragment.edit(site.node, attributes={"antialias": 1})
    return fragment


def _refused(layer: Resize) -> str:
    if layer.antialias:
        return "it is antialiased already"
    if layer.is_legacy:
        return "it states no coordinates; upsample-to-resize does that first"
    if layer.mode == "nearest":
        return "nearest neighbours have no filter to widen"
    known = [scale for scale in layer.scales if scale is not None]
    if all(scale >= 1 for scale in known):
        if None in layer.scales:
            return "whether it makes the map smaller depends on sizes that are not known"
        return "it makes nothing smaller"
    if layer.mode == "cubic" and layer.rank != _CUBIC_RANK:
        return "runtimes take antialias in cubic mode for 2-D maps only"
    if layer.coordinates == "tf_crop_and_resize":
        return "it crops, which no filter is defined for"
    return ""
