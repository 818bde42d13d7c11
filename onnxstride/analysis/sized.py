"""What is known of the dimensions of a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ..geometry.terms import Size

Dims: TypeAlias = "tuple[Size, ...]"
"""The size of each dimension."""


class Lost(NamedTuple):
    """A tensor whose number of dimensions is unknown: why, and the sizes it may depend on."""

    reason: str
    depends_on: tuple[Size, ...] = ()
