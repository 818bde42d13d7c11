"""Which input sizes a model takes: one pass over its sizes, and what follows from it.

    found = input_sizes(graph)
    for each in found.inputs:      # one for each unknown height, width, length ..
        each.sizes                 # the exact set: see geometry.size_sets
        each.causes                # the places that force it

Unknown are the dimensions that the model leaves open; one symbol is one unknown, wherever it
stands. With ``freed=True`` sizes that the file fixes are unknown as well: what the architecture
would take. Independent of the weights; nothing is run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..geometry.admissible import Admissible
from ..geometry.deciding import decide, terms_of
from ..geometry.size_program import Fitting, Meeting, Requirement
from ..geometry.size_sets import ALL_SIZES, SizeSet, is_subset
from ..geometry.terms import Free
from ..geometry.ties import solve
from ..graph import Graph
from ..graph.scope import Node
from .resolution import resolution
from .size_moves import Place
from .size_table import InputDim
from .size_walk import SizeWalk, size_walk

_LETTERS = {1: "L", 2: "HW", 3: "DHW"}


class Cause(NamedTuple):
    """A node that requires something of a size, and the sizes at which that holds."""

    node: Node
    requirement: Requirement
    sizes: SizeSet

    @property
    def is_minimum(self) -> bool:
        """True where a window has to fit, and nothing else."""
        return isinstance(self.requirement, Fitting)


class Unproven(NamedTuple):
    """A place of which it is not known what it requires of a size, and why."""

    node: Node
    reason: str


class InputSize(NamedTuple):
    """One unknown size of the inputs.

    Attributes:
        name: the model's symbol for it, else a letter for its place.
        dims: the dimensions of inputs that have this size.
        declared: the size that the file fixes or the caller gave, None when it is open.
        sizes: the sizes that every requirement admits, as far as they are proven.
        causes: the places that force them, the most restrictive first; of several that are alike,
            the first in the graph.
        stretched: sizes not admitted at which the model runs all the same, because maps of size 1
            are stretched to the size of others.
        unproven: places that may restrict the sizes further.
        tried: where there are such, the sizes up to 4096 that pass there too, None if unknown.
    """

    name: str
    dims: tuple[InputDim, ...]
    declared: int | None
    sizes: SizeSet
    causes: tuple[Cause, ...] = ()
    stretched: tuple[int, ...] = ()
    unproven: tuple[Unproven, ...] = ()
    tried: tuple[int, ...] | None = None


class TiedSizes(NamedTuple):
    """Two unknown sizes that only fit in pairs: any of a left set with any of its right set."""

    first: InputSize
    second: InputSize
    pairs: tuple[tuple[SizeSet, SizeSet], ...]
    node: Node


class Mismatch(NamedTuple):
    """A node that requires of numbers what they do not meet: maps of 30 and of 28 meet."""

    node: Node
    requirement: Requirement

    @property
    def is_minimum(self) -> bool:
        """True where a window does not fit."""
        return isinstance(self.requirement, Fitting)

    @property
    def is_meeting(self) -> bool:
        return isinstance(self.requirement, Meeting)


class InputSizes(NamedTuple):
    """What is known of the sizes of a model's inputs, those that some layer treats as space."""

    inputs: tuple[InputSize, ...]
    tied: tuple[TiedSizes, ...]
    mismatches: tuple[Mismatch, ...]


def input_sizes(graph: Graph, *, freed: bool = False) -> InputSizes:
    """The sizes that ``graph`` takes, found out when first asked for.

    Args:
        graph: the model.
        freed: whether to ask what it would take were no size fixed.
    """
    known: dict[bool, InputSizes] = graph.analyses.setdefault(InputSizes, {})
    if freed not in known:
        walk = SizeWalk(graph, _fixed_dims(graph)) if freed else size_walk(graph)
        known[freed] = _found(graph, walk)
    return known[freed]


