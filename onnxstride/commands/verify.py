"""The verify command: does one model still compute what another does?"""

import sys
from typing import TYPE_CHECKING

import click

from ..config import Configs
from ..errors import UsageError
from ..output import refuse_overwriting, write
from ..screen import in_color, width
from .completing import a_file
from .options import (
    color_option,
    config_option,
    dim_option,
    file_option,
    format_option,
    isolated_option,
    shape_option,
)

if TYPE_CHECKING:
    from ..verify import ModelVerdict, Runner, VerifyOptions

_EXIT_CODES = {"pass": 0, "fail": 1, "not-checked": 2}
_LARGEST_SIZE = 1 << 20


def _sizes(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, ...]:
    """``32,33,64`` as numbers."""
    if text is None:
        return ()
    parts = [part.strip() for part in text.split(",")]
    sizes = tuple(int(part) for part in parts if part.isascii() and part.isdigit())
    if len(sizes) != len(parts) or not all(0 < size <= _LARGEST_SIZE for size in sizes):
        raise click.BadParameter(f"expected sizes such as 32,33,64, found {text!r}")
    return sizes


@click.command()
@click.argument("before", shell_complete=a_file)
@click.argument("after", shell_complete=a_file)
@click.option(
    "--data",
    metavar="DATA",
    shell_complete=a_file,
    help="Feeds: a .npz, a folder of .npy files, ONNX test data, or module:function.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    help="Made-up feeds of each kind, for each size.  [default: 1]",
)
@click.option(
    "--sizes",
    metavar="32,33,64",
    callback=_sizes,
    help="Sizes to try where the model leaves height and width open; by default an odd one, an "
    "even one and the smallest it accepts.",
)
@shape_option
@dim_option
@click.option(
    "--rtol", type=click.FloatRange(min=0), help="Relative tolerance.  [default: by type]"
)
@click.option(
    "--atol",
    type=click.FloatRange(min=0),
    help="Absolute tolerance.  [default: by type, in proportion to the output's largest value]",
)
@click.option(
    "--min-snr",
    type=float,
    metavar="DB",
    help="Least signal to noise ratio; decides in place of the tolerances that are not given.  "
    "[default: that of the configuration of BEFORE, if none of the three is given]",
)
@click.option(
    "--provider",
    "providers",
    metavar="NAME",
    multiple=True,
    help="ONNX Runtime execution provider, most wanted first. Repeatable.  [default: CPU]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=600.0,
    show_default=True,
    help="Seconds that loading a model, or running it once, may take; 0: no limit.",
)
@click.option(
    "--by-position", is_flag=True, help="Match inputs and outputs by position, not by name."
)
@format_option
@file_option
@color_option
@config_option
@isolated_option
def verify(
    before: str,
    after: str,
    data: str | None,
    seeds: int | None,
    sizes: tuple[int, ...],
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
    rtol: float | None,
    atol: float | None,
    min_snr: float | None,
    providers: tuple[str, ...],
    timeout: float,
    by_position: bool,
    output_format: str,
    output_file: str | None,
    color: str,
    config: str | None,
    isolated: bool,
) -> int:
    """Tell whether the model AFTER computes what the model BEFORE does.

    Both are run with ONNX Runtime on the same made-up inputs, or on DATA: without optimisation,
    which decides, and at the default level, which is what will be deployed.

    Exit code: 0 they agree, 1 they differ, 2 they could not be compared.
    """
    from ..verify.runtime import CPU, Runner

    if data is not None and (seeds is not None or sizes or input_shapes or dims):
        raise UsageError(
            "--data brings its own values and sizes; leave out --seeds, --sizes, --input-shape "
            "and --dim, or --data"
        )
    refuse_overwriting("--output-file", output_file, before, after)
    if rtol is None and atol is None and min_snr is None:
        found = Configs(config, isolated=isolated).of(before)
        min_snr = found.min_snr if found is not None else None
    with Runner(providers=providers or (CPU,), timeout=timeout or None) as runner:
        runner.start()  # ONNX Runtime is loaded there while onnx is loaded here

        from ..engine.bindings import parse_bindings
        from ..verify.check import DEFAULT_SEEDS, VerifyOptions

        options = VerifyOptions(
            data=data,
            seeds=DEFAULT_SEEDS if seeds is None else seeds,
            sizes=sizes,
            bindings=parse_bindings(input_shapes, dims),
            rtol=rtol,
            atol=atol,
            min_snr=min_snr,
            providers=providers or (CPU,),
            timeout=timeout or None,
            by_position=by_position,
        )
        verdict = _verified(before, after, options, runner)
    text = _rendered(verdict, output_format, colored=in_color(color, output_file))
    write(text, output_file)
    return _EXIT_CODES[verdict.verdict.value]


def _verified(
    before: str, after: str, options: "VerifyOptions", runner: "Runner"
) -> "ModelVerdict":
    from ..progress import telling
    from ..verify.check import verify as compare

    with telling(sys.stderr) as tell:
        return compare(before, after, options, runner=runner, tell=tell, names=(before, after))


def _rendered(verdict: "ModelVerdict", output_format: str, *, colored: bool) -> str:
    from ..report.verdict import render_verdict, render_verdict_json

    if output_format == "json":
        return render_verdict_json(verdict)
    return render_verdict(verdict, width=width(), color=colored)
