"""What ONNX Runtime accepts and runs is read, sized and rewritten as it computes it."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, NoReturn

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.analysis.known_sizes import KnownSizes
from onnxstride.registry import find_rewrite, load_rewrites
from onnxstride.rewrite import Refusal
from onnxstride.rule import Safety
from onnxstride.surgery import Fragment
from onnxstride.verify import Runner
from tests.graph.building import model, node

from . import agreement
from .graphs import Case, legal
from .profile import law, seeded
from .spoiling import spoiled

REWRITES = load_rewrites()
EXACT = [loaded for loaded in REWRITES if loaded.rewrite.safety is Safety.EXACT]
OTHERS = [loaded for loaded in REWRITES if loaded.rewrite.safety is not Safety.EXACT]
AVERAGE = find_rewrite(REWRITES, "avgpool-to-conv")


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """One child process for all cases."""
    with Runner(threads=1, timeout=60) as started:
        yield started


def agreed(case: Case, runner: Runner) -> agreement.Ran | None:
    """The case as it ran, with nothing said of it that is not so; None where it does not run."""
    ran = agreement.ran(case, runner)
    if ran is None or not agreement.makes_sense(ran):
        return None
    assert agreement.faults(ran) == []
    return ran


@law(120)
@given(random=st.randoms(use_true_random=False))
def test_what_runs_is_read_as_it_runs(runner: Runner, random: Random) -> None:
    """No error entry, every size that is stated the real one, and the input size admitted."""
    agreed(legal(random), runner)


@law(60)
@given(random=st.randoms(use_true_random=False))
def test_what_runs_in_spite_of_faults_is_read_as_it_runs(runner: Runner, random: Random) -> None:
    """So is a graph with faults that ONNX Runtime overlooks."""
    agreed(spoiled(legal(random), random, most=1), runner)


@law(50)
@given(random=st.randoms(use_true_random=False))
def test_exact_rewrites_refuse_or_agree(runner: Runner, random: Random) -> None:
    """What an exact rewrite makes loads, and computes the same within rounding."""
    case = legal(random)
    ran = agreed(case, runner)
    for loaded in EXACT:
        assert agreement.rewrite_faults(case, ran, loaded, runner) == []


@law(25)
@given(random=st.randoms(use_true_random=False))
def test_other_rewrites_refuse_or_run(runner: Runner, random: Random) -> None:
    """What another rewrite makes loads, and has outputs of the same shapes and types."""
    case = legal(random)
    ran = agreed(case, runner)
    for loaded in OTHERS:
        assert agreement.rewrite_faults(case, ran, loaded, runner) == []


@law(25)
@given(random=st.randoms(use_true_random=False))
def test_no_rewrite_breaks_on_a_graph_with_faults(runner: Runner, random: Random) -> None:
    """It refuses with an error that says why, or rewrites what it can."""
    case = spoiled(legal(random), random)
    for loaded in REWRITES:
        found = agreement.rewritten(case, loaded, runner)
        assert not isinstance(found, str), found


def test_most_graphs_run(runner: Runner) -> None:
    """The graphs that are drawn are worth asking about: more than half of them run."""
    cases = [legal(seeded(seed)) for seed in range(60)]
    assert sum(agreement.ran(case, runner) is not None for case in cases) > 30


def pooled() -> Case:
    """An average of four by four values, halved."""
    pool = node("AveragePool", "x", "y", kernel_shape=[2, 2], strides=[2, 2])
    return Case(model(pool, inputs={"x": [1, 1, "H", 4]}), {"x": (1, 1, 4, 4)})


def ran(case: Case, runner: Runner) -> agreement.Ran:
    found = agreement.ran(case, runner)
    assert found is not None
    assert agreement.faults(found) == []
    return found


def test_a_model_that_is_refused_breaks_the_law(runner: Runner) -> None:
    """An error entry about what runs is noticed."""
    case = ran(pooled(), runner)
    empty = onnx.ModelProto.FromString(case.case.model.SerializeToString())
    del empty.graph.node[:]
    planted = case._replace(case=Case(empty, case.case.shapes))
    assert [*agreement.is_read_without_error(planted)]


def test_a_size_that_is_not_breaks_the_law(runner: Runner) -> None:
    """So is a tensor, or a layer, that has another shape than is said."""
    case = ran(pooled(), runner)
    planted = case._replace(arrays={**case.arrays, "y": np.zeros((1, 1, 2, 3), np.float32)})
    faults = [*agreement.states_sizes_that_are(planted)]
    assert len(faults) == 3, faults  # as stated, as computed, as the layer makes it


def test_a_computed_size_that_is_not_breaks_the_law(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the model states the right one."""
    case = ran(pooled(), runner)
    monkeypatch.setattr(KnownSizes, "size", lambda *_: 7)
    assert [*agreement.states_sizes_that_are(case)]


def test_a_size_that_is_not_admitted_breaks_the_law(runner: Runner) -> None:
    """So is a size at which the model ran, and which it is said not to take."""
    case = ran(pooled(), runner)
    planted = case._replace(case=case.case._replace(shapes={"x": (1, 1, 1, 4)}))
    assert [*agreement.admits_the_size_it_ran_at(planted)]


def _refuses(site: Any) -> Refusal:
    return Refusal("not today")


def _fails(values: Any) -> NoReturn:
    raise ZeroDivisionError("planted")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(lambda values: 2 * values, "values moved by", id="other values"),
        pytest.param(lambda values: values.astype(np.float64), "refuses loading", id="no model"),
        pytest.param(_fails, "ZeroDivisionError", id="an exception"),
    ],
)
def test_a_rewrite_that_is_wrong_breaks_the_law(
    change: Any, complaint: str, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose weights are changed before they are put in is noticed, and named."""
    case, right = ran(pooled(), runner), Fragment.constant

    def wrong(self: Fragment, values: Any, label: str) -> str:
        return right(self, change(values), label)

    monkeypatch.setattr(Fragment, "constant", wrong)
    (fault,) = agreement.rewrite_faults(case.case, case, AVERAGE, runner)
    assert complaint in fault
    assert AVERAGE.name in fault


def test_a_rewrite_that_refuses_breaks_no_law(runner: Runner) -> None:
    """Refusing is allowed."""
    case, refusing = pooled(), replace(AVERAGE, fix=_refuses)
    assert agreement.rewrite_faults(case, ran(case, runner), refusing, runner) == []
