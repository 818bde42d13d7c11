"""What is known of one dimension of a map, and of several that meet.

Besides a field, the whole axis, or the reason why nothing is known, a dimension may hold
nothing of an image (None: channels, or a size of 1 made anew), or several dimensions that a
reshape has merged into one (:class:`Folded`), which another may unfold again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import lcm
from typing import NamedTuple, TypeAlias

from ..geometry.composing import met
from ..geometry.fields import (
    Field,
    Origin,
    Sight,
    Unknown,
    Whole,
    is_untouched,
    pixels,
)
from ..graph.scope import Dim, Node


class Folded(NamedTuple):
    """Dimensions merged into one, the outermost first: size and cell of each."""

    parts: tuple[tuple[Dim, Cell], ...]


Cell: TypeAlias = Sight | Folded | None


class Unranked(NamedTuple):
    """An image, or a copy of it, whose number of dimensions nothing has told yet."""

    name: str


Value: TypeAlias = tuple[Cell, ...] | Unknown | Unranked
"""What is known of a map: one cell for each dimension; or why, as a whole, nothing is."""


def origin_of(cell: Cell) -> Origin | None:
    """The image a cell tells of, None when of none or of several."""
    return None if cell is None or isinstance(cell, Folded) else cell.origin


def is_open(cell: Cell) -> bool:
    """True where nothing of an image lies, or one that nothing has looked at yet."""
    if isinstance(cell, Folded):
        return all(is_open(part) for _, part in cell.parts)
    return cell is None or (isinstance(cell, Field) and is_untouched(cell))


def image(name: str, rank: int) -> tuple[Cell, ...]:
    """The value of an image that enters the model."""
    return tuple([pixels(Origin(name, dim)) for dim in range(rank)])


def because(node: Node, reason: str) -> str:
    """A reason with the node that it is about."""
    return f"{node.op_type} {node.name!r}: {reason}"


def cells_of(node: Node, value: Value) -> tuple[Cell, ...] | Unknown:
    """A value by dimension, as ``node`` needs it."""
    if isinstance(value, Unranked):
        return Unknown(because(node, f"the rank of {value.name!r} is unknown"))
    return value


class Meeting(NamedTuple):
    """What is known where cells meet element by element.

    ``cell`` is None also where fields of one image meet whose strides differ; ``in_step`` is
    False then, and where their centres do.
    """

    cell: Cell
    in_step: bool = True

    @property
    def is_clash(self) -> bool:
        """True where strides differ."""
        return self.cell is None and not self.in_step


def meeting(cells: Sequence[Cell], order: Mapping[str, int]) -> Meeting:
    """What is known where cells meet element by element.

    Cells that hold nothing of an image, and those that see the whole of it, such as gates of
    squeeze-and-excite blocks, leave the others as they are: the field tells where the rest of
    an element comes from. Of fields of several images the one that comes first in ``order``
    counts, images that enter the model before those made inside.
    """
    if len(cells) == 2:  # nearly always, and then two of one image
        one, other = cells
        if isinstance(one, Field) and isinstance(other, Field) and one.origin == other.origin:
            view, in_step = met(one.view, other.view)
            return Meeting(None if view is None else Field(one.origin, view), in_step)
    telling = [cell for cell in cells if cell is not None and not isinstance(cell, Whole)]
    if not telling:
        return Meeting(next((cell for cell in cells if cell is not None), None))
    fields = [cell for cell in telling if isinstance(cell, Field)]
    if len(fields) == len(telling):
        return _fields_met(fields, order)
    for cell in telling:
        if isinstance(cell, Unknown):
            return Meeting(cell)
    return _folds_met(telling, order)


def of_one_image(fields: list[Field], order: Mapping[str, int]) -> list[Field]:
    """The fields of the image that counts."""
    first = fields[0].origin
    if all(field.origin is first for field in fields):
        return fields
    last = len(order)
    chosen = min(
        (field.origin for field in fields),
        key=lambda origin: (not origin.is_input, order.get(origin.name, last)),
    )
    return [field for field in fields if field.origin == chosen]


def _fields_met(fields: list[Field], order: Mapping[str, int]) -> Meeting:
    counted = of_one_image(fields, order)
    result = counted[0]
    in_step = True
    for other in counted[1:]:
        view, agree = met(result.view, other.view)
        if view is None:
            return Meeting(None, False)
        result, in_step = Field(result.origin, view), in_step and agree
    if len(counted) < len(fields):  # a constant image repeats after its layers as well
        period = lcm(*(field.period for field in fields))
        result = Field(result.origin, result.view._replace(period=period))
    return Meeting(result, in_step)


def _folds_met(cells: Sequence[Cell], order: Mapping[str, int]) -> Meeting:
    folds = [cell for cell in cells if isinstance(cell, Folded)]
    sizes = {tuple(size for size, _ in fold.parts) for fold in folds}
    if len(folds) < len(cells) or len(sizes) > 1:
        return Meeting(Unknown("one map has several axes in one dimension, and another has not"))
    parts: list[tuple[Dim, Cell]] = []
    in_step = True
    for column in zip(*(fold.parts for fold in folds), strict=True):
        both = meeting([cell for _, cell in column], order)
        if both.is_clash:
            return both
        parts.append((column[0][0], both.cell))
        in_step &= both.in_step
    return Meeting(Folded(tuple(parts)), in_step)
