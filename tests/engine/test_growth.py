"""What is done to a model grows with its length, and no faster; with the weights not at all.

Seconds would make a flaky test: what is counted are executed lines, bytes of the file, and the
elements of weights that are looked at.
"""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from onnxstride.engine.anatomy import anatomy
from onnxstride.engine.changes import Plan
from onnxstride.engine.lint import lint_graph
from onnxstride.engine.patterns import patterns
from onnxstride.engine.rewriting import rewrite_model
from onnxstride.graph import Graph, read_graph
from onnxstride.graph.layers import Conv, ConvTranspose, Layer
from onnxstride.modelfile import ModelFile, open_model
from onnxstride.registry import LoadedRule, find_rewrite, load_rewrites, load_rules
from onnxstride.rule import Finding, Rule, Severity
from tests.growing import SHAPES, Side, Work, counted

BLOCKS = 12
MOST = 2.2  # for twice the length; what is done once and for all makes it less than 2
RULES = load_rules()
REWRITES = load_rewrites()

Job = Callable[[ModelProto], object]


def lint(model: ModelProto, rules: tuple[LoadedRule, ...] = RULES) -> object:
    return lint_graph(read_graph(ModelFile.from_proto(model)), rules)


def report(model: ModelProto) -> object:
    graph = read_graph(ModelFile.from_proto(model))
    return anatomy(graph), patterns(graph)


def mend(model: ModelProto) -> object:
    return rewrite_model(ModelFile.from_proto(model), Plan(REWRITES, rules=RULES))


def use(name: str) -> Job:
    """Rewrites every site that one rewrite fits."""
    plan = Plan([find_rewrite(REWRITES, name)], named=True)
    return lambda model: rewrite_model(ModelFile.from_proto(model), plan)


def growth(job: Job, shape: str, side: Side) -> tuple[float, str]:
    """Lines for a model of twice the length over those for one, and what is to blame."""
    works: list[Work] = []
    for blocks in (2, BLOCKS, 2 * BLOCKS):  # the first only warms up what is done once
        model = SHAPES[shape](blocks, side)
        with counted() as work:
            job(model)
        works.append(work)
    _, half, whole = works
    return whole.lines / half.lines, whole.steepest(half)


class TestLength:
    @pytest.mark.parametrize("side", [32, "s"], ids=["fixed", "open"])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_lint_grows_with_the_graph(self, shape: str, side: Side) -> None:
        """A graph twice as long takes all rules together about twice the work."""
        ratio, blame = growth(lint, shape, side)
        assert ratio < MOST, blame

    @pytest.mark.parametrize("shape", SHAPES)
    def test_report_grows_with_the_graph(self, shape: str) -> None:
        """So does what is known of each layer, and what the weights of each draw."""
        ratio, blame = growth(report, shape, "s")
        assert ratio < MOST, blame

    @pytest.mark.parametrize("shape", SHAPES)
    def test_looking_for_what_to_mend_grows_with_the_graph(self, shape: str) -> None:
        """A plain rewrite finds its sites and builds what comes instead."""
        ratio, blame = growth(mend, shape, 32)
        assert ratio < MOST, blame

    @pytest.mark.parametrize(
        ("name", "shape"),
        [
            ("maxpool-to-exact-conv", "chain"),
            ("avgpool-to-conv", "padding"),
            ("deconv-to-subpixel", "residual"),
            ("subpixel-to-deconv", "shuffling"),
        ],
    )
    def test_rewriting_every_layer_grows_with_the_graph(self, name: str, shape: str) -> None:
        """Sites do not get in each other's way."""
        ratio, blame = growth(use(name), shape, 32)
        assert ratio < MOST, blame

    def test_a_rule_that_looks_at_every_pair_is_seen(self) -> None:
        """Among all the others, and it is named."""
        ratio, blame = growth(lambda model: lint(model, (*RULES, planted(_pairs))), "chain", 32)
        assert ratio > MOST
        assert "_pairs" in blame

    def test_a_rule_that_walks_back_to_the_input_is_seen(self) -> None:
        """However little it does at each step."""
        ratio, blame = growth(lambda model: lint(model, (*RULES, planted(_back))), "chain", 32)
        assert ratio > MOST
        assert "_back" in blame


def planted(check: Callable[[Layer, Graph], Iterator[Finding]]) -> LoadedRule:
    rule = Rule("XX101", "planted", Severity.WARNING, on=(Layer,))
    return replace(RULES[0], rule=rule, check=check)


def _pairs(layer: Layer, graph: Graph) -> Iterator[Finding]:
    for other in graph.layers:
        for name in other.node.inputs:
            if name in layer.node.outputs and other is layer:
                yield nothing_like_it()


def _back(layer: Layer, graph: Graph) -> Iterator[Finding]:
    node = layer.node.scope.producer(layer.input)
    while node is not None:
        if node is layer.node:
            yield nothing_like_it()
        before = node.input(0)
        node = node.scope.producer(before)


def nothing_like_it() -> Finding:
    raise AssertionError("the models here have nothing that a planted rule flags")


