"""The user's own feeds, in every form they may come in."""

import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxstride.errors import UsageError
from onnxstride.verify import Input, Verdict, load_data
from onnxstride.verify.data import Feed
from tests.verify.building import Bench

IMAGE = Input("image", "float32", (1, 2, "H", "W"))
SCALE = Input("scale", "float32", (1,))
IMAGES = np.arange(3 * 2 * 4 * 5, dtype=np.float32).reshape(3, 2, 4, 5)


def load(spec: Path | str, *inputs: Input) -> list[Feed]:
    return list(load_data(str(spec), inputs or (IMAGE,)))


def save_tensor(path: Path, array: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(numpy_helper.from_array(np.asarray(array)).SerializeToString())


def save_array(path: Path, array: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)


def as_npz(folder: Path) -> str:
    np.savez(folder / "d.npz", image=IMAGES[:, None], scale=np.ones((3, 1), np.float32))
    return "d.npz"


def as_rows(folder: Path) -> str:
    np.savez_compressed(folder / "d.npz", image=IMAGES, scale=np.ones(3, np.float32))
    return "d.npz"


def as_numbered(folder: Path) -> str:
    arrays = {f"image_{n}": IMAGES[n : n + 1] for n in range(3)}
    np.savez(folder / "d.npz", **arrays, **{f"scale_{n}": np.ones(1) for n in range(3)})  # type: ignore[arg-type]
    return "d.npz"


def as_files(folder: Path) -> str:
    save_array(folder / "d" / "image.npy", IMAGES[:, None])
    save_array(folder / "d" / "scale.npy", np.ones((3, 1)))
    return "d"


def as_folders(folder: Path) -> str:
    for name, row in (("s2", 1), ("s10", 2), ("s1", 0)):
        save_array(folder / "d" / name / "image.npy", IMAGES[row : row + 1])
        save_array(folder / "d" / name / "scale.npy", np.ones(1, np.float32))
    return "d"


def as_test_sets(folder: Path) -> str:
    for row in range(3):
        place = folder / "d" / f"test_data_set_{row}"
        save_tensor(place / "input_0.pb", IMAGES[row : row + 1])
        save_tensor(place / "input_1.pb", np.ones(1, np.float32))
        (place / "output_0.pb").write_bytes(b"not looked at")
    return "d"


def as_callable(folder: Path) -> str:
    (folder / "feeding.py").write_text(
        "import numpy as np\n"
        "def feeds():\n"
        "    for row in range(3):\n"
        "        image = np.arange(120, dtype=np.float32).reshape(3, 2, 4, 5)[row:row + 1]\n"
        "        yield {'image': image, 'scale': [1.0]}\n"
    )
    return "feeding:feeds"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each test has a current folder of its own, and leaves no module behind."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("feeding", "broken"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "save",
    [as_npz, as_rows, as_numbered, as_files, as_folders, as_test_sets, as_callable],
    ids=lambda save: save.__name__.removeprefix("as_"),
)
def test_every_form_gives_the_same_feeds(here: Path, save: Callable[[Path], str]) -> None:
    """Three samples with both inputs, in order, in the declared types and shapes."""
    feeds = load(save(here), IMAGE, SCALE)
    assert len(feeds) == 3
    for row, feed in enumerate(feeds):
        assert list(feed) == ["image", "scale"]
        assert np.array_equal(feed["image"], IMAGES[row : row + 1])
        assert np.array_equal(feed["scale"], [1])
        assert {array.dtype for array in feed.values()} == {np.dtype(np.float32)}