def _fixed_dims(graph: Graph) -> frozenset[InputDim]:
    """The dimensions of inputs that are space and whose size is fixed."""
    found: set[InputDim] = set()
    for origin in resolution(graph).spatial:
        shape = graph.main.shape(origin.name) if origin.is_input else None
        if shape is not None and isinstance(shape[origin.dim], int):
            found.add(InputDim(origin.name, origin.dim))
    return frozenset(found)


def _found(graph: Graph, walk: SizeWalk) -> InputSizes:
    solution = solve(walk.program)
    answers = {free: answer for answer in solution.admissible for free in answer.free}
    names = _names(walk)
    sizes: dict[Free, InputSize] = {}
    for free in walk.free:
        if free in walk.spatial and free not in sizes:
            answer = answers.get(free, Admissible((free,), ALL_SIZES))
            found = _input_size(graph, walk, names, answer)
            sizes.update(dict.fromkeys(answer.free, found))
    return InputSizes(
        tuple(dict.fromkeys(sizes.values())),
        tuple(
            TiedSizes(sizes[tie.free[0]], sizes[tie.free[1]], tie.solutions, _node(tie.requirement))
            for tie in solution.ties
            if set(tie.free) <= sizes.keys()
        ),
        tuple(Mismatch(_node(each), each) for each in walk.program.impossible),
    )


def _node(requirement: Requirement) -> Node:
    place: Place = requirement.place
    return place.node


def _input_size(
    graph: Graph, walk: SizeWalk, names: Mapping[Free, str], answer: Admissible
) -> InputSize:
    dims = tuple(dim for free in answer.free for dim in walk.free.get(free, ()))
    return InputSize(
        " = ".join(dict.fromkeys(names[free] for free in answer.free)),
        dims,
        _declared(graph, dims),
        answer.sizes,
        tuple(
            Cause(_node(limit.requirement), limit.requirement, limit.sizes)
            for limit in answer.forced_by
        ),
        answer.stretched,
        (*_doubts(walk, answer), *_gaps(walk, answer)),
        answer.tried,
    )


def _declared(graph: Graph, dims: Iterable[InputDim]) -> int | None:
    """The size that the first of these dimensions is fixed at."""
    for name, dim in dims:
        shape = graph.main.shape(name)
        size = shape[dim] if shape is not None else None
        if isinstance(size, int):
            return size
    return None


def _doubts(walk: SizeWalk, answer: Admissible) -> list[Unproven]:
    """What is in doubt, and what a branch that need not be taken requires beyond the rest."""
    found = [Unproven(_node(doubt.requirement), doubt.reason) for doubt in answer.doubts]
    for requirement in walk.optional.requirements:
        free = {each for term in terms_of(requirement) for each in term.free}
        if free and free <= set(answer.free):
            sizes = decide(walk.program.terms, requirement)
            if isinstance(sizes, str) or not is_subset(answer.sizes, sizes):
                reason = "it stands in a branch that need not be taken"
                found.append(Unproven(_node(requirement), reason))
    return found


def _gaps(walk: SizeWalk, answer: Admissible) -> list[Unproven]:
    free = set(answer.free)
    return [Unproven(gap.place.node, gap.reason) for gap in walk.gaps if gap.free & free]


def _names(walk: SizeWalk) -> dict[Free, str]:
    """What messages call each unknown: its symbol, a letter if only one can be meant, its place."""
    lettered: dict[Free, str] = {}
    inputs: dict[str, list[Free]] = {}
    for free, dims in walk.free.items():
        if free in walk.spatial and free.name not in walk.symbols:
            inputs.setdefault(dims[0].input, []).append(free)
    for unnamed in inputs.values():
        unnamed.sort(key=lambda free: walk.free[free][0].dim)
        lettered.update(zip(unnamed, _LETTERS.get(len(unnamed), ""), strict=False))
    taken = Counter([*lettered.values(), *walk.symbols])
    return {
        free: letter if (letter := lettered.get(free, "")) and taken[letter] == 1 else free.name
        for free in walk.free
    }
