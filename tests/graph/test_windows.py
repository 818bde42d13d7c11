"""Convolutions and pools as typed windows, in every spelling."""

from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.errors import InvalidNode
from onnxstride.geometry import Axis, output_size, transposed_size
from onnxstride.graph.layers import (
    AutoPad,
    AveragePool,
    Conv,
    ConvTranspose,
    GlobalPool,
    LpPool,
    MaxPool,
    Pool,
)

from .building import (
    describe,
    fault_of,
    function,
    graph_of,
    law,
    model,
    node,
    only_layer,
    random,
    ref,
    runs,
    skip_of,
)

X = {"x": [1, 4, 9, 10]}
LAST = {"x": [1, 9, 10, 4]}
W: dict[str, Any] = {"w": [4, 4, 3, 5]}
WINDOW: dict[str, Any] = {
    "kernel_shape": [3, 5], "strides": [2, 1], "pads": [1, 2, 0, 1], "dilations": [1, 2],
}  # fmt: skip
MICROSOFT, NCHWC, NHWC = "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"
QONNX = "qonnx.custom_op.channels_last"
Q = "x s z w s z s z"
QPOOL = "x s z s z"

SPELLINGS: list[tuple[str, str, str, str, bool]] = [
    # the operator it amounts to, how it is called, domain, inputs, channels last
    ("Conv", "ConvInteger", "", "x w z z", False),
    ("Conv", "QLinearConv", "", Q, False),
    ("Conv", "FusedConv", MICROSOFT, "x w", False),
    ("Conv", "QLinearConv", MICROSOFT, Q, False),
    ("Conv", "NhwcFusedConv", MICROSOFT, "x w", True),
    ("Conv", "NhwcConv", MICROSOFT, "x last", True),
    ("Conv", "Conv", NCHWC, "x blocked", False),
    ("Conv", "Conv", NHWC, "x w", True),
    ("Conv", "QLinearConv", NHWC, Q, True),
    ("Conv", "Conv", QONNX, "x last", True),
    ("ConvTranspose", "ConvTranspose", NHWC, "x w", True),
    ("ConvTranspose", "ConvTransposeWithDynamicPads", MICROSOFT, "x w", False),
    ("ConvTranspose", "QLinearConvTranspose", NHWC, Q, True),
    ("MaxPool", "MaxpoolWithMask", MICROSOFT, "x m", False),
    ("MaxPool", "NhwcMaxPool", MICROSOFT, "x", True),
    ("MaxPool", "MaxPool", NCHWC, "x", False),
    ("MaxPool", "MaxPool", NHWC, "x", True),
    ("MaxPool", "MaxPool", QONNX, "x", True),
    ("AveragePool", "QLinearAveragePool", MICROSOFT, QPOOL, False),
    ("AveragePool", "AveragePool", NCHWC, "x", False),
    ("AveragePool", "AveragePool", NHWC, "x", True),
    ("AveragePool", "QLinearAveragePool", NHWC, QPOOL, True),
    ("LpPool", "LpPool", NHWC, "x", True),
    ("GlobalAveragePool", "QLinearGlobalAveragePool", MICROSOFT, QPOOL, False),
    ("GlobalAveragePool", "GlobalAveragePool", NHWC, "x", True),
    ("GlobalMaxPool", "GlobalMaxPool", NCHWC, "x", False),
    ("GlobalLpPool", "GlobalLpPool", NHWC, "x", True),
]


def _spelled(op_type: str, domain: str, inputs: str, last: bool, **attributes: Any) -> Any:
    weights = W | {"s": [], "z": [], "m": [1], "last": [4, 3, 5, 4], "blocked": [1, 1, 3, 5, 16]}
    single = node(op_type, inputs, "y", domain=domain, **attributes)
    return only_layer(single, LAST if last else X, weights, opset=19)


