"""The models of ``models/``: true to their papers, up to date with their script, and runnable."""

import importlib
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnx.parser import parse_model

from models import build
from onnxstride.modelfile import open_model

ort: Any = importlib.import_module("onnxruntime")  # ships no types
checker: Any = importlib.import_module("onnx.checker")  # typed in part

NAMES = [make.__name__ for make in build.ARCHITECTURES]
SIZES = {"N": 1, "H": 48, "W": 64, "H2": 96, "W2": 128, "frames": 5, "samples": 5 * 256}

# What each paper (and, where the text says so, its usual implementation) is made of. "Conv 5x5 g2"
# has two groups, "Conv 7x7 by channel" one for each channel, "Conv 3 d5" has dilation 5.
LAYERS: dict[str, dict[str, int]] = {
    "lenet5": {"Conv 5x5": 3, "AveragePool 2x2 /2": 2, "Gemm": 2},
    "alexnet": {
        "Conv 11x11 /4": 1,
        "Conv 5x5 g2": 1,
        "Conv 3x3": 1,
        "Conv 3x3 g2": 2,
        "MaxPool 3x3 /2": 3,
        "Gemm": 3,
    },
    "vgg16": {"Conv 3x3": 13, "MaxPool 2x2 /2": 5, "Gemm": 3},
    "googlenet": {  # 57 convolutions: 3, then 6 in each of 9 modules
        "Conv 7x7 /2": 1,
        "Conv 1x1": 1 + 9 * 4,
        "Conv 3x3": 1 + 9,
        "Conv 5x5": 9,
        "MaxPool 3x3 /2": 4,
        "MaxPool 3x3": 9,
        "GlobalAveragePool": 1,
        "Gemm": 1,
    },
    "resnet50_v1": {  # 53 convolutions: 1, then 3 in each of 16 blocks, 4 shortcuts
        "Conv 7x7 /2": 1,
        "Conv 1x1": 13 + 16 + 1,
        "Conv 1x1 /2": 3 + 3,
        "Conv 3x3": 16,
        "MaxPool 3x3 /2": 1,
        "GlobalAveragePool": 1,
        "Gemm": 1,
    },
    "resnet50_v1_5": {
        "Conv 7x7 /2": 1,
        "Conv 1x1": 16 + 16 + 1,
        "Conv 1x1 /2": 3,
        "Conv 3x3": 13,
        "Conv 3x3 /2": 3,
        "MaxPool 3x3 /2": 1,
        "GlobalAveragePool": 1,
        "Gemm": 1,
    },
    "densenet121": {  # 120 convolutions: 1, then 2 in each of 58 layers, 3 transitions
        "Conv 7x7 /2": 1,
        "Conv 1x1": 58 + 3,
        "Conv 3x3": 58,
        "MaxPool 3x3 /2": 1,
        "AveragePool 2x2 /2": 3,
        "GlobalAveragePool": 1,
        "Gemm": 1,
    },
    "efficientnet_b0": {  # 81 convolutions, 32 of them in the gates
        "Conv 3x3 /2": 1,
        "Conv 1x1": 15 + 16 + 32 + 1,
        "Conv 3x3 by channel": 5,
        "Conv 3x3 /2 by channel": 2,
        "Conv 5x5 by channel": 7,
        "Conv 5x5 /2 by channel": 2,
        "GlobalAveragePool": 1 + 16,
        "Gemm": 1,
    },
    "convnext_tiny": {
        "Conv 4x4 /4": 1,
        "Conv 2x2 /2": 3,
        "Conv 7x7 by channel": 18,
        "MatMul": 36,
        "GlobalAveragePool": 1,
        "Gemm": 1,
    },
    "dcgan_generator": {"ConvTranspose 4x4": 1, "ConvTranspose 4x4 /2": 4},
    "unet_deconv": {
        "Conv 3x3": 18,
        "Conv 1x1": 1,
        "MaxPool 2x2 /2": 4,
        "ConvTranspose 2x2 /2": 4,
    },
    "unet_resize": {"Conv 3x3": 22, "Conv 1x1": 1, "MaxPool 2x2 /2": 4, "Resize": 4},
    "fsrcnn": {"Conv 5x5": 1, "Conv 1x1": 2, "Conv 3x3": 4, "ConvTranspose 9x9 /2": 1},
    "hifigan_generator": {  # 74 convolutions: 2, then 6 in each of 12 residual blocks
        "Conv 3": 16,
        "Conv 3 d3": 4,
        "Conv 3 d5": 4,
        "Conv 7": 2 + 16,
        "Conv 7 d3": 4,
        "Conv 7 d5": 4,
        "Conv 11": 16,
        "Conv 11 d3": 4,
        "Conv 11 d5": 4,
        "ConvTranspose 16 /8": 2,
        "ConvTranspose 4 /2": 2,
    },
    "unet3d": {
        "Conv 3x3x3": 14,
        "Conv 1x1x1": 1,
        "MaxPool 2x2x2 /2": 3,
        "ConvTranspose 3x3x3 /2": 3,
    },
}
OTHERS = ("Resize", "GlobalAveragePool", "Gemm", "MatMul")

