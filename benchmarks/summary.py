"""The short table of speed in README.md, from what ``lint.py --json`` wrote.

    make speed PEERS=peers/bin/python

Every figure is of one run of that command: seconds of wall time, peak memory, and the time of
another tool as a multiple of lint's, taken within each round; medians over the rounds.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

# Where this package is, when a script imports this file.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.report import render_table

RESULTS = Path(__file__).with_name("lint.json")
LINT = "onnxstride lint"
MODELS = {
    "Peers: a small model": "a small model",
    "Peers: 1 GB inline": "1 GB of weights",
    "Peers: light DenseNet-121": "1,746 nodes",
}
"""Cases that put other tools beside lint, and what their column is called."""

_WEIGHTS = "Weights: 27 convolutions, lint"
_ASKED = "Weights that a rule asks for: 27 deconvolutions, lint"
_NODES = "Many nodes, half of them windows, lint"
_FOLDER = "A folder of 500 small models"
OWN = {
    (_WEIGHTS, "1 GB inline / no weights"): "1 GB inline, beside the same graph without weights",
    (_WEIGHTS, "1.9 GB inline / no weights"): "1.9 GB inline, beside the same",
    (_WEIGHTS, "4 GB external / no weights"): "4 GB external, beside the same",
    (_ASKED, "1 GB inline / no weights"): "1 GB that a rule reads, beside none",
    (_NODES, "10,000 nodes beyond start-up"): "10,000 nodes, beyond start-up",
    (_NODES, "100,000 nodes beyond start-up"): "100,000 nodes, beyond start-up",
    (_FOLDER, "--jobs 1 beyond start-up"): "500 models, beyond start-up",
    (_FOLDER, "--jobs 2 beyond start-up"): "500 models with `--jobs 2`, beyond start-up",
}
"""Figures of lint alone, by the titles of their cases and their own, and what their rows say."""

_DIGITS = {"x": 2, "s": 2}


def summary(document: Mapping[str, Any]) -> str:
    """Two tables and the facts they depend on, as Markdown that ends in a newline.

    Args:
        document: what ``render_json`` makes of the results.
    """
    cases = {case["title"]: case for case in document["cases"]}
    peers = [cases[title] for title in MODELS]
    tools = list(dict.fromkeys(name for case in peers for name in _tools(case)))
    head = ["", *MODELS.values()]
    rows = [[tool, *(_cell(case, tool) for case in peers)] for tool in tools]
    facts = document["facts"]
    about = (
        f"{facts['date'].split()[0]}, {facts['machine']}, Python {facts['Python']}; "
        f"{facts['packages']}; beside {facts['peers']}. Medians of one run of `benchmarks/lint.py`."
    )
    tables = [render_table(head, rows), render_table(["onnxstride lint alone", ""], _own(cases))]
    return "\n\n".join([*tables, about]) + "\n"


def _tools(case: Mapping[str, Any]) -> list[str]:
    return [*case["runs"], *case["failures"], *case["missing"]]


def _cell(case: Mapping[str, Any], tool: str) -> str:
    """What a tool takes; why there is no figure, where it did not do the work."""
    if tool not in case["runs"]:
        return str(case["failures"].get(tool) or case["missing"].get(tool, ""))
    runs, own = case["runs"][tool], case["runs"][LINT]
    cost = f"{_wall(runs):.2f} s, {median(run['peak_mb'] for run in runs):.0f} MB"
    if tool == LINT:
        return cost
    times = median(run["wall_s"] / lint["wall_s"] for run, lint in zip(runs, own, strict=True))
    return f"{cost}, {times:.1f} x"


def _wall(runs: list[Mapping[str, float]]) -> float:
    return median(run["wall_s"] for run in runs)


def _own(cases: Mapping[str, Any]) -> Iterator[list[str]]:
    for (case, title), shown in OWN.items():
        [figure] = [each for each in cases[case]["figures"] if each["title"] == title]
        unit = figure["unit"]
        yield [shown, f"{figure['median']:.{_DIGITS[unit]}f} {unit}"]


def table() -> str:
    """The summary of the results that are kept beside this file."""
    return summary(json.loads(RESULTS.read_text(encoding="utf-8")))
