"""What a probe measured, as the rules are asked about it.

Kept apart from ``probing``, which runs models: this is all that a plain lint needs of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import NotProbed
from ..graph import Graph
from ..graph.layers import Reply, Response
from ..registry import LoadedRule

if TYPE_CHECKING:
    from ..probe import OutputProbe, Probed


def responses(probed: Probed, graph: Graph) -> tuple[Response, ...]:
    """What was measured of each output, as rules are asked about it."""
    found = ((output, graph.main.producer(output.name)) for output in probed.outputs)
    return tuple(
        Response(
            node=node,
            op=node.op_type,
            input=node.input(0),
            dims=output.sizes,
            output=output.name,
            period=output.period,
            span=output.range.span if output.range is not None else 0.0,
            is_free=output.is_free,
            replies=_replies(output),
            problem=output.problem,
        )
        for output, node in found
        if node is not None
    )


def faults_of(probed: Probed) -> list[NotProbed]:
    """The error of a probe that was to measure something and measured nothing."""
    return [NotProbed(f"the probe could not be done: {probed.problem}")] if probed.problem else []


def is_about_probes(loaded: LoadedRule) -> bool:
    """True for a rule that judges nothing but what a probe measured."""
    return all(issubclass(kind, Response) for kind in loaded.rule.on)


def judging_by_name(rules: Sequence[LoadedRule], selectors: Sequence[str]) -> list[LoadedRule]:
    """The rules that judge probes and were named, or are alone, so that silence would mislead."""
    judging = [loaded for loaded in rules if is_about_probes(loaded)]
    if len(judging) == len(rules):
        return judging
    named = {word.strip() for text in selectors for word in text.split(",")}
    return [loaded for loaded in judging if {loaded.code, loaded.name} & named]


def _replies(output: OutputProbe) -> tuple[Reply, ...]:
    return tuple(
        Reply(each.stimulus, each.rms, each.least, each.peak_to_peak) for each in output.answers
    )
