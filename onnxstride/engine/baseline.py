"""Findings that are known already: recorded, let pass, and told when they are gone.

A baseline is a JSON file that counts findings by the file they are in (its path from the folder of
the baseline, with ``/``), the code of their rule, and the path of their node; it is described by
``schemas/baseline.schema.json``. With n findings recorded at a place and m found there,

    m <= n  all of them pass; fewer than n: the entry is stale, as it would hide new ones,
    m >  n  all of them are shown: which ones are new cannot be told.

What cannot be told is not stale: the entry of a file that was not linted, or not read in whole, of
a rule that did not run, of a node that it could not judge. Errors of files are never recorded.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UsageError
from .files import STDIN
from .model_ignores import unambiguous
from .results import UNJUDGED, FileReport, Ignore, Ignored, Place, Stale

if TYPE_CHECKING:
    from .settings import Setting

SCHEMA_VERSION = "1"

_CODE = re.compile(r"[A-Z]{2,}[0-9]{3}")
_LONGEST = 1 << 26  # bytes; a million findings
_ANEW = "write it anew with onnxstride lint --write-baseline"


class Baseline(NamedTuple):
    """What is recorded.

    Attributes:
        path: the file, as the user names it.
        counts: how many findings are at each place.
        text: all of the file; None where it was not read from one.
    """

    path: str
    counts: Mapping[Place, int]
    text: str | None = None


class Settled(NamedTuple):
    """The reports without what is recorded, and the entries that are stale."""

    reports: tuple[FileReport, ...]
    stale: tuple[Stale, ...]


def read_baseline(path: str) -> Baseline:
    """The baseline in a file.

    Raises:
        UsageError: it cannot be read, or is no baseline.
    """
    text = _text(path)
    return Baseline(path, _counts(path, text), text)


def read_baselines(settings: Iterable[Setting], given: str | None) -> tuple[Baseline | None, ...]:
    """The baseline of each file: the one that is given, or that of its configuration.

    Standard input has none. Each that is named is read once.

    Raises:
        UsageError: one cannot be read, or is no baseline.
    """
    paths = [_path_of(setting, given) for setting in settings]
    found = {path: read_baseline(path) for path in dict.fromkeys(paths) if path is not None}
    return tuple(None if path is None else found[path] for path in paths)


def _path_of(setting: Setting, given: str | None) -> str | None:
    if setting.name == STDIN:
        return None
    if given is not None or setting.config is None or setting.config.baseline is None:
        return given
    return _shown(setting.config.baseline)


def _shown(path: str) -> str:
    """The path from the current folder, as people write it, where it leads down."""
    relative = _relative(path, os.getcwd())
    return path if relative.startswith(os.pardir) else relative


def recorded(path: str, reports: Iterable[FileReport]) -> Baseline:
    """The baseline at ``path`` that lets the findings of these reports pass."""
    places = (place for report in reports for place in _places(name_in(path, report.path), report))
    return Baseline(path, Counter(places))


def spelled(baseline: Baseline) -> str:
    """The baseline as its file has it: sorted, one entry a line, so that versions compare well."""
    files: dict[str, dict[str, dict[str, int]]] = {}
    for place, count in sorted(baseline.counts.items()):
        files.setdefault(place.file, {}).setdefault(place.code, {})[place.node] = count
    return json.dumps({"schema_version": SCHEMA_VERSION, "files": files}, indent=2) + "\n"


def settle(reports: Sequence[FileReport], baselines: Sequence[Baseline | None]) -> Settled:
    """The reports judged by the baseline of each; None lets nothing pass."""
    settled: list[FileReport] = []
    stale: list[Stale] = []
    of_files = {each.path: _by_file(each) for each in baselines if each is not None}
    for report, baseline in zip(reports, baselines, strict=True):
        if baseline is None:
            settled.append(report)
            continue
        file = name_in(baseline.path, report.path)
        counts = of_files[baseline.path].get(file, {})
        places = _places(file, report)
        settled.append(_without_known(report, baseline.path, places, counts))
        stale += _stale(report, baseline.path, Counter(places), counts)
    return Settled(tuple(settled), tuple(stale))


def pruned(baseline: Baseline, stale: Iterable[Stale]) -> Baseline:
    """The baseline without what is stale, and without files that are not there."""
    counts = dict(baseline.counts)
    for entry in stale:
        if entry.baseline == baseline.path:
            counts[entry.place] = entry.found
    folder = os.path.dirname(os.path.abspath(baseline.path))
    files = {place.file for place in counts}
    gone = {file for file in files if not os.path.lexists(os.path.join(folder, file))}
    kept = {place: n for place, n in counts.items() if n and place.file not in gone}
    return Baseline(baseline.path, kept)


def refuse_changed(baseline: Baseline) -> None:
    """Raise UsageError where the file is not what was read: pruning it would lose the change."""
    if _text(baseline.path) != baseline.text:
        raise UsageError(
            f"{baseline.path} has changed while the models were linted; nothing is pruned: lint "
            "again once nothing writes to it"
        )


def name_in(baseline: str, path: str) -> str:
    """How the baseline at this path names the file at another: relative, with ``/``.

    Of the two ways there are, with links and with links resolved, the one that leads up less is
    taken: a checkout that is reached through a link stays the same checkout.
    """
    folder = os.path.dirname(os.path.abspath(baseline))
    place, name = os.path.split(os.path.abspath(path))
    ways = [(place, folder), (os.path.realpath(place), os.path.realpath(folder))]
    names = [PurePath(os.path.join(_relative(*way), name)).as_posix() for way in ways]
    return min(names, key=lambda each: each.count("../"))


def _relative(place: str, folder: str) -> str:
    try:
        return os.path.relpath(place, folder)
    except ValueError:  # another drive of Windows
        return place


def _by_file(baseline: Baseline) -> dict[str, dict[Place, int]]:
    """The entries of each file, sorted."""
    files: dict[str, dict[Place, int]] = {}
    for place, count in sorted(baseline.counts.items()):
        files.setdefault(place.file, {})[place] = count
    return files


def _places(file: str, report: FileReport) -> list[Place]:
    """Where each finding is, in a file that the baseline knows by this name."""
    return [Place(file, finding.code, finding.node.path) for finding in report.findings]


def _without_known(
    report: FileReport, baseline: str, places: Sequence[Place], counts: Mapping[Place, int]
) -> FileReport:
    """The report, with the findings of places that are recorded in full let pass."""
    found = Counter(places)
    known = {place for place, count in found.items() if count <= counts.get(place, 0)}
    ignored: list[Ignored] = []
    kept = []
    for finding, place in zip(report.findings, places, strict=True):
        if place in known:
            wish = Ignore((finding.code,), place.node, "", "baseline", baseline, False)
            ignored.append(Ignored(finding, wish))
        else:
            kept.append(finding)
    return report._replace(findings=tuple(kept), ignored=(*report.ignored, *ignored))


def _stale(
    report: FileReport, baseline: str, found: Mapping[Place, int], counts: Mapping[Place, int]
) -> Iterator[Stale]:
    if report.error is not None:
        return
    skips = {(skip.code, skip.node.path) for skip in report.skips}
    for place, count in counts.items():
        is_judged = place.code in report.ran and not skips & {
            (place.code, place.node),
            (UNJUDGED, place.node),
        }
        if is_judged and found.get(place, 0) < count:
            yield Stale(baseline, place, count, found.get(place, 0))


def _text(path: str) -> str:
    """What the file holds. A configuration may name any file, so it is not read without a look."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"baseline {path!r} is no regular file; name another one")
        if status.st_size > _LONGEST:
            raise UsageError(
                f"baseline {path!r} has {status.st_size:,} bytes; expected at most {_LONGEST:,}"
            )
        with open(path, "rb") as file:
            return file.read().decode()
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise _malformed(path, "expected JSON, found bytes that are no UTF-8") from error
        said = error.strerror if isinstance(error, OSError) else None
        raise UsageError(
            f"baseline {path!r} cannot be read: {said or error}; record one with onnxstride lint "
            "--write-baseline"
        ) from error


