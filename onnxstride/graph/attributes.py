"""Attributes of a node as checked Python values.

A value of the wrong type or beyond any legal range is an ``InvalidNode``; a value that only the
caller of a local function knows is ``Unknown``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InvalidNode
from .scope import Node

if TYPE_CHECKING:
    from onnx import AttributeProto

# Numbers of AttributeProto.AttributeType, spelled out so that reading a graph needs no onnx import.
_FLOAT, _INT, _STRING, _FLOATS, _INTS = 1, 2, 3, 6, 7
_TYPE_NAMES = {_FLOAT: "a float", _INT: "an integer", _STRING: "a string",
               _FLOATS: "a list of floats", _INTS: "a list of integers"}  # fmt: skip

_LARGEST = 2**31 - 1
"""No runtime takes a kernel, stride, dilation or pad beyond 32 bits."""


class Unknown(Exception):
    """The model does not say what is needed; the text says what is missing."""


def invalid(node: Node, what: str) -> InvalidNode:
    """An InvalidNode that names the node."""
    return InvalidNode(f"{node.op_type} {node.name!r}: {what}")


def integer(node: Node, name: str, default: int) -> int:
    """The integer called ``name``; ``default`` when the node has none."""
    attribute = node.attributes.get(name)
    return default if attribute is None else int(_typed(node, name, attribute, _INT).i)


def number(node: Node, name: str) -> float | None:
    """The float called ``name``, or None when the node has none."""
    attribute = node.attributes.get(name)
    return None if attribute is None else float(_typed(node, name, attribute, _FLOAT).f)


def numbers(node: Node, name: str) -> tuple[float, ...] | None:
    attribute = node.attributes.get(name)
    return None if attribute is None else tuple(_typed(node, name, attribute, _FLOATS).floats)


def text(node: Node, name: str, default: str) -> str:
    """The string called ``name``; ``default`` when the node has none, or an empty one."""
    attribute = node.attributes.get(name)
    if attribute is None:
        return default
    return _typed(node, name, attribute, _STRING).s.decode("utf-8", "replace") or default


def integers(
    node: Node, name: str, *, at_least: int, length: int | None = None
) -> tuple[int, ...] | None:
    """The list called ``name``, or None when the node has none.

    Raises:
        InvalidNode: of another type or length, or with an entry out of range.
        Unknown: set by the caller of a local function, differently by different callers.
    """
    attribute = node.attributes.get(name)
    if attribute is None:
        return None
    values = tuple(_typed(node, name, attribute, _INTS).ints)
    if length is not None and len(values) != length:
        raise invalid(node, f"{name} {list(values)} should have {length} entries")
    if values and (min(values) < at_least or max(values) > _LARGEST):
        raise invalid(node, f"{name} {list(values)} should lie between {at_least} and 2^31 - 1")
    return values


def _typed(node: Node, name: str, attribute: AttributeProto, kind: int) -> AttributeProto:
    """The attribute, known here as ``name``, if its value is here and of this type."""
    if attribute.ref_attr_name:
        raise Unknown(f"{name} is set by the callers of the function, not all alike")
    # Files of IR version 1 leave the type out: the value then speaks for itself.
    if attribute.type not in (kind, 0):
        expected = _TYPE_NAMES[kind]
        raise invalid(node, f"attribute {name} should be {expected}")
    return attribute
