"""Least squares from sums alone, so that the data need not be kept.

For rows X and targets T of n positions the sums X'X, X'T, T'T, 1'X and 1'T say all there is to
know of a linear model with a bias b: its weights, and its error on the data they were summed
over. G systems are solved side by side; shapes are

    X'X (G, m, m)    X'T (G, m, q)    weights (G, m, q)    bias (G, q)

One system with m = channels x taps unknowns and q = channels targets mixes channels ("full"); one
system a channel with m = taps and q = 1 does not ("depthwise"); m = 1 only scales what a given
filter makes of the window ("gain"). Each is a part of the one before it, and so are its sums:
``by_channel`` and ``through`` take them out.

With x and t measured from their means, the weights solve

    (X'X + l I) (w - w0) = X'T - X'X w0,        b = mean(t) - w' mean(x)

where w0 is the filter to fall back on: the penalty l, a share of the mean of the diagonal, draws
weights towards it where the data say little, and a channel silent in the data keeps it. The bias
is not penalised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NOISE = 1e-8
"""Relative error below which differences of sums of squares are rounding alone."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How near predictions come to their targets, over all channels together."""

    relative_error: float
    snr_db: float
    cosine: float


@dataclass(slots=True, eq=False)
class Moments:
    """The sums. ``count`` is the number of positions seen."""

    xx: Array
    xt: Array
    tt: Array
    x: Array
    t: Array
    count: int = 0

    @classmethod
    def empty(cls, systems: int, unknowns: int, targets: int) -> Moments:
        return cls(
            np.zeros((systems, unknowns, unknowns)),
            np.zeros((systems, unknowns, targets)),
            np.zeros((systems, targets)),
            np.zeros((systems, unknowns)),
            np.zeros((systems, targets)),
        )

    def add(self, x: Array, t: Array) -> None:
        """Take in rows ``x`` (G, n, m) with targets ``t`` (G, n, q)."""
        turned = x.transpose(0, 2, 1)
        self.xx += turned @ x
        self.xt += turned @ t
        self.tt += np.einsum("gnq,gnq->gq", t, t)
        self.x += x.sum(1)
        self.t += t.sum(1)
        self.count += x.shape[1]

    @property
    def is_finite(self) -> bool:
        return all(bool(np.isfinite(part).all()) for part in (self.xx, self.xt, self.tt))

    def by_channel(self, channels: int) -> Moments:
        """Of one system over all channels, the systems of each channel by itself."""
        taps = self.x.shape[1] // channels
        each = np.arange(channels)
        return Moments(
            self.xx.reshape(channels, taps, channels, taps)[each, :, each, :],
            self.xt.reshape(channels, taps, channels)[each, :, each, np.newaxis],
            self.tt.reshape(channels, 1),
            self.x.reshape(channels, taps),
            self.t.reshape(channels, 1),
            self.count,
        )

    def through(self, filters: Array) -> Moments:
        """The systems with one unknown that scale the output of ``filters`` (G, m, 1)."""
        return Moments(
            filters.transpose(0, 2, 1) @ self.xx @ filters,
            filters.transpose(0, 2, 1) @ self.xt,
            self.tt,
            np.einsum("gmq,gm->gq", filters, self.x),
            self.t,
            self.count,
        )

    def solved(self, prior: Array, ridge: float) -> tuple[Array, Array]:
        """Weights and bias that fit best, drawn towards the weights ``prior``."""
        mean_x, mean_t = self.x / self.count, self.t / self.count
        xx = self.xx - np.einsum("gi,gj->gij", self.x, mean_x)
        xt = self.xt - np.einsum("gi,gq->giq", self.x, mean_t)
        level = np.einsum("gii->g", self.xx) / self.xx.shape[1]
        penalty = np.where(level > 0, ridge * level, 1.0)  # all zero: nothing but the prior
        penalised = xx + penalty[:, np.newaxis, np.newaxis] * np.eye(xx.shape[1])
        weights = prior + np.linalg.solve(penalised, xt - xx @ prior)
        return weights, mean_t - np.einsum("gmq,gm->gq", weights, mean_x)

    def accuracy(self, weights: Array, bias: Array) -> Accuracy:
        """How near the model comes on these data, which must not all be zero."""
        linear = np.einsum("gmq,gm->gq", weights, self.x)
        predicted = float(
            np.einsum("gmq,gmq->", weights, self.xx @ weights)
            + 2 * np.sum(bias * linear)
            + self.count * np.sum(bias * bias)
        )
        common = float(np.sum(weights * self.xt) + np.sum(bias * self.t))
        wanted = float(self.tt.sum())
        error = max(_NOISE**2, (predicted - 2 * common + wanted) / wanted)
        return Accuracy(
            relative_error=error**0.5,
            snr_db=-10 * float(np.log10(error)),
            cosine=min(1.0, common / (predicted * wanted) ** 0.5) if predicted > 0 else 0.0,
        )
