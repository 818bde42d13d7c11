"""Raising the operator set of a model: which nodes would mean something else then.

An operator has a version of its own, the operator set in which it last changed. A node means the
same in a newer set when its operator has not changed in between, or when every change since was

- more types, clearer words, or an attribute that the node does not have and whose default is what
  was done before: so read for the operators of ``_REVIEWED``, from ``OLDEST`` to ``LATEST``;
- and what the node says is still said that way: no attribute of it has gone or taken another
  default, no input has become required;
- and none of the changes of ``_CONDITIONS`` concerns it.

Whatever is not known to mean the same is in the way. Functions import their own operator sets; all
of the model's imports are raised together, so that calls stay between equals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..graph import Graph
from ..graph.scope import DEFAULT_DOMAIN, Node
from ..rewrite import Rewrite

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnx.defs import OpSchema

OLDEST = 7
"""Version from which on the changes were read; before it operators broadcast by attribute."""

LATEST = 22
"""Version up to which they were read."""

_REVIEWED = frozenset(
    (
        *("Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan"),
        *("Atanh", "AveragePool", "BatchNormalization", "Cast", "CastLike", "Ceil", "Celu"),
        *("Clip", "Compress", "Concat", "Constant", "ConstantOfShape", "Conv", "ConvTranspose"),
        *("Cos", "Cosh", "CumSum", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Elu"),
        *("Equal", "Erf", "Exp", "Expand", "EyeLike", "Flatten", "Floor", "GRU", "Gather"),
        *("GatherElements", "GatherND", "Gemm", "GlobalAveragePool", "GlobalLpPool"),
        *("GlobalMaxPool", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Hardmax"),
        *("Identity", "If", "InstanceNormalization", "IsInf", "IsNaN", "LRN", "LSTM"),
        *("LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "Loop", "LpNormalization"),
        *("LpPool", "MatMul", "Max", "MaxPool", "MaxUnpool", "Mean", "Min", "Mish", "Mod"),
        *("MeanVarianceNormalization", "Mul", "Neg", "NonMaxSuppression", "NonZero", "Not", "Or"),
        *("PRelu", "Pad", "Pow", "QLinearMatMul", "QuantizeLinear", "RNN", "Reciprocal"),
        *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"),
        *("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Resize"),
        *("Round", "Scan", "ScatterElements", "ScatterND", "Selu", "Shape", "Sigmoid", "Sign"),
        *("Sin", "Sinh", "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth"),
        *("Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu", "Tile"),
        *("TopK", "Transpose", "Unsqueeze", "Where", "Xor"),
    )
)

_SAME_DEFAULT = {("BatchNormalization", "spatial"), ("Dropout", "ratio")}
"""Attributes that went while what is done without them stayed."""


def in_the_way(graph: Graph, target: int) -> list[Node]:
    """Nodes not known to mean the same once every older import is raised to ``target``."""
    return [
        node
        for scope in graph.scopes
        if scope.opset() < target
        for node in scope.nodes
        if node.domain == DEFAULT_DOMAIN and not means_the_same(node, target)
    ]


def means_the_same(node: Node, target: int) -> bool:
    """True when a node of the default domain is known to mean the same at ``target``."""
    current = node.scope.opset()
    old, new = _schema(node.op_type, current), _schema(node.op_type, target)
    if old is None or new is None or new.deprecated:
        return False
    if old.since_version == new.since_version:
        return True
    is_read = current >= OLDEST and new.since_version <= LATEST
    if not is_read or node.op_type not in _REVIEWED:
        return False
    for (op_type, version), condition in _CONDITIONS.items():
        if op_type == node.op_type and old.since_version < version <= new.since_version:
            answer = condition(node)
            if answer is not None:
                return answer
    return _is_still_said(node, old, new)


def why_not(rewrite: Rewrite, current: int, target: int | None, obstacles: Iterable[Node]) -> str:
    """Why a site in a model of opset ``current`` is left alone; empty when the model is raised.

    ``obstacles`` are the nodes in the way that are not rewritten themselves.
    """
    needed = rewrite.opset
    if target is None:
        return f"it needs opset {needed} and the model has {current}; --opset {needed} lets it rise"
    if target < needed:
        return f"it needs opset {needed}, more than --opset {target} allows"
    if target > newest():
        return (
            f"--opset {target} is newer than {newest()}, the newest that the installed onnx knows"
        )
    blocking = named(obstacles)
    return f"not known to mean the same in opset {target}: {blocking}" if blocking else ""


def raise_imports(model: ModelProto, target: int) -> None:
    """Let every older import of the default domain, functions' included, be ``target``."""
    for imports in (model.opset_import, *(function.opset_import for function in model.functions)):
        for entry in imports:
            if entry.domain in _DEFAULT_NAMES and entry.version < target:
                entry.version = target


