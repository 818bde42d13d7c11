"""Models whose numbers are an attack: sizes, counts and values that no sane exporter writes."""

import json
import math
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import FunctionProto, NodeProto, TensorProto, helper, numpy_helper

from onnxstride.modelfile import parse_text
from tests.faults.forking import Ending, command, forked
from tests.modelfile.building import field
from tests.schema import is_valid

_MEMORY = 3 << 30  # bytes of address space, most of it for libraries
_SECONDS = 60  # of processor time, for a run that takes a second or two
_HUGE = 2**62


def _model(
    nodes: Sequence[NodeProto],
    weights: Iterable[TensorProto] = (),
    functions: Iterable[FunctionProto] = (),
    shape: Sequence[int] = (1, 4, 16, 16),
) -> bytes:
    given = helper.make_tensor_value_info("x", 1, shape)
    made = helper.make_tensor_value_info(nodes[-1].output[0], 1, None)
    graph = helper.make_graph(list(nodes), "g", [given], [made], list(weights))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=list(functions))
    data: bytes = model.SerializeToString()
    return data


def _floats(*values: float, shape: Sequence[int] = (4, 4, 3, 3), name: str = "w") -> TensorProto:
    """A weight of noise that begins with these values."""
    array = np.random.default_rng(0).standard_normal(math.prod(shape)).astype(np.float32)
    array[: len(values)] = values
    return numpy_helper.from_array(array.reshape(shape), name)


def _bare(*dims: int, data: bytes = b"") -> TensorProto:
    return TensorProto(name="w", data_type=1, dims=dims, raw_data=data)


def _integers(*values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), "s")


def _layer(op_type: str, *more: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op_type, ["x", *more], ["y"], "layer", **attributes)


def _function(name: str, *called: str) -> FunctionProto:
    """A function that calls others one after the other, or else is a pool."""
    names = ["a", *(f"t{i}" for i in range(1, len(called))), "b"]
    nodes = [
        helper.make_node(each, [names[i]], [names[i + 1]], domain="f")
        for i, each in enumerate(called)
    ]
    pool = helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 2])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    return helper.make_function("f", name, ["a"], ["b"], nodes or [pool], opsets)


def _calls(*functions: FunctionProto) -> bytes:
    return _model([helper.make_node("F0", ["x"], ["y"], domain="f")], functions=functions)


def _chain(length: int, times: int) -> bytes:
    """Functions each of which calls the next ``times`` times."""
    between = [_function(f"F{i}", *[f"F{i + 1}"] * times) for i in range(length)]
    return _calls(*between, _function(f"F{length}"))


