"""Transposed convolution that leaves its padding to the runtime.

What is flagged
    A ConvTranspose with auto_pad SAME_UPPER or SAME_LOWER, or with an output_shape attribute.
    The padding is then computed when the model runs, from sizes and rules of the runtime.

Why it hurts
    The rules differ. When the total is odd one element has to go to the begin or to the end, and
    the text of the standard, its shape inference and runtimes have disagreed about which, per
    auto_pad value and version; some importers ignore output_shape. The image moves by a pixel,
    or comes out with another size. An output_shape also fixes the size for every input.

What to do
    State pads and output_padding. The message gives the pads for the known input size.

When to leave it alone
    When one runtime and version is all the model will ever meet, and its output was checked.

References
    onnx/onnx issues 2788 and 4299; microsoft/onnxruntime issues 4086, 4698, 6067 and 11927.
"""

from collections.abc import Iterator

from onnxstride.api import (
    ConvTranspose,
    Finding,
    Graph,
    Remedy,
    Rule,
    Safety,
    Severity,
    Skip,
)

RULE = Rule(
    "UP105",
    "implicit-deconv-shape",
    Severity.WARNING,
    on=(ConvTranspose,),
    remedies=(Remedy("explicit-padding", Safety.EXACT),),
)

BAD = {
    "the runtime chooses the padding": """
        decoder (float[1,8,16,16] x) => (float[1,4,32,32] y) <float[8,4,4,4] w> {
            y = ConvTranspose <kernel_shape = [4,4], strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)  # UP105
        }""",
    "padding follows from the size asked for": """
        decoder (float[1,8,16,16] x) => (float[1,4,32,32] y) <float[8,4,4,4] w> {
            y = ConvTranspose <kernel_shape = [4,4], strides = [2,2], output_shape = [32,32]> (x, w)  # UP105
        }""",
}
GOOD = {
    "pads say it all": """
        decoder (float[1,8,16,16] x) => (float[1,4,32,32] y) <float[8,4,4,4] w> {
            y = ConvTranspose <kernel_shape = [4,4], strides = [2,2], pads = [1,1,1,1]> (x, w)
        }""",
    "auto_pad VALID is no padding, everywhere": """
        decoder (float[1,8,16,16] x) => (float[1,4,34,34] y) <float[8,4,4,4] w> {
            y = ConvTranspose <kernel_shape = [4,4], strides = [2,2], auto_pad = "VALID"> (x, w)
        }""",
}


def check(layer: ConvTranspose, graph: Graph) -> Iterator[Finding | Skip]:
    if layer.output_shape is not None:
        cause = f"output_shape {list(layer.output_shape)}"
    elif layer.auto_pad.is_same:
        cause = f"auto_pad {layer.auto_pad.value}"
    else:
        return
    pads = _pads(layer)
    stated = (
        f"For the input size here, ONNX Runtime takes pads {pads}: state them."
        if pads is not None
        else "State pads and output_padding instead."
    )
    yield RULE.flag(
        layer.ref,
        f"{cause} leaves the padding to the runtime, and runtimes have split an odd total "
        f"differently: the output can shift by a pixel. {stated}",
        auto_pad=layer.auto_pad.value,
        output_shape=layer.output_shape,
        pads=pads,
    )


def _pads(layer: ConvTranspose) -> list[int] | None:
    """Pads in the order of the attribute; None when a size is unknown."""
    if None in layer.sizes:
        return None
    return [axis.begin for axis in layer.axes] + [axis.end for axis in layer.axes]
