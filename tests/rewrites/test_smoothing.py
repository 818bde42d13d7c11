"""Filters on image outputs, and weights with equal gains, against what they promise."""

from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from onnxstride.engine.changes import Rewritten
from onnxstride.fitting import equalised
from onnxstride.geometry import Axis, empty_phases
from onnxstride.geometry.ripple import phase_gains, ripple_db
from onnxstride.modelfile import parse_text

from .deconvs import Deconv, deconv_of, deconvs
from .pools import law
from .running import Array, rewritten, run, signal, whole

SMOOTH, EQUALISE = "smooth-output", "deconv-equalise"


def model_of(text: str) -> onnx.ModelProto:
    return whole(parse_text(text))


DECODER = """
    decoder (float[N,3,H,W] x) => (float[N,{channels},P,Q] y)
    <float[3,4,{k1},{k1}] w1, float[4,{channels},{k2},{k2}] w2, float[{channels}] b,
     float[{channels},{channels},3,3] w3> {{
        [up1] d = ConvTranspose <strides = [{s1},{s1}]> (x, w1)
        r = Relu (d)
        [up2] e = ConvTranspose <strides = [{s2},{s2}]> (r, w2, b)
        [last] c = Conv <pads = [1,1,1,1]> (e, w3)
        [image] y = Tanh (c)
    }}"""


def decoder(s1: int = 2, s2: int = 2, channels: int = 3) -> onnx.ModelProto:
    """Two upsamplings of any stride, a convolution, and what bounds the image."""
    text = DECODER.format(s1=s1, s2=s2, k1=s1 + 1, k2=s2 + 2, channels=channels)
    return model_of(text)


def patterns(model: onnx.ModelProto, period: int) -> Array:
    """What repeats in the answers to constant images, inside: (image, channel, phase ..)."""
    colours = np.array([*product((0.0, 1.0), repeat=3)], np.float32)
    flat = np.broadcast_to(colours[:, :, None, None], (len(colours), 3, 20, 20)).copy()
    answer = run(model, {"x": flat})[0].astype(np.float64)
    margin = 4 * period
    count = (answer.shape[2] - 2 * margin) // period
    inside = answer[:, :, margin : margin + count * period, margin : margin + count * period]
    folded = inside.reshape(*inside.shape[:2], count, period, count, period).mean(axis=(2, 4))
    deviation: Array = folded - folded.mean(axis=(2, 3), keepdims=True)
    return deviation


