"""Models are gone through for what inference gets wrong only where they may hold it."""

import onnx
import pytest

from onnxstride.graph.disagreements import may_disagree, reconcile

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
