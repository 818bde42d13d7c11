"""Rules and rewrites in words: one explained in full, or all of them in a table.

A docstring opens with its summary; then come sections, each a heading at the margin with indented
paragraphs under it. Paragraphs are filled to the width at hand, except those with a list or
deeper indentation in them, which keep their lines.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import dedent, indent
from typing import Any, NamedTuple

from .registry import BUILT_IN, LoadedRewrite, LoadedRule
from .report.json import document
from .report.terminal import wrapped

_INDENT = " " * 4
_LIST_MARKS = ("- ", "* ")


class _Page(NamedTuple):
    """What is printed of a rule or of a rewrite.

    ``standing`` is its severity or its safety, ``examples`` groups of models by title.
    """

    kind: str
    title: str
    standing: str
    facts: dict[str, Any]
    documentation: str
    origin: str
    examples: tuple[tuple[str, Mapping[str, str]], ...]


def explain(loaded: LoadedRule | LoadedRewrite, output_format: str, *, width: int) -> str:
    """Everything a rule or rewrite says about itself, as ``text``, ``json`` or ``markdown``."""
    page = _of_rule(loaded) if isinstance(loaded, LoadedRule) else _of_rewrite(loaded)
    if output_format == "json":
        return document(**{page.kind: {**page.facts, "examples": _examples(page)}})
    if output_format == "markdown":
        return "\n\n".join(_in_markdown(page)) + "\n"
    return "\n\n".join(_in_text(page, width)) + "\n"


def list_rules(rules: Iterable[LoadedRule], output_format: str, *, width: int) -> str:
    """One line a rule, as ``text``, ``json`` or ``markdown``."""
    pages = [_of_rule(loaded) for loaded in rules]
    head = ("code", "severity", "name", "what is wrong")
    return _listed(pages, "rules", head, output_format, width)


def list_rewrites(rewrites: Iterable[LoadedRewrite], output_format: str, *, width: int) -> str:
    """One line a rewrite, as ``text``, ``json`` or ``markdown``."""
    pages = [_of_rewrite(loaded) for loaded in rewrites]
    head = ("rewrite", "safety", "mends", "what it makes")
    return _listed(pages, "rewrites", head, output_format, width)


def _of_rule(loaded: LoadedRule) -> _Page:
    severity = loaded.rule.severity.value
    facts = {
        "code": loaded.code,
        "name": loaded.name,
        "severity": severity,
        "summary": loaded.summary,
        "documentation": loaded.documentation,
        "origin": loaded.origin,
    }
    return _Page(
        "rule", f"{loaded.code} {loaded.name}", f"Severity: {severity}", facts,
        loaded.documentation, loaded.origin, (("Flagged", loaded.bad), ("Left alone", loaded.good)),
    )  # fmt: skip


def _of_rewrite(loaded: LoadedRewrite) -> _Page:
    safety = loaded.rewrite.safety.value
    facts = {
        "name": loaded.name,
        "safety": safety,
        "mends": list(loaded.rewrite.mends),
        "summary": loaded.summary,
        "documentation": loaded.documentation,
        "origin": loaded.origin,
    }
    return _Page(
        "rewrite", loaded.name, f"Safety: {safety}", facts, loaded.documentation, loaded.origin,
        (("Rewritten", loaded.examples), ("Refused", loaded.refused)),
    )  # fmt: skip


_GROUP_KEYS = {
    "Flagged": "bad",
    "Left alone": "good",
    "Rewritten": "rewritten",
    "Refused": "refused",
}


def _examples(page: _Page) -> dict[str, list[dict[str, str]]]:
    return {
        _GROUP_KEYS[title]: [
            {"label": label, "model": _model(text)} for label, text in group.items()
        ]
        for title, group in page.examples
    }


def _in_text(page: _Page, width: int) -> Iterator[str]:
    origin = "" if page.origin == BUILT_IN else f", {page.origin}"
    yield f"{page.title} ({page.standing.partition(': ')[2]}{origin})"
    for heading, paragraphs in _sections(page.documentation):
        margin = _INDENT if heading else ""
        body = "\n\n".join(_filled(paragraph, margin, width) for paragraph in paragraphs)
        yield f"{heading}\n{body}" if heading else body
    for title, group in _titled_examples(page):
        parts = [f"{_INDENT}{label}\n{indent(text, _INDENT * 2)}" for label, text in group.items()]
        yield "\n\n".join([f"{title}\n{parts[0]}", *parts[1:]])


def _in_markdown(page: _Page) -> Iterator[str]:
    yield f"# {page.title}"
    yield page.standing
    for heading, paragraphs in _sections(page.documentation):
        yield from [f"## {heading}"] * bool(heading)
        yield from paragraphs
    for title, group in _titled_examples(page):
        yield f"## {title}"
        for label, text in group.items():
            yield f"{label}:\n\n```\n{text}\n```"


def _titled_examples(page: _Page) -> Iterator[tuple[str, Mapping[str, str]]]:
    for title, group in page.examples:
        if group:
            yield title, {label: _model(text) for label, text in group.items()}


def _model(text: str) -> str:
    return dedent(text).strip()


def _sections(documentation: str) -> Iterator[tuple[str, list[str]]]:
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


def _filled(paragraph: str, margin: str, width: int) -> str:
    lines = paragraph.split("\n")
    if any(line.startswith((" ", *_LIST_MARKS)) for line in lines):
        return indent(paragraph, margin)
    return "\n".join(wrapped(" ".join(lines), indent=margin, width=width))


def _listed(
    pages: Sequence[_Page], key: str, head: Sequence[str], output_format: str, width: int
) -> str:
    if output_format == "json":
        return document(**{key: [page.facts for page in pages]})
    rows = [_row(page) for page in pages]
    if output_format == "markdown":
        return "\n".join(_table(head, rows)) + "\n"
    return "\n".join(_lines(rows, [page.origin for page in pages], width)) + "\n"


def _row(page: _Page) -> tuple[str, ...]:
    """The facts of one line: all that identifies it, and its summary last."""
    facts = page.facts
    if page.kind == "rule":
        return facts["code"], facts["severity"], facts["name"], facts["summary"]
    return facts["name"], facts["safety"], ", ".join(facts["mends"]) or "-", facts["summary"]


def _lines(rows: Sequence[Sequence[str]], origins: Sequence[str], width: int) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row, origin in zip(rows, origins, strict=True):
        head = "".join(f"{cell:<{size}}  " for cell, size in zip(row, widths, strict=False))
        where = "" if origin == BUILT_IN else f" ({origin})"
        body = wrapped(row[-1] + where, indent=" " * len(head), width=width)
        yield head + next(body).lstrip()
        yield from body


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
