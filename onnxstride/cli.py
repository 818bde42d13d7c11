"""The command line. It parses, calls, prints, and turns what happened into an exit code.

Exit codes: 0 clean, 1 findings at or above ``--fail-on``, 2 the job could not be done,
130 interrupted. Modules that read models are imported by the commands that need them.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import click

from . import __version__
from .commands.options import (
    color_option,
    dim_option,
    file_option,
    format_option,
    rules_option,
    shape_option,
)
from .debug import is_debugging, unexpected
from .errors import OnnxstrideError
from .output import refuse_overwriting, write, write_stdout
from .rule import Severity
from .screen import in_color, width

if TYPE_CHECKING:
    from .engine.results import FileReport

_NEVER = "never"
_ELSEWHERE = ("rewrite", "verify")
_FINDINGS, _FAILED, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on ``arguments``, by default the process's; the exit code."""
    try:
        result = cli.main(arguments, prog_name="onnxstride", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except OnnxstrideError as error:
        _complain(error.message)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the outermost edge
        _complain(unexpected(error))
        return _FAILED


def _complain(message: str) -> None:
    from .report.terminal import printable

    if is_debugging():
        from traceback import print_exc

        print_exc()
    click.echo(f"onnxstride: error: {printable(message)}", err=True)


class _Commands(click.Group):
    """The commands; those in ``commands/`` are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(
            import_module(f".commands.{cmd_name}", __package__), cmd_name
        )
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Find what is wrong with the layers of an ONNX model that change resolution."""


@cli.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--select",
    metavar="CODES",
    multiple=True,
    help="Run these rules only: codes, names, beginnings of codes, or ALL; joined by commas.",
)
@click.option("--extend-select", metavar="CODES", multiple=True, help="Run these rules as well.")
@click.option("--ignore", metavar="CODES", multiple=True, help="Leave these rules out.")
@click.option(
    "--fail-on",
    type=click.Choice([*(level.value for level in Severity), _NEVER]),
    default=Severity.WARNING.value,
    show_default=True,
    help="Least severity of a finding that makes the exit code 1.",
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever is found.")
@format_option
@file_option
@click.option("--statistics", is_flag=True, help="Count findings by rule instead of listing them.")
@click.option("--why", is_flag=True, help="Also list what a rule could not judge, and why.")
@click.option("-q", "--quiet", is_flag=True, help="List findings and errors, no summary.")
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
    output_format: str,
    output_file: str | None,
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
    from .engine.bindings import parse_bindings, refuse_unknown
    from .engine.files import expand
    from .engine.lint import lint_file
    from .progress import progress
    from .registry import load_rules
    from .selection import select_rules

    chosen = select_rules(
        load_rules(folders), select=select, extend_select=extend_select, ignore=ignore
    )
    bindings = parse_bindings(input_shapes, dims)
    models = expand(paths)
    refuse_overwriting("--output-file", output_file, *models)
    reports = [lint_file(path, chosen, bindings) for path in progress(models, sys.stderr)]
    refuse_unknown(bindings, reports)

    colored = in_color(color, output_file)
    if output_format == "json":
        from .report.json import render_json

        text = render_json(reports, why=why)
    elif statistics:
        from .report.text import render_statistics

        text = render_statistics(reports, width=width(), color=colored)
    else:
        from .report.text import render_text

        text = render_text(reports, width=width(), color=colored, why=why, summary=not quiet)
    write(text, output_file)
    return _exit_code(reports, _NEVER if exit_zero else fail_on)


@cli.command()
@click.option(
    "--output-format",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
)
@rules_option
def rules(output_format: str, folders: tuple[str, ...]) -> None:
    """List every rule."""
    from .explain import list_rules
    from .registry import load_rules

    write_stdout(list_rules(load_rules(folders), output_format, width=width()))


@cli.command()
@click.option(
    "--output-format",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
)
def rewrites(output_format: str) -> None:
    """List every rewrite."""
    from .explain import list_rewrites
    from .registry import load_rewrites

    write_stdout(list_rewrites(load_rewrites(), output_format, width=width()))


@cli.command()
@click.argument("name", metavar="CODE|NAME")
@click.option(
    "--output-format",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
)
@rules_option
def explain(name: str, output_format: str, folders: tuple[str, ...]) -> None:
    """Explain a rule or a rewrite, with examples."""
    from .explain import explain as explained
    from .registry import find_either, load_rewrites, load_rules

    loaded = find_either(load_rules(folders), load_rewrites(), name)
    write_stdout(explained(loaded, output_format, width=width()))


def _exit_code(reports: Sequence["FileReport"], fail_on: str) -> int:
    from .engine.results import reaches

    if any(report.error for report in reports):
        return _FAILED
    return _FINDINGS if fail_on != _NEVER and reaches(reports, Severity(fail_on)) else 0
