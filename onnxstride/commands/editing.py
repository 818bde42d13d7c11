"""Where commands write a model that they have put notes or wishes into."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ..errors import UsageError
from ..output import write_stdout
from .completing import a_file

if TYPE_CHECKING:
    from ..modelfile import ModelFile

output_option = click.option(
    "-o", "--output", metavar="OUT", shell_complete=a_file, help="Where to write the edited model."
)


def target_of(model: str, output: str | None, *, in_place: bool) -> Path:
    """The file to write.

    Raises:
        UsageError: there is none, or two; or it is the model itself, or named like ONNX text.
    """
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


def write_edited(model: "ModelFile", target: Path, external_data: str) -> None:
    """Write the model, with its external data where ``--external-data`` wants it."""
    from ..modelfile.writer import write_model

    external: Literal["copy", "reference"] = "copy" if external_data == "copy" else "reference"
    write_model(model, target, external=external)


def tell_of(name: str, sentences: Sequence[str]) -> None:
    """Say what was done, a line each."""
    from ..report.terminal import printable

    write_stdout("".join(f"{printable(name)}: {sentence}\n" for sentence in sentences))
