"""How far two results may be apart, and why.

An element passes when

    |after - before| <= atol + rtol |before|.

What is not given is taken from the type: two spellings of one network add the same numbers in
another order, and that leaves an error in proportion to the *largest* values around, not to the
element itself, which may have come out near zero. So the default of ``atol`` is a share of the
largest magnitude in the output, feed by feed:

    atol = max(scale max |before|, min(4 epsilon, max |before| / 20))

The second part is for outputs that are small beside the numbers they are computed from, as the
sigmoid of -15 is; it never lets a difference pass that is large beside the output.

=========  =========  =======  =======  ==================================================
type       epsilon    rtol     scale    room
=========  =========  =======  =======  ==================================================
float64    2.2e-16    1e-7     1e-8     functions of some runtimes are good to float32 only
float32    1.2e-7     1e-4     2e-5     170 epsilon; deep networks were seen to need 40
float16    9.8e-4     1e-2     1e-2     10 epsilon
bfloat16   7.8e-3     5e-2     5e-2     6 epsilon
float8     1.3e-1     2.5e-1   2.5e-1   2 epsilon of the coarsest
=========  =========  =======  =======  ==================================================

The type is the coarsest in use: a float32 output of a model that works in float16 inside has the
precision of float16. Integers, booleans and strings must be equal; a given ``atol`` loosens that
for integers.

An exact rewrite is held to less, from how it computes. With n = ``accumulation``, the terms added
up for one output (0: none, its bits must be equal), and M the largest magnitude among inputs and
outputs,

    atol = 4 epsilon max(1, n) M,  rtol = 0.

A sum of n terms of at most M carries an error of at most n epsilon/2 times the sum of their
magnitudes; the original and the rewrite each have one, and the differences that the maximum is
built of may be twice M.
"""

from dataclasses import dataclass

_EXACT_ROOM = 4
_FLOOR_ROOM = 4
_SMALL_PART = 20


@dataclass(frozen=True, slots=True)
class Tolerance:
    """``atol`` absolute, ``rtol`` relative to the element, ``scale`` to the largest of its feed.

    ``floor`` is allowed whatever the scale, as long as it is a small part of the largest.
    """

    rtol: float = 0.0
    atol: float = 0.0
    scale: float = 0.0
    floor: float = 0.0

    def absolute(self, largest: float) -> float:
        """What remains of the difference once ``rtol`` is taken off may be this much."""
        return self.atol + max(self.scale * largest, min(self.floor, largest / _SMALL_PART))


EQUAL = Tolerance()

_DEFAULTS: dict[str, tuple[float, Tolerance]] = {
    "float64": (2.0**-52, Tolerance(rtol=1e-7, scale=1e-8)),
    "float32": (2.0**-23, Tolerance(rtol=1e-4, scale=2e-5)),
    "float16": (2.0**-10, Tolerance(rtol=1e-2, scale=1e-2)),
    "bfloat16": (2.0**-7, Tolerance(rtol=5e-2, scale=5e-2)),
}
_FLOAT8 = (2.0**-3, Tolerance(rtol=0.25, scale=0.25))


@dataclass(frozen=True, slots=True)
class Gate:
    """Decides the tolerance of an output; ``rtol`` and ``atol`` as the user gave them.

    ``coarsest`` is the least precise floating type in the models.
    """

    rtol: float | None = None
    atol: float | None = None
    coarsest: str | None = None

    def tolerance(self, dtype: str) -> Tolerance:
        """The tolerance for an output of this type."""
        if not is_float(dtype):
            return Tolerance(atol=self.atol or 0.0)
        types = [name for name in (dtype, self.coarsest) if name is not None]
        coarsest = max(types, key=epsilon)
        default = _precision(coarsest)[1]
        rtol = default.rtol if self.rtol is None else self.rtol
        if self.atol is not None:
            return Tolerance(rtol=rtol, atol=self.atol)
        return Tolerance(rtol, scale=default.scale, floor=_FLOOR_ROOM * epsilon(coarsest))


@dataclass(frozen=True, slots=True)
class ExactGate:
    """Decides the tolerance of an exact rewrite's output.

    ``coarsest`` is the least precise floating type in it, ``largest`` the largest magnitude fed.
    """

    accumulation: int
    coarsest: str | None = None
    largest: float = 0.0

    def tolerance(self, dtype: str) -> Tolerance:
        """The tolerance for an output of this type."""
        if self.accumulation == 0 or not is_float(dtype):
            return EQUAL
        types = [name for name in (dtype, self.coarsest) if name is not None]
        share = _EXACT_ROOM * max(map(epsilon, types)) * max(1, self.accumulation)
        # The sum of both bounds their maximum, and lets the output's be looked up feed by feed.
        return Tolerance(atol=share * self.largest, scale=share)


def is_float(dtype: str) -> bool:
    """True for a floating type, numpy's or not."""
    return dtype in _DEFAULTS or dtype.startswith("float")


def epsilon(dtype: str) -> float:
    """The distance from 1 to the next number of a floating type."""
    return _precision(dtype)[0]


def _precision(dtype: str) -> tuple[float, Tolerance]:
    return _DEFAULTS.get(dtype, _FLOAT8)
