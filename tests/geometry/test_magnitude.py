"""Numbers of any magnitude cost nothing: sizes in a file are not to be trusted.

Steps are counted, not timed: a loop over 2^40 is caught after a few thousand of them.
"""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from onnxstride.geometry import (
    Axis,
    bias_only_tail,
    border,
    empty_phases,
    floor_form,
    is_even,
    may_start_in_padding,
    output_size,
    overlap_ratio,
    reached_phases,
    same_padding,
    same_size,
    same_total,
    starts_in_padding,
    tap_range,
    taps_per_phase,
    transposed_padding,
    transposed_size,
    unread_by_all,
    unread_share,
)

BIG = 2**40
LIMIT = 2_000


class TooManySteps(AssertionError):
    """A call ran more lines than a closed form has."""


def steps(call: Callable[[], object]) -> int:
    """Lines of Python that ``call`` runs.

    Raises:
        TooManySteps: more than ``LIMIT``; the call is abandoned there.
    """
    taken = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal taken
        taken += 1
        if taken > LIMIT:
            raise TooManySteps(f"{frame.f_code.co_qualname} runs over {LIMIT} lines")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        call()
    finally:
        sys.settrace(before)
    return taken


WINDOWS = [
    pytest.param(Axis(BIG, BIG - 1, BIG + 1, BIG // 3, BIG), id="all large"),
    pytest.param(Axis(BIG + 1, 3), id="kernel"),
    pytest.param(Axis(3, BIG), id="stride"),
    pytest.param(Axis(3, 2, BIG), id="dilation"),
    pytest.param(Axis(3, 2, 1, BIG, BIG), id="padding"),
    pytest.param(Axis(BIG, BIG, BIG), id="stride equal to dilation"),
]

CALLS: list[Callable[[Axis], object]] = [
    floor_form,
    may_start_in_padding,
    empty_phases,
    reached_phases,
    is_even,
    tap_range,
    lambda axis: output_size(BIG, axis),
    lambda axis: output_size(BIG, axis, ceil_mode=True),
    lambda axis: starts_in_padding(BIG, axis),
    lambda axis: same_size(BIG, axis.stride),
    lambda axis: same_total(BIG, axis),
    lambda axis: same_padding(BIG, axis, lower=True),
    lambda axis: transposed_size(BIG, axis, BIG),
    lambda axis: transposed_padding(BIG, axis, BIG, 1, upper=True),
    lambda axis: transposed_padding(1, axis, 0, BIG**3, upper=True),
    lambda axis: border(BIG, axis),
    lambda axis: border(BIG, axis, ceil_mode=True),
    lambda axis: bias_only_tail(axis, BIG),
    lambda axis: overlap_ratio([axis] * 3),
    lambda axis: unread_share([axis] * 3),
]


@pytest.mark.parametrize("axis", WINDOWS)
def test_closed_forms_do_not_loop(axis: Axis) -> None:
    """Every closed form answers for 2^40 in a number of steps that a loop would exceed."""
    for call in CALLS:
        assert steps(partial(call, axis)) > 0


def test_counts_walk_over_the_stride_alone() -> None:
    """Counts per phase are as many as the stride, however long the kernel or its dilation."""
    assert steps(lambda: taps_per_phase(Axis(BIG, 3, BIG + 1))) < 100
    assert taps_per_phase(Axis(BIG, 3, BIG + 1)) == (BIG // 3 + 1, BIG // 3, BIG // 3)


def test_joined_readers_are_given_up_not_enumerated() -> None:
    """Long kernels and dilations are no cost; strides with too long a period have no answer."""
    assert steps(lambda: unread_by_all([[Axis(BIG, 3, BIG)], [Axis(BIG, 2, 2)]])) < LIMIT
    assert steps(lambda: unread_by_all([[Axis(3, BIG)], [Axis(3, BIG - 1)]])) < 100
    assert unread_by_all([[Axis(3, BIG)], [Axis(3, BIG - 1)]]) is None


def test_the_step_counter_finds_loops() -> None:
    """Counting by walking, the fault these tests are for, is caught."""
    with pytest.raises(TooManySteps):
        steps(lambda: sum(1 for _ in range(BIG)))
    with pytest.raises(TooManySteps):
        steps(lambda: taps_per_phase(Axis(BIG, 10**4)))


def test_importing_the_package_loads_no_numpy_and_no_onnx() -> None:
    """Integers need neither; only ``ripple`` does, where it is used."""
    program = "import sys, onnxstride.geometry; print({'numpy', 'onnx'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"set()"]
