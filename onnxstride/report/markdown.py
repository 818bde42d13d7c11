"""A summary in Markdown, for the page of a CI job or a comment.

A page of GitHub's takes 1 MiB, so rows are counted and long cells cut.
"""

import re
from collections.abc import Iterator, Sequence

from ..engine.results import FileReport, Stale, summarise
from .entries import Entry, entries, flat, worst_first
from .ignored import complaints
from .terminal import printable
from .text import outcome

_HEAD = ("severity", "rule", "model", "node", "finding")
_MOST_ROWS = 200
_MOST_PROBES = 50
_MOST_COMPLAINTS = 100
_LONGEST_NAME, _LONGEST_MESSAGE = 200, 500
_PROBE_WIDTH = 120

_MARKUP = frozenset("\\`*_{}[]<>|#~$&")
# What sites turn into links, mentions or pictures without any markup: @name, #1, :name:, a URL.
_LIVE = re.compile(r"@|#\d|:[\w+-]|://|www\.")


def render_markdown(reports: Sequence[FileReport], *, stale: Sequence[Stale] = ()) -> str:
    """The counts, a table of findings, the worst first, and what probes saw.

    Between the two stand wishes that matched nothing, and what baselines record and was not found.
    """
    lines = ["## onnxstride", "", outcome(summarise(reports)), ""]
    listed = worst_first(flat(entries(reports)))
    if listed:
        lines += [f"| {' | '.join(_HEAD)} |", "|" + "---|" * len(_HEAD)]
        lines += [_row(entry) for entry in listed[:_MOST_ROWS]]
        lines.append("")
    if len(listed) > _MOST_ROWS:
        lines += [f"{len(listed) - _MOST_ROWS} more are not listed.", ""]
    told = complaints(reports, stale)
    lines += [f"- {escaped(_cut(line, _LONGEST_MESSAGE))}" for line in told[:_MOST_COMPLAINTS]]
    if len(told) > _MOST_COMPLAINTS:
        lines.append(f"- {len(told) - _MOST_COMPLAINTS} more are not listed.")
    lines += [""] * bool(told)
    lines += _probes(reports)
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    """Text that is no markup, and stays within one cell of a table."""
    return "".join(map(_escaped_piece, re.split(r"([ |`])", printable(text))))


def _escaped_piece(piece: str) -> str:
    if _LIVE.search(piece):
        return f"`{piece}`"
    return "".join(f"\\{char}" if char in _MARKUP else char for char in piece)


def _code(text: str) -> str:
    """A name in the letters of code, where no letter of it stands in the way of that."""
    text = printable(text)
    if not text or text != text.strip() or {"|", "`"} & set(text):
        return escaped(text)
    return f"`{text}`"


def _row(entry: Entry) -> str:
    path, node = (_cut(text, _LONGEST_NAME) for text in (printable(entry.path), entry.where))
    message = escaped(_cut(entry.message, _LONGEST_MESSAGE))
    cells = (entry.severity.value, f"{entry.code} {entry.name}", _code(path), _code(node), message)
    return f"| {' | '.join(cells)} |"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 2] + ".."


def _probes(reports: Sequence[FileReport]) -> Iterator[str]:
    probed = [report for report in reports if report.probed is not None]
    if not probed:
        return
    from .probe import probe_lines

    yield from ["### What the probe saw", ""]
    for report in probed[:_MOST_PROBES]:
        assert report.probed is not None
        # Every line is indented deeper than the end of a fence may be.
        lines = probe_lines(report.probed, width=_PROBE_WIDTH, color=False)
        shown = [f"    {_cut(line, 2 * _PROBE_WIDTH)}" for line in lines]
        yield from [_code(_cut(printable(report.path), _LONGEST_NAME)), "", "```text", *shown]
        yield from ["```", ""]
    if len(probed) > _MOST_PROBES:
        yield f"{len(probed) - _MOST_PROBES} more models were probed."
