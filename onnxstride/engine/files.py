"""From the paths a user gives to the models they mean."""

import os
from collections.abc import Iterable, Iterator
from glob import glob, has_magic

from ..errors import UsageError

STDIN = "-"
SUFFIXES = (".onnx", ".onnxtxt")


def expand(paths: Iterable[str]) -> tuple[str, ...]:
    """Model paths in the order given, each file once.

    A folder stands for the models in it and below, sorted; hidden files and folders are passed
    over. A pattern that no file is named after stands for what it matches. Any other path stands
    for itself, whatever its suffix and even if it does not exist: reading it will tell.

    Raises:
        UsageError: a folder without a model, or a pattern without a match.
    """
    models: dict[str, str] = {}
    for path in paths:
        for model in _meant_by(path):
            models.setdefault(model if model == STDIN else os.path.realpath(model), model)
    return tuple(models.values())


def _meant_by(path: str) -> Iterator[str]:
    if os.path.isdir(path):
        yield from _in_folder(path)
    elif path != STDIN and has_magic(path) and not os.path.lexists(path):
        yield from _matching(path)
    else:
        yield path


def _matching(pattern: str) -> Iterator[str]:
    matches = sorted(glob(pattern, recursive=True))
    if not matches:
        raise UsageError(f"no model found: nothing matches {pattern!r}")
    for match in matches:
        yield from _in_folder(match) if os.path.isdir(match) else [match]


def _in_folder(folder: str) -> list[str]:
    models = sorted(_walk(folder))
    if not models:
        raise UsageError(
            f"no model found in {folder!r}: expected files named *{' or *'.join(SUFFIXES)}"
        )
    return models


def _walk(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield os.path.join(place, name)
