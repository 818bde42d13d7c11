"""What a model's geometry amounts to: the seeds every reader of networks knows, and the edges."""

import pickle
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import pytest

from onnxstride.engine.anatomy import Anatomy, anatomy
from onnxstride.graph import Bindings, read_graph
from onnxstride.modelfile import open_model, parse_text

MODELS = Path(__file__).parents[2] / "models"


def of_model(name: str, **sizes: int) -> Anatomy:
    with open_model(MODELS / f"{name}.onnxtxt") as model:
        return anatomy(read_graph(model, Bindings(dims=sizes)))


def whole(values: Iterable[Fraction | None]) -> tuple[int | None, ...]:
    """Numbers that are whole, as integers."""
    return tuple(None if value is None else int(value) for value in values)


def of_text(text: str) -> Anatomy:
    return anatomy(read_graph(parse_text(text)))


@pytest.mark.parametrize(
    ("name", "first_stride", "downsampling"),
    [
        ("lenet5", 1, "2 AveragePool 2x2 /2"),
        ("alexnet", 4, "Conv 11x11 /4 and 3 MaxPool 3x3 /2"),
        ("vgg16", 1, "5 MaxPool 2x2 /2"),
        ("googlenet", 2, "Conv 7x7 /2 and 4 MaxPool 3x3 /2"),
        ("resnet50_v1", 2, "Conv 7x7 /2, MaxPool 3x3 /2 and 6 Conv 1x1 /2"),
        ("resnet50_v1_5", 2, "Conv 7x7 /2, MaxPool 3x3 /2, 3 Conv 3x3 /2 and 3 Conv 1x1 /2"),
        ("densenet121", 2, "Conv 7x7 /2, MaxPool 3x3 /2 and 3 AveragePool 2x2 /2"),
        ("efficientnet_b0", 2, "3 Conv 3x3 /2 and 2 Conv 5x5 /2"),
        ("convnext_tiny", 4, "Conv 4x4 /4 and 3 Conv 2x2 /2"),
    ],
)
def test_well_known_networks_read_right(name: str, first_stride: int, downsampling: str) -> None:
    """The first layer's stride, and what the network goes down by."""
    summary = of_model(name).summary
    assert summary.first_layer is not None
    assert summary.first_layer.stride == (first_stride,) * 2
    assert summary.downsampling == downsampling
    assert summary.upsampling == "nothing"
    strides = [stage.total_stride for stage in summary.stages]
    assert strides == sorted(strides)
    assert whole(strides[-1]) == ((4, 4) if name == "lenet5" else (32, 32))


@pytest.mark.parametrize(
    ("size", "window", "expected"),
    [
        (7, "kernel_shape = [3], strides = [1]", 5),
        (7, "kernel_shape = [3], strides = [2]", 3),
        (7, "kernel_shape = [3], dilations = [2]", 3),
        (224, "kernel_shape = [7], strides = [2], pads = [3,3]", 112),
        (8, "kernel_shape = [3], strides = [3]", 2),
    ],
)
def test_textbook_output_sizes(size: int, window: str, expected: int) -> None:
    """O = floor((W + 2P - D(K-1) - 1)/S) + 1 on the examples everybody has done by hand."""
    kernel = int(window.partition("[")[2].partition("]")[0])
    [layer] = of_text(
        f"net (float[1,1,{size}] x) => (float[1,1,{expected}] y) <float[1,1,{kernel}] w> "
        f"{{ y = Conv <{window}> (x, w) }}"
    ).layers
    assert layer.output_size == (expected,)
    assert layer.dilation is not None
    assert layer.receptive_field == (1 + (kernel - 1) * layer.dilation[0],)


def test_a_decoder_goes_back_through_the_strides() -> None:
    """Down by pools, up by transposed convolutions, and the sizes that fit."""
    found = of_model("unet_deconv")
    strides = [stage.total_stride[0] for stage in found.summary.stages]
    assert strides == [2, 4, 8, 16, 8, 4, 2, 1]
    assert found.summary.upsampling == "4 ConvTranspose 2x2 x2"
    assert {size.rule for size in found.admissible_sizes} == {"H % 16 == 0", "W % 16 == 0"}


def test_figures_of_one_layer() -> None:
    """The stem of ResNet-50 as everybody quotes it."""
    stem = of_model("resnet50_v1_5").layers[0]
    assert (stem.op_type, stem.kernel, stem.stride) == ("Conv", (7, 7), (2, 2))
    assert stem.pads == ((3, 3), (3, 3))
    assert (stem.input_size, stem.output_size) == ((224, 224), (112, 112))
    assert whole(stem.total_stride) == (2, 2)
    assert stem.receptive_field == stem.min_receptive_field == (7, 7)
    assert whole(stem.centre_offset) == (0, 0)
    assert stem.parameters == 8 * 3 * 7 * 7 + 8
    assert stem.multiply_adds == 8 * 3 * 7 * 7 * 112 * 112


def test_sizes_that_are_given_count() -> None:
    """Bound symbols give a size to every layer behind them."""
    layers = of_model("unet_deconv", H=64, W=32).layers
    assert layers[-1].output_size == (64, 32)
    assert None not in {layer.multiply_adds for layer in layers}
    assert of_model("unet_deconv").summary.multiply_adds is None


def test_a_layer_that_skips_data_says_how_much() -> None:
    """A 1x1 window of stride 2 reads a quarter."""
    shares = {
        layer.unread_share for layer in of_model("resnet50_v1").layers if layer.kernel == (1, 1)
    }
    assert shares == {0.0, 0.75}


def test_what_is_not_known_is_none() -> None:
    """A Resize to a size computed at run time, and what lies behind it."""
    found = of_text(
        """net (float[1,1,H,W] x, int64[4] s) => (float[1,1,P,Q] y) <float[1,1,3,3] w> {
            r = Resize <mode = "nearest"> (x, , , s)
            y = Conv <kernel_shape = [3,3]> (r, w)
        }"""
    )
    resize, conv = found.layers
    assert resize.kernel is None
    assert resize.factor == (None, None)
    assert conv.total_stride == conv.receptive_field == (None, None)
    assert found.summary.unresolved == "Resize ?"


def test_shuffles_and_transposed_windows_enlarge() -> None:
    """Fractions say how far one element is from the next."""
    found = of_text(
        """net (float[1,4,8,8] x) => (float[1,1,32,32] y) <float[1,1,2,2] w> {
            s = DepthToSpace <blocksize = 2> (x)
            y = ConvTranspose <kernel_shape = [2,2], strides = [2,2]> (s, w)
        }"""
    )
    assert [layer.total_stride[0] for layer in found.layers] == [Fraction(1, 2), Fraction(1, 4)]
    assert [layer.output_size for layer in found.layers] == [(16, 16), (32, 32)]
    assert found.summary.upsampling == "DepthToSpace x2 and ConvTranspose 2x2 x2"


def test_values_travel() -> None:
    """Nothing of the graph is held: an anatomy can be sent to another process."""
    found = of_model("unet3d")
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own bytes
