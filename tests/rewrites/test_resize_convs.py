"""A Resize and a convolution in place of a transposed one: exact, projected, or fitted."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnxstride.engine.changes import Plan, Rewritten
from onnxstride.engine.rewriting import rewrite_model
from onnxstride.fitting.fit import Samples
from onnxstride.geometry import Axis
from onnxstride.modelfile import ModelFile, parse_text
from onnxstride.registry import find_rewrite
from onnxstride.rewrite import Options
from onnxstride.rule import Safety
from onnxstride.verify.inputs import read_inputs
from onnxstride.verify.scenes import Scenes

from .deconvs import Deconv, deconv_of, deconvs, fitted, smallest
from .pools import law
from .running import REWRITES, Array, Session, made_up, refusals, rewritten, run, signal, whole

NAME = "deconv-to-resize-conv"
SHARE = {"float32": 2e-6, "float16": 2.0**-8}
"""How far values may be apart, as a share of the largest."""

few = settings(law, max_examples=60)


def outcome(model: onnx.ModelProto, **options: Any) -> tuple[onnx.ModelProto | None, Any]:
    """The rewritten model and its figures; or None and why there is none."""
    result = rewritten(model, NAME, **options)
    if result.changes:
        return whole(result.model), result.changes[0].figures
    return None, result.declined[0].reason


def taken(model: onnx.ModelProto, **options: Any) -> tuple[onnx.ModelProto, Any]:
    after, figures = outcome(model, **options)
    assert after is not None, figures
    return after, figures


def with_weight(model: onnx.ModelProto, values: Array, name: str = "w") -> onnx.ModelProto:
    """The model with another tensor of this name."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensor = next(each for each in copy.graph.initializer if each.name == name)
    tensor.CopyFrom(
        numpy_helper.from_array(values.astype(numpy_helper.to_array(tensor).dtype), name)
    )
    return copy


def boxed(values: Array, strides: Sequence[int]) -> Array:
    """The kernel convolved with a box of the stride along every axis."""
    for axis, stride in enumerate(strides, start=2):
        ends = [(0, 0)] * values.ndim
        ends[axis] = (stride - 1, stride - 1)
        padded, taps = np.pad(values, ends), values.shape[axis] + stride - 1
        values = np.sum([np.take(padded, range(i, i + taps), axis) for i in range(stride)], axis=0)
    return values


@st.composite
def factoring(draw: st.DrawFn) -> tuple[Deconv, onnx.ModelProto]:
    """Transposed convolutions whose kernel is a box times another."""
    case = draw(deconvs())
    axes = tuple(
        replace(axis, kernel=axis.stride + draw(st.integers(0, 3)), dilation=1)
        for axis in case.axes
    )
    case = replace(case, axes=axes, auto_pad="NOTSET")
    pairs = zip(axes, case.output_padding, strict=True)
    case = replace(case, size=tuple(smallest(axis, op) + 3 for axis, op in pairs))
    taps = [axis.kernel - axis.stride + 1 for axis in axes]
    other = signal(
        (case.group * case.read, case.written, *taps), np.float64, draw(st.integers(0, 9))
    )
    return case, with_weight(deconv_of(case), boxed(other, [axis.stride for axis in axes]))


def compare(case: Deconv, before: onnx.ModelProto, after: onnx.ModelProto, share: float) -> None:
    """Fails unless shapes are equal, and values within a share of the largest, at every size."""
    old, new = Session(before), Session(after)
    for seed, size in enumerate(case.sizes()):
        x = signal((1 + seed % 2, case.group * case.read, *size), case.dtype, seed)
        (expected,), (found,) = old.run({"x": x}), new.run({"x": x})
        assert found.shape == expected.shape, size
        assert found.dtype == expected.dtype
        apart = np.abs(found.astype(np.float64) - expected.astype(np.float64))
        if share < np.inf:
            assert np.all(apart <= share * np.abs(expected).max()), apart.max()