# The last map before the classifier (the bottom of the U-Net): how far it sees, its total stride.
# AlexNet and VGG-16: Araujo, Norris, Sim 2019, table of receptive fields.
RECEPTIVE_FIELDS = {
    "lenet5": ("c5_tanh", 32, 4),  # exactly the input
    "alexnet": ("pool5", 195, 32),
    "vgg16": ("stage5_pool", 212, 32),
    # 379 with 3x3 for 5x5 and the last pool 2x2: widened by 2, 5, 2 modules and that pool
    "googlenet": ("inception5b_concat", 379 + 2 * (2 * 8 + 5 * 16 + 2 * 32) + 16, 32),
    "resnet50_v1_5": ("stage4_block3_add_relu", 427, 32),
    # the 3x3 after each early stride sees twice as far
    "resnet50_v1": ("stage4_block3_add_relu", 427 + 8 + 16 + 32, 32),
    "densenet121": ("norm_relu", 2071, 32),
    "efficientnet_b0": ("head_swish", 851, 32),
    "convnext_tiny": ("stage4_block3_add", 1688, 32),
    "unet_deconv": ("bottom_conv2_relu", 140, 16),
}


@cache
def text(name: str) -> str:
    return (build.FOLDER / f"{name}.onnxtxt").read_text(encoding="utf-8")


def with_weights(name: str) -> ModelProto:
    """The model as any runtime reads it: the noise written out."""
    with open_model(build.FOLDER / f"{name}.onnxtxt") as model:
        proto = ModelProto()
        proto.CopyFrom(model.proto)
        arrays = [(init.name, model.tensor(init)) for init in model.proto.graph.initializer]
        weights = [numpy_helper.from_array(array, each) for each, array in arrays]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(weights)
    return proto


def shape_of(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value or SIZES[dim.dim_param] for dim in dims)


