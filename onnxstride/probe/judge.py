"""From what one output answered to what it repeats.

Constant images leave nothing but the pattern in the interior of the output; each is one answer.
Pictures drawn from latent vectors have a content too, so they count together: with e the excess of
a group of frequencies over its surroundings in the spectrum (see ``ripple``), in L pictures,

    rms   = sqrt(sum over groups of max(0, mean e)),
    least = sqrt(sum over groups of max(0, mean e - 3 sd(e) / sqrt(L))),

and what ``least`` does not reach may be chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..verify.runtime import Array
from ..wording import by
from .fold import Folding, interior
from .foldings import Target
from .layout import spatial_axes
from .ranges import SEEN, Range, taken_for
from .ripple import LEAST_PERIODS, LEAST_PERIODS_WINDOWED, Pattern, coarsest_that_fits, measure
from .values import Answer, OutputProbe

Shapes = Mapping[str, Sequence[int]]

_SURE = 3.0  # standard errors
_SHOWN = {1: 1024, 2: 128}  # elements kept to look at, along each axis
_SHOWN_OF_VOLUME = 48
_MOST_ELEMENTS = 1 << 23  # to measure at once
_LARGEST_REMAINDER = 0.5  # of the pattern, where its period is a guess


class Judge:
    """Collects what one output answers.

    Args:
        target: the output.
        declared: its range, if the model says what it is.
        images: the ranges of the images it answers to, by their channels; none for pictures that
            are drawn from latent vectors.
        threshold: share of the range above which a pattern counts as visible.
    """

    def __init__(
        self,
        target: Target,
        declared: Range | None,
        images: Mapping[int, Range],
        threshold: float,
    ) -> None:
        self._target = target
        self._threshold = threshold
        self._declared = declared
        self._images = images
        self._of_latents = not images
        self._channels = 0
        self._low, self._high = np.inf, -np.inf
        self._sizes: tuple[int, ...] = ()
        self._is_free = self._is_tiny = False
        self._seen: list[tuple[str, Pattern, NDArray[Any]]] = []
        self._problem = target.problem
        self._folding = target.folding or Folding(())

    def see(self, stimulus: str, array: Array, shapes: Shapes) -> None:
        """One more answer; the first that cannot be measured ends it."""
        if not self._problem:
            self._problem = self._taken(stimulus, array, shapes)

    def result(self) -> OutputProbe | None:
        """What was seen; None for an output too small for anything to repeat in it."""
        if self._is_tiny:
            return None
        probe = OutputProbe(
            self._target.name,
            self._target.node.ref,
            self._folding.periods,
            self._sizes,
            threshold=self._threshold,
        )
        if self._of_latents and len(self._seen) == 1:
            self._problem = "one picture alone does not tell a pattern from its content"
        if self._problem or not self._seen:
            return replace(probe, problem=self._problem or "it was not among what the model gave")
        answers = [self._together()] if self._of_latents else [_alone(*each) for each in self._seen]
        probe = replace(probe, range=self._range(), is_free=self._is_free, answers=tuple(answers))
        if self._folding.is_guess and not self._of_latents and _wanders(probe):
            why = f"it repeats with no period of {by(self._folding.periods)} that could be found"
            return replace(probe, answers=(), problem=why)
        return probe

    def _range(self) -> Range:
        if self._declared is not None:
            return self._declared
        seen = Range(float(self._low), float(self._high), SEEN)
        image = self._images.get(self._channels)
        return seen if image is None else taken_for(seen, image)

    def _taken(self, stimulus: str, array: Array, shapes: Shapes) -> str:
        """Measures an answer; what is wrong with it, if it cannot be measured."""
        maps = _channels_first(array, self._folding)
        if maps is None:
            return f"its shape {by(array.shape)} is not that of a map, {_axes(self._folding)}"
        self._channels, self._sizes = len(maps), maps.shape[1:]
        if problem := self._fitted():
            return problem
        inside, self._is_free = self._inside(shapes)
        part = maps[(slice(None), *(slice(each.start, each.stop) for each in inside))]
        if part.dtype.kind not in "fiub" or not np.isfinite(part).all():
            what = "something other than numbers" if part.dtype.kind not in "fiub" else "nan or inf"
            return f"its answer to {stimulus} holds {what}"
        self._low = min(self._low, float(part.min()))
        self._high = max(self._high, float(part.max()))
        pattern = measure(part, self._folding.periods, windowed=self._of_latents)
        starts = tuple(each.start for each in inside)  # phase 0 is that of output 0
        rolled = np.roll(pattern.tile, starts, axis=tuple(range(1, pattern.tile.ndim)))
        pattern = replace(pattern, tile=rolled)
        self._seen.append((stimulus, pattern, _to_look_at(part, self._folding.periods)))
        return ""

    def _fitted(self) -> str:
        """Fits the periods to the map, if there is room for them; what is wrong if not."""
        folds = list(self._folding.folds)
        least = LEAST_PERIODS_WINDOWED if self._of_latents else LEAST_PERIODS
        for axis, (fold, size) in enumerate(zip(folds, self._sizes, strict=True)):
            if fold.period == 1 or size // fold.period >= least:
                continue
            # A coarse period may leave room for a part of it, whose pattern is finer.
            part = coarsest_that_fits(fold.period, size, least)
            folds[axis] = replace(fold, period=part or 1)
        if any(fold.period > 1 for fold in folds):
            self._folding = replace(self._folding, folds=tuple(folds))
            return ""
        self._is_tiny = not self._folding.is_guess and all(
            coarsest_that_fits(fold.period, size, LEAST_PERIODS) is None
            for fold, size in zip(self._folding.folds, self._sizes, strict=True)
        )
        return (
            f"its {by(self._sizes)} elements hold fewer than {least} periods of "
            f"{by(self._folding.periods)}"
        )

    def _inside(self, shapes: Shapes) -> tuple[tuple[range, ...], bool]:
        """What to measure along each axis; of very large maps the middle will do."""
        ranges, is_free = tuple(map(range, self._sizes)), True
        if not self._of_latents:  # where the border is part of what the picture shows
            ranges, is_free = interior(self._folding, self._sizes, shapes)
        side = int((_MOST_ELEMENTS / self._channels) ** (1 / len(ranges)))
        both = zip(ranges, self._folding.periods, strict=True)
        return tuple(_middle(each, side, period) for each, period in both), is_free

    def _together(self) -> Answer:
        """All pictures as one answer."""
        patterns = [pattern for _, pattern, _ in self._seen]
        excess = np.array([pattern.excess for pattern in patterns])  # pictures x groups
        mean = excess.mean(axis=0)
        error = excess.std(axis=0, ddof=1) / sqrt(len(excess))
        strongest = max(self._seen, key=_strength)
        return replace(
            _alone(*strongest),
            stimulus=f"{len(patterns)} latent vectors",
            mean=float(np.mean([pattern.mean for pattern in patterns])),
            rms=sqrt(np.maximum(0, mean).sum()),
            least=sqrt(np.maximum(0, mean - _SURE * error).sum()),
        )


def _strength(seen: tuple[str, Pattern, NDArray[Any]]) -> float:
    return seen[1].rms


def _alone(stimulus: str, pattern: Pattern, part: NDArray[Any]) -> Answer:
    return Answer(
        stimulus,
        mean=pattern.mean,
        rms=pattern.rms,
        least=pattern.rms,
        peak_to_peak=pattern.peak_to_peak,
        remainder=pattern.remainder,
        tile=pattern.tile,
        part=part,
    )


def _wanders(probe: OutputProbe) -> bool:
    """True where a visible pattern is little beside what does not repeat."""
    return any(
        probe.share(each.least) > probe.threshold and each.remainder > _LARGEST_REMAINDER * each.rms
        for each in probe.answers
    )


def _channels_first(array: Array, folding: Folding) -> NDArray[Any] | None:
    """The spatial axes last, everything else in one axis before them; None if they are not there.

    Of a batch the first is taken, where the layout and not the analysis tells what is space.
    """
    axes = folding.axes or spatial_axes(array.shape)
    if len(axes) != len(folding.folds) or any(axis >= array.ndim for axis in axes):
        return None
    if not folding.axes:
        array = array[:1]
    others = [axis for axis in range(array.ndim) if axis not in axes]
    if prod(array.shape) == 0:
        return None
    if array.dtype.name == "bfloat16":  # no number to numpy
        array = array.astype(np.float32)
    moved = array.transpose(*others, *axes)
    return moved.reshape(-1, *(array.shape[axis] for axis in axes))


def _axes(folding: Folding) -> str:
    return f"with {len(folding.folds)} spatial axes and at least one element on each"


def _middle(inside: range, side: int, period: int) -> range:
    """At most ``side`` elements, but four periods."""
    kept = min(len(inside), max(side, LEAST_PERIODS_WINDOWED * period))
    begin = inside.start + (len(inside) - kept) // 2
    return range(begin, begin + kept)


def _to_look_at(part: NDArray[Any], periods: Sequence[int]) -> NDArray[np.float32]:
    """The middle, begun with a period, in whole periods where there is room for one."""
    limit = _SHOWN.get(part.ndim - 1, _SHOWN_OF_VOLUME)
    chosen: list[slice] = [slice(None)]
    for size, period in zip(part.shape[1:], periods, strict=True):
        kept = size if size <= limit else max(period, limit // period * period)
        begin = (size - kept) // 2 // period * period
        chosen.append(slice(begin, begin + kept))
    return np.ascontiguousarray(part[tuple(chosen)], np.float32)
