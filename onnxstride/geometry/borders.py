"""What happens at the end of the input, where the last window stops.

With R = (W + pb + pe - K) mod s, the elements of the padded input left over after the last
window in floor mode:

* of the padding at the end, max(0, pe - R) elements are used, all of pe only when R == 0;
* of the data, max(0, R - pe) elements are dropped, the whole input at most.

Source: Alsallakh et al., "Mind the Pad", ICLR 2021, for the effect; the figures follow from
the floor in the output size.
"""

from dataclasses import dataclass

from .axis import Axis, output_size


@dataclass(frozen=True, slots=True)
class Border:
    """What one axis of a strided window does at its two ends, in elements.

    ``padding_begin`` and ``padding_end`` say how far the windows reach past the data: in ceil
    mode the end can exceed what was declared. ``dropped`` counts data after the last window;
    data that is skipped between windows is not in it.
    """

    padding_begin: int
    padding_end: int
    dropped: int


def border(size: int, axis: Axis, *, ceil_mode: bool = False) -> Border | None:
    """The border of ``axis`` over ``size`` elements; None when there is no window."""
    outputs = output_size(size, axis, ceil_mode=ceil_mode)
    if outputs < 1:
        return None
    past_end = (outputs - 1) * axis.stride - axis.begin + axis.extent - size
    return Border(max(0, axis.begin), max(0, past_end), min(size, max(0, -past_end)))
