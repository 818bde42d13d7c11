"""Linting in other processes gives what linting here gives, in the same order."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from onnxstride.engine.lint import lint_file
from onnxstride.engine.parallel import Job, lint_each
from onnxstride.engine.policy import Policy
from onnxstride.errors import UsageError
from onnxstride.graph import Bindings
from onnxstride.registry import load_rules
from tests.planting import rule_source, write_files

MODELS = sorted(str(path) for path in (Path(__file__).parents[2] / "models").glob("*.onnxtxt"))
CODES = tuple(loaded.code for loaded in load_rules())


class Backwards(Executor):
    """Does everything at once, the last first: an executor that is none of Python's own."""

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        given = list(zip(*iterables, strict=True))
        done = {index: fn(*given[index]) for index in reversed(range(len(given)))}
        return iter([done[index] for index in range(len(given))])


class OneByOne(Executor):
    """Does nothing before its result is asked for, and counts."""

    done = 0

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        for given in zip(*iterables, strict=True):
            self.done += 1
            yield fn(*given)


def jobs(paths: Iterable[str], codes: tuple[str, ...] = CODES) -> list[Job]:
    return [Job(path, codes, (), Policy()) for path in paths]


def test_processes_report_what_one_process_does(tmp_path: Path) -> None:
    """Every finding, skip and error, in the order of the files."""
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    paths = [MODELS[3], str(tmp_path / "bad.onnx"), *MODELS[:3], str(tmp_path / "missing.onnx")]
    expected = [lint_file(path, load_rules(), Policy()) for path in paths]
    with ProcessPoolExecutor(2) as executor:
        found = list(lint_each(jobs(paths), executor))
    assert found == expected
    assert [bool(report.error) for report in found] == [False, True, False, False, False, True]


@pytest.mark.parametrize("executor", [ThreadPoolExecutor(3), Backwards()], ids=["threads", "other"])
def test_any_executor_will_do(executor: Executor) -> None:
    """The order is that of the paths, whatever finishes first."""
    with executor:
        found = list(lint_each(jobs(MODELS[:4], ("UP101",)), executor))
    assert [report.path for report in found] == MODELS[:4]
    assert {finding.code for report in found for finding in report.findings} <= {"UP101"}


def test_rules_of_a_folder_are_found_in_other_processes(tmp_path: Path) -> None:
    """They travel as the folder's name."""
    folder = write_files(tmp_path / "own", {"planted.py": rule_source()})
    with ProcessPoolExecutor(1) as executor:
        [report] = lint_each([Job(MODELS[-1], ("XX101",), (str(folder),), Policy())], executor)
    assert {finding.code for finding in report.findings} == {"XX101"}


def test_a_contradicting_size_is_the_same_error() -> None:
    """An exception of ours survives the way back."""
    job = Job(MODELS[0], CODES, (), Policy(Bindings(shapes={"image": (1, 2)})))
    with ProcessPoolExecutor(1) as executor, pytest.raises(UsageError, match="image"):
        list(lint_each([job], executor))


def test_reports_come_as_they_are_ready() -> None:
    """The first can be had while others are still to be done."""
    executor = OneByOne()
    reports = lint_each(jobs(MODELS), executor)
    assert next(reports).path == MODELS[0]
    assert executor.done == 1
