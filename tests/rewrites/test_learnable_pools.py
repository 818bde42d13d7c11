"""Max pools that become convolutions: the same size, the same place, near enough in value.

Where a law is checked in ONNX Runtime, optimisations are off. A size is legal for a pool when a
window fits its padded input; below that ONNX Runtime's pools divide toward zero, and no
convolution follows them there.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnxstride.fitting import expectation
from onnxstride.geometry import Axis, floor_form
from onnxstride.graph import read_graph
from onnxstride.graph.layers import MaxPool
from onnxstride.modelfile import ModelFile, parse_text
from onnxstride.registry import LoadedRewrite, find_rewrite, load_rewrites
from onnxstride.rewrite import Options, Refusal
from onnxstride.surgery import Replacement, Samples, Site, splice

_runtime: Any = import_module("onnxruntime")  # it ships no types

NAMES = ("maxpool-to-conv", "maxpool-to-resize-conv", "maxpool-to-blurpool")
REWRITES = {name: find_rewrite(load_rewrites(), name) for name in NAMES}
CHANNELS = 3
TRAINED = Path(__file__).parents[2] / "models" / "trained"

law = settings(derandomize=True, database=None, deadline=None, max_examples=60)

Array = NDArray[Any]
Sizes = tuple[int, ...]


def pool(
    axes: Sequence[Axis],
    *,
    ceil_mode: bool = False,
    auto_pad: str = "NOTSET",
    opset: int = 22,
    dtype: int = TensorProto.FLOAT,
    sizes: Sizes | None = None,
    relu: bool = False,
    channels: int | str = CHANNELS,
) -> onnx.ModelProto:
    """A model of one MaxPool, dynamic unless sizes are given."""
    window: dict[str, Any] = {
        "kernel_shape": [axis.kernel for axis in axes],
        "strides": [axis.stride for axis in axes],
    }
    if auto_pad != "NOTSET":
        window["auto_pad"] = auto_pad
    elif any(axis.begin or axis.end for axis in axes):
        window["pads"] = [*(axis.begin for axis in axes), *(axis.end for axis in axes)]
    if any(axis.dilation > 1 for axis in axes):
        window["dilations"] = [axis.dilation for axis in axes]
    if ceil_mode:
        window["ceil_mode"] = 1
    spatial: Sequence[int | str] = sizes or [f"size{i}" for i in range(len(axes))]
    nodes = [helper.make_node("Relu", ["x"], ["r"], name="relu")] if relu else []
    nodes.append(helper.make_node("MaxPool", ["r" if relu else "x"], ["y"], name="pool", **window))
    outputs = ["N", channels, *(f"output{i}" for i in range(len(axes)))]
    graph = helper.make_graph(
        nodes,
        "pooled",
        [helper.make_tensor_value_info("x", dtype, ["N", channels, *spatial])],
        [helper.make_tensor_value_info("y", dtype, outputs)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def site_of(
    model: onnx.ModelProto, options: Options, samples: Callable[[], Samples] | None = None
) -> Site:
    graph = read_graph(ModelFile.from_proto(model))
    layer = next(layer for layer in graph.layers if isinstance(layer, MaxPool))
    return Site(layer, graph, options, {"x", "y", "pool"}, samples)


def rewritten(
    model: onnx.ModelProto,
    loaded: LoadedRewrite,
    options: Options | None = None,
    samples: Callable[[], Samples] | None = None,
) -> tuple[onnx.ModelProto, Replacement] | str:
    """The model after the rewrite, checked, and what replaced the pool; or the refusal."""
    after = onnx.ModelProto()
    after.CopyFrom(model)
    site = site_of(after, options or Options(), samples)
    answer = loaded.fix(site)
    if isinstance(answer, Refusal):
        return answer.reason
    replacement = answer.finished()
    splice(site.scope, replacement, after.ir_version)
    onnx.checker.check_model(after, full_check=True)
    return after, replacement


def taken(answer: tuple[onnx.ModelProto, Replacement] | str) -> tuple[onnx.ModelProto, Replacement]:
    assert not isinstance(answer, str), answer
    return answer


class Session:
    """A model in ONNX Runtime; None comes back for what it refuses to run."""

    def __init__(self, model: onnx.ModelProto) -> None:
        options = _runtime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        options.graph_optimization_level = _runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = _runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, x: Array) -> Array | None:
        state = _runtime.capi.onnxruntime_pybind11_state
        try:
            result: Array = self._session.run(None, {self._session.get_inputs()[0].name: x})[0]
        except (state.Fail, state.InvalidArgument, state.RuntimeException):
            return None
        return result


def output(model: onnx.ModelProto, x: Array) -> Array:
    """What the model makes of ``x``, which it must run."""
    result = Session(model)(x)
    assert result is not None
    return result


def loaded_or_none(model: onnx.ModelProto) -> Session | None:
    """None when ONNX Runtime refuses to load the model."""
    state = _runtime.capi.onnxruntime_pybind11_state
    try:
        return Session(model)
    except (state.Fail, state.InvalidArgument, state.InvalidGraph, state.RuntimeException):
        return None


def noise(sizes: Sizes, dtype: Any = np.float32, channels: int = CHANNELS) -> Array:
    values: Array = np.random.default_rng(sum(sizes)).standard_normal((2, channels, *sizes))
    return values.astype(dtype)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Axis, ...]:
    axis = st.builds(
        Axis,
        st.integers(1, 4),
        st.integers(1, 3),
        st.sampled_from([1, 1, 1, 2, 3]),
        st.integers(0, 3),
        st.integers(0, 3),
    )
    axes = draw(st.lists(axis, min_size=1, max_size=3))
    # ONNX Runtime refuses a pool padded as far as its kernel.
    return tuple(a.padded(min(a.begin, a.kernel - 1), min(a.end, a.kernel - 1)) for a in axes)


def fits(axes: Sequence[Axis], sizes: Sizes, *, ceil_mode: bool, auto_pad: str) -> bool:
    """True when a window fits along every axis; under SAME one always does."""
    if auto_pad.startswith("SAME"):
        return True
    if auto_pad == "VALID":
        axes = [axis.padded(0, 0) for axis in axes]
    if ceil_mode:
        axes = [floor_form(axis) for axis in axes]
    return all(n + a.begin + a.end >= a.extent for a, n in zip(axes, sizes, strict=True))


def sizes_that_differ(
    before: onnx.ModelProto, after: onnx.ModelProto, candidates: Sequence[Sizes], dtype: Any
) -> Iterator[str]:
    """Input sizes at which the two models give different shapes; one must have been compared."""
    original, mended = Session(before), Session(after)
    compared = 0
    for sizes in candidates:
        x = noise(sizes, dtype)
        expected, found = original(x), mended(x)
        if expected is None:
            continue
        compared += 1
        if found is None:
            yield f"{sizes}: refused, not {expected.shape}"
        elif (found.shape, found.dtype) != (expected.shape, expected.dtype):
            yield f"{sizes}: {found.shape} {found.dtype}, not {expected.shape} {expected.dtype}"
    if not compared:
        yield "nothing was compared"


def minimal(axes: Sequence[Axis], *, ceil_mode: bool, auto_pad: str) -> Sizes:
    """The smallest legal size along each axis by itself."""
    return tuple(
        next(n for n in range(1, 20) if fits([axis], (n,), ceil_mode=ceil_mode, auto_pad=auto_pad))
        for axis in axes
    )


OPTIONS = {
    "maxpool-to-conv": [Options(conv="full", activation=True), Options()],
    "maxpool-to-resize-conv": [Options(conv="full", activation=True), Options()],
    "maxpool-to-blurpool": [Options(blur=m) for m in (2, 3, 4, 5)],
}


class TestShape:
    @pytest.mark.parametrize("name", NAMES)
    @law
    @given(
        axes=windows(),
        ceil_mode=st.booleans(),
        auto_pad=st.sampled_from(["NOTSET"] * 3 + ["SAME_UPPER", "SAME_LOWER", "VALID"]),
        opset=st.sampled_from([10, 11, 12, 17, 18, 19, 21, 22]),
        half=st.booleans(),
        data=st.data(),
    )
    def test_every_legal_size_comes_out_as_before(
        self,
        name: str,
        axes: tuple[Axis, ...],
        ceil_mode: bool,
        auto_pad: str,
        opset: int,
        half: bool,
        data: st.DataObject,
    ) -> None:
        """Shape and type are the pool's at odd, even and minimal sizes, fixed or dynamic."""
        legal = partial(fits, axes, ceil_mode=ceil_mode, auto_pad=auto_pad)
        smallest = minimal(axes, ceil_mode=ceil_mode, auto_pad=auto_pad)
        drawn = [smallest] + [
            tuple(n + data.draw(st.integers(0, 7)) for n in smallest) for _ in range(5)
        ]
        fixed = data.draw(st.booleans())
        before = pool(
            axes,
            ceil_mode=ceil_mode,
            auto_pad=auto_pad,
            opset=opset,
            dtype=TensorProto.FLOAT16 if half else TensorProto.FLOAT,
            sizes=drawn[1] if fixed else None,
        )
        assume(loaded_or_none(before) is not None)
        answer = rewritten(before, REWRITES[name], data.draw(st.sampled_from(OPTIONS[name])))
        if isinstance(answer, str):
            return  # what is refused, and why, is held below
        candidates = [drawn[1]] if fixed else drawn
        assert all(map(legal, candidates))
        dtype = np.float16 if half else np.float32
        broken = list(sizes_that_differ(before, answer[0], candidates, dtype))
        assert [line for line in broken if line != "nothing was compared"] == []

    @pytest.mark.parametrize("opset", [8, 9, 10, 11, 13, 15, 18, 19, 20, 21, 22])
    @pytest.mark.parametrize("name", NAMES)
    def test_every_opset_it_can_be_written_in(self, name: str, opset: int) -> None:
        """From opset 8 on, but for Resize from 11; the result is valid in that very opset."""
        before = pool([Axis(3, 2, 1, 1, 1)] * 2, opset=opset)
        answer = rewritten(before, REWRITES[name])
        if name == "maxpool-to-resize-conv" and opset < 11:
            assert answer == "a Resize to given sizes needs opset 11"
            return
        after, _ = taken(answer)
        candidates = list(product((1, 2, 7, 8), repeat=2))
        assert list(sizes_that_differ(before, after, candidates, np.float32)) == []
        assert after.opset_import == before.opset_import

    @pytest.mark.parametrize("name", NAMES)
    def test_a_wrong_size_is_seen(self, name: str) -> None:
        """One element of padding more, or one output more, and the comparison says so."""
        before = pool([Axis(2, 2)])
        after, _ = taken(rewritten(before, REWRITES[name]))
        shifted = sum(_pad_one_more(node) for node in after.graph.node)
        for tensor in after.graph.initializer:
            if tensor.name.endswith("room_operand"):
                tensor.CopyFrom(numpy_helper.from_array(np.array([0], np.int64), tensor.name))
        assert shifted
        assert list(sizes_that_differ(before, after, [(7,), (8,)], np.float32))

    def test_comparing_nothing_is_a_failure(self) -> None:
        """Without a size that both models run, the comparison does not pass."""
        before = pool([Axis(2, 2)])
        assert list(sizes_that_differ(before, before, [], np.float32)) == ["nothing was compared"]

    @pytest.mark.parametrize("name", NAMES)
    def test_any_size_is_promised_only_where_it_holds(self, name: str) -> None:
        """Padding computed from a known size is right for that size alone, and says so."""
        same = partial(pool, [Axis(3, 2)] * 2, auto_pad="SAME_UPPER")
        _, fixed = taken(rewritten(same(sizes=(8, 9)), REWRITES[name]))
        assert not fixed.any_size
        _, explicit = taken(rewritten(pool([Axis(3, 2)], sizes=(9,)), REWRITES[name]))
        assert explicit.any_size
        answer = rewritten(same(), REWRITES[name])
        if name == "maxpool-to-blurpool":
            assert answer == "its padding depends on an input size that is not known"
        else:
            assert taken(answer)[1].any_size


