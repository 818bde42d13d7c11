"""Files that appear together and complete, or not at all.

Each file is written under a name of its own beside its final place, flushed, and renamed once all
are complete, in the order they were begun. A rename replaces what it finds, be it a symbolic link,
and follows nothing. Until the last file is renamed, any failure takes back what was done. Only a
killed process leaves its temporary files behind (``.onnxstride-*.tmp``); under a final name stand
complete files only.

A file that takes the place of another waits for the disk before it does: a power cut leaves the
one or the other. A file in a place of its own is left to the system to write, as ``cp`` leaves it:
there is nothing to lose, and waiting for the disk takes longer than all the rest.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from ..errors import WriteError

_CREATE_FLAGS = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_GATHERED = 1 << 16
_PLAIN = 0o666

Check = Callable[[str], None]
"""Looks at a written file, and raises where it must not take its place."""

Serves = Callable[[str, str], bool]
"""True where what is in a file's place by now serves as well; raises where it is in the way."""


class Permissions(NamedTuple):
    """What a new file may be opened with, less the umask, and what it gets in the end if that."""

    created: int = _PLAIN
    final: int | None = None


class _Rename(NamedTuple):
    """A file under its temporary name and its final one."""

    temporary: str
    final: str
    serves: Serves | None


class Sink:
    """A file that is written from start to end; small pieces are gathered into larger ones.

    ``is_lasting`` says that it will be waited for until the disk has it.
    """

    def __init__(self, descriptor: int, *, is_lasting: bool) -> None:
        self.descriptor = descriptor
        self.is_lasting = is_lasting
        self._gathered = bytearray()

    def put(self, data: bytes | memoryview) -> None:
        """Adds bytes; large ones are not copied on the way."""
        if len(self._gathered) + len(data) > _GATHERED:
            self.flush()
        if len(data) > _GATHERED:
            self._write(data)
        else:
            self._gathered += data

    def flush(self) -> None:
        """Writes what is gathered, so that others may write to ``descriptor``."""
        gathered, self._gathered = self._gathered, bytearray()
        self._write(gathered)

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        rest = memoryview(data)
        while len(rest):
            rest = rest[os.write(self.descriptor, rest) :]


class Staging:
    """The files of one writing, as a context; without ``publish`` none of them appears."""

    def __init__(self) -> None:
        self._renames: list[_Rename] = []
        self._folders: list[str] = []
        self._lasting: set[str] = set()  # the folders of files that the disk is to have
        self._is_renaming = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_renaming:
            self._remove([each.temporary for each in self._renames])
        elif os.path.lexists(self._renames[-1].temporary):
            here = os.path.lexists
            self._remove([x.temporary if here(x.temporary) else x.final for x in self._renames])
        # Otherwise the last file is in place, and so all are: even if an interrupt came since.

    @contextlib.contextmanager
    def file(
        self, final: str, permissions: Permissions, *, serves: Serves | None = None
    ) -> Generator[Sink]:
        """A new file that ``publish`` gives its ``final`` name. Complete when the context ends.

        With ``serves`` it replaces nothing: see there.
        """
        folder = os.path.dirname(final)
        temporary = os.path.join(folder, f".onnxstride-{secrets.token_hex(8)}.tmp")
        self._make_folder(folder)
        self._renames.append(_Rename(temporary, final, serves))
        is_lasting = os.path.lexists(final)
        if is_lasting:
            self._lasting.add(folder)
        descriptor = os.open(temporary, _CREATE_FLAGS, permissions.created)
        try:
            sink = Sink(descriptor, is_lasting=is_lasting)
            yield sink
            sink.flush()
            if permissions.final is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, permissions.final)
            if is_lasting:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def publish(self, check: Check | None = None) -> None:
        """Gives every file its final name, the last one only after ``check`` has seen it.

        ``check`` is called with the last file's temporary path when all others are in place; if
        it raises, they are taken back.
        """
        self._is_renaming = bool(self._renames)
        for each in list(self._renames):
            if check is not None and each is self._renames[-1]:
                check(each.temporary)
            if each.serves is not None and each.serves(each.temporary, each.final):
                os.unlink(each.temporary)
                self._renames.remove(each)
            else:
                os.replace(each.temporary, each.final)
        for folder in self._lasting:
            _flush_folder(folder)

    def _make_folder(self, folder: str) -> None:
        """Makes a folder and those above it, from the top."""
        if os.path.isdir(folder):
            return
        self._make_folder(os.path.dirname(folder))
        os.mkdir(folder)
        self._folders.append(folder)

    def _remove(self, files: list[str]) -> None:
        """Takes back these files, and the folders made for them."""
        for file in files:
            with contextlib.suppress(OSError):
                os.unlink(file)
        for folder in reversed(self._folders):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def final_place(path: Path) -> tuple[str, Permissions]:
    """Where the file ``path`` is to appear, and the permissions it gets.

    Those of a file that is there already are kept. A symbolic link is refused: replacing it would
    leave the file it leads to as it was, following it would write where it was not asked to.

    Raises:
        WriteError: what is there is no regular file, or its folder is missing.
    """
    folder = os.path.realpath(path.parent)
    if not os.path.isdir(folder):
        raise WriteError(f"{path}: there is no such folder; make it first")
    final = os.path.join(folder, path.name)
    try:
        status = os.lstat(final)
    except FileNotFoundError:
        return final, Permissions()
    if stat.S_ISDIR(status.st_mode):
        raise WriteError(f"{path} is a folder; name a file in it")
    if stat.S_ISLNK(status.st_mode):
        raise WriteError(
            f"{path} is a symbolic link, which is not followed; name the file it leads to, or "
            "remove the link"
        )
    if not stat.S_ISREG(status.st_mode):
        raise WriteError(f"{path} is no regular file, and writing replaces it; name another file")
    mode = stat.S_IMODE(status.st_mode) & 0o777
    return final, Permissions(mode & _PLAIN, mode)


def _flush_folder(folder: str) -> None:
    """Makes a rename lasting, on systems that open folders; it has taken place either way."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
