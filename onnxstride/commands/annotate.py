"""The annotate command: writes findings into a model, where viewers show them at their nodes."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ModelError, UsageError
from ..output import write_stdout
from .options import (
    dim_option,
    external_option,
    ignore_option,
    in_place_option,
    rules_option,
    select_option,
    shape_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..engine.annotating import Annotated
    from ..rule import Finding, NodeRef


@click.command()
@click.argument("model")
@click.option("-o", "--output", metavar="OUT", help="Where to write the annotated model.")
@in_place_option
@click.option("--remove", is_flag=True, help="Take earlier notes out instead.")
@select_option
@ignore_option
@external_option
@shape_option
@dim_option
@rules_option
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
) -> int:
    """Write what is wrong with MODEL into it, for viewers such as Netron.

    Each finding is added to its node: at the end of the documentation (doc_string), and from IR
    version 10 on as JSON in the metadata, under onnxstride.findings. Earlier notes are replaced,
    or with --remove taken out; nothing else of the model changes.

    Exit code: 0 written, 2 it could not be done.
    """
    from ..engine.annotating import annotate as annotated
    from ..modelfile import open_model
    from ..modelfile.writer import write_model
    from ..report.annotation import notes

    target = _target(model, output, in_place=in_place)
    given = {
        "--select": select, "--ignore": ignore, "--input-shape": input_shapes, "--dim": dims,
        "--rules": folders,
    }  # fmt: skip
    if remove:
        _refuse_with_remove(given)
    with open_model(model) as opened:
        findings = [] if remove else _findings(model, given)
        result = annotated(opened, notes(findings))
        write_model(
            result.model, target, external="copy" if external_data == "copy" else "reference"
        )
    sentence = _removal(result) if remove else _sentence(result, findings)
    write_stdout(_told(str(target), [sentence, *map(_refusal, result.refused)]))
    return 0


def _target(model: str, output: str | None, *, in_place: bool) -> Path:
    if (output is not None) == in_place:
        found = "both" if in_place else "neither"
        raise UsageError(f"expected one of -o OUT and --in-place, found {found}")
    target = Path(model if output is None else output)
    if output is not None and os.path.realpath(output) == os.path.realpath(model):
        raise UsageError(f"-o {output!r} is the model itself; say --in-place to write over it")
    if target.suffix == ".onnxtxt":
        raise UsageError(
            f"{str(target)!r} is a name for ONNX text, and the output is binary; name a file "
            "that ends in .onnx with -o"
        )
    return target


def _refuse_with_remove(given: "Mapping[str, Sequence[str]]") -> None:
    for option, values in given.items():
        if values:
            raise UsageError(f"--remove runs no rules, and {option} is about them; give one kind")


def _findings(model: str, given: "Mapping[str, Sequence[str]]") -> "Sequence[Finding]":
    """What the rules say of the model.

    Raises:
        ModelError: a part of it cannot be read, so that the notes would pass for all there is.
    """
    from ..engine.bindings import parse_bindings, refuse_unknown
    from ..engine.lint import lint_file
    from ..registry import load_rules
    from ..selection import select_rules

    rules = select_rules(
        load_rules(given["--rules"]), select=given["--select"], ignore=given["--ignore"]
    )
    bindings = parse_bindings(given["--input-shape"], given["--dim"])
    report = lint_file(model, rules, bindings)
    if report.error is not None:
        code, message = report.error
        raise ModelError(f"{model}: {code}: {message}; nothing was written")
    refuse_unknown(bindings, [report])
    return report.findings


def _told(target: str, sentences: "Sequence[str]") -> str:
    from ..report.terminal import printable

    return "".join(f"{printable(target)}: {sentence}\n" for sentence in sentences)


def _removal(result: "Annotated") -> str:
    if not result.cleared:
        return "a copy, as there was no note to take out"
    return f"notes taken out of {_counted(result.cleared, 'node')}"


def _sentence(result: "Annotated", findings: "Sequence[Finding]") -> str:
    refused = set(result.refused)
    noted = sum(finding.node not in refused for finding in findings)
    told = "no finding to note"
    if findings:
        told = f"{_counted(noted, 'finding')} noted at {_counted(len(result.written), 'node')}"
    earlier = f"; earlier notes are gone from {_counted(result.cleared, 'node')}"
    return told + (earlier if result.cleared else "")


def _refusal(node: "NodeRef") -> str:
    from ..report.terminal import printable

    return (
        f"{node.op_type} {printable(node.name)!r} takes no note: its documentation is not UTF-8, "
        "and before IR version 10 nodes have no metadata"
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