class TestSpellings:
    @pytest.mark.parametrize(("op", "op_type", "domain", "inputs", "last"), SPELLINGS)
    def test_every_spelling_of_a_layer_is_the_same_value(
        self, op: str, op_type: str, domain: str, inputs: str, last: bool
    ) -> None:
        """Quantised, fused, blocked and channels-last operators equal the plain one."""
        attributes = {} if op.startswith("Global") else WINDOW
        plain = "x w" if op.startswith("Conv") else "x"
        expected = _spelled(op, "", plain, last=False, **attributes)
        found = _spelled(op_type, domain, inputs, last, **attributes)
        assert describe(found) == describe(expected)
        assert found.sizes == (9, 10)
        other = _spelled(op, "", plain, last=False, **attributes | {"strides": [1, 1]})
        assert op.startswith("Global") or describe(found) != describe(other)

    def test_channels_may_be_last_by_attribute(self) -> None:
        """As ONNX Runtime writes a quantised pool."""
        found = _spelled(
            "QLinearAveragePool", MICROSOFT, QPOOL, last=True, channels_last=1, **WINDOW
        )
        assert found.sizes == (9, 10)

    def test_weights_and_biases_are_found_where_a_spelling_keeps_them(self) -> None:
        """A quantised convolution has them at positions 3 and 8."""
        weights = W | {"s": [], "z": [], "b": [4]}
        found = only_layer(node("QLinearConv", f"{Q} b", "y"), X, weights)
        assert (found.weight, found.bias) == ("w", "b")
        assert only_layer(node("ConvInteger", "x w z z", "y"), X, weights).bias == ""

    @pytest.mark.parametrize("domain", ["f", "com.microsoft.dml", "ai.onnx.ml"])
    @pytest.mark.parametrize("op_type", ["Conv", "MaxPool", "Resize", "Slice"])
    def test_an_operator_of_another_domain_is_no_layer(self, domain: str, op_type: str) -> None:
        """What a custom Conv does is its owner's affair."""
        proto = model(
            node(op_type, "x w", "y", domain=domain), inputs=X, weights=W, domains=[domain]
        )
        graph = graph_of(proto)
        assert (graph.layers, graph.skips, graph.faults) == ((), (), ())

    def test_padding_that_is_an_input_is_unknown(self) -> None:
        """It is no padding of zero."""
        single = node("ConvTransposeWithDynamicPads", "x w p", "y", domain=MICROSOFT)
        proto = model(single, inputs=X | {"p": [4]}, weights=W)
        assert skip_of(proto) == "padding is an input, not an attribute"


class TestKernel:
    def test_a_kernel_not_stated_is_the_weights(self) -> None:
        """In one, two and three dimensions."""
        for rank in (1, 2, 3):
            shape = [1, 4, 9, 10, 11][: 2 + rank]
            layer = only_layer(
                node("Conv", "x w", "y"), {"x": shape}, {"w": [4, 4, 3, 5, 7][: 2 + rank]}
            )
            assert layer.kernel == (3, 5, 7)[:rank]
            assert (layer.strides, layer.dilations) == ((1,) * rank, (1,) * rank)

    def test_a_weight_of_unknown_shape_needs_the_attribute(self) -> None:
        """Without either the node is skipped, and the reason given."""
        free: dict[str, Any] = X | {"w": None}
        assert only_layer(node("Conv", "x w", "y", kernel_shape=[3, 3]), free).kernel == (3, 3)
        reason = "kernel is given neither by kernel_shape nor by the weight's shape"
        assert skip_of(model(node("Conv", "x w", "y"), inputs=free)) == reason
        partly: dict[str, Any] = X | {"w": [4, 4, 3, None]}
        assert skip_of(model(node("ConvTranspose", "x w", "y"), inputs=partly)) == reason

    def test_a_map_of_unknown_shape_leaves_the_sizes_open(self) -> None:
        """The window is known all the same."""
        layer = only_layer(node("MaxPool", "x", "y", **WINDOW), {"x": None})
        assert (layer.rank, layer.sizes, layer.kernel) == (2, (None, None), (3, 5))


