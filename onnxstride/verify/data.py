"""Feeds from the user's own data, one at a time.

========================  =====================================================================
``images.npz``            an array for each input, by the input's name, or ``name_0``,
                          ``name_1`` ... with one sample each
``image.npy``             for a model with one input
a folder of ``.npy``      an array for each input, the file named after it (``/`` and ``:`` in a
                          name stand as ``_``); of a model with one input, otherwise named files
                          are samples
a folder of such folders  one sample each, in natural order: ``2`` before ``10``
ONNX test data            ``test_data_set_0/input_0.pb`` ..., or one such folder; by position, in
                          the order of the model's inputs. Outputs in it are not looked at.
``module:function``       a callable that returns an iterable of feeds, each a mapping from names
                          to arrays; the module is looked for in the current folder too
========================  =====================================================================

An array with one axis more than the input has holds samples along that axis. One with as many
axes is a feed as it is, unless the first axis of the input has a fixed size B that is not the
array's: then B rows are taken at a time; where that axis is open, as many as make up 64 MiB. Inputs
with fewer samples than others are an error, but one sample is repeated.

Values are converted where the type's kind stays the same, as from float64 to float32. Files are
read as they are needed: only the rows of one feed are in memory, and not even those where they are
large (see ``mapped``).
"""

import importlib
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ..debug import is_debugging
from ..errors import UsageError
from .inputs import Input
from .mapped import LARGE, blocks, converted, room_for
from .runtime import Array, dtype_of

Feed = dict[str, Array]

_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_CHUNK = 64 << 20
_KNOWN = (
    "a .npz or .npy file, a folder of .npy files, ONNX test data (test_data_set_0/input_0.pb), "
    "or module:function"
)


class _Rows(NamedTuple):
    """An array that is read a few rows at a time; ``read`` yields the next so many."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[int], Iterator[Array]]


def load_data(spec: str, inputs: Sequence[Input]) -> Iterator[Feed]:
    """The feeds that ``spec`` stands for; see the module's docstring.

    Raises:
        UsageError: when a feed is asked for: it is nothing of the kind, or does not fit the inputs.
    """
    return _checked(spec, inputs)


def _feeds(spec: str, inputs: Sequence[Input]) -> Iterator[Feed]:
    path = Path(spec)
    if path.is_dir():
        return _from_folder(path, inputs)
    if path.suffix == ".npz" and path.exists():
        return _from_archive(path, inputs)
    if path.suffix == ".npy" and path.exists():
        return _from_arrays({_only(inputs).name: _of_file(path)}, inputs)
    if _CALLABLE.fullmatch(spec) and not path.exists():
        return _from_callable(spec)
    what = "found something else" if path.exists() else "no such file or folder"
    raise UsageError(f"expected {_KNOWN}; {what}")


def _checked(spec: str, inputs: Sequence[Input]) -> Iterator[Feed]:
    is_empty = True
    try:
        for feed in _feeds(spec, inputs):
            is_empty = False
            yield _conforming(feed, inputs)
    except UsageError as error:
        raise UsageError(f"--data {spec!r}: {error}") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"--data {spec!r}: cannot be read: {error}") from error
    if is_empty:
        raise UsageError(f"--data {spec!r}: expected at least one sample, found none")


def _conforming(feed: Mapping[str, Any], inputs: Sequence[Input]) -> Feed:
    """The feed in the inputs' types; raises where it does not fit them."""
    expected = [item.name for item in inputs]
    if set(feed) != set(expected):
        raise UsageError(
            f"expected values for {_quoted(expected)}, found values for {_quoted(feed)}"
        )
    return {item.name: _fitting(np.asarray(feed[item.name]), item) for item in inputs}


