"""How long a rewritten model takes beside the original: a figure to look at, which decides nothing.

Both run on one made-up feed, optimised as they will be deployed, on one thread. They take turns,
A B A B, so that whatever else the machine does falls on both alike. What counts is each model's
median time; the first runs, which set up memory, are not counted. A pair of slow models is given
up after ``_PATIENCE`` seconds, but not before ``_LEAST`` runs of each.

Sizes that the original leaves open are the first of those that verification tries at which it runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from ..errors import Refused
from ..verify import Feeds, Kind, Level, Loadable, Runner, VerifyOptions, make_feed
from ..verify.legal import Legality
from ..verify.sizes import Sizes, in_words, trials
from ..verify.subject import Subject, read_subject

THREADS = 1
RUNS = 20
_WARM_UP = 3
_LEAST = 3
_PATIENCE = 20.0
_SEED = 0


@dataclass(frozen=True, slots=True)
class Latency:
    """Median milliseconds of one run, before and after, each over ``runs`` runs."""

    before_ms: float
    after_ms: float
    runs: int
    sizes: Sizes

    @property
    def place(self) -> str:
        """The sizes in words."""
        return in_words(self.sizes)

    @property
    def ratio(self) -> float:
        """How many times as long the rewritten model takes."""
        return self.after_ms / self.before_ms


def measure_latency(before: Path, after: Path, options: VerifyOptions) -> Latency:
    """The latency of the model ``after`` beside that of ``before``, whose inputs it has.

    Raises:
        ModelError: one of them cannot be read.
        RunError: one of them cannot be run.
        RuntimeUnavailable: there is nothing to run them with.
        UsageError: no feed can be made up for them.
    """
    with Runner(providers=options.providers, timeout=options.timeout, threads=THREADS) as runner:
        runner.start()  # it gets ready while the models are read
        first = read_subject(before, before.name, options.bindings)
        with first.model:
            second = read_subject(after, after.name, options.bindings)
            with second.model:
                return _latency(runner, first, second)


def _latency(runner: Runner, before: Subject, after: Subject) -> Latency:
    models = before.loadable, after.loadable
    sizes, feed = _accepted(runner, before)
    rounds = list(_rounds(runner, models, feed))
    before_ms, after_ms = (1e3 * median(times) for times in zip(*rounds, strict=True))
    return Latency(before_ms, after_ms, len(rounds), sizes)


def _accepted(runner: Runner, subject: Subject) -> tuple[Sizes, Feeds]:
    """The first sizes that the model runs at, and a feed of them."""
    legality = Legality(subject.model, subject.inputs)
    refusal = Refused(f"{subject.name}: none of the sizes tried has a meaning for it")
    for sizes in [sizes for trial in trials(subject.inputs) for sizes in trial.candidates]:
        if legality.fault(sizes):
            continue
        feed = make_feed(subject.inputs, sizes, _SEED, Kind.MIXED)
        try:
            runner.time(subject.loadable, feed)
        except Refused as error:
            refusal = error
            continue
        return sizes, feed
    raise refusal


def _rounds(
    runner: Runner, models: tuple[Loadable, Loadable], feed: Feeds
) -> Iterator[tuple[float, float]]:
    """Seconds of one run of each model after the other."""
    start = perf_counter()
    for number in range(_WARM_UP + RUNS):
        times = tuple(runner.time(model, feed, Level.DEPLOYED) for model in models)
        if number >= _WARM_UP:
            yield times[0], times[1]
        if number >= _WARM_UP + _LEAST - 1 and perf_counter() - start > _PATIENCE:
            return
