"""Which configuration holds for a file: the closest one, in its folder or above.

In one folder ``onnxstride.toml`` comes before ``pyproject.toml``, and a ``pyproject.toml`` without
the table is passed over. Where there is none, a file costs a look into each folder above it, once
for all files there.
"""

import os
import re

from ..errors import UsageError
from .values import Config

OWN, SHARED = "onnxstride.toml", "pyproject.toml"
# What the table may begin with: [tool.onnxstride.x], or onnxstride below [tool] or tool = {.
_TABLE = re.compile(
    rb"""^(?:\xef\xbb\xbf)? [ \t]* (\[\[?[ \t]*)? (["']?)tool\2 [ \t]*
    (?(1) (?: \] | \.[ \t]*["']?onnxstride\b ) | [.=] )""",
    re.MULTILINE | re.VERBOSE,
)
_MOST_BYTES = 1 << 20


class Configs:
    """Finds the configuration of each file.

    Args:
        path: the file to use for all, in place of searching.
        isolated: True for none at all.

    Raises:
        UsageError: the file to use cannot be read, or there is to be none.
    """

    def __init__(self, path: str | None = None, *, isolated: bool = False) -> None:
        if path is not None and isolated:
            raise UsageError("--isolated uses no configuration, and --config names one; give one")
        self._found: dict[str, Config | None] = {}
        self._fixed = _named(path) if path is not None else None
        self._searches = path is None and not isolated

    def of(self, path: str | None) -> Config | None:
        """The configuration of the file at ``path``; of what has no path, that of the folder.

        Raises:
            UsageError: it cannot be read, or says something that it cannot say.
        """
        if not self._searches:
            return self._fixed
        return self._above(os.getcwd() if path is None else os.path.dirname(os.path.abspath(path)))

    def _above(self, folder: str) -> Config | None:
        passed: list[str] = []
        while folder not in self._found:
            passed.append(folder)
            found = _in_folder(folder)
            parent = os.path.dirname(folder)
            if found is not None or parent == folder:
                self._found[folder] = found
                break
            folder = parent
        found = self._found[folder]
        self._found.update(dict.fromkeys(passed, found))
        return found


def _in_folder(folder: str) -> Config | None:
    own = os.path.join(folder, OWN)
    if os.path.isfile(own):
        return _read(own, _bytes(own))
    shared = os.path.join(folder, SHARED)
    if not os.path.isfile(shared):
        return None
    content = _bytes(shared)
    # Nearly every project has this file, few speak of this tool in it, and some bear its name.
    return _read(shared, content) if _TABLE.search(content) else None


def _named(path: str) -> Config:
    config = _read(path, _bytes(path))
    if config is None:
        raise UsageError(f"--config {path!r} has no table [tool.onnxstride]")
    return config


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: the configuration cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise UsageError(f"{path}: expected a configuration of at most 1 MiB, found a larger file")
    return content


def _read(path: str, content: bytes) -> Config | None:
    """None for a ``pyproject.toml`` without the table."""
    from .reading import read  # with the parser of TOML, which a lint without one does not pay for

    return read(path, content)
