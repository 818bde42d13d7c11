"""The command line in forked processes, with a signal planted at any of the calls that write.

A fork is ready at once: the libraries are loaded already. What is struck is the real thing all the
same, with its own files, signal handlers and way out.
"""

import os
import signal
import sys
import warnings
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from onnxstride.__main__ import run

CALLS = (
    *("open", "write", "copy_file_range", "ftruncate", "fchmod", "fsync", "close"),
    *("replace", "unlink", "mkdir"),
)


class Ending(NamedTuple):
    """How a process ended: its exit code, minus the signal where one killed it; its last words."""

    code: int
    err: str


def forked(action: Callable[[], object], said: Path) -> Ending:
    """How a process ends that does this; what it says on standard error goes to ``said``."""
    code = os.waitstatus_to_exitcode(os.waitpid(started(action, said), 0)[1])
    return Ending(code, said.read_text())


def started(action: Callable[[], object], said: Path) -> int:
    """Number of a process that does this; to be waited for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with numpy's threads
        child = os.fork()
    if child == 0:
        _act(action, said)
    return child


def command(*arguments: str) -> Callable[[], object]:
    """The command line, as the console script runs it."""

    def act() -> None:
        sys.argv = ["onnxstride", *arguments]
        run()

    return act


def struck(number: signal.Signals, at: int, action: Callable[[], object]) -> Callable[[], object]:
    """The action, with a signal in front of the ``at``-th of the calls that write."""

    def act() -> None:
        made = count()

        def planted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*given: Any, **named: Any) -> Any:
                if next(made) == at:
                    os.kill(os.getpid(), number)
                return real(*given, **named)

            return call

        for name in CALLS:
            if hasattr(os, name):
                setattr(os, name, planted(getattr(os, name)))
        action()

    return act


def _act(action: Callable[[], object], said: Path) -> None:
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        sys.stdout = os.fdopen(nowhere, "w")
        sys.stderr = said.open("w")
        action()
        os._exit(0)
    finally:
        sys.stderr.write("the action raised")
        sys.stderr.flush()
        os._exit(99)
