"""Tries inputs for as long as it is let, and keeps those that break a law.

    python -m tests.fuzz.long_run bytes FOUND --seconds 3600 [--seed N] [--models FOLDER]...
    python -m tests.fuzz.long_run graphs FOUND --seconds 3600 [--seed N]

``bytes`` damages models, ``graphs`` draws graphs with and without faults and compares what is said
of them with what ONNX Runtime does. Inputs follow from seed and number. Each is tried in a process
that may take 1 GiB and 30 seconds of computing for it; what takes more, or kills the process, is
kept too. The same command goes on where it ended.
"""

import argparse
import faulthandler
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from onnxstride.debug import DEBUG_VARIABLE
from onnxstride.registry import load_rewrites
from onnxstride.verify import Runner
from tests.fuzz import agreement, graphs, reading, spoiling
from tests.fuzz.keeping import Keeper
from tests.fuzz.mutations import mutated
from tests.fuzz.profile import seeded
from tests.fuzz.seeds import all_models

_MEMORY = 1 << 30
_SECONDS = 30
_WALL_FACTOR = 10
"""On a busy machine a second of computing may take ten."""
_PAGE_EVERY, _REWRITE_EVERY = 25, 3
_TRIED = "tried"

Trial = tuple[str, bytes, Callable[[], list[str]]]
"""What kind of input it is, its bytes, and what finds the faults of it."""


def damaged(seed: int, start: int, models: list[Path], keeper: Keeper) -> Iterator[Trial]:
    """Models with bytes changed."""
    sound = list(all_models(models).values())
    number = start
    while True:
        random = seeded(f"{seed}/{number}")
        data = mutated(random.choice(sound), random.choices(sound, k=3), random)
        laws = reading.QUICK if number % _PAGE_EVERY else reading.LAWS
        yield "damaged models", data, partial(reading.faults, data, laws)
        number += 1


def drawn(seed: int, start: int, models: list[Path], keeper: Keeper) -> Iterator[Trial]:
    """Graphs, every other one with faults."""
    number = start
    with Runner(threads=1, timeout=_SECONDS) as runner:
        runner.start()
        while True:
            random = seeded(f"{seed}/{number}")
            case, kind = graphs.legal(random), "graphs"
            if number % 2:
                case, kind = spoiling.spoiled(case, random), "graphs with faults"
            data = case.model.SerializeToString()
            is_rewritten = number % _REWRITE_EVERY == 0
            trial = partial(_of_case, case, data, keeper, runner, is_rewritten=is_rewritten)
            yield kind, data, trial
            number += 1


def _of_case(
    case: graphs.Case, data: bytes, keeper: Keeper, runner: Runner, *, is_rewritten: bool
) -> list[str]:
    found = reading.faults(data, reading.QUICK)
    ran = agreement.ran(case, runner)
    if ran is not None and not agreement.makes_sense(ran):
        ran = None
    if ran is not None:
        keeper.counts["graphs that ONNX Runtime ran"] += 1
        found += agreement.faults(ran)
    for loaded in load_rewrites() if is_rewritten else ():
        keeper.counts["rewrites asked"] += 1
        found += agreement.rewrite_faults(case, ran, loaded, runner)
    return found


KINDS = {"bytes": damaged, "graphs": drawn}


def work(kind: str, seed: int, models: list[Path], folder: Path, seconds: float) -> None:
    """Tries one input after the other, in a process that is limited."""
    os.environ[DEBUG_VARIABLE] = "1"
    warnings.simplefilter("error")  # as in the tests: a warning is one more thing on a terminal
    keeper = Keeper(folder)
    start = keeper.next_number
    until = time.monotonic() + seconds
    with (folder / "trace.txt").open("w", encoding="utf-8") as trace:
        trials = KINDS[kind](seed, start, models, keeper)
        for number, (what, data, trial) in enumerate(trials, start):
            if number == start:
                _limit_memory()
            if time.monotonic() > until:
                return
            keeper.begin(number, data)
            trace.seek(0)
            trace.truncate()
            faulthandler.dump_traceback_later(_SECONDS * _WALL_FACTOR, exit=True, file=trace)
            began = time.process_time()
            found = trial()
            taken = time.process_time() - began
            faulthandler.cancel_dump_traceback_later()
            if taken > _SECONDS:
                found.append(f"it took {taken:.0f} seconds")
            keeper.counts[what] += 1
            for fault in keeper.end(found):
                print(f"{number}: {fault}", flush=True)  # noqa: T201


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def watch(arguments: list[str], folder: Path, seconds: float) -> None:
    """Starts a process that tries inputs, and another whenever one has died of its input."""
    until = time.monotonic() + seconds
    before = -1
    while (left := until - time.monotonic()) > 0:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.long_run", *arguments, "--work", str(left)],
            check=False,
        )
        if ended.returncode == 0:
            break
        keeper = Keeper(folder)
        if keeper.next_number == before:
            sys.exit("the process died before it tried anything, which is no fault of the input")
        before = keeper.next_number
        trace = (folder / "trace.txt").read_text(encoding="utf-8")
        for fault in keeper.end([f"the process died, exit code {ended.returncode}\n{trace}"]):
            print(fault, flush=True)  # noqa: T201
    for what, count in sorted(Keeper(folder).counts.items()):
        print(f"{count:>10,} {what}")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder", type=Path, help="where to keep what is found")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--work", type=float, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work is not None:
        work(given.kind, given.seed, given.models, given.folder, given.work)
    else:
        watch(sys.argv[1:], given.folder, given.seconds)


if __name__ == "__main__":
    main()
