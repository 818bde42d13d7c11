"""A fragment holds the nodes it was told to, under names of their own."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxstride.surgery import Fragment, padded

from .sites import ONE_POOL, model_of, names, site_of


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes of a node by name."""
    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def test_new_names_begin_with_the_node() -> None:
    """Nodes, their outputs and constants are called after the node and their label."""
    fragment = site_of(model_of(ONE_POOL)).fragment()
    weight = fragment.constant(np.ones(3, np.float32), "weight")
    first = fragment.add("Relu", ["x"])
    second = fragment.add("Relu", [first], label="again")
    assert (weight, first, second) == ("pool/weight", "pool/relu", "pool/again")
    fragment.add("Mul", [second, weight])
    finished = fragment.finished()
    assert names(finished.nodes) == ["pool/relu", "pool/again", "pool/mul"]
    assert [list(node.output) for node in finished.nodes] == [
        [name] for name in names(finished.nodes)
    ]
    assert names(finished.constants) == ["pool/weight"]


def test_taken_names_are_counted_on() -> None:
    """A name that the model or an earlier fragment has is given a number."""
    taken = {"pool/relu", "pool/relu_2"}
    site = site_of(model_of(ONE_POOL), taken=taken)
    assert site.fragment().add("Relu", ["x"]) == "pool/relu_3"
    assert site.fragment().constant(np.ones(1), "relu") == "pool/relu_4"
    assert {"pool/relu_3", "pool/relu_4"} <= taken


def test_a_nameless_node_lends_its_output() -> None:
    """Without a name of its own the node is known by its first output."""
    site = site_of(model_of(ONE_POOL.replace("[pool] ", "")), "y")
    assert site.fragment().add("Relu", ["x"]) == "y/relu"


def test_a_stand_in_has_the_old_tensors_name() -> None:
    """The node that makes it writes it, and the nodes of the fragment that read it follow."""
    fragment = site_of(model_of(ONE_POOL)).fragment()
    made = fragment.add("Relu", ["x"])
    fragment.add("Neg", [made], label="side")
    fragment.stand_in("y", made)
    relu, side = fragment.finished().nodes
    assert list(relu.output) == ["y"]
    assert list(side.input) == ["y"]
    assert relu.name == "pool/relu"


@pytest.mark.parametrize("source", ["input", "constant"])
def test_what_the_model_has_already_is_copied(source: str) -> None:
    """A tensor that keeps its own name stands in through an Identity."""
    fragment = site_of(model_of(ONE_POOL)).fragment()
    name = "x" if source == "input" else fragment.constant(np.ones(1, np.float32), "one")
    fragment.stand_in("y", name)
    (identity,) = fragment.finished().nodes
    assert identity.op_type == "Identity"
    assert (list(identity.input), list(identity.output)) == ([name], ["y"])


def test_an_input_left_out_is_empty() -> None:
    """Optional inputs before the last keep their place."""
    fragment = site_of(model_of(ONE_POOL)).fragment()
    sizes = fragment.constant(np.array([1, 8, 4, 4], np.int64), "sizes")
    fragment.stand_in("y", fragment.add("Resize", ["x", "", "", sizes], mode="linear"))
    (resize,) = fragment.finished().nodes
    assert list(resize.input) == ["x", "", "", sizes]


def test_a_constant_for_an_edited_node_alone() -> None:
    """It comes along although no new node reads it."""
    site = site_of(model_of(ONE_POOL))
    fragment = site.fragment()
    name = fragment.constant(np.full(3, 2, np.float32), "factor")
    fragment.edit(site.node, inputs={0: name})
    (constant,) = fragment.finished().constants
    assert constant.name == name
    np.testing.assert_array_equal(numpy_helper.to_array(constant), np.full(3, 2, np.float32))


