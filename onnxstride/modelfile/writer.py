"""Writing a model: all that was not edited as it was, weights streamed from where they lie.

``pieces`` says what the file is made of. Ranges of the source are copied from file to file, inside
the system where it can; nothing is held in memory but the proto, and one tensor of noise at a
time. ``staging`` makes the file appear complete or not at all.

External data stays where it is (``reference``): its locations are relative to the model's
folder, so the new file has to be in the same one. Or the files are copied (``copy``) to the same
locations beside the new file, whole, with their holes. A copy overwrites nothing: a file that is
there already serves if its bytes are the same, and is refused otherwise.
"""

import errno
import os
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Literal

from onnx import numpy_helper

from ..errors import WriteError
from .external import is_within
from .pieces import Noise, Plan, Span, plan_of
from .reader import ModelFile
from .source import FileMap, Source, has_changed, view
from .staging import Check, Permissions, Sink, Staging, final_place

CHUNK = 1 << 18
"""Bytes in memory at a time."""

LONGEST_MODEL = (1 << 31) - 1
"""Bytes of the longest file that protobuf, and with it every runtime, reads."""

_WRITABLE = "the folder has to be writable, as files are written there and then renamed"
if os.name == "nt":  # where a file that is open cannot be replaced, and so no model by itself
    _WRITABLE += ", and the file that is replaced must not be open; name another"
