"""Views of maps that read other maps, and of maps that are made of two; see ``fields``."""

from __future__ import annotations

from functools import lru_cache
from math import gcd, lcm
from typing import NamedTuple

from .fields import MOST_PHASES, Reach, Reading, View

_LARGEST_STEP = 2**63
_MOST_DRIFTS = 64
_TOO_LARGE = "the chain of layers is beyond all that is followed"


def seen(view: View, reading: Reading) -> View | str:
    """The view of a map that reads a map with this view; or why it cannot be told."""
    reach, slim, period, adrift = view
    advance, spans, keeps_constants, drift = reading
    phases = len(reach.lows)
    places = _places(phases, reading)
    if isinstance(places, str):
        return places
    if abs(reach.step) > _LARGEST_STEP:
        return _TOO_LARGE
    if len(adrift) > _MOST_DRIFTS and (drift or phases > 1 or len(spans) > 1):
        return _TOO_LARGE
    if period > 1 or not keeps_constants:
        period = len(spans) * (period // gcd(period, advance))
    after = _read(reach, places)
    slim = after if slim is reach else _read(slim, places)
    return View(after, slim, period, (*adrift, drift) if drift else adrift)


class _Places(NamedTuple):
    """Where the elements of a map read a map of some phases.

    ``rounds`` is how many times the phases of the map that is read go by before those of the
    other repeat. ``firsts`` and ``lasts`` have for each of these the first and the last element
    read: its phase, and how many times the phases have gone by.
    """

    rounds: int
    firsts: tuple[tuple[int, int], ...]
    lasts: tuple[tuple[int, int], ...]


@lru_cache(maxsize=64)  # most layers are like another, and each is read along all its paths
def _places(phases: int, reading: Reading) -> _Places | str:
    """Where elements read a map of this many phases; or why it cannot be told."""
    advance, spans, _, drift = reading
    shared = gcd(phases, advance)
    if drift and shared > 1:
        return f"{drift}, and with it which phase of the map is read"
    if len(spans) * (phases // shared) > MOST_PHASES:
        return _TOO_LARGE
    starts = [advance * k for k in range(phases // shared)]
    return _Places(
        advance // shared,
        tuple([_place(start + lo, phases) for start in starts for lo, _ in spans]),
        tuple([_place(start + hi, phases) for start in starts for _, hi in spans]),
    )


def _place(element: int, phases: int) -> tuple[int, int]:
    return element % phases, element // phases


def _read(reach: Reach, places: _Places) -> Reach:
    """What a map sees that reads a map which sees ``reach``."""
    step, lows, highs = reach
    rounds, firsts, lasts = places
    if step < 0:
        firsts, lasts = lasts, firsts
    return Reach(
        step * rounds,
        tuple([lows[phase] + step * k for phase, k in firsts]),
        tuple([highs[phase] + step * k for phase, k in lasts]),
    )


def met(one: View, other: View) -> tuple[View | None, bool]:
    """The view of a map made of two, element by element, and whether the two are in step.

    They are in step unless their strides or their centres differ. None where the strides do, for
    such views have no common form.
    """
    return (one, True) if one is other else _met(one, other)


@lru_cache(maxsize=2)  # axes are usually alike, and come one after the other
def _met(one: View, other: View) -> tuple[View | None, bool]:
    reach, slim, period, adrift = one
    other_reach, other_slim, other_period, other_adrift = other
    if not _have_one_stride(reach, other_reach):
        return None, False
    phases = lcm(len(reach.lows), len(other_reach.lows))
    in_step = adrift != other_adrift or _have_one_middle(reach, other_reach)
    if adrift == other_adrift:  # the same shift, whatever it is
        reach = _union(reach, other_reach, phases)
    else:
        reach = _spread(max(reach, other_reach, key=_width), phases)
        adrift = tuple(dict.fromkeys(adrift + other_adrift))
    slim = _spread(min(slim, other_slim, key=_width), phases)
    return View(reach, slim, lcm(period, other_period), adrift), in_step


def _have_one_stride(one: Reach, other: Reach) -> bool:
    return one.step * len(other.lows) == other.step * len(one.lows)


def _have_one_middle(one: Reach, other: Reach) -> bool:
    return one.middles * len(other.lows) == other.middles * len(one.lows)


def _width(reach: Reach) -> int:
    return reach.width


def _union(one: Reach, other: Reach, phases: int) -> Reach:
    if one == other:
        return one
    step, lows, highs = _spread(one, phases)
    _, other_lows, other_highs = _spread(other, phases)
    return Reach(step, tuple(map(min, lows, other_lows)), tuple(map(max, highs, other_highs)))


def _spread(reach: Reach, phases: int) -> Reach:
    """The same reach told in more phases, a multiple of its own."""
    step, lows, highs = reach
    rounds = phases // len(lows)
    if rounds == 1:
        return reach
    return Reach(
        step * rounds,
        tuple([low + step * k for k in range(rounds) for low in lows]),
        tuple([high + step * k for k in range(rounds) for high in highs]),
    )
