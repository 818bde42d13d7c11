"""The report command: the geometry of every layer of a model."""

import os
from typing import TYPE_CHECKING

import click

from ..config import Configs
from ..errors import UsageError
from ..output import refuse_overwriting, write, write_file
from ..screen import in_color, width
from .completing import a_file
from .options import (
    color_option,
    config_option,
    dim_option,
    file_option,
    isolated_option,
    shape_option,
)

if TYPE_CHECKING:
    from ..engine.anatomy import Anatomy
    from ..engine.reporting import ModelReport
    from ..graph import Bindings

_FAILED = 2


@click.command()
@click.argument("model", shell_complete=a_file)
@click.option(
    "--output-format",
    type=click.Choice(["text", "json", "csv", "markdown"]),
    default="text",
    show_default=True,
)
@file_option
@click.option(
    "--html", metavar="FILE", shell_complete=a_file, help="Also write one page with pictures here."
)
@color_option
@shape_option
@dim_option
@config_option
@isolated_option
def report(
    model: str,
    output_format: str,
    output_file: str | None,
    html: str | None,
    color: str,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
    config: str | None,
    isolated: bool,
) -> int:
    """Tell what every layer of MODEL does to resolution.

    For each layer its window, sizes, total stride, receptive field, where it is centred, what it
    leaves unread, and what it costs; then the input sizes that fit, and how the model goes
    down and up. The page of --html also shows what the rules find, beside the layers.
    """
    from ..engine.bindings import parse_bindings
    from ..report.terminal import printable

    refuse_overwriting("--output-file", output_file, model)
    refuse_overwriting("--html", html, model)
    if html is not None and output_file is not None and _is_one_file(html, output_file):
        raise UsageError(f"--html and --output-file name one file, {html!r}; name two")
    bindings = parse_bindings(input_shapes, dims)
    configs = Configs(config, isolated=isolated)
    found = (_bare if html is None else _with_findings)(model, bindings, configs)
    write(_rendered(found.anatomy, model, output_format, in_color(color, output_file)), output_file)
    if html is not None:
        from ..report.html import render_html

        write_file(render_html(found), html)
    if found.error is not None:
        click.echo(f"onnxstride: error: {printable(found.error.message)}", err=True)
    return 0 if found.error is None else _FAILED


def _bare(model: str, asked: "Bindings", configs: Configs) -> "ModelReport":
    """The geometry alone, for which no rule is loaded."""
    from ..engine.configured import bindings, thresholds
    from ..engine.policy import Policy
    from ..engine.reporting import report_file

    config = configs.of(model)
    policy = Policy(thresholds=thresholds(config))
    return report_file(model, bindings(config, model, asked), policy=policy)


def _with_findings(model: str, asked: "Bindings", configs: Configs) -> "ModelReport":
    """The geometry with what a lint would show, and what weights make of a flat map."""
    from ..engine.baseline import read_baselines
    from ..engine.reporting import report_file
    from ..engine.settings import Asked, Settings
    from ..registry import load_rules

    setting = Settings(load_rules(), Asked(bindings=asked), configs).of(model)
    [baseline] = read_baselines([setting], None)
    policy = setting.policy
    return report_file(
        model, policy.bindings, setting.rules, policy=policy, baseline=baseline, with_patterns=True
    )


def _is_one_file(first: str, second: str) -> bool:
    return os.path.normcase(os.path.realpath(first)) == os.path.normcase(os.path.realpath(second))


def _rendered(anatomy: "Anatomy", model: str, output_format: str, colored: bool) -> str:
    from ..report import anatomy as rendering

    match output_format:
        case "json":
            return rendering.anatomy_as_json(anatomy, path=model)
        case "csv":
            return rendering.anatomy_as_csv(anatomy)
        case "markdown":
            return rendering.anatomy_as_markdown(anatomy, title=model)
        case _:
            return rendering.render_anatomy(anatomy, title=model, width=width(), color=colored)