INVALID: dict[str, tuple[str, dict[str, Any], str]] = {
    "kernel and weight": (
        "Conv",
        {"kernel_shape": [3, 3]},
        "kernel_shape [3, 3] contradicts its weight 'w' of shape [4, 4, 3, 5]",
    ),
    "no kernel": ("MaxPool", {}, "kernel_shape is required, and missing"),
    "a kernel of nothing": (
        "MaxPool",
        {"kernel_shape": [0, 2]},
        "kernel_shape [0, 2] should lie between 1",
    ),
    "a kernel beyond 32 bits": (
        "MaxPool",
        {"kernel_shape": [2**40, 2]},
        "kernel_shape [1099511627776, 2]",
    ),
    "a stride of nothing": ("Conv", {"strides": [0, 1]}, "strides [0, 1] should lie between 1"),
    "a stride too many": (
        "Conv",
        {"strides": [1, 1, 1]},
        "strides [1, 1, 1] should have 2 entries",
    ),
    "a negative dilation": ("Conv", {"dilations": [1, -1]}, "dilations [1, -1]"),
    "half the pads": ("Conv", {"pads": [1, 1]}, "pads [1, 1] should have 4 entries"),
    "a negative pad": (
        "MaxPool",
        {"kernel_shape": [2, 2], "pads": [0, 0, -1, 0]},
        "pads [0, 0, -1, 0]",
    ),
    "no group": ("Conv", {"group": 0}, "group 0 should be at least 1"),
    "an unknown auto_pad": ("Conv", {"auto_pad": "SAME"}, "auto_pad 'SAME' is none of NOTSET"),
    "another rank": (
        "MaxPool",
        {"kernel_shape": [2, 2, 2]},
        "input 'x' of shape [1, 4, 9, 10] should have 5 dimensions",
    ),
    "a word for a number": (
        "Conv",
        {"strides": "two"},
        "attribute strides should be a list of integers",
    ),
    "a number for a list": (
        "Conv",
        {"strides": 2},
        "attribute strides should be a list of integers",
    ),
    "a float for an integer": ("Conv", {"group": 1.5}, "attribute group should be an integer"),
    "a number for a word": (
        "AveragePool",
        {"kernel_shape": [2, 2], "auto_pad": 1},
        "attribute auto_pad should be a string",
    ),
    "a negative output_padding": (
        "ConvTranspose",
        {"output_padding": [-1, 0]},
        "output_padding [-1, 0]",
    ),
    "three sizes for two axes": (
        "ConvTranspose",
        {"output_shape": [9, 9, 9]},
        "output_shape [9, 9, 9] should have 2 entries",
    ),
}


class TestInvalid:
    @pytest.mark.parametrize("label", INVALID)
    def test_an_attribute_no_runtime_accepts_is_a_fault(self, label: str) -> None:
        """The message names the node and the figure."""
        op_type, attributes, message = INVALID[label]
        inputs = "x w" if op_type.startswith("Conv") else "x"
        proto = model(node(op_type, inputs, "y", name="bad", **attributes), inputs=X, weights=W)
        assert fault_of(proto).startswith(f"{op_type} 'bad': {message}")
        assert isinstance(graph_of(proto).faults[0], InvalidNode)

    @pytest.mark.parametrize(
        ("inputs", "weight", "message"),
        [
            ("x", [4, 4, 3, 3], "has no weight input"),
            ("- w", [4, 4, 3, 3], "has no input"),
            ("x w", [4, 4], "weight 'w' of shape [4, 4] has no spatial axis"),
            ("x w", [4, 4, 0, 3], "weight 'w' of shape [4, 4, 0, 3] is empty"),
        ],
    )
    def test_a_weight_that_cannot_be_one_is_a_fault(
        self, inputs: str, weight: list[int], message: str
    ) -> None:
        """Missing, flat or empty."""
        proto = model(node("Conv", inputs, "y"), inputs=X, weights={"w": weight})
        assert fault_of(proto) == f"Conv 'y': {message}"

    def test_a_negative_dimension_is_no_kernel(self) -> None:
        """It is a fault of the node as well as of the tensor, and nothing breaks."""
        proto = model(node("Conv", "x w", "y"), inputs=X, weights=W)
        proto.graph.initializer[0].dims[2] = -3
        assert any("is empty" in str(fault) for fault in graph_of(proto).faults)

    def test_a_global_pool_needs_spatial_axes(self) -> None:
        """A matrix has none; of an unknown shape nothing can be said."""
        pool = node("GlobalMaxPool", "x", "y")
        assert fault_of(model(pool, inputs={"x": [4, 4]})).endswith("[4, 4] has no spatial axis")
        assert skip_of(model(pool, inputs={"x": None})) == "shape of the input is unknown"


