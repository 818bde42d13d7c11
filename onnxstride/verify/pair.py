"""Two models side by side: each feed is run on both, at two optimisation levels, and compared.

1. *Oracle*: both without optimisation. What differs here is the verdict on the outputs.
2. *Deployment*: each model at the default level against itself without optimisation. What differs
   here is a disagreement of ONNX Runtime with itself. It is always reported. It counts against
   the model after, and fails it, only where it is new: on an output on which the model before
   agrees with itself, or by more than twice the share of the tolerance that the model before
   needs there. A disagreement that was there already is no work of who changed the model, and one
   that went away is an improvement.

Sizes or values that both models refuse say nothing about their difference: they are counted. What
only one of them refuses, crashes on, or takes too long for, is a difference like any other. A
model that crashed or timed out is not run again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Protocol

from ..errors import Refused, RunError
from .compare import Comparison, Demand
from .runtime import Array, Feeds, Level, Loadable, Runner
from .tolerance import Tolerance
from .verdict import Disagreement, OutputFigures

_WORSE = 2.0
"""How many times the tolerance that the model before needs makes a disagreement a new one."""


class Tolerances(Protocol):
    """The tolerance for an output of a type, with these feeds."""

    def __call__(self, dtype: str, *, feeds: Feeds) -> Tolerance: ...


class Side(StrEnum):
    """Which of the two models."""

    BEFORE = "before"
    AFTER = "after"


class Outcome(StrEnum):
    """What came of a feed."""

    COMPARED = "compared"
    REFUSED = "refused"  # by both
    DIFFERED = "differed"  # one ran, the other did not


@dataclass(frozen=True, slots=True)
class Match:
    """Which input and output of the model after is which of the model before.

    ``inputs_needed`` counts what both models together ask for: all must be matched for a run.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    inputs_needed: int

    @property
    def is_runnable(self) -> bool:
        """Whether every input is matched, and some output."""
        return bool(self.outputs) and len(self.inputs) == self.inputs_needed


