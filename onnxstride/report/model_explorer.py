"""Findings as Model Explorer's custom node data: a text and a colour at each node.

The file holds data by the graph they are for, and a graph goes by its name alone: see
``engine.spots`` for the names that Model Explorer's ONNX adapter gives. Models whose graphs share
a name cannot be told apart. Theirs is kept under names of its own, which no graph has, and under
the name they share stands what to do about it; so does what is told of a model without a graph.

Source: google-ai-edge/model-explorer, ``node_data_builder.py`` for the fields, and ``types.ts`` of
its visualiser, for values that are no numbers. A value is shown at the node as it is, line by line.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ..engine.results import FileReport
from ..engine.spots import Spot
from ..rule import Severity
from .entries import Entry, entries

_TITLE = "onnxstride"
_COLOURS = {Severity.ERROR: "#d93025", Severity.WARNING: "#f9ab00", Severity.NOTE: "#aecbfa"}
_MOST_PATHS = 3


def render_model_explorer(reports: Sequence[FileReport]) -> str:
    """One object by graph: those of every model that could be read, and what could not be."""
    graphs: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for report, told in zip(reports, entries(reports), strict=True):
        for graph, data in _of_model(report, told).items():
            graphs.setdefault(_text(graph), []).append((_text(report.path), data))
    document: dict[str, Any] = {
        graph: models[0][1] if len(models) == 1 else _shared([path for path, _ in models])
        for graph, models in graphs.items()
    }
    for graph, models in graphs.items():
        for path, data in models if len(models) > 1 else ():
            document[_free(f"{path}: {graph}", document)] = data
    return json.dumps(document, indent=2) + "\n"


def _of_model(report: FileReport, told: Sequence[Entry]) -> dict[str, dict[str, Any]]:
    """The data of each graph of a model; what is told of the model as a whole is their title."""
    at: dict[Spot, list[Entry]] = {}
    title, main = _TITLE, report.path if report.shown is None else report.shown.main
    for entry in told:
        if entry.finding is None:
            title = f"{_TITLE}: {entry.code} {entry.message}"
            continue
        node = entry.finding.node
        spots = {} if report.shown is None else report.shown.nodes
        at.setdefault(spots.get(node, Spot(main, node.name)), []).append(entry)
    graphs = {main: _data(title)}
    for spot, found in at.items():
        data = graphs.setdefault(spot.graph, _data(title))
        data["results"][_text(spot.node)] = _result(found)
    return graphs


def _data(title: str) -> dict[str, Any]:
    # Model Explorer counts, averages and adds up values: of texts there is nothing to tell.
    return {"name": title, "results": {}, "hideInAggregatedStatsTable": True}


def _result(found: Iterable[Entry]) -> dict[str, str]:
    worst = max((entry.severity for entry in found), key=lambda severity: severity.rank)
    return {"value": "\n".join(map(_line, found)), "bgColor": _COLOURS[worst]}


def _line(entry: Entry) -> str:
    is_inside = entry.finding is not None and entry.finding.node.scope
    told = entry.sentence if is_inside else entry.message
    return f"{entry.code} {entry.severity.value} {entry.name}: {told}"


def _text(name: str | bytes) -> str:
    """The name as it is, if it is text; names of files may hold other bytes.

    A name in a model that is no UTF-8 comes as bytes from some versions of protobuf.
    """
    if isinstance(name, bytes):
        return name.decode("utf-8", "backslashreplace")
    return name.encode("utf-8", "backslashreplace").decode()


def _shared(paths: Sequence[str]) -> dict[str, Any]:
    more = ", ..." if len(paths) > _MOST_PATHS else ""
    named = ", ".join(paths[:_MOST_PATHS]) + more
    return _data(
        f"{_TITLE}: {len(paths)} models have a graph of this name ({named}); lint one at a time"
    )


def _free(key: str, taken: dict[str, Any]) -> str:
    number, free = 1, key
    while free in taken:
        number += 1
        free = f"{key} ({number})"
    return free