class TestParameters:
    @pytest.mark.parametrize(
        ("passed", "default", "strides"),
        [
            ([[2, 2]], None, (2, 2)),
            ([[2, 2], [2, 2]], None, (2, 2)),
            ([[2, 2], [1, 1]], None, None),
            ([None], [3, 3], (3, 3)),
            ([[3, 3], None], [3, 3], (3, 3)),
            ([[2, 2], None], [3, 3], None),
            ([None, None], None, (1, 1)),
            ([], [3, 3], (3, 3)),
            ([], None, None),
        ],
    )
    def test_an_attribute_of_a_function_is_what_its_calls_agree_on(
        self, passed: list[list[int] | None], default: list[int] | None, strides: object
    ) -> None:
        """A default where a call passes nothing, the operator's own where there is none."""
        pool = node("MaxPool", "a", "b", kernel_shape=[2, 2])
        pool.attribute.append(ref("strides", "steps", onnx.AttributeProto.INTS))
        made = function(
            "F", "a", "b", pool,
            parameters=[] if default else ["steps"],
            defaults=[onnx.helper.make_attribute("steps", default)] if default else [],
        )  # fmt: skip
        calls = [
            node("F", "x", f"y{i}", domain="f", **({"steps": steps} if steps else {}))
            for i, steps in enumerate(passed)
        ]
        graph = graph_of(model(node("Relu", "x", "y"), *calls, inputs=X, functions=[made]))
        assert [layer.strides for layer in graph.layers if isinstance(layer, MaxPool)] == (
            [strides] if strides else []
        )
        reason = "strides is set by the callers of the function, not all alike"
        assert [each for _, each in graph.skips] == ([] if strides else [reason])


class TestPoolFields:
    def test_fields_of_pools_are_read(self) -> None:
        """Each from its own attribute, off when it is left out."""
        pool = node("MaxPool", "x", "y i", ceil_mode=1, storage_order=1, **WINDOW)
        layer = only_layer(pool, X)
        assert (layer.ceil_mode, layer.column_major, layer.indices) == (True, True, "i")
        plain = only_layer(node("MaxPool", "x", "y", kernel_shape=[2, 2]), X)
        assert (plain.ceil_mode, plain.column_major, plain.indices) == (False, False, "")
        average = node("AveragePool", "x", "y", kernel_shape=[2, 2], count_include_pad=1)
        assert only_layer(average, X).count_include_pad
        assert isinstance(only_layer(node("LpPool", "x", "y", kernel_shape=[2, 2]), X), LpPool)
        assert isinstance(only_layer(node("GlobalLpPool", "x", "y"), X), GlobalPool)

    def test_files_of_the_first_version_leave_out_types_of_attributes(self) -> None:
        """The value speaks for itself."""
        pool = node("MaxPool", "x", "y", **WINDOW)
        for attribute in pool.attribute:
            attribute.ClearField("type")
        layer = only_layer(pool, X)
        assert layer.axes == (Axis(3, 2, 1, 1, 0), Axis(5, 1, 2, 2, 1))

    def test_what_auto_pad_decides_wins_over_pads(self) -> None:
        """And an empty auto_pad is none."""
        both = only_layer(node("Conv", "x w", "y", auto_pad="VALID", pads=[1, 1, 1, 1]), X, W)
        assert [(axis.begin, axis.end) for axis in both.axes] == [(0, 0), (0, 0)]
        empty = only_layer(node("Conv", "x w", "y", auto_pad="", pads=[1, 1, 1, 1]), X, W)
        assert empty.auto_pad is AutoPad.NOTSET

    def test_padding_that_follows_from_an_unknown_size_is_left_open(self) -> None:
        """The other axis is resolved."""
        layer = only_layer(
            node("MaxPool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
            {"x": [1, 4, "H", 10]},
        )
        assert [(axis.begin, axis.end) for axis in layer.axes] == [(0, 0), (0, 1)]
        assert layer.has_implicit_padding


_MODES = st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])


