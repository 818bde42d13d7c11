"""Max pool in a form that many runtimes refuse.

What is flagged
    A MaxPool with an Indices output, with dilation, or with column-major storage_order.

Why it hurts
    Most accelerators and converters take the plain form alone. Indices exist for MaxUnpool and
    are often exported by accident, with nobody reading them; dilated pooling is rare in kernels
    libraries; storage_order 1 changes what the indices mean and is widely ignored.

What to do
    Drop an Indices output that nobody reads. Replace MaxUnpool by a resize or a transposed
    convolution and train again. A dilated pool of stride 1 is a plain pool over a
    space-to-batch of its input.

When to leave it alone
    When the target takes the form; ONNX Runtime on the CPU takes all three.

References
    NVIDIA/TensorRT issue 3761; ONNX operator specification, MaxPool.
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
    listing,
)

RULE = Rule(
    "BD304",
    "maxpool-form",
    Severity.NOTE,
    on=(MaxPool,),
    remedies=(Remedy("drop-unused-indices", Safety.EXACT),),
)

BAD = {
    "an Indices output": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) {
            y, i = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # BD304
        }""",
    "a dilated window": """
        net (float[1,8,32,32] x) => (float[1,8,28,28] y) {
            y = MaxPool <kernel_shape = [3,3], dilations = [2,2]> (x)  # BD304
        }""",
    "column-major indices": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], storage_order = 1> (x)  # BD304
        }""",
}
GOOD = {
    "one output, no dilation, row-major": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], dilations = [1,1], storage_order = 0> (x)
        }""",
}


def check(layer: MaxPool, graph: Graph) -> Iterator[Finding | Skip]:
    scope = layer.node.scope
    indices_read = bool(layer.indices) and bool(
        scope.consumers(layer.indices) or scope.is_output(layer.indices)
    )
    forms = []
    if layer.indices:
        forms.append("an Indices output" + ("" if indices_read else " that nobody reads"))
    if any(dilation > 1 for dilation in layer.dilations):
        forms.append(f"dilation {by(layer.dilations)}")
    if layer.column_major:
        forms.append("storage_order 1")
    if not forms:
        return
    yield RULE.flag(
        layer.ref,
        f"max pooling with {listing(forms)}: a form that many accelerators and converters refuse.",
        indices=layer.indices or None,
        indices_read=indices_read,
        dilation=layer.dilations,
        storage_order=int(layer.column_major),
    )
