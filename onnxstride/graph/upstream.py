"""The convolution that feeds a pixel shuffle, and what is done to each channel in between.

Operators on the way are folded into the filters as long as they treat a channel alike wherever
it is:

1. Copies, casts and quantisation change nothing.
2. Arithmetic with constants and batch normalisation, one number for all or one per channel: a
   filter is multiplied, a bias multiplied and moved.
3. Relu, LeakyRelu and PRelu let a positive factor through, so factors behind them still fold.
   The slopes of a PRelu are factors of its negative side, which counts as a second set of
   filters. What is added behind the activation is an offset of its own.
4. Any other activation that treats all channels alike (Sigmoid, Tanh, Clip) answers equal phases
   with equal phases. Equal factors behind it do not matter; unequal ones cannot be folded.

With an activation on the way the filters and their bias tell about its input: how much of their
pattern it lets through depends on the input, and none of it comes from equal phases.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from ..errors import ModelError
from ..geometry.doubles import doubles
from ..geometry.ripple import Ripple
from ..geometry.subpixel import (
    Offset,
    phase_channels,
    read_alike,
    subpixel_ripple,
    worst_offset,
)
from .attributes import Unknown, integer, number, text
from .layers import Conv, Shuffle
from .scope import DEFAULT_DOMAIN, Node
from .weights import Weights, bias, weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .graph import Graph

_MICROSOFT = "com.microsoft"
_COPIES = frozenset(["Cast", "DequantizeLinear", "Dropout", "Identity", "QuantizeLinear"])
_ARITHMETIC = frozenset(["Add", "Div", "Mul", "Sub"])
_HOMOGENEOUS = frozenset(["LeakyRelu", "PRelu", "Relu"])
_ACTIVATIONS = _HOMOGENEOUS | frozenset(
    ["Abs", "Celu", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Mish",
     "ScaledTanh", "Selu", "Sigmoid", "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu"]
)  # fmt: skip
_FUSED = frozenset(["FusedConv", "NhwcFusedConv"])
_FOLDED = _COPIES | _ARITHMETIC | _ACTIVATIONS | {"BatchNormalization", "Neg"}
_ALIKE = 1e-6  # relative: factors that went through float32

_Floats: TypeAlias = "NDArray[np.float64]"


class Feed(NamedTuple):
    """A convolution as it arrives at the shuffle.

    Attributes:
        conv: the convolution, and ``weights`` its weights.
        phases: convolution channel of each phase and output channel: shape (b_1, .., b_n, C).
            Blocks along an axis with a single input position count as output channels.
        scales: what the filters are multiplied by, one or one per filter; a second entry for
            the negative side of a PRelu whose slopes differ between phases.
        offsets: what is added, one or one per filter: the bias, then what is added behind each
            activation; None where the file does not say.
        through: the activations on the way, from the convolution on.
    """

    conv: Conv
    weights: Weights
    phases: NDArray[np.intp]
    scales: tuple[_Floats, ...]
    offsets: tuple[_Floats | None, ...]
    through: tuple[str, ...]

    def ripple(self) -> Ripple | None:
        """Ripple of the phase gains, on the side of a PRelu that ripples more.

        Nan as soon as one side's is; None when phases of one output channel read different
        inputs of a grouped convolution, so that its weights alone do not tell.
        """
        if not read_alike(self.phases, self.conv.group):
            return None
        sides = [subpixel_ripple(self.weights.values, self.phases, each) for each in self.scales]
        return max(sides, key=lambda side: (isnan(side.total), side.total))

    def offset(self) -> Offset | None:
        """The offsets that are least even over the phases; None when none are known."""
        known = [worst_offset(each, self.phases) for each in self.offsets if each is not None]
        return max(known, key=lambda each: (isnan(each.share), each.share), default=None)


class _Unfoldable(Exception):
    """Why the phases cannot be compared at a convolution."""


def feed(graph: Graph, shuffle: Shuffle, at_most: int) -> Feed | str | None:
    """The convolution that a depth-to-space ``shuffle`` rearranges, with ``at_most`` weights.

    None when no operator computes what it rearranges; a text says why there is nothing to look
    at though one does.
    """
    try:
        found = _way_up(graph, shuffle)
        return None if found is None else _folded(graph, shuffle, *found, at_most)
    except (_Unfoldable, ModelError, Unknown) as reason:
        return str(reason)


def _way_up(graph: Graph, shuffle: Shuffle) -> tuple[Conv, list[Node]] | None:
    """The convolution, and the nodes from the shuffle up to it."""
    scope, name = shuffle.node.scope, shuffle.input
    way: list[Node] = []
    while (node := scope.producer(name)) is not None and node not in way:
        layer = graph.layer_of(node)
        if isinstance(layer, Conv):
            return layer, way
        known = node.domain == DEFAULT_DOMAIN or (
            node.domain == _MICROSOFT and node.op_type in ("DequantizeLinear", "QuantizeLinear")
        )
        if not known or node.op_type not in _FOLDED:
            raise _Unfoldable(f"{node.op_type} {node.name!r} stands between it and any convolution")
        way.append(node)
        scope, name = node.scope, node.input(_map_position(graph, node))
    return None


def _map_position(graph: Graph, node: Node) -> int:
    """Which input of an operator is the map, the other being a constant."""
    if node.op_type in _ARITHMETIC and graph.constant(node, node.input(0)) is not None:
        return 1
    return 0


def _folded(graph: Graph, shuffle: Shuffle, conv: Conv, way: list[Node], at_most: int) -> Feed:
    found = weights(graph, conv, at_most)
    if isinstance(found, str):
        raise _Unfoldable(f"{conv.op} {conv.ref.name!r} feeds it, and {found}")
    channels = found.values.shape[0]
    if channels % np.prod(shuffle.blocks):
        raise _Unfoldable(f"{channels} channels do not divide into its blocks")
    alone = [i for i, size in enumerate(shuffle.sizes) if size == 1]
    phases = phase_channels(shuffle.blocks, channels, shuffle.mode, alone)
    fold = _Fold(graph, channels, phases.reshape(-1, phases.shape[-1]))
    for node in way:
        fold.take(node, conv.rank + 2)
    fold.take_conv(conv)
    scales = (fold.scale,) if fold.is_alike(fold.slopes) else (fold.scale, fold.scale * fold.slopes)
    return Feed(conv, found, phases, scales, tuple(fold.offsets), tuple(fold.through))


class _Fold:
    """Factors and offsets, from the shuffle up to where the way has been taken."""

    def __init__(self, graph: Graph, channels: int, phases: NDArray[np.intp]) -> None:
        self._graph = graph
        self._channels = channels
        self._phases = phases
        self.scale = np.ones(1)
        self.slopes = np.ones(1)
        self.offsets: list[_Floats | None] = [np.zeros(1)]
        self.through: list[str] = []

    def take(self, node: Node, rank: int) -> None:
        """Fold one operator."""
        if node.op_type in _ACTIVATIONS:
            self._activation(node.op_type, node)
            if node.op_type == "PRelu":
                self.slopes = self.slopes * self._constant(node, 1, rank)
        elif node.op_type in _ARITHMETIC:
            self._affine(*self._arithmetic(node, rank))
        elif node.op_type == "BatchNormalization":
            self._affine(*self._normalisation(node))
        elif node.op_type == "Neg":
            self._affine(np.full(1, -1.0), np.zeros(1))

    def take_conv(self, conv: Conv) -> None:
        """Fold what the convolution itself adds or does after its sums."""
        if conv.node.op_type in _FUSED:
            if conv.node.input(3):
                raise _Unfoldable(f"{conv.ref.name!r} adds another map to its sums")
            activation = text(conv.node, "activation", "")
            if activation:
                self._activation(activation, conv.node)
        added = bias(self._graph, conv)
        if added is None or added.size not in (1, self._channels):
            self.offsets[0] = None
        elif self.offsets[0] is not None:
            self.offsets[0] = self.offsets[0] + self.scale * added

    def is_alike(self, factors: _Floats) -> bool:
        """True when the phases of every output channel have the same factor."""
        if factors.size == 1:
            return True
        by_phase = factors[self._phases]
        return bool(np.allclose(by_phase, by_phase[:1], rtol=_ALIKE, atol=0))

    def _affine(self, factor: _Floats, added: _Floats) -> None:
        if self.offsets[0] is not None:
            self.offsets[0] = self.offsets[0] + self.scale * added
        self.scale = self.scale * factor

    def _activation(self, op_type: str, node: Node) -> None:
        lets_through = op_type in _HOMOGENEOUS and bool((self.scale > 0).all())
        if not lets_through:
            if not (self.is_alike(self.scale) and self.is_alike(self.slopes)):
                raise _Unfoldable(f"factors behind {op_type} {node.name!r} differ between phases")
            self.scale, self.slopes = np.ones(1), np.ones(1)
        self.offsets.insert(0, np.zeros(1))
        self.through.insert(0, op_type)

    def _arithmetic(self, node: Node, rank: int) -> tuple[_Floats, _Floats]:
        """Factor and summand of a node that joins the map with a constant."""
        position = _map_position(self._graph, node)
        constant = self._constant(node, 1 - position, rank)
        if node.op_type == "Add":
            return np.ones(1), constant
        if node.op_type == "Mul":
            return constant, np.zeros(1)
        if node.op_type == "Sub":
            return (np.ones(1), -constant) if position == 0 else (np.full(1, -1.0), constant)
        if position == 1:
            raise _Unfoldable(f"{node.op_type} {node.name!r} divides by the map")
        with np.errstate(divide="ignore"):
            return 1 / constant, np.zeros(1)

    def _normalisation(self, node: Node) -> tuple[_Floats, _Floats]:
        epsilon = number(node, "epsilon")
        if integer(node, "training_mode", 0) == 1:
            raise _Unfoldable(f"{node.op_type} {node.name!r} normalises by the map's own mean")
        gain, shift, mean, variance = (self._constant(node, i, 1) for i in (1, 2, 3, 4))
        factor = gain / np.sqrt(variance + (1e-5 if epsilon is None else epsilon))
        return factor, shift - mean * factor

    def _constant(self, node: Node, position: int, rank: int) -> _Floats:
        """A constant as one number, or one per channel; ``rank`` 1 for a list of channels."""
        value: NDArray[Any] | None = self._graph.constant(node, node.input(position))
        if value is None or value.dtype == object:
            raise _Unfoldable(f"{node.op_type} {node.name!r} joins it with another map")
        if value.size == 1:
            return doubles(value).reshape(1)
        shape = (1,) * (rank - value.ndim) + value.shape
        channel = 0 if rank == 1 else 1
        if len(shape) != rank or shape[channel] != value.size or value.size != self._channels:
            raise _Unfoldable(
                f"{node.op_type} {node.name!r} has a constant of shape {list(value.shape)}, not "
                f"one number per channel"
            )
        return doubles(value).reshape(-1)
