"""What the rewrites that turn a max pool into a trainable convolution have in common.

They refuse the same pools, and begin from the same weights: fitted on activations where there
are some, else the average with the gain of a rectified Gaussian field, or, where the input may be
negative, the average with an offset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Axis, floor_form, output_size, same_padding
from ..graph.layers import AutoPad, MaxPool
from ..graph.sign import is_never_negative
from ..surgery import MOST_WEIGHTS, Fragment, Site, disputed_same, too_large
from .fit import Fit, Samples, fitted
from .gaussian import Expectation

FLOATS = ("float32", "float16")

_WIDEST = 1 << 16
"""Elements of a window that fields are drawn over a thousand times: some seconds."""


def refused(site: Site, layer: MaxPool) -> str:
    """Why no convolution can take the place of ``layer``; empty when one can."""
    if site.is_read(layer.indices):
        return "its indices are read"
    if site.node.domain:
        return f"{site.node.domain} lays its data out in its own way"
    if site.dtype is None or site.dtype.name not in FLOATS:
        return f"the element type is {site.dtype}: only float32 and float16 can be rewritten"
    if site.channels is None:
        return "the number of channels is not known"
    disputed = disputed_same(layer)
    if disputed is not None:
        return disputed.reason
    if has_open_padding(layer) and any(axis.kernel < axis.stride for axis in layer.axes):
        return "runtimes differ on SAME with a kernel smaller than its stride"
    if not all(map(_fits, layer.sizes, floor_axes(layer))):
        return "no window fits its input"
    return ""


def _fits(size: int | None, axis: Axis) -> bool:
    return size is None or output_size(size, axis) >= 1


def too_wide(extents: Iterable[int]) -> str:
    """Why nothing is estimated of a maximum over so many elements an axis; empty when it is."""
    count = prod(extents)
    if count <= _WIDEST:
        return ""
    return f"a maximum over {count:,} elements is not estimated, only over up to {_WIDEST:,}"


def has_open_padding(layer: MaxPool) -> bool:
    """True when the runtime has to choose the padding, by a size that the model leaves open."""
    return layer.has_implicit_padding and None in layer.sizes


def floor_axes(layer: MaxPool) -> tuple[Axis, ...]:
    """The windows in floor mode; without padding where that depends on an unknown size."""
    if layer.has_implicit_padding or not layer.ceil_mode:
        return layer.axes  # SAME rounds up already: there is nothing left for ceil_mode
    return tuple(map(floor_form, layer.axes))


def padded_as_same(samples: Samples, layer: MaxPool) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """The samples with the inputs padded as SAME pads maps of their size."""
    lower = layer.auto_pad is AutoPad.SAME_LOWER
    for inputs, targets in samples:
        axes = [
            same_padding(size, axis, lower=lower)
            for size, axis in zip(inputs.shape[2:], layer.axes, strict=True)
        ]
        pads = [(0, 0), (0, 0), *((axis.begin, axis.end) for axis in axes)]
        yield np.pad(inputs, pads), targets


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Weights of a convolution to train on from.

    Attributes:
        weight: as Conv reads it; ``group`` is 1 or the number of channels by its shape.
        bias: one value a channel; None when all are zero.
        figures: how the weights were come by, ready for JSON.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64] | None
    figures: dict[str, Any]


def start(
    site: Site,
    average: NDArray[np.float64],
    expected: Expectation,
    axes: Sequence[Axis],
    samples: Samples,
) -> Start | str:
    """Weights as the options ask for them; or why there are none.

    Args:
        site: the pool.
        average: filter (kernel ..) of each channel that averages the window, of sum 1.
        expected: what the maximum amounts to beside that average.
        axes: the window of the new convolution, in floor mode.
        samples: what the convolution will read, and what the pool made; read only for a fit.
    """
    init = site.options.init or ("fit" if site.has_samples else "mean")
    if init == "exact":
        return "a maximum without loss is what maxpool-to-exact-conv makes"
    if init not in ("mean", "fit"):
        return f"init is mean or fit, found {init!r}"
    if site.options.conv not in (None, "full", "depthwise"):
        return f"conv is full or depthwise, found {site.options.conv!r}"
    signed = not is_never_negative(site.graph, site.node, site.layer.input)
    reason = _too_large(site, average)
    if reason:
        return reason
    if init == "mean":
        return _expected(site, average, expected, signed=signed)
    if not site.has_samples:
        return "a fit needs data; without any, init is mean"
    prior = average if signed else average * expected.gain
    fit = fitted(samples, axes, prior, full=site.options.conv != "depthwise")
    return fit if isinstance(fit, str) else _fitted(site, fit)


def _too_large(site: Site, average: NDArray[np.float64]) -> str:
    assert site.channels is not None
    if site.options.conv == "full":
        count = site.channels**2 * average.size
        return f"a full convolution would have {count:,} weights" if count > MOST_WEIGHTS else ""
    large = too_large("its convolution", site.channels, average.size)
    return "" if large is None else large.reason


def convolved(fragment: Fragment, site: Site, source: str, begun: Start, **window: Any) -> str:
    """The convolution of ``source``, with a ReLU after it when the options ask for one."""
    assert site.dtype is not None
    inputs = [source, fragment.constant(begun.weight.astype(site.dtype), "weight")]
    if begun.bias is not None:
        inputs.append(fragment.constant(begun.bias.astype(site.dtype), "bias"))
    group = len(begun.weight) // begun.weight.shape[1] if begun.weight.shape[1] == 1 else 1
    kernel = list(begun.weight.shape[2:])
    result = fragment.add("Conv", inputs, label="conv", kernel_shape=kernel, group=group, **window)
    fragment.figures.update(begun.figures)
    # One product a tap and channel, and the bias.
    fragment.accumulation = prod(begun.weight.shape[1:]) + 1
    return fragment.add("Relu", [result], label="relu") if site.options.activation else result


def _expected(
    site: Site, average: NDArray[np.float64], expected: Expectation, *, signed: bool
) -> Start:
    """The average with its gain, or with its offset where the input may be negative."""
    assert site.channels is not None
    conv = site.options.conv or "depthwise"
    figures: dict[str, Any] = {"init": "mean", "conv": conv}
    bias = None
    if signed:
        deviation, source = _deviation(site, site.channels)
        bias = expected.offset * deviation
        figures |= {"offset": expected.offset, "deviation": source}
    else:
        average = average * expected.gain
        figures |= {"gain": expected.gain}
    weight = np.tile(average, (site.channels, 1, *[1] * average.ndim))
    return Start(_spread(weight) if conv == "full" else weight, bias, figures)


def _deviation(site: Site, channels: int) -> tuple[NDArray[np.float64], str]:
    """Standard deviation of what the pool reads, by channel, and where it is known from."""
    before = site.scope.producer(site.layer.input)
    if before is not None and (before.domain, before.op_type) == ("", "BatchNormalization"):
        scale = site.graph.constant(before, before.input(1))
        if scale is not None and scale.shape == (channels,):
            return np.abs(scale.astype(np.float64)), "from the batch normalisation before it"
    return np.ones(channels), "assumed to be 1"


def _fitted(site: Site, fit: Fit) -> Start:
    conv = site.options.conv or ("full" if fit.kind == "full" else "depthwise")
    figures: dict[str, Any] = {
        "init": "fit",
        "conv": conv,
        "fitted": fit.kind,
        "samples": fit.samples,
        "relative_error": fit.accuracy.relative_error,
        "snr_db": fit.accuracy.snr_db,
        "cosine": fit.accuracy.cosine,
    }
    if fit.fallback:
        figures["fallback"] = fit.fallback
    is_spread = conv == "full" and fit.kind != "full"
    return Start(_spread(fit.weight) if is_spread else fit.weight, fit.bias, figures)


def _spread(depthwise: NDArray[np.float64]) -> NDArray[np.float64]:
    """A depthwise weight as one over all channels, zero between different ones."""
    each = np.arange(len(depthwise))
    full = np.zeros((len(each), *depthwise[:, 0].shape))
    full[each, each] = depthwise[:, 0]
    return full
