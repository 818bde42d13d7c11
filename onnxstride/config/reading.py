"""From the bytes of a configuration file to what it says."""

import os
import re
import tomllib
from functools import cache
from typing import Any

from ..errors import UsageError
from .keys import DOCUMENT
from .kinds import Misfit
from .positions import Positions
from .values import Config, Key, Passing, Sizes

SHARED = "pyproject.toml"
_ALL = ("**",)
_TABLE = ("tool", "onnxstride")
_PLACED = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


def read(path: str, content: bytes) -> Config | None:
    """The configuration; None for a ``pyproject.toml`` without the table.

    Raises:
        UsageError: it is no TOML, or says something that it cannot say; with the line.
    """
    shown = _shown(path)
    text = _decoded(shown, content)
    document: Any = _parsed(shown, text)
    base: Key = ()
    if os.path.basename(path) == SHARED:
        tools = document.get("tool")
        if not isinstance(tools, dict) or _TABLE[1] not in tools:
            return None
        base, document = _TABLE, tools[_TABLE[1]]
    positions = Positions(text, base)
    try:
        said = DOCUMENT(document, ())
        _refuse_contradictions(said)
    except Misfit as error:
        raise UsageError(f"{_placed(shown, positions.line_of(error.key))}: {error}") from error
    folder = os.path.dirname(os.path.abspath(path))
    return _config(shown, folder, said, positions)


def _config(shown: str, folder: str, said: dict[str, Any], positions: Positions) -> Config:
    thresholds = said.get("thresholds", {})
    baseline = said.get("baseline")
    return Config(
        shown,
        folder,
        select=said.get("select"),
        ignore=said.get("ignore"),
        extend_select=said.get("extend-select"),
        fail_on=said.get("fail-on"),
        baseline=None if baseline is None else os.path.normpath(os.path.join(folder, baseline)),
        severity=said.get("severity", {}),
        ripple_db=thresholds.get("ripple-db"),
        probe=thresholds.get("probe"),
        min_snr=thresholds.get("min-snr"),
        inputs=tuple(
            Sizes(each.get("files", _ALL), each.get("shapes", {}), each.get("dims", {}), index)
            for index, each in enumerate(said.get("inputs", ()))
        ),
        passing=(*_by_file(said), *_by_node(said)),
        rewrite=said.get("rewrite", {}),
        place_of=cache(lambda key: _placed(shown, positions.line_of(key))),
    )


def _by_file(said: dict[str, Any]) -> list[Passing]:
    return [
        Passing((glob,), (), code, "", ("per-file-ignores", glob, index))
        for glob, codes in said.get("per-file-ignores", {}).items()
        for index, code in enumerate(codes)
    ]


def _by_node(said: dict[str, Any]) -> list[Passing]:
    return [
        Passing(
            each.get("files", _ALL),
            each["nodes"],
            code,
            each.get("reason", ""),
            ("per-node-ignores", index, "codes", number),
        )
        for index, each in enumerate(said.get("per-node-ignores", ()))
        for number, code in enumerate(each["codes"])
    ]


def _refuse_contradictions(said: dict[str, Any]) -> None:
    rewrite = said.get("rewrite", {})
    others = [name for name in ("select", "ignore") if name in rewrite]
    if "use" in rewrite and others:
        raise Misfit(
            ("rewrite", others[0]),
            f"rewrite.use names rewrites, rewrite.{others[0]} findings; give one kind",
        )


def _shown(path: str) -> str:
    """From the current folder where the file lies below it, else the whole path."""
    full = os.path.abspath(path)
    here = os.path.join(os.getcwd(), "")
    return full.removeprefix(here)


def _placed(shown: str, line: int | None) -> str:
    return shown if line is None else f"{shown}:{line}"


def _decoded(shown: str, content: bytes) -> str:
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise UsageError(f"{shown}:{line}:{column}: expected UTF-8, found another byte") from error


def _parsed(shown: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UsageError(f"{shown}: its values are nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError, and integers of thousands of digits
        found = _PLACED.fullmatch(str(error))
        if found is None:
            raise UsageError(f"{shown}: {error}") from error
        lines = text.replace("\r\n", "\n").split("\n")
        line, column = found[2] or len(lines), found[3] or len(lines[-1]) + 1
        raise UsageError(f"{shown}:{line}:{column}: {found[1]}") from error