class TestExact:
    """Kernels that factor."""

    @few
    @given(drawn=factoring())
    def test_the_other_factor_behind_a_resize(self, drawn: tuple[Deconv, onnx.ModelProto]) -> None:
        """Is the transposed convolution, whatever its window, at every size, borders included."""
        case, before = drawn
        if all(axis.stride == 1 for axis in case.axes):
            assert outcome(before) == (None, "it enlarges nothing")
            return
        result = rewritten(before, NAME)
        (change,) = result.changes
        assert change.safety is Safety.EXACT
        assert change.figures["exact"]
        assert change.figures["kernel"] == [axis.kernel - axis.stride + 1 for axis in case.axes]
        compare(case, before, whole(result.model), SHARE[case.dtype])

    CASE = Deconv((Axis(4, 2, begin=1, end=1),), (0,), (6,), (True,))

    def factored(self) -> onnx.ModelProto:
        return with_weight(deconv_of(self.CASE), boxed(signal((2, 2, 3), np.float64), [2]))

    def test_a_shifted_convolution_is_noticed(self) -> None:
        """One element off is no transposed convolution."""
        after, _ = taken(self.factored())
        (conv,) = [node for node in after.graph.node if node.op_type == "Conv"]
        pads = next(attribute for attribute in conv.attribute if attribute.name == "pads")
        pads.ints[:] = [pads.ints[0] + 1, pads.ints[1] - 1]
        with pytest.raises(AssertionError):
            compare(self.CASE, self.factored(), after, SHARE["float32"])

    @pytest.mark.parametrize(("off", "exact"), [(1e-8, True), (1e-5, False)])
    def test_more_than_rounding_is_not_exact(self, off: float, exact: bool) -> None:
        """A single weight that is off by a hundred thousandth of the largest is seen."""
        values = boxed(signal((2, 2, 3), np.float64), [2])
        values[0, 0, 1] += off * np.abs(values).max()
        _, figures = outcome(with_weight(deconv_of(self.CASE), values), init="mean")
        assert figures["exact"] is exact

    @pytest.mark.parametrize("kernel", [2, 3, 5, 6])
    def test_a_kernel_that_was_asked_for(self, kernel: int) -> None:
        """Is kept where it holds the factor, zeros around it; a smaller one cannot be exact."""
        after, figures = taken(self.factored(), kernel=kernel, init="mean")
        assert figures["kernel"] == [kernel]
        assert figures["exact"] is (kernel >= 3)
        if kernel >= 3:
            compare(self.CASE, self.factored(), after, SHARE["float32"])

    def test_interpolation_does_not_factor_into_a_linear_resize(self) -> None:
        """Its border is another; so linear never claims to be exact."""
        _, figures = taken(self.factored(), mode="linear", init="mean")
        assert figures["exact"] is False

    def planned(self, text: str, allow: Safety) -> Rewritten:
        model = parse_text(text)
        plan = Plan([find_rewrite(REWRITES, NAME)], named=True, allow=allow, made_up=made_up(model))
        return rewrite_model(model, plan)

    def test_exact_sites_are_taken_where_no_more_is_allowed(self) -> None:
        """The others are an offer, not a refusal, and nothing was run for them."""
        result = self.planned(TWO_UPSAMPLERS, Safety.EXACT)
        assert [(change.node.name, change.safety) for change in result.changes] == [
            ("even", Safety.EXACT)
        ]
        assert result.offered == {"approximate": 1}
        assert result.declined == ()
        both = self.planned(TWO_UPSAMPLERS, Safety.APPROXIMATE)
        assert [change.safety for change in both.changes] == [Safety.EXACT, Safety.APPROXIMATE]


TWO_UPSAMPLERS = """
    net (float[N,1,H,W] x) => (float[N,1,P,Q] y)
    <float[1,1,2,2] ones = {1.0, 1.0, 1.0, 1.0}, float[1,1,3,3] w> {
        [even] r = ConvTranspose <strides = [2,2]> (x, ones)
        [uneven] y = ConvTranspose <strides = [2,2]> (r, w)
    }"""


