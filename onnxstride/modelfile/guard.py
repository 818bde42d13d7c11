"""Keeps the process alive when the file behind a map is cut short.

Touching a page that the file no longer reaches raises SIGBUS, which would end the process without
a word. With a guard, every such page of a watched map becomes zeros and reading goes on; that the
file has changed is seen afterwards, by its size and time (``FileMap.has_changed``), and is an
error like any other.

A bus error that no watched map explains belongs to somebody else: whoever answered for the signal
before is put back, and the instruction that failed fails again. Where the system has no such
signal, as Windows, which lets nobody shorten a mapped file, there is nothing to guard.
"""

import ctypes
import mmap
import os
import signal
from typing import Any

_MAP_FIXED = 0x10  # in the place given; so on Linux, macOS and the BSDs
_FAILED = ctypes.c_void_p(-1).value
_BUS_ERROR = getattr(signal, "SIGBUS", None)


class Watched:
    """A map as the guard knows it: where it lies, and how far it is still that of its file."""

    def __init__(self, address: int, size: int, descriptor: int) -> None:
        self._address = address
        self._descriptor = descriptor
        self._reach = _pages(size)

    def fill(self) -> bool:
        """Puts zeros where the file has ended meanwhile; True where there was anything to do."""
        reach = _pages(os.fstat(self._descriptor).st_size)
        missing = self._reach - reach
        if missing <= 0:
            return False
        place = self._address + reach
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED
        if _system().mmap(place, missing, mmap.PROT_READ, flags, -1, 0) == _FAILED:
            return False
        self._reach = reach
        return True


_watched: dict[int, Watched] = {}
_kept: list[object] = []  # the library, what the system calls, and who answered before


def watch(address: int, size: int, descriptor: int) -> None:
    """From here on, losing the end of the file does not end the process."""
    if _BUS_ERROR is None:
        return
    if not _kept:
        _answer(int(_BUS_ERROR))
    _watched[address] = Watched(address, size, descriptor)


class _Buffer(ctypes.Structure):
    """``Py_buffer``, part of the stable interface since Python 3.11."""

    _fields_ = (
        ("start", ctypes.c_void_p),
        ("owner", ctypes.py_object),
        *((name, ctypes.c_ssize_t) for name in ("size", "itemsize")),
        *((name, ctypes.c_int) for name in ("readonly", "ndim")),
        *((name, ctypes.c_void_p) for name in ("format", "shape", "strides", "suboffsets", "own")),
    )


def address(source: mmap.mmap) -> int:
    """Where a map lies in memory. Of a read-only one ctypes tells only through its buffer."""
    buffer = _Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(source), ctypes.byref(buffer), 0)
    try:
        return int(buffer.start)
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))


def forget(address: int) -> None:
    """Ends ``watch``; to be called before the map is gone, as others may get its place."""
    _watched.pop(address, None)


def _pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def _system() -> Any:
    return _kept[0]


def _answer(number: int) -> None:
    """Answers for the signal. Python's own handlers run too late: after the instruction."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
        ctypes.c_longlong,
    ]
    library.signal.restype = ctypes.c_void_p
    library.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]

    def handle(_: int) -> None:
        if not any(each.fill() for each in list(_watched.values())):
            library.signal(number, before)

    called = ctypes.CFUNCTYPE(None, ctypes.c_int)(handle)
    _kept.extend([library, called])
    before = library.signal(number, ctypes.cast(called, ctypes.c_void_p))
