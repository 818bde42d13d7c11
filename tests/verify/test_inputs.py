"""Feeds that are made up, and the sizes they are tried at."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxstride.errors import UsageError
from onnxstride.modelfile import parse_text
from onnxstride.verify import Input, Kind, make_feed, read_inputs
from onnxstride.verify.sizes import in_words, trials

IMAGE = Input("x", "float32", ("N", 3, "H", "W"))
FLOATS = ["float16", "bfloat16", "float32", "float64"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def feed(item: Input, kind: Kind = Kind.MIXED, seed: int = 0, **sizes: int) -> Any:
    """The values made up for one input."""
    return make_feed([item], sizes, seed, kind)[item.name]


class TestInputs:
    def test_they_are_read_as_declared(self) -> None:
        """Initializers are no inputs, whether or not they are listed as such."""
        text = """
            net (float[N,3,H,8] x, float16[2] h, bool b, float[4] w) => (float[N] y)
            <float[4] w = {1,2,3,4}> { y = Identity (x) }"""
        inputs = read_inputs(parse_text(text).proto.graph)
        assert inputs == (
            Input("x", "float32", ("N", 3, "H", 8)),
            Input("h", "float16", (2,)),
            Input("b", "bool", ()),
        )

    def test_sizes_that_are_not_named(self) -> None:
        """Every one has a symbol of its own."""
        graph = parse_text("net (float[N,3] x) => (float[N] y) { y = Identity (x) }").proto.graph
        del graph.input[0].type.tensor_type.shape.dim[0]
        graph.input[0].type.tensor_type.shape.dim.add()
        assert read_inputs(graph)[0].dims == (3, "x[1]")
        graph.input[0].type.tensor_type.ClearField("shape")
        assert "--input-shape" in read_inputs(graph)[0].problem


class TestFeeds:
    @settings(max_examples=80, deadline=None)
    @given(
        shape=st.lists(st.integers(0, 5), max_size=5),
        dtype=st.sampled_from([*FLOATS, *INTEGERS, "bool"]),
        kind=st.sampled_from(Kind),
        seed=st.integers(0, 10),
    )
    def test_any_shape_of_any_type(
        self, shape: list[int], dtype: str, kind: Kind, seed: int
    ) -> None:
        """A feed has the shape and type asked for, is finite, and follows from its seed."""
        item = Input("x", dtype, tuple(shape))
        values = feed(item, kind, seed)
        assert values.shape == tuple(shape)
        assert values.dtype.name == dtype
        assert np.isfinite(values.astype(np.float64)).all()
        assert values.tobytes() == feed(item, kind, seed).tobytes()

    @pytest.mark.parametrize("dtype", FLOATS)
    def test_mixed_has_both_signs_and_strong_borders(self, dtype: str) -> None:
        """Along every border values stand out, more so in the corners, and one in each channel."""
        values = feed(Input("x", dtype, (2, 3, 16, 12))).astype(np.float64)
        inner = values[..., 1:-1, 1:-1]
        assert (inner > 0).any()
        assert (inner < 0).any()
        for border in (values[..., 0, :], values[..., -1, :], values[..., 0], values[..., -1]):
            assert np.isin(np.abs(border), [4, 8, 16]).all()
            assert (border > 0).any()
            assert (border < 0).any()
        for corner in (values[..., 0, 0], values[..., 0, -1], values[..., -1, 0]):
            assert (np.abs(corner) >= 8).all()
        assert (np.abs(values).max(axis=(2, 3)) == 16).all()

    def test_negative_is_below_zero(self) -> None:
        """Everywhere."""
        assert (feed(IMAGE, Kind.NEGATIVE, N=1, H=9, W=9) < 0).all()

    def test_sparse_is_zero_but_for_impulses(self) -> None:
        """Four corners and one more value in every channel at most."""
        values = feed(IMAGE, Kind.SPARSE, N=2, H=9, W=9)
        counts = np.count_nonzero(values, axis=(2, 3))
        assert ((counts >= 4) & (counts <= 5)).all()

    def test_seeds_kinds_and_names_differ(self) -> None:
        """No two feeds are the same."""
        made = [
            feed(Input(name, "float32", (4, 4)), kind, seed).tobytes()
            for name in "xy"
            for kind in Kind
            for seed in range(3)
        ]
        assert len(set(made)) == len(made)

    def test_integers_stay_in_range(self) -> None:
        """Bytes take all their values, others could be indices."""
        assert np.unique(feed(Input("x", "uint8", (10_000,)))).size == 256
        values = feed(Input("x", "int64", (10_000,)))
        assert (values.min(), values.max()) == (0, 7)

    def test_one_symbol_has_one_size(self) -> None:
        """In all inputs, whatever the axis."""
        other = Input("m", "bool", ("W", "N"))
        made = make_feed([IMAGE, other], {"N": 2, "H": 5, "W": 7}, 0, Kind.MIXED)
        assert made["x"].shape == (2, 3, 5, 7)
        assert made["m"].shape == (7, 2)

    @pytest.mark.parametrize(
        "item",
        [
            pytest.param(Input("x", "float32", (2**62, 2)), id="absurd"),
            pytest.param(Input("x", "float32", (2**20, 2**20)), id="too big"),
            pytest.param(Input("x", "string", (1,), "strings"), id="no values"),
        ],
    )
    def test_what_cannot_be_made(self, item: Input) -> None:
        """Is refused before any memory is taken."""
        with pytest.raises(UsageError, match=r"--input-shape|--data"):
            feed(item)


class TestSizes:
    def test_an_image(self) -> None:
        """Unequal even sizes with a batch of 2, unequal odd ones with 1, the smallest."""
        even, odd, minimal = trials([IMAGE])
        assert even.candidates[0] == {"N": 2, "H": 64, "W": 48}
        assert odd.candidates[0] == {"N": 1, "H": 33, "W": 47}
        assert minimal.candidates[0] == {"N": 1, "H": 1, "W": 1}
        assert {"N": 1, "H": 224, "W": 224} in minimal.candidates

    @pytest.mark.parametrize(
        ("dims", "names"),
        [
            pytest.param((1, 3, 8, 8), ["declared"], id="nothing open"),
            pytest.param(("N", 3, 8, 8), ["batch of 2", "batch of 1"], id="the batch"),
            pytest.param(("N", "C", "H", "W"), ["even", "odd", "minimal"], id="everything"),
            pytest.param(("N", "T"), ["even", "odd", "minimal"], id="rows of any length"),
            pytest.param((1, "H", "W", 3), ["even", "odd", "minimal"], id="channels last"),
        ],
    )
    def test_what_is_open_is_tried(self, dims: tuple[int | str, ...], names: list[str]) -> None:
        """Every candidate has a size for every symbol."""
        found = trials([Input("x", "float32", dims)])
        assert [trial.name for trial in found] == names
        symbols = {dim for dim in dims if isinstance(dim, str)}
        for trial in found:
            assert all(set(sizes) == symbols for sizes in trial.candidates)
            assert len({in_words(sizes) for sizes in trial.candidates}) == len(trial.candidates)

    def test_open_channels(self) -> None:
        """Colour first, then grey."""
        even = trials([Input("x", "float32", ("N", "C", "H", "W"))])[0]
        assert [sizes["C"] for sizes in even.candidates[:2]] == [3, 1]

    def test_sizes_asked_for(self) -> None:
        """One trial each, with the batches in turn."""
        found = trials([IMAGE], (32, 33))
        assert [trial.candidates[0] for trial in found] == [
            {"N": 2, "H": 32, "W": 32},
            {"N": 1, "H": 33, "W": 33},
        ]
        with pytest.raises(UsageError, match="--sizes"):
            trials([Input("x", "float32", ("N", 3))], (32,))

    def test_single_layers_are_tried_small(self) -> None:
        """And larger where they do not accept that."""
        even = trials([IMAGE], small=True)[0]
        assert even.candidates[0] == {"N": 2, "H": 16, "W": 12}
        assert {"N": 2, "H": 64, "W": 48} in even.candidates
