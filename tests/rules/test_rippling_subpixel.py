"""UP104 against what ONNX Runtime makes of constant inputs."""

from collections.abc import Mapping, Sequence
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxstride.geometry.subpixel import phase_channels
from onnxstride.rule import Finding, Severity, Skip

from ..graph.building import Array, law, model, node, random, run
from .constant_response import asked, deviation, figures, response, ripple


class Subpixel(NamedTuple):
    """A convolution and a pixel shuffle to build and to ask about.

    ``between`` holds the operators from ``c`` to ``p``, and ``constants`` what they read.
    """

    blocks: tuple[int, ...]
    mode: str = "DCR"
    group: int = 1
    outputs: int = 2
    between: tuple[onnx.NodeProto, ...] = ()
    constants: Mapping[str, Array] = {}
    bias: Array | None = None
    weight: Array | None = None
    spelled: bool = False
    dilation: int = 1

    @property
    def rank(self) -> int:
        return len(self.blocks)

    @property
    def channels(self) -> int:
        return self.outputs * prod(self.blocks) * self.group

    @property
    def inputs(self) -> int:
        return 2 * self.group

    @property
    def sizes(self) -> list[int]:
        return [2 * self.dilation + 3] * self.rank

    def filters(self) -> Array:
        if self.weight is not None:
            return self.weight
        return random((self.channels, 2, *(3, 2, 2)[: self.rank]), 1)

    def model(self) -> onnx.ModelProto:
        weights = {"w": self.filters(), **self.constants}
        if self.bias is not None:
            weights["b"] = self.bias
        conv = node(
            "Conv", "x w b" if self.bias is not None else "x w", "c", group=self.group,
            dilations=[self.dilation] * self.rank,
        )  # fmt: skip
        shuffle, more = self._shuffle("p" if self.between else "c")
        return model(
            conv, *self.between, *shuffle, inputs={"x": ["n", self.inputs, *self.sizes]},
            weights=weights | more,
        )  # fmt: skip

    def _shuffle(self, name: str) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
        if not self.spelled:
            single = node("DepthToSpace", name, "y", blocksize=self.blocks[0], mode=self.mode)
            return [single], {}
        own = self.filters().shape
        sizes = [n - self.dilation * (k - 1) for n, k in zip(self.sizes, own[2:], strict=True)]
        maps = self.channels // prod(self.blocks)
        dcr, rank = self.mode == "DCR", self.rank
        split = [-1, *self.blocks, maps, *sizes] if dcr else [-1, maps, *self.blocks, *sizes]
        first = 1 if dcr else 2
        perm = [0, rank + 1 if dcr else 1]
        for i in range(rank):
            perm += [rank + 2 + i, first + i]
        merged = [-1, maps, *(n * b for n, b in zip(sizes, self.blocks, strict=True))]
        chain = [
            node("Reshape", f"{name} split", "r"),
            node("Transpose", "r", "t", perm=perm),
            node("Reshape", "t merged", "y"),
        ]
        return chain, {"split": np.array(split, np.int64), "merged": np.array(merged, np.int64)}


def measured(subpixel: Subpixel) -> tuple[float, list[float], float]:
    """Ripple of the gains, along each axis, and deviation of the offsets, by the runtime."""
    found = response(subpixel.model(), subpixel.inputs, subpixel.sizes)
    period = found.folded([0] * subpixel.rank, subpixel.blocks)
    return (*ripple(period.gains, subpixel.rank), deviation(period.offset, subpixel.rank))


def holds(subpixel: Subpixel) -> None:
    """The rule's figures are those of the runtime."""
    total, along, spread = measured(subpixel)
    data = figures("UP104", subpixel.model())
    assert data["ripple_db"] == pytest.approx(total, abs=0.01)
    assert list(data["ripple_db_per_axis"]) == pytest.approx(along, abs=0.01)
    assert data["bias_deviation"] == pytest.approx(spread, rel=1e-4, abs=1e-6)


