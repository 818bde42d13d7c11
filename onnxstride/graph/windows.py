"""Convolutions and pools: from the attributes of a node to a typed window.

A kernel given only by the weight and a default left out are filled in, padding that auto_pad
leaves to the runtime is resolved where the size is known, and what contradicts itself is an
``InvalidNode``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ..geometry import Axis, same_padding, transposed_padding
from .attributes import Unknown, integer, integers, invalid, text
from .dimensions import positive, show, spatial_dims
from .layers import AutoPad, AveragePool, Conv, ConvTranspose, LpPool, MaxPool
from .scope import Dim, Node
from .spellings import Spelling, channels_last


def conv(node: Node, spelling: Spelling) -> Conv:
    weight = _weight(node, spelling)
    window, group = _geometry(_conv, node, spelling)
    bias = _optional(node, spelling.bias)
    return Conv(node, "Conv", node.input(0), *window, weight, bias, group)


def _conv(node: Node, spelling: Spelling) -> tuple[_Window, int]:
    window = _resolved(_window(node, spelling, _kernel(node, spelling)))
    return window, positive(node, "group", 1)


def conv_transpose(node: Node, spelling: Spelling) -> ConvTranspose:
    weight = _weight(node, spelling)
    window, group, output_padding, output_shape = _geometry(_conv_transpose, node, spelling)
    if _optional(node, spelling.pads):
        raise Unknown("padding is an input, not an attribute")
    bias = _optional(node, spelling.bias)
    return ConvTranspose(
        node, "ConvTranspose", node.input(0), *window, weight, bias, group,
        output_padding, output_shape,
    )  # fmt: skip


def _conv_transpose(
    node: Node, spelling: Spelling
) -> tuple[_Window, int, tuple[int, ...], tuple[int, ...] | None]:
    kernel = _kernel(node, spelling)
    window = _window(node, spelling, kernel)
    stated = integers(node, "output_padding", at_least=0, length=len(kernel))
    output_padding = stated or (0,) * len(kernel)
    output_shape = _output_shape(node, len(kernel))
    if output_shape is not None or window.auto_pad.is_same:
        wanted = output_shape or (None,) * len(kernel)
        axes = tuple(
            _transposed_axis(window, i, padding, size)
            for i, (padding, size) in enumerate(zip(output_padding, wanted, strict=True))
        )
        window = window._replace(axes=axes)
    return window, positive(node, "group", 1), output_padding, output_shape


def _output_shape(node: Node, rank: int) -> tuple[int, ...] | None:
    """Spatial part of output_shape, which some exporters write with batch and channels."""
    shape = integers(node, "output_shape", at_least=0)
    if not shape:
        return None
    if len(shape) not in (rank, rank + 2):
        raise invalid(node, f"output_shape {list(shape)} should have {rank} entries")
    return shape[-rank:]


def _transposed_axis(window: _Window, i: int, output_padding: int, wanted: int | None) -> Axis:
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
    window, ceil_mode, column_major = _geometry(_max_pool, node, spelling)
    return MaxPool(node, "MaxPool", node.input(0), *window, ceil_mode, column_major, node.output(1))


def _max_pool(node: Node, spelling: Spelling) -> tuple[_Window, bool, bool]:
    return *_pool(node, spelling), integer(node, "storage_order", 0) == 1


def average_pool(node: Node, spelling: Spelling) -> AveragePool:
    window, *others = _geometry(_average_pool, node, spelling)
    return AveragePool(node, "AveragePool", node.input(0), *window, *others)


def _average_pool(node: Node, spelling: Spelling) -> tuple[_Window, bool, bool]:
    return *_pool(node, spelling), integer(node, "count_include_pad", 0) == 1


def lp_pool(node: Node, spelling: Spelling) -> LpPool:
    window, ceil_mode = _geometry(_pool, node, spelling)
    return LpPool(node, "LpPool", node.input(0), *window, ceil_mode)


def _pool(node: Node, spelling: Spelling) -> tuple[_Window, bool]:
    kernel = integers(node, "kernel_shape", at_least=1)
    if not kernel:
        raise invalid(node, "kernel_shape is required, and missing")
    window = _resolved(_window(node, spelling, kernel))
    return window, integer(node, "ceil_mode", 0) == 1


_T = TypeVar("_T")
_KNOWN: dict[tuple[object, ...], Any] = {}
_MOST_KNOWN = 1024


def _geometry(read: Callable[[Node, Spelling], _T], node: Node, spelling: Spelling) -> _T:
    """What ``read`` makes of a node, or has made of another that says the same.

    Most windows of a model say what another says: comparing bytes is quicker than reading them.
    ``read`` looks at the attributes and at the shapes of map and weight, and at nothing else.
    """
    attributes = node.attributes
    said = [attribute.SerializeToString() for attribute in attributes.values()]
    shapes = [node.scope.shape(node.input(position)) for position in (0, spelling.weight)]
    key = (read, spelling, *shapes, *attributes, *said)
    if key not in _KNOWN:
        if len(_KNOWN) == _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = read(node, spelling)
    known: _T = _KNOWN[key]
    return known


_MOST_AXES = 8
"""What is asked of every combination of axes is asked 2^8 times; a nonsensical rank has no end."""


class _Window(NamedTuple):
    """A window in the order in which layers have its parts."""

    dims: tuple[Dim, ...]
    axes: tuple[Axis, ...]
    auto_pad: AutoPad


def _window(node: Node, spelling: Spelling, kernel: tuple[int, ...]) -> _Window:
    """The window as the attributes state it, before auto_pad is resolved."""
    rank = len(kernel)
    if rank > _MOST_AXES:
        raise Unknown(f"a window of {rank:,} axes; at most {_MOST_AXES} are looked at")
    axes, auto_pad = _stated(node, kernel)
    return _Window(spatial_dims(node, channels_last(node, spelling), rank), axes, auto_pad)


def _stated(node: Node, kernel: tuple[int, ...]) -> tuple[tuple[Axis, ...], AutoPad]:
    rank = len(kernel)
    ones, zeros = (1,) * rank, (0,) * (2 * rank)
    strides = integers(node, "strides", at_least=1, length=rank) or ones
    dilations = integers(node, "dilations", at_least=1, length=rank) or ones
    auto_pad = _auto_pad(node)
    pads = integers(node, "pads", at_least=0, length=2 * rank) or zeros
    if auto_pad is not AutoPad.NOTSET:
        pads = zeros  # runtimes let auto_pad win over pads that are given as well
    return tuple(map(Axis, kernel, strides, dilations, pads, pads[rank:])), auto_pad


def _resolved(window: _Window) -> _Window:
    """The window with the padding that auto_pad leaves to the runtime, where sizes are known."""
    if not window.auto_pad.is_same:
        return window
    lower = window.auto_pad is AutoPad.SAME_LOWER
    axes = tuple(
        same_padding(dim, axis, lower=lower) if isinstance(dim, int) else axis
        for axis, dim in zip(window.axes, window.dims, strict=True)
    )
    return window._replace(axes=axes)


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


def _kernel(node: Node, spelling: Spelling) -> tuple[int, ...]:
    """Kernel from the attribute, else from the weight; both given must agree."""
    weight = _weight(node, spelling)
    stated = integers(node, "kernel_shape", at_least=1)
    whole = node.scope.shape(weight)
    if any(isinstance(dim, int) and dim < 1 for dim in whole or ()):
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
