"""A splice puts new nodes in place of old ones, and touches nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import checker, helper

from onnxstride.graph import read_graph
from onnxstride.modelfile import open_model
from onnxstride.surgery import drop_unread
from tests.modelfile.everything import runnable, write_everything
from tests.rewrites.comparing import differences
from tests.rewrites.running import Session, rewritten, run, signal, tolerance, whole

from .sites import model_of, names, ops, put_in, scaled, site_of

BETWEEN = """
    <ir_version: 10, opset_import: ["": 22]>
    net (float[1,8,8,8] x) => (float[1,8,2,2] z)
    <float[1,8,8,8] a, float[1,8,4,4] y, float[1,8,4,4] b> {
        [before] a = Relu (x)
        [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a)
        [between] b = Relu (y)
        [last] z = MaxPool <kernel_shape = [2,2], strides = [2,2]> (b)
    }"""

IN_BODIES = """
    <ir_version: 10, opset_import: ["": 22]>
    net (float[1,8,8,8] x, bool flag, int64 trips) => (float[1,8,4,4] y, float[1,8,8,8] z)
    <float[1,8,1,1] slope> {
        y = If (flag) <
            then_branch = one () => (float[1,8,4,4] o) {
                [pool] o = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            },
            else_branch = two () => (float[1,8,4,4] p) {
                r = PRelu (x, slope)
                [other] p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (r)
            }
        >
        z = Loop (trips, flag, x) <
            body = three (int64 i, bool more, float[1,8,8,8] state)
                => (bool on, float[1,8,8,8] next) {
                [looped] next = MaxPool <kernel_shape = [3,3], pads = [1,1,1,1]> (state)
                on = Identity (more)
            }
        >
    }"""

IN_FUNCTION = """
    <ir_version: 10, opset_import: ["": 22, "local": 1]>
    net (float[1,8,8,8] x) => (float[1,8,4,4] y) {
        [call] y = local.Halve (x)
    }
    <domain: "local", opset_import: ["": 22]>
    Halve (x) => (y) {
        r = Neg (x)
        [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (r)
    }"""


def test_new_nodes_stand_where_the_old_one_stood() -> None:
    """Nodes before and after keep their places."""
    model = model_of(BETWEEN)
    site = site_of(model)
    put_in(model, site, scaled(site))
    assert names(model.proto.graph.node) == [
        "before",
        "pool/mul",
        "pool/averagepool",
        "between",
        "last",
    ]
    checker.check_model(model.proto, full_check=True)


@pytest.mark.parametrize("order", [("pool", "last"), ("last", "pool")])
def test_several_sites_of_one_graph(order: tuple[str, str]) -> None:
    """Sites read before the first splice are spliced in any order."""
    model = model_of(BETWEEN)
    graph_sites = [site_of(model, name) for name in order]
    for site in graph_sites:
        put_in(model, site, scaled(site))
    expected = ["before", "pool/mul", "pool/averagepool", "between", "last/mul", "last/averagepool"]
    assert names(model.proto.graph.node) == expected
    checker.check_model(model.proto, full_check=True)


def test_a_site_that_is_gone_is_refused() -> None:
    """What was replaced already cannot be replaced again."""
    model = model_of(BETWEEN)
    site, again = site_of(model), site_of(model)
    fragment = site.fragment()
    fragment.stand_in("y", fragment.add("Relu", ["a"]))
    put_in(model, site, fragment)
    model.proto.graph.node[1].output[0] = "renamed"
    with pytest.raises(ValueError, match="not in its graph"):
        put_in(model, again, scaled(again))


def test_what_is_said_of_tensors_that_are_gone_goes() -> None:
    """value_info and annotations of a dropped output go; those of the one that stays, stay."""
    model = model_of(BETWEEN)
    graph = model.proto.graph
    graph.node[1].output.append("indices")
    graph.value_info.append(helper.make_tensor_value_info("indices", 7, [1, 8, 4, 4]))
    for name in ("indices", "y", "x"):
        entry = graph.quantization_annotation.add(tensor_name=name)
        entry.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="x")
    site = site_of(model)
    put_in(model, site, scaled(site))
    assert names(graph.value_info) == ["a", "y", "b"]
    assert [each.tensor_name for each in graph.quantization_annotation] == ["y", "x"]


def test_sites_share_an_initializer() -> None:
    """It stays as long as one of them reads it, and is the same tensor for both."""
    model = model_of(BETWEEN)
    for name in ("pool", "last"):
        site = site_of(model, name)
        fragment = scaled(site, share="factor")
        put_in(model, site, fragment)
    tensor = onnx.numpy_helper.from_array(np.full((1, 1, 1, 1), 3, np.float32), "factor")
    model.proto.graph.initializer.append(tensor)
    checker.check_model(model.proto, full_check=True)
    site = site_of(model, "pool/averagepool")
    multiplied = site.scope.producer(site.layer.input)
    assert multiplied is not None
    fragment = site.fragment(multiplied)
    fragment.stand_in("y", fragment.add("Relu", ["a"]))
    put_in(model, site, fragment)
    drop_unread(read_graph(model), [((), "factor")])
    assert names(model.proto.graph.initializer) == ["factor"]
    site = site_of(model, "last/averagepool")
    multiplied = site.scope.producer(site.layer.input)
    assert multiplied is not None
    fragment = site.fragment(multiplied)
    fragment.stand_in("z", fragment.add("Relu", ["b"]))
    put_in(model, site, fragment)
    drop_unread(read_graph(model), [((), "factor")])
    assert names(model.proto.graph.initializer) == []


def test_sites_inside_bodies() -> None:
    """Pools in the branches of an If and the body of a Loop, each with constants of its own."""
    before = model_of(IN_BODIES)
    result = rewritten(before, "maxpool-to-exact-conv")
    assert sorted(change.node.name for change in result.changes) == ["looped", "other", "pool"]
    after = whole(result.model)
    checker.check_model(after, full_check=True)
    assert differences(whole(before), after, result.changes) == []
    assert len(after.graph.initializer) == 1
    old, new = Session(whole(before)), Session(after)
    for flag in (True, False):
        feeds = {
            "x": signal((1, 8, 8, 8)),
            "flag": np.array(flag),
            "trips": np.array(2, np.int64),
        }
        for one, other in zip(old.run(feeds), new.run(feeds), strict=True):
            np.testing.assert_allclose(other, one, rtol=0, atol=tolerance("float32", 24, one))


def test_a_site_inside_a_function() -> None:
    """A function has no initializers: its constants are nodes, ahead of those that read them."""
    before = model_of(IN_FUNCTION)
    result = rewritten(before, "maxpool-to-exact-conv")
    after = result.model.proto
    checker.check_model(after, full_check=True)
    assert differences(before.proto, after, result.changes) == []
    assert len(after.graph.initializer) == 0
    operators = ops(after.functions[0])
    assert operators[:5] == ["Neg", *["Constant"] * 4]
    x = {"x": signal((1, 8, 8, 8))}
    expected = run(before.proto, x)[0]
    np.testing.assert_allclose(
        run(after, x)[0], expected, rtol=0, atol=tolerance("float32", 8, expected)
    )


CALLED_TWICE = """
    <ir_version: 10, opset_import: ["": 22, "local": 1]>
    net (float[1,8,8,8] x, float[1,{other},8,8] z, bool flag)
        => (float[1,8,4,4] y, float[1,{other},4,4] w) {{
        y = local.Halve (x, flag)
        w = local.Halve (z, flag)
    }}
    <domain: "local", opset_import: ["": 22]>
    Halve (x, flag) => (y) {{
        y = If (flag) <
            then_branch = one () => (float[1,C,P,Q] o) {{
                [pool] o = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            }},
            else_branch = two () => (float[1,C,P,Q] p) {{
                p = AveragePool <kernel_shape = [2,2], strides = [2,2]> (x)
            }}
        >
    }}"""


@pytest.mark.parametrize("other", [8, 6])
def test_a_function_called_twice(other: int) -> None:
    """A pool in it is replaced where all calls agree on the channels, and refused where not."""
    before = model_of(CALLED_TWICE.format(other=other))
    result = rewritten(before, "maxpool-to-exact-conv")
    if other != 8:
        assert [each.reason for each in result.declined] == ["the number of channels is not known"]
        return
    after = result.model.proto
    checker.check_model(after, full_check=True)
    branch = after.functions[0].node[0].attribute[0].g
    assert len(branch.initializer) == 0
    assert ops(branch).count("Constant") == 4
    feeds = {"x": signal((1, 8, 8, 8)), "z": signal((1, 8, 8, 8), seed=1), "flag": np.array(True)}
    for one, other_one in zip(run(before.proto, feeds), run(after, feeds), strict=True):
        np.testing.assert_allclose(other_one, one, rtol=0, atol=tolerance("float32", 8, one))


OLD_IR = """
    <ir_version: 3, opset_import: ["": 8]>
    net (float[1,8,8,8] x, float[8,8,1,1] w, bool flag) => (float[1,8,4,4] y, float[1,8,4,4] z)
    <float[8,8,1,1] w = {WEIGHTS}> {
        c = Conv (x, w)
        y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (c)
        z = If (flag) <
            then_branch = one () => (float[1,8,4,4] o) {
                o = MaxPool <kernel_shape = [2,2], strides = [2,2]> (c)
            },
            else_branch = two () => (float[1,8,4,4] p) {
                p = AveragePool <kernel_shape = [2,2], strides = [2,2]> (c)
            }
        >
    }"""


def old_model() -> onnx.ModelProto:
    """A model of IR version 3, with an initializer that is an input, as it has to be there."""
    numbers = ",".join(str(number / 64) for number in range(64))
    model = model_of(OLD_IR.replace("WEIGHTS", numbers)).proto
    checker.check_model(model, full_check=True)
    return model


def test_initializers_of_old_models_are_inputs() -> None:
    """Before IR version 4 a new initializer is listed as an input; in a body it is a node."""
    before = old_model()
    result = rewritten(before, "maxpool-to-exact-conv")
    after = result.model.proto
    checker.check_model(after, full_check=True)
    assert differences(before, after, result.changes) == []
    initializers = names(after.graph.initializer)
    assert names(after.graph.input) == ["x", "w", "flag", *initializers[1:]]
    assert len(initializers) == 5
    assert ops(after.graph.node[-1].attribute[0].g).count("Constant") == 4
    feeds = {"x": signal((1, 8, 8, 8)), "flag": np.array(True)}
    for one, other in zip(run(before, feeds), run(after, feeds), strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=tolerance("float32", 8, one))


READ_INSIDE = """
    r = If (flag) <
        then_branch = a () => (float[2] o) { o = Relu (w) },
        else_branch = b () => (float[2] p) { p = Relu (x) }
    >"""
UNREAD: dict[str, tuple[str, tuple[str, ...], str, bool]] = {
    "nobody reads it": ("", (), "w", True),
    "a node reads it": ("r = Relu (w)", (), "w", False),
    "a body reads it": (READ_INSIDE, (), "w", False),
    "a body would read it": (READ_INSIDE.replace("w", "x"), ("r.then_branch",), "w", True),
    "it is no initializer": ("", (), "x", False),
    "the scope is not there": ("", ("elsewhere",), "w", False),
}


@pytest.mark.parametrize(("node", "path", "name", "goes"), UNREAD.values(), ids=UNREAD)
def test_unread_initializers_go(node: str, path: tuple[str, ...], name: str, goes: bool) -> None:
    """An initializer goes with its input and value_info, once nobody reads it."""
    model = model_of(f"""
        <ir_version: 10, opset_import: ["": 22]>
        net (float[2] x, bool flag, float[2] w) => (float[2] y) <float[2] w = {{1, 2}}> {{
            y = Relu (x)
            {node}
        }}""")
    graph = model.proto.graph
    graph.value_info.append(helper.make_tensor_value_info("w", 1, [2]))
    drop_unread(read_graph(model), [(path, name)])
    for listed in (graph.initializer, graph.value_info, graph.input):
        assert ("w" in names(listed)) is not goes
    assert "x" in names(graph.input)


def test_an_output_is_read() -> None:
    """An initializer that the graph hands out stays."""
    model = model_of("""
        <ir_version: 10, opset_import: ["": 22]>
        net (float[2] x) => (float[2] y, float[2] w) <float[2] w = {1, 2}> { y = Relu (x) }""")
    drop_unread(read_graph(model), [((), "w")])
    assert names(model.proto.graph.initializer) == ["w"]


@pytest.mark.parametrize("form", ["additive", "slice-max"])
def test_everything_else_stays(tmp_path: Path, form: str) -> None:
    """In a model with every kind of field, four pools go and nothing else changes."""
    with open_model(write_everything(tmp_path)) as model:
        before = onnx.ModelProto.FromString(model.proto.SerializeToString())
        result = rewritten(model, "maxpool-to-exact-conv", form=form)
        places = {(change.node.scope, change.node.name) for change in result.changes}
        assert places == {
            ((), "main/pool"),
            (("choice.then_branch",), "then/pool"),
            (("choice.else_branch",), "else/pool"),
            (("function example::Block:float",), "block/pool"),
        }
        assert differences(before, result.model.proto, result.changes) == []
        assert model.proto.SerializeToString() == before.SerializeToString()


def test_everything_runs(tmp_path: Path) -> None:
    """The part of it that ONNX Runtime takes computes what it did."""
    with open_model(write_everything(tmp_path, runnable())) as model:
        result = rewritten(model, "maxpool-to-exact-conv")
        old, new = Session(whole(model)), Session(whole(result.model))
        for flag in (True, False):
            feeds = {"x": signal((1, 4, 17, 17)), "flag": np.array(flag)}
            for one, other in zip(old.run(feeds), new.run(feeds), strict=True):
                np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


def _document(model: onnx.ModelProto) -> None:
    model.graph.node[0].doc_string = "edited"


def _reorder(model: onnx.ModelProto) -> None:
    nodes = [*model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))


def _forget_metadata(model: onnx.ModelProto) -> None:
    del model.metadata_props[0]


def _touch_weights(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = b"\0" + model.graph.initializer[0].raw_data[1:]


def _touch_a_body(model: onnx.ModelProto) -> None:
    choice = next(node for node in model.graph.node if node.op_type == "If")
    choice.attribute[0].g.node[0].doc_string = "edited"


def _touch_a_function(model: onnx.ModelProto) -> None:
    model.functions[0].node[-1].doc_string = "edited"


def _drop_weights(model: onnx.ModelProto) -> None:
    del model.graph.initializer[0]


@pytest.mark.parametrize(
    "fault",
    [
        _document,
        _reorder,
        _forget_metadata,
        _touch_weights,
        _touch_a_body,
        _touch_a_function,
        _drop_weights,
    ],
)
def test_a_loss_is_noticed(tmp_path: Path, fault: Callable[[onnx.ModelProto], None]) -> None:
    """Whatever else changes is told."""
    with open_model(write_everything(tmp_path)) as model:
        result = rewritten(model, "maxpool-to-exact-conv")
        fault(result.model.proto)
        assert differences(model.proto, result.model.proto, result.changes) != []
