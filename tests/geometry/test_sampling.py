"""Resampling along one axis, against what ONNX Runtime's Resize does with impulses."""

from fractions import Fraction
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnxstride.geometry.resampling import ROUNDINGS, Resampling
from onnxstride.geometry.sampling import (
    folding_gains,
    has_ties,
    repetitions,
    scale_of,
    shifts,
    taps,
)

_onnxruntime: Any = import_module("onnxruntime")

SIZE = 24
SCALES = [Fraction(n) for n in ("2", "3", "4", "3/2", "5/2", "1/2", "1/3", "1/4", "2/3", "3/4")]
COORDINATES = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]
ROUNDS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def responses(cases: list[Resampling], size: int = SIZE) -> list[NDArray[np.float32]]:
    """Rows (output, input) of ONNX Runtime's Resize, without optimisation."""
    nodes, weights, values = [], [], []
    for index, case in enumerate(cases):
        attributes = {"nearest_mode": case.nearest_mode} if case.mode == "nearest" else {}
        nodes.append(
            helper.make_node(
                "Resize", ["x", "", "", f"sizes{index}"], [f"y{index}"], mode=case.mode,
                coordinate_transformation_mode=case.coordinates, **attributes,
            )
        )  # fmt: skip
        outputs = int(size * case.ratio)
        sizes = np.array([size, 1, 1, outputs], np.int64)
        weights.append(numpy_helper.from_array(sizes, f"sizes{index}"))
        values.append(helper.make_tensor_value_info(f"y{index}", 1, [size, 1, 1, outputs]))
    image = helper.make_tensor_value_info("x", 1, [size, 1, 1, size])
    graph = helper.make_graph(nodes, "g", [image], values, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=8)
    onnx.checker.check_model(model)
    options = _onnxruntime.SessionOptions()
    options.graph_optimization_level = _onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = _onnxruntime.InferenceSession(model.SerializeToString(), options)
    impulses = np.eye(size, dtype=np.float32).reshape(size, 1, 1, size)
    return [output[:, 0, 0, :].T for output in session.run(None, {"x": impulses})]


def predicted(case: Resampling, size: int = SIZE) -> NDArray[np.float64]:
    """The same rows from ``taps``; an element outside the image is its first or last."""
    rows = np.zeros((int(size * case.ratio), size))
    for output, row in enumerate(rows):
        for index, weight in taps(case, output):
            row[min(max(index, 0), size - 1)] += weight
    return rows


def sampled(scale: Fraction, mode: str, coordinates: str, rounding: str) -> Resampling:
    sizes = (SIZE, int(SIZE * scale))
    return Resampling(scale, coordinates, mode, rounding, False, *sizes)


