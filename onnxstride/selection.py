"""Which rules run: ``--select``, ``--extend-select`` and ``--ignore``.

A selector is a rule's code (``UP101``) or name (``uneven-overlap``), the beginning of codes
(``UP``, ``UP1``), or ``ALL``. A rule runs when the most specific selector that selects it is more
specific than every one that ignores it; ``ALL`` is the least specific, a full code or name the
most, and in between the longer beginning wins.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from .errors import UsageError
from .nearest import did_you_mean
from .registry import LoadedRule

ALL = "ALL"


class Coded(Protocol):
    """What has a rule's code and name: a rule, or a finding of it."""

    @property
    def code(self) -> str: ...

    @property
    def name(self) -> str: ...


_NO_MATCH = -1
_FULL = 1_000  # longer than any code


def select_rules(
    rules: Sequence[LoadedRule],
    *,
    select: Iterable[str] = (),
    extend_select: Iterable[str] = (),
    ignore: Iterable[str] = (),
) -> tuple[LoadedRule, ...]:
    """The rules that are selected and not ignored, in the order given.

    Args:
        rules: what there is to choose from.
        select: selectors, several to a string if joined by commas; none means ``ALL``.
        extend_select: selectors added to those.
        ignore: selectors of rules to leave out.

    Raises:
        UsageError: a selector that fits no rule, or nothing left to run.
    """
    chosen = [*(_split(select, rules) or [ALL]), *_split(extend_select, rules)]
    ignored = _split(ignore, rules)
    kept = tuple(
        loaded for loaded in rules if _specificity(loaded, chosen) > _specificity(loaded, ignored)
    )
    if not kept:
        raise UsageError("no rule is left to run: everything selected is also ignored")
    return kept


def selects(selector: str, rule: Coded) -> bool:
    """True where the selector fits the rule, or the rule of the finding."""
    return _match(selector, rule) != _NO_MATCH


def refuse_unknown_selector(selector: str, rules: Sequence[LoadedRule]) -> None:
    """Raise UsageError for a selector that fits no rule; the message suggests the nearest."""
    if any(selects(selector, loaded) for loaded in rules):
        return
    known = [word for loaded in rules for word in (loaded.code, loaded.name)]
    raise UsageError(
        f"selector {selector!r} fits no rule: expected a code, a name, the beginning of "
        f"a code, or {ALL}{did_you_mean(selector, known)}"
    )


def _split(given: Iterable[str], rules: Sequence[LoadedRule]) -> list[str]:
    selectors = [part.strip() for text in given for part in text.split(",")]
    for selector in selectors:
        refuse_unknown_selector(selector, rules)
    return selectors


def _specificity(loaded: LoadedRule, selectors: Iterable[str]) -> int:
    return max((_match(selector, loaded) for selector in selectors), default=_NO_MATCH)


def _match(selector: str, loaded: Coded) -> int:
    """How specific a selector is about a rule; -1 when it does not fit."""
    if selector == ALL:
        return 0
    if selector in (loaded.code, loaded.name):
        return _FULL
    if selector and loaded.code.startswith(selector):
        return len(selector)
    return _NO_MATCH