class Reading(io.RawIOBase):
    """A file that counts the bytes read from it."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = io.BytesIO(content)
        self.count = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        return self._content.tell()

    def readinto(self, buffer: Any) -> int:
        read = self._content.readinto(buffer)
        self.count += read
        return read


PAGE = 1 << 16


def bytes_read(model: ModelProto, rules: tuple[LoadedRule, ...]) -> int:
    file = Reading(model.SerializeToString())
    with open_model(cast(BinaryIO, file)) as opened:
        lint_graph(read_graph(opened), rules)
    return file.count


def convolutions(channels: int, layers: int = 6) -> ModelProto:
    """A chain of convolutions without stride, whose weights no rule asks for, and one pool."""
    weight = np.zeros((channels, channels, 3, 3), np.float32)
    nodes = [
        helper.make_node("Conv", [f"v{i}", f"w{i}"], [f"v{i + 1}"], pads=[1] * 4)
        for i in range(layers)
    ]
    nodes.append(helper.make_node("MaxPool", [f"v{layers}"], ["y"], kernel_shape=[2, 2]))
    held = [numpy_helper.from_array(weight, f"w{i}") for i in range(layers)]
    return modelled(nodes, held, channels)


def modelled(nodes: list[Any], held: list[TensorProto], channels: int) -> ModelProto:
    image = helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1, channels, 16, 16])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "weighty", [image], [made], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class TestBytes:
    def test_bytes_read_do_not_grow_with_weights_that_no_rule_asks_for(self) -> None:
        """Four times the weights, and not one page more of each tensor."""
        small, large = (bytes_read(convolutions(channels), RULES) for channels in (128, 256))
        assert large <= small + 6 * PAGE
        assert large < convolutions(256).ByteSize() / 4

    def test_a_rule_that_reads_every_weight_is_seen(self) -> None:
        """It reads the whole file."""
        rules = (*RULES, planted(_every_weight))
        small, large = (bytes_read(convolutions(channels), rules) for channels in (128, 256))
        assert large > small + 6 * PAGE


def _every_weight(layer: Layer, graph: Graph) -> Iterator[Finding]:
    if isinstance(layer, Conv | ConvTranspose):
        weight = graph.constant(layer.node, layer.weight)
        if weight is None or np.isnan(weight.sum()):
            yield nothing_like_it()


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each tensor has been loaded since."""
    count: Counter[str] = Counter()
    for way in ("tensor", "numbers"):
        _count_calls(monkeypatch, way, count)
    return count


def _count_calls(monkeypatch: pytest.MonkeyPatch, way: str, count: Counter[str]) -> None:
    load: Callable[..., object] = getattr(ModelFile, way)

    def counted(self: ModelFile, proto: TensorProto, *first: int) -> object:
        count[proto.name] += 1
        return load(self, proto, *first)

    monkeypatch.setattr(ModelFile, way, counted)


WEIGHING = {"UP101", "UP103", "UP104", "DN206"}
"""The rules that look at what the weights are."""


def asked(rules: tuple[LoadedRule, ...], loaded: Counter[str]) -> dict[str, int]:
    """How often rules load each weight of a model that gives each of them one to ask for."""
    generator = np.random.default_rng(3)
    shapes = {"down": (8, 4, 3, 3), "even": (8, 8, 3, 3), "quad": (16, 8, 3, 3), "up": (4, 4, 3, 3)}
    nodes = [
        helper.make_node("Conv", ["v0", "down"], ["a"], strides=[2, 2], pads=[1] * 4),
        helper.make_node("Conv", ["a", "even"], ["b"], pads=[1] * 4),
        helper.make_node("Conv", ["b", "quad"], ["c"], pads=[1] * 4),
        helper.make_node("DepthToSpace", ["c"], ["d"], blocksize=2),
        helper.make_node("ConvTranspose", ["d", "up"], ["y"], strides=[2, 2]),
    ]
    held = [
        numpy_helper.from_array(generator.standard_normal(shape, np.float32), name)
        for name, shape in shapes.items()
    ]
    loaded.clear()
    lint(modelled(nodes, held, 4), rules)
    return {name: loaded[name] for name in shapes if loaded[name]}


class TestWeights:
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
    def test_few_rules_load_weights(self, rule: LoadedRule, loaded: Counter[str]) -> None:
        """All others judge by what the graph says of them."""
        assert bool(asked((rule,), loaded)) == (rule.code in WEIGHING)

    def test_a_weight_is_loaded_once(self, loaded: Counter[str]) -> None:
        """By all rules together; one that no layer changes resolution with is not loaded."""
        assert asked(RULES, loaded) == {"down": 1, "quad": 1, "up": 1}

    def test_a_rule_that_loads_every_weight_is_seen(self, loaded: Counter[str]) -> None:
        """It loads one that nobody else does, and others once more."""
        assert asked((planted(_every_weight),), loaded) == dict.fromkeys(
            ["down", "even", "quad", "up"], 1
        )
        assert asked((*RULES, planted(_every_weight)), loaded)["up"] == 2
