"""Hands a finished report to standard output or to a file, whole or not at all."""

import os
import stat
import sys
from io import TextIOWrapper
from pathlib import Path

from .errors import UsageError

_OF_THE_SYSTEM = ("/dev/", "/proc/")


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

    A device or a pipe, by whatever name, is written into. Any other symbolic link is refused.

    Raises:
        UsageError: the file cannot be written.
        WriteError: it is a link, or its folder is missing.
    """
    from .modelfile.staging import Staging, final_place

    content = text.encode("utf-8", "backslashreplace")
    try:
        if _is_written_into(path):
            with open(path, "ab") as file:
                file.write(content)
            return
        final, permissions = final_place(Path(path))
        with Staging() as staging:
            with staging.file(final, permissions) as sink:
                sink.put(content)
            staging.publish()
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else None
        raise UsageError(f"cannot write {path!r}: {said or error}") from error


def _is_written_into(path: str) -> bool:
    """True for what is there and cannot be replaced, such as /dev/stdout, whatever it leads to."""
    try:
        kind = os.stat(path).st_mode
    except OSError:
        return False
    is_the_systems = os.path.islink(path) and os.path.abspath(path).startswith(_OF_THE_SYSTEM)
    return is_the_systems or not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


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
