"""Every spelling of a resolution-changing operator, listed once.

Quantised and fused operators, and those of runtimes that keep channels last or in blocks, live
in domains of their own. An entry says which ONNX operator one amounts to and where it keeps its
weight; its feature map is always the first input.
"""

from __future__ import annotations

from typing import NamedTuple

from .attributes import integer
from .scope import DEFAULT_DOMAIN, Node

_MICROSOFT = "com.microsoft"
_NCHWC = "com.microsoft.nchwc"
_NHWC = "com.ms.internal.nhwc"
_QONNX_LAST = "qonnx.custom_op.channels_last"


class Spelling(NamedTuple):
    """How one operator of one domain writes a layer."""

    op: str
    weight: int = 1
    bias: int = 2
    pads: int = -1  # input that holds the padding; the pads attribute does when negative
    channels_last: bool = False
    kernel_in_weight: bool = True  # weight dimensions 2.. are the kernel


SPELLINGS = {
    (DEFAULT_DOMAIN, "Conv"): Spelling("Conv"),
    (DEFAULT_DOMAIN, "ConvInteger"): Spelling("Conv", bias=-1),
    (DEFAULT_DOMAIN, "QLinearConv"): Spelling("Conv", weight=3, bias=8),
    (_MICROSOFT, "FusedConv"): Spelling("Conv"),
    (_MICROSOFT, "QLinearConv"): Spelling("Conv", weight=3, bias=8),
    (_MICROSOFT, "NhwcFusedConv"): Spelling("Conv", channels_last=True),
    (_MICROSOFT, "NhwcConv"): Spelling("Conv", channels_last=True, kernel_in_weight=False),
    (_NCHWC, "Conv"): Spelling("Conv", kernel_in_weight=False),
    (_NHWC, "Conv"): Spelling("Conv", channels_last=True),
    (_NHWC, "FusedConv"): Spelling("Conv", channels_last=True),
    (_NHWC, "QLinearConv"): Spelling("Conv", weight=3, bias=8, channels_last=True),
    (_QONNX_LAST, "Conv"): Spelling("Conv", channels_last=True, kernel_in_weight=False),
    (DEFAULT_DOMAIN, "ConvTranspose"): Spelling("ConvTranspose"),
    (_NHWC, "ConvTranspose"): Spelling("ConvTranspose", channels_last=True),
    (_NHWC, "QLinearConvTranspose"): Spelling("ConvTranspose", 3, 8, channels_last=True),
    (_MICROSOFT, "ConvTransposeWithDynamicPads"): Spelling("ConvTranspose", bias=3, pads=2),
    (DEFAULT_DOMAIN, "MaxPool"): Spelling("MaxPool"),
    (_MICROSOFT, "MaxpoolWithMask"): Spelling("MaxPool"),
    (_MICROSOFT, "NhwcMaxPool"): Spelling("MaxPool", channels_last=True),
    (_NCHWC, "MaxPool"): Spelling("MaxPool"),
    (_NHWC, "MaxPool"): Spelling("MaxPool", channels_last=True),
    (_QONNX_LAST, "MaxPool"): Spelling("MaxPool", channels_last=True),
    (DEFAULT_DOMAIN, "AveragePool"): Spelling("AveragePool"),
    (_MICROSOFT, "QLinearAveragePool"): Spelling("AveragePool"),
    (_NCHWC, "AveragePool"): Spelling("AveragePool"),
    (_NHWC, "AveragePool"): Spelling("AveragePool", channels_last=True),
    (_NHWC, "QLinearAveragePool"): Spelling("AveragePool", channels_last=True),
    (DEFAULT_DOMAIN, "LpPool"): Spelling("LpPool"),
    (_NHWC, "LpPool"): Spelling("LpPool", channels_last=True),
    (DEFAULT_DOMAIN, "GlobalAveragePool"): Spelling("GlobalAveragePool"),
    (DEFAULT_DOMAIN, "GlobalMaxPool"): Spelling("GlobalMaxPool"),
    (DEFAULT_DOMAIN, "GlobalLpPool"): Spelling("GlobalLpPool"),
    (_MICROSOFT, "QLinearGlobalAveragePool"): Spelling("GlobalAveragePool"),
    (_NCHWC, "GlobalAveragePool"): Spelling("GlobalAveragePool"),
    (_NCHWC, "GlobalMaxPool"): Spelling("GlobalMaxPool"),
    (_NHWC, "GlobalAveragePool"): Spelling("GlobalAveragePool", channels_last=True),
    (_NHWC, "GlobalMaxPool"): Spelling("GlobalMaxPool", channels_last=True),
    (_NHWC, "GlobalLpPool"): Spelling("GlobalLpPool", channels_last=True),
    (DEFAULT_DOMAIN, "Resize"): Spelling("Resize"),
    (DEFAULT_DOMAIN, "Upsample"): Spelling("Upsample"),
    (DEFAULT_DOMAIN, "DepthToSpace"): Spelling("DepthToSpace"),
    (DEFAULT_DOMAIN, "SpaceToDepth"): Spelling("SpaceToDepth"),
    (DEFAULT_DOMAIN, "Slice"): Spelling("Slice"),
}


def channels_last(node: Node, spelling: Spelling) -> bool:
    """True when the node's channels are the last dimension, by its domain or by attribute."""
    return spelling.channels_last or integer(node, "channels_last", 0) == 1
