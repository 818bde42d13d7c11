"""Weights and biases of a convolution as real numbers, whatever spelling holds them.

A weight that passes through DequantizeLinear or Cast is followed by the constants themselves. A
quantised operator takes integers, with scale and zero point as inputs of its own: per tensor, or
one per output channel, which is dimension 0 of a convolution's weight and 1 of a transposed
convolution's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..geometry.doubles import doubles
from ..geometry.few import MOST, Few
from .layers import Conv, ConvTranspose
from .scope import Node
from .spellings import SPELLINGS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .graph import Graph


class Weights(NamedTuple):
    """The weights of a layer for its first channels, and how many elements all have."""

    values: NDArray[Any]
    elements: int

    @property
    def share(self) -> float:
        """Share of the elements that ``values`` holds."""
        return self.values.size / self.elements


def weights(
    graph: Graph, layer: Conv | ConvTranspose, at_most: int, *, of_first: str = "inputs"
) -> Weights | str:
    """Weights for as many input channels as make ``at_most`` elements, one at least.

    In the layout of the ONNX operator: input channels are dimension 0 of a transposed
    convolution's weight and 1 of a convolution's. A text says why there are none. With
    ``of_first`` "rows" they are those of the first entries of dimension 0, whatever it is: the
    beginning of the file's bytes, so that no more of them is read than is looked at.
    """
    spelling = SPELLINGS[layer.node.domain, layer.node.op_type]
    if not spelling.kernel_in_weight:
        return "the weights are laid out for one processor"
    whole = graph.constant(layer.node, layer.weight)
    if whole is None:
        return "the weights are not fixed in the file"
    if whole.dtype.kind in "Oc":
        return f"the weights are no real numbers but {_words(whole)}"
    if whole.shape[2:] != layer.kernel or not whole.size:
        return f"weights of shape {list(whole.shape)} do not fit the layer"
    inputs = 0 if isinstance(layer, ConvTranspose) else 1
    cut = 0 if of_first == "rows" and not _is_quantised(layer.node) else inputs
    part = whole if whole.size <= at_most else _first(whole, cut, at_most)
    values = _real(graph, layer.node, part, 1 - inputs)
    if values is None:
        return "the scale or zero point of the weights is not fixed in the file"
    return Weights(values, whole.size)


class Sample(NamedTuple):
    """Weights to measure, ``Few`` of them or an array, and their share of all."""

    values: NDArray[Any] | Few
    share: float


def weights_sample(
    graph: Graph, layer: Conv | ConvTranspose, at_most: int, *, of_first: str = "inputs"
) -> Sample | str:
    """As ``weights``, but without numpy where they are few and stand in the file as they are."""
    spelling = SPELLINGS[layer.node.domain, layer.node.op_type]
    if spelling.kernel_in_weight and not _is_quantised(layer.node):
        rows = graph.first_rows(layer.node, layer.weight, min(at_most, MOST))
        is_cut_by_rows = of_first == "rows" and at_most <= MOST
        if rows is not None and (rows[1] == 1 or is_cut_by_rows):
            few, share = rows
            if few.is_float and few.shape[2:] == layer.kernel:
                return Sample(few, share)
    found = weights(graph, layer, at_most, of_first=of_first)
    return found if isinstance(found, str) else Sample(found.values, found.share)


def _words(array: NDArray[Any]) -> str:
    return "complex" if array.dtype.kind == "c" else "strings"


def _first(whole: NDArray[Any], dim: int, at_most: int) -> NDArray[Any]:
    """The weights of the first channels along a dimension."""
    channel = whole.size // whole.shape[dim]
    return whole[(slice(None),) * dim + (slice(max(1, at_most // channel)),)]


def bias(graph: Graph, layer: Conv) -> NDArray[np.float64] | None:
    """The bias of each output channel, a single 0 for none; None when it is not in the file."""
    if not layer.bias:
        return np.zeros(1)
    value = graph.constant(layer.node, layer.bias)
    if value is None or value.dtype.kind in "Oc" or value.ndim != 1:
        return None
    if not _is_quantised(layer.node):
        return doubles(value)
    scales = [graph.constant(layer.node, layer.node.input(i)) for i in (1, 4)]
    known = [doubles(scale).reshape(-1) for scale in scales if scale is not None]
    if len(known) < 2 or any(scale.size not in (1, value.size) for scale in known):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(value * known[0] * known[1])


def _real(graph: Graph, node: Node, values: NDArray[Any], outputs: int) -> NDArray[Any] | None:
    """Values of quantised weights, ``outputs`` their dimension of output channels."""
    if node.op_type == "ConvInteger":
        return _dequantised(graph, node, values, outputs, ("", node.input(3)))
    if _is_quantised(node):
        return _dequantised(graph, node, values, outputs, (node.input(4), node.input(5)))
    return values


def _dequantised(
    graph: Graph, node: Node, values: NDArray[Any], outputs: int, names: tuple[str, str]
) -> NDArray[Any] | None:
    """(values - zero point) * scale; a name left out stands for 0 or 1."""
    parameters: list[NDArray[Any]] = []
    for name, default in zip(names, (1, 0), strict=True):
        value = graph.constant(node, name) if name else np.full(1, default)
        if value is None or value.size not in (1, values.shape[outputs]):
            return None
        along = [-1 if i == outputs else 1 for i in range(values.ndim)]
        parameters.append(doubles(value).reshape(along))
    scale, zero_point = parameters
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray((values - zero_point) * scale)


def _is_quantised(node: Node) -> bool:
    return node.op_type.startswith("QLinear")