def _pad_one_more(node: onnx.NodeProto) -> bool:
    pads = [attribute for attribute in node.attribute if attribute.name == "pads"]
    for attribute in pads:
        attribute.ints[-1] += 1
    return bool(pads)


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "label"),
        [(name, label) for name in NAMES for label in REWRITES[name].examples],
    )
    def test_examples_are_rewritten(self, name: str, label: str) -> None:
        """Every example of the documentation is taken, and no pool with a stride is left."""
        model = parse_text(REWRITES[name].examples[label], label).proto
        after, _ = taken(rewritten(model, REWRITES[name]))
        pools = [node for node in after.graph.node if node.op_type == "MaxPool"]
        assert len(pools) == (name == "maxpool-to-blurpool")
        graph = read_graph(ModelFile.from_proto(after))
        assert not [each for each in graph.layers if isinstance(each, MaxPool) and each.is_strided]

    @pytest.mark.parametrize(
        ("name", "label"),
        [(name, label) for name in NAMES for label in REWRITES[name].refused],
    )
    def test_the_label_is_the_reason(self, name: str, label: str) -> None:
        """What is refused is refused for the reason it is listed under."""
        model = parse_text(REWRITES[name].refused[label], label).proto
        answer = rewritten(model, REWRITES[name])
        assert isinstance(answer, str)
        assert answer == label

    @pytest.mark.parametrize("name", NAMES)
    def test_another_domain(self, name: str) -> None:
        """A pool whose channels come last has other axes than a Conv."""
        node = helper.make_node(
            "NhwcMaxPool", ["x"], ["y"], domain="com.microsoft", kernel_shape=[2, 2], strides=[2, 2]
        )
        graph = helper.make_graph(
            [node],
            "nhwc",
            [helper.make_tensor_value_info("x", TensorProto.UINT8, ["N", 8, 8, 3])],
            [helper.make_tensor_value_info("y", TensorProto.UINT8, ["N", 4, 4, 3])],
        )
        opsets = [helper.make_opsetid("", 22), helper.make_opsetid("com.microsoft", 1)]
        answer = rewritten(helper.make_model(graph, opset_imports=opsets), REWRITES[name])
        assert answer == "com.microsoft lays its data out in its own way"

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            (Options(init="exact"), "maxpool-to-exact-conv"),
            (Options(init="fit"), "a fit needs data"),
            (Options(init="zero"), "init is mean or fit, found 'zero'"),
            (Options(conv="sparse"), "conv is full or depthwise, found 'sparse'"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("name", NAMES[:2])
    def test_options_that_cannot_be_met(self, name: str, options: Options, reason: str) -> None:
        """An option that makes no sense here is answered, not ignored."""
        answer = rewritten(pool([Axis(2, 2)]), REWRITES[name], options)
        assert isinstance(answer, str)
        assert reason in answer

    def test_a_blur_of_one_tap(self) -> None:
        """One tap blurs nothing."""
        answer = rewritten(pool([Axis(2, 2)]), REWRITES["maxpool-to-blurpool"], Options(blur=1))
        assert answer == "a blur has at least 2 taps, found 1"

    @pytest.mark.parametrize("name", NAMES)
    def test_unread_indices_are_no_obstacle(self, name: str) -> None:
        """An Indices output that nobody reads goes with the pool."""
        model = pool([Axis(2, 2)])
        model.graph.node[0].output.append("indices")
        after, _ = taken(rewritten(model, REWRITES[name]))
        assert "indices" not in {name for node in after.graph.node for name in node.output}


class TestPlace:
    """Each output is computed from where the pool computed it."""

    @law
    @given(
        axes=windows(),
        ceil_mode=st.booleans(),
        auto_pad=st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]),
        seed=st.integers(0, 99),
    )
    def test_conv_sees_what_the_pool_sees(
        self, axes: tuple[Axis, ...], ceil_mode: bool, auto_pad: str, seed: int
    ) -> None:
        """On a sparse map of ones both are above zero at exactly the same outputs."""
        before = pool(axes, ceil_mode=ceil_mode, auto_pad=auto_pad, relu=True)
        assume(loaded_or_none(before) is not None)
        answer = rewritten(before, REWRITES["maxpool-to-conv"])
        if isinstance(answer, str):
            return
        smallest = minimal(axes, ceil_mode=ceil_mode, auto_pad=auto_pad)
        sizes = tuple(n + int(extra) for n, extra in zip(smallest, _few(seed), strict=False))
        assert list(places_that_differ(before, answer[0], sizes, seed)) == []

    @pytest.mark.parametrize("axis", [Axis(2, 2), Axis(3, 2, 1, 1, 1)])
    def test_a_shifted_window_is_seen(self, axis: Axis) -> None:
        """Padding moved from one end to the other keeps the size, and is noticed."""
        before = pool([axis], relu=True)
        shifted = pool([axis.padded(axis.begin + 1, axis.end)], relu=True)
        after, _ = taken(rewritten(shifted, REWRITES["maxpool-to-conv"]))
        found = [
            line for seed in range(5) for line in places_that_differ(before, after, (9,), seed)
        ]
        assert found

    @pytest.mark.parametrize("blur", [2, 3, 4, 5])
    @pytest.mark.parametrize(
        "axis",
        [Axis(2, 2), Axis(3, 2, 1, 1, 1), Axis(3, 3), Axis(3, 2, 2, 1, 1), Axis(4, 2, 1, 0, 3)],
        ids=str,
    )
    def test_blur_stays_in_place(self, axis: Axis, blur: int) -> None:
        """On a ramp, an odd blur changes nothing inside; an even one is half an element later."""
        before = pool([axis], sizes=(40,))
        after, _ = taken(rewritten(before, REWRITES["maxpool-to-blurpool"], Options(blur=blur)))
        ramp = np.tile(np.arange(40, dtype=np.float32), (1, CHANNELS, 1))
        expected, found = output(before, ramp), output(after, ramp)
        inside = slice(3, -3)
        later = 0 if blur % 2 else 0.5
        np.testing.assert_allclose(found[..., inside], expected[..., inside] + later, atol=1e-5)

    @pytest.mark.parametrize("opset", [17, 18])
    @pytest.mark.parametrize(
        ("axis", "size", "coordinates"),
        [
            (Axis(2, 2), 40, "half_pixel"),
            (Axis(3, 2, 1, 1, 1), 40, "asymmetric"),
            (Axis(3, 2, 1, 0, 1), 40, "half_pixel"),
            (Axis(4, 2, 1, 1, 1), 40, "half_pixel"),
            (Axis(4, 2, 1, 0, 2), 40, "half_pixel"),
            (Axis(5, 2, 1, 2, 2), 40, "asymmetric"),
        ],
        ids=str,
    )
    def test_resize_reads_at_the_centres(
        self, axis: Axis, size: int, coordinates: str, opset: int
    ) -> None:
        """On a ramp the output is the centre of each window, in the nearest mode there is."""
        before = pool([axis], sizes=(size,), opset=opset, relu=True)
        after, replacement = taken(rewritten(before, REWRITES["maxpool-to-resize-conv"]))
        antialias = opset >= 18
        assert replacement.figures["antialias"] is antialias
        assert replacement.figures["coordinates"] == (coordinates if antialias else "half_pixel")
        ramp = np.tile(np.arange(size, dtype=np.float32), (1, CHANNELS, 1))
        found = output(after, ramp)
        found /= replacement.figures["gain"]
        centres = np.arange(found.shape[-1]) * axis.stride + (axis.extent - 1) / 2 - axis.begin
        inside = slice(3, -3)
        np.testing.assert_allclose(found[0, 0, inside], centres[inside], atol=1e-4)

    @pytest.mark.parametrize("axis", [Axis(3, 2), Axis(7, 2), Axis(3, 3, 1, 1, 1)], ids=str)
    @pytest.mark.parametrize("size", [41, 42, 43])
    def test_a_drift_is_even_on_both_sides(self, axis: Axis, size: int) -> None:
        """Where the map is stretched, it is off by as much before its middle as after."""
        before = pool([axis], sizes=(size,), relu=True)
        after, replacement = taken(rewritten(before, REWRITES["maxpool-to-resize-conv"]))
        found = output(after, np.tile(np.arange(size, dtype=np.float32), (1, CHANNELS, 1)))
        centres = np.arange(found.shape[-1]) * axis.stride + (axis.extent - 1) / 2 - axis.begin
        off = (found[0, 0] / replacement.figures["gain"] - centres)[2:-2]
        assert abs(off.mean()) < axis.stride / 2 + 0.1
        assert np.abs(off).max() < (axis.extent + axis.stride) / 2


