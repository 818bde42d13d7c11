"""Small pieces of graph that several rewrites build, spelled as each opset wants them."""

from collections.abc import Mapping
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
