"""What a model is fed with."""

from dataclasses import replace
from fractions import Fraction
from itertools import islice, product

import numpy as np
import pytest

from onnxstride.errors import UsageError
from onnxstride.probe.fold import Fold, Folding, Reach
from onnxstride.probe.layout import channel_axis, spatial_axes
from onnxstride.probe.ranges import Range
from onnxstride.probe.sizing import candidates
from onnxstride.probe.stimuli import Image, constant_images, draw, images_among
from onnxstride.verify.inputs import Input

UNIT = Range(0.0, 1.0, "test")


def image(*dims: int | str, name: str = "x", dtype: str = "float32") -> Input:
    return Input(name, dtype, dims)


@pytest.mark.parametrize(
    ("dims", "channels", "space"),
    [
        pytest.param((1, 3, "H", "W"), 1, (2, 3), id="channels first"),
        pytest.param((1, "H", "W", 3), 3, (1, 2), id="channels last"),
        pytest.param((1, 64, 64, 3), 3, (1, 2), id="channels last, fixed"),
        pytest.param((1, 3, 224, 3), 1, (2, 3), id="three columns"),
        pytest.param((1, 257, "T", 1), 1, (2, 3), id="one of something is no channel"),
        pytest.param((1, 80, 3), 1, (2,), id="a sound of three samples"),
        pytest.param((1, 1, "D", "H", "W"), 1, (2, 3, 4), id="a volume"),
        pytest.param((1, 10), 1, (), id="no space"),
    ],
)
def test_layout(dims: tuple[int | str, ...], channels: int, space: tuple[int, ...]) -> None:
    """Space is what is neither batch nor channels."""
    assert spatial_axes(dims) == space
    assert not space or channel_axis(dims) == channels


def test_images_are_like_what_outputs_are_made_of() -> None:
    """Open or large enough, made of numbers, and of the rank of an origin if there is one."""
    inputs = [
        image(1, 3, "H", "W", name="picture"),
        image(1, 100, 1, 1, name="latent"),
        image(1, 3, 64, 64, name="tokens", dtype="string"),
        image(1, 8, "T", name="sound"),
        image("N", 7, name="vector"),
    ]
    assert [each.name for each in images_among(inputs, [])] == ["picture", "sound"]
    reach = Reach("picture", 2, Fraction(1), Fraction(0), Fraction(0))
    origin = Folding((Fold(2, reach),))
    assert [each.name for each in images_among(inputs, [origin])] == ["picture"]


@pytest.mark.parametrize(
    ("dims", "names"),
    [
        ((1, 3, 2, 2), 9),
        ((1, 1, 2, 2), 3),
        ((1, 5, 2, 2), 3),
    ],
)
def test_colours(dims: tuple[int, ...], names: int) -> None:
    """Three channels have the corners of the cube and its middle, others black, grey and white."""
    shown = list(constant_images([Image(image(*dims), UNIT)], [], {}))
    assert len(shown) == names
    colours = {tuple(each.feed["x"][0, :, 0, 0].tolist()) for each in shown}
    corners = set(product((0.0, 1.0), repeat=3)) | {(0.5, 0.5, 0.5)}
    assert dims[1] != 3 or colours == corners
    assert all(np.ptp(each.feed["x"], axis=(2, 3)).max() == 0 for each in shown)


def test_colours_are_rounded_to_the_type() -> None:
    """Grey of 0 to 255 is 128, not 127.5 cut off."""
    eight = Image(image(1, 1, 2, 2, dtype="uint8"), Range(0.0, 255.0, "test"))
    grey, black, white = (each.feed["x"] for each in constant_images([eight], [], {}))
    assert grey.dtype.name == "uint8"
    assert (grey.max(), black.max(), white.max()) == (128, 0, 255)


def test_other_inputs_are_drawn_once_and_the_same_each_time() -> None:
    """Seeded by their names."""
    vector = image(1, 7, name="style")
    first, second = (
        list(constant_images([Image(image(1, 1, 2, 2), UNIT)], [vector], {})) for _ in range(2)
    )
    assert np.array_equal(first[0].feed["style"], second[2].feed["style"])
    assert first[0].feed["style"].std() > 0.1
    other = draw([image(1, 7, name="other")], {}, 0)
    assert not np.array_equal(other["other"], first[0].feed["style"])


def test_what_cannot_be_drawn_is_refused() -> None:
    """Strings need --data."""
    with pytest.raises(UsageError, match="give values with --data"):
        draw([Input("s", "string", (1,), "no values can be made up for type string")], {}, 0)


def test_sizes_grow_with_the_border() -> None:
    """The first candidate holds four periods and the border, in multiples of 32."""
    reach = Reach("x", 2, Fraction(1, 4), Fraction(-20), Fraction(20))
    folding = Folding((Fold(4, reach), Fold(4, replace(reach, dim=3))))
    shown = Image(image("N", "C", "H", "W"), UNIT)
    tried = list(islice(candidates([shown], [], [folding]), 4))
    assert tried[0] == {"N": 1, "C": 3, "H": 64, "W": 64}
    assert {each["C"] for each in tried} == {1, 3, 4}
    assert tried[3]["H"] == 96


def test_a_border_too_wide_is_not_followed_for_ever() -> None:
    """Volumes stay affordable."""
    reach = Reach("x", 2, Fraction(1), Fraction(-5000), Fraction(5000))
    folding = Folding((Fold(2, reach),) * 3)
    shown = Image(image(1, 1, "D", "H", "W"), UNIT)
    first = next(candidates([shown], [], [folding]))
    assert first["D"] * first["H"] * first["W"] <= 1 << 22


def test_fixed_sizes_leave_nothing_to_try() -> None:
    """One set of sizes, with nothing in it."""
    assert list(candidates([Image(image(1, 3, 64, 64), UNIT)], [], [])) == [{}]