@st.composite
def subpixels(draw: st.DrawFn) -> Subpixel:
    """Either spelling where there is one, any rank, grouped so that phases read alike."""
    spelled = draw(st.booleans())
    rank = draw(st.integers(1, 3)) if spelled else 2
    block = st.integers(1, 3)
    blocks = draw(st.tuples(*[block] * rank)) if spelled else (draw(st.integers(2, 3)),) * 2
    if max(blocks) == 1:
        blocks = (2, *blocks[1:])
    mode = draw(st.sampled_from(["DCR", "CRD"]))
    group = draw(st.integers(1, 2)) if mode == "CRD" else 1
    outputs, seed = draw(st.integers(1, 2)), draw(st.integers(0, 9))
    bias = random([outputs * prod(blocks) * group], seed) if draw(st.booleans()) else None
    dilation = draw(st.integers(1, 2))
    return Subpixel(blocks, mode, group, outputs, bias=bias, spelled=spelled, dilation=dilation)


C = 8  # channels where two outputs have blocks of 2x2


def per_channel(seed: int, *, positive: bool = False) -> Array:
    values = random([C], seed)
    return (np.abs(values) + 0.2 if positive else values).reshape(C, 1, 1)


AFFINE = {
    "Mul per channel": ([node("Mul", "c k", "p")], {"k": per_channel(3)}),
    "Mul the other way round": ([node("Mul", "k c", "p")], {"k": per_channel(3)}),
    "Mul of rank 4": ([node("Mul", "c k", "p")], {"k": per_channel(3)[None]}),
    "Mul by one number": ([node("Mul", "c k", "p")], {"k": np.full((1, 1), -3, np.float32)}),
    "Div": ([node("Div", "c k", "p")], {"k": per_channel(4, positive=True)}),
    "Add": ([node("Add", "c k", "p")], {"k": per_channel(5)}),
    "Sub": ([node("Sub", "c k", "p")], {"k": per_channel(5)}),
    "Sub from": ([node("Sub", "k c", "p")], {"k": per_channel(5)}),
    "Neg": ([node("Neg", "c", "p")], {}),
    "Identity": ([node("Identity", "c", "i"), node("Identity", "i", "p")], {}),
    "Cast": (
        [node("Cast", "c", "d", to=11), node("Mul", "d k", "m"), node("Cast", "m", "p", to=1)],
        {"k": per_channel(3).astype(np.float64)},
    ),
    "BatchNormalization": (
        [node("BatchNormalization", "c g h m v", "p", epsilon=1e-2)],
        {
            "g": per_channel(6).reshape(-1),
            "h": per_channel(7).reshape(-1),
            "m": per_channel(8).reshape(-1),
            "v": per_channel(9, positive=True).reshape(-1),
        },
    ),
    "several": (
        [node("Add", "c k", "a"), node("Mul", "a l", "m"), node("Sub", "m k", "p")],
        {"k": per_channel(3), "l": per_channel(4)},
    ),
}


