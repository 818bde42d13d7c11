"""What holds for whatever is read, model or not: each law is a function from bytes to its breaches.

A law returns sentences, one for each violation, so that a test can show that a planted fault is
noticed. Bounds on time and memory are not laws of this kind: whoever runs them limits the process.
"""

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from onnxstride import library
from onnxstride.engine.reporting import report_file
from onnxstride.engine.results import FileReport
from onnxstride.errors import ModelError, OnnxstrideError, RuleError
from onnxstride.graph import Bindings
from onnxstride.registry import LoadedRule, load_rules
from onnxstride.report import anatomy as rendering
from onnxstride.report.cards import RuleCard
from onnxstride.report.formats import FORMATS, Request
from onnxstride.report.html import render_html

Law = Callable[[bytes], Iterator[str]]

_WIDTH = 80


def lint_never_raises(data: bytes) -> Iterator[str]:
    """Lint answers with findings or with an error of its own, and so does every format of it."""
    try:
        (report,) = library.lint(data).files
        yield from _internal(report)
        yield from _unrendered(report)
    except Exception:  # noqa: BLE001 - that there is none is the law
        yield f"lint raised\n{traceback.format_exc()}"


def _internal(report: FileReport) -> Iterator[str]:
    """A rule that failed, or an exception that nobody planned for."""
    if report.error is not None and report.error.code == ModelError.code:
        yield f"lint says {report.error.message}"
    for what in (report.error, *report.findings):
        if what is not None and ("\n" in what.message or "\x1b" in what.message):
            yield f"a message of several lines: {what.message!r}"


def _unrendered(report: FileReport) -> Iterator[str]:
    request = Request(_no_cards, root="/", why=True, width=_WIDTH)
    for name, render in FORMATS.items():
        try:
            text = render([report], request)
            text.encode()
        except Exception:  # noqa: BLE001
            yield f"the format {name} raised\n{traceback.format_exc()}"
        else:
            if name in ("json", "sarif", "gitlab"):
                json.loads(text)


def _no_cards() -> list[RuleCard]:
    return []


def report_never_raises(data: bytes) -> Iterator[str]:
    """A report is written, or refused with an error that says why."""
    yield from _unreported(data, with_page=False)


def page_never_raises(data: bytes) -> Iterator[str]:
    """So is the page with pictures, whose templates take half a second to load."""
    yield from _unreported(data, with_page=True)


def _unreported(data: bytes, *, with_page: bool) -> Iterator[str]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(data)
        try:
            found = report_file(str(path), Bindings(), _rules(), with_patterns=with_page)
            rendering.anatomy_as_json(found.anatomy, path=found.path).encode()
            rendering.anatomy_as_csv(found.anatomy).encode()
            rendering.anatomy_as_markdown(found.anatomy, title=found.path).encode()
            rendering.render_anatomy(found.anatomy, title=found.path, width=_WIDTH).encode()
            if with_page:
                render_html(found).encode()
        except RuleError:
            yield f"a rule failed\n{traceback.format_exc()}"
        except OnnxstrideError:
            return
        except Exception:  # noqa: BLE001
            yield f"report raised\n{traceback.format_exc()}"


@cache
def _rules() -> tuple[LoadedRule, ...]:
    return tuple(load_rules())


QUICK: tuple[Law, ...] = (lint_never_raises, report_never_raises)
LAWS: tuple[Law, ...] = (lint_never_raises, page_never_raises)


def faults(data: bytes, laws: Sequence[Law] = LAWS) -> list[str]:
    """Everything that reading ``data`` breaks, headed by the law."""
    return [f"{law.__name__}: {what}" for law in laws for what in law(data)]
