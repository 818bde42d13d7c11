"""Geometry of windows: plain integers and numpy, nothing of ONNX.

Modules: ``axis`` (one axis, sizes), ``phases`` (taps per phase of the stride), ``borders``
(what the last window leaves over), ``ripple`` (what the weights do; needs numpy and is
imported where it is used).

Sizes of whole networks: ``quasi_affine`` (the size function of one operator, and how it repeats),
``terms`` and ``term_values`` (sizes computed from sizes), ``size_program`` (what is required of
them), ``deciding``, ``admissible`` and ``ties`` (the sizes that meet it), ``size_sets``.
"""

from .axis import (
    Axis,
    floor_form,
    may_start_in_padding,
    output_size,
    same_padding,
    same_size,
    same_total,
    starts_in_padding,
    transposed_padding,
    transposed_size,
)
from .borders import Border, border
from .phases import (
    bias_only_tail,
    empty_phases,
    is_even,
    overlap_ratio,
    reached_phases,
    tap_range,
    taps_per_phase,
    unread_by_all,
    unread_share,
)

__all__ = [
    "Axis",
    "Border",
    "bias_only_tail",
    "border",
    "empty_phases",
    "floor_form",
    "is_even",
    "may_start_in_padding",
    "output_size",
    "overlap_ratio",
    "reached_phases",
    "same_padding",
    "same_size",
    "same_total",
    "starts_in_padding",
    "tap_range",
    "taps_per_phase",
    "transposed_padding",
    "transposed_size",
    "unread_by_all",
    "unread_share",
]
