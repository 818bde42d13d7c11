"""The resolution of the models of this project: figures of well-known networks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from onnxstride.analysis import resolution
from onnxstride.geometry.fields import Field, Whole
from onnxstride.graph import Graph, read_graph
from onnxstride.graph.layers import GlobalPool, Window
from onnxstride.modelfile import open_model
from tests.analysis.asking import figures

MODELS = Path(__file__).parents[2] / "models"
HALF = Fraction(1, 2)


def read(name: str) -> Graph:
    return read_graph(open_model(str(MODELS / name)))


def last_window(graph: Graph) -> Field:
    """The field of the last window layer before space is given up."""
    windows = [layer for layer in graph.layers if isinstance(layer, Window)]
    first, *others = resolution(graph).after(windows[-1])
    assert isinstance(first, Field)
    assert all(isinstance(each, Field) and figures(each) == figures(first) for each in others)
    return first


@pytest.mark.parametrize("path", sorted(MODELS.glob("**/*.onnx*")), ids=lambda path: path.stem)
def test_every_model_is_known_throughout(path: Path) -> None:
    """No layer of any of them is unknown, neither before nor after."""
    graph = read(str(path))
    seen = resolution(graph)
    assert graph.layers
    for layer in graph.layers:
        kinds = [type(axis) for axis in (*seen.before(layer), *seen.after(layer))]
        assert set(kinds) <= {Field, Whole}, layer.ref


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("lenet5", (4, 32, 32, Fraction(31, 2)), id="LeNet-5"),
        pytest.param("alexnet", (32, 195, 195, 31), id="AlexNet"),
        pytest.param("vgg16", (32, 212, 212, 31 * HALF), id="VGG-16"),
        pytest.param("resnet50_v1_5", (32, 427, 75, 0), id="ResNet-50"),
        pytest.param("unet_deconv", (1, 204, 9, 0), id="U-Net with ConvTranspose"),
        pytest.param("fsrcnn", (HALF, 17, 17, 0), id="FSRCNN"),
    ],
)
def test_stride_and_receptive_field(name: str, expected: object) -> None:
    """Of the last window: stride, receptive field, along the narrowest path, centre."""
    assert figures(last_window(read(f"{name}.onnxtxt"))) == expected


@pytest.mark.parametrize(
    ("name", "receptive_field"),
    [
        pytest.param("densenet121", 2071, id="DenseNet-121"),
        pytest.param("efficientnet_b0", 851, id="EfficientNet-B0"),
        pytest.param("convnext_tiny", 1688, id="ConvNeXt-T"),
        # 379 as torchvision builds it, with a 3x3 in the third branch and a last pool of 2x2:
        # the paper's 5x5 adds 2 pixels at strides 8 (twice), 16 (five times) and 32 (twice), and
        # its pool of 3x3 one at stride 16.
        pytest.param("googlenet", 379 + 2 * (2 * 8 + 5 * 16 + 2 * 32) + 16, id="GoogLeNet"),
    ],
)
def test_what_the_last_map_sees(name: str, receptive_field: int) -> None:
    """Of the map that is averaged in the end, as torchvision's networks of these names have it."""
    graph = read(f"{name}.onnxtxt")
    seen = resolution(graph)
    (pool,) = [
        layer
        for layer in graph.layers
        if isinstance(layer, GlobalPool) and layer is graph.layers[-1]
    ]
    for axis in seen.before(pool):
        assert isinstance(axis, Field)
        assert (int(axis.stride), axis.receptive_field) == (32, receptive_field)
    assert all(isinstance(axis, Whole) for axis in seen.after(pool))


def test_a_generator_counts_from_its_vector() -> None:
    """DCGAN: 16 times as many pixels as there are elements in the map the vector is."""
    found = last_window(read("dcgan_generator.onnxtxt"))
    assert (found.stride, found.period) == (Fraction(1, 16), 16)


def test_sound() -> None:
    """HiFi-GAN: 256 samples for each frame, and a pattern of that period may be in them."""
    found = last_window(read("hifigan_generator.onnxtxt"))
    assert (found.stride, found.period) == (Fraction(1, 256), 256)


def test_the_u_nets_meet_in_step_or_not() -> None:
    """ConvTranspose k2 s2 keeps the centre; k3 s2 p1 with output_padding 1 is half a pixel off."""
    assert resolution(read("unet_deconv.onnxtxt")).disagreements == ()
    assert resolution(read("unet_resize.onnxtxt")).disagreements == ()
    first = resolution(read("unet3d.onnxtxt")).disagreements[0]
    apart = [each.centre for each in first.fields if each.centre is not None]
    assert abs(apart[0] - apart[1]) == first.fields[0].stride / 2
