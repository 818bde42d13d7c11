"""Paths on the command line stand for models: each once, in a fixed order, none by accident."""

from collections.abc import Callable
from pathlib import Path

import pytest

from onnxstride.engine.files import expand
from onnxstride.errors import UsageError
from tests.planting import write_files

Expand = Callable[..., list[str]]


@pytest.fixture
def expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Expand:
    """Expansion inside a folder with models, hidden ones and other files."""
    names = [
        "b.onnx",
        "a.onnx",
        "notes.md",
        "weights.bin",
        "nets/z.onnxtxt",
        "nets/deep/Y.ONNX",
        "nets/.cache/hidden.onnx",
        "nets/._resource.onnx",
        "empty/readme.txt",
        "[odd].onnx",
    ]
    write_files(tmp_path, dict.fromkeys(names, ""))
    monkeypatch.chdir(tmp_path)
    return lambda *paths: list(expand(paths))


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        pytest.param(["b.onnx", "a.onnx"], ["b.onnx", "a.onnx"], id="files in the order given"),
        pytest.param(["nets"], ["nets/deep/Y.ONNX", "nets/z.onnxtxt"], id="a folder is walked"),
        pytest.param(["nets/.cache"], ["nets/.cache/hidden.onnx"], id="a hidden folder if named"),
        pytest.param(["weights.bin"], ["weights.bin"], id="any suffix if named"),
        pytest.param(["gone.onnx"], ["gone.onnx"], id="missing files are for the reader to report"),
        pytest.param(["?.onnx"], ["a.onnx", "b.onnx"], id="a pattern the shell left alone"),
        pytest.param(["n*s"], ["nets/deep/Y.ONNX", "nets/z.onnxtxt"], id="a pattern of folders"),
        pytest.param(["**/*.onnxtxt"], ["nets/z.onnxtxt"], id="a recursive pattern"),
        pytest.param(["[odd].onnx"], ["[odd].onnx"], id="a file whose name looks like a pattern"),
        pytest.param(["-", "a.onnx", "-"], ["-", "a.onnx"], id="standard input once"),
        pytest.param(["a.onnx", "./a.onnx"], ["a.onnx"], id="one file by two spellings"),
        pytest.param(
            ["nets/z.onnxtxt", "nets"], ["nets/z.onnxtxt", "nets/deep/Y.ONNX"], id="overlap"
        ),
    ],
)
def test_paths_stand_for_models(expanded: Expand, paths: list[str], expected: list[str]) -> None:
    """What each kind of path expands to."""
    assert expanded(*paths) == expected


def test_a_link_to_a_model_is_the_same_model(expanded: Expand, tmp_path: Path) -> None:
    """A file reached by its link as well is linted once, under the first name."""
    (tmp_path / "link.onnx").symlink_to("a.onnx")
    assert expanded("a.onnx", "link.onnx") == ["a.onnx"]


def test_a_loop_of_links_ends(expanded: Expand, tmp_path: Path) -> None:
    """A folder that links to itself is walked once."""
    (tmp_path / "nets" / "loop").symlink_to(tmp_path / "nets")
    assert len(expanded("nets")) == 2


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        pytest.param("empty", "no model found in 'empty'", id="a folder without models"),
        pytest.param("*.pt", "nothing matches '*.pt'", id="a pattern without matches"),
    ],
)
def test_a_path_that_stands_for_nothing_is_an_error(
    expanded: Expand, path: str, complaint: str
) -> None:
    """Even next to models: what was meant to be linted was not."""
    with pytest.raises(UsageError) as caught:
        expanded("a.onnx", path)
    assert complaint in caught.value.message
