"""What the entry of an operator may ask about the sizes and small tensors that its node reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..graph.attributes import Unknown, integers
from ..graph.scope import Node
from .shape_arithmetic import Entry, Ratio
from .sized import Dims, Lost

if TYPE_CHECKING:
    from .size_walk import SizeWalk

Operator: TypeAlias = "Callable[[SizeWalk, Node], Dims | Lost | None]"
"""From a node to the dimensions of its first output; None when they are recorded already."""


def dims_of(walk: SizeWalk, node: Node, position: int = 0) -> Dims:
    """Dimensions of an input.

    Raises:
        Unknown: its rank is unknown.
    """
    dims = walk.dims(node.scope, node.input(position))
    if isinstance(dims, Lost):
        raise Unknown(dims.reason)
    return dims


def entries_of(
    walk: SizeWalk, node: Node, position: int, attribute: str = ""
) -> list[Entry] | None:
    """What an input holds, or the attribute that older versions have instead; None if left out.

    Raises:
        Unknown: computed at run time, from more than sizes.
    """
    stated = integers(node, attribute, at_least=-(2**63)) if attribute else None
    if stated is not None:
        return list(stated)
    if not node.input(position):
        return None
    value = walk.value(node, node.input(position))
    if value is None:
        raise Unknown(f"{attribute or 'an input'} is computed at run time")
    return value.flat()


def numbers_of(walk: SizeWalk, node: Node, position: int, attribute: str) -> list[int] | None:
    entries = entries_of(walk, node, position, attribute)
    if entries is None:
        return None
    numbers = [entry for entry in entries if isinstance(entry, int)]
    if len(numbers) < len(entries):
        raise Unknown(f"{attribute} is computed from sizes")
    return numbers


def as_sizes(walk: SizeWalk, node: Node, entries: Sequence[Entry] | None) -> Dims:
    """Entries as dimensions."""
    reason = f"{node.op_type} is given a ratio of sizes"
    return tuple(
        walk.program.terms.opaque([entry.over, entry.under], reason)
        if isinstance(entry, Ratio)
        else entry
        for entry in entries or ()
    )
