"""Fields of maps that read other maps, and of maps that are made of two; see ``fields``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import gcd, lcm
from typing import TypeAlias

from .fields import MOST_PHASES, Field, Reach, Reading, Unknown

_View: TypeAlias = tuple[Reach, Reach, int, tuple[str, ...]]
"""All of a Field but its image."""

_LARGEST_STEP = 2**63
_MOST_DRIFTS = 64
_TOO_LARGE = "the chain of layers is beyond all that is followed"


def seen(field: Field, reading: Reading) -> Field | Unknown:
    """The field of a map that reads a map with this field."""
    origin, reach, slim, period, adrift = field
    advance, spans, keeps_constants, drift = reading
    phases = len(reach.lows)
    if phases > 1 or len(spans) > 1 or drift:
        shared = gcd(phases, advance)
        if drift and shared > 1:
            return Unknown(f"{drift}, and with it which phase of the map is read", origin)
        if len(spans) * (phases // shared) > MOST_PHASES or len(adrift) > _MOST_DRIFTS:
            return Unknown(_TOO_LARGE, origin)
    if abs(reach.step) > _LARGEST_STEP:
        return Unknown(_TOO_LARGE, origin)
    if period > 1 or not keeps_constants:
        period = len(spans) * (period // gcd(period, advance))
    after = _read(reach, advance, spans)
    return Field(
        origin,
        after,
        after if slim is reach else _read(slim, advance, spans),
        period,
        (*adrift, drift) if drift else adrift,
    )


def _read(reach: Reach, advance: int, spans: tuple[tuple[int, int], ...]) -> Reach:
    """What a map sees that reads a map which sees ``reach``."""
    step, lows, highs = reach
    phases = len(lows)
    if phases == len(spans) == 1:  # as in every network that only shrinks its maps
        ((lo, hi),) = spans
        if step < 0:
            lo, hi = hi, lo
        return Reach(step * advance, (lows[0] + step * lo,), (highs[0] + step * hi,))
    if step < 0:
        spans = tuple([(hi, lo) for lo, hi in spans])
    rounds = phases // gcd(phases, advance)
    starts = range(0, advance * rounds, advance)
    firsts: Iterable[int]
    lasts: Iterable[int]
    if len(spans) == 1:  # as of every layer that does not grow
        ((lo, hi),) = spans
        firsts = range(lo, lo + advance * rounds, advance)
        lasts = range(hi, hi + advance * rounds, advance)
    else:
        firsts = [start + lo for start in starts for lo, _ in spans]
        lasts = [start + hi for start in starts for _, hi in spans]
    return Reach(
        step * (advance * rounds // phases),
        tuple([lows[i % phases] + step * (i // phases) for i in firsts]),
        tuple([highs[i % phases] + step * (i // phases) for i in lasts]),
    )


def met(one: Field, other: Field) -> tuple[Field | None, bool]:
    """The field of a map made of two, element by element, and whether the two are in step.

    They are in step unless their strides or their centres differ. None where the strides do, for
    such fields have no common form. The origin is that of ``one``.
    """
    if one is other:
        return one, True
    both, in_step = _met(one[1:], other[1:])
    return None if both is None else Field(one.origin, *both), in_step


@lru_cache(maxsize=2)  # axes are usually alike, and come one after the other
def _met(one: _View, other: _View) -> tuple[_View | None, bool]:
    """As above, whatever the image."""
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
    return (reach, slim, lcm(period, other_period), adrift), in_step


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