_ADVICE = {
    errno.ENOSPC: "make room, or choose another disk",
    errno.EDQUOT: "make room, or choose another disk",
    errno.EFBIG: "the file system or a limit of this process keeps files smaller",
    errno.EACCES: _WRITABLE,
    errno.EPERM: _WRITABLE,
    errno.EROFS: "choose another disk",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "part of the path is a file; name a folder",
}
_AT_ONCE = 1 << 25  # bytes that the system copies before it is asked to go on, or to stop
_WORTH_SENDING = 1 << 20
_CANNOT_COPY_RANGES = frozenset({errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


def write_model(
    model: ModelFile,
    path: str | os.PathLike[str],
    *,
    external: Literal["reference", "copy"] = "reference",
    check: Check | None = None,
) -> None:
    """Writes a model, edited or not, to ``path``; the file it was read from may be that path.

    ``check`` is called with the path of the complete model before it gets its name, its external
    data in place already; if it raises, nothing is written.

    Raises:
        WriteError: nothing was written.
        ModelError: a tensor cannot be read, so nothing was written.
    """
    try:
        _write(model, Path(path), external, check)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "choose another place")
        said = error.strerror or str(error)
        raise WriteError(f"{path} cannot be written: {said}; {advice}") from error


def _write(
    model: ModelFile, path: Path, external: Literal["reference", "copy"], check: Check | None
) -> None:
    final, permissions = final_place(path)
    _refuse_changed(model)
    plan = plan_of(model)
    _refuse_too_long(model, plan)
    _refuse_overwritten_data(model, plan, final)
    if external == "reference":
        _refuse_lost_references(model, plan, final)
    with Staging() as staging:
        if external == "copy":
            _copy_data(model, plan, os.path.dirname(final), staging)
        with staging.file(final, permissions) as sink:
            _stream(model, plan, sink)
        _refuse_changed(model)
        staging.publish(check)


def _refuse_changed(model: ModelFile) -> None:
    if has_changed(model.source):
        raise WriteError(f"{model.name} has changed since it was opened; open it again")


def _refuse_too_long(model: ModelFile, plan: Plan) -> None:
    """Raises for a model that becomes unreadable; one that was so before may stay it."""
    if plan.size > LONGEST_MODEL >= len(model.source):
        raise WriteError(
            f"the model would have {plan.size:,} bytes; protobuf, and so every runtime, reads "
            "less than 2 GiB; keep its weights as external data"
        )


def _refuse_overwritten_data(model: ModelFile, plan: Plan, final: str) -> None:
    """Raises where the model would take the place of its own weights, or of their copy."""
    folders = [os.path.dirname(final)]
    if model.path is not None:
        folders.append(os.path.realpath(model.path.parent))
    for location in plan.locations:
        if any(_leads_to(folder, location, final) for folder in folders):
            raise WriteError(
                f"{final} holds weights of the model (external data {location!r}); choose "
                "another name"
            )


def _leads_to(folder: str, location: str, final: str) -> bool:
    return "\0" not in location and os.path.realpath(os.path.join(folder, location)) == final


def _refuse_lost_references(model: ModelFile, plan: Plan, final: str) -> None:
    if not plan.locations:
        return
    folder = None if model.path is None else os.path.realpath(model.path.parent)
    if folder == os.path.dirname(final):
        return
    where = "was read from a stream" if folder is None else f"is in {folder}"
    raise WriteError(
        f"the model refers to external data ({plan.locations[0]!r}) by its place in the model's "
        f"folder, and {final} would be in another: the model {where}; write it beside that data, "
        "or have the data copied"
    )


def _stream(model: ModelFile, plan: Plan, sink: Sink) -> None:
    for piece in plan.pieces:
        if isinstance(piece, Span):
            _stream_span(model.source, piece, sink)
        elif isinstance(piece, Noise):
            sink.put(numpy_helper.from_array(model.tensor(piece.tensor)).raw_data)
        else:
            sink.put(piece)


def _stream_span(source: Source, span: Span, sink: Sink) -> None:
    """Bytes of the source; those of a file not through its map, which may lose them any time."""
    if isinstance(source, FileMap):
        sink.flush()
        _copy_range(source.descriptor, sink, span.start, span.stop)
        return
    for start in range(span.start, span.stop, CHUNK):
        sink.put(view(source, start, min(start + CHUNK, span.stop)))


def _copy_data(model: ModelFile, plan: Plan, folder: str, staging: Staging) -> None:
    """Copies the files of external data into ``folder``, but those that are there already."""
    done: set[str] = set()
    for location in plan.locations:
        with model.data_file(location) as file:
            destination = _destination(location, folder)
            # Two spellings of one place are one file.
            if destination in done or _is_there(file, destination):
                continue
            done.add(destination)
            _copy_file(file, location, destination, staging)


def _destination(location: str, folder: str) -> str:
    """The place of a copy. Its reader judges the location itself, here it is links in ``folder``.

    Raises:
        WriteError: a link leads out of the folder.
    """
    destination = os.path.normpath(os.path.join(folder, location))
    within = os.path.realpath(os.path.dirname(destination))
    if not is_within(within, folder):
        raise WriteError(
            f"external data {location!r} would be written to {within}, outside of {folder}; "
            "choose another folder"
        )
    return destination


def _copy_file(file: FileIO, location: str, destination: str, staging: Staging) -> None:
    source, before = file.fileno(), os.fstat(file.fileno())
    permissions = Permissions(before.st_mode & 0o666)
    with staging.file(destination, permissions, serves=_serves) as sink:
        for start, stop in _extents(source, before.st_size):
            os.lseek(sink.descriptor, start, os.SEEK_SET)
            _copy_range(source, sink, start, stop)
        os.ftruncate(sink.descriptor, before.st_size)
    after = os.fstat(source)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise WriteError(f"external data {location!r} changed while it was copied; try again")


def _serves(copied: str, destination: str) -> bool:
    """As ``_is_there``, of a complete copy: somebody else may have put a file there meanwhile."""
    with open(copied, "rb", buffering=0) as file:
        return _is_there(file, destination)


def _is_there(file: FileIO, destination: str) -> bool:
    """True where ``destination`` is this file or one with the same bytes, False where nothing is.

    Raises:
        WriteError: something else is there.
    """
    if not os.path.lexists(destination):
        return False
    if os.path.exists(destination) and os.path.samestat(
        os.stat(destination), os.fstat(file.fileno())
    ):
        return True
    status = os.lstat(destination)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise WriteError(
            f"{destination} is in the way of the external data: a link, or no regular file; "
            "choose another folder"
        )
    with open(destination, "rb", buffering=0) as other:
        if not _have_same_bytes(file, other):
            raise WriteError(
                f"{destination} is in the way of the external data: a different file of that "
                "name, which is not overwritten; choose another folder"
            )
    return True


def _have_same_bytes(file: FileIO, other: FileIO) -> bool:
    if os.fstat(file.fileno()).st_size != os.fstat(other.fileno()).st_size:
        return False
    file.seek(0)
    while data := file.read(CHUNK):
        if data != other.read(len(data)):
            return False
    return True


def _extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a file that are no holes, as far as the system can tell."""
    position = 0
    while position < size:
        start, stop = position, size
        try:
            if hasattr(os, "SEEK_DATA"):
                start = os.lseek(descriptor, position, os.SEEK_DATA)
                stop = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            start, stop = position, size
        yield start, min(stop, size)
        position = stop


def _copy_range(source: int, sink: Sink, start: int, stop: int) -> None:
    """Copies bytes of one file to where another is being written."""
    target = sink.descriptor
    while start < stop:
        count = _copied_inside(source, target, start, min(stop - start, _AT_ONCE))
        if count == 0:  # at the end of the file, or on a file system that copies nothing
            os.lseek(source, start, os.SEEK_SET)
            count = os.write(target, os.read(source, min(CHUNK, stop - start)))
        if count == 0:
            raise WriteError("a file was cut short while it was copied; open the model again")
        start += count
        if sink.is_lasting:
            _send_to_disk(target, count)


def _send_to_disk(target: int, count: int) -> None:
    """Have the last ``count`` bytes written while more are copied, not all in fsync at the end.

    The advice that they are not needed any more makes Linux start writing them. It halves the
    time of a gigabyte; fsync is what makes sure of them all the same.
    """
    if count >= _WORTH_SENDING and hasattr(os, "posix_fadvise"):
        end = os.lseek(target, 0, os.SEEK_CUR)
        os.posix_fadvise(target, end - count, count, os.POSIX_FADV_DONTNEED)


def _copied_inside(source: int, target: int, start: int, size: int) -> int:
    """Bytes that the system itself has copied; 0 where it has no way to."""
    if not hasattr(os, "copy_file_range"):
        return 0
    try:
        return os.copy_file_range(source, target, size, start)
    except OSError as error:
        if error.errno in _CANNOT_COPY_RANGES:
            return 0
        raise
