"""What was replaced and its replacement run side by side without the rest of the model."""

import numpy as np
import onnx
import pytest

from onnxstride.graph import read_graph
from onnxstride.modelfile import ModelFile
from onnxstride.surgery import Cutout, Fragment, Site, cut_out
from tests.rewrites.running import Session, refusals, rewritten, run, signal

from .sites import model_of, names, ops, scaled, site_of
from .test_splice import IN_BODIES, IN_FUNCTION


def cut(model: ModelFile, site: Site, fragment: Fragment) -> Cutout | str:
    return cut_out(read_graph(model), site.layer, fragment.finished())


def both(found: Cutout | str) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The two models of a cut-out, which ONNX Runtime loads and which have the same interface."""
    assert isinstance(found, Cutout), found
    before, after = (onnx.ModelProto.FromString(part) for part in (found.before, found.after))
    for model in (before, after):
        Session(model)
    assert before.graph.input == after.graph.input
    assert before.graph.output == after.graph.output
    return before, after


def shape_of(model: onnx.ModelProto) -> list[int | str]:
    """Declared dimensions of the first input."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    return [dim.dim_param or dim.dim_value for dim in dims]


FIXED = """
    <ir_version: 10, opset_import: ["": 22]>
    net (float[1,8,8,8] x) => (float[1,8,4,4] z) {
        [before] a = Relu (x)
        [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a)
        [after] z = Relu (y)
    }"""


@pytest.mark.parametrize("any_size", [True, False])
def test_sizes_are_open_where_any_is_claimed(any_size: bool) -> None:
    """Batch and spatial sizes become symbols, unless only the declared ones are right."""
    model = model_of(FIXED)
    site = site_of(model)
    fragment = scaled(site)
    fragment.any_size = any_size
    before, after = both(cut(model, site, fragment))
    expected = ["batch", 8, "size0", "size1"] if any_size else [1, 8, 8, 8]
    assert shape_of(before) == expected
    assert (ops(before.graph), ops(after.graph)) == (["MaxPool"], ["Mul", "AveragePool"])
    assert names(before.graph.input) == ["a"]
    assert names(before.graph.output) == ["y"]


def test_it_has_the_versions_of_the_model() -> None:
    """Opsets and IR version are those in force."""
    model = model_of(FIXED)
    site = site_of(model)
    for cutout in both(cut(model, site, scaled(site))):
        assert cutout.ir_version == 10
        assert [(each.domain, each.version) for each in cutout.opset_import] == [("", 22)]


CONSTANTS = """
    <ir_version: 10, opset_import: ["": 22]>
    net (float[1,2,9,9] x) => (float[1,2,5,5] y) <float[2,2,3,3] w> {
        k = Identity (w)
        [conv] y = Conv <strides = [2,2], auto_pad = "SAME_UPPER"> (x, k)
    }"""


def test_constants_travel_along() -> None:
    """A weight the node reads is in both models, also when a node hands it on."""
    model = model_of(CONSTANTS)
    result = rewritten(model, "explicit-padding")
    (change,) = result.changes
    assert change.cutout is not None
    before, after = both(change.cutout)
    assert [names(each.graph.initializer) for each in (before, after)] == [["k"], ["k"]]
    feeds = {"x": signal((1, 2, 9, 9))}
    np.testing.assert_array_equal(run(before, feeds)[0], run(after, feeds)[0])


def test_constants_are_loaded_when_asked_for() -> None:
    """Until then no copy of a large weight is kept."""
    text = CONSTANTS.replace("2,2,3,3", "2,2,99,99").replace("9,9] x", "200,200] x")
    (change,) = rewritten(model_of(text), "explicit-padding").changes
    assert change.cutout is not None
    weight = 2 * 2 * 99 * 99 * 4
    assert change.cutout.old.ByteSize() + change.cutout.new.ByteSize() < 1000
    assert min(len(change.cutout.before), len(change.cutout.after)) > weight


@pytest.mark.parametrize("text", [IN_BODIES, IN_FUNCTION], ids=["bodies", "function"])
def test_sites_inside(text: str) -> None:
    """A site in a body or a function is cut out with the shapes known there."""
    result = rewritten(model_of(text), "maxpool-to-exact-conv")
    assert result.changes
    for change in result.changes:
        assert change.cutout is not None, change.uncut
        before, after = both(change.cutout)
        assert shape_of(before) == ["batch", 8, "size0", "size1"]
        feeds = {before.graph.input[0].name: signal((2, 8, 5, 6))}
        np.testing.assert_allclose(run(after, feeds)[0], run(before, feeds)[0], atol=1e-4)


