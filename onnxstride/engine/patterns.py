"""What layers that enlarge by weights of their own make of a flat map, drawn over one period.

Away from the border output o of such a layer belongs to phase o mod s, s its stride or block. To
a constant input phase r adds G_r, an (input, output channel) matrix of gains; see
``geometry.ripple``. With Gbar their mean over the phases, the deviations G_r - Gbar are a matrix
of phases by channel pairs, whose largest singular value belongs to the pattern that the weights
make most of: u over the phases, v over the channel pairs. Drawn is

    sigma u_r / |Gbar|,   its sign such that v Gbar >= 0: positive where it adds to the constant.

With one input and one output channel that is (G_r - Gbar) / Gbar itself. In general it holds the
share sigma^2 / sum sigma_i^2 of the power that the ripple figure states.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isnan, nan, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..geometry import Axis, taps_per_phase
from ..geometry.ripple import Ripple, phase_gains, random_ripple_db, transposed_ripple
from ..geometry.subpixel import Offset, subpixel_ripple
from ..graph import Graph
from ..graph.layers import ConvTranspose, Shuffle
from ..graph.ripples import MEASURED_ELEMENTS
from ..graph.upstream import Feed, feed
from ..graph.weights import weights
from ..rule import NodeRef

MOST_PHASES = 1024
"""Phases of a pattern that is still drawn."""

_FED_ELEMENTS = 1 << 20  # as many as the rule about them measures
_MOST_GAINS = 1 << 22

_Floats = NDArray[np.float64]


class Gains(NamedTuple):
    """What the weights add to a constant, by phase.

    Attributes:
        pattern: of the phases, that of the last axis fastest, as shares of the constant; of no
            particular scale where the gains cancel in the mean, so that there is no constant.
        share: of the ripple's power that this pattern holds.
        ripple: in decibels, of the whole and along each axis.
        random: ripple that random weights would have, in decibels.
        measured: share of the weights that were looked at.
        through: activations between the weights and the phases.
        offset: what is added whatever the input is, at the output channel where it differs most
            between phases; None when it does not come by phase, or is not known.
    """

    pattern: tuple[float, ...]
    share: float
    ripple: Ripple
    random: float
    measured: float
    through: tuple[str, ...] = ()
    offset: Offset | None = None


class Pattern(NamedTuple):
    """One layer that enlarges by weights of its own.

    Attributes:
        node, op_type, kernel, stride: the layer; a shuffle has no kernel, its block is its stride.
        period: phases along each axis, the first that of output 0; 1 where nothing repeats.
        taps: that reach each phase, an entry per axis; they multiply. None for a shuffle.
        gains: a text says why there are none.
    """

    node: NodeRef
    op_type: str
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...]
    period: tuple[int, ...]
    taps: tuple[tuple[int, ...], ...] | None
    gains: Gains | str


def patterns(graph: Graph) -> tuple[Pattern, ...]:
    """Patterns of all layers that have one, in the order of the graph; their weights are read."""
    return tuple(_patterns(graph))


def _patterns(graph: Graph) -> Iterator[Pattern]:
    for layer in graph.layers:
        if isinstance(layer, ConvTranspose):
            stride = layer.strides
        elif isinstance(layer, Shuffle) and layer.op == "DepthToSpace":
            stride = layer.blocks
        else:
            continue
        period = tuple(
            1 if size == 1 else step for size, step in zip(layer.sizes, stride, strict=True)
        )
        if prod(period) == 1:
            continue
        if isinstance(layer, ConvTranspose):
            yield _transposed(layer, graph, period)
        else:
            yield Pattern(layer.ref, layer.op, None, stride, period, None, _fed(layer, graph))
        graph.release()


def _transposed(layer: ConvTranspose, graph: Graph, period: tuple[int, ...]) -> Pattern:
    drawn = prod(period) <= MOST_PHASES
    gains = _gains(layer, graph, period) if drawn else _too_many(period)
    taps = _taps(layer) if drawn else None
    return Pattern(layer.ref, layer.op, layer.kernel, layer.strides, period, taps, gains)


def _too_many(period: tuple[int, ...]) -> str:
    return f"{prod(period):,} phases are too many to draw"


def _taps(layer: ConvTranspose) -> tuple[tuple[int, ...], ...]:
    """Taps of each phase, output 0 first; an axis of a single position has one at each output."""
    return tuple(
        (1,) if size == 1 else _from_output_0(taps_per_phase(axis), axis)
        for axis, size in zip(layer.axes, layer.sizes, strict=True)
    )


def _from_output_0(taps: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """Phases start with the first tap; output 0 lies ``begin`` behind where that falls."""
    first = axis.begin % axis.stride
    return taps[first:] + taps[:first]


def _gains(layer: ConvTranspose, graph: Graph, period: tuple[int, ...]) -> Gains | str:
    alone = [i for i, size in enumerate(layer.sizes) if size == 1]
    axes = [
        Axis(axis.kernel, axis.kernel) if i in alone else axis  # each tap an output of its own
        for i, axis in enumerate(layer.axes)
    ]
    phases = prod(axis.stride for axis in axes)
    at_most = min(MEASURED_ELEMENTS, _MOST_GAINS * prod(layer.kernel) // phases)
    try:
        found = weights(graph, layer, at_most)
        if isinstance(found, str):
            return found
        if phases * prod(found.values.shape[:2]) > _MOST_GAINS:
            return "its gains are too many to draw"
        by_phase = phase_gains(found.values, axes)
        ripple = transposed_ripple(found.values, layer.axes, alone)
    except ModelError as error:
        return error.message
    by_axis = by_phase.reshape(*(axis.stride for axis in axes), *by_phase.shape[1:])
    by_axis = np.moveaxis(by_axis, alone, range(-2 - len(alone), -2))
    turns = [-axis.begin for i, axis in enumerate(axes) if i not in alone]
    turned = np.roll(by_axis, turns, range(len(turns)))
    return _drawn(turned.reshape(prod(period), -1), ripple, period, found.share)


def _fed(layer: Shuffle, graph: Graph) -> Gains | str:
    found = feed(graph, layer, _FED_ELEMENTS)
    if found is None:
        return "no operator computes what it rearranges"
    if isinstance(found, str):
        return found
    if prod(found.phases.shape[:-1]) > MOST_PHASES:
        return _too_many(found.phases.shape[:-1])
    ripple, scale = _worst_side(found)
    if ripple is None:
        return "its phases read different groups of a grouped convolution"
    values = found.weights.values
    with np.errstate(invalid="ignore", over="ignore"):
        gains = values.sum(axis=tuple(range(2, values.ndim)), dtype=np.float64)
        by_phase = (gains * np.reshape(scale, (-1, 1)))[found.phases]
    period = found.phases.shape[:-1]
    drawn = _drawn(by_phase.reshape(prod(period), -1), ripple, period, found.weights.share)
    if isinstance(drawn, str):
        return drawn
    return drawn._replace(through=found.through, offset=found.offset())


def _worst_side(found: Feed) -> tuple[Ripple | None, _Floats]:
    """The ripple, and what the filters are multiplied by on the side that has it."""
    ripple = found.ripple()
    if ripple is None:
        return None, found.scales[0]
    values, phases = found.weights.values, found.phases
    totals = [subpixel_ripple(values, phases, each).total for each in found.scales]
    return ripple, found.scales[max(range(len(totals)), key=lambda i: totals[i])]


def _drawn(
    by_phase: _Floats, ripple: Ripple, period: tuple[int, ...], measured: float
) -> Gains | str:
    if isnan(ripple.total):
        return "the weights hold values that are not finite, or near it"
    random = random_ripple_db(period)
    if ripple.total == -inf:
        return Gains((0.0,) * len(by_phase), 1.0, ripple, random, measured)
    pattern, share = _strongest(by_phase)
    if isnan(share):
        return "the weights hold values that are not finite, or near it"
    return Gains(pattern, share, ripple, random, measured)


def _strongest(by_phase: _Floats) -> tuple[tuple[float, ...], float]:
    """The strongest pattern over the constant, and its share of the power; nan for no number."""
    largest = np.abs(by_phase).max(initial=0.0)
    if not np.isfinite(largest) or largest == 0:
        return (), nan
    scaled = by_phase / largest  # squares of what is near the end of the range would overflow
    mean = scaled.mean(axis=0)
    deviations = scaled - mean
    powers, shapes = np.linalg.eigh(deviations @ deviations.T)
    shape, power = shapes[:, -1], max(float(powers[-1]), 0.0)
    constant = float(np.linalg.norm(mean))
    adds = float(shape @ (deviations @ mean))
    if adds < 0 or (adds == 0 and shape[np.abs(shape).argmax()] < 0):
        shape = -shape
    strength = np.sqrt(power) / constant if constant else np.sqrt(len(shape))
    share = power / max(float(np.square(deviations).sum()), power)
    return tuple((strength * shape).tolist()), share
