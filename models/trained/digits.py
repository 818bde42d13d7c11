"""Handwritten digits, 32x32: images the trained models never saw, and images to fit rewrites to.

Each image is one of scikit-learn's bundled digits: 8x8 pixels of 0 to 16, a sixteenth of that,
enlarged to 32x32 linearly between pixel centres. Every value is a multiple of 1/1024, so float32
holds it exactly and the enlargement is the same on every machine.

    digits_test.npz          pixels 597x8x8 and labels 597, both uint8
    digits_calibration.npz   image 256x1x32x32 float32: the models' input, of training images

`onnxstride` takes the second as it is, with `--data models/trained/digits_calibration.npz`, and
either through a function, from the folder that holds models/:
`--data models.trained.digits:test_feeds`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent
TEST_FILE = FOLDER / "digits_test.npz"
CALIBRATION_FILE = FOLDER / "digits_calibration.npz"
INPUT, OUTPUT = "image", "logits"
SMALL, FACTOR, BRIGHTEST = 8, 4, 16
BATCH = 128

Images = NDArray[np.float32]
Feeds = Mapping[str, Images]


def enlarged(pixels: NDArray[np.uint8]) -> Images:
    """The models' input, n x 1 x 32 x 32 between 0 and 1, from n x 8 x 8 pixels."""
    weights = _linear(SMALL, FACTOR)
    small = pixels.astype(np.float32) / np.float32(BRIGHTEST)
    large: Images = np.einsum("yi,nij,xj->nyx", weights, small, weights)
    return large[:, None]


def _linear(size: int, factor: int) -> Images:
    """The matrix that enlarges one axis; beyond the outermost centres it repeats them."""
    centres = (np.arange(size * factor) + 0.5) / factor - 0.5
    each = [np.interp(centres, np.arange(size), one) for one in np.eye(size)]
    return np.stack(each, axis=1).astype(np.float32)


def labelled_test() -> tuple[Images, NDArray[Any]]:
    """All test images, and the digit that each shows."""
    with np.load(TEST_FILE) as file:
        return enlarged(file["pixels"]), file["labels"].astype(np.int64)


def test_feeds() -> Iterator[Feeds]:
    """The test images as the models take them."""
    return _batches(labelled_test()[0])


def calibration_feeds() -> Iterator[Feeds]:
    """Training images as the models take them, for rewrites that fit their weights to data."""
    with np.load(CALIBRATION_FILE) as file:
        return _batches(file[INPUT])


def _batches(images: Images) -> Iterator[Feeds]:
    for start in range(0, len(images), BATCH):
        yield {INPUT: images[start : start + BATCH]}
