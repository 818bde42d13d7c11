"""A map cut into blocks whose elements become channels: space to depth, of any rank."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from .fragment import Fragment

Blocks = Sequence[int | None] | str
"""Blocks along each spatial axis, None where unknown; or the tensor that holds their numbers."""


def is_single_operator(blocks: Sequence[int], *, by_channel: bool) -> bool:
    """True when SpaceToDepth does it: equal blocks along two axes, the channels phase by phase."""
    return len(blocks) == 2 and blocks[0] == blocks[1] and not by_channel


def gathered(
    fragment: Fragment,
    source: str,
    channels: int,
    blocks: Sequence[int],
    counts: Blocks,
    *,
    by_channel: bool,
) -> str:
    """The tensor with the elements of every block as channels.

    Args:
        fragment: where the nodes go.
        source: name of a tensor of shape (N, channels, spatial ..), sizes multiples of the blocks.
        channels: of the source.
        blocks: elements of a block along each spatial axis.
        counts: blocks along each spatial axis; of those given as numbers one may be unknown.
        by_channel: the elements of a channel lie next to each other, as groups of channels need;
            else the channels of an element do. The last axis runs fastest.
    """
    if is_single_operator(blocks, by_channel=by_channel):
        return fragment.add("SpaceToDepth", [source], label="blocks", blocksize=blocks[0])
    rank = len(blocks)
    cut = [i for i in range(rank) if blocks[i] > 1]
    inner = [3 + i + cut.index(i) for i in cut]
    outer = [2 + i + sum(other < i for other in cut) for i in range(rank)]
    split, merged = _shapes(fragment, channels, blocks, counts, cut)
    phases = [1, *inner] if by_channel else [*inner, 1]
    parts = fragment.add("Reshape", [source, split], label="parts")
    parts = fragment.add("Transpose", [parts], label="parts_first", perm=[0, *phases, *outer])
    return fragment.add("Reshape", [parts, merged], label="blocks")


def _shapes(
    fragment: Fragment, channels: int, blocks: Sequence[int], counts: Blocks, cut: Sequence[int]
) -> tuple[str, str]:
    """Shapes with each block cut out of its axis, and with the blocks among the channels.

    Both are picked from one list: 0 (which keeps a dimension), all channels, the sizes of the
    blocks, their numbers.
    """
    rank = len(blocks)
    known = [0, channels * prod(blocks), *blocks]
    number = {i: 2 + rank + i for i in range(rank)}
    split = [0, 0, *(place for i in range(rank) for place in (number[i], *[2 + i] * (i in cut)))]
    merged = [0, 1, *number.values()]
    if not isinstance(counts, str):
        whole = [*known, *(-1 if count is None else count for count in counts)]
        return (
            _constant(fragment, [whole[place] for place in split], "parts_shape"),
            _constant(fragment, [whole[place] for place in merged], "blocks_shape"),
        )
    start = _constant(fragment, known, "dimensions_start")
    dimensions = fragment.add("Concat", [start, counts], label="dimensions", axis=0)
    shapes = [
        fragment.add("Gather", [dimensions, _constant(fragment, places, f"{label}_places")],
                     label=label, axis=0)
        for label, places in (("parts_shape", split), ("blocks_shape", merged))
    ]  # fmt: skip
    return shapes[0], shapes[1]


def spatial_sizes(fragment: Fragment, source: str, rank: int) -> str:
    """Sizes of a tensor of shape (N, C, spatial ..) along its spatial axes, where it runs."""
    shape = fragment.add("Shape", [source], label="shape")
    ends = [
        _constant(fragment, [value], name)
        for name, value in (("first_axis", 2), ("last_axis", 2 + rank))
    ]
    return fragment.add("Slice", [shape, *ends], label="sizes")


def calculated(fragment: Fragment, source: str, *steps: tuple[str, str, Sequence[int]]) -> str:
    """Integers after steps of arithmetic, each (operator, label, operands); idle ones left out."""
    for op_type, label, values in steps:
        idle = 1 if op_type in ("Mul", "Div") else 0
        if any(value != idle for value in values):
            operand = _constant(fragment, values, f"{label}_operand")
            source = fragment.add(op_type, [source, operand], label=label)
    return source


def _constant(fragment: Fragment, values: Sequence[Any], label: str) -> str:
    return fragment.constant(np.array(values, np.int64), label)
