"""Tensors: their values are onnx's own, and their faults are found without reading them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxstride.errors import InvalidTensor
from onnxstride.modelfile import ModelFile, open_model
from onnxstride.modelfile.tensors import (
    _BITS,  # pyright: ignore[reportPrivateUsage]
    _FIELDS,  # pyright: ignore[reportPrivateUsage]
    _NUMPY,  # pyright: ignore[reportPrivateUsage]
)

from .building import (
    TYPES,
    assert_same,
    field,
    loaded,
    model_with,
    raw_tensor,
    string_tensor,
    tensors_of,
)

_NUMBERS = [number for number in TYPES if number != TensorProto.STRING]
_LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))


def _name(number: int) -> str:
    return str(TensorProto.DataType.Name(number))


def _raw(number: int, dims: list[int]) -> onnx.TensorProto:
    """Random bytes of the right number; booleans are 0 or 1."""
    size = (int(np.prod(dims)) * _BITS[number] + 7) // 8
    chance = np.random.default_rng(number)
    data = chance.integers(0, 2 if number == TensorProto.BOOL else 256, size, np.uint8)
    return TensorProto(name="w", data_type=number, dims=dims, raw_data=data.tobytes())


def _typed(number: int, dims: list[int]) -> onnx.TensorProto:
    """Values in the field that onnx has for the type, as many as it takes."""
    tensor = TensorProto(name="w", data_type=number, dims=dims)
    count = int(np.prod(dims))
    count *= 2 if number in (TensorProto.COMPLEX64, TensorProto.COMPLEX128) else 1
    if _BITS[number] in (2, 4):
        count = -(-count // (8 // _BITS[number]))
    values = np.random.default_rng(number).integers(0, 2, count).tolist()
    getattr(tensor, helper.tensor_dtype_to_field(number)).extend(values)
    return tensor


def _only(*tensors: onnx.TensorProto) -> tuple[ModelFile, onnx.TensorProto]:
    model = open_model(model_with(*tensors).SerializeToString())
    return model, model.proto.graph.initializer[0]


@pytest.mark.parametrize("dims", [[], [7], [3, 0, 2], [3, 5, 333]], ids=str)
@pytest.mark.parametrize("number", _NUMBERS, ids=_name)
def test_raw_data_of_every_type(number: int, dims: list[int]) -> None:
    """Inline or cut, raw_data gives onnx's own array, bit for bit, and none may write to it."""
    tensor = _raw(number, dims)
    model, kept = _only(tensor)
    assert model.fault(kept) is None
    assert_same(model.tensor(kept), numpy_helper.to_array(tensor))
    assert not model.tensor(kept).flags.writeable


@pytest.mark.parametrize("dims", [[], [7], [3, 0, 2], [3, 5, 999]], ids=str)
@pytest.mark.parametrize("number", _NUMBERS, ids=_name)
def test_typed_data_of_every_type(number: int, dims: list[int]) -> None:
    """Values in float_data, int32_data and the like give onnx's own array, inline or cut."""
    tensor = _typed(number, dims)
    model, kept = _only(tensor)
    assert model.fault(kept) is None
    assert_same(model.tensor(kept), numpy_helper.to_array(tensor))
    assert not model.tensor(kept).flags.writeable


@pytest.mark.parametrize("count", [3, 400])
def test_strings_are_objects(count: int) -> None:
    """String tensors give one Python string per element, zero characters and all."""
    words = [f"wörd\0{index}\0" for index in range(count)]
    data = [word.encode() for word in words]
    model, kept = _only(string_tensor("s", *data))
    array = model.tensor(kept)
    assert array.dtype == object
    assert array.tolist() == words


def test_one_long_string_costs_its_length_once() -> None:
    """A thousand strings beside one of a megabyte take megabytes, not a gigabyte."""
    words = [b"x" * 1_000_000, *[b"y"] * 1000]
    model, kept = _only(string_tensor("s", *words))
    assert model.tensor(kept).nbytes == 1001 * np.dtype(object).itemsize


def test_every_type_of_onnx_is_known() -> None:
    """The table of widths covers the installed onnx, and agrees with how it packs."""
    assert set(_NUMBERS) <= set(_BITS)
    for number in _NUMBERS:
        dtype = helper.tensor_dtype_to_np_dtype(number)
        packed = number >= TensorProto.UINT4 and number != TensorProto.FLOAT8E8M0
        assert packed or _BITS[number] == 8 * dtype.itemsize


@pytest.mark.parametrize("number", TYPES, ids=_name)
def test_types_are_spelled_as_onnx_spells_them(number: int) -> None:
    """Field and array type, which are told without importing all of onnx."""
    assert _FIELDS.get(number, "int32_data") == helper.tensor_dtype_to_field(number)
    if number in _NUMPY:
        assert np.dtype(_NUMPY[number]) == helper.tensor_dtype_to_np_dtype(number)


