"""From which value to which an image goes, in and out of a model.

Of an input, the first of these that says anything:

1. the type: ``uint8`` holds 0 to 255, ``int8`` -128 to 127;
2. the model's metadata, where the input's type is denoted IMAGE: ``Image.NominalPixelRange``;
3. a Clip of the input;
4. the normalisation that comes first. Followed through additions and multiplications by constants,
   ImageScaler and BatchNormalization included, it is ``a x + b``; x0 = -b / a is the value that
   becomes zero:

   ==========================  ===========  ====================================================
   what is seen                range        for example
   ==========================  ===========  ====================================================
   a at most 1/50              0 to 255     x / 255; x / 127.5 - 1; (x - 123.7) / 58.4
   x0 over 1.5                 0 to 255     x - 103.9
   a at least 100              0 to 1       255 x
   x0 over 0, up to 1          0 to 1       (x - 0.485) / 0.229; 2 x - 1
   x0 = -1                     -1 to 1      (x + 1) / 2
   ==========================  ===========  ====================================================

5. nothing: 0 to 1 is assumed, and reported as an assumption.

Of an output: the type, the metadata, or what bounds the last values (Tanh, Sigmoid, HardSigmoid,
Softmax, Softsign, a Clip), followed by nothing but additions and multiplications of constants and
filters of each channel alone whose taps are not negative, which smooth.

Where none does, it is what was seen over all constant images. That may be little for an image: a
network that paints in its own colours answers all of them alike. So an output with as many channels
as an image input, whose values were seen in that input's range (a tenth beyond it at most) and over
at least a twentieth of it, is taken for an image of the same range.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph import Graph
from ..graph.layers import Conv
from ..graph.scope import Node

ASSUMED = "assumed"
GIVEN = "as given"
SEEN = "seen over the probes"
LIKE_INPUT = "taken for an image like the input"
_FITS = "its normalisation fits that"

_BY_TYPE = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}
_NOMINAL_KEY = "Image.NominalPixelRange"
_NOMINAL = {
    "NominalRange_0_255": (0.0, 255.0),
    "Normalized_0_1": (0.0, 1.0),
    "Normalized_1_1": (-1.0, 1.0),
    "NominalRange_16_235": (16.0, 235.0),
}
_BOUNDS = {
    "Tanh": (-1.0, 1.0),
    "Softsign": (-1.0, 1.0),
    **dict.fromkeys(("Sigmoid", "HardSigmoid", "Softmax"), (0.0, 1.0)),
}
_SHAPING = frozenset(
    ("Identity", "Cast", "Transpose", "Pad", "Slice", "Crop", "Reshape", "Unsqueeze", "Squeeze")
)
_SCALING = frozenset(("Add", "Sub", "Mul", "Div"))
_MAX_STEPS = 32
_LARGEST_CONSTANT = 1 << 20

Affine = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Scale and offset, one each or one a channel."""


@dataclass(frozen=True, slots=True)
class Range:
    """From ``low`` to ``high``; ``source`` says in a few words who says so."""

    low: float
    high: float
    source: str

    @property
    def span(self) -> float:
        return self.high - self.low


def input_range(graph: Graph, metadata: Mapping[str, str], name: str, dtype: str) -> Range:
    """The range of an image input; see the module's docstring."""
    if dtype in _BY_TYPE:
        return Range(*_BY_TYPE[dtype], f"its type is {dtype}")
    if (nominal := _nominal(graph, metadata, name)) is not None:
        return nominal
    return _normalised(graph, name) or Range(0.0, 1.0, ASSUMED)


def output_range(graph: Graph, metadata: Mapping[str, str], name: str, dtype: str) -> Range | None:
    """The range that the model declares for an output; None where it declares none."""
    if dtype in _BY_TYPE:
        return Range(*_BY_TYPE[dtype], f"its type is {dtype}")
    return _nominal(graph, metadata, name) or _bounded(graph, name)


def taken_for(seen: Range, image: Range) -> Range:
    """The range of an output that has as many channels as an image input."""
    beyond = image.span / 10
    is_within = image.low - beyond <= seen.low and seen.high <= image.high + beyond
    if is_within and seen.span >= image.span / 20:
        return Range(image.low, image.high, LIKE_INPUT)
    return seen


def _nominal(graph: Graph, metadata: Mapping[str, str], name: str) -> Range | None:
    """What the metadata says of a tensor whose type is denoted IMAGE."""
    proto: Any = graph.main.proto
    values = [*proto.input, *proto.output]
    if not any(v.name == name and v.type.denotation.upper() == "IMAGE" for v in values):
        return None
    said = metadata.get(_NOMINAL_KEY, "")
    return Range(*_NOMINAL[said], f"its metadata says {said}") if said in _NOMINAL else None


def _normalised(graph: Graph, name: str) -> Range | None:
    """The range that fits the normalisation at the front."""
    scale, offset, is_scaled = 1.0, 0.0, False
    for _ in range(_MAX_STEPS):
        readers = graph.main.consumers(name)
        if len(readers) != 1 or readers[0].scope is not graph.main:
            break
        node = readers[0]
        if node.op_type == "Clip" and not is_scaled:
            return _clipped(graph, node)
        if node.op_type not in _SHAPING:
            step = _affine(graph, node, name)
            if step is None:
                break
            by, shift = (float(each.mean()) for each in step)
            scale, offset, is_scaled = scale * by, offset * by + shift, True
        name = node.output(0)
    return _fitting(scale, offset) if is_scaled else None


