"""Resize, Upsample, pixel shuffles and strided slices."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.geometry import output_size
from onnxstride.graph.layers import Shuffle, StridedSlice

from .building import (
    Array,
    fault_of,
    graph_of,
    law,
    model,
    node,
    only_layer,
    random,
    run,
    runs,
    skip_of,
)

X = {"x": [1, 4, 9, 10]}
ROI = np.zeros(0, np.float32)
DOUBLE = np.array([1, 1, 2, 3], np.float32)


def _ints(*values: int) -> Array:
    return np.array(values, np.int64)


SPELLINGS: dict[str, tuple[int, onnx.NodeProto, dict[str, Array]]] = {
    "Upsample-1": (1, node("Upsample", "x", "y", width_scale=3.0, height_scale=2.0), {}),
    "Upsample-7": (7, node("Upsample", "x", "y", scales=[1.0, 1.0, 2.0, 3.0]), {}),
    "Upsample-9": (9, node("Upsample", "x s", "y"), {"s": DOUBLE}),
    "Resize-10": (10, node("Resize", "x s", "y"), {"s": DOUBLE}),
    "Resize-11 by scales": (11, node("Resize", "x roi s", "y"), {"roi": ROI, "s": DOUBLE}),
    "Resize-11 by sizes": (
        11,
        node("Resize", "x roi none n", "y"),
        {"roi": ROI, "none": ROI, "n": _ints(1, 4, 18, 30)},
    ),
    "Resize-13 by scales": (13, node("Resize", "x - s", "y"), {"s": DOUBLE}),
    "Resize-13 by sizes": (13, node("Resize", "x - - n", "y"), {"n": _ints(1, 4, 18, 30)}),
    "Resize-18 by some scales": (18, node("Resize", "x - s", "y", axes=[2, 3]), {"s": DOUBLE[2:]}),
    "Resize-18 by axes from behind": (
        18,
        node("Resize", "x - s", "y", axes=[-1, -2]),
        {"s": DOUBLE[:1:-1]},
    ),
    "Resize-19 by some sizes": (
        19,
        node("Resize", "x - - n", "y", axes=[3, 2]),
        {"n": _ints(30, 18)},
    ),
    "Resize-18, the larger": (
        18,
        node("Resize", "x - - n", "y", axes=[2], keep_aspect_ratio_policy="not_larger"),
        {"n": _ints(18)},
    ),
}


class TestResize:
    @pytest.mark.parametrize("label", SPELLINGS)
    def test_every_spelling_gives_the_same_scales(self, label: str) -> None:
        """Attributes, inputs, sizes, some axes only; and the runtime makes that size."""
        opset, single, weights = SPELLINGS[label]
        layer = only_layer(single, X, weights, opset=opset)
        one_axis = label.endswith("larger")
        assert layer.scales == ((2, 1) if one_axis else (2, 3))
        assert layer.sizes == (9, 10)
        if opset >= 7:
            proto = model(single, inputs=X, weights=weights, opset=opset)
            (output,) = run(proto, {"x": random([1, 4, 9, 10])})
            assert output.shape[2:] == (18, 10 if one_axis else 30)

    @pytest.mark.parametrize("label", SPELLINGS)
    def test_what_is_not_stated_is_the_default_of_the_version(self, label: str) -> None:
        """Before opset 11 asymmetric and floor, since then half_pixel and round_prefer_floor."""
        opset, single, weights = SPELLINGS[label]
        layer = only_layer(single, X, weights, opset=opset)
        implicit = ("asymmetric", "floor") if opset < 11 else ("half_pixel", "round_prefer_floor")
        assert (layer.mode, layer.antialias) == ("nearest", False)
        assert (layer.coordinates, layer.nearest_mode) == implicit
        assert layer.is_legacy == (opset < 11)

    def test_what_is_stated_counts(self) -> None:
        """Mode, coordinates, rounding and antialias."""
        single = node(
            "Resize", "x - s", "y", mode="linear", antialias=1, nearest_mode="ceil",
            coordinate_transformation_mode="align_corners",
        )  # fmt: skip
        layer = only_layer(single, X, {"s": DOUBLE}, opset=18)
        assert (layer.mode, layer.coordinates, layer.nearest_mode, layer.antialias) == (
            "linear", "align_corners", "ceil", True,
        )  # fmt: skip

    @law
    @given(
        st.sampled_from(["not_larger", "not_smaller"]),
        st.lists(st.integers(1, 12), min_size=2, max_size=2),
        st.lists(st.integers(1, 24), min_size=2, max_size=2),
    )
    def test_a_kept_aspect_ratio_is_one_scale(
        self, policy: str, sizes: list[int], wanted: list[int]
    ) -> None:
        """One factor for all the axes, and the runtime's size is that factor's, rounded."""
        single = node("Resize", "x - - n", "y", axes=[2, 3], keep_aspect_ratio_policy=policy)
        inputs = {"x": [1, 1, *sizes]}
        proto = model(single, inputs=inputs, weights={"n": _ints(*wanted)}, opset=18)
        layer: Any = graph_of(proto).layers[0]
        height, width = layer.scales
        assert height == width
        outputs = runs(proto, {"x": random([1, 1, *sizes])})
        if outputs is not None:
            for size, made in zip(sizes, outputs[0].shape[2:], strict=True):
                assert abs(size * height - made) <= 0.5 + 1e-4  # the runtime's factor is a float

    @law
    @given(
        st.lists(st.integers(1, 9), min_size=1, max_size=3),
        st.data(),
        st.sampled_from([10, 11, 13, 18, 19]),
    )
    def test_scales_yield_the_sizes_of_the_runtime(
        self, sizes: list[int], data: st.DataObject, opset: int
    ) -> None:
        """In one to three dimensions, from scales or from sizes."""
        quarters = [data.draw(st.integers(1, 12)) for _ in sizes]
        scales = np.array([1, 1, *(quarter / 4 for quarter in quarters)], np.float32)
        expected = tuple(size * quarter // 4 for size, quarter in zip(sizes, quarters, strict=True))
        if 0 in expected:
            return
        weights: dict[str, Array] = {"s": scales, "roi": ROI}
        names = "x s" if opset == 10 else "x roi s"
        if opset > 10 and data.draw(st.booleans()):
            weights = weights | {"n": _ints(1, 2, *expected), "none": ROI}
            names = "x roi none n"
        proto = model(
            node("Resize", names, "y"), inputs={"x": [1, 2, *sizes]}, weights=weights, opset=opset
        )
        (output,) = run(proto, {"x": random([1, 2, *sizes])})
        layer: Any = graph_of(proto).layers[0]
        assert layer.sizes == tuple(sizes)
        claimed = tuple(
            int(size * scale + 1e-9) for size, scale in zip(layer.sizes, layer.scales, strict=True)
        )
        assert claimed == output.shape[2:] == expected

    def test_channels_may_be_last(self) -> None:
        """Scaling what would be channels, and not the last dimension, tells."""
        single = node("Resize", "x - s", "y")
        layer = only_layer(single, {"x": [1, 9, 10, 4]}, {"s": np.array([1, 2, 3, 1], np.float32)})
        assert (layer.sizes, layer.scales) == ((9, 10), (2, 3))
        unknown = only_layer(
            node("Resize", "x - - n", "y"), {"x": [1, "C", "H", 10]}, {"n": _ints(1, 4, 18, 10)}
        )
        assert unknown.scales == (None, 1)

    def test_a_matrix_is_an_image_without_channels(self) -> None:
        """Both its axes are spatial."""
        layer = only_layer(node("Resize", "x - s", "y"), {"x": [9, 10]}, {"s": DOUBLE[2:]})
        assert (layer.sizes, layer.scales) == ((9, 10), (2, 3))

    def test_scales_computed_at_run_time_are_unknown(self) -> None:
        """The layer is there, with the sizes that are known."""
        layer = only_layer(node("Resize", "x - s", "y"), X | {"s": [4]})
        assert (layer.sizes, layer.scales) == ((9, 10), (None, None))
        both = only_layer(
            node("Resize", "x - s n", "y"), X | {"s": [None]}, {"n": _ints(1, 4, 18, 30)}
        )
        assert both.scales == (2, 3)

    def test_sizes_computed_from_shapes_give_the_scales_that_inference_finds(self) -> None:
        """Without being constants."""
        nodes = [
            node("Shape", "x", "n"), node("Mul", "n k", "m"), node("Resize", "x - - m", "y"),
        ]  # fmt: skip
        graph = graph_of(model(*nodes, inputs=X, weights={"k": _ints(1, 1, 2, 3)}))
        layer: Any = graph.layers[0]
        assert layer.scales == (2, 3)

    def test_nothing_known_is_a_skip(self) -> None:
        """Neither shape nor scales."""
        proto = model(node("Resize", "x - s", "y"), inputs={"x": None, "s": None})
        assert skip_of(proto) == "neither the scales nor the shape of the input are known"

    def test_scales_without_a_shape_are_enough(self) -> None:
        """The rank follows from their number, or only those axes are known that are named."""
        free: dict[str, Any] = {"x": None}
        assert only_layer(node("Resize", "x - s", "y"), free, {"s": DOUBLE}).scales == (2, 3)
        some = node("Resize", "x - s", "y", axes=[2, 3])
        assert only_layer(some, free, {"s": DOUBLE[2:]}, opset=18).scales == (2, 3)


INVALID: dict[str, tuple[int, str, dict[str, Any], dict[str, Array], str]] = {
    "no scales": (9, "x", {}, {}, "has neither a scales attribute nor a scales input"),
    "neither": (13, "x", {}, {}, "needs either scales or sizes, and has neither"),
    "both": (13, "x - s n", {}, {"s": DOUBLE, "n": _ints(1, 4, 18, 30)}, "and has both"),
    "a scale of nothing": (
        13,
        "x - s",
        {},
        {"s": DOUBLE * 0},
        "scales [0.0, 0.0, 0.0, 0.0] should be finite and above 0",
    ),
    "an endless scale": (10, "x s", {}, {"s": DOUBLE * np.float32("inf")}, "should be finite"),
    "a size of nothing": (
        13,
        "x - - n",
        {},
        {"n": _ints(1, 4, 0, 9)},
        "sizes [1, 4, 0, 9] should be at least 1",
    ),
    "scales for another rank": (
        13,
        "x - s",
        {},
        {"s": DOUBLE[1:]},
        "3 scales for an input of rank 4",
    ),
    "sizes for another rank": (
        13,
        "x - - n",
        {},
        {"n": _ints(8, 8)},
        "sizes [8, 8] should have 4 entries",
    ),
    "sizes for other axes": (
        18,
        "x - - n",
        {"axes": [2]},
        {"n": _ints(8, 8)},
        "sizes [8, 8] should have 1 entries",
    ),
    "scales for other axes": (18, "x - s", {"axes": [2]}, {"s": DOUBLE}, "4 scales for 1 axes"),
    "an axis beyond": (
        18,
        "x - s",
        {"axes": [2, 4]},
        {"s": DOUBLE[2:]},
        "axes [2, 4] should lie within a tensor of rank 4",
    ),
    "an axis twice": (
        18,
        "x - s",
        {"axes": [2, -2]},
        {"s": DOUBLE[2:]},
        "axes [2, -2] name one axis twice",
    ),
    "an unknown policy": (
        18,
        "x - - n",
        {"keep_aspect_ratio_policy": "wide"},
        {"n": _ints(1, 4, 8, 8)},
        "keep_aspect_ratio_policy 'wide' is none of",
    ),
    "words for scales": (
        13,
        "x - s",
        {},
        {"s": np.array(["a", "b"], object)},
        "scales should be a number per axis, found a tensor of shape [2]",
    ),
    "an image for scales": (
        13,
        "x - s",
        {},
        {"s": np.ones((9, 9), np.float32)},
        "found a tensor of shape [9, 9]",
    ),
}


class TestInvalid:
    @pytest.mark.parametrize("label", INVALID)
    def test_a_resize_no_runtime_accepts_is_a_fault(self, label: str) -> None:
        """The message names the node and the figure."""
        opset, inputs, attributes, weights, message = INVALID[label]
        op_type = "Upsample" if opset < 10 else "Resize"
        single = node(op_type, inputs, "y", name="bad", **attributes)
        proto = model(single, inputs=X, weights=weights, opset=opset)
        assert fault_of(proto).startswith(f"{op_type} 'bad': ")
        assert message in fault_of(proto)
        assert runs(proto, {"x": random([1, 4, 9, 10])}) is None or label == "an unknown policy"

    def test_scales_of_a_trillion_entries_cost_nothing(self) -> None:
        """They are refused by their number, not read."""
        make = node("ConstantOfShape", "shape", "s")
        proto = model(make, node("Resize", "x - s", "y"), inputs=X, weights={"shape": _ints(2**40)})
        assert "scales should be a number per axis" in fault_of(proto)

    @pytest.mark.parametrize(
        ("op_type", "shape", "attributes", "message"),
        [
            ("DepthToSpace", [1, 8, 4, 4], {}, "blocksize is required, and missing"),
            ("DepthToSpace", [1, 8, 4, 4], {"blocksize": 0}, "blocksize 0 should be at least 1"),
            (
                "DepthToSpace",
                [1, 6, 4, 4],
                {"blocksize": 2},
                "channels [6] should be divisible by 4",
            ),
            (
                "DepthToSpace",
                [1, 8, 4, 4],
                {"blocksize": 2, "mode": "RGB"},
                "'RGB' is neither DCR nor CRD",
            ),
            (
                "SpaceToDepth",
                [1, 8, 5, 4],
                {"blocksize": 2},
                "sizes [5, 4] should be divisible by 2",
            ),
            ("SpaceToDepth", [1, 8, 4], {"blocksize": 2}, "should have 4 dimensions"),
        ],
    )
    def test_a_shuffle_that_does_not_fit_is_a_fault(
        self, op_type: str, shape: list[int], attributes: dict[str, Any], message: str
    ) -> None:
        """Block size against channels or sizes."""
        proto = model(node(op_type, "x", "y", **attributes), inputs={"x": shape})
        assert message in fault_of(proto)
        assert runs(proto, {"x": random(shape)}) is None


class TestShuffle:
    @law
    @given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.sampled_from(["DCR", "CRD"]))
    def test_sizes_are_those_of_the_runtime(
        self, block: int, height: int, width: int, mode: str
    ) -> None:
        """A block of pixels becomes channels, and back."""
        shape = [1, 2 * block * block, height, width]
        single = node("DepthToSpace", "x", "y", blocksize=block, mode=mode)
        proto = model(single, inputs={"x": shape})
        (output,) = run(proto, {"x": random(shape)})
        (layer,) = graph_of(proto).layers
        assert isinstance(layer, Shuffle)
        assert (layer.blocks, layer.mode) == ((block, block), mode)
        assert tuple(size * block for size in layer.sizes if size) == output.shape[2:]
        back = only_layer(
            node("SpaceToDepth", "x", "y", blocksize=block), {"x": list(output.shape)}
        )
        assert tuple(size // block for size in back.sizes) == (height, width)


def _slice(weights: dict[str, Array]) -> onnx.ModelProto:
    sliced = node("Slice", "x b e a s", "y")
    return model(sliced, inputs={"x": [1, 2, "H", 10]}, weights=weights)


def _positions(layer: StridedSlice) -> list[list[int]]:
    """Positions the layer says it reads along each axis, in rising order."""
    return [
        [o * axis.stride - axis.begin for o in range(output_size(size or 0, axis))]
        for size, axis in zip(layer.sizes, layer.axes, strict=True)
    ]


_LIMIT = st.one_of(
    st.integers(-12, 12), st.sampled_from([2**31 - 1, 2**63 - 1, -(2**31), -(2**63)])
)


class TestSlice:
    @law
    @given(
        st.lists(st.integers(1, 7), min_size=1, max_size=3),
        st.lists(
            st.tuples(_LIMIT, _LIMIT, st.integers(-3, 3).filter(bool), st.booleans()),
            min_size=3, max_size=3,
        ),
    )  # fmt: skip
    def test_the_positions_read_are_those_of_the_runtime(
        self, sizes: list[int], cuts: list[tuple[int, int, int, bool]]
    ) -> None:
        """Any start, end and step, from either end; the input's values are its positions."""
        rank = len(sizes) + 2
        cuts = cuts[: len(sizes)]
        axes = [i + 2 - (rank if cut[3] else 0) for i, cut in enumerate(cuts)]
        weights = {
            name: _ints(*(cut[i] for cut in cuts)) for i, name in enumerate(("b", "e", "s"))
        } | {"a": _ints(*axes)}
        shape = [1, 1, *sizes]
        proto = model(node("Slice", "x b e a s", "y"), inputs={"x": shape}, weights=weights)
        layers = graph_of(proto).layers
        if not layers:
            return
        (layer,) = layers
        assert isinstance(layer, StridedSlice)
        for axis, found in enumerate(_positions(layer)):
            ramp = np.arange(sizes[axis], dtype=np.float32).reshape(
                [-1 if i == axis + 2 else 1 for i in range(rank)]
            )
            (output,) = run(proto, {"x": np.array(np.broadcast_to(ramp, shape))})
            read = sorted({int(position) for position in output.ravel()})
            assert output.size == 0 or read == found

    @pytest.mark.parametrize(
        ("start", "end", "step", "read"),
        [
            (0, 3, 2, [0, 2]),
            (1, -2, 2, [1, 3]),
            (5, 0, -2, [1, 3, 5]),
            (-1, -8, -3, [0, 3, 6]),
            (2**63 - 1, -(2**63), -4, [2, 6]),
        ],
    )
    def test_a_slice_that_ends_early_reads_no_further(
        self, start: int, end: int, step: int, read: list[int]
    ) -> None:
        """Of seven positions, those between start and end, as the runtime has them."""
        weights = {"b": _ints(start), "e": _ints(end), "a": _ints(2), "s": _ints(step)}
        single = node("Slice", "x b e a s", "y")
        assert _positions(only_layer(single, {"x": [1, 1, 7]}, weights)) == [read]
        proto = model(single, inputs={"x": [1, 1, 7]}, weights=weights)
        (output,) = run(proto, {"x": np.arange(7, dtype=np.float32).reshape(1, 1, 7)})
        assert sorted(output.ravel().tolist()) == read

    def test_a_planted_wrong_start_is_seen(self) -> None:
        """Positions 1, 3, 5 are not 0, 2, 4."""
        weights = {"b": _ints(1), "e": _ints(7), "a": _ints(2), "s": _ints(2)}
        layer = only_layer(node("Slice", "x b e a s", "y"), {"x": [1, 1, 7]}, weights)
        assert _positions(layer) == [[1, 3, 5]]
        weights["b"] = _ints(0)
        layer = only_layer(node("Slice", "x b e a s", "y"), {"x": [1, 1, 7]}, weights)
        assert _positions(layer) == [[0, 2, 4, 6]]

    @pytest.mark.parametrize(
        ("shape", "inputs", "steps", "axis"),
        [
            ([1, 2, 9, 9], "x b e a", 2, 2),
            ([1, 2, 9, 9], "x b e a s", 1, 2),
            ([1, 2, 9, 9], "x b e a s", -1, 2),
            ([1, 2, 9, 9], "x b e a s", 2, 1),
            ([9, 9], "x b e a s", 2, 1),
        ],
        ids=["no steps", "step 1", "turned round", "channels", "no feature map"],
    )
    def test_other_slices_are_no_layer(
        self, shape: list[int], inputs: str, steps: int, axis: int
    ) -> None:
        """Nothing is stepped over along a spatial axis; no fault, no skip."""
        weights = {"b": _ints(0), "e": _ints(9), "a": _ints(axis), "s": _ints(steps)}
        if steps < 0:
            weights |= {"b": _ints(-1), "e": _ints(-99)}
        graph = graph_of(model(node("Slice", inputs, "y"), inputs={"x": shape}, weights=weights))
        assert (graph.layers, graph.skips, graph.faults) == ((), (), ())

    def test_the_first_version_has_no_steps(self) -> None:
        """Its starts and ends are attributes."""
        old = node("Slice", "x", "y", starts=[0], ends=[9], axes=[2])
        assert graph_of(model(old, inputs=X, opset=1)).layers == ()

    def test_an_unknown_size_leaves_the_phase_known_where_it_can_be(self) -> None:
        """Counted from the front it is; counted from the end it is not."""
        weights = {"b": _ints(1), "e": _ints(2**63 - 1), "a": _ints(2), "s": _ints(2)}
        (layer,) = graph_of(_slice(weights)).layers
        assert isinstance(layer, StridedSlice)
        assert (layer.axes[0].stride, layer.axes[0].begin, layer.dims) == (2, -1, ("H", 10))
        for start, step in ((-1, 2), (-1, -2)):
            found = skip_of(_slice(weights | {"b": _ints(start), "s": _ints(step)}))
            assert found.startswith("which positions the slice reads depends on the input size")

    def test_what_is_computed_at_run_time_is_a_skip(self) -> None:
        """Steps, starts, or the rank of what is sliced."""
        weights = {"b": _ints(0), "e": _ints(9), "a": _ints(2), "s": _ints(2)}
        single = node("Slice", "x b e a s", "y")
        for name, reason in (("s", "steps are computed"), ("b", "starts, ends or axes are")):
            given_ = {key: array for key, array in weights.items() if key != name}
            proto = model(single, inputs=X | {name: [1]}, weights=given_)
            assert skip_of(proto).startswith(reason)
        assert (
            skip_of(model(single, inputs={"x": None}, weights=weights))
            == "rank of the input is unknown"
        )

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"s": _ints(0)}, "steps [0] must not be 0"),
            ({"a": _ints(4)}, "axes [4] should lie within a tensor of rank 4"),
            ({"b": _ints(0, 0)}, "starts, ends, axes and steps should be of one length"),
        ],
    )
    def test_a_slice_no_runtime_accepts_is_a_fault(
        self, changed: dict[str, Array], message: str
    ) -> None:
        """Figures included."""
        weights = {"b": _ints(0), "e": _ints(9), "a": _ints(2), "s": _ints(2)} | changed
        assert fault_of(_slice(weights)) == f"Slice 'y': {message}"
