"""Faults planted in a model, each of which verification must see."""

import numpy as np
import pytest

from onnxstride.verify import Verdict
from tests.verify.building import CONV, Bench

FAULTS = {
    "shifted by a pixel": """
        net (float[N,2,H,W] x) => (float[N,2,H2,W2] y) <float[2,2,3,3] w> {
            y = Conv <kernel_shape = [3,3], pads = [2,1,0,1]> (x, w)
        }""",
    "doubled": """
        net (float[N,2,H,W] x) => (float[N,2,H2,W2] y) <float[2,2,3,3] w> {
            c = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w)
            y = Add (c, c)
        }""",
    "padded with the edge": """
        net (float[N,2,H,W] x) => (float[N,2,H2,W2] y)
        <float[2,2,3,3] w, int64[8] p = {0,0,1,1,0,0,1,1}> {
            e = Pad <mode = "edge"> (x, p)
            y = Conv <kernel_shape = [3,3]> (e, w)
        }""",
    "pads swapped": """
        net (float[N,2,H,W] x) => (float[N,2,H2,W2] y) <float[2,2,3,3] w> {
            y = Conv <kernel_shape = [3,3], pads = [1,0,1,2]> (x, w)
        }""",
    "slightly scaled": """
        net (float[N,2,H,W] x) => (float[N,2,H2,W2] y) <float[2,2,3,3] w, float s = {1.0005}> {
            c = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w)
            y = Mul (c, s)
        }""",
    "another type": """
        net (float[N,2,H,W] x) => (float16[N,2,H2,W2] y) <float[2,2,3,3] w> {
            c = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w)
            y = Cast <to = 10> (c)
        }""",
    "NaN where a value is large": """
        net (float[N,2,H,W] x) => (float[N,2,H2,W2] y)
        <float[2,2,3,3] w, float z = {0}, float l = {14}> {
            c = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w)
            nan = Div (z, z)
            is_large = Greater (c, l)
            y = Where (is_large, nan, c)
        }""",
    "infinite": """
        net (float[N,2,H,W] x) => (float[N,2,H2,W2] y) <float[2,2,3,3] w, float z = {0}> {
            c = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w)
            y = Div (c, z)
        }""",
    "one row short": """
        net (float[N,2,H,W] x) => (float[N,2,H2,W2] y) <float[2,2,3,3] w> {
            y = Conv <kernel_shape = [3,3], pads = [1,1,0,1]> (x, w)
        }""",
    "renamed": CONV.replace(" y)", " z)").replace("y =", "z ="),
    "input renamed": CONV.replace(" x)", " image)").replace("(x,", "(image,"),
    "empty": """
        net (float[N,2,H,W] x) => (float[A,B,C,D] y)
        <int64[1] none = {0}, int64[1] axis = {0}> { y = Slice (x, none, none, axis) }""",
}

POOL = """
net (float[1,2,H,W] x) => (float[1,2,H2,W2] y) {
    y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
}"""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_fails(bench: Bench, fault: str) -> None:
    """The verdict is fail, and says what is wrong."""
    verdict = bench.verify(CONV, FAULTS[fault])
    assert verdict.verdict is Verdict.FAIL
    assert not verdict
    assert verdict.reasons


def test_the_unchanged_model_passes(bench: Bench) -> None:
    """Without a fault there is nothing to see, and nothing to say."""
    verdict = bench.verify(CONV, CONV)
    assert verdict
    assert verdict.reasons == ()
    assert verdict.feeds > 0
    assert verdict.outputs[0].compared > 0
    assert verdict.outputs[0].snr_db == np.inf


def test_another_spelling_passes(bench: Bench) -> None:
    """Rounding in another order is no difference."""
    other = """
        net (float[N,2,H,W] x) => (float[N,2,H2,W2] y)
        <float[2,2,3,3] w, int64[8] p = {0,0,1,1,0,0,1,1}, float t = {3}> {
            e = Pad (x, p)
            s = Mul (e, t)
            c = Conv <kernel_shape = [3,3]> (s, w)
            y = Div (c, t)
        }"""
    verdict = bench.verify(CONV, other)
    assert verdict.verdict is Verdict.PASS
    assert verdict.outputs[0].max_abs > 0


def test_zeros_that_should_be_minus_infinity_are_seen(bench: Bench) -> None:
    """Padding a MaxPool with zeros shows where everything is negative."""
    right = """
        net (float[1,1,H,W] x) => (float[1,1,H2,W2] y) {
            y = MaxPool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (x)
        }"""
    wrong = """
        net (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <int64[8] p = {0,0,1,1,0,0,1,1}> {
            e = Pad (x, p)
            y = MaxPool <kernel_shape = [3,3], strides = [2,2]> (e)
        }"""
    verdict = bench.verify(right, wrong)
    assert verdict.verdict is Verdict.FAIL
    assert "-" in verdict.reasons[0]


