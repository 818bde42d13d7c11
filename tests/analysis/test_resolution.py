"""Operators one by one: what they make of an image that went through a window of stride 2.

Most models begin with a Conv of 3x3, stride 2, padded by 1 (stride 2, receptive field 3, centre
0); its output is called ``c``.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from onnxstride.analysis import resolution
from onnxstride.geometry.fields import Field, Unknown, Whole
from tests.analysis.asking import field, fields, figures, reason, resolved, sights
from tests.graph.building import body, function, graph_of, model, node, ref, value

CONV = node("Conv", "x w", "c", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
ALONG: list[str | int | None] = ["N", 4, "H", "W"]
KNOWN: list[str | int | None] = ["N", 4, 16, 16]
HALF = Fraction(1, 2)


def after(
    *nodes: onnx.NodeProto,
    shape: Sequence[str | int | None] = ALONG,
    weights: dict[str, Any] | None = None,
    out: str = "y",
    opset: int = 17,
) -> onnx.ModelProto:
    """The Conv, and then these nodes."""
    held: dict[str, Any] = {"w": [4, 4, 3, 3], **(weights or {})}
    return model(CONV, *nodes, inputs={"x": shape}, weights=held, out=out, opset=opset)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


class TestKept:
    """Operators that leave the field of the Conv as it is."""

    @pytest.mark.parametrize(
        ("nodes", "weights"),
        [
            pytest.param([node("Relu", "c", "y")], {}, id="activation"),
            pytest.param([node("Add", "c b", "y")], {"b": [4, 1, 1]}, id="a constant a channel"),
            pytest.param([node("Mul", "c b", "y")], {"b": [1, 4, 1, 1]}, id="a scale a channel"),
            pytest.param(
                [node("BatchNormalization", "c s s s s", "y")], {"s": [4]}, id="normalisation"
            ),
            pytest.param(
                [node("InstanceNormalization", "c s s", "y")], {"s": [4]}, id="over the map"
            ),
            pytest.param([node("Softmax", "c", "y", axis=1)], {}, id="softmax over channels"),
            pytest.param([node("Dropout", "c", "y mask")], {}, id="dropout"),
            pytest.param(
                [node("QuantizeLinear", "c s", "q"), node("DequantizeLinear", "q s", "y")],
                {"s": np.array(0.1, np.float32)}, id="quantised and back",
            ),
            pytest.param([node("Conv", "c p", "y")], {"p": [4, 4, 1, 1]}, id="pointwise window"),
            pytest.param(
                [node("ReduceMean", "c", "y", axes=[1], keepdims=1)], {}, id="mean over channels"
            ),
            pytest.param([node("Slice", "c a b a", "y")], {"a": ints(1), "b": ints(3)},
                         id="a slice of the channels"),
            pytest.param([node("Split", "c", "y z", axis=1)], {}, id="a part of the channels"),
            pytest.param([node("Gather", "c i", "y", axis=1)], {"i": ints(2, 0)}, id="channels"),
            pytest.param(
                [node("Unsqueeze", "c a", "u"), node("Squeeze", "u a", "y")], {"a": ints(2)},
                id="a dimension more, and less",
            ),
            pytest.param(
                [node("Expand", "c e", "y")], {"e": ints(1, 1, 1, 1)}, id="broadcast to itself"
            ),
            pytest.param([node("Tile", "c t", "y")], {"t": ints(1, 2, 1, 1)}, id="tiled channels"),
            pytest.param([node("Affine", "c", "y", alpha=2.0)], {}, id="experimental affine"),
            pytest.param(
                [node("Gelu", "c", "y", domain="com.microsoft")], {}, id="another domain's gelu"
            ),
            pytest.param(
                [node("Einsum", "c p", "y", equation="nchw,cd->ndhw")], {"p": [4, 5]},
                id="a product over channels by einsum",
            ),
        ],
    )  # fmt: skip
    def test_what_does_not_move_anything(
        self, nodes: Sequence[onnx.NodeProto], weights: dict[str, Any]
    ) -> None:
        """Stride, receptive field and centre are those of the Conv."""
        assert figures(field(after(*nodes, weights=weights))) == (2, 3, 3, 0)

    def test_a_kept_field_differs_from_a_moved_one(self) -> None:
        """A planted fault: a slice of the rows is seen."""
        rows = after(node("Slice", "c a b d", "y"), weights={
            "a": ints(1), "b": ints(99), "d": ints(2),
        })  # fmt: skip
        assert [figures(each) for each in fields(rows)] == [(2, 3, 3, 2), (2, 3, 3, 0)]


class TestMoved:
    """Operators that shift, thin out or enlarge."""

    @pytest.mark.parametrize(
        ("nodes", "weights", "expected"),
        [
            pytest.param([node("Pad", "c p", "y")], {"p": ints(0, 0, 1, 1, 0, 0, 0, 0)},
                         (2, 3, 3, -2), id="padding"),
            pytest.param([node("Pad", "c p", "y", mode="reflect")],
                         {"p": ints(0, 0, -1, -1, 0, 0, 0, 0)}, (2, 3, 3, 2), id="cropping"),
            pytest.param([node("Slice", "c a b d s", "y")],
                         {"a": ints(1, 1), "b": ints(2**62, 2**62), "d": ints(2, 3),
                          "s": ints(2, 2)}, (4, 3, 3, 2), id="every second element"),
            pytest.param([node("MaxPool", "c", "y", kernel_shape=[2, 2], strides=[2, 2])], {},
                         (4, 5, 5, 1), id="pool"),
            pytest.param([node("LpPool", "c", "y", kernel_shape=[2, 2])], {},
                         (2, 5, 5, 1), id="p-norm"),
            pytest.param([node("ConvTranspose", "c w", "y", strides=[2, 2], pads=[1] * 4)], {},
                         (1, 5, 5, 0), id="deconvolution"),
            pytest.param([node("Resize", "c - s", "y", mode="nearest",
                               coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
                         {"s": np.array([1, 1, 2, 2], np.float32)}, (1, 3, 3, -HALF),
                         id="repetition"),
            pytest.param([node("Resize", "c - s", "y", mode="linear",
                               coordinate_transformation_mode="asymmetric")],
                         {"s": np.array([1, 1, 2, 2], np.float32)}, (1, 5, 5, 0),
                         id="asymmetric linear"),
            pytest.param([node("DepthToSpace", "c", "y", blocksize=2)], {}, (1, 3, 3, -HALF),
                         id="depth to space"),
            pytest.param([node("SpaceToDepth", "c", "y", blocksize=2)], {}, (4, 5, 5, 1),
                         id="space to depth"),
            pytest.param([node("Crop", "c", "y", border=[1, 1, 0, 0])], {}, (2, 3, 3, 2),
                         id="experimental crop"),
            pytest.param([node("Gather", "c i", "g", axis=2), node("Gather", "g i", "y", axis=3)],
                         {"i": ints(0, 2, 4)}, (4, 3, 3, 0), id="every second element by gather"),
            pytest.param([node("Concat", "z c", "r", axis=2), node("Concat", "q r", "y", axis=3)],
                         {"z": [1, 4, 1, 8], "q": [1, 4, 9, 1]}, (2, 3, 3, -2),
                         id="padding by a constant put in front"),
        ],
    )  # fmt: skip
    def test_what_moves(
        self, nodes: Sequence[onnx.NodeProto], weights: dict[str, Any], expected: object
    ) -> None:
        """Stride, receptive field and centre, worked by hand."""
        opset = 1 if nodes[0].op_type == "Crop" else 17
        assert figures(field(after(*nodes, weights=weights, opset=opset))) == expected

    def test_backwards(self) -> None:
        """A step of -1 runs from the last of 8 elements, at pixel 14, to the first."""
        turned = after(
            node("Slice", "c a b d s", "y"), shape=KNOWN,
            weights={"a": ints(-1), "b": ints(-99), "d": ints(3), "s": ints(-1)},
        )  # fmt: skip
        rows, columns = fields(turned)
        assert [figures(rows)[0], figures(columns)[0]] == [2, -2]
        assert columns.centre == 14

    def test_maxima_put_back(self) -> None:
        """MaxUnpool of windows that tile puts each maximum back into the block it came from."""
        pooled = node("MaxPool", "c", "p i", kernel_shape=[2, 2], strides=[2, 2])
        back = node("MaxUnpool", "p i", "y", kernel_shape=[2, 2], strides=[2, 2])
        assert figures(field(after(pooled, back))) == (2, 5, 5, 0)

    def test_resize_by_sizes_that_are_known(self) -> None:
        """From 8 to 20 elements the stride is 2 * 8 / 20."""
        sized = node("Resize", "c - - z", "y", mode="linear")
        network = after(sized, shape=KNOWN, weights={"z": ints(1, 4, 20, 20)})
        assert field(network).stride == Fraction(4, 5)

    def test_resize_by_sizes_that_are_a_multiple(self) -> None:
        """Twice the size, computed as the model runs, is a scale of 2 whatever the size is."""
        network = after(
            node("Shape", "c", "s"), node("Mul", "s m", "t"),
            node("Resize", "c - - t", "y", mode="nearest"), weights={"m": ints(1, 1, 2, 2)},
        )  # fmt: skip
        assert figures(field(network)) == (1, 3, 3, -HALF)

    def test_one_element_stretched_is_everywhere(self) -> None:
        """A map of one element that is resized holds the same in all places."""
        network = after(
            node("AveragePool", "c", "p", kernel_shape=[8, 8]),
            node("Resize", "p - - z", "y", mode="linear"),
            shape=KNOWN, weights={"z": ints(1, 4, 8, 8)},
        )  # fmt: skip
        assert all(isinstance(axis, Whole) for axis in sights(network))


class TestWhole:
    """Operators after which an element sees all of an axis."""

    @pytest.mark.parametrize(
        ("nodes", "weights"),
        [
            pytest.param([node("GlobalAveragePool", "c", "y")], {}, id="global pool"),
            pytest.param([node("ReduceMax", "c", "y", axes=[2, 3])], {}, id="reduction"),
            pytest.param([node("GlobalMaxPool", "c", "p"), node("Conv", "p q", "y")],
                         {"q": [4, 4, 1, 1]}, id="and what follows it"),
        ],
    )  # fmt: skip
    def test_global_operators(
        self, nodes: Sequence[onnx.NodeProto], weights: dict[str, Any]
    ) -> None:
        """The receptive field has no end."""
        found = sights(after(*nodes, weights=weights))
        assert [type(axis) for axis in found] == [Whole, Whole]

    def test_a_gate_leaves_the_field(self) -> None:
        """Squeeze-and-excite: the gate sees the whole map, its product the field of the other."""
        network = after(
            node("GlobalAveragePool", "c", "p"), node("Sigmoid", "p", "g"), node("Mul", "c g", "y")
        )
        assert figures(field(network)) == (2, 3, 3, 0)

    def test_a_recurrence_runs_over_all_steps(self) -> None:
        """The second axis of X, batch, is not its time."""
        network = model(
            node("LSTM", "x w r", "y", hidden_size=2), inputs={"x": ["T", "N", 3]},
            weights={"w": [1, 8, 3], "r": [1, 8, 2]},
        )  # fmt: skip
        graph, seen = resolved(network)
        cells = seen.dims(graph.main, "y")
        assert [type(cell) for cell in cells] == [Whole, type(None), Field, type(None)]

    def test_attention_looks_everywhere_and_a_product_over_channels_does_not(self) -> None:
        """Positions by positions times positions: all; features times a constant: each its own."""
        network = model(
            node("MatMul", "x q", "k"), node("Transpose", "k", "t", perm=[0, 2, 1]),
            node("MatMul", "k t", "s"), node("Softmax", "s", "a", axis=-1),
            node("MatMul", "a k", "y"), inputs={"x": ["N", "L", 4]}, weights={"q": [4, 4]},
        )  # fmt: skip
        graph, seen = resolved(network)
        assert isinstance(seen.dims(graph.main, "k")[1], Field)
        assert [type(cell) for cell in seen.dims(graph.main, "s")[1:]] == [Field, Field]
        assert isinstance(seen.dims(graph.main, "y")[1], Whole)


class TestMeetings:
    """Maps that meet."""

    def test_branches_of_one_stride_make_a_union(self) -> None:
        """A residual block: the wide path counts, the narrow one is kept."""
        network = after(node("Conv", "c w", "d", pads=[1] * 4), node("Add", "d c", "y"))
        assert figures(field(network)) == (2, 7, 3, 0)
        assert resolved(network)[1].disagreements == ()

    def test_centres_that_differ_are_recorded(self) -> None:
        """An uneven deconvolution beside what it should meet: half a pixel apart, both told."""
        network = after(
            node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]),
            node("ConvTranspose", "p w", "d", strides=[2, 2], pads=[1] * 4, output_padding=[1, 1]),
            node("Concat", "d x", "y", axis=1),
        )
        graph, seen = resolved(network)
        rows, columns = seen.disagreements
        assert [rows.dim, columns.dim] == [2, 3]
        assert rows.inputs == ("d", "x")
        assert [each.centre for each in rows.fields] == [HALF, 0]
        assert seen.apart(graph.main.nodes[-1]) == (rows, columns)

    def test_slices_of_one_map_are_apart_on_purpose(self) -> None:
        """Focus, which is space to depth: every second row and column, four times."""
        steps = []
        for i, (row, column) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
            steps += [node("Slice", f"x s{row} e a2 two", f"r{i}"),
                      node("Slice", f"r{i} s{column} e a3 two", f"f{i}")]  # fmt: skip
        weights = {"s0": ints(0), "s1": ints(1), "e": ints(2**62), "a2": ints(2), "a3": ints(3),
                   "two": ints(2)}  # fmt: skip
        network = after(*steps, node("Concat", "f0 f1 f2 f3", "y", axis=1), weights=weights)
        assert figures(field(network)) == (2, 2, 1, HALF)
        assert resolved(network)[1].disagreements == ()
        mixed = after(*steps, node("Concat", "f0 f3 c", "y", axis=1), weights=weights)
        assert len(resolved(mixed)[1].disagreements) == 2

    def test_the_same_block_in_step_is_not_recorded(self) -> None:
        """The even kernel of 2 keeps the centre, and there is nothing to say."""
        network = after(
            node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]),
            node("ConvTranspose", "p v", "d", strides=[2, 2]),
            node("Concat", "d x", "y", axis=1), weights={"v": [4, 4, 2, 2]},
        )  # fmt: skip
        assert resolved(network)[1].disagreements == ()

    def test_strides_that_differ_are_recorded_and_unknown(self) -> None:
        """Maps of 25 and of 13 stretched to 25: the one has stride 2, the other 26 / 25 * 2."""
        network = after(
            node("MaxPool", "c", "p", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
            node("Resize", "p - - z", "r", mode="linear"), node("Add", "r c", "y"),
            shape=["N", 4, 50, 50], weights={"z": ints(1, 4, 25, 25)},
        )  # fmt: skip
        rows, _ = resolved(network)[1].disagreements
        assert [each.stride for each in rows.fields] == [Fraction(52, 25), 2]
        assert reason(network) == "Add 'y': maps of strides 52/25 and 2 meet"

    def test_a_single_element_is_broadcast_and_does_not_clash(self) -> None:
        """A pool over all 8 elements is a gate, though no global pool."""
        network = after(
            node("AveragePool", "c", "p", kernel_shape=[8, 8]), node("Mul", "c p", "y"), shape=KNOWN
        )
        assert figures(field(network)) == (2, 3, 3, 0)
        assert resolved(network)[1].disagreements == ()

    def test_what_is_unknown_stays_unknown(self) -> None:
        """A field plus what nothing is known of is not known."""
        network = after(node("NonZero", "c", "n"), node("Add", "c n", "y"))
        assert reason(network) == "NonZero 'n': it is an operator that is not followed"

    def test_maps_side_by_side_in_space(self) -> None:
        """Two maps after each other have no one field; a single one beside constants has."""
        network = after(node("Concat", "c c", "y", axis=2))
        rows, columns = sights(network)
        assert isinstance(rows, Unknown)
        assert rows.reason == "Concat 'y': maps stand side by side along it"
        assert isinstance(columns, Field)

    def test_two_images(self) -> None:
        """The image that enters first counts; the other's layers count for the period alone."""
        network = model(
            CONV, node("ConvTranspose", "z w", "u", strides=[2, 2], pads=[1, 1, 0, 0]),
            node("Add", "u c", "y"),
            inputs={"x": ALONG, "z": ["N", 4, "A", "B"]}, weights={"w": [4, 4, 3, 3]},
        )  # fmt: skip
        found = field(network)
        assert (found.origin.name, figures(found), found.period) == ("x", (2, 3, 3, 0), 2)
        graph, seen = resolved(network)
        assert seen.disagreements == ()
        assert seen.sources(graph.main, "y") == ("x", "z")
        assert seen.sources(graph.main, "u") == ("z",)


