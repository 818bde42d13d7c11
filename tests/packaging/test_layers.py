"""Imports point one way, and heavy libraries stay where they belong."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Each layer and the layers it may import from; every one of them stands above it.
LAYERS: dict[str, set[str]] = {
    "version": set(),
    "debug": set(),
    "deferred": set(),
    "errors": set(),
    "geometry": set(),
    "nearest": set(),
    "plugins": set(),
    "process": set(),
    "rule": set(),
    "screen": set(),
    "spelling": set(),
    "wording": set(),
    "rewrite": {"rule"},
    "modelfile": {"errors"},
    "graph": {"errors", "geometry", "modelfile", "rule"},
    "analysis": {"errors", "geometry", "graph", "wording"},
    "surgery": {"geometry", "graph", "rewrite", "rule"},
    "fitting": {"geometry", "graph", "rewrite", "rule", "surgery"},
    "api": {"analysis", "geometry", "graph", "rule", "wording"},
    "rules": {"api"},
    "rewrites": {"api", "fitting", "surgery"},
    "config": {"errors", "nearest", "rewrite", "rule"},
    "discovery": {"errors", "plugins"},
    "registry": {"discovery", "errors", "nearest", "rewrite", "rule", "spelling", "surgery"},
    "scaffold": {"errors", "spelling"},
    "selection": {"errors", "nearest", "registry"},
    "verify": {"debug", "errors", "geometry", "graph", "modelfile", "rule"},
    "probe": {"analysis", "errors", "geometry", "graph", "modelfile", "rule", "verify", "wording"},
    "pictures": {"errors", "geometry", "probe", "wording"},
    "engine": {
        *("analysis", "config", "debug", "errors", "geometry", "graph", "modelfile", "nearest"),
        *("probe", "registry", "rewrite", "rule", "selection", "surgery", "verify", "wording"),
    },
    "report": {"engine", "probe", "rule", "verify", "version", "wording"},
    "library": {
        *(
            "config",
            "engine",
            "errors",
            "graph",
            "modelfile",
            "registry",
            "report",
            "rewrite",
            "rule",
        ),
        *("selection", "verify"),
    },
    "pytest_plugin": {"engine", "errors", "library"},
    "pages": {"registry", "rule"},
    "explain": {"pages", "registry", "report"},
    "progress": {"report"},
    "output": {"errors", "modelfile"},
    "commands": {
        *("config", "deferred", "explain", "nearest"),
        *(
            "engine",
            "errors",
            "graph",
            "modelfile",
            "output",
            "pictures",
            "probe",
            "process",
            "progress",
            "registry",
        ),
        *("report", "rewrite", "rule", "scaffold", "screen", "selection", "verify", "wording"),
    },
    "cli": {
        *("commands", "debug", "engine", "errors", "explain", "output", "progress", "registry"),
        *("report", "rule", "screen", "selection", "version"),
    },
    "__main__": {"cli", "process"},
}

# Libraries other than Python's own, by the layers that may touch them.
LIBRARIES: dict[str, set[str]] = {
    "geometry": {"numpy"},
    "modelfile": {"google", "numpy", "onnx"},
    "graph": {"numpy", "onnx"},
    "analysis": {"numpy", "onnx"},
    "surgery": {"numpy", "onnx", "onnx_graphsurgeon"},
    "fitting": {"numpy"},
    "rules": {"numpy"},
    "rewrites": {"numpy"},
    "verify": {"numpy", "onnx", "onnxruntime"},
    "probe": {"numpy"},
    "pictures": {"PIL", "numpy"},
    "engine": {"numpy", "onnx"},
    "report": {"jinja2"},
    "library": {"onnx"},
    "pytest_plugin": {"pytest"},
    "commands": {"click"},
    "cli": {"click"},
}


def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in (ROOT / "onnxstride").rglob("*.py")
    }
    rules = {f"onnxstride.rules.{path.stem}": path for path in (ROOT / "rules").glob("*.py")}
    rewrites = {
        f"onnxstride.rules.rewrites.{path.stem}": path
        for path in (ROOT / "rules" / "rewrites").glob("*.py")
    }
    return {**files, **rules, **rewrites}


def imported(source: str, module: str) -> Iterator[str]:
    """Dotted names that a module imports, wherever in it, relative ones resolved."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            package = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{package}.{alias.name}" for alias in node.names)


def layer_of(name: str) -> str:
    """The layer that a dotted name of ours belongs to."""
    if name.startswith("onnxstride.rules.rewrites."):
        return "rewrites"
    layer = [*name.split("."), ""][1]
    return "version" if layer in ("__init__", "__version__", "") else layer


def violations(source: str, module: str) -> list[str]:
    """Imports that ``module`` should not have."""
    layer = layer_of(module)
    if layer not in LAYERS:
        return [f"{layer} is not among the layers: say what it may import"]
    found: list[str] = []
    for name in imported(source, module):
        top = name.partition(".")[0]
        if top == "onnxstride":
            allowed = {layer} if layer not in ("rules", "rewrites") else set[str]()
            if layer_of(name) not in LAYERS[layer] | allowed:
                found.append(name)
        elif top not in sys.stdlib_module_names and top not in LIBRARIES.get(layer, set()):
            found.append(name)
    return found


def test_the_layers_are_in_order() -> None:
    """A layer imports only from layers listed above it, so there is no way round in a circle."""
    above: set[str] = set()
    for layer, below in LAYERS.items():
        assert below <= above, layer
        above.add(layer)


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_point_one_way(module: str) -> None:
    """Each module imports only what its layer may."""
    assert violations(modules()[module].read_text(encoding="utf-8"), module) == []


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        pytest.param(
            "onnxstride.geometry.axis", "import onnx", "onnx", id="geometry knows no onnx"
        ),
        pytest.param(
            "onnxstride.graph.layers",
            "from ..engine.lint import lint_file",
            "onnxstride.engine.lint.lint_file",
            id="upwards, relative",
        ),
        pytest.param(
            "onnxstride.errors",
            "def f():\n    from onnxstride import cli",
            "onnxstride.cli",
            id="inside a function",
        ),
        pytest.param(
            "onnxstride.rules.empty_phase",
            "from onnxstride.graph import Graph",
            "onnxstride.graph.Graph",
            id="a rule past its door",
        ),
        pytest.param(
            "onnxstride.rules.empty_phase",
            "from onnxstride.rules.uneven_overlap import check",
            "onnxstride.rules.uneven_overlap.check",
            id="a rule into another",
        ),
        pytest.param(
            "onnxstride.rules.empty_phase",
            "import onnxruntime",
            "onnxruntime",
            id="a rule running models",
        ),
        pytest.param(
            "onnxstride.report.json", "from .. import registry", "onnxstride.registry", id="report"
        ),
        pytest.param(
            "onnxstride.new.thing",
            "",
            "new is not among the layers: say what it may import",
            id="a package nobody placed",
        ),
        pytest.param(
            "onnxstride.engine.lint", "import click", "click", id="printing outside the cli"
        ),
    ],
)
def test_a_wrong_import_is_seen(module: str, source: str, fault: str) -> None:
    """Each kind of import the layers forbid is reported."""
    assert violations(source, module) == [fault]