_DEFAULT_NAMES = ("", "ai.onnx")


def newest() -> int:
    """The newest operator set that the installed onnx knows."""
    from onnx import defs

    version: int = defs.onnx_opset_version()
    return version


def _schema(op_type: str, version: int) -> OpSchema | None:
    from onnx import defs

    try:
        return defs.get_schema(op_type, version, DEFAULT_DOMAIN)
    except defs.SchemaError:
        return None


def _is_still_said(node: Node, old: OpSchema, new: OpSchema) -> bool:
    """True when what the node states and what it leaves to defaults reads as before."""
    stated = {attribute.name for attribute in node.proto.attribute}
    if not stated <= set(new.attributes):
        return False
    for name, attribute in old.attributes.items():
        if name in stated or (node.op_type, name) in _SAME_DEFAULT:
            continue
        if _default(attribute) != _default(new.attributes.get(name)):
            return False
    return len(node.inputs) <= _most(new) and all(
        each.option != each.option.Single or node.input(position)
        for position, each in enumerate(new.inputs)
    )


def _most(schema: OpSchema) -> int:
    most: int = schema.max_input
    return most


def _default(attribute: Any) -> bytes:
    value = getattr(attribute, "default_value", None)
    return b"" if value is None else bytes(value.SerializeToString())


def _has_one_output(node: Node) -> bool | None:
    return None if not any(node.outputs[1:]) else False


def _rounds_down(node: Node) -> bool | None:
    """Opset 22 leaves out windows that start in the padding; only rounding up makes any."""
    ceil_mode = node.attributes.get("ceil_mode")
    return None if ceil_mode is None or ceil_mode.i == 0 else False


def _has_no_gone_coordinates(node: Node) -> bool | None:
    mode = node.attributes.get("coordinate_transformation_mode")
    return None if mode is None or mode.s != b"tf_half_pixel_for_nn" else False


def _never(node: Node) -> bool | None:
    """So with Resize, which read at i / scale before opset 11, and at half pixels since."""
    return False


def _is_split_by_input(node: Node) -> bool | None:
    """Without sizes, opset 18 wants num_outputs."""
    return None if node.input(1) else False


def _is_along_the_last_axis(node: Node) -> bool | None:
    """Before opset 13 all axes from the stated one on were one; since, the stated one is alone."""
    shape = node.scope.shape(node.input(0))
    if not shape:
        return False
    axis = node.attributes.get("axis")
    if axis is None:
        return len(shape) == 2  # the default was 1, and is -1
    return axis.i in (-1, len(shape) - 1)


_Condition = Callable[[Node], bool | None]
"""False where a change concerns the node, True where it surely does not, else None."""

_CONDITIONS: dict[tuple[str, int], _Condition] = {
    ("AveragePool", 22): _rounds_down,
    ("BatchNormalization", 14): _has_one_output,
    ("Dropout", 10): _has_one_output,
    ("Dropout", 12): _has_one_output,
    ("MaxPool", 22): _rounds_down,
    ("Resize", 11): _never,
    ("Resize", 13): _has_no_gone_coordinates,
    ("Scan", 9): _never,
    ("Split", 18): _is_split_by_input,
    **{(name, 13): _is_along_the_last_axis for name in ("Hardmax", "LogSoftmax", "Softmax")},
}


def named(nodes: Iterable[Node], most: int = 3) -> str:
    """The first nodes by operator and name, and how many more there are."""
    listed = list(nodes)
    first = ", ".join(f"{node.op_type} {node.name!r}" for node in listed[:most])
    more = len(listed) - most
    return first if more <= 0 else f"{first} and {more} more"
