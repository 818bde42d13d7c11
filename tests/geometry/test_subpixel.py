"""Gains and biases of sub-pixel convolutions against their definition, channel by channel."""

from collections.abc import Callable, Sequence
from itertools import product
from math import inf, isnan, log10, prod, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onnxstride.geometry import subpixel
from onnxstride.geometry.subpixel import (
    Offset,
    phase_channels,
    read_alike,
    subpixel_ripple,
    worst_offset,
)

from .strategies import law

Floats = NDArray[np.float64]
ONE = np.ones(1)


def channel(
    phase: Sequence[int], output: int, blocks: Sequence[int], outputs: int, mode: str
) -> int:
    """Convolution channel of one phase, by the definition of the modes."""
    flat = 0
    for r, block in zip(phase, blocks, strict=True):
        flat = flat * block + r
    return flat * outputs + output if mode == "DCR" else output * prod(blocks) + flat


def gains_by_phase(
    weight: Floats, blocks: Sequence[int], mode: str, group: int, scale: Floats = ONE
) -> Floats:
    """Gain of every phase (axes first) for every output channel and every input channel."""
    outputs = weight.shape[0] // prod(blocks)
    inputs, per_group = weight.shape[1], weight.shape[0] // group
    scales = np.broadcast_to(scale, weight.shape[0])
    gains = np.zeros((*blocks, outputs, inputs * group))
    for phase in product(*map(range, blocks)):
        for output in range(outputs):
            m = channel(phase, output, blocks, outputs, mode)
            first = m // per_group * inputs
            taps = weight[m].reshape(inputs, -1).sum(axis=1)
            gains[phase][output, first : first + inputs] = taps * scales[m]
    return gains


def ripple_of(gains: Floats, rank: int) -> float:
    """RMS of the pattern over RMS of what it rides on."""
    by_phase = gains.reshape(-1, *gains.shape[rank:])
    mean = by_phase.mean(axis=0)
    return 20 * log10(sqrt(((by_phase - mean) ** 2).mean(axis=0).sum() / (mean**2).sum()))


