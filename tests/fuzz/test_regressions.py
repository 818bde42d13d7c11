"""What fuzzing found, each made as small as it goes; the name of a test says what it was."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxstride.errors import InvalidGraph, InvalidNode
from onnxstride.registry import find_rewrite, load_rewrites
from onnxstride.verify import Runner
from tests.graph.building import function, graph_of, model, node, value

from . import agreement, reading, spacious
from .graphs import Case

_GENEROUS = 1 << 30
"""Bytes, those of the interpreter and its libraries included."""

needs_peak = pytest.mark.skipif(
    sys.platform == "win32", reason="no way to ask a process for the peak of its memory"
)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner(threads=1, timeout=60) as started:
        yield started


def faults(proto: onnx.ModelProto) -> list[str]:
    """What reading the model breaks."""
    return reading.faults(proto.SerializeToString(), reading.QUICK)


def shape_tensor(*entries: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    return np.array(entries, np.int64)


def test_a_reshape_to_fewer_axes_than_the_transpose_behind_it_moves() -> None:
    """A chain that contradicts itself is no pixel shuffle."""
    proto = model(
        node("Reshape", "x split", "a"),
        node("Transpose", "a", "b", perm=[0, 1, 4, 2, 5, 3]),
        node("Reshape", "b whole", "y"),
        inputs={"x": [1, 4, 3, 3]},
        weights={"split": shape_tensor(36), "whole": shape_tensor(1, 1, 6, 6)},
    )
    assert faults(proto) == []
    assert graph_of(proto).layers == ()


def test_a_strided_pool_of_a_tensor_that_nothing_defines() -> None:
    """It has no listed reader, not even the pool, and is judged by the pool alone."""
    pool = node("MaxPool", "nothing", "y", kernel_shape=[1, 1], strides=[2, 2])
    assert faults(model(pool, inputs={"x": [1, 1, 4, 4]})) == []


def test_a_reshape_declared_to_make_another_rank_than_it_is_asked_for() -> None:
    """What runs is what is asked for."""
    proto = model(
        node("Reshape", "x target", "a"),
        node("MaxPool", "a", "y", kernel_shape=[2, 2]),
        inputs={"x": [1, 4, 6, 6]},
        weights={"target": shape_tensor(1, 4, 6, 6)},
        values=[value("a", [1, 4, 36])],
    )
    assert faults(proto) == []


def test_a_resize_of_a_tensor_without_axes() -> None:
    """It is a node that no runtime can accept."""
    proto = model(
        node("Resize", "x scales", "y"),
        inputs={"x": None},
        weights={"scales": np.zeros(0, np.float32)},
        opset=10,
    )
    assert faults(proto) == []
    assert [type(fault) for fault in graph_of(proto).faults] == [InvalidNode]


def test_two_nodes_that_make_a_tensor_of_one_name() -> None:
    """Nobody can tell which of the two is to be rewritten: the model is refused."""
    proto = model(
        node("AveragePool", "x", "y", kernel_shape=[2, 2]),
        node("AveragePool", "x", "y", kernel_shape=[3, 3]),
        inputs={"x": [1, 1, 4, 4]},
    )
    case = Case(proto, {"x": (1, 1, 4, 4)})
    loaded = find_rewrite(load_rewrites(), "avgpool-to-conv")
    with pytest.raises(InvalidGraph, match="another node defines as well"):
        agreement.asked(case, loaded, Runner())


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_a_layer_in_a_function_has_the_type_that_it_is_called_with(
    kind: int, runner: Runner
) -> None:
    """New weights of a pool in a local function are of the type that the calls pass."""
    pool = node("AveragePool", "a", "b", kernel_shape=[2, 2])
    proto = model(
        helper.make_node("Block", ["x"], ["y"], domain="f"),
        inputs=[value("x", [1, 1, 4, 4], kind)],
        functions=[function("Block", "a", "b", pool)],
    )
    case = Case(proto, {"x": (1, 1, 4, 4)})
    loaded = find_rewrite(load_rewrites(), "avgpool-to-conv")
    ran = agreement.ran(case, runner)
    assert ran is not None
    assert agreement.rewritten(case, loaded, runner) is not None
    assert agreement.rewrite_faults(case, ran, loaded, runner) == []


def test_a_function_called_with_two_types_has_none() -> None:
    """A rewrite would have to choose, and refuses."""
    pool = node("AveragePool", "a", "b", kernel_shape=[2, 2])
    proto = model(
        helper.make_node("Block", ["x"], ["y"], domain="f"),
        helper.make_node("Block", ["h"], ["z"], domain="f"),
        inputs=[value("x", [1, 1, 4, 4]), value("h", [1, 1, 4, 4], TensorProto.FLOAT16)],
        out="y z",
        functions=[function("Block", "a", "b", pool)],
    )
    (layer,) = graph_of(proto).layers
    assert layer.sizes == (4, 4)
    assert layer.node.scope.element_type("a") is None


MISJUDGED = {
    "a pool whose last window would begin behind the map": (
        node("MaxPool", "x", "a", kernel_shape=[1, 1], strides=[2, 2], ceil_mode=1),
        13,
    ),
    "a pool whose last window would begin in the padding": (
        node(
            "AveragePool", "x", "a", kernel_shape=[3, 3], strides=[3, 3], pads=[1] * 4, ceil_mode=1
        ),
        17,
    ),
    "a pool whose rounding is neither up nor down": (
        node("LpPool", "x", "a", kernel_shape=[3, 3], strides=[4, 4], ceil_mode=5),
        25,
    ),
    "a transposed convolution of implicit padding with more of it": (
        node(
            "ConvTranspose",
            "x w",
            "a",
            strides=[2, 2],
            output_padding=[1, 1],
            auto_pad="SAME_UPPER",
        ),
        17,
    ),
}


@pytest.mark.parametrize("place", ["main", "body", "function"])
@pytest.mark.parametrize(("layer", "opset"), MISJUDGED.values(), ids=MISJUDGED)
def test_sizes_that_onnx_infers_otherwise_than_they_are(
    layer: onnx.NodeProto, opset: int, place: str, runner: Runner
) -> None:
    """What is stated of the tensors behind such a layer is what ONNX Runtime makes."""
    proto = _placed(layer, opset, place)
    case = agreement.ran(Case(proto, {"x": (1, 1, 6, 8)}), runner)
    assert case is not None
    assert agreement.faults(case) == []


def _placed(layer: onnx.NodeProto, opset: int, place: str) -> onnx.ModelProto:
    """A model with the layer in its main graph, in a branch, or in a function; a Relu behind it."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 3, 3], np.ones(9, np.float32))
    constant = helper.make_node("Constant", [], ["w"], value=weight)
    nodes, functions = [constant, layer], []
    if place == "body":
        inside = [constant, layer, node("Identity", "a", "b")]
        branch = helper.make_graph(inside, "branch", [], [value("b")])
        always = helper.make_tensor("c", TensorProto.BOOL, [], [True])
        nodes = [
            helper.make_node("Constant", [], ["c"], value=always),
            helper.make_node("If", ["c"], ["chosen"], then_branch=branch, else_branch=branch),
        ]
    elif place == "function":
        opsets = [helper.make_opsetid("", opset)]
        functions = [helper.make_function("f", "Block", ["x"], ["a"], [constant, layer], opsets)]
        nodes = [helper.make_node("Block", ["x"], ["a"], domain="f")]
    relu = node("Relu", "chosen" if place == "body" else "a", "y")
    # ONNX Runtime makes room for what a branch hands out as inference has it, and then fails.
    sizes: list[int | str | None] = [1, 1, "H", "W"] if place == "body" else [1, 1, 6, 8]
    return model(*nodes, relu, inputs={"x": sizes}, functions=functions, opset=opset)


