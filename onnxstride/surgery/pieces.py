"""Small pieces of graph that several rewrites build, spelled as each opset wants them."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fragment import Fragment


def padded(
    fragment: Fragment,
    opset: int,
    source: str,
    rank: int,
    ends: Mapping[int, tuple[int, int]],
    *,
    mode: str = "constant",
    value: NDArray[Any] | None = None,
) -> str:
    """The tensor with elements added (or, where negative, cropped) along spatial axes.

    Args:
        fragment: where the Pad goes.
        opset: version in force; before 11 pads and value are attributes.
        source: name of a tensor of shape (N, C, spatial ..).
        rank: number of its spatial axes.
        ends: elements at begin and end, by spatial axis; axes left out keep their size.
        mode: ``constant``, ``edge`` or ``reflect``.
        value: a scalar of the tensor's type for constant padding; zero when None.
    """
    pads = [0] * (2 * (rank + 2))
    for axis, (begin, end) in ends.items():
        pads[axis + 2], pads[axis + 2 + rank + 2] = begin, end
    if not any(pads):
        return source
    label = "pad_axis" + "_".join(map(str, ends))
    if opset < 11:
        constant = {} if value is None else {"value": float(value)}
        return fragment.add("Pad", [source], label=label, mode=mode, pads=pads, **constant)
    inputs = [source, fragment.constant(np.array(pads, np.int64), f"{label}_pads")]
    if value is not None:
        inputs.append(fragment.constant(value.reshape(()), f"{label}_value"))
    return fragment.add("Pad", inputs, label=label, mode=mode)


def cropped(
    fragment: Fragment,
    opset: int,
    source: str,
    ends: Mapping[int, tuple[int, int]],
    *,
    label: str = "crop",
) -> str:
    """The tensor without so many elements at begin and end, by spatial axis."""
    taken = {axis + 2: pair for axis, pair in ends.items() if any(pair)}
    if not taken:
        return source
    limits = {
        "starts": [begin for begin, _ in taken.values()],
        "ends": [-end if end else _TO_THE_END for _, end in taken.values()],
        "axes": list(taken),
    }
    if opset < 10:
        return fragment.add("Slice", [source], label=label, **limits)
    inputs = [
        fragment.constant(np.array(values, np.int64), f"{label}_{name}")
        for name, values in limits.items()
    ]
    return fragment.add("Slice", [source, *inputs], label=label)


_TO_THE_END = int(np.iinfo(np.int64).max)


def interleaving(opset: int, blocks: Sequence[int], group: int) -> str:
    """How ``interleaved`` will be spelled: a mode of DepthToSpace, or ``Reshape``.

    DepthToSpace takes one block for both of two axes, and before opset 11 the mode DCR alone,
    whose channels lie phase by phase: groups of channels do not survive that.
    """
    if len(blocks) == 2 and blocks[0] == blocks[1]:
        if opset >= 11:
            return "CRD"
        if group == 1:
            return "DCR"
    return "Reshape"


def interleaved(
    fragment: Fragment,
    source: str,
    channels: int,
    blocks: Sequence[int],
    sizes: Sequence[int | None],
    *,
    spelling: str,
) -> str:
    """The phases of every channel put side by side: depth to space, of any rank and blocks.

    Args:
        fragment: where the nodes go.
        source: name of a tensor of shape (N, channels x phases, spatial ..), the phases of a
            channel next to each other, the last axis running fastest; for DCR the other way round.
        channels: of the result.
        blocks: phases along each spatial axis.
        sizes: of the source along each spatial axis; None where it is not known.
        spelling: as ``interleaving`` has it. Reshape needs opset 5.
    """
    if prod(blocks) == 1:
        return source
    if spelling in ("CRD", "DCR"):
        mode = {"mode": "CRD"} if spelling == "CRD" else {}
        return fragment.add(
            "DepthToSpace", [source], label="interleaved", blocksize=blocks[0], **mode
        )
    split, merged = _targets(fragment, source, channels, blocks, sizes)
    moved = [i for i, block in enumerate(blocks) if block > 1]
    perm = [0, 1]
    for i in range(len(blocks)):
        perm.append(2 + len(moved) + i)
        perm += [2 + moved.index(i)] if i in moved else []
    phases = fragment.add("Reshape", [source, split], label="phases")
    phases = fragment.add("Transpose", [phases], label="phases_behind", perm=perm)
    return fragment.add("Reshape", [phases, merged], label="interleaved")


def _targets(
    fragment: Fragment,
    source: str,
    channels: int,
    blocks: Sequence[int],
    sizes: Sequence[int | None],
) -> tuple[str, str]:
    """Shapes with the phases as dimensions of their own, and with each merged into its axis."""
    head = [0, channels]  # 0 keeps the batch, whatever its size
    split = [*head, *(block for block in blocks if block > 1)]
    if len(sizes) == 1 or sizes.count(None) <= 1:
        known = [-1] if len(sizes) == 1 else [-1 if size is None else size for size in sizes]
        last = [-1 if size < 0 else size * b for size, b in zip(known, blocks, strict=True)]
        return (
            fragment.constant(np.array([*split, *known], np.int64), "phases_shape"),
            fragment.constant(np.array([*head, *last], np.int64), "interleaved_shape"),
        )
    return _computed_targets(fragment, source, head, split, blocks)


def _computed_targets(
    fragment: Fragment, source: str, head: list[int], split: list[int], blocks: Sequence[int]
) -> tuple[str, str]:
    """The same from the sizes that the source turns out to have."""
    shape = fragment.add("Shape", [source], label="shape")
    places = fragment.constant(np.arange(2, 2 + len(blocks), dtype=np.int64), "spatial_axes")
    sizes = fragment.add("Gather", [shape, places], label="sizes", axis=0)
    factors = fragment.constant(np.array(blocks, np.int64), "blocks")
    larger = fragment.add("Mul", [sizes, factors], label="interleaved_sizes")
    targets = [
        fragment.add(
            "Concat", [fragment.constant(np.array(start, np.int64), f"{label}_start"), rest],
            label=f"{label}_shape", axis=0,
        )
        for label, start, rest in (("phases", split, sizes), ("interleaved", head, larger))
    ]  # fmt: skip
    return targets[0], targets[1]