class TestSpace:
    """Which dimensions are space."""

    def test_channels_last(self) -> None:
        """An image of N, H, W, C that is transposed first, and last: space is 1 and 2."""
        network = model(
            node("Relu", "x", "r"), node("Transpose", "r", "t", perm=[0, 3, 1, 2]),
            node("Conv", "t w", "d", strides=[2, 2], pads=[1] * 4),
            node("Transpose", "d", "y", perm=[0, 2, 3, 1]),
            inputs={"x": ["N", "H", "W", 4]}, weights={"w": [4, 4, 3, 3]},
        )  # fmt: skip
        graph, seen = resolved(network)
        for name in ("r", "t", "d", "y"):
            axes = seen.at(graph.main, name)
            assert len(axes) == 2
            assert [axis.origin.dim for axis in axes if isinstance(axis, Field)] == [1, 2]
        assert figures(field(network)) == (2, 3, 3, 0)

    def test_a_channels_last_operator(self) -> None:
        """NhwcMaxPool of another domain moves along dimensions 1 and 2."""
        pool = node("NhwcMaxPool", "x", "y", domain="com.microsoft",
                    kernel_shape=[2, 2], strides=[2, 2])  # fmt: skip
        graph, seen = resolved(model(pool, inputs={"x": ["N", "H", "W", 3]}))
        assert [type(axis) for axis in seen.after(graph.layers[0])] == [Field, Field]
        assert [
            figures(each) for each in fields(model(pool, inputs={"x": ["N", "H", "W", 3]}))
        ] == [(2, 2, 2, HALF)] * 2

    def test_a_resize_of_channels_last(self) -> None:
        """Scales of rows and columns, and none of the last dimension: space is 1 and 2."""
        network = model(
            node("Resize", "x - s", "y", mode="nearest"), inputs={"x": ["N", "H", "W", 3]},
            weights={"s": np.array([1, 2, 2, 1], np.float32)},
        )  # fmt: skip
        assert [axis.origin.dim for axis in fields(network)] == [1, 2]
        assert [axis.stride for axis in fields(network)] == [HALF, HALF]

    @pytest.mark.parametrize(
        ("axes", "shape"),
        [
            pytest.param([2, 3], None, id="of an input without a shape"),
            pytest.param([-1, -2], ALONG, id="from the last, in another order"),
        ],
    )
    def test_a_resize_that_names_its_axes(
        self, axes: list[int], shape: list[str | int | None] | None
    ) -> None:
        """Scales stand where the axes attribute puts them."""
        network = model(
            node("Resize", "x - s", "y", mode="nearest", axes=axes), inputs={"x": shape},
            weights={"s": np.array([2, 2], np.float32)}, opset=18,
        )  # fmt: skip
        assert [(axis.origin.dim, axis.stride) for axis in fields(network)] == [
            (2, HALF),
            (3, HALF),
        ]

    def test_a_resize_by_axes_from_the_last_of_an_unknown_rank(self) -> None:
        """Which dimensions are meant is not known then."""
        network = model(
            node("Resize", "x - s", "y", mode="nearest", axes=[-2, -1]), inputs={"x": None},
            weights={"s": np.array([2, 2], np.float32)}, opset=18,
        )  # fmt: skip
        assert "count from the last dimension" in reason(network)

    def test_sound_and_volumes(self) -> None:
        """One axis and three are told as two are."""
        for rank in (1, 3):
            network = model(
                node("Conv", "x w", "y", strides=[2] * rank),
                inputs={"x": ["N", 4, *[None] * rank]}, weights={"w": [4, 4, *[3] * rank]},
            )  # fmt: skip
            assert [figures(each) for each in fields(network)] == [(2, 3, 3, 1)] * rank

    def test_an_input_of_unknown_rank(self) -> None:
        """The first layer tells it, and what met the image before knows it too."""
        network = model(
            node("Relu", "x", "r"), node("Conv", "r w", "d", pads=[1] * 4), node("Add", "r d", "y"),
            inputs={"x": None}, weights={"w": [4, 4, 3, 3]},
        )  # fmt: skip
        assert figures(field(network)) == (1, 3, 1, 0)
        flat = model(node("Transpose", "x", "y", perm=[1, 0]), inputs={"x": None})
        assert reason(flat) == "Transpose 'y': the rank of 'x' is unknown"

    def test_a_vector_folded_into_a_map_is_an_image(self) -> None:
        """A generator: figures refer to the map that the vector is folded into, and it says so."""
        network = model(
            node("Gemm", "z g", "f"), node("Reshape", "f s", "m"),
            node("ConvTranspose", "m w", "y", strides=[2, 2], pads=[1] * 4),
            inputs={"z": ["N", 8]},
            weights={"g": [8, 64], "s": ints(-1, 4, 4, 4), "w": [4, 4, 4, 4]},
        )  # fmt: skip
        found = field(network)
        assert (found.stride, found.receptive_field, found.period) == (HALF, 2, 2)
        assert found.origin.name == "m"
        assert not found.origin.is_input

    def test_an_image_reshaped_before_anything_looks_at_it(self) -> None:
        """A flat input becomes an image of rows and columns, and that is the image."""
        network = model(
            node("Reshape", "x s", "i"), node("Conv", "i w", "y"), inputs={"x": [1, 1960]},
            weights={"s": ints(1, 1, 49, 40), "w": [1, 1, 3, 3]},
        )  # fmt: skip
        assert field(network).origin.name == "i"

    def test_symbols_looked_up_in_a_table(self) -> None:
        """Text: a table of embeddings keeps the place of each symbol."""
        network = model(
            node("Gather", "table t", "e", axis=0), node("Transpose", "e", "m", perm=[0, 2, 1]),
            node("Conv", "m w", "y", strides=[2], pads=[2, 2]),
            inputs=[value("t", ["N", "L"], TensorProto.INT64)],
            weights={"table": [50, 4], "w": [4, 4, 5]},
        )  # fmt: skip
        (found,) = fields(network)
        assert (found.origin.name, found.origin.dim, figures(found)) == ("t", 1, (2, 5, 5, 0))

    def test_noise_made_inside_is_an_image(self) -> None:
        """A map that depends on no input is one to what follows."""
        network = model(
            node("RandomNormal", "", "n", shape=[1, 4, 8, 8]), node("Conv", "n w", "y"),
            inputs={"x": ALONG}, weights={"w": [4, 4, 3, 3]},
        )  # fmt: skip
        assert field(network).origin.name == "n"


