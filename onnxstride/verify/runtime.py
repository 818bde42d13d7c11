"""Runs models in a child process, so that whatever one does, the caller lives on.

ONNX Runtime can crash or hang on a model. The child (see ``child``) then dies, or is killed after
``timeout`` seconds, and what happened is an error like any other:

- ``Refused``: ONNX Runtime will not load the model, or not run it on these feeds;
- ``Crashed``: the child died of it;
- ``TimedOut``: it took longer than allowed.

Each names the model, the optimisation level and the cause. The next request starts a new child,
which loads again what it is asked to run. There is one child and it answers one request at a time.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from io import RawIOBase
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import IO, Any, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import Crashed, OnnxstrideError, Refused, RuntimeUnavailable, TimedOut
from . import child
from .mapped import place_of

Array = NDArray[Any]
Feeds = Mapping[str, Array]

CPU = "CPUExecutionProvider"
DEFAULT_TIMEOUT = 600.0

_SCRIPT = Path(child.__file__)
_LONGEST_MESSAGE = 400

_TYPES = {
    "float32": "float",
    "float64": "double",
    "float8_e4m3fn": "float8e4m3fn",
    "float8_e4m3fnuz": "float8e4m3fnuz",
    "float8_e5m2": "float8e5m2",
    "float8_e5m2fnuz": "float8e5m2fnuz",
}
"""ONNX Runtime's names of numpy's types, where they differ."""
_DTYPES = {theirs: numpys for numpys, theirs in _TYPES.items()}


class Level(StrEnum):
    """How much ONNX Runtime may change a model before it runs it."""

    ORACLE = "ORT_DISABLE_ALL"  # nothing: the operators answer for themselves
    DEPLOYED = "ORT_ENABLE_ALL"  # its default: what is run outside of tests

    @property
    def words(self) -> str:
        """How messages call it."""
        return "without optimisation" if self is Level.ORACLE else "at the default optimisation"


@dataclass(frozen=True, slots=True, eq=False)
class Loadable:
    """A model ONNX Runtime can open: a file of its own format, or its bytes.

    ``name`` is how messages call it. Two are the same only if they are the same object.
    """

    name: str
    content: Path | bytes


class Output(NamedTuple):
    """An output as ONNX Runtime declares it; ``type`` such as ``tensor(float)``."""

    name: str
    type: str


class Runner:
    """Sessions in a child process.

    Args:
        providers: execution providers, most wanted first. One that is not available is an error:
            ONNX Runtime would use the CPU instead.
        timeout: seconds that loading a model or running it once may take; None for ever.
        threads: on how many ONNX Runtime computes; 0 leaves it to ONNX Runtime.
        script: what the child runs.
    """

    def __init__(
        self,
        *,
        providers: Sequence[str] = (CPU,),
        timeout: float | None = DEFAULT_TIMEOUT,
        threads: int = 0,
        script: Path = _SCRIPT,
    ) -> None:
        self._providers = list(providers) or [CPU]
        self._timeout = timeout
        self._threads = threads
        self._script = script
        self._process: subprocess.Popen[bytes] | None = None
        self._noise: IO[bytes] | None = None
        self._keys: dict[tuple[Loadable, Level], int] = {}
        self._loaded: dict[int, tuple[Output, ...]] = {}
        self._next_key = 0
        self._sent: Feeds | None = None  # the feeds that the child holds

    @property
    def pid(self) -> int | None:
        """Number of the child process; None while there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Starts the child, so that it gets ready while the caller does something else."""
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._process is None:
            self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
            self._process = subprocess.Popen(  # noqa: S603 - our own script
                [sys.executable, "-P", str(self._script)],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._noise,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )

    def load(self, model: Loadable, level: Level) -> tuple[Output, ...]:
        """The model's outputs, once it is ready to run; at once when it was loaded before.

        Raises:
            RunError: it cannot be loaded.
            RuntimeUnavailable: there is nothing to load it with.
        """
        self.start()
        key = self._key(model, level)
        if key not in self._loaded:
            content = model.content
            head: dict[str, Any] = {"do": "load", "key": key, "level": level.value}
            head |= {"providers": self._providers, "threads": self._threads}
            given: list[child.Packed] = []
            if isinstance(content, bytes):
                given.append(child.Packed("", "", (), memoryview(content)))
            else:
                head["path"] = str(content)
            answer, _ = self._ask(head, given, model, level)
            self._loaded[key] = tuple(Output(name, kind) for name, kind in answer["outputs"])
        return self._loaded[key]

    def run(
        self,
        model: Loadable,
        feeds: Feeds,
        level: Level = Level.ORACLE,
        outputs: Sequence[str] | None = None,
    ) -> dict[str, Array]:
        """The model's outputs by name: all of them, or those asked for.

        The tensors of a sequence are named ``name[0]``, ``name[1]``; maps are left out. Feeds
        that are the same object as those of the last run are not sent again.

        Raises:
            RunError: it cannot be loaded, or not run on these feeds.
            RuntimeUnavailable: there is nothing to run it with.
        """
        names = None if outputs is None else list(outputs)
        head = {"do": "run", "outputs": names}
        _, results = self._ask_with(feeds, head, model, level)
        return {item.name: _unpacked(item) for item in results}

    def time(self, model: Loadable, feeds: Feeds, level: Level = Level.DEPLOYED) -> float:
        """Seconds that one run takes in the child, without the way there and back.

        Raises:
            RunError: it cannot be loaded, or not run on these feeds.
            RuntimeUnavailable: there is nothing to run it with.
        """
        answer, _ = self._ask_with(feeds, {"do": "time"}, model, level)
        return float(answer["seconds"])

    def drop(self, model: Loadable) -> None:
        """Lets go of the model's sessions."""
        for level in Level:
            key = self._keys.pop((model, level), None)
            if key is not None and self._loaded.pop(key, None) is not None:
                self._ask({"do": "drop", "key": key}, [], model, level)

    def close(self) -> None:
        """Ends the child. Nothing is lost: another request would start another."""
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask_with(
        self, feeds: Feeds, head: dict[str, Any], model: Loadable, level: Level
    ) -> tuple[dict[str, Any], list[child.Packed]]:
        """The answer about a model that is loaded, and feeds that are sent, if they are not yet."""
        self.load(model, level)
        again = feeds is self._sent
        given = [] if again else [_packed(name, array) for name, array in feeds.items()]
        self._sent = feeds
        head |= {"key": self._key(model, level), "again": again}
        return self._ask(head, given, model, level)

    def _key(self, model: Loadable, level: Level) -> int:
        if (model, level) not in self._keys:
            self._keys[model, level] = self._next_key
            self._next_key += 1
        return self._keys[model, level]

    def _ask(
        self, head: dict[str, Any], arrays: Iterable[child.Packed], model: Loadable, level: Level
    ) -> tuple[dict[str, Any], list[child.Packed]]:
        assert self._process is not None
        process, late = self._process, list[bool]()
        doing = "loading it" if head["do"] == "load" else "running it"

        def kill() -> None:
            late.append(True)
            process.kill()

        watch = None if self._timeout is None else Timer(self._timeout, kill)
        try:
            if watch is not None:
                watch.start()
            child.send(cast(RawIOBase, process.stdin), head, arrays)
            answer, results = child.receive(cast(RawIOBase, process.stdout))
        except (EOFError, OSError) as error:
            how = self._how_it_ended()
            if late:
                raise TimedOut(
                    f"{model.name} {level.words}: ONNX Runtime did not finish {doing} within "
                    f"{self._timeout:g} s; allow more with --timeout, or use smaller sizes"
                ) from error
            raise Crashed(
                f"{model.name} {level.words}: ONNX Runtime crashed while {doing} ({how})"
            ) from error
        except BaseException:  # the reply is lost, and with it the child's place in the protocol
            self._stop()
            raise
        finally:
            if watch is not None:
                watch.cancel()
        if "error" in answer:
            raise _error(answer, model, level, doing)
        return answer, results

    def _how_it_ended(self) -> str:
        """In words, what ended the child, and what it said last."""
        assert self._process is not None
        assert self._noise is not None
        code = self._process.wait()
        self._noise.seek(0)
        said = self._noise.read().decode(errors="replace").strip().splitlines()
        self._stop()
        how = _signal(-code) if code < 0 else f"exit code {code}"
        return f"{how}: {_short(said[-1])}" if said else how

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process.wait()
        if self._noise is not None:
            self._noise.close()
        self._process = self._noise = self._sent = None
        self._loaded.clear()