def _few(seed: int) -> Array:
    values: Array = np.random.default_rng(seed).integers(0, 7, 3)
    return values


def places_that_differ(
    before: onnx.ModelProto, after: onnx.ModelProto, sizes: Sizes, seed: int
) -> Iterator[str]:
    """Outputs above zero in one model and not in the other, for a sparse map."""
    x = (np.random.default_rng(seed).random((2, CHANNELS, *sizes)) < 0.15).astype(np.float32)
    expected, found = Session(before)(x), Session(after)(x)
    if expected is None:
        return
    if found is None or found.shape != expected.shape:
        yield "another shape"
    elif not np.array_equal(found > 0, expected > 0):
        yield f"{np.argwhere((found > 0) != (expected > 0))[:3].tolist()}"


def field(sizes: Sizes, samples: int, channels: int, seed: int, correlation: float = 0.75) -> Array:
    """A smooth random map: an AR(1) process along each axis."""
    values: Array = np.random.default_rng(seed).standard_normal((samples, channels, *sizes))
    rest = np.sqrt(1 - correlation**2)
    for axis in range(2, values.ndim):
        along = np.moveaxis(values, axis, 0)
        for i in range(1, len(along)):
            along[i] = correlation * along[i - 1] + rest * along[i]
    return values.astype(np.float32)


