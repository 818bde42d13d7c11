"""Convolutions and pools: from the attributes of a node to a typed window.

A kernel given only by the weight and a default left out are filled in, padding that auto_pad
leaves to the runtime is resolved where the size is known, and what contradicts itself is an
``InvalidNode``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ..geometry import Axis, same_padding, transposed_padding
from .attributes import Unknown, integer, integers, invalid, text
from .dimensions import positive, show, spatial_dims
from .layers import AutoPad, AveragePool, Conv, ConvTranspose, LpPool, MaxPool
from .scope import Dim, Node, Shape
from .spellings import Spelling, channels_last


def conv(node: Node, spelling: Spelling) -> Conv:
    weight = _weight(node, spelling)
    window = _read_window(node, spelling, _kernel(node, spelling, weight))
    group = positive(node, "group", 1)
    axes = _same_resolved(window) if window.auto_pad.is_same else window.axes
    return Conv(
        node, "Conv", node.input(0), window.dims, axes, window.auto_pad,
        weight, _optional(node, spelling.bias), group,
    )  # fmt: skip


def conv_transpose(node: Node, spelling: Spelling) -> ConvTranspose:
    weight = _weight(node, spelling)
    kernel = _kernel(node, spelling, weight)
    if _optional(node, spelling.pads):
        raise Unknown("padding is an input, not an attribute")
    window = _read_window(node, spelling, kernel)
    stated = integers(node, "output_padding", at_least=0, length=len(kernel))
    output_padding = stated or (0,) * len(kernel)
    output_shape = _output_shape(node, len(kernel))
    axes = window.axes
    if output_shape is not None or window.auto_pad.is_same:
        wanted = output_shape or (None,) * len(kernel)
        axes = tuple(
            _transposed_axis(window, i, padding, size)
            for i, (padding, size) in enumerate(zip(output_padding, wanted, strict=True))
        )
    return ConvTranspose(
        node, "ConvTranspose", node.input(0), window.dims, axes, window.auto_pad, weight,
        _optional(node, spelling.bias), positive(node, "group", 1), output_padding, output_shape,
    )  # fmt: skip


def _output_shape(node: Node, rank: int) -> tuple[int, ...] | None:
    """Spatial part of output_shape, which some exporters write with batch and channels."""
    shape = integers(node, "output_shape", at_least=0)
    if not shape:
        return None
    if len(shape) not in (rank, rank + 2):
        raise invalid(node, f"output_shape {list(shape)} should have {rank} entries")
    return shape[-rank:]


def _transposed_axis(window: _Read, i: int, output_padding: int, wanted: int | None) -> Axis:
    """One axis with the padding that ``wanted``, the output's size, or else auto_pad asks for."""
    axis, size = window.axes[i], window.dims[i]
    if not isinstance(size, int):
        return axis.padded(0, 0)
    upper = window.auto_pad is AutoPad.SAME_UPPER
    target = size * axis.stride if wanted is None else wanted
    resolved = transposed_padding(size, axis, output_padding, target, upper=upper)
    if wanted is None and resolved.begin + resolved.end < 0:
        return axis.padded(0, 0)  # SAME never pads by less than nothing
    return resolved


def max_pool(node: Node, spelling: Spelling) -> MaxPool:
    window, axes = _pool_window(node, spelling)
    return MaxPool(
        node, "MaxPool", node.input(0), window.dims, axes, window.auto_pad, _ceil_mode(node),
        integer(node, "storage_order", 0) == 1, node.output(1),
    )  # fmt: skip


def average_pool(node: Node, spelling: Spelling) -> AveragePool:
    window, axes = _pool_window(node, spelling)
    return AveragePool(
        node, "AveragePool", node.input(0), window.dims, axes, window.auto_pad, _ceil_mode(node),
        integer(node, "count_include_pad", 0) == 1,
    )  # fmt: skip


def lp_pool(node: Node, spelling: Spelling) -> LpPool:
    window, axes = _pool_window(node, spelling)
    return LpPool(
        node, "LpPool", node.input(0), window.dims, axes, window.auto_pad, _ceil_mode(node)
    )


def _ceil_mode(node: Node) -> bool:
    return integer(node, "ceil_mode", 0) == 1


def _pool_window(node: Node, spelling: Spelling) -> tuple[_Read, tuple[Axis, ...]]:
    kernel = integers(node, "kernel_shape", at_least=1)
    if not kernel:
        raise invalid(node, "kernel_shape is required, and missing")
    window = _read_window(node, spelling, kernel)
    return window, _same_resolved(window) if window.auto_pad.is_same else window.axes


