"""The reports of a lint, read back with the parsers of those that they are for.

Each reader counts what a report tells, by model, code and severity, so that any two reports of one
run can be held against each other. A model that cannot be read is an error with a code E00x.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from junitparser import Error, Failure, JUnitXml, TestCase

from tests import schema
from tests.report import sarif_checker, test_github, test_gitlab
from tests.report.test_markdown import Page

Counts = Counter[tuple[str, str, str]]
"""Findings by model, code and severity."""

_OF_GITLAB = {"info": "note", "major": "warning", "critical": "error", "blocker": "error"}
_OF_GITHUB = {"notice": "note", "warning": "warning", "error": "error"}


def counted(document: Any) -> Counts:
    """What a JSON report tells, once it has been held against its schema."""
    schema.validate(document)
    counts: Counts = Counter()
    for file in document["files"]:
        counts.update((file["path"], each["code"], each["severity"]) for each in file["findings"])
        if file.get("error"):
            counts[file["path"], file["error"]["code"], "error"] += 1
    return counts


def from_json(text: str) -> Counts:
    """Of the JSON report."""
    return counted(json.loads(text))


def from_sarif(text: str) -> Counts:
    """Of SARIF 2.1.0; a model that cannot be read is a result and a notification as well."""
    document = json.loads(text)
    sarif_checker.check(document)
    (run,) = document["runs"]
    return Counter((_uri(each), each["ruleId"], each["level"]) for each in run["results"])


def _uri(result: Any) -> str:
    uri: str = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    return uri


def from_gitlab(text: str) -> Counts:
    """Of GitLab's Code Quality report."""
    issues = json.loads(text)
    test_gitlab.check(issues)
    return Counter(
        (each["location"]["path"], each["check_name"].split()[0], _OF_GITLAB[each["severity"]])
        for each in issues
    )


def from_junit(text: str) -> Counts:
    """Of JUnit's XML, the cases that pass because nothing was found left out."""
    whole: Any = JUnitXml.fromstring(text.encode())
    counts: Counts = Counter()
    for suite in whole:
        cases = [(each, severity) for each in suite if (severity := _severity(each))]
        counts.update((suite.name, each.name.split()[0], severity) for each, severity in cases)
        assert suite.tests == max(1, len(cases))
    return counts


def _severity(case: TestCase) -> str:
    for result in case.result:
        if isinstance(result, Error):
            return "error"
        if isinstance(result, Failure):
            return str(result.type)
    return str(case.system_out or "").partition(":")[0]


def from_markdown(text: str) -> Counts:
    """Of the table of a summary, as GitHub's own parser has it."""
    rows = Page(text).rows
    assert rows[:1] in ([], [["severity", "rule", "model", "node", "finding"]])
    return Counter((model, rule.split()[0], severity) for severity, rule, model, _, _ in rows[1:])


def from_github(text: str) -> Counts:
    """Of the annotations in a log, one for each model and rule; their titles count the nodes."""
    lines = [line for line in text.splitlines() if line.startswith("::")]
    counts: Counts = Counter()
    for each in map(test_github.parsed, lines):
        code, _, more = each.title.partition(" ")
        nodes = int(more.rpartition("(")[2].split()[0]) if more.endswith("nodes)") else 1
        counts[each.file, code, _OF_GITHUB[each.level]] += nodes
    return counts


READERS: dict[str, Callable[[str], Counts]] = {
    "json": from_json,
    "sarif": from_sarif,
    "gitlab": from_gitlab,
    "junit": from_junit,
    "markdown": from_markdown,
    "github": from_github,
}
