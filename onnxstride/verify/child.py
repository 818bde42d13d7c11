"""The process that holds ONNX Runtime's sessions, and the only module that imports it.

It is started as a script, by ``runtime``, and shares nothing with its parent but two pipes. A
message is

    length of the head (8 bytes, little-endian), the head (JSON), the arrays' bytes

where ``head["arrays"]`` lists ``[name, type, shape, bytes]`` in the order of the bytes. Types are
ONNX Runtime's names. Strings travel in the head, in place of their number of bytes, and so does the
place of an array that lies in a file. A run of 100 MB through a pipe costs about 0.1 s, as much as
through shared memory whose pages are new.

Requests are ``load``, ``run``, ``time`` and ``drop``; a reply has ``error`` where one was refused.
A run may ask for the feeds of the run before it, which saves sending them again. To time one is to
run it and to answer how long that took, without its results. Whatever libraries print goes to
standard error, so that it cannot end up in a reply.

When the parent goes, the child goes too, in the middle of a run if need be: nobody waits for the
reply, and a model that never ends would run for ever.
"""

import ctypes
import json
import math
import os
import select
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from threading import Thread
from time import perf_counter
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

REFUSED, UNAVAILABLE = "refused", "unavailable"
STRING = "string"

_LENGTH = 8
_SILENT = 4  # ONNX Runtime's severity "fatal"
_TENSOR = "tensor("

_PLAIN = {
    "float": "float32",
    "double": "float64",
    **{name: name for name in ("float16", "bool", "int8", "int16", "int32", "int64")},
    **{name: name for name in ("uint8", "uint16", "uint32", "uint64")},
}
"""ONNX Runtime's names of the types that numpy has, and numpy's."""

_BARE: dict[str, tuple[int, str]] = {
    "bfloat16": (16, "uint16"),
    "float8e4m3fn": (17, "uint8"),
    "float8e4m3fnuz": (18, "uint8"),
    "float8e5m2": (19, "uint8"),
    "float8e5m2fnuz": (20, "uint8"),
}
"""Types that numpy lacks: their numbers in ONNX, and what stores one element."""


class Place(NamedTuple):
    """Where the bytes of an array that lies in a file begin."""

    path: str
    offset: int


class Packed(NamedTuple):
    """An array as it travels: its bytes are not copied, strings are a list."""

    name: str
    type: str
    shape: Sequence[int]
    data: memoryview | list[str] | Place


