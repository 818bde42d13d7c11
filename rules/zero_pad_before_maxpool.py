"""Zero padding before a max pool, which optimisers fold into the pool and change.

What is flagged
    A Pad with constant zeros along spatial axes whose result goes straight into a MaxPool with
    stated pads, where the padded map may hold negative values.

Why it hurts
    MaxPool pads with minus infinity, not with zero. ONNX Runtime up to 1.31 at every optimisation
    level above none, and onnxoptimizer, fold such a Pad into the pool's own pads: windows at the
    border that would have returned 0 then return a negative value. The model computes one thing
    unoptimised and another in deployment. Where the padding is as large as the kernel, the
    folded pool is refused and the model does not load; with ceil_mode the output can shrink.

What to do
    Apply the activation before the Pad, pad with the lowest value instead (and then use the
    pool's pads), or keep the optimiser from seeing a constant Pad.

When to leave it alone
    Where the map is never negative, after a ReLU for instance, both readings agree, and the rule
    is silent. ONNX Runtime 1.32 does not fold it any more: where nothing older runs the model, and
    nothing else has optimised it.

References
    Measured with ONNX Runtime 1.31.1 and 1.32.0 and onnxoptimizer 0.4.2.
"""

from collections.abc import Iterator, Sequence

from onnxstride.api import (
    Axis,
    Finding,
    Graph,
    MaxPool,
    Node,
    Remedy,
    Rule,
    Safety,
    Severity,
    Skip,
    border,
    is_never_negative,
    may_start_in_padding,
    output_size,
)

RULE = Rule(
    "BD303",
    "zero-pad-before-maxpool",
    Severity.ERROR,
    on=(MaxPool,),
    remedies=(Remedy("guard-zero-pad", Safety.EXACT),),
)

