"""A zero Pad before a MaxPool, kept apart from it so that no optimiser folds the two.

What it does
    Puts Max(padded, lowest) between a constant Pad and the MaxPool that reads it. Optimisers
    fold a zero Pad into the pool that directly follows, and the pool pads with minus
    infinity; with a node in between they leave both as they are.

When it is exact
    Always, bit for bit: no number is below the lowest. It costs one pass over the padded map.
    Applying the activation before the Pad, where the model allows it, is cheaper.

What it refuses
    A pool that no Pad with a constant feeds, and element types or opsets that Max does not take.

References
    Measured with ONNX Runtime 1.31.1 at every optimisation level; 1.32.0 folds no more.
"""

import numpy as np

from onnxstride.api import MaxPool
from onnxstride.surgery import Fragment, Refusal, Rewrite, Safety, Site

REWRITE = Rewrite("guard-zero-pad", Safety.EXACT, on=(MaxPool,), mends=("BD303",))

EXAMPLES = {
    "zeros around a map of either sign": """
        net (float[N,8,32,32] x) => (float[N,8,16,16] y) <int64[8] pads = {0,0,1,1,0,0,1,1}> {
            p = Pad (x, pads)
            y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (p)  # guard-zero-pad
        }""",
}
REFUSED = {
    "no Pad feeds it": """
        net (float[N,8,32,32] x) => (float[N,8,16,16] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x)  # guard-zero-pad
        }""",
    "its Pad repeats the map, which no optimiser folds": """
        net (float[N,8,32,32] x) => (float[N,8,16,16] y) <int64[8] pads = {0,0,1,1,0,0,1,1}> {
            p = Pad <mode = "reflect"> (x, pads)
            y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (p)  # guard-zero-pad
        }""",
    "Max broadcasts a scalar since opset 8": """
        <ir_version: 3, opset_import: ["": 7]>
        net (float[N,8,32,32] x) => (float[N,8,16,16] y) {
            p = Pad <pads = [0,0,1,1,0,0,1,1]> (x)
            y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (p)  # guard-zero-pad
        }""",
}


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    pad = site.scope.producer(layer.input)
    if pad is None or pad.op_type != "Pad":
        return Refusal("no Pad feeds it")
    mode = pad.attributes.get("mode")
    if mode is not None and mode.s not in (b"", b"constant"):
        return Refusal("its Pad repeats the map, which no optimiser folds")
    if site.opset < 8:
        return Refusal("Max broadcasts a scalar since opset 8")
    if site.dtype is None or site.dtype.name not in ("float32", "float16", "float64"):
        return Refusal(f"the element type is {site.dtype}: only floating point can be guarded")
    fragment = site.fragment()
    lowest = fragment.constant(np.array(-np.inf, site.dtype), "lowest")
    guarded = fragment.add("Max", [layer.input, lowest], label="guarded")
    fragment.edit(layer.node, inputs={0: guarded})
    return fragment
