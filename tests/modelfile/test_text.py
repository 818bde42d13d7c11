"""ONNX text: short to write, and weights without values are made up the same way every time."""

import random
import zlib

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto

from onnxstride.errors import InvalidTensor, ModelError, NotAModel
from onnxstride.modelfile import ModelFile, noise, open_model, parse_text

from .building import TYPES, assert_same, tensors_of

_CONV = """
g (float[1,3,8,8] x) => (float[1,4,6,6] y)
<float[4,3,3,3] W, float[4] B, float[1,4,6,6] a>
{
    a = Conv (x, W, B)
    y = Relu (a)
}
"""


def _weights(model: ModelFile) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in model.proto.graph.initializer}


def _weight(text: str, name: str = "W") -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    model = parse_text(text)
    return model.tensor(_weights(model)[name])


def _used_by(node: str, declared: str) -> str:
    return f"g (float[1,4,8,8] x, bool c) => (float[N] y) <{declared}> {{ y = {node} }}"


def test_the_header_may_be_left_out() -> None:
    """Without it the model is IR 10, opset 22; with it, what it says."""
    short = parse_text(_CONV).proto
    assert (short.ir_version, short.opset_import[0].version) == (10, 22)
    full = parse_text('<ir_version: 8, opset_import: ["" : 17]>' + _CONV).proto
    assert (full.ir_version, full.opset_import[0].version) == (8, 17)
    commented = parse_text('# first\n  <ir_version: 9, opset_import: ["" : 18]>' + _CONV).proto
    assert commented.ir_version == 9


def test_declared_names_without_values_are_weights() -> None:
    """A declared name that a node reads and none makes is an initializer; others stay shapes."""
    model = parse_text(_CONV)
    assert {name: list(t.dims) for name, t in _weights(model).items()} == {
        "W": [4, 3, 3, 3],
        "B": [4],
    }
    assert [value.name for value in model.proto.graph.value_info] == ["a"]
    assert [model.fault(tensor) for tensor in model.proto.graph.initializer] == [None, None]


def test_given_values_are_kept() -> None:
    """A name with values is what the text says."""
    text = _used_by("Mul (x, W)", "float[2] W = {1.5, -2}")
    assert _weight(text).tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    "text",
    [
        _used_by("Relu (x)", "float[4] W"),
        _used_by("Mul (x, W)", "float[n, 4] W"),
        _used_by("Mul (x, W)", "float[] W"),
        _used_by("Mul (x, W)", "float[?] W"),
        _used_by("Mul (x, W)", "seq(float[4]) W"),
        "g (float[4] W) => (float[4] y) <float[4] W> { y = Relu (W) }",
        "g (float[4] x) => (float[4] y) <float[4] W> { W = Relu (x) y = Relu (W) }",
    ],
    ids=["unused", "symbolic", "no rank", "unknown", "sequence", "input", "produced"],
)
def test_other_declared_names_are_no_weights(text: str) -> None:
    """Without a use, a static tensor shape, or with another origin, a name stays declared."""
    model = parse_text(text)
    assert _weights(model) == {}
    assert [value.name for value in model.proto.graph.value_info] == ["W"]


_BRANCHES = """
g (bool c, float[2] x) => (float[2] y) <{outer}> {{
    y = If (c) <
        then_branch = t () => (float[2] p) <{inner}> {{ p = Add (x, W) }},
        else_branch = e () => (float[2] q) {{ q = Mul (x, {other}) }}
    >
}}
"""


def _all_weights(outer: str, inner: str, other: str = "x") -> dict[str, list[str]]:
    model = parse_text(_BRANCHES.format(outer=outer, inner=inner, other=other)).proto
    graphs = [model.graph, *(attribute.g for attribute in model.graph.node[0].attribute)]
    return {graph.name: [tensor.name for tensor in graph.initializer] for graph in graphs}


def test_a_weight_used_in_a_branch_belongs_where_it_is_declared() -> None:
    """Declared outside: the main graph's. Declared inside: the branch's. Both: the outer one."""
    weight = "float[2] W"
    assert _all_weights(weight, "") == {"g": ["W"], "t": [], "e": []}
    assert _all_weights("", weight) == {"g": [], "t": ["W"], "e": []}
    assert _all_weights(weight, weight) == {"g": ["W"], "t": [], "e": []}
    assert _all_weights("", "float[2] V") == {"g": [], "t": [], "e": []}


def test_a_name_made_inside_a_branch_is_no_weight_of_the_graph() -> None:
    """What some node makes, anywhere inside, is not made up."""
    assert _all_weights("float[2] p", "float[2] W", "p")["g"] == []


