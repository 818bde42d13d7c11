"""What holds for each file: what was asked for by options, over what its configuration says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from ..config import Config, Configs
from ..errors import UsageError
from ..graph import Bindings
from ..nearest import did_you_mean
from ..registry import LoadedRule
from ..rule import Severity
from .bindings import refuse_unknown
from .configured import Chosen, bindings, chosen, ignores
from .files import STDIN
from .measured import is_about_probes, judging_by_name
from .policy import Known, Policy
from .results import FileReport

NEVER = "never"
"""In place of a severity: no finding is too severe."""

LEVELS = (*(level.value for level in Severity), NEVER)


class Asked(NamedTuple):
    """What options say; None, or nothing in it, leaves it to the configuration.

    Attributes:
        select, ignore, extend_select: selectors of rules.
        bindings: sizes of inputs and symbols.
        fail_on: one of ``LEVELS``.
        heeds_ignores: False reports all findings, whatever asks to ignore them.
        finds_spots: see ``Policy``.
    """

    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    extend_select: Sequence[str] = ()
    bindings: Bindings = Bindings()
    fail_on: str | None = None
    heeds_ignores: bool = True
    finds_spots: bool = False


class Setting(NamedTuple):
    """How one file is linted: by which rules, how judged, and by what configuration.

    ``name`` is the path as the user spells it, ``-`` for standard input, or what messages call a
    model that has none.
    """

    name: str
    rules: tuple[LoadedRule, ...]
    policy: Policy
    config: Config | None

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the rules."""
        return tuple(loaded.code for loaded in self.rules)

    @property
    def judges_probes(self) -> bool:
        """True where one of the rules judges what a run of the model shows."""
        return any(map(is_about_probes, self.rules))


class Settings:
    """The setting of each file; what files with one configuration share is found out once."""

    def __init__(self, rules: Sequence[LoadedRule], asked: Asked, configs: Configs) -> None:
        self._rules = rules
        self._asked = asked
        self._configs = configs
        self._chosen: dict[str, Chosen] = {}

    def of(self, name: str, *, has_path: bool = True) -> Setting:
        """The setting of a file; of standard input, or without a path, that of the current folder.

        Raises:
            UsageError: a configuration or a selector that makes no sense.
        """
        asked = self._asked
        config = self._configs.of(name if has_path and name != STDIN else None)
        every = self._of_config(config)
        policy = Policy(
            bindings(config, name, asked.bindings),
            every.thresholds,
            every.severities,
            ignores(config, name) if asked.heeds_ignores else (),
            asked.heeds_ignores,
            _level(asked.fail_on or (config.fail_on if config is not None else None)),
            self._known,
            asked.finds_spots,
        )
        return Setting(name, every.rules, policy, config)

    def _of_config(self, config: Config | None) -> Chosen:
        path = config.path if config is not None else ""
        if path not in self._chosen:
            asked = self._asked
            self._chosen[path] = chosen(
                self._rules,
                config,
                select=asked.select,
                ignore=asked.ignore,
                extend_select=asked.extend_select,
            )
        return self._chosen[path]

    @cached_property
    def _known(self) -> tuple[Known, ...]:
        return tuple(Known(loaded.code, loaded.name) for loaded in self._rules)


def refuse_unasked(settings: Sequence[Setting], asked: Asked, *, probes: bool) -> None:
    """Raise UsageError where a rule and the probe it judges are not asked for together.

    Rules that come in with a beginning of codes, with all, or by a configuration are silent without
    a probe; one that an option names, or that is alone, would pass unheard.
    """
    if probes:
        if not any(each.judges_probes for each in settings):
            raise UsageError("--probe measures for UP106, which is not selected; select it too")
        return
    for each in settings:
        for loaded in judging_by_name(each.rules, [*asked.select, *asked.extend_select]):
            raise UsageError(
                f"{loaded.code} judges what a run of the model shows; ask for one with --probe"
            )


def refuse_unused(asked: Asked, reports: Sequence[FileReport]) -> None:
    """Raise UsageError for a size that options give and no model has a use for."""
    refuse_unknown(asked.bindings, reports)


def unused_sizes(settings: Sequence[Setting], reports: Sequence[FileReport]) -> Iterator[str]:
    """A sentence on each size of a configuration that no model it is about has a use for.

    Nothing is said where none of these models could be read.
    """
    used: set[tuple[str, str]] = set()
    bindable: dict[tuple[str, str], frozenset[str]] = {}
    for setting, report in zip(settings, reports, strict=True):
        for given in setting.policy.bindings.origins.items():
            bindable[given] = bindable.get(given, frozenset()) | report.bindable
            if given[0] in report.used_bindings:
                used.add(given)
    for (name, where), there in bindable.items():
        if there and (name, where) not in used:
            hint = did_you_mean(name, sorted(there))
            yield f"{where}: no model has an input or symbol named {name!r}{hint}"


def _level(name: str | None) -> Severity | None:
    return None if name == NEVER else Severity(name or Severity.WARNING)
