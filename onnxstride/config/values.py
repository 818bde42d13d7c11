"""What a configuration says; read and checked, but for the codes of rules, which need the rules.

These are named tuples for the reason that ``engine/results.py`` gives.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

from .globs import matches

Key: TypeAlias = tuple[str | int, ...]
"""A way into a document: keys of tables and, from 0, numbers of items."""


class Sizes(NamedTuple):
    """Sizes of inputs and symbols for the files that a glob fits; the ``place``-th such entry."""

    files: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    dims: Mapping[str, int]
    place: int

    def keys(self) -> dict[str, Key]:
        """Where each name that is given a size stands in the document."""
        given = (("shapes", self.shapes), ("dims", self.dims))
        return {name: ("inputs", self.place, kind, name) for kind, names in given for name in names}


class Passing(NamedTuple):
    """Findings to let pass.

    Attributes:
        files: globs over files.
        nodes: globs over nodes as reports spell them; none for all nodes.
        code: selector of rules.
        reason: why; may be empty.
        key: where it stands in the document.
    """

    files: tuple[str, ...]
    nodes: tuple[str, ...]
    code: str
    reason: str
    key: Key


class Config(NamedTuple):
    """A configuration file. None, or nothing in it, is what the file does not say.

    Attributes:
        path: of the file, as messages show it.
        folder: where it lies, absolute; globs and paths are meant from there.
        select, ignore, extend_select: selectors of rules.
        fail_on: ``error``, ``warning``, ``note`` or ``never``.
        baseline: path of a baseline, absolute.
        severity: levels by rule.
        ripple_db, probe, min_snr: thresholds (see ``graph.thresholds``); the last in dB.
        inputs: sizes, by file.
        passing: findings to let pass, by file and node.
        rewrite: options of rewriting by their keys.
        place_of: the file and the line on which a key of the document stands.
    """

    path: str
    folder: str
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] | None = None
    fail_on: str | None = None
    baseline: str | None = None
    severity: Mapping[str, str] = {}
    ripple_db: float | None = None
    probe: float | None = None
    min_snr: float | None = None
    inputs: tuple[Sizes, ...] = ()
    passing: tuple[Passing, ...] = ()
    rewrite: Mapping[str, Any] = {}
    place_of: "Callable[[Key], str]" = str

    def where(self, *key: str | int) -> str:
        """``onnxstride.toml:12``, for the key or the item of a list that is named."""
        return self.place_of(key)

    def from_here(self, path: str) -> str:
        """The path from the folder on, with ``/`` on every system."""
        full = os.path.abspath(path)
        with suppress(ValueError):  # on another drive
            full = os.path.relpath(full, self.folder)
        return full.replace(os.sep, "/")


def meant(path: str, globs: tuple[str, ...]) -> bool:
    """True where one of the globs means the path, which is given from the folder on."""
    return any(matches(path, glob) for glob in globs)
