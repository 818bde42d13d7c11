"""What ``onnxstride lint`` costs, beside what it promises and what other tools cost.

    python benchmarks/lint.py [--runs N] [--only CASE ...] [--json FILE]
                              [--peers-python PATH] [--slow]

Exit codes: 0 every promise was kept, 1 one was broken or could not be measured.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

# Where this package is, when this file is run as a script.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import peers
from benchmarks.measure import Command, Round, Run, measure_rounds
from benchmarks.report import (
    Case,
    Figure,
    Result,
    is_kept,
    render_facts,
    render_json,
    render_result,
)

ROOT = Path(__file__).resolve().parents[1]
FLOOR = "import onnx, click"
LINT = "onnxstride lint"
SMALL = "the small model"
PEERS = "peers"
PEER_RUNS = 3
PEER_TIMEOUT, SLOW_TIMEOUT = 120.0, 600.0


def lint(*words: Path | str) -> Command:
    """``onnxstride lint`` of this checkout, where commands are run; findings are no failure."""
    return Command([sys.executable, "-m", "onnxstride", "lint", "--exit-zero", *map(str, words)])


def floor() -> Command:
    """Importing the two libraries that a lint needs parts of, as other tools do."""
    return Command([sys.executable, "-c", FLOOR])


def wall(run: Run) -> float:
    return run.wall


def cpu(run: Run) -> float:
    """What a busy machine disturbs less than wall time."""
    return run.cpu


def ratio(
    title: str,
    numerator: str,
    denominator: str,
    limit: float | None = None,
    time: Callable[[Run], float] = wall,
) -> Figure:
    """The time of one command over that of another."""
    return Figure(title, lambda each: time(each[numerator]) / time(each[denominator]), "x", limit)


def peak(name: str, limit: float | None = None) -> Figure:
    return Figure(f"peak of {name}", lambda each: each[name].peak, "MB", limit)


def beyond(each: Round, name: str, time: Callable[[Run], float] = wall) -> float:
    """Seconds a command takes beyond a lint of the small model."""
    return time(each[name]) - time(each[SMALL])


def beyond_startup(name: str, limit: float | None = None) -> list[Figure]:
    title = f"{name} beyond start-up"
    return [
        Figure(title, lambda each: beyond(each, name), "s", limit),
        Figure(f"{title}, user+sys", lambda each: beyond(each, name, cpu), "s"),
    ]


def startup(folder: Path) -> Case:
    commands = {FLOOR: floor(), LINT: lint(folder / "small.onnx")}
    figures = [
        ratio("lint / import", LINT, FLOOR, 1.3),
        ratio("lint / import, user+sys", LINT, FLOOR, time=cpu),
    ]
    return Case("Start-up: a small model", commands, figures)


def weights(folder: Path) -> Case:
    models = {
        "1 GB inline": folder / "inline.onnx",
        "1 GB external": folder / "external.onnx",
        "1.9 GB inline": folder / "inline_2gb.onnx",
        "4 GB external": folder / "external_4gb.onnx",
    }
    return heavy("Weights: 27 convolutions, lint", folder, models, 1.2)


def asked(folder: Path) -> Case:
    models = {"1 GB inline": folder / "inline.onnx", "1 GB external": folder / "external.onnx"}
    return heavy("Weights that a rule asks for: 27 deconvolutions, lint", folder, models, None)


def heavy(title: str, folder: Path, models: Mapping[str, Path], limit: float | None) -> Case:
    """Models beside the same graph without weights."""
    bare = "no weights"
    commands = {bare: lint(folder / "weightless.onnx")}
    figures: list[Figure] = []
    for name, path in models.items():
        commands[name] = lint(path)
        figures += [ratio(f"{name} / {bare}", name, bare, limit), peak(name, 150)]
    return Case(title, commands, figures)


def nodes(folder: Path) -> Case:
    few, many = "10,000 nodes", "100,000 nodes"
    commands = {
        SMALL: lint(folder / "small.onnx"),
        few: lint(folder / "nodes_10000.onnx"),
        many: lint(folder / "nodes_100000.onnx"),
    }
    figures = [
        *beyond_startup(few, 0.5),
        *beyond_startup(many),
        Figure("100,000 / 10,000", lambda each: beyond(each, many) / beyond(each, few), "x", 12),
    ]
    return Case("Many nodes, half of them windows, lint", commands, figures)


def densenet(folder: Path) -> Case:
    commands = {SMALL: lint(folder / "small.onnx"), LINT: lint(folder / "densenet121.onnx")}
    return Case("Light DenseNet-121 of the onnx package", commands, beyond_startup(LINT))


def folder_of_models(folder: Path) -> Case:
    one, two = "--jobs 1", "--jobs 2"
    models = folder / "models"
    start = lint(folder / "small.onnx")
    commands = {SMALL: start, one: lint(models), two: lint(models, "--jobs", "2")}
    figures = [*beyond_startup(one), *beyond_startup(two), ratio("--jobs 2 / --jobs 1", two, one)]
    return Case("A folder of 500 small models", commands, figures)


OWN_CASES: Mapping[str, Callable[[Path], Case]] = {
    "startup": startup,
    "weights": weights,
    "asked": asked,
    "nodes": nodes,
    "densenet": densenet,
    "folder": folder_of_models,
}
CASES = (*OWN_CASES, PEERS)


@dataclass(slots=True)
class Options:
    """The command line."""

    runs: int = 7
    only: Sequence[str] = CASES
    json: Path | None = None
    peers_python: str | None = None
    slow: bool = False


def peer_cases(folder: Path, options: Options) -> Iterator[Case]:
    models = {
        "a small model": folder / "small.onnx",
        "1 GB inline": folder / "inline.onnx",
        "light DenseNet-121": folder / "densenet121.onnx",
    }
    for title, model in models.items():
        yield peer_case(title, model, options)


def peer_case(title: str, model: Path, options: Options) -> Case:
    """Every peer beside lint. Polygraphy runs a model once for every node, hence --slow."""
    commands = {LINT: lint(model)}
    missing: dict[str, str] = {}
    timeout = SLOW_TIMEOUT if options.slow else PEER_TIMEOUT
    for peer in peers.PEERS:
        command = peers.command(peer, model, options.peers_python, timeout)
        if command is None:
            missing[peer.title] = "not installed"
        elif peer is peers.POLYGRAPHY and "DenseNet" in title and not options.slow:
            missing[peer.title] = "only with --slow"
        else:
            commands[peer.title] = command
    figures = [ratio(f"{name} / lint", name, LINT) for name in commands if name != LINT]
    return Case(f"Peers: {title}", commands, figures, missing)


def measured(name: str, options: Options) -> Iterator[Result]:
    """The results of a case, or of several; its inputs are there meanwhile."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_inputs(name, folder)
        if name == PEERS:
            cases, runs = list(peer_cases(folder, options)), min(options.runs, PEER_RUNS)
        else:
            cases, runs = [OWN_CASES[name](folder)], options.runs
        for case in cases:
            yield Result(case, measure_rounds(case.commands, runs, ROOT))


