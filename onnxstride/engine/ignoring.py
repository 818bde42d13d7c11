"""Lets findings pass that somebody asked to ignore, and says which wishes met nothing.

A wish has met nothing where its rule ran, could judge the nodes it is about, and found nothing
there; or where there is no such rule, a plugin may be missing then.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from ..registry import LoadedRule
from ..rule import Finding
from ..selection import selects
from .measured import is_about_probes
from .model_ignores import Entry
from .policy import Policy
from .results import EVERY_NODE, UNJUDGED, FileReport, Ignore, Ignored


def judged(
    report: FileReport, rules: Sequence[LoadedRule], policy: Policy, held: Iterable[Entry] = ()
) -> FileReport:
    """The report with the policy's levels, and without what the model or the policy lets pass.

    ``held`` are the wishes of the model itself; they come before those of the policy.
    """
    ran = [each for each in rules if report.probed is not None or not is_about_probes(each)]
    report = report._replace(
        findings=tuple(_leveled(finding, policy) for finding in report.findings),
        ran=frozenset(loaded.code for loaded in ran),
    )
    if not policy.heeds_ignores:
        return report
    asked = [*(_wish(entry, report.path) for entry in held), *policy.ignores]
    wishes = list(dict.fromkeys(single for ignore in asked for single in _singles(ignore)))
    if not wishes:
        return report
    ignored, findings = _parted(report.findings, _Wishes(wishes))
    used = {wish for each in ignored for wish in (each.ignore, *each.others)}
    unused = [wish for wish in wishes if wish not in used]
    return report._replace(
        findings=findings,
        ignored=ignored,
        unmatched=tuple(_unmatched(unused, report, ran, policy)),
    )


def _leveled(finding: Finding, policy: Policy) -> Finding:
    severity = policy.severities.get(finding.code, finding.severity)
    return finding if severity is finding.severity else finding._replace(severity=severity)


def _wish(entry: Entry, path: str) -> Ignore:
    is_glob = entry.node is None
    nodes = EVERY_NODE if entry.node is None else entry.node
    return Ignore((entry.code,), nodes, entry.reason, "model", path, is_glob)


def _singles(ignore: Ignore) -> Iterator[Ignore]:
    """The wish once for each of its selectors: one may meet nothing where another does."""
    for code in ignore.codes:
        yield ignore._replace(codes=(code,))


def _parted(
    findings: Iterable[Finding], wishes: "_Wishes"
) -> tuple[tuple[Ignored, ...], tuple[Finding, ...]]:
    ignored: list[Ignored] = []
    kept: list[Finding] = []
    for finding in findings:
        found = wishes.about(finding)
        if found:
            ignored.append(Ignored(finding, found[0], tuple(found[1:])))
        else:
            kept.append(finding)
    return tuple(ignored), tuple(kept)


class _Wishes:
    """Wishes by the node they name, so that many of them cost no more than few."""

    def __init__(self, wishes: Iterable[Ignore]) -> None:
        self._named: dict[str, list[Ignore]] = {}
        self._globs: list[Ignore] = []
        for wish in wishes:
            if wish.is_glob:
                self._globs.append(wish)
            else:
                self._named.setdefault(wish.nodes, []).append(wish)

    def about(self, finding: Finding) -> list[Ignore]:
        """Those that let the finding pass."""
        path = finding.node.path
        globs = (wish for wish in self._globs if _fits(wish, path))
        wishes = (*self._named.get(path, ()), *globs)
        return [wish for wish in wishes if selects(wish.codes[0], finding)]


def _fits(wish: Ignore, path: str) -> bool:
    # A name may hold what a glob gives a meaning to: "up[0]" is also itself.
    return path == wish.nodes or (wish.is_glob and fnmatchcase(path, wish.nodes))


def _unmatched(
    unused: Sequence[Ignore], report: FileReport, ran: Sequence[LoadedRule], policy: Policy
) -> Iterator[Ignore]:
    """The wishes that met nothing, as far as that can be told."""
    if report.error is not None:
        return
    codes: dict[str, frozenset[str]] = {}
    unjudged = _unjudged(report)
    for wish in unused:
        selector = wish.codes[0]
        if selector not in codes:
            codes[selector] = frozenset(each.code for each in ran if selects(selector, each))
        if not codes[selector]:
            if policy.known and not any(selects(selector, each) for each in policy.known):
                yield wish
        elif not unjudged(wish, codes[selector] | {UNJUDGED}):
            yield wish


def _unjudged(report: FileReport) -> Callable[[Ignore, frozenset[str]], bool]:
    """Whether a rule, of these codes, could not judge a node that a wish is about."""
    skips = {(skip.node.path, skip.code) for skip in report.skips}

    def asks(wish: Ignore, codes: frozenset[str]) -> bool:
        if not wish.is_glob:
            return any((wish.nodes, code) in skips for code in codes)
        return any(code in codes and _fits(wish, path) for path, code in skips)

    return asks
