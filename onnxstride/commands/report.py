"""The report command: the geometry of every layer of a model."""

from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from ..output import refuse_overwriting, write, write_file
from ..screen import in_color, width
from .options import color_option, dim_option, file_option, shape_option

if TYPE_CHECKING:
    from ..engine.anatomy import Anatomy

_FAILED = 2


@click.command()
@click.argument("model")
@click.option(
    "--output-format",
    type=click.Choice(["text", "json", "csv", "markdown"]),
    default="text",
    show_default=True,
)
@file_option
@click.option("--html", metavar="FILE", help="Also write one page with pictures here.")
@color_option
@shape_option
@dim_option
def report(
    model: str,
    output_format: str,
    output_file: str | None,
    html: str | None,
    color: str,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
) -> int:
    """Tell what every layer of MODEL does to resolution.

    For each layer its window, sizes, total stride, receptive field, where it is centred, what it
    leaves unread, and what it costs; then the input sizes that fit, and how the model goes
    down and up. The page of --html also shows what the rules find, beside the layers.
    """
    from ..engine.bindings import parse_bindings
    from ..engine.reporting import report_file
    from ..registry import load_rules
    from ..report.terminal import printable

    refuse_overwriting("--output-file", output_file, model)
    refuse_overwriting("--html", html, model)
    if html is not None and html == output_file:
        raise UsageError(f"--html and --output-file name one file, {html!r}; name two")
    rules = load_rules() if html is not None else ()
    bindings = parse_bindings(input_shapes, dims)
    found = report_file(model, bindings, rules, with_patterns=html is not None)
    write(_rendered(found.anatomy, model, output_format, in_color(color, output_file)), output_file)
    if html is not None:
        from ..report.html import render_html

        write_file(render_html(found), html)
    if found.error is not None:
        click.echo(f"onnxstride: error: {printable(found.error.message)}", err=True)
    return 0 if found.error is None else _FAILED


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