def _nested(depth: int) -> bytes:
    """A pool in a branch in a branch in a branch; deeper than protobuf would encode."""
    data = _layer("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).SerializeToString()
    for _ in range(depth):
        graph = field(1, data) + field(2, b"g")
        branch = field(1, b"then_branch") + field(6, graph) + b"\xa0\x01\x05"
        data = field(1, b"c") + field(2, b"y") + field(4, b"If") + field(5, branch)
    return field(7, field(1, data) + field(2, b"g"))


def _filled(*after: NodeProto) -> bytes:
    """A weight of 2^40 * 9 elements that takes a few bytes to spell."""
    value = helper.make_tensor("v", 1, [1], [0.5])
    made = helper.make_node("ConstantOfShape", ["s"], ["w"], "filled", value=value)
    up = helper.make_node("ConvTranspose", ["x", after[-1].output[0] if after else "w"], ["y"])
    return _model([made, *after, up], [_integers(2**20, 2**20, 3, 3)])


def _wide_pool(rank: int) -> bytes:
    window = {"kernel_shape": [2] * rank, "strides": [2] * rank}
    return _model([_layer("MaxPool", **window)], shape=[1, 1] + [4] * rank)


MODELS: dict[str, Callable[[], bytes]] = {
    "a weight of 2^124 elements": lambda: _model(
        [_layer("ConvTranspose", "w")], [_bare(_HUGE, _HUGE, 3, 3)]
    ),
    "negative sizes": lambda: _model([_layer("Conv", "w")], [_bare(-4, -4, 3, 3, data=bytes(576))]),
    "a byte too few": lambda: _model([_layer("Conv", "w")], [_bare(4, 4, 3, 3, data=bytes(575))]),
    "nothing of a lot": lambda: _model([_layer("Conv", "w")], [_bare(0, _HUGE, 3, 3)]),
    "an input of 2^248 elements": lambda: _model(
        [_layer("MaxPool", kernel_shape=[2, 2])], shape=[_HUGE] * 4
    ),
    "an input of negative sizes": lambda: _model(
        [_layer("Conv", "w")], [_floats()], shape=[-5, 4, -(2**63), 2**63 - 1]
    ),
    "a kernel of 2^62": lambda: _model([_layer("MaxPool", kernel_shape=[_HUGE] * 2)]),
    "strides of 2^62": lambda: _model(
        [_layer("ConvTranspose", "w", strides=[_HUGE] * 2)], [_floats()]
    ),
    "dilations of 2^62": lambda: _model([_layer("Conv", "w", dilations=[_HUGE] * 2)], [_floats()]),
    "pads of 2^62": lambda: _model([_layer("Conv", "w", pads=[_HUGE] * 4)], [_floats()]),
    "negative strides": lambda: _model([_layer("Conv", "w", strides=[-(2**63), -1])], [_floats()]),
    "output padding of 2^62": lambda: _model(
        [_layer("ConvTranspose", "w", output_padding=[_HUGE] * 2)], [_floats()]
    ),
    "an output shape of 2^62": lambda: _model(
        [_layer("ConvTranspose", "w", output_shape=[_HUGE] * 2)], [_floats()]
    ),
    "blocks of 2^62": lambda: _model([_layer("DepthToSpace", blocksize=_HUGE)]),
    "resized to 2^62": lambda: _model([_layer("Resize", "", "", "s")], [_integers(1, 4, _HUGE, 9)]),
    "resized to less than nothing": lambda: _model(
        [_layer("Resize", "", "", "s")], [_integers(1, 4, -3, 0)]
    ),
    "a function that calls itself": lambda: _calls(_function("F0", "F0")),
    "functions that call each other": lambda: _calls(_function("F0", "F1"), _function("F1", "F0")),
    "functions that make 2^40 nodes": lambda: _chain(40, 2),
    "functions 2,000 deep": lambda: _chain(2000, 1),
    "branches 40 deep": lambda: _nested(40),
    "branches 5,000 deep": lambda: _nested(5000),
    "10^6 strides": lambda: _model([_layer("Conv", "w", strides=[2] * 10**6)], [_floats()]),
    "10^6 numbers": lambda: _model([_layer("Unheard", of=list(range(10**6)))]),
    "10^5 inputs": lambda: _model([helper.make_node("Concat", ["x"] * 10**5, ["y"], axis=1)]),
    "10^5 inputs of a convolution": lambda: _model(
        [_layer("Conv", "w", *["x"] * 10**5)], [_floats()]
    ),
    "10^4 outputs": lambda: _model(
        [helper.make_node("Split", ["x"], [f"o{i}" for i in range(10**4)], axis=1)]
    ),
    "a pool of 10^4 axes": lambda: _wide_pool(10**4),
    "a transposed convolution of 58 axes": lambda: _model(
        [_layer("ConvTranspose", "w", strides=[2] * 58)],
        [_floats(shape=[1] * 60)],
        shape=[1, 1] + [2] * 58,
    ),
    "a filled weight": _filled,
    "a filled weight, cast": lambda: _filled(helper.make_node("Cast", ["w"], ["v"], to=10)),
    "a filled weight, scaled": lambda: _filled(
        helper.make_node("Cast", ["w"], ["v"], to=2),
        helper.make_node("DequantizeLinear", ["v", "x"], ["u"]),
    ),
}
RUNS: dict[str, list[str]] = {
    "lint": ["--select", "ALL", "--why", "--output-format", "json"],
    "report": ["--output-format", "json"],
    "rewrite": ["--diff", "--allow", "training"],
}


def _run(what: str, path: Path, *arguments: str) -> tuple[Ending, str]:
    """How a run in little memory and time ended, and what it printed."""
    printed = path.with_suffix(".out")

    def act() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        spent = math.ceil(time.process_time()) + _SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (spent, spent))
        sys.stdout = printed.open("w")
        command(what, str(path), *arguments)()

    return forked(act, path.with_suffix(".said")), printed.read_text()


