"""Admissible sizes of whole models against ONNX Runtime, size by size."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxstride.analysis.size_limits import LimitKind, SizeLimit, size_limits
from onnxstride.analysis.sizes import InputSize, InputSizes, input_sizes
from onnxstride.geometry.size_sets import SizeSet, condition
from onnxstride.graph import Graph

from ..graph.building import graph_of, law
from .nets import Net, Op, conv, deconv, pool, same, scale, sizes_that_run, unet

NETS = {
    "four pools, deconvolutions k2": (unet(4, [pool(2, 2)], [deconv(2, 2)]), "W % 16 == 0"),
    "conv k3 s2 p1, deconvolutions k4 p1": (
        unet(3, [conv(3, 2, 1)], [deconv(4, 2, 1)]),
        "W % 8 == 0",
    ),
    "the same, deconvolutions k3 p1 with output padding": (
        unet(3, [conv(3, 2, 1)], [deconv(3, 2, 1, 1)]),
        "W % 8 == 0",
    ),
    "the same without output padding": (
        unet(3, [conv(3, 2, 1)], [deconv(3, 2, 1)]),
        "W % 8 == 1",
    ),
    "by three": (unet(2, [pool(3, 3)], [scale(3.0)]), "W % 9 == 0"),
    "by two, then by three": (
        Net(((pool(2, 2),), (pool(3, 3),)), ((scale(3.0),), (scale(2.0),))),
        "W % 6 == 0",
    ),
    "pools that round up": (unet(2, [pool(2, 2, ceil_mode=True)], [scale(2.0)]), "W % 4 == 0"),
    "convolutions without padding": (unet(2, [conv(3), pool(2, 2)], [scale(2.0)]), "no W"),
    "a pool and a convolution without padding, undone by k6": (
        unet(1, [pool(2, 2), conv(3)], [deconv(6, 2)]),
        "W % 2 == 0, at least 6",
    ),
    "two thirds and back": (unet(1, [scale(2 / 3)], [scale(1.5)]), "W % 3 == 0"),
    "padding left to the runtime": (unet(3, [same(3, 2)], [scale(2.0)]), "W % 8 == 0"),
    "two thirds and back, added": (unet(1, [scale(2 / 3)], [scale(1.5)], "Add"), "W % 3 == 0"),
    "thirds that round up, added": (
        unet(1, [conv(3, 3, 1)], [scale(3.0)], "Add"),
        "W % 3 == 0",
    ),
}


def only(found: InputSizes) -> InputSize:
    (size,) = found.inputs
    return size


def found_in(proto: onnx.ModelProto) -> InputSize:
    return only(input_sizes(graph_of(proto)))


def limits(graph: Graph) -> list[SizeLimit]:
    """Every limit of a graph, by whatever subject it is reported with."""
    subjects = {layer.node: layer for layer in (*graph.layers, *graph.merges)}
    return [limit for layer in subjects.values() for limit in size_limits(graph, layer)]


def span(sizes: SizeSet) -> range:
    """Two periods and more."""
    return range(1, sizes.start + 2 * sizes.period + 20)


class TestEncodersAndDecoders:
    """Shapes of encoder and decoder whose sizes are known, and what ONNX Runtime takes."""

    @pytest.mark.parametrize(("net", "words"), NETS.values(), ids=NETS)
    def test_the_set_is_what_runs(self, net: Net, words: str) -> None:
        """Over two periods, ONNX Runtime runs the admissible sizes and those it stretches for."""
        size = found_in(net.model())
        assert condition(size.sizes, "W") == words
        assert not size.unproven
        admitted = {each for each in span(size.sizes) if each in size.sizes}
        assert admitted | {*size.stretched} == sizes_that_run(net.model(), span(size.sizes))

    @pytest.mark.parametrize("net", [net for net, _ in NETS.values()], ids=NETS)
    def test_a_fixed_size_is_judged_alike(self, net: Net) -> None:
        """The same net with its size fixed is a misfit at exactly the sizes outside the set."""
        size = found_in(net.model())
        for each in range(max(1, size.sizes.smallest or 8), (size.sizes.smallest or 8) + 19):
            kinds = [limit.kind for limit in limits(graph_of(net.model(each)))]
            outside = LimitKind.IMPOSSIBLE if size.sizes.is_empty else LimitKind.MISFIT
            assert kinds == ([] if each in size.sizes else [outside]), each

    @pytest.mark.parametrize("net", [net for net, _ in NETS.values()], ids=NETS)
    def test_a_fixed_size_can_be_freed(self, net: Net) -> None:
        """What the architecture would take does not depend on the size the file states."""
        fixed = input_sizes(graph_of(net.model(64)), freed=True)
        assert only(fixed).declared == 64
        assert only(fixed).sizes == found_in(net.model()).sizes

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(lambda s: s._replace(period=8), id="half the period"),
            pytest.param(lambda s: s._replace(residues=frozenset({1})), id="another residue"),
            pytest.param(lambda s: s._replace(start=33), id="too late a start"),
        ],
    )
    def test_running_finds_faults(self, fault: Callable[[SizeSet], SizeSet]) -> None:
        """A set that is slightly off is not what runs."""
        net, _ = NETS["four pools, deconvolutions k2"]
        right = found_in(net.model()).sizes
        running = sizes_that_run(net.model(), span(right))
        assert {each for each in span(right) if each in right} == running
        wrong = fault(right)
        assert {each for each in span(right) if each in wrong} != running

    def test_stretching_is_listed(self) -> None:
        """ONNX Runtime adds a map of 2 and one of 1 without a word; the set knows."""
        size = found_in(NETS["thirds that round up, added"][0].model())
        assert size.stretched == (1,)
        (limit,) = limits(graph_of(NETS["thirds that round up, added"][0].model(1)))
        assert limit.kind is LimitKind.MISFIT


_PAIRS = [
    (pool(2, 2), scale(2.0)),
    (pool(2, 2, ceil_mode=True), deconv(2, 2)),
    (pool(3, 3), deconv(3, 3)),
    (conv(3, 2, 1), deconv(4, 2, 1)),
    (conv(3, 2, 1), deconv(3, 2, 1, 1)),
    (conv(3, 2, 1), deconv(3, 2, 1)),
    (conv(3), conv(3, 1, 2)),
    (scale(2 / 3), scale(1.5)),
    (same(3, 2), scale(2.0)),
]


def levels() -> st.SearchStrategy[tuple[tuple[Op, ...], tuple[Op, ...]]]:
    """What goes down at one level, and what comes up: what belongs together, or anything."""
    matched = st.lists(st.sampled_from(_PAIRS), min_size=1, max_size=2).map(
        lambda pairs: (tuple(down for down, _ in pairs), tuple(up for _, up in reversed(pairs)))
    )
    down = st.sampled_from(
        [pool(2, 2), pool(2, 2, ceil_mode=True), pool(3, 2), conv(3, 2, 1), conv(3, 1, 1), conv(3),
         conv(3, 3, 1), conv(5, 2, 2, 1), same(3, 2), scale(0.5), scale(2 / 3)]
    )  # fmt: skip
    up = st.sampled_from(
        [scale(2.0), scale(1.5), scale(3.0), deconv(2, 2), deconv(3, 2, 1), deconv(3, 2, 1, 1),
         deconv(4, 2, 1), deconv(5, 3, 1), deconv(6, 2), conv(3, 1, 2)]
    )  # fmt: skip
    anything = st.tuples(
        st.lists(down, min_size=1, max_size=2).map(tuple),
        st.lists(up, min_size=1, max_size=2).map(tuple),
    )
    return st.one_of(matched, matched, anything)


def nets() -> st.SearchStrategy[Net]:
    return st.builds(
        lambda levels, merge: Net(
            tuple(down for down, _ in levels), tuple(up for _, up in reversed(levels)), merge
        ),
        st.lists(levels(), min_size=1, max_size=3),
        st.sampled_from(["Concat", "Add", "Mul"]),
    )


@settings(law, max_examples=60)
@given(nets())
def test_random_nets_run_at_the_sizes_found(net: Net) -> None:
    """Whatever goes down and up, what runs is what is admitted, or stretched."""
    size = found_in(net.model())
    assert not size.unproven
    tried = range(1, 70)
    expected = {each for each in tried if each in size.sizes or each in size.stretched}
    assert expected == sizes_that_run(net.model(), tried)
