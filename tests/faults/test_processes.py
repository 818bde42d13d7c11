"""Processes end with the one that started them, however that one ends."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onnxstride.verify import child
from tests.verify.building import NEVER_ENDING, model

from .forking import command, forked

ROOT = Path(__file__).parents[2]
SECONDS = 60  # more than any of this takes on a busy machine
RUNNING = f"""
import numpy as np
from onnxstride.verify import Loadable, Runner, child
from tests.verify.building import model

def announced(stream, receive=child.receive):
    print(runner.pid, flush=True)  # a request is on its way
    return receive(stream)

runner = Runner()
never = Loadable("never", model('''{NEVER_ENDING}'''))
runner.load(never, __import__("onnxstride.verify").verify.Level.ORACLE)
child.receive = announced
runner.run(never, {{"x": np.ones(1, np.float32)}})
"""

LINTING = """
import multiprocessing, os, signal, sys
from onnxstride.cli import main
from onnxstride.engine import parallel

def lint_file(*_):
    os.write(1, b"%d\\n" % os.getpid())
    while True:
        signal.pause()

parallel.lint_file = lint_file
multiprocessing.set_start_method("fork")
main(["lint", "--isolated", "--jobs", "2", *sys.argv[1:]])
"""

needs_pidfd = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="no way to wait for a process that is not a child"
)


class Watched:
    """A process that somebody else started; it may be gone before it is looked at."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def has_ended(self, within: float) -> bool:
        readable, _, _ = select.select([self._descriptor], [], [], within)
        return bool(readable)


@needs_pidfd
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_run_without_end_ends_with_its_parent(number: signal.Signals) -> None:
    """Killed without a chance to clean up, the parent leaves no process that computes for ever."""
    with subprocess.Popen(
        [sys.executable, "-c", RUNNING], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as parent:
        assert parent.stdout is not None
        running = Watched(int(parent.stdout.readline()))
        assert not running.has_ended(0)
        parent.send_signal(number)
        assert parent.wait() == -number
    assert running.has_ended(SECONDS)


@needs_pidfd
def test_processes_that_lint_end_with_their_parent(tmp_path: Path) -> None:
    """Killed without a chance to tell them, the parent leaves none of its ``--jobs``."""
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).touch()
    with subprocess.Popen(
        [sys.executable, "-c", LINTING, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as parent:
        assert parent.stdout is not None
        workers = [Watched(int(parent.stdout.readline())) for _ in range(2)]
        assert not any(worker.has_ended(0) for worker in workers)
        parent.kill()
        assert parent.wait() == -signal.SIGKILL
    assert all(worker.has_ended(SECONDS) for worker in workers)


@needs_pidfd
@pytest.mark.parametrize(
    ("number", "what"),
    [(signal.SIGTERM, "verify"), (signal.SIGINT, "rewrite"), (signal.SIGTERM, "rewrite")],
    ids=lambda item: item if isinstance(item, str) else item.name,
)
@pytest.mark.parametrize("at", [0, 3])
def test_told_to_end_while_a_model_runs(
    tmp_path: Path, number: signal.Signals, what: str, at: int
) -> None:
    """No process stays, no file, and no word is said."""
    before = tmp_path / "m.onnx"
    before.write_bytes(
        model(
            "net (float[1,1,9,9] x) => (float[1,1,A,B] y) <float[1,1,3,3] w> "
            '{ [c] y = Conv <auto_pad = "SAME_UPPER", strides = [2,2]> (x, w) }'
        )
    )
    end = {"verify": [str(before)], "rewrite": ["-o", str(tmp_path / "out.onnx")]}[what]
    pids = tmp_path / "pids"

    def strike() -> None:
        child.receive = _struck_at(at, number, child.receive, pids)
        command(what, str(before), *end)()

    ending = forked(strike, tmp_path / "said")
    assert ending.code == 128 + number
    assert ending.err.strip() == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "pids", "said"]
    [pid] = set(pids.read_text().split())
    assert not Path("/proc", pid).exists()


def _struck_at(
    at: int, number: signal.Signals, receive: Callable[..., Any], pids: Path
) -> Callable[..., Any]:
    """Replies of the child, the ``at``-th of which a signal comes in front of."""
    made: list[int] = []

    def call(stream: Any) -> Any:
        with pids.open("a") as file:
            file.writelines(f"{pid}\n" for pid in _own_children())
        if len(made) == at:
            os.kill(os.getpid(), number)
        made.append(0)
        return receive(stream)

    return call


def _own_children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
