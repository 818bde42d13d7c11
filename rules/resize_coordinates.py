"""Resize whose coordinates move the image, or that runtimes read differently.

What is flagged
    A Resize that states its coordinates, and they are one of these:

    1. linear or cubic with asymmetric coordinates: the image moves by (1 - 1/f) / 2 input
       elements at a scale f, a quarter at 2, which is half a pixel of the output;
    2. align_corners: the two ends are pulled apart, and the step depends on the size of the map;
    3. nearest upscaling that does not repeat every element equally often, or not in place:
       fractional scales, and asymmetric coordinates with a rounding other than floor;
    4. nearest whose coordinates fall between two elements, where runtimes have chosen
       different ones;
    5. tf_half_pixel_for_nn, tf_crop_and_resize and half_pixel_symmetric, which few runtimes know.

Why it hurts
    A branch that was moved meets its neighbour out of step at the next Add or Concat, and boxes and
    masks sit beside their objects. TensorRT 7 took asymmetric for whatever the model said;
    ONNX Runtime and OpenVINO rounded ties of half_pixel with round_prefer_ceil down; IREE read
    outside the image for half_pixel with floor.

What to do
    Train and export with half_pixel for linear and cubic, and with asymmetric and floor at a
    whole scale for nearest: they move nothing and are understood alike.

When to leave it alone
    When the model was trained so: changing the coordinates alone would move its features. Nearest by
    a whole number, asymmetric and floor, repeats elements in place and is not flagged; Upsample and
    Resize-10 are another rule's.

References
    ONNX operator changelog: Resize-11, Resize-19.
    NVIDIA/TensorRT#273; microsoft/onnxruntime#28291; openvinotoolkit/openvino#36023;
    iree-org/iree#24264.
"""

from collections.abc import Iterator

from onnxstride.api import (
    Finding,
    Graph,
    Resampling,
    Resize,
    Rule,
    Severity,
    Skip,
    counts,
    has_ties,
    repetitions,
    resamplings,
    shifts,
)

RULE = Rule("BD305", "resize-coordinates", Severity.NOTE, on=(Resize,))

_RARE = ("tf_half_pixel_for_nn", "tf_crop_and_resize", "half_pixel_symmetric")

BAD = {
    "asymmetric interpolation shifts": """
        net (float[1,8,16] x) => (float[1,8,32] y) <float[3] scales = {1, 1, 2}> {
            y = Resize <mode = "linear", coordinate_transformation_mode = "asymmetric"> (x, , scales)  # BD305
        }""",
    "corners are pulled apart": """
        net (float[1,8,16] x) => (float[1,8,32] y) <float[3] scales = {1, 1, 2}> {
            y = Resize <mode = "linear", coordinate_transformation_mode = "align_corners"> (x, , scales)  # BD305
        }""",
    "a fractional scale repeats unevenly": """
        net (float[1,8,16] x) => (float[1,8,24] y) <float[3] scales = {1, 1, 1.5}> {
            y = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"> (x, , scales)  # BD305
        }""",
    "rounding to the nearest moves a threefold image": """
        net (float[1,8,16] x) => (float[1,8,48] y) <float[3] scales = {1, 1, 3}> {
            y = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric"> (x, , scales)  # BD305
        }""",
    "halving falls between two elements": """
        net (float[1,8,16] x) => (float[1,8,8] y) <float[3] scales = {1, 1, 0.5}> {
            y = Resize <mode = "nearest"> (x, , scales)  # BD305
        }""",
    "few runtimes know the mode": """
        net (float[1,8,16] x) => (float[1,8,32] y) <float[3] scales = {1, 1, 2}> {
            y = Resize <mode = "nearest", coordinate_transformation_mode = "tf_half_pixel_for_nn", nearest_mode = "floor"> (x, , scales)  # BD305
        }""",
}
GOOD = {
    "half_pixel interpolation stays in place": """
        net (float[1,8,16] x) => (float[1,8,32] y) <float[3] scales = {1, 1, 2}> {
            y = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (x, , scales)
        }""",
    "a whole scale repeats every element in place": """
        net (float[1,8,16] x) => (float[1,8,48] y) <float[3] scales = {1, 1, 3}> {
            y = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"> (x, , scales)
        }""",
    "a scale of 1 moves nothing": """
        net (float[1,8,16] x) => (float[1,8,16] y) <float[3] scales = {1, 1, 1}> {
            y = Resize <mode = "linear", coordinate_transformation_mode = "asymmetric"> (x, , scales)
        }""",
    "legacy operators are another rule's": """
        <ir_version: 5, opset_import: ["": 10]>
        net (float[1,8,16,16] x) => (float[1,8,32,32] y) <float[4] scales = {1, 1, 2, 2}> {
            y = Resize <mode = "linear"> (x, scales)
        }""",
}


