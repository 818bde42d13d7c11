"""The geometry of one model file, with what the rules say of it where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import UsageError
from ..graph import Bindings, Graph, read_graph
from ..modelfile import ModelFile, open_model
from ..registry import LoadedRule
from ..rule import Finding, Skip
from .anatomy import Anatomy, anatomy
from .lint import first_error, lint_graph
from .patterns import Pattern, patterns
from .results import FileError


class ModelReport(NamedTuple):
    """What there is to report of one file.

    Attributes:
        path: as the caller named it.
        anatomy: layers, admissible sizes, summary.
        findings: of the rules that were given.
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


def report_file(
    path: str,
    bindings: Bindings,
    rules: Sequence[LoadedRule] = (),
    *,
    with_patterns: bool = False,
) -> ModelReport:
    """The report of the model at ``path``, with sizes bound.

    Raises:
        ModelError: the file is no model.
        UsageError: a binding that contradicts the model, or that it has no use for.
        RuleError: a rule failed.
    """
    with open_model(path) as model:
        graph = read_bound(model, bindings)
        findings, skips, faults = lint_graph(graph, rules)
        return ModelReport(
            path,
            anatomy(graph),
            tuple(findings),
            tuple(skips),
            patterns(graph) if with_patterns else (),
            first_error([*graph.faults, *faults]),
        )


def read_bound(model: ModelFile, bindings: Bindings) -> Graph:
    """The graph of ``model`` with sizes bound.

    Raises:
        ModelError: it cannot be read.
        UsageError: a binding that contradicts the model, or that it has no use for.
    """
    graph = read_graph(model, bindings)
    unknown = sorted(bindings.names() - graph.bound)
    if unknown:
        raise UsageError(f"{model.name} has no input and no symbol named {unknown[0]!r}")
    return graph
