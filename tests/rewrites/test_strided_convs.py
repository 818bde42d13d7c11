"""A strided convolution over blocks is the same; blurred, it has the same size and is smoothed."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import gcd, prod
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnxstride.geometry import Axis
from onnxstride.geometry.folding import fold
from onnxstride.modelfile import parse_text

from .comparing import differences
from .convs import Strided, conv_of, convs
from .pools import law
from .running import Array, Session, refusals, rewritten, run, signal, whole
from .test_node_tests import COMPUTED, Frozen, judged, with_operator

SHARE = {"float32": 1e-6, "float16": 2.0**-9}
"""How far values may be apart, as a share of the largest."""

NO_STRIDE, DROPS_NOTHING = "it has no stride", "it drops no position"
OPEN = "its padding depends on an input size that is not known"
TOO_OLD = "padding to a multiple of the stride at an open size needs opset 11"


def outcome(
    before: onnx.ModelProto, name: str, **options: Any
) -> tuple[onnx.ModelProto | None, str]:
    """The rewritten model, or why there is none."""
    result = rewritten(before, name, **options)
    if result.changes:
        return result.model.proto, ""
    (declined,) = result.declined
    return None, declined.reason


def compare(
    case: Strided, after: onnx.ModelProto, *, share: float | None = None, level: str = "DISABLE_ALL"
) -> None:
    """Fails unless shapes are equal, and values within a share of the largest, at every size."""
    old, new = Session(conv_of(case)), Session(after, level)
    for seed, size in enumerate(case.sizes()):
        x = signal((1 + seed % 2, case.group * case.read, *size), case.dtype, seed)
        (expected,), (found,) = old.run({"x": x}), new.run({"x": x})
        assert found.shape == expected.shape, size
        assert found.dtype == expected.dtype
        assert_near(found, expected, SHARE[case.dtype] if share is None else share, x)


def assert_near(found: Array, expected: Array, share: float, *read: Array) -> None:
    """Fails where values are further apart than a share of the largest, and for no number.

    The largest of what was computed, or of what was ``read``: sums of it may cancel.
    """
    bound = share * max(float(np.abs(array).max()) for array in (expected, *read))
    apart = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    assert np.all(apart <= bound), f"{apart.max()} exceeds {bound}"


def is_strided(case: Strided) -> bool:
    return any(axis.stride > 1 for axis in case.axes)


def refusal_of(case: Strided) -> str:
    """Why a strided convolution cannot be taken apart; empty when it can."""
    if case.is_same and any(case.open):
        return OPEN
    return "runtimes differ on SAME" if case.is_disputed else ""


class TestBlocks:
    """conv-to-space-to-depth."""

    NAME = "conv-to-space-to-depth"

    def test_every_window(self) -> None:
        """Over blocks it is the strided convolution, at every size, or it is refused."""
        refused: set[str] = set()

        @law
        @given(case=convs())
        def holds(case: Strided) -> None:
            after, reason = outcome(conv_of(case), self.NAME)
            expected = refusal_of(case) if is_strided(case) else NO_STRIDE
            strides = [
                axis.stride for axis, is_open in zip(case.axes, case.open, strict=True) if is_open
            ]
            is_open = len(strides) > 1 or max(strides, default=1) > 1
            if not expected and is_open and case.opset < 11:
                expected = TOO_OLD
            assert reason.startswith(expected)
            assert bool(reason) == bool(expected), reason
            refused.add(reason)
            if after is not None:
                assert strides_of(after) == {1}
                compare(case, after)
                compare(case, after, share=4 * SHARE[case.dtype], level="ENABLE_ALL")

        holds()
        assert refused >= {"", NO_STRIDE, OPEN, TOO_OLD}

    def test_sizes_that_do_not_fit(self) -> None:
        """Where the window is larger than the padded map, both are refused."""

        @law
        @given(case=convs())
        def holds(case: Strided) -> None:
            case = replace(case, auto_pad="NOTSET", opset=13, open=(True,) * len(case.axes))
            after, _ = outcome(conv_of(case), self.NAME)
            if after is None:
                return
            old, new = Session(conv_of(case)), Session(after)
            for axis, least in enumerate(case.smallest):
                for less in range(1, least):
                    size = [*case.smallest]
                    size[axis] -= less
                    x = {"x": signal((1, case.group * case.read, *size), case.dtype)}
                    with pytest.raises(refusals()):
                        old.run(x)
                    with pytest.raises(refusals()):
                        new.run(x)

        holds()

    @pytest.mark.parametrize(
        ("axis", "kernel", "times", "zeros"),
        [
            pytest.param(Axis(7, 2, 1, 3, 3), 4, 64 / 49, 15 / 64, id="the stem of a ResNet"),
            pytest.param(Axis(3, 2, 1, 1, 1), 2, 16 / 9, 7 / 16, id="kernel 3 at stride 2"),
            pytest.param(Axis(4, 2, 1, 1, 1), 2, 1.0, 0.0, id="padded before the begin as well"),
            pytest.param(Axis(4, 4), 1, 1.0, 0.0, id="patches"),
            pytest.param(Axis(1, 2), 1, 4.0, 3 / 4, id="a pointwise shortcut"),
            pytest.param(Axis(3, 2, 4), 3, 4.0, 3 / 4, id="dilation that stays"),
        ],
    )
    def test_figures(self, axis: Axis, kernel: int, times: float, zeros: float) -> None:
        """The figures tell the new kernel, how many times the parameters, and how many are zero."""
        before = conv_of(Strided((axis,) * 2, (16, 16), (True, True), biased=False))
        (change,) = rewritten(before, self.NAME).changes
        assert change.figures == {
            "kernel": [kernel, kernel],
            "parameters_times": pytest.approx(times),
            "zero_share": pytest.approx(zeros),
        }
        assert change.parameters_after == pytest.approx(times * change.parameters_before)

    def test_no_smaller_kernel(self) -> None:
        """However many elements are put before the map, the kernel over blocks is no smaller."""
        grid = product(range(1, 8), range(1, 5), range(1, 5), range(9))
        for kernel, stride, dilation, begin in grid:
            axis = Axis(kernel, stride, dilation, begin, 0)
            found = fold(axis)
            if stride == 1:
                assert found.window == replace(axis, dilation=dilation if kernel > 1 else 1)
                continue
            smallest = min(
                len(blocks)
                for before in range(begin + stride)
                if (blocks := blocks_of(axis, before))[-1] >= 0
            )
            assert found.window.kernel == smallest, axis

    PAD, CUT = "Pad", ["Reshape", "Transpose", "Reshape"]
    SIZES = ["Shape", "Slice", "Div", "Mul", "Sub", "Concat", "Pad"]
    SHAPES = ["Concat", "Gather", "Gather"]

    @pytest.mark.parametrize(
        ("case", "expected"),
        [
            pytest.param(
                Strided((Axis(4, 4),) * 2, (16, 8), (False, False)),
                ["SpaceToDepth"],
                id="nothing to pad",
            ),
            pytest.param(
                Strided((Axis(3, 2, 1, 1, 1),) * 2, (15, 16), (False, False)),
                [PAD, "SpaceToDepth"],
                id="an odd size",
            ),
            pytest.param(
                Strided((Axis(3, 2, 1, 1, 1),) * 2, (15, 16), (True, True)),
                [*SIZES, "Add", "SpaceToDepth"],
                id="open sizes",
            ),
            pytest.param(
                Strided((Axis(4, 2, 1, 1, 0),) * 2, (15, 16), (True, True)),
                [*SIZES, "Add", "Add", "SpaceToDepth"],
                id="open sizes, padded before the begin and less behind the end",
            ),
            pytest.param(
                Strided((Axis(4, 4),) * 2, (16, 8), (False, False), group=2), CUT, id="groups"
            ),
            pytest.param(Strided((Axis(2, 2),), (8,), (False,)), CUT, id="one dimension"),
            pytest.param(
                Strided((Axis(3), Axis(2, 2)), (8, 8), (True, False)),
                CUT,
                id="open along the axis without a stride",
            ),
            pytest.param(
                Strided((Axis(2, 2), Axis(3, 3)), (8, 9), (True, True)),
                [*SIZES, *SHAPES, *CUT],
                id="unequal strides, open sizes",
            ),
        ],
    )
    def test_operators(self, case: Strided, expected: list[str]) -> None:
        """No node more than the sizes ask for, and the same values."""
        after, _ = outcome(conv_of(case), self.NAME)
        assert after is not None
        assert sorted(node.op_type for node in after.graph.node) == sorted([*expected, "Conv"])
        compare(case, after)

    def test_what_nobody_reads_is_cropped(self) -> None:
        """Rows behind the last window do not come into a block."""
        case = Strided((Axis(2, 4),) * 2, (11, 11), (False, False))
        after, _ = outcome(conv_of(case), self.NAME)
        assert after is not None
        (pads,) = [
            numpy_helper.to_array(each) for each in after.graph.initializer if "pads" in each.name
        ]
        assert pads.tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
        assert "Pad" in {node.op_type for node in after.graph.node}
        compare(case, after)

    def test_a_shared_weight_stays(self) -> None:
        """Another convolution reads it."""
        before = parse_text("""
            net (float[1,1,H,W] x) => (float[1,1,P,Q] y, float[1,1,R,S] z) <float[1,1,3,3] w> {
                y = Conv <strides = [2,2]> (x, w)
                z = Conv (x, w)
            }""")
        result = rewritten(before, self.NAME)
        after = whole(result.model)
        assert "w" in {tensor.name for tensor in after.graph.initializer}
        assert differences(whole(before), after, result.changes) == []

    def test_a_moved_tap_is_noticed(self) -> None:
        """Weights in other places fail."""
        case = Strided((Axis(3, 2, 1, 1, 1),) * 2, (7, 8), (True, True), biased=False)
        after, _ = outcome(conv_of(case), self.NAME)
        assert after is not None
        (weight,) = [each for each in after.graph.initializer if each.name == "down/weight"]
        moved = np.roll(numpy_helper.to_array(weight), 1, axis=1)
        weight.CopyFrom(numpy_helper.from_array(moved, weight.name))
        with pytest.raises(AssertionError):
            compare(case, after)

    def test_a_block_too_many_is_noticed(self) -> None:
        """So does another size."""
        case = Strided((Axis(3, 2, 1, 1, 1),) * 2, (7, 8), (False, False))
        after, _ = outcome(conv_of(case), self.NAME)
        assert after is not None
        for attribute in after.graph.node[-1].attribute:
            if attribute.name == "pads":
                attribute.ints[:] = [each + 1 for each in attribute.ints]
        with pytest.raises(AssertionError):
            compare(case, after, share=1.0)


def blocks_of(axis: Axis, before: int) -> range:
    """Places of the taps of a kernel over blocks, when ``before`` elements are put before the map.

    Place 0 is the block that the output has the number of.
    """
    reached = [
        (before - axis.begin + tap * axis.dilation) // axis.stride for tap in range(axis.kernel)
    ]
    step = gcd(*(place - reached[0] for place in reached)) or 1
    return range(reached[0], reached[-1] + 1, step)


def strides_of(model: onnx.ModelProto) -> set[int]:
    """Strides of all convolutions."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    stated = [each for node in convolutions for each in node.attribute if each.name == "strides"]
    return {stride for each in stated for stride in each.ints} or {1}


