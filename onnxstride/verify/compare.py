"""Compares two runs of one output, feed by feed, and keeps nothing but sums and maxima.

What the figures mean stands at ``OutputFigures``. Elements are looked at in float64, in pieces
that fit a processor's cache. d is the difference of one element:

1. equal infinities: d = 0, and they take no part in snr, psnr and cosine, which are sums;
2. NaN in both: not compared, not counted; an output where nothing else is left has not been
   compared and does not match;
3. NaN in one, or an infinity in one, or opposite infinities: d is infinite and no tolerance is
   enough;
4. integers, which float64 may not tell apart: d is at least 1 where they differ;
5. strings: d = 1 where they differ, and stands for that only.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .tolerance import Tolerance, is_float
from .verdict import OutputFigures, Worst

Array = NDArray[Any]
Floats = NDArray[np.float64]

_PIECE = 1 << 16
_PERCENTILE = 0.99


@dataclass(frozen=True, slots=True)
class Demand:
    """What an output must meet: the tolerance, a least signal to noise ratio, both or neither.

    Without either, shape, type and the places of NaN and infinities must still be the same.
    """

    tolerance: bool = True
    min_snr: float | None = None


class _Piece(NamedTuple):
    """Part of two arrays, as float64, and their differences; NaN where there is none."""

    before: Floats
    after: Floats
    difference: Floats


class Comparison:
    """One output over all feeds.

    Args:
        name: of the output.
        demand: what it must meet.
        sides: how sentences call the two.
        in_full: whether to pay for the 99th percentile, which needs all differences of a feed at
            once, and for the relative difference; both are 0 otherwise.
    """

    def __init__(
        self,
        name: str,
        demand: Demand | None = None,
        *,
        sides: tuple[str, str] = ("before", "after"),
        in_full: bool = True,
    ) -> None:
        self._name = name
        self._sides = sides
        self._demand = demand or Demand()
        self._in_full = in_full
        self._shapes: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
        self._dtype = ""
        self._rtol = 0.0
        self._faults: list[str] = []
        self._compared = 0
        self._max_abs = self._max_rel = self._p99 = self._required = self._used = 0.0
        self._beyond = 0.0, 0.0  # needed and allowed, in the worst feed that is beyond
        self._low, self._high, self._summed = math.inf, -math.inf, 0
        self._sum_d = self._sum_dd = self._sum_bb = self._sum_aa = self._sum_ab = 0.0
        self._worst: Worst | None = None
        self._rows = self._agreeing_rows = 0

    def add(self, before: Array, after: Array, *, feed: str, tolerance: Tolerance) -> None:
        """Compares the results of one more feed; ``feed`` is how reports call it."""
        if not self._dtype:
            self._shapes, self._dtype = (before.shape, after.shape), _type(before)
        self._rtol = tolerance.rtol
        if not self._is_alike(before, after, feed):
            return
        if _looks_like_logits(before):
            self._rows += len(before)
            agreeing = before.argmax(axis=1) == after.argmax(axis=1)
            self._agreeing_rows += int(np.count_nonzero(agreeing))
        self._add_elements(before, after, feed, tolerance)

    def figures(self) -> OutputFigures:
        """The figures over all that was added."""
        return OutputFigures(
            name=self._name,
            shape_before=self._shapes[0],
            shape_after=self._shapes[1],
            dtype=self._dtype,
            compared=self._compared,
            max_abs=self._max_abs,
            mean_abs=self._sum_d / self._compared if self._compared else 0.0,
            max_rel=self._max_rel,
            p99_abs=self._p99,
            snr_db=self._snr(),
            psnr_db=self._psnr(),
            cosine=self._cosine(),
            required_atol=self._required,
            rtol=self._rtol,
            tolerance_used=self._used,
            worst=self._worst,
            top1_agreement=self._agreeing_rows / self._rows if self._rows else None,
            matches=self._compared > 0 and not self.reasons(),
        )

    def reasons(self) -> list[str]:
        """Sentences on why the output does not match; none where it does, or was not compared."""
        faults = [*self._faults, *self._numeric_faults()]
        return [f"output {self._name!r} {what}" for what in faults]

    def reject(self, what: str) -> None:
        """Notes that the output does not match; of what begins alike, the first is kept."""
        stem = what.split()[:2]
        if not any(known.split()[:2] == stem for known in self._faults):
            self._faults.append(what)

    def _is_alike(self, before: Array, after: Array, feed: str) -> bool:
        """Whether the arrays can be compared element by element; if not, a fault is noted."""
        types, shapes = (_type(before), _type(after)), (before.shape, after.shape)
        if types[0] != types[1]:
            self.reject(f"is {self._both(types)}")
        if shapes[0] != shapes[1]:
            if not self._faults:
                self._shapes = shapes
            self.reject(f"has shape {self._both(map(_shape, shapes))}, with {feed}")
        return types[0] == types[1] and shapes[0] == shapes[1]

    def _both(self, values: Iterable[object]) -> str:
        """``3 before and 4 after``."""
        return " and ".join(
            f"{value} {side}" for value, side in zip(values, self._sides, strict=True)
        )

    def _add_elements(self, before: Array, after: Array, feed: str, tolerance: Tolerance) -> None:
        flat = before.reshape(-1), after.reshape(-1)
        differences = np.empty(before.size) if self._in_full else None
        required = largest = 0.0
        for start in range(0, before.size, _PIECE):
            piece = _piece(flat[0][start : start + _PIECE], flat[1][start : start + _PIECE])
            largest = max(largest, _largest(piece.before))
            self._add_sums(piece)
            found = float(np.fmax.reduce(piece.difference, initial=0.0))
            if differences is not None:
                differences[start : start + _PIECE] = piece.difference
            if found > 0:
                required = max(required, _required(piece, tolerance.rtol))
                if self._in_full:
                    self._max_rel = max(self._max_rel, _largest_ratio(piece))
                if found > self._max_abs:
                    self._max_abs = found
                    place = start + int(np.nanargmax(piece.difference))
                    self._worst = _worst(before, after, place, feed)
                    self._shapes = before.shape, after.shape
        self._judge(required, tolerance.absolute(largest))
        if differences is not None:
            self._p99 = max(self._p99, percentile(differences))

    def _add_sums(self, piece: _Piece) -> None:
        before, after, difference = piece
        total = float(difference.sum())
        energies = _dot(before, before), _dot(after, after)
        if math.isfinite(total + sum(energies)):  # the rule; masks cost more than the sums
            self._compared += difference.size
        else:
            self._compared += difference.size - int(np.count_nonzero(np.isnan(difference)))
            total = float(np.nansum(difference))
            finite = np.isfinite(before) & np.isfinite(after)
            before, after, difference = before[finite], after[finite], difference[finite]
            energies = _dot(before, before), _dot(after, after)
        if before.size:
            self._low = min(self._low, float(before.min()))
            self._high = max(self._high, float(before.max()))
        self._summed += before.size
        self._sum_d += total
        self._sum_bb += energies[0]
        self._sum_aa += energies[1]
        self._sum_ab += _dot(before, after)
        self._sum_dd += _dot(difference, difference)

    def _judge(self, required: float, allowed: float) -> None:
        self._required = max(self._required, required)
        used = 0.0 if required == 0 else required / allowed if allowed else math.inf
        self._used = max(self._used, used)
        if used > 1 and required > self._beyond[0]:
            self._beyond = required, allowed

    def _snr(self) -> float:
        if math.isinf(self._max_abs):
            return -math.inf
        if self._sum_dd == 0:
            return math.inf
        return 10 * math.log10(self._sum_bb / self._sum_dd) if self._sum_bb else -math.inf

    def _psnr(self) -> float:
        if math.isinf(self._max_abs):
            return -math.inf
        if self._sum_dd == 0:
            return math.inf
        span = self._high - self._low
        if span <= 0:
            return -math.inf
        return 20 * math.log10(span) - 10 * math.log10(self._sum_dd / self._summed)

    def _cosine(self) -> float:
        lengths = math.sqrt(self._sum_aa) * math.sqrt(self._sum_bb)
        if self._sum_dd == 0 and self._sum_aa == self._sum_bb:  # zeros count as one direction
            return 1.0
        if lengths == 0:
            return 0.0
        return max(-1.0, min(1.0, self._sum_ab / lengths))

    def _numeric_faults(self) -> list[str]:
        """At most one complaint for each demand; it names the worst element."""
        worst, demand = self._worst, self._demand
        if worst is None:
            return []
        values = self._both([_value(worst.before), _value(worst.after)])
        where = f"at {_place(worst.index)} ({values}), with {worst.feed}"
        if math.isinf(self._max_abs):
            return [f"has values that no tolerance covers {where}"]
        faults: list[str] = []
        must_be_equal = not is_float(self._dtype)
        if (demand.tolerance or must_be_equal) and self._used > 1:
            faults.append(
                f"is off by {self._max_abs:.3g} {where}; an atol of {self._beyond[0]:.3g} would "
                f"be needed, {self._beyond[1]:.3g} is allowed"
            )
        if demand.min_snr is not None and not must_be_equal and self._snr() < demand.min_snr:
            faults.append(
                f"has a signal to noise ratio of {self._snr():.1f} dB, {demand.min_snr:g} dB are "
                f"asked for; its worst element is {where}"
            )
        return faults


def _dot(first: Floats, second: Floats) -> float:
    """The sum of products, without the threads of BLAS, which would wait for ONNX Runtime's."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.einsum("i,i->", first, second))