BAD = {
    "a map of either sign": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <int64[8] pads = {0,0,1,1,0,0,1,1}> {
            p = Pad (x, pads)
            y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (p)  # BD303
        }""",
    "with ceil_mode a window of zeros alone goes missing, whatever the sign": """
        net (float[1,8,4,4] x) => (float[1,8,3,3] y) <int64[8] pads = {0,0,0,0,0,0,1,1}> {
            r = Relu (x)
            p = Pad (r, pads)
            y = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [0,0,1,1], ceil_mode = 1> (p)  # BD303
        }""",
    "padding as large as the kernel is refused once folded, whatever the sign": """
        net (float[1,8,32,32] x) => (float[1,8,18,18] y) <int64[8] pads = {0,0,2,2,0,0,2,2}> {
            r = Relu (x)
            p = Pad (r, pads)
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (p)  # BD303
        }""",
}
GOOD = {
    "a map that is never negative": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <int64[8] pads = {0,0,1,1,0,0,1,1}> {
            r = Relu (x)
            p = Pad (r, pads)
            y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (p)
        }""",
    "padding of another value is left alone": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y)
        <int64[8] pads = {0,0,1,1,0,0,1,1}, float low = {-1000000.0}> {
            p = Pad (x, pads, low)
            y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (p)
        }""",
    "padding by reflection is left alone": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) <int64[8] pads = {0,0,1,1,0,0,1,1}> {
            p = Pad <mode = "reflect"> (x, pads)
            y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (p)
        }""",
    "another reader of the padded map keeps it from being folded": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y, float[1,8,34,34] z)
        <int64[8] pads = {0,0,1,1,0,0,1,1}> {
            p = Pad (x, pads)
            y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (p)
            z = Relu (p)
        }""",
    "no window reaches padding at the end alone": """
        net (float[1,8,6,6] x) => (float[1,8,3,3] y) <int64[8] pads = {0,0,0,0,0,0,1,1}> {
            p = Pad (x, pads)
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (p)
        }""",
    "MaxPool's own pads": """
        net (float[1,8,32,32] x) => (float[1,8,16,16] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x)
        }""",
}


def check(layer: MaxPool, graph: Graph) -> Iterator[Finding | Skip]:
    scope = layer.node.scope
    pad = scope.producer(layer.input)
    if pad is None or pad.op_type != "Pad" or not _may_be_folded(layer, pad):
        return
    pads = _zero_pads(pad, graph, layer.rank)
    if pads is None:
        return
    folded = [
        axis.padded(axis.begin + begin, axis.end + end)
        for axis, begin, end in zip(layer.axes, pads, pads[layer.rank :], strict=False)
    ]
    effect = _effect(layer, folded, pads, pad, graph)
    if effect is None:
        return
    yield RULE.flag(
        layer.ref,
        f"Pad {pad.name!r} puts zeros {pads} around the map, and optimisers fold them into this "
        f"MaxPool, which pads with minus infinity: {effect}. Activate before padding, or pad with "
        f"the lowest value.",
        pad=pad.name,
        pads=pads,
    )


def _effect(
    layer: MaxPool, folded: list[Axis], pads: list[int], pad: Node, graph: Graph
) -> str | None:
    """What goes wrong once the Pad is folded; None when nothing does."""
    if any(max(axis.begin, axis.end) >= axis.kernel for axis in folded):
        return "the folded pads reach the kernel and the model is refused"
    added = [begin + end for begin, end in zip(pads, pads[layer.rank :], strict=False)]
    if layer.ceil_mode and any(
        _loses_window(size, more, own, merged)
        for size, more, own, merged in zip(layer.sizes, added, layer.axes, folded, strict=True)
    ):
        return "ceil_mode then makes fewer windows, and the output is smaller"
    if _changes_result(layer, folded, pads, pad, graph):
        return "negative borders then differ from the unoptimised model"
    return None


def _loses_window(padded_size: int | None, added: int, own: Axis, folded: Axis) -> bool:
    """True when a window that starts in the zeros is made before folding, and not after."""
    if padded_size is None:
        return bool(added) and may_start_in_padding(folded)
    before = output_size(padded_size, own, ceil_mode=True)
    return before != output_size(padded_size - added, folded, ceil_mode=True)


def _may_be_folded(layer: MaxPool, pad: Node) -> bool:
    """True when MaxPools alone read the Pad, and padding can be added to theirs."""
    scope = layer.node.scope
    only_pools = all(node.op_type == "MaxPool" for node in scope.consumers(layer.input))
    return layer.auto_pad.value == "NOTSET" and only_pools and not scope.is_output(layer.input)


def _zero_pads(pad: Node, graph: Graph, rank: int) -> list[int] | None:
    """Spatial pads of a Pad that adds constant zeros; None for any other."""
    mode = pad.attributes.get("mode")
    if mode is not None and mode.s not in (b"", b"constant"):
        return None
    pads, value = _pads(pad, graph), _value(pad, graph)
    if pads is None or value != 0 or len(pads) != 2 * (rank + 2) or min(pads) < 0:
        return None
    spatial = [*pads[2 : 2 + rank], *pads[4 + rank :]]
    channels = [*pads[:2], *pads[2 + rank : 4 + rank]]
    return spatial if any(spatial) and not any(channels) else None


def _pads(pad: Node, graph: Graph) -> list[int] | None:
    stated = pad.attributes.get("pads") or pad.attributes.get("paddings")
    if stated is not None:
        return list(stated.ints)
    if pad.input(3):
        return None  # pads for some axes only: not a form that is folded
    few = graph.few(pad, pad.input(1))
    return None if few is None else [int(entry) for entry in few.values]


def _value(pad: Node, graph: Graph) -> float | None:
    stated = pad.attributes.get("value")
    if stated is not None:
        return float(stated.f)
    if not pad.input(2):
        return 0.0
    few = graph.few(pad, pad.input(2), at_most=1)
    return float(few.values[0]) if few is not None and few.size == 1 else None


def _changes_result(
    layer: MaxPool, folded: list[Axis], pads: Sequence[int], pad: Node, graph: Graph
) -> bool:
    if is_never_negative(graph, pad, pad.input(0)):
        return False
    return any(
        _reads_padding(size, axis, begin, end, ceil_mode=layer.ceil_mode)
        for size, axis, begin, end in zip(
            layer.sizes, folded, pads, pads[layer.rank :], strict=False
        )
    )


def _reads_padding(
    padded_size: int | None, axis: Axis, begin: int, end: int, *, ceil_mode: bool
) -> bool:
    """True when a window covers any of the zeros along one axis, or may."""
    if begin or padded_size is None:
        return bool(begin or end)
    found = border(padded_size - begin - end, axis, ceil_mode=ceil_mode)
    return bool(end) and found is not None and found.padding_end > 0
