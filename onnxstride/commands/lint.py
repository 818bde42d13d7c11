"""The lint command: says what is wrong with models, and with --probe what they draw."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from ..errors import OnnxstrideError, UsageError
from ..report.formats import Request
from ..rule import Severity
from ..screen import width
from .options import (
    color_option,
    dim_option,
    file_option,
    ignore_option,
    report_option,
    rules_option,
    select_option,
    shape_option,
)
from .outputs import Output, also_option, cards, deliver, refuse_clashes, repository

if TYPE_CHECKING:
    from ..engine.lint import Probe
    from ..engine.results import FileReport
    from ..graph import Bindings

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
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@select_option
@click.option("--extend-select", metavar="CODES", multiple=True, help="Run these rules as well.")
@ignore_option
@click.option(
    "--fail-on",
    type=click.Choice([*(level.value for level in Severity), _NEVER]),
    default=Severity.WARNING.value,
    show_default=True,
    help="Least severity of a finding that makes the exit code 1.",
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
    metavar="DIR",
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
    "--why", is_flag=True, help="Also list what a rule could not judge, and why (text, json)."
)
@click.option("-q", "--quiet", is_flag=True, help="List findings and errors, no summary (text).")
@color_option
@shape_option
@dim_option
@rules_option
def lint(
    paths: tuple[str, ...],
    select: tuple[str, ...],
    extend_select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str,
    exit_zero: bool,
    probe: bool,
    probe_range: tuple[float, float] | None,
    data: str | None,
    timeout: float | None,
    save_pictures: str | None,
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
) -> int:
    """Report what is wrong with models.

    PATH is a model (.onnx or .onnxtxt), a folder of models, a pattern, or - for standard input.
    """
    # numpy's threads, one a core, spin while they have nothing to do. Linting multiplies no
    # matrices, and without them it starts a fifth faster.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ..engine.bindings import parse_bindings, refuse_unknown
    from ..engine.files import expand
    from ..engine.lint import lint_file
    from ..engine.measured import refuse_unasked
    from ..progress import progress
    from ..registry import load_rules
    from ..selection import select_rules

    given = {"--data": data, "--probe-range": probe_range, "--timeout": timeout}
    _refuse_without_probe(given | {"--save-pictures": save_pictures}, probe=probe)
    if probe and jobs > 1:
        raise UsageError("--probe runs models on every core already; leave --jobs out")
    rules = load_rules(folders)
    chosen = select_rules(rules, select=select, extend_select=extend_select, ignore=ignore)
    refuse_unasked(chosen, [*select, *extend_select], probes=probe)
    bindings = parse_bindings(input_shapes, dims)
    models = expand(paths)
    outputs = (Output(output_format, output_file), *also)
    refuse_clashes(outputs, models)
    if probe:
        with ExitStack() as stack:
            probing = _prober(stack, data, probe_range, timeout)
            reports = [lint_file(path, chosen, bindings, probing) for path in models]
    elif min(jobs, len(models)) > 1:
        codes = tuple(loaded.code for loaded in chosen)
        reports = _in_processes(models, codes, folders, bindings, jobs)
    else:
        reports = [lint_file(path, chosen, bindings) for path in progress(models, sys.stderr)]
    refuse_unknown(bindings, reports)
    if save_pictures is not None:
        _save_pictures(reports, save_pictures)

    fails = None if exit_zero or fail_on == _NEVER else Severity(fail_on)
    request = Request(
        lambda: cards(rules),
        repository(),
        fails,
        width=width(),
        why=why,
        summary=not quiet,
        statistics=statistics,
    )
    deliver(outputs, reports, request, color=color)
    return _exit_code(reports, fails)


def _in_processes(
    models: Sequence[str],
    codes: tuple[str, ...],
    folders: tuple[str, ...],
    bindings: "Bindings",
    jobs: int,
) -> list["FileReport"]:
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor

    from ..engine.parallel import Job, lint_each
    from ..progress import progress

    # Ctrl-C reaches every process of a terminal; this one answers it, and ends the others.
    ignore = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(min(jobs, len(models)), initializer=ignore) as executor:
        try:
            found = lint_each(models, Job(codes, folders, bindings), executor)
            return [next(found) for _ in progress(models, sys.stderr)]
        except BrokenExecutor as error:
            raise OnnxstrideError(
                "a process that lints was killed, for want of memory perhaps; use fewer --jobs"
            ) from error
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _refuse_without_probe(given: Mapping[str, object], *, probe: bool) -> None:
    for option, value in given.items():
        if value is not None and not probe:
            raise UsageError(f"{option} is about probing; add --probe, or leave it out")


def _prober(
    stack: ExitStack,
    data: str | None,
    limits: tuple[float, float] | None,
    timeout: float | None,
) -> "Probe":
    from ..engine.probing import Prober
    from ..probe import ProbeOptions
    from ..progress import telling

    options = ProbeOptions(data, limits)
    if timeout is not None:
        options = replace(options, timeout=timeout or None)
    return stack.enter_context(Prober(options, stack.enter_context(telling(sys.stderr))))


def _save_pictures(reports: Sequence["FileReport"], folder: str) -> None:
    from ..pictures import draw, folder_names, save

    names = folder_names([report.path for report in reports])
    for name, report in zip(names, reports, strict=True):
        if report.probed is not None:
            save(draw({"": report.probed}), folder, name)


def _exit_code(reports: Sequence["FileReport"], fail_on: Severity | None) -> int:
    from ..engine.results import reaches

    if any(report.error for report in reports):
        return _FAILED
    return _FINDINGS if fail_on is not None and reaches(reports, fail_on) else 0
