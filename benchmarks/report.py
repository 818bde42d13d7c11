"""Figures worked out from measured rounds, what was promised of them, and both as text and JSON.

A figure is computed within each round (the ratio of two commands run one after the other, say).
Its median over the rounds is what a promise is held against.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.measure import Command, Measured, Round, Run

HELD, BROKEN, NOT_MEASURED = "held", "broken", "not measured"

_DIGITS = {"x": 2, "s": 3, "MB": 0}


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that each round yields; ``limit`` is what its median is promised not to exceed."""

    title: str
    of: Callable[[Round], float]
    unit: str
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Commands compared with each other; ``missing`` says why others are not among them."""

    title: str
    commands: Mapping[str, Command]
    figures: Sequence[Figure]
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """A case and what its commands were measured to cost."""

    case: Case
    measured: Measured


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    @classmethod
    def over(cls, values: Iterable[float]) -> "Spread":
        ordered = sorted(values)
        return cls(median(ordered), ordered[0], ordered[-1])

    def text(self, unit: str) -> str:
        digits = _DIGITS[unit]
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}-{self.greatest:.{digits}f})"


def spread(figure: Figure, measured: Measured) -> Spread | None:
    """The figure over all rounds; None if a command that it needs did not do its work."""
    try:
        return Spread.over(figure.of(each) for each in measured.rounds)
    except KeyError:
        return None


def verdict(figure: Figure, measured: Measured) -> str:
    """Whether the promise was held; empty where nothing is promised."""
    value = spread(figure, measured)
    if value is None:
        return NOT_MEASURED
    if figure.limit is None:
        return ""
    return HELD if value.median <= figure.limit else BROKEN


def is_kept(results: Iterable[Result]) -> bool:
    """Every command did its work and no promise was broken."""
    return all(
        not result.measured.failures
        and all(verdict(figure, result.measured) in (HELD, "") for figure in result.case.figures)
        for result in results
    )


def render_facts(facts: Mapping[str, str]) -> str:
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def render_result(result: Result) -> str:
    """Two Markdown tables, aligned so that they read well in a terminal too."""
    costs = render_table(["command", "wall s", "user+sys s", "peak MB"], _costs(result))
    figures = render_table(["figure", "median (range)", "promise", ""], _figures(result))
    return f"\n## {result.case.title}\n\n{costs}\n\n{figures}\n"


def _costs(result: Result) -> Iterator[list[str]]:
    for name in result.case.commands:
        if name in result.measured.failures:
            yield [name, result.measured.failures[name], "", ""]
            continue
        runs = [each[name] for each in result.measured.rounds]
        yield [
            name,
            Spread.over(run.wall for run in runs).text("s"),
            Spread.over(run.cpu for run in runs).text("s"),
            Spread.over(run.peak for run in runs).text("MB"),
        ]
    yield from ([name, reason, "", ""] for name, reason in result.case.missing.items())


def _figures(result: Result) -> Iterator[list[str]]:
    for figure in result.case.figures:
        value = spread(figure, result.measured)
        limit = "" if figure.limit is None else f"at most {figure.limit:g} {figure.unit}"
        yield [
            figure.title,
            f"{value.text(figure.unit)} {figure.unit}" if value else "",
            limit,
            verdict(figure, result.measured),
        ]


def render_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, aligned so that it reads well in a terminal too."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    ]
    rule = ["-" * width for width in widths]
    return "\n".join(f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]])


def render_json(facts: Mapping[str, str], results: Sequence[Result]) -> dict[str, Any]:
    """Every run and every figure, for programs."""
    return {"facts": dict(facts), "cases": [_case_json(result) for result in results]}


def _case_json(result: Result) -> dict[str, Any]:
    case, measured = result.case, result.measured
    done = [name for name in case.commands if name not in measured.failures]
    return {
        "title": case.title,
        "runs": {name: [_run_json(each[name]) for each in measured.rounds] for name in done},
        "failures": dict(measured.failures),
        "missing": dict(case.missing),
        "figures": [_figure_json(figure, measured) for figure in case.figures],
    }


def _run_json(run: Run) -> dict[str, float]:
    return {"wall_s": run.wall, "cpu_s": run.cpu, "peak_mb": run.peak}


def _figure_json(figure: Figure, measured: Measured) -> dict[str, Any]:
    value = spread(figure, measured)
    return {
        "title": figure.title,
        "unit": figure.unit,
        "limit": figure.limit,
        "median": value and value.median,
        "least": value and value.least,
        "greatest": value and value.greatest,
        "verdict": verdict(figure, measured),
    }
