"""What a configuration asks for, as the engine takes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..config import Config, Key, meant
from ..errors import UsageError
from ..graph import Bindings, Thresholds
from ..registry import LoadedRewrite, LoadedRule, find_rewrite, find_rule
from ..rule import Severity
from ..selection import refuse_unknown_selector, select_rules
from .results import EVERY_NODE, Ignore


class Chosen(NamedTuple):
    """What a configuration says that is the same for all files.

    Attributes:
        rules: those that run.
        severities: levels by code.
        thresholds: from where on a pattern counts as visible.
    """

    rules: tuple[LoadedRule, ...]
    severities: Mapping[str, Severity]
    thresholds: Thresholds


def chosen(
    rules: Sequence[LoadedRule],
    config: Config | None,
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    extend_select: Sequence[str] = (),
) -> Chosen:
    """What the configuration says; selectors that are given take the place of its own.

    Args:
        rules: all there are.
        config: the configuration; None for none.
        select: selectors of rules; with these its ``extend-select`` does not count either.
        ignore: selectors of rules to leave out.
        extend_select: selectors that are added, whatever it says.

    Raises:
        UsageError: a rule that is named and does not exist, or none left to run.
    """
    if config is None:
        found = select_rules(rules, select=select, extend_select=extend_select, ignore=ignore)
        return Chosen(found, {}, Thresholds())
    refuse_unknown_rules(config, rules)
    extended = extend_select if select else [*(config.extend_select or ()), *extend_select]
    try:
        found = select_rules(
            rules,
            select=select or config.select or (),
            extend_select=extended,
            ignore=ignore or config.ignore or (),
        )
    except UsageError as error:
        if config.select is None and config.ignore is None:
            raise
        raise UsageError(f"{error} (with {config.path})") from error
    return Chosen(found, _severities(config, rules), thresholds(config))


def refuse_unknown_rules(config: Config, rules: Sequence[LoadedRule]) -> None:
    """Raise UsageError, with the line, for a rule that is named and does not exist."""
    lists: dict[Key, Sequence[str] | None] = {
        ("select",): config.select,
        ("ignore",): config.ignore,
        ("extend-select",): config.extend_select,
        ("rewrite", "select"): config.rewrite.get("select"),
        ("rewrite", "ignore"): config.rewrite.get("ignore"),
    }
    named: list[tuple[Key, str]] = [
        ((*key, index), selector)
        for key, selectors in lists.items()
        for index, selector in enumerate(selectors or ())
    ]
    named += [(each.key, each.code) for each in config.passing]
    for key, selector in named:
        try:
            refuse_unknown_selector(selector, rules)
        except UsageError as error:
            raise UsageError(f"{config.where(*key)}: {error}") from error


def refuse_unknown_rewrites(config: Config, rewrites: Sequence[LoadedRewrite]) -> None:
    """Raise UsageError, with the line, for a rewrite that is named and does not exist."""
    for index, name in enumerate(config.rewrite.get("use", ())):
        try:
            find_rewrite(rewrites, name)
        except UsageError as error:
            raise UsageError(f"{config.where('rewrite', 'use', index)}: {error}") from error


def thresholds(config: Config | None) -> Thresholds:
    """The thresholds in force."""
    default = Thresholds()
    if config is None:
        return default
    return Thresholds(
        default.ripple_db if config.ripple_db is None else config.ripple_db,
        default.probe if config.probe is None else config.probe,
    )


def ignores(config: Config | None, name: str) -> tuple[Ignore, ...]:
    """What the configuration lets pass in the file of this name."""
    if config is None:
        return ()
    path = config.from_here(name)
    return tuple(
        Ignore((each.code,), node, each.reason, "config", config.where(*each.key))
        for each in config.passing
        if meant(path, each.files)
        for node in each.nodes or (EVERY_NODE,)
    )


def bindings(config: Config | None, name: str, asked: Bindings) -> Bindings:
    """The sizes that are asked for, and of the configuration's those that they leave open."""
    if config is None:
        return asked
    shapes, dims, origins = dict(asked.shapes), dict(asked.dims), dict(asked.origins)
    given, path = asked.names(), config.from_here(name)
    for entry in config.inputs:
        if not meant(path, entry.files):
            continue
        shapes.update({each: size for each, size in entry.shapes.items() if each not in given})
        dims.update({each: size for each, size in entry.dims.items() if each not in given})
        origins.update(
            {each: config.where(*key) for each, key in entry.keys().items() if each not in given}
        )
    return Bindings(shapes, dims, origins)


def rewriting(config: Config | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of rewriting by their keys: those given, and those they leave to the configuration.

    One kind of wish takes the place of its like: rewrites of findings, and one measure of how close
    the result has to be of the others.
    """
    if config is None:
        return dict(given)
    said = {**config.rewrite}
    if config.min_snr is not None:
        said["min-snr"] = config.min_snr
    for key in given:
        for other in _INSTEAD.get(key, ()):
            said.pop(other, None)
    return {**said, **given}


_CLOSENESS = ("rtol", "atol", "min-snr")
_INSTEAD = {
    "use": ("select", "ignore"),
    "select": ("use",),
    "ignore": ("use",),
    **dict.fromkeys(_CLOSENESS, _CLOSENESS),
}


def _severities(config: Config, rules: Iterable[LoadedRule]) -> dict[str, Severity]:
    found: dict[str, Severity] = {}
    for name, level in config.severity.items():
        try:
            code = find_rule(tuple(rules), name).code
        except UsageError as error:
            raise UsageError(f"{config.where('severity', name)}: {error}") from error
        if code in found:
            raise UsageError(f"{config.where('severity', name)}: {code} is given two levels")
        found[code] = Severity(level)
    return found
