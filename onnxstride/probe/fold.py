"""How an output answers a constant input: the period it repeats with, and where that begins.

Away from the border every tensor of a convolutional network repeats when its input is constant.
Along one axis, with

====  ===============================================================================
P     the period: outputs after which the answer repeats
S     input elements per output, below 1 where the network enlarges
a, b  what output o sees of the input: from element S o + a to element S o + b
W, O  size of input and output
====  ===============================================================================

output o is free of the border if S o + a >= 0 and S o + b <= W - 1, that is for

    ceil(-a / S) <= o <= floor((W - 1 - b) / S),

and n whole periods of such outputs take W >= (b - a) + 1 + n P S.

Where nobody knows P, the product of the factors of all upsampling layers stands in for it: a
layer multiplies the period by its factor or leaves it as it is, a strided one divides it, and where
branches meet the least common multiple counts, so that P divides the product whatever way the
tensors take. Where nobody knows a and b, the middle half of the output is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, lcm

from .ripple import LEAST_PERIODS

_MARGIN = 4  # a quarter on either side is left out where the border's reach is not known


@dataclass(frozen=True, slots=True)
class Reach:
    """What output o sees of a dimension of an image: S o + first to S o + last."""

    image: str
    dim: int
    stride: Fraction
    first: Fraction
    last: Fraction


@dataclass(frozen=True, slots=True)
class Fold:
    """The period along one axis, and the reach of the border if that is known."""

    period: int
    reach: Reach | None = None

    def needed(self, periods: int) -> int:
        """Input elements at which that many whole periods are free of the border."""
        if self.reach is None:
            return 2 * periods * self.period
        reach = self.reach
        return ceil(reach.last - reach.first + 1 + periods * self.period * reach.stride)

    def interior(self, size: int, outputs: int) -> range:
        """Outputs free of the border, for an input of ``size``; possibly none."""
        if self.reach is None:
            return range(0)
        begin = ceil(-self.reach.first / self.reach.stride)
        end = floor((size - 1 - self.reach.last) / self.reach.stride) + 1
        return range(max(0, begin), max(0, min(end, outputs)))

    def size_in(self, shapes: Mapping[str, Sequence[int]]) -> int | None:
        """Size of what the reach counts, given the images' shapes; None where that is unknown."""
        if self.reach is None or self.reach.image not in shapes:
            return None
        return shapes[self.reach.image][self.reach.dim]


@dataclass(frozen=True, slots=True)
class Folding:
    """How one output is to be folded.

    Attributes:
        folds: one per spatial axis of the output.
        axes: which axes those are; none where the layout has to tell (see ``layout``).
        is_guess: True where the period is a multiple of the true one, if it is one at all.
    """

    folds: tuple[Fold, ...]
    axes: tuple[int, ...] = ()
    is_guess: bool = False

    @property
    def periods(self) -> tuple[int, ...]:
        return tuple(fold.period for fold in self.folds)

    def finer(self, periods: Sequence[int]) -> "Folding":
        """The same with periods that are multiples of these as well, if it has as many axes."""
        if not self.folds:
            return Folding(tuple(map(Fold, periods)), self.axes, is_guess=True)
        if len(self.folds) != len(periods):
            return self
        both = zip(self.folds, periods, strict=True)
        return replace(
            self, folds=tuple(replace(fold, period=lcm(fold.period, p)) for fold, p in both)
        )

    @property
    def repeats(self) -> bool:
        """True where something may repeat: there is a period over 1."""
        return any(fold.period > 1 for fold in self.folds)


def middle(outputs: int, period: int) -> range:
    """The middle half, but two periods at least where there are so many."""
    kept = max(outputs - 2 * (outputs // _MARGIN), min(outputs, LEAST_PERIODS * period))
    begin = (outputs - kept) // 2
    return range(begin, begin + kept)


def interior(
    folding: Folding, outputs: Sequence[int], shapes: Mapping[str, Sequence[int]]
) -> tuple[tuple[range, ...], bool]:
    """Outputs to measure along each axis, and whether they are free of the border.

    ``shapes`` are those of the images. Where the border leaves less than two periods, the middle
    half is taken: it has the pattern of the interior, with the border's shade upon it.
    """
    ranges: list[range] = []
    is_free = True
    for fold, count in zip(folding.folds, outputs, strict=True):
        size = fold.size_in(shapes)
        inside = range(0) if size is None else fold.interior(size, count)
        if len(inside) < (LEAST_PERIODS * fold.period if fold.period > 1 else 1):
            inside, is_free = middle(count, fold.period), False
        ranges.append(inside)
    return tuple(ranges), is_free
