"""Pixel shuffles: DepthToSpace, SpaceToDepth, and both spelled out as three operators.

With a block b_i per spatial axis and P = b_1 .. b_n, depth to space is

    folded (N, C P, S_1, .., S_n)  ->  unfolded (N, C, S_1 b_1, .., S_n b_n)

spelled Reshape - Transpose - Reshape: the channels split into the blocks and C (blocks first in
DCR, C first in CRD), each block moves behind its axis and merges with it. Space to depth is the
way back. Other rearrangements look alike (windows become batches, groups of channels change
places), so a shuffle is one only where the sizes prove it. A reshape keeps the order of the
elements and their number: it is the wanted one when all its groups of dimensions but one are
shown to keep their size, for the last then does too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from ..errors import ModelError
from .attributes import Unknown, integer, integers, invalid, text
from .constants import Constants
from .dimensions import positive, show, spatial_dims
from .layers import Shuffle
from .products import Size, elements, sizes_of, times
from .scope import DEFAULT_DOMAIN, Node
from .spellings import Spelling

_MOST_AXES = 3


def shuffle(node: Node, spelling: Spelling) -> Shuffle:
    """A DepthToSpace or SpaceToDepth."""
    if "blocksize" not in node.attributes:
        raise invalid(node, "blocksize is required, and missing")
    block = positive(node, "blocksize", 0)
    dims = spatial_dims(node, channels_last=False, rank=2)
    channels = (node.scope.shape(node.input(0)) or (None, None))[1]
    must_divide = dims if spelling.op == "SpaceToDepth" else (channels,)
    factor = block if spelling.op == "SpaceToDepth" else block * block
    if any(isinstance(size, int) and size % factor for size in must_divide):
        what = "sizes" if spelling.op == "SpaceToDepth" else "channels"
        raise invalid(
            node,
            f"blocksize {block} does not fit the input: {what} {show(must_divide)} should be "
            f"divisible by {factor}",
        )
    mode = text(node, "mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise invalid(node, f"mode {mode!r} is neither DCR nor CRD")
    return Shuffle(node, spelling.op, node.input(0), dims, (block,) * len(dims), mode)


def spelled_out(node: Node, constants: Constants) -> Shuffle | None:
    """The shuffle that ends in this Reshape; None when it is none, or cannot be shown to be."""
    try:
        chain = _chain(node)
        return None if chain is None else _shown(node, *chain, constants)
    except (ModelError, Unknown):  # a fault of some node before, and no shuffle of this one
        return None


def _shown(node: Node, first: Node, perm: tuple[int, ...], constants: Constants) -> Shuffle | None:
    back = tuple(perm.index(i) for i in range(len(perm)))
    for op, order in (("DepthToSpace", perm), ("SpaceToDepth", back)):
        layout = _layout(order)
        if layout is None:
            continue
        blocks = _Sizes(first, perm, node, constants).blocks(op, layout)
        if blocks is not None:
            dims = (first.scope.shape(first.input(0)) or ())[2:]
            return Shuffle(node, op, first.input(0), dims, blocks, layout.mode)
    return None


def _chain(node: Node) -> tuple[Node, tuple[int, ...]] | None:
    """The Reshape before and the permutation between, where ``node`` ends such a chain."""
    transpose = _before(node, "Transpose")
    first = transpose and _before(transpose, "Reshape")
    if transpose is None or first is None:
        return None
    perm = integers(transpose, "perm", at_least=0)
    if perm is None or sorted(perm) != list(range(len(perm))):
        return None
    return first, perm


def _before(node: Node, op_type: str) -> Node | None:
    """The node of this type whose output ``node`` reads, copies in between left out."""
    passed: set[Node] = set()  # a ring of copies has no end
    producer = node.scope.producer(node.input(0)) if node.input(0) else None
    while producer is not None and _is(producer, "Identity") and producer not in passed:
        passed.add(producer)
        producer = producer.scope.producer(producer.input(0))
    return producer if producer is not None and _is(producer, op_type) else None


def _is(node: Node, op_type: str) -> bool:
    return (node.domain, node.op_type) == (DEFAULT_DOMAIN, op_type)


class _Layout(NamedTuple):
    """Where the dimensions of a depth to space stand, split and before they move."""

    mode: str
    channel: int
    blocks: dict[int, int]  # position of the block of each axis that has one
    sizes: range  # positions of the spatial axes


def _layout(perm: Sequence[int]) -> _Layout | None:
    """The layout that ``perm`` moves to (N, C, S_1, b_1, .., S_n, b_n), if it is such a move.

    ``perm[2]`` is the first spatial axis: before it stand N, C and the blocks, of which an axis
    may have none.
    """
    if len(perm) < 4 or perm[0] != 0:
        return None
    first = perm[2]
    sizes = range(first, len(perm))
    channel, block = (1, 2) if perm[1] == 1 else (first - 1, 1)
    if perm[1] != channel or not 1 <= len(sizes) <= _MOST_AXES:
        return None
    blocks: dict[int, int] = {}
    expected = [0, channel]
    for axis, position in enumerate(sizes):
        expected.append(position)
        if len(expected) < len(perm) and perm[len(expected)] == block:
            blocks[axis] = block
            expected.append(block)
            block += 1
    if expected != list(perm) or not blocks:
        return None
    return _Layout("CRD" if channel == 1 else "DCR", channel, blocks, sizes)


class _Sizes:
    """Sizes before, between and after the two Reshapes, as far as they are known."""

    def __init__(self, first: Node, perm: Sequence[int], last: Node, constants: Constants) -> None:
        self._before = sizes_of(first.scope, first.input(0))
        self._split = _reshaped(first, self._before, constants)
        has_rank = self._split is not None and len(self._split) == len(perm)
        self._moved = [self._split[i] for i in perm] if self._split and has_rank else None
        self._after = _reshaped(last, self._moved, constants)

    def blocks(self, op: str, layout: _Layout) -> tuple[int, ...] | None:
        """Blocks per axis when the sizes prove that ``op`` is what happens; else None."""
        inner, outer = self._split, (self._before, self._after)
        if op == "SpaceToDepth":
            inner, outer = self._moved, (self._after, self._before)
        if inner is None or len(inner) != layout.sizes.stop:
            return None
        pairs = [
            (inner[position], inner[layout.blocks[axis]] if axis in layout.blocks else (1, ()))
            for axis, position in enumerate(layout.sizes)
        ]
        if any(symbols for _, (_, symbols) in pairs):
            return None
        blocks = tuple(block for _, (block, _) in pairs)
        batch, channels = inner[0], inner[layout.channel]
        folded = [batch, times((prod(blocks), ()), channels), *(size for size, _ in pairs)]
        unfolded = [batch, channels, *(times(*pair) for pair in pairs)]
        proven = _is_regrouped(outer[0], folded) and _is_regrouped(outer[1], unfolded)
        return blocks if proven and max(blocks) > 1 else None


def _is_regrouped(whole: Sequence[Size] | None, groups: Sequence[Size]) -> bool:
    """True when each of ``whole`` is the size of its group: all but one shown, or all."""
    if whole is None or len(whole) != len(groups):
        return False
    differing = [pair for pair in zip(whole, groups, strict=True) if pair[0] != pair[1]]
    contradicted = any(not one[1] and not other[1] for one, other in differing)
    return len(differing) <= 1 and not contradicted


def _reshaped(node: Node, before: Sequence[Size] | None, constants: Constants) -> list[Size] | None:
    """Sizes that a Reshape makes: what it asks for, else what is declared or inferred."""
    asked = elements(node.scope, node.input(1), constants)
    known = sizes_of(node.scope, node.output(0))
    if asked is None or (known is not None and len(known) != len(asked)):
        return known
    keeps_zero = integer(node, "allowzero", 0) == 1
    sizes: list[Size] = []
    for i, size in enumerate(asked):
        if size == (0, ()) and not keeps_zero and before is not None and i < len(before):
            sizes.append(before[i])
        elif size[0] > 0:
            sizes.append(size)
        else:
            sizes.append(known[i] if known is not None else (1, (f"{node.output(0)}[{i}]",)))
    return sizes