def percentile(differences: Floats) -> float:
    """The 99th percentile of what is not NaN: the least element that 99 % are not above.

    The array is put in another order.
    """
    has_nan = math.isnan(np.max(differences, initial=0.0))
    values = differences[~np.isnan(differences)] if has_nan else differences
    if not values.size:
        return 0.0
    rank = math.ceil(_PERCENTILE * (values.size - 1))
    values.partition(rank)
    return float(values[rank])


def largest_finite(arrays: Sequence[Array]) -> float:
    """The largest finite magnitude in floating arrays; 0 where there is none."""
    floats = [array.reshape(-1) for array in arrays if is_float(array.dtype.name)]
    return max(
        (
            _largest(array[start : start + _PIECE].astype(np.float64))
            for array in floats
            for start in range(0, array.size, _PIECE)
        ),
        default=0.0,
    )


def _piece(before: Array, after: Array) -> _Piece:
    """Two parts of arrays of one type; the numbers in the module's docstring are used here."""
    if before.dtype.kind in "OUS":
        different = (before != after).astype(np.float64)
        return _Piece(np.zeros_like(different), different, different)
    x = before.astype(np.float64)
    if np.array_equal(before, after):
        return _Piece(x, x, np.zeros_like(x))
    y = after.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        difference: Floats = np.abs(y - x)
    if not is_float(before.dtype.name):
        np.maximum(difference, (before != after).astype(np.float64), out=difference)  # 4
    elif not np.isfinite(difference).all():
        difference[x == y] = 0  # 1
        difference[np.isnan(difference)] = math.inf  # 3
        difference[np.isnan(x) & np.isnan(y)] = math.nan  # 2
    return _Piece(x, y, difference)