class TestRipplingSubpixel:
    """UP104's figures are those of the runtime's answer."""

    @settings(law, max_examples=100)
    @given(subpixels())
    def test_figures_are_measured_ones(self, subpixel: Subpixel) -> None:
        """Any rank, block, mode, group, dilation and spelling, with and without a bias."""
        holds(subpixel)

    @pytest.mark.parametrize("name", AFFINE)
    @pytest.mark.parametrize("mode", ["DCR", "CRD"])
    def test_operators_between_are_folded(self, name: str, mode: str) -> None:
        """Factors multiply filters and bias, summands add to the bias."""
        between, constants = AFFINE[name]
        holds(Subpixel((2, 2), mode, 1, 2, tuple(between), constants, random([C], 10)))

    @pytest.mark.parametrize("name", AFFINE)
    def test_folding_is_noticed(self, name: str) -> None:
        """What changes filters or biases unequally is not what the bare convolution answers."""
        between, constants = AFFINE[name]
        folded = Subpixel((2, 2), "DCR", 1, 2, tuple(between), constants, random([C], 10))
        bare = figures("UP104", folded._replace(between=(), constants={}).model())
        total, _, spread = measured(folded)
        same = abs(bare["ripple_db"] - total) < 0.01 and abs(bare["bias_deviation"] - spread) < 1e-4
        assert same == (name in ("Neg", "Identity"))

    @pytest.mark.parametrize("side", [1, -1])
    @pytest.mark.parametrize(
        ("between", "constants"),
        [
            pytest.param([node("LeakyRelu", "c", "p", alpha=0.3)], {}, id="LeakyRelu"),
            pytest.param(
                [node("PRelu", "c k", "p")], {"k": per_channel(3, positive=True)}, id="PRelu"
            ),
            pytest.param(
                [node("PRelu", "c k", "r"), node("Mul", "r l", "p")],
                {"k": per_channel(3, positive=True), "l": per_channel(4, positive=True)},
                id="PRelu, then a factor",
            ),
        ],
    )
    def test_either_side_of_an_activation(
        self, between: list[onnx.NodeProto], constants: dict[str, Array], side: int
    ) -> None:
        """With all sums on one side it is linear; the figure is that of the worse side."""
        totals = []
        for sign in (1, -1):
            biased = Subpixel(
                (2, 2), "DCR", 1, 2, tuple(between), constants,
                np.full(C, sign * 30, np.float32),
            )  # fmt: skip
            totals.append(measured(biased)[0])
        one = Subpixel((2, 2), "DCR", 1, 2, tuple(between), constants,
                       np.full(C, side * 30, np.float32))  # fmt: skip
        data = figures("UP104", one.model())
        assert data["ripple_db"] == pytest.approx(max(totals), abs=0.01)
        assert data["through"] == (between[0].op_type,)

    def test_equal_phases_stay_equal_behind_activations(self) -> None:
        """ICNR through Tanh and an equal factor is silent, by rule and by runtime."""
        between = [node("Tanh", "c", "r"), node("Mul", "r k", "p")]
        alike = icnr(between=tuple(between), constants={"k": np.full((C, 1, 1), -2, np.float32)})
        assert asked("UP104", alike.model()) is None
        total, _, spread = measured(alike)
        assert total == -inf
        assert spread < 1e-6

    def test_offsets_behind_an_activation_count(self) -> None:
        """What is added behind Relu is there whatever the input is."""
        added = per_channel(5)
        uneven = icnr(between=(node("Relu", "c", "r"), node("Add", "r k", "p")),
                      constants={"k": added})  # fmt: skip
        data = figures("UP104", uneven.model())
        assert data["ripple_db"] == -inf
        by_phase = added.reshape(-1)[phase_channels((2, 2), C, "DCR").reshape(4, 2)]
        assert data["bias_deviation"] == pytest.approx(float(by_phase.std(axis=0).max()), rel=1e-5)
        assert measured(uneven)[2] == pytest.approx(data["bias_deviation"], rel=1e-5)

    def test_icnr_is_silent_and_its_biases_are_not(self) -> None:
        """Equal filters ripple only by their biases."""
        assert asked("UP104", icnr().model()) is None
        even = np.tile(np.array([0.5, -0.25], np.float32), 4)
        assert asked("UP104", icnr(bias=even).model()) is None
        uneven = even + np.array([0, 0, 0.05, 0, 0, 0, 0, 0], np.float32)
        answer = asked("UP104", icnr(bias=uneven).model())
        assert isinstance(answer, Finding)
        assert answer.severity is Severity.WARNING
        assert answer.data["ripple_db"] == -inf
        assert measured(icnr(bias=uneven))[2] == pytest.approx(answer.data["bias_deviation"])

    @pytest.mark.parametrize("mode", ["DCR", "CRD"])
    def test_both_spellings_say_the_same(self, mode: str) -> None:
        """One operator or three."""
        single = Subpixel((2, 2), mode, bias=random([C], 11))
        one, three = (
            figures("UP104", each.model()) for each in (single, single._replace(spelled=True))
        )
        assert one == three

    def test_groups_that_cut_through_phases_are_skipped(self) -> None:
        """A depthwise convolution hands on what differs before it; its biases are its own."""
        weight = random((C, 1, 3, 3), 12)
        nodes = [
            node("Conv", "x w", "c", group=C),
            node("DepthToSpace", "c", "y", blocksize=2),
        ]
        proto = model(*nodes, inputs={"x": [1, C, 9, 9]}, weights={"w": weight})
        answer = asked("UP104", proto)
        assert isinstance(answer, Skip)
        assert "group" in answer.reason
        nodes[0].input.append("b")
        proto = model(
            *nodes, inputs={"x": [1, C, 9, 9]}, weights={"w": weight, "b": random([C], 13)}
        )
        data = figures("UP104", proto)
        assert data["ripple_db"] is None
        assert data["bias_deviation"] > 0.1

    def test_single_positions(self) -> None:
        """Along an axis with a single position nothing repeats: its phases count apart."""
        proto = model(
            node("Conv", "x w b", "c"),
            node("DepthToSpace", "c", "y", blocksize=2),
            inputs={"x": ["n", 2, 1, 5]},
            weights={"w": random((C, 2, 1, 1), 16), "b": random([C], 17)},
        )
        found = response(proto, 2, [1, 5])
        lines = np.moveaxis(found.gains, 2, 1).reshape(2, 4, 10)[..., :2]
        data = figures("UP104", proto)
        assert data["ripple_db"] == pytest.approx(ripple(lines, 1)[0], abs=0.01)
        assert data["ripple_db_per_axis"][0] == -inf
        offsets = np.moveaxis(found.offset, 1, 0).reshape(4, 10)[..., :2]
        assert data["bias_deviation"] == pytest.approx(deviation(offsets, 1), rel=1e-4)

    @pytest.mark.parametrize(
        ("excess", "severity"),
        [(0.15, Severity.NOTE), (0.25, Severity.WARNING), (0.025, Severity.NOTE), (0.015, None)],
    )
    def test_thresholds(self, excess: float, severity: Severity | None) -> None:
        """Above a tenth of the constant a warning, below a hundredth nothing; hidden, a note."""
        weight = np.array([1 + excess, 1, 1 + excess, 1], np.float32).reshape(4, 1, 1, 1)
        for tail, expected in (("Sigmoid", severity), ("GlobalMaxPool", Severity.NOTE)):
            proto = model(
                node("Conv", "x w", "c"),
                node("DepthToSpace", "c", "d", blocksize=2),
                node(tail, "d", "y"),
                inputs={"x": [1, 1, 9, 9]},
                weights={"w": weight},
            )
            answer = asked("UP104", proto)
            if severity is None:
                assert answer is None
            else:
                assert isinstance(answer, Finding)
                assert answer.severity is expected

    def test_very_many_weights_are_measured_in_part(self) -> None:
        """The first input channels of over a million elements; the data says how much."""
        weight = np.ones((256, 5000, 1, 1), np.float32)
        weight[:, 4096:] = random((256, 904, 1, 1), 14)
        nodes = [node("Conv", "x w", "c"), node("DepthToSpace", "c", "y", blocksize=2)]
        proto = model(*nodes, inputs={"x": [1, 5000, 4, 4]}, weights={"w": weight})
        assert asked("UP104", proto) is None
        weight[::3, 0] = 50
        proto = model(*nodes, inputs={"x": [1, 5000, 4, 4]}, weights={"w": weight})
        assert figures("UP104", proto)["measured_share"] == pytest.approx(4096 / 5000)

    @pytest.mark.parametrize("where", ["w", "b"])
    @pytest.mark.parametrize("odd", [np.nan, np.inf])
    def test_no_figure_is_a_skip(self, where: str, odd: float) -> None:
        """Weights or biases that are not numbers cannot be judged."""
        weights = {"w": np.ones((4, 1, 1, 1), np.float32), "b": np.ones(4, np.float32)}
        weights[where].reshape(-1)[1] = odd
        proto = model(
            node("Conv", "x w b", "c"), node("DepthToSpace", "c", "y", blocksize=2),
            inputs={"x": [1, 1, 4, 4]}, weights=weights,
        )  # fmt: skip
        assert isinstance(asked("UP104", proto), Skip)


