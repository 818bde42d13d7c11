"""What the attribute and size rules find equals an independent count, on models of others too."""

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx.backend.test.case.node import collect_testcases

from onnxstride.engine.lint import lint_graph
from onnxstride.graph import read_graph
from onnxstride.modelfile import ModelFile, open_model
from onnxstride.registry import LoadedRule, load_rules

from .independent import count_in

RULES = load_rules()
COUNTED = frozenset(
    ["UP101", "UP102", "UP105", "UP107", "DN201", "DN202", "DN203", "DN204", "DN208", "BD302",
     "BD304", "BD307", "SZ402"]
)  # fmt: skip
OWN_MODELS = sorted(Path(__file__).parents[2].joinpath("models").glob("*.onnxtxt"))
SHIPPED = sorted(Path(onnx.__file__).parent.glob("backend/test/data/*/*/model.onnx")) + sorted(
    Path(onnx.__file__).parent.glob("backend/test/data/light/*.onnx")
)


def found_in(model: ModelFile, rules: tuple[LoadedRule, ...] = RULES) -> Counter[str]:
    """Findings per code, without the slices, which the count does not follow."""
    graph = read_graph(model)
    assert graph.faults == ()
    findings, _, faults = lint_graph(graph, rules)
    assert faults == []
    return Counter(
        finding.code
        for finding in findings
        if finding.code in COUNTED and finding.node.op_type != "Slice"
    )


def counted_in(model: onnx.ModelProto) -> Counter[str]:
    return Counter({code: n for code, n in count_in(model).items() if code in COUNTED})


def node_tests() -> Iterator[tuple[str, onnx.ModelProto]]:
    """The onnx package's backend node tests that use the default operator set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the collected cases overflow on purpose
        cases = collect_testcases(None)
    for case in cases:
        model = case.model
        if model is not None and any(entry.domain == "" for entry in model.opset_import):
            yield case.name, model


@pytest.mark.parametrize("path", OWN_MODELS, ids=lambda path: path.stem)
def test_own_models(path: Path) -> None:
    """On every model of models/ the rules find what the count finds."""
    with open_model(path) as model:
        assert found_in(model) == counted_in(model.proto)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_models_shipped_with_onnx(path: Path) -> None:
    """On the light models and the operator models of the onnx package too."""
    with open_model(path) as model:
        assert found_in(model) == counted_in(onnx.load(path))


def test_backend_node_tests() -> None:
    """On every backend node test, and every counted rule but two occurs among them."""
    total: Counter[str] = Counter()
    wrong = []
    for name, model in node_tests():
        found, counted = found_in(ModelFile.from_proto(model)), counted_in(model)
        total += found
        if found != counted:
            wrong.append((name, found, counted))
    assert wrong == []
    assert COUNTED - set(total) == {"UP102"}


@pytest.mark.parametrize("code", sorted(COUNTED - {"UP102"}))
def test_a_missing_rule_is_noticed(code: str) -> None:
    """Without one of the rules, found and counted differ somewhere."""
    fewer = tuple(loaded for loaded in RULES if loaded.code != code)
    names = ("MaxPool", "AveragePool", "Conv", "ConvTranspose", "Upsample")
    models = [
        model for _, model in node_tests() if any(n.op_type in names for n in model.graph.node)
    ]
    assert any(found_in(ModelFile.from_proto(m), fewer) != counted_in(m) for m in models)