def test_attributes_keep_their_kind() -> None:
    """Integers, floats, strings, lists of them, and arrays as tensors."""
    fragment = site_of(model_of(ONE_POOL)).fragment()
    value = np.array([[1, 2]], np.float16)
    fragment.add("Odd", ["x"], i=3, f=0.5, s="edge", ints=[1, 2], floats=[0.5, 1.0], t=value)
    (node,) = fragment.finished().nodes
    found = attributes(node)
    np.testing.assert_array_equal(numpy_helper.to_array(found.pop("t")), value)
    assert found == {"i": 3, "f": 0.5, "s": b"edge", "ints": [1, 2], "floats": [0.5, 1.0]}
    assert [each.type for each in node.attribute] == [
        onnx.AttributeProto.INT,
        onnx.AttributeProto.FLOAT,
        onnx.AttributeProto.STRING,
        onnx.AttributeProto.INTS,
        onnx.AttributeProto.FLOATS,
        onnx.AttributeProto.TENSOR,
    ]


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int64", "int8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_constants_keep_type_shape_and_values(shape: tuple[int, ...], dtype: str) -> None:
    """Scalars and empty arrays included."""
    fragment = site_of(model_of(ONE_POOL)).fragment()
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    fragment.add("Odd", ["x", fragment.constant(values, "c")])
    (tensor,) = fragment.finished().constants
    found = numpy_helper.to_array(tensor)
    assert (found.dtype, found.shape) == (values.dtype, values.shape)
    assert found.tobytes() == values.tobytes()


def annotated() -> Fragment:
    model = model_of(ONE_POOL)
    node = model.proto.graph.node[0]
    node.doc_string = "Halves."
    node.metadata_props.add(key="origin", value="layer3")
    node.output.append("indices")
    site = site_of(model)
    fragment = site.fragment()
    before = fragment.add("Relu", ["x"])
    fragment.edit(
        site.node, attributes={"strides": [1, 1], "ceil_mode": 1}, inputs={0: before}, outputs=1
    )
    return fragment


def test_an_edited_node_keeps_the_rest() -> None:
    """Name, documentation, metadata and other attributes stay, and it comes last."""
    relu, edited = annotated().finished().nodes
    assert relu.op_type == "Relu"
    assert (edited.name, edited.op_type, edited.doc_string) == ("pool", "MaxPool", "Halves.")
    assert [(each.key, each.value) for each in edited.metadata_props] == [("origin", "layer3")]
    assert attributes(edited) == {"kernel_shape": [2, 2], "strides": [1, 1], "ceil_mode": 1}
    assert (list(edited.input), list(edited.output)) == (["pool/relu"], ["y"])


def test_an_edit_leaves_the_model_alone() -> None:
    """The node in the model is not the one that is edited; what is None is dropped."""
    model = model_of(ONE_POOL)
    site = site_of(model)
    before = model.proto.SerializeToString()
    fragment = site.fragment()
    fragment.edit(site.node, attributes={"strides": None})
    assert attributes(fragment.finished().nodes[0]) == {"kernel_shape": [2, 2]}
    assert model.proto.SerializeToString() == before


@pytest.mark.parametrize("opset", [8, 10, 11, 13, 22])
@pytest.mark.parametrize("mode", ["constant", "edge"])
def test_padding_is_spelled_as_the_opset_wants(opset: int, mode: str) -> None:
    """Attributes before opset 11, inputs since; without padding there is no node."""
    fragment = Fragment("pool", opset, [], set())
    assert padded(fragment, opset, "x", 2, {0: (0, 0)}) == "x"
    value = np.array(-1, np.float32) if mode == "constant" else None
    padded(fragment, opset, "x", 2, {1: (1, 2), 0: (0, -1)}, mode=mode, value=value)
    finished = fragment.finished()
    (pad,) = finished.nodes
    stated = attributes(pad)
    pads = [0, 0, 0, 1, 0, 0, -1, 2]
    assert stated.pop("mode") == mode.encode()
    if opset < 11:
        assert stated == {"pads": pads} | ({"value": -1.0} if mode == "constant" else {})
        return
    assert stated == {}
    arrays = [numpy_helper.to_array(tensor) for tensor in finished.constants]
    assert arrays[0].tolist() == pads
    assert [array.shape for array in arrays[1:]] == ([()] if mode == "constant" else [])
