"""Options that several commands take, spelled once."""

import click

from ..report.formats import FORMATS
from .completing import a_file, a_folder, selectors

color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="auto: on a terminal, unless NO_COLOR is set.",
)
format_option = click.option(
    "--output-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="ONNXSTRIDE_OUTPUT_FORMAT",
    show_envvar=True,
)
report_option = click.option(
    "--output-format",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    envvar="ONNXSTRIDE_OUTPUT_FORMAT",
    show_envvar=True,
)
file_option = click.option(
    "--output-file",
    metavar="FILE",
    shell_complete=a_file,
    help="Write the report here, not to the terminal.",
)
shape_option = click.option(
    "--input-shape",
    "input_shapes",
    metavar="NAME:1,3,224,224",
    multiple=True,
    help="Shape of a model input. Repeatable.",
)
dim_option = click.option(
    "--dim", "dims", metavar="NAME=224", multiple=True, help="Size of a symbol. Repeatable."
)
rules_option = click.option(
    "--rules",
    "folders",
    metavar="DIR",
    multiple=True,
    shell_complete=a_folder,
    help="Load the rules in this folder too. Repeatable.",
)
select_option = click.option(
    "--select",
    metavar="CODES",
    multiple=True,
    shell_complete=selectors,
    help="Run these rules only: codes, names, beginnings of codes, or ALL; joined by commas.",
)
extend_select_option = click.option(
    "--extend-select",
    metavar="CODES",
    multiple=True,
    shell_complete=selectors,
    help="Run these rules as well.",
)
ignore_option = click.option(
    "--ignore",
    metavar="CODES",
    multiple=True,
    shell_complete=selectors,
    help="Leave these rules out.",
)
external_option = click.option(
    "--external-data",
    type=click.Choice(["reference", "copy"]),
    default="reference",
    show_default=True,
    help="Leave external data where it is, or copy it beside the output.",
)
in_place_option = click.option("--in-place", is_flag=True, help="Write it over MODEL.")
config_option = click.option(
    "--config",
    metavar="FILE",
    shell_complete=a_file,
    help="Use this configuration for every model, in place of the closest one.",
)
isolated_option = click.option("--isolated", is_flag=True, help="Use no configuration.")
