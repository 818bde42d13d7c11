"""Which axes of a tensor are space: all behind batch and channels, unless channels come last."""

from collections.abc import Sequence

_PICTURE_CHANNELS = (3, 4)
_LEAST_RANK = 3


def channel_axis(dims: Sequence[int | str | None]) -> int:
    """1, or the last axis where that has three or four elements and axis 1 looks like space."""
    last = len(dims) - 1
    comes_last = dims[last] in _PICTURE_CHANNELS and dims[1] not in (1, *_PICTURE_CHANNELS)
    return last if comes_last and len(dims) > _LEAST_RANK else 1


def spatial_axes(dims: Sequence[int | str | None]) -> tuple[int, ...]:
    """The axes that are neither batch nor channels; none for fewer than three axes."""
    if len(dims) < _LEAST_RANK:
        return ()
    channels = channel_axis(dims)
    return tuple(axis for axis in range(1, len(dims)) if axis != channels)
