"""Lints one file: reads it, hands each layer to the rules that ask for its type, sums up.

Findings come in the order of the graph, at one layer by code. A file that cannot be read, in
whole or in part, is a result like any other, not an exception: others may follow it.
"""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..debug import is_debugging, unexpected
from ..errors import ModelError, RuleError, RuntimeUnavailable, UsageError
from ..graph import Graph, read_graph
from ..graph.layers import Layer, Merge
from ..graph.pausing import collector_paused
from ..modelfile import ModelFile, open_model
from ..registry import LoadedRule
from ..rule import Finding, Skip
from .files import STDIN
from .ignoring import judged
from .measured import faults_of, responses
from .model_ignores import Held, held_by
from .policy import Policy
from .results import UNJUDGED, FileError, FileReport

if TYPE_CHECKING:
    from ..probe import Probed
    from .spots import Shown

    Probe = Callable[[ModelFile, Graph], Probed]


def lint_file(
    path: str, rules: Sequence[LoadedRule], policy: Policy, probe: "Probe | None" = None
) -> FileReport:
    """What the rules say about one model.

    Args:
        path: a model file, or ``-`` for standard input.
        rules: the rules to apply; their order decides the order of findings at one layer.
        policy: how to judge the file: sizes, thresholds, levels, what to let pass.
        probe: runs the model, for rules that judge what its outputs show (see ``probing``).

    Raises:
        UsageError: a binding that contradicts the model, or data that does not fit it.
        RuntimeUnavailable: there is nothing to run it with.
    """
    shown = "<stdin>" if path == STDIN else path
    return lint_opened(shown, lambda: _open(path, shown), rules, policy, probe)


def lint_opened(
    shown: str,
    opener: Callable[[], ModelFile],
    rules: Sequence[LoadedRule],
    policy: Policy,
    probe: "Probe | None" = None,
) -> FileReport:
    """What the rules say about the model that ``opener`` opens; see ``lint_file``."""
    try:
        with opener() as model:
            return _report(shown, model, rules, policy, probe)
    except UsageError as error:
        raise UsageError(f"{shown}: {error}") from error
    except RuntimeUnavailable:
        raise
    except ModelError as error:
        return FileReport(shown, FileError(error.code, error.message), fail_on=policy.fail_on)
    except RuleError as error:
        return FileReport(shown, FileError(ModelError.code, error.message), fail_on=policy.fail_on)
    except Exception as error:  # one bad model must not hide the others
        if is_debugging():
            raise
        return FileReport(
            shown, FileError(ModelError.code, unexpected(error)), fail_on=policy.fail_on
        )


@collector_paused()
def lint_graph(
    graph: Graph, rules: Sequence[LoadedRule], extra: Sequence[Layer] = ()
) -> tuple[list[Finding], list[Skip], list[ModelError]]:
    """Findings, skips and unreadable tensors, each in the order of the graph.

    ``extra`` holds subjects that the graph alone does not have, such as what was measured of its
    outputs; rules are asked about them last.

    Raises:
        RuleError: a rule failed, or answered with something that is not its own.
    """
    findings: list[Finding] = []
    skips = [Skip(UNJUDGED, node, reason) for node, reason in graph.skips]
    faults: list[ModelError] = []
    interested: dict[type, list[LoadedRule]] = {}
    for layer in [*_subjects(graph, rules), *extra]:
        kind = type(layer)
        if kind not in interested:
            interested[kind] = [loaded for loaded in rules if issubclass(kind, loaded.rule.on)]
        for loaded in interested[kind]:
            try:
                for answer in loaded.check(layer, graph):
                    _hold_to_contract(answer, loaded)
                    if isinstance(answer, Finding):
                        findings.append(answer)
                    else:
                        skips.append(answer)
            except ModelError as fault:  # a rule asked for a tensor that cannot be read
                faults.append(fault)
            except Exception as error:
                if is_debugging():
                    raise
                raise _failed(loaded, layer, error) from error
        graph.release()  # of the weights of one layer, before the next has its own
    return findings, skips, faults


def _subjects(graph: Graph, rules: Sequence[LoadedRule]) -> Sequence[Layer]:
    """The layers, and the places where maps meet if a rule asks for them, in file order."""
    if not any(issubclass(Merge, loaded.rule.on) for loaded in rules):
        return graph.layers
    subjects = {subject.node: subject for subject in (*graph.layers, *graph.merges)}
    return [subjects[node] for node in graph.nodes() if node in subjects]


def _open(path: str, shown: str) -> ModelFile:
    if path == STDIN:
        return open_model(sys.stdin.buffer, name=shown)
    return open_model(path, name=shown)


def _report(
    shown: str,
    model: ModelFile,
    rules: Sequence[LoadedRule],
    policy: Policy,
    probe: "Probe | None",
) -> FileReport:
    graph = read_graph(model, policy.bindings, policy.thresholds)
    probed = probe(model, graph) if probe is not None else None
    measured = responses(probed, graph) if probed is not None else ()
    findings, skips, faults = lint_graph(graph, rules, measured)
    if probed is not None:
        faults += faults_of(probed)
    held = held_by(model, graph) if policy.heeds_ignores else Held()
    faults += held.faults
    report = FileReport(
        shown,
        first_error([*graph.faults, *faults]),
        tuple(findings),
        tuple(skips),
        layers=len(graph.layers),
        bindable=_bindable(model) if policy.bindings.names() else frozenset(),
        used_bindings=graph.bound,
        probed=probed,
        fail_on=policy.fail_on,
        shown=_shown(graph, findings) if policy.finds_spots else None,
    )
    return judged(report, rules, policy, held.entries)


def _shown(graph: Graph, findings: Sequence[Finding]) -> "Shown":
    from .spots import spots_of

    return spots_of(graph, findings)


def _failed(loaded: LoadedRule, layer: Layer, error: Exception) -> RuleError:
    return RuleError(
        f"rule {loaded.code} ({loaded.module}) failed at {layer.ref.op_type} "
        f"{layer.ref.name!r}: {unexpected(error)}"
    )


def _hold_to_contract(answer: object, loaded: LoadedRule) -> None:
    if not isinstance(answer, Finding | Skip) or answer.code != loaded.code:
        raise TypeError(f"expected a Finding or Skip of {loaded.code}, found {answer!r}")


def first_error(faults: Sequence[ModelError]) -> FileError | None:
    messages = dict.fromkeys((fault.code, fault.message) for fault in faults)
    if not messages:
        return None
    code, message = next(iter(messages))
    more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
    return FileError(code, message + more)


def _bindable(model: ModelFile) -> frozenset[str]:
    """Names of the inputs and symbols of the main graph."""
    graph = model.proto.graph
    symbols = (
        dim.dim_param
        for values in (graph.input, graph.output, graph.value_info)
        for value in values
        for dim in value.type.tensor_type.shape.dim
    )
    return frozenset(value.name for value in graph.input).union(filter(None, symbols))
