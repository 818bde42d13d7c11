"""The keys of a configuration, and what their values may be."""

from collections.abc import Mapping
from typing import Any

from ..rewrite import CHOICES, RANGES
from ..rule import Safety, Severity
from .kinds import (
    Kind,
    any_text,
    by_file,
    file_globs,
    globs,
    integer,
    mapping,
    number,
    one_of,
    sizes,
    some_texts,
    table,
    tables,
    text,
    texts,
    truth,
)

_LEVELS = tuple(level.value for level in Severity)

THRESHOLDS: Mapping[str, Kind[Any]] = {
    "ripple-db": number(),
    "probe": number(0, 1),
    "min-snr": number(),
}
INPUTS: Mapping[str, Kind[Any]] = {
    "files": file_globs,
    "shapes": mapping(sizes),
    "dims": mapping(integer(1)),
}
PER_NODE: Mapping[str, Kind[Any]] = {
    "files": file_globs,
    "nodes": globs,
    "codes": some_texts,
    "reason": any_text,
}
REWRITE: Mapping[str, Kind[Any]] = {
    "allow": one_of(*(level.value for level in Safety)),
    "use": some_texts,
    "select": some_texts,
    "ignore": texts,
    "nodes": text,
    **{name: one_of(*filter(None, choices)) for name, choices in CHOICES.items()},
    "activation": truth,
    **{name: integer(*limits) for name, limits in RANGES.items()},
    "rtol": number(0),
    "atol": number(0),
    "timeout": number(0),
    "external-data": one_of("reference", "copy"),
}
TOP: Mapping[str, Kind[Any]] = {
    "select": some_texts,
    "ignore": texts,
    "extend-select": texts,
    "fail-on": one_of(*_LEVELS, "never"),
    "baseline": text,
    "severity": mapping(one_of(*_LEVELS)),
    "thresholds": table(THRESHOLDS),
    "inputs": tables(table(INPUTS)),
    "per-file-ignores": by_file(texts),
    "per-node-ignores": tables(table(PER_NODE, ["nodes", "codes"])),
    "rewrite": table(REWRITE),
}
DOCUMENT: Kind[dict[str, Any]] = table(TOP)


def known() -> frozenset[str]:
    """Every key, those in tables after the table's name: ``thresholds.ripple-db``."""
    below = {"thresholds": THRESHOLDS, "inputs": INPUTS, "per-node-ignores": PER_NODE}
    below["rewrite"] = REWRITE
    inner = (f"{name}.{key}" for name, keys in below.items() for key in keys)
    return frozenset(TOP) - frozenset(below) | frozenset(inner)