class TestSmoothing:
    """The filter behind the image."""

    @pytest.mark.parametrize(("s1", "s2"), [(2, 2), (2, 3), (3, 2), (3, 3), (1, 4), (4, 1)])
    def test_a_box_leaves_no_pattern(self, s1: int, s2: int) -> None:
        """Whatever repeats with the period of all upsamplings is gone, to rounding."""
        before = decoder(s1, s2)
        after = whole(rewritten(before, SMOOTH, smooth="box").model)
        assert np.abs(patterns(before, s1 * s2)).max() > 1e-2
        assert np.abs(patterns(after, s1 * s2)).max() < 2e-6

    def test_a_box_of_another_period_leaves_some(self) -> None:
        """The period of the last upsampling alone is not enough."""
        before = decoder(3, 2)
        result = whole(rewritten(before, SMOOTH, smooth="binomial").model)
        assert np.abs(patterns(result, 6)).max() > 1e-3

    def test_a_binomial_halves_the_pattern(self) -> None:
        """Of two upsamplings by 2, and more."""
        before = decoder()
        after = whole(rewritten(before, SMOOTH).model)
        energies = [float(np.square(patterns(model, 4)).mean()) for model in (before, after)]
        assert energies[1] < energies[0] / 4

    @pytest.mark.parametrize("smooth", ["binomial", "box"])
    @pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 3), (7, 8)])
    def test_the_border_is_continued(self, size: tuple[int, int], smooth: str) -> None:
        """A constant stays what it is to the last row; sizes are what they were."""
        before = model_of("""
            net (float[N,1,H,W] x) => (float[N,1,P,Q] y) <float[1,1,2,2] w = {1.0,1.0,1.0,1.0}> {
                y = ConvTranspose <strides = [2,2]> (x, w)
            }""")
        after = whole(rewritten(before, SMOOTH, smooth=smooth).model)
        x = np.full((2, 1, *size), 3, np.float32)
        (expected,), (found,) = run(before, {"x": x}), run(after, {"x": x})
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        x = signal((1, 1, *size))
        (expected,), (found,) = run(before, {"x": x}), run(after, {"x": x})
        assert found.shape == expected.shape
        taps = {"binomial": [1, 2, 1], "box": [1, 2, 1]}[smooth]  # a box of 2 with a box of 2
        np.testing.assert_allclose(found[0, 0], _smoothed(expected[0, 0], taps), atol=1e-5)

    def test_it_stands_behind_everything(self) -> None:
        """What made the image keeps its name, and the image is the filter's."""
        before = decoder()
        result = rewritten(before, SMOOTH)
        nodes = list(result.model.proto.graph.node)
        assert [node.op_type for node in nodes[-3:]] == ["Tanh", "Pad", "Conv"]
        assert nodes[-3].name == "image"
        assert nodes[-3].output[0] == nodes[-2].input[0] == "up2/unsmoothed"
        assert list(nodes[-1].output) == ["y"]
        assert nodes[: len(before.graph.node) - 1] == list(before.graph.node[:-1])

    def test_figures(self) -> None:
        """Name the taps along each axis: a box of the period and one of the stride."""
        taps = {
            ("binomial", 2, 2): 3, ("box", 2, 2): 5, ("box", 3, 2): 7, ("box", 2, 3): 9,
        }  # fmt: skip
        for (smooth, s1, s2), count in taps.items():
            (change,) = rewritten(decoder(s1, s2), SMOOTH, smooth=smooth).changes
            assert change.figures["taps"] == [count, count]

    def test_a_second_time_it_is_refused(self) -> None:
        """Each filter is put once; the other one may follow."""
        once = rewritten(decoder(), SMOOTH).model
        assert reasons(rewritten(once, SMOOTH)) == {
            "up1": "'up2' enlarges after it", "up2": "its output is smoothed already"
        }  # fmt: skip
        assert len(rewritten(once, SMOOTH, smooth="box").changes) == 1

    def test_half_precision(self) -> None:
        """Its weights are of the image's type."""
        text = DECODER.format(s1=2, s2=2, k1=3, k2=4, channels=1).replace("float[", "float16[")
        result = rewritten(model_of(text), SMOOTH)
        (weight,) = [t for t in result.model.proto.graph.initializer if t.name == "up2/weight"]
        assert weight.data_type == onnx.TensorProto.FLOAT16

    @pytest.mark.parametrize(
        ("tail", "reason"),
        [
            ("y = Cast <to = 2> (d)", "the element type is uint8"),
            ("y = Shape (d)", "the element type is int64"),
            ("y = Flatten (d)", "its output has fewer than two axes behind the channels"),
            ("y, z = Split <num_outputs = 2> (d)", "it leads to several outputs"),
        ],
    )
    def test_what_is_no_image(self, tail: str, reason: str) -> None:
        """Is left alone, with the reason."""
        kind = "uint8" if "Cast" in tail else "int64" if "Shape" in tail else "float"
        outputs = "float y, float z" if "z" in tail else f"{kind} y"
        result = rewritten(
            model_of(f"""
            net (float[2,1,4,4] x) => ({outputs}) <float[1,1,2,2] w> {{
                [up] d = ConvTranspose <strides = [2,2]> (x, w)
                {tail}
            }}"""),
            SMOOTH,
        )
        assert reasons(result)["up"].startswith(reason)

    def test_what_leads_nowhere(self) -> None:
        """An upsampling whose result nobody hands out has no image to smooth."""
        result = rewritten(
            model_of("""
            net (float[2,1,4,4] x) => (float[2,1,4,4] y) <float[1,1,2,2] w> {
                [up] d = ConvTranspose <strides = [2,2]> (x, w)
                y = Relu (x)
            }"""),
            SMOOTH,
        )
        assert reasons(result) == {"up": "it leads to no output"}

    def test_a_period_that_is_not_known(self) -> None:
        """Stops the box; 1 2 1 needs none."""
        text = """
            net (float[1,1,4,4] x, int64[1,4] i, float[1] u) => (float[1,1,8,8] y)
            <float[1,1,2,2] w> {
                [up] d = ConvTranspose <strides = [2,2]> (x, w)
                y = ScatterND (d, i, u)
            }"""
        known = rewritten(model_of(text), SMOOTH)
        assert len(known.changes) == 1
        result = rewritten(model_of(text), SMOOTH, smooth="box")
        assert reasons(result)["up"].startswith("the period with which its output repeats")


