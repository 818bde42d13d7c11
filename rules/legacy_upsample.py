"""Upsampling whose coordinate rule is implied by its age.

What is flagged
    Upsample, and Resize of opset 10: operators without a coordinate_transformation_mode.

Why it hurts
    Both read pixel i of the output at i / scale of the input, known as asymmetric since Resize
    was given the choice in opset 11. For linear interpolation that shifts the image by half a
    pixel against the half_pixel rule of image libraries, and importers that guess half_pixel
    change the result. Upsample is deprecated and absent from newer runtimes.

What to do
    Convert to Resize of opset 13 or later with coordinate_transformation_mode asymmetric and
    nearest_mode floor: the same function, said aloud.

When to leave it alone
    Nearest neighbour at an integer scale repeats pixels under every rule that runtimes apply.

References
    ONNX operator changelog: Upsample-9, Resize-10, Resize-11.
"""

from collections.abc import Iterator

from onnxstride.api import Finding, Graph, Remedy, Resize, Rule, Safety, Severity, Skip

RULE = Rule(
    "BD307", "legacy-upsample", Severity.NOTE,
    on=(Resize,),
    remedies=(Remedy("upsample-to-resize", Safety.EXACT),),
)  # fmt: skip

BAD = {
    "Upsample": """
        <ir_version: 4, opset_import: ["": 9]>
        net (float[1,8,16,16] x) => (float[1,8,32,32] y) <float[4] scales = {1, 1, 2, 2}> {
            y = Upsample <mode = "linear"> (x, scales)  # BD307
        }""",
    "Resize of opset 10": """
        <ir_version: 5, opset_import: ["": 10]>
        net (float[1,8,16,16] x) => (float[1,8,32,32] y) <float[4] scales = {1, 1, 2, 2}> {
            y = Resize <mode = "nearest"> (x, scales)  # BD307
        }""",
}
GOOD = {
    "Resize since opset 11 states its coordinates": """
        net (float[1,8,16,16] x) => (float[1,8,32,32] y) <float[4] scales = {1, 1, 2, 2}> {
            y = Resize <mode = "linear", coordinate_transformation_mode = "asymmetric"> (x, , scales)
        }""",
}


def check(layer: Resize, graph: Graph) -> Iterator[Finding | Skip]:
    if not layer.is_legacy:
        return
    spelling = layer.op if layer.op == "Upsample" else f"Resize of opset {layer.opset}"
    yield RULE.flag(
        layer.ref,
        f"{spelling} ({layer.mode}) has no coordinate rule of its own: asymmetric is meant, and "
        f"importers have guessed otherwise. Convert to Resize of opset 13 or later, asymmetric.",
        mode=layer.mode,
        scales=layer.scales,
        opset=layer.opset,
    )
