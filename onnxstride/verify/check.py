"""Verification: whole models, and the rewrite of one node cut out on its own.

Verdicts:

- *fail*: a difference was seen (see ``pair``), the interfaces differ, or only one of the models
  can be loaded, and that is the model before;
- *not-checked*: no difference was seen, but not everything was compared: no feed ran on both, an
  output was empty or NaN on every feed, or is no tensor, or the model before cannot be loaded;
- *pass*: every output was compared and is what it was.

Outputs and inputs are matched by name, or by position where asked. Another order of the outputs is
a difference too: callers may go by position.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product

import numpy as np

from ..errors import UsageError
from ..graph.bindings import Bindings
from ..rule import NodeRef, Safety
from .compare import Demand, largest_finite
from .data import load_data
from .inputs import NOISE, Input, Kind, make_feed
from .legal import Legality
from .pair import Match, Outcome, Pair, Side, Tolerances
from .runtime import CPU, DEFAULT_TIMEOUT, Feeds, Runner
from .scenes import Scenes
from .sizes import Sizes, Trial, floors, in_words, trials
from .subject import Source, Subject, file_name, read_subject
from .tolerance import ExactGate, Gate, Tolerance, epsilon
from .verdict import ModelVerdict, OutputFigures, SiteVerdict, Verdict

DEFAULT_SEEDS = 1
_SEEDS_OF_SITE = 2  # a single layer costs next to nothing
_SEEDS_OF_SCENES = 3  # instead of three kinds


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How to verify.

    Args:
        data: the user's own feeds (see ``data``); made-up ones otherwise.
        seeds: made-up feeds of each kind, for each size.
        sizes: of the spatial axes that the model leaves open; odd, even and minimal otherwise.
        bindings: shapes of inputs and sizes of symbols that are not to be varied.
        rtol: relative tolerance; by type otherwise (see ``tolerance``).
        atol: absolute tolerance; by type and magnitude otherwise.
        min_snr: least signal to noise ratio in dB. It is then what decides on floating outputs,
            and tolerances only where they are given too.
        providers: ONNX Runtime's execution providers, most wanted first.
        timeout: seconds for loading a model or running it once; None for ever.
        by_position: match inputs and outputs by position instead of name.
        scenes: ranges of the inputs that are images. Made-up feeds are then like those that the
            models are used on (see ``scenes``), and their figures tell what a difference means
            there; without, they are noise that is made to show every fault.
    """

    data: str | None = None
    seeds: int = DEFAULT_SEEDS
    sizes: tuple[int, ...] = ()
    bindings: Bindings = field(default_factory=Bindings)
    rtol: float | None = None
    atol: float | None = None
    min_snr: float | None = None
    providers: tuple[str, ...] = (CPU,)
    timeout: float | None = DEFAULT_TIMEOUT
    by_position: bool = False
    scenes: Mapping[str, tuple[float, float]] | None = None

    def runner(self) -> Runner:
        """A runner as these options want it."""
        return Runner(providers=self.providers, timeout=self.timeout)

    def demand(self) -> Demand:
        """What outputs must meet."""
        is_given = self.rtol is not None or self.atol is not None
        return Demand(tolerance=is_given or self.min_snr is None, min_snr=self.min_snr)


@dataclass(frozen=True, slots=True)
class SiteCase:
    """The surroundings of one node before and after its rewrite, each as a model of its own.

    ``accumulation`` counts the terms added up for one element of an exact rewrite; 0 claims that
    not a bit changes. ``smallest`` is the least size along each spatial axis, behind batch and
    channels, that has a meaning; nothing is known of it by default. Inputs that ``non_negative``
    names are fed with nothing below zero.
    """

    before: bytes
    after: bytes
    node: NodeRef
    rewrite: str
    safety: Safety
    accumulation: int = 0
    smallest: tuple[int, ...] = ()
    non_negative: tuple[str, ...] = ()


@dataclass(slots=True)
class _Trace:
    """What happened on the way, besides the figures."""

    passed_over: list[str] = field(default_factory=list[str])
    doubts: list[str] = field(default_factory=list[str])


_Tell = Callable[[str], None]
_Make = Callable[[Sizes, int, Kind], Feeds]


@dataclass(frozen=True, slots=True)
class _Feeder:
    """Makes up feeds: for each size so many seeds, of each kind."""

    make: _Make
    seeds: int
    kinds: tuple[Kind, ...]


