"""What there is to tell of a rule or a rewrite: its facts, its sections, its examples.

A docstring opens with its summary; then come sections, each a heading at the margin with indented
paragraphs under it. One more section is made from what the module declares: how to mend what a
rule finds, or how to apply a rewrite.
"""

from collections.abc import Iterator, Mapping
from textwrap import dedent
from typing import Any, NamedTuple

from .registry import LoadedRewrite, LoadedRule
from .rule import Safety

Section = tuple[str, list[str]]
"""A heading, and the paragraphs under it. One with deeper indentation is code."""


class Page(NamedTuple):
    """A rule or a rewrite, ready to be told in any format.

    ``standing`` is its severity or its safety, ``facts`` what programs are told of it,
    ``examples`` groups of models by their titles.
    """

    kind: str
    title: str
    standing: str
    facts: dict[str, Any]
    documentation: str
    origin: str
    use: Section
    examples: tuple[tuple[str, Mapping[str, str]], ...]

    @property
    def sections(self) -> list[Section]:
        """All of them in order, the summary first, which has no heading."""
        return [*_sections(self.documentation), self.use]


def page_of(loaded: LoadedRule | LoadedRewrite) -> Page:
    """The page of a rule or a rewrite."""
    return _of_rule(loaded) if isinstance(loaded, LoadedRule) else _of_rewrite(loaded)


def model_text(example: str) -> str:
    """The model of an example, at the margin."""
    return dedent(example).strip()


def _of_rule(loaded: LoadedRule) -> Page:
    rule = loaded.rule
    facts = {
        "code": loaded.code,
        "name": loaded.name,
        "severity": rule.severity.value,
        "layers": [kind.__name__ for kind in rule.on],
        "remedies": [{"name": each.name, "safety": each.safety.value} for each in rule.remedies],
        **_texts(loaded),
    }
    return Page(
        "rule", f"{loaded.code} {loaded.name}", f"Severity: {rule.severity.value}", facts,
        loaded.documentation, loaded.origin, ("Remedies", [*_mending(loaded)]),
        (("Flagged", loaded.bad), ("Left alone", loaded.good)),
    )  # fmt: skip


def _of_rewrite(loaded: LoadedRewrite) -> Page:
    rewrite = loaded.rewrite
    facts = {
        "name": loaded.name,
        "safety": rewrite.safety.value,
        "at_best": (rewrite.at_best or rewrite.safety).value,
        "mends": list(rewrite.mends),
        "layers": [kind.__name__ for kind in rewrite.on],
        "opset": rewrite.opset,
        **_texts(loaded),
    }
    return Page(
        "rewrite", loaded.name, f"Safety: {rewrite.safety.value}", facts,
        loaded.documentation, loaded.origin, ("How to apply it", [*_applying(loaded)]),
        (("Rewritten", loaded.examples), ("Refused", loaded.refused)),
    )  # fmt: skip


def _texts(loaded: LoadedRule | LoadedRewrite) -> dict[str, Any]:
    """The documentation, in whole and by its headings, and where it came from."""
    sections = _sections(loaded.documentation)
    return {
        "summary": loaded.summary,
        "sections": {title: "\n\n".join(paragraphs) for title, paragraphs in sections if title},
        "documentation": loaded.documentation,
        "origin": loaded.origin,
    }


def _mending(loaded: LoadedRule) -> Iterator[str]:
    """What to type so that a rewrite takes the finding away, and which rewrites do."""
    remedies = loaded.rule.remedies
    if not remedies:
        yield "No rewrite mends it."
        return
    least = remedies[0].safety
    allowing = "" if least is Safety.EXACT else f" --allow {least.value}"
    yield f"    onnxstride rewrite MODEL -o OUT --select {loaded.code}{allowing}"
    yield (
        "applies the first of these that --allow permits; --use NAME applies the one it names, "
        "wherever it fits:"
    )
    yield "\n".join(f"- {each.name} ({each.safety.value})" for each in remedies)


def _applying(loaded: LoadedRewrite) -> Iterator[str]:
    """What to type, and what else there is to know before."""
    rewrite = loaded.rewrite
    yield f"    onnxstride rewrite MODEL -o OUT --use {loaded.name}"
    if rewrite.mends:
        yield f"It takes away findings of {', '.join(rewrite.mends)}."
    least = rewrite.at_best
    if least not in (None, rewrite.safety):
        yield f"At sites where it is {least.value}, --allow {least.value} will do."
    if rewrite.opset > 1:
        yield (
            f"What it makes needs opset {rewrite.opset}: a model of an older one is left alone, "
            f"unless --opset lets it be raised."
        )


def _sections(documentation: str) -> Iterator[Section]:
    """Heading and paragraphs of each section; what stands before the first has no heading."""
    heading, paragraphs = "", list[str]()
    for block in documentation.split("\n\n"):
        first, _, rest = block.strip("\n").partition("\n")
        if first.startswith(" ") or not rest.startswith(" "):
            paragraphs.append(dedent(block).strip())
            continue
        if paragraphs:
            yield heading, paragraphs
        heading, paragraphs = first, [dedent(rest).strip()]
    yield heading, paragraphs
