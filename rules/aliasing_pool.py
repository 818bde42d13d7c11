"""Pooling that drops positions without a filter that could remove what then folds.

What is flagged
    A pool with a stride above 1 whose window is no low-pass for it: every such MaxPool, and
    an AveragePool or LpPool whose box lets more than a tenth of a folding frequency through,
    because its kernel is not a multiple of its stride.

Why it hurts
    Keeping every s-th value keeps patterns finer than the new grid too, as coarse ones that were
    never there: aliasing. Move the image by one pixel and they change, and answers change with
    them. A maximum passes its position on without any filter; an average of 3 at stride 2 passes
    a third of what lies at the folding frequency, one of 2 at stride 2 nothing.

What to do
    Pool at stride 1 and let a fixed blur do the stride; classifiers became steadier under
    shifts, and slightly more accurate, when trained that way. For averages make the kernel a
    multiple of the stride.

When to leave it alone
    When small shifts do not matter, or when the model cannot be trained again: a blur changes
    what the layers behind it see. This is a note for that reason. An axis with a single
    output has nothing to fold.

References
    Zhang: Making Convolutional Networks Shift-Invariant Again. ICML, 2019.
    Azulay, Weiss: Why do deep convolutional networks generalize so poorly to small image
    transformations? JMLR 20, 2019.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from onnxstride.api import (
    FOLDS_ABOVE,
    Axis,
    Finding,
    Graph,
    MaxPool,
    Pool,
    Remedy,
    Rule,
    Safety,
    Severity,
    Skip,
    box_gain,
    by,
    decibels,
    filters_before,
    folding_axes,
    folding_gain,
    in_decibels,
    percent,
)

RULE = Rule(
    "DN205",
    "aliasing-pool",
    Severity.NOTE,
    on=(Pool,),
    remedies=(Remedy("maxpool-to-blurpool", Safety.APPROXIMATE),),
)

BAD = {
    "a maximum is no filter": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # DN205
        }""",
    "an average of 3 at stride 2 passes a third": """
        net (float[1,8,33,33] x) => (float[1,8,16,16] y) {
            y = AveragePool <kernel_shape = [3,3], strides = [2,2]> (x)  # DN205
        }""",
    "one element at stride 2 is not even an average": """
        net (float[1,8,33] x) => (float[1,8,17] y) {
            y = AveragePool <kernel_shape = [1], strides = [2]> (x)  # DN205
        }""",
}
GOOD = {
    "an average of 2 at stride 2 removes the folding frequency": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) {
            y = AveragePool <kernel_shape = [2,2], strides = [2,2]> (x)
        }""",
    "nothing folds at stride 1": """
        net (float[1,8,32,32] x) => (float[1,8,31,31] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [1,1]> (x)
        }""",
    "a single output has nothing to fold": """
        net (float[1,8,2,2] x) => (float[1,8,1,1] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
        }""",
    "a filter in front has removed it": """
        net (float[1,8,33] x) => (float[1,8,16] y) {
            smooth = AveragePool <kernel_shape = [2], strides = [1]> (x)
            y = AveragePool <kernel_shape = [1], strides = [2]> (smooth)
        }""",
}


def check(layer: Pool, graph: Graph) -> Iterator[Finding | Skip]:
    if not layer.is_strided:
        return
    axes = folding_axes(layer)
    if all(axis.stride == 1 for axis in axes):
        return
    gain = _gain(layer, axes, graph)
    if gain is None:
        yield RULE.skip(layer.ref, f"stride {by(layer.strides)} has too many folding frequencies")
    elif gain > FOLDS_ABOVE:
        yield RULE.flag(
            layer.ref,
            _words(layer, gain),
            is_mendable=isinstance(layer, MaxPool),
            kernel=layer.kernel,
            stride=layer.strides,
            folding_gain=gain,
        )


def _gain(layer: Pool, axes: Sequence[Axis], graph: Graph) -> float | None:
    """Gain at the folding frequencies; a maximum of several elements is no filter."""
    if isinstance(layer, MaxPool) and any(axis.kernel > 1 for axis in axes):
        return 1.0
    before = list(filters_before(graph, layer))
    if not before:
        return box_gain(axes)
    return folding_gain(np.ones((1, 1, *(axis.kernel for axis in axes))), axes, before)


def _words(layer: Pool, gain: float) -> str:
    what = f"kernel {by(layer.kernel)} stride {by(layer.strides)}"
    if isinstance(layer, MaxPool):
        return (
            f"max pooling, {what}, keeps maxima at every stride with no filter between: "
            f"patterns finer than the new grid come back as coarse ones ({decibels(in_decibels(gain))} at "
            f"the folding frequencies). A dense pool and a blur with the stride remove them."
        )
    return (
        f"the average, {what}, lets {percent(gain)} of what lies at a folding frequency through "
        f"({decibels(in_decibels(gain))}): it comes back as a pattern that was never there. A kernel that "
        f"is a multiple of the stride lets nothing through."
    )