class TestSplitting:
    def test_a_single_sample_is_repeated(self) -> None:
        """One scale for all images."""
        np.savez("d.npz", image=IMAGES, scale=np.ones(1, np.float32))
        assert len(load("d.npz", IMAGE, SCALE)) == 3

    def test_counts_that_do_not_agree(self) -> None:
        """Two scales for three images are none."""
        np.savez("d.npz", image=IMAGES, scale=np.ones((2, 1), np.float32))
        with pytest.raises(UsageError, match="'image' 3, 'scale' 2"):
            load("d.npz", IMAGE, SCALE)

    def test_an_open_first_axis_takes_all(self) -> None:
        """As long as a feed stays under 64 MiB."""
        item = Input("x", "float32", ("N", 4))
        np.save("small.npy", np.zeros((10, 4), np.float32))
        assert [feed["x"].shape for feed in load("small.npy", item)] == [(10, 4)]
        np.save("big.npy", np.zeros((10, 4 << 20), np.uint8))
        item = Input("x", "uint8", ("N", 4 << 20))
        assert [len(feed["x"]) for feed in load("big.npy", item)] == [10]
        np.save("big.npy", np.zeros((10, 8 << 20), np.uint8))
        item = Input("x", "uint8", ("N", 8 << 20))
        assert [len(feed["x"]) for feed in load("big.npy", item)] == [8, 2]

    def test_a_batch_of_fixed_size(self) -> None:
        """So many rows at a time; a remainder is an error."""
        np.save("d.npy", np.zeros((6, 4), np.float32))
        assert len(load("d.npy", Input("x", "float32", (2, 4)))) == 3
        with pytest.raises(UsageError, match="expected 4 rows at a time, found 6"):
            load("d.npy", Input("x", "float32", (4, 4)))

    def test_an_array_for_the_only_input(self) -> None:
        """One file, or files that are not named after the input."""
        np.save("d.npy", IMAGES)
        assert len(load("d.npy")) == 3
        save_array(Path("d") / "2.npy", IMAGES[1:2])
        save_array(Path("d") / "10.npy", IMAGES[2:])
        found = load("d")
        assert [feed["image"][0, 0, 0, 0] for feed in found] == [40, 80]
        with pytest.raises(UsageError, match="the model has 2 inputs"):
            load("d.npy", IMAGE, SCALE)

    def test_names_that_are_no_file_names(self) -> None:
        """Slashes and colons stand as underscores."""
        save_array(Path("d") / "in_x_0.npy", IMAGES[:1])
        item = Input("in/x:0", "float32", (1, 2, "H", "W"))
        other = Input("y", "float32", (1,))
        save_array(Path("d") / "y.npy", np.ones(1))
        assert set(load("d", item, other)[0]) == {"in/x:0", "y"}

    def test_scalars_and_strings(self) -> None:
        """Whatever an input may be."""
        np.savez("d.npz", n=np.int64(3), s=np.array(["a", "bc"]))
        feed = load("d.npz", Input("n", "int64", ()), Input("s", "string", (2,)))[0]
        assert feed["n"] == 3
        assert feed["s"].tolist() == ["a", "bc"]

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_archives_are_read_row_by_row(self, save: Any) -> None:
        """A file of 64 MB takes a few MB of memory."""
        save("d.npz", x=np.zeros((64, 1 << 20), np.uint8))
        tracemalloc.start()
        try:
            count = sum(1 for _ in load_data("d.npz", [Input("x", "uint8", (1 << 20,))]))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert count == 64
        assert peak < 16 << 20

    def test_feeds_are_made_as_they_are_asked_for(self, here: Path) -> None:
        """An endless callable is no problem for who takes two."""
        (here / "feeding.py").write_text(
            "def feeds():\n    while True:\n        yield {'x': [1.0]}\n"
        )
        feeds = load_data("feeding:feeds", [Input("x", "float32", (1,))])
        assert next(feeds)["x"] == next(feeds)["x"]


