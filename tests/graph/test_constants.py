"""Values fixed in the file, compared with what the operators compute."""

import tracemalloc
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxstride.geometry.few import MOST
from onnxstride.graph import read_graph
from onnxstride.graph.constants import Constants
from onnxstride.modelfile import ModelFile, open_model

from .building import Array, function, graph_of, model, node, ref, run

T = TensorProto


def _value(proto: onnx.ModelProto, name: str = "y") -> Array | None:
    """The constant, once what it is as ``Few`` numbers is known to be the same."""
    graph = graph_of(proto)
    reader = graph.main.nodes[0]
    value, few = graph.constant(reader, name), graph.few(reader, name)
    if value is None or value.size > MOST or value.dtype.kind not in "iuf":
        assert few is None
    else:
        assert few is not None
        assert few.shape == value.shape
        assert repr(list(few.values)) == repr(value.reshape(-1).tolist())  # nan as well
        assert few.is_float == (value.dtype.kind == "f")
    return value


def _constant(**attributes: object) -> onnx.ModelProto:
    return model(node("Constant", "", "y", **attributes))


class TestConstantNodes:
    @pytest.mark.parametrize(
        "attributes",
        [
            {"value": numpy_helper.from_array(np.array([[1.5, 2]], np.float32))},
            {"value_int": 7},
            {"value_ints": [1, -2, 3]},
            {"value_float": 0.25},
            {"value_floats": [0.5, 1e9]},
        ],
        ids=lambda attributes: next(iter(attributes)),
    )
    def test_every_numeric_form_gives_what_the_runtime_gives(
        self, attributes: dict[str, object]
    ) -> None:
        """Type and shape included."""
        proto = _constant(**attributes)
        found, (expected,) = _value(proto), run(proto, {})
        assert found is not None
        assert (found.dtype, found.tolist()) == (expected.dtype, expected.tolist())

    @pytest.mark.parametrize("size", [1, MOST, MOST + 1])
    def test_a_tensor_is_few_numbers_up_to_a_size(self, size: int) -> None:
        """Beyond it whoever asks for few gets none, and has to ask for an array."""
        tensor = numpy_helper.from_array(np.arange(size, dtype=np.float32))
        value = _value(_constant(value=tensor))
        assert value is not None
        assert value.size == size

    @pytest.mark.parametrize("form", ["value_string", "value_strings"])
    def test_strings_are_no_values_here(self, form: str) -> None:
        """No geometry depends on a string."""
        proto = _constant(**{form: "a" if form == "value_string" else ["a", "b"]})
        assert _value(proto) is None

    def test_a_parameter_of_a_function_is_what_the_calls_agree_on(self) -> None:
        """Where they do not, the constant has no value, and the file no fault."""
        for passed, expected in (([3, 3], 3), ([3, 4], None)):
            constant = node("Constant", "", "k")
            constant.attribute.append(ref("value_int", "size", onnx.AttributeProto.INT))
            made = function("F", "a", "b", constant, node("Add", "a k", "b"), parameters=["size"])
            calls = [node("F", "x", f"y{i}", domain="f", size=n) for i, n in enumerate(passed)]
            graph = graph_of(model(*calls, inputs={"x": [2]}, functions=[made], out="y0"))
            inner = graph.nodes()[-1]
            found = graph.constant(inner, "k")
            assert graph.faults == ()
            assert (None if found is None else int(found)) == expected

    def test_a_tensor_parameter_without_a_value_is_no_fault(self) -> None:
        """A reference carries an empty tensor, which is not a damaged one."""
        constant = node("Constant", "", "b")
        constant.attribute.append(ref("value", "v", onnx.AttributeProto.TENSOR))
        made = function("F", "a", "b", constant, parameters=["v"])
        proto = model(node("Relu", "x", "y"), inputs={"x": [2]}, functions=[made])
        assert graph_of(proto).faults == ()


def _quantised(kind: int, shape: tuple[int, ...]) -> onnx.TensorProto:
    size = int(np.prod(shape))
    limits: dict[int, tuple[int, int]] = {
        T.INT8: (-128, 127),
        T.UINT8: (0, 255),
        T.INT4: (-8, 7),
        T.UINT4: (0, 15),
        T.INT32: (-9999, 9999),
        T.FLOAT8E4M3FN: (-4, 4),
        T.FLOAT8E5M2: (-4, 4),
    }
    low, high = limits[kind]
    values = np.random.default_rng(5).integers(low, high, size, endpoint=True)
    return helper.make_tensor("w", kind, shape, values.tolist())