def icnr(**more: Any) -> Subpixel:
    """Equal filters for the phases of each of two outputs, the columns of DCR."""
    weight = np.tile(random((2, 2, 3, 2), 15), (4, 1, 1, 1))
    return Subpixel((2, 2), "DCR", weight=weight, **more)


class TestQuantised:
    """Quantised spellings of one convolution."""

    @pytest.mark.parametrize("per_channel_scale", [False, True])
    def test_all_spellings_agree(self, per_channel_scale: bool) -> None:
        """DequantizeLinear around a Conv, and QLinearConv, have one set of figures."""
        proto, quantised = _spellings(per_channel_scale)
        wrapped = figures("UP104", proto)
        for name, figure in figures("UP104", quantised).items():
            if name.endswith(("db", "db_per_axis", "deviation", "mean")):
                assert figure == pytest.approx(wrapped[name], abs=1e-5)
            else:
                assert figure == ("c8" if name == "conv" else wrapped[name])
        stored = model(
            node("Conv", "x w", "c"), node("DepthToSpace", "c", "y", blocksize=2),
            inputs={"x": [1, 2, 6, 6]}, weights={"w": _STORED.astype(np.float32)},
        )  # fmt: skip
        assert figures("UP104", stored)["ripple_db"] != pytest.approx(wrapped["ripple_db"], abs=0.1)
        x = np.random.default_rng(3).integers(-20, 20, (1, 2, 6, 6)).astype(np.int8)
        real = run(proto, {"x": x.astype(np.float32) * np.float32(0.05)})[0]
        (found,) = run(quantised, {"x": x})
        assert float(np.abs(found - real).max()) <= 0.5 * 0.25 + 1e-5

    def test_integer_convolution(self) -> None:
        """ConvInteger, cast and multiplied by the scale of each channel, as the runtime answers."""
        scale = np.random.default_rng(4).uniform(0.01, 0.1, (C, 1, 1)).astype(np.float32)
        proto = model(
            node("ConvInteger", "x w - z", "c"),
            node("Cast", "c", "f", to=1),
            node("Mul", "f s", "m"),
            node("DepthToSpace", "m", "y", blocksize=2),
            inputs=[onnx.helper.make_tensor_value_info("x", 2, ["n", 2, 6, 6])],
            weights={"w": _STORED, "z": np.array(7, np.int8), "s": scale},
        )
        found = response(proto, 2, [6, 6], np.uint8).folded([0, 0], [2, 2])
        total, along = ripple(found.gains, 2)
        data = figures("UP104", proto)
        assert data["ripple_db"] == pytest.approx(total, abs=0.01)
        assert list(data["ripple_db_per_axis"]) == pytest.approx(along, abs=0.01)


