"""A pytest plugin: a model's lint is a test.

``pytest --onnxstride models/`` takes every ``.onnx`` and ``.onnxtxt`` file it comes by for a test,
which fails with what the rules find. In a test of one's own::

    def test_what_is_exported(onnxstride_lint, tmp_path):
        export(network, tmp_path / "network.onnx")
        onnxstride_lint(tmp_path / "network.onnx", ignore="DN205")

Nothing of onnxstride is imported before a model is linted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from .errors import OnnxstrideError

if TYPE_CHECKING:
    from .library import Model, PathLike, Report

_WIDTH = 100


class Lint(Protocol):
    """Lints as ``onnxstride.library.lint`` does, and fails the test where that finds something."""

    def __call__(
        self,
        models: Model | Iterable[PathLike],
        *,
        fail_on: str | None = None,
        **options: Any,
    ) -> Report:
        """The report; what is not given is as the command line or the configuration says."""
        ...


class _Findings(Exception):
    """What a model is not to have."""


class _Item(pytest.Item):
    """The lint of one file."""

    def runtest(self) -> None:
        report = _lint(self.config, _shown(self.path), {})
        if not report.passes(_fail_on(self.config)):
            raise _Findings(report.as_text(width=_WIDTH))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, (_Findings, OnnxstrideError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"onnxstride: {_shown(self.path)}"


class _File(pytest.File):
    """A model."""

    def collect(self) -> Iterable[_Item]:
        yield _Item.from_parent(self, name="onnxstride")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("onnxstride", "linting of ONNX models")
    group.addoption("--onnxstride", action="store_true", help="Lint every model, as a test each.")
    group.addoption(
        "--onnxstride-select",
        metavar="CODES",
        action="append",
        default=[],
        help="Run these rules only: codes, names, beginnings of codes, or ALL. Repeatable.",
    )
    group.addoption(
        "--onnxstride-fail-on",
        choices=["error", "warning", "note", "never"],
        help="Least severity of a finding that fails a test.  [default: by the configuration, else "
        "warning]",
    )
    group.addoption(
        "--onnxstride-config",
        metavar="FILE",
        help="Use this configuration for every model, in place of the closest one.",
    )
    group.addoption("--onnxstride-isolated", action="store_true", help="Use no configuration.")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if not parent.config.getoption("onnxstride"):
        return None
    from .engine.files import SUFFIXES

    if not file_path.name.lower().endswith(SUFFIXES):
        return None
    return _File.from_parent(parent, path=file_path)


@pytest.fixture(scope="session")
def onnxstride_lint(pytestconfig: pytest.Config) -> Lint:
    """Lints models as ``library.lint`` does, and fails the test where that finds something."""

    def lint(
        models: Model | Iterable[PathLike], *, fail_on: str | None = None, **options: Any
    ) -> Report:
        __tracebackhide__ = True
        report = _lint(pytestconfig, models, options)
        if not report.passes(_fail_on(pytestconfig) if fail_on is None else fail_on):
            pytest.fail(report.as_text(width=_WIDTH), pytrace=False)
        return report

    return lint


def _lint(
    config: pytest.Config, models: Model | Iterable[PathLike], options: dict[str, Any]
) -> Report:
    from .library import lint

    chosen: dict[str, Any] = {"select": config.getoption("onnxstride_select"), **options}
    if not {"config", "isolated"} & options.keys():
        chosen["config"] = config.getoption("onnxstride_config")
        chosen["isolated"] = config.getoption("onnxstride_isolated")
    return lint(models, **chosen)


def _fail_on(config: pytest.Config) -> str | None:
    level: str | None = config.getoption("onnxstride_fail_on")
    return level


def _shown(path: Path) -> str:
    """The path from the current folder where there is a way, as people write it."""
    try:
        return os.path.relpath(path)
    except ValueError:  # on another drive
        return str(path)
