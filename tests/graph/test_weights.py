"""The sample of a layer's weights: what ``weights`` gives, as few numbers where it can be."""

import numpy as np
import pytest

from onnxstride.geometry.few import MOST, Few
from onnxstride.graph import Graph
from onnxstride.graph.layers import Conv, ConvTranspose
from onnxstride.graph.weights import weights, weights_sample

from .building import graph_of, model, node

# Channels of a weight of 3x3: few numbers, many, and rows that are far too long.
SHAPES = {"few": (6, 4, 3, 3), "many": (64, 64, 3, 3), "long rows": (2, 8192, 3, 3)}


def layer_with(op_type: str, shape: tuple[int, ...]) -> tuple[Graph, Conv | ConvTranspose]:
    inputs = shape[0 if op_type == "ConvTranspose" else 1]
    proto = model(
        node(op_type, "x w", "y", strides=[2, 2]),
        inputs={"x": [1, inputs, 9, 9]},
        weights={"w": list(shape)},
    )
    values = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    proto.graph.initializer[0].ClearField("float_data")
    proto.graph.initializer[0].raw_data = values.tobytes()
    graph = graph_of(proto)
    [layer] = graph.layers
    assert isinstance(layer, Conv | ConvTranspose)
    return graph, layer


@pytest.mark.parametrize("at_most", [MOST, 8 * MOST])
@pytest.mark.parametrize("of_first", ["rows", "inputs"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("op_type", ["Conv", "ConvTranspose"])
def test_a_sample_is_of_the_weights(
    op_type: str, shape: tuple[int, ...], of_first: str, at_most: int
) -> None:
    """The same numbers, and the same share of all, however they are held."""
    graph, layer = layer_with(op_type, shape)
    sample = weights_sample(graph, layer, at_most, of_first=of_first)
    whole = weights(graph, layer, at_most, of_first=of_first)
    assert not isinstance(sample, str)
    assert not isinstance(whole, str)
    values = sample.values.array() if isinstance(sample.values, Few) else sample.values
    np.testing.assert_array_equal(values, whole.values)
    assert sample.share == pytest.approx(whole.share, rel=1e-12)


def test_few_weights_and_first_rows_take_no_array() -> None:
    """But rows that are far longer than asked for do."""
    for name, is_few in (("few", True), ("many", True), ("long rows", False)):
        graph, layer = layer_with("Conv", SHAPES[name])
        sample = weights_sample(graph, layer, MOST, of_first="rows")
        assert not isinstance(sample, str)
        assert isinstance(sample.values, Few) == is_few