class Reader(Protocol):
    """A stream that fills a buffer, in whole or in part."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


class Writer(Protocol):
    """A stream that takes a buffer, in whole or in part."""

    def write(self, buffer: bytes | memoryview, /) -> int | None: ...


def send(stream: Writer, head: dict[str, Any], arrays: Iterable[Packed] = ()) -> None:
    """Writes one message.

    Raises:
        OSError: nobody reads it.
    """
    arrays = list(arrays)
    listed = [[item.name, item.type, list(item.shape), _in_head(item.data)] for item in arrays]
    text = json.dumps({**head, "arrays": listed}).encode()
    _write(stream, len(text).to_bytes(_LENGTH, "little") + text)
    for item in arrays:
        if isinstance(item.data, memoryview):
            _write(stream, item.data)


def receive(stream: Reader) -> tuple[dict[str, Any], list[Packed]]:
    """The next message.

    Raises:
        EOFError: the other side has gone.
    """
    length = int.from_bytes(_read(stream, _LENGTH), "little")
    head: dict[str, Any] = json.loads(bytes(_read(stream, length)))
    arrays = [
        Packed(name, kind, shape, _read(stream, held) if isinstance(held, int) else _stated(held))
        for name, kind, shape, held in head.pop("arrays")
    ]
    return head, arrays


def serve(requests: Reader, replies: Writer) -> None:
    """Answers requests until there are no more."""
    try:
        runtime: Any = import_module("onnxruntime")
    except ImportError as error:
        _refuse_everything(requests, replies, str(error))
        return
    runtime.set_default_logger_severity(_SILENT)
    sessions = Sessions(runtime)
    while True:
        try:
            head, arrays = receive(requests)
        except EOFError:
            return
        try:
            answer, results = sessions.answer(head, arrays)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime raises types of its own
            answer, results = {"error": REFUSED, "message": _said(error)}, []
        send(replies, answer, results)


class Sessions:
    """ONNX Runtime's sessions, by the keys that the parent gave them."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._held: dict[int, Any] = {}
        self._feeds: list[Packed] = []

    def answer(
        self, head: dict[str, Any], arrays: list[Packed]
    ) -> tuple[dict[str, Any], Iterable[Packed]]:
        """Head and arrays of the reply to a request."""
        if head["do"] == "load":
            return self._load(head, arrays), []
        if head["do"] == "drop":
            self._held.pop(head["key"], None)
            return {}, []
        if not head["again"]:
            self._feeds = arrays
        session = self._held[head["key"]]
        if head["do"] == "time":
            return {"seconds": self._time(session)}, []
        return {}, self._run(session, head["outputs"])

    def _load(self, head: dict[str, Any], arrays: list[Packed]) -> dict[str, Any]:
        options = self._runtime.SessionOptions()
        options.log_severity_level = _SILENT
        options.graph_optimization_level = getattr(
            self._runtime.GraphOptimizationLevel, head["level"]
        )
        options.intra_op_num_threads = head["threads"]
        model = bytes(cast(memoryview, arrays[0].data)) if arrays else head["path"]
        providers = head["providers"]
        lacking = [name for name in providers if name not in self._available()]
        if lacking:
            known = ", ".join(self._available())
            return {
                "error": UNAVAILABLE,
                "message": f"this ONNX Runtime has no {lacking[0]}; it has {known}",
            }
        session = self._runtime.InferenceSession(model, options, providers=providers)
        # A provider that fails to start is replaced by the CPU without an error.
        missing = [name for name in providers if name not in session.get_providers()]
        if missing:
            return {"error": UNAVAILABLE, "message": f"{missing[0]} could not be started"}
        self._held[head["key"]] = session
        return {"outputs": [[item.name, item.type] for item in session.get_outputs()]}

    def _available(self) -> list[str]:
        names: list[str] = self._runtime.get_available_providers()
        return names

    def _run(self, session: Any, names: list[str] | None) -> Iterable[Packed]:
        names = _names(session) if names is None else names
        results = self._ready(session, names)()
        return [
            packed
            for name, result in zip(names, results, strict=True)
            for packed in self._packed(name, result)
        ]

    def _time(self, session: Any) -> float:
        """Seconds of one run; nothing else is in them."""
        run = self._ready(session, _names(session))
        start = perf_counter()
        run()
        return perf_counter() - start

    def _ready(self, session: Any, names: list[str]) -> Callable[[], list[Any]]:
        """What runs the session on the feeds: on values that are not copied, where they can be."""
        types = {item.name: item.type for item in session.get_outputs()}
        tensors_only = all(types.get(name, _TENSOR).startswith(_TENSOR) for name in names)
        if tensors_only and all(feed.type != STRING for feed in self._feeds):
            values = {feed.name: self._value(feed) for feed in self._feeds}
            return partial(session.run_with_ort_values, names, values)
        return partial(session.run, names, {feed.name: _array(feed) for feed in self._feeds})

    def _packed(self, name: str, result: Any) -> Iterable[Packed]:
        if isinstance(result, self._runtime.OrtValue):
            return [_of_value(name, result)]
        return _of_any(name, result)

    def _value(self, feed: Packed) -> Any:
        maker = self._runtime.OrtValue
        if feed.type in _BARE:
            return maker.ortvalue_from_numpy_with_onnx_type(_array(feed), _BARE[feed.type][0])
        return maker.ortvalue_from_numpy(_array(feed))


def _names(session: Any) -> list[str]:
    return [item.name for item in session.get_outputs()]


