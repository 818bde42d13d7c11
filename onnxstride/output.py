"""Hands a finished report to standard output or to a file, whole or not at all."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path

from .errors import UsageError


def write_stdout(text: str) -> None:
    """Print the text as it is; a reader that has gone away is no error.

    Characters the encoding of the stream lacks are printed as escapes.

    Raises:
        UsageError: the text cannot be written, to a full disk for one.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more on its way out, which would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise UsageError(f"cannot write to standard output: {error.strerror or error}") from error


def write_file(text: str, path: str) -> None:
    """Write the text to a file in one step: readers see the old content or all of the new.

    Raises:
        UsageError: the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    content = text.encode("utf-8", "backslashreplace")
    try:
        if target.exists() and not target.is_file():  # a device or a pipe cannot be replaced
            target.write_bytes(content)
        else:
            _replace(target, content)
    except OSError as error:
        raise UsageError(f"cannot write {path!r}: {error.strerror or error}") from error


def _replace(target: Path, content: bytes) -> None:
    draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write(text: str, path: str | None) -> None:
    """Write to a file, or to standard output where none is named."""
    if path is None:
        write_stdout(text)
    else:
        write_file(text, path)


def refuse_overwriting(option: str, path: str | None, *models: str) -> None:
    """Raise UsageError where a report would take the place of a model."""
    if path is None:
        return
    target = os.path.realpath(path)
    if any(os.path.realpath(model) == target for model in models):
        raise UsageError(f"{option} {path!r} is one of the models; name another file")