DEQUANTIZE = [
    *product(
        [T.INT8, T.UINT8, T.INT4, T.UINT4], ["tensor", "axis 0", "axis -1", "block"], [True, False]
    ),
    *product([T.INT32], ["tensor", "axis 0"], [False]),
    *product([T.FLOAT8E4M3FN, T.FLOAT8E5M2], ["tensor", "axis 0"], [True, False]),
]


def _dequantize(kind: int, way: str, has_zero_point: bool) -> onnx.ModelProto:
    shape = (4, 3, 6)
    scales: dict[str, tuple[int, ...]] = {
        "tensor": (), "axis 0": (4,), "axis -1": (6,), "block": (4, 2, 6),
    }  # fmt: skip
    axis = {"tensor": 1, "axis 0": 0, "axis -1": -1, "block": 1}[way]
    rng = np.random.default_rng(7)
    scale = rng.uniform(0.1, 2, scales[way]).astype(np.float32)
    count = int(np.prod(scales[way]))
    zeros = (
        [0] * count if kind in (T.FLOAT8E4M3FN, T.FLOAT8E5M2) else [1 + i % 5 for i in range(count)]
    )
    attributes = {"axis": axis} | ({"block_size": 2} if way == "block" else {})
    inputs = "w s z" if has_zero_point else "w s"
    proto = model(node("DequantizeLinear", inputs, "y", **attributes),
                  weights={"s": scale}, opset=21, ir_version=10)  # fmt: skip
    proto.graph.initializer.append(_quantised(kind, shape))
    if has_zero_point:
        proto.graph.initializer.append(helper.make_tensor("z", kind, scales[way], zeros))
    return proto


class TestFollowed:
    @pytest.mark.parametrize(("kind", "way", "has_zero_point"), DEQUANTIZE)
    def test_dequantized_weights_are_what_the_runtime_computes(
        self, kind: int, way: str, has_zero_point: bool
    ) -> None:
        """Per tensor, per axis, per block (the last one shorter), with and without zero point."""
        proto = _dequantize(kind, way, has_zero_point)
        found, (expected,) = _value(proto), run(proto, {})
        assert found is not None
        # One rounding each: the product of two floats.
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=0)

    def test_a_planted_wrong_axis_is_seen(self) -> None:
        """Scales along another axis give other values."""
        right, wrong = (_dequantize(T.INT8, "axis 0", has_zero_point=False) for _ in range(2))
        wrong.graph.initializer[0].dims[:] = [4]
        wrong.graph.node[0].attribute[0].i = 1
        assert _value(right) is not None
        assert _value(wrong) is None

    @pytest.mark.parametrize("block", [3, 4])
    def test_the_stated_block_size_counts(self, block: int) -> None:
        """Five elements in two blocks may be 3 + 2 or 4 + 1."""
        proto = model(
            node("DequantizeLinear", "w s", "y", axis=0, block_size=block),
            opset=21,
            weights={"w": np.ones((5, 1), np.int8), "s": np.array([[1], [9]], np.float32)},
            ir_version=10,
        )
        found = _value(proto)
        assert found is not None
        assert found.ravel().tolist() == [1.0] * block + [9.0] * (5 - block)

    @pytest.mark.parametrize("kind", [T.FLOAT16, T.INT8, T.UINT8, T.BOOL, T.DOUBLE, T.BFLOAT16])
    def test_casts_are_followed(self, kind: int) -> None:
        """Into every type that the values fit."""
        cast = node("Cast", "w", "c", to=kind)
        proto = model(cast, node("Cast", "c", "y", to=T.FLOAT),
                      weights={"w": np.array([0, 1, 1.5, 100], np.float32)})  # fmt: skip
        found, (expected,) = _value(proto), run(proto, {})
        assert found is not None
        assert found.tolist() == expected.tolist()

    @pytest.mark.parametrize("kind", [T.STRING, 0, 999, T.INT8, T.FLOAT16])
    def test_casts_that_do_not_fit_are_quiet(self, kind: int) -> None:
        """No exception and no warning, whatever the values."""
        extremes = np.array([np.nan, np.inf, -1e38, 1e38], np.float32)
        proto = model(node("Cast", "w", "y", to=kind), weights={"w": extremes})
        assert (_value(proto) is None) == (kind in (T.STRING, 0, 999))

    @pytest.mark.parametrize("op_type", ["Cast", "DequantizeLinear", "ConstantOfShape", "Identity"])
    def test_missing_and_textual_inputs_are_no_constants(self, op_type: str) -> None:
        """Whatever stands there, nothing is raised."""
        attributes = {"to": T.FLOAT} if op_type == "Cast" else {}
        text = T(name="w", data_type=T.STRING, dims=[1], string_data=[b"a"])
        for inputs in ("", "-", "w", "w w", "w -", "lost"):
            proto = model(node(op_type, inputs, "y", **attributes))
            proto.graph.initializer.append(text)
            if op_type != "Identity":
                assert _value(proto) is None

    def test_a_chain_with_a_computed_value_in_it_is_no_constant(self) -> None:
        """A scale that is an input makes the product one too."""
        proto = model(node("DequantizeLinear", "w s", "y"), inputs={"s": []},
                      weights={"w": np.ones(3, np.int8)})  # fmt: skip
        assert _value(proto) is None

    def test_operators_of_other_domains_are_not_followed(self) -> None:
        """A custom Identity may do anything; Microsoft's DequantizeLinear does what ONNX's does."""
        weights: dict[str, Array] = {"w": np.ones(3, np.int8), "s": np.array(2, np.float32)}
        assert _value(model(node("Identity", "w", "y", domain="f"), weights=weights)) is None
        theirs = _value(
            model(node("DequantizeLinear", "w s", "y", domain="com.microsoft"), weights=weights)
        )
        assert theirs is not None
        assert theirs.tolist() == [2.0, 2.0, 2.0]


