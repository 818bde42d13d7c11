"""The formats of a lint report by name: what each is rendered by, and what they may ask for.

A renderer is imported when its format is asked for: most runs want one of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ..engine.results import FileReport
    from ..rule import Severity
    from .cards import RuleCard


class Request(NamedTuple):
    """What is asked of a report, whatever its format; each takes of it what it can use.

    Attributes:
        cards: makes the cards of all rules and errors, for formats that list them.
        root: the folder from which other machines name files.
        fail_on: the least severity that fails the run, None for none.
        width: columns to wrap at, and ``color`` whether to use colour, in text.
        why: also tell what rules could not judge, in text and JSON.
        summary: end text with the counts.
        statistics: count findings by rule instead of listing them, in text.
    """

    cards: "Callable[[], Sequence[RuleCard]]"
    root: str
    fail_on: "Severity | None" = None
    width: int = 80
    color: bool = False
    why: bool = False
    summary: bool = True
    statistics: bool = False


Renderer: TypeAlias = "Callable[[Sequence[FileReport], Request], str]"


def _text(reports: "Sequence[FileReport]", request: Request) -> str:
    from .text import render_statistics, render_text

    width, color = request.width, request.color
    if request.statistics:
        return render_statistics(reports, width=width, color=color)
    return render_text(reports, width=width, color=color, why=request.why, summary=request.summary)


def _concise(reports: "Sequence[FileReport]", request: Request) -> str:
    from .concise import render_concise

    return render_concise(reports)


def _json(reports: "Sequence[FileReport]", request: Request) -> str:
    from .json import render_json

    return render_json(reports, why=request.why)


def _jsonl(reports: "Sequence[FileReport]", request: Request) -> str:
    from .jsonl import render_jsonl

    return render_jsonl(reports)


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

    return render_junit(reports, root=request.root, fail_on=request.fail_on)


def _markdown(reports: "Sequence[FileReport]", request: Request) -> str:
    from .markdown import render_markdown

    return render_markdown(reports)


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
}
