"""Feeds made up to be like what a model is used on, where its user gave none.

Activations of random numbers are not those of images: a layer that is fitted on white noise may do
badly on everything else. What images have in common is that the energy of a frequency f falls off
as 1/f^2, so that neighbours are much alike. Fields with that spectrum are nearly as good to fit on
as the real thing.

========  =========================================================================================
images    floats and 8-bit integers with axes behind batch and channels: a field that all channels
          share, three tenths as much of one of their own, with a mean and a contrast that differ
          from feed to feed, some of them far off the middle; clipped to the range
latents   floats without such axes, or with a single element along them: normally distributed
the rest  integers and booleans as ``inputs`` makes them
========  =========================================================================================
"""

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from .inputs import Input, Kind, make_feed, shape_of
from .runtime import Array, Feeds
from .sizes import Sizes

_IMAGE_TYPES = frozenset(("float16", "bfloat16", "float32", "float64", "uint8", "int8"))
_OF_ITS_OWN = 0.3
_MEANS = 0.15, 0.85
_CONTRASTS = 0.05, 0.3

Floats = NDArray[np.float64]


class Scenes:
    """Makes feeds of one size: the same for the same number.

    Args:
        inputs: of the model.
        sizes: of its open axes.
        ranges: lowest and highest value of inputs that are images; 0 to 1 where none is given.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        sizes: Sizes,
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self._inputs = inputs
        self._sizes = sizes
        self._ranges = ranges or {}

    def __call__(self, number: int) -> Feeds:
        """The feed of this number.

        Raises:
            UsageError: it would not fit in memory, or an input cannot be made up.
        """
        feed = make_feed(self._inputs, self._sizes, number, Kind.MIXED)
        return {item.name: self._value(item, feed[item.name], number) for item in self._inputs}

    def _value(self, item: Input, made: Array, number: int) -> Array:
        if item.dtype not in _IMAGE_TYPES:
            return made
        random = np.random.default_rng([number, crc32(item.name.encode())])
        if is_image(item, self._sizes):
            low, high = self._ranges.get(item.name, (0.0, 1.0))
            image = low + (high - low) * _image(random, made.shape)
            return (np.rint(image) if made.dtype.kind in "iu" else image).astype(made.dtype)
        if made.dtype.kind in "iu":
            return made
        return random.standard_normal(made.shape).astype(made.dtype)


def is_image(item: Input, sizes: Sizes) -> bool:
    """Whether an input has axes along which neighbours may be alike."""
    return any(size > 1 for size in shape_of(item, sizes)[2:])


def _image(random: np.random.Generator, shape: Sequence[int]) -> Floats:
    """Images (sample, channel, size ..) from 0 to 1."""
    samples, channels, *spatial = shape
    each = samples, 1, *[1] * len(spatial)
    every = samples, channels, *[1] * len(spatial)
    shared = _field(random, (samples, 1, *spatial))
    own = _field(random, (samples, channels, *spatial))
    mean = random.uniform(*_MEANS, each)
    colour = random.uniform(-1, 1, every) * np.minimum(mean, 1 - mean)
    contrast = random.uniform(*_CONTRASTS, each)
    image: Floats = mean + colour + contrast * (shared + _OF_ITS_OWN * own)
    return image.clip(0, 1)


def _field(random: np.random.Generator, shape: Sequence[int]) -> Floats:
    """Random fields along all axes from the third on, with amplitudes that fall off as 1/f."""
    axes = tuple(range(2, len(shape)))
    spectrum = np.fft.rfftn(random.standard_normal(shape), axes=axes)
    squares = np.zeros(spectrum.shape[2:])
    for number, axis in enumerate(axes):
        size = shape[axis]
        of_axis = np.fft.rfftfreq(size) if axis == axes[-1] else np.fft.fftfreq(size)
        along = [1] * len(axes)
        along[number] = -1
        squares = squares + of_axis.reshape(along) ** 2
    with np.errstate(divide="ignore"):
        amplitudes = np.where(squares > 0, squares**-0.5, 0)
    field = np.fft.irfftn(spectrum * amplitudes, s=[shape[axis] for axis in axes], axes=axes)
    deviation = field.std(axis=axes, keepdims=True)
    unit: Floats = np.divide(field, deviation, out=np.zeros_like(field), where=deviation > 0)
    return unit
