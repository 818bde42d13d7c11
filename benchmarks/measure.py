"""What whole processes cost: wall time, processor time and peak memory, as the kernel counts them.

Commands are run in turn, A B A B, so that whatever else the machine does falls on all of them
alike; one round before the first is not counted. What is compared is compared within a round.

On Linux a child's peak memory starts at that of the process that made it. So whoever measures
has to be small itself: this module, and whatever imports it, needs the standard library alone.
"""

import os
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage
from subprocess import DEVNULL, Popen
from tempfile import TemporaryFile
from threading import Timer
from time import perf_counter
from typing import IO

# Modules are compiled once and then read, as they are for a user; the round that is not counted
# sees to it, unless this variable forbids it.
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, how many seconds to wait for it, and the exit codes of work done.

    ``makes`` are files that it writes: those of the round before are removed first.
    """

    words: Sequence[str]
    timeout: float = 300.0
    done: Collection[int] = (0,)
    makes: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command: seconds of wall and of user + system time, peak memory in MB."""

    wall: float
    cpu: float
    peak: float
    failure: str = ""  # why it does not count


Round = Mapping[str, Run]
"""One run of every command, by name."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Rounds in the order they were run. A command that failed once is in ``failures`` only."""

    rounds: Sequence[Round]
    failures: Mapping[str, str]


def measure(command: Command, folder: Path) -> Run:
    """What one run of ``command`` in ``folder`` costs."""
    environment = {name: value for name, value in os.environ.items() if name != _NO_BYTECODE}
    for made in command.makes:
        made.unlink(missing_ok=True)
    with TemporaryFile() as said:
        start = perf_counter()
        process = Popen(  # noqa: S603 - running commands is what this is for
            command.words,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=said,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        usage = _wait(process, command.timeout)
        wall = perf_counter() - start
        failure = _failure(command, process.returncode, wall, said)
    peak = usage.ru_maxrss * _PEAK_UNIT / _MB
    return Run(wall, usage.ru_utime + usage.ru_stime, peak, failure)


def _wait(process: Popen[bytes], timeout: float) -> struct_rusage:
    """What the process used, once it has ended, of itself or because its time was up."""
    deadline = Timer(timeout, _kill, [process.pid])
    deadline.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        _kill(process.pid)
        raise
    finally:
        deadline.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def measure_rounds(commands: Mapping[str, Command], runs: int, folder: Path) -> Measured:
    """``runs`` rounds after an uncounted one. A command that fails is not run again."""
    failures: dict[str, str] = {}
    rounds: list[Round] = []
    for _ in range(1 + runs):
        results: dict[str, Run] = {}
        for name in [name for name in commands if name not in failures]:
            results[name] = measure(commands[name], folder)
            if results[name].failure:
                failures[name] = results[name].failure
        rounds.append(results)
    counted = [
        {name: run for name, run in results.items() if name not in failures}
        for results in rounds[1:]
    ]
    return Measured(counted, failures)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):  # it ended at the last moment
        os.killpg(group, signal.SIGKILL)


def _failure(command: Command, exit_code: int, wall: float, said: IO[bytes]) -> str:
    if exit_code in command.done:
        return ""
    if exit_code == -signal.SIGKILL and wall >= command.timeout:
        return f"over {command.timeout:g} s"
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return ": ".join([f"exit code {exit_code}", *lines[-1:]])
