"""Other tools that check ONNX models: their command lines, and where they are installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Command

_LOAD_AND_CHECK = "import sys, onnx; onnx.checker.check_model(onnx.load(sys.argv[1]))"
_VERSION = "import sys, importlib.metadata; print(importlib.metadata.version(sys.argv[1]))"


class Peer(NamedTuple):
    """A tool; its command line is the program, the options and a model, ``done`` as in Command.

    One that ``writes`` also gets the name of a model to write.
    """

    title: str
    distribution: str
    program: str
    options: tuple[str, ...]
    done: tuple[int, ...] = (0,)
    writes: bool = False


# It exits with 1 once it has found something, as it does in the light DenseNet-121.
POLYGRAPHY = Peer("polygraphy", "polygraphy", "polygraphy", ("check", "lint"), done=(0, 1))
PEERS = (
    Peer("onnx.load + checker", "onnx", "python", ("-c", _LOAD_AND_CHECK)),
    Peer("check-model", "onnx", "check-model", ()),
    # Without the option it refuses files over 500 MB.
    Peer("trtcheck", "trtcheck", "trtcheck", ("--max-model-size", "10000")),
    Peer("onnx-doctor", "onnx-doctor", "onnx-doctor", ("check",)),
    Peer("onnxsim", "onnxsim", "onnxsim", (), writes=True),
    POLYGRAPHY,
)


def find_program(peer: Peer, python: str | None) -> str | None:
    """Next to ``python``, next to the running interpreter, or on PATH."""
    beside = [os.path.dirname(os.path.abspath(path)) for path in (python, sys.executable) if path]
    folders = [*beside, os.environ.get("PATH", os.defpath)]
    return shutil.which(peer.program, path=os.pathsep.join(folders))


def command(peer: Peer, model: Path, python: str | None, timeout: float) -> Command | None:
    """How a peer checks a model; None if it is not installed."""
    program = find_program(peer, python)
    if program is None:
        return None
    made = [model.with_suffix(f".{peer.program}.onnx")] if peer.writes else []
    return Command([program, *peer.options, *map(str, [model, *made])], timeout, peer.done, made)


def versions(python: str | None) -> str:
    """The distributions that installed peers come from, each with its version."""
    programs = {peer.distribution: find_program(peer, python) for peer in PEERS}
    found = [_version(name, Path(program)) for name, program in programs.items() if program]
    return ", ".join(found) or "none installed"


def _version(distribution: str, program: Path) -> str:
    asked = subprocess.run(  # noqa: S603 - the interpreter the peer is installed for
        [str(program.with_name("python")), "-c", _VERSION, distribution],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{distribution} {asked.stdout.strip() or 'of unknown version'}"
