"""What convolutions and transposed convolutions that hypothesis draws have in common."""

from collections.abc import Iterable, Sequence
from typing import Any

from onnxstride.geometry import Axis

OPSETS = (7, 9, 10, 11, 13, 21, 22)
AUTO_PADS = ("NOTSET", "NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def stated(
    axes: Sequence[Axis], group: int, auto_pad: str, *, states_pads: bool = True
) -> dict[str, Any]:
    """The attributes of a window; pads only where nobody else chooses them."""
    attributes: dict[str, Any] = {
        "strides": [axis.stride for axis in axes],
        "dilations": [axis.dilation for axis in axes],
        "group": group,
    }
    if auto_pad != "NOTSET":
        attributes["auto_pad"] = auto_pad
    elif states_pads:
        attributes["pads"] = [axis.begin for axis in axes] + [axis.end for axis in axes]
    return attributes


def sizes_to_run(
    smallest: Sequence[int], size: Sequence[int], is_open: Sequence[bool], more: Iterable[int]
) -> list[tuple[int, ...]]:
    """The declared size; where axes are open, sizes beyond the smallest, odd and even ones."""
    if not any(is_open):
        return [tuple(size)]
    return [
        tuple(
            least + beyond + i if free else declared
            for i, (least, declared, free) in enumerate(zip(smallest, size, is_open, strict=True))
        )
        for beyond in more
    ]
