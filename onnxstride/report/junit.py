"""JUnit's XML, which most CI servers read: a suite a file, a case a finding.

A finding fails its case when it is severe enough to fail the run; what is less is told in the
case's output. A file without findings has a case that passes, or viewers would report that
nothing was tested. The document is ASCII: no code page can spoil a name.
"""

from collections.abc import Sequence
from xml.etree import ElementTree

from ..engine.results import FileReport
from ..rule import Severity
from .entries import Entry, entries
from .paths import relative
from .terminal import printable

_COUNTS = ("tests", "failures", "errors")


def render_junit(reports: Sequence[FileReport], *, root: str) -> str:
    """The document; files are named from ``root``.

    What keeps a file from being read is an error, whatever the severity that fails its cases.
    """
    suites = ElementTree.Element("testsuites", name="onnxstride")
    for report, file in zip(reports, entries(reports), strict=True):
        _suite(suites, printable(relative(report.path, root)), file, report.fail_on)
    for count in _COUNTS:
        suites.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    ElementTree.indent(suites)
    text = ElementTree.tostring(suites, encoding="us-ascii").decode("ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(
    suites: ElementTree.Element, path: str, file: Sequence[Entry], fail_on: Severity | None
) -> None:
    suite = ElementTree.SubElement(suites, "testsuite", name=path)
    for entry in file:
        name = f"{entry.code} {entry.name} {entry.where}".rstrip()
        case = ElementTree.SubElement(suite, "testcase", classname=path, name=name)
        _outcome(case, entry, fail_on)
    if not file:
        ElementTree.SubElement(suite, "testcase", classname=path, name="lint")
    counts = (max(len(file), 1), _number_of(suite, "failure"), _number_of(suite, "error"))
    for attribute, count in zip(_COUNTS, counts, strict=True):
        suite.set(attribute, str(count))


def _outcome(case: ElementTree.Element, entry: Entry, fail_on: Severity | None) -> None:
    if entry.finding is None:
        bad = ElementTree.SubElement(case, "error", type=entry.code, message=entry.message)
        bad.text = entry.message
    elif fail_on is not None and entry.severity.rank >= fail_on.rank:
        severity = entry.severity.value
        bad = ElementTree.SubElement(case, "failure", type=severity, message=entry.message)
        bad.text = entry.sentence
    else:
        out = ElementTree.SubElement(case, "system-out")
        out.text = f"{entry.severity.value}: {entry.sentence}"


def _number_of(suite: ElementTree.Element, outcome: str) -> int:
    return len(suite.findall(f"testcase/{outcome}"))
