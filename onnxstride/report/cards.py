"""What reports say of a rule itself, beside its findings."""

from typing import NamedTuple


class RuleCard(NamedTuple):
    """A rule, or a kind of error, as formats that list rules need it.

    Attributes:
        code: such as ``UP101``, and ``name`` such as ``uneven-overlap``.
        severity: the rule's own, ``error``, ``warning`` or ``note``.
        summary: one sentence; ``documentation`` is the whole text, ``markdown`` the same marked up.
    """

    code: str
    name: str
    severity: str
    summary: str
    documentation: str
    markdown: str
