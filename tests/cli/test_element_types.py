"""Weights of every element type: read by lint, kept by rewrite, run where ONNX Runtime can.

The types are those of the installed onnx. One that a later onnx adds has to be given its width in
``modelfile.tensors`` before these tests pass.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxstride import library
from onnxstride.cli import main
from onnxstride.modelfile import open_model
from tests.modelfile.building import TYPES, assert_same
from tests.rewrites.running import Session, refusals

_QUANTISED = (
    *("INT8", "UINT8", "INT16", "UINT16", "INT32", "INT4", "UINT4", "INT2", "UINT2"),
    *("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT4E2M1"),
)
_WORDS = {"STRING": "strings", "COMPLEX64": "complex", "COMPLEX128": "complex"}
_NO_NUMBERS = tuple(_WORDS)
_KERNEL = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0]])  # nine elements: an odd number of nibbles
_EXTERNAL = "weights.bin"
_NEWEST, _OLDER = (25, 12), (21, 10)  # opset and IR version: what ONNX Runtime 1.22 runs is older


def _name(number: int) -> str:
    return str(TensorProto.DataType.Name(number))


def _numbered(names: tuple[str, ...]) -> set[int]:
    """The numbers of those names that the installed onnx has."""
    return {number for number in TYPES if _name(number) in names}


def _weight(number: int, side: int = 1) -> onnx.TensorProto:
    """A kernel for ``side`` channels in and as many out, in the field that its type has."""
    values = np.tile(_KERNEL, (side, side, 1, 1))
    if number == TensorProto.FLOAT8E8M0:  # powers of two, and no zero
        values = values + 1
    if number == TensorProto.STRING:
        words = [str(value).encode() for value in values.flat]
        return TensorProto(name="q", data_type=number, dims=values.shape, string_data=words)
    dtype = helper.tensor_dtype_to_np_dtype(number)
    return helper.make_tensor("q", number, values.shape, values.astype(dtype))


def _typed(tensor: onnx.TensorProto, folder: Path) -> onnx.TensorProto:
    return tensor


def _raw(tensor: onnx.TensorProto, folder: Path) -> onnx.TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name)


def _external(tensor: onnx.TensorProto, folder: Path) -> onnx.TensorProto:
    """The tensor's bytes in a file, behind three others."""
    raw = _raw(tensor, folder).raw_data
    (folder / _EXTERNAL).write_bytes(b"abc" + raw)
    kept = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    kept.data_location = TensorProto.EXTERNAL
    for key, value in {"location": _EXTERNAL, "offset": "3", "length": str(len(raw))}.items():
        kept.external_data.add(key=key, value=value)
    return kept


_STORED: dict[str, Callable[[onnx.TensorProto, Path], onnx.TensorProto]] = {
    "typed": _typed,
    "raw": _raw,
    "external": _external,
}


def _nodes(weight: str, into: str = "y") -> list[onnx.NodeProto]:
    """A transposed convolution whose weights lint looks at, and a pool that can be rewritten."""
    return [
        helper.make_node("ConvTranspose", ["x", weight], ["up"], "up", strides=[2, 2]),
        helper.make_node("MaxPool", ["up"], [into], "pool", kernel_shape=[2, 2], strides=[2, 2]),
    ]


def _model(
    weights: list[onnx.TensorProto], nodes: list[onnx.NodeProto], channels: int = 1
) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", 1, [1, channels, 8, 8])
    y = helper.make_tensor_value_info("y", 1, [1, channels, None, None])
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    return _at(_NEWEST, helper.make_model(graph))


