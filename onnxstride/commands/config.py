"""The config command: what is in force for models, and who says so."""

import click

from ..config import Configs
from ..output import write_stdout
from ..screen import in_color, width
from .completing import a_file
from .options import (
    color_option,
    config_option,
    dim_option,
    extend_select_option,
    format_option,
    ignore_option,
    isolated_option,
    rules_option,
    select_option,
    shape_option,
)

_LEVELS = ("error", "warning", "note", "never")


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, shell_complete=a_file)
@select_option
@extend_select_option
@ignore_option
@click.option("--fail-on", type=click.Choice(_LEVELS), help="Least severity that fails a run.")
@format_option
@color_option
@shape_option
@dim_option
@rules_option
@config_option
@isolated_option
def config(
    paths: tuple[str, ...],
    select: tuple[str, ...],
    extend_select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    output_format: str,
    color: str,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
    folders: tuple[str, ...],
    config: str | None,
    isolated: bool,
) -> None:
    """Tell what is in force for models, and from where.

    For each model its configuration file, the rules that run, and every key with its value: by
    default, by an option given here as to lint, or by a line of the file. PATH is as for lint;
    without one, what holds for standard input is told. Models are not read.
    """
    from ..engine.bindings import parse_bindings
    from ..engine.configured import refuse_unknown_rewrites
    from ..engine.files import STDIN, expand
    from ..engine.in_force import in_force
    from ..engine.settings import Asked, Settings
    from ..registry import load_rewrites, load_rules
    from ..report.settings import render_settings, settings_as_json

    bindings = parse_bindings(input_shapes, dims)
    asked = Asked(select, ignore, extend_select, bindings, fail_on)
    of_file = Settings(load_rules(folders), asked, Configs(config, isolated=isolated)).of
    settings = [of_file(path) for path in expand(paths or [STDIN])]
    named = {each.config.path: each.config for each in settings if each.config is not None}
    for each in named.values():
        refuse_unknown_rewrites(each, load_rewrites())
    found = [in_force(setting, asked) for setting in settings]
    if output_format == "json":
        write_stdout(settings_as_json(found))
    else:
        write_stdout(render_settings(found, width=width(), color=in_color(color, None)))
