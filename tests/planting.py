"""Rules, plugins and findings made up for a test."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from onnxstride.engine.results import FileReport
from onnxstride.registry import LoadedRule
from onnxstride.rule import Finding, NodeRef, Remedy, Rule, Severity, Skip

CONV = NodeRef("conv", "Conv", "", (), ("conv_out",))

_MODULE = '''"""{summary}

What is flagged
    Whatever this test needs.
"""

from onnxstride.api import Layer, Rule, Severity

RULE = Rule("{code}", "{name}", Severity.{severity}, on=(Layer,))
BAD = {{"a bad one": "g (float[1] x) => (float[1] y) {{ y = Neg (x) }}"}}


def check(layer, graph):
    {body}
'''


def rule_source(
    code: str = "XX101",
    name: str = "planted",
    *,
    summary: str = "Planted.",
    severity: str = "WARNING",
    body: str = "yield RULE.flag(layer.ref, 'planted here')",
) -> str:
    """Text of a rule module; by default it flags every layer."""
    return _MODULE.format(code=code, name=name, summary=summary, severity=severity, body=body)


def write_files(folder: Path, files: dict[str, str]) -> Path:
    """The folder, with these files in it by relative path."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return folder


def write_plugin(folder: Path, module: str, source: str, *, distribution: str = "planted") -> Path:
    """A folder as an installer leaves it: a module, and metadata with an entry point to it."""
    return write_files(
        folder,
        {
            f"{module}.py": source,
            f"{distribution}-1.0.dist-info/METADATA": f"Name: {distribution}\nVersion: 1.0\n",
            f"{distribution}-1.0.dist-info/entry_points.txt": (
                f"[console_scripts]\nplanted = {module}:main\n\n"
                f"[onnxstride.rules]\nplanted = {module}\n"
            ),
        },
    )


def loaded_rule(
    code: str, name: str, *, check: Any = None, on: tuple[type, ...] = (object,)
) -> LoadedRule:
    """A rule without a module; it answers with what ``check`` yields, by default nothing."""
    rule = Rule(code, name, Severity.WARNING, on)
    return LoadedRule(rule, check or _silent, "Planted.", {}, {}, "planted", "test")


def finding(
    code: str = "XX101",
    *,
    name: str = "planted",
    severity: Severity = Severity.WARNING,
    message: str = "planted here",
    node: NodeRef = CONV,
    remedies: Iterable[Remedy] = (),
    **data: Any,
) -> Finding:
    """A finding with everything filled in."""
    return Finding(code, name, severity, message, node, data, tuple(remedies))


def report(path: str = "model.onnx", *findings: Finding, skips: Iterable[Skip] = ()) -> FileReport:
    """The report of a file that could be read."""
    return FileReport(path, findings=findings, skips=tuple(skips), layers=1)


def _silent(layer: object, graph: object) -> Iterable[Finding | Skip]:
    return ()