def _array(feed: Packed) -> NDArray[Any]:
    if isinstance(feed.data, list):
        strings = np.empty(len(feed.data), dtype=object)
        strings[:] = feed.data
        return strings.reshape(feed.shape)
    stored = _BARE[feed.type][1] if feed.type in _BARE else _PLAIN[feed.type]
    if isinstance(feed.data, Place):
        return np.memmap(feed.data.path, stored, "r", feed.data.offset, tuple(feed.shape))
    return np.frombuffer(feed.data, stored).reshape(feed.shape)


def _of_value(name: str, value: Any) -> Packed:
    kind = value.data_type().removeprefix(_TENSOR).removesuffix(")")
    if kind == STRING or value.device_name().lower() != "cpu":
        return next(iter(_of_any(name, value.numpy())))
    size = _size(kind, value)
    if size == 0:
        return Packed(name, kind, value.shape(), memoryview(b""))
    memory: Any = (ctypes.c_ubyte * size).from_address(value.data_ptr())
    memory._keeps_alive = value
    return Packed(name, kind, value.shape(), memoryview(memory).cast("B"))


def _size(kind: str, value: Any) -> int:
    """Bytes of a tensor's elements; of types in part of a byte, ONNX Runtime 1.22 tells none."""
    stored = _BARE[kind][1] if kind in _BARE else _PLAIN.get(kind)
    if stored is None:
        return int(value._ortvalue.tensor_size_in_bytes())
    return int(math.prod(value.shape())) * np.dtype(stored).itemsize


def _of_any(name: str, result: Any) -> Iterable[Packed]:
    """A tensor, or the tensors of a sequence as ``name[0]``, ``name[1]``; nothing for a map."""
    if isinstance(result, list):
        for index, item in enumerate(result):
            yield from _of_any(f"{name}[{index}]", item)
    elif isinstance(result, np.ndarray):
        array: NDArray[Any] = result
        if array.dtype.kind in "OUS":
            yield Packed(name, STRING, array.shape, [str(item) for item in array.ravel()])
        else:
            kind = next(ours for ours, numpys in _PLAIN.items() if numpys == array.dtype.name)
            yield Packed(name, kind, array.shape, bytes_of(array))


def bytes_of(array: NDArray[Any]) -> memoryview:
    """The bytes of an array of any type, without a copy where it is contiguous."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _in_head(data: memoryview | list[str] | Place) -> int | list[str] | dict[str, Any]:
    if isinstance(data, Place):
        return data._asdict()
    return data.nbytes if isinstance(data, memoryview) else data


def _stated(held: list[str] | dict[str, Any]) -> list[str] | Place:
    return held if isinstance(held, list) else Place(**held)


def _write(stream: Writer, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest.nbytes:
        rest = rest[stream.write(rest) or 0 :]


def _read(stream: Reader, size: int) -> memoryview:
    whole = bytes_of(np.empty(size, np.uint8))
    rest = whole
    while rest.nbytes:
        count = stream.readinto(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return whole


def _refuse_everything(requests: Reader, replies: Writer, why: str) -> None:
    while True:
        try:
            receive(requests)
        except EOFError:
            return
        send(replies, {"error": UNAVAILABLE, "message": f"ONNX Runtime cannot be imported: {why}"})


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if isinstance(error, MemoryError) else str(error)


def _follow(requests: int) -> None:
    """Ends the process when the other end of the pipe is closed. ONNX Runtime lets threads run."""
    gone = select.poll()
    gone.register(requests, 0)  # no data is waited for: a hang-up is told unasked
    gone.poll()
    os._exit(1)


def main() -> None:
    """Serves on the pipes that are standard input and output, and keeps everybody else off them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    if hasattr(select, "poll"):
        Thread(target=_follow, args=(requests.fileno(),), daemon=True).start()
    try:
        serve(requests, replies)
    except OSError:  # the parent has gone
        sys.exit(1)


if __name__ == "__main__":
    main()
