"""A transposed convolution as a convolution and a shuffle, held against plain loops."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onnxstride.geometry import Axis, is_even, overlap_ratio, transposed_size
from onnxstride.geometry.polyphase import (
    COPY,
    Polyphase,
    aligned,
    cheapest,
    cropped,
    evened,
    from_phases,
    phased,
    placed,
    to_phases,
    transposed_axis,
    trimmed,
)

from .strategies import law

Integers = NDArray[np.int64]


class Case(NamedTuple):
    """A transposed convolution; sizes are those of its input."""

    axes: tuple[Axis, ...]
    output_padding: tuple[int, ...]
    sizes: tuple[int, ...]
    group: int
    read: int
    written: int

    @property
    def weight(self) -> Integers:
        """Small integers, so that every order of adding up gives the same."""
        shape = (self.group * self.read, self.written, *(axis.kernel for axis in self.axes))
        return np.random.default_rng(3).integers(-9, 10, shape)

    @property
    def x(self) -> Integers:
        return np.random.default_rng(4).integers(-9, 10, (self.group * self.read, *self.sizes))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Windows of any kind that leave an output, over one to three axes."""
    rank = draw(st.sampled_from([1, 1, 2, 3]))
    axes, extra, sizes = [], [], []
    for _ in range(rank):
        small = 5 if rank == 1 else 3
        stride = draw(st.integers(1, small))
        pads = st.integers(0, 9 if rank == 1 else 3)
        axis = Axis(
            draw(st.integers(1, small + 1)), stride, draw(st.integers(1, 3)), draw(pads), draw(pads)
        )
        op, size = draw(st.integers(0, stride - 1)), draw(st.integers(1, small + 1))
        assume(transposed_size(size, axis, op) > 0)
        axes.append(axis)
        extra.append(op)
        sizes.append(size)
    group = draw(st.integers(1, 2))
    read, written = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    return Case(tuple(axes), tuple(extra), tuple(sizes), group, read, written)


def transposed(
    case: Case, weight: Integers, axes: Sequence[Axis], output_padding: Sequence[int]
) -> Integers:
    """Every tap of every element put down where it belongs."""
    shape = [
        transposed_size(size, axis, op)
        for size, axis, op in zip(case.sizes, axes, output_padding, strict=True)
    ]
    written = weight.shape[1]
    y = np.zeros((case.group * written, *shape), np.int64)
    x = case.x
    for place in np.ndindex(*case.sizes):
        for taps in product(*(range(axis.kernel) for axis in axes)):
            at = tuple(
                i * axis.stride + tap * axis.dilation - axis.begin
                for i, tap, axis in zip(place, taps, axes, strict=True)
            )
            if not all(0 <= i < size for i, size in zip(at, shape, strict=True)):
                continue
            for channel in range(x.shape[0]):
                first = channel // case.read * written
                tap: Integers = weight[channel][(slice(None), *taps)]
                y[(slice(first, first + written), *at)] += x[(channel, *place)] * tap
    return y


def convolved(x: Integers, weight: Integers, windows: Sequence[Axis], group: int) -> Integers:
    """A convolution of stride 1, window by window."""
    wide = np.pad(x, [(0, 0), *((window.begin, window.end) for window in windows)])
    sizes = [size - window.extent + 1 for size, window in zip(wide.shape[1:], windows, strict=True)]
    y = np.zeros((weight.shape[0], *sizes), np.int64)
    read, written = weight.shape[1], weight.shape[0] // group
    for place in np.ndindex(*sizes):
        cells = tuple(
            slice(i, i + window.extent, window.dilation)
            for i, window in zip(place, windows, strict=True)
        )
        for channel in range(weight.shape[0]):
            first = channel // written * read
            patch = wide[(slice(first, first + read), *cells)]
            y[(channel, *place)] = (patch * weight[channel]).sum()
    return y


def shuffled(y: Integers, form: Polyphase) -> Integers:
    """Phases side by side, and the crop."""
    rank = len(form.blocks)
    sizes = y.shape[1:]
    split = y.reshape(-1, *form.blocks, *sizes)
    order = [0, *(place for i in range(rank) for place in (1 + rank + i, 1 + i))]
    merged = [size * block for size, block in zip(sizes, form.blocks, strict=True)]
    whole = split.transpose(order).reshape(-1, *merged)
    kept = tuple(
        slice(begin, size - end)
        for (begin, end), size in zip(form.crop, whole.shape[1:], strict=True)
    )
    return whole[(slice(None), *kept)]


