"""The geometry of one model file, with what the rules say of it where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import UsageError
from ..graph import Bindings, Graph, Thresholds, read_graph
from ..modelfile import ModelFile, open_model
from ..registry import LoadedRule
from ..rule import Finding, Skip
from .anatomy import Anatomy, anatomy
from .baseline import Baseline, settle
from .ignoring import judged
from .lint import first_error, lint_graph
from .model_ignores import Held, held_by
from .patterns import Pattern, patterns
from .policy import Policy
from .results import FileError, FileReport, Ignored


class ModelReport(NamedTuple):
    """What there is to report of one file.

    Attributes:
        path: as the caller named it.
        anatomy: layers, admissible sizes, summary.
        findings: of the rules that were given; ``ignored`` are those that were let pass.
        skips: what these could not judge, and layers whose geometry is not known.
        patterns: of layers that enlarge by weights of their own, where they were asked for.
        error: what could not be read, where the rest could.
    """

    path: str
    anatomy: Anatomy
    findings: tuple[Finding, ...] = ()
    skips: tuple[Skip, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    error: FileError | None = None
    ignored: tuple[Ignored, ...] = ()


def report_file(
    path: str,
    bindings: Bindings,
    rules: Sequence[LoadedRule] = (),
    *,
    policy: Policy | None = None,
    baseline: Baseline | None = None,
    with_patterns: bool = False,
) -> ModelReport:
    """The report of the model at ``path``, with sizes bound; what the rules say as lint has it.

    Args:
        path: of the model.
        bindings: sizes of inputs and symbols.
        rules: the rules to apply.
        policy: how to judge what they say; None judges as they do.
        baseline: findings to let pass besides.
        with_patterns: also look into weights that enlarge.

    Raises:
        ModelError: the file is no model.
        UsageError: a binding that contradicts the model, or that it has no use for.
        RuleError: a rule failed.
    """
    policy = policy or Policy()
    with open_model(path) as model:
        graph = read_bound(model, bindings, policy.thresholds)
        findings, skips, faults = lint_graph(graph, rules)
        held = held_by(model, graph) if rules and policy.heeds_ignores else Held()
        error = first_error([*graph.faults, *faults, *held.faults])
        report = FileReport(path, error, tuple(findings), tuple(skips))
        report = judged(report, rules, policy, held.entries)
        [report] = settle([report], [baseline]).reports
        return ModelReport(
            path,
            anatomy(graph),
            report.findings,
            report.skips,
            patterns(graph) if with_patterns else (),
            report.error,
            report.ignored,
        )


def read_bound(model: ModelFile, bindings: Bindings, thresholds: Thresholds | None = None) -> Graph:
    """The graph of ``model`` with sizes bound.

    Raises:
        ModelError: it cannot be read.
        UsageError: a binding that contradicts the model, or that it has no use for.
    """
    graph = read_graph(model, bindings, thresholds)
    unknown = sorted(bindings.names() - graph.bound - bindings.origins.keys())
    if unknown:
        raise UsageError(f"{model.name} has no input and no symbol named {unknown[0]!r}")
    return graph