def verify(
    before: Source,
    after: Source,
    options: VerifyOptions | None = None,
    *,
    runner: Runner | None = None,
    tell: _Tell | None = None,
    names: tuple[str, str] | None = None,
    may_widen: bool = False,
) -> ModelVerdict:
    """Whether the model ``after`` computes what ``before`` does.

    Args:
        before: a path, or the model's bytes.
        after: the same.
        options: how to verify.
        runner: where to run them; one of its own otherwise.
        tell: called with the name of each feed before it is run.
        names: how messages call the two; by their files otherwise.
        may_widen: sizes that only ``before`` refuses are passed over like those that both refuse.

    Raises:
        ModelError: one of them cannot be read.
        UsageError: options do not fit the models, or the data does not.
        RuntimeUnavailable: there is nothing to run them with.
    """
    options = options or VerifyOptions()
    names = names or (file_name(before, "before"), file_name(after, "after"))
    with ExitStack() as stack:
        running = runner or stack.enter_context(options.runner())
        running.start()  # it gets ready while the models are read
        subjects = _opened(stack, (before, after), names, options.bindings)
        _refuse_unused(options.bindings, subjects)
        gate = Gate(options.rtol, options.atol, _coarsest(subjects))
        match, faults = _matched(*subjects, by_position=options.by_position)
        pair = Pair(
            running,
            (subjects[0].loadable, subjects[1].loadable),
            match,
            tolerances=_always(gate),
            own_tolerances=_always(gate),
            demand=options.demand(),
            may_widen=may_widen,
        )
        return _verify(pair, subjects, faults, options, tell)


def verify_site(
    case: SiteCase, options: VerifyOptions | None = None, *, runner: Runner | None = None
) -> SiteVerdict:
    """Whether the rewrite of one node does what its safety promises.

    Feeds are made up, whatever the options say of data and sizes. An exact rewrite is held to
    the tolerance of its accumulation, on noise. Another must keep shapes, types and the places of
    NaN and infinities, and the signal to noise ratio that the options ask for, on scenes.

    Raises:
        ModelError: one of the models cannot be read.
        RuntimeUnavailable: there is nothing to run them with.
    """
    options = options or VerifyOptions()
    title = f"{case.node.op_type} {case.node.name!r}"
    with ExitStack() as stack:
        running = runner or stack.enter_context(options.runner())
        running.start()
        names = f"{title} before", f"{title} after"
        subjects = _opened(stack, (case.before, case.after), names, Bindings())
        match, faults = _matched(*subjects, by_position=False)
        is_exact = case.safety is Safety.EXACT
        pair = Pair(
            running,
            (subjects[0].loadable, subjects[1].loadable),
            match,
            tolerances=_exact(case.accumulation, _coarsest(subjects)),
            own_tolerances=_always(Gate(coarsest=_coarsest(subjects))),
            demand=Demand() if is_exact else Demand(tolerance=False, min_snr=options.min_snr),
        )
        found = _run_site(pair, subjects, faults, case, options)
        for subject in subjects:
            running.drop(subject.loadable)
        return _site_verdict(case, found)


def _opened(
    stack: ExitStack, sources: tuple[Source, Source], names: tuple[str, str], bindings: Bindings
) -> tuple[Subject, Subject]:
    """Both models, open for as long as the stack is."""
    before = read_subject(sources[0], names[0], bindings)
    stack.enter_context(before.model)
    after = read_subject(sources[1], names[1], bindings)
    stack.enter_context(after.model)
    return before, after


def _verify(
    pair: Pair,
    subjects: tuple[Subject, Subject],
    faults: list[str],
    options: VerifyOptions,
    tell: _Tell | None,
) -> ModelVerdict:
    trace = _Trace()
    if _is_runnable(pair, faults, trace):
        inputs = subjects[0].inputs
        if options.data is not None:
            _run_data(pair, load_data(options.data, inputs), trace, tell)
        else:
            planned = trials(inputs, options.sizes)
            _run_trials(pair, subjects[0], planned, _feeder(inputs, options), trace, tell)
    return _verdict(pair, subjects, faults, trace)


