"""Admissible sizes of the models of this project, against ONNX Runtime at a few sizes."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from onnxstride.analysis.sizes import input_sizes
from onnxstride.geometry.size_sets import condition

from ..graph.building import graph_of
from .nets import filled, running_sizes

MODELS = Path(__file__).parents[2] / "models"

CASES = {
    "unet_deconv": ("% 16 == 0", ("H", "W"), (8, 15, 16, 17, 24, 31, 32, 33), 16),
    "unet_resize": ("% 16 == 0", ("H", "W"), (8, 15, 16, 17, 24, 31, 32, 33), 16),
    "unet3d": ("% 8 == 0", ("D", "H", "W"), (4, 7, 8, 9, 12, 15, 16), 8),
    "fsrcnn": ("any", ("H", "W"), (1, 2, 5, 16), 4),
}


def opened(name: str, symbols: tuple[str, ...]) -> onnx.ModelProto:
    """A model with its weights filled in and its spatial dimensions left open."""
    proto = filled((MODELS / f"{name}.onnxtxt").read_text(encoding="utf-8"))
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    for dim, symbol in zip(list(dims)[2:], symbols, strict=True):
        dim.dim_param = symbol
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    del proto.graph.value_info[:]
    return proto


@pytest.mark.parametrize("name", CASES)
def test_the_set_is_what_runs(name: str) -> None:
    """Along each axis the model runs at the sizes found and refuses the others."""
    words, symbols, sizes, other = CASES[name]
    proto = opened(name, symbols)
    found = input_sizes(graph_of(proto)).inputs
    assert [size.name for size in found] == list(symbols)
    for size in found:
        expected = f"any {size.name}" if words == "any" else f"{size.name} {words}"
        assert condition(size.sizes, size.name) == expected
        others = {"N": 1, **dict.fromkeys(symbols, other)}
        running = running_sizes(proto, size.name, sizes, others)
        assert running == {each for each in sizes if each in size.sizes}


def test_a_model_of_fixed_size_is_asked_what_it_would_take() -> None:
    """The 3-D U-Net is written for 64 elements a side, and would take any multiple of 8."""
    text = (MODELS / "unet3d.onnxtxt").read_text(encoding="utf-8")
    found = input_sizes(graph_of(text), freed=True).inputs
    assert [size.declared for size in found] == [64, 64, 64]
    assert [condition(size.sizes, size.name) for size in found] == [
        "D % 8 == 0",
        "H % 8 == 0",
        "W % 8 == 0",
    ]
