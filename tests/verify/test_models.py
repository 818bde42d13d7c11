"""Whole networks: equal to themselves, and to nothing that was edited."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from onnxstride.verify import Verdict, VerifyOptions, verify
from onnxstride.verify.loading import tensors
from tests.verify.building import ROOT, Bench, model

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NET = """
net (float[N,3,H,W] x) => (float[N,4,H2,W2] y, float[N,5] logits)
<float[4,3,3,3] w1, float[4] b1, float[4,4,3,3] w2, float[5,4] w3, int64[2] s = {0,-1}> {
    c1 = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w1, b1)
    r1 = Relu (c1)
    p1 = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (r1)
    y = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (p1, w2)
    g = GlobalAveragePool (y)
    f = Reshape (g, s)
    logits = Gemm <transB = 1> (f, w3)
}"""
WEIGHTS = ("w1", "b1", "w2", "w3")


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet"])
def test_light_models_equal_themselves(bench: Bench, name: str) -> None:
    """They list initializers among their inputs, which need no feeds."""
    path = LIGHT / f"light_{name}.onnx"
    verdict = verify(path, path, runner=bench.runner)
    assert verdict.verdict is Verdict.PASS
    assert verdict.feeds == 3
    assert verdict.disagreements == ()


@pytest.mark.parametrize("name", ["lenet5", "fsrcnn", "unet_deconv"])
def test_models_as_text_equal_themselves(bench: Bench, name: str) -> None:
    """Their weights are made up once, the same for both."""
    path = ROOT / "models" / f"{name}.onnxtxt"
    assert verify(path, path, runner=bench.runner).verdict is Verdict.PASS


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    weight=st.sampled_from(WEIGHTS),
    place=st.integers(0, 10_000),
    share=st.sampled_from([0.02, -0.1, 1.0]),
)
def test_a_small_edit_of_any_weight_is_seen(
    bench: Bench, weight: str, place: int, share: float
) -> None:
    """One element, off by a share of the largest beside it."""
    before = onnx.load_from_string(model(NET))
    after = onnx.load_from_string(before.SerializeToString())
    tensor = next(item for item in tensors(after) if item.name == weight)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[place % values.size] += share * np.abs(values).max()
    tensor.CopyFrom(numpy_helper.from_array(values, weight))
    verdict = verify(
        before.SerializeToString(),
        after.SerializeToString(),
        VerifyOptions(sizes=(8,)),
        runner=bench.runner,
    )
    assert verdict.verdict is Verdict.FAIL


def test_a_reordered_sum_is_not_seen(bench: Bench) -> None:
    """Channels in another order give the same network, up to rounding."""
    before = onnx.load_from_string(model(NET))
    after = onnx.load_from_string(before.SerializeToString())
    order = [2, 0, 3, 1]
    for tensor in tensors(after):
        values = numpy_helper.to_array(tensor)
        if tensor.name in ("w1", "b1"):
            tensor.CopyFrom(numpy_helper.from_array(values[order].copy(), tensor.name))
        elif tensor.name == "w2":
            tensor.CopyFrom(numpy_helper.from_array(values[:, order].copy(), tensor.name))
    verdict = verify(before.SerializeToString(), after.SerializeToString(), runner=bench.runner)
    assert verdict.verdict is Verdict.PASS
    assert verdict.outputs[0].max_abs > 0
    assert verdict.outputs[1].top1_agreement == 1.0