_WITHOUT_NUMPY = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64}


@pytest.mark.parametrize("dims", [[], [7], [3, 0, 2], [3, 5, 333]], ids=str)
@pytest.mark.parametrize("spelled", [_raw, _typed])
@pytest.mark.parametrize("number", _NUMBERS, ids=_name)
def test_numbers_are_those_of_the_array(
    number: int, spelled: Callable[[int, list[int]], onnx.TensorProto], dims: list[int]
) -> None:
    """Or there are none to be had in this way; those of most weights and all sizes are."""
    model, kept = _only(spelled(number, dims))
    numbers, beginning = model.numbers(kept), model.numbers(kept, 5)
    if numbers is None:
        assert number not in _WITHOUT_NUMPY
        return
    expected = model.tensor(kept).reshape(-1).tolist()
    assert repr(numbers) == repr(expected)  # by their text, as a nan is like no other
    if beginning is None:
        assert spelled is _typed
    else:
        assert repr(beginning) == repr(expected[:5])


def test_numbers_of_external_data_are_those_of_the_array(tmp_path: Path) -> None:
    """All of them, and the first few."""
    model = model_with(raw_tensor("w", 100))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0)
    with open_model(tmp_path / "m.onnx") as opened:
        [kept] = opened.proto.graph.initializer
        expected = numpy_helper.to_array(raw_tensor("w", 100)).tolist()
        assert opened.numbers(kept) == expected
        assert opened.numbers(kept, 7) == expected[:7]


def test_numbers_of_a_damaged_tensor_are_refused() -> None:
    """With its name, as its array is."""
    model, kept = _only(TensorProto(name="w", data_type=1, dims=[3], raw_data=b"1234"))
    with pytest.raises(InvalidTensor, match="tensor 'w': its shape"):
        model.numbers(kept)


def test_the_comparison_notices_a_difference() -> None:
    """Arrays of other values, types or shapes, or another NaN, are not the same."""
    one = np.array([1.0, np.nan], np.float32)
    assert_same(one, one.copy())
    for other in (one + 1, one.astype(np.float64), one[None], np.array([1, -np.nan], np.float32)):
        with pytest.raises(AssertionError):
            assert_same(one, other)


def test_a_large_tensor_is_a_view_of_the_file(tmp_path: Path) -> None:
    """Two loads share memory, and the array outlives the model."""
    path = tmp_path / "m.onnx"
    tensor = raw_tensor("w", 5000)
    path.write_bytes(model_with(tensor).SerializeToString())
    with open_model(path) as model:
        kept = model.proto.graph.initializer[0]
        first, second = model.tensor(kept), model.tensor(kept)
        assert np.shares_memory(first, second)
        assert first.base is not None
    assert first.tobytes() == tensor.raw_data
    del first, second
    model.close()


@pytest.mark.parametrize("path", _LIGHT, ids=lambda path: path.stem)
def test_light_models_load_as_onnx_loads_them(path: Path) -> None:
    """Each initializer and constant of onnx's light models equals that of ``onnx.load``."""
    expected = [numpy_helper.to_array(tensor) for tensor in tensors_of(onnx.load(path))]
    with open_model(path) as model:
        found = loaded(model)
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


def _changed(tensor: onnx.TensorProto, **changes: object) -> onnx.TensorProto:
    """A copy with these fields set anew; None clears one."""
    copy = TensorProto()
    copy.CopyFrom(tensor)
    for name, value in changes.items():
        copy.ClearField(name)
        if isinstance(value, list):
            getattr(copy, name).extend(value)
        elif value is not None:
            setattr(copy, name, value)
    return copy


_SMALL, _LARGE = raw_tensor("w", 6), raw_tensor("w", 6000)
_INTEGERS = helper.make_tensor("w", TensorProto.INT64, [6000], range(6000))
_FLOATS = helper.make_tensor("w", TensorProto.FLOAT, [6000], [0.5] * 6000)
_WORDS = string_tensor("w", *[b"word"] * 400)

