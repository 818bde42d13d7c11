"""What ONNX Runtime makes of constant inputs, the ripple of that, and what rules say of it."""

from collections.abc import Mapping, Sequence
from math import inf, log10, sqrt
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from onnxstride.engine.lint import lint_graph
from onnxstride.registry import load_rules
from onnxstride.rule import Finding, Skip

from ..graph.building import Array, graph_of, run

Floats = NDArray[np.float64]

_RULES = {loaded.code: loaded for loaded in load_rules()}


def asked(code: str, proto: onnx.ModelProto | str) -> Finding | Skip | None:
    """The one answer of a rule; None when it is silent."""
    findings, skips, faults = lint_graph(graph_of(proto), [_RULES[code]])
    assert faults == []
    own: list[Finding | Skip] = [*findings, *(skip for skip in skips if skip.code == code)]
    assert len(own) <= 1
    return own[0] if own else None


def figures(code: str, proto: onnx.ModelProto | str) -> Mapping[str, Any]:
    """The data of the finding there must be."""
    answer = asked(code, proto)
    assert isinstance(answer, Finding), answer
    return answer.data


def free_batch(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same model for any number of inputs."""
    free = onnx.ModelProto()
    free.CopyFrom(proto)
    free.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    return free


class Response(NamedTuple):
    """Answer of every output position to constant inputs, in float64.

    Attributes:
        offset: answer to zeros, (C_out, ...).
        gains: what a 1 in one input channel adds to it, (C_in, C_out, ...).
    """

    offset: Floats
    gains: Floats

    def folded(self, first: Sequence[int], period: Sequence[int]) -> "Response":
        """One period from ``first`` on, along every axis."""
        spans: list[Any] = [slice(a, a + s) for a, s in zip(first, period, strict=True)]
        return Response(self.offset[(..., *spans)], self.gains[(..., *spans)])


def response(
    model: onnx.ModelProto,
    channels: int,
    sizes: Sequence[int],
    dtype: type[np.generic] = np.float32,
) -> Response:
    """Answers of a model from ``x``, whose batch is free, to ``y``."""
    x: Array = np.zeros((channels + 1, channels, *sizes), dtype)
    for channel in range(channels):
        x[channel + 1, channel] = 1
    y: Array = run(model, {"x": x})[0].astype(np.float64)
    return Response(y[0], y[1:] - y[0])


def ripple(gains: Floats, rank: int) -> tuple[float, list[float]]:
    """Ripple of one period in dB, of all phases and along each axis."""
    total = _ripple(gains.reshape(*gains.shape[:-rank], -1))
    along = []
    for i in range(rank):
        others = tuple(j - rank for j in range(rank) if j != i)
        along.append(_ripple(gains.mean(axis=others)))
    return total, along


def _ripple(gains: Floats) -> float:
    mean = gains.mean(axis=-1, keepdims=True)
    pattern, constant = ((gains - mean) ** 2).mean(axis=-1).sum(), (mean**2).sum()
    # What is left of a constant in single precision is no pattern.
    return -inf if pattern < 1e-11 * constant else 20 * log10(sqrt(pattern / constant))


def deviation(offset: Floats, rank: int) -> float:
    """Standard deviation over one period, of the channel where it is largest next to its mean."""
    flat = offset.reshape(*offset.shape[:-rank], -1)
    spread = flat.std(axis=-1)
    return float(spread[np.argmax(spread / np.maximum(1, np.abs(flat.mean(axis=-1))))])
