"""What is asked of one file: sizes, thresholds, levels, and what to let pass."""

from collections.abc import Mapping
from typing import NamedTuple

from ..graph import Bindings, Thresholds
from ..rule import Severity
from .results import Ignore


class Known(NamedTuple):
    """The identity of a rule that there is, whether it runs or not."""

    code: str
    name: str


class Policy(NamedTuple):
    """How one file is judged; picklable, for it travels to where the file is linted.

    Attributes:
        bindings: sizes of inputs and symbols.
        thresholds: from where on a pattern counts as visible.
        severities: levels that replace those of rules, by code.
        ignores: findings to let pass, besides those that the model itself names.
        heeds_ignores: False reports all findings, whatever asks to ignore them.
        fail_on: the least severity that fails a run; None for none.
        known: all rules there are, so that a wish about none of them is told; none: it is not.
        finds_spots: also find out where Model Explorer shows the nodes that findings are about.
    """

    bindings: Bindings = Bindings()
    thresholds: Thresholds = Thresholds()
    severities: Mapping[str, Severity] = {}
    ignores: tuple[Ignore, ...] = ()
    heeds_ignores: bool = True
    fail_on: Severity | None = Severity.WARNING
    known: tuple[Known, ...] = ()
    finds_spots: bool = False