def _run_site(
    pair: Pair,
    subjects: tuple[Subject, Subject],
    faults: list[str],
    case: SiteCase,
    options: VerifyOptions,
) -> ModelVerdict:
    trace = _Trace()
    if _is_runnable(pair, faults, trace):
        inputs, seeds = subjects[0].inputs, max(options.seeds, _SEEDS_OF_SITE)
        least = floors(inputs, case.smallest)
        planned = [trial.raised(least) for trial in trials(inputs, small=True)]
        make = partial(make_feed, inputs, non_negative=case.non_negative)
        feeder = _Feeder(make, seeds, _kinds(inputs))
        if case.safety is not Safety.EXACT:  # what its figures mean on noise is nothing
            feeder = _feeder(inputs, replace(options, scenes={}))
        _run_trials(pair, subjects[0], planned, feeder, trace)
    return _verdict(pair, subjects, faults, trace)


def _is_runnable(pair: Pair, faults: list[str], trace: _Trace) -> bool:
    """Whether there is anything to run; says why where there is not."""
    if not pair.match.is_runnable:
        return False
    errors = pair.load()
    if set(errors) == {Side.AFTER}:
        faults.append(errors[Side.AFTER].message)
    else:
        trace.doubts += [error.message for error in errors.values()]
    return not errors


def _run_data(pair: Pair, feeds: Iterator[Feeds], trace: _Trace, tell: _Tell | None) -> None:
    for number, feed in enumerate(feeds, 1):
        name = f"sample {number}"
        if tell is not None:
            tell(name)
        if pair.add(feed, name) is Outcome.REFUSED:
            trace.passed_over.append(name)
        if pair.is_over:
            return


def _run_trials(
    pair: Pair,
    before: Subject,
    planned: Sequence[Trial],
    feeder: _Feeder,
    trace: _Trace,
    tell: _Tell | None = None,
) -> None:
    """Runs every trial's first accepted sizes on all seeds and kinds, each size once."""
    inputs, legality = before.inputs, Legality(before.model, before.inputs)
    problems = [f"input {item.name!r}: {item.problem}" for item in inputs if item.problem]
    if problems:
        trace.doubts += problems
        return
    tried: dict[str, Outcome] = {}
    for trial in planned:
        for sizes in trial.candidates:
            key = in_words(sizes)
            if key not in tried:
                fault = legality.fault(sizes)
                refused = Outcome.REFUSED
                tried[key] = refused if fault else _run_sizes(pair, sizes, feeder, tell)
                if tried[key] is refused:
                    trace.passed_over.append(fault or key)
            if pair.is_over:
                return
            if tried[key] is not Outcome.REFUSED:
                break


def _run_sizes(pair: Pair, sizes: Sizes, feeder: _Feeder, tell: _Tell | None) -> Outcome:
    """What came of the first feed; where it was compared, all others have been run too."""
    outcome: Outcome | None = None
    for seed, kind in product(range(feeder.seeds), feeder.kinds):
        name = f"{in_words(sizes)}, seed {seed}, {kind.value}"
        if tell is not None:
            tell(name)
        found = pair.add(feeder.make(sizes, seed, kind), name)
        outcome = outcome or found
        if pair.is_over or outcome is not Outcome.COMPARED:
            break
    return outcome or Outcome.REFUSED


def _feeder(inputs: Sequence[Input], options: VerifyOptions) -> _Feeder:
    """Feeds as the options ask for them."""
    if options.scenes is None:
        return _Feeder(partial(make_feed, inputs), options.seeds, _kinds(inputs))
    make = partial(_scene, inputs, options.scenes)
    return _Feeder(make, max(options.seeds, _SEEDS_OF_SCENES), (Kind.SCENE,))


def _scene(
    inputs: Sequence[Input],
    ranges: Mapping[str, tuple[float, float]],
    sizes: Sizes,
    seed: int,
    kind: Kind,
) -> Feeds:
    return Scenes(inputs, sizes, ranges)(seed)


def _kinds(inputs: Sequence[Input]) -> tuple[Kind, ...]:
    """How feeds of one seed differ: only floating values do."""
    return NOISE if any("float" in item.dtype for item in inputs) else (Kind.MIXED,)


def _verdict(
    pair: Pair, subjects: tuple[Subject, Subject], faults: list[str], trace: _Trace
) -> ModelVerdict:
    figures, disagreements = pair.figures(), pair.disagreements()
    against = [*faults, *pair.reasons(), *(item.message for item in disagreements if item.fails)]
    doubts = [*trace.doubts, *_doubts(pair, subjects[0], figures, trace)]
    verdict = Verdict.FAIL if against else Verdict.NOT_CHECKED if doubts else Verdict.PASS
    return ModelVerdict(
        before=subjects[0].name,
        after=subjects[1].name,
        verdict=verdict,
        reasons=(*against, *doubts),
        outputs=tuple(item for item in figures if item.dtype),
        disagreements=disagreements,
        feeds=pair.feeds,
        passed_over=tuple(trace.passed_over),
    )


