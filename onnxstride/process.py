"""The process of a run: the streams it starts with, and how it ends when it is told to.

Told to end by SIGTERM or SIGHUP, it does what it does for Ctrl-C: temporary files are removed and
child processes stopped on the way out, and the exit code is 128 plus the signal's number. SIGKILL
leaves no time for that; see ``modelfile.staging`` for what may then be left, ``end_with_parent``
for how the processes of ``--jobs`` notice, and ``verify.child`` for how ONNX Runtime's does.
"""

import atexit
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from types import FrameType
from typing import Literal, NoReturn, TextIO

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_SIGNALLED = 128


class Ended(BaseException):
    """The process was told to end. No error: it passes whoever catches those."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = _SIGNALLED + number


def quiet_until_ready(prepare: Callable[[], Callable[[], int]]) -> int:
    """Runs what ``prepare`` returns; its exit code, or that of the signal that ended it.

    While it prepares, which is importing, Ctrl-C ends the process without a traceback.
    """
    is_interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    main = prepare()
    try:
        _answer_signals()
        if is_interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return main()
    except Ended as ended:
        return ended.exit_code


def end_with_parent() -> None:
    """Has this process, a worker, end when the one that started it is gone, however that ended.

    A worker waits for its next task on a pipe that its siblings hold open too, for ever.
    """
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    from multiprocessing.connection import wait

    wait([sentinel])
    os._exit(1)


def claim_streams() -> None:
    """Opens standard streams that whoever started the process had closed.

    Otherwise the next file to be opened would be taken for them. Nothing comes from standard
    input then, standard error leads nowhere, and writing to standard output fails.
    """
    if sys.stdin is None:
        sys.stdin = _opened(os.O_RDONLY, "r")
    if sys.stdout is None:
        sys.stdout = _opened(os.O_RDONLY, "w")  # so that a report is not lost without a word
    if sys.stderr is None:
        sys.stderr = _opened(os.O_WRONLY, "w")


def leave(code: int) -> NoReturn:
    """Ends the process at once, when everything is written and closed.

    Taking down the interpreter would free each object of onnx one by one, which takes longer than
    linting a small model. What was promised to be done at the end is done, such as the removal of
    temporary files.
    """
    for number in (signal.SIGINT, *_ENDING):
        signal.signal(number, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # what could not be written has been reported
            stream.flush()
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  # os._exit runs none
    os._exit(code)


def _opened(flags: int, mode: Literal["r", "w"]) -> TextIO:
    return os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8", newline="\n")


def _answer_signals() -> None:
    """Raises ``Ended`` for the signals that end a process, unless they are ignored already."""
    answered = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, _: FrameType | None) -> NoReturn:
        for each in answered:  # the next one must not come between a clean-up and its end
            signal.signal(each, signal.SIG_IGN)
        raise Ended(number)

    def restore() -> None:
        for number in answered:
            signal.signal(number, signal.SIG_DFL)

    for number in answered:
        signal.signal(number, end)
    if hasattr(os, "register_at_fork"):  # a worker has nothing to clean up
        os.register_at_fork(after_in_child=restore)
