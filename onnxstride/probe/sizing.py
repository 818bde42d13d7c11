"""At which size to probe a model that leaves the size of its images open.

Enough periods must be free of the border (see ``fold``), and the model must accept the size. Which
sizes a model accepts is found out by trying: first the least multiple of 32 that is large enough,
or of 16 for volumes, then of other numbers. Where a border reaches too far for the size to be
affordable, the affordable one is taken and the border is cropped in part.
"""

from collections.abc import Iterator, Sequence

from ..verify.inputs import Input
from .fold import Fold, Folding
from .layout import channel_axis, spatial_axes
from .stimuli import Image

PERIODS = 4
"""Periods free of the border to aim at along every axis."""

_MOST_ELEMENTS = {1: 1 << 20, 2: 1 << 21, 3: 1 << 21}
"""Elements of one channel of the largest image, by its number of axes."""

_MULTIPLES = (32, 64, 96, 128, 48, 60, 100, 256, 1)
_MULTIPLES_OF_VOLUMES = (16, 32, 12, 20, 48, 64, 1)
_CHANNELS = (3, 1, 4)
_UNKNOWN = {1: 1024, 2: 256}  # elements along each axis where nobody knows what is needed
_OTHER = 8  # of an axis nobody knows anything about


def candidates(
    images: Sequence[Image], others: Sequence[Input], foldings: Sequence[Folding]
) -> Iterator[dict[str, int]]:
    """Sizes of all symbols to try, one after the other; one empty set if nothing is open."""
    tried: list[dict[str, int]] = []
    is_volume = any(len(image.space) > 2 for image in images)
    for multiple in _MULTIPLES_OF_VOLUMES if is_volume else _MULTIPLES:
        for channels in _CHANNELS:
            sizes = sizes_of(others) | _sizes_of_images(images, foldings, multiple, channels)
            if sizes not in tried:
                tried.append(sizes)
                yield sizes


def _sizes_of_images(
    images: Sequence[Image], foldings: Sequence[Folding], multiple: int, channels: int
) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for image in images:
        axes = spatial_axes(image.dims)
        for axis, dim in enumerate(image.dims):
            if not isinstance(dim, str):
                continue
            if axis in axes:
                wanted = _wanted(image, axis, foldings)
                sizes.setdefault(dim, -(-wanted // multiple) * multiple)
            else:
                sizes.setdefault(dim, channels if axis == channel_axis(image.dims) else 1)
    return sizes


def _wanted(image: Image, axis: int, foldings: Sequence[Folding]) -> int:
    """Elements along one axis of an image that would do for every output, if affordable."""
    axes = spatial_axes(image.dims)
    position = axes.index(axis)
    needed = [
        fold.needed(PERIODS)
        for folding in foldings
        for place, fold in enumerate(folding.folds)
        if _is_along(fold, image, axis, place == position)
    ]
    affordable = int(_MOST_ELEMENTS.get(len(axes), 1 << 21) ** (1 / len(axes)))
    if not needed or any(folding.is_guess for folding in foldings):
        needed.append(_UNKNOWN.get(len(axes), 64))
    return min(affordable, max(needed))


def _is_along(fold: Fold, image: Image, axis: int, is_same_place: bool) -> bool:
    """True where a fold goes along this axis of the image, as far as that is known."""
    if fold.reach is not None and fold.reach.image == image.item.name:
        return fold.reach.dim == axis
    return is_same_place


def sizes_of(items: Sequence[Input]) -> dict[str, int]:
    """One batch, and a few of everything else."""
    sizes: dict[str, int] = {}
    for item in items:
        for axis, dim in enumerate(item.dims or ()):
            if isinstance(dim, str):
                sizes.setdefault(dim, _OTHER if axis else 1)
    return sizes