def _fitting(array: Array, item: Input) -> Array:
    if item.dims is not None:
        fits = len(item.dims) == array.ndim and all(
            isinstance(dim, str) or dim == size
            for dim, size in zip(item.dims, array.shape, strict=True)
        )
        if not fits:
            raise UsageError(
                f"input {item.name!r}: expected shape {_shape(item.dims)}, found "
                f"{_shape(array.shape)}"
            )
    if item.dtype == "string":
        if array.dtype.kind in "OUS":
            return array
        raise UsageError(f"input {item.name!r}: expected strings, found {array.dtype.name}")
    wanted = dtype_of(item.dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind in "OUSM" or not _is_same_kind(array.dtype, wanted):
        raise UsageError(f"input {item.name!r}: expected {wanted.name}, found {array.dtype.name}")
    values = converted(array, wanted)
    if wanted.kind in "iu" and not all(map(np.array_equal, blocks(values), blocks(array))):
        raise UsageError(f"input {item.name!r}: values in {array.dtype.name} do not fit {wanted}")
    return values


def _is_same_kind(found: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    integers = ("i", "u")
    if wanted.kind in integers:
        return found.kind in integers
    return found.kind == "f" and wanted.kind in ("f", "V")  # V: bfloat16 and its like


def _from_callable(spec: str) -> Iterator[Feed]:
    """What the callable returns. Whatever it raises is told as its error, not as ours."""
    module_name, _, name = spec.partition(":")
    try:
        function = getattr(_module(module_name), name)
        for item in function():
            if not isinstance(item, Mapping):
                raise UsageError(
                    f"expected mappings from input names to arrays, found {type(item).__name__}"
                )
            yield {str(key): np.asarray(value) for key, value in item.items()}
    except (UsageError, GeneratorExit):
        raise
    except Exception as error:
        if is_debugging():
            raise
        raise UsageError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def _module(name: str) -> Any:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)


def _from_folder(folder: Path, inputs: Sequence[Input]) -> Iterator[Feed]:
    if (folder / "input_0.pb").exists():
        return _from_test_sets([folder], inputs)
    within = sorted((path for path in folder.iterdir() if path.is_dir()), key=_natural)
    sets = [path for path in within if path.name.startswith("test_data_set_")]
    if sets:
        return _from_test_sets(sets, inputs)
    arrays = sorted(folder.glob("*.npy"), key=_natural)
    if arrays:
        return _from_files(arrays, inputs)
    samples = [path for path in within if any(path.glob("*.npy"))]
    if samples:
        return (
            feed
            for path in samples
            for feed in _from_files(sorted(path.glob("*.npy"), key=_natural), inputs)
        )
    raise UsageError(f"expected {_KNOWN}; found no data in this folder")


def _from_test_sets(folders: Sequence[Path], inputs: Sequence[Input]) -> Iterator[Feed]:
    for folder in folders:
        files = sorted(folder.glob("input_*.pb"), key=_natural)
        if len(files) != len(inputs):
            raise UsageError(
                f"{folder.name}: expected {len(inputs)} inputs ({_quoted(_names(inputs))}), "
                f"found {len(files)}"
            )
        yield {item.name: _tensor(file) for item, file in zip(inputs, files, strict=True)}


def _tensor(file: Path) -> Array:
    """The tensor in a file of its own; other files it may point to are not read."""
    data = file.read_bytes()
    try:
        tensor = onnx.TensorProto.FromString(data)
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            return numpy_helper.to_array(tensor)
    except Exception as error:  # protobuf's own, which differ by version
        raise UsageError(f"{file.name}: expected a tensor, found something else") from error
    raise UsageError(f"{file.name}: expected the tensor's data, found that it is external")


def _from_files(files: Sequence[Path], inputs: Sequence[Input]) -> Iterator[Feed]:
    by_stem = {file.stem: file for file in files}
    found = {
        item.name: by_stem[stem]
        for item in inputs
        for stem in (item.name, re.sub(r"[/\\:]", "_", item.name))
        if stem in by_stem
    }
    if not found and len(inputs) == 1:
        return (
            feed
            for file in files
            for feed in _from_arrays({inputs[0].name: _of_file(file)}, inputs)
        )
    if len(found) != len(inputs):
        raise UsageError(
            f"expected a .npy file for each of {_quoted(_names(inputs))}, found {_quoted(by_stem)}"
        )
    return _from_arrays({name: _of_file(file) for name, file in found.items()}, inputs)


def _from_archive(path: Path, inputs: Sequence[Input]) -> Iterator[Feed]:
    with zipfile.ZipFile(path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist()}
        names = _names(inputs)
        if set(names) <= set(members):
            rows = {name: _of_member(archive, members[name]) for name in names}
            yield from _from_arrays(rows, inputs)
            return
        numbered = _numbered(members, names)
        if not numbered:
            raise UsageError(
                f"expected arrays named {_quoted(names)}, or with _0, _1 ... behind the names; "
                f"found {_quoted(members)}"
            )
        for number in numbered:
            rows = {name: _of_member(archive, members[f"{name}_{number}"]) for name in names}
            yield from _from_arrays(rows, inputs)


def _numbered(members: Iterable[str], names: Sequence[str]) -> list[int]:
    """Numbers n for which every input has an array ``name_n``."""
    have = set(members)
    ends = (member.rpartition("_") for member in have)
    numbers = {int(end) for stem, _, end in ends if stem in names and end.isdecimal()}
    return sorted(n for n in numbers if all(f"{name}_{n}" in have for name in names))


def _from_arrays(arrays: Mapping[str, _Rows], inputs: Sequence[Input]) -> Iterator[Feed]:
    """Feeds of a few rows of each array; see the module's docstring for how many."""
    by_name = {item.name: item for item in inputs}
    splits = {name: _split(rows, by_name[name]) for name, rows in arrays.items()}
    counts = {name: count for name, (count, _) in splits.items()}
    most = max(counts.values())
    if any(count not in (1, most) for count in counts.values()):
        told = ", ".join(f"{name!r} {count}" for name, count in counts.items())
        raise UsageError(f"expected as many samples for every input, found: {told}")
    repeated = {name: next(feeds) for name, (count, feeds) in splits.items() if count == 1 < most}
    running = {name: feeds for name, (_, feeds) in splits.items() if name not in repeated}
    for _ in range(most):
        yield repeated | {name: next(feeds) for name, feeds in running.items()}


def _split(rows: _Rows, item: Input) -> tuple[int, Iterator[Array]]:
    """How many feeds an array makes, and those."""
    shape, dims = rows.shape, item.dims
    if dims is not None and len(shape) == len(dims) + 1:
        return shape[0], (array[0] for array in rows.read(1))
    step = shape[0] if shape else 1
    if dims and len(shape) == len(dims):
        first = dims[0]
        step = first if isinstance(first, int) else _rows_in_chunk(rows)
        if isinstance(first, int) and shape[0] % step:
            raise UsageError(
                f"input {item.name!r}: expected {step} rows at a time, found {shape[0]}"
            )
    if shape and shape[0] == 0:
        return 0, iter(())
    if not shape or step >= shape[0]:
        return 1, rows.read(max(step, 1))
    return -(-shape[0] // step), rows.read(step)


def _rows_in_chunk(rows: _Rows) -> int:
    size = rows.dtype.itemsize * int(np.prod(rows.shape[1:], dtype=np.int64))
    return max(1, _CHUNK // max(1, size))


def _of_file(path: Path) -> _Rows:
    """The rows of a .npy file, which is mapped, not read."""
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return _Rows(array.shape, array.dtype, lambda step: _steps(array, step))


def _steps(array: Array, step: int) -> Iterator[Array]:
    if array.ndim == 0:
        yield np.array(array)
        return
    for start in range(0, max(len(array), 1), step):
        rows = array[start : start + step]
        yield rows if rows.nbytes >= LARGE else np.array(rows)


def _of_member(archive: zipfile.ZipFile, name: str) -> _Rows:
    """The rows of an array in a .npz file, which are unpacked as they are asked for."""
    with archive.open(name) as member:
        shape, is_fortran, dtype = _header(member)
    if dtype.hasobject:
        raise UsageError(f"{name}: expected numbers or strings of fixed length, found objects")
    if is_fortran or not shape:
        with archive.open(name) as member:
            array: Array = np.lib.format.read_array(member, allow_pickle=False)
        return _Rows(shape, dtype, lambda step: _steps(array, step))
    return _Rows(shape, dtype, lambda step: _unpacked(archive, name, step))


def _unpacked(archive: zipfile.ZipFile, name: str, step: int) -> Iterator[Array]:
    with archive.open(name) as member:
        shape, _, dtype = _header(member)
        for start in range(0, max(shape[0], 1), step):
            rows = room_for((min(step, shape[0] - start), *shape[1:]), dtype)
            for block in blocks(rows):
                block[...] = np.frombuffer(member.read(block.nbytes), dtype)
            yield rows


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(member)
    return tuple(shape), bool(is_fortran), dtype


def _only(inputs: Sequence[Input]) -> Input:
    if len(inputs) != 1:
        raise UsageError(
            f"one array, but the model has {len(inputs)} inputs ({_quoted(_names(inputs))}); "
            "save them in a .npz under these names"
        )
    return inputs[0]


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _names(inputs: Sequence[Input]) -> list[str]:
    return [item.name for item in inputs]


def _quoted(names: Iterable[str]) -> str:
    listed = [repr(name) for name in names]
    shown = ", ".join(listed[:8]) + (f", .. ({len(listed)} in all)" if len(listed) > 8 else "")
    return shown or "nothing"


def _shape(dims: Iterable[int | str]) -> str:
    return f"[{', '.join(map(str, dims))}]"