def relative_error(found: Array, expected: Array) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def through_relu(before: onnx.ModelProto, inputs: Array, batches: int = 4) -> Callable[[], Samples]:
    """Samples for the pool of ``before``, that come anew at each call."""
    targets = output(before, inputs)
    rectified = np.maximum(inputs, 0)
    pairs = list(
        zip(np.array_split(rectified, batches), np.array_split(targets, batches), strict=True)
    )
    return lambda: pairs


SMOOTH = {
    "2x2": [Axis(2, 2)] * 2,
    "3x3": [Axis(3, 2, 1, 1, 1)] * 2,
    "3": [Axis(3, 2)],
    "2x2x2": [Axis(2, 2)] * 3,
}


class TestValues:
    @pytest.mark.parametrize("window", SMOOTH)
    @pytest.mark.parametrize("name", NAMES[:2])
    def test_expected_weights_beat_an_average_and_a_fit_beats_both(
        self, name: str, window: str
    ) -> None:
        """On rectified smooth maps: mean below 0.45, an average well above it, a fit below."""
        axes = SMOOTH[window]
        sizes = (12,) * 3 if len(axes) == 3 else (24,) * len(axes)
        before = pool(axes, relu=True, channels=6)
        calibration, fresh = (field(sizes, 24, 6, seed) for seed in (0, 1))
        expected = output(before, fresh)
        mean, replacement = taken(rewritten(before, REWRITES[name]))
        average = onnx.ModelProto()
        average.CopyFrom(mean)
        _scale(average, 1 / replacement.figures["gain"])
        fit, _ = taken(rewritten(before, REWRITES[name], samples=through_relu(before, calibration)))
        errors = [relative_error(output(m, fresh), expected) for m in (fit, mean, average)]
        assert errors == sorted(errors)
        assert 0.2 < errors[1] < 0.45
        assert errors[0] < 0.95 * errors[1]
        assert errors[2] > 1.08 * errors[1]

    def test_a_full_fit_uses_what_channels_share(self) -> None:
        """On the features of a trained network mixing channels nearly halves the error."""
        features = _trained_features(192)
        before = pool([Axis(2, 2)] * 2, relu=True, channels=features.shape[1])
        calibration, fresh = features[:128], features[128:]
        expected = output(before, fresh)
        errors: dict[str, float] = {}
        for conv in ("full", "depthwise"):
            after, replacement = taken(
                rewritten(
                    before, REWRITES["maxpool-to-conv"], Options(conv=conv),
                    through_relu(before, calibration),
                )
            )  # fmt: skip
            assert (replacement.figures["fitted"] == "full") is (conv == "full")
            errors[conv] = relative_error(output(after, fresh), expected)
            stated = replacement.figures["relative_error"]
            assert errors[conv] == pytest.approx(stated, rel=0.1)
        assert errors["full"] < 0.7 * errors["depthwise"]

    @pytest.mark.parametrize("name", NAMES[:2])
    def test_signed_maps_get_an_offset(self, name: str) -> None:
        """Before a ReLU the maximum lies above the average by a multiple of the deviation."""
        before = pool([Axis(2, 2)] * 2)
        after, replacement = taken(rewritten(before, REWRITES[name]))
        assert replacement.figures["offset"] == pytest.approx(
            expectation([Axis(2)] * 2).offset, abs=0.01
        )
        assert replacement.figures["deviation"] == "assumed to be 1"
        x = field((24, 24), 16, CHANNELS, 2)
        found, expected = output(after, x), output(before, x)
        assert abs(float((found - expected).mean())) < 0.05
        assert relative_error(found, expected) < 0.6

    def test_the_deviation_of_a_batch_normalisation(self) -> None:
        """The scale of the normalisation before the pool is the deviation of each channel."""
        model = parse_text(
            """
            net (float[N,3,H,W] x) => (float[N,3,P,Q] y)
                <float[3] s = {2.0, -0.5, 1.0}, float[3] b = {0.0, 3.0, 0.0},
                 float[3] m = {0.0, 0.0, 0.0}, float[3] v = {1.0, 1.0, 1.0}> {
                n = BatchNormalization (x, s, b, m, v)
                y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (n)
            }""",
            "normalised",
        ).proto  # fmt: skip
        after, replacement = taken(rewritten(model, REWRITES["maxpool-to-conv"]))
        assert replacement.figures["deviation"] == "from the batch normalisation before it"
        bias = next(t for t in after.graph.initializer if t.name.endswith("/bias"))
        offset = replacement.figures["offset"]
        np.testing.assert_allclose(
            numpy_helper.to_array(bias), offset * np.array([2, 0.5, 1]), rtol=1e-6
        )

    @pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
    def test_a_fit_knows_same_padding(self, auto_pad: str) -> None:
        """Maps of several sizes are padded as the runtime pads each of them."""
        before = pool([Axis(3, 2)], auto_pad=auto_pad, relu=True)
        random = np.random.default_rng(0)
        pairs: list[tuple[Array, Array]] = []
        for size in (31, 32, 33, 34):
            x = random.random((4, CHANNELS, size)).astype(np.float32)
            x[..., 1:-1] = 0  # all there is to see is at the borders
            pairs.append((x, output(before, x)))
        after, replacement = taken(
            rewritten(before, REWRITES["maxpool-to-conv"], Options(conv="depthwise"), lambda: pairs)
        )
        found, wanted = (
            np.concatenate([output(model, x).ravel() for x, _ in pairs[1::2]])
            for model in (after, before)
        )
        assert relative_error(found, wanted) < 0.6
        assert replacement.figures["relative_error"] < 0.6

    def test_half_precision(self) -> None:
        """In float16 the same weights are used, rounded, and the output is as near."""
        x = field((24, 24), 4, CHANNELS, 3)
        outputs: dict[int, Array] = {}
        for dtype in (TensorProto.FLOAT, TensorProto.FLOAT16):
            after, _ = taken(
                rewritten(
                    pool([Axis(2, 2)] * 2, relu=True, dtype=dtype), REWRITES["maxpool-to-conv"]
                )
            )
            outputs[dtype] = output(after, x.astype(helper.tensor_dtype_to_np_dtype(dtype)))
        np.testing.assert_allclose(
            outputs[TensorProto.FLOAT16], outputs[TensorProto.FLOAT], atol=4e-3, rtol=4e-3
        )

    @pytest.mark.parametrize("axes", [[Axis(2, 2)], [Axis(3, 2, 1, 1, 1)] * 2], ids=str)
    def test_a_blurred_maximum_is_a_weighted_mean_of_maxima(self, axes: list[Axis]) -> None:
        """Constants stay, weights add up to one, and the dense map is what is averaged."""
        before = pool(axes)
        after, _ = taken(rewritten(before, REWRITES["maxpool-to-blurpool"]))
        flat = np.full((1, CHANNELS, *[9] * len(axes)), -3, np.float32)
        np.testing.assert_allclose(output(after, flat), output(before, flat), rtol=1e-6)
        x = noise((9,) * len(axes))
        dense = output(pool([replace(axis, stride=1) for axis in axes]), x)
        for number in range(2, dense.ndim):
            dense = _blurred(dense, number)
        np.testing.assert_allclose(output(after, x), dense, atol=1e-5)


