"""What the rules say, summed up; each finding itself stands with its layer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ...engine.results import UNJUDGED
from ...rule import Finding, NodeRef, Skip
from ..terminal import printable
from . import words
from .table import worst

_LINKED = 12


class Broken(NamedTuple):
    """A rule that found something; ``layers`` are numbers and names, the first of them."""

    code: str
    name: str
    worst: str
    total: int
    layers: tuple[tuple[int, str], ...]
    more: int


class Elsewhere(NamedTuple):
    """A node that is no layer of the table, and what is said of it."""

    name: str
    place: str
    op_type: str
    findings: tuple[Finding, ...]


class Unjudged(NamedTuple):
    """Nodes that a rule could not judge, for one reason; ``code`` is empty for all rules."""

    code: str
    reason: str
    total: int
    named: tuple[str, ...]


def broken(findings: Sequence[Finding], numbers: Mapping[NodeRef, int]) -> list[Broken]:
    """Rules, those that found the worst first."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    ordered = sorted(
        by_code.items(), key=lambda each: (-max(f.severity.rank for f in each[1]), each[0])
    )
    return [_broken(code, group, numbers) for code, group in ordered]


def _broken(code: str, group: Sequence[Finding], numbers: Mapping[NodeRef, int]) -> Broken:
    nodes = dict.fromkeys(finding.node for finding in group if finding.node in numbers)
    layers = tuple((numbers[node], words.name(node.name)) for node in list(nodes)[:_LINKED])
    more = len(nodes) - len(layers)
    return Broken(code, group[0].name, worst(group), len(group), layers, more)


def elsewhere(findings: Sequence[Finding], numbers: Mapping[NodeRef, int]) -> list[Elsewhere]:
    """Findings at nodes where branches meet, and at inputs and outputs."""
    by_node: dict[NodeRef, list[Finding]] = {}
    for finding in findings:
        if finding.node not in numbers:
            by_node.setdefault(finding.node, []).append(finding)
    return [
        Elsewhere(words.name(node.name), words.place(node), words.name(node.op_type), tuple(group))
        for node, group in by_node.items()
    ]


def unjudged(skips: Sequence[Skip]) -> Iterator[Unjudged]:
    groups: dict[tuple[str, str], list[str]] = {}
    for skip in skips:
        groups.setdefault((skip.code, skip.reason), []).append(words.name(skip.node.name))
    for (code, reason), named in groups.items():
        shown = "" if code == UNJUDGED else code
        yield Unjudged(shown, printable(reason), len(named), tuple(named[:_LINKED]))
