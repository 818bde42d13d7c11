"""Picture files: names that are stable and safe, and writing that overwrites nothing of others.

Names of outputs and nodes are written by strangers. Of a name only letters, digits and ``_ . -``
are kept, at most 60 of them; where that changed anything, or where a file system could take it for
something else (case, leading dots, names of devices), eight hexadecimal digits of its SHA-256 tell
it from others that look alike.

A picture is marked as ours by the text ``Software: onnxstride`` in it, and only such files are
overwritten. It is written beside its place and then moved there. A symbolic link in place of a
picture or of a model's folder is not followed: it is an error.
"""

import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WriteError

if TYPE_CHECKING:
    from .drawing import Picture

SOFTWARE = "onnxstride"

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST = 60
_MARK = b"tEXtSoftware\0" + SOFTWARE.encode()
_HEAD = 256  # bytes of a PNG that hold the mark, if it is there
_PNG = b"\x89PNG\r\n\x1a\n"


def file_name(label: str, kind: str, *names: str) -> str:
    """The name of a picture; ``label`` and ``kind`` are ours, the others anybody's."""
    return "-".join([*filter(None, [label]), kind, *map(safe, names)]) + ".png"


def safe(name: str) -> str:
    """A name that means one thing in every file system; see the module's docstring."""
    kept = _UNSAFE.sub("_", name)[:_LONGEST].lstrip(".").rstrip(". ")
    if kept and kept == name == name.lower() and not _DEVICES.fullmatch(kept):
        return kept
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    if _DEVICES.fullmatch(kept):  # Windows looks no further than the first dot
        return f"{digest}-{kept}"
    return f"{kept}-{digest}" if kept else digest


def folder_names(paths: Sequence[str]) -> list[str]:
    """A folder for the pictures of each model, named after its file.

    Where two files have the same name, their paths make the difference.
    """
    stems = [safe(Path(path).name.removesuffix(Path(path).suffix)) for path in paths]
    return [
        stem if stems.count(stem) == 1 else f"{stem}-{sha256(path.encode()).hexdigest()[:8]}"
        for stem, path in zip(stems, paths, strict=True)
    ]


def save(pictures: Iterable["Picture"], folder: str, within: str = "") -> list[Path]:
    """Writes pictures into a folder, or into the one called ``within`` there; what was written.

    Raises:
        WriteError: the folder cannot be made or written to, or a file there is not one of ours.
    """
    try:
        place = _place(folder, within)
        return [_written(picture, place) for picture in pictures]
    except OSError as error:
        raise WriteError(
            f"cannot write pictures to {folder!r}: {error.strerror or error}"
        ) from error


def _place(folder: str, within: str) -> Path:
    root = Path(os.path.realpath(folder))
    root.mkdir(parents=True, exist_ok=True)
    place = root / within
    if place.is_symlink():
        raise WriteError(f"{str(place)!r} is a symbolic link; pictures do not go where it leads")
    place.mkdir(exist_ok=True)
    return place


def _written(picture: "Picture", place: Path) -> Path:
    from PIL.PngImagePlugin import PngInfo

    target = place / picture.name
    if os.path.lexists(target) and not _is_ours(target):
        raise WriteError(
            f"{str(target)!r} is not a picture of {SOFTWARE}'s; move it, or name another folder"
        )
    mark = PngInfo()
    mark.add_text("Software", SOFTWARE)
    handle, draft = tempfile.mkstemp(dir=place, prefix=f".{SOFTWARE}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            picture.image.save(file, "PNG", pnginfo=mark)
        Path(draft).chmod(0o666 & ~_umask())
        os.replace(draft, target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return target


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return head.startswith(_PNG) and _MARK in head


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
