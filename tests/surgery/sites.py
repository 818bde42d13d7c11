"""Sites in small models, for fragments to be built at and spliced in."""

from typing import Any

import numpy as np
import onnx

from onnxstride.graph import Graph, read_graph
from onnxstride.graph.layers import Layer
from onnxstride.modelfile import ModelFile, parse_text
from onnxstride.rewrite import Options
from onnxstride.surgery import Fragment, Replacement, Site, splice

ONE_POOL = """
    net (float[N,8,H,W] x) => (float[N,8,P,Q] y) {
        [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
    }"""


def model_of(text: str) -> ModelFile:
    """The model that the text describes."""
    return parse_text(text)


def layer_of(graph: Graph, name: str) -> Layer:
    """The layer whose node has this name."""
    (found,) = [layer for layer in graph.layers if layer.node.name == name]
    return found


def site_of(model: ModelFile, name: str = "pool", *, taken: set[str] | None = None) -> Site:
    """The place of the layer with this name."""
    graph = read_graph(model)
    return Site(layer_of(graph, name), graph, Options(), set() if taken is None else taken)


def put_in(model: ModelFile, site: Site, fragment: Fragment) -> Replacement:
    """The fragment, finished and spliced into the model."""
    replacement = fragment.finished()
    splice(site.scope, replacement, model.proto.ir_version)
    return replacement


def scaled(site: Site, *, share: str = "") -> Fragment:
    """A Mul by a constant and a pool of the same window, in place of the pool."""
    fragment = site.fragment()
    factor = share or fragment.constant(np.full((1, 1, 1, 1), 2, np.float32), "factor")
    twice = fragment.add("Mul", [site.layer.input, factor])
    window: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    made = fragment.add("AveragePool", [twice], **window)
    fragment.stand_in(site.node.output(0), made)
    return fragment


def names(nodes: Any) -> list[str]:
    """Names of nodes, tensors or values, in order."""
    return [each.name for each in nodes]


def ops(graph: onnx.GraphProto | onnx.FunctionProto) -> list[str]:
    """Operators, in order."""
    return [node.op_type for node in graph.node]
