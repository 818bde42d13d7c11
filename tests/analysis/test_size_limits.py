"""Which sizes are reported, how unknowns are named, and what is admitted not to be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from onnxstride.analysis.size_limits import LimitKind, SizeLimit, size_limits
from onnxstride.analysis.size_words import size_words
from onnxstride.analysis.sizes import InputSize, input_sizes
from onnxstride.geometry.size_sets import condition, only
from onnxstride.graph import Graph

from ..graph.building import body, graph_of, model, node, value

POOL = {"kernel_shape": [2], "strides": [2]}
HALVES = (
    node("MaxPool", "x", "down", **POOL),
    node("ConvTranspose", "down k", "up", **POOL),
    node("Concat", "x up", "y", axis=1),
)
K = {"k": [1, 1, 2]}


def limits(graph: Graph) -> list[SizeLimit]:
    """Every limit of a graph, by whatever subject it is reported with."""
    subjects = {layer.node: layer for layer in (*graph.layers, *graph.merges)}
    return [limit for layer in subjects.values() for limit in size_limits(graph, layer)]


def halving(shape: Sequence[int | str | None]) -> onnx.ModelProto:
    """A net on one axis that halves and doubles: sizes must be even."""
    return model(*HALVES, inputs={"x": shape}, weights=K)


def sizes_of(proto: onnx.ModelProto) -> dict[str, str]:
    """The set of each unknown, by what the unknown is called."""
    found = input_sizes(graph_of(proto)).inputs
    return {size.name: condition(size.sizes, "it") for size in found}


def kinds(
    proto: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> list[LimitKind]:
    return [limit.kind for limit in limits(graph_of(proto, shapes))]


def square(*shape: int | str | None) -> onnx.ModelProto:
    """The same in two dimensions."""
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    return model(
        node("MaxPool", "x", "down", **window),
        node("ConvTranspose", "down k", "up", **window),
        node("Concat", "x up", "y", axis=1),
        inputs={"x": shape},
        weights={"k": [1, 1, 2, 2]},
    )


class TestUnknowns:
    """What counts as one unknown size, and what it is called."""

    def test_symbols_name_them(self) -> None:
        """A symbol is the name; one that stands twice is one unknown."""
        assert sizes_of(square(1, 1, "rows", "columns")) == {
            "rows": "it % 2 == 0",
            "columns": "it % 2 == 0",
        }
        assert sizes_of(square(1, 1, "side", "side")) == {"side": "it % 2 == 0"}

    def test_places_name_them_otherwise(self) -> None:
        """Unnamed dimensions are H and W, or L where there is one, each an unknown of its own."""
        assert list(sizes_of(square(1, 1, None, None))) == ["H", "W"]
        assert list(sizes_of(halving([1, 1, None]))) == ["L"]

    def test_a_letter_that_is_taken_is_not_used(self) -> None:
        """Where H could mean two sizes, the input and its dimension name them."""
        proto = model(
            node("MaxPool", "a", "b", **POOL),
            node("MaxPool", "x", "y", **POOL),
            inputs={"a": [1, 1, None], "x": [1, 1, None]},
            out="b y",
        )
        assert list(sizes_of(proto)) == ["a[2]", "x[2]"]

    def test_batch_and_channels_are_none(self) -> None:
        """Sizes that no layer treats as space are not spoken of."""
        assert list(sizes_of(halving(["N", 1, "L"]))) == ["L"]

    def test_an_input_of_unknown_rank_gets_its_rank_from_the_layer(self) -> None:
        """The dimensions of such an input are unknowns as well."""
        proto = model(*HALVES, inputs=[value("x")], weights=K)
        assert sizes_of(proto) == {"L": "it % 2 == 0"}

    def test_inputs_that_meet_are_one_unknown(self) -> None:
        """Maps that are put side by side must be of one size, so they are solved together."""
        proto = model(
            node("Concat", "a b", "x", axis=1),
            node("MaxPool", "x", "down", **POOL),
            node("ConvTranspose", "down k", "up", **POOL),
            node("Concat", "x up", "y", axis=1),
            inputs={"a": [1, 1, "one"], "b": [1, 1, "other"]},
            weights={"k": [2, 2, 2]},
        )
        (size,) = input_sizes(graph_of(proto)).inputs
        assert size.name == "one = other"
        assert [at.input for at in size.dims] == ["a", "b"]
        assert condition(size.sizes, "it") == "it % 2 == 0"


class TestLimits:
    """What is reported, and how gravely."""

    def test_an_open_size_is_restricted(self) -> None:
        """Only some sizes fit: that is said once, with every size that is limited alike."""
        (limit,) = limits(graph_of(square(1, 1, "H", "W")))
        assert limit.kind is LimitKind.RESTRICTED
        assert [size.name for size in limit.sizes] == ["H", "W"]
        assert limit.node.op_type == "Concat"

    @pytest.mark.parametrize(("size", "expected"), [(30, []), (31, [LimitKind.MISFIT])])
    def test_a_fixed_size_fits_or_does_not(self, size: int, expected: list[LimitKind]) -> None:
        """Whether the file fixes the size or the caller gives it."""
        assert kinds(halving([1, 1, size])) == expected
        assert kinds(halving([1, 1, "L"]), {"x": (1, 1, size)}) == expected

    def test_an_open_and_a_fixed_size(self) -> None:
        """One is restricted, the other a misfit: two findings."""
        assert kinds(square(1, 1, "H", 31)) == [LimitKind.RESTRICTED, LimitKind.MISFIT]
        assert kinds(square(1, 1, "H", 32)) == [LimitKind.RESTRICTED]

    def test_a_minimum_is_no_limit(self) -> None:
        """A window has to fit, of course."""
        assert kinds(model(node("MaxPool", "x", "y", kernel_shape=[5]),
                           inputs={"x": [1, 1, "L"]})) == []  # fmt: skip

    def test_merges_that_never_fit(self) -> None:
        """A map that lost two elements meets one that did not: no size helps."""
        proto = model(
            node("Conv", "x k", "c", kernel_shape=[3]),
            node("Add", "x c", "y"),
            inputs={"x": [1, 1, "L"]},
            weights={"k": [1, 1, 3]},
        )
        (limit,) = limits(graph_of(proto))
        assert limit.kind is LimitKind.IMPOSSIBLE
        assert limit.sizes[0].stretched == (3,)

    def test_sizes_that_two_places_want_differently(self) -> None:
        """An even size here, an odd one there: each place could be met, both cannot."""
        proto = model(
            *HALVES[:2],
            node("Add", "x up", "even"),
            node("Conv", "even c", "small", kernel_shape=[3], strides=[2], pads=[1, 1]),
            node("ConvTranspose", "small c", "large", kernel_shape=[3], strides=[2], pads=[1, 1]),
            node("Add", "even large", "y"),
            inputs={"x": [1, 1, "L"]},
            weights={**K, "c": [1, 1, 3]},
        )
        (limit,) = limits(graph_of(proto))
        assert limit.kind is LimitKind.IMPOSSIBLE
        words = size_words(limit)
        assert "it % 2 == 0" in words
        assert "it % 2 == 1" in words

    def test_maps_made_of_no_image(self) -> None:
        """A decoder of a latent vector has no size to choose: what differs never fits."""
        proto = model(
            node("ConvTranspose", "z k", "a", kernel_shape=[2]),
            node("ConvTranspose", "z c", "b", kernel_shape=[3]),
            node("Concat", "a b", "y", axis=1),
            inputs={"z": ["N", 1, 1]},
            weights={**K, "c": [1, 1, 3]},
        )
        (limit,) = limits(graph_of(proto))
        assert limit.kind is LimitKind.IMPOSSIBLE
        assert "at L = 1 they are 2 and 3 long" in size_words(limit)

    def test_a_pair_of_fixed_sizes(self) -> None:
        """14 by 14 fits the matrix behind it, 14 by 16 does not, 2 by 98 does."""
        proto = model(
            node("MaxPool", "x", "down", kernel_shape=[2, 2], strides=[2, 2]),
            node("Flatten", "down", "flat"),
            node("MatMul", "flat w", "y"),
            inputs={"x": [1, 1, "H", "W"]},
            weights={"w": [49, 3]},
        )
        assert kinds(proto) == [LimitKind.RESTRICTED]
        for height, width, expected in ((14, 14, []), (14, 16, [LimitKind.MISFIT]), (2, 98, [])):
            assert kinds(proto, {"x": (1, 1, height, width)}) == expected

    def test_a_node_that_is_no_layer_finds_a_layer_to_speak_for_it(self) -> None:
        """A limit at a MatMul is reported once, with the first layer, but names the MatMul."""
        proto = model(
            node("MaxPool", "x", "down", **POOL),
            node("Flatten", "down", "flat"),
            node("MatMul", "flat w", "y"),
            inputs={"x": [1, 1, "L"]},
            weights={"w": [7, 3]},
        )
        graph = graph_of(proto)
        (limit,) = size_limits(graph, graph.layers[0])
        assert limit.node.op_type == "MatMul"
        assert limit.sizes[0].sizes == only([14, 15])


class TestDoubts:
    """What cannot be proven is said to be unproven, with what is certain all the same."""

    def only(self, proto: onnx.ModelProto) -> InputSize:
        (size,) = input_sizes(graph_of(proto)).inputs
        return size

    def test_an_operator_nobody_knows(self) -> None:
        """A map of unknown size meets one of known size."""
        proto = model(
            *HALVES,
            node("Strange", "x", "s", domain="com.microsoft"),
            node("Conv", "y c", "y2", kernel_shape=[1]),
            node("Concat", "s y2", "z", axis=1),
            inputs={"x": [1, 1, "L"]},
            weights={**K, "c": [1, 2, 1]},
            values=[value("s", [1, 1, None])],
            out="z",
        )
        found = limits(graph_of(proto))
        assert [limit.kind for limit in found] == [LimitKind.RESTRICTED, LimitKind.UNPROVEN]
        assert "not followed" in size_words(found[1])
        assert "L % 2 == 0" in size_words(found[1])

    def test_a_scale_that_float32_rounds(self) -> None:
        """27 times 7/3 is 62: what fits is tried up to 4096, and not claimed beyond."""
        proto = model(
            node("MaxPool", "x", "down", kernel_shape=[1]),
            node("Resize", "down - s", "a"),
            node("Resize", "down - t", "b"),
            node("Resize", "b - u", "c"),
            node("Concat", "a c", "y", axis=1),
            inputs={"x": [1, 1, "L"]},
            weights={
                "s": np.array([1, 1, 7 / 3], np.float32),
                "t": np.array([1, 1, 7], np.float32),
                "u": np.array([1, 1, 1 / 3], np.float32),
            },
        )
        size = self.only(proto)
        assert "float32" in size.unproven[0].reason
        assert size.tried is not None
        assert 27 not in size.tried
        assert 3 in size.tried

    def test_a_branch_that_may_not_be_taken(self) -> None:
        """What only one branch of an If requires is no requirement, but no secret either."""
        proto = model(
            node("MaxPool", "x", "down", **POOL),
            node("If", "q", "y",
                 then_branch=body(*HALVES[1:2], node("Concat", "x up", "a", axis=1), out="a"),
                 else_branch=body(node("Concat", "x x", "b", axis=1), out="b")),
            inputs=[value("x", [1, 1, "L"]), value("q", [], TensorProto.BOOL)],
            weights=K,
        )  # fmt: skip
        size = self.only(proto)
        assert condition(size.sizes, "L") == "L >= 2"
        assert "need not be taken" in size.unproven[0].reason

    def test_what_goes_round_in_a_loop(self) -> None:
        """A map that comes out of a Loop is of unknown size; it counts where it meets another."""
        inner = body(
            node("Identity", "go", "on"), node("Identity", "v", "w"), out="on w",
            inputs=[value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL),
                    value("v")],
        )  # fmt: skip
        proto = model(
            node("MaxPool", "x", "down", kernel_shape=[1]),
            node("Loop", "n go down", "l", body=inner),
            node("Concat", "x l", "y", axis=1),
            inputs={"x": [1, 1, "L"]},
            weights={"n": np.array(3), "go": np.array(True)},
        )
        assert "Loop" in self.only(proto).unproven[0].reason

    def test_a_number_of_detections_is_nobodys_doubt(self) -> None:
        """What values decide has nothing to do with input sizes."""
        proto = model(
            node("MaxPool", "x", "down", **POOL),
            node("NonZero", "down", "where"),
            node("Cast", "where", "places", to=1),
            node("Concat", "places places", "y", axis=0),
            inputs={"x": [1, 1, "L"]},
        )
        assert not self.only(proto).unproven


class TestWords:
    """Messages stay short whatever the model calls things."""

    def test_long_names_and_many_sizes(self) -> None:
        """Five inputs with names of ninety characters make messages of 400 characters at most."""
        names = [f"{'a_very_long_symbol_' * 5}{i}" for i in range(5)]
        pools = [node("MaxPool", f"x{i}", f"d{i}", **POOL) for i in range(5)]
        ups = [node("ConvTranspose", f"d{i} k", f"u{i}", **POOL) for i in range(5)]
        merged = [node("Concat", f"x{i} u{i}", f"y{i}", axis=1) for i in range(5)]
        proto = model(
            *pools, *ups, *merged,
            inputs={f"x{i}": [1, 1, name] for i, name in enumerate(names)},
            out="y0 y1 y2 y3 y4",
            weights=K,
        )  # fmt: skip
        cube = {"kernel_shape": [2] * 3, "strides": [2] * 3}
        whole = model(
            node("MaxPool", "x", "down", **cube),
            node("ConvTranspose", "down k", "up", **cube),
            node("Concat", "x up", "y", axis=1),
            inputs={"x": [1, 1, *names[:3]]},
            weights={"k": [1, 1, 2, 2, 2]},
        )
        for limit in (*limits(graph_of(proto)), *limits(graph_of(whole))):
            words = size_words(limit)
            assert len(words) <= 400
            assert words.endswith(".")

    def test_many_residues(self) -> None:
        """A long list of residues is cut short."""
        proto = model(
            node("Resize", "x - s", "a"),
            node("Resize", "a - t", "b"),
            node("Concat", "x b", "y", axis=1),
            inputs={"x": [1, 1, "L"]},
            weights={
                "s": np.array([1, 1, 13 / 97], np.float32),
                "t": np.array([1, 1, 97 / 13], np.float32),
            },
        )
        for limit in limits(graph_of(proto)):
            assert len(size_words(limit)) <= 400

    def test_the_nearest_sizes_are_named(self) -> None:
        """Whoever fixed a size learns which are next to it."""
        (limit,) = limits(graph_of(halving([1, 1, 31])))
        assert size_words(limit).endswith("Nearest to 31: 30 and 32.")

    def test_stretching_is_named(self) -> None:
        """A size that runs all the same is called what it is."""
        proto = model(
            node("Conv", "x k", "small", kernel_shape=[3], strides=[3], pads=[1, 1]),
            node("Resize", "small - s", "up"),
            node("Add", "x up", "y"),
            inputs={"x": [1, 1, "L"]},
            weights={"k": [1, 1, 3], "s": np.array([1, 1, 3], np.float32)},
        )
        (limit,) = limits(graph_of(proto))
        assert "L in {1} runs all the same" in size_words(limit)
        (limit,) = limits(graph_of(proto, {"x": (1, 1, 1)}))
        assert "only because size 1 is stretched" in size_words(limit)
