"""What is known of the sizes of tensors while a graph is walked, and the unknowns they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from ..geometry.size_program import Program
from ..geometry.terms import Free, Size, Term
from ..graph import Graph
from ..graph.scope import DEFAULT_DOMAIN, Dim, Node, Scope
from .moves import Closed
from .shape_arithmetic import Arithmetic, Sizes, from_constant
from .shape_values import FOLLOWED, result_of
from .size_moves import Place
from .sized import Dims, Lost

_MOST_ENTRIES = 256
_LONGEST_CHAIN = 32


class Gap(NamedTuple):
    """A place where nothing could be required of sizes, and why."""

    place: Place
    reason: str
    free: frozenset[Free]


class InputDim(NamedTuple):
    """One dimension of an input of the model."""

    input: str
    dim: int


class SizeTable:
    """Dimensions of tensors, entries of small ones, and what is required of sizes.

    Attributes:
        graph: the graph that is walked.
        program: the requirements; ``optional`` holds those of branches that need not run.
        free: the unknown sizes, and the dimensions of inputs that have each.
        symbols: the unknowns that the model names.
        spatial: the unknowns that some layer treats as space.
        gaps: places at which sizes were lost that depend on an unknown.
        required: the one of the two programs that the node at hand is judged by.
    """

    def __init__(self, graph: Graph, freed: frozenset[InputDim]) -> None:
        self.graph = graph
        self.program = Program()
        self.optional = Program(self.program.terms)
        self.required = self.program
        self.free: dict[Free, list[InputDim]] = {}
        self.symbols: dict[str, Free] = {}
        self.spatial: set[Free] = set()
        self.gaps: list[Gap] = []
        self._freed = freed
        self._arithmetic = Arithmetic(self.program.terms)
        self._dims: dict[Scope, dict[str, Dims | Lost]] = {}
        self._values: dict[Scope, dict[str, Sizes]] = {}
        self._constants: dict[Scope, dict[str, Sizes | None]] = {}

    def open(
        self, scope: Scope, given: dict[str, Dims | Lost], values: dict[str, Sizes] | None = None
    ) -> None:
        """Start a scope with what is known of its inputs."""
        self._dims[scope] = given
        self._values[scope] = values or {}
        self._constants[scope] = {}

    def inputs(self) -> dict[str, Dims | Lost]:
        """The inputs of the model, with an unknown for each dimension that is open."""
        main = self.graph.main
        proto: Any = main.proto  # a GraphProto
        found: dict[str, Dims | Lost] = {}
        for value in proto.input:
            name = str(value.name)
            if name not in main.initializers:
                shape = main.shape(name)
                unranked = Lost(f"the rank of input {name!r} is unknown")
                found[name] = unranked if shape is None else self._input(name, shape)
        return found

    def give_rank(self, name: str, rank: int) -> Dims | Lost:
        """The dimensions of a tensor of unknown rank that a layer reads; known for an input."""
        main = self.graph.main
        if name in main.inputs and isinstance(self._dims[main].get(name), Lost):
            self._dims[main][name] = self._input(name, (None,) * rank)
        return self.dims(main, name)

    def _input(self, name: str, shape: Sequence[Dim]) -> Dims:
        return tuple([self._unknown(InputDim(name, dim), size) for dim, size in enumerate(shape)])

    def _unknown(self, at: InputDim, size: Dim) -> Size:
        """One dimension of an input: its size, or the unknown that stands for it."""
        if isinstance(size, int) and at not in self._freed:
            return size
        symbol = size if isinstance(size, str) else ""
        free = self.symbols.get(symbol) if symbol else None
        if free is None:
            free = self.program.terms.free(symbol or f"{at.input}[{at.dim}]")
            self.free[free] = []
            if symbol:
                self.symbols[symbol] = free
        self.free[free].append(at)
        return free

    def dims(self, scope: Scope, name: str) -> Dims | Lost:
        """The dimensions of a tensor as seen from a scope."""
        at: Scope | None = scope
        while at is not None:
            found = self._dims.get(at, _NOTHING).get(name)
            if found is not None:
                return found
            at = at.parent
        shape = scope.shape(name)
        home = scope.home(name)
        if home is None or shape is None or name not in home.initializers:
            return Lost(f"the shape of {name!r} is unknown")
        fixed = tuple([size if isinstance(size, int) else 1 for size in shape])
        self._dims[home][name] = fixed
        return fixed

    def rank(self, scope: Scope, name: str) -> int | None:
        dims = self.dims(scope, name)
        return None if isinstance(dims, Lost) else len(dims)

    def value(self, node: Node, name: str, steps: int = _LONGEST_CHAIN) -> Sizes | None:
        """The entries of a small tensor of numbers that ``node`` reads, if they are known."""
        if not name:
            return None
        found = self._computed(node.scope, name)
        if found is not None:
            return found
        tensor, producer = node.scope.initializer(name), node.scope.producer(name)
        if tensor is not None:
            is_small = prod(tensor.dims) <= _MOST_ENTRIES
        elif producer is None or not self._is_small(node.scope, name):
            return None
        elif producer.domain == DEFAULT_DOMAIN and producer.op_type in FOLLOWED:
            return self._from_constants(producer, name, steps)
        else:
            is_small = producer.op_type == "Constant"
        array = self.graph.constant(node, name) if is_small else None
        return None if array is None else from_constant(array)

    def integers(self, node: Node, name: str) -> tuple[int, ...] | None:
        """The entries of a small tensor that are the same at every size; None if they are not."""
        value = self.value(node, name)
        if value is None or value.is_float:
            return None
        found = value.flat()
        return tuple(found) if all(isinstance(entry, int) for entry in found) else None

    def _from_constants(self, producer: Node, name: str, steps: int) -> Sizes | None:
        """What follows from constants alone, which is computed when it is asked for."""
        known = self._constants[producer.scope]
        if name not in known and steps:
            known[name] = None  # until shown: a cycle is no constant
            inputs = [self.value(producer, each, steps - 1) for each in producer.inputs]
            known[name] = result_of(self._arithmetic, producer, inputs)
        return known.get(name)

    def compute(self, node: Node) -> bool:
        """Follow arithmetic on sizes; False for a node that is none, or cannot be followed."""
        if node.domain or node.op_type not in FOLLOWED or not self._reads_value(node):
            return False
        inputs = [self.value(node, name) for name in node.inputs]
        result = result_of(self._arithmetic, node, inputs)
        if result is None:
            return False
        self.keep_value(node, result)
        return True

    def _reads_value(self, node: Node) -> bool:
        values = self._values[node.scope]
        return any(name in values for name in node.inputs) or (
            node.scope.parent is not None
            and any(self._computed(node.scope, name) is not None for name in node.inputs)
        )

    def _is_small(self, scope: Scope, name: str) -> bool:
        dims = self.dims(scope, name)
        if isinstance(dims, Lost) or len(dims) > 2:
            return False
        entries = 1
        for size in dims:
            if not isinstance(size, int):
                return False
            entries *= size
        return entries <= _MOST_ENTRIES

    def _computed(self, scope: Scope, name: str) -> Sizes | None:
        at: Scope | None = scope
        while at is not None:
            found = self._values.get(at, _NO_VALUES).get(name)
            if found is not None:
                return found
            at = at.parent
        return None

    def keep(self, node: Node, dims: Dims | Lost, position: int = 0) -> None:
        """Record the dimensions of an output."""
        name = node.output(position)
        if name:
            self._dims[node.scope][name] = dims

    def keep_value(self, node: Node, value: Sizes) -> None:
        """Record the entries of the first output."""
        self._values[node.scope][node.output(0)] = value
        self.keep(node, tuple(value.entries.shape))

    def keep_result(self, node: Node, position: int, callee: Scope, name: str) -> None:
        """Record as an output what a function that was called has found."""
        found = self._dims[callee].get(name, Lost(f"{name!r} is not computed"))
        self.keep(node, found, position)
        value = self._values[callee].get(name)
        if value is not None and node.output(position):
            self._values[node.scope][node.output(position)] = value

    def depends_on(self, node: Node) -> tuple[Size, ...]:
        """All sizes that the outputs of a node may depend on."""
        found: dict[Size, None] = {}
        for name in filter(None, node.inputs):
            dims = self.dims(node.scope, name)
            found.update(dict.fromkeys(dims.depends_on if isinstance(dims, Lost) else dims))
            value = self._computed(node.scope, name)
            if value is not None:
                found.update(dict.fromkeys(e for e in value.flat() if isinstance(e, Term)))
        return tuple(size for size in found if isinstance(size, Term))

    def take_for_space(self, size: Size) -> None:
        """Note that a layer treats a dimension of this size as space."""
        if isinstance(size, Term):
            self.spatial |= size.free

    def close(self, node: Node, closed: Closed) -> None:
        """Outputs of which no more is known than what shape inference says."""
        for position, name in enumerate(node.outputs):
            if name:
                self.keep(node, self.inferred(node, name, closed.reason), position)

    def inferred(self, node: Node, name: str, reason: str) -> Dims | Lost:
        """The dimensions that the file or inference states, others opaque."""
        depends_on = self.depends_on(node)
        shape = node.scope.shape(name)
        if shape is None:
            return Lost(reason, depends_on)
        fixed = not (self._freed and depends_on)
        return tuple(
            size
            if fixed and isinstance(size, int)
            else self.program.terms.opaque(depends_on, reason)
            for size in shape
        )


_NOTHING: Mapping[str, Dims | Lost] = {}
_NO_VALUES: Mapping[str, Sizes] = {}
