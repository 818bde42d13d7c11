"""Graphs that are deep: what recursion would not survive, and what protobuf does not read."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxstride.cli import main
from tests.modelfile.building import field

_LENGTH = 10_000  # nodes in a row; Python's own limit is a thousand calls
_Capture = pytest.CaptureFixture[str]


def _model(
    nodes: list[onnx.NodeProto],
    weights: tuple[onnx.TensorProto, ...] = (),
    functions: tuple[onnx.FunctionProto, ...] = (),
    output: str = "y",
) -> bytes:
    x = helper.make_tensor_value_info("x", 1, [1, 1, "h", "w"])
    y = helper.make_tensor_value_info(output, 1, None)
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    graph = helper.make_graph(nodes, "deep", [x, flag], [y], weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    model.functions.extend(functions)
    data: bytes = model.SerializeToString()
    return data


def _layers() -> bytes:
    """Convolutions and pools among elementwise nodes, one behind the other."""
    weight = numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "w")
    around = [1, 1, 1, 1]
    nodes: list[onnx.NodeProto] = []
    for index in range(_LENGTH):
        source, target = [f"v{index}"] if index else ["x"], [f"v{index + 1}"]
        if index % 10 == 0:
            nodes.append(helper.make_node("Conv", [*source, "w"], target, pads=around))
        elif index % 1000 == 5:
            nodes.append(
                helper.make_node("MaxPool", source, target, kernel_shape=[3, 3], pads=around)
            )
        else:
            nodes.append(helper.make_node("Relu", source, target))
    return _model(nodes, (weight,), output=f"v{_LENGTH}")


def _shapes() -> bytes:
    """Arithmetic on a shape, every step on the one before, that a Resize reads at the end."""
    zero = numpy_helper.from_array(np.zeros(4, np.int64), "zero")
    nodes = [helper.make_node("Shape", ["x"], ["s0"])]
    for index in range(_LENGTH):
        inputs = [f"s{index}", "zero"] if index % 2 else [f"s{index}"]
        op_type = "Add" if index % 2 else "Identity"
        nodes.append(helper.make_node(op_type, inputs, [f"s{index + 1}"]))
    nodes.append(helper.make_node("Resize", ["x", "", "", f"s{_LENGTH}"], ["y"], mode="nearest"))
    return _model(nodes, (zero,))


_CHAINS = {"layers": _layers, "shapes": _shapes}


@pytest.fixture(scope="module", params=_CHAINS)
def chain(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A model of ten thousand nodes in a row."""
    path = tmp_path_factory.mktemp("deep") / "chain.onnx"
    path.write_bytes(_CHAINS[request.param]())
    yield path
    path.unlink()


@pytest.mark.parametrize(
    "words",
    [
        "lint {model} --select ALL --exit-zero",
        "report {model} --output-format csv",
        "rewrite {model} --diff",
        "annotate {model} -o {out}",
    ],
    ids=lambda words: words.partition(" ")[0],
)
def test_a_chain_is_walked_to_its_end(
    chain: Path, tmp_path: Path, capsys: _Capture, words: str
) -> None:
    """No walk through a graph calls itself once a node."""
    out = tmp_path / "out.onnx"
    code = main([word.format(model=chain, out=out) for word in words.split()])
    told = capsys.readouterr()
    assert (code, told.err) == (0, "")
    assert told.out


def _functions(depth: int) -> bytes:
    """A call of a function that calls another, and so on; the last one pools."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    pool = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    bodies = [helper.make_node(f"F{index + 1}", ["x"], ["y"], domain="f") for index in range(depth)]
    bodies[-1] = pool
    functions = [
        helper.make_function("f", f"F{index}", ["x"], ["y"], [body], opsets)
        for index, body in enumerate(bodies)
    ]
    return _model([helper.make_node("F0", ["x"], ["y"], domain="f")], (), tuple(functions))


def _branches(depth: int) -> bytes:
    """An If in a branch of an If, and so on; in the innermost branch a pool."""
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    for _ in range(depth):
        node = _around(node)
    return _model([node])


def _around(node: onnx.NodeProto) -> onnx.NodeProto:
    graph = onnx.GraphProto(name="branch", node=[node])
    graph.output.add(name="y")
    outer = onnx.NodeProto(op_type="If", input=["flag"], output=["y"])
    attribute = outer.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH)
    attribute.g.CopyFrom(graph)
    return outer


def _deepest(build: Callable[[int], bytes]) -> int:
    """The deepest nesting that protobuf itself reads."""
    depth = 1
    while _is_read(build(depth + 1)):
        depth += 1
    return depth


def _is_read(data: bytes) -> bool:
    try:
        onnx.ModelProto.FromString(data)
    except Exception:  # noqa: BLE001 - protobuf's own error has no type
        return False
    return True


def test_branches_in_branches_up_to_protobufs_limit(tmp_path: Path, capsys: _Capture) -> None:
    """The pool in the innermost branch that protobuf reads is found; one deeper is one error."""
    deepest, path = _deepest(_branches), tmp_path / "nested.onnx"
    assert deepest >= 20
    path.write_bytes(_branches(deepest))
    for words in (["lint", "--select", "DN201"], ["report"], ["rewrite", "--diff"]):
        assert main([words[0], str(path), *words[1:]]) in (0, 1)
    assert "DN201" in capsys.readouterr().out


def test_functions_that_call_functions(tmp_path: Path, capsys: _Capture) -> None:
    """Sixty calls deep is walked, a thousand is an error of one line that says how deep."""
    path = tmp_path / "calls.onnx"
    path.write_bytes(_functions(60))
    assert main(["lint", str(path), "--select", "DN201"]) == 0
    assert "DN201" in capsys.readouterr().out
    path.write_bytes(_functions(1000))
    for command in (["lint"], ["report"], ["annotate", "-o", str(tmp_path / "out.onnx")]):
        assert main([command[0], str(path), *command[1:]]) == 2
        told = capsys.readouterr()
        assert "call each other 1000 deep, more than 64" in " ".join((told.out + told.err).split())


@pytest.mark.parametrize("beyond", [1, 2000])
def test_branches_beyond_the_limit(tmp_path: Path, capsys: _Capture, beyond: int) -> None:
    """Every command says that the model nests too deep, and what to do."""
    path = tmp_path / "nested.onnx"
    path.write_bytes(_too_deep(_deepest(_branches) + beyond))
    out = str(tmp_path / "out.onnx")
    for command in (["lint"], ["report"], ["rewrite", "-o", out], ["annotate", "-o", out]):
        assert main([command[0], str(path), *command[1:]]) == 2
        told = capsys.readouterr()
        said = " ".join((told.out + told.err).split())
        assert "more than 100 messages nested" in said
        assert "flatten the nested subgraphs" in said


def _too_deep(depth: int) -> bytes:
    """As ``_branches``, spelled in bytes: protobuf's own encoder goes no deeper either."""
    data = helper.make_node("Relu", ["x"], ["y"]).SerializeToString()
    for _ in range(depth):
        graph = field(1, data)
        data = field(4, b"If") + field(5, field(1, b"then_branch") + field(6, graph))
    return field(7, field(1, data))
