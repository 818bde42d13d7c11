"""MaxPool as an anti-aliased Resize and a convolution of three taps, with weights to train.

What it does
    Shrinks the map with a linear Resize, smoothed against aliasing where the opset can (18), to
    the size the pool gives, computed from the Shape of the input so that every size comes out as
    it did. A Conv of three taps along each axis follows; it is fitted (`--init fit`) or begins as
    its centre times the gain of a rectified Gaussian field (`--init mean`), like
    maxpool-to-conv, and takes the same options.
    Where the Resize reads is chosen by where the windows stand: half_pixel when their centres
    are those of blocks of s elements (2x2 stride 2), asymmetric when they are every s-th element
    (3x3 stride 2, padding 1); for windows between, the centre tap begins divided between two.
    Before opset 18 it is always half_pixel: asymmetric would read one element of every s.

What it costs
    It is no maximum any more, and wants training, as maxpool-to-conv does. On three trained
    classifiers of digits a full fit kept 99 % of the answers like that of maxpool-to-conv, at
    about twice the time; the mean kept 68 to 97 %. A Resize stretches the whole map over the
    output: where the size is no multiple of the stride, or a window reaches past its stride
    without padding, centres drift from one end of the map to the other, as far to one side as
    to the other.

What it refuses
    What maxpool-to-conv refuses; a pool that drops no position; opsets before 11, whose Resize
    takes no sizes; strides from 3 on before opset 18, where a linear Resize reads two elements
    of each s at most; windows padded so unevenly that they stand beside what a Resize reads.

References
    Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019. Odena et al.,
    "Deconvolution and Checkerboard Artifacts", Distill, 2016.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxstride.api import AutoPad, Axis, MaxPool
from onnxstride.fitting import Expectation, Line, estimated, resized
from onnxstride.fitting.pools import (
    convolved,
    floor_axes,
    has_open_padding,
    refused,
    start,
    too_wide,
)
from onnxstride.surgery import Fragment, Refusal, Rewrite, Safety, Samples, Site

REWRITE = Rewrite("maxpool-to-resize-conv", Safety.TRAINING, on=(MaxPool,), mends=("DN201",))

EXAMPLES = {
    "the textbook pool": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            r = Relu (x)
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (r)  # maxpool-to-resize-conv
        }""",
    "overlapping, padded, of either sign": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x)  # maxpool-to-resize-conv
        }""",
    "padded at the end only": """
        net (float[N,8,W] x) => (float[N,8,Q] y) {
            r = Relu (x)
            y = MaxPool <kernel_shape = [3], strides = [2], pads = [0,1]> (r)  # maxpool-to-resize-conv
        }""",
}
REFUSED = {
    "it drops no position": """
        net (float[N,8,H,W] x) => (float[N,8,H,W] y) {
            y = MaxPool <kernel_shape = [3,3], pads = [1,1,1,1]> (x)  # maxpool-to-resize-conv
        }""",
    "its indices are read": """
        net (float[N,8,32,32] x) => (float[N,8,16,16] y, int64[N,8,16,16] i) {
            y, i = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-resize-conv
        }""",
    "the element type is uint8: only float32 and float16 can be rewritten": """
        net (uint8[N,8,32,32] x) => (uint8[N,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-resize-conv
        }""",
    "the number of channels is not known": """
        net (float[N,C,32,32] x) => (float[N,C,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-resize-conv
        }""",
    "a Resize to given sizes needs opset 11": """
        <ir_version: 8, opset_import: ["" : 10]>
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-resize-conv
        }""",
    "without antialias, which needs opset 18, a linear Resize reads two elements of every 3": """
        <ir_version: 8, opset_import: ["" : 17]>
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [3,3]> (x)  # maxpool-to-resize-conv
        }""",
    "its windows stand too far from where a Resize reads": """
        net (float[N,8,W] x) => (float[N,8,Q] y) {
            y = MaxPool <kernel_shape = [8], strides = [2], pads = [0,7]> (x)  # maxpool-to-resize-conv
        }""",
    "a maximum over 90,000 elements is not estimated, only over up to 65,536": """
        <ir_version: 8, opset_import: ["" : 18]>
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [100,100], strides = [100,100]> (x)  # maxpool-to-resize-conv
        }""",
}

_SIZES, _OPTIONAL_INPUTS, _ANTIALIAS = 11, 13, 18
"""Opsets from which Resize takes sizes, may do without its other inputs, and can smooth."""

_LONGEST_STRIDE = 2
"""Up to which a linear Resize without antialias reads every element."""

_TAPS = 3


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, MaxPool)
    axes = _axes(layer)
    coordinates = _coordinates(site, axes)
    shifts = [_shift(axis, coordinates) for axis in axes]
    reason = refused(site, layer) or _refused(site, layer, shifts) or too_wide(_reach(axes))
    if reason:
        return Refusal(reason)
    is_smooth = site.opset >= _ANTIALIAS
    begun = start(
        site,
        _taps(shifts),
        _expectation(axes, coordinates, is_smooth=is_smooth),
        [Axis(_TAPS, 1, 1, 1, 1)] * layer.rank,
        _shrunk(site.samples(), coordinates, is_smooth=is_smooth),
    )
    if isinstance(begun, str):
        return Refusal(begun)
    fragment = site.fragment()
    fragment.any_size = has_open_padding(layer) or not layer.has_implicit_padding
    fragment.figures |= {"coordinates": coordinates, "antialias": is_smooth}
    small = _resized(fragment, site, axes, coordinates)
    result = convolved(fragment, site, small, begun, pads=[1] * (2 * layer.rank))
    fragment.stand_in(site.node.output(0), result)
    return fragment


def _refused(site: Site, layer: MaxPool, shifts: Sequence[float]) -> str:
    if not layer.is_strided:
        return "it drops no position"
    if site.opset < _SIZES:
        return f"a Resize to given sizes needs opset {_SIZES}"
    if site.opset < _ANTIALIAS and max(layer.strides) > _LONGEST_STRIDE:
        return (
            f"without antialias, which needs opset {_ANTIALIAS}, a linear Resize reads two "
            f"elements of every {max(layer.strides)}"
        )
    if any(abs(shift) > 1 for shift in shifts):
        return "its windows stand too far from where a Resize reads"
    return ""


def _axes(layer: MaxPool) -> tuple[Axis, ...]:
    """The windows in floor mode; for SAME, where they stand on multiples of the stride.

    K - 1 in all is the padding that rounds every size up.
    """
    if not has_open_padding(layer):
        return floor_axes(layer)
    is_lower = layer.auto_pad is AutoPad.SAME_LOWER
    begins = [(max(0, axis.extent - axis.stride) + is_lower) // 2 for axis in layer.axes]
    return tuple(
        axis.padded(begin, axis.extent - 1 - begin)
        for axis, begin in zip(layer.axes, begins, strict=True)
    )


def _coordinates(site: Site, axes: Sequence[Axis]) -> str:
    """The coordinate mode whose centres are nearest to those of the windows.

    Without antialias, asymmetric reads one element of every s and drops the others.
    """
    if site.opset < _ANTIALIAS:
        return "half_pixel"
    modes = ("half_pixel", "asymmetric")
    return min(modes, key=lambda mode: sum(abs(_shift(axis, mode)) for axis in axes))


def _shift(axis: Axis, coordinates: str) -> float:
    """How far windows stand after where the Resize reads, in outputs, on average over the map.

    The first window's centre is (K - 1) / 2 - pb, the Resize's (s - 1) / 2 in half_pixel and 0
    in asymmetric. From the first output to the last the Resize gains W - s O elements on the
    windows; W is taken to be the size that makes this least.
    """
    first = (axis.extent - 1) / 2 - axis.begin - _centre(axis, coordinates)
    gained = axis.extent - axis.stride - axis.begin - axis.end
    if gained < 0:
        gained = min(0, gained + axis.stride - 1)
    return (first - gained / 2) / axis.stride


def _centre(axis: Axis, coordinates: str) -> float:
    return (axis.stride - 1) / 2 if coordinates == "half_pixel" else 0.0


def _taps(shifts: Sequence[float]) -> NDArray[np.float64]:
    """The kernel that reads between outputs, as far along each axis as it is shifted."""
    kernel = np.ones(())
    for shift in shifts:
        kernel = np.multiply.outer(kernel, _between(shift))
    return kernel


def _between(shift: float) -> NDArray[np.float64]:
    """Three taps that interpolate at ``shift`` outputs from the middle one."""
    taps: NDArray[np.float64] = np.maximum(0, 1 - np.abs(np.arange(-1, 2) - shift))
    return taps


def _reach(axes: Sequence[Axis]) -> list[int]:
    """Elements that a window and what a Resize reads for it span, at the most."""
    return [max(axis.extent, _TAPS * axis.stride) for axis in axes]


@cache
def _expectation(axes: tuple[Axis, ...], coordinates: str, *, is_smooth: bool) -> Expectation:
    return estimated([_line(axis, coordinates, is_smooth=is_smooth) for axis in axes])


def _line(axis: Axis, coordinates: str, *, is_smooth: bool) -> Line:
    """The window of one output, and what Resize and the kernel read for it, on the input."""
    reach = max(1, axis.stride) if is_smooth else 1
    ends = 2 * axis.stride + reach
    places = np.arange(min(-ends, -axis.begin), max(ends, axis.extent - axis.begin) + 1)
    window = np.isin(places, axis.dilation * np.arange(axis.kernel) - axis.begin)
    weights = np.zeros(len(places))
    shift = _shift(axis, coordinates)
    for tap, weight in zip((-1, 0, 1), _between(shift), strict=True):
        distance = np.abs(places - _centre(axis, coordinates) - tap * axis.stride)
        triangle = np.maximum(0, 1 - distance / reach)
        weights += weight * triangle / triangle.sum()
    is_used = window | (weights > 0)
    used = slice(int(is_used.argmax()), len(places) - int(is_used[::-1].argmax()))
    return Line(window[used], weights[used])


def _shrunk(
    samples: Samples, coordinates: str, *, is_smooth: bool
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """The samples as the convolution will see them."""
    for inputs, targets in samples:
        yield resized(inputs, targets.shape[2:], coordinates, antialias=is_smooth), targets


def _resized(fragment: Fragment, site: Site, axes: Sequence[Axis], coordinates: str) -> str:
    """The input, shrunk to (W + pb + pe - K) / s + 1 along each axis."""
    source, rank = site.layer.input, len(axes)
    shape = fragment.add("Shape", [source])
    kept = _part(fragment, shape, 0, 2, "batch_and_channels")
    sizes = _part(fragment, shape, 2, 2 + rank, "input_sizes")
    steps = (
        ("Add", "room", [axis.begin + axis.end - axis.extent for axis in axes]),
        ("Div", "steps", [axis.stride for axis in axes]),
        ("Add", "output_sizes", [1] * rank),
    )
    for op, label, values in steps:
        operand = fragment.constant(np.array(values, np.int64), f"{label}_operand")
        sizes = fragment.add(op, [sizes, operand], label=label)
    wanted = fragment.add("Concat", [kept, sizes], label="sizes", axis=0)
    unused = ["", ""]
    if site.opset < _OPTIONAL_INPUTS:
        unused = [fragment.constant(np.zeros(0, np.float32), name) for name in ("roi", "scales")]
    smooth = {"antialias": 1} if site.opset >= _ANTIALIAS else {}
    return fragment.add(
        "Resize",
        [source, *unused, wanted],
        label="resize",
        mode="linear",
        coordinate_transformation_mode=coordinates,
        **smooth,
    )


def _part(fragment: Fragment, shape: str, first: int, last: int, label: str) -> str:
    ends = [
        fragment.constant(np.array([value], np.int64), f"{label}_{what}")
        for what, value in (("start", first), ("end", last))
    ]
    return fragment.add("Slice", [shape, *ends], label=label)