class TestSize:
    @pytest.mark.parametrize("then", ["", "Cast", "DequantizeLinear"])
    def test_a_huge_constant_costs_no_memory(self, then: str) -> None:
        """A trillion equal elements are one element, and what is computed from them likewise."""
        nodes = [
            node("ConstantOfShape", "shape", "c", value=helper.make_tensor("", T.INT8, [1], [3]))
        ]
        if then == "Cast":
            nodes.append(node("Cast", "c", "y", to=T.FLOAT))
        elif then:
            nodes.append(node("DequantizeLinear", "c s", "y"))
        weights: dict[str, Array] = {
            "shape": np.array([2**20, 2**20]),
            "s": np.array(2, np.float32),
        }
        proto = model(*nodes, weights=weights)
        tracemalloc.start()
        found = _value(proto, "y" if then else "c")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**20
        if then == "DequantizeLinear":
            assert found is None
        else:
            assert found is not None
            assert (found.shape, float(found[-1, -1])) == ((2**20, 2**20), 3)

    @pytest.mark.parametrize("shape", [[2**62, 2**62], [-1], [2] * 65, [[2]], [1.5]])
    def test_a_shape_that_no_array_can_have_is_no_constant(self, shape: list[object]) -> None:
        """Too many elements to count, negative ones, too many axes, or not a list of sizes."""
        proto = model(node("ConstantOfShape", "shape", "y"), weights={"shape": np.array(shape)})
        assert _value(proto) is None

    def test_branches_that_meet_again_are_walked_once(self) -> None:
        """Each level reads the one before three times: 3^30 walks, if each were walked."""
        nodes = [node("DequantizeLinear", f"t{i} t{i} t{i}", f"t{i + 1}") for i in range(30)]
        proto = model(*nodes, weights={"t0": np.ones(1, np.int8)}, out="t30")
        assert _value(proto, "t30") is not None

    def test_a_cycle_is_no_constant(self) -> None:
        """And comes to an end."""
        proto = model(node("Identity", "b", "a"), node("Identity", "a", "b"), out="b")
        assert _value(proto, "a") is None


class TestWhere:
    def test_a_function_called_once_sees_the_constant_its_call_passes(self) -> None:
        """Also through a second function; with two calls it is not one value any more."""
        inner = function("In", "p", "q", node("Identity", "p", "k"), node("Relu", "k", "q"))
        outer = function("Out", "p", "q", node("In", "p", "q", domain="f"))
        calls = [node("Out", "w", f"y{i}", domain="f") for i in range(2)]
        for count in (1, 2):
            proto = model(*calls[:count], weights={"w": [3]}, functions=[inner, outer], out="y0")
            graph = graph_of(proto)
            (leaf,) = (each for each in graph.nodes() if each.op_type == "Relu")
            assert (graph.constant(leaf, "k") is not None) == (count == 1)

    def test_a_large_weight_is_read_from_the_file(self, tmp_path: Path) -> None:
        """Its bytes are not in the graph; damaged ones are no constant."""
        weight = np.arange(4096, dtype=np.float32)
        proto = model(node("Identity", "w", "y"), weights={"w": weight})
        onnx.save(proto, tmp_path / "m.onnx")
        with open_model(tmp_path / "m.onnx") as file:
            found = Constants(file).value(read_graph(file).main, "y")
            assert found is not None
            assert found.tolist() == weight.tolist()
        proto.graph.initializer[0].raw_data = b"short"
        graph = read_graph(ModelFile.from_proto(proto))
        assert "tensor 'w'" in str(graph.faults[0])
        assert graph.constant(graph.nodes()[0], "w") is None
