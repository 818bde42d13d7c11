"""External data: tensors kept in other files of the model's folder.

A model names such a file by a path relative to its own folder, with an offset and a length. A
model is data from strangers, so the path is first refused by its spelling (absolute, a URL, a
``..`` that leaves the folder), then by where it truly leads: symbolic links that end outside,
files that are not regular, and files with a second name (a hard link may lend a name inside the
folder to a file outside). Nothing is opened before all of that holds.
"""

import io
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import NamedTuple

from ..errors import ExternalData
from .source import Source, close, has_changed, mapped, reason

_LONGEST_NUMBER = 19  # digits of 2^63 - 1
_POINTER_SIZE = 1024  # a git-lfs pointer is shorter than this
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


class Region(NamedTuple):
    """Part of a file in the model's folder; checked to lie within it."""

    location: str
    start: int
    stop: int


class _Found(NamedTuple):
    """The regular file that a location leads to."""

    path: str
    status: os.stat_result


class ExternalFiles:
    """The files beside one model. Each is looked up once, and mapped when first read."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._found: dict[str, _Found | ExternalData] = {}
        self._maps: dict[str, Source] = {}

    def region(self, entries: Mapping[str, str | bytes], size: int) -> Region:
        """Where the ``size`` bytes of a tensor lie, from its ``external_data`` entries.

        Raises:
            ExternalData: no such place, outside the folder, or not of that size.
        """
        location = entries.get("location")
        if not location or isinstance(location, bytes):
            raise ExternalData("its data is said to be external, but no usable location is given")
        start = _number(entries.get("offset"), "offset") or 0
        length = _number(entries.get("length"), "length")
        if length is not None and length != size:
            raise ExternalData(
                f"type and shape ask for {size:,} bytes, the external data has {length:,}; "
                "export the model again"
            )
        held = self._file(location).status.st_size
        if start + size > held:
            raise ExternalData(_too_short(location, start + size, held))
        return Region(location, start, start + size)

    def source(self, region: Region) -> Source:
        """A read-only map of the file a region is part of.

        Raises:
            ExternalData: the file has changed since it was looked up, or cannot be read.
        """
        if region.location not in self._maps:
            self._maps[region.location] = _mapped(region.location, self._file(region.location))
        source = self._maps[region.location]
        if region.stop > len(source):
            raise ExternalData(_too_short(region.location, region.stop, len(source)))
        return source

    def open(self, location: str) -> io.FileIO:
        """The file at a location, to be read as a whole.

        Raises:
            ExternalData: it is missing, out of bounds, or cannot be read.
        """
        try:
            return _opened(location, self._file(location))
        except OSError as error:
            raise ExternalData(f"external data {_shown(location)}: {reason(error)}") from error

    def changed(self) -> str | None:
        """The location of a file that was written to since it was mapped; None without one."""
        changed = (place for place, source in self._maps.items() if has_changed(source))
        return next(changed, None)

    def close(self) -> None:
        """Unmaps what no array looks into."""
        for source in self._maps.values():
            close(source)
        self._maps.clear()

    def _file(self, location: str) -> _Found:
        found = self._found.get(location)
        if found is None:
            try:
                found = self._look_up(location)
            except ExternalData as error:
                found = error
            self._found[location] = found
        if isinstance(found, ExternalData):
            raise ExternalData(str(found))
        return found

    def _look_up(self, location: str) -> _Found:
        if self._folder is None:
            raise ExternalData(
                f"its data is in {location!r}, but the model was read from a stream and has no "
                "folder; name the model by its path instead"
            )
        _refuse_spelling(location)
        folder = os.path.realpath(self._folder)
        try:
            path = os.path.realpath(os.path.join(folder, location))
            if not is_within(path, folder):
                raise _refused(location, "a symbolic link leads out of the model's folder")
            status = os.lstat(path)
        except FileNotFoundError as error:
            raise ExternalData(
                f"external data {location!r} is missing; copy it next to the model, or run "
                "'git lfs pull' where git-lfs keeps it"
            ) from error
        except OSError as error:
            raise ExternalData(f"external data {_shown(location)}: {reason(error)}") from error
        _refuse_kind(location, status)
        return _Found(path, status)


def is_within(path: str, folder: str) -> bool:
    """True where a path is the folder's own or below it, both of them free of links.

    Not by ``os.path.commonpath``, which raises for two drives of Windows.
    """
    return PurePath(path).is_relative_to(folder)


def _refuse_spelling(location: str) -> None:
    """Raises for a location that leaves the folder by its spelling alone, on any system."""
    if "\0" in location:
        raise _refused(location, "it contains a zero byte")
    if "://" in location:
        raise _refused(location, "it is a URL, and nothing is fetched")
    if location[0] in "/\\" or re.match("[A-Za-z]:", location):
        raise _refused(location, "it is an absolute path")
    depth = 0
    for part in re.split(r"[/\\]", location):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            raise _refused(location, "it leads out of the model's folder")


def _refuse_kind(location: str, status: os.stat_result) -> None:
    """Raises for what is no regular file with one name."""
    if not stat.S_ISREG(status.st_mode):
        raise _refused(location, "it is not a regular file")
    if status.st_nlink > 1:
        raise _refused(location, "it is a hard link, which may lead out of the model's folder")


def _mapped(location: str, found: _Found) -> Source:
    try:
        with _opened(location, found) as file:
            return mapped(file)
    except OSError as error:
        raise ExternalData(f"external data {_shown(location)}: {reason(error)}") from error


def _opened(location: str, found: _Found) -> io.FileIO:
    """The file itself, once it is known to be the one that was looked up."""
    file = os.fdopen(os.open(found.path, _OPEN_FLAGS), "rb", buffering=0)
    try:
        _refuse_replaced(location, os.fstat(file.fileno()), found)
    except BaseException:
        file.close()
        raise
    return file


def _refuse_replaced(location: str, status: os.stat_result, found: _Found) -> None:
    _refuse_kind(location, status)
    if not os.path.samestat(status, found.status):
        raise ExternalData(f"external data {location!r} was replaced while it was read")


def _number(text: str | bytes | None, what: str) -> int | None:
    """An offset or length; None where it is not given."""
    if text is None:
        return None
    is_number = isinstance(text, str) and text.isascii() and text.isdigit()
    if is_number and len(text) <= _LONGEST_NUMBER:
        return int(text)
    raise ExternalData(
        f"the {what} of its external data is {_shown(text)}; expected a number of bytes from 0 "
        "to 2^63 - 1"
    )


def _too_short(location: str, needed: int, held: int) -> str:
    hint = "copy the complete file"
    if held < _POINTER_SIZE:
        hint += ", or run 'git lfs pull' if this is a git-lfs pointer"
    return f"external data {location!r} has {held:,} bytes, {needed:,} are needed; {hint}"


def _refused(location: str, why: str) -> ExternalData:
    return ExternalData(
        f"external data {_shown(location)} is refused: {why}; only regular files in the model's "
        "folder are read"
    )


def _shown(text: str | bytes) -> str:
    return repr(text if len(text) <= 100 else text[:100]) + ("..." if len(text) > 100 else "")