def test_node_tests() -> None:
    """Every strided Conv of the onnx package's tests gives its reference output."""
    cases = with_operator("Conv")
    refused, count, faults = judged(list(map(Frozen.of, cases)), "conv-to-space-to-depth")
    assert faults == []
    assert set(refused.values()) == {NO_STRIDE}
    assert set(refused) == {case.name for case in cases if strides_of(case.model) == {1}}
    assert count >= 4


def test_node_tests_by_inputs() -> None:
    """As they are, with weights that are inputs, the strided ones are refused."""
    refused, count, _ = judged(with_operator("Conv"), "conv-to-space-to-depth")
    assert count == 0
    assert set(refused.values()) == {COMPUTED, NO_STRIDE}


def filter_of(blur: int, stride: int) -> Array:
    """The filter as polynomial coefficients: (1 + .. + z^(s-1)) / s times ((1 + z) / 2)^(m-2)."""
    filtering = np.polynomial.Polynomial([1 / stride] * stride)
    halves = np.polynomial.Polynomial([0.5, 0.5])
    whole_filter: Array = (filtering * halves ** (blur - 2)).coef
    return whole_filter


def smoothed(dense: Array, strides: Sequence[int], blur: int) -> Array:
    """Every s-th element behind the filter, axis after axis, the map continued by its edge."""
    for axis, stride in enumerate(strides, start=2):
        if stride == 1:
            continue
        taps = filter_of(blur, stride)
        begin = (len(taps) - 1) // 2
        ends = [(0, 0)] * dense.ndim
        ends[axis] = (begin, len(taps) - 1 - begin)
        map_ = np.moveaxis(np.pad(dense.astype(np.float64), ends, mode="edge"), axis, -1)
        windows = np.lib.stride_tricks.sliding_window_view(map_, len(taps), axis=-1)
        dense = np.moveaxis((windows[..., ::stride, :] * taps).sum(axis=-1), -1, axis)
    return dense


