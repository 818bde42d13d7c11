"""What a rewrite of a convolution has to know first: its weights and its padding.

A convolution can be rewritten where its weights are in the file as plain numbers and its padding
is known; both are looked up here, or there is a reason why not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ..geometry import Axis, same_padding, tap_range, transposed_padding
from ..graph.layers import AutoPad, Conv, ConvTranspose
from ..rewrite import Refusal
from .refusals import MOST_MADE_UP

if TYPE_CHECKING:
    from ..graph.scope import Node, Scope
    from .site import Site

MOST_WEIGHTS = 2**27
"""Elements beyond which new weights are not built: half a gigabyte of float32."""

_MOST_GROWTH = 16
"""Times that a large weight may grow: a stride of 4 along two axes, under a kernel of 1."""

_LONGEST_KERNEL = 2**16
"""Taps along one axis; a file of few bytes can ask for any number of equal weights."""

_MAX_STEPS = 32
_COPIES = ("Identity", "Cast")


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights and bias of a convolution, the bias None where it has none."""

    weight: NDArray[Any]
    bias: NDArray[Any] | None


def fixed_weights(site: Site, layer: Conv | ConvTranspose) -> Weights | Refusal:
    """The weights that the file fixes; or why a rewrite has to leave them alone."""
    node = layer.node
    if node.domain or node.op_type != layer.op:
        kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        return Refusal(f"{kind} computes in its own way: only {layer.op} itself can be rewritten")
    for name, what in ((layer.weight, "weights"), (layer.bias, "bias")):
        reason = _not_fixed(site, name)
        if reason:
            return Refusal(f"its {what} {'are' if what == 'weights' else 'is'} {reason}")
    weight = site.constant(layer.weight)
    bias = site.constant(layer.bias) if layer.bias else None
    assert weight is not None
    if weight.dtype.name not in ("float32", "float16"):
        kinds = "only float32 and float16 can be rewritten"
        return Refusal(f"the element type is {weight.dtype}: {kinds}")
    if weight.size > MOST_WEIGHTS or max(layer.kernel) > _LONGEST_KERNEL:
        return Refusal(f"weights of shape {list(weight.shape)} are too many to rewrite")
    misfit = _misfit(layer, weight, bias)
    return Refusal(misfit) if misfit else Weights(weight, bias)


def _not_fixed(site: Site, name: str) -> str:
    if not name:
        return ""
    if _is_dequantised(site.scope, name):
        return "dequantised when the model runs, and would lose the integers they are stored in"
    if site.constant(name) is None:
        return "computed when the model runs, or missing from the file"
    return ""


def _is_dequantised(scope: Scope, name: str) -> bool:
    """True when a DequantizeLinear makes the tensor, copies and calls in between left out."""
    for _ in range(_MAX_STEPS):
        producer = scope.producer(name)
        if producer is None:
            outside = (scope.home(name) or scope).argument(name)
            if outside is None:
                return False
            scope, name = outside
        elif producer.op_type in _COPIES:
            scope, name = producer.scope, producer.input(0)
        else:
            return producer.op_type == "DequantizeLinear"
    return False


def _misfit(layer: Conv | ConvTranspose, weight: NDArray[Any], bias: NDArray[Any] | None) -> str:
    """What is wrong with the shapes; runtimes refuse it, the checker of onnx does not."""
    inputs, outputs = _channels(layer, weight)
    if weight.shape[2:] != layer.kernel or not weight.size:
        return f"weights of shape {list(weight.shape)} do not fit a kernel of {list(layer.kernel)}"
    if weight.shape[0] % layer.group:
        return f"weights of shape {list(weight.shape)} do not fall into {layer.group} groups"
    shape = layer.node.scope.shape(layer.input)
    found = shape[1] if shape is not None and len(shape) == layer.rank + 2 else None
    if isinstance(found, int) and found != inputs:
        return f"its weights read {inputs} channels, and its input has {found}"
    if bias is not None and bias.shape != (outputs,):
        return f"a bias of shape {list(bias.shape)} does not fit {outputs} output channels"
    return ""


