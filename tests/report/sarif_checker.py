"""Holds SARIF to the standard by two readings of it, and to what GitHub asks beyond it.

``sarif_om`` is generated from the standard's schema: it knows every property and which ones are
required. ``sarif_pydantic`` knows the types. Both are made by others.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from urllib.parse import unquote

_om: Any = import_module("sarif_om")  # these two ship no types
_pydantic: Any = import_module("sarif_pydantic.sarif")

# What the properties hold that this tool's documents have; a class's own name where it is unlike.
_CLASSES = {
    "runs": "Run",
    "tool": "Tool",
    "driver": "ToolComponent",
    "rules": "ReportingDescriptor",
    "shortDescription": "MultiformatMessageString",
    "fullDescription": "MultiformatMessageString",
    "help": "MultiformatMessageString",
    "defaultConfiguration": "ReportingConfiguration",
    "invocations": "Invocation",
    "toolExecutionNotifications": "Notification",
    "artifacts": "Artifact",
    "location": "ArtifactLocation",
    "artifactLocation": "ArtifactLocation",
    "results": "Result",
    "message": "Message",
    "locations": "Location",
    "physicalLocation": "PhysicalLocation",
    "logicalLocations": "LogicalLocation",
    "region": "Region",
}
_BAGS = {"properties", "partialFingerprints"}
_LEVELS = {"note", "warning", "error"}
_PRECISIONS = {"very-high", "high", "medium", "low"}
_PROBLEMS = {"error", "warning", "recommendation"}


def check(document: Any) -> None:
    """Raise when the document is no SARIF 2.1.0, or not one that GitHub takes.

    Raises:
        TypeError: a property the standard does not have, or lacks one that it requires.
        ValueError: a value of another type.
        AssertionError: GitHub would refuse it, or make nothing of it.
    """
    _build("SarifLog", document)
    _pydantic.Sarif.model_validate(document, strict=False)
    assert document["version"] == "2.1.0"
    assert 1 <= len(document["runs"]) <= 20
    assert "" not in set(_texts(document))
    for run in document["runs"]:
        for invocation in run["invocations"]:
            for each in invocation["toolExecutionNotifications"]:
                _pydantic.Notification.model_validate(each)
        _check_rules(run["tool"]["driver"]["rules"])
        _check_results(run["results"], [rule["id"] for rule in run["tool"]["driver"]["rules"]])
        uris = [artifact["location"]["uri"] for artifact in run["artifacts"]]
        assert len(uris) == len(set(uris))


def _build(kind: str, value: Any) -> None:
    """Construct the class of the standard, which refuses what it does not know."""
    made: Any = getattr(_om, kind)
    names = {field.metadata["schema_property_name"]: field.name for field in made.__attrs_attrs__}
    made(**{names.get(key, f"unknown {key}"): item for key, item in value.items()})
    for key, item in value.items():
        if isinstance(item, dict | list) and key not in _BAGS:
            for part in item if isinstance(item, list) else [item]:
                if isinstance(part, dict):
                    _build(_CLASSES[key], part)


def _check_rules(rules: list[Any]) -> None:
    assert len(rules) <= 25_000
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert 0 < len(rule["shortDescription"]["text"]) <= 1024
        assert 0 < len(rule["fullDescription"]["text"]) <= 1024
        assert rule["help"]["text"]
        assert rule["help"]["markdown"]
        assert rule["defaultConfiguration"]["level"] in _LEVELS
        assert len(rule["properties"]["tags"]) <= 10
        assert rule["properties"]["precision"] in _PRECISIONS
        assert rule["properties"]["problem.severity"] in _PROBLEMS


def _check_results(results: list[Any], ids: list[str]) -> None:
    assert len(results) <= 25_000
    marks = [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]
    assert len(marks) == len(set(marks))
    for result in results:
        assert result["level"] in _LEVELS
        assert result["ruleId"] == ids[result["ruleIndex"]]
        place = result["locations"][0]["physicalLocation"]
        assert place["region"] == {"startLine": 1}
        uri = place["artifactLocation"]["uri"]
        assert re.fullmatch(r"([\w.~/-]|%[0-9A-F]{2})+", uri, re.ASCII)
        assert not unquote(uri).startswith("/")
        assert not re.search(r"\]\(", result["message"]["text"])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.items()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
