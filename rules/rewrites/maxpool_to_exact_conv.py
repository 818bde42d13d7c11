"""MaxPool as depthwise convolutions, ReLU and Add that compute the same maximum.

What it does
    Uses max(a, b) = a + relu(b - a). One axis at a time, depthwise convolutions pick the first
    tap and the differences of neighbouring taps; nested from the last to the first,

        max = x0 + relu(d1 + relu(d2 + .. relu(d(k-1)))),   dt = xt - x(t-1)

    is the maximum of k taps: k convolutions, k - 1 ReLU and k - 1 Add an axis. With stride 1 and
    more than three taps the window is built by doubling instead, in ceil(log2 k) steps. Every
    weight is a parameter: the model computes what it did, and can be trained on from there.

When it is exact
    Up to rounding: within two units in the last place of the largest magnitude in a window, at
    every input size, for finite input (an infinite difference has no sum). `--form slice-max` takes strided slices and Max instead, adds nothing up
    and is bit exact; it has no parameters. Where the input is provably zero or more the
    convolutions pad with zeros. Elsewhere the map is padded with its own edge before, which is
    in every window that reaches the padding; under dilation with the nearest element of the
    same residue.

What it refuses
    An Indices output that is read, integer and double types, a window that can lie wholly in
    the padding, unknown channels, padding that depends on an unknown size or on which runtimes
    differ, thousands of taps along an axis or millions of weights over all channels, and, for
    input of either sign, a dilated window that may reach past the end of a map shorter than its
    dilation.

References
    Numerics measured in ONNX Runtime 1.31.1.
"""

from collections.abc import Sequence

import numpy as np

from onnxstride.api import Axis, MaxPool, floor_form, is_never_negative
from onnxstride.surgery import (
    Fragment,
    Refusal,
    Rewrite,
    Safety,
    Site,
    may_miss_the_data,
    no_depthwise,
    padded,
    too_large,
)

REWRITE = Rewrite("maxpool-to-exact-conv", Safety.EXACT, on=(MaxPool,), mends=("DN201",))