def _strictly(text: str) -> Any:
    """The document, which holds no number that JSON lacks."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("what", RUNS)
@pytest.mark.parametrize("name", MODELS)
def test_no_number_makes_it_fall_over(tmp_path: Path, name: str, what: str) -> None:
    """Each ends soon and in little memory, with a report, or a line that says why not."""
    path = tmp_path / "m.onnx"
    path.write_bytes(MODELS[name]())
    ending, out = _run(what, path, *RUNS[what])
    assert ending.code in (0, 1, 2)
    assert "internal error" not in out + ending.err
    assert len(ending.err.splitlines()) <= 1
    assert len(ending.err) < 2000
    if what == "lint":
        assert is_valid(_strictly(out))
    if what == "report" and out:
        _strictly(out)


VALUES = {
    "nan": math.nan,
    "inf": math.inf,
    "minus inf": -math.inf,
    "largest": 3.4e38,
    "least": 1e-45,
}
LAYERS: dict[str, Callable[[TensorProto], bytes]] = {
    "a transposed convolution": lambda w: _model(
        [_layer("ConvTranspose", "w", strides=[2, 2])], [w]
    ),
    "a convolution": lambda w: _model([_layer("Conv", "w", strides=[2, 2])], [w]),
    "a sub-pixel convolution": lambda w: _model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], "c", pads=[1] * 4),
            helper.make_node("DepthToSpace", ["c"], ["y"], "d", blocksize=2),
        ],
        [w],
    ),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_weights_that_are_no_numbers(
    tmp_path: Path, layer: Callable[[TensorProto], bytes], value: float
) -> None:
    """One of them, or all: the report is valid JSON, and no figure in it is NaN."""
    for weight in (_floats(value), _floats(*[value] * 144)):
        path = tmp_path / "m.onnx"
        path.write_bytes(layer(weight))
        ending, out = _run("lint", path, *RUNS["lint"])
        assert ending.err == ""
        document = _strictly(out)
        assert is_valid(document)
        [file] = document["files"]
        assert "error" not in file
        assert "nan" not in " ".join(finding["message"] for finding in file["findings"]).split()


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_scales_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    """A Resize by them is no reason to fail."""
    path = tmp_path / "m.onnx"
    scales = numpy_helper.from_array(np.array([1, 1, value, value], np.float32), "s")
    path.write_bytes(_model([_layer("Resize", "", "s", mode="linear")], [scales]))
    ending, out = _run("lint", path, *RUNS["lint"])
    assert ending.err == ""
    assert "internal error" not in out
    assert is_valid(_strictly(out))


TEXTS = {
    "2^40 elements": "<float[1048576,1048576,3,3] w>",
    "2^124 elements": "<float[4611686018427387904,4611686018427387904,3,3] w>",
    "2^28 elements, times 9": "<float[16384,16384,3,3] w>",
}


@pytest.mark.parametrize("declared", TEXTS.values(), ids=TEXTS)
def test_weights_without_values_are_not_made_up_for_ever(tmp_path: Path, declared: str) -> None:
    """ONNX text that names a weight of any size is read; noise past a limit is refused."""
    path = tmp_path / "m.onnxtxt"
    path.write_text(
        f"net (float[1,1048576,8,8] x) => (float[A,B,C,D] y) {declared} "
        "{ y = ConvTranspose <strides = [2, 2]> (x, w) }"
    )
    ending, out = _run("lint", path, *RUNS["lint"])
    assert ending == Ending(2, "")
    [file] = _strictly(out)["files"]
    assert file["error"]["code"] in ("E003", "E005")


@pytest.mark.parametrize("deep", ["(" * 100_000, "{" * 100_000, "<a = " * 100_000])
def test_nested_brackets(tmp_path: Path, deep: str) -> None:
    """Text that would exhaust a parser's stack is refused."""
    path = tmp_path / "m.onnxtxt"
    path.write_text(f"net (float[1] x) => (float[1] y) {{ y = Abs {deep}")
    ending, out = _run("lint", path, *RUNS["lint"])
    assert ending == Ending(2, "")
    assert _strictly(out)["files"][0]["error"]["code"] == "E002"


def test_what_takes_too_much_is_seen(tmp_path: Path) -> None:
    """The limits above end a run that takes gigabytes; so does a figure that JSON lacks."""
    path = tmp_path / "m.onnx"
    path.write_bytes(_wide_pool(2))

    def greedy() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        np.ones(_MEMORY // 8)

    assert forked(greedy, tmp_path / "said").code == 99
    with pytest.raises(ValueError, match="NaN"):
        _strictly('{"figure": NaN}')
    assert _run("lint", path, *RUNS["lint"])[0].code == 0


def test_the_models_are_what_they_say() -> None:
    """Those that onnx reads hold what is in their name."""
    nested = onnx.ModelProto.FromString(_nested(3)).graph.node[0]
    for _ in range(3):
        nested = nested.attribute[0].g.node[0]
    assert nested.op_type == "MaxPool"
    assert len(onnx.ModelProto.FromString(_chain(40, 2)).functions) == 41
    assert parse_text("net (float[1] x) => (float[1] y) { y = Abs (x) }").proto.graph.node
