"""A small run to render in every format, and the files that show how each renders it.

``python -m tests.report.samples`` writes the files anew, to be read before they are kept.
"""

from pathlib import Path

from onnxstride import __version__
from onnxstride.engine.results import FileError, FileReport, Ignore, Ignored, Place, Stale
from onnxstride.engine.spots import Shown, Spot
from onnxstride.report.cards import RuleCard
from onnxstride.report.formats import FORMATS, Request
from onnxstride.rule import NodeRef, Remedy, Safety, Severity, Skip
from tests.planting import CONV, finding, report

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {
    **dict.fromkeys(FORMATS, "txt"),
    "json": "json",
    "jsonl": "jsonl",
    "sarif": "sarif",
    "gitlab": "json",
    "junit": "xml",
    "markdown": "md",
    "model-explorer": "json",
}

DEEP = NodeRef("up", "ConvTranspose", "", ("loop.body",), ("up_out",))
KNOWN = Ignore(("XX",), "*", "not yet", "config", "onnxstride.toml:12")
VAIN = Ignore(("XX103",), "up[0]", "", "model", "models/generator.onnx", is_glob=False)
REPORTS = (
    report(
        "models/generator.onnx",
        finding(
            "UP101",
            name="uneven-overlap",
            message="kernel 3x3 is not divisible by stride 2x2: 4, 2 | 1 taps.",
            node=DEEP,
            remedies=[
                Remedy("deconv-to-resize-conv", Safety.APPROXIMATE),
                Remedy("deconv-equalise", Safety.TRAINING),
            ],
            taps=[2, 1],
        ),
        finding("DN201", name="fixed-pooling", severity=Severity.NOTE, message="100% fixed."),
        skips=[Skip("DN203", CONV, "size unknown")],
    )._replace(
        ignored=(Ignored(finding("XX102"), KNOWN),),
        unmatched=(VAIN,),
        shown=Shown("generator", {DEEP: Spot("loop/body", "up"), CONV: Spot("generator", "conv")}),
    ),
    FileReport("models/broken.onnx", FileError("E002", "its bytes are no ONNX model")),
    report("models/clean.onnx")._replace(shown=Shown("clean", {})),
)
CARDS = (
    RuleCard("DN201", "fixed-pooling", "note", "Pools.", "Pools.\n\nMore.", "# DN201\n\nPools."),
    RuleCard("UP101", "uneven-overlap", "warning", "Taps.", "Taps.", "# UP101\n\nTaps."),
    RuleCard("E002", "not-a-model", "error", "No model.", "No model.", "No model."),
)
STALE = Stale("baseline.json", Place("models/clean.onnx", "UP101", "up"), 2, 0)
REQUEST = Request(lambda: CARDS, str(Path.cwd()), stale=[STALE])


def golden(name: str) -> Path:
    """The file that shows a format; it says VERSION where a report says the tool's."""
    return GOLDEN / f"{name}.{SUFFIXES[name]}"


def rendered(name: str) -> str:
    """The run in one format."""
    return FORMATS[name](REPORTS, REQUEST).replace(f'"{__version__}"', '"VERSION"')


if __name__ == "__main__":
    for name in FORMATS:
        golden(name).write_text(rendered(name), encoding="utf-8")
