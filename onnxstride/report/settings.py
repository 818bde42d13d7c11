"""What is in force for files, as text and as the document of ``schemas/config.schema.json``."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ..engine.in_force import DEFAULT, Entry, InForce
from .json import document
from .terminal import printable, styled, wrapped


def render_settings(found: Sequence[InForce], *, width: int, color: bool) -> str:
    """A table for each group of files for which the same holds, with what is set in bold."""
    groups = [list(group) for _, group in groupby(found, key=lambda each: each[1:])]
    return "\n".join("\n".join(_group(group, width, color)) + "\n" for group in groups)


def _group(group: Sequence[InForce], width: int, color: bool) -> Iterator[str]:
    first = group[0]
    for each in group:
        yield styled(printable(each.name), "strong", color=color)
    yield f"  configuration: {printable(first.config or 'none')}"
    yield from wrapped(f"rules: {', '.join(first.rules)}", indent="  ", width=width)
    rows = [(entry.key, _spelled(entry), entry) for entry in first.entries]
    keys, values = (min(40, max(len(row[i]) for row in rows)) for i in (0, 1))
    for key, value, entry in rows:
        cells = f"{printable(key):<{keys}}  {printable(value):<{values}}"
        line = f"  {cells}  {printable(entry.origin)}"
        yield line if entry.origin == DEFAULT else styled(line, "strong", color=color)
    for ignore in first.ignores:
        reason = f": {ignore.reason}" if ignore.reason else ""
        told = f"ignores {', '.join(ignore.codes)} at {ignore.nodes}{reason}  ({ignore.where})"
        yield f"  {printable(told)}"


def _spelled(entry: Entry) -> str:
    return "-" if entry.value in (None, ()) else json.dumps(entry.value, ensure_ascii=False)


def settings_as_json(found: Sequence[InForce]) -> str:
    """The same for programs, a file after the other."""
    return document(files=[_file(each) for each in found])


def _file(each: InForce) -> dict[str, Any]:
    return {
        "path": each.name,
        "config": each.config,
        "rules": list(each.rules),
        "settings": {
            entry.key: {"value": entry.value, "from": entry.origin} for entry in each.entries
        },
        "ignores": [
            {
                "codes": list(ignore.codes),
                "nodes": ignore.nodes,
                "reason": ignore.reason,
                "from": ignore.where,
            }
            for ignore in each.ignores
        ],
    }
