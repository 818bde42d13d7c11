"""The report for people: grouped by file, one heading a finding, the message below it.

::

    models/generator.onnx
      UP101  warning  up1  ConvTranspose  uneven-overlap
             Taps fall unevenly on the output: ...

    1 model, 4 layers: 1 warning
      UP101 1
"""

from collections.abc import Iterable, Iterator, Sequence

from ..engine.results import UNJUDGED, FileReport, Ignored, Stale, Summary, summarise
from ..rule import Finding, NodeRef, Skip
from ..wording import counted
from .ignored import complaints, reason_of
from .terminal import printable, styled, wrapped

_INDENT = " " * 9  # two, a code, two: messages start under the severity
_SEVERITY_WIDTH = len("warning")
_WIDEST_NODE = 40


def render_text(
    reports: Sequence[FileReport],
    *,
    width: int = 80,
    color: bool = False,
    why: bool = False,
    summary: bool = True,
    stale: Sequence[Stale] = (),
) -> str:
    """All reports as text that ends in a newline, or nothing at all.

    Args:
        reports: one a file, in the order to print them.
        width: columns to wrap messages at; headings may be longer.
        color: mark severities by colour too.
        why: also list what was ignored, and the nodes that a rule could not judge.
        summary: end with the counts, and show all that a probe saw; before the counts come the
            wishes that matched nothing.
        stale: what a baseline records and was not found.
    """
    blocks = [_file(report, width, color, why, summary) for report in reports]
    blocks.append("\n".join(complaints(reports if summary else (), stale)))
    if summary:
        counts = summarise(reports)
        blocks.append("\n".join([outcome(counts, color), *_codes(counts, width)]))
    return _joined(blocks)


def render_statistics(
    reports: Sequence[FileReport],
    *,
    width: int = 80,
    color: bool = False,
    stale: Sequence[Stale] = (),
) -> str:
    """How often each rule was broken, the most often first, and the files that have an error."""
    counts = summarise(reports)
    names = {finding.code: finding for report in reports for finding in report.findings}
    lines = [
        f"{count:>6}  {code}  {names[code].name}"
        for code, count in sorted(counts.by_code.items(), key=lambda item: (-item[1], item[0]))
    ]
    errors = [
        "\n".join([_path(report, color), *_error(report, width, color)])
        for report in reports
        if report.error
    ]
    told = "\n".join(complaints(reports, stale))
    return _joined([*errors, "\n".join(lines), told, outcome(counts, color)])


def _joined(blocks: Iterable[str]) -> str:
    text = "\n\n".join(filter(None, blocks))
    return f"{text}\n" if text else ""


def _file(report: FileReport, width: int, color: bool, why: bool, summary: bool) -> str:
    lines = [*_error(report, width, color), *_findings(report.findings, width, color)]
    if why:
        lines += _ignored(report.ignored, width, color)
        lines += _skips(report.skips, width, color)
    if report.probed is not None and summary:
        from .probe import probe_lines

        lines += probe_lines(report.probed, width=width, color=color)
    return "\n".join([_path(report, color), *lines]) if lines else ""


def _path(report: FileReport, color: bool) -> str:
    return styled(printable(report.path), "strong", color=color)


def _error(report: FileReport, width: int, color: bool) -> Iterator[str]:
    if report.error is None:
        return
    yield f"  {report.error.code:<5}  {styled('error', 'error', color=color)}"
    yield from wrapped(report.error.message, indent=_INDENT, width=width)


def _findings(findings: Sequence[Finding], width: int, color: bool) -> Iterator[str]:
    """Headings and messages; all nodes of which a rule says the same share one message."""
    columns = _columns([finding.node for finding in findings])
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, _message(finding)), []).append(finding)
    for (code, message), group in groups.items():
        for finding in group:
            severity = finding.severity.value
            label = styled(f"{severity:<{_SEVERITY_WIDTH}}", severity, color=color)
            name = styled(finding.name, "faint", color=color)
            yield f"  {code}  {label}  {_where(finding.node, columns)}  {name}"
        yield from wrapped(message, indent=_INDENT, width=width)


def _message(finding: Finding) -> str:
    return f"{finding.message}\n{remedies(finding)}".rstrip("\n")


def remedies(finding: Finding) -> str:
    """The rewrites that mend it and what each may change, as one sentence; empty for none."""
    named = ", ".join(f"{remedy.name} ({remedy.safety.value})" for remedy in finding.remedies)
    return f"Remedies: {named}." if named else ""


def _ignored(ignored: Sequence[Ignored], width: int, color: bool) -> Iterator[str]:
    columns = _columns([each.finding.node for each in ignored])
    label = styled(f"{'ignored':<{_SEVERITY_WIDTH}}", "faint", color=color)
    groups: dict[tuple[str, str], list[Finding]] = {}
    for each in ignored:
        key = (each.finding.code, reason_of(each.ignore))
        groups.setdefault(key, []).append(each.finding)
    for (code, reason), group in groups.items():
        for finding in group:
            name = styled(finding.name, "faint", color=color)
            yield f"  {code}  {label}  {_where(finding.node, columns)}  {name}"
        yield from wrapped(printable(reason), indent=_INDENT, width=width)


def _skips(skips: Sequence[Skip], width: int, color: bool) -> Iterator[str]:
    columns = _columns([skip.node for skip in skips])
    groups: dict[tuple[str, str], list[Skip]] = {}
    for skip in skips:
        groups.setdefault((skip.code, skip.reason), []).append(skip)
    label = styled(f"{'skipped':<{_SEVERITY_WIDTH}}", "faint", color=color)
    for (code, reason), group in groups.items():
        shown = "all" if code == UNJUDGED else code
        for skip in group:
            yield f"  {shown:<5}  {label}  {_where(skip.node, columns)}".rstrip()
        yield from wrapped(reason, indent=_INDENT, width=width)


def _columns(nodes: Sequence[NodeRef]) -> tuple[int, int]:
    """Widths of the columns for the node and its operator; long names stick out instead."""
    names = [len(_node(node)) for node in nodes]
    operators = [len(printable(node.op_type)) for node in nodes]
    return min(_WIDEST_NODE, max(names, default=0)), min(_WIDEST_NODE, max(operators, default=0))


def _where(node: NodeRef, columns: tuple[int, int]) -> str:
    return f"{_node(node):<{columns[0]}}  {printable(node.op_type):<{columns[1]}}"


def _node(node: NodeRef) -> str:
    return printable(node.path)


def outcome(counts: Summary, color: bool = False) -> str:
    """How much was looked at, and what came of it, on one line."""
    parts = [styled(f"{counts.errors} unreadable", "error", color=color)] * bool(counts.errors)
    parts += [
        styled(counted(count, severity), severity, color=color)
        for severity, count in counts.by_severity.items()
        if count
    ]
    parts = parts or ["nothing found"]
    parts += [f"{counts.ignored} ignored"] * bool(counts.ignored)
    models, layers = counted(counts.files, "model"), counted(counts.layers, "layer")
    return f"{models}, {layers}: {', '.join(parts)}"


def _codes(counts: Summary, width: int) -> Iterator[str]:
    codes = ", ".join(f"{code} {count}" for code, count in counts.by_code.items())
    if codes:
        yield from wrapped(codes, indent="  ", width=width)
