"""What each element of a feature map sees of the image the map is made of, along one axis.

Every operator that keeps space reads its input regularly: element ``n k + r`` (0 <= r < n) of
the output reads elements ``m k + lo_r`` to ``m k + hi_r`` of the input, for whole numbers n, m,
lo and hi. That is a :class:`Reading`:

======================  ===  ===  =============================================================
operator                n    m    lo_r, hi_r
======================  ===  ===  =============================================================
window                  1    s    -pb, K - 1 - pb
transposed convolution  s    1    ceil((r + pb - K + 1) / s), floor((r + pb) / s)
resize by p/q           p    q    the taps around the coordinate of r
padding by b            1    1    -b, -b
slice [b::s]            1    s    b, b
depth to space, block   b    1    0, 0
space to depth, block   1    b    0, b - 1
======================  ===  ===  =============================================================

Composed from the image onwards such readings give a :class:`View`, of the same form: element
``n k + r`` sees pixels ``step k + low_r`` to ``step k + high_r``. n counts the phases, elements
that see windows of different widths or places; it is 1 as long as nothing grows. The figures of
Araujo et al. follow: the stride is step / n, the receptive field the widest ``high - low + 1``,
the effective padding ``-first``, the centre of element i ``stride i + centre``.

Figures hold away from the border: what lies outside the image counts as seen. Between first and
last pixel there may be some that are not seen, as under a dilated window. The ends themselves
are exact, but for three cases in which fewer pixels are seen than stated: a transposed
convolution with phases that no tap reaches, or its outermost taps miss, by dilation or a stride
above the kernel (they are given what the next tap on would see); windows whose outermost taps
fall on such phases; and cubic interpolation, see ``resampling``.

Source: Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks",
Distill 2019, for windows; the phases make it exact where maps grow as well.
"""

from __future__ import annotations

from fractions import Fraction
from operator import sub
from typing import NamedTuple, TypeAlias

MOST_PHASES = 2048
"""Phases a field may have; maps that grow by more than this beyond the image are unknown."""


class Reading(NamedTuple):
    """How the elements of one map read another; see the table above.

    ``keeps_constants`` is True where a constant input gives a constant output: interpolation.
    ``adrift`` says why lo and hi are right but for a shift, the same for all, that nobody knows;
    it is empty where they are exact.
    """

    advance: int
    spans: tuple[tuple[int, int], ...]
    keeps_constants: bool = False
    adrift: str = ""


class Reach(NamedTuple):
    """Element ``n k + r`` sees pixels ``step k + lows[r]`` to ``step k + highs[r]``."""

    step: int
    lows: tuple[int, ...]
    highs: tuple[int, ...]

    @property
    def middle(self) -> Fraction:
        """c: the middle of what element i sees is ``stride i + c``, in the mean over the phases."""
        return Fraction(self.middles, 2 * len(self.lows))

    @property
    def middles(self) -> int:
        """Twice the sum of the middle over all phases, a whole number."""
        return sum(self.lows) + sum(self.highs) - self.step * (len(self.lows) - 1)

    @property
    def width(self) -> int:
        """Pixels from first to last that an element sees, of the phase that sees most."""
        widest: int = max(map(sub, self.highs, self.lows))
        return widest + 1


class Origin(NamedTuple):
    """The image that figures refer to: its name, the dimension, whether it enters the model.

    A map that a model makes out of no image, such as a vector folded into a small map, is an
    image of its own to what follows; ``is_input`` is False.
    """

    name: str
    dim: int
    is_input: bool = True


class View(NamedTuple):
    """What the elements of a map see along an axis, whichever image they look at.

    Attributes:
        reach: along all paths together.
        narrowest: along the path that sees least.
        period: of the response to a constant image, away from the border: element i and
            element ``i + period`` are equal. 1 until a map grows by weights of its own.
            Constants that lie over a map, as an embedding of positions, are not counted.
        adrift: what makes the position unknown, and with it centre and padding; empty where it
            is known. The stride is right all the same, and so is the receptive field, unless
            paths that are adrift in different ways met: it is then that of the widest path.
    """

    reach: Reach
    narrowest: Reach
    period: int = 1
    adrift: tuple[str, ...] = ()


class Field(NamedTuple):
    """What the elements of a map see of one axis of an image.

    Attributes:
        origin: the image and its dimension.
        view: what they see of it; axes that are alike share one.
    """

    origin: Origin
    view: View

    @property
    def reach(self) -> Reach:
        """Along all paths together."""
        return self.view.reach

    @property
    def period(self) -> int:
        """Of the response to a constant image."""
        return self.view.period

    @property
    def adrift(self) -> tuple[str, ...]:
        """What makes the position unknown; empty where it is known."""
        return self.view.adrift

    @property
    def stride(self) -> Fraction:
        """Pixels from one element to the next, negative for a map that is reversed."""
        return Fraction(self.reach.step, len(self.reach.lows))

    @property
    def phases(self) -> int:
        """Elements after which what is seen repeats, ``reach.step`` pixels on."""
        return len(self.reach.lows)

    @property
    def first(self) -> Fraction:
        """Element i sees no pixel before ``stride i + first``; a shift apart when adrift."""
        stride = self.stride
        return min(Fraction(low) - stride * r for r, low in enumerate(self.reach.lows))

    @property
    def last(self) -> Fraction:
        """Element i sees no pixel after ``stride i + last``; a shift apart when adrift."""
        stride = self.stride
        return max(Fraction(high) - stride * r for r, high in enumerate(self.reach.highs))

    @property
    def receptive_field(self) -> int:
        """Pixels from the first to the last that one element sees, at most."""
        return self.view.reach.width

    @property
    def narrow(self) -> int:
        """The receptive field along the narrowest path."""
        return self.view.narrowest.width

    @property
    def padding(self) -> Fraction | None:
        """Effective padding: how far element 0 sees past the first pixel; None when adrift."""
        return None if self.adrift else -self.first

    @property
    def centre(self) -> Fraction | None:
        """c, where elements see pixels around ``stride i + c``; None when adrift.

        The middle of the first and last pixel seen; where phases differ, the mean over them.
        """
        if self.adrift:
            return None
        return self.reach.middle


class Whole(NamedTuple):
    """A map whose elements see the whole axis, as after a global pool."""

    origin: Origin | None = None


class Unknown(NamedTuple):
    """What elements see cannot be told, and why."""

    reason: str
    origin: Origin | None = None


Sight: TypeAlias = Field | Whole | Unknown
"""What is known of one axis of a map."""

_PIXEL = Reach(1, (0,), (0,))
_PIXELS = View(_PIXEL, _PIXEL)


def pixels(origin: Origin) -> Field:
    """The field of an image: each element sees itself."""
    return Field(origin, _PIXELS)


def is_untouched(field: Field) -> bool:
    """True when each element still sees one pixel, its own."""
    return field.view.reach == _PIXEL