class TestOutputs:
    TWO = """
        net (float[1,3] x) => (float[1,3] a, float[1,3] b) { a = Abs (x)  b = Neg (x) }"""

    def test_swapped_values(self, bench: Bench) -> None:
        """Each output is held against the one of its name."""
        swapped = """
            net (float[1,3] x) => (float[1,3] a, float[1,3] b) { b = Abs (x)  a = Neg (x) }"""
        verdict = bench.verify(self.TWO, swapped)
        assert [item.name for item in verdict.outputs if not item] == ["a", "b"]
        assert verdict.verdict is Verdict.FAIL

    def test_swapped_places(self, bench: Bench) -> None:
        """The same values under the same names, in another order, are another interface."""
        swapped = """
            net (float[1,3] x) => (float[1,3] b, float[1,3] a) { a = Abs (x)  b = Neg (x) }"""
        verdict = bench.verify(self.TWO, swapped)
        assert verdict.verdict is Verdict.FAIL
        assert verdict.reasons == ("the outputs come in another order: a, b before, b, a after",)

    def test_a_missing_one(self, bench: Bench) -> None:
        """What both have is compared, what one lacks is told."""
        less = "net (float[1,3] x) => (float[1,3] a) { a = Abs (x) }"
        verdict = bench.verify(self.TWO, less)
        assert verdict.verdict is Verdict.FAIL
        assert verdict.reasons == ("output 'b' is missing after",)
        assert [item.name for item in verdict.outputs] == ["a"]
        assert bench.verify(less, self.TWO).reasons == ("output 'b' is new after",)

    def test_all_renamed(self, bench: Bench) -> None:
        """By name that fails, with a hint; by position it passes."""
        other = "net (float[1,3] z) => (float[1,3] c, float[1,3] d) { c = Abs (z)  d = Neg (z) }"
        verdict = bench.verify(self.TWO, other)
        assert verdict.verdict is Verdict.FAIL
        assert "--by-position" in " ".join(verdict.reasons)
        assert bench.verify(self.TWO, other, by_position=True).verdict is Verdict.PASS

    def test_by_position_bites(self, bench: Bench) -> None:
        """By position, swapped outputs differ whatever they are called."""
        other = "net (float[1,3] z) => (float[1,3] d, float[1,3] c) { c = Abs (z)  d = Neg (z) }"
        assert bench.verify(self.TWO, other, by_position=True).verdict is Verdict.FAIL
        less = "net (float[1,3] z) => (float[1,3] c) { c = Abs (z) }"
        verdict = bench.verify(self.TWO, less, by_position=True)
        assert verdict.reasons == ("the model before has 2 outputs, the model after 1",)

    def test_integers_must_be_equal(self, bench: Bench) -> None:
        """One off is off, unless an absolute tolerance says otherwise."""
        before = "net (int64[1,3] x) => (int64[1,3] y) { y = Identity (x) }"
        after = "net (int64[1,3] x) => (int64[1,3] y) <int64 c = {1}> { y = Add (x, c) }"
        assert bench.verify(before, after).verdict is Verdict.FAIL
        assert bench.verify(before, after, rtol=0.5).verdict is Verdict.FAIL
        assert bench.verify(before, after, min_snr=-100.0).verdict is Verdict.FAIL
        assert bench.verify(before, after, atol=1.0).verdict is Verdict.PASS

    def test_booleans_must_be_equal(self, bench: Bench) -> None:
        """A flipped boolean is a difference."""
        before = "net (float[9] x, float[9] z) => (bool[9] y) { y = Less (x, z) }"
        after = "net (float[9] x, float[9] z) => (bool[9] y) { y = Greater (x, z) }"
        assert bench.verify(before, after).verdict is Verdict.FAIL
        assert bench.verify(before, before).verdict is Verdict.PASS

    def test_sequences_are_compared_one_by_one(self, bench: Bench) -> None:
        """The second tensor of a sequence counts as the first does."""
        text = """
            net (float[1,3] x) => (seq(float[1,3]) y) {{
                a = Abs (x)  b = {0} (x)
                y = SequenceConstruct (a, b)
            }}"""
        assert bench.verify(text.format("Neg"), text.format("Neg")).verdict is Verdict.PASS
        assert bench.verify(text.format("Neg"), text.format("Abs")).verdict is Verdict.FAIL
        longer = text.format("Neg").replace("(a, b)", "(a, b, b)")
        verdict = bench.verify(text.format("Neg"), longer)
        assert "2 and 3 tensors" in verdict.reasons[0]


