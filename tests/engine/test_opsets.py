"""A raised operator set: what is let through means the same, and the rest is named."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import version_converter

from onnxstride.engine import opsets
from onnxstride.engine.opsets import LATEST, OLDEST, in_the_way, named, raise_imports
from onnxstride.graph import read_graph
from onnxstride.modelfile import ModelFile, parse_text
from tests.rewrites.running import Array, refusals, run, signal, whole
from tests.rewrites.test_node_tests import every_node_test

TARGET = 13


def raised(model: onnx.ModelProto, target: int) -> onnx.ModelProto:
    """A copy with newer imports and nothing else."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    raise_imports(copy, target)
    return copy


def blocking(model: onnx.ModelProto, target: int) -> list[str]:
    """Operators of the nodes in the way."""
    graph = read_graph(ModelFile.from_proto(model))
    return [node.op_type for node in in_the_way(graph, target)]


def model_of(opset: int, body: str, dims: str = "2,3,4,6") -> onnx.ModelProto:
    """A model whose ``body`` makes ``y`` from ``x``."""
    model = parse_text(f"""
        <ir_version: 7, opset_import: ["": {opset}]>
        net (float[{dims}] x) => (float y)
        <float[3] c = {{0.5, 1.5, 0.25}}, float[3,3,2,2] w, int64[2] flat = {{2, -1}},
         int64[3] each = {{3, 1, 1}}, int64[2] begin = {{0, 1}}, int64[2] end = {{2, 3}},
         int64[3] places = {{0, 2, 1}}, int64[5] whole = {{2, 2, 3, 4, 6}}, float low = {{-1}},
         float high = {{1}}, int64[8] pads = {{0,0,1,1,0,0,1,1}}, float[0] none,
         float[4] factors = {{1, 1, 2, 2}}> {{
            {body}
        }}""")
    return whole(model)


SAME = {
    "Conv": (7, "y = Conv <pads = [1,1,1,1], strides = [2,2]> (x, w, c)"),
    "ConvTranspose": (7, "y = ConvTranspose <strides = [2,2]> (x, w, c)"),
    "MaxPool": (7, "y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)"),
    "AveragePool": (10, "y = AveragePool <kernel_shape = [3,3], ceil_mode = 1> (x)"),
    "GlobalAveragePool": (7, "y = GlobalAveragePool (x)"),
    "BatchNormalization": (7, "y = BatchNormalization <epsilon = 0.01> (x, c, c, c, c)"),
    "InstanceNormalization": (7, "y = InstanceNormalization (x, c, c)"),
    "LRN": (7, "y = LRN <size = 3> (x)"),
    "Relu": (7, "y = Relu (x)"),
    "LeakyRelu": (7, "y = LeakyRelu <alpha = 0.1> (x)"),
    "PRelu": (7, "s = Reshape (c, each)\ny = PRelu (x, s)"),
    "Elu": (7, "y = Elu (x)"),
    "Sigmoid": (7, "y = Sigmoid (x)"),
    "Tanh": (7, "y = Tanh (x)"),
    "Clip of opset 11": (11, "y = Clip (x, low, high)"),
    "Add": (7, "y = Add (x, x)"),
    "Sum": (7, "y = Sum (x, x, x)"),
    "Max": (7, "y = Max (x, x)"),
    "Pow": (7, "y = Pow (x, high)"),
    "Concat": (7, "y = Concat <axis = 1> (x, x)"),
    "Flatten": (7, "y = Flatten (x)"),
    "Reshape": (7, "y = Reshape (x, flat)"),
    "Transpose": (7, "y = Transpose <perm = [0,2,3,1]> (x)"),
    "Shape": (7, "s = Shape (x)\ny = Cast <to = 1> (s)"),
    "Gather": (7, "y = Gather <axis = 1> (x, places)"),
    "Gemm": (7, "f = Flatten (x)\ny = Gemm <transB = 1> (f, f, low)"),
    "MatMul": (9, "t = Transpose <perm = [0,1,3,2]> (x)\ny = MatMul (x, t)"),
    "DepthToSpace": (7, "e = Concat <axis = 1> (x, x, x, x)\ny = DepthToSpace <blocksize = 2> (e)"),
    "SpaceToDepth": (7, "y = SpaceToDepth <blocksize = 2> (x)"),
    "Slice of opset 10": (10, "y = Slice (x, begin, end)"),
    "Pad of opset 11": (11, "y = Pad (x, pads)"),
    "Resize of opset 11": (11, "y = Resize (x, none, factors)"),
    "Expand": (8, "y = Expand (x, whole)"),
    "Where": (9, "g = Greater (x, low)\ny = Where (g, x, high)"),
    "ConstantOfShape": (9, "y = ConstantOfShape (end)"),
    "Constant": (7, "k = Constant <value = float[1] {2}> ()\ny = Mul (x, k)"),
    "Dropout in opset 12": (12, "y = Dropout (x)"),
    "Softmax along the last axis": (7, "y = Softmax <axis = 3> (x)"),
    "Softmax of a matrix": (7, "f = Flatten (x)\ny = Softmax (f)"),
    "ArgMax": (7, "m = ArgMax <axis = 1> (x)\ny = Cast <to = 1> (m)"),
    "ReduceMean": (7, "y = ReduceMean <axes = [2,3]> (x)"),
    "Squeeze of all": (7, "p = GlobalAveragePool (x)\ny = Squeeze (p)"),
    "Split into halves": (7, "y, z = Split <axis = 3> (x)"),
    "If": (11, """g = Constant <value = bool {1}> ()
            y = If (g) <then_branch = one () => (float a) { a = Relu (x) },
                        else_branch = two () => (float b) { b = Neg (x) }>"""),
}  # fmt: skip
"""Bodies that mean the same in opset 13, with the opset they are written for."""

