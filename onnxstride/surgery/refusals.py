"""Reasons to leave a layer alone that several rewrites share."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from ..geometry import Axis, same_total
from ..rewrite import Refusal

if TYPE_CHECKING:
    from ..graph.layers import Pool, Window
    from .site import Site

MOST_MADE_UP = 1 << 23
"""Elements of a tensor that follows from a few figures of a layer: 32 MiB of float32."""


def too_large(what: str, *shape: int) -> Refusal | None:
    """Why a tensor of this shape, which no file holds, is not made up; None when it is small.

    A file of few bytes can ask for any stride, window or number of channels.
    """
    count = prod(shape)
    if count <= MOST_MADE_UP:
        return None
    return Refusal(
        f"{what} would have {count:,} elements, more than the {MOST_MADE_UP:,} that are made up"
    )


def no_depthwise(site: Site, layer: Pool) -> Refusal | None:
    """Why a pool cannot become depthwise convolutions; None when it can."""
    if site.node.domain:
        return Refusal(f"{site.node.domain} lays its data out in its own way")
    if site.dtype is None or site.dtype.name not in ("float32", "float16"):
        kinds = "only float32 and float16 can be rewritten"
        return Refusal(f"the element type is {site.dtype}: {kinds}")
    if site.channels is None:
        return Refusal("the number of channels is not known")
    if layer.has_implicit_padding and None in layer.sizes:
        return Refusal("its padding depends on an input size that is not known")
    disputed = disputed_same(layer)
    if disputed is not None:
        return disputed
    if any(max(axis.begin, axis.end) >= axis.kernel for axis in layer.axes):
        return Refusal("the pool is padded by its whole kernel, which runtimes refuse")
    if any(map(may_miss_the_data, layer.axes, layer.sizes)):
        return Refusal("a window can lie wholly in the padding")
    return None


def disputed_same(layer: Window) -> Refusal | None:
    """Why the SAME padding of a convolution or pool is in dispute; None when it is not."""
    if not layer.auto_pad.is_same:
        return None
    if any(dilation > 1 for dilation in layer.dilations):
        return Refusal("runtimes differ on SAME with dilation")
    if any(
        size is not None and same_total(size, axis) < 0
        for size, axis in zip(layer.sizes, layer.axes, strict=True)
    ):
        return Refusal("runtimes differ on SAME with a kernel smaller than its stride")
    return None


def may_miss_the_data(axis: Axis, size: int | None) -> bool:
    """True when no tap of some window meets the data: dilated, over fewer elements than that."""
    is_padded = axis.begin > 0 or axis.end > 0
    return is_padded and axis.dilation > 1 and (size is None or size < axis.dilation)
