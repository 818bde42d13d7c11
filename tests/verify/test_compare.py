"""The figures against plain formulas, and a comparer that bites."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onnxstride.verify import OutputFigures
from onnxstride.verify.compare import Comparison, Demand, largest_finite, percentile
from onnxstride.verify.tolerance import EQUAL, ExactGate, Gate, Tolerance

Array = NDArray[Any]
NAN, INF = math.nan, math.inf


def compared(
    *pairs: tuple[Any, Any],
    tolerance: Tolerance = EQUAL,
    demand: Demand | None = None,
    dtype: Any = np.float32,
) -> OutputFigures:
    """The figures of an output over pairs of values, one pair a feed."""
    comparison = Comparison("y", demand)
    for number, (before, after) in enumerate(pairs):
        arrays = np.asarray(before, dtype), np.asarray(after, dtype)
        comparison.add(*arrays, feed=f"feed {number}", tolerance=tolerance)
    return comparison.figures()


def reasons(before: Any, after: Any, tolerance: Tolerance = EQUAL) -> list[str]:
    comparison = Comparison("y")
    comparison.add(np.asarray(before), np.asarray(after), feed="a feed", tolerance=tolerance)
    return comparison.reasons()


class TestFigures:
    @settings(max_examples=60, deadline=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        feeds=st.integers(1, 4),
        size=st.sampled_from([1, 2, 7, 100, 101, 70_000]),
        noise=st.sampled_from([0.0, 1e-6, 0.1, 10.0]),
        rtol=st.sampled_from([0.0, 1e-3]),
    )
    def test_they_are_what_the_formulas_say(
        self, seed: int, feeds: int, size: int, noise: float, rtol: float
    ) -> None:
        """Whatever the number of feeds, and of pieces a feed is looked at in."""
        random = np.random.default_rng(seed)
        before = random.standard_normal((feeds, size)).astype(np.float32)
        after = (before + noise * random.standard_normal((feeds, size))).astype(np.float32)
        pairs = list(zip(before, after, strict=True))
        found = compared(*pairs, tolerance=Tolerance(rtol=rtol, atol=1e9))
        x, y = before.astype(np.float64), after.astype(np.float64)
        d = np.abs(y - x)
        expected = {
            "compared": d.size,
            "max_abs": d.max(),
            "mean_abs": d.mean(),
            "max_rel": (d / np.abs(x)).max(),
            "p99_abs": max(np.quantile(row, 0.99, method="higher") for row in d),
            "required_atol": max(0.0, (d - rtol * np.abs(x)).max()),
            "cosine": (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()),
        }
        if d.any():
            expected["snr_db"] = 10 * np.log10((x * x).sum() / (d * d).sum())
            if np.ptp(x):
                expected["psnr_db"] = 10 * np.log10(np.ptp(x) ** 2 / np.square(d).mean())
            assert found.worst is not None
            feed, place = np.unravel_index(d.argmax(), d.shape)
            assert found.worst.feed == f"feed {feed}"
            assert found.worst.index == (int(place),)
            assert found.worst.before == before[feed, place]
            assert found.worst.after == after[feed, place]
        else:
            assert found.worst is None
            assert found.snr_db == INF
            assert found.psnr_db == INF
        for name, value in expected.items():
            assert getattr(found, name) == pytest.approx(value, rel=1e-9, abs=1e-12), name
        assert found.matches

    def test_several_feeds_are_one_result(self) -> None:
        """Sums are over all, maxima over all, and shapes are those of the worst."""
        found = compared(([1.0, 2.0], [1.0, 2.0]), ([3.0], [5.0]), ([1.0], [0.0]))
        assert (found.max_abs, found.mean_abs, found.compared) == (2.0, 0.75, 4)
        assert found.shape_before == (1,)
        assert found.worst is not None
        assert found.worst.feed == "feed 1"

    @pytest.mark.parametrize(
        ("before", "after", "agreement"),
        [
            pytest.param([[1, 2, 3]], [[0, 9, 10]], 1.0, id="the same class"),
            pytest.param([[1, 2], [2, 1]], [[1, 2], [1, 2]], 0.5, id="one of two"),
            pytest.param([[1], [2]], [[2], [1]], None, id="one class is none"),
            pytest.param([1, 2], [2, 1], None, id="one axis"),
        ],
    )
    def test_top1(self, before: Any, after: Any, agreement: float | None) -> None:
        """Counted where the output looks like logits."""
        assert compared((before, after)).top1_agreement == agreement
        assert compared((before, after), dtype=np.int64).top1_agreement is None

    def test_cosine_of_zeros(self) -> None:
        """Two zeros point the same way; zero and something do not."""
        assert compared(([0.0, 0.0], [0.0, 0.0])).cosine == 1.0
        assert compared(([0.0, 0.0], [0.0, 1.0])).cosine == 0.0
        assert compared(([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])).cosine == 1.0
        assert compared(([0.0, 0.0], [0.0, 1.0])).snr_db == -INF

    def test_the_peak_is_the_range(self) -> None:
        """Of finite values before, over all feeds; a constant has none."""
        found = compared(([100.0, 102.0], [100.0, 101.0]), ([96.0, INF], [96.0, INF]))
        assert found.psnr_db == pytest.approx(10 * np.log10(36 / (1 / 3)))
        assert compared(([5.0, 5.0], [5.0, 6.0])).psnr_db == -INF
        assert compared(([5.0, 6.0], [5.0, NAN])).psnr_db == -INF

    def test_the_percentile_is_an_element(self) -> None:
        """Rounded up, and of what is not NaN."""
        assert percentile(np.arange(101.0)) == 99.0
        assert percentile(np.arange(100.0)) == 99.0
        assert percentile(np.array([1.0, NAN])) == 1.0
        assert percentile(np.array([NAN])) == 0.0

    @pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64], ids=str)
    def test_other_floats(self, dtype: Any) -> None:
        """Differences are taken in float64."""
        found = compared(([1.0, 0.5], [1.5, 0.5]), dtype=dtype)
        assert found.max_abs == 0.5
        assert found.dtype == np.dtype(dtype).name


class TestBites:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            pytest.param([1.0], [1.1], id="another value"),
            pytest.param([1.0], [NAN], id="NaN after"),
            pytest.param([NAN], [1.0], id="NaN before"),
            pytest.param([NAN, 1.0], [1.0, NAN], id="NaN elsewhere"),
            pytest.param([INF], [1.0], id="infinite before"),
            pytest.param([1.0], [INF], id="infinite after"),
            pytest.param([INF], [-INF], id="opposite infinities"),
            pytest.param([INF], [NAN], id="NaN for infinity"),
        ],
    )
    def test_different_floats(self, before: Any, after: Any) -> None:
        """Nothing of the kind is within a sensible tolerance."""
        found = compared((before, after), tolerance=Tolerance(rtol=0.01, atol=0.01))
        assert not found
        assert found.max_abs > 0.05
        for pairs in ([([1.0], [1.0]), (before, after)], [(before, after), ([1.0], [1.0])]):
            assert not compared(*pairs, tolerance=Tolerance(rtol=0.01, atol=0.01))

    @pytest.mark.parametrize("value", [NAN, INF, -INF])
    def test_no_tolerance_covers_infinity(self, value: float) -> None:
        """Nor does any signal to noise ratio, nor having no demand at all."""
        for demand in (Demand(), Demand(tolerance=False), Demand(False, min_snr=-1000.0)):
            found = compared(
                ([1.0, 1.0], [1.0, value]), tolerance=Tolerance(atol=1e300), demand=demand
            )
            assert not found

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            pytest.param([1.0], [1.0], id="equal"),
            pytest.param([0.0], [-0.0], id="zeros of either sign"),
            pytest.param([INF, -INF, 1.0], [INF, -INF, 1.0], id="equal infinities"),
            pytest.param([NAN, 1.0], [NAN, 1.0], id="NaN in both"),
        ],
    )
    def test_equal_floats(self, before: Any, after: Any) -> None:
        """They match at no tolerance at all."""
        found = compared((before, after))
        assert found
        assert found.max_abs == 0
        assert found.snr_db == INF

    def test_nothing_compared_does_not_match(self) -> None:
        """Neither nothing at all, nor NaN alone, nor an empty array."""
        assert not compared()
        assert not compared(([NAN], [NAN]))
        assert not compared(([], []))

    def test_integers(self) -> None:
        """They are told apart where float64 cannot, and at any size."""
        big = 2**62
        assert compared(([big], [big]), dtype=np.int64)
        assert not compared(([big], [big + 1]), dtype=np.int64)
        assert compared(([big], [big + 1]), dtype=np.int64).max_abs >= 1
        assert not compared(([0], [255]), dtype=np.uint8)
        assert compared(([0], [255]), dtype=np.uint8).max_abs == 255

    def test_booleans_and_strings(self) -> None:
        """A difference counts as 1."""
        assert not compared(([True], [False]), dtype=np.bool_)
        assert compared((["a", "b"], ["a", "b"]), dtype=object)
        found = compared((["a", "b"], ["a", "c"]), dtype=object)
        assert not found
        assert found.dtype == "string"
        assert found.worst is not None
        assert (found.worst.before, found.worst.after) == ("b", "c")

    def test_shapes_and_types(self) -> None:
        """What cannot be compared is told once, and later feeds do not heal it."""
        assert reasons([1.0], [[1.0]]) == [
            "output 'y' has shape 1 before and 1x1 after, with a feed"
        ]
        assert reasons([1.0], np.array([1.0], np.float32)) == [
            "output 'y' is float64 before and float32 after"
        ]
        comparison = Comparison("y")
        for after in ([[1.0]], [1.0], [[[1.0]]]):
            arrays = np.array([1.0]), np.array(after)
            comparison.add(*arrays, feed="a feed", tolerance=EQUAL)
        assert len(comparison.reasons()) == 1
        assert not comparison.figures()
        assert comparison.figures().shape_after == (1, 1)

    @pytest.mark.parametrize("share", [0.9, 1.1])
    def test_the_tolerance_is_where_it_says(self, share: float) -> None:
        """A little less passes, a little more does not; the reason names both figures."""
        tolerance = Tolerance(rtol=0.1, atol=0.5)
        after = [2.0 + share * (0.5 + 0.1 * 2.0)]
        found = compared(([2.0], after), tolerance=tolerance)
        assert bool(found) is (share < 1)
        if share > 1:
            assert (
                "an atol of 0.57 would be needed, 0.5 is allowed"
                in reasons([2.0], after, tolerance)[0]
            )

    @pytest.mark.parametrize(("least", "passes"), [(19.9, True), (20.1, False)])
    def test_the_signal_to_noise_ratio(self, least: float, passes: bool) -> None:
        """10 percent off is 20 dB, whatever the tolerance."""
        demand = Demand(tolerance=False, min_snr=least)
        assert bool(compared(([10.0], [9.0]), demand=demand)) is passes


class TestTolerances:
    def test_an_edit_of_a_permille_shows(self) -> None:
        """By default, in every type that has that precision."""
        for dtype in ("float32", "float64"):
            gate = Gate().tolerance(dtype)
            assert not compared(([1.0, 0.5], [1.001, 0.5]), tolerance=gate, dtype=dtype)
        for dtype in ("float16", "float32", "float64"):
            gate = Gate().tolerance(dtype)
            assert not compared(([1.0, 0.5], [1.05, 0.5]), tolerance=gate, dtype=dtype)

    def test_rounding_does_not(self) -> None:
        """Neither of the largest elements nor of those near zero beside them."""
        gate = Gate().tolerance("float32")
        assert compared(([1000.0, 1e-4], [1000.001, 2e-3]), tolerance=gate)
        assert compared(([6e-6, 6e-8], [6e-6, 2e-7]), tolerance=gate)

    def test_small_outputs_are_still_compared(self) -> None:
        """However small an output is, another one is not it."""
        gate = Gate().tolerance("float32")
        assert not compared(([1e-9, 1e-9], [1e-9, 2e-9]), tolerance=gate)
        assert not compared(([0.0, 0.0], [0.0, 1e-9]), tolerance=gate)

    def test_the_coarsest_type_decides(self) -> None:
        """Results of a float16 network stored as float32 are no better for it."""
        assert Gate(coarsest="float16").tolerance("float32").rtol == 1e-2
        assert Gate(coarsest="float16").tolerance("float64").rtol == 1e-2
        assert Gate(coarsest="float64").tolerance("float32") == Gate().tolerance("float32")

    def test_what_is_given_counts(self) -> None:
        """Each on its own; the other stays what it is by type."""
        assert Gate(rtol=0.5).tolerance("float32").rtol == 0.5
        assert Gate(rtol=0.5).tolerance("float32").scale > 0
        assert Gate(atol=0.5).tolerance("float32").absolute(1e9) == 0.5
        assert Gate(atol=0.5).tolerance("float32").rtol == 1e-4
        assert Gate(rtol=0.5).tolerance("int64") == EQUAL
        assert Gate(atol=2.0).tolerance("int64") == Tolerance(atol=2.0)

    def test_exact_rewrites(self) -> None:
        """No terms: bit exact. Otherwise in proportion to terms, precision and magnitude."""
        assert ExactGate(0).tolerance("float32") == EQUAL
        assert ExactGate(9).tolerance("uint8") == EQUAL
        one = ExactGate(1, largest=1.0).tolerance("float32").absolute(0.0)
        assert one == 4 * 2.0**-23
        assert ExactGate(9, largest=2.0).tolerance("float32").absolute(0.0) == 18 * one
        assert ExactGate(1, "float16", 1.0).tolerance("float32").absolute(0.0) == 2**13 * one
        assert ExactGate(1, largest=1.0).tolerance("float32").absolute(1.0) == 2 * one

    def test_largest_finite(self) -> None:
        """Of floats, over several arrays."""
        arrays = [np.array([1.0, -3.0, INF, NAN]), np.array([100]), np.array([])]
        assert largest_finite(arrays) == 3.0
        assert largest_finite([]) == 0.0
