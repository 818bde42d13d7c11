"""A terminal that somebody follows a page in: commands, and what comes back.

Commands of onnxstride alone run in this process, which saves starting one for each; whatever asks
for a shell gets bash. Installing is left to the environment at hand.
"""

import contextlib
import io
import os
import shlex
import subprocess
import sys
from pathlib import Path
from string import Template
from typing import NamedTuple

from onnxstride.cli import main

from .blocks import ROOT

_SHELL = "|&;<>$`*?("
_STUBS = {
    "onnxstride": f'exec "{sys.executable}" -m onnxstride "$@"',
    "python": f'exec "{sys.executable}" "$@"',
    "pytest": f'exec "{sys.executable}" -m pytest -p no:cacheprovider "$@"',
    "pip": '[ "$1" = install ] && [ $# -gt 1 ]',
}


class Ran(NamedTuple):
    """The exit code of a command, and what it printed, errors last."""

    code: int
    printed: str


class Session:
    """Runs commands in ``folder``, one after another, and keeps the last exit code."""

    def __init__(self, folder: Path, tools: Path) -> None:
        """``tools`` is an empty folder, for the programs that the pages call by name."""
        self.folder = folder
        self.code = 0
        for name, script in _STUBS.items():
            (tools / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            (tools / name).chmod(0o755)
        self._environment = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "100",
        }

    def run(self, command: str, **variables: str) -> Ran:
        """What a command does; ``echo $?`` tells the exit code of the one before.

        The variables stand in quotes where the command names them.
        """
        if command == "echo $?":
            return Ran(0, f"{self.code}\n")
        command = Template(command).safe_substitute(variables)
        words = [] if set(command) & set(_SHELL) else shlex.split(command)
        ran = _called(words[1:]) if words[:1] == ["onnxstride"] else self._bash(command)
        self.code = ran.code
        return ran

    def _bash(self, command: str) -> Ran:
        ran = subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout + ran.stderr)


def _called(arguments: list[str]) -> Ran:
    out, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = main(arguments)
    printed = [stream.buffer.getvalue().decode() for stream in (out, errors)]
    return Ran(code, "".join(printed))
