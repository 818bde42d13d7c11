"""What a model is fed with: constant images, or latent vectors.

An input is an image if it has a spatial axis (see ``layout``) that is open or has at least 8
elements, holds numbers, and has as many axes as one that the outputs are made of, where that is
known. A model with images is shown constant ones, all its images alike:

========  ==============================================================================
channels  colours
========  ==============================================================================
3         grey, black, white, red, green, blue, yellow, cyan, magenta (in BGR order where
          the model's metadata says ``Bgr``)
others    grey, black, white: all channels alike
========  ==============================================================================

Black is the low and white the high end of the range, grey the middle. With the user's data the mean
colours of the first 16 samples take their place. All other inputs of such a model, and all inputs
of a model without images, are drawn: from a normal distribution, or for integers and booleans as
``verify.inputs`` makes them up; or they are as the user's data has them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from zlib import crc32

import numpy as np

from ..errors import Refused
from ..verify.data import load_data
from ..verify.inputs import Input, Kind, make_feed, shape_of
from ..verify.runtime import Array, dtype_of
from ..wording import by
from .fold import Folding
from .layout import channel_axis, spatial_axes
from .ranges import Range

LATENTS = 8
SAMPLES = 16

_LEAST_IMAGE = 8
_MOST_ELEMENTS = 1 << 28
_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})
_NUMBERS = _FLOATS | {"uint8", "int8", "uint16", "int16", "int32", "int64"}
_ALIKE = {"grey": 0.5, "black": 0.0, "white": 1.0}
_RGB = {
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "yellow": (1.0, 1.0, 0.0),
    "cyan": (0.0, 1.0, 1.0),
    "magenta": (1.0, 0.0, 1.0),
}

Sizes = Mapping[str, int]
Feed = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Image:
    """An input that takes images."""

    item: Input
    range: Range

    @property
    def dims(self) -> tuple[int | str, ...]:
        return self.item.dims or ()

    @property
    def space(self) -> tuple[int | str, ...]:
        """Sizes and symbols of its spatial axes."""
        return tuple(self.dims[axis] for axis in spatial_axes(self.dims))

    @property
    def channels(self) -> int:
        """Its channels; 0 where they are open."""
        size = self.dims[channel_axis(self.dims)]
        return size if isinstance(size, int) else 0

    def filled(self, colour: Sequence[float], sizes: Sizes) -> Array:
        """An image of one colour, a value a channel, or one for all."""
        shape = shape_of(self.item, sizes)
        _refuse_giants(self.item, shape)
        dtype = dtype_of(self.item.dtype)
        exact = np.asarray(colour, np.float64)
        values = (np.rint(exact) if dtype.kind in "iu" else exact).astype(dtype)
        along = [-1 if axis == channel_axis(shape) else 1 for axis in range(len(shape))]
        return np.ascontiguousarray(np.broadcast_to(values.reshape(along), shape))


@dataclass(frozen=True, slots=True)
class Stimulus:
    """A feed by name; ``sizes`` filled in, ``feed`` is what the model runs on."""

    name: str
    feed: Feed


def images_among(inputs: Sequence[Input], foldings: Sequence[Folding]) -> list[Input]:
    """The inputs to feed with constant images: those like the ones that outputs are made of."""
    found = [item for item in inputs if _is_image(item)]
    origins = {f.reach.image for folding in foldings for f in folding.folds if f.reach is not None}
    ranks = {len(item.dims or ()) for item in inputs if item.name in origins}
    return [item for item in found if not ranks or len(item.dims or ()) in ranks]


def _is_image(item: Input) -> bool:
    if item.dims is None or item.dtype not in _NUMBERS:
        return False
    space = [item.dims[axis] for axis in spatial_axes(item.dims)]
    return any(isinstance(size, str) or size >= _LEAST_IMAGE for size in space)


def constant_images(
    images: Sequence[Image], others: Sequence[Input], sizes: Sizes, *, is_bgr: bool = False
) -> Iterator[Stimulus]:
    """The built-in colours, at these sizes."""
    drawn = draw(others, sizes, 0)
    channels = {shape_of(each.item, sizes)[channel_axis(each.dims)] for each in images}
    names = [*_ALIKE, *(_RGB if 3 in channels else ())]
    for name in names:
        feed = {
            each.item.name: each.filled(
                _colour(
                    name,
                    shape_of(each.item, sizes)[channel_axis(each.dims)],
                    each.range,
                    is_bgr=is_bgr,
                ),
                sizes,
            )
            for each in images
        }
        yield Stimulus(name, feed | drawn)


def mean_colours(
    images: Sequence[Image], inputs: Sequence[Input], sizes: Sizes, data: str
) -> Iterator[Stimulus]:
    """Images of the mean colours of the user's samples; other inputs are as in the samples."""
    for number, sample in enumerate(islice(load_data(data, inputs), SAMPLES), 1):
        feed = dict(sample)
        for image in images:
            array = sample[image.item.name]
            channels = channel_axis(array.shape)
            over = tuple(axis for axis in range(array.ndim) if axis != channels)
            feed[image.item.name] = image.filled(
                array.astype(np.float64).mean(axis=over).tolist(), sizes
            )
        yield Stimulus(f"sample {number}", feed)


def latent_vectors(inputs: Sequence[Input], sizes: Sizes, data: str | None) -> Iterator[Stimulus]:
    """Seeded latent vectors, or the user's."""
    if data is not None:
        for number, sample in enumerate(islice(load_data(data, inputs), LATENTS), 1):
            yield Stimulus(f"sample {number}", sample)
        return
    for seed in range(LATENTS if inputs else 1):
        yield Stimulus(f"seed {seed}", draw(inputs, sizes, seed))


def draw(items: Sequence[Input], sizes: Sizes, seed: int) -> Feed:
    """Values for inputs that are no images.

    Raises:
        UsageError: one of them is of a kind that cannot be made up.
    """
    feed: Feed = {}
    for item in items:
        if item.dtype in _FLOATS and not item.problem:
            shape = shape_of(item, sizes)
            _refuse_giants(item, shape)
            random = np.random.default_rng([seed, crc32(item.name.encode())])
            values = random.standard_normal(shape, np.float32)
            feed[item.name] = np.asarray(values).astype(dtype_of(item.dtype))
        else:
            feed |= make_feed([item], sizes, seed, Kind.MIXED)
    return feed


def _refuse_giants(item: Input, shape: Sequence[int]) -> None:
    if prod(shape) > _MOST_ELEMENTS:
        raise Refused(
            f"input {item.name!r} of shape {by(shape)} holds more than {_MOST_ELEMENTS:,} elements"
        )


def _colour(name: str, channels: int, limits: Range, *, is_bgr: bool) -> list[float]:
    """The value of each channel."""
    if channels == 3 and name in _RGB:
        shares = list(_RGB[name])
    else:  # an image of another kind beside a coloured one is grey
        shares = [_ALIKE.get(name, 0.5)] * channels
    return [limits.low + share * limits.span for share in (shares[::-1] if is_bgr else shares)]
