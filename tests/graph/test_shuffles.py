"""Pixel shuffles spelled out, against ONNX Runtime and the definition element by element."""

from collections.abc import Sequence
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxstride.graph.layers import Shuffle

from .building import Array, Shape, graph_of, law, model, node, random, run, runs

OPS = ["DepthToSpace", "SpaceToDepth"]
MODES = ["DCR", "CRD"]


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def chain(
    shape: Shape, split: Sequence[int], perm: Sequence[int], merged: Sequence[int]
) -> onnx.ModelProto:
    """Reshape, Transpose and Reshape."""
    return model(
        node("Reshape", "x s", "r"),
        node("Transpose", "r", "t", perm=list(perm)),
        node("Reshape", "t m", "y"),
        inputs={"x": shape},
        weights={"s": ints(*split), "m": ints(*merged)},
    )


def spelled(
    op: str, mode: str, blocks: Sequence[int], sizes: Sequence[int], *, ones: bool = True
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Shape, split, permutation and merged shape of a shuffle of 2 maps of 3 channels.

    ``sizes`` are those of the folded map; blocks of 1 get no dimension unless ``ones``.
    """
    rank = len(sizes)
    blocked = [i for i in range(rank) if ones or blocks[i] > 1]
    own = [blocks[i] for i in blocked]
    split = [2, *own, 3, *sizes] if mode == "DCR" else [2, 3, *own, *sizes]
    channel = 1 + len(own) if mode == "DCR" else 1
    perm = [0, channel]
    for i in range(rank):
        perm.append(2 + len(own) + i)
        if i in blocked:
            perm.append((1 if mode == "DCR" else 2) + blocked.index(i))
    folded = [2, 3 * prod(blocks), *sizes]
    unfolded = [2, 3, *(size * block for size, block in zip(sizes, blocks, strict=True))]
    if op == "DepthToSpace":
        return folded, split, perm, unfolded
    return unfolded, [split[i] for i in perm], [perm.index(i) for i in range(len(perm))], folded


def shuffled(x: Array, op: str, mode: str, blocks: Sequence[int]) -> Array:
    """The shuffle by its definition, phase by phase."""
    rank, count = len(blocks), prod(blocks)
    steps = [tuple(slice(r, None, b) for r, b in zip(phase, blocks, strict=True))
             for phase in product(*map(range, blocks))]  # fmt: skip
    if op == "SpaceToDepth":
        parts = [x[(slice(None), slice(None), *step)] for step in steps]
        stacked = np.stack(parts, axis=1 if mode == "DCR" else 2)
        return stacked.reshape(x.shape[0], -1, *stacked.shape[-rank:])
    channels = x.shape[1] // count
    sizes = [size * block for size, block in zip(x.shape[2:], blocks, strict=True)]
    y = np.zeros((x.shape[0], channels, *sizes), x.dtype)
    for r, step in enumerate(steps):
        own = slice(r * channels, (r + 1) * channels) if mode == "DCR" else slice(r, None, count)
        y[(slice(None), slice(None), *step)] = x[:, own]
    return y


def found(proto: onnx.ModelProto) -> tuple[str, tuple[int, ...], str] | None:
    """What the chain is recognised as; its node is the last, and it reads the model's input."""
    graph = graph_of(proto)
    assert (graph.faults, graph.skips) == ((), ())
    if not graph.layers:
        return None
    (layer,) = graph.layers
    assert isinstance(layer, Shuffle)
    assert (layer.input, layer.ref.outputs) == ("x", ("y",))
    return layer.op, layer.blocks, layer.mode


BLOCKS = [(2,), (3,), (2, 2), (3, 2), (1, 2), (2, 1), (2, 3, 2), (1, 2, 1), (2, 1, 3)]


class TestSpelledOut:
    """Three operators that are one."""

    @pytest.mark.parametrize("op", OPS)
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("blocks", BLOCKS, ids=str)
    @pytest.mark.parametrize("ones", [True, False], ids=["blocks of 1 written", "left out"])
    def test_is_recognised_as_what_it_computes(
        self, op: str, mode: str, blocks: tuple[int, ...], ones: bool
    ) -> None:
        """Any rank and block, either order of channels, in both directions."""
        shape, split, perm, merged = spelled(op, mode, blocks, (2, 5, 4)[: len(blocks)], ones=ones)
        proto = chain(shape, split, perm, merged)
        assert found(proto) == (op, blocks, mode)
        x = random(shape)
        assert np.array_equal(run(proto, {"x": x})[0], shuffled(x, op, mode, blocks))

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("block", [2, 3])
    def test_computes_what_the_operator_does(self, mode: str, block: int) -> None:
        """ONNX Runtime gives one result for both spellings, and both are one layer."""
        shape, split, perm, merged = spelled("DepthToSpace", mode, (block,) * 2, (3, 4))
        single = model(
            node("DepthToSpace", "x", "y", blocksize=block, mode=mode), inputs={"x": shape}
        )
        x = random(shape)
        (expected,) = run(single, {"x": x})
        assert np.array_equal(run(chain(shape, split, perm, merged), {"x": x})[0], expected)
        assert found(chain(shape, split, perm, merged)) == found(single)

    def test_the_operator_space_to_depth_is_dcr(self) -> None:
        """Blocks come before channels in the operator that has no mode."""
        shape, split, perm, merged = spelled("SpaceToDepth", "DCR", (2, 2), (3, 4))
        single = model(node("SpaceToDepth", "x", "y", blocksize=2), inputs={"x": shape})
        x = random(shape)
        (expected,) = run(single, {"x": x})
        assert np.array_equal(run(chain(shape, split, perm, merged), {"x": x})[0], expected)
        assert found(chain(shape, split, perm, merged)) == found(single)

    def test_the_exporter_of_pytorch_writes_it_so(self) -> None:
        """A PixelShuffle among onnx's own test models, and the output that comes with it."""
        folder = Path(onnx.__file__).parent / "backend/test/data/pytorch-converted"
        folder = folder / "test_PixelShuffle"
        graph = graph_of(onnx.load(folder / "model.onnx"))
        (layer,) = graph.layers
        assert isinstance(layer, Shuffle)
        assert (layer.op, layer.blocks, layer.mode) == ("DepthToSpace", (3, 3), "CRD")
        x, y = (
            onnx.numpy_helper.to_array(onnx.load_tensor(folder / f"test_data_set_0/{name}_0.pb"))
            for name in ("input", "output")
        )
        assert np.array_equal(y, shuffled(x, "DepthToSpace", "CRD", (3, 3)))

    @pytest.mark.parametrize(("op", "other"), [OPS, OPS[::-1]])
    @pytest.mark.parametrize(("mode", "wrong"), [MODES, MODES[::-1]])
    def test_the_definition_finds_faults(self, op: str, other: str, mode: str, wrong: str) -> None:
        """The same comparison accuses the other direction, the other mode and turned blocks."""
        shape, split, perm, merged = spelled(op, mode, (2, 4), (4, 4))
        x = random(shape)
        (y,) = run(chain(shape, split, perm, merged), {"x": x})
        assert np.array_equal(y, shuffled(x, op, mode, (2, 4)))
        assert not np.array_equal(y, shuffled(x, op, wrong, (2, 4)))
        assert not np.array_equal(y, shuffled(x, op, mode, (4, 2)))
        if x.shape[1] % 8 == 0:
            assert not np.array_equal(y, shuffled(x, other, mode, (2, 4)))

    def test_whatever_is_recognised_is_a_shuffle(self) -> None:
        """Of chains in sizes easily mistaken for each other, never a false one; some are true."""
        recognised: list[str] = []

        @settings(law, max_examples=200)
        @given(st.data())
        def holds(data: st.DataObject) -> None:
            shape, split, perm, merged = _almost_spelled(data)
            proto = chain(shape, split, perm, merged)
            claim = found(proto)
            if claim is None:
                return
            op, blocks, mode = claim
            x = np.arange(prod(shape), dtype=np.float32).reshape(shape)
            assert np.array_equal(run(proto, {"x": x})[0], shuffled(x, op, mode, blocks))
            recognised.append(op)

        holds()
        assert min(recognised.count(op) for op in OPS) >= 20

    def test_copies_in_between_do_not_matter(self) -> None:
        """Identity is looked through."""
        proto = model(
            node("Reshape", "x s", "r"),
            node("Identity", "r", "i"),
            node("Transpose", "i", "t", perm=[0, 1, 4, 2, 5, 3]),
            node("Identity", "t", "j"),
            node("Reshape", "j m", "y"),
            inputs={"x": [1, 8, 3, 4]},
            weights={"s": ints(1, 2, 2, 2, 3, 4), "m": ints(1, 2, 6, 8)},
        )
        assert found(proto) == ("DepthToSpace", (2, 2), "CRD")


def _almost_spelled(
    data: st.DataObject,
) -> tuple[list[int], list[int], list[int], list[int]]:
    """A spelled-out shuffle in small sizes, two of its dimensions swapped here and there."""
    rank = data.draw(st.integers(1, 3))
    small = st.lists(st.sampled_from([1, 2, 3]), min_size=rank, max_size=rank)
    op, mode = data.draw(st.sampled_from(OPS)), data.draw(st.sampled_from(MODES))
    drawn = spelled(op, mode, data.draw(small), data.draw(small), ones=data.draw(st.booleans()))
    for numbers in drawn:
        if data.draw(st.integers(0, 3)) == 0:
            i, j = data.draw(st.tuples(*[st.integers(0, len(numbers) - 1)] * 2))
            numbers[i], numbers[j] = numbers[j], numbers[i]
    return drawn


PERM = [0, 1, 4, 2, 5, 3]


class TestDynamicSizes:
    """As far as the sizes prove it."""

    @pytest.mark.parametrize(
        ("shape", "split", "merged"),
        [
            pytest.param([1, 12, 4, 6], [0, 3, 2, 2, 4, 6], [0, -1, 8, 12], id="copied batch"),
            pytest.param(["n", 12, 4, 6], [-1, 3, 2, 2, 4, 6], [-1, 3, 8, 12], id="any batch"),
            pytest.param([1, "c", 4, 6], [1, -1, 2, 2, 4, 6], [1, -1, 8, 12], id="any channels"),
            pytest.param([1, 12, 4, "w"], [1, 3, 2, 2, 4, -1], [1, 3, 8, -1], id="any width"),
            pytest.param(["n", 12, 4, 6], [0, 3, 2, 2, 4, 6], [0, 0, 8, 12], id="zeros copy"),
        ],
    )
    def test_constants_prove_it(
        self, shape: list[int | str], split: list[int], merged: list[int]
    ) -> None:
        """All sizes but one are enough: the elements are as many as before."""
        proto = chain(shape, split, PERM, merged)
        assert found(proto) == ("DepthToSpace", (2, 2), "CRD")
        x = random([size if isinstance(size, int) else 12 for size in shape])
        assert np.array_equal(run(proto, {"x": x})[0], shuffled(x, "DepthToSpace", "CRD", (2, 2)))

    @pytest.mark.parametrize(
        ("shape", "split", "merged"),
        [
            pytest.param(["n", 12, 4, "w"], [-1, 3, 2, 2, 4, 6], [-1, 3, 8, 12], id="two unknown"),
            pytest.param([1, 12, 4, "w"], [1, 3, 2, 2, 4, -1], [1, 3, -1, 12], id="another width"),
            pytest.param(None, [1, 3, 2, 2, 4, 6], [1, 3, 8, 12], id="nothing known"),
        ],
    )
    def test_what_is_not_proven_is_not_claimed(
        self, shape: Shape, split: list[int], merged: list[int]
    ) -> None:
        """It could be something else at some sizes."""
        assert found(chain(shape, split, PERM, merged)) is None

    @pytest.mark.parametrize("height", [3, 5])
    def test_sizes_computed_from_the_input(self, height: int) -> None:
        """Targets made of Shape, Gather, Mul and Div, as exporters write them."""
        proto = _computed("Mul")
        assert found(proto) == ("DepthToSpace", (2, 2), "CRD")
        x = random([2, 12, height, 4])
        assert np.array_equal(run(proto, {"x": x})[0], shuffled(x, "DepthToSpace", "CRD", (2, 2)))

    def test_sizes_computed_otherwise_prove_nothing(self) -> None:
        """Twice the height is the height of the result; its square is not."""
        assert found(_computed("Add")) is None

    def test_a_shape_that_is_an_input_proves_nothing(self) -> None:
        """The caller decides what the last Reshape makes."""
        inputs = [
            onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 12, 4, 6]),
            onnx.helper.make_tensor_value_info("m", onnx.TensorProto.INT64, [4]),
        ]
        proto = model(
            node("Reshape", "x s", "r"),
            node("Transpose", "r", "t", perm=PERM),
            node("Reshape", "t m", "y"),
            inputs=inputs,
            weights={"s": ints(1, 3, 2, 2, 4, 6)},
        )
        assert found(proto) is None


