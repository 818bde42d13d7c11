"""Parameters and multiply-adds are what a reader counts by hand."""

import pytest

from onnxstride.engine.changes import Change
from onnxstride.engine.cost import multiply_adds, parameters
from onnxstride.graph import Graph, read_graph
from onnxstride.graph.scope import Node
from onnxstride.modelfile import parse_text
from tests.rewrites.running import rewritten

NODES = {
    # weights at 16 x 16 places, and a bias
    "c = Conv <strides = [2,2], pads = [0,0,1,1]> (x, w, b)": (8 * 4 * 9 + 8, 8 * 4 * 9 * 16 * 16),
    'c = Conv <strides = [2,2], auto_pad = "SAME_UPPER"> (x, w)': (288, 288 * 16 * 16),
    "c = Conv <pads = [0,0,0,0], group = 4> (x, depthwise)": (4 * 9, 4 * 9 * 30 * 30),
    # every input element meets every weight of its channel
    "c = ConvTranspose <strides = [2,2]> (x, up)": (4 * 2 * 4, 4 * 2 * 4 * 32 * 32),
    # a weight that is fed counts as work, not as a parameter
    "c = Conv (x, fed)": (0, 16 * 32 * 32),
    "c = MaxPool <kernel_shape = [2,2]> (x)": (0, 0),
    "c = Mul (x, b2)": (4, 0),
    "c = Add (b2, b2)": (4, 0),
    "c = Pad (x, pads)": (0, 0),
}


def node_of(text: str) -> tuple[Node, Graph]:
    graph = read_graph(
        parse_text(f"""
        <ir_version: 10, opset_import: ["": 22]>
        net (float[N,4,32,32] x, float[4,4,1,1] fed) => (float[N,C,P,Q] c)
        <float[8,4,3,3] w, float[8] b, float[4,1,3,3] depthwise, float[4,2,2,2] up,
            float[1,4,1,1] b2, int64[8] pads = {{0,0,1,1,0,0,1,1}}> {{
            {text}
        }}""")
    )
    return graph.nodes()[0], graph


@pytest.mark.parametrize(("text", "expected"), NODES.items())
def test_one_node(text: str, expected: tuple[int, int]) -> None:
    """For one sample, whatever the batch."""
    node, graph = node_of(text)
    assert (parameters([node]), multiply_adds([node], graph)) == expected


def test_shared_constants_count_once() -> None:
    """Two nodes that read one weight have its parameters once, and its work twice."""
    graph = read_graph(
        parse_text("""
        <ir_version: 10, opset_import: ["": 22]>
        net (float[1,4,8,8] x) => (float[1,4,8,8] z) <float[4,4,1,1] w> {
            y = Conv (x, w)
            z = Conv (y, w)
        }""")
    )
    assert parameters(graph.nodes()) == 16
    assert multiply_adds(graph.nodes(), graph) == 2 * 16 * 64


def test_constant_nodes_count() -> None:
    """In a function a weight is a Constant node."""
    graph = read_graph(
        parse_text("""
        <ir_version: 10, opset_import: ["": 22]>
        net (float[1,1,8,8] x) => (float[1,1,8,8] z) {
            w = Constant <value = float[1,1,1,1] {2}> ()
            z = Conv (x, w)
        }""")
    )
    assert parameters(graph.nodes()[1:]) == 1


@pytest.mark.parametrize(
    "text",
    ["c = Conv <strides = [2,2]> (open, w)", "c = Conv <kernel_shape = [1,1]> (x, shapeless)"],
)
def test_unknown_sizes_cost_an_unknown_amount(text: str) -> None:
    """One node of unknown cost makes the sum unknown."""
    graph = read_graph(
        parse_text(f"""
        <ir_version: 10, opset_import: ["": 22]>
        net (float[1,4,8,8] x, float[1,4,H,8] open, float[A,B,1,1] shapeless) => (float c)
        <float[4,4,1,1] w> {{
            a = Conv (x, w)
            {text}
        }}""")
    )
    assert multiply_adds(graph.nodes()[:1], graph) == 16 * 64
    assert multiply_adds(graph.nodes(), graph) is None


def change_at(size: str) -> Change:
    """The exact rewrite of a 2x2 pool over 8 channels."""
    model = parse_text(f"""
        net (float[N,8,{size},{size}] x) => (float[N,8,P,Q] y) {{
            y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
        }}""")
    (change,) = rewritten(model, "maxpool-to-exact-conv").changes
    return change


def test_the_cost_of_a_change() -> None:
    """A 2x2 pool of 8 channels: four convolutions of two taps, two of them on half the map."""
    change = change_at("32")
    assert (change.parameters_before, change.parameters_after) == (0, 8 * 8)
    rows, quarters = 2 * (8 * 2) * 16 * 32, 2 * (8 * 2) * 16 * 16
    assert (change.multiply_adds_before, change.multiply_adds_after) == (0, rows + quarters)


def test_the_cost_of_a_change_at_open_sizes() -> None:
    """Parameters are known, work is not."""
    change = change_at("S")
    assert change.parameters_after == 64
    assert change.multiply_adds_after is None
