"""A model that holds every kind of field ONNX has, and weights wherever a weight may stand.

It is a sound model: Conv, MaxPool, If with pools in its branches, a function with a pool in it,
and a node of a foreign domain for the attributes no operator has. Beside it lie two files of
external data. Every message carries what it can: names, documentation, metadata, devices.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, TensorProto, TypeProto, helper

from .building import TYPES, field

LARGE = 600  # elements: as floats more than stays in the skeleton
EXTERNAL = {"weights.bin": 2400, "data/more weights.bin": 8192}
"""Files of external data and their sizes."""

_SIZE = 8000  # elements of two bits that fill more than stays in the skeleton
_LESS_THAN_A_BYTE = {21: 4, 22: 4, 23: 4, 25: 2, 26: 2, 27: 6, 28: 6}  # data type: bits
_SIX_BITS = frozenset(number for number, bits in _LESS_THAN_A_BYTE.items() if bits == 6)


_Annotated = (
    onnx.ModelProto
    | onnx.GraphProto
    | onnx.NodeProto
    | onnx.FunctionProto
    | onnx.TensorProto
    | onnx.ValueInfoProto
)


def everything() -> onnx.ModelProto:
    """The model; ``write_everything`` puts its external data beside it."""
    model = onnx.ModelProto(
        ir_version=13,
        producer_name="onnxstride tests",
        producer_version="1.0",
        domain="example.org",
        model_version=7,
        doc_string="Holds everything. " * 100,
        graph=_main_graph(),
        training_info=[_training()],
        functions=[_function()],
    )
    opsets = (("", 26), ("ai.onnx.ml", 3), ("example", 1))
    model.opset_import.extend(helper.make_opsetid(*opset) for opset in opsets)
    model.configuration.add(name="pair", num_devices=2, device=["gpu0", "gpu1"])
    _annotate(model)
    return model


def runnable() -> onnx.ModelProto:
    """The model without what ONNX Runtime refuses: the foreign node, and floats of six bits."""
    model = everything()
    for index in reversed(range(len(model.graph.node))):
        if model.graph.node[index].name == "foreign":
            del model.graph.node[index]
    for index in reversed(range(len(model.graph.initializer))):
        if model.graph.initializer[index].data_type in _SIX_BITS:
            del model.graph.initializer[index]
    return model


def write_everything(folder: Path, model: onnx.ModelProto | None = None) -> Path:
    """The model, or a variant of it, in a folder, with its external data."""
    random = np.random.default_rng(11)
    for location, size in EXTERNAL.items():
        (folder / location).parent.mkdir(parents=True, exist_ok=True)
        (folder / location).write_bytes(random.bytes(size))
    path = folder / "everything.onnx"
    path.write_bytes((model or everything()).SerializeToString())
    return path


def raw(name: str, *dims: int) -> onnx.TensorProto:
    """A float tensor in raw_data, with documentation and metadata."""
    seed = sum(name.encode())
    values = np.random.default_rng(seed).standard_normal(dims, np.float32) / 10
    tensor = TensorProto(name=name, data_type=1, dims=dims, raw_data=values.tobytes())
    tensor.doc_string = f"The weight {name}."
    _annotate(tensor)
    return tensor


def _main_graph() -> onnx.GraphProto:
    graph = GraphProto(name="main", doc_string="The main graph.")
    graph.input.extend([_value("x", 1, "batch", 4, 17, 17), _value("flag", TensorProto.BOOL)])
    graph.output.append(_value("y", 1, "batch", 8, None, None))
    graph.value_info.extend([_value("convolved", 1, None, 8, 17, 17), *_values_of_every_type()])
    graph.node.extend(_main_nodes())
    graph.initializer.extend([raw("kernel", 8, 4, 7, 7), raw("bias", 8), *_stored_in_every_way()])
    graph.sparse_initializer.extend([_sparse("thin", 5), _sparse("dense", LARGE)])
    annotation = graph.quantization_annotation.add(tensor_name="x")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="bias")
    _annotate(graph)
    return graph


def _main_nodes() -> Iterator[onnx.NodeProto]:
    conv = helper.make_node("Conv", ["x", "kernel", "bias"], ["convolved"], "conv", pads=[3] * 4)
    conv.doc_string = "Sees seven pixels."
    _place_on_devices(conv)
    yield conv
    yield _pool("main/pool", "convolved", "pooled")
    yield helper.make_node(
        "If",
        ["flag"],
        ["chosen"],
        "choice",
        then_branch=_branch("then"),
        else_branch=_branch("else"),
    )
    call = helper.make_node("Block", ["chosen"], ["y"], "block", domain="example", slope=0.5)
    call.overload = "float"
    yield call
    yield _foreign_node()


def _branch(name: str) -> onnx.GraphProto:
    """A subgraph with a pool, a large constant, a large initializer and a graph of its own."""
    scaled, inner = f"{name}/scaled", f"{name}/inner"
    graph = GraphProto(name=name, doc_string=f"The {name} branch.")
    graph.node.extend(
        [
            _constant(f"{name}/factor", raw("factor", 1, 8, 1, LARGE // 8)),
            helper.make_node("ReduceMax", [f"{name}/factor"], [f"{name}/top"], keepdims=0),
            helper.make_node("Mul", ["pooled", f"{name}/top"], [scaled], f"{name}/scale"),
            _nested_choice(name, scaled, inner),
            _pool(f"{name}/pool", inner, f"{name}/out"),
        ]
    )
    graph.initializer.append(raw(f"{name}/unused", LARGE))
    graph.output.append(_value(f"{name}/out", 1, None, 8, None, None))
    _annotate(graph)
    return graph


def _nested_choice(name: str, source: str, target: str) -> onnx.NodeProto:
    """An If inside a branch, each of its graphs with a weight."""
    graphs = []
    for side in ("left", "right"):
        inner = f"{name}/{side}"
        graph = GraphProto(name=inner)
        graph.initializer.append(raw(f"{inner}/slope", 8, 1, 1))
        graph.initializer.append(raw(f"{inner}/large", LARGE))
        graph.node.append(helper.make_node("PRelu", [source, f"{inner}/slope"], [f"{inner}/out"]))
        graph.output.append(_value(f"{inner}/out", 1, None, 8, None, None))
        graphs.append(graph)
    return helper.make_node(
        "If", ["flag"], [target], f"{name}/nested", then_branch=graphs[0], else_branch=graphs[1]
    )


def _foreign_node() -> onnx.NodeProto:
    """A node with attributes of every kind; nobody reads what it makes."""
    node = helper.make_node("Everything", ["x"], ["unread"], "foreign", domain="example")
    segment = raw("attribute/segment", 3)
    segment.segment.begin, segment.segment.end = 0, 3
    kinds = {
        "f": 0.5,
        "i": -3,
        "s": b"text \xff\x00",
        "t": raw("attribute/t", LARGE),
        "g": _lone_graph("attribute/g"),
        "floats": [0.5, 1.5],
        "ints": [1, -2, 1 << 40],
        "strings": [b"a", b""],
        "tensors": [segment, raw("attribute/large", LARGE)],
        "graphs": [_lone_graph("attribute/one"), _lone_graph("attribute/two")],
        "sparse_tensor": _sparse("attribute/sparse", LARGE),
        "sparse_tensors": [_sparse("attribute/thin", 3), _sparse("attribute/thick", LARGE)],
        "tp": helper.make_tensor_type_proto(1, [1]),
        "type_protos": [helper.make_tensor_type_proto(1, [1])],
    }
    for kind, value in kinds.items():
        attribute = helper.make_attribute(f"kind_{kind}", value)
        attribute.doc_string = f"An attribute in the field {kind}."
        node.attribute.append(attribute)
    _annotate(node)
    return node


def _lone_graph(name: str) -> onnx.GraphProto:
    graph = GraphProto(name=name, initializer=[raw(f"{name}/weight", LARGE)])
    graph.output.append(_value(f"{name}/weight", 1, LARGE))
    return graph


def _function() -> onnx.FunctionProto:
    """A pool between two operators, with a constant and attributes of both kinds."""
    slope = helper.make_node("LeakyRelu", ["pooled"], ["scaled"], "block/relu")
    slope.attribute.append(
        AttributeProto(name="alpha", ref_attr_name="slope", type=AttributeProto.FLOAT)
    )
    function = onnx.FunctionProto(
        name="Block",
        domain="example",
        overload="float",
        doc_string="Called once.",
        input=["source"],
        output=["target"],
        attribute=["slope"],
        node=[
            _pool("block/pool", "source", "pooled"),
            slope,
            _constant("block/offset", raw("offset", 1, 8, 1, LARGE // 8)),
            helper.make_node("ReduceMax", ["block/offset"], ["block/top"], keepdims=0),
            helper.make_node("Add", ["scaled", "block/top"], ["target"], "block/add"),
        ],
    )
    function.opset_import.append(helper.make_opsetid("", 26))
    function.attribute_proto.append(helper.make_attribute("table", raw("table", LARGE)))
    function.value_info.append(_value("pooled", 1, None, 8, None, None))
    _annotate(function)
    return function


def _training() -> onnx.TrainingInfoProto:
    training = onnx.TrainingInfoProto()
    for name, graph in (("start", training.initialization), ("step", training.algorithm)):
        graph.CopyFrom(_lone_graph(name))
        graph.node.append(_constant(f"{name}/seed", raw(f"{name}/seed", LARGE)))
    training.initialization_binding.add(key="bias", value="start/weight")
    training.update_binding.add(key="kernel", value="step/weight")
    return training


def _stored_in_every_way() -> Iterator[onnx.TensorProto]:
    """Tensors of every type, small and large, in raw and in typed fields, and external."""
    for number in TYPES:
        name = TensorProto.DataType.Name(number).lower()
        if number != TensorProto.STRING:
            yield _bytes_of(f"raw/{name}", number)
        for label, size in (("few", 4), ("many", _SIZE)):
            yield _typed(f"{label}/{name}", number, size)
    yield TensorProto(name="empty", data_type=1, dims=[0], raw_data=b"")
    yield TensorProto(name="blank", data_type=1, dims=[0], doc_string="")
    loaded = raw("loaded", LARGE)  # as onnx leaves a tensor whose external data it has loaded
    loaded.data_location = TensorProto.DEFAULT
    yield loaded
    yield _elsewhere("elsewhere", "weights.bin", dims=[LARGE])
    more = _elsewhere("elsewhere/part", "data/more weights.bin", dims=[LARGE])
    for key, value in (("offset", "4096"), ("length", "2400"), ("checksum", "0" * 40)):
        more.external_data.add(key=key, value=value)
    yield more


def _bytes_of(name: str, number: int) -> onnx.TensorProto:
    """Bytes that are values of any type, NaN and infinity among them; booleans are 0 and 1."""
    bits = _LESS_THAN_A_BYTE.get(number)
    bits = bits or 8 * helper.tensor_dtype_to_np_dtype(number).itemsize
    elements = _SIZE * 8 // bits // 4 * 4  # no bits left over
    data = np.random.default_rng(number).bytes(elements * bits // 8)
    if number == TensorProto.BOOL:
        data = bytes(byte & 1 for byte in data)
    return TensorProto(name=name, data_type=number, dims=[elements], raw_data=data)


def _typed(name: str, number: int, size: int) -> onnx.TensorProto:
    """A tensor in the field that its type has for values."""
    random = np.random.default_rng(size + number)
    if number == TensorProto.STRING:
        values = [f"{index} été".encode() for index in range(size)]
        return TensorProto(name=name, data_type=number, dims=[size], string_data=values)
    dtype = helper.tensor_dtype_to_np_dtype(number)
    array = random.integers(0, 2, size).astype(dtype)
    return helper.make_tensor(name, number, [size], array)


def _elsewhere(name: str, location: str, dims: list[int]) -> onnx.TensorProto:
    tensor = TensorProto(name=name, data_type=1, dims=dims, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def _sparse(name: str, size: int) -> onnx.SparseTensorProto:
    indices = helper.make_tensor(f"{name}/at", TensorProto.INT64, [size], range(0, 2 * size, 2))
    return helper.make_sparse_tensor(raw(name, size), indices, [2 * size])


def _values_of_every_type() -> Iterator[onnx.ValueInfoProto]:
    """Declared types of values that nobody makes."""
    inner = helper.make_tensor_type_proto(1, [1, "n"])
    types = {
        "sparse": helper.make_sparse_tensor_type_proto(1, [2, "n"]),
        "sequence": helper.make_sequence_type_proto(inner),
        "map": helper.make_map_type_proto(TensorProto.INT64, inner),
        "optional": helper.make_optional_type_proto(inner),
        "opaque": TypeProto(opaque_type=TypeProto.Opaque(domain="example", name="Thing")),
        "unknown": TypeProto(denotation="UNKNOWN"),
    }
    for name, kind in types.items():
        yield onnx.ValueInfoProto(name=f"declared/{name}", type=kind)


def _value(name: str, element: int, *shape: int | str | None) -> onnx.ValueInfoProto:
    value = helper.make_tensor_value_info(name, element, shape, f"The value {name}.")
    value.type.denotation = "IMAGE"
    for dim in value.type.tensor_type.shape.dim:
        dim.denotation = "DATA_BATCH"
    _annotate(value)
    return value


def _pool(name: str, source: str, target: str) -> onnx.NodeProto:
    node = helper.make_node(
        "MaxPool", [source], [target], name, kernel_shape=[2, 2], strides=[2, 2]
    )
    node.doc_string = f"The pool {name}."
    _annotate(node)
    return node


def _constant(name: str, value: onnx.TensorProto) -> onnx.NodeProto:
    node = helper.make_node("Constant", [], [name], name, value=value)
    _annotate(node)
    return node


def _place_on_devices(node: onnx.NodeProto) -> None:
    placed = node.device_configurations.add(configuration_id="pair", pipeline_stage=1)
    spec = placed.sharding_spec.add(tensor_name="x", device=[0, -1])
    spec.index_to_device_group_map.add(key=-1, value=[0, 1])
    for size in ({"dim_value": 2}, {"dim_param": "batch"}):
        sharded = spec.sharded_dim.add(axis=0)
        sharded.simple_sharding.add(num_shards=1, **size)


def _annotate(message: _Annotated) -> None:
    """Metadata: an entry, an empty one, one that is not ASCII; and a field that ONNX lacks."""
    for key, value in (("origin", "test"), ("empty", ""), ("größe", "5 µm")):
        message.metadata_props.add(key=key, value=value)
    message.MergeFromString(field(1000, b"unknown"))