_FAULTS = {
    "small too long": (_changed(_SMALL, dims=[5]), "asks for 20 bytes, found 24"),
    "small too short": (_changed(_SMALL, dims=[7]), "asks for 28 bytes, found 24"),
    "large too long": (_changed(_LARGE, dims=[5999]), "asks for 23,996 bytes, found 24,000"),
    "large too short": (_changed(_LARGE, dims=[2, 3001]), "asks for 24,008 bytes"),
    "negative size": (_changed(_LARGE, dims=[-6000]), "sizes of 0 or more"),
    "two negative sizes": (_changed(_LARGE, dims=[-60, -100]), "sizes of 0 or more"),
    "size overflows": (_changed(_SMALL, dims=[2**62, 2**62]), r"2\^63 - 1"),
    "empty but huge": (_changed(_SMALL, dims=[0, 2**62], raw_data=b""), r"2\^63 - 1"),
    "too many axes": (_changed(_SMALL, dims=[1] * 65), "65 axes"),
    "a million axes": (_changed(_SMALL, dims=[2**62] * 1_000_000), "1,000,000 axes"),
    "undefined type": (_changed(_SMALL, data_type=0), "element type is 0"),
    "unknown type": (_changed(_LARGE, data_type=77), "element type is 77"),
    "no data": (_changed(_SMALL, raw_data=None), "no data.*stripped"),
    "no raw data": (_changed(_SMALL, raw_data=b""), "no data.*stripped"),
    "data of another type": (_changed(_FLOATS, data_type=7), "no data"),
    "few integers": (_changed(_INTEGERS, dims=[90_000]), "90,000 values in int64_data"),
    "many integers": (_changed(_INTEGERS, dims=[600]), "600 values in int64_data"),
    "few floats": (_changed(_FLOATS, dims=[6001]), "24,004 bytes of float_data, found 24,000"),
    "few strings": (_changed(_WORDS, dims=[401]), "401 values in string_data, found 400"),
    "raw strings": (_changed(_LARGE, data_type=8), "expected string_data"),
    "small raw strings": (_changed(_SMALL, data_type=8), "expected string_data"),
    "packed too long": (_changed(_raw(21, [3001]), dims=[3003]), "asks for 1,502 bytes"),
    "segment": (_changed(_SMALL, segment=None), "segment"),
    "stored twice": (_changed(_LARGE, data_location=1), "stored twice"),
}
_FAULTS["segment"][0].segment.begin = 0


@pytest.mark.parametrize(("tensor", "expected"), _FAULTS.values(), ids=_FAULTS)
def test_a_fault_is_found_before_loading(tensor: onnx.TensorProto, expected: str) -> None:
    """``fault`` names the tensor and the figures, and ``tensor`` raises the same."""
    model, kept = _only(tensor)
    fault = model.fault(kept)
    assert isinstance(fault, InvalidTensor)
    with pytest.raises(InvalidTensor, match=expected) as caught:
        model.tensor(kept)
    assert str(caught.value) == str(fault)
    assert str(fault).startswith("tensor 'w': ")


@pytest.mark.parametrize("tensor", [_SMALL, _LARGE, _INTEGERS, _FLOATS, _WORDS])
def test_sound_tensors_have_no_fault(tensor: onnx.TensorProto) -> None:
    """The tensors that the faults above are made of are without fault."""
    model, kept = _only(tensor)
    assert model.fault(kept) is None


@pytest.mark.parametrize("count", [3, 400])
def test_strings_that_are_no_text_are_refused(count: int) -> None:
    """Bytes that are not UTF-8 in a string tensor are an InvalidTensor, not a traceback."""
    model, kept = _only(string_tensor("s", *[b"\xff\xfe"] * count))
    with pytest.raises(InvalidTensor, match="cannot be read"):
        model.tensor(kept)


def test_a_name_that_is_no_text_is_shown() -> None:
    """A tensor whose name is not UTF-8 is named as bytes."""
    data = model_with(_changed(_SMALL, dims=[5])).SerializeToString()
    model = open_model(data.replace(b"\x42\x01w", b"\x42\x01\xff"))
    fault = model.fault(model.proto.graph.initializer[0])
    assert fault is not None
    assert r"b'\xff'" in str(fault)


def test_many_loose_values_are_one_entry() -> None:
    """Values written one by one, as old exporters do, are cut as one run and read back."""
    values = np.arange(1000, dtype=np.float32)
    tensor = b"\x08\xe8\x07\x10\x01" + b"".join(b"\x25" + value.tobytes() for value in values)
    model = open_model(field(7, field(5, tensor)))
    (kept,) = model.proto.graph.initializer
    cut = model.cut(kept)
    assert cut is not None
    assert [entry.fields for entry in cut.removed] == [1000]
    assert_same(model.tensor(kept), values)


def test_the_last_raw_data_counts() -> None:
    """As protobuf has it for a field that occurs twice, next to each other or apart."""
    first, last = raw_tensor("w", 600, seed=1).raw_data, raw_tensor("w", 600, seed=2).raw_data
    for between in (b"", field(8, b"w")):
        tensor = b"\x08\xd8\x04\x10\x01" + field(9, first) + between + field(9, last)
        expected = numpy_helper.to_array(TensorProto.FromString(tensor))
        model = open_model(field(7, field(5, tensor)))
        assert_same(model.tensor(model.proto.graph.initializer[0]), expected)
