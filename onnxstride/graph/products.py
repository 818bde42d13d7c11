"""Sizes as products of a number and symbols, and tensors of sizes that a model computes.

Exporters that keep sizes dynamic compute the target of a Reshape: Shape, Gather, Mul, Concat.
Such a tensor is followed back to the sizes it is made of; a symbol stands for a size that is
not known, and is the same wherever the size is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..errors import ModelError
from .attributes import Unknown, integer
from .constants import Constants
from .scope import DEFAULT_DOMAIN, Node, Scope

_MAX_STEPS = 24
_MOST_ELEMENTS = 64

Size: TypeAlias = tuple[int, tuple[str, ...]]
"""A product: a number, and symbols in sorted order."""


def times(one: Size, other: Size) -> Size:
    """The product of two sizes."""
    return one[0] * other[0], tuple(sorted(one[1] + other[1]))


def sizes_of(scope: Scope, name: str) -> list[Size] | None:
    """Sizes of a tensor, one symbol for each that is not known; None without a rank."""
    shape = scope.shape(name)
    if shape is None:
        return None
    return [
        (dim, ()) if isinstance(dim, int) else (1, (dim or f"{name}[{i}]",))
        for i, dim in enumerate(shape)
    ]


def elements(scope: Scope, name: str, constants: Constants) -> list[Size] | None:
    """The sizes that a tensor of integers holds; None when they cannot be followed back."""
    try:
        return _Follower(constants).elements(scope, name, _MAX_STEPS)
    except (ModelError, Unknown):
        return None


class _Follower:
    """One walk back; remembers each tensor, so that shared branches are walked once."""

    def __init__(self, constants: Constants) -> None:
        self._constants = constants
        self._known: dict[tuple[Scope | None, str], list[Size] | None] = {}

    def elements(self, scope: Scope, name: str, steps: int) -> list[Size] | None:
        key = (scope.home(name), name)
        if key not in self._known:
            self._known[key] = None  # until shown: a cycle holds no sizes
            self._known[key] = self._read(scope, name, steps)
        return self._known[key]

    def _read(self, scope: Scope, name: str, steps: int) -> list[Size] | None:
        few = self._constants.few(scope, name, _MOST_ELEMENTS)
        if few is not None:
            is_list = not few.is_float and len(few.shape) <= 1
            return [(int(entry), ()) for entry in few.values] if is_list else None
        node = scope.producer(name)
        if node is None or node.domain != DEFAULT_DOMAIN or steps == 0:
            return None
        if node.op_type == "Shape":
            return _cut(sizes_of(node.scope, node.input(0)), node)
        follow = _FOLLOWED.get(node.op_type)
        if follow is None:
            return None
        inputs = [self.elements(node.scope, each, steps - 1) for each in node.inputs if each]
        known = [each for each in inputs if each is not None]
        return follow(known) if inputs and len(known) == len(inputs) else None


def _cut(sizes: list[Size] | None, shape: Node) -> list[Size] | None:
    if sizes is None:
        return None
    return sizes[integer(shape, "start", 0) : integer(shape, "end", len(sizes))]


def _first(inputs: Sequence[list[Size]]) -> list[Size] | None:
    return inputs[0]


def _concat(inputs: Sequence[list[Size]]) -> list[Size] | None:
    return [size for part in inputs for size in part]


def _gather(inputs: Sequence[list[Size]]) -> list[Size] | None:
    data, *rest = inputs
    places = _numbers(rest)
    if places is None or any(not -len(data) <= i < len(data) for i in places):
        return None
    return [data[i] for i in places]


def _slice(inputs: Sequence[list[Size]]) -> list[Size] | None:
    """A slice of the one axis there is: starts, ends, then axes and steps or neither."""
    data, *rest = inputs
    stated = _numbers(rest)
    if stated is None or not 2 <= len(stated) <= 4:
        return None
    start, end, _, step = [*stated, 0, 1][:4] if len(stated) == 2 else [*stated, 1][:4]
    return data[start:end:step] if step else None


def _product(inputs: Sequence[list[Size]]) -> list[Size] | None:
    pairs = _paired(inputs)
    return None if pairs is None else [times(*pair) for pair in pairs]


def _quotient(inputs: Sequence[list[Size]]) -> list[Size] | None:
    """Exact quotients: rounding would need the sizes themselves."""
    pairs = _paired(inputs)
    if pairs is None or any(d[1] or d[0] < 1 or n[0] % d[0] for n, d in pairs):
        return None
    return [(n[0] // d[0], n[1]) for n, d in pairs]


def _paired(inputs: Sequence[list[Size]]) -> list[tuple[Size, Size]] | None:
    """Two tensors element by element, a single element standing for as many as needed."""
    if len(inputs) != 2 or not all(inputs):
        return None
    one, other = inputs
    count = max(len(one), len(other))
    if not {len(one), len(other)} <= {1, count}:
        return None
    return list(zip(one * (count // len(one)), other * (count // len(other)), strict=True))


def _numbers(parts: Sequence[list[Size]]) -> list[int] | None:
    """The entries of all parts, when none holds a symbol."""
    entries = [size for part in parts for size in part]
    return None if any(symbols for _, symbols in entries) else [number for number, _ in entries]


_FOLLOWED: dict[str, Callable[[Sequence[list[Size]]], list[Size] | None]] = {
    "Cast": _first,
    "Concat": _concat,
    "Div": _quotient,
    "Gather": _gather,
    "Identity": _first,
    "Mul": _product,
    "Reshape": _first,
    "Slice": _slice,
    "Squeeze": _first,
    "Unsqueeze": _first,
}
