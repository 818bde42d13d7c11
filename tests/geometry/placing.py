"""Windows put down one at a time: slow, and too plain to be wrong.

No closed form is used here. A window is the list of positions its taps fall on, position 0
being the first element of the data; padding lies below 0 and from the size on.
"""

from itertools import count
from typing import Literal, NamedTuple

from onnxstride.geometry import Axis

Rounding = Literal["down", "up", "up, but start in the data"]
Window = list[int]
Taps = frozenset[int]


class Strided(NamedTuple):
    """A strided window over ``size`` elements."""

    size: int
    axis: Axis
    ceil_mode: bool = False


class Transposed(NamedTuple):
    """A transposed convolution of ``size`` elements."""

    size: int
    axis: Axis
    output_padding: int = 0


class Fitted(NamedTuple):
    """A transposed convolution of ``size`` elements that is told its output size."""

    size: int
    axis: Axis
    output_padding: int
    output_size: int
    auto_pad: str


def windows(size: int, axis: Axis, rounding: Rounding) -> list[Window]:
    """The windows that are made, in order."""
    made: list[Window] = []
    for start in count(-axis.begin, axis.stride):
        window = [start + tap * axis.dilation for tap in range(axis.kernel)]
        if not _is_made(window, size, axis, rounding):
            return made
        made.append(window)
    raise AssertionError("unreachable: the windows leave the input")


def _is_made(window: Window, size: int, axis: Axis, rounding: Rounding) -> bool:
    padded_end = size + axis.end
    if rounding == "down":
        return window[-1] < padded_end
    something_is_left = window[-1] - axis.stride < padded_end - 1
    starts_in_data = window[0] < size
    return something_is_left and (starts_in_data or rounding == "up")


def windows_of(case: Strided) -> list[Window]:
    return windows(case.size, case.axis, "up, but start in the data" if case.ceil_mode else "down")


def reads(case: Strided) -> tuple[frozenset[int], ...]:
    """The elements of the data that each window reads."""
    return tuple(
        frozenset(position for position in window if 0 <= position < case.size)
        for window in windows_of(case)
    )


def written(case: Transposed) -> tuple[Taps, ...]:
    """The taps that write each output of a transposed convolution."""
    size, axis, output_padding = case
    canvas: dict[int, set[int]] = {}
    for element in range(size):
        for tap in range(axis.kernel):
            canvas.setdefault(element * axis.stride + tap * axis.dilation, set()).add(tap)
    stop = max(canvas) + 1 + output_padding - axis.end
    return tuple(frozenset(canvas.get(at, ())) for at in range(axis.begin, stop))


def tap_counts(axis: Axis) -> tuple[int, ...]:
    """Taps of each phase of the stride, by walking over all of them."""
    phases = [tap * axis.dilation % axis.stride for tap in range(axis.kernel)]
    return tuple(phases.count(phase) for phase in range(axis.stride))
