"""Every built-in rule obeys every law, and every law notices a rule that does not."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from onnxstride.registry import LoadedRule, load_rules
from onnxstride.rule import Finding, Remedy, Safety, Skip

from . import laws

RULES = load_rules()
UNEVEN = next(loaded for loaded in RULES if loaded.code == "UP101")


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("loaded", RULES, ids=lambda loaded: loaded.name)
def test_rule_obeys(loaded: LoadedRule, law: laws.Law) -> None:
    """The rule breaks nothing of the law."""
    assert list(law(loaded)) == []


def _silent(layer: Any, graph: Any) -> Iterator[Finding | Skip]:
    yield from ()


def _flags_everything(layer: Any, graph: Any) -> Iterator[Finding | Skip]:
    yield UNEVEN.rule.flag(layer.ref, "flagged whatever it is.", always=True)


def _renames_nodes(layer: Any, graph: Any) -> Iterator[Finding | Skip]:
    layer.node.proto.name = f"{layer.node.proto.name}x"
    yield from UNEVEN.check(layer, graph)


def _stammers(layer: Any, graph: Any) -> Iterator[Finding | Skip]:
    yield UNEVEN.rule.flag(layer.ref, "no full stop,\nand two lines", figure={1, 2})


def _changes_its_mind() -> Any:
    calls = []

    def check(layer: Any, graph: Any) -> Iterator[Finding | Skip]:
        calls.append(layer)
        yield UNEVEN.rule.flag(layer.ref, f"said {len(calls)} times.", times=len(calls))

    return check


PLANTED = {
    "a summary without an end": (laws.documents_itself, {"documentation": "No end\n\nWhat to do"}),
    "headings out of order": (
        laws.documents_itself,
        {"documentation": UNEVEN.documentation.replace("Why it hurts", "Why it helps")},
    ),
    "a file of another name": (
        laws.is_named_after_what_is_wrong,
        {"module": "onnxstride.rules.other"},
    ),
    "a cure for a name": (
        laws.is_named_after_what_is_wrong,
        {"rule": UNEVEN.rule._replace(name="use-resize"), "module": "onnxstride.rules.use_resize"},
    ),
    "no counter-example": (laws.has_examples_of_both_kinds, {"good": {}}),
    "a rule that never flags": (laws.flags_exactly_the_marked_nodes, {"check": _silent}),
    "a rule that always flags": (laws.flags_exactly_the_marked_nodes, {"check": _flags_everything}),
    "a severity nobody sees": (laws.shows_its_own_severity, {"check": _silent}),
    "a rule that renames nodes": (laws.leaves_the_model_alone, {"check": _renames_nodes}),
    "a rule that changes its mind": (laws.answers_the_same_twice, {"check": _changes_its_mind()}),
    "a remedy that does not mend it": (
        laws.names_its_remedies,
        {"rule": UNEVEN.rule._replace(remedies=(Remedy("guard-zero-pad", Safety.EXACT),))},
    ),
    "two lines, no full stop, no JSON": (laws.speaks_plainly, {"check": _stammers}),
}


@pytest.mark.parametrize(("law", "fault"), PLANTED.values(), ids=PLANTED)
def test_law_notices(law: laws.Law, fault: dict[str, Any]) -> None:
    """A rule with this fault breaks the law."""
    assert list(law(replace(UNEVEN, **fault))) != []
