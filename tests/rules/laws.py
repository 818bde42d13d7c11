"""The laws every rule obeys, each a function from a rule to what it breaks.

A law returns sentences, one per violation, so that a test can show both that the built-in rules
break none and that a planted fault is noticed.
"""

import atexit
import json
import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

from onnxstride.engine.lint import lint_graph
from onnxstride.engine.measured import is_about_probes, responses
from onnxstride.engine.probing import Prober
from onnxstride.graph import read_graph
from onnxstride.graph.layers import Response
from onnxstride.modelfile import ModelFile, parse_text
from onnxstride.registry import LoadedRule, load_rewrites
from onnxstride.rule import Finding, Remedy, Skip

Law = Callable[[LoadedRule], Iterator[str]]

HEADINGS = (
    "What is flagged",
    "Why it hurts",
    "What to do",
    "When to leave it alone",
    "References",
)
FIXING_WORDS = ("use-", "avoid-", "prefer-", "replace-", "no-", "fix-")


def examples(loaded: LoadedRule) -> Iterator[tuple[str, str]]:
    """Every example of a rule, BAD first, with its label."""
    yield from loaded.bad.items()
    yield from loaded.good.items()


def answers(loaded: LoadedRule, model: ModelFile) -> list[Finding | Skip]:
    """What one rule says of one model, which is run if the rule judges what a run shows."""
    graph = read_graph(model)
    measured: tuple[Response, ...] = ()
    if is_about_probes(loaded):
        measured = responses(_prober()(model, graph), graph)
    findings, skips, _ = lint_graph(graph, [loaded], measured)
    return [*findings, *skips]


@cache
def _prober() -> Prober:
    """One child process for all models."""
    prober = Prober()
    atexit.register(prober.close)
    return prober


def marked_outputs(text: str, code: str) -> set[str]:
    """First outputs of the nodes whose line ends in the rule's code as a comment."""
    lines = [line for line in text.splitlines() if line.rstrip().endswith(f"# {code}")]
    return {re.split(r"[,=]", line.strip(), maxsplit=1)[0].strip() for line in lines}


def documents_itself(loaded: LoadedRule) -> Iterator[str]:
    """The docstring has one summary line and then every heading, in order, none empty."""
    lines = loaded.documentation.splitlines()
    if not lines[0].endswith(".") or (len(lines) > 1 and lines[1]):
        yield "the summary is not one line that ends in a full stop"
    found = [line for line in lines[1:] if line and not line.startswith(" ")]
    if found != list(HEADINGS):
        yield f"the headings are {found}"
    for heading, following in pairwise(lines):
        if heading in HEADINGS and not following.startswith("    "):
            yield f"nothing stands under {heading!r}"


def is_named_after_what_is_wrong(loaded: LoadedRule) -> Iterator[str]:
    """The file carries the rule's name, and the name is no cure."""
    if loaded.module.rpartition(".")[2] != loaded.name.replace("-", "_"):
        yield f"module {loaded.module} is not called {loaded.name}"
    if loaded.name.startswith(FIXING_WORDS):
        yield f"{loaded.name} names a cure"


def has_examples_of_both_kinds(loaded: LoadedRule) -> Iterator[str]:
    """There is something flagged, and something like it that is left alone."""
    if not loaded.bad:
        yield "BAD is empty"
    if not loaded.good:
        yield "GOOD is empty"
    for label, text in loaded.good.items():
        if marked_outputs(text, loaded.code):
            yield f"GOOD {label!r} marks a node as flagged"


def flags_exactly_the_marked_nodes(loaded: LoadedRule) -> Iterator[str]:
    """In every example the rule flags the nodes whose line says so, and no other."""
    for label, text in examples(loaded):
        flagged = {
            answer.node.outputs[0]
            for answer in answers(loaded, parse_text(text, label))
            if isinstance(answer, Finding)
        }
        marked = marked_outputs(text, loaded.code)
        if flagged != marked:
            yield f"{label!r}: flagged {sorted(flagged)}, marked {sorted(marked)}"


def shows_its_own_severity(loaded: LoadedRule) -> Iterator[str]:
    """At least one BAD example is reported at the severity the rule declares."""
    severities = {
        answer.severity
        for label, text in loaded.bad.items()
        for answer in answers(loaded, parse_text(text, label))
        if isinstance(answer, Finding)
    }
    if loaded.rule.severity not in severities:
        yield f"no BAD example is reported as {loaded.rule.severity}"


def leaves_the_model_alone(loaded: LoadedRule) -> Iterator[str]:
    """Checking changes nothing in the model."""
    for label, text in examples(loaded):
        model = parse_text(text, label)
        before = model.proto.SerializeToString(deterministic=True)
        answers(loaded, model)
        if model.proto.SerializeToString(deterministic=True) != before:
            yield f"{label!r}: the model is not what it was"


def answers_the_same_twice(loaded: LoadedRule) -> Iterator[str]:
    """Two runs over one model agree in every word and figure."""
    for label, text in examples(loaded):
        first, second = (repr(answers(loaded, parse_text(text, label))) for _ in range(2))
        if first != second:
            yield f"{label!r}: two runs differ"


def speaks_plainly(loaded: LoadedRule) -> Iterator[str]:
    """Messages are one line of sentences with figures, and their data is JSON."""
    for label, text in examples(loaded):
        for answer in answers(loaded, parse_text(text, label)):
            if isinstance(answer, Finding):
                yield from (f"{label!r}: {fault}" for fault in _faults_of(answer, loaded))


def _faults_of(finding: Finding, loaded: LoadedRule) -> Iterator[str]:
    message = finding.message
    if not message.endswith(".") or "\n" in message or "  " in message:
        yield f"message is not one line of sentences: {message!r}"
    if len(message) > 400:
        yield f"message has {len(message)} characters"
    if (finding.code, finding.name) != (loaded.code, loaded.name):
        yield f"finding is called {finding.code} {finding.name}"
    if not finding.data:
        yield "finding carries no figures"
    yield from _not_json(finding.data)


def _not_json(data: Any) -> Iterator[str]:
    try:
        json.dumps(dict(data))
    except TypeError as error:
        yield f"data is not JSON: {error}"
    if any(isinstance(value, Fraction) for value in data.values()):
        yield "data holds a Fraction"


def names_its_remedies(loaded: LoadedRule) -> Iterator[str]:
    """The remedies are the rewrites that mend the rule, with their safety, in their order."""
    mending = tuple(
        Remedy(each.name, each.rewrite.safety)
        for each in load_rewrites()
        if loaded.code in each.rewrite.mends
    )
    if loaded.rule.remedies != mending:
        yield f"it names {loaded.rule.remedies}, and is mended by {mending}"


LAWS: tuple[Law, ...] = (
    documents_itself,
    is_named_after_what_is_wrong,
    has_examples_of_both_kinds,
    flags_exactly_the_marked_nodes,
    shows_its_own_severity,
    leaves_the_model_alone,
    answers_the_same_twice,
    speaks_plainly,
    names_its_remedies,
)


def violations(loaded: LoadedRule, laws: Iterable[Law] = LAWS) -> list[str]:
    """Everything a rule breaks, each sentence headed by the law."""
    return [f"{law.__name__}: {what}" for law in laws for what in law(loaded)]
