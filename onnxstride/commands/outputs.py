"""Where the report of a lint goes, and in which formats: one to be read, others beside it."""

import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from ..errors import ModelError, UsageError
from ..output import refuse_overwriting, write
from ..report.formats import FORMATS, SHOWS_SPOTS, Request
from ..screen import in_color

if TYPE_CHECKING:
    from ..engine.results import FileReport
    from ..registry import LoadedRule
    from ..report.cards import RuleCard


class Output(NamedTuple):
    """A format, and the file it goes to; None is standard output."""

    format: str
    path: str | None


def _parsed(
    ctx: click.Context, parameter: click.Parameter, texts: Sequence[str]
) -> tuple[Output, ...]:
    return tuple(map(_output, texts))


def _output(text: str) -> Output:
    """The format and the file of FORMAT=PATH."""
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise UsageError(f"expected --also FORMAT=PATH, such as sarif=lint.sarif, found {text!r}")
    if name not in FORMATS:
        from ..nearest import did_you_mean

        hint = did_you_mean(name, FORMATS) or f"; expected {', '.join(FORMATS)}"
        raise UsageError(f"--also {text!r}: no format is called {name!r}{hint}")
    if path == "-":
        raise UsageError(
            f"--also {text!r} names no file; --output-format is what standard output gets"
        )
    return Output(name, path)


also_option = click.option(
    "--also",
    metavar="FORMAT=PATH",
    multiple=True,
    callback=_parsed,
    help="Write the report to this file too, in this format. Repeatable.",
)


def refuse_clashes(outputs: Sequence[Output], models: Sequence[str]) -> None:
    """Raise UsageError where two reports share a file, or one would replace a model.

    The first of the outputs is that of ``--output-file``.
    """
    taken: dict[str, str] = {}
    for position, output in enumerate(outputs):
        if output.path is None:
            continue
        option = "--also" if position else "--output-file"
        refuse_overwriting(option, output.path, *models)
        target = os.path.normcase(os.path.realpath(output.path))
        if target in taken:
            raise UsageError(
                f"{option} {output.path!r} is the file that {taken[target]} names already; "
                "name another one"
            )
        taken[target] = option


def refuse_unheard(outputs: Sequence[Output], *, why: bool, quiet: bool, statistics: bool) -> None:
    """Raise UsageError for an option that no format asked for has a place for."""
    listing = () if statistics else ("text",)  # statistics list nothing
    heard = {
        "--statistics": (statistics, ("text",)),
        "--quiet": (quiet, listing),
        "--why": (why, (*listing, "json")),
    }
    for option, (is_given, formats) in heard.items():
        if is_given and not any(output.format in formats for output in outputs):
            less = "; --statistics lists nothing" if statistics else ""
            named = " and ".join(formats or ("text",))
            raise UsageError(f"{option} is for {named}, and no report is{less}; leave it out")


def deliver(
    outputs: Iterable[Output], reports: Sequence["FileReport"], request: Request, *, color: str
) -> None:
    """Render and write each output; colour is for terminals, or for all with ``always``."""
    for output in outputs:
        suited = request._replace(color=in_color(color, output.path))
        write(FORMATS[output.format](reports, suited), output.path)


def shows_spots(outputs: Sequence[Output]) -> bool:
    """True where one of the formats says where Model Explorer shows what is found."""
    return any(output.format in SHOWS_SPOTS for output in outputs)


def repository() -> str:
    """The folder that CI servers name files from: the checkout this one lies in, or this one."""
    here = folder = os.getcwd()
    while not os.path.exists(os.path.join(folder, ".git")):
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            return here
    return folder


def cards(rules: Iterable["LoadedRule"]) -> list["RuleCard"]:
    """What there is to say of each rule, and of each error a model may have."""
    from ..explain import explain
    from ..report.cards import RuleCard

    of_rules = [
        RuleCard(
            loaded.code,
            loaded.name,
            loaded.rule.severity.value,
            loaded.summary,
            loaded.documentation,
            explain(loaded, "markdown", width=80),
        )
        for loaded in rules
    ]
    kinds: list[type[ModelError]] = [ModelError, *ModelError.__subclasses__()]
    return of_rules + [_of_error(kind) for kind in kinds]


def _of_error(kind: type[ModelError]) -> "RuleCard":
    from ..report.cards import RuleCard

    name = re.sub(r"\B[A-Z]", r"-\g<0>", kind.__name__).lower()
    told = (kind.__doc__ or "").partition(".")[0] + "."
    return RuleCard(kind.code, name, "error", told, told, told)
