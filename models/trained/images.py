"""Photographs, 64x64: crops the trained decoders never saw, and crops to fit rewrites to.

Both are cut from the two pictures that scikit-learn bundles, china.jpg and flower.jpg, 427x640
pixels each. The test crops tile the columns 256 to 383 of both; training and calibration crops lie
entirely to the left or to the right of that strip, so no pixel is in both. A byte divided by 255 is
what the models take.

    images_test.npz          pixels 24x64x64x3 uint8
    images_calibration.npz   pixels 24x64x64x3 uint8, of what was trained on

`onnxstride` takes either through a function, from the folder that holds models/:
`--data models.trained.images:calibration_feeds`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent
TEST_FILE = FOLDER / "images_test.npz"
CALIBRATION_FILE = FOLDER / "images_calibration.npz"
INPUT, OUTPUT = "image", "restored"
SIDE, BRIGHTEST = 64, 255
TESTED = range(256, 384)
BATCH = 8

Images = NDArray[np.float32]
Feeds = Mapping[str, Images]


def scaled(pixels: NDArray[np.uint8]) -> Images:
    """The models' input, n x 3 x height x width between 0 and 1, from n x height x width x 3."""
    large: Images = np.moveaxis(pixels, -1, 1).astype(np.float32) / np.float32(BRIGHTEST)
    return np.ascontiguousarray(large)


def test_images() -> Images:
    """All test images, as the models take them and ought to give them back."""
    return _read(TEST_FILE)


def test_feeds() -> Iterator[Feeds]:
    """The test images, some at a time."""
    return _batches(test_images())


def calibration_feeds() -> Iterator[Feeds]:
    """Training images as the models take them, for rewrites that fit their weights to data."""
    return _batches(_read(CALIBRATION_FILE))


def psnr(restored: NDArray[Any], images: NDArray[Any]) -> float:
    """10 log10 of 1 over the mean square difference of all values, in dB."""
    difference = restored.astype(np.float64) - images
    return float(-10 * np.log10(np.square(difference).mean()))


def _read(path: Path) -> Images:
    with np.load(path) as file:
        return scaled(file["pixels"])


def _batches(images: Images) -> Iterator[Feeds]:
    for start in range(0, len(images), BATCH):
        yield {INPUT: images[start : start + BATCH]}
