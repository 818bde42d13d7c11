"""Runs a lint: here, in other processes, or with a probe; the reports come in the order given."""

import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import click

from ..deferred import put_off_onnx_and_numpy
from ..errors import OnnxstrideError
from ..process import end_with_parent
from ..progress import progress, telling
from ..report.terminal import printable

if TYPE_CHECKING:
    from ..engine.lint import Probe
    from ..engine.parallel import Job
    from ..engine.results import FileReport
    from ..engine.settings import Setting


class Probing(NamedTuple):
    """How to run the models: feeds, the range of images, seconds; None leaves the default."""

    data: str | None
    limits: tuple[float, float] | None
    timeout: float | None


def probed(settings: Sequence["Setting"], probing: Probing) -> list["FileReport"]:
    """The reports on models that are also run, each whose rules judge what that shows."""
    from ..engine.lint import lint_file

    with ExitStack() as stack:
        probe = _prober(stack, probing)
        return [
            lint_file(each.name, each.rules, each.policy, probe if each.judges_probes else None)
            for each in settings
        ]


def linted(
    settings: Sequence["Setting"], processes: int, folders: tuple[str, ...]
) -> list["FileReport"]:
    """The reports on models that are read only, from as many processes as are allowed.

    ``folders`` hold rules besides those that are installed.
    """
    if min(processes, len(settings)) > 1:
        from ..engine.parallel import Job

        jobs = [Job(each.name, each.codes, folders, each.policy) for each in settings]
        return _in_processes(jobs, processes)
    from ..engine.lint import lint_file

    names = progress([each.name for each in settings], sys.stderr)
    return [
        lint_file(name, each.rules, each.policy) for name, each in zip(names, settings, strict=True)
    ]


def _in_processes(jobs: Sequence["Job"], processes: int) -> list["FileReport"]:
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor

    from ..engine.parallel import lint_each

    with ProcessPoolExecutor(min(processes, len(jobs)), initializer=_begin_worker) as executor:
        try:
            found = lint_each(jobs, executor)
            return [next(found) for _ in progress([job.path for job in jobs], sys.stderr)]
        except BrokenExecutor as error:
            raise OnnxstrideError(
                "a process that lints was killed, for want of memory perhaps; use fewer --jobs"
            ) from error
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _begin_worker() -> None:
    # Ctrl-C reaches every process of a terminal; the parent answers it, and ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    put_off_onnx_and_numpy()
    end_with_parent()


def _prober(stack: ExitStack, probing: Probing) -> "Probe":
    from ..engine.probing import Prober
    from ..probe import ProbeOptions

    options = ProbeOptions(probing.data, probing.limits)
    if probing.timeout is not None:
        options = replace(options, timeout=probing.timeout or None)
    return stack.enter_context(Prober(options, stack.enter_context(telling(sys.stderr))))


def save_pictures(reports: Sequence["FileReport"], folder: str) -> None:
    """Draw what the probes saw, in a folder for each model."""
    from ..pictures import draw, folder_names, save

    names = folder_names([report.path for report in reports])
    for name, report in zip(names, reports, strict=True):
        if report.probed is not None:
            save(draw({"": report.probed}), folder, name)


def tell_unused(
    settings: Sequence["Setting"], reports: Sequence["FileReport"], *, quiet: bool
) -> None:
    """Say which sizes of a configuration no model has a use for; that fails nothing."""
    from ..engine.settings import unused_sizes

    for sentence in () if quiet else unused_sizes(settings, reports):
        click.echo(f"onnxstride: warning: {printable(sentence)}", err=True)
