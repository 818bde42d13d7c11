"""What stands in for a transposed convolution after a Resize: exact where it factors, else fitted.

A kernel that is a box of the stride convolved with another is a nearest Resize and that other, up
to rounding; nothing else about the model matters then. Any other is fitted on what the layer reads
and made: on the user's data, or on inputs made up for the model. Only where it is asked for are
the weights taken by themselves, and projected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Axis, transposed_padding
from ..graph.layers import AutoPad, ConvTranspose
from ..surgery import Refusal, Safety, Samples, Site, Weights, stated_axes
from .deconvs import DeconvFit, fitted_deconv
from .enlargement import Projection, as_convolution, placements, projected
from .phase_sums import Deconv
from .phase_windows import Choice

_FEWEST_TAPS = 3
_MORE_TAPS = 5
"""Tried beside the fewest: on trained decoders it comes closer, where there is data for it."""

_ROUNDING = 2
"""Units in the last place of the largest weight that may be left of a kernel that factors."""


_MOST_ELEMENTS, _MOST_GROWTH = 1 << 24, 8
"""Numbers in one array on the way, or more if there are no more for each weight: some 100 MiB."""

_LARGEST_MATRIX = 1 << 20
_MOST_PHASES = 1 << 12


@dataclass(frozen=True, slots=True, eq=False)
class ResizeConv:
    """The convolution that follows the Resize.

    Attributes:
        axes: of the transposed convolution, with all padding in them.
        choice: what stands along each of them.
        weight: as Conv reads it.
        bias: one value an output channel; None for none.
        is_exact: whether Resize and convolution are what was there, up to rounding.
        figures: how the weights were come by, ready for JSON.
    """

    axes: tuple[Axis, ...]
    choice: Choice
    weight: NDArray[np.float64]
    bias: NDArray[Any] | None
    is_exact: bool = False
    figures: dict[str, Any] = field(default_factory=dict[str, Any])


def resize_conv(site: Site, layer: ConvTranspose, weights: Weights) -> ResizeConv | str:
    """The convolution as the options ask for it; or why there is none."""
    init, allow = site.options.init, site.allow
    if not np.isfinite(weights.weight).all():
        return "its weights hold NaN or infinity"
    is_exact_only = init == "exact" or allow is Safety.EXACT
    reason = _too_large(site, layer, weights, is_fitted=init != "mean" and not is_exact_only)
    if reason:
        return reason
    samples = iter(()) if is_exact_only else _samples(site)
    axes = stated_axes(layer)
    if isinstance(axes, Refusal):
        axes, samples = _measured(site, layer, axes, samples)
    if isinstance(axes, Refusal):
        return axes.reason
    deconv = Deconv(weights.weight, axes, layer.output_padding, layer.group)
    exact = _exact(site, deconv, weights)
    if exact is not None:
        return exact
    if is_exact_only:
        return "its kernel is no box times another kernel: what comes near it has to be fitted"
    choices = _choices(site, axes)
    if init == "mean":
        return _projected(deconv, weights, choices)
    return _fitted(site, deconv, choices, samples)


def _too_large(site: Site, layer: ConvTranspose, weights: Weights, *, is_fitted: bool) -> str:
    """Why nothing is computed for a layer of such strides and dilations; empty when it is.

    Its weights are laid out with the zeros between them, as far as what comes instead of them
    reaches; the taps of that are solved for axis by axis; and a fit has sums for each phase.
    """
    taps = _taps_at_most(site, layer)
    spans = [
        axis.extent if axis.stride == 1 else max(axis.extent, 2 * axis.stride + count - 1)
        for axis, count in zip(layer.axes, taps, strict=True)
    ]
    most = max(_MOST_ELEMENTS, _MOST_GROWTH * weights.weight.size)
    spread = prod(weights.weight.shape[:2]) * prod(spans)
    if spread > most:
        return (
            f"with its strides and dilations its weights are spread over {spread:,} elements, more "
            f"than {most:,}"
        )
    largest = max(span * count for span, count in zip(spans, taps, strict=True))
    if largest > _LARGEST_MATRIX:
        return f"its {max(taps):,} taps along an axis are more than can be solved for"
    return _too_many_sums(layer, weights, taps, most) if is_fitted else ""


def _too_many_sums(layer: ConvTranspose, weights: Weights, taps: Sequence[int], most: int) -> str:
    phases = prod(layer.strides)
    if phases > _MOST_PHASES:
        return f"its strides make {phases:,} phases, more than the {_MOST_PHASES:,} that are fitted"
    read = [  # elements of the map that the taps of all phases fall on
        min(count, (count - 1) // stride + 2)
        for count, stride in zip(taps, layer.strides, strict=True)
    ]
    sums = prod(weights.weight.shape[:2]) * prod(read) * phases
    if sums > most:
        return f"a fit to its {phases:,} phases takes {sums:,} sums, more than {most:,}"
    return ""


def _taps_at_most(site: Site, layer: ConvTranspose) -> list[int]:
    """Taps along each axis of the largest convolution that is tried."""
    if site.options.kernel is not None:
        return _asked(layer.axes, site.options.kernel)
    return [
        max(_MORE_TAPS, axis.extent - axis.stride + 1) if axis.stride > 1 else axis.extent
        for axis in layer.axes
    ]


def _samples(site: Site) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    return site.samples() if site.has_samples else site.made_up_samples()


def _measured(
    site: Site,
    layer: ConvTranspose,
    refusal: Refusal,
    samples: Iterator[tuple[NDArray[Any], NDArray[Any]]],
) -> tuple[tuple[Axis, ...] | Refusal, Iterator[tuple[NDArray[Any], NDArray[Any]]]]:
    """The axes of a layer whose output_shape is known and whose input size is found by running.

    That is its size in every run only if the model leaves no size open.
    """
    if layer.output_shape is None or None not in layer.sizes or not _has_fixed_sizes(site):
        return refusal, samples
    first = next(samples, None)
    if first is None:
        return refusal, samples
    sizes, upper = first[0].shape[2:], layer.auto_pad is AutoPad.SAME_UPPER
    axes = tuple(
        transposed_padding(size, axis, op, wanted, upper=upper)
        for size, axis, op, wanted in zip(
            sizes, layer.axes, layer.output_padding, layer.output_shape, strict=True
        )
    )
    found = replace(layer, dims=sizes, axes=axes)
    return stated_axes(found), chain([first], samples)


def _has_fixed_sizes(site: Site) -> bool:
    """True when the inputs of the model leave nothing open but the batch."""
    main = site.graph.main
    shapes = [main.shape(name) for name in main.inputs if name not in main.initializers]
    return all(
        shape is not None and all(isinstance(dim, int) for dim in shape[1:]) for shape in shapes
    )


def _exact(site: Site, deconv: Deconv, weights: Weights) -> ResizeConv | None:
    """The other factor of a kernel that is one times the box of the stride."""
    if site.options.mode != "nearest":
        return None
    taps = [axis.extent - axis.stride + 1 for axis in deconv.axes]
    if site.options.kernel is not None:
        taps = _asked(deconv.axes, site.options.kernel)
    if min(taps) < 1:
        return None
    bound = _ROUNDING * float(np.finfo(weights.weight.dtype).eps)
    for choice in _placed(deconv.axes, taps, is_linear=False):
        projection = projected(deconv.weight, deconv.axes, choice)
        if projection.largest <= bound:
            figures = {"exact": True, "residual": projection.residual}
            return _converted(deconv, weights, choice, projection, figures, is_exact=True)
    return None


def _choices(site: Site, axes: Sequence[Axis]) -> list[Choice]:
    """The convolutions to try, by the options."""
    is_linear, kernel = site.options.mode == "linear", site.options.kernel
    if kernel is not None:
        return _placed(axes, _asked(axes, kernel), is_linear=is_linear)
    fewest = [
        max(_FEWEST_TAPS, axis.extent - axis.stride + 1) if axis.stride > 1 else axis.extent
        for axis in axes
    ]
    more = [
        max(_MORE_TAPS, taps) if axis.stride > 1 else taps
        for axis, taps in zip(axes, fewest, strict=True)
    ]
    sizes = [fewest] if more == fewest else [fewest, more]
    return [choice for taps in sizes for choice in _placed(axes, taps, is_linear=is_linear)]


def _asked(axes: Sequence[Axis], kernel: int) -> list[int]:
    """So many taps where the map is enlarged; elsewhere the kernel is what it was."""
    return [kernel if axis.stride > 1 else axis.extent for axis in axes]


def _placed(axes: Sequence[Axis], taps: Sequence[int], *, is_linear: bool) -> list[Choice]:
    along = [
        placements(axis, count, is_linear=is_linear) for axis, count in zip(axes, taps, strict=True)
    ]
    return list(product(*along))


def _projected(deconv: Deconv, weights: Weights, choices: Sequence[Choice]) -> ResizeConv:
    """The weights alone, brought as near as they come with the fewest taps."""
    fewest = [choice for choice in choices if _taps(choice) == _taps(choices[0])]
    projections = [projected(deconv.weight, deconv.axes, choice) for choice in fewest]
    best = min(range(len(fewest)), key=lambda number: projections[number].residual)
    figures = {"exact": False, "init": "projection", "residual": projections[best].residual}
    return _converted(deconv, weights, fewest[best], projections[best], figures)


def _taps(choice: Choice) -> list[int]:
    return [each.taps for each in choice]


def _converted(
    deconv: Deconv,
    weights: Weights,
    choice: Choice,
    projection: Projection,
    figures: dict[str, Any],
    *,
    is_exact: bool = False,
) -> ResizeConv:
    weight = as_convolution(projection.kernel, deconv.group)
    figures |= {"kernel": _taps(choice)}
    return ResizeConv(deconv.axes, choice, weight, weights.bias, is_exact, figures)


def _fitted(
    site: Site, deconv: Deconv, choices: Sequence[Choice], samples: Samples
) -> ResizeConv | str:
    if not (site.has_samples or site.can_make_up_samples):
        return (
            "nothing that it reads can be seen where it stands; --init mean projects the weights "
            "alone, which cost trained decoders 4 to 16 dB"
        )
    fit = fitted_deconv(samples, deconv, choices)
    if isinstance(fit, str):
        return f"{fit}; without --data inputs are made up" if site.has_samples else fit
    figures = _figures(site, fit)
    figures["residual"] = projected(deconv.weight, deconv.axes, fit.choice).residual
    return ResizeConv(deconv.axes, fit.choice, fit.weight, fit.bias, figures=figures)


def _figures(site: Site, fit: DeconvFit) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "exact": False,
        "init": "fit",
        "fitted_on": "data" if site.has_samples else "made-up inputs",
        "samples": fit.samples,
        "kernel": _taps(fit.choice),
        "relative_error": fit.accuracy.relative_error,
        "snr_db": fit.accuracy.snr_db,
        "psnr_db": fit.psnr_db,
    }
    if fit.fallback:
        figures["fallback"] = fit.fallback
    return figures
