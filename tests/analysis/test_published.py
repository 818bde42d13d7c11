"""Receptive fields that others have published, from models built after their tables."""

import onnx
import pytest

from tests.analysis import architectures as built
from tests.analysis.asking import field, figures


@pytest.mark.parametrize(
    ("network", "receptive_field", "stride", "padding"),
    [
        pytest.param(built.alexnet_v2(), 195, 32, 64, id="alexnet_v2"),
        pytest.param(built.vgg_16(), 212, 32, 90, id="vgg_16"),
        pytest.param(built.mobilenet_v1(), 315, 32, 126, id="mobilenet_v1"),
        pytest.param(built.resnet_v1((3, 4, 6, 3)), 483, 32, 239, id="resnet_v1_50"),
        pytest.param(built.resnet_v1((3, 4, 23, 3)), 1027, 32, 511, id="resnet_v1_101"),
        pytest.param(built.resnet_v1((3, 8, 36, 3)), 1507, 32, 751, id="resnet_v1_152"),
        pytest.param(built.resnet_v1((3, 24, 36, 3)), 1763, 32, 879, id="resnet_v1_200"),
        pytest.param(built.inception_v3(), 1311, 32, 618, id="inception_v3"),
    ],
)
def test_the_table_of_araujo_is_reproduced(
    network: onnx.ModelProto, receptive_field: int, stride: int, padding: int
) -> None:
    """Receptive field, effective stride and effective padding of Distill 2019, digit for digit."""
    found = field(network)
    table: tuple[object, ...] = (receptive_field, stride, padding)
    assert (found.receptive_field, found.stride, found.padding) == table


def test_same_padding_of_an_unknown_size_leaves_the_place_open() -> None:
    """Without the size SAME could begin at 0 or at 1: stride and extent stay, the centre goes."""
    network = built.resnet_v1((3, 4, 6, 3))
    for dim, symbol in zip(
        network.graph.input[0].type.tensor_type.shape.dim[2:], "HW", strict=True
    ):
        dim.dim_param = symbol
    found = field(network)
    assert figures(found)[:2] == (32, 483)
    assert found.centre is None
    assert found.padding is None
    assert "SAME padding" in found.adrift[0]


@pytest.mark.parametrize(
    ("network", "receptive_field", "narrow"),
    [
        pytest.param(built.resnet_18(), 435, 139, id="resnet18"),
        pytest.param(built.resnet_50(), 427, 75, id="resnet50"),
        pytest.param(built.mobilenet_v2(), 491, 163, id="mobilenet_v2"),
    ],
)
def test_networks_of_torchvision(
    network: onnx.ModelProto, receptive_field: int, narrow: int
) -> None:
    """Of the last Conv, along all paths and along the narrowest.

    ResNet-50 sees less than the table above says: its strides stand in the first unit of a
    stage, not in the last. Padded evenly, an element lies in the middle of what it sees.
    """
    assert figures(field(network)) == (32, receptive_field, narrow, 0)


def test_dilation_in_place_of_stride_sees_as_much() -> None:
    """DeepLab v3: 427 as ResNet-50 but at stride 8, 36 x 8 more to each side, and a 3x3 Conv."""
    found = field(built.deeplab_v3())
    assert figures(found) == (8, 427 + 2 * 36 * 8 + 2 * 8, 11 + 2 * 8, 0)