def _blurred(dense: Array, axis: int) -> Array:
    """[1,2,1]/4 along one axis, its edge repeated, every second result."""
    along = np.moveaxis(dense, axis, -1)
    edged = np.concatenate([along[..., :1], along, along[..., -1:]], axis=-1)
    blurred = (edged[..., :-2] + 2 * edged[..., 1:-1] + edged[..., 2:]) / 4
    return np.moveaxis(blurred[..., ::2], -1, axis)


def _trained_features(images: int) -> Array:
    """What the first pool of a trained classifier reads, for some images of digits."""
    model = onnx.load(TRAINED / "digits_pool2.onnx")
    first = next(node for node in model.graph.node if node.op_type == "MaxPool")
    del model.graph.output[:]
    model.graph.output.append(helper.make_empty_tensor_value_info(first.input[0]))
    with np.load(TRAINED / "digits_calibration.npz") as calibration:
        values: Array = calibration["image"][:images]
    return output(model, values)


def _scale(model: onnx.ModelProto, factor: float) -> None:
    """Multiply the weights of the convolution."""
    weight = next(t for t in model.graph.initializer if t.name.endswith("/weight"))
    values = numpy_helper.to_array(weight) * np.float32(factor)
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))


class TestLayers:
    @pytest.mark.parametrize("init", ["mean", "fit"])
    @pytest.mark.parametrize("name", NAMES[:2])
    def test_a_full_convolution_begins_on_the_diagonal_where_it_must(
        self, name: str, init: str
    ) -> None:
        """With too little data for all channels, or none, --conv full mixes none at first."""
        before = pool([Axis(2, 2)], relu=True)
        samples = through_relu(before, field((16,), 4, CHANNELS, 0), batches=2)
        after, replacement = taken(
            rewritten(before, REWRITES[name], Options(conv="full", init=init), samples)
        )
        weight = next(t for t in after.graph.initializer if t.name.endswith("/weight"))
        values = numpy_helper.to_array(weight)
        assert values.shape[:2] == (CHANNELS, CHANNELS)
        apart = ~np.eye(CHANNELS, dtype=bool)
        if init == "mean" or replacement.figures["fitted"] != "full":
            assert not values[apart].any()
        assert replacement.figures["conv"] == "full"

    @pytest.mark.parametrize("name", NAMES[:2])
    def test_activation_adds_a_relu(self, name: str) -> None:
        """The layer after it is the ReLU of the All-CNN, and only when it is asked for."""
        for activation in (False, True):
            options = Options(activation=activation)
            after, _ = taken(rewritten(pool([Axis(2, 2)]), REWRITES[name], options))
            assert (after.graph.node[-1].op_type == "Relu") is activation

    @pytest.mark.parametrize("name", NAMES[:2])
    def test_data_is_used_when_there_is_some(self, name: str) -> None:
        """A fit is the default with data, the mean without; either can be asked for."""
        before = pool([Axis(2, 2)], relu=True)
        samples = through_relu(before, field((64,), 8, CHANNELS, 0))
        for options, given_samples, init in (
            (Options(), samples, "fit"),
            (Options(), None, "mean"),
            (Options(init="mean"), samples, "mean"),
        ):
            _, replacement = taken(rewritten(before, REWRITES[name], options, given_samples))
            assert replacement.figures["init"] == init

    @pytest.mark.parametrize("name", NAMES[:2])
    def test_useless_data_is_refused(self, name: str) -> None:
        """Data that cannot be fitted to leave the pool as it is, with the reason."""
        before = pool([Axis(2, 2)], relu=True)
        x = np.zeros((4, CHANNELS, 8), np.float32)
        answer = rewritten(before, REWRITES[name], samples=lambda: [(x, x[..., ::2])])
        assert answer == "the layer answers the data with nothing but zeros"

    def test_figures_are_ready_for_json(self) -> None:
        """Numbers and words only, of a fit as of an expectation."""
        before = pool([Axis(2, 2)], relu=True)
        samples = through_relu(before, field((64,), 8, CHANNELS, 0))
        figures = [
            taken(rewritten(before, REWRITES[name], samples=given))[1].figures
            for name in NAMES
            for given in (None, samples)
        ]
        assert json.loads(json.dumps(figures, allow_nan=False)) == figures
        assert {"relative_error", "snr_db", "cosine", "samples", "fitted"} <= set(figures[1])

    @pytest.mark.parametrize("name", NAMES)
    def test_it_settles(self, name: str) -> None:
        """What comes out is not rewritten again."""
        after, _ = taken(rewritten(pool([Axis(2, 2)]), REWRITES[name]))
        graph = read_graph(ModelFile.from_proto(after))
        for layer in graph.layers:
            if isinstance(layer, MaxPool):
                answer = REWRITES[name].fix(Site(layer, graph, Options(), set()))
                assert isinstance(answer, Refusal)
                assert "drops no position" in answer.reason

    @pytest.mark.parametrize("name", NAMES)
    def test_new_names_begin_with_the_old(self, name: str) -> None:
        """Nodes and constants are called after the pool, each by a name of its own."""
        after, replacement = taken(rewritten(pool([Axis(2, 2)]), REWRITES[name]))
        names = [*(n.name for n in replacement.nodes), *(t.name for t in replacement.constants)]
        assert all(each.startswith("pool/") for each in names)
        assert len(set(names)) == len(names)
        assert after.graph.node[-1].output[0] == "y"


def test_binomial_filters() -> None:
    """Repeated averages of neighbours: Pascal's triangle, with sum one."""
    module: Any = import_module(REWRITES["maxpool-to-blurpool"].module)
    rows: Mapping[int, list[int]] = {
        1: [1],
        2: [1, 1],
        3: [1, 2, 1],
        4: [1, 3, 3, 1],
        5: [1, 4, 6, 4, 1],
    }
    for taps, row in rows.items():
        np.testing.assert_array_equal(module.binomial(taps), np.array(row) / sum(row))
