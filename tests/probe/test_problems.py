"""What the analysis does not know is folded by the product of all factors; the rest is told."""

import numpy as np
import pytest

from onnxstride.errors import RuntimeUnavailable
from onnxstride.geometry import Axis
from onnxstride.probe import foldings, run
from onnxstride.probe.fold import Fold, Folding

from .building import DEEP, Probe, deconvolution, forced, only

UNEVEN = deconvolution(np.arange(1, 10).reshape(1, 1, 3, 3), [Axis(3, 2, 1, 1, 1)] * 2)


class TestUnknown:
    """What the analysis does not know is folded by the product of all factors, or skipped."""

    def test_the_product_of_the_factors_is_a_period(
        self, probe: Probe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The figures are those of the true period."""
        known = only(probe(DEEP))
        monkeypatch.setattr(foldings, "_known", lambda graph, name: None)
        guessed = only(probe(DEEP))
        assert guessed.period == (4, 4)
        assert not guessed.is_free
        for one, other in zip(known.answers, guessed.answers, strict=True):
            assert one.rms == pytest.approx(other.rms, rel=1e-3)

    def test_an_operator_that_nobody_knows_stops_it(self, probe: Probe) -> None:
        """It may enlarge by what it likes."""
        probed = probe(
            '<ir_version: 8, opset_import: ["": 17, "their.own": 1]>\n'
            "net (float[1,1,H,W] x) => (float[1,1,H2,W2] y) { y = their.own.Grow (x) }"
        )
        assert probed.problem == "what Grow of domain 'their.own' does is not known"

    def test_an_unpooling_is_followed(self, probe: Probe) -> None:
        """MaxUnpool puts values at one of four places, the same for a constant image.

        The channels, which nothing mixes, are no axis of the pattern.
        """
        output = only(
            probe("""
        net (float[1,1,32,32] x) => (float[1,1,32,32] y)
        {
            m, i = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            y = MaxUnpool <kernel_shape = [2,2], strides = [2,2]> (m, i)
        }""")
        )
        assert output.period == (2, 2)
        assert np.array_equal(output.answers[2].tile, [[[1, 0], [0, 0]]])

    def test_what_does_not_repeat_is_told(
        self, probe: Probe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A guess that leaves more than it explains is no measurement."""
        guess = Folding((Fold(2),), is_guess=True)
        monkeypatch.setattr(run, "targets", lambda graph, periods: [forced(graph, guess)])
        noise = ", ".join(f"{value:.3f}" for value in np.random.default_rng(3).random(64))
        model = f"""
        net (float[1,1,64] x) => (float[1,1,64] y) <float[1,1,64] n = {{{noise}}}>
        {{
            none = Sub (x, x)
            y = Add (none, n)
        }}"""
        probed = probe(model)
        assert probed.problem == "output 'y': it repeats with no period of 2 that could be found"


class TestProblems:
    """What cannot be measured is said, and nothing raises."""

    @pytest.mark.parametrize(
        ("model", "reason"),
        [
            pytest.param(
                "net (float[1,1,8,8] x) => (float[1,1,H,W] y) <float[1,1,2,2] w>"
                "{ y = ConvTranspose <strides = [2,2], output_padding = [3,3]> (x, w) }",
                "output_padding",
                id="refused by the runtime",
            ),
            pytest.param(
                "net (float[1,1,H,W] x, string[1] s) => (float[1,1,H2,W2] y) <float[1,1,2,2] w>"
                "{ y = ConvTranspose <strides = [2,2]> (x, w) }",
                "no values can be made up for type string",
                id="an input that cannot be made up",
            ),
            pytest.param(
                "net (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <float[1,1,2,2] w>"
                "{ a = ConvTranspose <strides = [2,2]> (x, w)\n z = Sub (a, a)\n y = Div (z, z) }",
                "answer to grey holds nan or inf",
                id="nan",
            ),
            pytest.param(
                "net (float[1,1,H,W] x) => (bfloat16[1,1,H2,W2] y) <float[1,1,2,2] w>"
                "{ a = ConvTranspose <strides = [2,2]> (x, w)\n y = Cast <to = 16> (a) }",
                "",
                id="bfloat16 is a number",
            ),
        ],
    )
    def test_one_reason(self, probe: Probe, model: str, reason: str) -> None:
        """It is in the probe's problem and in the output's."""
        probed = probe(model)
        assert reason in probed.problem
        assert bool(probed.problem) is bool(reason)
        assert all(bool(output.problem) is bool(reason) for output in probed.outputs)

    def test_outputs_have_problems_of_their_own(self, probe: Probe) -> None:
        """One that is measured makes up for no other, but the probe as a whole was done."""
        probed = probe("""
        net (float[1,1,H,W] x) => (float[1,1,H2,W2] y, float[1,1,H2,W2] bad)
        <float[1,1,2,2] w = {1.0, 2.0, 3.0, 4.0}>
        {
            y = ConvTranspose <strides = [2,2]> (x, w)
            z = Sub (y, y)
            bad = Div (z, z)
        }""")
        good, bad = probed.outputs
        assert (probed.problem, good.problem, bad.answers) == ("", "", ())
        assert "nan" in bad.problem

    def test_an_output_too_small_to_repeat_is_passed_over(self, probe: Probe) -> None:
        """A single period is no pattern, and no failure."""
        probed = probe(
            "net (float[1,1,1,1] x) => (float[1,1,2,2] y) <float[1,1,2,2] w>"
            "{ y = ConvTranspose <strides = [2,2]> (x, w) }"
        )
        assert (probed.outputs, probed.problem) == ((), "")

    def test_a_missing_runtime_is_an_error(
        self, probe: Probe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It concerns every model, so it is no property of one."""

        def fail(*_: object, **__: object) -> None:
            raise RuntimeUnavailable("planted")

        monkeypatch.setattr("onnxstride.verify.runtime.Runner.run", fail)
        with pytest.raises(RuntimeUnavailable):
            probe(UNEVEN)


def test_hostile_sizes_are_told_not_allocated(probe: Probe) -> None:
    """A declared image of petabytes is refused before it is made."""
    probed = probe(
        "net (float[1,1,9999999,9999999] x) => (float[1,1,H,W] y) <float[1,1,2,2] w>"
        "{ y = ConvTranspose <strides = [2,2]> (x, w) }"
    )
    assert "holds more than" in probed.problem


def test_an_unreadable_tensor_is_a_problem_of_the_probe(probe: Probe) -> None:
    """The linter reports it on its own; here it is why nothing could be run."""
    model = deconvolution(np.ones((1, 1, 2, 2)), [Axis(2, 2)] * 2)
    model.graph.initializer[0].raw_data = b"short"
    probed = probe(model)
    assert "w" in probed.problem
    assert probed.outputs[0].problem == probed.problem
