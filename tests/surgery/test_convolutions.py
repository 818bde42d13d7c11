"""What is known of a convolution before it is rewritten, and why it is left alone."""

import numpy as np
import pytest

from onnxstride.geometry import Axis
from onnxstride.graph.layers import Conv, ConvTranspose
from onnxstride.rewrite import Refusal
from onnxstride.surgery import (
    Weights,
    dense_axes,
    feeding,
    fixed_weights,
    stated_axes,
    terms,
    too_many,
)

from .sites import model_of, site_of


def deconv(inputs: str, weights: str, before: str = "", *, attributes: str = "") -> str:
    """A model of one ConvTranspose, ``up``."""
    return f"""
        net ({inputs}) => (float[1,4,P,Q] y) <{weights}> {{
            {before}
            [up] y = ConvTranspose <strides = [2,2] {attributes}> (x, w, b)
        }}"""


X = "float[1,8,5,6] x"
KEPT = deconv(X, "float[8,4,3,3] w, float[4] b")
LOST = "dequantised when the model runs, and would lose the integers they are stored in"
LEFT = {
    "a bias that is an input": (
        deconv(f"{X}, float[4] b", "float[8,4,3,3] w"),
        "its bias is computed when the model runs, or missing from the file",
    ),
    "weights that follow from the data": (
        deconv(X, "float[8,4,3,3] v, float[4] b", "s = ReduceSum (x)\n w = Mul (s, v)"),
        "its weights are computed when the model runs, or missing from the file",
    ),
    "integers behind a copy": (
        deconv(
            X,
            "int8[8,4,3,3] q, float s = {0.5}, float[4] b",
            "v = DequantizeLinear (q, s)\n w = Identity (v)",
        ),
        f"its weights are {LOST}",
    ),
    "an integer bias": (
        deconv(
            X,
            "float[8,4,3,3] w, int32[4] q, float s = {0.5}",
            "b = DequantizeLinear (q, s)",
        ),
        f"its bias is {LOST}",
    ),
    "more channels than the input has": (
        deconv(X, "float[9,4,3,3] w, float[4] b"),
        "its weights read 9 channels, and its input has 8",
    ),
    "groups that do not divide": (
        deconv(X, "float[8,4,3,3] w, float[4] b", attributes=", group = 3"),
        "weights of shape [8, 4, 3, 3] do not fall into 3 groups",
    ),
    "a bias for other channels": (
        deconv(X, "float[8,4,3,3] w, float[5] b"),
        "a bias of shape [5] does not fit 4 output channels",
    ),
    "a kernel of any length, out of a few bytes": (
        deconv(
            X,
            "int64[4] shape = {8,4,1,1000000000}, float[4] b",
            "w = ConstantOfShape (shape)",
        ),
        "weights of shape [8, 4, 1, 1000000000] are too many to rewrite",
    ),
    "a type without a convolution": (
        deconv("double[1,8,5,6] x", "double[8,4,3,3] w, double[4] b").replace(
            "float[1,4", "double[1,4"
        ),
        "the element type is float64: only float32 and float16 can be rewritten",
    ),
}


@pytest.mark.parametrize(("text", "reason"), LEFT.values(), ids=LEFT)
def test_weights_left_alone(text: str, reason: str) -> None:
    """Each for the reason that it is."""
    site = site_of(model_of(text), "up")
    assert isinstance(site.layer, ConvTranspose)
    assert fixed_weights(site, site.layer) == Refusal(reason)


def test_weights_in_the_file() -> None:
    """Constants behind copies count as well."""
    copied = KEPT.replace("8,4,3,3] w,", "8,4,3,3] v,").replace("[up]", "w = Identity (v)\n [up]")
    for text in (KEPT, copied):
        site = site_of(model_of(text), "up")
        assert isinstance(site.layer, ConvTranspose)
        found = fixed_weights(site, site.layer)
        assert isinstance(found, Weights)
        assert found.weight.shape == (8, 4, 3, 3)
        assert found.bias is not None
        assert found.bias.shape == (4,)
        assert terms(site.layer, found) == 8 * 2 * 2 + 1


def test_another_operator_is_left_alone() -> None:
    """A quantised convolution is a layer of the same kind, and computes otherwise."""
    text = """
        net (uint8[1,2,5,5] x) => (uint8[1,2,3,3] y)
        <float s, uint8 z, uint8[2,2,3,3] w> {
            [q] y = QLinearConv (x, s, z, w, s, z, s, z)
        }"""
    site = site_of(model_of(text), "q")
    assert isinstance(site.layer, Conv)
    found = fixed_weights(site, site.layer)
    assert isinstance(found, Refusal)
    assert found.reason == "QLinearConv computes in its own way: only Conv itself can be rewritten"


