"""The lint command: says what is wrong with models, and with --probe what they draw."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from ..config import Configs
from ..deferred import put_off_onnx_and_numpy
from ..errors import UsageError
from ..report.formats import Request
from ..rule import Severity
from ..screen import width
from .completing import a_file, a_folder
from .options import (
    color_option,
    config_option,
    dim_option,
    extend_select_option,
    file_option,
    ignore_option,
    isolated_option,
    report_option,
    rules_option,
    select_option,
    shape_option,
)
from .outputs import (
    Output,
    also_option,
    cards,
    deliver,
    refuse_clashes,
    refuse_unheard,
    repository,
    shows_spots,
)
from .passing import (
    Passing,
    baselines_of,
    passed,
    passing_options,
    refuse_contradictions,
    tell,
)
from .running import Probing, linted, probed, save_pictures, tell_unused

if TYPE_CHECKING:
    from ..engine.results import FileReport

_NEVER = "never"
_FINDINGS, _FAILED = 1, 2


def _limits(
    ctx: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[float, float] | None:
    """The two numbers of LO,HI."""
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise UsageError(f"expected --probe-range LO,HI, two numbers, found {text!r}")
    return low, high


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, shell_complete=a_file)
@select_option
@extend_select_option
@ignore_option
@click.option(
    "--fail-on",
    type=click.Choice([*(level.value for level in Severity), _NEVER]),
    help="Least severity of a finding that makes the exit code 1.  [default: by the configuration, "
    "else warning]",
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever is found.")
@click.option(
    "--probe",
    is_flag=True,
    help="Also run the models on constant images and look for a checkerboard in what they draw.",
)
@click.option(
    "--probe-range",
    metavar="LO,HI",
    callback=_limits,
    help="Lowest and highest value of the images.  [default: found out from the model, else 0,1]",
)
@click.option(
    "--data",
    metavar="DATA",
    shell_complete=a_file,
    help="Probe with the mean colours of these feeds: a .npz, a folder of .npy files, ONNX test "
    "data, or module:function.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    help="Seconds that loading a model, or running it once, may take; 0: no limit.  [default: 600]",
)
@click.option(
    "--save-pictures",
    "pictures",
    metavar="DIR",
    shell_complete=a_folder,
    help="Write what the probe saw here, as PNG files in a folder for each model.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Lint N models at a time, in processes of their own; the report is the same.",
)
@report_option
@file_option
@also_option
@click.option(
    "--statistics", is_flag=True, help="Count findings by rule instead of listing them (text)."
)
@click.option(
    "--why",
    is_flag=True,
    help="Also list what was ignored or could not be judged, and why (text, json).",
)
@click.option("-q", "--quiet", is_flag=True, help="List findings and errors, no summary (text).")
@color_option
@shape_option
@dim_option
@rules_option
@config_option
@isolated_option
@passing_options
def lint(
    paths: tuple[str, ...],
    select: tuple[str, ...],
    extend_select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    exit_zero: bool,
    probe: bool,
    probe_range: tuple[float, float] | None,
    data: str | None,
    timeout: float | None,
    pictures: str | None,
    jobs: int,
    output_format: str,
    output_file: str | None,
    also: tuple[Output, ...],
    statistics: bool,
    why: bool,
    quiet: bool,
    color: str,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
    folders: tuple[str, ...],
    config: str | None,
    isolated: bool,
    passing: Passing,
) -> int:
    """Report what is wrong with models.

    PATH is a model (.onnx or .onnxtxt), a folder of models, a pattern, or - for standard input.
    """
    # numpy's threads, one a core, spin while they have nothing to do. Linting multiplies no
    # matrices, and without them it starts a fifth faster.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    put_off_onnx_and_numpy()
    from ..engine.bindings import parse_bindings
    from ..engine.files import expand
    from ..engine.settings import NEVER, Asked, Settings, refuse_unasked, refuse_unused
    from ..registry import load_rules

    given = {"--data": data, "--probe-range": probe_range, "--timeout": timeout}
    _refuse_without_probe(given | {"--save-pictures": pictures}, probe=probe)
    if probe and jobs > 1:
        raise UsageError("--probe runs models on every core already; leave --jobs out")
    rules = load_rules(folders)
    bindings = parse_bindings(input_shapes, dims)
    level = NEVER if exit_zero else fail_on
    outputs = (Output(output_format, output_file), *also)
    asked = Asked(
        select, ignore, extend_select, bindings, level, passing.heeds_ignores, shows_spots(outputs)
    )
    refuse_unheard(outputs, why=why, quiet=quiet, statistics=statistics)
    of_file = Settings(rules, asked, Configs(config, isolated=isolated)).of
    settings = [of_file(path) for path in expand(paths)]
    refuse_unasked(settings, asked, probes=probe)
    names = [each.name for each in settings]
    refuse_clashes(outputs, names)
    refuse_contradictions(passing, outputs, names)
    baselines = baselines_of(settings, passing)
    if probe:
        reports = probed(settings, Probing(data, probe_range, timeout))
    else:
        reports = linted(settings, jobs, folders)
    refuse_unused(asked, reports)
    tell_unused(settings, reports, quiet=quiet)
    if pictures is not None:
        save_pictures(reports, pictures)
    found = passed(reports, baselines, passing)

    request = Request(
        lambda: cards(rules),
        repository(),
        width=width(),
        why=why,
        summary=not quiet,
        statistics=statistics,
        stale=found.stale,
    )
    deliver(outputs, found.reports, request, color=color)
    tell(found, outputs, quiet=quiet)
    return _exit_code(found.reports, is_stale=bool(found.stale) and not exit_zero)


def _refuse_without_probe(given: Mapping[str, object], *, probe: bool) -> None:
    for option, value in given.items():
        if value is not None and not probe:
            raise UsageError(f"{option} is about probing; add --probe, or leave it out")


def _exit_code(reports: Sequence["FileReport"], *, is_stale: bool) -> int:
    from ..engine.results import fails

    if any(report.error for report in reports):
        return _FAILED
    return _FINDINGS if is_stale or fails(reports) else 0