def check(layer: Resize, graph: Graph) -> Iterator[Finding | Skip]:
    if layer.is_legacy:
        return
    along = resamplings(layer)
    if None in along and not _is_told_without_scales(layer):
        yield RULE.skip(layer.ref, "the scales are not known")
        return
    complaints = [_complaint(each) for each in along if each is not None and each.ratio != 1]
    if None in along:
        complaints.append(_of_mode(layer.coordinates))
    told = next(filter(None, complaints), "")
    if told:
        yield RULE.flag(
            layer.ref,
            f"{layer.mode} with {layer.coordinates} {told}.",
            mode=layer.mode,
            coordinates=layer.coordinates,
            nearest_mode=layer.nearest_mode,
            scales=layer.scales,
            shift=[None if each is None else _figures(each) for each in along],
        )


def _is_told_without_scales(layer: Resize) -> bool:
    return layer.coordinates in ("align_corners", *_RARE)


def _complaint(resampling: Resampling) -> str:
    """What is wrong along one axis; empty when nothing is."""
    of_mode = _of_mode(resampling.coordinates)
    if of_mode:
        return of_mode + _by_how_much(resampling)
    if resampling.mode == "nearest":
        return _of_nearest(resampling)
    moved = shifts(resampling)
    if moved is None or not any(moved):
        return ""
    return (
        f"moves the image{_by_how_much(resampling)}, out of step with whatever was resized by "
        f"half_pixel or not at all. Train and export with half_pixel"
    )


def _of_mode(coordinates: str) -> str:
    if coordinates == "align_corners":
        return (
            "pulls the two ends of the map apart, by a step that depends on its size, so the same "
            "layer samples otherwise at another size, and runtimes have taken it for asymmetric"
        )
    if coordinates in _RARE:
        return "reads by a rule that few runtimes know besides the framework it is from"
    return ""


def _of_nearest(resampling: Resampling) -> str:
    if has_ties(resampling):
        return (
            f"falls exactly between two elements, and {resampling.nearest_mode} decides: runtimes have "
            f"chosen different ones. asymmetric with floor reads elements that all agree on"
        )
    repeated = repetitions(resampling)
    if resampling.ratio > 1 and repeated is not None and len(set(repeated)) > 1:
        return (
            f"repeats elements unevenly, {counts(repeated)} times in turn: straight edges "
            f"come out ragged. Interpolate linearly at a scale that is no whole number"
        )
    moved = shifts(resampling)
    if resampling.ratio > 1 and moved is not None and any(moved):
        return (
            f"with {resampling.nearest_mode} moves the image{_by_how_much(resampling)}. asymmetric "
            f"with floor repeats every element in place"
        )
    return ""


def _by_how_much(resampling: Resampling) -> str:
    moved = shifts(resampling)
    if moved is None or not any(moved):
        return ""
    least, most = (float(shift) for shift in moved)
    if least == most:
        return f" by {abs(least):.3g} input elements"
    return f" (by {least:.3g} at one end, {most:+.3g} at the other, in input elements)"


def _figures(resampling: Resampling) -> list[float] | None:
    moved = shifts(resampling)
    return None if moved is None else [float(shift) for shift in moved]
