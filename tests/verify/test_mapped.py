"""Inputs too big for memory: they lie in files, and are read from there."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from onnxstride.errors import UsageError
from onnxstride.verify import Input, Kind, Runner, VerifyOptions, make_feed, mapped, verify
from onnxstride.verify.data import load_data
from onnxstride.verify.mapped import blocks, converted, place_of, room_for
from tests.verify.building import ROOT, loadable, model

LARGEST = "net (float[A,B] x) => (float[1,1] y) { y = ReduceMax (x) }"
SHAPE = (40, 50)
SMALL_LIMIT = 1 << 12


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays count as large from 4 kB."""
    monkeypatch.setattr(mapped, "LARGE", SMALL_LIMIT)
    monkeypatch.setattr("onnxstride.verify.data.LARGE", SMALL_LIMIT)


@pytest.mark.usefixtures("small_limit")
class TestArrays:
    def test_a_part_of_a_mapped_array_knows_its_place(self, tmp_path: Path) -> None:
        """The file from there on holds its bytes, whatever stands before them."""
        np.save(tmp_path / "x.npy", np.arange(8000, dtype=np.float32).reshape(8, 1000))
        part = np.asarray(np.load(tmp_path / "x.npy", mmap_mode="r")[3:6])
        place = place_of(part)
        assert place is not None
        found = np.memmap(place.path, np.float32, "r", place.offset, (3, 1000))
        assert np.array_equal(found, part)

    def test_what_has_no_place(self, tmp_path: Path) -> None:
        """Arrays in memory, small ones, and parts with gaps between them."""
        np.save(tmp_path / "x.npy", np.zeros((80, 1000), np.float32))
        whole = np.load(tmp_path / "x.npy", mmap_mode="r")
        assert place_of(whole) is not None
        assert place_of(whole[:, ::2]) is None
        assert place_of(whole[0, :10]) is None
        assert place_of(np.zeros((80, 1000), np.float32)) is None

    def test_a_temporary_file_goes_with_its_array(self) -> None:
        """Nothing stays behind."""
        array = room_for(SHAPE, np.dtype(np.float32))
        place = place_of(array)
        assert place is not None
        assert Path(place.path).exists()
        del array
        assert not Path(place.path).exists()

    def test_a_conversion_keeps_the_values(self) -> None:
        """Block by block, in a file of its own."""
        array = np.random.default_rng(0).standard_normal(SHAPE)
        half = converted(array, np.dtype(np.float16))
        assert np.array_equal(half, array.astype(np.float16))
        assert sum(block.size for block in blocks(half)) == array.size

    def test_the_room_is_taken_at_once(self) -> None:
        """A disk that fills up later cannot end the process as it writes."""
        array = room_for(SHAPE, np.dtype(np.float64))
        place = place_of(array)
        assert place is not None
        if hasattr(os, "posix_fallocate"):
            assert Path(place.path).stat().st_blocks * 512 >= array.nbytes

    @pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room cannot be reserved")
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EOPNOTSUPP])
    def test_a_disk_that_refuses(
        self, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A full one is an error and leaves no file; one that cannot reserve serves as well."""

        def refuse(*_: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "posix_fallocate", refuse)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        if code == errno.ENOSPC:
            with pytest.raises(OSError, match="No space left"):
                room_for(SHAPE, np.dtype(np.float32))
            assert list(tmp_path.iterdir()) == []
        else:
            assert not room_for(SHAPE, np.dtype(np.float32)).any()

    def test_a_full_disk_is_an_error_of_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A feed that does not fit is refused before it is begun."""
        almost_full = SimpleNamespace(total=10_000, used=5_000, free=5_000)
        monkeypatch.setattr("shutil.disk_usage", lambda _: almost_full)
        with pytest.raises(UsageError, match=r"free in .* --input-shape"):
            make_feed([Input("x", "float32", SHAPE)], {}, 0, Kind.MIXED)


class TestFeeds:
    @pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "bool"])
    @pytest.mark.parametrize("kind", Kind)
    def test_a_mapped_feed_has_the_values_of_one_in_memory(
        self, monkeypatch: pytest.MonkeyPatch, dtype: str, kind: Kind
    ) -> None:
        """Where it lies makes no difference."""
        item = Input("x", dtype, SHAPE)
        expected = make_feed([item], {}, 3, kind, non_negative=["x"])["x"]
        monkeypatch.setattr(mapped, "LARGE", 1)
        found = make_feed([item], {}, 3, kind, non_negative=["x"])["x"]
        assert place_of(found) is not None
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)

    @pytest.mark.usefixtures("small_limit")
    @pytest.mark.parametrize("name", ["x.npy", "x.npz"])
    def test_a_large_sample_stays_in_its_file(self, tmp_path: Path, name: str) -> None:
        """Of a .npy file in the file itself, of an archive in a temporary one."""
        values = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
        save: Any = np.save if name == "x.npy" else np.savez
        save(tmp_path / name, **({"arr": values} if name == "x.npy" else {"x": values}))
        [feed] = load_data(str(tmp_path / name), [Input("x", "float32", SHAPE)])
        place = place_of(feed["x"])
        assert place is not None
        assert (place.path == str(tmp_path / name)) == (name == "x.npy")
        assert np.array_equal(feed["x"], values)

    @pytest.mark.usefixtures("small_limit")
    def test_the_runtime_reads_the_file(self, tmp_path: Path) -> None:
        """A value changed in the file, after it was mapped, is the one that is found."""
        np.save(tmp_path / "x.npy", np.zeros(SHAPE, np.float32))
        array = np.load(tmp_path / "x.npy", mmap_mode="r")
        writable = np.load(tmp_path / "x.npy", mmap_mode="r+")
        writable[7, 7] = 5
        writable.flush()
        with Runner(timeout=120) as runner:
            result = runner.run(loadable(LARGEST), {"x": array})
        assert result["y"].item() == 5

    def test_models_are_compared_on_mapped_feeds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The verdict is that on feeds in memory."""
        monkeypatch.setattr(mapped, "LARGE", 1)
        other = LARGEST.replace("ReduceMax", "ReduceMin")
        assert verify(model(LARGEST), model(LARGEST), VerifyOptions())
        assert not verify(model(LARGEST), model(other), VerifyOptions())


_LIMITED = """
import resource, sys
import numpy as np
from onnxstride.verify import Input, Kind, Loadable, Runner, make_feed, mapped
mapped.LARGE = int(sys.argv[2])
with Runner(timeout=120, threads=1) as runner:
    model = Loadable("model", open(sys.argv[1], "rb").read())
    runner.run(model, {"x": np.zeros((1, 1), np.float32)})
    held = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
    limit = held + (100 << 20)  # what this process may hold besides files, over what it holds now
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    feed = make_feed([Input("x", "float32", (7, 10 << 20))], {}, 0, Kind.SPARSE)
    print(runner.run(model, feed)["y"].item())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
@pytest.mark.parametrize("large", [mapped.LARGE, 1 << 62], ids=["mapped", "in memory"])
def test_an_input_larger_than_memory(tmp_path: Path, large: int) -> None:
    """280 MB go through a process that may take 100 MB; were they not mapped, it would fail."""
    (tmp_path / "m.onnx").write_bytes(model(LARGEST))
    command = [sys.executable, "-c", _LIMITED, str(tmp_path / "m.onnx"), str(large)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if large == mapped.LARGE:
        assert run.returncode == 0, run.stderr
        assert float(run.stdout) == 16
    else:
        assert run.returncode == 1
        assert "MemoryError" in run.stderr