def whole_periods(rows: NDArray[Any], case: Resampling) -> NDArray[Any]:
    """Outputs away from the border, as many as make whole periods."""
    period, begin = case.ratio.numerator, len(rows) // 4
    return rows[begin : begin + len(rows) // 2 // period * period]


class TestAgainstRuntime:
    def test_nearest(self) -> None:
        """Every output copies the element that the coordinate rounds to, ties left aside."""
        cases = [
            sampled(scale, "nearest", *how)
            for scale in SCALES
            for how in product(COORDINATES, ROUNDS)
            if not has_ties(sampled(scale, "nearest", *how)) and how[0] != "align_corners"
        ]
        assert len(cases) > 60
        for case, found in zip(cases, responses(cases), strict=True):
            assert np.array_equal(found, predicted(case)), case

    @pytest.mark.parametrize(("mode", "atol"), [("linear", 1e-5), ("cubic", 1e-5)])
    def test_interpolation(self, mode: str, atol: float) -> None:
        """Weights are those of the triangle and of the cubic, away from the border.

        ONNX Runtime computes coordinates in float32, hence 1e-5 on weights up to 1.
        """
        cases = [sampled(s, mode, c, "floor") for s, c in product(SCALES, COORDINATES)]
        for case, found in zip(cases, responses(cases), strict=True):
            rows = slice(0, None) if mode == "linear" else slice(len(found) // 4, -len(found) // 4)
            assert np.allclose(found[rows], predicted(case)[rows], atol=atol, rtol=0), case

    @pytest.mark.parametrize("plant", ["asymmetric", "align_corners"])
    def test_a_wrong_coordinate_is_noticed(self, plant: str) -> None:
        """The comparison tells the modes apart."""
        case = sampled(Fraction(3, 2), "linear", "half_pixel", "floor")
        wrong = sampled(Fraction(3, 2), "linear", plant, "floor")
        assert not np.allclose(responses([case])[0], predicted(wrong), atol=1e-5)

    def test_gains_are_those_of_waves(self) -> None:
        """A cosine and a sine at a folding frequency come out with the gain that is claimed."""
        cases = [
            sampled(scale, mode, coordinates, "floor")
            for scale in SCALES
            for mode in ("nearest", "linear")
            for coordinates in ("half_pixel", "asymmetric")
            if scale.denominator > 1
        ]
        for case, rows in zip(cases, responses(cases), strict=True):
            begin = len(rows) // 4
            inner = rows[
                begin : begin + len(rows) // 2 // case.ratio.numerator * case.ratio.numerator
            ]
            p = case.ratio.denominator
            found = [
                np.sqrt(np.mean(np.abs(inner @ np.exp(2j * np.pi * m / p * np.arange(SIZE))) ** 2))
                for m in range(1, p // 2 + 1)
            ]
            gains = folding_gains(case)
            assert gains is not None
            assert np.allclose(found[: len(gains)], gains, atol=1e-5), case

    def test_shifts_are_those_of_a_ramp(self) -> None:
        """On the image v(i) = i, an output exceeds its true place by the shift."""
        for mode, scale in product(("linear", "nearest"), SCALES):
            case = Resampling(scale, "asymmetric", mode, "floor")
            [rows] = responses([case])
            outputs = np.arange(len(rows))
            off = rows @ np.arange(SIZE) - ((outputs + 0.5) / float(scale) - 0.5)
            inner = whole_periods(off, case)
            claimed = shifts(case)
            assert claimed is not None
            assert np.mean(inner) == pytest.approx(float(claimed[0]), abs=1e-4), case


class TestClosedForms:
    """Figures that follow by hand."""

    @pytest.mark.parametrize(
        ("scale", "mode", "coordinates", "expected"),
        [
            ("1/2", "linear", "half_pixel", (0.0,)),  # the mean of two
            ("1/2", "linear", "asymmetric", (1.0,)),  # every second element as it is
            ("1/2", "nearest", "asymmetric", (1.0,)),
            ("1/3", "linear", "half_pixel", (1.0,)),  # stands on the middle one of three
            ("1/4", "linear", "half_pixel", (2**-0.5, 0.0)),  # two of four
            ("2", "linear", "half_pixel", ()),
        ],
    )
    def test_folding(
        self, scale: str, mode: str, coordinates: str, expected: tuple[float, ...]
    ) -> None:
        gains = folding_gains(Resampling(Fraction(scale), coordinates, mode))
        assert gains == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize(
        ("scale", "coordinates", "rounding", "expected"),
        [
            ("2", "asymmetric", "floor", (2,)),
            ("3", "asymmetric", "floor", (3,)),
            ("3/2", "asymmetric", "floor", (2, 1)),
            ("5/2", "asymmetric", "floor", (3, 2)),
            ("2", "half_pixel", "round_prefer_floor", (2,)),
        ],
    )
    def test_repetitions(
        self, scale: str, coordinates: str, rounding: str, expected: tuple[int, ...]
    ) -> None:
        case = Resampling(Fraction(scale), coordinates, "nearest", rounding)
        assert repetitions(case) == expected

    def test_exact_repetition_moves_nothing(self) -> None:
        """The default of exporters, asymmetric and floor, is in place for every whole factor."""
        for factor in range(2, 9):
            case = Resampling(Fraction(factor), "asymmetric", "nearest", "floor")
            assert shifts(case) == (Fraction(0), Fraction(0))

    def test_rounding_that_prefers_the_floor_shifts(self) -> None:
        """Asymmetric with round_prefer_floor moves a threefold image by a third of an element."""
        case = Resampling(Fraction(3), "asymmetric", "nearest", "round_prefer_floor")
        assert shifts(case) == (Fraction(1, 3), Fraction(1, 3))

    def test_asymmetric_interpolation_shifts_by_half_an_output(self) -> None:
        """(1 - 1 / f) / 2 input elements: 1/4 at a factor of 2."""
        assert shifts(Resampling(Fraction(2), "asymmetric", "linear")) == (Fraction(1, 4),) * 2

    def test_align_corners_pulls_the_ends_apart(self) -> None:
        """With sizes exactly so, without them in the limit of a large image."""
        known = Resampling(Fraction(2), "align_corners", "linear", size=8, output_size=16)
        assert shifts(known) == (Fraction(-1, 4), Fraction(1, 4))
        assert shifts(Resampling(Fraction(2), "align_corners", "linear")) == shifts(known)

    def test_what_is_not_known(self) -> None:
        """A region of interest, corners without sizes, and scales of a very long period."""
        assert shifts(Resampling(Fraction(2), "tf_crop_and_resize", "linear")) is None
        assert folding_gains(Resampling(Fraction(1, 2), "align_corners", "linear")) is None
        assert repetitions(Resampling(Fraction(9999, 8), "asymmetric", "nearest")) is None

    def test_ties(self) -> None:
        """Halving by half_pixel reads between two elements; thirds do not."""
        assert has_ties(Resampling(Fraction(1, 2), "half_pixel", "nearest"))
        assert not has_ties(Resampling(Fraction(1, 3), "half_pixel", "nearest"))
        assert not has_ties(Resampling(Fraction(1, 2), "half_pixel", "nearest", "floor"))

    def test_rounding(self) -> None:
        """Of 2.5 and of 2.6."""
        assert [ROUNDINGS[how](Fraction(5, 2)) for how in ROUNDS] == [2, 3, 2, 3]
        assert [ROUNDINGS[how](Fraction(13, 5)) for how in ROUNDS] == [3, 3, 2, 3]

    def test_scales_as_float32_holds_them(self) -> None:
        assert scale_of(float(np.float32(1 / 3))) == Fraction(1, 3)
