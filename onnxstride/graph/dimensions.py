"""The spatial dimensions of the feature map a node reads."""

from __future__ import annotations

from .attributes import integer, invalid
from .scope import Node, Shape


def show(shape: Shape | None) -> str:
    """A shape as messages spell it: ``[1, 3, H, ?]``."""
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in shape or ()) + "]"


def spatial_dims(node: Node, channels_last: bool, rank: int | None) -> Shape:
    """Spatial dimensions of the feature map; unknown ones as None, ``rank`` of them.

    Raises:
        InvalidNode: the map has another number of dimensions than the window needs.
    """
    shape = node.scope.shape(node.input(0))
    if shape is None:
        return (None,) * (rank or 0)
    if rank is not None and len(shape) != rank + 2:
        raise invalid(
            node,
            f"input {node.input(0)!r} of shape {show(shape)} should have {rank + 2} dimensions",
        )
    return shape[1:-1] if channels_last else shape[2:]


def positive(node: Node, name: str, default: int) -> int:
    """The integer attribute called ``name``, which no runtime takes below 1."""
    value = integer(node, name, default)
    if value < 1:
        raise invalid(node, f"{name} {value} should be at least 1")
    return value
