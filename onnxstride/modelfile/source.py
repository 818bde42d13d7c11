"""Where a model's bytes lie, read by position and never as a whole.

A source is anything that behaves as ``mmap.mmap`` does: ``len(source)``, ``source[i]`` is an
integer, ``source[i:j]`` is bytes, and a position past the end raises ``IndexError``. Memory maps
and ``bytes`` are sources as they are; ``PagedStream`` makes one of any seekable binary stream.
"""

import io
import mmap
import os
import stat
from collections import OrderedDict
from typing import BinaryIO, Protocol, cast, overload

from ..errors import UnreadableFile
from . import guard

_PAGE = 1 << 16
_PAGES_HELD = 64
_GRAPH_FIRST = 4 << 20  # the nodes, which protobuf writes ahead of the weights


class Source(Protocol):
    """Bytes by position."""

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, index: int, /) -> int: ...

    @overload
    def __getitem__(self, index: slice, /) -> bytes: ...


class PagedStream:
    """A seekable binary stream as a source, with the pages last used held in memory."""

    def __init__(
        self, stream: BinaryIO, *, page: int = _PAGE, pages_held: int = _PAGES_HELD
    ) -> None:
        self._stream = stream
        self._page = page
        self._pages_held = pages_held
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._size = stream.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int, /) -> int: ...

    @overload
    def __getitem__(self, index: slice, /) -> bytes: ...

    def __getitem__(self, index: int | slice, /) -> int | bytes:
        if isinstance(index, slice):
            return self._range(*index.indices(self._size))
        if not 0 <= index < self._size:
            raise IndexError(index)
        return self._cached(index // self._page)[index % self._page]

    def _range(self, start: int, stop: int, step: int) -> bytes:
        """Bytes ``start`` to ``stop``; a range longer than one page is read past the cache."""
        if step != 1:
            raise ValueError("a stream is read forwards, in steps of 1")
        if stop <= start:
            return b""
        if stop - start > self._page:
            return self._read(start, stop)
        first, last = start // self._page, (stop - 1) // self._page
        joined = b"".join(self._cached(number) for number in range(first, last + 1))
        return joined[start - first * self._page : stop - first * self._page]

    def _cached(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is not None:
            self._pages.move_to_end(number)
            return page
        start = number * self._page
        page = self._pages[number] = self._read(start, min(start + self._page, self._size))
        if len(self._pages) > self._pages_held:
            self._pages.popitem(last=False)
        return page

    def _read(self, start: int, stop: int) -> bytes:
        """Exactly these bytes: a raw stream may return fewer than asked for at a time."""
        parts: list[bytes] = []
        missing = stop - start
        try:
            self._stream.seek(start)
            while missing and (part := self._stream.read(missing)):
                parts.append(part)
                missing -= len(part)
        except OSError as error:
            raise UnreadableFile(reason(error)) from error
        except ValueError as error:  # a closed stream
            raise UnreadableFile(f"cannot be read: {error}") from error
        if missing:
            raise UnreadableFile(
                f"the stream ended {missing:,} bytes early: it had {self._size:,} bytes when "
                "opened; read it again once nothing writes to it"
            )
        return b"".join(parts)


class FileMap(mmap.mmap):
    """A map that keeps its file open, and knows it as it was when mapped.

    It outlives the end of its file: see ``guard``.
    """

    descriptor: int
    status: os.stat_result
    _address: int

    def keep(self, descriptor: int, status: os.stat_result) -> None:
        """Takes over a descriptor of the file, which was found in this state."""
        self.descriptor = descriptor
        self.status = status
        self._address = guard.address(self)
        guard.watch(self._address, len(self), descriptor)

    def has_changed(self) -> bool:
        """True once other bytes were written into the file, as far as size and time tell.

        Another file under the same name is no change: this is a map of the old one.
        """
        if self.descriptor < 0:
            return False
        now = os.fstat(self.descriptor)
        return (now.st_size, now.st_mtime_ns) != (self.status.st_size, self.status.st_mtime_ns)

    def close(self) -> None:
        guard.forget(self._address)  # first: what is unmapped may be somebody else's place at once
        try:
            super().close()
        except BufferError:
            guard.watch(self._address, len(self), self.descriptor)
            raise
        self._let_go()

    def __del__(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        descriptor, self.descriptor = getattr(self, "descriptor", -1), -1
        if descriptor >= 0:
            guard.forget(self._address)
            os.close(descriptor)


def path_source(path: str | os.PathLike[str]) -> Source:
    """A read-only map of the file at ``path``.

    Raises:
        UnreadableFile: it is missing, a folder, no regular file, or may not be read.
    """
    try:
        # Opening a FIFO would wait for a writer, so what it is gets asked first.
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise UnreadableFile("this is a folder, not a model file; name a file inside it")
        if not stat.S_ISREG(mode):
            raise UnreadableFile("not a regular file; pipe its content to standard input instead")
        with open(path, "rb", buffering=0) as file:
            return mapped(file)
    except OSError as error:
        raise UnreadableFile(reason(error)) from error
    except ValueError as error:
        raise UnreadableFile(f"not a usable path: {error}") from error


def stream_source(stream: BinaryIO) -> Source:
    """The whole of a binary stream, whatever its position.

    A regular file is mapped, another stream that can seek is read in pages, and one that cannot
    is spooled to an unnamed temporary file.

    Raises:
        UnreadableFile: it cannot be read.
    """
    try:
        if _is_plain_file(stream):
            stream.flush()
            return mapped(stream)
        return PagedStream(stream) if stream.seekable() else _spooled(stream)
    except (OSError, ValueError) as error:
        said = reason(error) if isinstance(error, OSError) else str(error)
        raise UnreadableFile(said) from error


def mapped(file: BinaryIO | io.FileIO) -> Source:
    """A read-only map that outlives ``file``; an empty file, which has none, is ``b""``."""
    status = os.fstat(file.fileno())
    if status.st_size == 0:
        return b""
    found = FileMap(file.fileno(), 0, access=mmap.ACCESS_READ)
    found.keep(os.dup(file.fileno()), status)
    return found


def has_changed(source: Source) -> bool:
    """True for a map of a file that was written to since, as far as size and time tell."""
    return isinstance(source, FileMap) and source.has_changed()


def expect_headers(source: Source) -> None:
    """Tells the system that a few bytes here and there are read, the first few MiB in a row.

    Left to itself it reads ahead of each, and so the whole of a file that is not in its cache.
    """
    if isinstance(source, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):
        source.madvise(mmap.MADV_RANDOM)
        source.madvise(mmap.MADV_WILLNEED, 0, min(len(source), _GRAPH_FIRST))


def expect_anything(source: Source) -> None:
    """Ends ``expect_headers``: what is read next may be a tensor, from end to end."""
    if isinstance(source, mmap.mmap) and hasattr(mmap, "MADV_NORMAL"):
        source.madvise(mmap.MADV_NORMAL)


def release(source: Source, start: int, stop: int) -> None:
    """Gives the pages that lie between two positions back to the system.

    Touching one byte of a map also maps its neighbours that are in the page cache (64 KiB under
    Linux). Over the headers of ten thousand tensors that adds up to the whole file. A page that
    is needed again is mapped again.
    """
    if isinstance(source, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        first = max(start - start % mmap.PAGESIZE, 0)
        last = stop - stop % mmap.PAGESIZE
        if last > first:
            source.madvise(mmap.MADV_DONTNEED, first, last - first)


def view(source: Source, start: int, stop: int) -> bytes | memoryview:
    """Bytes ``start`` to ``stop``, without a copy where the source has them in one piece."""
    if isinstance(source, (bytes, mmap.mmap)):
        return memoryview(source)[start:stop]
    return source[start:stop]


def close(source: Source) -> None:
    """Closes a map, unless arrays still look into it: then it goes with the last of them."""
    if isinstance(source, mmap.mmap):
        try:
            source.close()
        except BufferError:
            return


def _is_plain_file(stream: BinaryIO) -> bool:
    """True for a regular file as ``open`` returns it.

    Of a decompressing stream, for one, the file number leads to other bytes than it reads.
    """
    raw = getattr(stream, "raw", stream)
    return isinstance(raw, io.FileIO) and stat.S_ISREG(os.fstat(raw.fileno()).st_mode)


def _spooled(stream: BinaryIO) -> Source:
    import shutil
    import tempfile

    with tempfile.TemporaryFile() as spool:
        shutil.copyfileobj(stream, spool, 1 << 20)
        spool.flush()
        return mapped(cast(BinaryIO, spool))


def reason(error: OSError) -> str:
    """What the system says, in one line."""
    if isinstance(error, FileNotFoundError):
        return "no such file; check the path"
    if isinstance(error, PermissionError):
        return "permission denied; make the file readable"
    return f"cannot be read: {error.strerror or error}"
