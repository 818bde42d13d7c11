"""External data: read where it belongs to the model, refused wherever it does not."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from onnxstride.errors import ExternalData, InvalidTensor
from onnxstride.modelfile import ModelFile, open_model

from .building import assert_same, model_with, opened_files

_VALUES = np.arange(6, dtype=np.float32)
_SECRET = b"this must not be read!!!"  # as many bytes as the tensor asks for


def _external(**entries: str) -> onnx.TensorProto:
    """A tensor of six floats whose data is elsewhere."""
    tensor = TensorProto(name="w", data_type=1, dims=[6], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def _opened(folder: Path, tensor: onnx.TensorProto) -> tuple[ModelFile, onnx.TensorProto]:
    folder.mkdir(exist_ok=True)
    path = folder / "m.onnx"
    path.write_bytes(model_with(tensor).SerializeToString())
    model = open_model(path)
    return model, model.proto.graph.initializer[0]


def _refused(folder: Path, tensor: onnx.TensorProto, expected: str) -> None:
    model, kept = _opened(folder, tensor)
    fault = model.fault(kept)
    assert isinstance(fault, ExternalData)
    with pytest.raises(ExternalData, match=expected):
        model.tensor(kept)


@pytest.mark.parametrize("before", [0, 3, 4096])
@pytest.mark.parametrize("after", [0, 100])
def test_a_region_of_a_file_is_mapped(tmp_path: Path, before: int, after: int) -> None:
    """Offset and length choose the bytes; the array is a read-only view of them."""
    (tmp_path / "w.bin").write_bytes(bytes(before) + _VALUES.tobytes() + bytes(after))
    tensor = _external(location="w.bin", offset=str(before), length="24")
    model, kept = _opened(tmp_path, tensor)
    assert model.fault(kept) is None
    assert_same(model.tensor(kept), _VALUES)
    assert not model.tensor(kept).flags.writeable
    assert np.shares_memory(model.tensor(kept), model.tensor(kept))


@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "sub/w.bin", "sub/../w.bin", "é w.bin"])
def test_places_inside_the_folder_are_read(tmp_path: Path, location: str) -> None:
    """Plain, nested and roundabout paths that stay inside are fine; no offset means the start."""
    (tmp_path / "sub").mkdir()
    (tmp_path / location).write_bytes(_VALUES.tobytes())
    model, kept = _opened(tmp_path, _external(location=location))
    assert_same(model.tensor(kept), _VALUES)


def test_a_link_inside_the_folder_is_read(tmp_path: Path) -> None:
    """A symbolic link is followed where it ends inside the model's folder."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/real.bin").write_bytes(_VALUES.tobytes())
    (tmp_path / "w.bin").symlink_to("data/real.bin")
    model, kept = _opened(tmp_path, _external(location="w.bin"))
    assert_same(model.tensor(kept), _VALUES)


def test_the_folder_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    """Only what lies below the model's folder is judged, not the way that leads to it."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "w.bin").write_bytes(_VALUES.tobytes())
    (tmp_path / "link").symlink_to(real)
    model, kept = _opened(tmp_path / "link", _external(location="w.bin"))
    assert_same(model.tensor(kept), _VALUES)


def test_empty_tensors_need_an_empty_file_only(tmp_path: Path) -> None:
    """No elements, no bytes."""
    (tmp_path / "w.bin").touch()
    tensor = _external(location="w.bin")
    tensor.dims[0] = 0
    model, kept = _opened(tmp_path, tensor)
    assert model.tensor(kept).shape == (0,)


@pytest.mark.parametrize("number", [TensorProto.INT4, TensorProto.FLOAT16, TensorProto.BFLOAT16])
def test_packed_and_foreign_types_are_read(tmp_path: Path, number: int) -> None:
    """External bytes mean what the same bytes inline mean."""
    size = 3 if number == TensorProto.INT4 else 12
    inline = TensorProto(name="w", data_type=number, dims=[6], raw_data=bytes(range(size)))
    (tmp_path / "w.bin").write_bytes(inline.raw_data)
    tensor = _external(location="w.bin", length=str(size))
    tensor.data_type = number
    model, kept = _opened(tmp_path, tensor)
    assert_same(model.tensor(kept), onnx.numpy_helper.to_array(inline))


def test_three_gibibytes_are_not_loaded(tmp_path: Path) -> None:
    """A sparse file beyond 2 GiB is mapped; the values at its end are right."""
    size = 3 << 30
    with open(tmp_path / "w.bin", "wb") as file:
        file.truncate(size)
        file.seek(size - 24)
        file.write(_VALUES.tobytes())
    tensor = _external(location="w.bin", offset="0", length=str(size))
    tensor.dims[0] = size // 4
    model, kept = _opened(tmp_path, tensor)
    array = model.tensor(kept)
    assert array.nbytes == size
    assert_same(array[-6:], _VALUES)


def _plant(folder: Path) -> Path:
    """A secret beside the model's folder; returns the folder."""
    (folder / "secret.bin").write_bytes(_SECRET)
    (folder / "outside").mkdir()
    (folder / "outside/secret.bin").write_bytes(_SECRET)
    inside = folder / "model"
    (inside / "sub").mkdir(parents=True)
    return inside