def through_phases(case: Case, form: Polyphase) -> Integers:
    """The convolution, the shuffle and the crop."""
    weight = to_phases(case.weight, form, case.group)
    flat = weight.reshape(-1, *weight.shape[2:])
    return shuffled(convolved(case.x, flat, form.windows, case.group), form)


@law
@given(case=cases())
def test_both_forms_are_the_same_function(case: Case) -> None:
    """Aligned and cropped, whatever the window, the padding and the size."""
    expected = transposed(case, case.weight, case.axes, case.output_padding)
    for form in (aligned(case.axes, case.output_padding), cropped(case.axes, case.output_padding)):
        np.testing.assert_array_equal(through_phases(case, form), expected)


@law
@given(case=cases(), crop=st.integers(0, 4))
def test_any_crop_will_do(case: Case, crop: int) -> None:
    """The crop at the begin is free below the stride; the rest follows from it."""
    chosen = tuple(
        phased(axis, op, crop % axis.stride)
        for axis, op in zip(case.axes, case.output_padding, strict=True)
    )
    expected = transposed(case, case.weight, case.axes, case.output_padding)
    np.testing.assert_array_equal(through_phases(case, Polyphase("any", chosen)), expected)


@law
@given(case=cases())
def test_convolutions_are_ones_that_runtimes_take(case: Case) -> None:
    """No padding is below zero, strides are 1, and less than a stride is cropped at each end."""
    for form in (aligned(case.axes, case.output_padding), cropped(case.axes, case.output_padding)):
        for axis in form.axes:
            assert min(axis.window.begin, axis.window.end) >= 0
            assert axis.window.stride == 1
            assert all(0 <= ends < axis.stride for ends in axis.crop)


def least_taps(axis: Axis, output_padding: int) -> int:
    """The fewest taps with any crop."""
    return min(phased(axis, output_padding, crop).window.kernel for crop in range(axis.stride))