class TestInterface:
    """Size and type are those of the transposed convolution, fitted or not."""

    @law
    @given(case=deconvs(), mode=st.sampled_from(["nearest", "nearest", "linear"]))
    def test_every_size(self, case: Deconv, mode: str) -> None:
        """Odd and even, dilated, grouped, cropped, padded by the runtime, in every opset."""
        before = deconv_of(case)
        after, reason = outcome(before, init="mean", mode=mode)
        if after is not None:
            compare(case, before, after, share=np.inf)
        elif any(axis.stride > 1 for axis in case.axes):
            known = ("runtimes differ on SAME", "a linear Resize needs opset 11")
            assert str(reason).startswith(known), reason

    @few
    @given(case=fitted())
    def test_sizes_asked_for(self, case: Deconv) -> None:
        """What ONNX Runtime makes of output_shape is kept."""
        before = deconv_of(case)
        x = {"x": signal((1, case.group * case.read, *case.size), case.dtype)}
        try:
            (expected,) = run(before, x)
        except refusals():
            return
        after, reason = outcome(before, init="mean")
        if after is None:
            assert reason == "it enlarges nothing" or "beyond the last tap" in reason
            return
        (found,) = run(after, x)
        assert found.shape == expected.shape

    @pytest.mark.parametrize(
        ("opset", "spelled"),
        [(7, "Upsample"), (9, "Upsample"), (10, "Resize"), (11, "Resize"), (18, "Resize")],
    )
    def test_every_opset_has_its_resize(self, opset: int, spelled: str) -> None:
        """And none is raised."""
        case = Deconv((Axis(4, 2, begin=1, end=1),) * 2, (0, 0), (4, 5), (True, True), opset=opset)
        after, _ = taken(deconv_of(case), init="mean")
        assert [node.op_type for node in after.graph.node] == [spelled, "Conv"]
        assert after.opset_import[0].version == opset

    def test_a_size_that_only_a_run_tells(self) -> None:
        """Behind operators that inference does not know, output_shape is resolved by running."""
        after, figures = taken(HIDDEN_SIZE)
        assert figures["fitted_on"] == "made-up inputs"
        x = {"x": signal((1, 2, 8, 10))}
        expected, found = (run(model, x)[0] for model in (HIDDEN_SIZE, after))
        assert found.shape == expected.shape == (1, 2, 12, 16)

    def test_an_open_size_is_not_measured(self) -> None:
        """Another run may have another size, and another padding."""
        model = onnx.ModelProto()
        model.CopyFrom(HIDDEN_SIZE)
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"
        _, reason = outcome(model)
        assert reason == "its padding depends on an input size that is not known"


HIDDEN_SIZE = whole(
    parse_text("""
    <ir_version: 4, opset_import: ["": 7]>
    net (float[N,2,8,10] x) => (float[N,2,12,16] y) <float[2,2,3,3] w, float[2] b> {
        c = Crop <border = [1,1,1,1]> (x)
        y = ConvTranspose <strides = [2,2], auto_pad = "VALID", output_shape = [12,16]> (c, w, b)
    }""")
)


DECODER = """
    decoder (float[N,3,H,W] image) => (float[N,2,P,Q] restored)
    <float[8,3,3,3] w0, float[8,6,3,3] w1, float[6] b1, float[6,2,4,4] w2, float[2] b2> {
        code = Conv <strides = [2,2], pads = [1,1,1,1]> (image, w0)
        [up1] m = ConvTranspose
            <strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]> (code, w1, b1)
        r = Relu (m)
        [up2] restored = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (r, w2, b2)
    }"""