class TestMistakes:
    @pytest.mark.parametrize(
        ("array", "complaint"),
        [
            pytest.param(IMAGES[0, 0], r"expected shape \[1, 2, H, W\], found \[4, 5\]", id="rank"),
            pytest.param(IMAGES[:, :1], r"found \[1, 1, 4, 5\]", id="channels"),
            pytest.param(IMAGES.astype(np.uint8), "expected float32, found uint8", id="type"),
            pytest.param(IMAGES[:0], "expected at least one sample", id="no rows"),
        ],
    )
    def test_arrays_that_do_not_fit(self, array: Any, complaint: str) -> None:
        """The message says what was expected and what was found."""
        np.savez("d.npz", image=array)
        with pytest.raises(UsageError, match=complaint):
            load("d.npz")

    def test_integers_that_do_not_fit(self) -> None:
        """A value that the type lacks is not wrapped around."""
        np.savez("d.npz", x=np.array([300]))
        with pytest.raises(UsageError, match="do not fit uint8"):
            load("d.npz", Input("x", "uint8", (1,)))

    @pytest.mark.parametrize(
        ("spec", "complaint"),
        [
            ("nowhere", "no such file or folder"),
            ("nowhere.npz", "no such file or folder"),
            ("broken.npz", "cannot be read"),
            ("broken.npy", "cannot be read"),
            ("notes.txt", "found something else"),
            ("empty", "found no data in this folder"),
            ("other.npz", "'image'.*found 'picture'"),
            ("named", r"expected a .npy file for each of 'image', 'scale', found 'image'"),
            ("tests", "expected 2 inputs .*found 1"),
            ("damaged", "input_0.pb: expected a tensor"),
            ("escaping", "it is external"),
            ("nosuchmodule:feeds", "ModuleNotFoundError"),
            ("broken:nothing", "AttributeError"),
            ("broken:number", "TypeError"),
            ("broken:raises", "RuntimeError: told so"),
            ("broken:lists", "expected mappings .* found list"),
            ("broken:empty", "expected at least one sample"),
            ("broken:other", "found values for 'picture'"),
        ],
    )
    def test_each_is_one_clear_error(self, here: Path, spec: str, complaint: str) -> None:
        """It names the data, what was expected and what was found."""
        for name in ("broken.npz", "broken.npy", "notes.txt"):
            (here / name).write_text("PK nothing of the kind")
        (here / "empty").mkdir()
        np.savez("other.npz", picture=IMAGES)
        save_array(here / "named" / "image.npy", IMAGES)
        save_tensor(here / "tests" / "test_data_set_0" / "input_0.pb", IMAGES[:1])
        for name in ("damaged", "escaping"):
            for index in (0, 1):
                save_tensor(here / name / f"input_{index}.pb", IMAGES[:1])
        (here / "damaged" / "input_0.pb").write_bytes(b"\xff\xff\xff")
        tensor = onnx.TensorProto(data_type=1, dims=[1])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
        (here / "escaping" / "input_0.pb").write_bytes(tensor.SerializeToString())
        (here / "broken.py").write_text(
            "number = 3\n"
            "def raises():\n    raise RuntimeError('told so')\n"
            "def lists():\n    return [[1, 2]]\n"
            "def empty():\n    return []\n"
            "def other():\n    return [{'picture': 1}]\n"
        )
        inputs = (IMAGE,) if spec == "other.npz" else (IMAGE, SCALE)
        if spec == "broken.npy":
            inputs = (IMAGE,)
        with pytest.raises(UsageError, match=complaint) as caught:
            load(spec, *inputs)
        assert spec.partition("/")[0] in caught.value.message

    def test_pickles_are_not_opened(self) -> None:
        """A .npy file of objects could run code."""
        np.save("d.npy", np.array([print], dtype=object), allow_pickle=True)
        with pytest.raises(UsageError):
            load("d.npy")
        np.savez("d.npz", image=np.array([print], dtype=object))
        with pytest.raises(UsageError):
            load("d.npz")


class TestVerifying:
    BEFORE = "net (float[1,2,H,W] image) => (float[1,2,H,W] y) { y = Abs (image) }"
    AFTER = "net (float[1,2,H,W] image) => (float[1,2,H,W] y) { y = Identity (image) }"

    def test_data_decides(self, bench: Bench) -> None:
        """On positive data the two are the same; on made-up feeds they are not."""
        np.savez("d.npz", image=IMAGES)
        verdict = bench.verify(self.BEFORE, self.AFTER, data="d.npz")
        assert verdict.verdict is Verdict.PASS
        assert verdict.feeds == 3
        assert bench.verify(self.BEFORE, self.AFTER).verdict is Verdict.FAIL

    def test_the_sample_is_named(self, bench: Bench) -> None:
        """A difference says in which one it is."""
        images = IMAGES.copy()
        images[1, 1, 2, 3] = -1
        np.savez("d.npz", image=images)
        verdict = bench.verify(self.BEFORE, self.AFTER, data="d.npz")
        assert verdict.verdict is Verdict.FAIL
        assert verdict.outputs[0].worst is not None
        assert verdict.outputs[0].worst.feed == "sample 2"
        assert verdict.outputs[0].worst.index == (0, 1, 2, 3)
