"""Lints many files, in other processes where there is an executor to run in.

Any ``concurrent.futures.Executor`` will do: a pool of processes, or what Dask and Ray offer. What
travels is plain: paths, the codes of the rules to apply, sizes; and reports on the way back. Each
process loads the rules once. Reports come in the order of the paths, however long each took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import cache, partial
from typing import NamedTuple

from ..graph import Bindings
from ..registry import LoadedRule, load_rules
from .files import STDIN
from .lint import lint_file
from .results import FileReport


class Job(NamedTuple):
    """What to ask of every file: rules by their codes, and folders that hold some of them."""

    codes: tuple[str, ...]
    folders: tuple[str, ...]
    bindings: Bindings


def lint_each(paths: Sequence[str], job: Job, executor: Executor) -> Iterator[FileReport]:
    """The report of each file, in the order of ``paths``.

    Raises:
        UsageError: a binding that contradicts a model.
        RuleError: the rules cannot be loaded.
    """
    elsewhere = iter(executor.map(partial(_lint, job), [path for path in paths if path != STDIN]))
    for path in paths:
        # Standard input is this process's.
        yield _lint(job, path) if path == STDIN else next(elsewhere)


def _lint(job: Job, path: str) -> FileReport:
    return lint_file(path, _rules(job.codes, job.folders), job.bindings)


@cache
def _rules(codes: tuple[str, ...], folders: tuple[str, ...]) -> tuple[LoadedRule, ...]:
    wanted = set(codes)
    return tuple(loaded for loaded in load_rules(folders) if loaded.code in wanted)