class TestReshapes:
    """Reshapes, as far as sizes prove what they do."""

    @pytest.mark.parametrize(
        ("nodes", "weights", "shape"),
        [
            pytest.param([node("Reshape", "c s", "f"), node("Reshape", "f t", "y")],
                         {"s": ints(0, 0, -1), "t": ints(0, 4, 8, 8)}, KNOWN,
                         id="flat, and back, by sizes"),
            pytest.param([node("Reshape", "c s", "g"), node("InstanceNormalization", "g i i", "n"),
                          node("Shape", "c", "t"), node("Reshape", "n t", "y")],
                         {"s": ints(0, 2, -1), "i": [2]}, ALONG,
                         id="groups of channels, and back to a shape"),
            pytest.param([node("Reshape", "c s", "f"), node("Transpose", "f", "p", perm=[0, 2, 1]),
                          node("MatMul", "p q", "m"), node("LayerNormalization", "m i", "n"),
                          node("Transpose", "n", "t", perm=[0, 2, 1]), node("Reshape", "t r", "y")],
                         {"s": ints(0, 0, -1), "q": [4, 6], "i": [6], "r": ints(0, 6, 8, 8)}, KNOWN,
                         id="positions as a sequence"),
            pytest.param([node("Reshape", "c s", "g"),
                          node("Transpose", "g", "t", perm=[0, 2, 1, 3, 4]),
                          node("Reshape", "t r", "y")],
                         {"s": ints(0, 2, 2, 8, 8), "r": ints(0, 4, 8, 8)}, KNOWN,
                         id="shuffled channels"),
            pytest.param([node("Flatten", "c", "f"), node("Reshape", "f r", "y")],
                         {"r": ints(-1, 4, 8, 8)}, KNOWN, id="flattened, and back"),
        ],
    )  # fmt: skip
    def test_what_comes_back(
        self,
        nodes: Sequence[onnx.NodeProto],
        weights: dict[str, Any],
        shape: Sequence[str | int | None],
    ) -> None:
        """Axes that are merged and parted again are the axes they were."""
        assert figures(field(after(*nodes, weights=weights, shape=shape))) == (2, 3, 3, 0)

    def test_a_shuffle_spelled_out(self) -> None:
        """Reshape, Transpose, Reshape: the axes between are unknown, those after are known."""
        network = after(
            node("Reshape", "c s", "a"), node("Transpose", "a", "b", perm=[0, 1, 4, 2, 5, 3]),
            node("Reshape", "b t", "y"),
            shape=KNOWN, weights={"s": ints(0, 1, 2, 2, 8, 8), "t": ints(0, 1, 16, 16)},
        )  # fmt: skip
        found = field(network)
        assert figures(found)[:2] == (1, 3)
        assert found.period == 2

    def test_an_axis_cut_up_is_no_axis(self) -> None:
        """Windows of 4 by 4: what a Conv on them sees of the image is not told."""
        network = after(
            node("Reshape", "c s", "a"), node("Transpose", "a", "b", perm=[0, 2, 4, 1, 3, 5]),
            node("Reshape", "b t", "f"), node("Conv", "f w", "y"),
            shape=KNOWN, weights={"s": ints(0, 4, 2, 4, 2, 4), "t": ints(-1, 4, 4, 4)},
        )  # fmt: skip
        assert reason(network).startswith("Reshape 'a': it cuts up axes")

    def test_rows_and_columns_in_one(self) -> None:
        """A window over merged axes has no field along either."""
        network = after(
            node("Reshape", "c s", "f"), node("Conv", "f v", "y"),
            weights={"s": ints(0, 0, -1), "v": [4, 4, 3]},
        )  # fmt: skip
        assert reason(network) == "Conv 'y': several axes lie in one dimension"

    def test_order_is_not_taken_for_granted(self) -> None:
        """A planted fault: a transposed map reshaped to the shape it had is not the map it was."""
        network = after(
            node("Transpose", "c", "t", perm=[0, 2, 3, 1]), node("Shape", "c", "s"),
            node("Reshape", "t s", "y"),
        )  # fmt: skip
        assert "it cuts up axes" in reason(network)


