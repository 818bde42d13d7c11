"""A second opinion: what the rules should find, counted without anything of onnxstride.

Nodes are read with onnx itself, sizes come from onnx's own shape inference over the complete
model, and every figure is found by enumerating taps and windows. Only the definition of each
rule is shared with the product, not one line of its code.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import shape_inference

WINDOWS = {
    "Conv",
    "ConvInteger",
    "QLinearConv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",
    "LpPool",
}
POOLS = {"MaxPool", "AveragePool", "LpPool"}


@dataclass
class Layer:
    """One window operator, its attributes spelled out and its input sizes if they are known."""

    node: Any
    op: str
    kernel: list[int]
    stride: list[int]
    dilation: list[int]
    begin: list[int]
    end: list[int]
    auto_pad: str
    sizes: list[int | None]
    values: dict[str, Any]

    @property
    def taps(self) -> list[list[int]]:
        """Taps per phase of the stride, by enumeration, for every axis."""
        counts = [[0] * s for s in self.stride]
        for axis, k in enumerate(self.kernel):
            for tap in range(k):
                counts[axis][tap * self.dilation[axis] % self.stride[axis]] += 1
        return counts

    @property
    def moving_taps(self) -> list[list[int]]:
        """``taps`` of the axes on which the window meets more than one position."""
        return [t for t, size in zip(self.taps, self.sizes, strict=True) if size != 1]

    def reads(self, axis: int, window: int) -> list[int]:
        start = window * self.stride[axis] - self.begin[axis]
        return [start + tap * self.dilation[axis] for tap in range(self.kernel[axis])]

    def windows(self, axis: int) -> int:
        """Windows along an axis: the largest count of which all fit, or start before the end."""
        size = self.sizes[axis]
        assert size is not None
        count = 0
        while self._exists(axis, count, size):
            count += 1
        return count

    def _exists(self, axis: int, window: int, size: int) -> bool:
        first, last = self.reads(axis, window)[0], self.reads(axis, window)[-1]
        padded_last = size + self.end[axis] - 1
        if window and self.values.get("ceil_mode"):
            # Rounding up: one more as long as the one before left something over, and only if
            # it starts before the end of the data.
            return first < size and last - self.stride[axis] < padded_last
        return last <= padded_last


def count_findings(path: Path) -> Counter[str]:
    """Nodes flagged per code in a model file."""
    return count_in(onnx.load(path))


def count_in(model: onnx.ModelProto) -> Counter[str]:
    """Nodes flagged per code in a model."""
    inferred = shape_inference.infer_shapes(model, data_prop=True)
    counts: Counter[str] = Counter()
    _count_graph(inferred.graph, {}, _opset(model), counts)
    return +counts


def _opset(model: onnx.ModelProto) -> int:
    return next(int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx"))


def _count_graph(
    graph: Any, outer: dict[str, list[int | None]], opset: int, counts: Counter[str]
) -> None:
    shapes = {**outer, **_shapes_in(graph)}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _count_graph(attribute.g, shapes, opset, counts)
        if node.domain not in ("", "ai.onnx"):
            continue
        if node.op_type == "Upsample" or (node.op_type == "Resize" and opset == 10):
            counts["BD307"] += 1
        if node.op_type in WINDOWS:
            layer = _layer(node, shapes)
            if layer is not None:
                _count_layer(layer, counts)


def _shapes_in(graph: Any) -> dict[str, list[int | None]]:
    shapes: dict[str, list[int | None]] = {}
    for value in [*graph.input, *graph.output, *graph.value_info]:
        if value.type.tensor_type.HasField("shape"):
            shapes[value.name] = [d.dim_value or None for d in value.type.tensor_type.shape.dim]
    for tensor in graph.initializer:
        shapes[tensor.name] = list(tensor.dims)
    return shapes


def _layer(node: Any, shapes: dict[str, list[int | None]]) -> Layer | None:
    values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    weight = node.input[3 if node.op_type == "QLinearConv" else 1] if len(node.input) > 1 else ""
    weight_shape = shapes.get(weight)
    stated = values.get("kernel_shape") or (weight_shape[2:] if weight_shape else [])
    kernel = [size for size in stated if size is not None]
    if not kernel or len(kernel) < len(stated):
        return None
    n = len(kernel)
    shape = shapes.get(node.input[0])
    sizes: list[int | None] = list(shape[2:]) if shape else [None] * n
    pads = list(values.get("pads", [0] * 2 * n))
    auto_pad = values.get("auto_pad", b"NOTSET").decode() or "NOTSET"
    layer = Layer(
        node, "Conv" if node.op_type in ("ConvInteger", "QLinearConv") else node.op_type,
        kernel, list(values.get("strides", [1] * n)), list(values.get("dilations", [1] * n)),
        pads[:n], pads[n:], auto_pad, sizes, values,
    )  # fmt: skip
    _pad_automatically(layer)
    return layer


def _pad_automatically(layer: Layer) -> None:
    if layer.auto_pad == "NOTSET":
        return
    n = len(layer.kernel)
    layer.begin, layer.end = [0] * n, [0] * n
    if layer.auto_pad == "VALID" or layer.op == "ConvTranspose":
        return
    for axis, size in enumerate(layer.sizes):
        if size is None:
            continue
        reach = layer.dilation[axis] * (layer.kernel[axis] - 1) + 1
        total = max(0, ((size - 1) // layer.stride[axis]) * layer.stride[axis] + reach - size)
        small, large = total // 2, total - total // 2
        upper = layer.auto_pad == "SAME_UPPER"
        layer.begin[axis], layer.end[axis] = (small, large) if upper else (large, small)


def _count_layer(layer: Layer, counts: Counter[str]) -> None:
    strided = any(s > 1 for s in layer.stride)
    holes = any(0 in taps for taps in layer.moving_taps)
    if layer.op == "ConvTranspose":
        uneven = any(len(set(taps)) > 1 for taps in layer.moving_taps)
        counts["UP102"] += holes
        counts["UP101"] += uneven and not holes
        same = layer.auto_pad.startswith("SAME")
        counts["UP105"] += same or "output_shape" in layer.values
        surplus = _deconv_surplus(layer)
        counts["UP107"] += surplus is not None and any(more > 0 for more in surplus)
        refused = (
            surplus is not None
            and "output_shape" in layer.values
            and any(more >= s for more, s in zip(surplus, layer.stride, strict=True) if more > 0)
        )
        padding = layer.values.get("output_padding", [0] * len(layer.kernel))
        too_much = any(p >= s for p, s in zip(padding, layer.stride, strict=True) if p)
        counts["BD306"] += refused or ("output_shape" not in layer.values and too_much)
        return
    counts["DN201"] += layer.op == "MaxPool" and strided
    counts["DN202"] += holes
    counts["DN208"] += any(len(set(taps)) > 1 for taps in layer.taps)
    counts["BD302"] += strided and layer.auto_pad.startswith("SAME")
    if layer.op == "MaxPool":
        dilated = any(d > 1 for d in layer.dilation)
        indices = len(layer.node.output) > 1 and bool(layer.node.output[1])
        counts["BD304"] += dilated or indices or layer.values.get("storage_order", 0) == 1
    if layer.op in POOLS:
        pads = zip(layer.begin, layer.end, layer.kernel, strict=True)
        counts["BD306"] += layer.auto_pad == "NOTSET" and any(max(b, e) >= k for b, e, k in pads)
    _count_sized(layer, strided, counts)


def _deconv_surplus(layer: Layer) -> list[int] | None:
    """Outputs beyond the last tap, along each axis; None when the padding is not known."""
    padding = layer.values.get("output_padding", [0] * len(layer.kernel))
    wanted = layer.values.get("output_shape")
    if layer.auto_pad.startswith("SAME") and wanted is None:
        wanted = [
            None if n is None else n * s for n, s in zip(layer.sizes, layer.stride, strict=True)
        ]
    if wanted is None:
        return [p - e for p, e in zip(padding, layer.end, strict=True)]
    if None in layer.sizes:
        return None
    surplus = []
    for axis, size in enumerate(layer.sizes):
        assert size is not None
        reached = (
            layer.stride[axis] * (size - 1) + layer.dilation[axis] * (layer.kernel[axis] - 1) + 1
        )
        total = reached + padding[axis] - wanted[axis]
        crop = total // 2 if total > 0 and layer.auto_pad != "SAME_UPPER" else -(-total // 2)
        implicit = "output_shape" in layer.values or total > 0
        surplus.append(padding[axis] - (crop if total > 0 else total if implicit else 0))
    return surplus


def _count_sized(layer: Layer, strided: bool, counts: Counter[str]) -> None:
    dropped = lopsided = False
    for axis, size in enumerate(layer.sizes):
        if size is None:
            continue
        windows = layer.windows(axis)
        if not windows:
            continue
        last = layer.reads(axis, windows - 1)[-1]
        dropped |= last < size - 1
        declared_evenly = layer.begin[axis] == layer.end[axis] > 0 and layer.stride[axis] > 1
        if declared_evenly and layer.auto_pad == "NOTSET" and last >= size - 1:
            lopsided |= last - (size - 1) != layer.begin[axis]
    counts["DN203"] += strided and dropped
    counts["DN204"] += lopsided
    spans = [d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel, strict=True)]
    counts["SZ402"] += any(
        span > size or (span > size + b + e)
        for span, size, b, e in zip(spans, layer.sizes, layer.begin, layer.end, strict=True)
        if size is not None
    )
