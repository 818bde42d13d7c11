"""What the rewrite command lets the user choose about new layers: the fields of ``Options``."""

from collections.abc import Callable
from functools import reduce
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--form",
        type=click.Choice(["additive", "slice-max"]),
        default="additive",
        show_default=True,
        help="maxpool-to-exact-conv: convolutions with parameters, or bit-exact slices.",
    ),
    click.option(
        "--conv",
        type=click.Choice(["full", "depthwise"]),
        help="New convolutions mix channels or not.",
    ),
    click.option(
        "--init",
        type=click.Choice(["exact", "mean", "fit"]),
        help="Weights of new convolutions: a corrected average (in place of a ConvTranspose: a "
        "projection of its own), or fitted on --data.",
    ),
    click.option(
        "--relu",
        "activation",
        is_flag=True,
        help="maxpool-to-conv: a ReLU after it, as in All-CNN.",
    ),
    click.option(
        "--blur",
        type=click.IntRange(2, 9),
        default=3,
        show_default=True,
        help="Taps of the filter of a new blur along each axis.",
    ),
    click.option(
        "--kernel",
        type=click.IntRange(1, 15),
        help="deconv-to-resize-conv: taps of the convolution along each axis.",
    ),
    click.option(
        "--mode",
        type=click.Choice(["nearest", "linear"]),
        default="nearest",
        show_default=True,
        help="deconv-to-resize-conv: how the resize interpolates.",
    ),
    click.option(
        "--smooth",
        type=click.Choice(["binomial", "box"]),
        default="binomial",
        show_default=True,
        help="smooth-output: 1 2 1 along each axis, or a box over every upsampling period.",
    ),
    click.option(
        "--opset",
        type=click.IntRange(1),
        metavar="N",
        help="Let a rewrite that needs a newer opset raise the model's to N.",
    ),
)


def new_layer_options(command: _Command) -> _Command:
    """``command`` with an option for each field of ``Options``, named as the field is."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)