def test_a_node_that_reads_what_it_makes() -> None:
    """It is not rewritten, and nothing is printed about it."""
    proto = model(node("AveragePool", "y", "y", kernel_shape=[2, 2]), inputs={"x": [1, 1, 4, 4]})
    loaded = find_rewrite(load_rewrites(), "avgpool-to-conv")
    with pytest.raises(InvalidGraph, match="makes itself"):
        agreement.asked(Case(proto, {}), loaded, Runner())


def test_maps_of_an_unknown_size_that_meet_maps_of_a_known_one() -> None:
    """The meeting has the size that is known, whatever is known of the other."""
    proto = model(
        node("MaxPool", "x", "a", kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("MaxPool", ["a"], ["b"], strides=[2, 2]),
        node("ConvTranspose", "b w", "c", strides=[2, 2]),
        node("Concat", "a c", "d", axis=1),
        node("MaxPool", "d", "e", kernel_shape=[2, 2], strides=[2, 2]),
        node("ConvTranspose", "e v", "f", strides=[2, 2]),
        node("Concat", "d f", "y", axis=1),
        inputs={"x": [1, 1, "H", 9]},
        weights={"w": [1, 1, 2, 2], "v": [2, 1, 2, 2]},
    )
    assert faults(proto) == []


def test_maps_of_different_ranks_side_by_side() -> None:
    """No runtime joins them, and nothing is known of what they make."""
    proto = model(
        node("MaxPool", "x", "a", kernel_shape=[2, 2]),
        node("Concat", "z a", "b", axis=3),
        node("MaxPool", "b", "y", kernel_shape=[2, 2]),
        inputs={"x": [1, 1, 6, 6], "z": [1, 1, 6]},
    )
    assert faults(proto) == []


def test_a_reshape_to_no_elements() -> None:
    """A dimension of size 0 is made of no dimension of the map before."""
    proto = model(
        node("MaxPool", "x", "a", kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", "a target", "b", allowzero=1),
        node("MaxPool", "b", "y", kernel_shape=[2, 2]),
        inputs={"x": [1, 4, 6, 6]},
        weights={"target": shape_tensor(1, 0, 6, 6)},
    )
    assert faults(proto) == []


@pytest.mark.parametrize(("block", "group"), [(2**31, 1), (3, 1), (2, 3)])
def test_a_pixel_shuffle_of_blocks_that_its_channels_do_not_fill(
    block: int, group: int, runner: Runner
) -> None:
    """It is no transposed convolution, and refused as one."""
    proto = model(
        node("Conv", "x w", "a", group=group),
        node("DepthToSpace", "a", "y", blocksize=block),
        inputs={"x": [1, group, 4, 4]},
        weights={"w": [4, 1, 1, 1]},
    )
    loaded = find_rewrite(load_rewrites(), "subpixel-to-deconv")
    assert agreement.rewritten(Case(proto, {}), loaded, runner) is None


def test_an_element_type_that_there_is_not() -> None:
    """A rewrite that asks for the type of such a map is told that it is unknown."""
    pool = node("AveragePool", "x", "y", kernel_shape=[2, 2])
    proto = model(pool, inputs=[value("x", [1, 1, 4, 4], 29)])
    for loaded in load_rewrites():
        assert agreement.rewritten(Case(proto, {}), loaded, Runner()) is None


def test_weights_that_are_no_numbers() -> None:
    """Signalling NaNs among them give no warning on the terminal."""
    weight = np.full((2, 2, 3, 3), 0x7FA00001, np.uint32).view(np.float32)
    for op_type in ("Conv", "ConvTranspose"):
        layer = node(op_type, "x w", "y", strides=[2, 2])
        assert faults(model(layer, inputs={"x": [1, 2, 8, 8]}, weights={"w": weight})) == []


def test_a_cast_of_a_constant_that_its_type_does_not_hold() -> None:
    """Sizes that are no numbers, made integers as the model runs, give no warning either."""
    proto = model(
        node("Cast", "c", "target", to=TensorProto.INT64),
        node("Reshape", "x target", "a"),
        node("MaxPool", "a", "y", kernel_shape=[2, 2]),
        inputs={"x": [1, 1, 4, 4]},
        weights={"c": np.array([1, 1, np.nan, np.inf], np.float32)},
    )
    assert faults(proto) == []


def test_a_name_that_is_no_text() -> None:
    """Bytes that are no UTF-8 in the name of a graph or a node are shown as escapes."""
    pool = helper.make_node("MaxPool", ["x"], ["y"], "a name", kernel_shape=[2, 2], strides=[2, 2])
    proto = model(pool, inputs={"x": [1, 1, 4, 4]})
    proto.graph.name = "a name"
    data = proto.SerializeToString()
    assert data.count(b"a name") == 2
    assert reading.faults(data.replace(b"a name", b"\xff name"), reading.QUICK) == []


@needs_peak
@pytest.mark.parametrize("exponent", [22, 23, 26, 31])
def test_a_window_of_any_size_takes_no_gigabytes(exponent: int) -> None:
    """Strides, dilations, kernels and channels: no rewrite makes up an element for each of so many.

    The peak of a process that asks every rewrite for every layer; 2^22 numbers are 32 MiB.
    """
    asked = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.spacious", str(exponent)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["peak"] < _GENEROUS, asked.stdout


@needs_peak
def test_a_process_that_takes_gigabytes_is_told() -> None:
    """The measure above sees an array of a gigabyte and a half."""
    assert spacious.peak_of("import numpy; numpy.ones(3 << 26)") > _GENEROUS
