"""Faults for a legal graph: attributes, names, shapes and wires that no exporter writes."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import onnx
from onnx import AttributeProto, TensorProto, helper

from .graphs import Case

HUGE = (2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1)
NUMBERS = (0, 0, -1, -2, 1, 2, 3, 5, 100, -(2**31), -(2**63), *HUGE)
_NAMES = ("", "x", "y", "no such tensor", "\u202e", "a" * 200)


def spoiled(case: Case, random: Random, most: int = 3) -> Case:
    """The case with one to ``most`` faults in its model."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for _ in range(random.randint(1, most)):
        random.choice(FAULTS)(model, random)
    return Case(model, case.shapes)


def _graphs(model: onnx.ModelProto) -> list[onnx.GraphProto | onnx.FunctionProto]:
    """The main graph, the functions, and the bodies of their nodes."""
    found: list[onnx.GraphProto | onnx.FunctionProto] = [model.graph, *model.functions]
    for graph in found:
        found += [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return found


def _nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for graph in _graphs(model) for node in graph.node]


def _attributes(model: onnx.ModelProto) -> list[AttributeProto]:
    return [attribute for node in _nodes(model) for attribute in node.attribute]


def _shapes(model: onnx.ModelProto) -> Iterator[onnx.TensorShapeProto]:
    for graph in _graphs(model):
        if isinstance(graph, onnx.GraphProto):
            for value in (*graph.input, *graph.output, *graph.value_info):
                yield value.type.tensor_type.shape


def _change_numbers(model: onnx.ModelProto, random: Random) -> None:
    """Other numbers in a list of some attribute, or another length."""
    lists = [each for each in _attributes(model) if each.ints]
    if not lists:
        return
    chosen = random.choice(lists)
    values = list(chosen.ints)
    match random.randrange(5):
        case 0:
            values = values[:-1]
        case 1:
            values = values + values[: random.randint(1, 2)]
        case 2:
            values = [random.choice(NUMBERS)] * len(values)
        case _:
            values[random.randrange(len(values))] = random.choice(NUMBERS)
    del chosen.ints[:]
    chosen.ints.extend(values)


def _change_a_number(model: onnx.ModelProto, random: Random) -> None:
    single = [each for each in _attributes(model) if each.type == AttributeProto.INT]
    if single:
        random.choice(single).i = random.choice(NUMBERS)


def _change_a_type(model: onnx.ModelProto, random: Random) -> None:
    """An attribute of another type, or one that tells a type it has not."""
    attributes = _attributes(model)
    if not attributes:
        return
    chosen = random.choice(attributes)
    if random.random() < 0.3:
        kinds: Any = AttributeProto.AttributeType
        chosen.type = random.choice(kinds.values())
        return
    made = random.choice((3, 1.5, "SAME_UPPER", "linear", [1, 2], [0.5], ["a"], b"\xff"))
    chosen.CopyFrom(helper.make_attribute(chosen.name, made))


def _add_an_attribute(model: onnx.ModelProto, random: Random) -> None:
    """One that the node may have, of any value, or one that it has already."""
    nodes = _nodes(model)
    name = random.choice(
        (
            *("auto_pad", "ceil_mode", "count_include_pad", "dilations", "group", "kernel_shape"),
            *("output_padding", "output_shape", "pads", "strides", "storage_order", "blocksize"),
            *("axes", "mode", "axis", "p", "perm", "scales", "to"),
        )
    )
    words = ("SAME_LOWER", "NOTSET", "nearest", "DCR", "")
    lists = [random.choice(NUMBERS) for _ in range(random.randint(1, 4))]
    made = random.choice((random.choice(NUMBERS), random.choice(words), lists, 0.5, [2.0, 0.0]))
    if nodes:
        random.choice(nodes).attribute.append(helper.make_attribute(name, made))


