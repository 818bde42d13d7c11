"""UP103 against what ONNX Runtime makes of constant inputs."""

from math import inf
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxstride.geometry import Axis, bias_only_tail, empty_phases, transposed_size
from onnxstride.geometry.ripple import phase_gains, ripple_db
from onnxstride.rule import Finding, Severity, Skip

from ..graph.building import Array, law, model, node, random, run
from .constant_response import Floats, Response, asked, figures, free_batch, response, ripple


class Deconv(NamedTuple):
    """A transposed convolution to build and to ask about."""

    axes: tuple[Axis, ...]
    output_padding: tuple[int, ...]
    group: int
    channels: tuple[int, int]  # in and out, of one group

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def inputs(self) -> int:
        return self.channels[0] * self.group

    @property
    def sizes(self) -> list[int]:
        """Enough positions for a whole period that no border touches."""
        return [(a.extent + a.begin + a.end) // a.stride + 3 for a in self.axes]

    def weight(self, seed: int) -> Array:
        return random((self.inputs, self.channels[1], *(a.kernel for a in self.axes)), seed)

    def node(self, inputs: str = "x w b") -> onnx.NodeProto:
        return node(
            "ConvTranspose", inputs, "y",
            strides=[a.stride for a in self.axes], dilations=[a.dilation for a in self.axes],
            pads=[*(a.begin for a in self.axes), *(a.end for a in self.axes)],
            output_padding=list(self.output_padding), group=self.group,
        )  # fmt: skip

    def model(self, weight: Array, *, known: bool = True) -> onnx.ModelProto:
        """With a bias of its own for each channel; sizes left open where they are not ``known``."""
        sizes = self.sizes if known else [None] * self.rank
        bias = random([self.channels[1] * self.group], 99)
        return model(
            self.node(), inputs={"x": ["n", self.inputs, *sizes]}, weights={"w": weight, "b": bias}
        )

    def interior(self) -> list[range]:
        """Outputs that no border touches: K - 1 <= o + pb <= s (n - 1)."""
        return [
            range(max(0, a.extent - 1 - a.begin), min(o, a.stride * (n - 1) - a.begin + 1))
            for a, n, o in zip(self.axes, self.sizes, self.outputs(), strict=True)
        ]

    def outputs(self) -> list[int]:
        return [
            transposed_size(n, a, op)
            for n, a, op in zip(self.sizes, self.axes, self.output_padding, strict=True)
        ]

    def one_period(self, found: Response) -> Response:
        return found.folded([each.start for each in self.interior()], [a.stride for a in self.axes])


def one_axis(kernel: int, stride: int, dilation: int, begin: int, end: int, more: int) -> Deconv:
    return Deconv((Axis(kernel, stride, dilation, begin, end),), (more,), 1, (2, 3))


GRID = [
    one_axis(kernel, stride, dilation, begin, end, more)
    for kernel in (1, 2, 3, 4, 5)
    for stride in (1, 2, 3)
    for dilation in (1, 2)
    for begin, end, more in ((0, 0, 0), (1, 1, 0), (2, 0, 1), (0, 1, 2))
    if more < stride and dilation * (kernel - 1) + stride > begin + end
]


def predicted(deconv: Deconv, weight: Array, bias: Array, constant: Array) -> list[Floats]:
    """Answer of each phase, (C_out, s_1 ..), to a constant per input channel."""
    gains = phase_gains(weight, deconv.axes)
    inputs, outputs = deconv.channels
    own = constant.reshape(deconv.group, inputs)
    parts = gains.reshape(-1, deconv.group, inputs, outputs)
    added = np.einsum("gi,rgio->rgo", own, parts).reshape(len(gains), -1)
    return list(added + bias)


class TestConstantResponse:
    """Phase gains and bias against the runtime's answers, position by position."""

    @pytest.mark.parametrize("known", [True, False], ids=["", "other phases"])
    def test_interior_is_that_of_the_phase(self, known: bool) -> None:
        """Every position of every configuration; phases that are moved by one are noticed."""
        worst = [self._error(deconv, 0 if known else 1) for deconv in GRID]
        if known:
            assert max(worst) < 5e-6
        else:
            assert min(w for w, d in zip(worst, GRID, strict=True) if d.axes[0].stride > 1) > 1e-2

    @staticmethod
    def _error(deconv: Deconv, moved: int) -> float:
        weight, constant = deconv.weight(1), random([deconv.inputs], 2)
        proto = deconv.model(weight)
        x = np.broadcast_to(constant[None, :, None], (1, deconv.inputs, *deconv.sizes))
        (y,) = run(proto, {"x": np.ascontiguousarray(x)})
        phases = predicted(deconv, weight, random([3], 99), constant)
        (axis,), (inside,) = deconv.axes, deconv.interior()
        assert len(inside) >= axis.stride
        return max(
            float(np.abs(y[0, :, o] - phases[(o + axis.begin + moved) % axis.stride]).max())
            for o in inside
        )

    def test_tails_hold_the_bias_alone(self) -> None:
        """The last max(0, op - pe) outputs, whatever the input is; the one before holds more."""
        checked = 0
        for deconv in GRID:
            (axis,) = deconv.axes
            tail = bias_only_tail(axis, *deconv.output_padding)
            found = response(deconv.model(deconv.weight(1)), deconv.inputs, deconv.sizes)
            size = found.gains.shape[-1]
            assert not found.gains[..., size - tail :].any()
            assert (
                found.gains[..., size - tail - 1].any() or axis.dilation > 1 or empty_phases(axis)
            )
            checked += bool(tail)
        assert checked > 10

    def test_borders_receive_less(self) -> None:
        """With positive weights no output exceeds its phase's answer; many outside lack some."""
        lacking = 0
        for deconv in GRID:
            (axis,), (inside,) = deconv.axes, deconv.interior()
            weight = np.abs(deconv.weight(1)) + 0.1
            found = response(deconv.model(weight), deconv.inputs, deconv.sizes).gains
            phases = phase_gains(weight, deconv.axes)
            for o in range(found.shape[-1]):
                short = phases[(o + axis.begin) % axis.stride] - found[..., o]
                assert short.min() > -1e-5
                if o in inside:
                    assert short.max() < 1e-5
                else:
                    lacking += bool(short.min() > 0.05)
        assert lacking > 100


@st.composite
def deconvs(draw: st.DrawFn) -> Deconv:
    """Transposed convolutions in one to three dimensions that the runtime takes."""
    rank = draw(st.integers(1, 3))
    largest = (6, 4, 3)[rank - 1]
    axes, more = [], []
    for _ in range(rank):
        kernel, stride = draw(st.integers(1, largest)), draw(st.integers(1, 3))
        dilation = draw(st.integers(1, 3))
        pads = st.integers(0, (dilation * (kernel - 1)) // 2)
        axes.append(Axis(kernel, stride, dilation, draw(pads), draw(pads)))
        more.append(draw(st.integers(0, stride - 1)))
    channels = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    return Deconv(tuple(axes), tuple(more), draw(st.integers(1, 3)), channels)


def dequantised(weight: Array, seed: int, *, axis: int | None) -> tuple[list[Any], dict[str, Any]]:
    """A DequantizeLinear to ``w`` and its constants: per tensor, or per slice along an axis."""
    generator = np.random.default_rng(seed)
    count = 1 if axis is None else weight.shape[axis]
    scale = generator.uniform(0.01, 0.1, count).astype(np.float32)
    zero = generator.integers(-20, 20, count).astype(np.int8)
    stored = np.clip(np.round(weight * 20), -127, 127).astype(np.int8)
    shape = [count] if axis is not None else []
    attributes = {} if axis is None else {"axis": axis}
    constants = {"q": stored, "s": scale.reshape(shape), "z": zero.reshape(shape)}
    return [node("DequantizeLinear", "q s z", "w", **attributes)], constants


class TestRipplingWeights:
    """UP103's figures are those of the runtime's answer."""

    @settings(law, max_examples=150)
    @given(deconvs(), st.booleans())
    def test_figures_are_measured_ones(self, deconv: Deconv, known: bool) -> None:
        """Any rank, kernel, stride, dilation, padding and group, sizes known or not."""
        proto = deconv.model(deconv.weight(3), known=known)
        answer = asked("UP103", proto)
        if any(map(empty_phases, deconv.axes)) or all(a.stride == 1 for a in deconv.axes):
            assert answer is None
            return
        found = deconv.one_period(response(proto, deconv.inputs, deconv.sizes))
        total, along = ripple(found.gains, deconv.rank)
        assert isinstance(answer, Finding)
        assert answer.data["ripple_db"] == pytest.approx(total, abs=0.01)
        assert list(answer.data["ripple_db_per_axis"]) == pytest.approx(along, abs=0.01)

    @pytest.mark.parametrize("axis", [None, 0, 1])
    @pytest.mark.parametrize("group", [1, 2])
    def test_quantised_weights(self, axis: int | None, group: int) -> None:
        """Scales and zero points are part of the weight."""
        deconv = Deconv((Axis(3, 2, 1, 1, 1), Axis(4, 2, 1, 1, 1)), (1, 0), group, (3, 2))
        nodes, constants = dequantised(deconv.weight(4), 5, axis=axis)
        proto = model(
            *nodes, deconv.node("x w"), inputs={"x": ["n", deconv.inputs, *deconv.sizes]},
            weights=constants,
        )  # fmt: skip
        found = deconv.one_period(response(proto, deconv.inputs, deconv.sizes))
        total, along = ripple(found.gains, 2)
        data = figures("UP103", proto)
        assert data["ripple_db"] == pytest.approx(total, abs=0.01)
        assert list(data["ripple_db_per_axis"]) == pytest.approx(along, abs=0.01)
        raw = ripple_db(constants["q"], deconv.axes)
        assert raw != pytest.approx(total, abs=0.1), "the stored integers would not do"

    def test_zero_points_decide(self) -> None:
        """The same integers interpolate with one zero point and ripple with another."""
        stored = np.array([[[11, 12, 11]]], np.int8)
        for zero, silent in ((10, True), (8, False)):
            proto = model(
                node("DequantizeLinear", "q s z", "w"),
                node("ConvTranspose", "x w", "y", strides=[2]),
                inputs={"x": [1, 1, 9]},
                weights={"q": stored, "s": np.array(0.1, np.float32), "z": np.array(zero, np.int8)},
            )
            assert (asked("UP103", proto) is None) is silent
            gains = response(free_batch(proto), 1, [9]).gains[..., 4:6]
            assert (ripple(gains, 1)[0] == -inf) is silent

    @pytest.mark.parametrize(
        ("size", "spoken"), [([1, 9], True), ([9, 1], True), ([1, 1], False), ([9, 9], True)]
    )
    def test_single_positions(self, size: list[int], spoken: bool) -> None:
        """Along an axis with a single position nothing repeats: its taps count apart."""
        weight = random((2, 2, 3, 4), 6)
        proto = model(
            node("ConvTranspose", "x w", "y", strides=[2, 2]),
            inputs={"x": ["n", 2, *size]},
            weights={"w": weight},
        )
        if not spoken:
            assert asked("UP103", proto) is None
            return
        gains = response(proto, 2, size).gains
        if size[0] == 1:
            gains = np.moveaxis(gains, 2, 1).reshape(2, -1, gains.shape[3])[..., 4:6]
            total = ripple(gains, 1)[0]
        elif size[1] == 1:
            total = ripple(gains.swapaxes(2, 3).reshape(2, -1, gains.shape[2])[..., 4:6], 1)[0]
        else:
            total = ripple(gains[:, :, 4:6, 4:6], 2)[0]
        assert figures("UP103", proto)["ripple_db"] == pytest.approx(total, abs=0.01)

    @pytest.mark.parametrize(
        ("excess", "severity"),
        [(0.15, Severity.NOTE), (0.25, Severity.WARNING), (0.025, Severity.NOTE), (0.015, None)],
    )
    def test_thresholds(self, excess: float, severity: Severity | None) -> None:
        """Above a tenth of the constant a warning, below a hundredth nothing."""
        weight = np.array([[[1 + excess, 1]]], np.float32)  # ripple: excess / (2 + excess)
        proto = model(
            node("ConvTranspose", "x w", "d", strides=[2]),
            node("Tanh", "d", "y"),
            inputs={"x": [1, 1, 9]},
            weights={"w": weight},
        )
        answer = asked("UP103", proto)
        assert (answer.severity if isinstance(answer, Finding) else None) == severity
        hidden = model(
            node("ConvTranspose", "x w", "d", strides=[2]),
            node("MaxPool", "d", "y", kernel_shape=[2]),
            inputs={"x": [1, 1, 9]},
            weights={"w": weight},
        )
        answer = asked("UP103", hidden)
        expected = None if severity is None else Severity.NOTE
        assert (answer.severity if isinstance(answer, Finding) else None) == expected

    def test_very_many_weights_are_measured_in_part(self) -> None:
        """The first input channels of over 2^18 elements; the data says how much."""
        weight = random((300, 256, 2, 2), 7)
        weight[:256] = 1
        proto = model(
            node("ConvTranspose", "x w", "y", strides=[2, 2]),
            inputs={"x": [1, 300, 9, 9]},
            weights={"w": weight},
        )
        assert asked("UP103", proto) is None
        weight[0] = random((256, 2, 2), 8)
        proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, "w"))
        data = figures("UP103", proto)
        assert data["measured_share"] == pytest.approx(256 / 300)
        assert data["ripple_db"] == pytest.approx(ripple_db(weight[:256], [Axis(2, 2)] * 2))

    @pytest.mark.parametrize("odd", [np.nan, np.inf])
    def test_no_figure_is_a_skip(self, odd: float) -> None:
        """Weights that are not numbers cannot be judged."""
        proto = model(
            node("ConvTranspose", "x w", "y", strides=[2]),
            inputs={"x": [1, 1, 9]},
            weights={"w": np.array([[[1, odd, 1]]], np.float32)},
        )
        assert isinstance(asked("UP103", proto), Skip)

    def test_both_rules_on_overlap_and_weights_agree(self) -> None:
        """UP101 calls interpolating what UP103 is silent about, and gives UP103's figure."""
        for line in ([0.5, 1, 0.5], [0.505, 1, 0.505], [0.6, 1, 0.4], [0.3, 1, 0.5]):
            proto = model(
                node("ConvTranspose", "x w", "y", strides=[2]),
                inputs={"x": [1, 1, 9]},
                weights={"w": np.array([[line]], np.float32)},
            )
            overlap, weights = asked("UP101", proto), asked("UP103", proto)
            assert isinstance(overlap, Finding)
            assert (overlap.severity is Severity.NOTE) is (weights is None)
            if isinstance(weights, Finding):
                assert weights.data["ripple_db"] == overlap.data["ripple_db"]

    def test_the_measurement_finds_faults(self) -> None:
        """Other figures than those of these weights in these groups are noticed."""
        deconv = Deconv((Axis(5, 3, 2), Axis(4, 2)), (0, 0), 2, (2, 2))
        weight = deconv.weight(9)
        found = deconv.one_period(response(deconv.model(weight), deconv.inputs, deconv.sizes))
        total, along = ripple(found.gains, 2)
        assert figures("UP103", deconv.model(weight))["ripple_db"] == pytest.approx(total, abs=0.01)
        faults = {
            "taps moved by one": ripple_db(np.roll(weight, 1, axis=2), deconv.axes),
            "strides changed": ripple_db(weight, [Axis(5, 2), Axis(4, 3)]),
            "a phase left out": ripple(found.gains[..., :2, :], 2)[0],
            "one axis for both": along[0],
            "grey alone": ripple(found.gains.sum(axis=0, keepdims=True), 2)[0],
        }
        assert {name for name, fault in faults.items() if abs(fault - total) < 0.01} == set()