_MOST_AXES = 8
"""What is asked of every combination of axes is asked 2^8 times; a nonsensical rank has no end."""


class _Read(NamedTuple):
    """A window as the attributes state it, before auto_pad is resolved."""

    axes: tuple[Axis, ...]
    auto_pad: AutoPad
    dims: tuple[Dim, ...]


def _read_window(node: Node, spelling: Spelling, kernel: tuple[int, ...]) -> _Read:
    if len(kernel) > _MOST_AXES:
        raise Unknown(f"a window of {len(kernel):,} axes; at most {_MOST_AXES} are looked at")
    axes, auto_pad = _stated(node, kernel)
    return _Read(axes, auto_pad, spatial_dims(node, channels_last(node, spelling), len(kernel)))


def _stated(node: Node, kernel: tuple[int, ...]) -> tuple[tuple[Axis, ...], AutoPad]:
    """What the attributes say of a window.

    Most windows of a model say what another says: comparing bytes is quicker than reading them.
    """
    said = [(name, each.SerializeToString()) for name, each in node.attributes.items()]
    key = (kernel, *said)
    if key not in _STATED:
        if len(_STATED) == _MOST_STATED:
            _STATED.clear()
        _STATED[key] = _read_stated(node, kernel)
    return _STATED[key]


_STATED: dict[tuple[object, ...], tuple[tuple[Axis, ...], AutoPad]] = {}
_MOST_STATED = 1024


def _read_stated(node: Node, kernel: tuple[int, ...]) -> tuple[tuple[Axis, ...], AutoPad]:
    rank = len(kernel)
    ones, zeros = (1,) * rank, (0,) * (2 * rank)
    strides = integers(node, "strides", at_least=1, length=rank) or ones
    dilations = integers(node, "dilations", at_least=1, length=rank) or ones
    auto_pad = _auto_pad(node)
    pads = integers(node, "pads", at_least=0, length=2 * rank) or zeros
    if auto_pad is not AutoPad.NOTSET:
        pads = zeros  # runtimes let auto_pad win over pads that are given as well
    return tuple(map(Axis, kernel, strides, dilations, pads, pads[rank:])), auto_pad


def _same_resolved(window: _Read) -> tuple[Axis, ...]:
    lower = window.auto_pad is AutoPad.SAME_LOWER
    return tuple(
        same_padding(dim, axis, lower=lower) if isinstance(dim, int) else axis
        for axis, dim in zip(window.axes, window.dims, strict=True)
    )


def _auto_pad(node: Node) -> AutoPad:
    value = text(node, "auto_pad", "NOTSET")
    mode = _AUTO_PADS.get(value)
    if mode is None:
        raise invalid(node, f"auto_pad {value!r} is none of {', '.join(_AUTO_PADS)}")
    return mode


_AUTO_PADS = {mode.value: mode for mode in AutoPad}


def _weight(node: Node, spelling: Spelling) -> str:
    weight = node.input(spelling.weight)
    if not weight:
        raise invalid(node, "has no weight input")
    return weight


def _kernel(node: Node, spelling: Spelling, weight: str) -> tuple[int, ...]:
    """Kernel from the attribute, else from the weight; both given must agree."""
    stated = integers(node, "kernel_shape", at_least=1)
    whole = node.scope.shape(weight)
    if whole and _is_empty(whole):
        raise invalid(node, f"weight {weight!r} of shape {show(whole)} is empty")
    shape = whole if spelling.kernel_in_weight else None
    implied = None if shape is None else shape[2:]
    if stated and implied is not None and not _agree(stated, implied):
        raise invalid(
            node,
            f"kernel_shape {list(stated)} contradicts its weight {weight!r} of shape {show(shape)}",
        )
    if stated:
        return stated
    if shape is not None and len(shape) < 3:
        raise invalid(node, f"weight {weight!r} of shape {show(shape)} has no spatial axis")
    kernel = tuple([dim for dim in implied or () if isinstance(dim, int)])
    if implied is None or len(kernel) < len(implied):
        raise Unknown("kernel is given neither by kernel_shape nor by the weight's shape")
    return kernel


@lru_cache(maxsize=1024)  # most weights are like another
def _is_empty(shape: Shape) -> bool:
    return any(isinstance(dim, int) and dim < 1 for dim in shape)


def _agree(stated: tuple[int, ...], implied: tuple[Dim, ...]) -> bool:
    return stated == implied or (
        len(stated) == len(implied)
        and all(
            dim == size or not isinstance(dim, int)
            for size, dim in zip(stated, implied, strict=True)
        )
    )


def _optional(node: Node, position: int) -> str:
    return node.input(position) if position >= 0 else ""
