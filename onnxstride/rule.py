"""The values a rule is made of and answers with. All are frozen and picklable."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple


class Severity(StrEnum):
    """How sure the harm is."""

    ERROR = "error"  # the result is provably damaged
    WARNING = "warning"  # it probably is, or runtimes will disagree
    NOTE = "note"  # worth knowing; never fails a run unless asked to

    @property
    def rank(self) -> int:
        """3 for error, 2 for warning, 1 for note."""
        return _RANK[self]


_RANK = {Severity.ERROR: 3, Severity.WARNING: 2, Severity.NOTE: 1}


class Safety(StrEnum):
    """What a rewrite may change, from the least."""

    EXACT = "exact"  # the same function up to rounding, at every input size
    APPROXIMATE = "approximate"  # same interface, numbers move by a measured amount
    TRAINING = "training"  # same interface, new parameters that want fine-tuning

    @property
    def rank(self) -> int:
        """1 for exact, 2 for approximate, 3 for training."""
        return list(Safety).index(self) + 1


class Remedy(NamedTuple):
    """A rewrite that mends a finding, by name."""

    name: str
    safety: Safety


class NodeRef(NamedTuple):
    """A node as reports name it: its unique name, else its first output (see ``graph.Node``).

    ``scope`` leads from the main graph to the node: one entry per enclosing subgraph
    (``"<node>.<attribute>"``) or local function (``"function <domain>::<name>"``).
    """

    name: str
    op_type: str
    domain: str
    scope: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def path(self) -> str:
        """The node with the scopes around it, as its model spells them: not safe to print."""
        return " > ".join([*self.scope, self.name])


class Finding(NamedTuple):
    """One rule's complaint about one node. ``data`` holds the figures, ready for JSON."""

    code: str
    name: str
    severity: Severity
    message: str
    node: NodeRef
    data: Mapping[str, Any]
    remedies: tuple[Remedy, ...] = ()


class Skip(NamedTuple):
    """A node one rule could not judge, and why."""

    code: str
    node: NodeRef
    reason: str


class Rule(NamedTuple):
    """The identity of a rule: a module in ``rules/`` holds one as ``RULE``.

    ``on`` lists the layer types (see ``onnxstride.api``) that the module's ``check`` is given,
    one at a time. ``remedies`` names the rewrites that mend what it finds, those that change
    least first; they are said here, not looked up, so that a lint loads no rewrite.
    """

    code: str
    name: str
    severity: Severity
    on: tuple[type, ...]
    remedies: tuple[Remedy, ...] = ()

    def flag(
        self,
        node: NodeRef,
        message: str,
        *,
        severity: Severity | None = None,
        is_mendable: bool = True,
        **data: Any,
    ) -> Finding:
        """A finding of this rule, at its own severity unless another is given.

        ``is_mendable`` is False where none of the rule's remedies is meant for such a node.
        """
        remedies = self.remedies if is_mendable else ()
        return Finding(
            self.code, self.name, severity or self.severity, message, node, data, remedies
        )

    def skip(self, node: NodeRef, reason: str) -> Skip:
        """The admission that this rule cannot judge ``node``, and why."""
        return Skip(self.code, node, reason)
