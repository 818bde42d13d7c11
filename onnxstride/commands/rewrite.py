"""The rewrite command: mends a model, proves what it did, writes the result."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..config import Configs
from ..errors import OnnxstrideError, UsageError
from ..output import refuse_overwriting
from ..rule import Safety
from .completing import a_file, a_folder, rewrites, selectors
from .new_layers import new_layer_options
from .options import (
    color_option,
    config_option,
    external_option,
    in_place_option,
    isolated_option,
    rules_option,
)
from .outcome import Outcome, tell_outcome, write_outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..config import Config
    from ..engine.changes import Rewritten
    from ..engine.delivery import Proof
    from ..engine.latency import Latency
    from ..engine.planning import Wanted
    from ..modelfile import ModelFile
    from ..probe import Probed
    from ..verify import VerifyOptions

_CHANGED, _FAILED = 1, 2


@click.command()
@click.argument("model", shell_complete=a_file)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    shell_complete=a_file,
    help="Where to write the rewritten model.",
)
@in_place_option
@click.option("--diff", is_flag=True, help="Only say what would change; exit 1 if anything would.")
@click.option(
    "--select",
    metavar="CODES",
    multiple=True,
    shell_complete=selectors,
    help="Mend findings of these rules only: codes, names, beginnings of codes, or ALL.",
)
@click.option(
    "--ignore",
    metavar="CODES",
    multiple=True,
    shell_complete=selectors,
    help="Leave findings of these rules.",
)
@click.option(
    "--use",
    metavar="REWRITE",
    multiple=True,
    shell_complete=rewrites,
    help="Apply this rewrite to every node it fits, whether a rule complains or not. Repeatable.",
)
@click.option("--nodes", metavar="GLOB", default="*", help="Only nodes whose name matches.")
@click.option(
    "--allow",
    type=click.Choice([level.value for level in Safety]),
    default=Safety.EXACT.value,
    show_default=True,
    help="The most a rewrite may change. A rewrite named with --use is allowed what it needs.",
)
@new_layer_options
@click.option(
    "--data",
    metavar="DATA",
    shell_complete=a_file,
    help="Feeds to fit and to verify on: a .npz, a folder of .npy files, ONNX test data, or "
    "module:function.",
)
@click.option("--no-verify", is_flag=True, help="Write the result without proving it.")
@click.option(
    "--min-snr", type=float, metavar="DB", help="Least signal to noise ratio of the outputs."
)
@click.option("--rtol", type=click.FloatRange(min=0), help="Relative tolerance of the outputs.")
@click.option("--atol", type=click.FloatRange(min=0), help="Absolute tolerance of the outputs.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=600.0,
    show_default=True,
    help="Seconds that loading a model, or running it once, may take; 0: no limit.",
)
@external_option
@click.option(
    "--probe",
    is_flag=True,
    help="Also run MODEL and OUT on constant images and tell what each draws of a checkerboard; "
    "done anyway for rewrites that mend one.",
)
@click.option(
    "--save-pictures",
    metavar="DIR",
    shell_complete=a_folder,
    help="Write what the probe saw, before and after, as PNGs.",
)
@click.option("--bench", is_flag=True, help="Also tell how long OUT takes to run, beside MODEL.")
@click.option(
    "--report", metavar="FILE", shell_complete=a_file, help="Write changes and proof here as JSON."
)
@click.option("--why", is_flag=True, help="Also list what was left alone, and why.")
@color_option
@rules_option
@config_option
@isolated_option
def rewrite(
    model: str,
    output: str | None,
    in_place: bool,
    diff: bool,
    data: str | None,
    no_verify: bool,
    probe: bool,
    save_pictures: str | None,
    bench: bool,
    report: str | None,
    why: bool,
    color: str,
    folders: tuple[str, ...],
    config: str | None,
    isolated: bool,
    **wishes: Any,
) -> int:
    """Mend the model MODEL and write the result to OUT.

    For each finding the first remedy that --allow permits is applied; with --use, the named
    rewrites are applied wherever they fit. The result is proven against MODEL with ONNX Runtime,
    each site on its own and the whole, and written only if that holds. What no option says is as
    the configuration says; findings that are let pass are not mended.

    Exit code: 0 written, 1 --diff would change something or the proof failed, 2 it could not be
    done.
    """
    from ..engine.planning import plan_of, refuse_unfounded
    from ..engine.rewriting import rewrite_model
    from ..modelfile import open_model

    target = _target(model, output, in_place=in_place, diff=diff)
    refuse_overwriting("--report", report, model, *([output] if output is not None else []))
    found = Configs(config, isolated=isolated).of(model)
    said = _said(found, wishes)
    external_data = said.pop("external_data")
    options = _verification(said, data)
    asked = _wanted(said, folders, data, found)
    refuse_unfounded(asked)
    if bench and output is None:
        raise UsageError("--bench runs the model and its rewrite, two files; name one with -o OUT")
    with open_model(model) as opened, options.runner() as runner:
        rewritten = rewrite_model(opened, plan_of(opened, asked, runner))
        proof, code = None, _CHANGED if diff and rewritten.changes else 0
        if target is not None:
            checked = None if no_verify else options
            proof, code = _delivered(Path(model), rewritten, target, external_data, checked)
        is_asked = probe or save_pictures is not None
        wanted = is_asked or (target is not None and not no_verify and _mends_patterns(rewritten))
        probed = _probed(opened, rewritten, options) if wanted and not code else None
    timed = _timed(Path(model), rewritten, target, options) if bench and not code else None
    outcome = Outcome(rewritten, proof, timed, probed)
    tell_outcome(outcome, why=why, color=color)
    if probed is not None and save_pictures is not None:
        _save_pictures(probed, save_pictures)
    if report is not None:
        write_outcome(report, model, target, outcome)
    return code


def _said(config: "Config | None", wishes: "Mapping[str, Any]") -> dict[str, Any]:
    """The wishes by their parameters: those of the configuration where no option was given."""
    from ..engine.configured import rewriting

    source = click.get_current_context().get_parameter_source
    given = {
        name.replace("_", "-"): value
        for name, value in wishes.items()
        if source(name) is not ParameterSource.DEFAULT
    }
    merged = rewriting(config, given)
    return {**wishes, **{key.replace("-", "_"): value for key, value in merged.items()}}


def _verification(said: dict[str, Any], data: str | None) -> "VerifyOptions":
    from ..verify import VerifyOptions

    measures = {name: said.pop(name) for name in ("min_snr", "rtol", "atol")}
    return VerifyOptions(data=data, timeout=said.pop("timeout") or None, **measures)


def _wanted(
    said: dict[str, Any], folders: tuple[str, ...], data: str | None, config: "Config | None"
) -> "Wanted":
    from ..engine.planning import Wanted
    from ..rewrite import Options

    use, select, ignore = (said.pop(name) for name in ("use", "select", "ignore"))
    allow, nodes = Safety(said.pop("allow")), said.pop("nodes")
    return Wanted(use, select, ignore, folders, allow, nodes, Options(**said), data, config)


def _target(model: str, output: str | None, *, in_place: bool, diff: bool) -> Path | None:
    """Where to write; None for --diff."""
    given = [
        option for option, is_given in _targets(output, in_place=in_place, diff=diff) if is_given
    ]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise UsageError(f"expected one of -o OUT, --in-place and --diff, found {found}")
    if output is not None and os.path.realpath(output) == os.path.realpath(model):
        raise UsageError(f"-o {output!r} is the model itself; say --in-place to write over it")
    if in_place and model.endswith(".onnxtxt"):
        raise UsageError("ONNX text cannot be rewritten in place; name an output with -o")
    return None if diff else Path(model if output is None else output)


def _targets(output: str | None, *, in_place: bool, diff: bool) -> list[tuple[str, bool]]:
    return [("-o", output is not None), ("--in-place", in_place), ("--diff", diff)]


def _delivered(
    source: Path,
    rewritten: "Rewritten",
    target: Path,
    external: str,
    options: "VerifyOptions | None",
) -> "tuple[Proof | None, int]":
    from ..engine.delivery import NotProven, deliver
    from ..progress import telling

    with telling(sys.stderr) as tell:
        try:
            proof = deliver(
                source,
                rewritten,
                target,
                external="copy" if external == "copy" else "reference",
                options=options,
                tell=tell,
            )
        except NotProven as failure:
            failed = failure.proof.verdict.verdict.value == "fail"
            return failure.proof, _CHANGED if failed else _FAILED
    return proof, 0


def _timed(
    source: Path, rewritten: "Rewritten", target: Path | None, options: "VerifyOptions"
) -> "Latency | str":
    """What was measured, or why nothing was: that is no failure of the rewrite."""
    from ..engine.latency import measure_latency
    from ..progress import telling

    if target is None or not rewritten.changes:
        return "nothing was rewritten"
    with telling(sys.stderr) as tell:
        tell(f"timing {target.name}")
        try:
            return measure_latency(source, target, options)
        except OnnxstrideError as error:
            return error.message


def _mends_patterns(rewritten: "Rewritten") -> bool:
    """True where a rewrite was applied that is meant to take a checkerboard out of the output."""
    from ..engine.measured import is_about_probes
    from ..registry import load_rewrites, load_rules

    judging = {loaded.code for loaded in load_rules() if is_about_probes(loaded)}
    mending = {each.name for each in load_rewrites() if judging.intersection(each.rewrite.mends)}
    return any(change.rewrite in mending for change in rewritten.changes)


def _probed(
    opened: "ModelFile", rewritten: "Rewritten", options: "VerifyOptions"
) -> "tuple[Probed, Probed]":
    from ..engine.probing import probe_pair
    from ..probe import ProbeOptions
    from ..progress import telling

    with telling(sys.stderr) as tell:
        return probe_pair(opened, rewritten.model, ProbeOptions(timeout=options.timeout), tell)


def _save_pictures(probed: "tuple[Probed, Probed]", folder: str) -> None:
    from ..pictures import draw, save

    before, after = probed
    save(draw({"before": before, "after": after}), folder)