class TestUnknown:
    """What is not known, and why."""

    @pytest.mark.parametrize(
        ("nodes", "weights", "expected"),
        [
            pytest.param([node("Shape", "x", "s"), node("Resize", "c - - s", "y")], {},
                         "Resize 'y': the scale is computed at run time",
                         id="a size that follows another map"),
            pytest.param([node("MaxPool", "c", "p i", kernel_shape=[3, 3], strides=[2, 2]),
                          node("MaxUnpool", "p i", "y", kernel_shape=[3, 3], strides=[2, 2])], {},
                         "MaxUnpool 'y': where its maxima lie depends on the map",
                         id="maxima of windows that overlap"),
            pytest.param([node("GridSample", "c g", "y")], {"g": [1, 8, 8, 2]},
                         "GridSample 'y': it is an operator that is not followed", id="sampling"),
            pytest.param([node("Mystery", "c", "m", domain="f"), node("Relu", "m", "y")], {},
                         "Mystery 'm': it is an operator that is not followed",
                         id="an operator nobody knows, and what follows"),
            pytest.param([node("Gather", "c i", "g", axis=2), node("Gather", "g i", "y", axis=3)],
                         {"i": ints(0, 3, 1)}, "Gather 'g': its elements are picked one by one",
                         id="picked rows"),
            pytest.param([node("Resize", "c - s", "y", mode="linear",
                               coordinate_transformation_mode="align_corners")],
                         {"s": np.array([1, 1, 2, 2], np.float32)},
                         "Resize 'y': align_corners depends on sizes that are unknown",
                         id="corners of an unknown size"),
        ],
    )  # fmt: skip
    def test_the_reason(
        self, nodes: Sequence[onnx.NodeProto], weights: dict[str, Any], expected: str
    ) -> None:
        """The node at which the trail was lost, and what is missing there."""
        found = sights(after(*nodes, weights=weights))
        first = found if isinstance(found, Unknown) else found[0]
        assert isinstance(first, Unknown)
        assert first.reason == expected

    @pytest.mark.parametrize(
        ("nodes", "what"),
        [
            pytest.param([node("Slice", "c a b d", "y")], "where it starts", id="slice"),
            pytest.param([node("Pad", "c p", "y")], "its pads are computed", id="padding"),
            pytest.param([node("Conv", "c w", "y", auto_pad="SAME_UPPER", strides=[2, 2])],
                         "its SAME padding", id="padding that follows the size"),
            pytest.param([node("ConvTranspose", "c w", "y", strides=[2, 2],
                               output_shape=[64, 64])],
                         "its padding follows from output_shape", id="output_shape"),
        ],
    )  # fmt: skip
    def test_a_place_that_is_unknown_leaves_the_rest(
        self, nodes: Sequence[onnx.NodeProto], what: str
    ) -> None:
        """Stride and receptive field are known all the same, centre and padding are not."""
        inputs = [value(name, shape) for name, shape in (("x", ALONG),)]
        inputs += [
            value(name, [n], TensorProto.INT64)
            for name, n in zip("abdp", (2, 2, 2, 8), strict=True)
        ]
        if nodes[0].op_type == "Slice":
            nodes = [node("Slice", "c a b axes", "y")]
        network = model(
            CONV, *nodes, inputs=inputs, weights={"w": [4, 4, 3, 3], "axes": ints(2, 3)}
        )
        found = field(network)
        assert found.centre is None
        assert what in found.adrift[0]
        assert found.receptive_field == {"Conv": 7, "ConvTranspose": 5}.get(nodes[0].op_type, 3)

    def test_a_scale_that_is_no_simple_fraction(self) -> None:
        """Thousands of phases tell nobody anything, and 1 it is not."""
        network = after(
            node("Resize", "c - s", "y"),
            weights={"s": np.array([1, 1, 1.0001, 1.0001], np.float32)},
        )
        assert "is no simple fraction" in reason(network)

    def test_same_padding_that_every_size_shares_is_known(self) -> None:
        """With stride 1, and with a kernel of 1 or 2 at stride 2, SAME begins where it begins."""
        for kernel, stride, centre in ((5, 1, 0), (1, 2, 0), (2, 2, 1)):
            same = node("Conv", "c v", "y", auto_pad="SAME_UPPER", strides=[stride] * 2)
            network = after(same, weights={"v": [4, 4, kernel, kernel]})
            assert field(network).centre == centre