OTHER = {
    "Upsample is gone": (9, "y = Upsample (x, factors)", "Upsample"),
    "Resize of opset 10 reads elsewhere": (10, "y = Resize (x, factors)", "Resize"),
    "Clip reads its bounds": (7, "y = Clip <min = 0.0, max = 6.0> (x)", "Clip"),
    "Clip had bounds without any": (7, "y = Clip (x)", "Clip"),
    "Slice reads its ends": (9, "y = Slice <starts = [0], ends = [1]> (x)", "Slice"),
    "Pad reads its pads": (7, "y = Pad <pads = [0,0,1,1,0,0,1,1]> (x)", "Pad"),
    "Dropout has lost its ratio": (7, "y = Dropout <ratio = 0.3> (x)", "Dropout"),
    "the mask of Dropout has become a truth": (7, "y, m = Dropout (x)", "Dropout"),
    "BatchNormalization has lost spatial": (
        7, "y = BatchNormalization <spatial = 1> (x, c, c, c, c)", "BatchNormalization",
    ),
    "Squeeze reads its axes": (
        11, "p = GlobalAveragePool (x)\ny = Squeeze <axes = [2,3]> (p)", "Squeeze",
    ),
    "Unsqueeze reads its axes": (11, "y = Unsqueeze <axes = [0]> (x)", "Unsqueeze"),
    "ReduceSum reads its axes": (7, "y = ReduceSum <axes = [2]> (x)", "ReduceSum"),
    "Softmax took all axes from one on": (11, "y = Softmax <axis = 1> (x)", "Softmax"),
    "Softmax took all axes from its default on": (11, "y = Softmax (x)", "Softmax"),
    "an operator nobody knows": (7, "y = ImageScaler <scale = 1.0> (x)", "ImageScaler"),
    "Scatter has been replaced": (9, "y = Scatter (c, places, c)", "Scatter"),
}  # fmt: skip
"""Bodies that do not, with the operator in the way."""


@pytest.mark.parametrize(("opset", "body"), SAME.values(), ids=SAME)
def test_what_is_let_through(opset: int, body: str) -> None:
    """The converter of onnx leaves the nodes as they are, and ONNX Runtime gives the same bits."""
    before = model_of(opset, body)
    assert blocking(before, TARGET) == []
    converted = version_converter.convert_version(before, TARGET)
    assert [spelled(node) for node in converted.graph.node] == [
        spelled(node) for node in before.graph.node
    ]
    x = {"x": signal((2, 3, 4, 6))}
    for target in (TARGET, LATEST):
        if not blocking(before, target):
            np.testing.assert_array_equal(run(raised(before, target), x)[0], run(before, x)[0])


@pytest.mark.parametrize(("opset", "body", "expected"), OTHER.values(), ids=OTHER)
def test_what_is_in_the_way(opset: int, body: str, expected: str) -> None:
    """The node is named, and no other."""
    assert blocking(model_of(opset, body), TARGET) == [expected]


def test_converted_nodes_are_in_the_way() -> None:
    """Whatever the converter of onnx writes anew is not let through."""
    anew: set[str] = set()
    for name, (opset, body, expected) in OTHER.items():
        try:
            converted = version_converter.convert_version(model_of(opset, body), TARGET)
        except (RuntimeError, IndexError):
            continue  # it refuses, or fails
        old = {spelled(node) for node in model_of(opset, body).graph.node}
        if any(spelled(node) not in old for node in converted.graph.node):
            anew.add(name)
            assert blocking(model_of(opset, body), TARGET) == [expected]
    assert len(anew) >= 6