def _refer(model: onnx.ModelProto, random: Random) -> None:
    """An attribute that is a parameter of the function it is in, or of none."""
    attributes = _attributes(model)
    if attributes:
        random.choice(attributes).ref_attr_name = random.choice(("alpha", "pads", ""))


def _drop_an_attribute(model: onnx.ModelProto, random: Random) -> None:
    nodes = [node for node in _nodes(model) if node.attribute]
    if nodes:
        attributes = random.choice(nodes).attribute
        del attributes[random.randrange(len(attributes))]


def _rewire(model: onnx.ModelProto, random: Random) -> None:
    """An input from elsewhere: nothing, a later node, the node itself, or what is not there."""
    nodes = [node for node in _nodes(model) if node.input]
    if not nodes:
        return
    node = random.choice(nodes)
    names = [*_NAMES, *node.output, *(name for each in _nodes(model) for name in each.output)]
    names += [tensor.name for tensor in model.graph.initializer]
    node.input[random.randrange(len(node.input))] = random.choice(names)


def _change_the_inputs(model: onnx.ModelProto, random: Random) -> None:
    """Fewer inputs, or more."""
    nodes = _nodes(model)
    if nodes:
        inputs = random.choice(nodes).input
        if inputs and random.random() < 0.6:
            del inputs[random.randrange(len(inputs)) :]
        else:
            inputs.extend([random.choice(("", "x"))] * random.randint(1, 3))


def _rename_an_output(model: onnx.ModelProto, random: Random) -> None:
    nodes = [node for node in _nodes(model) if node.output]
    if nodes:
        outputs = random.choice(nodes).output
        others = [name for node in nodes for name in node.output]
        outputs[random.randrange(len(outputs))] = random.choice((*_NAMES, *others))


def _change_the_outputs(model: onnx.ModelProto, random: Random) -> None:
    nodes = _nodes(model)
    if nodes:
        outputs = random.choice(nodes).output
        if random.random() < 0.5:
            del outputs[:]
        else:
            outputs.append(random.choice(("", "more")))


def _rename_a_node(model: onnx.ModelProto, random: Random) -> None:
    nodes = _nodes(model)
    if nodes:
        random.choice(nodes).name = random.choice((*_NAMES, random.choice(nodes).name))


def _repeat_a_node(model: onnx.ModelProto, random: Random) -> None:
    graph = random.choice(_graphs(model))
    if graph.node:
        graph.node.add().CopyFrom(random.choice(graph.node))


def _reorder(model: onnx.ModelProto, random: Random) -> None:
    graph = random.choice(_graphs(model))
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    random.shuffle(nodes)
    del graph.node[:]
    graph.node.extend(nodes)


def _change_an_operator(model: onnx.ModelProto, random: Random) -> None:
    nodes = _nodes(model)
    if nodes:
        chosen = random.choice(nodes)
        if random.random() < 0.3:
            chosen.domain = random.choice(("com.microsoft", "ai.onnx", "f", "elsewhere"))
        else:
            chosen.op_type = random.choice([*(node.op_type for node in nodes), *_OPERATORS])


_OPERATORS = (
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "Resize"),
    *("Upsample", "DepthToSpace", "SpaceToDepth", "Slice", "Pad", "Concat", "Reshape", "Transpose"),
    *("QLinearConv", "ConvInteger", "FusedConv", "NhwcMaxPool", "If", "Loop", "Scan", "Split"),
    *("Squeeze", "Unsqueeze", "Gather", "Shape", "Size", "Cast", "Expand", "Tile", "Flatten"),
    *("ReduceMean", "Einsum", "MatMul", "Range", "ConstantOfShape", "CenterCropPad", "Col2Im"),
)


def _change_a_shape(model: onnx.ModelProto, random: Random) -> None:
    """A dimension of a declared shape that is unknown, empty, negative, huge, or one too many."""
    shapes = list(_shapes(model))
    if not shapes:
        return
    dims = random.choice(shapes).dim
    if not dims or random.random() < 0.2:
        dims.add().dim_value = random.choice(NUMBERS)
    elif random.random() < 0.2:
        del dims[random.randrange(len(dims))]
    elif random.random() < 0.3:
        random.choice(dims).dim_param = random.choice(("", "H", "s2", "-1", "a b"))
    else:
        random.choice(dims).dim_value = random.choice(NUMBERS)


