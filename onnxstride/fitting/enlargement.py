"""A Resize and a convolution as one transposed convolution, and which ones are.

Along one axis let a map be enlarged s times and then convolved with m taps w from -q on:

    u[o] = sum_i x[i] g(o - s i)            g = 1 on 0 .. s - 1                  (nearest)
    y[o] = sum_a w[a] u[o - q + a]          g(c) = 1 - |(c + 1/2) / s - 1/2|     (linear)

so that x[i] reaches o = s i + c with the weight

    h(c) = sum_a w[a] g(c - q + a),         h = B w

and a transposed convolution of kernel W, padded by pb at its begin, with H(c) = W[c + pb]. The two
are the same where H = B w; for nearest that is so at the border too, because a map that is
continued by zeros is enlarged to one that is. Of all w, the one nearest to H in the mean of
squares is the projection pinv(B) H. Along several axes B is a Kronecker product, and so is its
pinv.

The windows stand where those of the transposed convolution do when their middles agree,

    q = (m + K - s - 1) / 2 - pb,

K its extent; where that is no whole number there are two choices. m = K - s + 1 taps are what a
kernel that factors has (q = K - s - pb). With q at the begin, what has to be added at the end for
the size s (W - 1) + op + K - pb - pe does not depend on W: op + K - pb - pe - s + m - 1 - q.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..geometry import Axis
from .moments import Array


@dataclass(frozen=True, slots=True)
class Enlargement:
    """One axis: enlarged ``stride`` times, then convolved with ``taps`` taps from -``begin`` on."""

    stride: int
    taps: int
    begin: int
    is_linear: bool = False

    def end(self, axis: Axis, output_padding: int) -> int:
        """Elements to add at the end, or to crop, for the size of a transposed convolution."""
        room = output_padding + axis.extent - axis.begin - axis.end
        return room - self.stride + self.taps - 1 - self.begin

    def reach(self) -> tuple[int, int]:
        """The first c of h and the one after its last."""
        overhang = self.stride // 2 if self.is_linear else 0
        first = self.begin - (self.taps - 1)
        return first - overhang, self.begin + self.stride + overhang

    def matrix(self, first: int, last: int) -> Array:
        """B from the row of c = ``first`` to the one before ``last``."""
        c = np.arange(first, last)[:, np.newaxis] - self.begin + np.arange(self.taps)
        if self.is_linear:
            weights: Array = np.maximum(0.0, 1 - np.abs((c + 0.5) / self.stride - 0.5))
            return weights
        return ((c >= 0) & (c < self.stride)).astype(np.float64)


def placements(axis: Axis, taps: int, *, is_linear: bool = False) -> list[Enlargement]:
    """Where ``taps`` taps may stand for the middles to agree: one place, or the two beside it."""
    twice = taps + axis.extent - axis.stride - 1 - 2 * axis.begin
    begins = range(twice // 2, -(-twice // 2) + 1)
    return [Enlargement(axis.stride, taps, begin, is_linear) for begin in begins]


class Projection(NamedTuple):
    """The kernel of a convolution after a Resize that is nearest to a transposed one.

    Attributes:
        kernel: as the transposed convolution has it (inputs, outputs / group, taps ..).
        residual: what is left of the weights, as a share of them: 0 where they factor.
        largest: the largest magnitude of what is left, as a share of the largest weight.
    """

    kernel: Array
    residual: float
    largest: float


def projected(
    weight: NDArray[Any], axes: Sequence[Axis], onto: Sequence[Enlargement]
) -> Projection:
    """The projection of a transposed convolution's weight (inputs, outputs / group, kernel ..)."""
    wanted = dense(weight, axes)
    found = wanted
    matrices: list[Array] = []
    for number, (axis, enlargement) in enumerate(zip(axes, onto, strict=True), start=2):
        reach = enlargement.reach()
        first, last = min(reach[0], -axis.begin), max(reach[1], axis.extent - axis.begin)
        ends = [(0, 0)] * wanted.ndim
        ends[number] = -axis.begin - first, last - (axis.extent - axis.begin)
        wanted, found = np.pad(wanted, ends), np.pad(found, ends)
        matrices.append(enlargement.matrix(first, last))
        inverse: Array = np.asarray(np.linalg.pinv(matrices[-1]), np.float64)
        found = along(found, inverse, number)
    left = wanted - _spread(found, matrices)
    size, largest = float(np.linalg.norm(wanted)), float(np.abs(wanted).max(initial=0.0))
    if size == 0:
        return Projection(found, 0.0, 0.0)
    return Projection(
        found, float(np.linalg.norm(left)) / size, float(np.abs(left).max()) / largest
    )


def dense(weight: NDArray[Any], axes: Sequence[Axis]) -> Array:
    """The weight with the zeros that dilation leaves between its taps."""
    sparse = np.zeros((*weight.shape[:2], *(axis.extent for axis in axes)))
    taps: tuple[Any, ...] = tuple(slice(None, None, axis.dilation) for axis in axes)
    sparse[(..., *taps)] = weight
    return sparse


def along(values: Array, matrix: Array, axis: int) -> Array:
    """The values with ``matrix`` applied along one axis."""
    result: Array = np.moveaxis(np.moveaxis(values, axis, -1) @ matrix.T, -1, axis)
    return result


def _spread(kernel: Array, matrices: Sequence[Array]) -> Array:
    for number, matrix in enumerate(matrices, start=2):
        kernel = along(kernel, matrix, number)
    return kernel


def as_convolution(kernel: NDArray[Any], group: int) -> NDArray[Any]:
    """(inputs, outputs / group, taps ..) as Conv reads it: (outputs, inputs / group, taps ..)."""
    split = kernel.reshape(group, -1, *kernel.shape[1:]).swapaxes(1, 2)
    return split.reshape(-1, *split.shape[2:])
