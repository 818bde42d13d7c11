"""What ``onnxstride rewrite`` and ``verify`` cost, and how long a rewritten model runs.

    python benchmarks/rewrite.py [--runs N] [--only CASE ...] [--json FILE]

Exit codes: 0 every promise was kept, 1 one was broken or could not be measured.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# Where this package is, when this file is run as a script.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import lint
from benchmarks.lint import ROOT, cpu, peak, ratio, wall, write_inputs
from benchmarks.measure import Command, Round, Run, measure_rounds
from benchmarks.report import (
    Case,
    Figure,
    Result,
    is_kept,
    render_facts,
    render_json,
    render_result,
    render_table,
)

BARE = Path(__file__).with_name("bare.py")
NO_WEIGHTS = "rewrite, no weights"
COPY = "cp"
VERIFIED = ("resnet50", "squeezenet")
LATENCY = "latency"
REWRITES = (
    "maxpool-to-exact-conv",
    "maxpool-to-exact-conv --form slice-max",
    "maxpool-to-blurpool",
    "avgpool-to-conv",
    "explicit-padding",
    "guard-zero-pad",
    "drop-unused-indices",
    "deconv-to-subpixel",
    "deconv-pad-kernel",
    "subpixel-to-deconv",
    "deconv-to-resize-conv",
    "smooth-output",
    "conv-to-space-to-depth",
    "conv-to-blurred",
    "resize-to-antialiased",
    "resize-to-skip-size",
    "upsample-to-resize",
)
"""Every rewrite that is exact or approximate; those for training make other models."""
PATIENCE = 600.0


def rewrite(model: Path, output: Path, *options: str) -> Command:
    """``onnxstride rewrite`` of this checkout, where commands are run, without the proof."""
    words = ["rewrite", str(model), "-o", str(output), "--no-verify", *options]
    return Command([sys.executable, "-m", "onnxstride", *words], makes=[output])


def copy(source: Path, target: Path) -> Command:
    return Command(["cp", str(source), str(target)], makes=[target])


def beyond(each: Round, name: str, start: str, time: Callable[[Run], float] = wall) -> float:
    """Seconds that one command takes beyond another."""
    return time(each[name]) - time(each[start])


def share(
    title: str,
    name: str,
    other: str,
    limit: float | None = None,
    time: Callable[[Run], float] = wall,
) -> Figure:
    """The time of a rewrite beyond start-up over that of a copy."""
    return Figure(
        title, lambda each: beyond(each, name, NO_WEIGHTS, time) / time(each[other]), "x", limit
    )


def against_copy(name: str, limit: float | None = None) -> list[Figure]:
    return [
        share(f"{name} beyond start-up / {COPY}", name, COPY, limit),
        share(f"{name} beyond start-up / {COPY}, user+sys", name, COPY, time=cpu),
        peak(name, 300),
    ]


def inline(folder: Path) -> Case:
    model, out = folder / "inline.onnx", folder / "out"
    commands = {
        NO_WEIGHTS: rewrite(folder / "weightless.onnx", out / "weightless.onnx"),
        "rewrite": rewrite(model, out / "rewritten.onnx"),
        COPY: copy(model, out / "copied.onnx"),
    }
    return Case("1 GB inline, one MaxPool, rewrite", commands, against_copy("rewrite", 1.5))


def external(folder: Path) -> Case:
    model, data, out = folder / "external.onnx", folder / "external.data", folder / "out"
    reference, copied = "by reference", "copied"
    beside = rewrite(model, out / "copied.onnx", "--external-data", "copy")
    beside = replace(beside, makes=[*beside.makes, out / data.name])  # it would be left alone
    commands = {
        NO_WEIGHTS: rewrite(folder / "weightless.onnx", out / "weightless.onnx"),
        reference: rewrite(model, folder / "referring.onnx"),
        copied: beside,
        COPY: copy(data, out / "copied.data"),
    }
    figures = [
        ratio(f"{reference} / {NO_WEIGHTS}", reference, NO_WEIGHTS, 1.2),
        ratio(f"{reference} / {NO_WEIGHTS}, user+sys", reference, NO_WEIGHTS, time=cpu),
        peak(reference, 300),
        *against_copy(copied),
    ]
    return Case("1 GB external, one MaxPool, rewrite", commands, figures)


def verify(folder: Path) -> Case:
    commands: dict[str, Command] = {}
    figures: list[Figure] = []
    for name in ("small", *VERIFIED):
        checked, bare = f"verify {name}", f"load and run {name}"
        pair = [str(folder / f"{name}.onnx"), str(folder / f"{name}_rewritten.onnx")]
        feeds = str(folder / f"{name}.npz")
        words = ["-m", "onnxstride", "verify", *pair, "--data", feeds]
        commands[checked] = Command([sys.executable, *words])
        commands[bare] = Command([sys.executable, str(BARE), feeds, *pair])
        if name in VERIFIED:
            figures += [
                ratio(f"{checked} / {bare}", checked, bare, 1.1),
                ratio(f"{checked} / {bare}, user+sys", checked, bare, time=cpu),
                beyond_small(f"{checked} / {bare}, beyond start-up", checked, bare),
            ]
    return Case("Two models on three feeds at two levels, verify", commands, figures)


def beyond_small(title: str, checked: str, bare: str) -> Figure:
    """The ratio of what is left when the same is done to a model that takes no time."""
    return Figure(
        title,
        lambda each: (
            beyond(each, checked, "verify small") / beyond(each, bare, "load and run small")
        ),
        "x",
    )


CASES_BY_NAME: Mapping[str, tuple[str, Callable[[Path], Case]]] = {
    "inline": ("rewrite", inline),
    "external": ("rewrite", external),
    "verify": ("verify", verify),
}
"""Every case, with the name of its inputs."""
CASES = (*CASES_BY_NAME, LATENCY)


def measured(name: str, runs: int) -> Result:
    """The result of a case; its inputs are there meanwhile."""
    writer, case_of = CASES_BY_NAME[name]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_inputs(writer, folder)
        case = case_of(folder)
        return Result(case, measure_rounds(case.commands, runs, ROOT))


@dataclass(frozen=True, slots=True)
class Timed:
    """What ``rewrite --bench`` says of one rewrite of one model."""

    model: str
    rewrite: str
    sites: int
    latency: Mapping[str, Any]

    @property
    def cells(self) -> list[str]:
        start = [self.model, self.rewrite, str(self.sites)]
        if "ratio" not in self.latency:
            return [*start, str(self.latency.get("not_measured", "")), "", ""]
        figures = [f"{self.latency[key]:.3g}" for key in ("before_ms", "after_ms")]
        return [*start, f"{self.latency['ratio']:.2f}", *figures]


def models() -> list[Path]:
    """The models of this checkout, in the order of their names."""
    folder = ROOT / "models"
    return [*sorted(folder.glob("*.onnxtxt")), *sorted((folder / "trained").glob("*.onnx"))]


def latencies(paths: Sequence[Path], names: Sequence[str] = REWRITES) -> Iterator[Timed]:
    """Every rewrite of every model that it fits."""
    with TemporaryDirectory() as temporary:
        for path in paths:
            for name in names:
                timed = latency(path, name, Path(temporary))
                if timed.sites or "failed" in timed.latency:
                    yield timed


def latency(model: Path, name: str, folder: Path) -> Timed:
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    options = ["--use", *name.split(), "--bench", "--report", str(report)]
    command = rewrite(model, folder / "rewritten.onnx", *options)
    done = subprocess.run(  # noqa: S603 - our own
        command.words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return Timed(model.name, name, 0, {"failed": True, "not_measured": said[-1]})
    told = json.loads(report.read_text(encoding="utf-8"))
    return Timed(model.name, name, len(told["changes"]), told["latency"])


def render_latencies(timed: Sequence[Timed]) -> str:
    head = ["model", "rewrite", "sites", "latency x", "before ms", "after ms"]
    table = render_table(head, [each.cells for each in timed])
    return f"\n## Latency: one thread, the default optimisation level\n\n{table}\n"


@dataclass(slots=True)
class Options:
    """The command line."""

    runs: int = 7
    only: Sequence[str] = CASES
    json: Path | None = None


def parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description="What onnxstride rewrite and verify cost.")
    add = parser.add_argument
    add("--runs", type=int, metavar="N", help="rounds that count (default: 7)")
    add("--only", nargs="+", choices=CASES, metavar="CASE", help=f"of {', '.join(CASES)}")
    add("--json", type=Path, metavar="FILE", help="write every run here")
    options = parser.parse_args(arguments, namespace=Options())
    if options.runs < 1:
        parser.error(f"--runs {options.runs}: at least one round is needed")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    about = lint.facts(lint.Options(runs=options.runs, only=()))
    about["ONNX Runtime"] = version("onnxruntime")
    results: list[Result] = []
    timed: list[Timed] = []
    sys.stdout.write(render_facts(about))
    for name in options.only:
        if name == LATENCY:
            timed = list(latencies(models()))
            sys.stdout.write(render_latencies(timed))
        else:
            results.append(measured(name, options.runs))
            sys.stdout.write(render_result(results[-1]))
        sys.stdout.flush()
    if options.json:
        document = render_json(about, results)
        document["latencies"] = [
            {"model": each.model, "rewrite": each.rewrite, "sites": each.sites, **each.latency}
            for each in timed
        ]
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    is_timed = all("ratio" in each.latency for each in timed)
    return 0 if is_kept(results) and is_timed else 1


if __name__ == "__main__":
    sys.exit(main())
