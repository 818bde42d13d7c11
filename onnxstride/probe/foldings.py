"""Which outputs of a model may show a pattern, and how each is to be folded.

What the analysis of resolution says of an output counts. Where a shift on the way is unknown, each
element is taken to see as far to either side as it sees in all, which no usual padding exceeds.
Where the analysis does not know the output, there may be a guess (see ``growing``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..analysis import resolution
from ..geometry.fields import Field, Unknown
from ..graph import Graph
from ..graph.scope import Node
from .fold import Fold, Folding, Reach
from .growing import guessed
from .layout import spatial_axes

_LONGEST_PERIOD = 4096


@dataclass(frozen=True, slots=True)
class Target:
    """An output, what makes it, and how to fold it; ``problem`` says why nobody knows how."""

    name: str
    node: Node
    folding: Folding | None
    problem: str = ""


def targets(graph: Graph, periods: Mapping[str, Sequence[int]] | None = None) -> Iterator[Target]:
    """The outputs of the main graph in which something may repeat.

    ``periods`` adds outputs by name, and the periods to fold them by in any case.
    """
    also = periods or {}
    proto: Any = graph.main.proto
    for value in proto.output:
        node = graph.main.producer(value.name)
        if node is None:
            continue
        folding = _known(graph, value.name) or guessed(graph, value.name)
        if isinstance(folding, Folding) and value.name in also:
            folding = folding.finer(also[value.name])
        if isinstance(folding, str):
            yield Target(value.name, node, None, folding)
        elif folding.repeats:
            yield Target(value.name, node, folding)


def _known(graph: Graph, name: str) -> Folding | None:
    """The folding as the analysis knows it; None where it does not know every axis."""
    cells = resolution(graph).dims(graph.main, name)
    if isinstance(cells, Unknown):
        return None
    if not all(cell is None or isinstance(cell, Field) for cell in cells):
        return None
    # A channel that no layer mixes with others has a field as well.
    space = spatial_axes(graph.main.shape(name) or (None,) * len(cells))
    fields = {
        dim: cell
        for dim, cell in enumerate(cells)
        if isinstance(cell, Field) and (dim in space or cell.period > 1)
    }
    if any(field.period > _LONGEST_PERIOD for field in fields.values()):
        return None
    return Folding(tuple(map(_fold, fields.values())), tuple(fields))


def _fold(field: Field) -> Fold:
    if not field.origin.is_input or field.stride <= 0:
        return Fold(field.period)
    first, last = field.first, field.last
    if field.adrift:
        first, last = first - last, last - first
    return Fold(field.period, Reach(field.origin.name, field.origin.dim, field.stride, first, last))