@st.composite
def _windows(draw: st.DrawFn, op_type: str) -> tuple[onnx.NodeProto, list[int], list[int]]:
    """A node, its kernel and the size of its input, in one to three dimensions."""
    rank = draw(st.integers(1, 3))
    kernel, strides = (
        draw(st.lists(st.integers(1, 4), min_size=rank, max_size=rank)) for _ in "ks"
    )
    sizes = draw(st.lists(st.integers(4, 9), min_size=rank, max_size=rank))
    auto_pad = draw(_MODES)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "auto_pad": auto_pad}
    if auto_pad == "NOTSET":
        begins = [draw(st.integers(0, k - 1)) for k in kernel]
        attributes["pads"] = begins + [draw(st.integers(0, k - 1)) for k in kernel]
    if not auto_pad.startswith("SAME"):
        attributes["dilations"] = draw(st.lists(st.integers(1, 2), min_size=rank, max_size=rank))
    if op_type.endswith("Pool"):
        attributes["ceil_mode"] = draw(st.integers(0, 1))
    if op_type == "ConvTranspose":
        attributes["output_padding"] = [draw(st.integers(0, s - 1)) for s in strides]
        if draw(st.booleans()):
            attributes["output_shape"] = [
                draw(st.integers(max(1, (n - 1) * s + 1), (n - 1) * s + k))
                for n, s, k in zip(sizes, strides, kernel, strict=True)
            ]
    return (
        node(op_type, "x w" if op_type.startswith("Conv") else "x", "y", **attributes),
        kernel,
        sizes,
    )


def _claimed(layer: Any) -> tuple[int, ...]:
    """Output sizes by the layer's own fields."""
    sizes: tuple[int, ...] = layer.sizes
    if isinstance(layer, ConvTranspose):
        return tuple(
            transposed_size(size, axis, padding)
            for size, axis, padding in zip(sizes, layer.axes, layer.output_padding, strict=True)
        )
    ceil_mode = isinstance(layer, Pool) and layer.ceil_mode
    return tuple(
        output_size(size, axis, ceil_mode=ceil_mode)
        for size, axis in zip(sizes, layer.axes, strict=True)
    )


def _check_size(drawn: tuple[onnx.NodeProto, list[int], list[int]]) -> bool:
    single, kernel, sizes = drawn
    weights: dict[str, Any] = {"w": [1, 1, *kernel]} if single.op_type.startswith("Conv") else {}
    proto = model(single, inputs={"x": [1, 1, *sizes]}, weights=weights, opset=19, ir_version=9)
    outputs = runs(proto, {"x": random([1, 1, *sizes])})
    (layer,) = graph_of(proto).layers
    if outputs is None:
        return False
    assert _claimed(layer) == outputs[0].shape[2:]
    return True


