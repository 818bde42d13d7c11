"""What a rewriting is asked to do, what it did, and the record it leaves in the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..graph.layers import Layer
from ..modelfile import ModelFile
from ..registry import LoadedRewrite, LoadedRule
from ..rewrite import Options
from ..rule import NodeRef, Safety
from ..surgery import Cutout, Samples
from .policy import Policy

RECORD = "onnxstride.rewrites"
"""Key of the model's metadata under which rewrites record themselves."""

Tap = Callable[[ModelFile, Layer], Samples]
"""Activations at a layer: called with the model as rewritten so far."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to rewrite.

    Attributes:
        rewrites: every rewrite that may be applied, in order of preference.
        rules: the rules whose findings are to be mended; unused when ``named``.
        named: True to ask each rewrite about every layer it fits, without any finding.
        allow: the most that a rewrite may change.
        nodes: glob that a node's name must match.
        options: what the user chose about new layers.
        tap: activations to fit on; None without data.
        made_up: activations of inputs made up for the model; None where it is not to be run.
        policy: how findings are judged: what is let pass is not mended.
    """

    rewrites: Sequence[LoadedRewrite]
    rules: Sequence[LoadedRule] = ()
    named: bool = False
    allow: Safety = Safety.EXACT
    nodes: str = "*"
    options: Options = field(default_factory=Options)
    tap: Tap | None = None
    made_up: Tap | None = None
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Change:
    """One site that was rewritten. Counts are for one sample; None where sizes are unknown."""

    node: NodeRef
    rewrite: str
    safety: Safety
    removed: tuple[str, ...]
    added: tuple[str, ...]
    parameters_before: int
    parameters_after: int
    multiply_adds_before: int | None
    multiply_adds_after: int | None
    accumulation: int
    cutout: Cutout | None
    uncut: str
    figures: dict[str, Any]
    widens: bool = False


@dataclass(frozen=True, slots=True)
class Declined:
    """One site that a rewrite left as it was, and why."""

    node: NodeRef
    rewrite: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A model after rewriting. ``offered`` counts sites by the safety level they would need."""

    model: ModelFile
    changes: tuple[Change, ...]
    declined: tuple[Declined, ...]
    offered: dict[str, int]


def record(proto: Any, changes: Sequence[Change]) -> None:
    """Write into the model's metadata what was done to it, after what was done before."""
    entry = next((entry for entry in proto.metadata_props if entry.key == RECORD), None)
    if entry is None:
        entry = proto.metadata_props.add(key=RECORD, value="[]")
    entry.value = json.dumps([*_recorded(entry.value), *map(_as_record, changes)])


def _recorded(text: str) -> list[Any]:
    try:
        earlier = json.loads(text)
    except ValueError:
        return []  # not ours to keep: it can be no record of a rewrite
    return earlier if isinstance(earlier, list) else []


def _as_record(change: Change) -> dict[str, Any]:
    return {
        "site": change.node.name,
        "scope": list(change.node.scope),
        "rewrite": change.rewrite,
        "safety": change.safety.value,
        "parameters": change.parameters_after,
    }
