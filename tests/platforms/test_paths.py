"""Paths as Windows spells them, tried on any system with that system's own path functions."""

import ntpath
import posixpath
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from types import ModuleType, SimpleNamespace

import pytest

from onnxstride.errors import ExternalData
from onnxstride.modelfile import external
from onnxstride.pictures.files import folder_names, safe
from onnxstride.report import paths
from onnxstride.report.fingerprint import Fingerprints
from onnxstride.rule import NodeRef

_NODE = NodeRef("conv", "Conv", "", (), ("y",))
_SYSTEMS: dict[str, tuple[ModuleType, type[PurePath]]] = {
    "posix": (posixpath, PurePosixPath),
    "windows": (ntpath, PureWindowsPath),
}


def _on(system: str, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a module see the path functions of a system."""
    functions, kind = _SYSTEMS[system]
    monkeypatch.setattr(module, "PurePath", kind)
    monkeypatch.setattr(module, "os", SimpleNamespace(path=functions), raising=False)


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("C:\\repo\\models\\a b.onnx", "C:\\repo", "models/a b.onnx"),
        ("c:\\REPO\\models\\a.onnx", "C:\\repo", "models/a.onnx"),
        ("C:/repo/models/a.onnx", "C:\\repo", "models/a.onnx"),
        ("C:\\elsewhere\\a.onnx", "C:\\repo", "../elsewhere/a.onnx"),
        ("D:\\models\\a.onnx", "C:\\repo", "D:/models/a.onnx"),
        ("\\\\server\\share\\a.onnx", "C:\\repo", "//server/share/a.onnx"),
    ],
)
def test_reports_spell_paths_with_slashes(
    monkeypatch: pytest.MonkeyPatch, path: str, root: str, expected: str
) -> None:
    """Below the checkout relative, on another drive in full, and never with a backslash."""
    _on("windows", paths, monkeypatch)
    assert paths.relative(path, root) == expected


@pytest.mark.parametrize(
    "path", ["a.onnx", "models/a.onnx", "models\\a.onnx", "C:\\m\\a.onnx", "C:/m/a.onnx"]
)
def test_a_finding_is_the_same_wherever_the_file_lies(path: str) -> None:
    """Neither the drive nor the kind of slash changes a fingerprint."""
    assert Fingerprints().of(path, "UP101", _NODE) == Fingerprints().of("a.onnx", "UP101", _NODE)


def test_another_file_is_another_finding() -> None:
    """What stays the same above does not stay the same for every path."""
    assert Fingerprints().of("C:\\b.onnx", "UP101", _NODE) != Fingerprints().of(
        "C:\\a.onnx", "UP101", _NODE
    )


@pytest.mark.parametrize(
    ("system", "path", "folder", "is_inside"),
    [
        ("windows", "C:\\m\\w.bin", "C:\\m", True),
        ("windows", "c:\\M\\w.bin", "C:\\m", True),
        ("windows", "C:\\m\\sub\\w.bin", "C:\\m", True),
        ("windows", "C:\\m2\\w.bin", "C:\\m", False),
        ("windows", "D:\\m\\w.bin", "C:\\m", False),
        ("windows", "\\\\server\\share\\w.bin", "C:\\m", False),
        ("posix", "/m/w.bin", "/m", True),
        ("posix", "/m", "/m", True),
        ("posix", "/w.bin", "/", True),
        ("posix", "/m2/w.bin", "/m", False),
        ("posix", "/M/w.bin", "/m", False),
    ],
)
def test_what_lies_in_a_folder(
    monkeypatch: pytest.MonkeyPatch, system: str, path: str, folder: str, *, is_inside: bool
) -> None:
    """By whole names and, on Windows, whatever the case; another drive is outside, no error."""
    monkeypatch.setattr(external, "PurePath", _SYSTEMS[system][1])
    assert external.is_within(path, folder) is is_inside


@pytest.mark.parametrize(
    "location",
    [
        *("C:\\w.bin", "C:w.bin", "c:/w.bin", "\\w.bin", "\\\\server\\share\\w.bin"),
        *(
            "\\\\?\\C:\\w.bin",
            "//server/share/w.bin",
            "..\\w.bin",
            "a\\..\\..\\w.bin",
            "a/..\\../w",
        ),
    ],
)
def test_locations_that_leave_the_folder_on_windows_are_refused_everywhere(
    location: str,
) -> None:
    """External data is judged by its spelling on any system, as if each system read it."""
    with pytest.raises(ExternalData, match="is refused"):
        external._refuse_spelling(location)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("location", ["w.bin", "a\\w.bin", "a/w.bin", "a\\..\\w.bin", "w.bin:1"])
def test_locations_inside_are_not_refused(location: str) -> None:
    """A backslash alone is no way out."""
    external._refuse_spelling(location)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    "name",
    ["con", "NUL", "aux.png", "com1", "Lpt9.txt", "a:b", "a\\b", "a/b", "a?", "a.", "a ", "."],
)
def test_pictures_have_names_that_windows_takes(name: str) -> None:
    """No device, no character that Windows keeps for itself, no dot or blank at the end."""
    found = safe(name)
    stem = found.partition(".")[0].lower()
    assert not set(found) & set('<>:"/\\|?*')
    assert not found.endswith((".", " "))
    assert stem not in {"con", "prn", "aux", "nul", "com1", "lpt9"}


def test_folders_of_pictures_differ_whatever_the_case() -> None:
    """Windows takes two names that differ in case for one."""
    found = folder_names(["a/net.onnx", "b/net.onnx", "Net.onnx", "NET.onnx"])
    assert len({name.lower() for name in found}) == 4