def reasons(result: Rewritten) -> dict[str, str]:
    return {each.node.name: each.reason for each in result.declined}


def _smoothed(image: Array, taps: list[int]) -> Array:
    """The image filtered along both axes, its edges repeated."""
    kernel = np.multiply.outer(taps, taps) / np.sum(taps) ** 2
    edged = np.pad(image.astype(np.float64), 1, mode="edge")
    found = np.zeros(image.shape)
    for row, column in product(range(3), repeat=2):
        part = edged[row : row + image.shape[0], column : column + image.shape[1]]
        found += kernel[row, column] * part
    return found


class TestEqualising:
    """Weights whose phases have equal gains."""

    @law
    @given(case=deconvs())
    def test_gains_are_equal_and_their_sum_is_kept(self, case: Deconv) -> None:
        """Whatever the window; where a phase has no tap there is nothing to even."""
        before = deconv_of(case)
        result = rewritten(before, EQUALISE)
        old = _weight(before, "w")
        if not result.changes:
            (reason,) = reasons(result).values()
            assert reason in (
                "it enlarges nothing",
                "some phases have no tap to be made even by",
                "the gains of its phases are equal already",
            )
            is_empty = any(map(empty_phases, case.axes))
            assert reason != "some phases have no tap to be made even by" or is_empty
            return
        new = _weight(whole(result.model), "up/weight")
        assert new.dtype == old.dtype
        unit = 8 * float(np.finfo(old.dtype).eps) * float(np.abs(old).max()) * old[0, 0].size
        gains = phase_gains(new, case.axes)
        assert np.abs(gains - gains.mean(axis=0)).max() <= unit
        assert np.abs(gains.sum(axis=0) - phase_gains(old, case.axes).sum(axis=0)).max() <= unit

    @pytest.mark.parametrize("axes", [[Axis(5, 2)], [Axis(3, 2), Axis(4, 3)]], ids=str)
    def test_the_change_is_the_smallest(self, axes: list[Axis]) -> None:
        """Of all that make the gains equal and keep their sum: the normal equations hold."""
        weight = signal((1, 1, *(axis.kernel for axis in axes)), np.float64)
        found = (equalised(weight, axes) - weight).ravel()
        gains = np.stack(
            [phase_gains(tap.reshape(weight.shape), axes)[:, 0, 0] for tap in np.eye(weight.size)],
            axis=1,
        )
        wanted = phase_gains(weight, axes)[:, 0, 0]
        expected, *_ = np.linalg.lstsq(gains, wanted.mean() - wanted, rcond=None)
        np.testing.assert_allclose(found, expected, atol=1e-12)

    def test_a_constant_is_answered_with_a_constant(self) -> None:
        """Away from the border; before, it was not. The figures tell what it was, and warn."""
        case = Deconv((Axis(3, 2),) * 2, (0, 0), (9, 9), (True, True))
        before = deconv_of(case)
        result = rewritten(before, EQUALISE)
        x = {"x": np.ones((1, 2, 9, 9), np.float32)}
        inside: Any = (0, slice(None), slice(4, -4), slice(4, -4))
        for model, is_flat in ((before, False), (whole(result.model), True)):
            answer = run(model, x)[0][inside]
            assert bool(np.ptp(answer, axis=(1, 2)).max() < 1e-4) is is_flat
        figures = result.changes[0].figures
        assert figures["ripple_db"] == pytest.approx(ripple_db(_weight(before, "w"), case.axes))
        assert 0 < figures["moved"] < 1
        assert "4 to 16 dB" in figures["warning"]


def _weight(model: onnx.ModelProto, name: str) -> Array:
    tensor = next(each for each in model.graph.initializer if each.name == name)
    return numpy_helper.to_array(tensor)


@given(st.integers(0, 3))
def test_planted(seed: int) -> None:
    """Weights that were moved in one tap only have no equal gains."""
    weight = equalised(signal((1, 1, 5), np.float64, seed), [Axis(5, 2)])
    weight[0, 0, 2] += 0.01
    gains = phase_gains(weight, [Axis(5, 2)])
    assert np.abs(gains - gains.mean(axis=0)).max() > 1e-3
