"""The ripple of a layer's weights is measured once, and of heavy ones in part."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnxstride.geometry import Axis
from onnxstride.geometry.ripple import transposed_ripple
from onnxstride.graph import Graph, read_graph
from onnxstride.graph.layers import ConvTranspose
from onnxstride.graph.ripples import MEASURED_ELEMENTS, Measured, weights_ripple
from onnxstride.modelfile import ModelFile


def read(weight: NDArray[Any] | None, inputs: int = 8) -> tuple[Graph, ConvTranspose]:
    """A transposed convolution of kernel 4x4 and stride 2, and the graph it is in."""
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], kernel_shape=[4, 4])
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, inputs, 9, 9])]
    held = [] if weight is None else [numpy_helper.from_array(weight, "w")]
    if weight is None:
        given.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [inputs, 8, 4, 4]))
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    proto = helper.make_graph([node], "one", given, [made], held)
    opset = [helper.make_opsetid("", 17)]
    graph = read_graph(ModelFile.from_proto(helper.make_model(proto, opset_imports=opset)))
    [layer] = graph.layers
    assert isinstance(layer, ConvTranspose)
    return graph, layer


def measured(weight: NDArray[Any]) -> Measured:
    found = weights_ripple(*read(weight, len(weight)))
    assert isinstance(found, Measured)
    return found


def random(inputs: int, outputs: int) -> NDArray[np.float32]:
    return np.random.default_rng(5).standard_normal((inputs, outputs, 4, 4), np.float32)


def test_weights_up_to_the_limit_are_measured_whole() -> None:
    """The figure is that of all of them, to the last digit."""
    weight = random(128, 128)
    assert weight.size == MEASURED_ELEMENTS
    assert measured(weight) == (transposed_ripple(weight, [Axis(4, 2)] * 2), 1.0, False)


def test_of_heavier_ones_the_first_input_channels_are() -> None:
    """As many as make the limit; the figure of random weights is that of all, as it is shown."""
    weight = random(512, 256)
    found = measured(weight)
    assert found.share == 1 / 8
    assert found.ripple == transposed_ripple(weight[:64], [Axis(4, 2)] * 2)
    whole = transposed_ripple(weight, [Axis(4, 2)] * 2)
    assert found.ripple.total == pytest.approx(whole.total, abs=0.1)


def test_zeros_are_told_apart() -> None:
    """They have no ripple, and nothing else either."""
    assert measured(np.zeros((8, 8, 4, 4), np.float32)).are_zero


def test_no_weights_are_a_reason() -> None:
    """A weight that is an input of the model is not in the file."""
    assert weights_ripple(*read(None)) == "the weights are not fixed in the file"


def test_it_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks next is told what was found."""
    graph, layer = read(random(8, 8))
    first = weights_ripple(graph, layer)
    monkeypatch.delattr("onnxstride.graph.ripples.transposed_ripple")
    assert weights_ripple(graph, layer) is first
