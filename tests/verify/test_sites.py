"""The rewrite of one node, verified on its own."""

from dataclasses import replace
from typing import Any

import pytest

from onnxstride.rule import NodeRef, Safety
from onnxstride.verify import (
    OutputFigures,
    SiteCase,
    SiteVerdict,
    Verdict,
    VerifyOptions,
    verify,
    verify_site,
)
from tests.verify.building import Bench, model

POOL = """
net (float[N,2,H,W] x) => (float[N,2,H2,W2] y) {
    y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
}"""
SLICES = """
net (float[N,2,H,W] x) => (float[N,2,H2,W2] y)
<int64[2] axes = {2,3}, int64[2] two = {2,2}, int64[2] all = {9999,9999},
 int64[2] s00 = {0,0}, int64[2] s01 = {0,1}> {
    m = MaxPool <kernel_shape = [2,2]> (x)
    y = Slice (m, s00, all, axes, two)
}"""
AVERAGE = POOL.replace("MaxPool", "AveragePool")
ROUNDED = """
net (float[N,2,H,W] x) => (float[N,2,H2,W2] y) <float c = {3}> {
    t = Mul (x, c)
    m = MaxPool <kernel_shape = [2,2], strides = [2,2]> (t)
    y = Div (m, c)
}"""
NODE = NodeRef("pool", "MaxPool", "", (), ("y",))


def site(
    bench: Bench,
    before: str,
    after: str,
    safety: Safety = Safety.EXACT,
    accumulation: int = 0,
    **options: Any,
) -> SiteVerdict:
    case = SiteCase(model(before), model(after), NODE, "some-rewrite", safety, accumulation)
    return verify_site(case, VerifyOptions(**options), runner=bench.runner)


def test_a_bit_exact_rewrite(bench: Bench) -> None:
    """Another spelling of the same selection changes not a bit."""
    verdict = site(bench, POOL, SLICES)
    assert verdict.verdict is Verdict.PASS
    assert verdict.max_abs == 0
    assert verdict.cases >= 12
    assert (verdict.node, verdict.rewrite) == (NODE, "some-rewrite")


@pytest.mark.parametrize(("accumulation", "expected"), [(0, Verdict.FAIL), (1, Verdict.PASS)])
def test_rounding_must_be_announced(bench: Bench, accumulation: int, expected: Verdict) -> None:
    """Bit exact is bit exact; with a term to add, an ulp is within tolerance."""
    verdict = site(bench, POOL, ROUNDED, accumulation=accumulation)
    assert verdict.verdict is expected
    assert verdict.max_abs > 0


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(AVERAGE, id="another function"),
        pytest.param(SLICES.replace("s00, all", "s01, all"), id="shifted by a pixel"),
        pytest.param(POOL.replace("kernel_shape", "ceil_mode=1, kernel_shape"), id="another size"),
        pytest.param(POOL.replace("strides = [2,2]", "strides = [2,2], pads=[1,1,0,0]"), id="pads"),
        pytest.param(POOL.replace("[N,2,H,W] x", "[N,2,16,12] x"), id="fewer sizes"),
    ],
)
def test_a_fault_fails_an_exact_rewrite(bench: Bench, after: str) -> None:
    """Whatever number of terms it claims to add."""
    verdict = site(bench, POOL, after, accumulation=64)
    assert verdict.verdict is Verdict.FAIL
    assert verdict.reasons


@pytest.mark.parametrize("safety", [Safety.APPROXIMATE, Safety.TRAINING])
def test_others_are_measured(bench: Bench, safety: Safety) -> None:
    """Their figures are reported; a least signal to noise ratio may be asked for."""
    verdict = site(bench, POOL, AVERAGE, safety)
    assert verdict.verdict is Verdict.PASS
    assert verdict.max_abs > 0.1
    assert -10 < verdict.snr_db < 30
    assert site(bench, POOL, AVERAGE, safety, min_snr=40.0).verdict is Verdict.FAIL


