"""Fields of maps that read other maps, and of maps that are made of two; see ``fields``."""

from __future__ import annotations

from math import gcd, lcm

from .fields import MOST_PHASES, Field, Reach, Reading, Unknown

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
    rounds = phases // gcd(phases, advance)
    places = [(advance * k + lo, advance * k + hi) for k in range(rounds) for lo, hi in spans]
    if step < 0:
        places = [(hi, lo) for lo, hi in places]
    return Reach(
        step * (advance * rounds // phases),
        tuple(lows[lo % phases] + step * (lo // phases) for lo, _ in places),
        tuple(highs[hi % phases] + step * (hi // phases) for _, hi in places),
    )


def met(one: Field, other: Field) -> tuple[Field | None, bool]:
    """The field of a map made of two, element by element, and whether the two are in step.

    They are in step unless their strides or their centres differ. None where the strides do, for
    such fields have no common form. The origin is that of ``one``.
    """
    if one is other:
        return one, True
    if len(one.reach.lows) == len(other.reach.lows) == 1 and one.adrift == other.adrift:
        return _met_plainly(one, other)
    if one.stride != other.stride:
        return None, False
    phases = lcm(len(one.reach.lows), len(other.reach.lows))
    slim = min(one.narrowest, other.narrowest, key=_width)
    if one.adrift == other.adrift:  # the same shift, whatever it is
        reach = _union(one.reach, other.reach, phases)
        in_step = one.reach.middle == other.reach.middle
    else:
        reach = _spread(max(one.reach, other.reach, key=_width), phases)
        in_step = True
    adrift = tuple(dict.fromkeys(one.adrift + other.adrift))
    period = lcm(one.period, other.period)
    return Field(one.origin, reach, _spread(slim, phases), period, adrift), in_step


def _met_plainly(one: Field, other: Field) -> tuple[Field | None, bool]:
    """As above for fields of a single phase, nearly all there are; for speed."""
    (step, (low,), (high,)), (other_step, (other_low,), (other_high,)) = one.reach, other.reach
    if step != other_step:
        return None, False
    if low <= other_low and high >= other_high:
        reach = one.reach
    elif low >= other_low and high <= other_high:
        reach = other.reach
    else:
        reach = Reach(step, (min(low, other_low),), (max(high, other_high),))
    slim, other_slim = one.narrowest, other.narrowest
    if slim.highs[0] - slim.lows[0] > other_slim.highs[0] - other_slim.lows[0]:
        slim = other_slim
    period = one.period if one.period == other.period else lcm(one.period, other.period)
    field = Field(one.origin, reach, slim, period, one.adrift)
    return field, low + high == other_low + other_high


def _width(reach: Reach) -> int:
    return reach.width


def _union(one: Reach, other: Reach, phases: int) -> Reach:
    if one == other:
        return one
    one, other = _spread(one, phases), _spread(other, phases)
    return Reach(
        one.step, tuple(map(min, one.lows, other.lows)), tuple(map(max, one.highs, other.highs))
    )


def _spread(reach: Reach, phases: int) -> Reach:
    """The same reach told in more phases, a multiple of its own."""
    step, lows, highs = reach
    rounds = phases // len(lows)
    if rounds == 1:
        return reach
    return Reach(
        step * rounds,
        tuple(low + step * k for k in range(rounds) for low in lows),
        tuple(high + step * k for k in range(rounds) for high in highs),
    )