def _at(version: tuple[int, int], model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, said to be of this opset and IR version."""
    model.opset_import[0].version, model.ir_version = version
    return model


def _quantised(stored: onnx.TensorProto, channels: int = 1) -> onnx.ModelProto:
    """The layer with its weight in ``stored``, made real by the operator for its type."""
    if stored.data_type in _numbered(_QUANTISED):
        scale = helper.make_tensor("scale", 1, [], [1.0])
        real = helper.make_node("DequantizeLinear", ["q", "scale"], ["w"])
        return _model([stored, scale], [real, *_nodes("w")], channels)
    real = helper.make_node("Cast", ["q"], ["w"], to=TensorProto.FLOAT)
    return _model([stored], [real, *_nodes("w")], channels)


def _findings(path: Path) -> list[str]:
    """What the rules say that look at weights."""
    report = library.lint(path, select="UP103,UP101,DN205")
    assert [file.error for file in report.files] == [None]
    return [f"{finding.code} {finding.message}" for finding in report.findings]


def _numbers() -> list[int]:
    return [number for number in TYPES if _name(number) not in _NO_NUMBERS]


@pytest.mark.parametrize("stored", _STORED)
@pytest.mark.parametrize("number", _numbers(), ids=_name)
def test_lint_reads_weights_of_every_type(tmp_path: Path, number: int, stored: str) -> None:
    """A rule says of a weight what it says of the same numbers as floats, wherever they lie."""
    tensor = _weight(number)
    floats = numpy_helper.to_array(tensor).astype(np.float32)
    plain, path = tmp_path / "floats.onnx", tmp_path / "model.onnx"
    onnx.save(_model([numpy_helper.from_array(floats, "w")], _nodes("w")), plain)
    path.write_bytes(_quantised(_STORED[stored](tensor, tmp_path)).SerializeToString())
    found = _findings(path)
    assert found == _findings(plain)
    assert [finding.split()[0] for finding in found].count("UP103") == 1


@pytest.mark.parametrize("name", _NO_NUMBERS)
def test_what_is_no_number_is_no_weight(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Strings and complex numbers are read, and the rule says why it cannot judge them."""
    tensor = _weight(TensorProto.DataType.Value(name))
    cast, bare = tmp_path / "cast.onnx", tmp_path / "bare.onnx"
    onnx.save(_quantised(tensor), cast)
    onnx.save(_model([tensor], _nodes("q")), bare)
    for path, why in (
        (cast, "the weights are not fixed in the file"),
        (bare, "the weights are no real numbers but " + _WORDS[name]),
    ):
        assert main(["lint", str(path), "--select", "UP103", "--why"]) == 0
        assert why in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("side", [1, 12], ids=["small", "large"])
@pytest.mark.parametrize("stored", _STORED)
@pytest.mark.parametrize("number", TYPES, ids=_name)
def test_rewrite_keeps_weights_of_every_type(
    tmp_path: Path, number: int, stored: str, side: int
) -> None:
    """The tensor comes out as it went in, to the bit, and so does what it refers to."""
    if number == TensorProto.STRING and stored != "typed":
        pytest.skip("ONNX stores strings in one way")
    tensor = _STORED[stored](_weight(number, side), tmp_path)
    path, out = tmp_path / "model.onnx", tmp_path / "out.onnx"
    path.write_bytes(_quantised(tensor, side).SerializeToString())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert library.rewrite(path, output=out, use="maxpool-to-exact-conv", verify=False)
    after = onnx.load(out, load_external_data=False).graph
    assert "MaxPool" not in [node.op_type for node in after.node]
    assert next(each for each in after.initializer if each.name == "q") == tensor
    out.unlink()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("number", TYPES, ids=_name)
def test_external_data_means_what_it_means_inline(tmp_path: Path, number: int) -> None:
    """Of every type, onnx's own array comes out of a file."""
    if number == TensorProto.STRING:
        pytest.skip("ONNX stores no strings as external data")
    tensor = _weight(number, 3)
    path = tmp_path / "model.onnx"
    path.write_bytes(_quantised(_external(tensor, tmp_path), 3).SerializeToString())
    with open_model(path) as model:
        kept = next(each for each in model.proto.graph.initializer if each.name == "q")
        assert_same(model.tensor(kept), numpy_helper.to_array(tensor))


def test_what_runs_is_proven(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rewrites of models with weights of all types that ONNX Runtime takes are verified in it."""
    version = _NEWEST if any(_runs(number, _NEWEST) for number in TYPES) else _OLDER
    runs = [number for number in TYPES if _runs(number, version)]
    assert {_name(number) for number in runs} >= {"INT8", "UINT8", "INT4", "UINT4", "FLOAT16"}
    weights: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []
    for number in runs:
        part = _quantised(_weight(number)).graph
        mapping = {name: f"{_name(number)}/{name}" for name in ("q", "w", "scale", "up", "y")}
        weights += [_renamed(tensor, mapping) for tensor in part.initializer]
        nodes += [_rewired(node, mapping) for node in part.node]
    maps = [f"{_name(number)}/y" for number in runs]
    nodes.append(helper.make_node("Sum", maps, ["y"], "sum"))
    path, out = tmp_path / "model.onnx", tmp_path / "out.onnx"
    onnx.save(_at(version, _model(weights, nodes)), path)
    assert main(["rewrite", str(path), "-o", str(out), "--use", "maxpool-to-exact-conv"]) == 0
    assert f"{len(runs)} sites rewritten" in capsys.readouterr().out


def _runs(number: int, version: tuple[int, int]) -> bool:
    try:
        session = Session(_at(version, _quantised(_weight(number))))
        session.run({"x": np.zeros((1, 1, 8, 8), np.float32)})
    except refusals():
        return False
    return True


def _renamed(tensor: onnx.TensorProto, mapping: dict[str, str]) -> onnx.TensorProto:
    tensor.name = mapping[tensor.name]
    return tensor


def _rewired(node: onnx.NodeProto, mapping: dict[str, str]) -> onnx.NodeProto:
    node.name = f"{mapping['q'].partition('/')[0]}/{node.op_type}"
    node.input[:] = [mapping.get(name, name) for name in node.input]
    node.output[:] = [mapping[name] for name in node.output]
    return node


def test_a_type_that_onnx_lacks_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A number beyond onnx's own is named with those that are known; the rest is still linted."""
    path = tmp_path / "model.onnx"
    unknown = TensorProto(name="q", data_type=max(TYPES) + 50, dims=[1, 1, 3, 3], raw_data=b"123")
    path.write_bytes(_quantised(unknown).SerializeToString())
    assert main(["lint", str(path), "--select", "UP101"]) in (1, 2)
    assert f"element type is {max(TYPES) + 50}" in "".join(capsys.readouterr())
