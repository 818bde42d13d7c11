"""Feeds made up like images: what they have in common with those, and what not."""

from typing import Any

import numpy as np
import pytest

from onnxstride.errors import UsageError
from onnxstride.verify import Input
from onnxstride.verify.scenes import Scenes

IMAGE = Input("x", "float32", ("N", 3, "H", "W"))
SIZES = {"N": 8, "H": 64, "W": 96}


def scene(item: Input, number: int = 0, *, low: float = 0, high: float = 1, **sizes: int) -> Any:
    return Scenes([item], sizes, {item.name: (low, high)})(number)[item.name]


def slope(images: Any) -> float:
    """How the energy falls off with the frequency: the exponent, over all directions."""
    height, width = images.shape[-2:]
    window = np.multiply.outer(np.hanning(height), np.hanning(width))
    centred = images - images.mean(axis=(-2, -1), keepdims=True)
    energy = np.square(np.abs(np.fft.fft2(centred * window))).mean(axis=(0, 1))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij"))
    within = (frequency > 0.06) & (frequency < 0.4)
    return float(np.polyfit(np.log(frequency[within]), np.log(energy[within]), 1)[0])


def correlation(images: Any, one: int, other: int) -> float:
    """Of two channels, each sample's mean taken off."""
    parts = images - images.mean(axis=(2, 3), keepdims=True)
    return float(np.corrcoef(parts[:, one].ravel(), parts[:, other].ravel())[0, 1])


class TestImages:
    def test_energy_falls_off_as_that_of_images_does(self) -> None:
        """As 1/f^2, whatever the direction; that of noise does not at all."""
        assert -2.3 < slope(scene(IMAGE, **SIZES)) < -1.7
        assert abs(slope(np.random.default_rng(0).random((8, 3, 64, 96)))) < 0.3

    def test_channels_are_much_alike(self) -> None:
        """What one channel shows the others show as well."""
        images = scene(IMAGE, **SIZES)
        assert correlation(images, 0, 1) > 0.8
        assert correlation(images, 0, 2) > 0.8

    @pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 255)])
    def test_they_fill_their_range(self, low: float, high: float) -> None:
        """And do not leave it; some are dark, some are light."""
        images = np.concatenate([scene(IMAGE, n, low=low, high=high, **SIZES) for n in range(4)])
        assert images.min() >= low
        assert images.max() <= high
        assert images.max() - images.min() > 0.9 * (high - low)
        assert np.ptp(images.mean(axis=(1, 2, 3))) > 0.3 * (high - low)

    @pytest.mark.parametrize("dims", [("N", 2, "L"), ("N", 1, 6, "H", "W")], ids=str)
    def test_any_number_of_axes(self, dims: tuple[int | str, ...]) -> None:
        """Sound and volumes are made like images."""
        values = scene(Input("x", "float32", dims), N=2, L=64, H=9, W=8)
        assert values.ndim == len(dims)
        neighbours = np.corrcoef(values[..., :-1].ravel(), values[..., 1:].ravel())[0, 1]
        assert neighbours > 0.9

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8"])
    def test_types(self, dtype: str) -> None:
        """Whole numbers where the type has no others."""
        values = scene(Input("x", dtype, (1, 3, 8, 8)), low=0, high=255)
        assert values.dtype == dtype
        assert values.max() > 10


def test_latents_are_normally_distributed() -> None:
    """Vectors, and maps of a single element."""
    for dims in ((64, 100), (64, 100, 1, 1)):
        values = scene(Input("z", "float32", dims))
        assert values.shape == dims
        assert abs(float(values.mean())) < 0.1
        assert float(values.std()) == pytest.approx(1, abs=0.1)


def test_other_inputs_are_made_as_always() -> None:
    """Integers that may be indices, booleans."""
    assert scene(Input("i", "int64", (40,))).max() < 8
    assert scene(Input("b", "bool", (40,))).dtype == bool


def test_the_same_number_gives_the_same_feed() -> None:
    """And another number, or another input, another one."""
    twice = [scene(IMAGE, 3, **SIZES) for _ in range(2)]
    np.testing.assert_array_equal(*twice)
    assert not np.array_equal(twice[0], scene(IMAGE, 4, **SIZES))
    other = Input("other", "float32", IMAGE.dims)
    assert not np.array_equal(twice[0], scene(other, 3, **SIZES))


def test_what_cannot_be_made_up() -> None:
    """Is an error, as for any made-up feed."""
    with pytest.raises(UsageError, match="input 's'"):
        scene(Input("s", "string", (1,), "no values can be made up for type string"))
