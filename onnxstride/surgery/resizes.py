"""Resize by whole factors, spelled as each opset wants it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .fragment import Fragment

_UPSAMPLE, _SCALES_AS_INPUT, _RESIZE, _COORDINATES, _OPTIONAL_INPUTS = 7, 9, 10, 11, 13
"""Opsets from which there is Upsample, its scales are an input, it is called Resize, the mode of
coordinates is stated, and inputs may be left out."""


def no_enlargement(opset: int, mode: str) -> str:
    """Why ``enlarged`` cannot be built; empty when it can."""
    if mode not in ("nearest", "linear"):
        return f"mode is nearest or linear, found {mode!r}"
    needed = _UPSAMPLE if mode == "nearest" else _COORDINATES
    return f"a {mode} Resize needs opset {needed}" if opset < needed else ""


def enlarged(
    fragment: Fragment, opset: int, source: str, factors: Sequence[int], *, mode: str
) -> str:
    """The tensor enlarged along its spatial axes, by factors that are whole numbers.

    Nearest neighbours are repeated; linear interpolation takes pixels for areas (half_pixel).
    """
    if all(factor == 1 for factor in factors):
        return source
    scales = [1.0, 1.0, *map(float, factors)]
    if opset < _SCALES_AS_INPUT:
        return fragment.add("Upsample", [source], label="enlarged", mode=mode, scales=scales)
    scale = fragment.constant(np.array(scales, np.float32), "scales")
    if opset < _COORDINATES:
        op_type = "Upsample" if opset < _RESIZE else "Resize"
        return fragment.add(op_type, [source, scale], label="enlarged", mode=mode)
    attributes: dict[str, Any] = {"coordinate_transformation_mode": "half_pixel"}
    if mode == "nearest":
        attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    roi = "" if opset >= _OPTIONAL_INPUTS else fragment.constant(np.zeros(0, np.float32), "roi")
    return fragment.add("Resize", [source, roi, scale], label="enlarged", mode=mode, **attributes)
