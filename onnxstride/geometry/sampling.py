"""How far a Resize moves the image along one axis, how it repeats elements, and what it lets fold.

``resampling`` says at which coordinate x of the input an output stands. Pixels have an extent,
so that half_pixel is the rule that keeps the image where it is: with f the scale, output o
belongs at (o + 1/2) / f - 1/2. The shift of another rule is x minus that, in input elements.

Downscaling by r = 1 / f reads every r-th position. The input frequencies that become
indistinguishable from a constant are the multiples of 2 pi / r: the folding frequencies. The gain
at one is the root mean square, over the outputs, of what the weights make of it; 1 is as bad as
reading single elements, 0 removes it. Everything here is away from the border.

Source: ONNX operator specification, Resize-19; the sampling theorem.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import cos, floor, pi, sin, sqrt

from .resampling import ROUNDINGS, Resampling, line_of

_HALF = Fraction(1, 2)
_FINEST = 10_000  # denominators of scales: one size over another, both within reason
_MOST_OUTPUTS = 1 << 10
_CUBIC = Fraction(-3, 4)


def scale_of(value: float) -> Fraction:
    """The ratio that a floating scale is meant to be: 1/3 for 0.33333334; itself if it is none."""
    exact = Fraction(value)
    ratio = exact.limit_denominator(_FINEST)
    return ratio if abs(ratio - exact) <= abs(value) * 2.0**-23 else exact


def coordinate(resampling: Resampling, output: int) -> Fraction | None:
    """Where output ``output`` reads; None where that depends on what is not known."""
    line = line_of(resampling)
    if isinstance(line, str) or resampling.nearest_mode not in ROUNDINGS:
        return None
    per_element, start, adrift = line
    return None if adrift else per_element * output + start


def taps(resampling: Resampling, output: int) -> list[tuple[int, float]]:
    """Elements that an output reads, with their weights; none where that is not known."""
    x = coordinate(resampling, output)
    if x is None:
        return []
    if resampling.mode == "nearest":
        return [(_rounded(resampling, x), 1.0)]
    reach = 1 if resampling.mode == "linear" else 2
    kernel = _triangle if resampling.mode == "linear" else _cubic
    around = range(floor(x) - reach + 1, floor(x) + reach + 1)
    return [(index, float(kernel(abs(x - index)))) for index in around if abs(x - index) < reach]


def shifts(resampling: Resampling) -> tuple[Fraction, Fraction] | None:
    """Least and most that the image is moved, in input elements; None where it is not known.

    Of nearest, the mean over one period, which is what an eye sees. align_corners moves the two
    ends in opposite directions, so its extremes are those at the first and the last output.
    """
    if resampling.coordinates == "align_corners":
        return _shifts_of_ends(resampling)
    period = resampling.ratio.numerator
    if resampling.mode != "nearest":
        period = 1
    if period > _MOST_OUTPUTS:
        return None
    total = Fraction(0)
    for output in range(period):
        x = coordinate(resampling, output)
        if x is None:
            return None
        read = _rounded(resampling, x) if resampling.mode == "nearest" else x
        total += read - _in_place(resampling, output)
    return total / period, total / period


def repetitions(resampling: Resampling) -> tuple[int, ...] | None:
    """How many outputs of one period copy each element, for nearest; None where not known."""
    if resampling.mode != "nearest" or resampling.ratio.numerator > _MOST_OUTPUTS:
        return None
    counts: dict[int, int] = {}
    for output in range(resampling.ratio.numerator):
        x = coordinate(resampling, output)
        if x is None:
            return None
        element = _rounded(resampling, x) % resampling.ratio.denominator
        counts[element] = counts.get(element, 0) + 1
    return tuple(counts[element] for element in sorted(counts))


def has_ties(resampling: Resampling) -> bool:
    """True when some output of nearest reads exactly between two elements."""
    if resampling.mode != "nearest" or resampling.ratio.numerator > _MOST_OUTPUTS:
        return False
    if resampling.nearest_mode in ("floor", "ceil"):
        return False
    at = (coordinate(resampling, output) for output in range(resampling.ratio.numerator))
    return any(x is not None and (x - _HALF).denominator == 1 for x in at)


def folding_gains(resampling: Resampling) -> tuple[float, ...] | None:
    """Gain at each folding frequency 2 pi m / p, m = 1 .. p / 2; p is the scale's denominator.

    None where the coordinates are not known, or the scale is not one of a reasonable period.
    Empty for upscaling by a whole number, which folds nothing.
    """
    p, outputs = resampling.ratio.denominator, resampling.ratio.numerator
    if max(p, outputs) > _MOST_OUTPUTS:
        return None
    read = [taps(resampling, output) for output in range(outputs)]
    if not all(read):
        return None
    # Those above one half mirror the others.
    return tuple(_gain(read, Fraction(m, p)) for m in range(1, p // 2 + 1))


def _gain(read: Sequence[Sequence[tuple[int, float]]], frequency: Fraction) -> float:
    power = 0.0
    for weights in read:
        turned = [(2 * pi * float(frequency * index % 1), weight) for index, weight in weights]
        power += sum(weight * cos(angle) for angle, weight in turned) ** 2
        power += sum(weight * sin(angle) for angle, weight in turned) ** 2
    return sqrt(power / len(read))


def _rounded(resampling: Resampling, x: Fraction) -> int:
    return ROUNDINGS[resampling.nearest_mode](x)


def _in_place(resampling: Resampling, output: int) -> Fraction:
    return (output + _HALF) / resampling.ratio - _HALF


def _shifts_of_ends(resampling: Resampling) -> tuple[Fraction, Fraction] | None:
    if resampling.size is None or resampling.output_size is None:
        end = (1 - 1 / resampling.ratio) / 2  # what it tends to as maps become large
        return min(-end, end), max(-end, end)
    off = [
        x - _in_place(resampling, output)
        for output in (0, resampling.output_size - 1)
        if (x := coordinate(resampling, output)) is not None
    ]
    return (min(off), max(off)) if off else None


def _triangle(distance: Fraction) -> Fraction:
    return 1 - distance


def _cubic(t: Fraction, a: Fraction = _CUBIC) -> Fraction:
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
