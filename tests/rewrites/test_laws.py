"""Every built-in rewrite obeys every law, and every law notices a rewrite that does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onnxstride.modelfile import ModelFile
from onnxstride.registry import LoadedRewrite
from onnxstride.rule import Safety
from onnxstride.surgery import Fragment, Refusal, Site

from . import laws
from .running import REWRITES

EXACT = next(loaded for loaded in REWRITES if loaded.name == "maxpool-to-exact-conv")


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("loaded", REWRITES, ids=lambda loaded: loaded.name)
def test_rewrite_obeys(loaded: LoadedRewrite, law: laws.Law) -> None:
    """The rewrite breaks nothing of the law."""
    assert list(law(loaded)) == []


def _declines(site: Site) -> Fragment | Refusal:
    return Refusal("not today")


def _takes_anything(site: Site) -> Fragment | Refusal:
    """A Relu in place of the layer, whatever it was."""
    fragment = site.fragment()
    fragment.stand_in(site.node.output(0), fragment.add("Relu", [site.layer.input]))
    return fragment


def _untyped(site: Site) -> Fragment | Refusal:
    """Floats times integers."""
    fragment = site.fragment()
    two = fragment.constant(np.array(2, np.int64), "two")
    made = fragment.add("Mul", [site.layer.input, two])
    fragment.stand_in(site.node.output(0), made)
    return fragment


def _then(
    edit: Callable[[Site], None],
) -> Callable[[Site], Fragment | Refusal]:
    """The true fix, after something that is no business of a rewrite."""

    def fix(site: Site) -> Fragment | Refusal:
        answer = EXACT.fix(site)
        if isinstance(answer, Fragment):
            edit(site)
        return answer

    return fix


def _document_the_output(site: Site) -> None:
    graph: Any = site.graph.main.proto
    graph.output[0].doc_string = "edited"


def _document_the_neighbours(site: Site) -> None:
    for node in site.scope.nodes:
        if node is not site.node:
            node.proto.doc_string = "edited"
    site.graph.main.proto.doc_string = "edited"


def _misplaced(site: Site) -> Fragment | Refusal:
    """The last of two nodes comes first."""
    fragment = site.fragment()
    name = f"{site.node.name}/late"
    fragment.stand_in(site.node.output(0), fragment.add("Relu", [name]))
    late = fragment.add("Relu", [site.layer.input], label="late")
    assert late == name
    return fragment


def _misnamed(site: Site) -> Fragment | Refusal:
    fragment = Fragment("elsewhere", site.opset, [site.node], set())
    fragment.stand_in(site.node.output(0), fragment.add("Relu", [site.layer.input]))
    return fragment


def _same_again(site: Site) -> Fragment | Refusal:
    fragment = site.fragment()
    fragment.edit(site.node)
    return fragment


def _changes_its_mind() -> Callable[[Site], Fragment | Refusal]:
    calls: list[Site] = []

    def fix(site: Site) -> Fragment | Refusal:
        calls.append(site)
        fragment = site.fragment()
        made = fragment.add("Relu", [site.layer.input], label=f"relu{len(calls)}")
        fragment.stand_in(site.node.output(0), made)
        return fragment

    return fix


def _shifted(site: Site) -> Fragment | Refusal:
    """The pool of half the map's size, of values that are not the maximum."""
    fragment = site.fragment()
    window: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    fragment.accumulation = 4
    fragment.stand_in(
        site.node.output(0), fragment.add("AveragePool", [site.layer.input], **window)
    )
    return fragment


TEXTBOOK = "the textbook pool"
ONE_EXAMPLE = {"examples": {TEXTBOOK: EXACT.examples[TEXTBOOK]}}
UNMARKED = {"unmarked": EXACT.examples[TEXTBOOK].replace("# ", "# not ")}

PLANTED: dict[str, tuple[laws.Law, dict[str, Any]]] = {
    "a summary without an end": (laws.documents_itself, {"documentation": "No end\n\nWhat to do"}),
    "the heading of another safety": (
        laws.documents_itself,
        {"rewrite": replace(EXACT.rewrite, safety=Safety.TRAINING)},
    ),
    "a file of another name": (laws.is_called_as_its_file, {"module": "onnxstride.rules.other"}),
    "no example": (laws.has_examples_of_both_kinds, {"examples": {}}),
    "nothing refused": (laws.has_examples_of_both_kinds, {"refused": {}}),
    "a rewrite that never applies": (laws.rewrites_exactly_the_marked_nodes, {"fix": _declines}),
    "a node that is rewritten unmarked": (
        laws.rewrites_exactly_the_marked_nodes,
        {"examples": UNMARKED},
    ),
    "a rewrite that refuses nothing": (
        laws.refuses_for_the_reason_given,
        {"fix": _same_again},
    ),
    "another reason": (laws.refuses_for_the_reason_given, {"fix": _declines}),
    "types that do not fit": (laws.makes_valid_models, {"fix": _untyped}),
    "an output documented anew": (laws.keeps_the_interface, {"fix": _then(_document_the_output)}),
    "neighbours documented anew": (
        laws.leaves_the_rest_alone,
        {"fix": _then(_document_the_neighbours)},
    ),
    "nodes out of order": (laws.names_and_orders_well, {"fix": _misplaced}),
    "names of another node": (laws.names_and_orders_well, {"fix": _misnamed}),
    "a rewrite that finds itself again": (laws.settles, {"fix": _same_again}),
    "a rewrite that changes its mind": (
        laws.answers_the_same_twice,
        {"fix": _changes_its_mind()},
    ),
    "nothing done, nothing recorded": (laws.records_itself, {"fix": _declines}),
    "a finding that stays": (laws.mends_what_it_says, {"fix": _same_again}),
    "a finding that no example shows": (
        laws.mends_what_it_says,
        {"rewrite": replace(EXACT.rewrite, mends=("DN201", "UP101"))},
    ),
    "a map of full size": (laws.keeps_every_shape, {"fix": _takes_anything}),
    "an average for a maximum": (laws.means_exact_when_it_says_so, ONE_EXAMPLE | {"fix": _shifted}),
}


@pytest.mark.parametrize(("law", "fault"), PLANTED.values(), ids=PLANTED)
def test_law_notices(law: laws.Law, fault: dict[str, Any]) -> None:
    """A rewrite with this fault breaks the law."""
    assert list(law(replace(EXACT, **fault))) != []


def test_law_notices_an_edited_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that edits what it was given breaks the law, whatever the rewrite."""

    def in_place(loaded: LoadedRewrite, model: ModelFile) -> None:
        model.proto.doc_string = loaded.name

    monkeypatch.setattr(laws, "applied", in_place)
    assert list(laws.leaves_its_input_alone(EXACT)) != []


def test_every_law_has_a_planted_fault() -> None:
    """No law goes unproven."""
    assert {law for law, _ in PLANTED.values()} == set(laws.LAWS) - {laws.leaves_its_input_alone}