def _declare(model: onnx.ModelProto, random: Random) -> None:
    """A shape for a tensor inside the graph, which may well be wrong."""
    names = [name for node in model.graph.node for name in node.output]
    if names:
        dims = [
            random.choice((1, 2, 4, 8, None, "H", "W", -1)) for _ in range(random.randint(0, 5))
        ]
        kind = random.choice((TensorProto.FLOAT, TensorProto.INT64, TensorProto.FLOAT))
        value = helper.make_tensor_value_info(random.choice(names), kind, dims)
        model.graph.value_info.append(value)


def _change_a_weight(model: onnx.ModelProto, random: Random) -> None:
    """Other dimensions, another type or no data for a weight."""
    tensors = [*model.graph.initializer]
    tensors += [attribute.t for attribute in _attributes(model) if attribute.HasField("t")]
    if not tensors:
        return
    tensor = random.choice(tensors)
    match random.randrange(6):
        case 0:
            tensor.data_type = random.randint(0, 30)
        case 1:
            tensor.raw_data = tensor.raw_data[: len(tensor.raw_data) // 2]
        case 2:
            tensor.dims.append(random.choice(NUMBERS))
        case 3 if tensor.dims:
            del tensor.dims[-1]
        case 4 if tensor.raw_data:
            tensor.raw_data = random.randbytes(len(tensor.raw_data))
        case _ if tensor.dims:
            tensor.dims[random.randrange(len(tensor.dims))] = random.choice(NUMBERS)
        case _:
            tensor.name = random.choice(_NAMES)


def _drop_a_weight(model: onnx.ModelProto, random: Random) -> None:
    tensors = model.graph.initializer
    if tensors:
        del tensors[random.randrange(len(tensors))]


def _change_the_opset(model: onnx.ModelProto, random: Random) -> None:
    if random.random() < 0.3:
        del model.opset_import[:]
    elif model.opset_import:
        random.choice(model.opset_import).version = random.choice((*range(31), *NUMBERS))


def _change_the_version(model: onnx.ModelProto, random: Random) -> None:
    model.ir_version = random.choice((*range(16), *NUMBERS))


def _call_itself(model: onnx.ModelProto, random: Random) -> None:
    """A function whose first node is a call of it."""
    if model.functions:
        function = random.choice(model.functions)
        call = helper.make_node(function.name, ["X"], ["again"], domain=function.domain)
        function.node.insert(0, call)


def _change_the_interface(model: onnx.ModelProto, random: Random) -> None:
    """The graph's own inputs or outputs: none, twice, or of another type."""
    values = random.choice((model.graph.input, model.graph.output))
    match random.randrange(4):
        case 0:
            del values[:]
        case 1 if values:
            values.add().CopyFrom(random.choice(values))
        case 2 if values:
            random.choice(values).type.tensor_type.elem_type = random.randint(0, 30)
        case _ if values:
            random.choice(values).type.ClearField("tensor_type")
        case _:
            values.add().name = random.choice(_NAMES)


FAULTS: tuple[Callable[[onnx.ModelProto, Random], None], ...] = (
    *(_change_numbers, _change_numbers, _change_numbers, _change_a_number, _change_a_type),
    *(_add_an_attribute, _refer, _drop_an_attribute, _rewire, _rewire, _change_the_inputs),
    *(_rename_an_output, _change_the_outputs, _rename_a_node, _repeat_a_node, _reorder),
    *(_change_an_operator, _change_a_shape, _change_a_shape, _declare, _change_a_weight),
    *(_change_a_weight, _drop_a_weight, _change_the_opset, _change_the_version, _call_itself),
    _change_the_interface,
)
