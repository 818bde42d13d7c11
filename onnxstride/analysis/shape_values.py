"""Operators on small tensors of sizes, each with what it makes of their entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..graph.attributes import Unknown, integer, integers
from ..graph.scope import Node
from .shape_arithmetic import (
    MOST_ENTRIES,
    Arithmetic,
    Entry,
    Sizes,
    from_constant,
    mapped,
    sizes_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLOATS = frozenset((1, 10, 11, 16))  # of TensorProto.DataType


def result_of(arithmetic: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    """The first output of a node of :data:`FOLLOWED`; None when it cannot be followed.

    ``inputs`` holds what is known of its inputs, None for one that is left out or not known.
    """
    known = [each for each in inputs if each is not None]
    if not known or any(each.entries.size > MOST_ENTRIES for each in known):
        return None
    try:
        result = FOLLOWED[node.op_type](arithmetic, node, inputs)
    except (Unknown, IndexError, TypeError, ValueError):
        return None
    return result if result is not None and result.entries.size <= MOST_ENTRIES else None


def _binary(name: str) -> _Follow:
    def follow(arithmetic: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
        return arithmetic.elementwise(getattr(arithmetic, name), inputs)

    return follow


def _subtract(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    return a.elementwise(lambda one, other: a.add(one, other, -1), inputs)


def _negate(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    return a.elementwise(lambda one: a.multiply(one, -1), inputs)


def _divide(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    are_floats = any(each is not None and each.is_float for each in inputs)
    return a.elementwise(a.divide if are_floats else a.divide_integers, inputs)


def _folding(*, largest: bool) -> _Follow:
    def follow(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
        return a.elementwise(lambda *each: a.extreme(each, largest=largest), inputs)

    return follow


def _is_greater(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    return a.elementwise(lambda one, other: a.is_less(other, one), inputs)


def _not(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    return a.elementwise(lambda one: a.is_equal(one, 0) if isinstance(one, int) else one, inputs)


def _cast(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    (given,) = inputs
    assert given is not None
    if integer(node, "to", 1) in _FLOATS:
        return given._replace(is_float=True)
    return Sizes(mapped(a.truncated, given.entries))


def _same(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    return inputs[0]


def _numbers(given: Sizes | None) -> list[int] | None:
    """The entries, where all are integers."""
    if given is None:
        return None
    flat = given.flat()
    return flat if all(isinstance(entry, int) for entry in flat) else None


def _arranged(given: Sizes, arrange: Callable[[NDArray[Any]], Any]) -> Sizes:
    """The tensor with its entries in another arrangement."""
    result = arrange(given.entries)
    if not isinstance(result, np.ndarray):
        single = np.empty((), object)
        single[()] = result
        result = single
    return Sizes(result, given.is_float)


def _axes(node: Node, inputs: Sequence[Sizes | None]) -> tuple[int, ...] | None:
    stated = integers(node, "axes", at_least=-64)
    if stated is not None or len(inputs) < 2:
        return stated
    numbers = _numbers(inputs[1])
    return None if numbers is None else tuple(numbers)


def _unsqueeze(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    axes, given = _axes(node, inputs), inputs[0]
    if axes is None or given is None:
        return None
    return _arranged(given, lambda entries: np.expand_dims(entries, axes))


def _squeeze(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    axes, given = _axes(node, inputs), inputs[0]
    return None if given is None else _arranged(given, lambda entries: np.squeeze(entries, axes))


def _gather(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    given, picked = inputs
    numbers = _numbers(picked)
    if given is None or picked is None or numbers is None:
        return None
    indices = np.array(numbers, np.int64).reshape(picked.entries.shape)
    axis = integer(node, "axis", 0)
    return _arranged(given, lambda entries: np.take(entries, indices, axis))


def _slice(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    given = inputs[0]
    if given is None:
        return None
    stated = [integers(node, name, at_least=-(2**31)) for name in ("starts", "ends", "axes")]
    read = [_numbers(each) for each in inputs[1:]]
    read += [None] * (4 - len(read))
    starts, ends, axes = (one or other for one, other in zip(stated, read, strict=False))
    if (
        not starts
        or not ends
        or any(each is None and name for each, name in zip(read, node.inputs[1:], strict=False))
    ):
        return None
    cuts = [slice(None)] * given.entries.ndim
    steps = read[3] or [1] * len(starts)
    for axis, start, end, step in zip(axes or range(len(starts)), starts, ends, steps, strict=True):
        before_the_first = step < 0 and end < -given.entries.shape[axis]
        cuts[axis] = slice(start, None if before_the_first else end, step)
    return _arranged(given, lambda entries: entries[tuple(cuts)])


def _concat(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    """Side by side; along one dimension an unknown part of unknown length stops it."""
    known = [each for each in inputs if each is not None]
    if len(known) < len(inputs):
        return None
    joined = np.concatenate([each.entries for each in known], integer(node, "axis", 0))
    return Sizes(joined, known[0].is_float)


def _reshape(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    given = inputs[0]
    target = _numbers(inputs[1]) if len(inputs) > 1 else integers(node, "shape", at_least=-1)
    if given is None or target is None or 0 in target:
        return None
    return _arranged(given, lambda entries: entries.reshape(tuple(target)))


def _transpose(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    perm, given = integers(node, "perm", at_least=0), inputs[0]
    return None if given is None else _arranged(given, lambda entries: entries.transpose(perm))


def _constant_of_shape(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    shape = _numbers(inputs[0])
    value = node.attributes.get("value")
    if shape is None or any(size > MOST_ENTRIES for size in shape):
        return None
    filling: Any = 0
    if value is not None:
        from onnx import numpy_helper

        filling = from_constant(numpy_helper.to_array(value.t).reshape(-1)[:1])
        if filling is None:
            return None
        filling = filling.flat()[0]
    entries = np.empty(tuple(shape), object)
    entries.fill(filling)
    return Sizes(entries, value is None)


def _expand(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    given, shape = inputs[0], _numbers(inputs[1])
    if given is None or shape is None or any(size > MOST_ENTRIES for size in shape):
        return None
    return _arranged(
        given,
        lambda entries: np.broadcast_to(entries, np.broadcast_shapes(entries.shape, tuple(shape))),
    )


def _product(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    return _reduced(a, node, inputs[0], a.multiply, 1)


def _sum(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    return _reduced(a, node, inputs[0], a.add, 0)


def _reduced(
    a: Arithmetic,
    node: Node,
    given: Sizes | None,
    operation: Callable[[Entry, Entry], Entry],
    result: Entry,
) -> Sizes | None:
    """All entries in one; along single dimensions of several it is not followed."""
    if given is None or given.entries.ndim > 1:
        return None
    for entry in given.flat():
        result = operation(result, entry)
    whole = sizes_of([result], is_float=given.is_float)
    return whole if integer(node, "keepdims", 1) else _arranged(whole, lambda each: each[0])


def _range(a: Arithmetic, node: Node, inputs: Sequence[Sizes | None]) -> Sizes | None:
    numbers = [_numbers(each) for each in inputs]
    limits = [each[0] for each in numbers if each]
    if len(limits) < 3 or len(range(*limits)) > MOST_ENTRIES:
        return None
    return sizes_of(range(*limits))


_Follow: TypeAlias = Callable[[Arithmetic, Node, Sequence[Sizes | None]], Sizes | None]

FOLLOWED: dict[str, _Follow] = {
    "Add": _binary("add"),
    "Cast": _cast,
    "Ceil": _binary("ceil"),
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Div": _divide,
    "Equal": _binary("is_equal"),
    "Expand": _expand,
    "Floor": _binary("floor"),
    "Gather": _gather,
    "Greater": _is_greater,
    "Identity": _same,
    "Less": _binary("is_less"),
    "Max": _folding(largest=True),
    "Min": _folding(largest=False),
    "Mod": _binary("modulo"),
    "Mul": _binary("multiply"),
    "Neg": _negate,
    "Not": _not,
    "Range": _range,
    "ReduceProd": _product,
    "ReduceSum": _sum,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _subtract,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _binary("chosen"),
}
"""Operators of the ONNX domain that are followed, by name."""
