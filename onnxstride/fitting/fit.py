"""The convolution that comes nearest to what a layer made of its window.

Samples are read once. Every second one is held out; from the others come three models, each a
part of the one before it:

full       every channel from every channel, when there are at least five positions to each
           unknown and the sums fit in memory
depthwise  every channel from its own window
gain       every channel from the prior filter, scaled

each with a bias. The first whose error on the held-out samples is no worse than that of the
next is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Axis
from .moments import Accuracy, Array, Moments
from .patches import LARGEST_BLOCK, blocks, positions

RIDGE = 1e-3
"""The penalty, as a share of the mean of the diagonal. From 1e-4 to 1e-2 it makes no difference
on trained networks; at 1e-1 it begins to cost."""

POSITIONS_PER_UNKNOWN = 5
MOST_UNKNOWNS = 5000
"""Of the full model: the two matrices of sums take 400 MB then. 3x3 over 512 channels has 4609."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fitted convolution.

    Attributes:
        weight: (channels, channels, kernel ..) when ``kind`` is full, (channels, 1, kernel ..)
            when it is depthwise or gain.
        bias: one value a channel.
        kind: the model that was taken.
        samples: maps that were read, held-out ones included.
        accuracy: on the held-out samples.
        fallback: why no larger model was taken; empty when the largest that was wanted was.
    """

    weight: Array
    bias: Array
    kind: str
    samples: int
    accuracy: Accuracy
    fallback: str


Samples = Iterable[tuple[NDArray[Any], NDArray[Any]]]


def fitted(
    samples: Samples,
    axes: Sequence[Axis],
    prior: NDArray[Any],
    *,
    full: bool,
    ridge: float = RIDGE,
    largest_block: int = LARGEST_BLOCK,
) -> Fit | str:
    """The convolution with the window of ``axes`` that fits best; or why there can be none.

    Args:
        samples: batches of inputs (sample, channel, size ..) and what was made of them.
        axes: the window in floor mode; the maps are padded with zeros.
        prior: the filter (kernel ..) of every channel that the fit starts from.
        full: False to leave out the full model.
        ridge: penalty on the distance from the prior.
        largest_block: elements that are taken in at a time.
    """
    sums = _Sums(axes, full=full, largest_block=largest_block)
    reason = sums.read(samples)
    if reason:
        return reason
    assert sums.training is not None
    assert sums.held_out is not None
    return _Choice(sums.training, sums.held_out, sums, prior, ridge).fit()


@dataclass(slots=True, eq=False)
class _Sums:
    """Samples, summed up: every second one for training, the others held out."""

    axes: Sequence[Axis]
    full: bool
    largest_block: int
    samples: int = 0
    channels: int = 0
    training: Moments | None = None
    held_out: Moments | None = None

    @property
    def taps(self) -> int:
        return prod(axis.kernel for axis in self.axes)

    @property
    def unknowns(self) -> int:
        """Of the full model, to each target."""
        return self.channels * self.taps + 1

    @property
    def is_full(self) -> bool:
        return self.full and self.unknowns <= MOST_UNKNOWNS

    def read(self, samples: Samples) -> str:
        """Take in all samples; the reason for it where they are of no use, else empty."""
        for inputs, targets in samples:
            for sample, target in zip(inputs, targets, strict=True):
                reason = self._misfit(sample, target)
                if reason:
                    return reason
                self._add(sample, target)
        if self.samples < 2:
            return (
                f"half of the data is held out: it needs at least 2 samples, found {self.samples}"
            )
        assert self.training is not None
        assert self.held_out is not None
        if not (self.training.is_finite and self.held_out.is_finite):
            return "the data hold NaN or infinity here"
        if not self.held_out.tt.any() or not self.training.tt.any():
            return "the layer answers the data with nothing but zeros"
        return ""

    def _misfit(self, sample: NDArray[Any], target: NDArray[Any]) -> str:
        expected = (sample.shape[0], *positions(sample.shape[1:], self.axes))
        if target.shape != expected:
            return f"data of shape {sample.shape} should give {expected}, found {target.shape}"
        if self.channels not in (0, sample.shape[0]):
            return f"data with {self.channels} channels are followed by some with {sample.shape[0]}"
        return ""

    def _add(self, sample: NDArray[Any], target: NDArray[Any]) -> None:
        self.channels = sample.shape[0]
        if self.training is None or self.held_out is None:
            self.training, self.held_out = self._empty(), self._empty()
        moments = self.held_out if self.samples % 2 else self.training
        self.samples += 1
        for x, t in blocks(sample, target, self.axes, largest=self.largest_block):
            if self.is_full:  # one system: rows of all channels
                moments.add(x.transpose(1, 0, 2).reshape(1, x.shape[1], -1), t.T[np.newaxis])
            else:
                moments.add(x, t[..., np.newaxis])

    def _empty(self) -> Moments:
        if self.is_full:
            return Moments.empty(1, self.channels * self.taps, self.channels)
        return Moments.empty(self.channels, self.taps, 1)


@dataclass(slots=True, eq=False)
class _Candidate:
    kind: str
    weight: Array
    bias: Array
    accuracy: Accuracy


@dataclass(slots=True, eq=False)
class _Choice:
    """The three models, fitted as they are needed, and which of them is taken."""

    training: Moments
    held_out: Moments
    sums: _Sums
    prior: NDArray[Any]
    ridge: float
    reasons: list[str] = field(default_factory=list)

    def fit(self) -> Fit:
        best = self._best()
        return Fit(
            best.weight, best.bias, best.kind, self.sums.samples, best.accuracy,
            "; ".join(self.reasons),
        )  # fmt: skip

    def _best(self) -> _Candidate:
        depthwise = self._depthwise()
        if self._has_data_for_full():
            full = self._full()
            if self._is_no_worse(full, depthwise):
                return full
        gain = self._gain()
        enough = self._is_enough("depthwise", self.sums.taps + 1)
        return depthwise if enough and self._is_no_worse(depthwise, gain) else gain

    def _has_data_for_full(self) -> bool:
        if not self.sums.full:
            return False
        if not self.sums.is_full:
            self.reasons.append(
                f"full has {self.sums.unknowns} unknowns a channel, more than {MOST_UNKNOWNS}"
            )
            return False
        return self._is_enough("full", self.sums.unknowns)

    def _is_enough(self, kind: str, unknowns: int) -> bool:
        needed = POSITIONS_PER_UNKNOWN * unknowns
        if self.training.count >= needed:
            return True
        self.reasons.append(
            f"{kind} needs {needed} positions to train on for {unknowns} unknowns a channel, "
            f"found {self.training.count}"
        )
        return False

    def _is_no_worse(self, larger: _Candidate, smaller: _Candidate) -> bool:
        error, other = larger.accuracy.relative_error, smaller.accuracy.relative_error
        if error <= other:
            return True
        self.reasons.append(
            f"{larger.kind} has a held-out error of {error:.3g}, {smaller.kind} one of {other:.3g}"
        )
        return False

    def _full(self) -> _Candidate:
        channels = self.sums.channels
        prior = np.einsum("ck,cd->ckd", self._priors()[..., 0], np.eye(channels))
        prior = prior.reshape(1, -1, channels)
        weights, bias = self.training.solved(prior, self.ridge)
        accuracy = self.held_out.accuracy(weights, bias)
        shape = (channels, channels, *self.prior.shape)
        return _Candidate("full", weights[0].T.reshape(shape), bias[0], accuracy)

    def _depthwise(self) -> _Candidate:
        training, held_out = self._by_channel(self.training), self._by_channel(self.held_out)
        weights, bias = training.solved(self._priors(), self.ridge)
        return self._candidate("depthwise", weights, bias, held_out.accuracy(weights, bias))

    def _gain(self) -> _Candidate:
        training, held_out = self._by_channel(self.training), self._by_channel(self.held_out)
        gains, bias = training.through(self._priors()).solved(
            np.ones((self.sums.channels, 1, 1)), self.ridge
        )
        weights = self._priors() * gains
        return self._candidate("gain", weights, bias, held_out.accuracy(weights, bias))

    def _candidate(self, kind: str, weights: Array, bias: Array, accuracy: Accuracy) -> _Candidate:
        shape = (self.sums.channels, 1, *self.prior.shape)
        return _Candidate(kind, weights.reshape(shape), bias[:, 0], accuracy)

    def _by_channel(self, moments: Moments) -> Moments:
        return moments.by_channel(self.sums.channels) if self.sums.is_full else moments

    def _priors(self) -> Array:
        """The prior of each channel as a column."""
        return np.tile(self.prior.reshape(1, -1, 1), (self.sums.channels, 1, 1)).astype(np.float64)
