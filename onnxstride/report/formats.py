"""The formats of a lint report by name: what each is rendered by, and what they may ask for.

A renderer is imported when its format is asked for: most runs want one of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ..engine.results import FileReport, Stale
    from .cards import RuleCard


class Request(NamedTuple):
    """What is asked of a report, whatever its format; each takes of it what it can use.

    Attributes:
        cards: makes the cards of all rules and errors, for formats that list them.
        root: the folder from which other machines name files.
        width: columns to wrap at, and ``color`` whether to use colour, in text.
        why: also tell what rules could not judge, in text and JSON; in text, what was ignored.
        summary: end text with the counts, and with wishes that matched nothing.
        statistics: count findings by rule instead of listing them, in text.
        stale: what baselines record and was not found; None where there was none. In text, JSON,
            JSON Lines and Markdown, as are the wishes that matched nothing.
    """

    cards: "Callable[[], Sequence[RuleCard]]"
    root: str
    width: int = 80
    color: bool = False
    why: bool = False
    summary: bool = True
    statistics: bool = False
    stale: "Sequence[Stale] | None" = None


SHOWS_SPOTS = frozenset(["model-explorer"])
"""Formats that say where Model Explorer shows what is found (``FileReport.shown``)."""

TELLS_STALE = frozenset({"text", "json", "jsonl", "markdown"})
"""Formats that have a place for wishes that matched nothing, and for what is stale."""

Renderer: TypeAlias = "Callable[[Sequence[FileReport], Request], str]"


def _text(reports: "Sequence[FileReport]", request: Request) -> str:
    from .text import render_statistics, render_text

    width, color, stale = request.width, request.color, request.stale or ()
    if request.statistics:
        return render_statistics(reports, width=width, color=color, stale=stale)
    return render_text(
        reports, width=width, color=color, why=request.why, summary=request.summary, stale=stale
    )


def _concise(reports: "Sequence[FileReport]", request: Request) -> str:
    from .concise import render_concise

    return render_concise(reports)


def _json(reports: "Sequence[FileReport]", request: Request) -> str:
    from .json import render_json

    return render_json(reports, why=request.why, stale=request.stale)


def _jsonl(reports: "Sequence[FileReport]", request: Request) -> str:
    from .jsonl import render_jsonl

    return render_jsonl(reports, stale=request.stale or ())


def _sarif(reports: "Sequence[FileReport]", request: Request) -> str:
    from .sarif import render_sarif

    return render_sarif(reports, request.cards(), root=request.root)


def _github(reports: "Sequence[FileReport]", request: Request) -> str:
    from .github import render_github

    return render_github(reports, root=request.root)


def _gitlab(reports: "Sequence[FileReport]", request: Request) -> str:
    from .gitlab import render_gitlab

    return render_gitlab(reports, root=request.root)


def _junit(reports: "Sequence[FileReport]", request: Request) -> str:
    from .junit import render_junit

    return render_junit(reports, root=request.root)


def _markdown(reports: "Sequence[FileReport]", request: Request) -> str:
    from .markdown import render_markdown

    return render_markdown(reports, stale=request.stale or ())


def _model_explorer(reports: "Sequence[FileReport]", request: Request) -> str:
    from .model_explorer import render_model_explorer

    return render_model_explorer(reports)


FORMATS: Mapping[str, Renderer] = {
    "text": _text,
    "concise": _concise,
    "json": _json,
    "jsonl": _jsonl,
    "sarif": _sarif,
    "github": _github,
    "gitlab": _gitlab,
    "junit": _junit,
    "markdown": _markdown,
    "model-explorer": _model_explorer,
}