BY_PARAMETER = """
    <ir_version: 10, opset_import: ["": 22, "local": 1]>
    net (float[1,2,9,9] x) => (float[1,2,5,5] y) {
        [call] y = local.Shrink <window = [3,3], round_up = 1> (x)
    }
    <domain: "local", opset_import: ["": 22]>
    Shrink <window, round_up> (x) => (y) {
        [pool] y = MaxPool <kernel_shape: ints = @window, strides = [2,2],
            ceil_mode: int = @round_up, pads = [0,0,1,1]> (x)
    }"""


@pytest.mark.parametrize("name", ["maxpool-to-exact-conv", "explicit-padding"])
def test_parameters_are_written_out(name: str) -> None:
    """Attributes that a function takes from its call are values in the cut-out."""
    model = model_of(BY_PARAMETER)
    result = rewritten(model, name)
    (change,) = result.changes
    assert change.cutout is not None, change.uncut
    before, after = both(change.cutout)
    feeds = {before.graph.input[0].name: signal((1, 2, 9, 9))}
    np.testing.assert_allclose(run(after, feeds)[0], run(before, feeds)[0], atol=1e-4)
    x = {"x": feeds[before.graph.input[0].name]}
    np.testing.assert_array_equal(run(model.proto, x)[0], run(before, feeds)[0])
    np.testing.assert_allclose(run(result.model.proto, x)[0], run(before, feeds)[0], atol=1e-4)


UNSHAPED = """
    <ir_version: 10, opset_import: ["": 22, "far": 1]>
    net (float[1,2,9,9] x) => (float[1,2,5,5] y) <{declared}> {{
        a = far.Away (x)
        [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a)
    }}"""


@pytest.mark.parametrize(
    ("declared", "missing"),
    [("", "the element type of 'a' is unknown"), ("float a", "the rank of 'a' is unknown")],
    ids=["nothing declared", "no rank declared"],
)
def test_what_is_missing_is_said(declared: str, missing: str) -> None:
    """A map of unknown type or rank cannot be fed."""
    model = model_of(UNSHAPED.format(declared=declared))
    for value in model.proto.graph.value_info:
        value.type.tensor_type.ClearField("shape")
    site = site_of(model)
    assert cut(model, site, scaled(site)) == missing


def test_what_is_relied_on_is_told() -> None:
    """The map that a ReLU made non-negative is named, so that nothing else is fed there."""
    (change,) = rewritten(model_of(FIXED), "maxpool-to-exact-conv").changes
    assert change.cutout is not None
    assert change.cutout.non_negative == ("a",)


SMALLEST: dict[str, tuple[str, tuple[int, ...]]] = {
    "a pool": ("MaxPool <kernel_shape = [3,2], strides = [2,2]>", (3, 2)),
    "padding": ("MaxPool <kernel_shape = [3,3], pads = [1,0,1,1]>", (1, 2)),
    "dilation": ("MaxPool <kernel_shape = [3,3], dilations = [2,3]>", (5, 7)),
    "ceil_mode": ("MaxPool <kernel_shape = [3,3], strides = [2,3], ceil_mode = 1>", (2, 1)),
    "an average": ("AveragePool <kernel_shape = [4,1]>", (4, 1)),
    "VALID": ('MaxPool <kernel_shape = [3,3], auto_pad = "VALID">', (3, 3)),
    "transposed": (
        "ConvTranspose <kernel_shape = [2,2], strides = [2,1], pads = [2,1,1,2]>",
        (2, 3),
    ),
    "transposed, and longer": (
        "ConvTranspose <kernel_shape = [2,2], strides = [2,2], output_padding = [1,1]>",
        (1, 1),
    ),
}


@pytest.mark.parametrize(("node", "smallest"), SMALLEST.values(), ids=SMALLEST)
def test_the_smallest_size(node: str, smallest: tuple[int, ...]) -> None:
    """It is the first along each axis for which there is output, as ONNX Runtime has it."""
    weights = ", w" if node.startswith("Conv") else ""
    model = model_of(f"""
        <ir_version: 10, opset_import: ["": 22]>
        net (float[1,1,H,W] x) => (float[1,1,P,Q] y) <float[1,1,2,2] w> {{
            [pool] y = {node} (x{weights})
        }}""")
    site = site_of(model)
    fragment = site.fragment()
    fragment.stand_in("y", fragment.add("Relu", ["x"]))
    found = cut(model, site, fragment)
    assert isinstance(found, Cutout)
    assert found.smallest == smallest
    before = onnx.ModelProto.FromString(found.before)
    assert run(before, {"x": signal((1, 1, *smallest))})[0].size > 0
    for axis in range(2):
        shorter = [size - (i == axis) for i, size in enumerate(smallest)]
        if min(shorter) > 0 and weights:
            with pytest.raises(refusals()):
                run(before, {"x": signal((1, 1, *shorter))})