@pytest.mark.parametrize("safety", Safety)
def test_what_moves_is_measured_on_scenes(bench: Bench, safety: Safety) -> None:
    """Noise shows every fault of an exact rewrite, and says nothing of what another costs."""
    (figures,) = site(bench, POOL, AVERAGE, safety).outputs
    assert figures.worst is not None
    assert figures.worst.feed.endswith("scene") is (safety is not Safety.EXACT)


def test_scenes_on_demand(bench: Bench) -> None:
    """Of whole models too, in the range that is given; three for each size."""
    outputs: list[OutputFigures] = []
    for high in (1, 255):
        options = VerifyOptions(scenes={"x": (0, high)}, atol=1e9)
        verdict = verify(model(POOL), model(AVERAGE), options, runner=bench.runner)
        assert verdict.verdict is Verdict.PASS
        assert verdict.feeds == 9
        outputs += verdict.outputs
    assert outputs[1].max_abs == pytest.approx(255 * outputs[0].max_abs, rel=1e-3)
    assert outputs[1].psnr_db == pytest.approx(outputs[0].psnr_db, abs=1e-2)


@pytest.mark.parametrize("safety", [Safety.APPROXIMATE, Safety.TRAINING])
def test_others_keep_the_interface(bench: Bench, safety: Safety) -> None:
    """Another size or NaN fails, whatever the safety."""
    other_size = AVERAGE.replace("kernel_shape", "ceil_mode = 1, kernel_shape")
    assert site(bench, POOL, other_size, safety).verdict is Verdict.FAIL
    with_nan = (
        POOL.replace("{\n", "<float z = {0}> {\n n = Div (z, z)\n", 1)
        .replace("y = MaxPool", "p = MaxPool")
        .replace("(x)\n}", "(x)\n y = Add (p, n)\n}")
    )
    assert site(bench, POOL, with_nan, safety).verdict is Verdict.FAIL


CUT = """
net (float[N,2,H,W] x) => (float[N,2,H2,W2] y) <float z = {0}> {
    c = Max (x, z)
    y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (c)
}"""


def test_inputs_that_are_never_negative(bench: Bench) -> None:
    """A rewrite that is exact for those is held to nothing else."""
    case = SiteCase(model(POOL), model(CUT), NODE, "some-rewrite", Safety.EXACT)
    assert verify_site(case, runner=bench.runner).verdict is Verdict.FAIL
    case = replace(case, non_negative=("x",))
    assert verify_site(case, runner=bench.runner).verdict is Verdict.PASS


def test_the_smallest_size_is_tried(bench: Bench) -> None:
    """That and none below it: a fault at 5x4 shows only if 5x4 is asked for."""
    after = """
        net (float[N,2,H,W] x) => (float[N,2,H2,W2] y) <int64[4] s = {1,2,5,4}> {
            d = Shape (x)
            e = Equal (d, s)
            i = Cast <to = 1> (e)
            a = ReduceMin <keepdims = 0> (i)
            p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            y = Add (p, a)
        }"""
    case = SiteCase(model(POOL), model(after), NODE, "some-rewrite", Safety.EXACT)
    assert verify_site(case, runner=bench.runner).verdict is Verdict.PASS
    case = replace(case, smallest=(5, 4))
    verdict = verify_site(case, runner=bench.runner)
    assert verdict.verdict is Verdict.FAIL
    assert "H=5, W=4" in verdict.reasons[0]


def test_a_site_that_cannot_be_run(bench: Bench) -> None:
    """Is not checked."""
    unknown = POOL.replace("MaxPool", "Nonesuch")
    verdict = site(bench, unknown, unknown)
    assert verdict.verdict is Verdict.NOT_CHECKED
    assert verdict.cases == 0
    assert site(bench, POOL, unknown).verdict is Verdict.FAIL
