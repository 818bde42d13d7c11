"""How a window moves along one spatial axis, and the size it leaves behind.

Symbols, used in every module of this package:

====  =======================================================
W     input size along the axis
k     kernel: number of taps
d     dilation: distance between taps
K     extent: d (k - 1) + 1, what one window spans
s     stride: distance between windows
pb    padding at the begin
pe    padding at the end
O     output size
op    output padding of a transposed convolution
====  =======================================================

A window of a strided operator starts at ``o s - pb`` for o = 0 .. O - 1. Sizes are plain
integers of any magnitude; nothing here loops over k, s or W.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Axis:
    """Kernel, stride, dilation and padding along one spatial axis, in elements.

    Raises:
        ValueError: kernel, stride or dilation below 1.
    """

    kernel: int
    stride: int = 1
    dilation: int = 1
    begin: int = 0
    end: int = 0

    def __post_init__(self) -> None:
        if min(self.kernel, self.stride, self.dilation) < 1:
            raise ValueError(
                f"kernel, stride and dilation must be at least 1, found "
                f"{self.kernel}, {self.stride}, {self.dilation}"
            )

    @property
    def extent(self) -> int:
        """K, the elements one window spans from its first tap to its last."""
        return self.dilation * (self.kernel - 1) + 1

    def padded(self, begin: int, end: int) -> "Axis":
        """The same window with other padding."""
        return replace(self, begin=begin, end=end)


def output_size(size: int, axis: Axis, *, ceil_mode: bool = False) -> int:
    """O of a strided window over ``size`` elements; zero or less when there is no window.

    Floor mode: O = floor((W + pb + pe - K) / s) + 1. Ceil mode rounds up, so the last window
    may reach past the padding, but one that would start in the padding at the end is not made
    (ONNX since opset 22, and ONNX Runtime 1.31 at every opset).

    A padded input shorter than K holds no window in floor mode. ONNX Runtime's Conv refuses
    it; its pools divide toward zero instead and make one window when it is short by less
    than s.
    """
    if ceil_mode:
        axis = floor_form(axis)
    return (size + axis.begin + axis.end - axis.extent) // axis.stride + 1


def floor_form(axis: Axis) -> Axis:
    """The floor-mode window that has the ceil-mode output size for every input size.

    pe' = min(pe + s - 1, K - 1). Ceil mode gives
    O = min(ceil((W + pb + pe - K) / s), floor((W + pb - 1) / s)) + 1, and both terms are
    floors of a linear form with the same denominator. The result is meant for floor mode:
    taking its floor form again would move the padding on.
    """
    return axis.padded(axis.begin, min(axis.end + axis.stride - 1, axis.extent - 1))


def may_start_in_padding(axis: Axis) -> bool:
    """True when, for some input size, rounding up asks for a window that starts past the data.

    Those are the sizes at which older shape inference and runtimes count windows that hold
    nothing but padding: pe + s > K.
    """
    return axis.end + axis.stride > axis.extent


def starts_in_padding(size: int, axis: Axis) -> bool:
    """True when, for this input size, rounding up asks for a window that starts past the data."""
    room = size + axis.begin + axis.end - axis.extent
    rounded_up = -(-room // axis.stride) + 1
    return rounded_up > output_size(size, axis, ceil_mode=True)


def same_size(size: int, stride: int) -> int:
    """O under SAME padding: ceil(W / s)."""
    return -(-size // stride)


def same_total(size: int, axis: Axis) -> int:
    """Padding that SAME asks for, begin and end together; negative when K < s leaves a surplus."""
    return (same_size(size, axis.stride) - 1) * axis.stride + axis.extent - size


def same_padding(size: int, axis: Axis, *, lower: bool) -> Axis:
    """The window with its SAME padding made explicit for ``size``; never negative.

    An odd total leaves one element more at the end (SAME_UPPER) or at the begin (SAME_LOWER).
    """
    total = max(0, same_total(size, axis))
    smaller, larger = total // 2, total - total // 2
    return axis.padded(larger, smaller) if lower else axis.padded(smaller, larger)


def transposed_size(size: int, axis: Axis, output_padding: int = 0) -> int:
    """O of a transposed convolution: s (W - 1) + op + K - pb - pe."""
    return axis.stride * (size - 1) + output_padding + axis.extent - axis.begin - axis.end


def transposed_padding(
    size: int, axis: Axis, output_padding: int, output_size: int, *, upper: bool
) -> Axis:
    """The transposed window with the padding that yields ``output_size`` from ``size``.

    The total, s (W - 1) + op + K - O, is split in halves; an odd one leaves the larger half at
    the end for SAME_UPPER and at the begin for every other auto_pad, NOTSET included.

    A negative total is an output longer than the taps reach. All of it goes to the end, where
    it adds outputs as output padding does: ONNX Runtime 1.31 accepts that for output_shape while
    op - total < s and refuses more. For SAME without output_shape it pads nothing instead, and
    the output keeps the size s (W - 1) + op + K.
    """
    total = transposed_size(size, axis.padded(0, 0), output_padding) - output_size
    if total < 0:
        return axis.padded(0, total)
    smaller, larger = total // 2, total - total // 2
    return axis.padded(smaller, larger) if upper else axis.padded(larger, smaller)