class Pair:
    """Runs and compares; what was found is asked for at the end.

    Args:
        runner: where the models run.
        models: both of them.
        match: names in the model before -> names in the model after.
        tolerances: for the outputs of the two without optimisation.
        own_tolerances: for one model at two levels.
        demand: what the outputs must meet.
        may_widen: what the model before refuses and the model after takes says nothing either.
    """

    def __init__(
        self,
        runner: Runner,
        models: tuple[Loadable, Loadable],
        match: Match,
        *,
        tolerances: Tolerances,
        own_tolerances: Tolerances,
        demand: Demand,
        may_widen: bool = False,
    ) -> None:
        self._runner = runner
        self._models = dict(zip(Side, models, strict=True))
        self.match = match
        self._tolerances = tolerances
        self._own_tolerances = own_tolerances
        self._may_widen = may_widen
        self._outputs = {name: Comparison(name, demand) for name in match.outputs}
        self._own = {
            (side, name): Comparison(name, sides=("unoptimised", "optimised"), in_full=False)
            for side in Side
            for name in match.outputs
        }
        self._dead: set[tuple[Side, Level]] = set()
        self._one_sided: dict[Side, list[str]] = {}
        self._deployment: dict[Side, str] = {}
        self.feeds = 0
        self.last_refusal = ""

    def load(self) -> dict[Side, RunError]:
        """Loads both without optimisation; the errors of those that cannot be."""
        errors: dict[Side, RunError] = {}
        for side, model in self._models.items():
            try:
                self._runner.load(model, Level.ORACLE)
            except RunError as error:
                errors[side] = error
        return errors

    @property
    def is_over(self) -> bool:
        """True when one of the models cannot be run any more."""
        return any((side, Level.ORACLE) in self._dead for side in Side)

    def add(self, feeds: Feeds, name: str) -> Outcome:
        """Runs both on one feed, which reports call ``name``, and compares what they give."""
        renamed = {self.match.inputs[key]: array for key, array in feeds.items()}
        feeds_of: dict[Side, Feeds] = {Side.BEFORE: feeds, Side.AFTER: renamed}
        if list(renamed) == list(feeds):
            feeds_of[Side.AFTER] = feeds  # the runner sends the same feeds once
        before = self._run(Side.BEFORE, feeds_of, Level.ORACLE)
        after = self._run(Side.AFTER, feeds_of, Level.ORACLE)
        says_nothing = isinstance(after, RunError) or (
            self._may_widen and isinstance(before, Refused)
        )
        if isinstance(before, RunError) and says_nothing:
            self.last_refusal = before.message
            return Outcome.REFUSED
        if isinstance(before, RunError):
            self._differ(Side.BEFORE, before, name)
            return Outcome.DIFFERED
        if isinstance(after, RunError):
            self._differ(Side.AFTER, after, name)
            return Outcome.DIFFERED
        self.feeds += 1
        self._compare(before, after, feeds, name)
        for side, results in ((Side.BEFORE, before), (Side.AFTER, after)):
            self._deploy(side, results, feeds_of, name)
        return Outcome.COMPARED

    def figures(self) -> tuple[OutputFigures, ...]:
        """Of every output that both models have, in the order of the model before."""
        return tuple(comparison.figures() for comparison in self._outputs.values())

    def reasons(self) -> list[str]:
        """Sentences on every difference between the two without optimisation."""
        one_sided = [_with_count(sentences) for sentences in self._one_sided.values() if sentences]
        compared = [
            reason for comparison in self._outputs.values() for reason in comparison.reasons()
        ]
        return one_sided + compared

    def disagreements(self) -> tuple[Disagreement, ...]:
        """Where a model at the default level is another than without optimisation."""
        found = [self._undeployable(side) for side in Side if side in self._deployment]
        for (side, name), comparison in self._own.items():
            for reason in comparison.reasons()[:1]:
                figures = comparison.figures()
                message = (
                    f"{self._models[side].name}: ONNX Runtime's default optimisation changes the "
                    f"result: {reason}"
                )
                fails = side is Side.AFTER and self._is_new(name, figures)
                found.append(Disagreement(side.value, message, figures, fails))
        return tuple(found)

    def _run(
        self, side: Side, feeds_of: Mapping[Side, Feeds], level: Level
    ) -> dict[str, Array] | RunError:
        """The outputs under their names in the model before, or what went wrong."""
        names = self.match.outputs
        wanted = list(names) if side is Side.BEFORE else list(names.values())
        try:
            results = self._runner.run(self._models[side], feeds_of[side], level, wanted)
        except RunError as error:
            if not isinstance(error, Refused):
                self._dead.add((side, level))
            return error
        return results

    def _differ(self, side: Side, error: RunError, name: str) -> None:
        other = self._models[Side.AFTER if side is Side.BEFORE else Side.BEFORE].name
        self._one_sided.setdefault(side, []).append(f"{error.message}; {other} runs, with {name}")

    def _compare(
        self, before: dict[str, Array], after: dict[str, Array], feeds: Feeds, name: str
    ) -> None:
        for output, comparison in self._outputs.items():
            tolerances = partial(self._tolerances, feeds=feeds)
            items = _items(before, output), _items(after, self.match.outputs[output])
            _add(comparison, items, tolerances, name)

    def _deploy(
        self,
        side: Side,
        results: dict[str, Array],
        feeds_of: Mapping[Side, Feeds],
        name: str,
    ) -> None:
        if (side, Level.DEPLOYED) in self._dead:
            return
        optimised = self._run(side, feeds_of, Level.DEPLOYED)
        if isinstance(optimised, RunError):
            self._deployment.setdefault(side, f"{optimised.message}, with {name}")
            return
        for output in self.match.outputs:
            own = output if side is Side.BEFORE else self.match.outputs[output]
            tolerances = partial(self._own_tolerances, feeds=feeds_of[side])
            items = _items(results, own), _items(optimised, own)
            _add(self._own[side, output], items, tolerances, name)

    def _undeployable(self, side: Side) -> Disagreement:
        return Disagreement(
            side.value,
            f"{self._deployment[side]}; without optimisation it runs",
            fails=side is Side.AFTER and Side.BEFORE not in self._deployment,
        )

    def _is_new(self, name: str, after: OutputFigures) -> bool:
        before = self._own[Side.BEFORE, name]
        if Side.BEFORE in self._deployment:
            return False  # there is nothing to hold it against
        if not before.reasons():
            return True
        return after.tolerance_used > _WORSE * before.figures().tolerance_used


def _add(
    comparison: Comparison,
    items: tuple[list[Array], list[Array]],
    tolerances: Callable[[str], Tolerance],
    name: str,
) -> None:
    """Compares a tensor, or the tensors of a sequence one by one."""
    if len(items[0]) != len(items[1]):
        comparison.reject(f"has {len(items[0])} and {len(items[1])} tensors, with {name}")
    for first, second in zip(*items, strict=False):
        comparison.add(first, second, feed=name, tolerance=tolerances(first.dtype.name))


def _items(results: dict[str, Array], output: str) -> list[Array]:
    """The arrays of an output: one, or those of a sequence."""
    if output in results:
        return [results[output]]
    items: list[Array] = []
    while (name := f"{output}[{len(items)}]") in results:
        items.append(results[name])
    return items


def _with_count(sentences: list[str]) -> str:
    more = len(sentences) - 1
    return sentences[0] if not more else f"{sentences[0]}; and so with {more} more"
