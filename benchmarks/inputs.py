"""Models to measure on, each written in seconds at any weight.

Large weights are holes: the bytes around them are written and the file is lengthened over the
rest, so a gigabyte of zeros takes a few kilobytes on a file system with sparse files and is never
in memory. A tensor in the protobuf wire format is a message whose last field, raw_data, is a tag,
a length and the bytes; ``write_inline`` writes all but the bytes.

Where a file is to be copied, its holes are filled: a copy of holes costs nothing.

    python benchmarks/inputs.py FOLDER CASE...     writes what these cases of the others read
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[1]
LIGHT_MODELS = Path(onnx.__file__).parent / "backend/test/data/light"
LIGHT_DENSENET = LIGHT_MODELS / "light_densenet121.onnx"
VERIFIED = ("resnet50", "squeezenet")
SAMPLES = 3

Shapes = Mapping[str, tuple[int, ...]]

# Field numbers of onnx.proto and the wire type of a field with a length.
_MODEL_GRAPH, _GRAPH_INITIALIZER, _TENSOR_RAW_DATA = 7, 5, 9
_WITH_LENGTH = 2
_FLOAT_BYTES = 4
_CHUNK = 16 << 20


def encoder_decoder(seed: int = 1, channels: int = 8) -> ModelProto:
    """A small model with every kind of layer that changes resolution, and random weights."""
    nodes = [
        _node("Conv", "x", "w_down", "down", strides=[2, 2], pads=[1, 1, 1, 1]),
        _node("Relu", "down", "down_relu"),
        _node("MaxPool", "down_relu", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        _node("Conv", "pool", "w_middle", "middle", pads=[1, 1, 1, 1]),
        _node("ConvTranspose", "middle", "w_up", "up", strides=[2, 2]),
        _node("ConvTranspose", "up", "w_out", "y", strides=[2, 2], pads=[1, 1, 1, 1]),
    ]
    shapes = {
        "w_down": (channels, 3, 3, 3),
        "w_middle": (channels, channels, 3, 3),
        "w_up": (channels, channels, 3, 3),
        "w_out": (channels, 3, 4, 4),
    }
    return _model(nodes, _image(3, 64), ["y"], list(_random(shapes, seed)))


def blocks(nodes: int, channels: int = 4) -> ModelProto:
    """A model of ``nodes`` nodes, rounded down to tens: residual blocks, half of them windows."""
    count = nodes // 10
    parts = [part for index in range(count) for part in _block(index, channels)]
    weights = [
        tensor
        for index in range(count)
        for tensor in _random(_block_shapes(index, channels), seed=index)
    ]
    return _model(parts, _image(channels, 32, "b0"), [f"b{count}"], weights)


def _block(index: int, channels: int) -> list[NodeProto]:
    here, after = f"b{index}", f"b{index + 1}"
    value = [f"{here}_v{step}" for step in range(9)]
    weight = list(_block_shapes(index, channels))
    around = [1, 1, 1, 1]
    return [
        _node("Conv", here, weight[0], value[0], pads=around),
        _node("Relu", value[0], value[1]),
        _node("Conv", value[1], weight[1], value[2], pads=around),
        _node("Relu", value[2], value[3]),
        _node("MaxPool", value[3], value[4], kernel_shape=[2, 2], strides=[2, 2]),
        _node("Conv", value[4], weight[2], value[5], pads=around),
        _node("Relu", value[5], value[6]),
        _node("ConvTranspose", value[6], weight[3], value[7], strides=[2, 2]),
        _node("Relu", value[7], value[8]),
        _node("Add", value[8], here, after),
    ]


def _block_shapes(index: int, channels: int) -> dict[str, tuple[int, ...]]:
    square = (channels, channels)
    convolutions = {f"b{index}_w{which}": (*square, 3, 3) for which in range(3)}
    return {**convolutions, f"b{index}_w3": (*square, 2, 2)}


def convolutions(channels: int, layers: int = 27) -> tuple[ModelProto, Shapes]:
    """A chain of 3x3 convolutions, every ninth of stride 2, and the shapes its weights have.

    The model has none of these weights; the functions below give it them in three ways.
    """
    shapes = {f"w{index}": (channels, channels, 3, 3) for index in range(layers)}
    nodes = [
        _node(
            "Conv",
            f"v{index}",
            weight,
            f"v{index + 1}",
            strides=[2, 2] if index % 9 == 0 else [1, 1],
            pads=[1, 1, 1, 1],
        )
        for index, weight in enumerate(shapes)
    ]
    return _model(nodes, _image(channels, 32, "v0"), [f"v{layers}"], []), shapes


def pooled(channels: int, layers: int = 27) -> tuple[ModelProto, Shapes]:
    """The same chain of convolutions with one MaxPool behind it."""
    model, shapes = convolutions(channels, layers)
    node = _node("MaxPool", f"v{layers}", "pooled", kernel_shape=[2, 2], strides=[2, 2])
    model.graph.node.append(node)
    model.graph.output[0].name = "pooled"
    return model, shapes


def deconvolutions(channels: int, layers: int = 27) -> tuple[ModelProto, Shapes]:
    """The same with transposed convolutions of uneven overlap, whose weights a rule asks for."""
    shapes = {f"w{index}": (channels, channels, 3, 3) for index in range(layers)}
    nodes = [
        _node("ConvTranspose", f"v{index}", weight, f"v{index + 1}", strides=[2, 2])
        for index, weight in enumerate(shapes)
    ]
    return _model(nodes, _image(channels, 2, "v0"), [f"v{layers}"], []), shapes


def write_weightless(model: ModelProto, shapes: Shapes, path: Path) -> None:
    """The weights are inputs of the graph: known by shape, nowhere to be read."""
    copy = _copy(model)
    copy.graph.input.extend(_value(name, shape) for name, shape in shapes.items())
    path.write_bytes(copy.SerializeToString())


def write_external(model: ModelProto, shapes: Shapes, path: Path) -> None:
    """The weights are zeros in one file next to the model."""
    copy = _copy(model)
    data = path.with_suffix(".data")
    ends = list(accumulate(map(_size, shapes.values())))
    for (name, shape), end in zip(shapes.items(), ends, strict=True):
        tensor = _header(name, shape)
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": data.name, "offset": end - _size(shape), "length": _size(shape)}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        copy.graph.initializer.append(tensor)
    path.write_bytes(copy.SerializeToString())
    with data.open("wb") as file:
        file.truncate(ends[-1])


def write_inline(model: ModelProto, shapes: Shapes, path: Path) -> None:
    """The weights are zeros in the model file itself, of any size."""
    tensors = [(_raw_tensor(name, shape), _size(shape)) for name, shape in shapes.items()]
    nodes = model.graph.SerializeToString()
    length = len(nodes) + sum(len(head) + hole for head, hole in tensors)
    around = _copy(model)
    around.ClearField("graph")
    with path.open("wb") as file:
        file.write(around.SerializeToString() + _start(_MODEL_GRAPH, length) + nodes)
        for head, hole in tensors:
            file.write(head)
            file.seek(hole, 1)
        file.truncate(file.tell())


def fill_holes(path: Path) -> None:
    """Zeros on the disk in place of holes, so that they have to be copied like anything else."""
    with path.open("r+b", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            file.seek(-len(chunk), os.SEEK_CUR)
            file.write(chunk)
        os.fsync(file.fileno())


def _raw_tensor(name: str, shape: tuple[int, ...]) -> bytes:
    """An initializer up to where its raw_data begins."""
    header: bytes = _header(name, shape).SerializeToString()
    tensor = header + _start(_TENSOR_RAW_DATA, _size(shape))
    return _start(_GRAPH_INITIALIZER, len(tensor) + _size(shape)) + tensor


def _start(field: int, length: int) -> bytes:
    """Tag and length of a field that has one."""
    return _varint(field << 3 | _WITH_LENGTH) + _varint(length)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _header(name: str, shape: tuple[int, ...]) -> TensorProto:
    return TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape)) * _FLOAT_BYTES


def _copy(model: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def _node(op: str, *names: str, **attributes: Any) -> NodeProto:
    """A node named after its output, the last of ``names``."""
    return helper.make_node(op, names[:-1], names[-1:], name=f"{op}_{names[-1]}", **attributes)


def _value(name: str, shape: tuple[int, ...]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _image(channels: int, side: int, name: str = "x") -> ValueInfoProto:
    return _value(name, (1, channels, side, side))


def _random(shapes: Shapes, seed: int) -> Iterator[TensorProto]:
    generator = np.random.default_rng(seed)
    for name, shape in shapes.items():
        yield numpy_helper.from_array(generator.standard_normal(shape, np.float32), name)


def _model(
    nodes: list[NodeProto], image: ValueInfoProto, outputs: list[str], weights: list[TensorProto]
) -> ModelProto:
    """A model whose outputs are images of unknown size."""
    images = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "c", "h", "w"])
        for name in outputs
    ]
    graph = helper.make_graph(nodes, "benchmark", [image], images, weights)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def write_small(folder: Path) -> None:
    onnx.save(encoder_decoder(), folder / "small.onnx")


def write_weights(folder: Path) -> None:
    model, shapes = convolutions(channels=1024)
    write_weightless(model, shapes, folder / "weightless.onnx")
    write_inline(model, shapes, folder / "inline.onnx")
    write_external(model, shapes, folder / "external.onnx")
    write_inline(*convolutions(channels=1400), folder / "inline_2gb.onnx")
    write_external(*convolutions(channels=2048), folder / "external_4gb.onnx")


def write_asked(folder: Path) -> None:
    model, shapes = deconvolutions(channels=1024)
    write_weightless(model, shapes, folder / "weightless.onnx")
    write_inline(model, shapes, folder / "inline.onnx")
    write_external(model, shapes, folder / "external.onnx")


def write_nodes(folder: Path) -> None:
    write_small(folder)
    for count in (10_000, 100_000):
        onnx.save(blocks(count), folder / f"nodes_{count}.onnx")


def write_densenet(folder: Path) -> None:
    write_small(folder)
    shutil.copy(LIGHT_DENSENET, folder / "densenet121.onnx")


def write_folder(folder: Path, count: int = 500) -> None:
    write_small(folder)
    models = folder / "models"
    models.mkdir()
    for index in range(count):
        onnx.save(encoder_decoder(seed=index), models / f"model_{index:03}.onnx")


def write_peers(folder: Path) -> None:
    write_densenet(folder)
    write_inline(*convolutions(channels=1024), folder / "inline.onnx")


def write_rewritten(folder: Path) -> None:
    """Models to rewrite, and where to write them."""
    model, shapes = pooled(channels=1024)
    write_weightless(model, shapes, folder / "weightless.onnx")
    write_inline(model, shapes, folder / "inline.onnx")
    write_external(model, shapes, folder / "external.onnx")
    fill_holes(folder / "inline.onnx")
    fill_holes(folder / "external.data")
    (folder / "out").mkdir()


def write_verified(folder: Path) -> None:
    """Pairs of models, and feeds for them; the smallest shows what starting up takes."""
    write_small(folder)
    for name in VERIFIED:
        shutil.copy(LIGHT_MODELS / f"light_{name}.onnx", folder / f"{name}.onnx")
    for name in ("small", *VERIFIED):
        model = folder / f"{name}.onnx"
        rewritten = folder / f"{name}_rewritten.onnx"
        command = ["rewrite", str(model), "-o", str(rewritten), "--no-verify"]
        command += ["--use", "maxpool-to-exact-conv"]
        subprocess.run(  # noqa: S603 - our own
            [sys.executable, "-m", "onnxstride", *command],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        _write_feeds(model)


def _write_feeds(model: Path) -> None:
    """A .npz beside the model, with random values for its only input."""
    graph = onnx.load(model).graph
    given = {tensor.name for tensor in graph.initializer}
    [image] = [value for value in graph.input if value.name not in given]
    shape = [dim.dim_value for dim in image.type.tensor_type.shape.dim]
    random = np.random.default_rng(0).standard_normal((SAMPLES, *shape), np.float32)
    np.savez(model.with_suffix(".npz"), allow_pickle=False, **{image.name: random})


WRITERS: Mapping[str, Callable[[Path], None]] = {
    "startup": write_small,
    "weights": write_weights,
    "asked": write_asked,
    "nodes": write_nodes,
    "densenet": write_densenet,
    "folder": write_folder,
    "peers": write_peers,
    "rewrite": write_rewritten,
    "verify": write_verified,
}


if __name__ == "__main__":
    for chosen in sys.argv[2:]:
        WRITERS[chosen](Path(sys.argv[1]))