def _fitting(scale: float, offset: float) -> Range | None:
    """The range that values have which are scaled and shifted so."""
    if not (isfinite(scale) and isfinite(offset) and scale):
        return None
    zero = -offset / scale
    if abs(scale) <= 1 / 50 or zero > 1.5:
        return Range(0.0, 255.0, _FITS)
    if abs(scale) >= 100 or 0 < zero <= 1:
        return Range(0.0, 1.0, _FITS)
    return Range(-1.0, 1.0, _FITS) if abs(zero + 1) < 1e-3 else None


def _bounded(graph: Graph, name: str) -> Range | None:
    """The range of a tensor that ends in something bounded."""
    steps: list[Affine] = []
    for _ in range(_MAX_STEPS):
        node = graph.main.producer(name)
        if node is None or node.scope is not graph.main:
            return None
        bounds = _BOUNDS.get(node.op_type)
        found = Range(*bounds, f"{node.op_type} bounds it") if bounds else None
        if node.op_type == "Clip":
            found = _clipped(graph, node)
        if found is not None:
            return _carried(found, steps)
        name = _data_input(graph, node)
        if node.op_type not in _SHAPING:
            step = _affine(graph, node, name)
            if step is None:
                return None
            steps.append(step)
    return None


def _data_input(graph: Graph, node: Node) -> str:
    """The input that is no constant; the first of several."""
    return next((n for n in node.inputs if n and graph.constant(node, n) is None), node.input(0))


def _carried(found: Range, steps: list[Affine]) -> Range:
    """The range behind additions and multiplications, the last of which stands first."""
    low, high = found.low, found.high
    for scale, offset in reversed(steps):
        ends = np.concatenate([(low * scale + offset).ravel(), (high * scale + offset).ravel()])
        low, high = float(ends.min()), float(ends.max())
    return Range(low, high, found.source)


def _clipped(graph: Graph, node: Node) -> Range | None:
    """The limits of a Clip that has both."""
    limits: list[float] = []
    for position, attribute in enumerate(("min", "max"), 1):
        value = graph.constant(node, node.input(position)) if node.input(position) else None
        stated = node.attributes.get(attribute)
        if value is not None and value.size == 1:
            limits.append(float(value.reshape(())))
        elif stated is not None and not stated.ref_attr_name:
            limits.append(float(stated.f))
    if len(limits) != 2 or not limits[0] < limits[1]:
        return None
    return Range(limits[0], limits[1], "Clip bounds it")


def _affine(graph: Graph, node: Node, name: str) -> Affine | None:
    """Scale and offset of a node that does nothing else to ``name``; None for any other node."""
    if node.op_type in _SCALING:
        return _scaled(graph, node, name)
    if node.op_type == "BatchNormalization":
        return _batch_normalised(graph, node)
    stated = {key: each for key, each in node.attributes.items() if not each.ref_attr_name}
    if node.op_type == "ImageScaler":
        scale = stated["scale"].f if "scale" in stated else 1.0
        bias = list(stated["bias"].floats) if "bias" in stated else [0.0]
        return np.array(scale), np.array(bias, np.float64)
    if node.op_type == "Conv":
        return _smoothed(graph, node)
    if node.op_type == "Affine":
        alpha, beta = (stated[key].f if key in stated else 0.0 for key in ("alpha", "beta"))
        return np.array(alpha), np.array(beta)
    return None


def _smoothed(graph: Graph, node: Node) -> Affine | None:
    """A filter of each channel alone, without negative taps: what they add up to."""
    layer = graph.layer_of(node)
    if not isinstance(layer, Conv) or layer.bias:
        return None
    weight = graph.constant(node, layer.weight)
    if weight is None or weight.shape[:2] != (layer.group, 1) or (weight < 0).any():
        return None
    return weight.reshape(len(weight), -1).sum(axis=1, dtype=np.float64), np.zeros(())


def _scaled(graph: Graph, node: Node, name: str) -> Affine | None:
    comes_first = node.input(0) == name
    constant = graph.constant(node, node.input(1 if comes_first else 0))
    if constant is None or constant.dtype.kind not in "fiu":
        return None
    if not 0 < constant.size <= _LARGEST_CONSTANT:
        return None
    value = constant.astype(np.float64)
    one, zero = np.ones(()), np.zeros(())
    if node.op_type == "Add":
        return one, value
    if node.op_type == "Sub":
        return (one, -value) if comes_first else (-one, value)
    if node.op_type == "Mul":
        return value, zero
    return (1 / value, zero) if comes_first and value.all() else None


def _batch_normalised(graph: Graph, node: Node) -> Affine | None:
    values = [graph.constant(node, node.input(position)) for position in range(1, 5)]
    if any(value is None or not value.size for value in values):
        return None
    gamma, beta, mean, variance = (np.asarray(value, np.float64) for value in values)
    epsilon = node.attributes["epsilon"].f if "epsilon" in node.attributes else 1e-5
    scale = gamma / np.sqrt(np.abs(variance) + epsilon)
    return scale, beta - scale * mean