_SPELLINGS = {
    "parent": "../secret.bin",
    "nested parent": "sub/../../secret.bin",
    "missing then parent": "nowhere/../../secret.bin",
    "many parents": "../" * 40 + "etc/passwd",
    "backslashes": "..\\secret.bin",
    "absolute": "{folder}/secret.bin",
    "etc": "/etc/passwd",
    "drive": "C:\\secret.bin",
    "share": "\\\\host\\secret.bin",
    "url": "file://{folder}/secret.bin",
    "web": "https://example.com/secret.bin",
    "zero byte": "w.bin\0/../secret.bin",
    "folder": "sub",
    "this folder": ".",
}


@pytest.mark.parametrize("location", _SPELLINGS.values(), ids=_SPELLINGS)
def test_a_location_outside_is_refused(tmp_path: Path, location: str) -> None:
    """However it is spelled, a place outside the folder is refused and never opened."""
    inside = _plant(tmp_path)
    tensor = _external(location=location.format(folder=tmp_path))
    with opened_files() as names:
        _refused(inside, tensor, "is refused")
    assert [name for name in names if "secret" in name or "passwd" in name] == []


def _symlink(inside: Path) -> None:
    (inside / "w.bin").symlink_to("../secret.bin")


def _chain(inside: Path) -> None:
    (inside / "w.bin").symlink_to("sub/next")
    (inside / "sub/next").symlink_to("../../secret.bin")


def _folder_link(inside: Path) -> None:
    (inside / "w.bin").symlink_to("linked/secret.bin")
    (inside / "linked").symlink_to("../outside")


def _hard_link(inside: Path) -> None:
    os.link(inside.parent / "secret.bin", inside / "w.bin")


def _fifo(inside: Path) -> None:
    os.mkfifo(inside / "w.bin")


def _device(inside: Path) -> None:
    (inside / "w.bin").symlink_to("/dev/zero")


