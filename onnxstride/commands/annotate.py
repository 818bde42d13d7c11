"""The annotate command: writes findings into a model, where viewers show them at their nodes."""

from typing import TYPE_CHECKING, Any

import click

from ..errors import ModelError, UsageError
from ..wording import counted
from .completing import a_file
from .editing import output_option, target_of, tell_of, write_edited
from .options import (
    config_option,
    dim_option,
    external_option,
    ignore_option,
    in_place_option,
    isolated_option,
    rules_option,
    select_option,
    shape_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..engine.annotating import Annotated
    from ..engine.results import FileReport
    from ..rule import NodeRef


@click.command()
@click.argument("model", shell_complete=a_file)
@output_option
@in_place_option
@click.option("--remove", is_flag=True, help="Take earlier notes out instead.")
@select_option
@ignore_option
@external_option
@shape_option
@dim_option
@rules_option
@config_option
@isolated_option
def annotate(
    model: str,
    output: str | None,
    in_place: bool,
    remove: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    external_data: str,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
    folders: tuple[str, ...],
    config: str | None,
    isolated: bool,
) -> int:
    """Write what is wrong with MODEL into it, for viewers such as Netron.

    Each finding is added to its node: at the end of the documentation (doc_string), and from IR
    version 10 on as JSON in the metadata, under onnxstride.findings. Earlier notes are replaced,
    or with --remove taken out; nothing else of the model changes. What lint ignores is not noted.

    Exit code: 0 written, 2 it could not be done.
    """
    from ..engine.annotating import annotate as annotated
    from ..modelfile import open_model
    from ..report.annotation import notes

    target = target_of(model, output, in_place=in_place)
    given = {
        "--select": select, "--ignore": ignore, "--input-shape": input_shapes, "--dim": dims,
        "--rules": folders, "--config": config, "--isolated": isolated,
    }  # fmt: skip
    if remove:
        _refuse_with_remove(given)
    with open_model(model) as opened:
        report = None if remove else _linted(model, given)
        findings = () if report is None else report.findings
        result = annotated(opened, notes(findings))
        write_edited(result.model, target, external_data)
    sentence = _removal(result) if report is None else _sentence(result, report)
    tell_of(str(target), [sentence, *map(_refusal, result.refused)])
    return 0


def _refuse_with_remove(given: "Mapping[str, Any]") -> None:
    for option, value in given.items():
        if value:
            raise UsageError(f"--remove runs no rules, and {option} is about them; give one kind")


def _linted(model: str, given: "Mapping[str, Any]") -> "FileReport":
    """What lint says of the model.

    Raises:
        ModelError: a part of it cannot be read, so that the notes would pass for all there is.
    """
    from ..config import Configs
    from ..engine.bindings import parse_bindings, refuse_unknown
    from ..engine.lint import lint_file
    from ..engine.settings import Asked, Settings
    from ..registry import load_rules

    bindings = parse_bindings(given["--input-shape"], given["--dim"])
    asked = Asked(given["--select"], given["--ignore"], bindings=bindings)
    configs = Configs(given["--config"], isolated=given["--isolated"])
    setting = Settings(load_rules(given["--rules"]), asked, configs).of(model)
    report = lint_file(model, setting.rules, setting.policy)
    if report.error is not None:
        code, message = report.error
        raise ModelError(f"{model}: {code}: {message}; nothing was written")
    refuse_unknown(bindings, [report])
    if setting.config is None or setting.config.baseline is None:
        return report
    from ..engine.baseline import read_baselines, settle

    [settled] = settle([report], read_baselines([setting], None)).reports
    return settled


def _removal(result: "Annotated") -> str:
    if not result.cleared:
        return "a copy, as there was no note to take out"
    return f"notes taken out of {counted(result.cleared, 'node')}"


def _sentence(result: "Annotated", report: "FileReport") -> str:
    refused = set(result.refused)
    noted = sum(finding.node not in refused for finding in report.findings)
    told = "no finding to note"
    if report.findings:
        told = f"{counted(noted, 'finding')} noted at {counted(len(result.written), 'node')}"
    if report.ignored:
        told += f", {len(report.ignored)} ignored"
    earlier = f"; earlier notes are gone from {counted(result.cleared, 'node')}"
    return told + (earlier if result.cleared else "")


def _refusal(node: "NodeRef") -> str:
    from ..report.terminal import printable

    return (
        f"{node.op_type} {printable(node.name)!r} takes no note: its documentation is not UTF-8, "
        "and before IR version 10 nodes have no metadata"
    )