def decoder() -> onnx.ModelProto:
    """Two upsamplings: the last interpolates, the hidden one has a pattern of its own."""
    model = whole(parse_text(DECODER))
    for name, bump, noise in (
        ("w1", [0.5, 1, 0.5], 1.0),
        ("w2", [0.25, 0.75, 0.75, 0.25], 0.02),
    ):
        tensor = next(each for each in model.graph.initializer if each.name == name)
        random = np.random.default_rng(len(bump))
        mixed = random.standard_normal((*tensor.dims[:2], 1, 1))
        values = mixed * np.multiply.outer(bump, bump)
        values = values + noise * random.standard_normal(values.shape)
        model = with_weight(model, values / tensor.dims[0] ** 0.5, name)
    return model


def errors(before: onnx.ModelProto, after: onnx.ModelProto) -> float:
    """Relative error over scenes that nothing was fitted on."""
    scenes = Scenes(read_inputs(before.graph), {"N": 2, "H": 32, "W": 40})
    pairs = [(run(before, feed)[0], run(after, feed)[0]) for feed in map(scenes, range(1000, 1006))]
    wrong = sum(float(np.square(y - x).sum()) for x, y in pairs)
    error: float = (wrong / sum(float(np.square(x).sum()) for x, _ in pairs)) ** 0.5
    return error


