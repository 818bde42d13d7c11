"""Models of more than 2 GiB: linted, rewritten and proven, with little of them in memory.

The weights are holes in files, so that they take no room on the disk, but for the last element of
each, which the model's output depends on. Times are not held to anything here: see ``benchmarks``.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks import inputs
from onnxstride.modelfile.writer import LONGEST_MODEL

_GIB = 1 << 30
_MEMORY = 400  # MiB; a lint of a small model takes about 100, ONNX Runtime is another process
_IN_CHILD = """
import re, sys
from pathlib import Path
from onnxstride.cli import main
code = main(sys.argv[1:])
peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
print(f"exit {code}, peak {peak[1]} kB", file=sys.stderr)
"""


class Ran(NamedTuple):
    """What a command did: its exit code, its peak memory in MiB, and what it said."""

    code: int
    peak: float
    said: str


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder on a file system that keeps holes as holes."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak memory is asked of Linux")
    probe = tmp_path / "probe"
    with probe.open("wb") as file:
        file.truncate(64 << 20)
    if probe.stat().st_blocks * 512 > 1 << 20:
        pytest.skip("this file system has no holes: the model would take gigabytes")
    probe.unlink()
    return tmp_path


def ran(*arguments: object) -> Ran:
    """A command in a process of its own."""
    command = [sys.executable, "-c", _IN_CHILD, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, check=False, encoding="utf-8", timeout=600)
    found = re.search(r"exit (\d+), peak (\d+) kB", run.stderr)
    assert found is not None, run.stderr
    return Ran(int(found[1]), int(found[2]) / 1024, run.stdout + run.stderr)


def _table(name: str, location: str, offset: int, size: int) -> onnx.TensorProto:
    """A row of bytes in a file."""
    tensor = TensorProto(name=name, data_type=TensorProto.UINT8, dims=[size])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": offset, "length": size}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _model(tables: list[onnx.TensorProto]) -> onnx.ModelProto:
    """A pool, and to its output the last element of every table is added."""
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p0"], "pool", kernel_shape=[2, 2], strides=[2, 2])
    ]
    weights: list[onnx.TensorProto] = []
    for index, table in enumerate(tables):
        last = helper.make_tensor(f"last{index}", TensorProto.INT64, [], [table.dims[0] - 1])
        weights += [table, last]
        nodes += [
            helper.make_node("Gather", [table.name, last.name], [f"g{index}"], f"gather{index}"),
            helper.make_node("Cast", [f"g{index}"], [f"c{index}"], to=TensorProto.FLOAT),
            helper.make_node("Add", [f"p{index}", f"c{index}"], [f"p{index + 1}"]),
        ]
    x = helper.make_tensor_value_info("x", 1, [1, 2, 8, 8])
    y = helper.make_tensor_value_info(f"p{len(tables)}", 1, [1, 2, 4, 4])
    graph = helper.make_graph(nodes, "large", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _write(folder: Path, *regions: tuple[int, int]) -> Path:
    """A model with a table in each region (offset, size) of one file, 1, 2, 3 ... at their ends."""
    tables = [
        _table(f"table{index}", "weights.bin", offset, size)
        for index, (offset, size) in enumerate(regions)
    ]
    with (folder / "weights.bin").open("wb") as file:
        for index, (offset, size) in enumerate(regions):
            file.seek(offset + size - 1)
            file.write(bytes([index + 1]))
    path = folder / "model.onnx"
    path.write_bytes(_model(tables).SerializeToString())
    return path


def _last(path: Path) -> list[int]:
    """The last element of every table, read without onnxstride."""
    found: list[int] = []
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            place = {entry.key: entry.value for entry in tensor.external_data}
            with (path.parent / place["location"]).open("rb") as file:
                file.seek(int(place["offset"]) + int(place["length"]) - 1)
                found.append(file.read(1)[0])
    return found


_REGIONS = {
    "many tensors": [(index * _GIB, _GIB) for index in range(3)],
    "one tensor": [(0, 2 * _GIB + 4096)],
    "offsets over 4 GiB": [(0, 4096), (5 * _GIB, 4096), (5 * _GIB + 4096, 1)],
}


@pytest.mark.parametrize("regions", _REGIONS.values(), ids=_REGIONS)
def test_lint_of_external_data(folder: Path, regions: list[tuple[int, int]]) -> None:
    """It is looked up, found in place, and not loaded."""
    run = ran("lint", _write(folder, *regions), "--select", "DN201")
    assert (run.code, "DN201" in run.said) == (0, True)
    assert run.peak < _MEMORY


@pytest.mark.parametrize("case", ["one tensor", "offsets over 4 GiB"])
def test_rewrite_beside_external_data_is_proven(folder: Path, case: str) -> None:
    """ONNX Runtime loads both models by their paths; the output has what stands at far offsets."""
    path, out = _write(folder, *_REGIONS[case]), folder / "out.onnx"
    run = ran("rewrite", path, "-o", out, "--use", "maxpool-to-exact-conv")
    assert run.code == 0, run.said
    assert "PASS" in run.said
    assert run.peak < _MEMORY
    assert _last(out) == list(range(1, len(_REGIONS[case]) + 1))


def test_verify_sees_a_difference_at_the_end(folder: Path) -> None:
    """Another byte behind 5 GiB is another model."""
    path = _write(folder, (0, 4096), (5 * _GIB, 4096))
    other = folder / "other"
    other.mkdir()
    with _write(other, (0, 4096), (5 * _GIB, 4096)).with_name("weights.bin").open("r+b") as file:
        file.seek(5 * _GIB + 4095)
        file.write(bytes([200]))
    run = ran("verify", path, other / "model.onnx")
    assert run.code == 1, run.said
    assert "198" in run.said


def test_external_data_is_copied_with_its_holes(folder: Path) -> None:
    """3 GiB go along to another folder, and take no more room there."""
    path, out = _write(folder, *_REGIONS["many tensors"]), folder / "elsewhere/out.onnx"
    out.parent.mkdir()
    run = ran(
        *("rewrite", path, "-o", out, "--use", "maxpool-to-exact-conv", "--no-verify"),
        *("--external-data", "copy"),
    )
    assert run.code == 0, run.said
    assert run.peak < _MEMORY
    copied = out.with_name("weights.bin").stat()
    assert copied.st_size == 3 * _GIB
    assert copied.st_blocks * 512 < 64 << 20
    assert _last(out) == [1, 2, 3]


def _inline(folder: Path, size: int) -> Path:
    """A model file of exactly this many bytes: a transposed convolution with its weights in it."""
    side = 4096
    rows = (size - 4096) // (side * 9 * inputs._FLOAT_BYTES)  # pyright: ignore[reportPrivateUsage]
    node = helper.make_node("ConvTranspose", ["x", "w"], ["up"], "up", strides=[2, 2])
    pool = helper.make_node("MaxPool", ["up"], ["y"], "pool", kernel_shape=[2, 2], strides=[2, 2])
    x = helper.make_tensor_value_info("x", 1, [1, rows, 8, 8])
    y = helper.make_tensor_value_info("y", 1, None)
    graph = helper.make_graph([node, pool], "large", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "inline.onnx"
    inputs.write_inline(model, {"w": (rows, side, 3, 3)}, path)
    filler = size - path.stat().st_size
    while path.stat().st_size != size:
        model.doc_string = " " * filler
        inputs.write_inline(model, {"w": (rows, side, 3, 3)}, path)
        filler += size - path.stat().st_size
    return path


@pytest.mark.parametrize("beyond", [0, 1 << 20], ids=["protobuf's longest", "longer"])
def test_weights_in_the_model_itself(folder: Path, beyond: int) -> None:
    """2 GiB less a byte, and what only onnxstride reads: rules look at weights without loading."""
    path = _inline(folder, LONGEST_MODEL + beyond)
    assert path.stat().st_size == LONGEST_MODEL + beyond
    run = ran("lint", path, "--select", "UP101,UP103", "--exit-zero")
    assert (run.code, "UP101" in run.said) == (0, True)
    assert run.peak < _MEMORY


def test_no_model_is_written_that_nobody_reads(folder: Path) -> None:
    """A rewrite that would take a model past protobuf's limit is refused, and says what to do."""
    path, out = _inline(folder, LONGEST_MODEL), folder / "out.onnx"
    run = ran("rewrite", path, "-o", out, "--use", "maxpool-to-exact-conv", "--no-verify")
    assert run.code == 2
    assert "reads less than 2 GiB; keep its weights as external data" in " ".join(run.said.split())
    assert run.peak < _MEMORY
    assert {file.name for file in folder.iterdir()} == {path.name}


def test_the_measure_sees_memory(folder: Path) -> None:
    """A process that takes 512 MiB is over the limit."""
    code = "import numpy; numpy.ones(1 << 26)\n" + _IN_CHILD
    command = [sys.executable, "-c", code, "--version"]
    run = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    found = re.search(r"peak (\d+) kB", run.stderr)
    assert found is not None
    assert int(found[1]) / 1024 > _MEMORY