def test_weights_that_are_too_many() -> None:
    """They are counted, not built."""
    small = np.zeros((2, 3), np.float32)
    assert too_many(small, [2**9, 2**14]) is None
    refusal = too_many(small, [2**9, 2**14 + 1])
    assert refusal == Refusal("its weights would grow from 6 to 8,389,120 elements")


def test_large_weights_may_grow_further() -> None:
    """Sixteen times, up to 2^27 elements in all."""
    large = np.broadcast_to(np.float32(0), 2**20)
    assert too_many(large, [16, 2**20]) is None
    assert too_many(large, [17, 2**20]) is not None
    larger = np.broadcast_to(np.float32(0), 2**25)
    assert too_many(larger, [4, 2**25]) is None
    assert too_many(larger, [5, 2**25]) is not None


@pytest.mark.parametrize(
    ("attributes", "inputs", "expected"),
    [
        pytest.param("pads = [1,0,2,1]", X, [(1, 2), (0, 1)], id="stated"),
        pytest.param('auto_pad = "SAME_UPPER"', "float[1,8,H,W] x", [(0, 1)] * 2, id="SAME_UPPER"),
        pytest.param('auto_pad = "SAME_LOWER"', "float[1,8,H,W] x", [(1, 0)] * 2, id="SAME_LOWER"),
        pytest.param("output_shape = [9, 13]", X, [(1, 1), (0, 0)], id="a size"),
        pytest.param("output_shape = [12, 13]", X, [(0, -1), (0, 0)], id="a size beyond the taps"),
    ],
)
def test_stated_padding(attributes: str, inputs: str, expected: list[tuple[int, int]]) -> None:
    """Padding in the axes, whoever chose it; SAME needs no size for it."""
    text = deconv(inputs, "float[8,4,3,3] w, float[4] b", attributes=f", {attributes}")
    layer = site_of(model_of(text), "up").layer
    assert isinstance(layer, ConvTranspose)
    axes = stated_axes(layer)
    assert not isinstance(axes, Refusal)
    assert [(axis.begin, axis.end) for axis in axes] == expected


@pytest.mark.parametrize(("mode", "expected"), [("SAME_UPPER", (1, 2)), ("SAME_LOWER", (2, 1))])
def test_dense_padding(mode: str, expected: tuple[int, int]) -> None:
    """At stride 1 SAME pads by the kernel less one, whatever the size."""
    text = f"""
        net (float[1,2,L] x) => (float[1,2,M] y) <float[2,2,4] w> {{
            [c] y = Conv <auto_pad = "{mode}"> (x, w)
        }}"""
    layer = site_of(model_of(text), "c").layer
    assert isinstance(layer, Conv)
    assert dense_axes(layer) == (Axis(4).padded(*expected),)


FED = """
    net (float[1,8,5,6] x) => (float[1,4,P,Q] y, int64[4] n) <float[4] b> {
        s = Shape (x)
        n = Identity (s)
        one = Constant <value = float[1] {1}> ()
        k = Constant <value = int64[4] {8,4,3,3}> ()
        v = Expand (one, k)
        u = Add (v, v)
        w = Mul (u, v)
        [up] y = ConvTranspose <strides = [2,2]> (x, w, b)
    }"""


def test_what_feeds_a_layer_alone() -> None:
    """All that makes the weight, however branched, and nothing that serves others too."""
    site = site_of(model_of(FED), "up")
    found = feeding(site, ["w", "b", ""])
    assert {node.output(0) for node in found} == {"w", "u", "v", "k", "one"}
    assert feeding(site, ["w"], kept=["u"]) == tuple(n for n in found if n.output(0) == "w")
    assert feeding(site, ["s", "n"]) == ()


def test_what_a_body_is_fed_from_outside_stays() -> None:
    """A node of another scope cannot go with the site."""
    text = """
        net (float[1,8,5,6] x, bool yes) => (float[1,4,P,Q] y) <float[8,4,3,3] v> {
            w = Identity (v)
            y = If (yes) <
                then_branch = one () => (float[1,4,P,Q] a) {
                    [up] a = ConvTranspose <kernel_shape = [3,3]> (x, w)
                },
                else_branch = other () => (float[1,4,P,Q] b) {
                    b = ConvTranspose <kernel_shape = [3,3], strides = [2,2]> (x, v)
                }
            >
        }"""
    site = site_of(model_of(text), "up")
    assert site.scope.path != ()
    assert feeding(site, ["w"]) == ()