def _counts(path: str, text: str) -> dict[Place, int]:
    try:
        document = json.loads(text, object_pairs_hook=unambiguous)
    except json.JSONDecodeError as error:
        position = f"{path}:{error.lineno}:{error.colno}"
        raise _malformed(position, f"expected JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise _malformed(path, f"expected JSON of a baseline: {error}") from error
    _expect(path, "", isinstance(document, dict), "an object", document)
    fields = {"schema_version", "files"}
    _expect(path, "", set(document) == fields, "schema_version and files, and nothing else", None)
    version = document["schema_version"]
    _expect(path, "schema_version", version == SCHEMA_VERSION, f'"{SCHEMA_VERSION}"', version)
    return {Place(*where): count for where, count in _entries(path, document["files"])}


def _entries(path: str, files: Any) -> Iterator[tuple[tuple[str, str, str], int]]:
    _expect(path, "files", isinstance(files, dict), "an object", files)
    for file, codes in files.items():
        where = f"files, {file!r}"
        _expect(path, where, isinstance(codes, dict), "an object", codes)
        for code, nodes in codes.items():
            is_code = _CODE.fullmatch(code) is not None
            _expect(path, where, is_code, "codes of rules, such as UP101", None)
            _expect(path, f"{where}, {code}", isinstance(nodes, dict), "an object", nodes)
            for node, count in nodes.items():
                is_count = type(count) is int and count > 0
                _expect(path, f"{where}, {code}, {node!r}", is_count, "a count from 1 on", count)
                yield (file, code, node), count


def _expect(path: str, where: str, is_met: bool, expected: str, found: object) -> None:
    """Raise UsageError unless the expectation is met; it quotes nothing that may be private."""
    if is_met:
        return
    told = "" if found is None else f", found {_kind(found)}"
    raise _malformed(path, f"{f'at {where}: ' if where else ''}expected {expected}{told}")


def _kind(found: object) -> str:
    kinds = ((dict, "an object"), (list, "a list"), (str, "a text"))
    return next((name for kind, name in kinds if isinstance(found, kind)), "something else")


def _malformed(where: str, what: str) -> UsageError:
    return UsageError(f"{where}: this is no baseline: {what}; {_ANEW}")
