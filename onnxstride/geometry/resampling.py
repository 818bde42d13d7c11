"""Which elements an interpolation reads, for every coordinate rule of Resize.

Output element i stands at coordinate x of the input, and reads the elements around x:

======================  ==============================================================
coordinate rule         x, with f = output size over input size, or the scale as given
======================  ==============================================================
half_pixel              (i + 1/2) / f - 1/2
half_pixel_symmetric    the same where f times the input size W is whole; else moved on by
                        (W - floor(f W) / f) / 2
pytorch_half_pixel      the same, but 0 for an output of one element
tf_half_pixel_for_nn    (i + 1/2) / f
asymmetric              i / f
align_corners           i (W - 1) / (O - 1), and 0 for an output of one element
======================  ==============================================================

``nearest`` reads one element, ``linear`` those within 1 of x and ``cubic`` those within 2, none
of them at a distance of exactly that. ``antialias`` widens the two by 1 / f where f < 1.

What cubic reads does not move on with x: one element where x is an element, four before and
after. It is given the element's neighbours as well, whose weight is 0, unless every x is an
element. What is read then moves on steadily, as those rely on who compose readings.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from .fields import MOST_PHASES, Reading, Unknown

_HALF = Fraction(1, 2)

ROUNDINGS: dict[str, Callable[[Fraction], int]] = {
    "round_prefer_floor": lambda x: ceil(x - _HALF),
    "round_prefer_ceil": lambda x: floor(x + _HALF),
    "floor": floor,
    "ceil": ceil,
}
_RADIUS = {"linear": 1, "cubic": 2}


class Resampling(NamedTuple):
    """An interpolation along one axis.

    Attributes:
        ratio: output over input size, or the scale that is given.
        coordinates: the coordinate rule, by its name in ONNX.
        mode: nearest, linear or cubic.
        nearest_mode: how nearest rounds, by its name in ONNX.
        antialias: whether the taps are widened where the map shrinks.
        size: of the input, None when unknown.
        output_size: None when unknown.
    """

    ratio: Fraction
    coordinates: str = "half_pixel"
    mode: str = "nearest"
    nearest_mode: str = "round_prefer_floor"
    antialias: bool = False
    size: int | None = None
    output_size: int | None = None


def resampled(resampling: Resampling) -> Reading | Unknown:
    """The reading of an interpolation; Unknown where its coordinates need a size nobody knows."""
    placed = line_of(resampling)
    if isinstance(placed, str):
        return Unknown(placed)
    per_element, start, adrift = placed
    if per_element.denominator > MOST_PHASES:
        return Unknown(f"its ratio {resampling.ratio} is no simple fraction")
    on_elements = per_element.denominator == start.denominator == 1
    taps = _taps(resampling, on_elements)
    if taps is None:
        return Unknown(f"mode {resampling.mode!r} or its rounding is none that is known")
    phases = range(per_element.denominator)
    spans = tuple(taps(per_element * r + start) for r in phases)
    return Reading(per_element.numerator, spans, True, adrift)


def line_of(resampling: Resampling) -> tuple[Fraction, Fraction, str] | str:
    """A and b of x = a i + b, and what leaves b open; or why there is no such line."""
    ratio, size, output_size = resampling.ratio, resampling.size, resampling.output_size
    per_element = 1 / ratio
    half_pixel = (per_element - 1) / 2
    match resampling.coordinates:
        case "asymmetric":
            return per_element, Fraction(0), ""
        case "half_pixel":
            return per_element, half_pixel, ""
        case "pytorch_half_pixel":
            return per_element, half_pixel if output_size != 1 else Fraction(0), ""
        case "tf_half_pixel_for_nn":
            return per_element, per_element / 2, ""
        case "align_corners":
            if size is None or output_size is None:
                return "align_corners depends on sizes that are unknown"
            if min(size, output_size) == 1:
                return per_element, Fraction(0), ""
            return Fraction(size - 1, output_size - 1), Fraction(0), ""
        case "half_pixel_symmetric" if size is not None:
            cut = size - floor(ratio * size) / ratio
            return per_element, half_pixel + cut / 2, ""
        case "half_pixel_symmetric":
            drift = "" if ratio.denominator == 1 else "half_pixel_symmetric depends on the size"
            return per_element, half_pixel, drift
        case rule:
            return f"coordinates {rule!r} depend on a region of interest"


def _taps(
    resampling: Resampling, on_elements: bool
) -> Callable[[Fraction], tuple[int, int]] | None:
    """From a coordinate to the first and last element read.

    ``on_elements`` says that every coordinate is an element.
    """
    if resampling.mode == "nearest":
        rounded = ROUNDINGS.get(resampling.nearest_mode)
        return None if rounded is None else lambda x: (rounded(x), rounded(x))
    reach = _RADIUS.get(resampling.mode)
    if reach is None:
        return None
    if resampling.antialias and resampling.ratio < 1:
        radius = reach / resampling.ratio
        return lambda x: (floor(x - radius) + 1, ceil(x + radius) - 1)
    return _between if reach == 1 else lambda x: _around(x, on_elements)


def _between(x: Fraction) -> tuple[int, int]:
    return floor(x), ceil(x)


def _around(x: Fraction, on_elements: bool) -> tuple[int, int]:
    """The four elements around x; an element's neighbours weigh 0 where x is one."""
    if x.denominator > 1:
        return floor(x) - 1, ceil(x) + 1
    return (int(x), int(x)) if on_elements else (int(x) - 1, int(x) + 1)