class TestNothingCompared:
    """Never a pass with nothing compared."""

    def test_empty_outputs(self, bench: Bench) -> None:
        """Two models that return nothing have not been compared."""
        verdict = bench.verify(FAULTS["empty"], FAULTS["empty"])
        assert verdict.verdict is Verdict.NOT_CHECKED
        assert "has not been compared" in verdict.reasons[0]

    def test_nan_in_both(self, bench: Bench) -> None:
        """NaN says nothing about NaN."""
        text = """
            net (float[1,3] x) => (float[1,3] y) <float z = {0}> {
                n = Div (z, z)
                y = Add (x, n)
            }"""
        verdict = bench.verify(text, text)
        assert verdict.verdict is Verdict.NOT_CHECKED

    def test_no_size_is_accepted(self, bench: Bench) -> None:
        """A model that refuses every size is not checked, and the last refusal is told."""
        text = """
            net (float[1,1,H,W] x) => (float[1,7777] y) <int64[2] s = {1, 7777}> {
                y = Reshape (x, s)
            }"""
        verdict = bench.verify(text, text)
        assert verdict.verdict is Verdict.NOT_CHECKED
        assert "no feed was accepted" in verdict.reasons[0]
        assert "--input-shape" in verdict.reasons[0]
        assert len(verdict.passed_over) > 10

    def test_no_outputs(self, bench: Bench) -> None:
        """A model without outputs gives nothing to compare."""
        text = "net (float[1,3] x) => () { y = Abs (x) }"
        assert bench.verify(text, text).verdict is Verdict.NOT_CHECKED
        full = "net (float[1,3] x) => (float[1,3] y) { y = Abs (x) }"
        assert bench.verify(full, text).verdict is Verdict.FAIL

    def test_inputs_that_cannot_be_made_up(self, bench: Bench) -> None:
        """Strings and sequences are not checked, with the reason."""
        text = "net (string[3] x) => (string[3] y) { y = Identity (x) }"
        verdict = bench.verify(text, text)
        assert verdict.verdict is Verdict.NOT_CHECKED
        assert "input 'x': no values can be made up for type string" in verdict.reasons[0]
        text = "net (seq(float[3]) x) => (int64 y) { y = SequenceLength (x) }"
        assert "a sequence" in bench.verify(text, text).reasons[0]


class TestSizes:
    def test_a_size_that_only_one_accepts(self, bench: Bench) -> None:
        """A model that lost a size differs, though all others agree."""
        only_large = """
            net (float[1,2,H,W] x) => (float[1,2,H2,W2] y)
            <int64[8] minus = {0,0,-2,-2,0,0,-2,-2}, int64[8] plus = {0,0,2,2,0,0,2,2}> {
                small = Pad (x, minus)
                large = Pad (small, plus)
                z = Sub (large, large)
                same = Add (x, z)
                y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (same)
            }"""
        verdict = bench.verify(POOL, only_large)
        assert verdict.verdict is Verdict.FAIL
        assert "refuses" in verdict.reasons[0]

    def test_sizes_that_both_refuse_are_counted(self, bench: Bench) -> None:
        """A model for multiples of 4 is checked at those; the others are listed."""
        text = """
            net (float[1,2,H,W] x) => (float[1,2,H2,W2] y) <float[2,2,4,4] w> {
                p = MaxPool <kernel_shape = [4,4], strides = [4,4]> (x)
                u = ConvTranspose <kernel_shape = [4,4], strides = [4,4]> (p, w)
                y = Add (x, u)
            }"""
        verdict = bench.verify(text, text)
        assert verdict.verdict is Verdict.PASS
        assert "H=33, W=47" in verdict.passed_over
        assert "H=64, W=48" not in verdict.passed_over
        assert "H=4, W=4" not in verdict.passed_over

    def test_only_an_odd_size_shows_it(self, bench: Bench) -> None:
        """ceil_mode changes nothing at even sizes."""
        ceil = POOL.replace("kernel_shape", "ceil_mode = 1, kernel_shape")
        assert bench.verify(POOL, ceil, sizes=(16, 32)).verdict is Verdict.PASS
        assert bench.verify(POOL, ceil).verdict is Verdict.FAIL

    def test_only_a_batch_of_two_shows_it(self, bench: Bench) -> None:
        """A batch folded into the channels shows when there are two images."""
        before = "net (float[N,3] x) => (float[N,3] y) { y = Identity (x) }"
        after = """
            net (float[N,3] x) => (float[N,3] y) <int64[1] first = {0}, int64[1] axis = {0}> {
                r = ReduceSum <keepdims = 1> (x, axis)
                z = Sub (x, x)
                y = Add (r, z)
            }"""
        verdict = bench.verify(before, after)
        assert verdict.verdict is Verdict.FAIL
        assert verdict.outputs[0].worst is not None
        assert "N=2" in verdict.outputs[0].worst.feed
