"""A tensor of few numbers in plain Python.

Importing numpy takes longer than linting a small model does, and an operation of its on a handful
of numbers longer than adding them up. What is measured of small weights is therefore measured
without it; above ``MOST`` elements numpy is faster by far.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import product
from math import hypot
from operator import add
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .axis import Axis

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

Phase: TypeAlias = tuple[int, ...]

MOST = 1 << 14
"""Elements from which on numpy pays, the time to import it included."""


class Few(NamedTuple):
    """Numbers in the order of a C array of this shape.

    Attributes:
        shape: as that of an array.
        values: as many as the shape has elements; integers of integer types, else floats.
        is_float: whether they are floating point numbers.
    """

    shape: tuple[int, ...]
    values: Sequence[float]
    is_float: bool = True

    @property
    def size(self) -> int:
        return len(self.values)

    def array(self) -> NDArray[float64]:
        """The numbers for those who calculate with arrays."""
        import numpy as np

        return np.array(self.values, np.float64).reshape(self.shape)


def phase_sums(
    weight: Few, axes: Sequence[Axis], alone: Collection[int] = ()
) -> Iterable[dict[Phase, list[float]]]:
    """The sums of the taps of each phase that any tap reaches, one number a channel.

    Args:
        weight: shape (A, B, k_1, .., k_n); each pair of A and B is a channel here.
        axes: one Axis per spatial axis; kernel, stride and dilation are used.
        alone: axes whose taps are not added up: each set of taps along them is a result of its
            own, and they have no part in the phases.

    Raises:
        ValueError: the spatial shape of ``weight`` is not the kernel of ``axes``.
    """
    kernel_of(weight.shape, axes)
    places = _places(
        tuple([(axis.kernel, axis.stride, axis.dilation) for axis in axes]), tuple(alone)
    )
    found: dict[Phase, dict[Phase, list[float]]] = {}
    for tap, (line, phase) in enumerate(places):
        sums = found.setdefault(line, {})
        values = list(weight.values[tap :: len(places)])
        sums[phase] = list(map(add, sums[phase], values)) if phase in sums else values
    return found.values()


def kernel_of(shape: tuple[int, ...], axes: Sequence[Axis]) -> tuple[int, ...]:
    """The kernel of a window that weights of this shape have to fit.

    Raises:
        ValueError: they do not.
    """
    kernel = tuple([axis.kernel for axis in axes])
    if shape[2:] != kernel:
        raise ValueError(f"expected weights with kernel {kernel}, found shape {shape}")
    return kernel


def sum_of_squares(values: Iterable[float]) -> float:
    """The sum of the squares; infinite where it is beyond the range of a float."""
    length = hypot(*values)
    return length * length


@lru_cache(maxsize=16)  # a model has few kinds of windows
def _places(
    windows: tuple[tuple[int, int, int], ...], alone: tuple[int, ...]
) -> list[tuple[Phase, Phase]]:
    """Of each tap: where it is along the axes that are alone, and its phase along the others."""
    kept = [i for i in range(len(windows)) if i not in alone]
    return [
        (
            tuple([tap[i] for i in alone]),
            tuple([tap[i] * windows[i][2] % windows[i][1] for i in kept]),
        )
        for tap in product(*(range(kernel) for kernel, _, _ in windows))
    ]