def _error(answer: Mapping[str, str], model: Loadable, level: Level, doing: str) -> OnnxstrideError:
    message = _short(answer["message"])
    if answer["error"] == child.UNAVAILABLE:
        return RuntimeUnavailable(message)
    return Refused(f"{model.name} {level.words}: ONNX Runtime refuses {doing}: {message}")


def _short(message: str) -> str:
    """The message on one line, without the places in ONNX Runtime's sources that lead it."""
    line = " ".join(message.split())
    if line.startswith("[ONNXRuntimeError]"):
        line = line.split(" : ", 3)[-1]
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + ".."


_LIKELY = {
    "SIGKILL": ", out of memory perhaps",
    "SIGBUS": ", as when a file of data is cut short while it is read",
}


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"killed by {name}{_LIKELY.get(name, '')}"


def _packed(name: str, array: Array) -> child.Packed:
    if array.dtype.kind in "OUS":
        return child.Packed(name, child.STRING, array.shape, [_text(item) for item in array.flat])
    kind = _TYPES.get(array.dtype.name, array.dtype.name)
    data = place_of(array) or child.bytes_of(array)
    return child.Packed(name, kind, array.shape, data)


def _text(item: object) -> str:
    return item.decode() if isinstance(item, bytes) else str(item)


def _unpacked(item: child.Packed) -> Array:
    if isinstance(item.data, list):
        strings = np.empty(len(item.data), dtype=object)
        strings[:] = item.data
        return strings.reshape(item.shape)
    assert isinstance(item.data, memoryview)  # the child answers with values, not with files
    return np.frombuffer(item.data, dtype_of(item.type)).reshape(item.shape)


def dtype_of(kind: str) -> np.dtype[Any]:
    """The numpy type that ONNX Runtime calls ``kind``."""
    name = _DTYPES.get(kind, kind)
    if name == "bfloat16" or name.startswith("float8"):
        dtype: np.dtype[Any] = np.dtype(getattr(import_module("ml_dtypes"), name))
        return dtype
    return np.dtype(name)
