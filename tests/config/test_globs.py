"""Globs mean what their table says, on every system."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxstride.config.globs import matches


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        pytest.param("net.onnx", "a/b/net.onnx", True, id="a name, in any folder"),
        pytest.param("*.onnx", "a/b/net.onnx", True, id="a glob over names, in any folder"),
        pytest.param("*.onnx", "net.onnxtxt", False, id="all of the name"),
        pytest.param("**", "a/b/net.onnx", True, id="everything"),
        pytest.param("**", "../other/net.onnx", True, id="everything, outside too"),
        pytest.param("a/*.onnx", "a/net.onnx", True, id="in one folder"),
        pytest.param("a/*.onnx", "a/b/net.onnx", False, id="a star stays in its folder"),
        pytest.param("a/*.onnx", "b/a/net.onnx", False, id="a path begins at the file"),
        pytest.param("a/**", "a/b/c/net.onnx", True, id="everything below"),
        pytest.param("a/", "a/b/c/net.onnx", True, id="a folder is what it holds"),
        pytest.param("a/", "ab/net.onnx", False, id="and no other's"),
        pytest.param("a/**/net.onnx", "a/net.onnx", True, id="no folder between"),
        pytest.param("a/**/net.onnx", "a/b/c/net.onnx", True, id="two folders between"),
        pytest.param("a/**/net.onnx", "a/xnet.onnx", False, id="whole folders only"),
        pytest.param("**/x/*", "a/b/x/net.onnx", True, id="folders before"),
        pytest.param("./a/*", "a/net.onnx", True, id="here, said twice"),
        pytest.param("a?.onnx", "ab.onnx", True, id="one character"),
        pytest.param("a?c/x", "a/c/x", False, id="which is no slash"),
        pytest.param("[!a].onnx", "b.onnx", True, id="none of these"),
        pytest.param("[!a].onnx", "a.onnx", False, id="one of these, which are excluded"),
        pytest.param("x[!a]y/z", "x/y/z", False, id="a slash is never one of others"),
        pytest.param("[a-c].onnx", "b.onnx", True, id="a range"),
        pytest.param("[c-a]x", "bx", False, id="a range that ends before it begins"),
        pytest.param("[]].onnx", "].onnx", True, id="a bracket in brackets"),
        pytest.param("v[1].onnx", "v[1].onnx", True, id="a name that looks like a glob"),
        pytest.param("v[1].onnx", "v1.onnx", True, id="which is a glob still"),
        pytest.param("v[1.onnx", "v[1.onnx", True, id="a bracket that nothing closes"),
        pytest.param("a.b", "axb", False, id="a dot is a dot"),
        pytest.param("A.onnx", "a.onnx", False, id="case counts"),
    ],
)
def test_globs(glob: str, path: str, expected: bool) -> None:
    """Each sign means what it says."""
    assert matches(path, glob) is expected


def brute_force(path: str, glob: str) -> bool:
    """The same by definition, for globs of letters, ``*``, ``**`` and ``?``, by trying all."""
    if "/" not in glob:
        path = path.rpartition("/")[2]
    if not glob:
        return not path
    if glob == "**":
        return True
    if glob.startswith("**/"):
        starts = [0, *(i + 1 for i, char in enumerate(path) if char == "/")]
        return any(in_folders(path[start:], glob[3:]) for start in starts)
    return in_folders(path, glob)


def in_folders(path: str, glob: str) -> bool:
    """Like ``brute_force``, with the slash that makes both whole paths out of sight."""
    heads, rest = glob.partition("/")[::2]
    if heads == "**":
        if not rest:
            return True
        parts = path.split("/")
        return any(in_folders("/".join(parts[i:]), rest) for i in range(len(parts)))
    if "/" in glob:
        first, slash, others = path.partition("/")
        return bool(slash) and in_one(first, heads) and in_folders(others, rest)
    return "/" not in path and in_one(path, glob)


def in_one(name: str, glob: str) -> bool:
    if not glob:
        return not name
    if glob[0] == "*":
        return any(in_one(name[i:], glob.lstrip("*")) for i in range(len(name) + 1))
    return bool(name) and glob[0] in (name[0], "?") and in_one(name[1:], glob[1:])


PARTS = ["a", "b", "?", "*", "a*", "*b", "**", "?b"]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_against_trying_everything(length: int) -> None:
    """Every short glob agrees with the definition on every short path."""
    names = ["a", "b", "ab", "ba"]
    paths = ["/".join(each) for n in (1, 2, 3) for each in product(names, repeat=n)]
    for parts in product(PARTS, repeat=length):
        glob = "/".join(parts)
        found = [path for path in paths if matches(path, glob)]
        assert found == [path for path in paths if brute_force(path, glob)], glob


def test_no_glob_takes_long() -> None:
    """Many stars over a name that nearly fits, in one folder and in many."""
    assert not matches("a" * 255, "*a" * 60 + "b")
    assert not matches("/".join("a" * 60), "**/a/" * 30 + "b")


@given(glob=st.text("ab*?[]!-^\\&|~/.", max_size=12), path=st.text("ab/.[]", max_size=8))
@settings(max_examples=300, deadline=None)
def test_no_glob_is_an_error(glob: str, path: str) -> None:
    """Whatever signs stand together, and the path itself always fits."""
    matches(path, glob)
    assert matches(path, path)
