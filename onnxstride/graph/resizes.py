"""Resize and Upsample of every opset, and slices with a step."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import TypeAlias

from ..geometry import Axis
from .attributes import Unknown, integer, integers, invalid, number, numbers, text
from .constants import Constants
from .layers import AutoPad, Resize, StridedSlice
from .scope import Dim, Node, Shape
from .spellings import Spelling

_MOST_AXES = 64  # numpy's

_Scales: TypeAlias = tuple[float | None, ...] | None


def resize(node: Node, spelling: Spelling, constants: Constants) -> Resize:
    shape = node.scope.shape(node.input(0))
    legacy = spelling.op == "Upsample" or node.scope.opset() < 11
    scales = _legacy_scales(node, constants) if legacy else _scales(node, shape, constants)
    if scales is None and shape is None:
        raise Unknown("neither the scales nor the shape of the input are known")
    rank = len(scales) if scales is not None else len(shape or ())
    if shape is not None and len(shape) != rank:
        raise invalid(node, f"{rank} scales for an input of rank {len(shape)}")
    if rank == 0:
        raise invalid(node, "resizes no axis")
    # Without a shape the scales may be those of the axes attribute alone.
    stated = _axes(node, "axes", None) if shape is None and not legacy else None
    spatial = _resized_axes(rank, scales) if stated is None else range(rank)
    known: Shape = shape or (None,) * rank
    return Resize(
        node,
        spelling.op,
        node.input(0),
        tuple(known[i] for i in spatial),
        tuple(scales[i] if scales is not None else None for i in spatial),
        text(node, "mode", "nearest"),
        "asymmetric" if legacy else text(node, "coordinate_transformation_mode", "half_pixel"),
        "floor" if legacy else text(node, "nearest_mode", "round_prefer_floor"),
        integer(node, "antialias", 0) == 1,
        tuple(spatial if stated is None else stated),
    )


def _resized_axes(rank: int, scales: _Scales) -> range:
    """The spatial axes: 2 and up, or those between batch and channels when 1 is scaled."""
    if rank <= 2:
        return range(rank)
    scaled = scales is not None and scales[1] not in (None, 1)
    channels_last = scales is not None and rank > 3 and scaled and scales[-1] == 1
    return range(1, rank - 1) if channels_last else range(2, rank)


def _legacy_scales(node: Node, constants: Constants) -> _Scales:
    """Scales of Upsample and of Resize before opset 11: an attribute, or the second input."""
    scales = numbers(node, "scales")
    if scales is not None:
        return _checked_scales(node, scales)
    width, height = number(node, "width_scale"), number(node, "height_scale")
    if width is not None and height is not None:
        return _checked_scales(node, (1.0, 1.0, height, width))
    if not node.input(1):
        raise invalid(node, "has neither a scales attribute nor a scales input")
    given = _few(node, "scales", 1, constants)
    return None if given is None else _checked_scales(node, given)


def _scales(node: Node, shape: Shape | None, constants: Constants) -> _Scales:
    """Scales since opset 11, one per dimension: as given, or from the sizes of the output."""
    has_scales, has_sizes = bool(node.input(2)), bool(node.input(3))
    scales = _few(node, "scales", 2, constants) if has_scales else None
    # Opset 11 required the scales input: an empty tensor stood for "not given".
    if scales == () or (scales is None and has_sizes):
        has_scales = False
    if has_scales == has_sizes:
        found = "both" if has_scales else "neither"
        raise invalid(node, f"needs either scales or sizes, and has {found}")
    axes = _axes(node, "axes", shape)
    if has_scales:
        if scales is None:
            return None
        return _on_all_axes(node, "scales", _checked_scales(node, scales), axes, shape)
    sizes = _few(node, "sizes", 3, constants)
    if sizes is None:
        return _ratios(node.scope.shape(node.output(0)), shape)
    if min(sizes, default=1) < 1:
        raise invalid(node, f"sizes {list(sizes)} should be at least 1")
    if shape is None:
        return None
    before = shape if axes is None else tuple(shape[axis] for axis in axes)
    if len(sizes) != len(before):
        raise invalid(node, f"sizes {list(sizes)} should have {len(before)} entries")
    scales_there = _with_policy(node, tuple(map(_ratio, map(int, sizes), before)))
    return _on_all_axes(node, "sizes", scales_there, axes, shape)


def _with_policy(node: Node, ratios: tuple[float | None, ...]) -> tuple[float | None, ...]:
    """Ratios of sizes as the scales in force: keep_aspect_ratio_policy makes them one."""
    policy = text(node, "keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return ratios
    if policy not in ("not_larger", "not_smaller"):
        raise invalid(
            node,
            f"keep_aspect_ratio_policy {policy!r} is none of stretch, not_larger, not_smaller",
        )
    known = [ratio for ratio in ratios if ratio is not None]
    if not known or len(known) < len(ratios):
        return (None,) * len(ratios)
    return (min(known) if policy == "not_larger" else max(known),) * len(ratios)


def _ratios(after: Shape | None, before: Shape | None) -> _Scales:
    if after is None or before is None or len(after) != len(before):
        return None
    return tuple(map(_ratio, after, before))


def _ratio(after: Dim, before: Dim) -> float | None:
    if isinstance(after, int) and isinstance(before, int):
        return after / before
    return 1.0 if after is not None and after == before else None


def _axes(node: Node, name: str, shape: Shape | None) -> tuple[int, ...] | None:
    """The axes attribute, counted from the front where the rank is known."""
    axes = integers(node, name, at_least=-(2**31))
    if axes is None or shape is None:
        return axes
    return _from_front(node, axes, len(shape))


def _from_front(node: Node, axes: Iterable[int], rank: int) -> tuple[int, ...]:
    stated = list(axes)
    if any(not -rank <= axis < rank for axis in stated):
        raise invalid(node, f"axes {stated} should lie within a tensor of rank {rank}")
    positions = tuple(axis % rank for axis in stated)
    if len(set(positions)) < len(positions):
        raise invalid(node, f"axes {stated} name one axis twice")
    return positions


def _on_all_axes(
    node: Node,
    name: str,
    entries: tuple[float | None, ...],
    axes: tuple[int, ...] | None,
    shape: Shape | None,
) -> _Scales:
    """The entries where ``axes`` puts them, 1 on all other axes."""
    if axes is None:
        return entries
    if len(entries) != len(axes):
        raise invalid(node, f"{len(entries)} {name} for {len(axes)} axes")
    if shape is None:
        return entries  # the axes that are resized, whichever they are
    spread: list[float | None] = [1.0] * len(shape)
    for axis, entry in zip(axes, entries, strict=True):
        spread[axis] = entry
    return tuple(spread)


def _checked_scales(node: Node, scales: Iterable[float]) -> tuple[float, ...]:
    values = tuple(float(scale) for scale in scales)
    if any(not isfinite(scale) or scale <= 0 for scale in values):
        raise invalid(node, f"scales {list(values)} should be finite and above 0")
    return values


def _few(
    node: Node, name: str, position: int, constants: Constants
) -> tuple[int | float, ...] | None:
    """The numbers an input holds, one per axis; None when they are not fixed in the file."""
    few = constants.few(node.scope, node.input(position), _MOST_AXES)
    if few is not None:
        return tuple(few.values)
    value = constants.value(node.scope, node.input(position))
    if value is None:
        return None
    if value.size > _MOST_AXES or value.dtype.kind not in "iuf":
        raise invalid(
            node,
            f"{name} should be a number per axis, found a tensor of shape {list(value.shape)} "
            f"and type {value.dtype}",
        )
    return tuple(value.reshape(-1).tolist())


def strided_slice(node: Node, constants: Constants) -> StridedSlice | None:
    """A Slice that steps over positions along axes 2 and up; other slices are no layer."""
    if not node.input(4):
        return None
    steps = _slice_input(node, "steps", 4, constants)
    if steps is not None and all(abs(step) == 1 for step in steps):
        return None
    shape = node.scope.shape(node.input(0))
    if shape is None:
        raise Unknown("rank of the input is unknown")
    if len(shape) < 3:
        return None
    windows = _slice_windows(node, shape, steps, constants)
    if all(window.stride == 1 for window in windows):
        return None
    return StridedSlice(node, "Slice", node.input(0), shape[2:], windows, AutoPad.NOTSET)


def _slice_windows(
    node: Node, shape: Shape, steps: tuple[int, ...] | None, constants: Constants
) -> tuple[Axis, ...]:
    """A window of one tap for each axis from 2 up."""
    if steps is None:
        raise Unknown("steps are computed at run time")
    starts = _slice_input(node, "starts", 1, constants)
    ends = _slice_input(node, "ends", 2, constants)
    stated = _slice_input(node, "axes", 3, constants) if node.input(3) else range(len(steps))
    if starts is None or ends is None or stated is None:
        raise Unknown("starts, ends or axes are computed at run time")
    if not len(stated) == len(starts) == len(ends) == len(steps):
        raise invalid(node, "starts, ends, axes and steps should be of one length")
    if 0 in steps:
        raise invalid(node, f"steps {list(steps)} must not be 0")
    windows = [Axis(1) for _ in shape]
    axes = _from_front(node, stated, len(shape))
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if axis >= 2:
            windows[axis] = _sliced(shape[axis], start, end, step)
    return tuple(windows[2:])


def _sliced(size: Dim, start: int, end: int, step: int) -> Axis:
    """One axis of a slice as a window of one tap, what it leaves out at either end as cropped.

    Raises:
        Unknown: which positions are read depends on a size that is unknown.
    """
    if isinstance(size, int):
        read = range(*slice(start, end, step).indices(size))
        if not read:
            return Axis(1)
        lowest, highest = min(read[0], read[-1]), max(read[0], read[-1])
        return Axis(1, abs(step), 1, -lowest, highest + 1 - size)
    if abs(step) > 1 and (step < 0 or start < 0):
        raise Unknown("which positions the slice reads depends on the input size, which is unknown")
    return Axis(1, abs(step), 1, -max(start, 0), min(end, 0))


def _slice_input(
    node: Node, name: str, position: int, constants: Constants
) -> tuple[int, ...] | None:
    value = _few(node, name, position, constants)
    return None if value is None else tuple(int(entry) for entry in value)