def phases(model: onnx.ModelProto, period: int = 4) -> Array:
    """Means over the inside of the answers to constant images, by phase: (image, channel, ..)."""
    colours = np.array([*product((0.0, 1.0), repeat=3)], np.float32)
    flat = np.broadcast_to(colours[:, :, None, None], (len(colours), 3, 32, 32)).copy()
    answer = run(model, {"image": flat})[0][:, :, 16:-16, 16:-16].astype(np.float64)
    split = [answer.shape[2] // period, period, answer.shape[3] // period, period]
    means: Array = answer.reshape(*answer.shape[:2], *split).mean(axis=(2, 4))
    return means


def ripple(model: onnx.ModelProto) -> float:
    """The largest pattern that a constant image shows."""
    folded = phases(model)
    return float(np.abs(folded - folded.mean(axis=(2, 3), keepdims=True)).max())


class TestDecoder:
    """A whole model, fitted on made-up images."""

    @pytest.mark.parametrize("mode", ["nearest", "linear"])
    def test_constant_images_show_no_pattern(self, mode: str) -> None:
        """All phases are one, to rounding; before, and with one layer left, they were not."""
        before = decoder()
        after = whole(rewritten(before, NAME, mode=mode).model)
        half = whole(rewritten(before, NAME, mode=mode, nodes="up2").model)
        assert ripple(before) > 1e-2
        assert ripple(half) > 1e-3
        assert ripple(after) < 2e-6

    def test_sequential_fits_come_nearer(self) -> None:
        """Than those that each take the original's input, of projected weights not to speak."""
        before = decoder()
        sequential = errors(before, whole(rewritten(before, NAME).model))
        second = whole(rewritten(before, NAME, nodes="up2").model)
        apart = errors(before, whole(rewritten(second, NAME, nodes="up1").model))
        alone = errors(before, whole(rewritten(before, NAME, init="mean").model))
        assert sequential < 0.85 * apart
        assert sequential < 0.85 * alone

    def test_the_figures(self) -> None:
        """Say what it was fitted on, how well, and hold on other images."""
        before = decoder()
        result = rewritten(before, NAME, nodes="up2")
        figures = result.changes[0].figures
        assert set(figures) >= {
            *("resize", "exact", "init", "fitted_on", "samples", "kernel", "relative_error"),
            *("snr_db", "psnr_db", "residual"),
        }
        assert errors(before, whole(result.model)) == pytest.approx(
            figures["relative_error"], rel=0.3
        )

    def test_data_takes_the_place_of_made_up_images(self) -> None:
        """Where the user has some, and only a fit of their own is made."""
        before = parse_text(DECODER)
        scenes = Scenes(read_inputs(before.proto.graph), {"N": 4, "H": 32, "W": 32})
        asked: list[str] = []

        def tap(model: ModelFile, layer: Any) -> Samples:
            asked.append(layer.node.name)
            for feed in map(scenes, range(20)):
                yield _tapped(model, layer.input, feed), _tapped(before, layer.node.output(0), feed)

        plan = Plan([find_rewrite(REWRITES, NAME)], named=True, allow=Safety.TRAINING, tap=tap)
        result = rewrite_model(before, plan)
        assert asked == ["up1", "up2"]
        assert {change.figures["fitted_on"] for change in result.changes} == {"data"}

    def test_half_precision(self) -> None:
        """Weights are rounded to what they were."""
        text = DECODER.replace("float[", "float16[")
        result = rewritten(parse_text(text), NAME)
        assert [change.figures["init"] for change in result.changes] == ["fit", "fit"]
        made = [t for t in result.model.proto.graph.initializer if "/" in t.name]
        kinds = {t.data_type for t in made if not t.name.endswith(("scales", "roi"))}
        assert kinds == {onnx.TensorProto.FLOAT16}


def _tapped(model: ModelFile, name: str, feed: Any) -> Array:
    proto = whole(model)
    del proto.graph.output[:]
    proto.graph.output.append(helper.make_empty_tensor_value_info(name))
    return run(proto, feed)[0]


class TestRefusals:
    """Where nothing can be fitted."""

    BODY = """
        net (float[1,1,4] x, bool c) => (float[1,1,9] y) {
            y = If (c) <
                then_branch = one () => (float[1,1,9] a) <float[1,1,3] w = {1.0, 2.0, 4.0}> {
                    a = ConvTranspose <strides = [2]> (x, w)
                },
                else_branch = two () => (float[1,1,9] b) <float[1,1,3] v = {0.5, 1.0, 0.5}> {
                    b = ConvTranspose <strides = [2]> (x, v)
                }
            >
        }"""

    def test_a_body_shows_nothing(self) -> None:
        """But what factors needs no samples, nor do projected weights."""
        result = rewritten(parse_text(self.BODY), NAME)
        assert [change.safety for change in result.changes] == [Safety.EXACT]
        (declined,) = result.declined
        assert declined.reason.startswith("nothing that it reads can be seen where it stands")
        result = rewritten(parse_text(self.BODY), NAME, init="mean")
        assert [change.figures["exact"] for change in result.changes] == [False, True]

    def test_exact_or_nothing(self) -> None:
        """With --init exact what has to be fitted is left alone."""
        result = rewritten(parse_text(TWO_UPSAMPLERS), NAME, init="exact")
        assert [change.node.name for change in result.changes] == ["even"]
        (declined,) = result.declined
        assert declined.reason.startswith("its kernel is no box times another kernel")

    def test_inputs_that_cannot_be_made_up(self) -> None:
        """Are the reason, not an error."""
        text = TWO_UPSAMPLERS.replace("float[N,1,H,W] x)", "float[N,1,H,W] x, string[1] s)")
        result = rewritten(parse_text(text), NAME)
        (declined,) = result.declined
        assert declined.reason.startswith("no inputs made up for the model take it this far: ")

    def test_weights_that_are_no_numbers(self) -> None:
        """Nothing comes near them."""
        case = Deconv((Axis(4, 2, begin=1, end=1),), (0,), (6,), (True,))
        values = np.full((2, 2, 4), np.nan)
        assert outcome(with_weight(deconv_of(case), values)) == (
            None, "its weights hold NaN or infinity"
        )  # fmt: skip

    def test_more_than_was_allowed_is_an_error(self) -> None:
        """A rewrite that claims to be exact and is not cannot slip through."""
        loaded = find_rewrite(REWRITES, NAME)
        greedy = replace(loaded, fix=lambda site: loaded.fix(_allowing_all(site)))
        plan = Plan([greedy], named=True, options=Options(init="mean"))
        with pytest.raises(Exception, match="approximate, which is more than is allowed"):
            rewrite_model(parse_text(TWO_UPSAMPLERS), plan)


def _allowing_all(site: Any) -> Any:
    copy = type(site)(site.layer, site.graph, site.options, site._taken)
    assert copy.allow is Safety.TRAINING
    return copy
