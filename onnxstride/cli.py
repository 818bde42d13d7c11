"""The command line. It parses, calls, prints, and turns what happened into an exit code.

Exit codes: 0 clean, 1 findings at or above ``--fail-on``, 2 the job could not be done,
130 interrupted. Modules that read models are imported by the commands that need them.
"""

from collections.abc import Sequence
from importlib import import_module

import click

from . import __version__
from .commands.completing import explained as explainable
from .commands.options import rules_option
from .debug import is_debugging, unexpected
from .errors import OnnxstrideError
from .output import write_stdout
from .screen import width

_ELSEWHERE = (
    "annotate",
    "completion",
    "config",
    "ignore",
    "lint",
    "new-rule",
    "report",
    "rewrite",
    "verify",
)
_FAILED, _INTERRUPTED = 2, 130


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
    except SystemExit as end:  # a shell has been told how to complete a line
        return end.code if isinstance(end.code, int) else _FAILED
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
        module = cmd_name.replace("-", "_")  # and the function in it
        command: click.Command = getattr(import_module(f".commands.{module}", __package__), module)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Find what is wrong with the layers of an ONNX model that change resolution."""


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
@click.argument("name", metavar="CODE|NAME", shell_complete=explainable)
@click.option(
    "--output-format",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
)
@rules_option
def explain(name: str, output_format: str, folders: tuple[str, ...]) -> None:
    """Explain a rule or a rewrite, with examples."""
    from .engine.examples import messages_of
    from .explain import explain as explained
    from .registry import LoadedRule, find_either, load_rewrites, load_rules

    loaded = find_either(load_rules(folders), load_rewrites(), name)
    messages = messages_of(loaded) if isinstance(loaded, LoadedRule) else {}
    write_stdout(explained(loaded, output_format, width=width(), messages=messages))
