"""Arrays that lie in a file: as large as a disk has room for, not as memory has.

A mapped array looks like any other; the system reads what is looked at, and lets go of it when
memory is short. One that is large travels between processes as the name of its file.
"""

import errno
import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .child import Place

LARGE = 1 << 28
"""Bytes from which an array lies in a file rather than in memory."""

_BLOCK = 1 << 22  # elements looked at together

_CANNOT_RESERVE = {errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS}
"""What a file system answers that does not know how."""


def room_for(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of zeros: in memory, or, where it is large, in a temporary file that goes with it.

    Raises:
        OSError: the disk has no room for it.
    """
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE:
        return np.zeros(shape, dtype)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if size > free // 2:
        raise OSError(f"{size:,} bytes are more than half of what is free in {folder} ({free:,})")
    descriptor, path = tempfile.mkstemp(prefix="onnxstride-")
    try:
        _reserve(descriptor, size)
        array = np.memmap(path, dtype, "r+", shape=shape)
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(descriptor)
    weakref.finalize(array, os.unlink, path)
    return array


def _reserve(descriptor: int, size: int) -> None:
    """Takes the room on the disk at once: were it full later, writing would end the process."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise
        else:
            return
    os.truncate(descriptor, size)


def place_of(array: NDArray[Any]) -> Place | None:
    """Where a large array lies, if in a file and in one piece; None otherwise."""
    if array.nbytes < LARGE or not array.flags.c_contiguous:
        return None
    owner: Any = array
    while owner is not None and not (isinstance(owner, np.memmap) and _is_whole(owner)):
        owner = owner.base if isinstance(owner, np.ndarray) else None
    if owner is None or owner.filename is None:
        return None
    begin = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return Place(str(owner.filename), owner.offset + begin)


def blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The elements of an array that lies in one piece, some at a time and in order."""
    flat = array.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        yield flat[start : start + _BLOCK]


def converted(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The values in another type; of a large array in a file of their own."""
    if array.nbytes < LARGE:
        return array.astype(dtype)
    result = room_for(array.shape, dtype)
    for before, after in zip(blocks(array), blocks(result), strict=True):
        after[...] = before
    return result


def _is_whole(array: np.memmap[Any, Any]) -> bool:
    """True for the mapping itself, whose base is the system's, and not for a part of one."""
    return not isinstance(array.base, np.ndarray)