def run(proto: ModelProto, level: int, shape: tuple[int, ...]) -> Any:
    """What ONNX Runtime makes of normal noise, at one level of optimisation."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel(level)
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=providers)
    noise = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    (result,) = session.run(None, {proto.graph.input[0].name: noise})
    return result


def attributes(node: NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def label(node: NodeProto, weights: dict[str, int]) -> str:
    """A window as LAYERS spells it; ``weights`` gives the first dimension of each."""
    a = attributes(node)
    (stride,) = set(a["strides"])
    (dilation,) = set(a.get("dilations", [1]))
    group = a.get("group", 1)
    words = [node.op_type, "x".join(map(str, a["kernel_shape"]))]
    words += [f"/{stride}"] * (stride > 1) + [f"d{dilation}"] * (dilation > 1)
    if group > 1:
        words.append("by channel" if group == weights[node.input[1]] else f"g{group}")
    return " ".join(words)


def layers(proto: ModelProto) -> Counter[str]:
    """Every window, pool, Resize and matrix of the graph, counted."""
    weights = {
        each.name: each.type.tensor_type.shape.dim[0].dim_value for each in proto.graph.value_info
    }
    windows = [node for node in proto.graph.node if attributes(node).get("kernel_shape")]
    others = [node.op_type for node in proto.graph.node if node.op_type in OTHERS]
    return Counter([label(node, weights) for node in windows] + others)


def receptive_fields(proto: ModelProto) -> dict[str, tuple[int, int]]:
    """For each map: the widest field over all paths, and the stride (first axis).

    r' = r + d (k - 1) S and S' = s S. What sees everything, or grows, is left out, so that a gate
    computed from the whole map does not count.
    """
    seen = {proto.graph.input[0].name: (1, 1)}
    for node in proto.graph.node:
        known = [seen[name] for name in node.input if name in seen]
        if not known or node.op_type in ("GlobalAveragePool", "Flatten", "ConvTranspose"):
            continue
        field, stride = max(known)
        a = attributes(node)
        if kernel := a.get("kernel_shape"):
            field += a.get("dilations", [1])[0] * (kernel[0] - 1) * stride
            stride *= a["strides"][0]
        seen[node.output[0]] = field, stride
    return seen


@pytest.mark.parametrize("make", build.ARCHITECTURES, ids=NAMES)
def test_each_text_is_what_the_script_writes(make: Callable[[], build.Net]) -> None:
    """``python models/build.py`` would change nothing."""
    net = make()
    assert net.name == make.__name__
    assert text(net.name) == net.text


@pytest.mark.parametrize("name", NAMES)
def test_each_model_is_valid_and_runs(name: str) -> None:
    """With noise for weights it gives finite values of the declared shape, optimised or not."""
    proto = with_weights(name)
    checker.check_model(proto, full_check=True)
    expected = shape_of(proto.graph.output[0])
    for level in (
        ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
        ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    ):
        result = run(proto, level, shape_of(proto.graph.input[0]))
        assert result.shape == expected
        assert np.isfinite(result).all()
        assert result.std() > 0


@pytest.mark.parametrize("name", NAMES)
def test_each_model_has_the_layers_of_its_paper(name: str) -> None:
    """Kernels, strides, dilations and depths, counted from the text."""
    assert layers(parse_model(text(name))) == LAYERS[name]


@pytest.mark.parametrize("name", RECEPTIVE_FIELDS)
def test_each_network_sees_as_far_as_published(name: str) -> None:
    """Receptive field and total stride of the last map, on the widest path."""
    value, field, stride = RECEPTIVE_FIELDS[name]
    assert receptive_fields(parse_model(text(name)))[value] == (field, stride)


def test_a_changed_stride_is_noticed() -> None:
    """One stride of VGG-16 doubled: neither the layers nor the receptive field are the paper's."""
    planted = parse_model(text("vgg16").replace("strides = [1,1]", "strides = [2,2]", 1))
    value, field, stride = RECEPTIVE_FIELDS["vgg16"]
    assert layers(planted) != LAYERS["vgg16"]
    assert receptive_fields(planted)[value] != (field, stride)


@pytest.mark.parametrize("name", ["unet_deconv", "unet_resize"])
def test_skips_of_the_unets_meet_only_at_multiples_of_16(name: str) -> None:
    """As their texts say: 16 and 48 run, 24 does not."""
    proto = with_weights(name)
    assert run(proto, 0, (1, 3, 16, 48)).shape == (1, 2, 16, 48)
    with pytest.raises(ort.capi.onnxruntime_pybind11_state.Fail):
        run(proto, 0, (1, 3, 24, 48))


def test_every_node_has_a_name_of_its_own() -> None:
    """Names tell nodes apart, and tell where they are."""
    for name in NAMES:
        nodes = [node.name for node in parse_model(text(name)).graph.node]
        assert "" not in nodes
        assert len(set(nodes)) == len(nodes)


def test_the_readme_says_what_lint_says() -> None:
    """``python models/build.py --table`` would change nothing."""
    readme = build.README.read_text(encoding="utf-8")
    assert build.with_table(readme, build.table(build.lint_counts())) == readme


def test_a_finding_more_changes_the_table() -> None:
    """The last column follows lint, and a model lint left out is an error, not a blank."""
    silent = {f"{name}.onnxtxt": Counter[str]() for name in NAMES}
    assert "| 2 UP101 |" not in build.table(silent)
    found = {**silent, "fsrcnn.onnxtxt": Counter({"UP101": 2})}
    assert "| 2 UP101 |" in build.table(found)
    del found["vgg16.onnxtxt"]
    with pytest.raises(KeyError):
        build.table(found)