def test_a_name_in_a_function_is_the_functions_own() -> None:
    """A use inside a local function, whose names are its own, makes no weight."""
    text = """
    <ir_version: 10, opset_import: ["" : 22, "f" : 1]>
    g (float[2] x) => (float[2] y) <float[2] W, float[2] V> { y = f.scale (x, V) }
    <domain: "f", opset_import: ["" : 22]>
    scale (a, b) => (c) <float[2] W> { d = Mul (a, b) c = Add (d, W) }
    """
    model = parse_text(text)
    assert list(_weights(model)) == ["V"]
    assert [value.name for value in model.proto.functions[0].value_info] == ["W"]


def test_noise_is_the_same_every_time() -> None:
    """Values follow from the name: equal between readings, different between names."""
    first, second = _weight(_CONV), _weight(_CONV)
    assert_same(first, second)
    assert not first.flags.writeable
    other = _weight(_CONV.replace("W", "V"), "V")
    assert first.tolist() != other.tolist()
    expected = np.random.RandomState(zlib.crc32(b"W")).standard_normal((4, 3, 3, 3))
    assert_same(first, (expected * np.sqrt(2 / 27)).astype(np.float32))


@pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16", "DOUBLE", "INT8", "UINT4"])
@pytest.mark.parametrize("role", [noise.WEIGHT, noise.OFFSET, noise.POSITIVE])
def test_noise_is_the_same_in_pieces(kind: str, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many elements are drawn at a time."""
    tensor = noise.noise_tensor("w", TensorProto.DataType.Value(kind), [7, 3], role)
    mark = tensor.external_data[0].value
    whole = noise.values(tensor, mark)
    monkeypatch.setattr(noise, "_PIECE", 4)
    assert noise.values(tensor, mark).tobytes() == whole.tobytes()
    assert len(set(whole.ravel().tolist())) > 4


def test_noise_survives_a_rename() -> None:
    """The seed travels with the tensor, as its values must."""
    model = parse_text(_CONV)
    tensor = _weights(model)["W"]
    before = model.tensor(tensor)
    tensor.name = "renamed"
    assert_same(model.tensor(tensor), before)


def test_weights_have_the_spread_that_keeps_activations_even() -> None:
    """The standard deviation is sqrt(2 / fan_in); that of biases is 0.1."""
    text = _used_by("Conv (x, W, B)", "float[64,32,3,3] W, float[4000] B")
    assert np.std(_weight(text).astype(float)) == pytest.approx(np.sqrt(2 / 288), rel=0.03)
    assert np.std(_weight(text, "B").astype(float)) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize(
    "node",
    [
        "BatchNormalization (x, P, b, m, v)",
        "BatchNormalization (x, s, b, m, P)",
        "InstanceNormalization (x, P, b)",
        "LayerNormalization (x, P)",
        "GroupNormalization (x, P, b)",
        "QuantizeLinear (x, P)",
        "DequantizeLinear (x, P)",
        "QLinearConv (x, P, z, w, s, z, s, z)",
        "com.microsoft.QLinearAveragePool (x, s, z, P, z)",
        "Resize (x, , P)",
    ],
)
def test_scales_and_variances_are_above_one(node: str) -> None:
    """What an operator divides by or takes the root of is 1 + 0.1 abs(n)."""
    values = _weight(_used_by(node, "float[500] P"), "P").astype(float)
    assert values.min() >= 1
    assert values.max() < 2
    assert len(np.unique(values)) > 400


@pytest.mark.parametrize("node", ["BatchNormalization (x, s, P, m, v)", "Add (x, P)"])
def test_other_vectors_are_not_positive(node: str) -> None:
    """The same vector in another place has both signs: the check above can fail."""
    values = _weight(_used_by(node, "float[500] P"), "P").astype(float)
    assert values.min() < 0 < values.max()


_TYPE_NAMES = {
    TensorProto.DataType.Name(number).lower(): number
    for number in TYPES
    if number != TensorProto.STRING
}


def _parses(name: str) -> bool:
    try:
        onnx.parser.parse_graph(f"g ({name}[1] x) => () {{ }}")
    except onnx.parser.ParseError:
        return False
    return True


@pytest.mark.parametrize("name", [name for name in _TYPE_NAMES if _parses(name)])
def test_every_type_can_be_made_up(name: str) -> None:
    """Noise of each element type has its own type and shape, and finite values."""
    array = _weight(_used_by("Foo (x, W)", f"{name}[5,40] W"))
    assert array.shape == (5, 40)
    assert array.dtype == onnx.helper.tensor_dtype_to_np_dtype(_TYPE_NAMES[name])
    if np.issubdtype(array.dtype, np.integer):
        assert -8 <= int(array.min()) < int(array.max()) <= 15


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("string[4] W", "strings need values"),
        ("float[1000000,1000000] W", "without values"),
        ("float[4611686018427387904,4] W", r"2\^63"),
        ("float[4,0] W", None),
        ("float[0] W", None),
    ],
)
def test_noise_that_cannot_be_made_is_a_fault(declared: str, expected: str | None) -> None:
    """Too large, or strings: a fault, and no memory is taken. No elements: an empty array."""
    model = parse_text(_used_by("Foo (x, W)", declared))
    (tensor,) = model.proto.graph.initializer
    fault = model.fault(tensor)
    assert (fault is None) is (expected is None)
    if expected is None:
        assert model.tensor(tensor).size == 0
        return
    with pytest.raises(InvalidTensor, match=expected):
        model.tensor(tensor)


@pytest.mark.parametrize("mark", ["", "weight", "weight:", "weight:-1", "huge:5", "weight:²"])
def test_a_mark_written_by_hand_is_checked(mark: str) -> None:
    """The private key in a text of one's own is read, or refused where it makes no sense."""
    declared = f'float[4] W = ["onnxstride.noise": "{mark}"]'
    model = parse_text(_used_by("Foo (x, W)", declared))
    assert isinstance(model.fault(model.proto.graph.initializer[0]), InvalidTensor)


def test_a_binary_model_makes_no_noise() -> None:
    """The mark of noise in a binary file is external data without a place."""
    data = parse_text(_CONV).proto.SerializeToString()
    model = open_model(data)
    with pytest.raises(ModelError, match="no usable location"):
        model.tensor(model.proto.graph.initializer[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1"),
        ("g (float[1] x) => (float[1] y) {\n  y = Relu (x\n}", "line 3.*Expected character"),
        ("g (float[1] x) => (flot[1] y)\n{ y = Relu (x) }", "line 1.*: .*flot"),
        ("\n\n\nnonsense", "line 4"),
        ("g (float[99999999999999999999] x) => () {}", "number that cannot be read"),
        ("g () => () { y = Foo <a = 1e99999> () }", "number that cannot be read"),
        ('<ir_version: "x">\ng () => () {}', "line 1"),
        ("g () => () { y = Foo <a = ", "line 1"),
    ],
)
def test_a_mistake_is_shown_with_its_line(text: str, expected: str) -> None:
    """The message names the line of the text as written and what was expected."""
    with pytest.raises(NotAModel, match=expected):
        parse_text(text)


@pytest.mark.parametrize("levels", [40, 150, 100_000])
def test_deep_text_is_one_clear_error(levels: int) -> None:
    """Nested graphs never exhaust the parser's stack."""
    opening = "y = If (c) <b = g () => (float[2] y) {" * levels
    text = f"g (float[2] x) => (float[2] y) {{ {opening} y = Relu (x) {'}>' * levels} }}"
    with pytest.raises(NotAModel, match="nested"):
        parse_text(text)
    with pytest.raises(NotAModel, match="nested"):
        parse_text(f"g ({'seq(' * max(levels, 101)}")


def test_a_mistake_is_shown_as_it_was_written() -> None:
    """The header that was put in front is not part of the message."""
    with pytest.raises(NotAModel) as caught:
        parse_text("g (float[1] x) => (flot[1] y) { y = Relu (x) }")
    assert "ir_version" not in str(caught.value)


def test_brackets_in_strings_and_comments_do_not_nest() -> None:
    """A thousand brackets in a comment or in a string are text."""
    text = _CONV.replace("{\n", "{ # " + "((((" * 100 + "\n", 1)
    text = text.replace("Relu (a)", 'Foo <s = "' + "{{{{" * 100 + '"> (a)')
    assert len(parse_text(text).proto.graph.node) == 2


@pytest.mark.parametrize("seed", range(3))
def test_damaged_text_never_breaks(seed: int) -> None:
    """Characters removed, doubled and swapped give a model or a ModelError."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, nothing secret
    refused = 0
    for _ in range(150):
        characters = list(_BRANCHES.format(outer="float[2] W", inner="", other="W") + _CONV)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(characters))
            characters[at] = chance.choice(["", characters[at] * 2, *'(){}<>[],=:"0#\n'])
        try:
            model = parse_text("".join(characters))
        except ModelError:
            refused += 1
            continue
        assert [model.fault(tensor) for tensor in tensors_of(model.proto)]
    assert refused > 0