def _required(piece: _Piece, rtol: float) -> float:
    """The ``atol`` that these elements need."""
    if not rtol:
        return float(np.fmax.reduce(piece.difference, initial=0.0))
    if np.isinf(piece.difference).any():
        return math.inf
    with np.errstate(invalid="ignore"):
        needed = piece.difference - rtol * np.abs(piece.before)
    return float(np.fmax.reduce(needed, initial=0.0))


def _largest_ratio(piece: _Piece) -> float:
    usable = np.isfinite(piece.before) & (piece.before != 0) & ~np.isnan(piece.difference)
    with np.errstate(over="ignore"):
        ratios = piece.difference[usable] / np.abs(piece.before[usable])
    return float(np.max(ratios, initial=0.0))


def _largest(values: Floats) -> float:
    """The largest finite magnitude."""
    if not values.size:
        return 0.0
    found = max(float(values.max()), -float(values.min()))
    if math.isfinite(found):
        return found
    return float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values)))


def _worst(before: Array, after: Array, place: int, feed: str) -> Worst:
    index = tuple(int(i) for i in np.unravel_index(place, before.shape))
    return Worst(feed, index, _scalar(before[index]), _scalar(after[index]))


def _scalar(value: Any) -> float | str:
    return value if isinstance(value, str) else float(value)


def _looks_like_logits(array: Array) -> bool:
    return is_float(array.dtype.name) and array.ndim == 2 and array.shape[1] >= 2


def _type(array: Array) -> str:
    return "string" if array.dtype.kind in "OUS" else array.dtype.name


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _place(index: Sequence[int]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else "the scalar"


def _value(value: float | str) -> str:
    return repr(value) if isinstance(value, str) else f"{value:.6g}"
