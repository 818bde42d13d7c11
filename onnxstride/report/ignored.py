"""What was let pass, and wishes and records that nothing answers to, as reports tell of them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..engine.results import EVERY_NODE, FileReport, Ignore, Ignored, Stale, unmatched
from .terminal import printable


def complaints(reports: Sequence[FileReport], stale: Iterable[Stale]) -> list[str]:
    """A line for each wish that matched nothing, and each entry of a baseline that is stale."""
    return [*map(_unmatched, unmatched(reports)), *map(_stale, stale)]


def reason_of(ignore: Ignore) -> str:
    """What asked for it, and why."""
    return f"{ignore.where}: {ignore.reason}" if ignore.reason else ignore.where


def ignored_as_json(ignored: Ignored, finding: dict[str, Any]) -> dict[str, Any]:
    """A finding that was let pass; ``finding`` is what the document has of it."""
    return {"finding": finding, **_source(ignored.ignore)}


def unmatched_as_json(reports: Sequence[FileReport]) -> Iterator[list[dict[str, Any]]]:
    """For each file the wishes about it that matched nothing, in it or any other."""
    unmet = set(unmatched(reports))
    for report in reports:
        yield [_ignore(ignore) for ignore in report.unmatched if ignore in unmet]


def stale_as_json(stale: Stale) -> dict[str, Any]:
    """An entry of a baseline, and how much of it was found."""
    return {
        "baseline": stale.baseline,
        **stale.place._asdict(),
        "recorded": stale.recorded,
        "found": stale.found,
    }


def _ignore(ignore: Ignore) -> dict[str, Any]:
    return {"code": ignore.codes[0], "nodes": ignore.nodes, **_source(ignore)}


def _source(ignore: Ignore) -> dict[str, str]:
    return {"by": ignore.by, "where": ignore.where, "reason": ignore.reason}


def _unmatched(ignore: Ignore) -> str:
    is_everywhere = ignore.is_glob and ignore.nodes == EVERY_NODE
    nodes = "" if is_everywhere else f" at {ignore.nodes}"
    return printable(f"{ignore.where}: the ignore of {ignore.codes[0]}{nodes} matches nothing")


def _stale(stale: Stale) -> str:
    place = stale.place
    told = f"{place.code} at {place.node} of {place.file}"
    return printable(
        f"{stale.baseline}: {told}: {stale.recorded} recorded, {stale.found} found; --prune "
        "takes out what is gone"
    )
