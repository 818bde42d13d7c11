"""Models are gone through for what inference gets wrong only where they may hold it."""

import onnx
import pytest

from onnxstride.graph import read_graph
from onnxstride.graph.disagreements import forget_stopped, may_disagree, reconcile
from onnxstride.modelfile import ModelFile

_POOL = "y = MaxPool <kernel_shape = [2], strides = [2], ceil_mode = {ceil_mode}, pads = [0,1]> (x)"
_DECONV = "y = ConvTranspose <strides = [2], output_padding = [1]{auto_pad}> (x, w)"

CONCERNED = {
    "a window that begins behind the map": _POOL.format(ceil_mode=1),
    "a ceil_mode that is neither 0 nor 1": _POOL.format(ceil_mode=2),
    "output_padding under SAME": _DECONV.format(auto_pad=', auto_pad = "SAME_UPPER"'),
}
UNCONCERNED = {
    "a pool that rounds down": "y = MaxPool <kernel_shape = [2], strides = [2]> (x)",
    "output_padding with stated pads": _DECONV.format(auto_pad=""),
    "SAME without output_padding": 'y = MaxPool <kernel_shape = [2], auto_pad = "SAME_UPPER"> (x)',
}


def _model(node: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> net (float[1,1,9] x, float[1,1,2] w) '
        f"=> (float[1,1,n] y) {{ {node} }}"
    )


@pytest.mark.parametrize("node", CONCERNED.values(), ids=CONCERNED.keys())
def test_what_is_to_be_edited_is_gone_through(node: str) -> None:
    """Of each case that inference gets wrong, the bytes say that it may be there; and it is."""
    model = _model(node)
    before = model.SerializeToString()
    reconcile(model)
    assert may_disagree(before)
    assert model.SerializeToString() != before


@pytest.mark.parametrize("node", UNCONCERNED.values(), ids=UNCONCERNED.keys())
def test_what_is_passed_over_would_not_be_edited(node: str) -> None:
    """Of a model that is not gone through, not a byte would change."""
    model = _model(node)
    before = model.SerializeToString()
    reconcile(model)
    assert not may_disagree(before)
    assert model.SerializeToString() == before


def _cropping(output_shape: str) -> onnx.ModelProto:
    """A transposed convolution to the size given, of a map of 9 elements, and a pool behind it."""
    return _model(
        f"u = ConvTranspose <output_shape = {output_shape}> (x, w) "
        "y = MaxPool <kernel_shape = [2], strides = [2]> (u)"
    )


@pytest.mark.parametrize(("output_shape", "is_cut"), [("[6]", True), ("[9]", False)])
def test_shapes_that_inference_cuts_short_are_forgotten(output_shape: str, is_cut: bool) -> None:
    """An output smaller than the input has all its dimensions, none of which is stated."""
    model = _cropping(output_shape)
    inferred = onnx.shape_inference.infer_shapes(model)
    assert forget_stopped(model, inferred) == is_cut
    again = onnx.shape_inference.infer_shapes(model)
    [shape] = [value.type.tensor_type.shape for value in again.graph.value_info]
    assert [dim.dim_value for dim in shape.dim] == ([0, 0, 0] if is_cut else [1, 1, 9])
    assert not forget_stopped(model, again)


def test_what_follows_a_cropping_layer_is_read() -> None:
    """No rank is stated that contradicts the pool."""
    graph = read_graph(ModelFile.from_proto(_cropping("[6]")))
    assert graph.faults == ()
    assert [layer.ref.op_type for layer in graph.layers] == ["ConvTranspose", "MaxPool"]
