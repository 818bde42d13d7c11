"""Blurs: finding the place of one behind a convolution, building one, and telling one."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..graph.layers import Conv
from ..graph.scope import DEFAULT_DOMAIN, Node
from .fragment import Fragment
from .pieces import padded
from .site import Site

_ACTIVATIONS = frozenset(
    (
        *("Celu", "Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish"),
        *("PRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Swish", "Tanh"),
        "ThresholdedRelu",
    )
)
_GATES = frozenset(("Sigmoid", "HardSigmoid", "Tanh"))
"""What x may be multiplied with as an activation of two nodes."""

_ROUGHLY = 1e-3


def activation_of(site: Site, node: Node) -> tuple[Node, ...]:
    """The nodes of the activation that alone reads what ``node`` makes; none where there is none.

    A BatchNormalization in between is the first of them.
    """
    found = _activation(site, node)
    if found:
        return found
    readers = site.scope.consumers(node.output(0))
    if len(readers) != 1 or not _alone_reads(site, node, readers[0]):
        return ()
    normalised = readers[0]
    if normalised.op_type != "BatchNormalization" or any(normalised.outputs[1:]):
        return ()
    behind = _activation(site, normalised)
    return (normalised, *behind) if behind else ()


def _activation(site: Site, node: Node) -> tuple[Node, ...]:
    """One node, or a gate and the Mul that applies it."""
    name = node.output(0)
    readers = site.scope.consumers(name)
    if not all(_alone_reads(site, node, reader) for reader in readers):
        return ()
    if len(readers) == 1 and readers[0].op_type in _ACTIVATIONS:
        return tuple(readers) if _is_alike_everywhere(site, readers[0]) else ()
    gates = [reader for reader in readers if reader.op_type in _GATES]
    products = [reader for reader in readers if reader.op_type == "Mul"]
    if len(readers) != len(gates) + len(products) or (len(gates), len(products)) != (1, 1):
        return ()
    is_gated = set(products[0].inputs) == {name, gates[0].output(0)}
    return (gates[0], products[0]) if is_gated and _only_feeds(site, *gates, *products) else ()


def _alone_reads(site: Site, node: Node, reader: Node) -> bool:
    """True when the graph does not hand out what ``node`` makes, and ``reader`` is beside it."""
    if site.scope.is_output(node.output(0)) or reader.scope is not site.scope:
        return False
    return reader.domain == DEFAULT_DOMAIN and node.output(0) in reader.inputs


def _only_feeds(site: Site, gate: Node, product: Node) -> bool:
    name = gate.output(0)
    return site.scope.consumers(name) == [product] and not site.scope.is_output(name)


def _is_alike_everywhere(site: Site, node: Node) -> bool:
    """True when no parameter of the activation differs from place to place."""
    for name in filter(None, node.inputs[1:]):
        value = site.graph.constant(node, name)
        if value is None or prod(value.shape[-site.layer.rank :]) != 1:
            return False
    return True


def blur_lengths(strides: Sequence[int], taps: int) -> list[int]:
    """Taps along each axis of the filter that ``blurred`` takes."""
    return [stride + taps - 2 if stride > 1 else 1 for stride in strides]


def blurred(
    fragment: Fragment,
    opset: int,
    source: str,
    channels: int,
    strides: Sequence[int],
    taps: int,
    *,
    dtype: DTypeLike,
) -> str:
    """Every s-th element of a map behind a smoothing filter along the axes that have a stride.

    The filter averages s neighbours, which leaves nothing at the frequencies 2 pi m / s that would
    fold onto a constant, and then two neighbours ``taps - 2`` times; at stride 2 that is the
    binomial filter of so many taps. The map is continued by its edge: of a filter of m taps by
    (m - 1) // 2 elements before and the rest of m - 1 behind, so that D elements come out as
    (D - 1) // s + 1.
    """
    lengths = blur_lengths(strides, taps)
    ends = {i: ((m - 1) // 2, m - 1 - (m - 1) // 2) for i, m in enumerate(lengths) if m > 1}
    source = padded(fragment, opset, source, len(strides), ends, mode="edge")
    kernel = np.ones((channels, 1, *[1] * len(lengths)))
    for i, m in enumerate(lengths):
        along = [-1 if axis == i else 1 for axis in range(len(lengths))]
        kernel = kernel * smoothing(m, strides[i]).reshape(along)
    return fragment.add(
        "Conv",
        [source, fragment.constant(kernel.astype(dtype), "blur_weight")],
        label="blur",
        kernel_shape=lengths,
        strides=list(strides),
        group=channels,
    )


def smoothing(taps: int, stride: int) -> NDArray[np.float64]:
    """An average of ``stride`` elements, and averages of two on top of it; its sum is 1."""
    kernel = np.full(stride, 1 / stride)
    for _ in range(taps - stride):
        kernel = np.convolve(kernel, [0.5, 0.5])
    return kernel


def is_average(site: Site, layer: Conv) -> bool:
    """True when every channel is averaged on its own: weights of one sign that add up to 1."""
    shape = site.scope.shape(layer.weight)
    if not shape or shape[0] != layer.group or shape[1] != 1:
        return False
    weight: NDArray[Any] | None = site.constant(layer.weight)
    if weight is None or weight.dtype.kind != "f" or weight.min() < 0:
        return False
    sums = weight.reshape(len(weight), -1).sum(axis=1, dtype=np.float64)
    return bool(np.abs(sums - 1).max() < _ROUGHLY)
