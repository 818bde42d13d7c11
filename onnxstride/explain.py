"""Rules and rewrites in words: one explained in full, or all of them in a table.

Paragraphs are filled to the width at hand, except those with a list or deeper indentation in them,
which keep their lines.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any

from .pages import Page, model_text, page_of
from .registry import BUILT_IN, LoadedRewrite, LoadedRule
from .report.json import document
from .report.terminal import printable, wrapped

_INDENT = " " * 4
_LIST_MARKS = ("- ", "* ")

Messages = Mapping[str, Sequence[str]]
"""What is said of each example, by its label (see ``engine.examples``)."""


def explain(
    loaded: LoadedRule | LoadedRewrite,
    output_format: str,
    *,
    width: int,
    messages: Messages | None = None,
) -> str:
    """Everything a rule or rewrite says about itself, as ``text``, ``json`` or ``markdown``.

    ``messages`` stand below the examples they are said of.
    """
    page, said = page_of(loaded), messages or {}
    if output_format == "json":
        return document(**{page.kind: {**page.facts, "examples": _examples(page, said)}})
    if output_format == "markdown":
        return "\n\n".join(_in_markdown(page, said)) + "\n"
    return "\n\n".join(_in_text(page, said, width)) + "\n"


def list_rules(rules: Iterable[LoadedRule], output_format: str, *, width: int) -> str:
    """One line a rule, as ``text``, ``json`` or ``markdown``."""
    head = ("code", "severity", "name", "what is wrong")
    return _listed([*map(page_of, rules)], "rules", head, output_format, width)


def list_rewrites(rewrites: Iterable[LoadedRewrite], output_format: str, *, width: int) -> str:
    """One line a rewrite, as ``text``, ``json`` or ``markdown``."""
    head = ("rewrite", "safety", "mends", "what it makes")
    return _listed([*map(page_of, rewrites)], "rewrites", head, output_format, width)


_GROUP_KEYS = {
    "Flagged": "bad",
    "Left alone": "good",
    "Rewritten": "rewritten",
    "Refused": "refused",
}


def _examples(page: Page, said: Messages) -> dict[str, list[dict[str, Any]]]:
    return {
        _GROUP_KEYS[title]: [
            {"label": label, "model": model_text(text), "messages": [*said.get(label, ())]}
            for label, text in group.items()
        ]
        for title, group in page.examples
    }


def _in_text(page: Page, said: Messages, width: int) -> Iterator[str]:
    origin = "" if page.origin == BUILT_IN else f", {page.origin}"
    yield f"{page.title} ({page.standing.partition(': ')[2]}{origin})"
    for heading, paragraphs in page.sections:
        margin = _INDENT if heading else ""
        body = "\n\n".join(_filled(paragraph, margin, width) for paragraph in paragraphs)
        yield f"{heading}\n{body}" if heading else body
    for title, group in _titled_examples(page):
        parts = [
            "\n".join([f"{_INDENT}{label}", indent(text, _INDENT * 2), *_said(said, label, width)])
            for label, text in group.items()
        ]
        yield "\n\n".join([f"{title}\n{parts[0]}", *parts[1:]])


def _said(said: Messages, label: str, width: int) -> Iterator[str]:
    for message in said.get(label, ()):
        yield from wrapped(message, indent=_INDENT * 2, width=width)


def _in_markdown(page: Page, said: Messages) -> Iterator[str]:
    yield f"# {page.title}"
    yield page.standing
    for heading, paragraphs in page.sections:
        yield from [f"## {heading}"] * bool(heading)
        yield from paragraphs
    for title, group in _titled_examples(page):
        yield f"## {title}"
        for label, text in group.items():
            yield f"{label}:\n\n```\n{text}\n```"
            yield from (f"> {printable(message)}" for message in said.get(label, ()))


def _titled_examples(page: Page) -> Iterator[tuple[str, Mapping[str, str]]]:
    for title, group in page.examples:
        if group:
            yield title, {label: model_text(text) for label, text in group.items()}


def _filled(paragraph: str, margin: str, width: int) -> str:
    lines = paragraph.split("\n")
    if any(line.startswith((" ", *_LIST_MARKS)) for line in lines):
        return indent(paragraph, margin)
    return "\n".join(wrapped(" ".join(lines), indent=margin, width=width))


def _listed(
    pages: Sequence[Page], key: str, head: Sequence[str], output_format: str, width: int
) -> str:
    if output_format == "json":
        return document(**{key: [page.facts for page in pages]})
    rows = [_row(page) for page in pages]
    if output_format == "markdown":
        return "\n".join(_table(head, rows)) + "\n"
    return "\n".join(_lines(rows, [page.origin for page in pages], width)) + "\n"


def _row(page: Page) -> tuple[str, ...]:
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
