"""Lints many files, in other processes where there is an executor to run in.

Any ``concurrent.futures.Executor`` will do: a pool of processes, or what Dask and Ray offer. What
travels is plain: paths, the codes of the rules to apply, sizes; and reports on the way back. Each
process loads the rules once. Reports come in the order of the paths, however long each took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import cache
from typing import NamedTuple

from ..registry import LoadedRule, load_rules
from .files import STDIN
from .lint import lint_file
from .policy import Policy
from .results import FileReport


class Job(NamedTuple):
    """A file, and what to ask of it: rules by their codes, folders that hold some, the policy."""

    path: str
    codes: tuple[str, ...]
    folders: tuple[str, ...]
    policy: Policy


def lint_each(jobs: Sequence[Job], executor: Executor) -> Iterator[FileReport]:
    """The report of each file, in the order of ``jobs``.

    Raises:
        UsageError: a binding that contradicts a model.
        RuleError: the rules cannot be loaded.
    """
    elsewhere = iter(executor.map(_lint, [job for job in jobs if job.path != STDIN]))
    for job in jobs:
        # Standard input is this process's.
        yield _lint(job) if job.path == STDIN else next(elsewhere)


def _lint(job: Job) -> FileReport:
    return lint_file(job.path, _rules(job.codes, job.folders), job.policy)


@cache
def _rules(codes: tuple[str, ...], folders: tuple[str, ...]) -> tuple[LoadedRule, ...]:
    wanted = set(codes)
    return tuple(loaded for loaded in load_rules(folders) if loaded.code in wanted)
