"""The report as one page that holds all it needs: no script, no font, nothing from elsewhere.

Values become texts and coordinates in ``page``; markup stands in ``templates`` alone. jinja2
escapes every text that is put into it, and the page forbids itself scripts and connections, so a
name that a stranger chose is a name and nothing else.
"""

from pathlib import PurePath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from .. import __version__
from ..engine.reporting import ModelReport
from ..rule import Finding, NodeRef
from ..wording import percent
from .page import fields, findings, head, pyramid, table, tiles, upsampling, words
from .terminal import printable

_BEYOND = "RF501"


def render_html(report: ModelReport) -> str:
    """The page, which ends in a newline; the same for the same report."""
    pages = Environment(
        loader=PackageLoader("onnxstride.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = pages.filters
    filters.update(
        percent=percent, plural=words.plural, printable=printable, signs=words.with_signs
    )
    return pages.get_template("page.html.jinja").render(_content(report)) + "\n"


def _content(report: ModelReport) -> dict[str, Any]:
    anatomy = report.anatomy
    numbers = _numbers(report)
    by_node: dict[NodeRef, list[Finding]] = {}
    for finding in report.findings:
        by_node.setdefault(finding.node, []).append(finding)
    rows = table.rows(anatomy.layers, by_node)
    stuck = frozenset(numbers.get(f.node, 0) for f in report.findings if f.code == _BEYOND)
    return {
        "version": __version__,
        "title": words.name(PurePath(report.path).name or report.path),
        "path": words.name(report.path),
        "error": report.error and printable(report.error.message),
        "figures": list(head.figures(anatomy, report.findings, len(report.ignored))),
        "summary": anatomy.summary,
        "first": head.first_layer(anatomy, numbers),
        "sizes": list(head.sizes(anatomy.admissible_sizes)),
        "pyramid": pyramid.pyramid(anatomy.layers, {row.number: row.worst for row in rows}),
        "charts": fields.charts(anatomy.layers, stuck),
        "chart_box": {"top": fields.TOP, "bottom": fields.BOTTOM},
        "cards": upsampling.cards(report.patterns, numbers),
        "cards_left_out": max(0, len(report.patterns) - upsampling.MOST_DRAWN),
        "tones": tiles.TONES,
        "broken": findings.broken(report.findings, numbers),
        "elsewhere": findings.elsewhere(report.findings, numbers),
        "unjudged": list(findings.unjudged(report.skips)),
        "columns": table.COLUMNS,
        "rows": rows,
    }


def _numbers(report: ModelReport) -> dict[NodeRef, int]:
    """Of each layer, by which the page links to it."""
    numbers: dict[NodeRef, int] = {}
    for number, layer in enumerate(report.anatomy.layers, 1):
        numbers.setdefault(layer.node, number)
    return numbers