class TestScopes:
    """Bodies and functions."""

    def test_a_body_sees_what_is_around_it(self) -> None:
        """Branches of an If that agree make a known output, and those inside are known."""
        branch = body(node("Conv", "c w", "b", pads=[1] * 4), out="b")
        choice = node("If", "q", "y", then_branch=branch, else_branch=body(
            node("Conv", "c v", "e"), out="e"))  # fmt: skip
        network = model(
            CONV, choice, inputs=[value("x", ALONG), value("q", [], TensorProto.BOOL)],
            weights={"w": [4, 4, 3, 3], "v": [4, 4, 1, 1]},
        )  # fmt: skip
        assert figures(field(network)) == (2, 7, 3, 0)
        graph, seen = resolved(network)
        inside = [layer for layer in graph.layers if layer.node.scope is not graph.main]
        assert [type(seen.after(layer)[0]) for layer in inside] == [Field, Field]

    def test_a_condition_that_sizes_decide(self) -> None:
        """The branch that cannot run, of another rank, does not count."""
        choice = node(
            "If", "q", "y", then_branch=body(node("Identity", "c", "t"), out="t"),
            else_branch=body(node("Flatten", "c", "e"), out="e"),
        )  # fmt: skip
        network = after(
            node("Shape", "c", "s"), node("Gather", "s one", "g"), node("Equal", "g four", "q"),
            choice, weights={"one": np.array(1), "four": np.array(4)},
        )  # fmt: skip
        assert figures(field(network)) == (2, 3, 3, 0)

    def test_loops_are_unknown(self) -> None:
        """What goes round in a Loop is not followed, and what comes out is unknown."""
        inner = body(
            node("Identity", "go", "on"), node("Conv", "v w", "b", pads=[1] * 4), out="on b",
            inputs=[value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL),
                    value("v")],
        )  # fmt: skip
        network = after(
            node("Loop", "n go c", "y", body=inner),
            weights={"n": np.array(3), "go": np.array(True)},
        )
        assert reason(network) == "Loop 'y': what goes round in it is not followed"

    def test_a_function_is_walked_for_each_call(self) -> None:
        """Two calls, one after the other: the second sees through the first."""
        block = function("Block", "a", "b", node("Conv", "a k", "b", pads=[1] * 4))
        block.input.append("k")
        network = model(
            CONV, node("Block", "c w", "d", domain="f"), node("Block", "d w", "y", domain="f"),
            inputs={"x": ALONG}, weights={"w": [4, 4, 3, 3]}, functions=[block],
        )  # fmt: skip
        assert figures(field(network)) == (2, 11, 11, 0)
        graph, seen = resolved(network)
        (inside,) = [layer for layer in graph.layers if layer.node.scope is not graph.main]
        (row, _) = seen.after(inside)
        assert isinstance(row, Unknown)
        assert row.reason == "it differs from call to call of the function"

    def test_a_function_called_once_is_known_inside(self) -> None:
        """Its layers have the fields of the call."""
        block = function("Block", "a k", "b", node("Conv", "a k", "b", pads=[1] * 4))
        network = model(
            CONV, node("Block", "c w", "y", domain="f"), inputs={"x": ALONG},
            weights={"w": [4, 4, 3, 3]}, functions=[block],
        )  # fmt: skip
        graph, seen = resolved(network)
        (inside,) = [layer for layer in graph.layers if layer.node.scope is not graph.main]
        assert [figures(axis) for axis in seen.after(inside) if isinstance(axis, Field)] == [
            (2, 7, 7, 0)
        ] * 2

    def test_a_function_that_nobody_calls_has_images_of_its_own(self) -> None:
        """Its inputs count as images."""
        block = function(
            "Block", "a k", "b", node("Conv", "a k", "b", strides=[2, 2], kernel_shape=[3, 3])
        )
        network = model(node("Relu", "x", "y"), inputs={"x": ALONG}, functions=[block])
        graph, seen = resolved(network)
        (inside,) = [layer for layer in graph.layers if layer.node.scope is not graph.main]
        (row, _) = seen.after(inside)
        assert isinstance(row, Field)
        assert (row.origin.name, int(row.stride)) == ("a", 2)

    def test_an_attribute_that_calls_differ_in(self) -> None:
        """The stride is a parameter: the layer cannot be read, and what follows says so."""
        strided = node("Conv", "a k", "b", kernel_shape=[3, 3])
        strided.attribute.append(ref("strides", "s", onnx.AttributeProto.INTS))
        block = function("Block", "a k", "b", strided, parameters=["s"])
        network = model(
            node("Block", "x w", "d", domain="f", s=[1, 1]),
            node("Block", "d w", "y", domain="f", s=[2, 2]),
            inputs={"x": ALONG}, weights={"w": [4, 4, 3, 3]}, functions=[block],
        )  # fmt: skip
        assert "strides is set by the callers" in reason(network)

    def test_nodes_out_of_order(self) -> None:
        """A file may list a node before what it reads."""
        network = after(node("Relu", "c", "y"))
        nodes = list(reversed(network.graph.node))
        del network.graph.node[:]
        network.graph.node.extend(nodes)
        assert figures(field(network)) == (2, 3, 3, 0)