@pytest.mark.parametrize("stride", range(1, 6))
def test_two_crops_are_enough(stride: int) -> None:
    """With padding below the extent, no crop gives a smaller kernel than the two that are tried."""
    for kernel, begin, dilation in product(range(1, 9), range(6), range(1, 4)):
        axis = Axis(kernel, stride, dilation, begin, begin)
        if begin >= axis.extent:
            continue
        (found,) = cropped([axis], [0]).kernel
        assert found == least_taps(axis, 0), axis
        if dilation == 1:
            assert found == -(-kernel // stride)


@pytest.mark.parametrize(
    ("axis", "output_padding", "whole", "least"),
    [
        pytest.param(Axis(4, 2, begin=1, end=1), 0, 3, 2, id="kernel 4 at stride 2"),
        pytest.param(Axis(3, 2, begin=1, end=1), 1, 2, 2, id="kernel 3 with output padding"),
        pytest.param(Axis(2, 2), 0, 1, 1, id="kernel 2 at stride 2"),
        pytest.param(Axis(5, 2, begin=2, end=2), 1, 3, 3, id="kernel 5 with output padding"),
        pytest.param(Axis(8, 4, begin=2, end=2), 0, 3, 2, id="kernel 8 at stride 4"),
        pytest.param(Axis(3, 1, dilation=2), 0, 3, 3, id="stride 1 keeps its dilation"),
        pytest.param(Axis(3, 2, dilation=4), 0, 3, 3, id="dilation of whole strides is kept"),
    ],
)
def test_taps(axis: Axis, output_padding: int, whole: int, least: int) -> None:
    """What is known of common windows."""
    assert aligned([axis], [output_padding]).kernel == (whole,)
    assert cropped([axis], [output_padding]).kernel == (least,)


def test_the_cheaper_form_is_taken() -> None:
    """Kernel 4 at stride 2: 9 taps, or 4 and a copy."""
    axes, none = [Axis(4, 2, begin=1, end=1)] * 2, (0, 0)
    assert (aligned(axes, none).cost(1), cropped(axes, none).cost(1)) == (9, 4 + COPY)
    assert cheapest(axes, none, 1).name == "aligned"
    assert cheapest(axes, none, 64).name == "cropped"
    assert cheapest([Axis(2, 2)], [0], 64).name == "aligned"


def test_a_crop_that_is_there_anyhow_costs_no_more() -> None:
    """One axis has a surplus in any case, so the other may be cropped too."""
    axes = [Axis(3, 2), Axis(4, 2, begin=1, end=1)]
    form = cheapest(axes, (0, 0), 1)
    assert (form.name, form.crop) == ("cropped", ((0, 1), (1, 1)))


@law
@given(case=cases(), places=st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_phases_there_and_back(case: Case, places: list[int]) -> None:
    """A convolution and a shuffle are one transposed convolution, trimmed or not."""
    windows, blocks = [], [axis.stride for axis in case.axes]
    for axis, place in zip(case.axes, places, strict=False):
        pad = min(place, axis.kernel - 1)
        windows.append(Axis(axis.kernel, 1, begin=pad, end=axis.kernel - 1 - pad))
    whole = tuple(map(transposed_axis, windows, blocks))
    random = np.random.default_rng(5)
    shape = (case.group * case.written, int(np.prod(blocks)), case.read)
    phases = random.integers(-3, 4, (*shape, *(window.kernel for window in windows)))
    phases[..., -1] = 0  # something to trim
    weight = from_phases(phases, blocks, case.group)
    flat = phases.reshape(-1, *phases.shape[2:])
    plain = replace_axes(case, windows, blocks)
    expected = shuffled(convolved(case.x, flat, windows, case.group), plain)
    none = (0,) * len(blocks)
    np.testing.assert_array_equal(transposed(case, weight, whole, none), expected)
    smaller, axes = trimmed(weight, whole)
    assert smaller.size < weight.size or axes[-1].begin == 0
    np.testing.assert_array_equal(transposed(case, smaller, axes, none), expected)


def replace_axes(case: Case, windows: Sequence[Axis], blocks: Sequence[int]) -> Polyphase:
    """A form that says no more than how its phases are put side by side."""
    nowhere = np.zeros(0, np.int64)
    pairs = zip(windows, blocks, strict=True)
    axes = [replace(phased(Axis(1), 0), stride=b, window=w, slots=nowhere) for w, b in pairs]
    return Polyphase("uncropped", tuple(axes))


@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize(
    ("axis", "output_padding"),
    [
        (Axis(2, 2), 0),
        (Axis(3, 2, begin=1, end=1), 1),
        (Axis(4, 2, begin=1, end=1), 0),
        (Axis(5, 2, begin=2, end=2), 1),
        (Axis(8, 4, begin=2, end=2), 0),
        (Axis(16, 8, begin=4, end=4), 0),
    ],
    ids=str,
)
def test_a_kernel_comes_back(axis: Axis, output_padding: int, group: int) -> None:
    """From the aligned form, tap by tap; output padding becomes less padding."""
    case = Case((axis, axis), (output_padding,) * 2, (4, 3), group, 2, 2)
    form = aligned(case.axes, case.output_padding)
    phases = to_phases(case.weight, form, group)
    axes = tuple(map(transposed_axis, form.windows, form.blocks))
    weight, axes = trimmed(from_phases(phases, form.blocks, group), axes)
    np.testing.assert_array_equal(weight, case.weight)
    assert axes == (axis.padded(axis.begin, axis.end - output_padding),) * 2


@law
@given(case=cases())
def test_taps_added_at_the_end(case: Case) -> None:
    """They make the overlap even and change no output; an even one is left alone."""
    wider = tuple(map(evened, case.axes))
    assert all(map(is_even, wider))
    assert overlap_ratio(wider) == 1
    assert tuple(map(evened, wider)) == wider
    weight = placed(case.weight, case.axes, wider)
    expected = transposed(case, case.weight, case.axes, case.output_padding)
    found = transposed(case, weight, wider, case.output_padding)
    np.testing.assert_array_equal(found, expected)


TAP = Case((Axis(3, 2, begin=1, end=1),), (1,), (4,), 1, 1, 1)


def faults() -> dict[str, Any]:
    """Forms of one case, each wrong in one thing."""
    form = aligned(TAP.axes, TAP.output_padding)
    (axis,) = form.axes
    return {
        "a tap in another phase": replace(axis, slots=axis.slots[[1, 0, 2]]),
        "padding at the wrong end": replace(
            axis, window=axis.window.padded(axis.window.end, axis.window.begin)
        ),
        "a crop at the wrong end": replace(
            phased(TAP.axes[0], 0), crop=phased(TAP.axes[0], 0).crop[::-1]
        ),
    }


@pytest.mark.parametrize("fault", faults())
def test_a_wrong_form_is_noticed(fault: str) -> None:
    """The comparison of the tests above fails for it."""
    op = 0 if fault == "a crop at the wrong end" else 1
    expected = transposed(TAP, TAP.weight, TAP.axes, (op,))
    found = through_phases(TAP, Polyphase("wrong", (faults()[fault],)))
    assert not np.array_equal(found, expected)
