"""What a fit is shown of a model: the layer's input as rewritten, its output as it was."""

from typing import Any

import numpy as np
import pytest

from onnxstride.engine.activations import MADE_UP_SAMPLES, Activations, image_ranges
from onnxstride.errors import Refused
from onnxstride.graph import read_graph
from onnxstride.graph.layers import ConvTranspose
from onnxstride.modelfile import ModelFile, parse_text
from onnxstride.verify import Feeds, Loadable
from tests.rewrites.running import InProcess, run, whole

TEXT = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N,1,H,W] x) => (float[N,1,P,Q] y, float[N,1,P,Q] z)
    <float half = {0.5}, float two = {2.0}, float[1,1,2,2] w, float[1,1,2,2] v, int64[1] s> {
        h = Mul (x, half)
        [up] u = ConvTranspose <strides = [2,2]> (h, w)
        y = Mul (u, two)
        [other] o = ConvTranspose <strides = [2,2]> (x, v)
        z = Relu (o)
    }"""


class Counting(InProcess):
    """Keeps the models that were run, and how often."""

    def __init__(self) -> None:
        super().__init__()
        self.models: list[Loadable] = []

    def run(self, model: Loadable, feeds: Feeds, *arguments: Any, **more: Any) -> dict[str, Any]:
        self.models.append(model)
        return super().run(model, feeds, *arguments, **more)


def layer_of(model: ModelFile, name: str = "up") -> ConvTranspose:
    layers = read_graph(model).layers
    found = next(layer for layer in layers if layer.node.name == name)
    assert isinstance(found, ConvTranspose)
    return found


def test_inputs_are_of_the_rewritten_model_and_targets_of_the_original() -> None:
    """Sample by sample, on the same feed."""
    original, rewritten = parse_text(TEXT), parse_text(TEXT.replace("{0.5}", "{0.25}"))
    pairs = list(Activations(original, None, InProcess())(rewritten, layer_of(rewritten)))
    assert len(pairs) == MADE_UP_SAMPLES
    source, target = pairs[0]
    (made, _) = run(whole(original), {"x": source * 4})
    np.testing.assert_allclose(target, made / 2, rtol=1e-5)
    assert not np.array_equal(pairs[0][0], pairs[1][0])


def test_an_input_of_the_model_itself() -> None:
    """Is what was fed."""
    model = parse_text(TEXT)
    for source, target in Activations(model, None, InProcess())(model, layer_of(model, "other")):
        assert source.shape[2] * 2 == target.shape[2]
        assert 0 <= source.min() <= source.max() <= 1
        break


def test_nothing_is_run_that_is_not_needed() -> None:
    """Nodes and weights of other branches are left out, also of models that list weights."""
    for version in ("3", "8"):
        runner = Counting()
        model = parse_text(TEXT.replace("ir_version: 8", f"ir_version: {version}"))
        next(iter(Activations(model, None, runner)(model, layer_of(model))))
        for tapped in {model.name: model for model in runner.models}.values():
            assert isinstance(tapped.content, bytes)
            proto = type(model.proto).FromString(tapped.content)
            assert len(proto.graph.output) == 1
            assert {node.op_type for node in proto.graph.node} <= {"Mul", "ConvTranspose"}
            assert {tensor.name for tensor in proto.graph.initializer} <= {"half", "w"}


BODY = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N,1,H,W] x, bool c) => (float[N,1,P,Q] y) <float k = {3.0}, float[1,1,2,2] w> {
        t = Mul (x, k)
        h = If (c) <
            then_branch = one () => (float[N,1,H,W] a) { a = Relu (t) },
            else_branch = two () => (float[N,1,H,W] b) { b = Mul (t, k) }
        >
        [up] y = ConvTranspose <strides = [2,2]> (h, w)
    }"""


def test_what_bodies_read_is_needed() -> None:
    """A body names tensors of the graph around it."""
    model = parse_text(BODY)
    source, target = next(iter(Activations(model, None, InProcess())(model, layer_of(model))))
    assert source.shape[2] * 2 == target.shape[2]


def test_sizes_are_found_by_trial() -> None:
    """The first that the model runs on; none is an error that says why."""
    text = """
        net (float[1,1,H,W] x, float[1,1,W,H] q) => (float[1,1,P,Q] y) <float[1,1,2,2] w> {
            s = Add (x, q)
            [up] y = ConvTranspose <strides = [2,2]> (s, w)
        }"""
    model = parse_text(text)
    source, _ = next(iter(Activations(model, None, InProcess())(model, layer_of(model))))
    assert source.shape[2] == source.shape[3] > 1
    model = parse_text(text.replace("float[1,1,W,H] q", "float[1,7,5,3] q"))
    with pytest.raises(Refused):
        next(iter(Activations(model, None, InProcess())(model, layer_of(model))))


def test_ranges_of_images() -> None:
    """As the model's first operators have them."""
    text = """
        net (float[N,3,H,W] x) => (float[N,3,H,W] y) <float by = {255.0}> { y = Div (x, by) }"""
    assert image_ranges(parse_text(text)) == {"x": (0, 255)}
    assert image_ranges(parse_text(TEXT)) == {"x": (0, 1)}