class TestTheObject:
    """What the resolution offers."""

    def test_it_is_found_out_once(self) -> None:
        """The graph keeps it."""
        graph = graph_of(after(node("Relu", "c", "y")))
        assert resolution(graph) is resolution(graph)

    def test_layers_by_their_axes(self) -> None:
        """Before and after each layer, along the layer's own axes."""
        graph, seen = resolved(after(node("Relu", "c", "y")))
        (conv,) = graph.layers
        before, after_it = seen.before(conv), seen.after(conv)
        assert [figures(axis) for axis in before if isinstance(axis, Field)] == [(1, 1, 1, 0)] * 2
        assert [figures(axis) for axis in after_it if isinstance(axis, Field)] == [(2, 3, 3, 0)] * 2

    def test_what_is_no_map(self) -> None:
        """Constants, shapes and names nobody knows have no axes."""
        graph, seen = resolved(after(node("Shape", "c", "s"), node("Relu", "c", "y")))
        for name in ("w", "s", "nobody", ""):
            assert seen.at(graph.main, name) == ()

    def test_the_size_of_the_image(self) -> None:
        """A field refers to an input, whose size may be declared or bound."""
        graph, seen = resolved(after(node("Relu", "c", "y"), shape=["N", 4, 16, "W"]))
        rows, columns = seen.at(graph.main, "y")
        assert isinstance(rows, Field)
        assert isinstance(columns, Field)
        assert (seen.image_size(rows), seen.image_size(columns)) == (16, None)