def weights(channels: int, inputs: int, rank: int, *, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((channels, inputs, *(3, 2, 2)[:rank]))


CASES = [
    pytest.param((2,), 3, id="1-D"),
    pytest.param((2, 2), 3, id="2x2"),
    pytest.param((3, 2), 2, id="3x2"),
    pytest.param((2, 1, 3), 2, id="3-D, nothing along the height"),
]


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize(("blocks", "outputs"), CASES)
class TestRipple:
    """Ripple of the phase gains."""

    def test_is_its_definition(self, blocks: tuple[int, ...], outputs: int, mode: str) -> None:
        """Over all phases and along each axis, every input channel in its place."""
        weight = weights(outputs * prod(blocks), 3, len(blocks), seed=1)
        phases = phase_channels(blocks, len(weight), mode)
        found = subpixel_ripple(weight, phases, ONE)
        gains = gains_by_phase(weight, blocks, mode, 1)
        assert found.total == pytest.approx(ripple_of(gains, len(blocks)), abs=1e-9)
        for i, figure in enumerate(found.per_axis):
            others = tuple(j for j in range(len(blocks)) if j != i)
            if blocks[i] == 1:
                assert figure == -inf
            else:
                expected = ripple_of(gains.mean(axis=others), 1)
                assert figure == pytest.approx(expected, abs=1e-9)

    def test_scales_multiply_the_filters(
        self, blocks: tuple[int, ...], outputs: int, mode: str
    ) -> None:
        """One factor for each; a single one for all changes nothing."""
        weight = weights(outputs * prod(blocks), 3, len(blocks), seed=2)
        phases = phase_channels(blocks, len(weight), mode)
        scale = np.random.default_rng(3).standard_normal(len(weight))
        found = subpixel_ripple(weight, phases, scale).total
        expected = ripple_of(gains_by_phase(weight, blocks, mode, 1, scale), len(blocks))
        plain = subpixel_ripple(weight, phases, ONE).total
        assert found == pytest.approx(expected, abs=1e-9)
        assert found != pytest.approx(plain, abs=1e-3)
        assert subpixel_ripple(weight, phases, -3 * ONE).total == pytest.approx(plain)

    def test_slices_change_nothing(
        self,
        blocks: tuple[int, ...],
        outputs: int,
        mode: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Channel by channel, the figures are those of all at once."""
        weight = weights(outputs * prod(blocks), 5, len(blocks), seed=4)
        phases = phase_channels(blocks, len(weight), mode)
        whole = subpixel_ripple(weight, phases, ONE)
        monkeypatch.setattr(subpixel, "_CHUNK_ELEMENTS", 1)
        sliced = subpixel_ripple(weight, phases, ONE)
        assert sliced.total == pytest.approx(whole.total, abs=1e-9)
        assert sliced.per_axis == pytest.approx(whole.per_axis, abs=1e-9)

    def test_alike_filters_do_not_ripple(
        self, blocks: tuple[int, ...], outputs: int, mode: str
    ) -> None:
        """ICNR, where all phases of an output channel read the same inputs."""
        count = outputs * prod(blocks)
        phases = phase_channels(blocks, count, mode)
        first = weights(outputs, 3, len(blocks), seed=5)
        weight = np.zeros((count, *first.shape[1:]))
        weight[phases] = first
        found = subpixel_ripple(weight, phases, ONE)
        assert found.total == -inf
        assert set(found.per_axis) == {-inf}
        weight[phases[(0,) * len(blocks)][-1]] *= 1.001
        assert subpixel_ripple(weight, phases, ONE).total > -100


@pytest.mark.parametrize(
    ("group", "mode", "alike"),
    [
        (1, "DCR", True),
        (1, "CRD", True),
        (3, "CRD", True),
        (2, "CRD", False),
        (12, "CRD", False),
        (3, "DCR", False),
    ],
)
def test_groups_that_cut_through_phases(group: int, mode: str, alike: bool) -> None:
    """Twelve channels for three outputs of four phases: who reads which inputs."""
    phases = phase_channels((2, 2), 12, mode)
    assert read_alike(phases, group) is alike
    gains = gains_by_phase(np.ones((12, 1, 1, 1)), (2, 2), mode, group)
    reads = gains.reshape(4, 3, -1) != 0
    assert bool((reads == reads[:1]).all()) is alike
    if alike:
        weight = weights(12, 3, 2, seed=8)
        expected = ripple_of(gains_by_phase(weight, (2, 2), mode, group), 2)
        assert subpixel_ripple(weight, phases, ONE).total == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda w, b: gains_by_phase(w, b, "DCR", 3), id="the other mode"),
        pytest.param(lambda w, b: gains_by_phase(w, b, "CRD", 4), id="other groups"),
        pytest.param(lambda w, b: gains_by_phase(w, b, "CRD", 3)[1:], id="a phase left out"),
        pytest.param(
            lambda w, b: gains_by_phase(w, b, "CRD", 3).sum(axis=-1, keepdims=True), id="grey only"
        ),
    ],
)
def test_the_definition_finds_faults(fault: Callable[[Floats, Sequence[int]], Floats]) -> None:
    """The same comparison accuses other measures."""
    weight = weights(12, 3, 2, seed=6)
    found = subpixel_ripple(weight, phase_channels((2, 2), 12, "CRD"), ONE).total
    assert ripple_of(gains_by_phase(weight, (2, 2), "CRD", 3), 2) == pytest.approx(found, abs=1e-9)
    assert ripple_of(fault(weight, (2, 2)), 2) != pytest.approx(found, abs=1e-3)


class TestPhaseChannels:
    """Which channel writes which phase."""

    @law
    @given(
        st.lists(st.integers(1, 3), min_size=1, max_size=3),
        st.integers(1, 4),
        st.sampled_from(["DCR", "CRD"]),
        st.data(),
    )
    def test_is_its_definition(
        self, blocks: list[int], outputs: int, mode: str, data: st.DataObject
    ) -> None:
        """Every phase and output channel; blocks along single positions are channels."""
        phases = phase_channels(blocks, outputs * prod(blocks), mode)
        for phase in product(*map(range, blocks)):
            for output in range(outputs):
                assert phases[phase][output] == channel(phase, output, blocks, outputs, mode)
        alone = data.draw(st.sets(st.integers(0, len(blocks) - 1)))
        grouped = phase_channels(blocks, outputs * prod(blocks), mode, alone)
        assert grouped.shape[:-1] == tuple(1 if i in alone else b for i, b in enumerate(blocks))
        kept = [i for i in range(len(blocks)) if i not in alone]
        for phase in product(*(range(blocks[i]) for i in kept)):
            at = {i: slice(r, r + 1) for i, r in zip(kept, phase, strict=True)}
            place = tuple(at[i].start if i in at else 0 for i in range(len(blocks)))
            every = phases[tuple(at.get(i, slice(None)) for i in range(len(blocks)))]
            assert sorted(grouped[place]) == sorted(every.reshape(-1))


class TestOffset:
    """Biases over the phases."""

    def test_is_that_of_the_least_even_output(self) -> None:
        """Standard deviation over the phases, as a share of the mean or of 1."""
        biases = np.array([0.0, 100.0, 0.2, 100.1, 0.0, 100.0, 0.2, 100.1])
        found = worst_offset(biases, phase_channels((2, 2), 8, "DCR"))
        assert found.deviation == pytest.approx(0.1)
        assert found.mean == pytest.approx(0.1)
        assert found.share == pytest.approx(0.1)
        assert not found.is_even
        swapped = worst_offset(biases, phase_channels((2, 2), 8, "CRD"))
        assert swapped.deviation == pytest.approx(50, abs=0.1)

    @pytest.mark.parametrize(
        ("mean", "spread", "even"),
        [(0.0, 0.9e-3, True), (0.0, 1.1e-3, False), (50.0, 0.04, True), (-50.0, 0.06, False)],
    )
    def test_a_thousandth_of_the_mean_or_of_one(
        self, mean: float, spread: float, even: bool
    ) -> None:
        """The larger of the two is what the deviation is held against."""
        biases = mean + spread * np.array([-1, 1])
        assert worst_offset(biases, phase_channels((2,), 2, "DCR")).is_even is even

    def test_one_for_all_is_even(self) -> None:
        """A scalar is the same at all phases."""
        assert worst_offset(np.full(1, 7.0), phase_channels((2, 2), 8, "CRD")) == Offset(0.0, 7.0)

    @pytest.mark.parametrize("odd", [np.nan, np.inf])
    def test_what_is_no_number_is_not_even(self, odd: float) -> None:
        """There is no figure, and no warning either."""
        found = worst_offset(np.array([1.0, odd]), phase_channels((2,), 2, "DCR"))
        assert isnan(found.share)


def test_weights_that_are_no_numbers_have_no_figure() -> None:
    """Nan, as for a transposed convolution."""
    weight = weights(4, 1, 2, seed=7)
    weight[0, 0, 0, 0] = np.nan
    assert isnan(subpixel_ripple(weight, phase_channels((2, 2), 4, "DCR"), ONE).total)