@pytest.mark.parametrize("op_type", ["Conv", "MaxPool", "AveragePool", "LpPool"])
@pytest.mark.parametrize(("mode", "pads"), [("SAME_UPPER", (0, 1)), ("SAME_LOWER", (1, 0))])
def test_an_odd_padding_is_larger_where_the_mode_says(
    op_type: str, mode: str, pads: tuple[int, int]
) -> None:
    """The size is the same either way; which elements a window reads is not."""
    inputs = "x w" if op_type == "Conv" else "x"
    window = node(op_type, inputs, "y", kernel_shape=[3], strides=[2], auto_pad=mode)
    layer = only_layer(window, {"x": [1, 1, 10]}, {"w": [1, 1, 3]})
    assert (layer.axes[0].begin, layer.axes[0].end) == pads


class TestAgainstRuntime:
    """What auto_pad, output_shape and ceil_mode are resolved to yields the runtime's own sizes."""

    @law
    @given(_windows("Conv"))
    def test_conv(self, drawn: tuple[onnx.NodeProto, list[int], list[int]]) -> None:
        """Conv, with SAME and kernels below the stride too."""
        _check_size(drawn)

    @law
    @given(_windows("MaxPool"))
    def test_max_pool(self, drawn: tuple[onnx.NodeProto, list[int], list[int]]) -> None:
        """MaxPool, windows that would start in the padding included."""
        if min(output_size(size, axis) for size, axis in _pairs(drawn)) > 0:
            _check_size(drawn)

    @law
    @given(_windows("AveragePool"))
    def test_average_pool(self, drawn: tuple[onnx.NodeProto, list[int], list[int]]) -> None:
        """AveragePool, as MaxPool."""
        if min(output_size(size, axis) for size, axis in _pairs(drawn)) > 0:
            _check_size(drawn)

    @law
    @given(_windows("ConvTranspose"))
    def test_conv_transpose(self, drawn: tuple[onnx.NodeProto, list[int], list[int]]) -> None:
        """ConvTranspose, with output_shape and output_padding."""
        _check_size(drawn)

    def test_a_planted_wrong_size_is_seen(self) -> None:
        """The comparison is made, and fails for a layer that claims another stride."""
        pool = node("MaxPool", "x", "y", kernel_shape=[2], strides=[2])
        assert _check_size((pool, [2], [9]))
        layer = only_layer(
            node("MaxPool", "x", "y", kernel_shape=[2], strides=[3]), {"x": [1, 1, 9]}
        )
        assert _claimed(layer) != (4,)

    @pytest.mark.parametrize("upper", [True, False])
    def test_output_shape_may_name_batch_and_channels(self, upper: bool) -> None:
        """The spatial part counts, whether the rest is there or not."""
        mode = "SAME_UPPER" if upper else "NOTSET"
        short, long = (
            only_layer(
                node(
                    "ConvTranspose", "x w", "y", strides=[2, 2], auto_pad=mode, output_shape=shape
                ),
                X,
                W,
            )
            for shape in ([18, 21], [1, 4, 18, 21])
        )
        assert describe(short) == describe(long)
        assert short.output_shape == (18, 21)
        assert [axis.begin for axis in short.axes] == ([0, 1] if upper else [1, 1])


def _pairs(drawn: tuple[onnx.NodeProto, list[int], list[int]]) -> list[tuple[int, Axis]]:
    """Sizes and windows; a pool that is larger than its input is another test's."""
    single, _, sizes = drawn
    layer = only_layer(single, {"x": [1, 1, *sizes]}, opset=19)
    return list(zip(sizes, layer.axes, strict=True))


def test_results_of_the_builders_are_typed() -> None:
    """Each operator becomes its own type."""
    kinds: dict[type, tuple[str, str]] = {
        Conv: ("Conv", "x w"), ConvTranspose: ("ConvTranspose", "x w"),
        MaxPool: ("MaxPool", "x"), AveragePool: ("AveragePool", "x"), LpPool: ("LpPool", "x"),
    }  # fmt: skip
    for kind, (op_type, inputs) in kinds.items():
        assert type(only_layer(node(op_type, inputs, "y", kernel_shape=[3, 5]), X, W)) is kind