@pytest.mark.parametrize("plant", [_symlink, _chain, _folder_link, _hard_link, _fifo, _device])
def test_a_file_that_leads_outside_is_refused(
    tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    """Links that end outside, second names and special files are refused and never opened."""
    inside = _plant(tmp_path)
    plant(inside)
    with opened_files() as names:
        _refused(inside, _external(location="w.bin"), "is refused")
    assert [name for name in names if name.endswith(("secret.bin", "w.bin", "zero"))] == []


def test_a_linked_folder_in_the_location_is_refused(tmp_path: Path) -> None:
    """A link to a folder outside, named in the location itself, is refused."""
    inside = _plant(tmp_path)
    (inside / "linked").symlink_to("../outside")
    _refused(inside, _external(location="linked/secret.bin"), "symbolic link")
    _refused(inside, _external(location="linked/../secret.bin"), "symbolic link")


def test_a_file_swapped_after_the_check_is_refused(tmp_path: Path) -> None:
    """What was looked up is what is opened: a link put in its place later is not followed."""
    inside = _plant(tmp_path)
    (inside / "w.bin").write_bytes(_VALUES.tobytes())
    model, kept = _opened(inside, _external(location="w.bin"))
    assert model.fault(kept) is None
    (inside / "w.bin").unlink()
    _symlink(inside)
    with pytest.raises(ExternalData):
        model.tensor(kept)


def test_a_file_replaced_after_the_check_is_refused(tmp_path: Path) -> None:
    """Even by another regular file in the same place: it was not the one looked at."""
    (tmp_path / "w.bin").write_bytes(_VALUES.tobytes())
    (tmp_path / "other.bin").write_bytes(_SECRET)
    model, kept = _opened(tmp_path, _external(location="w.bin"))
    assert model.fault(kept) is None
    (tmp_path / "other.bin").replace(tmp_path / "w.bin")
    with pytest.raises(ExternalData, match="replaced while"):
        model.tensor(kept)


def test_the_watch_notices_an_opened_secret(tmp_path: Path) -> None:
    """The record of opened files above does record one."""
    _plant(tmp_path)
    with opened_files() as names:
        os.close(os.open(tmp_path / "secret.bin", os.O_RDONLY))
        (tmp_path / "secret.bin").read_bytes()
    assert names == [str(tmp_path / "secret.bin")] * 2


_NUMBERS = ["-8", "-1", "1e3", " 4", "4_0", "", "0x10", "9" * 20, "9" * 5000, "\u0664", "1.0"]


@pytest.mark.parametrize("key", ["offset", "length"])
@pytest.mark.parametrize("number", _NUMBERS, ids=lambda text: ascii(text[:6]))
def test_odd_numbers_are_refused(tmp_path: Path, key: str, number: str) -> None:
    """Offset and length are plain digits, no sign, no more than 2^63 - 1."""
    (tmp_path / "w.bin").write_bytes(_VALUES.tobytes())
    _refused(tmp_path, _external(location="w.bin", **{key: number}), f"the {key} of its external")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"offset": "1"}, "24 bytes, 25 are needed"),
        ({"offset": str(2**63 - 1)}, "are needed"),
        ({"length": "23"}, "ask for 24 bytes, the external data has 23"),
        ({"length": "25"}, "ask for 24 bytes, the external data has 25"),
    ],
)
def test_a_region_that_does_not_fit_is_refused(
    tmp_path: Path, entries: dict[str, str], expected: str
) -> None:
    """The region lies within the file and has as many bytes as type and shape ask for."""
    (tmp_path / "w.bin").write_bytes(_VALUES.tobytes())
    _refused(tmp_path, _external(location="w.bin", **entries), expected)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """The message names the file and the two usual remedies."""
    _refused(tmp_path, _external(location="w.bin"), "'w.bin' is missing; copy it next to .* lfs")


def test_a_pointer_in_its_place_says_what_to_do(tmp_path: Path) -> None:
    """A file of a few bytes may be a git-lfs pointer."""
    (tmp_path / "w.bin").write_bytes(b"version")
    _refused(tmp_path, _external(location="w.bin"), "git lfs pull")


@pytest.mark.parametrize("entries", [{}, {"location": ""}, {"offset": "0"}])
def test_no_location_is_refused(tmp_path: Path, entries: dict[str, str]) -> None:
    """External data without a location is nowhere."""
    _refused(tmp_path, _external(**entries), "no usable location")


def test_endless_links_and_names_are_refused(tmp_path: Path) -> None:
    """A link to itself and a name of 5000 letters are one line each."""
    (tmp_path / "w.bin").symlink_to("w.bin")
    _refused(tmp_path, _external(location="w.bin"), "w.bin")
    _refused(tmp_path, _external(location="x" * 5000), r"'x{100}'\.\.\.")


def test_a_stream_has_no_folder() -> None:
    """A model read from a stream says why its external data cannot be found."""
    model = open_model(model_with(_external(location="w.bin")).SerializeToString())
    with pytest.raises(ExternalData, match="read from a stream"):
        model.tensor(model.proto.graph.initializer[0])


def test_external_strings_are_refused(tmp_path: Path) -> None:
    """Strings have no fixed width, so ONNX keeps them in the model."""
    (tmp_path / "w.bin").write_bytes(_VALUES.tobytes())
    tensor = _external(location="w.bin")
    tensor.data_type = TensorProto.STRING
    model, kept = _opened(tmp_path, tensor)
    assert isinstance(model.fault(kept), InvalidTensor)


def test_each_file_is_looked_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand tensors in one file cost one look at it."""
    (tmp_path / "w.bin").write_bytes(_VALUES.tobytes())
    looks: list[str] = []
    real = os.lstat

    def counted(path: str) -> os.stat_result:
        looks.append(path)
        return real(path)

    monkeypatch.setattr(os, "lstat", counted)
    model, kept = _opened(tmp_path, _external(location="w.bin"))
    assert [model.fault(kept) for _ in range(1000)] == [None] * 1000
    assert len(looks) < 50  # one for the file, one for each folder above it