EXAMPLES = {
    "the textbook pool": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            r = Relu (x)
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (r)  # maxpool-to-exact-conv
        }""",
    "overlapping, padded, of either sign": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x)  # maxpool-to-exact-conv
        }""",
    "dense and large": """
        net (float[N,8,H,W] x) => (float[N,8,H,W] y) {
            y = MaxPool <kernel_shape = [5,5], pads = [2,2,2,2]> (x)  # maxpool-to-exact-conv
        }""",
}
REFUSED = {
    "its indices are read": """
        net (float[N,8,32,32] x) => (float[N,8,16,16] y, int64[N,8,16,16] i) {
            y, i = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-exact-conv
        }""",
    "the element type is uint8: only float32 and float16 can be rewritten": """
        net (uint8[N,8,32,32] x) => (uint8[N,8,16,16] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)  # maxpool-to-exact-conv
        }""",
    "runtimes differ on SAME with dilation": """
        net (float[N,8,32,32] x) => (float[N,8,32,32] y) {
            y = MaxPool <kernel_shape = [3,3], dilations = [2,2], auto_pad = "SAME_UPPER"> (x)  # maxpool-to-exact-conv
        }""",
    "its padding repeats elements that a small map does not have": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [2,2], dilations = [2,2], ceil_mode = 1> (x)  # maxpool-to-exact-conv
        }""",
    "a window can lie wholly in the padding": """
        net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
            y = MaxPool <kernel_shape = [2,2], strides = [1,1], dilations = [4,4], pads = [1,1,1,1]> (x)  # maxpool-to-exact-conv
        }""",
    "there are 5,000 taps along an axis, each a layer of its own: more than 4,096": """
        net (float[N,8,W] x) => (float[N,8,Q] y) {
            y = MaxPool <kernel_shape = [5000], strides = [2]> (x)  # maxpool-to-exact-conv
        }""",
    "its convolutions would have 16,777,216 elements, more than the 8,388,608 that are made up": """
        net (float[N,16,W] x) => (float[N,16,Q] y) {
            y = MaxPool <kernel_shape = [1024], strides = [2]> (x)  # maxpool-to-exact-conv
        }""",
}

_MOST_TAPS = 1 << 12

_LONGEST_CHAIN = 3
"""Taps up to which the chain of differences is no longer than doubling."""


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, MaxPool)
    axes = [floor_form(axis) if layer.ceil_mode else axis for axis in layer.axes]
    unsigned = is_never_negative(site.graph, site.node, layer.input)
    refusal = _refusal(site, layer, axes, unsigned=unsigned)
    if refusal is not None:
        return refusal
    fragment = site.fragment()
    fragment.any_size = not layer.has_implicit_padding
    if site.options.form == "slice-max":
        result = _sliced(fragment, site, axes)
    else:
        # Each pairwise maximum subtracts and adds: two roundings a tap.
        fragment.accumulation = 2 * sum(axis.kernel for axis in axes)
        result = _added(fragment, site, axes, unsigned=unsigned)
    fragment.stand_in(site.node.output(0), result)
    return fragment


def _refusal(site: Site, layer: MaxPool, axes: Sequence[Axis], *, unsigned: bool) -> Refusal | None:
    if site.is_read(layer.indices):
        return Refusal("its indices are read")
    refusal = no_depthwise(site, layer)
    if refusal is not None:
        return refusal
    longest = max(layer.kernel)
    if longest > _MOST_TAPS:
        layers = f"each a layer of its own: more than {_MOST_TAPS:,}"
        return Refusal(f"there are {longest:,} taps along an axis, {layers}")
    if site.options.form == "slice-max":
        if site.opset < 10 and layer.is_strided:
            return Refusal("a Slice with steps needs opset 10")
    elif not unsigned and any(map(may_miss_the_data, axes, layer.sizes)):
        return Refusal("its padding repeats elements that a small map does not have")
    else:
        return _too_large(site, axes)
    return None


def _too_large(site: Site, axes: Sequence[Axis]) -> Refusal | None:
    """Each tap along an axis has a filter as long as the window, where they are chained."""
    assert site.channels is not None
    lengths = [axis.kernel**2 for axis in axes if not _is_doubled(axis)]
    return too_large("its convolutions", site.channels, sum(lengths))


def _is_doubled(axis: Axis) -> bool:
    return axis.stride == 1 and axis.kernel > _LONGEST_CHAIN


def _by_stride(axes: Sequence[Axis]) -> list[int]:
    """Axis numbers, the longest stride first: what comes after works on a smaller map."""
    return sorted(range(len(axes)), key=lambda i: -axes[i].stride)


def _added(fragment: Fragment, site: Site, axes: Sequence[Axis], *, unsigned: bool) -> str:
    """The additive form, one axis after the other."""
    assert site.dtype is not None
    assert site.channels is not None
    taps = _Taps(fragment, len(axes), site.channels, site.dtype)
    if unsigned:
        fragment.non_negative.append(site.layer.input)
    result = site.layer.input
    for i in _by_stride(axes):
        axis = axes[i]
        if not unsigned:
            result = _edge_padded(fragment, site, result, i, axis)
            axis = axis.padded(0, 0)
        if _is_doubled(axis):
            result = _doubled(fragment, taps, result, i, axis)
        else:
            result = _chained(fragment, taps, result, i, axis)
    return result


def _chained(fragment: Fragment, taps: "_Taps", source: str, i: int, axis: Axis) -> str:
    """x0 + relu(d1 + relu(d2 + ..)) over the taps of one axis."""
    if axis == Axis(1):
        return source
    first = taps.convolved(source, i, axis, {0: 1}, f"tap0_axis{i}")
    rest = ""
    for tap in reversed(range(1, axis.kernel)):
        step = taps.convolved(source, i, axis, {tap: 1, tap - 1: -1}, f"step{tap}_axis{i}")
        total = fragment.add("Add", [step, rest], label=f"sum{tap}_axis{i}") if rest else step
        rest = fragment.add("Relu", [total], label=f"relu{tap}_axis{i}")
    return fragment.add("Add", [first, rest], label=f"max_axis{i}") if rest else first


def _doubled(fragment: Fragment, taps: "_Taps", source: str, i: int, axis: Axis) -> str:
    """The maximum of k taps from that of L and the same L shifted by t, until L reaches k."""
    length = 1
    while length < axis.kernel:
        shift = min(length, axis.kernel - length)
        pair = Axis(2, 1, shift * axis.dilation, axis.begin, axis.end)
        source = _chained(fragment, taps, source, i, pair)
        length += shift
        axis = axis.padded(0, 0)  # the first step has padded for all
    return source


class _Taps:
    """Depthwise convolutions along one axis, with weights given tap by tap."""

    def __init__(
        self, fragment: Fragment, rank: int, channels: int, dtype: np.dtype[np.floating]
    ) -> None:
        self._fragment = fragment
        self._rank = rank
        self._channels = channels
        self._dtype = dtype

    def convolved(
        self, source: str, i: int, axis: Axis, weights: dict[int, int], label: str
    ) -> str:
        kernel = self._along(i, axis.kernel)
        values = np.zeros((self._channels, 1, axis.kernel), self._dtype)
        for tap, value in weights.items():
            values[:, :, tap] = value
        weight = self._fragment.constant(
            values.reshape(self._channels, 1, *kernel), f"{label}_weight"
        )
        begins, ends = self._along(i, axis.begin, 0), self._along(i, axis.end, 0)
        return self._fragment.add(
            "Conv",
            [source, weight],
            label=label,
            kernel_shape=kernel,
            strides=self._along(i, axis.stride),
            dilations=self._along(i, axis.dilation),
            pads=[*begins, *ends],
            group=self._channels,
        )

    def _along(self, i: int, value: int, other: int = 1) -> list[int]:
        return [value if axis == i else other for axis in range(self._rank)]


def _edge_padded(fragment: Fragment, site: Site, source: str, i: int, axis: Axis) -> str:
    """The map with each end of one axis continued by values every window there holds already."""
    if not (axis.begin or axis.end):
        return source
    if axis.dilation > 1:
        return _residue_padded(fragment, source, i, axis)
    return padded(
        fragment, site.opset, source, site.layer.rank, {i: (axis.begin, axis.end)}, mode="edge"
    )


def _residue_padded(fragment: Fragment, source: str, i: int, axis: Axis) -> str:
    d = axis.dilation
    before = [-q % d for q in range(axis.begin, 0, -1)]
    after = [q - d * -(-(q + 1) // d) for q in range(axis.end)]
    parts = [
        fragment.add(
            "Gather",
            [source, fragment.constant(np.array(indices, np.int64), f"{label}_axis{i}_indices")],
            label=f"{label}_axis{i}",
            axis=i + 2,
        )
        for indices, label in ((before, "before"), (after, "after"))
        if indices
    ]
    whole = [*parts[: bool(before)], source, *parts[bool(before) :]]
    return fragment.add("Concat", whole, label=f"padded_axis{i}", axis=i + 2)


def _sliced(fragment: Fragment, site: Site, axes: Sequence[Axis]) -> str:
    """The bit-exact form: the maximum of strided slices, one axis after the other."""
    assert site.dtype is not None
    result = site.layer.input
    for i in _by_stride(axes):
        axis = axes[i]
        if axis == Axis(1):
            continue
        if axis.begin or axis.end:
            lowest = np.array(-np.inf, site.dtype)
            result = padded(
                fragment, site.opset, result, len(axes), {i: (axis.begin, axis.end)}, value=lowest
            )
        slices = [_slice(fragment, site, result, i, axis, tap) for tap in range(axis.kernel)]
        result = (
            slices[0] if len(slices) == 1 else fragment.add("Max", slices, label=f"max_axis{i}")
        )
    return result


def _slice(fragment: Fragment, site: Site, source: str, i: int, axis: Axis, tap: int) -> str:
    start = tap * axis.dilation
    left = axis.extent - 1 - start
    end = -left if left else np.iinfo(np.int64).max
    if site.opset < 10:
        return fragment.add(
            "Slice", [source], label=f"tap{tap}_axis{i}", starts=[start], ends=[end], axes=[i + 2]
        )
    inputs = [
        fragment.constant(np.array([value], np.int64), f"tap{tap}_axis{i}_{what}")
        for what, value in (("start", start), ("end", end), ("axis", i + 2), ("step", axis.stride))
    ]
    return fragment.add("Slice", [source, *inputs], label=f"tap{tap}_axis{i}")
