"""The convolution after a Resize that comes nearest to what a transposed one made of its input.

Of the convolutions that are wanted, smallest first, a larger one is taken where its error on what
was held out is less by more than ``GAIN``. Where taps may stand at two places along an axis, each
is tried with the fewest taps, and a larger convolution stands where the best of those does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log10, prod
from typing import NamedTuple

from .enlargement import as_convolution, projected
from .fit import MOST_UNKNOWNS, POSITIONS_PER_UNKNOWN, RIDGE, Samples
from .moments import Accuracy, Array
from .patches import LARGEST_BLOCK
from .phase_sums import Deconv, PhaseSums
from .phase_windows import Choice, PhaseWindows

GAIN = 0.02
"""Share of the held-out error by which a larger kernel has to be better."""


@dataclass(frozen=True, slots=True, eq=False)
class DeconvFit:
    """A fitted convolution.

    Attributes:
        weight: as Conv reads it (outputs, inputs / group, taps ..).
        bias: one value an output channel.
        choice: which of those that were asked for.
        samples: maps that were read, held-out ones included.
        accuracy: on the held-out samples.
        psnr_db: there, with the range of the targets as the peak.
        fallback: why no larger convolution was taken; empty when the largest was.
    """

    weight: Array
    bias: Array
    choice: Choice
    samples: int
    accuracy: Accuracy
    psnr_db: float
    fallback: str


def fitted_deconv(
    samples: Samples,
    deconv: Deconv,
    choices: Sequence[Choice],
    *,
    ridge: float = RIDGE,
    largest_block: int = LARGEST_BLOCK,
) -> DeconvFit | str:
    """The convolution of ``choices`` that fits best; or why there can be none.

    Args:
        samples: batches of inputs (sample, channel, size ..) and what was made of them.
        deconv: what made it; the fit starts from its projection.
        choices: convolutions to try, all after the same Resize.
        ridge: penalty on the distance from the projection.
        largest_block: elements that are taken in at a time.
    """
    kept = [choice for choice in choices if _unknowns(deconv, choice) <= MOST_UNKNOWNS]
    if not kept:
        least = min(_unknowns(deconv, choice) for choice in choices)
        return (
            f"{least} unknowns a channel are more than the {MOST_UNKNOWNS} that can be solved for"
        )
    sums = PhaseSums(deconv, PhaseWindows.over(kept), largest_block)
    reason = sums.read(samples)
    return reason or _best(sums, kept, ridge)


def _unknowns(deconv: Deconv, choice: Choice) -> int:
    return len(deconv.weight) // deconv.group * prod(each.taps for each in choice) + 1


class _Candidate(NamedTuple):
    choice: Choice
    weights: Array
    bias: Array
    accuracy: Accuracy

    @property
    def error(self) -> float:
        return self.accuracy.relative_error

    @property
    def name(self) -> str:
        return "x".join(str(each.taps) for each in self.choice)


def _best(sums: PhaseSums, choices: Sequence[Choice], ridge: float) -> DeconvFit | str:
    """The convolution to take: the smallest, unless a larger one is better by more than GAIN."""
    reasons: list[str] = []
    best: _Candidate | None = None
    for taps, alike in _by_size(choices):
        needed = POSITIONS_PER_UNKNOWN * _unknowns(sums.deconv, alike[0])
        found = sums.training.count * sums.view.phases
        if found < needed:
            reasons.append(f"{taps} taps need {needed} outputs to train on, found {found}")
            break
        tried = alike if best is None else _beside(alike, best.choice)
        candidate = min(
            (_solved(sums, choice, ridge) for choice in tried), key=lambda each: each.error
        )
        if best is not None and candidate.error > (1 - GAIN) * best.error:
            reasons.append(
                f"{taps} taps have a held-out error of {candidate.error:.3g}, {best.name} one of "
                f"{best.error:.3g}"
            )
        else:
            best = candidate
    if best is None:
        return "; ".join(reasons)
    return _finished(sums, best, "; ".join(reasons))


def _by_size(choices: Sequence[Choice]) -> list[tuple[str, list[Choice]]]:
    """Choices of the same taps together, with those taps in words, the fewest taps first."""
    sizes: dict[tuple[int, ...], list[Choice]] = {}
    for choice in choices:
        sizes.setdefault(tuple(each.taps for each in choice), []).append(choice)
    return [("x".join(map(str, taps)), sizes[taps]) for taps in sorted(sizes, key=prod)]


def _beside(choices: Sequence[Choice], other: Choice) -> list[Choice]:
    """The choices whose middle is nearest to that of another."""
    apart = [
        sum(
            abs(2 * (one.begin - two.begin) - (one.taps - two.taps))
            for one, two in zip(choice, other, strict=True)
        )
        for choice in choices
    ]
    return [choice for choice, far in zip(choices, apart, strict=True) if far == min(apart)]


def _solved(sums: PhaseSums, choice: Choice, ridge: float) -> _Candidate:
    deconv = sums.deconv
    training, held_out = (sums.of(part, choice) for part in sums.parts)
    start = projected(deconv.weight, deconv.axes, choice).kernel
    inputs = sums.channels // deconv.group
    prior = start.reshape(deconv.group, inputs, start.shape[1], -1).swapaxes(2, 3)
    weights, bias = training.solved(prior.reshape(training.xt.shape), ridge)
    return _Candidate(choice, weights, bias, held_out.accuracy(weights, bias))


def _finished(sums: PhaseSums, best: _Candidate, fallback: str) -> DeconvFit:
    deconv, outputs = sums.deconv, sums.deconv.weight.shape[1]
    inputs = sums.channels // deconv.group
    split = best.weights.reshape(deconv.group, inputs, -1, outputs).swapaxes(2, 3)
    taps = [each.taps for each in best.choice]
    kernel = split.reshape(sums.channels, outputs, *taps)
    held_out = sums.held_out
    squares = float(held_out.tt.sum()) / (held_out.count * held_out.tt.size)
    noise = best.error**2 * squares
    return DeconvFit(
        as_convolution(kernel, deconv.group),
        best.bias.reshape(-1),
        best.choice,
        sums.samples,
        best.accuracy,
        20 * log10(sums.high - sums.low) - 10 * log10(noise) if sums.high > sums.low else -inf,
        fallback,
    )
