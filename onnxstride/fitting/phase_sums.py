"""All there is to know of every convolution whose taps fall within one window, as sums.

With the windows Z, the targets T_r of each phase and the links A_r of ``phase_windows``,

    X'X = sum_r A_r Z'Z A_r'        X'T = sum_r A_r Z'T_r

for any convolution, so the samples are read once, however many convolutions there are to choose
from. Every second sample is held out. Of large maps a part of the positions is taken, by chance;
when there are enough of them the rest of the data is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Axis, transposed_size
from .fit import POSITIONS_PER_UNKNOWN, Samples
from .moments import Array, Moments
from .phase_windows import Choice, PhaseWindows

FEWEST_SAMPLES = 8
"""Read from data that has more, whatever their size: one map is much like itself."""

_POSITIONS_PER_TAP = 24
"""Positions of the map that are enough, for each element of a window."""

_MOST_PRODUCTS = 4e10
"""Products added up for the sums of one fit: some seconds."""

_SEED = 1


@dataclass(frozen=True, slots=True, eq=False)
class Deconv:
    """A transposed convolution: its weight (inputs, outputs / group, kernel ..) and the rest."""

    weight: NDArray[Any]
    axes: tuple[Axis, ...]
    output_padding: tuple[int, ...]
    group: int = 1

    def output_shape(self, sample: Sequence[int]) -> tuple[int, ...]:
        """Channels and sizes of what it makes of a sample of this shape."""
        sizes = map(transposed_size, sample[1:], self.axes, self.output_padding)
        return self.weight.shape[1] * self.group, *sizes


def _channels_first(targets: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(targets, -1, 0)


@dataclass(slots=True, eq=False)
class PhaseSums:
    """Samples, summed up: every second one for training, the others held out."""

    deconv: Deconv
    view: PhaseWindows
    largest_block: int
    samples: int = 0
    low: float = inf
    high: float = -inf
    parts: list[Moments] = field(default_factory=list[Moments])

    def __post_init__(self) -> None:
        group = self.deconv.group
        elements = self.channels // group * prod(self.view.extents)
        targets = self.view.phases * self.deconv.weight.shape[1]
        self.parts = [Moments.empty(group, elements, targets) for _ in range(2)]

    @property
    def channels(self) -> int:
        return len(self.deconv.weight)

    @property
    def training(self) -> Moments:
        return self.parts[0]

    @property
    def held_out(self) -> Moments:
        return self.parts[1]

    @property
    def enough(self) -> int:
        """Positions to train on; further ones say little that is new."""
        elements = int(self.training.x.shape[1])
        wanted = _POSITIONS_PER_TAP * elements
        affordable = int(_MOST_PRODUCTS / (self.deconv.group * elements**2))
        return min(wanted, max(affordable, POSITIONS_PER_UNKNOWN * elements))

    def read(self, samples: Samples) -> str:
        """Take in the samples, all that is needed; the reason where they are of no use."""
        for inputs, targets in samples:
            for sample, target in zip(inputs, targets, strict=True):
                reason = self._misfit(sample, target)
                if reason:
                    return reason
                self._add(sample, target)
            if self.samples >= FEWEST_SAMPLES and self._least() >= self.enough:
                break
        return self._fault()

    def _least(self) -> int:
        return min(part.count for part in self.parts)

    def _fault(self) -> str:
        if self.samples < 2:
            return (
                f"half of the data is held out: it needs at least 2 samples, found {self.samples}"
            )
        if not self._least():
            return "the map is smaller than the stride: no output has all its phases"
        if not all(part.is_finite for part in self.parts):
            return "the data hold NaN or infinity here"
        if not all(part.tt.any() for part in self.parts):
            return "the layer answers the data with nothing but zeros"
        return ""

    def _misfit(self, sample: NDArray[Any], target: NDArray[Any]) -> str:
        expected = self.deconv.output_shape(sample.shape)
        if len(sample) == self.channels and target.shape == expected:
            return ""
        return f"data of shape {sample.shape} should give {expected}, found {target.shape}"

    def _add(self, sample: NDArray[Any], target: NDArray[Any]) -> None:
        self.low = min(self.low, float(target.min()))
        self.high = max(self.high, float(target.max()))
        part = self.parts[self.samples % 2]
        self.samples += 1
        positions = self.view.positions(target.shape[1:])
        if not all(positions):
            return
        windows = self.view.windows(sample, positions)
        targets = self.view.targets(target, positions)
        for at in self._chosen(positions):
            where: tuple[Any, ...] = np.unravel_index(at, positions)
            x, t = windows[(slice(None), *where)], targets[where]
            part.add(self._by_group(x, len(at)), self._by_group(_channels_first(t), len(at)))

    def _by_group(self, rows: NDArray[Any], count: int) -> Array:
        """Rows (channel, row, ..) as systems have them: (group, row, channel of it and ..)."""
        group = self.deconv.group
        parted = rows.reshape(group, -1, count, prod(rows.shape[2:])).swapaxes(1, 2)
        return parted.reshape(group, count, -1).astype(np.float64)

    def _chosen(self, positions: Sequence[int]) -> Iterator[NDArray[np.int64]]:
        """Positions of a map to take, block by block: all, or as many as are its share."""
        every, share = prod(positions), -(-2 * self.enough // FEWEST_SAMPLES)
        chosen = np.arange(every)
        if every > share:
            random = np.random.default_rng([_SEED, self.samples])
            chosen = np.sort(random.choice(every, share, replace=False))
        at_once = max(1, self.largest_block // (self.channels * prod(self.view.extents)))
        for first in range(0, len(chosen), at_once):
            yield chosen[first : first + at_once]

    def of(self, moments: Moments, choice: Choice) -> Moments:
        """The sums of one convolution."""
        group, phases = self.deconv.group, self.view.phases
        elements, taps = prod(self.view.extents), prod(each.taps for each in choice)
        inputs, outputs = self.channels // group, self.deconv.weight.shape[1]
        xx = moments.xx.reshape(group, inputs, elements, -1)
        xt = moments.xt.reshape(group, inputs, elements, outputs, phases)
        x = moments.x.reshape(group, inputs, elements)
        made = Moments.empty(group, inputs * taps, outputs)
        for phase, link in enumerate(self.view.links(choice)):
            left = (link @ xx).reshape(group, inputs * taps, inputs, elements)
            made.xx += (left @ link.T).reshape(made.xx.shape)
            made.xt += (link @ xt[..., phase]).reshape(made.xt.shape)
            made.x += (x @ link.T).reshape(made.x.shape)
        made.tt += moments.tt.reshape(group, outputs, phases).sum(2)
        made.t += moments.t.reshape(group, outputs, phases).sum(2)
        made.count = moments.count * phases
        return made