def _doubts(
    pair: Pair, before: Subject, figures: Sequence[OutputFigures], trace: _Trace
) -> Iterator[str]:
    """Sentences on what has not been compared."""
    for name, what in before.uncheckable.items():
        yield f"output {name!r} is a {what}, which cannot be compared"
    if trace.passed_over and not pair.feeds:
        yield (
            "no feed was accepted by both models; the last answer: "
            f"{pair.last_refusal or trace.passed_over[-1]} (sizes can be fixed with --input-shape "
            "and --dim, and values given with --data)"
        )
    if not before.outputs:
        yield "the models have no outputs: there is nothing to compare"
    if pair.feeds:
        for item in figures:
            if not item.compared and item.name not in before.uncheckable:
                yield (
                    f"output {item.name!r} has not been compared: with every feed it was empty, "
                    "or NaN in both models"
                )


def _matched(before: Subject, after: Subject, *, by_position: bool) -> tuple[Match, list[str]]:
    """What belongs to what, and sentences on what belongs to nothing."""
    first = {item.name: item for item in before.inputs}
    second = {item.name: item for item in after.inputs}
    inputs, faults = _paired("input", list(first), list(second), by_position=by_position)
    outputs, more = _paired(
        "output", list(before.outputs), list(after.outputs), by_position=by_position
    )
    for name, other in list(inputs.items()):
        types = first[name].dtype, second[other].dtype
        if types[0] != types[1]:
            faults.append(f"input {name!r} is {types[0]} before and {types[1]} after")
            del inputs[name]
    ordered = [name for name in before.outputs if name in outputs]
    if not by_position and ordered != [name for name in after.outputs if name in outputs]:
        more.append(
            f"the outputs come in another order: {', '.join(before.outputs)} before, "
            f"{', '.join(after.outputs)} after"
        )
    checkable = {name: other for name, other in outputs.items() if name not in before.uncheckable}
    needed = len({*first, *(name for name in second if not by_position)})
    return Match(inputs, checkable, needed), faults + more


def _paired(
    what: str, before: list[str], after: list[str], *, by_position: bool
) -> tuple[dict[str, str], list[str]]:
    if by_position:
        if len(before) == len(after):
            return dict(zip(before, after, strict=True)), []
        return {}, [f"the model before has {len(before)} {what}s, the model after {len(after)}"]
    common = {name: name for name in before if name in after}
    faults = [f"{what} {name!r} is missing after" for name in before if name not in after]
    faults += [f"{what} {name!r} is new after" for name in after if name not in before]
    if faults and not common and len(before) == len(after):
        faults.append(f"no {what} has kept its name: --by-position compares them in order")
    return common, faults


def _site_verdict(case: SiteCase, found: ModelVerdict) -> SiteVerdict:
    outputs = found.outputs
    return SiteVerdict(
        node=case.node,
        rewrite=case.rewrite,
        safety=case.safety,
        verdict=found.verdict,
        cases=found.feeds,
        max_abs=max((item.max_abs for item in outputs), default=0.0),
        max_rel=max((item.max_rel for item in outputs), default=0.0),
        snr_db=min((item.snr_db for item in outputs), default=math.inf),
        reasons=found.reasons,
        outputs=outputs,
        disagreements=found.disagreements,
    )


def _always(gate: Gate) -> Tolerances:
    def tolerances(dtype: str, *, feeds: Feeds) -> Tolerance:
        return gate.tolerance(dtype)

    return tolerances


def _exact(accumulation: int, coarsest: str | None) -> Tolerances:
    def tolerances(dtype: str, *, feeds: Feeds) -> Tolerance:
        largest = largest_finite([np.asarray(array) for array in feeds.values()])
        return ExactGate(accumulation, coarsest, largest).tolerance(dtype)

    return tolerances


def _coarsest(subjects: tuple[Subject, Subject]) -> str | None:
    types = [item.coarsest for item in subjects if item.coarsest is not None]
    return max(types, key=epsilon, default=None)


def _refuse_unused(bindings: Bindings, subjects: tuple[Subject, Subject]) -> None:
    used = subjects[0].bound | subjects[1].bound
    for name in sorted(bindings.names() - used):
        raise UsageError(f"neither model has an input or symbol named {name!r}")
