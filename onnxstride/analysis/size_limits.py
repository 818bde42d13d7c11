"""Where input sizes are limited by more than a minimum, for rules to report.

A size that the model leaves open is restricted when only some sizes make all maps meet, and
impossible when none does; a size that is fixed is a misfit when the architecture does not take
it. A model that fixes all sizes, and whose merges agree, is not walked at all; sizes that the
caller gives are held against what the architecture takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from ..graph import Graph
from ..graph.attributes import Unknown, integer
from ..graph.layers import Layer, Merge
from ..graph.scope import Node, Scope

if TYPE_CHECKING:
    from ..geometry.size_sets import SizeSet
    from .sizes import Cause, InputSize, InputSizes, Mismatch, TiedSizes

_LONGEST_GATE = 16
_OVER_ALL = ("Global", "Reduce", "QLinearGlobal", "QLinearReduce")


class LimitKind(Enum):
    """How sizes are limited."""

    RESTRICTED = "restricted"  # open, and only some fit
    IMPOSSIBLE = "impossible"  # none fits
    MISFIT = "misfit"  # fixed, and does not fit
    UNPROVEN = "unproven"  # open, and not known what fits


class SizeLimit(NamedTuple):
    """Sizes that are limited alike, and the node that forces it, the first of several.

    ``is_merge`` tells whether maps meet there. ``causes`` are those of the first size; a mismatch
    of numbers has neither sizes nor causes.
    """

    kind: LimitKind
    node: Node
    sizes: tuple[InputSize, ...] = ()
    causes: tuple[Cause, ...] = ()
    tied: TiedSizes | None = None
    mismatch: Mismatch | None = None
    reason: str = ""
    is_merge: bool = False

    def words(self) -> str:
        """The limit in sentences."""
        from .size_words import size_words

        return size_words(self)

    def figures(self) -> dict[str, Any]:
        """The limit in figures, ready for JSON."""
        from .size_words import size_figures

        return size_figures(self)


class _Limits(NamedTuple):
    """The limits of a graph by the node of the subject they are reported with."""

    at: dict[Node, list[SizeLimit]]


def size_limits(graph: Graph, layer: Layer) -> list[SizeLimit]:
    """The limits to report with ``layer``, which forces them or stands in for a node that does."""
    known = graph.analyses.get(_Limits)
    if known is None:
        known = graph.analyses[_Limits] = _Limits(_by_subject(graph, _limits(graph)))
    assert isinstance(known, _Limits)
    return known.at.get(layer.node, [])


def _by_subject(graph: Graph, limits: Iterable[SizeLimit]) -> dict[Node, list[SizeLimit]]:
    found: dict[Node, list[SizeLimit]] = {}
    for limit in limits:
        is_subject = limit.is_merge or graph.layer_of(limit.node) is not None
        subject = limit.node if is_subject else graph.layers[0].node
        found.setdefault(subject, []).append(limit)
    return found


def _limits(graph: Graph) -> Iterator[SizeLimit]:
    if not graph.layers:
        return
    merging = {merge.node for merge in graph.merges}
    for limit in _all_limits(graph):
        yield limit._replace(is_merge=limit.node in merging)


def _all_limits(graph: Graph) -> Iterator[SizeLimit]:
    if not _is_open(graph):
        if graph.bound or any(_differ(merge) for merge in graph.merges):
            yield from _misfits(graph)
        return
    # Solving for sizes is loaded by those models only that leave some open, or disagree.
    from .sizes import input_sizes

    found = input_sizes(graph)
    yield from _restrictions(found)
    if any(not each.is_minimum for each in found.mismatches):
        yield from _misfits(graph)


def _is_open(graph: Graph) -> bool:
    """True when an input leaves open a size that may be one of space: not the first of its own."""
    main = graph.main
    shapes = [main.shape(name) for name in main.inputs if name not in main.initializers]
    return any(
        shape is None or (len(shape) > 2 and any(not isinstance(size, int) for size in shape[1:]))
        for shape in shapes
    )


def _differ(merge: Merge) -> bool:
    """True unless the sizes of the maps that meet are seen to agree, or one to be a gate."""
    scope = merge.node.scope
    shapes = {name: shape for name in merge.inputs if (shape := scope.shape(name)) is not None}
    if len(shapes) < len(merge.inputs):
        return True
    rank = max(map(len, shapes.values()))
    joined = _joined_dim(merge, rank)
    for dim in range(1, rank):
        sizes = {shape[dim - rank] for shape in shapes.values() if len(shape) >= rank - dim}
        if dim == joined or (len(sizes) == 1 and None not in sizes):
            continue
        if joined >= 0 or len(sizes - {1}) > 1 or None in sizes:
            return True
        if any(
            len(shape) >= rank - dim and shape[dim - rank] == 1 and not _is_gate(scope, name)
            for name, shape in shapes.items()
        ):
            return True
    return False


def _joined_dim(merge: Merge, rank: int) -> int:
    """The dimension along which maps stand side by side; negative for maps that do not."""
    if merge.op != "Concat":
        return -1
    try:
        return integer(merge.node, "axis", 1) % rank
    except Unknown:
        return 0


def _is_gate(scope: Scope, name: str) -> bool:
    """True for what is computed from a mean or another figure over a whole map."""
    for _ in range(_LONGEST_GATE):
        node = scope.producer(name)
        if node is None:
            return False
        if node.op_type.startswith(_OVER_ALL):
            return True
        scope, name = node.scope, node.input(0)
    return False


def _restrictions(found: InputSizes) -> Iterator[SizeLimit]:
    """What limits the sizes that are open."""
    grouped: dict[tuple[LimitKind, Node], list[tuple[InputSize, tuple[Cause, ...]]]] = {}
    for size in found.inputs:
        if size.declared is not None:
            continue
        for unproven in size.unproven[:1]:
            yield SizeLimit(LimitKind.UNPROVEN, unproven.node, (size,), reason=unproven.reason)
        causes = tuple(cause for cause in size.causes if not cause.is_minimum)
        if causes and not size.sizes.is_bounded_below_only:
            kind = LimitKind.IMPOSSIBLE if size.sizes.is_empty else LimitKind.RESTRICTED
            grouped.setdefault((kind, causes[0].node), []).append((size, causes))
    for (kind, node), members in grouped.items():
        yield SizeLimit(kind, node, tuple(size for size, _ in members), members[0][1])
    for tied in found.tied:
        kind = LimitKind.RESTRICTED if tied.pairs else LimitKind.IMPOSSIBLE
        yield SizeLimit(kind, tied.node, (tied.first, tied.second), tied=tied)


def _misfits(graph: Graph) -> Iterator[SizeLimit]:
    """Fixed sizes that the architecture does not take, by what it would take."""
    from .sizes import input_sizes

    whole = input_sizes(graph, freed=True)
    grouped: dict[Node, list[tuple[InputSize, tuple[Cause, ...]]]] = {}
    for size in whole.inputs:
        if size.declared is not None and size.declared not in size.sizes:
            causes = [cause for cause in size.causes if size.declared not in cause.sizes]
            if causes:
                grouped.setdefault(causes[0].node, []).append((size, tuple(causes)))
    for node, members in grouped.items():
        kind = LimitKind.IMPOSSIBLE if members[0][0].sizes.is_empty else LimitKind.MISFIT
        yield SizeLimit(kind, node, tuple(size for size, _ in members), members[0][1])
    ties = [tied for tied in whole.tied if not _fits(tied)]
    for tied in ties:
        yield SizeLimit(LimitKind.MISFIT, tied.node, (tied.first, tied.second), tied=tied)
    if not grouped and not ties:
        yield from _mismatches(input_sizes(graph))


def _fits(tied: TiedSizes) -> bool:
    first, second = tied.first.declared, tied.second.declared
    return first is None or second is None or _has(tied.pairs, first, second)


def _has(pairs: Iterable[tuple[SizeSet, SizeSet]], first: int, second: int) -> bool:
    return any(first in left and second in right for left, right in pairs)


def _mismatches(found: InputSizes) -> Iterator[SizeLimit]:
    """Maps of fixed sizes that no input size explains: the first of them is what fails."""
    for mismatch in found.mismatches:
        if mismatch.is_meeting and mismatch.requirement.place.dim > 1:
            yield SizeLimit(LimitKind.MISFIT, mismatch.node, mismatch=mismatch)
            return