def spelled(node: onnx.NodeProto) -> tuple[Any, ...]:
    """A node but for its name, and for the defaults that the converter writes down."""
    stated = sorted(
        each.SerializeToString(deterministic=True)
        for each in node.attribute
        if (node.op_type, each.name) not in _WRITTEN_DOWN
    )
    return node.op_type, tuple(node.input), tuple(node.output), tuple(stated)


_WRITTEN_DOWN = {("Softmax", "axis")}


def test_node_tests_mean_the_same() -> None:
    """What the backend tests of onnx spell for older sets gives the same bits in the latest."""
    seen: set[str] = set()
    for case in _older_node_tests():
        after = raised(case.model, LATEST)
        names = [value.name for value in case.model.graph.input]
        for inputs, _ in case.data_sets:
            feeds = dict(zip(names, inputs, strict=True))
            try:
                expected = run(case.model, feeds)
            except refusals():
                continue  # nothing that ONNX Runtime runs
            seen.update(node.op_type for node in case.model.graph.node)
            assert all(map(_are_equal, run(after, feeds), expected)), case.name
    assert len(seen) >= 90


def _older_node_tests() -> Iterator[Any]:
    for case in every_node_test():
        versions = [each.version for each in case.model.opset_import if not each.domain]
        arrays = [array for inputs, _ in case.data_sets for array in inputs]
        if not versions or not OLDEST <= versions[0] < LATEST:
            continue
        if all(isinstance(array, np.ndarray) for array in arrays) and not blocking(
            case.model, LATEST
        ):
            yield case


def _are_equal(found: Any, expected: Any) -> bool:
    """The same bits, of tensors and of sequences of them."""
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(_are_equal, found, expected))
    if not isinstance(expected, np.ndarray):
        return bool(found == expected)
    has_nan = expected.dtype.kind == "f"
    is_alike = found.shape == expected.shape and found.dtype == expected.dtype
    return is_alike and np.array_equal(found, expected, equal_nan=has_nan)


def test_a_change_of_meaning_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were Softmax let through whatever its axis, the values would tell."""
    opset, body, _ = OTHER["Softmax took all axes from one on"]
    before = model_of(opset, body)
    monkeypatch.setattr(opsets, "_CONDITIONS", {})
    assert blocking(before, TARGET) == []
    x: dict[str, Array] = {"x": signal((2, 3, 4, 6))}
    after = raised(before, TARGET)
    assert not np.array_equal(run(after, x)[0], run(before, x)[0])


def test_before_the_oldest() -> None:
    """Operators that broadcast by attribute are not judged; those that never changed may stay."""
    before = model_of(6, "a = Add <broadcast = 1, axis = 1> (x, c)\ny = Softsign (a)")
    assert blocking(before, TARGET) == ["Add"]


def test_beyond_the_latest() -> None:
    """What has changed since is not judged either."""
    before = model_of(13, "a = Relu (x)\ny = Flatten (a)")
    assert blocking(before, LATEST) == []
    assert blocking(before, LATEST + 1) == ["Flatten"]


def test_functions_count() -> None:
    """Their own imports are raised with the model's, newer ones stay."""
    model = parse_text("""
        <ir_version: 8, opset_import: ["": 11, "local": 1, "ai.onnx.ml": 2]>
        net (float[1,2,4,4] x) => (float[1,2,4,4] y) { z = local.old (x)  y = local.new (z) }
        <domain: "local", opset_import: ["": 11]>
        old (a) => (b) { b = Clip (a) }
        <domain: "local", opset_import: ["": 18]>
        new (a) => (b) { b = Relu (a) }""").proto
    assert blocking(model, TARGET) == []
    after = raised(model, TARGET)
    assert [(each.domain, each.version) for each in after.opset_import] == [
        ("", TARGET), ("local", 1), ("ai.onnx.ml", 2),
    ]  # fmt: skip
    assert [each.opset_import[0].version for each in after.functions] == [TARGET, 18]
    model.functions[0].node[0].op_type = "Upsample"
    assert blocking(model, TARGET) == ["Upsample"]


def test_names() -> None:
    """A few are named, the rest counted."""
    body = "\n".join(f"y{i} = Upsample (x, factors)" for i in range(5))
    graph = read_graph(ModelFile.from_proto(model_of(9, f"{body}\ny = Relu (x)")))
    nodes = in_the_way(graph, TARGET)
    assert named(nodes) == "Upsample 'y0', Upsample 'y1', Upsample 'y2' and 2 more"
    assert named(nodes[:1]) == "Upsample 'y0'"
