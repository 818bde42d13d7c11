"""The layers that change resolution, as typed values.

One class per kind of layer; quantised, fused and channels-last spellings of an operator become
the same value. Space is a tuple with one entry per axis, so 1-D, 2-D and 3-D are one case. A
padding that auto_pad leaves to the runtime is resolved for every axis whose size is known;
where it is not, that axis carries no padding and ``sizes`` holds None.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple, TypeVar, dataclass_transform

from ..geometry import Axis
from ..rule import NodeRef
from .scope import Dim, Node

_Layer = TypeVar("_Layer", bound="Layer")


class AutoPad(Enum):
    """Who chooses the padding."""

    NOTSET = "NOTSET"  # the pads attribute
    VALID = "VALID"  # nobody: there is none
    SAME_UPPER = "SAME_UPPER"  # the runtime, an odd element at the end
    SAME_LOWER = "SAME_LOWER"  # the runtime, an odd element at the begin

    @property
    def is_same(self) -> bool:
        return self in _SAME


_SAME = (AutoPad.SAME_UPPER, AutoPad.SAME_LOWER)


@dataclass_transform(eq_default=False, frozen_default=True)
def _layer(kind: type[_Layer]) -> type[_Layer]:
    """A dataclass, frozen as far as type checkers see.

    Were it so for Python too, each class would take two or three times as long to make, at every
    start, and so would each layer.
    """
    return dataclass(eq=False, repr=False)(kind)


@_layer
class Layer:
    """A layer that changes resolution.

    Attributes:
        node: the operator in its scope.
        op: the ONNX operator it amounts to, ``Conv`` for QLinearConv and FusedConv.
        input: name of the feature map it reads.
        dims: spatial dimensions of that map, one per axis: a size, a symbol, or None.
    """

    node: Node
    op: str
    input: str
    dims: tuple[Dim, ...]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.node!r})"

    @property
    def ref(self) -> NodeRef:
        """The node as reports name it."""
        return self.node.ref

    @property
    def opset(self) -> int:
        """Version of the ONNX operator set in force."""
        return self.node.scope.opset()

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.dims)

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """Input size along each axis; None where it is not known."""
        return _sizes(self.dims)


@lru_cache(maxsize=1024)  # rules ask for them again and again
def _sizes(dims: tuple[Dim, ...]) -> tuple[int | None, ...]:
    return tuple([dim if isinstance(dim, int) else None for dim in dims])


@_layer
class Window(Layer):
    """A layer that slides a window; ``axes`` holds the window, one Axis per spatial axis."""

    axes: tuple[Axis, ...]
    auto_pad: AutoPad

    @property
    def kernel(self) -> tuple[int, ...]:
        return tuple([axis.kernel for axis in self.axes])

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple([axis.stride for axis in self.axes])

    @property
    def dilations(self) -> tuple[int, ...]:
        return tuple([axis.dilation for axis in self.axes])

    @property
    def is_strided(self) -> bool:
        """True when the window skips ahead along at least one axis."""
        return any(axis.stride > 1 for axis in self.axes)

    @property
    def has_implicit_padding(self) -> bool:
        """True when the padding follows from the input size, not from the pads attribute."""
        return self.auto_pad.is_same


@_layer
class Conv(Window):
    """A convolution. ``weight`` and ``bias`` are tensor names, bias empty when there is none."""

    weight: str
    bias: str
    group: int


@_layer
class ConvTranspose(Window):
    """A transposed convolution.

    ``output_shape`` is what the node asks for along each spatial axis, None when it asks for
    nothing; the padding in ``axes`` is then what yields it.
    """

    weight: str
    bias: str
    group: int
    output_padding: tuple[int, ...]
    output_shape: tuple[int, ...] | None

    @property
    def has_implicit_padding(self) -> bool:
        """True when the padding follows from the input size, not from the pads attribute."""
        return self.auto_pad.is_same or self.output_shape is not None


@_layer
class Pool(Window):
    """A pooling window."""

    ceil_mode: bool


@_layer
class MaxPool(Pool):
    """``indices`` is the name of the second output, empty when there is none."""

    column_major: bool
    indices: str


@_layer
class AveragePool(Pool):
    """``count_include_pad`` is True where padding counts among what is averaged."""

    count_include_pad: bool


class LpPool(Pool):
    """Pooling by the p-norm of the window."""


SLIDING = (Conv, MaxPool, AveragePool, LpPool)
"""Windows that slide over their input; a transposed one slides over its output."""


class GlobalPool(Layer):
    """Pooling over the whole map."""


@_layer
class Resize(Layer):
    """Interpolation, Upsample included.

    ``scales`` holds output over input size along each axis, None where it is not known;
    ``coordinates`` is the coordinate transformation in force, implicit ones named too, and
    ``along`` the dimension of the tensor that each axis is, counted as the node counts it.
    """

    scales: tuple[float | None, ...]
    mode: str
    coordinates: str
    nearest_mode: str
    antialias: bool
    along: tuple[int, ...]

    @property
    def is_legacy(self) -> bool:
        """True for Upsample and for Resize before opset 11, which state no coordinates."""
        return self.op == "Upsample" or self.opset < 11


@_layer
class Shuffle(Layer):
    """A pixel shuffle: ``op`` DepthToSpace or SpaceToDepth, ``mode`` DCR or CRD.

    ``blocks`` holds one block per spatial axis. Spelled as Reshape, Transpose and Reshape,
    ``node`` is the last of the three and ``input`` what the first one reads.
    """

    blocks: tuple[int, ...]
    mode: str


class StridedSlice(Window):
    """A Slice that steps over positions of a feature map: a window of one tap."""


@_layer
class Merge(Layer):
    """Maps that meet element by element, as in Add, or side by side, as in Concat.

    ``inputs`` names the maps, two or more; constants are no maps. ``input`` and ``dims`` are
    those of the first.
    """

    inputs: tuple[str, ...]


VISIBLE_SHARE = 1 / 255
"""The smallest step of an 8-bit image, as a share of its range."""


class Reply(NamedTuple):
    """What an output repeats in reply to one constant image, or to several latent vectors.

    ``rms`` and ``peak_to_peak`` are in output units; ``least`` is ``rms`` less what may be chance.
    """

    stimulus: str
    rms: float
    least: float
    peak_to_peak: float


@_layer
class Response(Layer):
    """An output of the model as a run of it was measured; ``node`` makes it, ``dims`` are its own.

    ``period`` is what it was folded by, ``span`` the output's range from lowest to highest,
    ``is_free`` whether what was measured is free of the border. ``problem`` says why nothing was
    measured, in which case there are no replies.
    """

    output: str
    period: tuple[int, ...]
    span: float
    is_free: bool
    replies: tuple[Reply, ...]
    problem: str
