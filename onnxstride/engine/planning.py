"""From what a user wants of a rewriting, as names and figures, to the plan of it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ..config import Config
from ..errors import UsageError
from ..modelfile import ModelFile
from ..registry import LoadedRewrite, find_rewrite, load_rewrites, load_rules
from ..rewrite import CHOICES, RANGES, Options
from ..rule import Safety
from ..verify import Runner
from .activations import Activations
from .changes import Plan
from .configured import chosen, ignores, refuse_unknown_rewrites, thresholds
from .measured import judging_by_name
from .policy import Policy


class Wanted(NamedTuple):
    """What the user asks for.

    Attributes:
        use: names of rewrites to apply wherever they fit, in place of mending findings.
        select, ignore: selectors of the rules whose findings to mend.
        folders: folders of rule modules to load besides what is installed.
        allow: the most that a rewrite may change, where none was named.
        nodes: glob that a node's name must match.
        options: about new layers.
        data: samples to fit on; None for made-up ones.
        config: the configuration of the model; None for none.
    """

    use: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    allow: Safety = Safety.EXACT
    nodes: str = "*"
    options: Options = Options()
    data: str | None = None
    config: Config | None = None


def plan_of(model: ModelFile, wanted: Wanted, runner: Runner) -> Plan:
    """The plan for ``model``, whose layers are tapped in ``runner``.

    Raises:
        UsageError: a name that is none, or wishes that exclude each other.
        RuleError: a rule or rewrite cannot be loaded.
    """
    refuse_unfounded(wanted)
    tap = Activations(model, wanted.data, runner) if wanted.data is not None else None
    config = wanted.config
    plan = Plan(
        load_rewrites(),
        policy=Policy(thresholds=thresholds(config), ignores=ignores(config, model.name)),
        allow=wanted.allow,
        nodes=wanted.nodes,
        options=wanted.options,
        tap=tap,
        made_up=Activations(model, None, runner),
    )
    return _by_name(plan, wanted) if wanted.use else _by_finding(plan, wanted)


def refuse_unfounded(wanted: Wanted) -> None:
    """Raise UsageError where one wish makes no sense beside, or without, another."""
    if wanted.options.init == "fit" and wanted.data is None:
        raise UsageError("--init fit needs --data, samples to fit on")
    if wanted.use and (wanted.select or wanted.ignore):
        raise UsageError("--use names rewrites, --select and --ignore findings; give one kind")


def checked(options: Options) -> Options:
    """The options as they are.

    Raises:
        UsageError: one has a value that no rewrite knows.
    """
    for name, choices in CHOICES.items():
        value = getattr(options, name)
        if value not in choices:
            known = ", ".join(str(choice) for choice in choices)
            raise UsageError(f"expected {name} to be one of {known}, found {value!r}")
    for name, (least, most) in RANGES.items():
        value = getattr(options, name)
        if value is None and name != "blur":
            continue
        if not isinstance(value, int) or value < least or (most is not None and value > most):
            upper = "on" if most is None else f"to {most}"
            raise UsageError(
                f"expected {name} to be a number from {least} {upper}, found {value!r}"
            )
    return options


def _by_name(plan: Plan, wanted: Wanted) -> Plan:
    """A rewrite that was named is allowed what it needs."""
    if wanted.config is not None and wanted.use == wanted.config.rewrite.get("use"):
        refuse_unknown_rewrites(wanted.config, plan.rewrites)
    named: list[LoadedRewrite] = [find_rewrite(plan.rewrites, name) for name in wanted.use]
    allow = max([wanted.allow, *(each.rewrite.safety for each in named)], key=lambda s: s.rank)
    return replace(plan, rewrites=named, named=True, allow=allow)


def _by_finding(plan: Plan, wanted: Wanted) -> Plan:
    every = load_rules(wanted.folders)
    rules = chosen(every, wanted.config, select=wanted.select, ignore=wanted.ignore).rules
    for loaded in judging_by_name(rules, wanted.select):
        known = " or ".join(f"--use {remedy.name}" for remedy in loaded.rule.remedies)
        raise UsageError(
            f"{loaded.code} is found by running the model (lint --probe) and names no layer to "
            f"mend; name what is to mend it: {known}"
        )
    return replace(plan, rules=rules)
