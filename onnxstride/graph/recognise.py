"""From a node to the layer it amounts to."""

from __future__ import annotations

from collections.abc import Callable

from . import resizes, shuffles, windows
from .attributes import Unknown, invalid
from .constants import Constants
from .dimensions import show, spatial_dims
from .layers import GlobalPool, Layer
from .scope import DEFAULT_DOMAIN, Node
from .spellings import SPELLINGS, Spelling, channels_last


def recognise(node: Node, constants: Constants) -> Layer | None:
    """The layer a node amounts to; None for every operator that is none.

    Raises:
        Unknown: the model does not say enough; the text says what is missing.
        InvalidNode: attributes that no runtime can accept.
        ModelError: a constant the geometry depends on is missing or damaged.
    """
    spelling = SPELLINGS.get((node.domain, node.op_type))
    if spelling is None:
        ends_chain = (node.domain, node.op_type) == (DEFAULT_DOMAIN, "Reshape")
        return shuffles.spelled_out(node, constants) if ends_chain else None
    if not node.input(0):
        raise invalid(node, "has no input")
    if spelling.op in ("Resize", "Upsample"):
        return resizes.resize(node, spelling, constants)
    if spelling.op == "Slice":
        return resizes.strided_slice(node, constants)
    return _READ.get(spelling.op, _global_pool)(node, spelling)


def _global_pool(node: Node, spelling: Spelling) -> GlobalPool:
    dims = spatial_dims(node, channels_last(node, spelling), None)
    if not dims:
        shape = node.scope.shape(node.input(0))
        if shape is not None:
            raise invalid(node, f"input of shape {show(shape)} has no spatial axis")
        raise Unknown("shape of the input is unknown")
    return GlobalPool(node, spelling.op, node.input(0), dims)


_READ: dict[str, Callable[[Node, Spelling], Layer]] = {
    "Conv": windows.conv,
    "ConvTranspose": windows.conv_transpose,
    "MaxPool": windows.max_pool,
    "AveragePool": windows.average_pool,
    "LpPool": windows.lp_pool,
    "DepthToSpace": shuffles.shuffle,
    "SpaceToDepth": shuffles.shuffle,
}
