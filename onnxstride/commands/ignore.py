"""The ignore command: writes into a model which findings about it are to be ignored."""

from typing import TYPE_CHECKING

import click

from ..errors import ModelError, UsageError
from ..wording import counted
from .completing import a_file, selectors
from .editing import output_option, target_of, tell_of, write_edited
from .options import (
    config_option,
    dim_option,
    external_option,
    in_place_option,
    isolated_option,
    rules_option,
    shape_option,
)
from .wishes import Found, Lint, named, path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.model_ignores import Edited, Entry
    from ..modelfile import ModelFile


@click.command()
@click.argument("model", shell_complete=a_file)
@click.option(
    "--code",
    "codes",
    metavar="CODE",
    multiple=True,
    shell_complete=selectors,
    help="The rule: its code or name, the beginning of codes, or ALL. Repeatable.",
)
@click.option(
    "--node",
    "nodes",
    metavar="NODE",
    multiple=True,
    help="The node, as reports spell it. Repeatable.  [default: every node]",
)
@click.option("--reason", help="Why it is to be ignored.")
@output_option
@in_place_option
@click.option("--remove", is_flag=True, help="Take these wishes out instead, or all of them.")
@click.option("--list", "lists", is_flag=True, help="Show what is ignored, and write nothing.")
@external_option
@shape_option
@dim_option
@rules_option
@config_option
@isolated_option
def ignore(
    model: str,
    codes: tuple[str, ...],
    nodes: tuple[str, ...],
    reason: str | None,
    output: str | None,
    in_place: bool,
    remove: bool,
    lists: bool,
    external_data: str,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
    folders: tuple[str, ...],
    config: str | None,
    isolated: bool,
) -> int:
    """Write into MODEL that findings of these rules at these nodes are to be ignored.

    The wish is an entry of the model's metadata, onnxstride.ignore, which most tools keep when
    they rewrite a model; it holds as long as the node keeps its name. lint, report and annotate
    heed it, and tell when it matches nothing. Nothing else of the model changes, and --remove
    gives it back as it was.

    Exit code: 0 done, 2 it could not be done.
    """
    from ..modelfile import open_model

    lint = Lint(input_shapes, dims, folders, config, isolated)
    _refuse(codes, nodes, reason, lint, remove=remove, lists=lists)
    if lists and (output is not None or in_place):
        raise UsageError("--list writes nothing; leave out -o and --in-place")
    target = None if lists else target_of(model, output, in_place=in_place)
    try:
        with open_model(model) as opened:
            if target is None:
                return _list(opened, model)
            if remove:
                edited, told = _removed(opened, codes, nodes)
            else:
                edited, told = _added(opened, model, codes, nodes, reason or "", lint)
            # A file that would stay as it is is left alone.
            if not in_place or edited.entries or edited.unread:
                write_edited(edited.model, target, external_data)
    except ModelError as error:
        raise type(error)(f"{model}: {error}") from error
    tell_of(str(target), told)
    return 0


def _refuse(
    codes: "Sequence[str]",
    nodes: "Sequence[str]",
    reason: str | None,
    lint: Lint,
    *,
    remove: bool,
    lists: bool,
) -> None:
    """Raise UsageError for options that have no meaning together."""
    if remove and lists:
        raise UsageError("--remove changes what --list shows; give one")
    if not (remove or lists):
        if not codes:
            raise UsageError("expected --code CODE, the rule to ignore, such as --code UP101")
        return
    option = "--remove" if remove else "--list"
    wanted: dict[str, object] = {
        "--reason": reason, "--input-shape": lint.input_shapes, "--dim": lint.dims,
        "--rules": lint.folders, "--config": lint.config, "--isolated": lint.isolated,
        **({"--code": codes, "--node": nodes} if lists else {}),
    }  # fmt: skip
    for other, value in wanted.items():
        if value:
            raise UsageError(f"{option} has no use for {other}; leave it out")


def _added(
    opened: "ModelFile",
    name: str,
    codes: "Sequence[str]",
    nodes: "Sequence[str]",
    reason: str,
    lint: Lint,
) -> "tuple[Edited, list[str]]":
    """The model that ignores what is asked for, and what is to be said of that.

    Raises:
        UsageError: there is no such rule, or no such node.
    """
    from ..engine.model_ignores import Entry, with_entries
    from ..graph import read_graph
    from ..registry import load_rules
    from ..selection import refuse_unknown_selector, selects

    rules = load_rules(lint.folders)
    given = [code.strip() for text in codes for code in text.split(",")]
    for code in given:
        refuse_unknown_selector(code, rules)
    paths = [node.ref.path for node in read_graph(opened).nodes()]
    places: list[str | None] = [path_of(node, paths) for node in nodes]
    wanted = dict.fromkeys(
        Entry(code, place, reason) for place in places or [None] for code in given
    )
    edited = with_entries(opened, wanted)
    meant = [each for each in rules if any(selects(code, each) for code in given)]
    found = Found.of(name, rules, meant, lint)
    return edited, [found.sentence(entry, is_new=entry in edited.entries) for entry in wanted]


def _removed(
    opened: "ModelFile", codes: "Sequence[str]", nodes: "Sequence[str]"
) -> "tuple[Edited, list[str]]":
    """The model without the wishes that are meant, and what is to be said of that.

    Raises:
        UsageError: some were named, and there is none such.
    """
    from ..engine.model_ignores import without_entries
    from ..report.terminal import printable

    given = {code.strip() for text in codes for code in text.split(",")}

    def is_meant(entry: "Entry") -> bool:
        spellings = () if entry.node is None else (entry.node, printable(entry.node))
        is_there = not nodes or any(spelling in nodes for spelling in spellings)
        return is_there and (not given or entry.code in given)

    is_all = not (given or nodes)
    edited = without_entries(opened, is_meant, with_unread=is_all)
    if not (is_all or edited.entries):
        raise UsageError(
            "the model holds no such wish; onnxstride ignore --list shows those it holds"
        )
    told = [f"{named(entry)} is taken out" for entry in edited.entries]
    if edited.unread:
        told.append(f"taken out: {counted(edited.unread, 'value')} that cannot be read")
    return edited, told or ["nothing is ignored, so there is nothing to take out"]


def _list(opened: "ModelFile", name: str) -> int:
    from ..engine.model_ignores import held_by
    from ..graph import read_graph

    held = held_by(opened, read_graph(opened))
    tell_of(name, list(map(_line, held.entries)) or ["nothing is ignored"] * (not held.faults))
    if held.faults:
        raise held.faults[0]
    return 0


def _line(entry: "Entry") -> str:
    from ..report.terminal import printable

    place = " (in the metadata of the node)" if entry.is_at_node else ""
    reason = f": {printable(entry.reason)}" if entry.reason else ""
    return f"{named(entry)}{place}{reason}"
