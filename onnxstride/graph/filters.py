"""What a layer with a stride, or a Resize, lets fold, with the fixed filters in front of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import floor
from typing import TYPE_CHECKING

import numpy as np

from ..geometry import Axis, output_size
from ..geometry.lowpass import relative_gains
from ..geometry.resampling import Resampling
from ..geometry.sampling import folding_gains, scale_of
from .layers import AveragePool, Conv, Layer, Pool, Resize, Window

if TYPE_CHECKING:
    from ..geometry.lowpass import Filter
    from .graph import Graph

_MOST_STEPS = 16
_IN_PLACE = frozenset(["Identity", "Cast", "Dropout", "Pad", "QuantizeLinear", "DequantizeLinear"])


def filters_before(graph: Graph, layer: Layer) -> Iterator[Filter]:
    """Averages and depthwise convolutions of stride 1 in front of a layer, nearest first.

    Walks back through what leaves elements in place or adds some around them. Stops at anything
    else: a non-linear operator makes new frequencies.
    """
    scope, name = layer.node.scope, layer.input
    for _ in range(_MOST_STEPS):
        node = scope.producer(name)
        if node is None:
            return
        found = _filter(graph, graph.layer_of(node))
        if found is not None:
            yield found
        elif node.op_type not in _IN_PLACE:
            return
        scope, name = node.scope, node.input(0)


def folding_axes(layer: Window) -> tuple[Axis, ...]:
    """The window, without the stride along axes that are known to leave a single output."""
    ceil_mode = isinstance(layer, Pool) and layer.ceil_mode
    return tuple(
        replace(axis, stride=1)
        if size is not None and output_size(size, axis, ceil_mode=ceil_mode) <= 1
        else axis
        for axis, size in zip(layer.axes, layer.sizes, strict=True)
    )


def resize_gain(layer: Resize, axis: int, before: Sequence[Filter]) -> float | None:
    """The largest gain of a Resize along one axis at any folding frequency.

    0 where it folds nothing; None where its scale, or where it reads, is not known.
    """
    resampling = resamplings(layer)[axis]
    if resampling is None:
        return None
    if resampling.ratio >= 1:
        return 0.0
    gains = folding_gains(resampling)
    if gains is None:
        return None
    along = [resampling.ratio.denominator if i == axis else 1 for i in range(layer.rank)]
    total = np.array(gains)
    for taps, window in before:
        total = total * relative_gains(taps, window, along).reshape(-1)[1 : len(gains) + 1]
    return float(total.max())


def resamplings(layer: Resize) -> tuple[Resampling | None, ...]:
    """How a Resize reads along each axis; None where the scale is not known."""
    return tuple(map(partial(_resampling, layer), layer.sizes, layer.scales))


def _resampling(layer: Resize, size: int | None, scale: float | None) -> Resampling | None:
    if scale is None:
        return None
    ratio = scale_of(scale)
    return Resampling(
        ratio,
        layer.coordinates,
        layer.mode,
        layer.nearest_mode,
        layer.antialias,
        size,
        None if size is None else floor(size * ratio),
    )


def _filter(graph: Graph, layer: Layer | None) -> Filter | None:
    if not isinstance(layer, Window) or layer.is_strided:
        return None
    if isinstance(layer, AveragePool):
        return np.ones((1, 1, *layer.kernel)), layer.axes
    if not isinstance(layer, Conv) or layer.group == 1:
        return None
    weight = graph.constant(layer.node, layer.weight)
    # One input channel and one output channel a group: channels stay apart.
    if weight is None or weight.shape[:2] != (layer.group, 1) or weight.shape[2:] != layer.kernel:
        return None
    return weight, layer.axes
