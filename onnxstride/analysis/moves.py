"""What one node does to the maps it reads, dimension by dimension.

A map is a tensor whose elements have a place: an image, and all that is made of it without
losing where things are. Every node is one of these flows:

* :class:`Meet`: maps go in, element by element or through a window; a route for each map that
  goes in and each output that comes out says for every dimension of the output which dimension
  of the map it comes from and how it moves. Several routes to one output meet there: their
  dimensions must agree, or be 1 and broadcast.
* :class:`Join`: as Meet, but along one dimension the maps stand side by side (Concat).
* :class:`Refold`: the elements keep their order and get another shape (Reshape, Flatten).
* :class:`Closed`: nothing is known of where elements come from, and why.

A node that reads no map, such as Shape, is a Meet without routes: what it makes is no map.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ..geometry import Axis
from ..geometry.fields import Reading, Unknown
from ..geometry.resampling import Resampling
from ..graph.layers import AutoPad
from ..graph.scope import Dim


class Stay(NamedTuple):
    """Elements stay where they are."""


class Slide(NamedTuple):
    """A window slides over the dimension: Conv and pools.

    ``axis`` has the padding that auto_pad asks for where ``size``, the input's, is known; else
    none. Size: ``geometry.output_size``; under SAME ``geometry.same_size``.
    """

    axis: Axis
    auto_pad: AutoPad
    ceil_mode: bool
    size: int | None


class Spread(NamedTuple):
    """A transposed window. ``wanted`` is the output size the node asks for, None for none.

    ``axis`` has the padding that auto_pad or ``wanted`` ask for where ``size``, the input's, is
    known; else none. Size: ``wanted``, else ``geometry.transposed_size``.
    """

    axis: Axis
    output_padding: int
    auto_pad: AutoPad
    wanted: int | None
    size: int | None


class Scale(NamedTuple):
    """Interpolation. Size: ``wanted`` if given, else floor(``exact`` times the input size).

    ``resampling.ratio`` is the simple fraction that the scale stands for, ``exact`` the very
    number in the file; None when the node states the size it wants. ``wanted`` is None as well
    when that size is computed from that of the input.
    """

    resampling: Resampling
    exact: float | None
    wanted: int | None


class Shift(NamedTuple):
    """Padding at the two ends, negative for cropping; None where it is computed at run time."""

    begin: int | None
    end: int | None


class Cut(NamedTuple):
    """The elements that Python's ``[start:end:step]`` takes; None for what is computed."""

    start: int | None
    end: int | None
    step: int


class ToSpace(NamedTuple):
    """Channels are dealt out over the dimension: ``block`` times as many elements."""

    block: int


class ToDepth(NamedTuple):
    """Blocks of elements become channels; the size must be divisible by ``block``."""

    block: int


class Global(NamedTuple):
    """Every element of the output sees the whole dimension. ``size`` is 1 for global pools."""

    size: int | None


class Fresh(NamedTuple):
    """A dimension of the node's own, such as the channels that a convolution computes."""

    size: int | None


class Opaque(NamedTuple):
    """What the node does to this dimension is not known, and why."""

    reason: str


Move: TypeAlias = (
    Stay | Slide | Spread | Scale | Shift | Cut | ToSpace | ToDepth | Global | Fresh | Opaque
)

STAY = Stay()


class Lane(NamedTuple):
    """One dimension of an output: the dimension of the map it comes from, None for none.

    ``reading`` is that of the move where it is known beforehand; see ``readings``.
    """

    dim: int | None
    move: Move
    reading: Reading | Unknown | None = None


class Route(NamedTuple):
    """How one map becomes one output.

    ``lanes`` has one entry for each dimension of the output; None for a map of any rank whose
    dimensions all stay, aligned with the output's at the last.
    """

    input: str
    output: str
    lanes: tuple[Lane, ...] | None = None


class Meet(NamedTuple):
    """Maps go in, outputs come out; see the module.

    ``mixed`` names dimensions of maps, by the name of the map, that are summed over as a matrix
    product of two maps does: each element of the outputs sees all of them.
    """

    routes: tuple[Route, ...]
    mixed: tuple[tuple[str, int], ...] = ()


class Join(NamedTuple):
    """Maps side by side along ``dim``, which counts from the last when negative."""

    routes: tuple[Route, ...]
    dim: int


class Refold(NamedTuple):
    """The elements of a map in another shape.

    Attributes:
        shape: as far as it is known: a size, a symbol, or None for each dimension; None when
            even the rank is unknown.
        groups: for each dimension of the output the dimensions of the map that it is made of,
            where the node says so; else None, and the sizes must tell.
        kept: dimensions that have the size of the map's dimension at the same place.
        like: a map whose shape it is; empty if none is named.
    """

    input: str
    output: str
    shape: tuple[Dim, ...] | None
    groups: tuple[tuple[int, ...], ...] | None = None
    kept: tuple[int, ...] = ()
    like: str = ""


class Closed(NamedTuple):
    """Nothing is known of the outputs."""

    reason: str


Flow: TypeAlias = Meet | Join | Refold | Closed