def _channels(layer: Conv | ConvTranspose, weight: NDArray[Any]) -> tuple[int, int]:
    """Channels that weights of this shape read and write."""
    first, second = weight.shape[0], weight.shape[1] * layer.group
    return (first, second) if isinstance(layer, ConvTranspose) else (second, first)


def terms(layer: Conv | ConvTranspose, weights: Weights) -> int:
    """Most products, and the bias, that are added up in one output."""
    shape = weights.weight.shape
    if isinstance(layer, Conv):
        return prod(shape[1:]) + bool(layer.bias)
    taps = prod(tap_range(axis)[1] for axis in layer.axes)
    return int(shape[0]) // layer.group * taps + bool(layer.bias)


def too_many(old: NDArray[Any], new: Iterable[int]) -> Refusal | None:
    """Why weights of the shape ``new`` are not built; None when they are few enough."""
    count = prod(new)
    if count <= min(MOST_WEIGHTS, max(MOST_MADE_UP, _MOST_GROWTH * old.size)):
        return None
    return Refusal(f"its weights would grow from {old.size:,} to {count:,} elements")


def stated_axes(layer: ConvTranspose) -> tuple[Axis, ...] | Refusal:
    """The window with all padding in its axes, or why that is not known.

    Without output_shape the padding of SAME is K + op - s in all, whatever the input size. An
    end below zero is an output that goes on beyond the last tap, as ``transposed_padding`` has it.
    """
    axes = layer.axes
    if layer.output_shape is None and layer.auto_pad.is_same:
        if any(_asks_for_less(*pair) for pair in zip(axes, layer.output_padding, strict=True)):
            return Refusal("runtimes differ on SAME with a kernel smaller than its stride")
        upper = layer.auto_pad is AutoPad.SAME_UPPER
        axes = tuple(
            transposed_padding(1, axis, op, axis.stride, upper=upper)
            for axis, op in zip(axes, layer.output_padding, strict=True)
        )
    elif layer.output_shape is not None and None in layer.sizes:
        return Refusal("its padding depends on an input size that is not known")
    for axis, op in zip(axes, layer.output_padding, strict=True):
        beyond = op + max(0, -axis.end)
        if beyond and beyond >= axis.stride:
            return Refusal("runtimes refuse an output that reaches a stride beyond the last tap")
    return axes


def _asks_for_less(axis: Axis, output_padding: int) -> bool:
    """True when input size x stride is more than the taps reach."""
    return output_padding + axis.extent < axis.stride


def dense_axes(layer: Conv) -> tuple[Axis, ...]:
    """The window of a convolution with stride 1, whose SAME padding is K - 1 at every size."""
    if not layer.auto_pad.is_same:
        return layer.axes
    lower = layer.auto_pad is AutoPad.SAME_LOWER
    return tuple(same_padding(1, axis, lower=lower) for axis in layer.axes)


def feeding(
    site: Site, names: Iterable[str], *, kept: Collection[str] = (), also: Collection[Node] = ()
) -> tuple[Node, ...]:
    """The nodes that make these tensors and serve nothing but the nodes that go.

    Those are the site's own node, ``also``, and the nodes found; what makes a tensor of ``kept``
    stays. With them a weight out of a Constant node, or the computed target of a Reshape, goes.
    """
    going = {site.node, *also}
    found: list[Node] = []
    waiting = list(names)
    while True:
        producers = map(
            site.scope.producer, [name for name in waiting if name and name not in kept]
        )
        ready = {
            node: None for node in producers if node is not None and _serves_only(node, site, going)
        }
        if not ready:
            return tuple(found)
        going.update(ready)
        found += ready
        waiting += [name for node in ready for name in node.inputs]


def _serves_only(node: Node, site: Site, going: Collection[Node]) -> bool:
    if node in going or node.scope is not site.scope:
        return False
    return all(
        set(site.scope.consumers(name)) <= set(going) and not site.scope.is_output(name)
        for name in node.outputs
        if name
    )