def _computed(double: str) -> onnx.ModelProto:
    """Every size read from the input; ``double`` says how height and width are made twice."""
    sizes = [node("Gather", f"shape i{i}", f"d{i}") for i in range(4)]
    return model(
        node("Shape", "x", "shape"),
        *sizes,
        node("Div", "d1 four", "c"),
        node("Concat", "d0 c two two d2 d3", "s", axis=0),
        node("Reshape", "x s", "r"),
        node("Transpose", "r", "t", perm=PERM),
        node("Slice", "shape two three zero", "h"),
        node(double, "h two", "h2"),
        node("Mul", "two d3", "w2"),
        node("Concat", "d0 c h2 w2", "m", axis=0),
        node("Reshape", "t m", "y"),
        inputs={"x": ["n", 12, "h", "w"]},
        weights={
            **{f"i{i}": ints(i) for i in range(4)},
            "zero": ints(0),
            "two": ints(2),
            "three": ints(3),
            "four": ints(4),
        },
    )


class TestLookAlikes:
    """Chains of the same three operators that are something else."""

    @pytest.mark.parametrize(
        ("shape", "split", "perm", "merged"),
        [
            pytest.param(
                [1, 8, 8, 3], [1, 2, 4, 2, 4, 3], [0, 1, 3, 2, 4, 5], [4, 4, 4, 3],
                id="windows become batches",
            ),
            pytest.param(
                [4, 4, 4, 3], [1, 2, 2, 4, 4, 3], [0, 1, 3, 2, 4, 5], [1, 8, 8, 3],
                id="batches become windows",
            ),
            pytest.param(
                [1, 3, 8, 8], [1, 3, 2, 4, 2, 4], [0, 2, 4, 3, 5, 1], [4, 16, 3],
                id="windows of tokens",
            ),
            pytest.param(
                [1, 3, 4, 4], [1, 3, 2, 2, 2, 2], [0, 3, 5, 1, 2, 4], [4, 3, 2, 2],
                id="space to batch",
            ),
            pytest.param(
                [1, 6, 4, 4], [1, 2, 3, 4, 4], [0, 2, 1, 3, 4], [1, 6, 4, 4],
                id="channels shuffled",
            ),
            pytest.param(
                [1, 4, 4, 12], [1, 4, 4, 2, 2, 3], [0, 1, 3, 2, 4, 5], [1, 8, 8, 3],
                id="channels last",
            ),
            pytest.param(
                [1, 12, 4, 6], [1, 3, 2, 2, 4, 6], [0, 1, 4, 3, 5, 2], [1, 3, 8, 12],
                id="blocks change places",
            ),
            pytest.param(
                [1, 12, 4, 6], [1, 2, 3, 2, 4, 6], [0, 2, 4, 1, 5, 3], [1, 3, 8, 12],
                id="channels between the blocks",
            ),
            pytest.param(
                [1, 12, 4, 6], [1, 3, 2, 2, 4, 6], PERM, [1, 3, 4, 24],
                id="merged across axes",
            ),
            pytest.param(
                [1, 12, 4, 6], [1, 3, 2, 2, 4, 6], PERM, [3, 1, 8, 12],
                id="channels become batches",
            ),
            pytest.param(
                [2, 12, 4, 4], [1, 3, 2, 2, 8, 4], PERM, [1, 3, 16, 8],
                id="split across dimensions",
            ),
            pytest.param(
                [1, 10, 16], [1, 10, 4, 4], [0, 1, 3, 2], [1, 10, 16], id="heads of attention",
            ),
            pytest.param(
                [1, 3, 4, 6], [1, 3, 1, 1, 4, 6], PERM, [1, 3, 4, 6], id="blocks of 1 alone",
            ),
            pytest.param([1, 12, 4], [12, 4], [1, 0], [1, 4, 12], id="two dimensions"),
        ],
    )  # fmt: skip
    def test_is_no_shuffle(
        self, shape: list[int], split: list[int], perm: list[int], merged: list[int]
    ) -> None:
        """The sizes or the order say so."""
        proto = chain(shape, split, perm, merged)
        assert runs(proto, {"x": random(shape)}) is not None
        assert found(proto) is None

    def test_a_cast_in_between_is_no_shuffle(self) -> None:
        """Another type of element is another map."""
        proto = model(
            node("Reshape", "x s", "r"),
            node("Cast", "r", "c", to=onnx.TensorProto.DOUBLE),
            node("Transpose", "c", "t", perm=PERM),
            node("Reshape", "t m", "y"),
            inputs={"x": [1, 8, 3, 4]},
            weights={"s": ints(1, 2, 2, 2, 3, 4), "m": ints(1, 2, 6, 8)},
        )
        assert found(proto) is None

    def test_sizes_must_fit(self) -> None:
        """A chain that no runtime can run is none either."""
        assert found(chain([1, 12, 4, 6], [1, 3, 2, 2, 4, 6], PERM, [1, 3, 8, 11])) is None
        assert found(chain([1, 11, 4, 6], [1, 3, 2, 2, 4, 6], PERM, [1, 3, 8, 12])) is None

    @pytest.mark.parametrize("perm", [[0, 0, 1, 2, 3, 4], [5], [0, 1, 2, 3, 4, 9]])
    def test_odd_permutations_are_no_shuffle(self, perm: list[int]) -> None:
        """What is wrong with a Transpose is not the Reshape's fault."""
        graph = graph_of(chain([1, 12, 4, 6], [1, 3, 2, 2, 4, 6], perm, [1, 3, 8, 12]))
        assert (graph.layers, graph.faults) == ((), ())

    def test_a_ring_of_copies_ends(self) -> None:
        """A cycle is a fault of the model, not a search without end."""
        proto = model(
            node("Identity", "b", "a"),
            node("Identity", "a", "b"),
            node("Reshape", "a m", "y"),
            weights={"m": ints(1, 2, 6, 8)},
        )
        graph = graph_of(proto)
        assert graph.layers == ()
        assert "cycle" in str(graph.faults)


class TestComputedSizes:
    """Limits of following a tensor of sizes."""

    def test_shared_products_are_followed_once(self) -> None:
        """Sixty doublings of a size have 2^60 paths, and one result."""
        doublings = [node("Mul", f"p{i} p{i}", f"p{i + 1}") for i in range(60)]
        proto = model(
            node("Shape", "x", "p0"),
            *doublings,
            node("Reshape", "x s", "r"),
            node("Transpose", "r", "t", perm=PERM),
            node("Reshape", "t p60", "y"),
            inputs={"x": ["n", 12, "h", "w"]},
            weights={"s": ints(1, 3, 2, 2, 4, 6)},
        )
        assert graph_of(proto).layers == ()
