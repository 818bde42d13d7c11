"""What a rewrite changed, for people and for programs.

::

    pool1  MaxPool  maxpool-to-exact-conv (exact)
           1 MaxPool -> 4 Conv, 2 Relu, 2 Add
           parameters 0 -> 128, multiply-adds 0 -> 1,605,632 a sample
           verified on its own: 24 cases, largest error 2.4e-07

    latency 1.08 x (median of 20 runs each, 3.1 ms -> 3.4 ms), on one thread at N=2, H=64, W=48
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..engine.changes import Change, Declined, Rewritten
from ..rule import NodeRef
from .json import json_value, node_as_json
from .terminal import printable, styled, wrapped

if TYPE_CHECKING:
    from ..engine.latency import Latency
    from ..verify.verdict import SiteVerdict

_INDENT = " " * 7


def render_changes(
    rewritten: Rewritten,
    sites: Mapping[NodeRef, "SiteVerdict"],
    *,
    width: int,
    color: bool,
    why: bool,
) -> str:
    """Every site that was rewritten, what was left alone, and what more a flag would allow."""
    lines: list[str] = []
    for change in rewritten.changes:
        lines += _change(change, sites.get(change.node), width, color)
    if why:
        lines += _declined(rewritten.declined, width)
    lines += [""] * bool(lines)
    lines += _totals(rewritten, why)
    return "\n".join(lines) + "\n"


def _change(change: Change, site: "SiteVerdict | None", width: int, color: bool) -> Iterator[str]:
    node = styled(_node(change.node), "strong", color=color)
    yield f"{node}  {printable(change.node.op_type)}  {change.rewrite} ({change.safety.value})"
    yield from wrapped(
        f"{_tally(change.removed)} -> {_tally(change.added)}", indent=_INDENT, width=width
    )
    yield from wrapped(_cost(change), indent=_INDENT, width=width)
    if change.figures:
        yield from wrapped(_figures(change.figures), indent=_INDENT, width=width)
    if change.uncut:
        yield from wrapped(f"not verified on its own: {change.uncut}", indent=_INDENT, width=width)
    elif site is not None:
        yield from wrapped(_verified(site, change), indent=_INDENT, width=width)


def _verified(site: "SiteVerdict", change: Change) -> str:
    if site and "snr_db" in change.figures:  # what was measured where it stands says more
        return f"verified on its own: {site.cases} cases of equal sizes and types"
    figures = f"{site.cases} cases, largest error {site.max_abs:.2g}, SNR {site.snr_db:.1f} dB"
    if site:
        return f"verified on its own: {figures}"
    return f"{site.verdict.value} on its own: {'; '.join(site.reasons) or figures}"


def _cost(change: Change) -> str:
    parameters = f"parameters {change.parameters_before:,} -> {change.parameters_after:,}"
    before, after = change.multiply_adds_before, change.multiply_adds_after
    if before is None or after is None:
        return f"{parameters}, multiply-adds depend on sizes that are not known"
    return f"{parameters}, multiply-adds {before:,} -> {after:,} a sample"


def _figures(figures: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {_figure(value)}" for name, value in figures.items()
    )


def _figure(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _tally(op_types: Iterable[str]) -> str:
    counts = Counter(op_types)
    return ", ".join(f"{count} {printable(op_type)}" for op_type, count in counts.items())


def _declined(declined: Sequence[Declined], width: int) -> Iterator[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for each in declined:
        groups.setdefault((each.rewrite, each.reason), []).append(_node(each.node))
    for (rewrite, reason), nodes in groups.items():
        yield from wrapped(f"left alone by {rewrite}: {', '.join(nodes)}", indent="", width=width)
        yield from wrapped(reason, indent=_INDENT, width=width)


def _totals(rewritten: Rewritten, why: bool) -> Iterator[str]:
    changed, declined = len(rewritten.changes), len(rewritten.declined)
    yield f"{changed} {'site' if changed == 1 else 'sites'} rewritten" + (
        f", {declined} left alone{'' if why else ' (--why says why)'}" if declined else ""
    )
    for safety, count in rewritten.offered.items():
        yield f"{count} more could be rewritten with --allow {safety}"


def render_latency(latency: "Latency | str", *, width: int) -> str:
    """One sentence on how long the models run, or on why that is not known."""
    if isinstance(latency, str):
        text = f"latency not measured: {latency}"
    else:
        text = (
            f"latency {latency.ratio:.2f} x (median of {latency.runs} runs each, "
            f"{latency.before_ms:.3g} ms -> {latency.after_ms:.3g} ms), on one thread at "
            f"{latency.place}"
        )
    return "\n".join(wrapped(text, indent="", width=width)) + "\n"


def _node(node: NodeRef) -> str:
    return printable(" > ".join([*node.scope, node.name]))


def changes_as_json(rewritten: Rewritten) -> dict[str, Any]:
    """Changes, declined sites and offers as JSON has them."""
    return {
        "changes": [
            {
                "node": node_as_json(change.node),
                "rewrite": change.rewrite,
                "safety": change.safety.value,
                "removed": list(change.removed),
                "added": list(change.added),
                "parameters_before": change.parameters_before,
                "parameters_after": change.parameters_after,
                "multiply_adds_before": change.multiply_adds_before,
                "multiply_adds_after": change.multiply_adds_after,
                "figures": json_value(change.figures),
            }
            for change in rewritten.changes
        ],
        "declined": [
            {
                "node": node_as_json(each.node),
                "rewrite": each.rewrite,
                "reason": each.reason,
            }
            for each in rewritten.declined
        ],
        "offered": dict(rewritten.offered),
    }


def latency_as_json(latency: "Latency | str") -> dict[str, Any]:
    """The figures, or why there are none."""
    if isinstance(latency, str):
        return {"not_measured": latency}
    return {
        "before_ms": latency.before_ms,
        "after_ms": latency.after_ms,
        "ratio": latency.ratio,
        "runs": latency.runs,
        "sizes": dict(latency.sizes),
    }
