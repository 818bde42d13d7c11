"""The text report reads well at any width, and says what the reports hold."""

import re

import pytest

from onnxstride.engine.results import UNJUDGED, FileError, FileReport
from onnxstride.report.text import render_statistics, render_text
from onnxstride.rule import NodeRef, Remedy, Safety, Severity, Skip
from tests.planting import CONV, finding, report

LONG = (
    "kernel 3x3 is not divisible by stride 2x2: 2, 1 taps per phase, so some outputs add up 4 "
    "times the taps of others, a checkerboard wherever the weights do not cancel it."
)
DEEP = NodeRef("up", "ConvTranspose", "", ("loop.body", "if.then_branch"), ("up_out",))
REPORTS = [
    report(
        "models/generator.onnx",
        finding("UP101", name="uneven-overlap", message=LONG, node=DEEP),
        finding("DN201", name="fixed-pooling", severity=Severity.NOTE, message="fixed"),
    ),
    FileReport("models/broken.onnx", FileError("E002", "its bytes are no ONNX model")),
    report("models/clean.onnx"),
]

EXPECTED = """\
models/generator.onnx
  UP101  warning  loop.body > if.then_branch > up  ConvTranspose  uneven-overlap
         kernel 3x3 is not divisible by stride 2x2: 2, 1 taps per phase, so some
         outputs add up 4 times the taps of others, a checkerboard wherever the
         weights do not cancel it.
  DN201  note     conv                             Conv           fixed-pooling
         fixed

models/broken.onnx
  E002   error
         its bytes are no ONNX model

3 models, 2 layers: 1 unreadable, 1 warning, 1 note
  DN201 1, UP101 1
"""


def test_the_report_as_people_see_it() -> None:
    """Grouped by file, aligned, messages under a hanging indent, counts at the end."""
    assert render_text(REPORTS, width=80) == EXPECTED


@pytest.mark.parametrize("width", [40, 80, 120])
def test_messages_keep_to_the_width(width: int) -> None:
    """Message lines are as long as the width allows and no longer."""
    lines = [line for line in render_text(REPORTS, width=width).split("\n") if line[:9].isspace()]
    assert all(len(line) <= width for line in lines)
    assert max(map(len, lines)) > width - 15


def test_colour_changes_nothing_but_colour() -> None:
    """Taking the escapes out of the coloured report leaves the plain one."""
    colored = render_text(REPORTS, width=80, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == EXPECTED
    assert colored != EXPECTED


def test_nodes_with_one_fault_share_the_message() -> None:
    """Twenty nodes with one fault are twenty headings and one explanation, others between."""
    nodes = [NodeRef(f"pool{i}", "MaxPool", "", (), ()) for i in range(20)]
    findings = [finding(message="same", node=node) for node in nodes]
    findings.insert(7, finding(message="other"))
    text = render_text([report("m", *findings)])
    assert text.count("same") == text.count("other") == 1
    assert [text.index(f" {node.name} ") for node in nodes] == sorted(
        text.index(f" {node.name} ") for node in nodes
    )


def test_rules_that_say_the_same_do_not_share_it() -> None:
    """One message from two rules stays two findings with their messages."""
    text = render_text(
        [report("m", finding("XX101", message="same"), finding("XX102", message="same"))]
    )
    assert text.count("same") == 2


def test_remedies_are_named_with_their_safety() -> None:
    """A remedy says what it may change."""
    remedies = [Remedy("pad-kernel", Safety.EXACT), Remedy("resize", Safety.TRAINING)]
    text = render_text([report("m", finding(remedies=remedies))])
    assert "         Remedies: pad-kernel (exact), resize (training).\n" in text


def test_skips_are_listed_only_where_asked() -> None:
    """--why shows what could not be judged, and by which rule."""
    skips = [Skip("DN203", CONV, "size unknown"), Skip(UNJUDGED, DEEP, "kernel unknown")]
    reports = [report("m", skips=skips)]
    assert "unknown" not in render_text(reports)
    text = render_text(reports, why=True)
    assert "  DN203  skipped  conv " in text
    assert "         size unknown\n" in text
    assert "  all    skipped  loop.body > if.then_branch > up  ConvTranspose\n" in text


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, "1 model, 1 layer: nothing found\n"),
        (3, "3 models, 3 layers: nothing found\n"),
    ],
)
def test_a_clean_run_says_what_was_looked_at(count: int, expected: str) -> None:
    """Clean is one line that shows something was judged."""
    assert render_text([report("m")] * count) == expected


def test_without_the_summary_a_clean_run_is_silent() -> None:
    """--quiet leaves nothing to read where nothing was found, but errors stay."""
    assert render_text([report("m")], summary=False) == ""
    quiet = render_text(REPORTS, width=80, summary=False)
    assert quiet == EXPECTED.partition("\n3 models")[0]


def test_names_cannot_command_the_terminal() -> None:
    """Paths, nodes, operators, scopes and messages are all spelled out."""
    bad = "\x1b[31m\r\n"
    node = NodeRef(bad, bad, bad, (bad,), (bad,))
    hostile = FileReport(
        f"{bad}.onnx",
        FileError("E003", f"defines {bad}"),
        (finding(message=f"node {bad} is bad", node=node),),
        (Skip("XX101", node, f"because {bad}"),),
    )
    text = render_text([hostile], why=True) + render_statistics([hostile])
    assert not set(text) & {"\x1b", "\r"}
    assert "\\x1b[31m" in text


def test_long_names_stick_out_instead_of_spreading_the_table() -> None:
    """One endless name does not push every other line off the screen."""
    endless = NodeRef("n" * 500, "Conv", "", (), ())
    text = render_text([report("m", finding(node=endless), finding(message="other"))])
    assert max(len(line) for line in text.split("\n") if "nnn" not in line) < 100


def test_statistics_count_rules() -> None:
    """The most frequent first, with the rule's name; errors of files still show."""
    reports = [
        report("a", finding("UP101", name="uneven-overlap"), finding("DN201", name="fixed")),
        report("b", finding("UP101", name="uneven-overlap")),
        REPORTS[1],
    ]
    assert render_statistics(reports) == (
        "models/broken.onnx\n  E002   error\n         its bytes are no ONNX model\n\n"
        "     2  UP101  uneven-overlap\n     1  DN201  fixed\n\n"
        "3 models, 2 layers: 1 unreadable, 3 warnings\n"
    )
