"""MaxPool without the Indices output that nobody reads.

What it does
    Removes the second output of a MaxPool. Exporters write it when a framework returned the
    indices and the model ignored them; runtimes that cannot make indices refuse the node.

When it is exact
    Always: the first output is the same, bit for bit.

What it refuses
    Indices that a node reads or that the model hands out.

References
    ONNX operator specification, MaxPool: the second output is optional.
"""

from onnxstride.api import MaxPool
from onnxstride.surgery import Fragment, Refusal, Rewrite, Safety, Site

REWRITE = Rewrite("drop-unused-indices", Safety.EXACT, on=(MaxPool,), mends=("BD304",))

EXAMPLES = {
    "indices that go nowhere": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y, i = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # drop-unused-indices
        }""",
}
REFUSED = {
    "its indices are read": """
        net (float[N,8,32,32] x) => (float[N,8,16,16] y, int64[N,8,16,16] i) {
            y, i = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # drop-unused-indices
        }""",
    "it has no indices": """
        net (float[N,8,32,32] x) => (float[N,8,28,28] y) {
            y = MaxPool <kernel_shape = [3,3], dilations = [2,2]> (x)  # drop-unused-indices
        }""",
}


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, MaxPool)
    if not layer.indices:
        return Refusal("it has no indices")
    if site.is_read(layer.indices):
        return Refusal("its indices are read")
    fragment = site.fragment()
    fragment.edit(layer.node, outputs=1)
    return fragment
