"""Max pooling that downsamples: a fixed choice where a learnable one is possible.

What is flagged
    A MaxPool with a stride above 1 along any axis.

Why it hurts
    It need not. Max pooling is cheap, has no parameters and adds some tolerance to small shifts.
    It is fixed, though: which value survives is not learnt, its gradient reaches one element
    per window, it does not filter before it subsamples, and some accelerators and quantisation
    schemes handle a convolution better. Networks with strided convolutions in place of pooling
    reached the same accuracy when trained from scratch.

What to do
    Nothing, or one of three:

    - a convolution with the pool's own window and stride: learnable, C x C x k x k parameters
      more, and wants fine-tuning; copying weights of a plain average into it destroys a trained
      model;
    - a dense MaxPool of stride 1 and a fixed blur with the stride: steadier under shifts, no
      parameters, more arithmetic;
    - moving the stride into the convolution before: fewer operations, and measurably worse.

When to leave it alone
    When the model works and its target runs MaxPool well. This is a note for that reason.

References
    Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity. ICLR workshop, 2015.
    Zhang: Making Convolutional Networks Shift-Invariant Again. ICML, 2019.
"""

from collections.abc import Iterator

from onnxstride.api import (
    Finding,
    Graph,
    MaxPool,
    Remedy,
    Rule,
    Safety,
    Severity,
    Skip,
    by,
)

RULE = Rule(
    "DN201",
    "fixed-pooling",
    Severity.NOTE,
    on=(MaxPool,),
    remedies=(
        Remedy("maxpool-to-exact-conv", Safety.EXACT),
        Remedy("maxpool-to-blurpool", Safety.APPROXIMATE),
        Remedy("maxpool-to-conv", Safety.TRAINING),
        Remedy("maxpool-to-resize-conv", Safety.TRAINING),
    ),
)

BAD = {
    "the pool halves the map": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # DN201
        }""",
}
GOOD = {
    "stride 1 keeps the resolution": """
        net (float[1,8,32,32] x) => (float[1,8,32,32] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [1,1], pads = [1,1,1,1]> (x)
        }""",
    "a strided convolution is learnable": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <float[8,8,2,2] w> {
            y = Conv <kernel_shape = [2,2], strides = [2,2]> (x, w)
        }""",
}


def check(layer: MaxPool, graph: Graph) -> Iterator[Finding | Skip]:
    if not layer.is_strided:
        return
    yield RULE.flag(
        layer.ref,
        f"max pooling, kernel {by(layer.kernel)} stride {by(layer.strides)}, downsamples by a "
        f"fixed rule. A strided convolution learns what to keep (and wants fine-tuning); a dense "
        f"pool followed by a strided blur is steadier under shifts.",
        kernel=layer.kernel,
        stride=layer.strides,
    )