def write_inputs(name: str, folder: Path) -> None:
    """In a process of its own: this one has to stay small (see measure.py)."""
    program = Path(__file__).with_name("inputs.py")
    subprocess.run([sys.executable, program, folder, name], check=True)  # noqa: S603 - our own


def facts(options: Options) -> dict[str, str]:
    """What the figures depend on besides the code."""
    found = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "rounds": str(options.runs),
        "Python": platform.python_version(),
        "packages": ", ".join(
            f"{name} {version(name)}" for name in ("onnx", "numpy", "click", "protobuf")
        ),
    }
    if PEERS in options.only:
        found["peers"] = peers.versions(options.peers_python)
    return found


def parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description="What onnxstride lint costs.")
    add = parser.add_argument
    add("--runs", type=int, metavar="N", help="rounds that count (default: 7)")
    add("--only", nargs="+", choices=CASES, metavar="CASE", help=f"of {', '.join(CASES)}")
    add("--json", type=Path, metavar="FILE", help="write every run here")
    add("--peers-python", metavar="PATH", help="the interpreter that peers are installed for")
    add("--slow", action="store_true", help="also what takes minutes")
    options = parser.parse_args(arguments, namespace=Options())
    if options.runs < 1:
        parser.error(f"--runs {options.runs}: at least one round is needed")
    if options.peers_python and not Path(options.peers_python).is_file():
        parser.error(f"--peers-python {options.peers_python}: expected an interpreter, found none")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    about = facts(options)
    results: list[Result] = []
    sys.stdout.write(render_facts(about))
    for name in options.only:
        for result in measured(name, options):
            results.append(result)
            sys.stdout.write(render_result(result))
            sys.stdout.flush()
    if options.json:
        options.json.write_text(json.dumps(render_json(about, results), indent=2) + "\n")
    return 0 if is_kept(results) else 1


if __name__ == "__main__":
    sys.exit(main())
