"""A verdict on two models, for people and for programs.

The text begins with the verdict, then why, then the figures::

    FAIL  mended.onnx does not compute what original.onnx does

      output 'y' is off by 0.733 at [0, 2, 5, 6] (-0.733 before, 0 after), with seed 0, negative;
      an atol of 0.733 would be needed, 2e-05 is allowed

      output  shape  type     max abs  mean abs  p99 abs  max rel  SNR      PSNR     cosine  top-1
      y       1x10   float32  0.733    0.021     0.61     1        12.1 dB  20.5 dB  0.9702  99.2 %

    Compared on 12 feeds. 3 were passed over, as before does not take them: H=1, W=1; H=2, W=2; ..

The JSON document is described by ``schemas/verify.schema.json``.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ..verify.verdict import Disagreement, ModelVerdict, OutputFigures, SiteVerdict, Verdict, Worst
from ..wording import by, percent
from .json import document, json_value, node_as_json
from .terminal import printable, styled, wrapped

_WORDS = {
    Verdict.PASS: ("PASS", "note", "computes what {before} does"),
    Verdict.FAIL: ("FAIL", "error", "does not compute what {before} does"),
    Verdict.NOT_CHECKED: ("NOT CHECKED", "warning", "could not be compared with {before} in full"),
}
_INDENT = "  "
_SIZES_SHOWN = 6
_WIDEST_NAME = 40
_HEADINGS = (
    *("output", "shape", "type", "max abs", "mean abs", "p99 abs", "max rel", "SNR", "PSNR"),
    *("cosine", "atol needed", "worst at"),
)
_TOP1 = "top-1"


def render_verdict(
    verdict: ModelVerdict, *, width: int = 80, color: bool = False, headline: str = ""
) -> str:
    """The verdict as text that ends in a newline; tables may be wider than ``width``.

    ``headline`` replaces the verdict's own first line.
    """
    blocks = [
        headline or _headline(verdict, color),
        "\n".join(_listed(verdict.reasons, width)),
        _table(_output_rows(verdict.outputs), color),
        _table(_site_rows(verdict.sites), color),
        "\n".join(_disagreements(verdict.disagreements, width, color)),
        "\n".join(_footer(verdict, width)),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def render_verdict_json(verdict: ModelVerdict) -> str:
    """The verdict as one JSON document."""
    return document(**verdict_as_json(verdict))


def verdict_as_json(verdict: ModelVerdict) -> dict[str, Any]:
    """The content of the document, for others to add to."""
    return {
        "verdict": verdict.verdict.value,
        "before": verdict.before,
        "after": verdict.after,
        "reasons": list(verdict.reasons),
        "sites": [_site(site) for site in verdict.sites],
        "outputs": [_output(output) for output in verdict.outputs],
        "runtime_disagreements": [_disagreement(item) for item in verdict.disagreements],
        "feeds": verdict.feeds,
        "passed_over": list(verdict.passed_over),
    }


def _headline(verdict: ModelVerdict, color: bool) -> str:
    word, style, said = _WORDS[verdict.verdict]
    sentence = f"{verdict.after} {said.format(before=verdict.before)}"
    return f"{styled(word, style, color=color)}  {printable(sentence)}"


def _listed(sentences: Sequence[str], width: int) -> Iterator[str]:
    for sentence in sentences:
        yield from wrapped(sentence, indent=_INDENT, width=width)


def _output_rows(outputs: Sequence[OutputFigures]) -> list[tuple[str, ...]]:
    """Headings and one row an output; the column for top-1 only where it says something."""
    if not outputs:
        return []
    has_top1 = any(item.top1_agreement is not None for item in outputs)
    headings = (*_HEADINGS, _TOP1) if has_top1 else _HEADINGS
    return [headings, *(_output_row(item, has_top1) for item in outputs)]


def _output_row(item: OutputFigures, has_top1: bool) -> tuple[str, ...]:
    row = (
        _clipped(item.name),
        _shapes(item),
        item.dtype,
        _figure(item.max_abs),
        _figure(item.mean_abs),
        _figure(item.p99_abs),
        _figure(item.max_rel),
        _decibels(item.snr_db),
        _decibels(item.psnr_db),
        _cosine(item.cosine),
        _figure(item.required_atol),
        _place(item.worst),
    )
    if not has_top1:
        return row
    return (*row, "-" if item.top1_agreement is None else percent(item.top1_agreement))


def _site_rows(sites: Sequence[SiteVerdict]) -> list[tuple[str, ...]]:
    if not sites:
        return []
    headings = ("rewrite", "node", "safety", "verdict", "cases", "max abs", "max rel", "SNR")
    rows = [
        (
            site.rewrite,
            _clipped(" > ".join([*site.node.scope, site.node.name])),
            site.safety.value,
            site.verdict.value,
            str(site.cases),
            _figure(site.max_abs),
            _figure(site.max_rel),
            _decibels(site.snr_db),
        )
        for site in sites
    ]
    return [headings, *rows]


def _table(rows: Sequence[Sequence[str]], color: bool) -> str:
    """Columns two spaces apart, the headings faint."""
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        (_INDENT + "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]
    return "\n".join([styled(lines[0], "faint", color=color), *lines[1:]])


def _disagreements(found: Sequence[Disagreement], width: int, color: bool) -> Iterator[str]:
    """What ONNX Runtime does differently from itself; failing ones were given as reasons."""
    told = [item for item in found if not item.fails]
    if not told:
        return
    yield styled("ONNX Runtime disagrees with itself", "warning", color=color)
    for item in told:
        yield from wrapped(f"({item.model}) {item.message}", indent=_INDENT, width=width)


def _footer(verdict: ModelVerdict, width: int) -> Iterator[str]:
    told = f"Compared on {verdict.feeds} feed{'' if verdict.feeds == 1 else 's'}."
    over = verdict.passed_over
    if over:
        shown = "; ".join(over[:_SIZES_SHOWN]) + ("; .." if len(over) > _SIZES_SHOWN else "")
        told += f" {len(over)} passed over, as {verdict.before} does not take them: {shown}"
    yield from wrapped(told, indent="", width=width)


def _clipped(name: str) -> str:
    name = printable(name)
    return name if len(name) <= _WIDEST_NAME else f"{name[: _WIDEST_NAME - 2]}.."


def _shapes(item: OutputFigures) -> str:
    before, after = (by(shape) or "scalar" for shape in (item.shape_before, item.shape_after))
    return before if before == after else f"{before} -> {after}"


def _figure(value: float) -> str:
    return "0" if value == 0 else f"{value:.3g}"


def _decibels(value: float) -> str:
    return "exact" if value == math.inf else f"{value:.1f} dB"


def _cosine(value: float) -> str:
    """Six digits; never rounded up to 1."""
    shown = f"{value:.6f}"
    return "0.999999.." if shown == "1.000000" and value < 1 else shown.rstrip("0").rstrip(".")


def _place(worst: Worst | None) -> str:
    return "-" if worst is None else f"[{', '.join(map(str, worst.index))}]"


def _output(item: OutputFigures) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": item.name,
        "shape_before": list(item.shape_before),
        "shape_after": list(item.shape_after),
        "dtype": item.dtype,
        "max_abs": json_value(item.max_abs),
        "mean_abs": json_value(item.mean_abs),
        "max_rel": json_value(item.max_rel),
        "p99_abs": json_value(item.p99_abs),
        "snr_db": json_value(item.snr_db),
        "psnr_db": json_value(item.psnr_db),
        "cosine": json_value(item.cosine),
        "required_atol": json_value(item.required_atol),
        "worst_index": _worst(item.worst),
    }
    if item.top1_agreement is not None:
        entry["top1_agreement"] = item.top1_agreement
    return entry


def _worst(worst: Worst | None) -> dict[str, Any] | None:
    return None if worst is None else {"feed": worst.feed, "index": list(worst.index)}


def _site(site: SiteVerdict) -> dict[str, Any]:
    return {
        "node": node_as_json(site.node),
        "rewrite": site.rewrite,
        "safety": site.safety.value,
        "verdict": site.verdict.value,
        "cases": site.cases,
        "max_abs": json_value(site.max_abs),
        "max_rel": json_value(site.max_rel),
        "snr_db": json_value(site.snr_db),
    }


def _disagreement(item: Disagreement) -> dict[str, Any]:
    entry: dict[str, Any] = {"model": item.model, "message": item.message, "fails": item.fails}
    if item.figures is not None:
        entry["output"] = item.figures.name
        entry["max_abs"] = json_value(item.figures.max_abs)
        entry["required_atol"] = json_value(item.figures.required_atol)
        entry["worst_index"] = _worst(item.figures.worst)
    return entry
