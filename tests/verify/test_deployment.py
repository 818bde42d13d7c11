"""ONNX Runtime against itself: a model as it is, and at the default optimisation level."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from onnxstride.errors import Crashed
from onnxstride.verify import Verdict
from onnxstride.verify.compare import Demand
from onnxstride.verify.pair import Match, Outcome, Pair, Side
from onnxstride.verify.runtime import Array, Feeds, Level, Loadable, Runner
from onnxstride.verify.tolerance import Gate, Tolerance
from tests.folding import IS_FOLDED_HERE
from tests.verify.building import Bench

# Folded into the MaxPool, the Pad is one of minus infinity.
PADDED = """
net (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <int64[8] p = {0,0,1,1,0,0,1,1}, float z = {0}> {
    e = Pad (x, p, z)
    y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (e)
}"""
GUARDED = """
net (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <int64[8] p = {0,0,1,1,0,0,1,1}> {
    z = Pad (x, p)
    e = Abs (z)
    s = Sub (z, e)
    d = Add (s, e)
    y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (d)
}"""


@pytest.fixture(scope="module")
def folding() -> Iterator[Bench]:
    """Verifies with an ONNX Runtime that folds the Pad at the default level."""
    with Runner(timeout=120, script=Path(__file__).with_name("folding_child.py")) as runner:
        yield Bench(runner)


@pytest.mark.skipif(not IS_FOLDED_HERE, reason="this ONNX Runtime does not fold it any more")
def test_onnx_runtime_folds_as_the_planted_one(bench: Bench, folding: Bench) -> None:
    """The fault is planted as it was found."""
    found, planted = (each.verify(PADDED, PADDED).disagreements for each in (bench, folding))
    assert [item.figures for item in found] == [item.figures for item in planted]


class TestPadFoldedIntoMaxPool:
    def test_it_is_reported_for_both_and_fails_neither(self, folding: Bench) -> None:
        """The fault was there before: it is no work of the change."""
        verdict = folding.verify(PADDED, PADDED)
        assert verdict.verdict is Verdict.PASS
        assert [item.model for item in verdict.disagreements] == ["before", "after"]
        assert not any(item.fails for item in verdict.disagreements)
        figures = verdict.disagreements[0].figures
        assert figures is not None
        assert figures.max_abs > 0.05
        assert "changes the result" in verdict.disagreements[0].message

    def test_a_rewrite_that_mends_it_passes(self, folding: Bench) -> None:
        """Without optimisation the two are the same; what disagreed is told."""
        verdict = folding.verify(PADDED, GUARDED)
        assert verdict.verdict is Verdict.PASS
        assert [item.model for item in verdict.disagreements] == ["before"]

    def test_a_rewrite_that_brings_it_fails(self, folding: Bench) -> None:
        """Without optimisation the two are the same, but what is deployed is not."""
        verdict = folding.verify(GUARDED, PADDED)
        assert verdict.verdict is Verdict.FAIL
        assert [(item.model, item.fails) for item in verdict.disagreements] == [("after", True)]
        assert verdict.reasons == (verdict.disagreements[0].message,)
        assert verdict.outputs[0].matches


class Scripted(Runner):
    """Answers from a table instead of a child; an exception is raised."""

    def __init__(self, answers: dict[tuple[str, Level], float | Crashed]) -> None:
        super().__init__()
        self._answers = answers

    def run(
        self,
        model: Loadable,
        feeds: Feeds,
        level: Level = Level.ORACLE,
        outputs: object = None,
    ) -> dict[str, Array]:
        answer = self._answers[model.name, level]
        if isinstance(answer, Crashed):
            raise answer
        return {name: array + array.dtype.type(answer) for name, array in feeds.items()}


def scripted(**answers: float | Crashed) -> Pair:
    """A pair whose models add to their input what is given for model and level."""
    table: dict[tuple[str, Level], float | Crashed] = {
        (side.value, level): answers.get(f"{side.value}_{level.name.lower()}", 0.0)
        for side in Side
        for level in Level
    }
    models = Loadable("before", b""), Loadable("after", b"")

    def tolerances(dtype: str, *, feeds: Feeds) -> Tolerance:
        return Gate(rtol=0.0, atol=0.125).tolerance(dtype)

    return Pair(
        Scripted(table),
        models,
        Match({"x": "x"}, {"x": "x"}, 1),
        tolerances=tolerances,
        own_tolerances=tolerances,
        demand=Demand(),
    )


CRASH = Crashed("it crashed")


class TestDecisions:
    @pytest.mark.parametrize(
        ("answers", "outcome", "told", "fails"),
        [
            pytest.param({}, Outcome.COMPARED, [], [], id="all agree"),
            pytest.param(
                {"after_deployed": 1.0}, Outcome.COMPARED, ["after"], ["after"], id="new after"
            ),
            pytest.param(
                {"before_deployed": 1.0}, Outcome.COMPARED, ["before"], [], id="gone after"
            ),
            pytest.param(
                {"before_deployed": 1.0, "after_deployed": 1.0},
                *(Outcome.COMPARED, ["before", "after"], []),
                id="as before",
            ),
            pytest.param(
                {"before_deployed": 1.0, "after_deployed": 3.0},
                *(Outcome.COMPARED, ["before", "after"], ["after"]),
                id="much worse than before",
            ),
            pytest.param(
                {"after_deployed": CRASH}, Outcome.COMPARED, ["after"], ["after"], id="crash after"
            ),
            pytest.param(
                {"before_deployed": CRASH}, Outcome.COMPARED, ["before"], [], id="crash before"
            ),
            pytest.param(
                {"before_deployed": CRASH, "after_deployed": CRASH},
                *(Outcome.COMPARED, ["before", "after"], []),
                id="both crash",
            ),
            pytest.param({"after_oracle": CRASH}, Outcome.DIFFERED, [], [], id="only after dies"),
            pytest.param({"before_oracle": CRASH}, Outcome.DIFFERED, [], [], id="only before dies"),
            pytest.param(
                {"before_oracle": CRASH, "after_oracle": CRASH},
                *(Outcome.REFUSED, [], []),
                id="both die",
            ),
        ],
    )
    def test_what_counts_against_the_model_after(
        self,
        answers: dict[str, float | Crashed],
        outcome: Outcome,
        told: list[str],
        fails: list[str],
    ) -> None:
        """A disagreement is always told, and fails only where it is new."""
        pair = scripted(**answers)
        assert pair.add({"x": np.zeros((2, 2), np.float32)}, "a feed") is outcome
        found = pair.disagreements()
        assert [item.model for item in found] == told
        assert [item.model for item in found if item.fails] == fails
        assert bool(pair.reasons()) is (outcome is Outcome.DIFFERED)
        assert pair.is_over is any(key.endswith("oracle") for key in answers)
