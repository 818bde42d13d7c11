"""A finding about a place where maps meet leads to the layers that can be changed."""

import pytest

from onnxstride.engine.upstream import Upstream
from onnxstride.graph import Graph, read_graph
from onnxstride.graph.layers import Conv, MaxPool, Resize
from onnxstride.modelfile import parse_text
from onnxstride.rule import NodeRef

LADDER = """
    net (float[N,2,H,W] x) => (float[N,2,P,Q] y)
    <float[4] twice = {1, 1, 2, 2}, float[2,2,3,3] w, float[2] b> {
        [pool1] p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
        [pool2] q = MaxPool <kernel_shape = [2,2], strides = [2,2]> (p)
        [up2] u = Resize (q, , twice)
        [inner] a = Add (p, u)
        [conv] c = Conv <pads = [1,1,1,1]> (a, w)
        [up1] v = Resize (c, , twice)
        [act] r = Relu (v)
        [outer] y = Add (x, r)
    }"""


def ref_of(graph: Graph, name: str) -> NodeRef:
    (found,) = [node.ref for node in graph.nodes() if node.name == name]
    return found


@pytest.mark.parametrize(
    ("node", "kind", "expected"),
    [
        pytest.param("up1", Resize, ["up1"], id="a layer is itself"),
        pytest.param("up1", MaxPool, [], id="unless it is of another kind"),
        pytest.param("outer", Resize, ["up1"], id="the nearest alone"),
        pytest.param("inner", Resize, ["up2"], id="another place, another layer"),
        pytest.param("inner", MaxPool, ["pool1", "pool2"], id="one along each way"),
        pytest.param("outer", Conv, ["conv"], id="further back, past other layers"),
        pytest.param("act", Resize, [], id="only places where maps meet"),
    ],
)
def test_layers_at(node: str, kind: type, expected: list[str]) -> None:
    """What a finding about a node leads to."""
    graph = read_graph(parse_text(LADDER))
    found = Upstream(graph).layers_at(ref_of(graph, node), (kind,))
    assert [layer.node.name for layer in found] == expected


def test_a_body_is_a_border() -> None:
    """Layers outside are not led to from inside."""
    graph = read_graph(
        parse_text("""
        net (float[1,2,H,W] x, bool big) => (float y) <float[4] twice = {1, 1, 2, 2}> {
            [up] u = Resize (x, , twice)
            y = If (big) <then_branch = one () => (float b) { [inside] b = Add (u, x) },
                          else_branch = two () => (float c) { c = Relu (u) }>
        }""")
    )
    assert Upstream(graph).layers_at(ref_of(graph, "inside"), (Resize,)) == []
