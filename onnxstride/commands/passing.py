"""What a lint is to let pass: its options, and what comes of them.

Baselines are read before anything is linted, and written before the report is: where one cannot
be, there is nothing but the error.
"""

import os
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, NamedTuple

import click

from ..errors import UsageError
from ..output import refuse_overwriting, write_file
from ..wording import counted
from .completing import a_file
from .outputs import Output

if TYPE_CHECKING:
    from ..engine.baseline import Baseline
    from ..engine.results import FileReport, Stale
    from ..engine.settings import Setting

_STDIN = "-"
_NAMES_OF_MODELS = (".onnx", ".onnxtxt")


class Passing(NamedTuple):
    """What options say.

    Attributes:
        heeds_ignores: False shows all findings.
        baseline: the one to use for every file; None leaves it to the configuration.
        written: where to record what was found; None for nowhere.
        prune: take out of baselines what is stale.
    """

    heeds_ignores: bool
    baseline: str | None
    written: str | None
    prune: bool


class Passed(NamedTuple):
    """What has come of them.

    Attributes:
        reports: without the findings that baselines let pass.
        stale: what they record and was not found; None where there is no baseline.
        told: what was done to them, a sentence each.
    """

    reports: "Sequence[FileReport]"
    stale: "Sequence[Stale] | None" = None
    told: Sequence[str] = ()


_OPTIONS = (
    click.option(
        "--no-ignore",
        is_flag=True,
        help="Show everything, whatever a model, a configuration or a baseline lets pass.",
    ),
    click.option(
        "--baseline",
        metavar="FILE",
        shell_complete=a_file,
        help="Let the findings that are recorded here pass.",
    ),
    click.option(
        "--write-baseline",
        metavar="FILE",
        shell_complete=a_file,
        help="Record all findings here, in place of what the file holds.",
    ),
    click.option(
        "--prune",
        is_flag=True,
        help="Take out of the baseline what is found no more, and files that are gone.",
    ),
)


def passing_options(command: Callable[..., int]) -> Callable[..., int]:
    """The command with these options, which it gets as one ``passing``."""

    @wraps(command)
    def gathered(
        *,
        no_ignore: bool,
        baseline: str | None,
        write_baseline: str | None,
        prune: bool,
        **rest: object,
    ) -> int:
        return command(passing=Passing(not no_ignore, baseline, write_baseline, prune), **rest)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


def refuse_contradictions(
    passing: Passing, outputs: Sequence[Output], models: Sequence[str]
) -> None:
    """Raise UsageError where options exclude each other, or one file is to be two things."""
    written = passing.written
    if written is not None and passing.baseline is not None:
        raise UsageError("--write-baseline records anew, --baseline heeds a record; give one")
    changes = {"--write-baseline": written is not None, "--prune": passing.prune}
    for option, is_given in changes.items():
        if is_given and not passing.heeds_ignores:
            raise UsageError(f"--no-ignore heeds no baseline, and {option} changes one; give one")
    if written is not None and passing.prune:
        raise UsageError("--write-baseline records anew, so there is nothing to --prune; give one")
    if written is not None:
        _refuse_no_place(written, models)
    for option, path in (("--baseline", passing.baseline), ("--write-baseline", written)):
        if path is not None and any(_is_one_file(path, output.path) for output in outputs):
            raise UsageError(f"{option} {path!r} is a file that a report goes to; name another one")


def _refuse_no_place(written: str, models: Sequence[str]) -> None:
    refuse_overwriting("--write-baseline", written, *models)
    if written.lower().endswith(_NAMES_OF_MODELS):
        raise UsageError(f"--write-baseline {written!r} is a name for a model; name a .json file")
    if _STDIN in models:
        raise UsageError(
            "--write-baseline records findings by file, and standard input is none; name the model"
        )


def _is_one_file(path: str, other: str | None) -> bool:
    return other is not None and _identity(path) == _identity(other)


def _identity(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))


def baselines_of(settings: "Sequence[Setting]", passing: Passing) -> "tuple[Baseline | None, ...]":
    """The baseline of each file; None for those that have none, or are not to heed it.

    Raises:
        UsageError: one cannot be read, or there is none to prune.
    """
    if not passing.heeds_ignores or passing.written is not None:
        return (None,) * len(settings)
    # Few runs have a baseline, and reading one takes modules that others do without.
    if passing.baseline is not None or any(each.config is not None for each in settings):
        from ..engine.baseline import read_baselines

        found = read_baselines(settings, passing.baseline)
        if any(found):
            return found
    if passing.prune:
        raise UsageError("--prune changes a baseline, and there is none; add --baseline FILE")
    return (None,) * len(settings)


def passed(
    reports: "Sequence[FileReport]", baselines: "Sequence[Baseline | None]", passing: Passing
) -> Passed:
    """The reports after what baselines let pass; recorded, or pruned, where that is asked for.

    Raises:
        UsageError: a baseline cannot be written.
    """
    if passing.written is not None:
        return _recorded(reports, passing.written)
    if not any(baselines):
        return Passed(reports)
    from ..engine.baseline import settle

    settled = settle(reports, baselines)
    if not passing.prune:
        return Passed(settled.reports, settled.stale)
    distinct = {baseline.path: baseline for baseline in baselines if baseline is not None}
    told = [_pruned(baseline, settled.stale) for baseline in distinct.values()]
    return Passed(settled.reports, (), told)


def _recorded(reports: "Sequence[FileReport]", path: str) -> Passed:
    from ..engine.baseline import recorded, settle, spelled

    broken = sum(report.error is not None for report in reports)
    if broken:
        what = "a model" if broken == 1 else f"{broken} models"
        return Passed(reports, told=[f"{path} is not written: {what} could not be read"])
    baseline = recorded(path, reports)
    write_file(spelled(baseline), path)
    settled = settle(reports, [baseline] * len(reports))
    findings = sum(baseline.counts.values())
    files = len({place.file for place in baseline.counts})
    told = f"{path}: {counted(findings, 'finding')} of {counted(files, 'model')} recorded"
    return Passed(settled.reports, (), [told])


def _pruned(baseline: "Baseline", stale: "Sequence[Stale]") -> str:
    from ..engine.baseline import pruned, refuse_changed, spelled

    left = pruned(baseline, stale)
    entries = sum(left.counts.get(place) != count for place, count in baseline.counts.items())
    if not entries:
        return f"{baseline.path}: nothing to prune"
    refuse_changed(baseline)
    write_file(spelled(left), baseline.path)
    return f"{baseline.path}: {counted(entries, 'entry', 'entries')} pruned"


def tell(found: Passed, outputs: Sequence[Output], *, quiet: bool) -> None:
    """Say on standard error what was done, and what no format of the report has a place for."""
    from ..report.formats import TELLS_STALE
    from ..report.ignored import complaints
    from ..report.terminal import printable

    told = list(map(printable, found.told))
    if not any(output.format in TELLS_STALE for output in outputs):
        told = [*complaints(() if quiet else found.reports, found.stale or ()), *told]
    for line in told:
        click.echo(f"onnxstride: {line}", err=True)
