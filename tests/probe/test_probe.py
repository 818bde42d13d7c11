"""The probe against what follows from the weights, and against faults planted in it."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from onnxstride.engine.probing import Prober, probe_file
from onnxstride.errors import UsageError
from onnxstride.geometry import Axis
from onnxstride.graph import Bindings, read_graph
from onnxstride.modelfile import open_model
from onnxstride.probe import foldings, run
from onnxstride.probe.fold import Fold, Folding
from onnxstride.probe.foldings import Target

from .building import DEEP, Probe, deconvolution, forced, only, predicted

COLOURS = {"grey": [0.5] * 3, "black": [0.0] * 3, "white": [1.0] * 3, "red": [1.0, 0.0, 0.0]}


windows = st.builds(
    lambda kernel, stride, dilation, begin, end: Axis(
        kernel, stride, dilation, min(begin, dilation * (kernel - 1)), end
    ),
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(0, 2),
    st.integers(0, 2),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(windows, min_size=1, max_size=3), st.integers(0, 99))
def test_one_transposed_convolution_answers_as_its_weights_predict(
    probe: Probe, axes: list[Axis], seed: int
) -> None:
    """Tile, ripple and peak to peak are those of the phase gains, for every colour."""
    random = np.random.default_rng(seed)
    weight = random.standard_normal((3, 2, *(axis.kernel for axis in axes)))
    bias = random.standard_normal(2)
    probed = probe(deconvolution(weight, axes, bias))
    if all(axis.stride == 1 for axis in axes):
        assert (probed.outputs, probed.problem) == ((), "")
        return
    output = only(probed)
    assert output.is_free
    assert output.period == tuple(axis.stride for axis in axes)
    for answer in output.answers:
        if answer.stimulus not in COLOURS:
            continue
        tile = predicted(weight, axes, bias, COLOURS[answer.stimulus])
        about = tile.mean(axis=tuple(range(1, tile.ndim)), keepdims=True)
        assert np.allclose(answer.tile, tile, atol=1e-4)
        assert answer.rms == pytest.approx(float(np.sqrt(np.square(tile - about).mean())), abs=1e-4)
        widest = max(float(np.ptp(each)) for each in tile)
        assert answer.peak_to_peak == pytest.approx(widest, abs=1e-4)
        assert answer.remainder < 1e-4


UNEVEN = deconvolution(np.arange(1, 10, dtype=float).reshape(1, 1, 3, 3), [Axis(3, 2, 1, 1, 1)] * 2)


class TestPlanted:
    """A probe that crops or folds wrongly is seen to."""

    def test_a_crop_that_leaves_the_border_in_leaves_a_remainder(
        self, probe: Probe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The interior repeats to the last bit of float32; with the border it does not."""
        right = only(probe(DEEP))
        assert max(answer.remainder for answer in right.answers) < 1e-6
        monkeypatch.setattr(Fold, "interior", lambda self, size, outputs: range(outputs))
        wrong = only(probe(DEEP))
        assert max(answer.remainder for answer in wrong.answers) > 1e-3

    @pytest.mark.parametrize(("before", "after"), [(3, 0), (0, 3)], ids=["begin", "end"])
    def test_one_period_too_many_is_seen(
        self, probe: Probe, monkeypatch: pytest.MonkeyPatch, before: int, after: int
    ) -> None:
        """At either end of the interior stands the border."""
        plain = Fold.interior

        def larger(self: Fold, size: int, outputs: int) -> range:
            inside = plain(self, size, outputs)
            whole = range(inside.start, inside.start + len(inside) // 3 * 3)
            return range(whole.start - before, whole.stop + after)

        monkeypatch.setattr(Fold, "interior", larger)
        model = deconvolution(np.ones((1, 1, 5)), [Axis(5, 3, 1, 1, 1)])
        assert max(answer.remainder for answer in only(probe(model)).answers) > 1e-3

    def test_a_wrong_period_leaves_a_remainder(
        self, probe: Probe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Folded modulo 3, a pattern of period 2 averages out and remains."""
        right = only(probe(UNEVEN))
        plain = foldings.targets

        def wrong(graph: Any, periods: Any) -> list[Target]:
            return [replace(each, folding=_every(3, each.folding)) for each in plain(graph)]

        monkeypatch.setattr(run, "targets", wrong)
        found = only(probe(UNEVEN))
        white = {answer.stimulus: answer for answer in found.answers}["white"]
        assert white.remainder > 0.5 * right.answers[2].rms
        assert white.rms < 0.1 * right.answers[2].rms

    def test_half_the_period_finds_part_of_it(
        self, probe: Probe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two layers of stride 2 repeat every four elements: modulo two something remains."""
        plain = foldings.targets
        assert only(probe(DEEP)).period == (4, 4)

        def wrong(graph: Any, periods: Any) -> list[Target]:
            return [replace(each, folding=_every(2, each.folding)) for each in plain(graph)]

        monkeypatch.setattr(run, "targets", wrong)
        assert max(answer.remainder for answer in only(probe(DEEP)).answers) > 1e-3


def _every(period: int, folding: Folding | None) -> Folding:
    assert folding is not None
    return replace(folding, folds=tuple(replace(each, period=period) for each in folding.folds))


class TestImages:
    def test_what_a_resize_and_a_convolution_make_is_flat(
        self, probe: Probe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is run, as nothing can repeat; when it is run all the same, nothing does."""
        model = """
        decoder (float[1,3,H,W] x) => (float[1,3,H2,W2] y) <float[3,3,3,3] w>
        {
            s = Constant <value = float[4] {1.0, 1.0, 2.0, 2.0}> ()
            r = Resize <mode = "nearest"> (x, , s)
            y = Conv <pads = [1,1,1,1]> (r, w)
        }"""
        assert probe(model).outputs == ()
        monkeypatch.setattr(
            run, "targets", lambda graph, periods: [forced(graph, Folding((Fold(2), Fold(2))))]
        )
        answers = only(probe(model)).answers
        assert [answer.stimulus for answer in answers] == [
            *("grey", "black", "white"),
            *("red", "green", "blue", "yellow", "cyan", "magenta"),
        ]
        assert max(answer.rms for answer in answers) < 1e-6

    def test_fixed_and_open_sizes_agree(self, probe: Probe) -> None:
        """The figures do not depend on the size, once the border is off."""
        fixed = only(probe(DEEP.replace("H,W", "48,40").replace("H2,W2", "192,160")))
        opened = only(probe(DEEP))
        assert fixed.sizes == (192, 160)
        assert fixed.is_free
        for one, other in zip(fixed.answers, opened.answers, strict=True):
            assert one.rms == pytest.approx(other.rms, rel=1e-4)
            assert np.allclose(one.tile, other.tile, atol=1e-5)

    def test_a_size_that_is_bound_is_used(self, probe: Probe) -> None:
        """--dim decides where the model leaves it open."""
        probed = probe(DEEP, bindings=Bindings(dims={"H": 36, "W": 50}))
        assert probed.inputs[0].shape == (1, 3, 36, 50)

    def test_where_the_border_reaches_everywhere_the_middle_is_measured(self, probe: Probe) -> None:
        """And it is said. The pattern there is much that of the interior."""
        wide = DEEP.replace("6,6,3,3", "6,6,15,15").replace("[1,1,1,1]> (b", "[7,7,7,7]> (b")
        small = only(probe(wide.replace("H,W", "8,8").replace("H2,W2", "32,32")))
        large = only(probe(wide))
        assert (small.is_free, large.is_free) == (False, True)
        assert small.period == large.period
        assert [a.rms for a in small.answers] == pytest.approx(
            [a.rms for a in large.answers], rel=0.5
        )

    def test_a_model_that_takes_few_sizes_is_shown_one_that_it_takes(self, probe: Probe) -> None:
        """Sizes are tried until one is accepted: here multiples of 48 alone."""
        model = """
        net (float[1,1,H,W] x) => (float[1,1,H2,W2] y)
        <float[1,1,2,2] w = {1.0, 2.0, 3.0, 4.0}, int64[6] blocks = {1, 1, -1, 48, 1, -1}>
        {
            shape = Shape (x)
            wide = Constant <value = int64[1] {3}> ()
            high = Constant <value = int64[1] {2}> ()
            h = Gather (shape, high)
            wd = Gather (shape, wide)
            n = Constant <value = int64[1] {48}> ()
            one = Constant <value = int64[1] {1}> ()
            rows = Div (h, n)
            split = Concat <axis = 0> (one, one, rows, n, wd)
            whole = Concat <axis = 0> (one, one, h, wd)
            parts = Reshape (x, split)
            again = Reshape (parts, whole)
            y = ConvTranspose <strides = [2,2]> (again, w)
        }"""
        probed = probe(model)
        assert only(probed).period == (2, 2)
        assert probed.inputs[0].shape[2] % 48 == 0

    def test_three_axes(self, probe: Probe) -> None:
        """A volume is measured as an image is."""
        axes = [Axis(3, 2, 1, 1, 1)] * 3
        weight = np.random.default_rng(0).standard_normal((1, 1, 3, 3, 3))
        output = only(probe(deconvolution(weight, axes, np.zeros(1))))
        tile = predicted(weight, axes, np.zeros(1), [1.0])
        white = output.answers[2]
        assert np.allclose(white.tile, tile, atol=1e-5)

    def test_channels_last(self, probe: Probe) -> None:
        """An image of N, H, W, C is filled, and its answer folded, along H and W."""
        model = """
        net (float[1,H,W,3] x) => (float[1,H2,W2,3] y) <float[3,3,3,3] w>
        {
            a = Transpose <perm = [0,3,1,2]> (x)
            b = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (a, w)
            y = Transpose <perm = [0,2,3,1]> (b)
        }"""
        probed = probe(model)
        last = only(probed)
        first = only(
            probe("""
        net (float[1,3,H,W] x) => (float[1,3,H2,W2] y) <float[3,3,3,3] w>
        {
            y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w)
        }""")
        )
        assert len(probed.inputs[0].shape) == 4
        assert probed.inputs[0].shape[3] == 3
        for one, other in zip(last.answers, first.answers, strict=True):
            assert one.rms == pytest.approx(other.rms, rel=1e-5)

    def test_eight_bits_in_and_out(self, probe: Probe) -> None:
        """The range is that of the type; the answers are whole numbers."""
        probed = probe("""
        net (uint8[1,1,H,W] x) => (uint8[1,1,H2,W2] y) <float[1,1,2,2] w = {1.0, 0.9, 0.8, 0.9}>
        {
            a = Cast <to = 1> (x)
            b = ConvTranspose <strides = [2,2]> (a, w)
            y = Cast <to = 2> (b)
        }""")
        output = only(probed)
        assert (probed.inputs[0].range.low, probed.inputs[0].range.high) == (0, 255)
        assert output.range is not None
        assert output.range.span == 255
        white = output.answers[2]
        assert np.array_equal(white.tile, [[[255, 229], [204, 229]]])
        assert white.peak_to_peak == pytest.approx(51)

    def test_half_precision(self, probe: Probe) -> None:
        """float16 in, float16 out."""
        output = only(
            probe("""
        net (float16[1,1,H,W] x) => (float16[1,1,H2,W2] y)
        {
            c = Constant <value = float[1,1,2,2] {1.0, 2.0, 3.0, 4.0}> ()
            w = Cast <to = 10> (c)
            y = ConvTranspose <strides = [2,2]> (x, w)
        }""")
        )
        assert np.array_equal(output.answers[2].tile, [[[1, 2], [3, 4]]])

    def test_two_images_and_a_style(self, probe: Probe) -> None:
        """All images are of one colour; a vector beside them is drawn once for all."""
        probed = probe("""
        net (float[1,1,H,W] x, float[1,1,H,W] mask, float[1,1] style) => (float[1,1,H2,W2] y)
        <float[1,1,2,2] w = {1.0, 2.0, 3.0, 4.0}>
        {
            a = Add (x, mask)
            b = ConvTranspose <strides = [2,2]> (a, w)
            none = Sub (style, style)
            y = Add (b, none)
        }""")
        assert [each.name for each in probed.inputs] == ["x", "mask"]
        assert np.allclose(only(probed).answers[2].tile, [[[2, 4], [6, 8]]])

    def test_colours_are_those_of_the_channels(self, probe: Probe) -> None:
        """Red is the first of three channels, or the last if the metadata says BGR."""
        weight = np.zeros((3, 1, 2))
        weight[0, 0] = [1, 2]
        model = deconvolution(weight, [Axis(2, 2)])
        assert {a.stimulus for a in only(probe(model)).answers if a.rms > 0.1} == {
            *("grey", "white", "red", "yellow", "magenta")
        }
        model.metadata_props.add(key="Image.BitmapPixelFormat", value="Bgr8")
        assert {a.stimulus for a in only(probe(model)).answers if a.rms > 0.1} == {
            *("grey", "white", "blue", "cyan", "magenta")
        }

    def test_a_range_that_is_given_is_used(self, probe: Probe) -> None:
        """White is its high end."""
        probed = probe(UNEVEN, range=(-1.0, 3.0))
        tiles = {answer.stimulus: answer.tile for answer in only(probed).answers}
        assert np.allclose(tiles["white"], -3 * tiles["black"])
        assert probed.inputs[0].range.source == "as given"


class TestData:
    def test_mean_colours_of_samples_are_fed(self, probe: Probe, tmp_path: Path) -> None:
        """Each sample becomes an image of its mean colour, as large as the probe wants it."""
        samples = np.random.default_rng(0).random((3, 1, 3, 20, 24)).astype(np.float32)
        np.save(tmp_path / "x.npy", samples)
        weight, axes, bias = (
            np.random.default_rng(1).random((3, 2, 3, 3)),
            [Axis(3, 2)] * 2,
            np.ones(2),
        )
        probed = probe(deconvolution(weight, axes, bias), data=str(tmp_path / "x.npy"))
        output = only(probed)
        assert probed.inputs[0].shape[2] > 24
        for number, answer in enumerate(output.answers):
            colour = samples[number, 0].mean(axis=(1, 2))
            assert answer.stimulus == f"sample {number + 1}"
            assert np.allclose(answer.tile, predicted(weight, axes, bias, colour), atol=1e-4)

    def test_data_that_does_not_fit_is_refused(self, probe: Probe, tmp_path: Path) -> None:
        """In one line, as everywhere."""
        np.save(tmp_path / "x.npy", np.zeros((1, 5, 8, 8), np.float32))
        with pytest.raises(UsageError, match="expected shape"):
            probe(DEEP, data=str(tmp_path / "x.npy"))


def test_what_was_seen_can_be_sent_between_processes(probe: Probe) -> None:
    """It is plain values through and through."""
    probed = probe(DEEP)
    copy = pickle.loads(pickle.dumps(probed))  # noqa: S301 - our own
    assert only(copy).answers[0].rms == only(probed).answers[0].rms
    assert [each.node.name for each in copy.taps] == ["a", "d"]


def test_all_outputs_of_all_colours_are_measured_apart(probe: Probe) -> None:
    """Two outputs of different periods in one run."""
    probed = probe("""
    net (float[1,1,H,W] x) => (float[1,1,H2,W2] fine, float[1,1,H3,W3] coarse)
    <float[1,1,2,2] u = {1.0, 2.0, 3.0, 4.0}, float[1,1,3,1] v = {1.0, 2.0, 3.0}>
    {
        fine = ConvTranspose <strides = [2,2]> (x, u)
        coarse = ConvTranspose <strides = [3,1]> (x, v)
    }""")
    assert [output.period for output in probed.outputs] == [(2, 2), (3, 1)]
    fine, coarse = probed.outputs
    assert len(fine.answers) == len(coarse.answers) == 3
    assert np.allclose(coarse.answers[2].tile, [[[1], [2], [3]]])


class TestLike:
    """A model that took another's place is measured as the other was."""

    BEFORE = """
    net (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <float[1,1,2,2] w = {1.0, 2.0, 3.0, 4.0}>
    {
        y = ConvTranspose <strides = [2,2]> (x, w)
    }"""
    AFTER = """
    net (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <float[1,1,1,1] w = {2.5}>
    {
        s = Constant <value = float[4] {1.0, 1.0, 2.0, 2.0}> ()
        r = Resize <mode = "nearest"> (x, , s)
        y = Conv (r, w)
    }"""

    def test_an_output_in_which_nothing_can_repeat_is_shown_not_to(self, probe: Probe) -> None:
        """By the period of the other, with the border off."""
        before = probe(self.BEFORE)
        assert probe(self.AFTER).outputs == ()
        after = only(probe(self.AFTER, like=before))
        assert after.period == (2, 2)
        assert after.is_free
        assert after.range == only(before).range
        assert max(answer.rms for answer in after.answers) < 1e-6
        assert [a.mean for a in after.answers] == pytest.approx(
            [a.mean for a in only(before).answers]
        )

    def test_periods_are_multiples_of_both(self, probe: Probe) -> None:
        """Neither model's own pattern is missed."""
        three = self.BEFORE.replace("1,1,2,2", "1,1,3,3").replace("[2,2]", "[3,3]")
        values = ", ".join(f"{value}.0" for value in range(1, 10))
        three = three.replace("1.0, 2.0, 3.0, 4.0", values)
        assert only(probe(self.BEFORE, like=probe(three))).period == (6, 6)


def test_an_edited_model_is_run_as_edited(tmp_path: Path) -> None:
    """Not the file that it was read from."""
    path = tmp_path / "model.onnx"
    onnx.save(deconvolution(np.array([[[1.0, 2.0]]]), [Axis(2, 2)]), path)
    with open_model(str(path)) as model, Prober() as prober:
        proto = type(model.proto)()
        proto.CopyFrom(model.proto)
        proto.graph.initializer[0].CopyFrom(
            numpy_helper.from_array(np.array([[[3.0, 5.0]]], np.float32), "w")
        )
        edited = model.edited(proto)
        for shown, expected in ((model, [1, 2]), (edited, [3, 5])):
            answers = only(prober(shown, read_graph(shown))).answers
            assert np.array_equal(answers[2].tile, [expected])


def test_a_file_is_probed_by_its_path(tmp_path: Path) -> None:
    """In a child process of its own, with sizes bound as asked."""
    path = tmp_path / "model.onnx"
    onnx.save(UNEVEN, path)
    probed = probe_file(str(path), bindings=Bindings(dims={"S0": 20, "S1": 30}))
    assert probed.model == str(path)
    assert probed.inputs[0].shape == (1, 1, 20, 30)
    assert only(probed).is_visible