def averaged(x: Array, strides: Sequence[int]) -> Array:
    """The mean of every block, the last of fewer elements where the size does not fit."""
    for axis, stride in enumerate(strides, start=2):
        starts = range(0, x.shape[axis], stride)
        blocks = [
            np.take(x, range(start, min(start + stride, x.shape[axis])), axis).mean(
                axis, keepdims=True
            )
            for start in starts
        ]
        x = np.concatenate(blocks, axis)
    return x


def dense_of(case: Strided) -> onnx.ModelProto:
    """The same convolution at every position."""
    model = conv_of(case)
    (node,) = model.graph.node
    kept = [each for each in node.attribute if each.name not in ("strides", "auto_pad", "pads")]
    del node.attribute[:]
    pads = [axis.begin for axis in case.window] + [axis.end for axis in case.window]
    node.attribute.extend([*kept, helper.make_attribute("pads", pads)])
    return model


def with_relu(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a Relu behind its convolution."""
    model.graph.node[0].output[0] = "c"
    model.graph.node.append(helper.make_node("Relu", ["c"], ["y"], name="act"))
    return model


def is_pointwise(case: Strided) -> bool:
    return all(axis.kernel == 1 and not axis.begin + axis.end for axis in case.window)


class TestBlurred:
    """conv-to-blurred."""

    NAME = "conv-to-blurred"

    def test_every_window(self) -> None:
        """The size stays at every size; the values are those of the filter behind the Relu."""
        refused: set[str] = set()

        @law
        @given(case=convs(), blur=st.integers(2, 6), has_relu=st.booleans())
        def holds(case: Strided, blur: int, has_relu: bool) -> None:
            case = replace(case, dtype="float32")
            make = with_relu if has_relu else lambda model: model
            after, reason = outcome(make(conv_of(case)), self.NAME, blur=blur)
            expected = refusal_of(case) if is_strided(case) else DROPS_NOTHING
            refused.add(reason)
            assert reason.startswith(expected)
            assert bool(reason) == bool(expected), reason
            if after is not None and not is_pointwise(case):
                self.check(case, make(conv_of(case)), make(dense_of(case)), after, blur)

        holds()
        assert refused >= {"", DROPS_NOTHING, OPEN}

    def check(
        self,
        case: Strided,
        before: onnx.ModelProto,
        dense: onnx.ModelProto,
        after: onnx.ModelProto,
        blur: int,
    ) -> None:
        strides = [axis.stride for axis in case.axes]
        old, every, new = Session(before), Session(dense), Session(after)
        for seed, size in enumerate(case.sizes()):
            x = {"x": signal((1, case.group * case.read, *size), case.dtype, seed)}
            (reference,), (found,) = old.run(x), new.run(x)
            assert found.shape == reference.shape, size
            wanted = smoothed(every.run(x)[0], strides, blur)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=4e-6 * np.abs(wanted).max())

    def test_shortcuts(self) -> None:
        """A kernel of 1 reads the mean of each block, also of the last, shorter one."""

        @law
        @given(case=convs())
        def holds(case: Strided) -> None:
            axes = tuple(Axis(1, axis.stride, axis.dilation) for axis in case.axes)
            case = replace(case, axes=axes, auto_pad="NOTSET", dtype="float32")
            after, reason = outcome(conv_of(case), self.NAME)
            assert reason == ("" if is_strided(case) else DROPS_NOTHING)
            if after is None:
                return
            assert [node.op_type for node in after.graph.node] == ["AveragePool", "Conv"]
            every = Session(dense_of(replace(case, open=(True,) * len(axes))))
            old, new = Session(conv_of(case)), Session(after)
            for seed, size in enumerate(case.sizes()):
                x = signal((1, case.group * case.read, *size), case.dtype, seed)
                (reference,), (found,) = old.run({"x": x}), new.run({"x": x})
                assert found.shape == reference.shape, size
                mean = averaged(x, [axis.stride for axis in axes])
                assert_near(found, every.run({"x": mean})[0], 4e-6)

        holds()

    @pytest.mark.parametrize("stride", [2, 3, 4, 5])
    @pytest.mark.parametrize("blur", [2, 3, 4, 5])
    def test_nothing_folds_onto_a_constant(self, blur: int, stride: int) -> None:
        """The filter is zero at every frequency 2 pi m / s, and 1 at zero."""
        case = Strided((Axis(3, stride, 1, 1, 1),), (9,), (True,))
        after, _ = outcome(conv_of(case), self.NAME, blur=blur)
        assert after is not None
        (weight,) = [each for each in after.graph.initializer if each.name == "down/blur_weight"]
        taps = numpy_helper.to_array(weight)[0, 0]
        assert len(taps) == stride + blur - 2
        frequencies = 2 * np.pi * np.arange(stride) / stride
        gains = np.abs(np.exp(-1j * np.outer(frequencies, np.arange(len(taps)))) @ taps)
        np.testing.assert_allclose(gains, [1] + [0] * (stride - 1), atol=1e-6)

    @pytest.mark.parametrize(
        ("body", "behind"),
        [
            pytest.param("y = Relu (c)", ["Relu"], id="an activation"),
            pytest.param(
                "n = BatchNormalization (c, s, b, m, v)\ny = Relu (n)",
                ["BatchNormalization", "Relu"],
                id="normalised first",
            ),
            pytest.param("g = Sigmoid (c)\ny = Mul (g, c)", ["Sigmoid", "Mul"], id="a gate"),
            pytest.param("y = PRelu (c, slope)", ["PRelu"], id="a slope for each channel"),
            pytest.param("y = BatchNormalization (c, s, b, m, v)", [], id="no activation"),
            pytest.param("y = PRelu (c, slopes)", [], id="a slope for each place"),
            pytest.param("r = Relu (c)\ny = Add (r, c)", [], id="read by another as well"),
            pytest.param("g = Sigmoid (c)\nr = Relu (g)\nh = Mul (g, c)\ny = Add (r, h)", [],
                         id="a gate that another reads"),
            pytest.param("y = Add (c, s)", [], id="no activation at all"),
        ],
    )  # fmt: skip
    def test_what_stays_before_the_blur(self, body: str, behind: list[str]) -> None:
        """An activation that alone reads the result, with a normalisation before it."""
        before = parse_text(f"""
            net (float[1,2,8,8] x) => (float[1,2,4,4] y)
            <float[2,2,3,3] w, float[2] s, float[2] b, float[2] m, float[2] v = {{1,1}},
             float[2,1,1] slope, float[2,4,4] slopes> {{
                c = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)
                {body.replace("(c, s)", "(c, slope)")}
            }}""")
        result = rewritten(before, self.NAME)
        (change,) = result.changes
        assert change.figures["blurred_behind"] == (", ".join(behind) or "Conv")
        assert differences(whole(before), whole(result.model), result.changes) == []
        order = [node.op_type for node in result.model.proto.graph.node]
        assert order[: 1 + len(behind) + 2] == ["Conv", *behind, "Pad", "Conv"]
        (found,) = run(whole(result.model), {"x": signal((1, 2, 8, 8))})
        assert found.shape == (1, 2, 4, 4)

    def test_an_output_is_not_passed_over(self) -> None:
        """What the graph hands out is blurred itself."""
        before = parse_text("""
            net (float[1,2,8,8] x) => (float[1,2,4,4] c, float[1,2,4,4] y) <float[2,2,3,3] w> {
                c = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)
                y = Relu (c)
            }""")
        result = rewritten(before, self.NAME)
        assert result.changes[0].figures["blurred_behind"] == "Conv"
        c, y = run(whole(result.model), {"x": signal((1, 2, 8, 8))})
        np.testing.assert_array_equal(y, np.maximum(c, 0))

    def test_names_and_words_stay(self) -> None:
        """The nodes that go on before the blur are the same ones."""
        before = with_relu(conv_of(Strided((Axis(3, 2, 1, 1, 1),) * 2, (7, 8), (True, True))))
        before.graph.node[1].doc_string = "kept"
        after, _ = outcome(before, self.NAME)
        assert after is not None
        assert [node.name for node in after.graph.node[:2]] == ["down", "act"]
        assert after.graph.node[1].doc_string == "kept"
        assert after.graph.node[-1].output == ["y"]

    def test_another_filter_is_noticed(self) -> None:
        """The oracle knows the filter."""
        case = Strided((Axis(3, 2, 1, 1, 1),) * 2, (7, 8), (True, True))
        after, _ = outcome(conv_of(case), self.NAME, blur=3)
        assert after is not None
        self.check(case, conv_of(case), dense_of(case), after, 3)
        with pytest.raises(AssertionError):
            self.check(case, conv_of(case), dense_of(case), after, 5)

    def test_a_lost_element_is_noticed(self) -> None:
        """Without the edge the map comes out smaller."""
        case = Strided((Axis(3, 2, 1, 1, 1),) * 2, (7, 8), (True, True))
        after, _ = outcome(conv_of(case), self.NAME)
        assert after is not None
        (pad,) = [node for node in after.graph.node if node.op_type == "Pad"]
        blur = after.graph.node[-1]
        blur.input[0] = pad.input[0]
        with pytest.raises((AssertionError, *refusals())):
            self.check(case, conv_of(case), dense_of(case), after, 3)

    def test_a_blur_is_left_alone(self) -> None:
        """What it makes it does not find again, whatever the filter."""
        for blur, stride in ((2, 2), (3, 3), (5, 4)):
            case = Strided((Axis(3, stride),), (19,), (False,))
            after, _ = outcome(conv_of(case), self.NAME, blur=blur)
            assert after is not None
            reasons = {each.reason for each in rewritten(after, self.NAME).declined}
            assert reasons == {DROPS_NOTHING, "it is a blur already"}

    def test_too_few_taps(self) -> None:
        """One tap smooths nothing."""
        case = Strided((Axis(3, 2),), (9,), (False,))
        assert outcome(conv_of(case), self.NAME, blur=1)[1] == "a blur has at least 2 taps, found 1"


def test_the_filter_of_the_oracle() -> None:
    """At stride 2 it is the binomial one."""
    np.testing.assert_allclose(filter_of(5, 2) * 16, [1, 4, 6, 4, 1])
    np.testing.assert_allclose(filter_of(3, 3) * 6, [1, 2, 2, 1])
    assert prod(smoothed(np.ones((1, 1, 9, 9)), (2, 3), 4).shape) == 5 * 3