_STORED = np.random.default_rng(2).integers(-100, 100, (C, 2, 3, 3)).astype(np.int8)


def _spellings(per_channel_scale: bool) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    generator = np.random.default_rng(5)
    count = C if per_channel_scale else 1
    scale = generator.uniform(0.01, 0.05, count).astype(np.float32)
    scale = scale if per_channel_scale else scale[0]
    zero = np.full(scale.shape, 0 if per_channel_scale else 50, np.int8)
    bias = generator.integers(-900, 900, C).astype(np.int32)
    zero_bias = np.zeros(scale.shape, np.int32)
    weights: dict[str, Array] = {"q": _STORED, "s": np.asarray(scale), "z": zero}
    real: Sequence[onnx.NodeProto] = [
        node("DequantizeLinear", "q s z", "w", axis=0),
        node("DequantizeLinear", "i t o", "b", axis=0),
        node("Conv", "x w b", "c"),
        node("DepthToSpace", "c", "y", blocksize=2),
    ]
    more = {"i": bias, "t": np.asarray(scale * np.float32(0.05)), "o": zero_bias}
    wrapped = model(*real, inputs={"x": ["n", 2, 6, 6]}, weights=weights | more)
    quantised = model(
        node("QLinearConv", "x xs xz q s z ys xz i", "c8"),
        node("DequantizeLinear", "c8 ys xz", "c"),
        node("DepthToSpace", "c", "y", blocksize=2),
        inputs=[onnx.helper.make_tensor_value_info("x", 3, ["n", 2, 6, 6])],
        weights={
            **weights, "i": bias, "xs": np.array(0.05, np.float32),
            "xz": np.array(0, np.int8), "ys": np.array(0.25, np.float32),
        },
    )  # fmt: skip
    return wrapped, quantised
