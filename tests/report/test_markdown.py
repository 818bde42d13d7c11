"""The summary is a table to GitHub's own parser, whatever is in the cells."""

from html.parser import HTMLParser
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given

from onnxstride.engine.results import FileError, FileReport
from onnxstride.report import entries, markdown
from onnxstride.report.markdown import escaped, render_markdown
from onnxstride.report.terminal import printable
from onnxstride.rule import NodeRef, Severity
from tests.planting import CONV, finding, report
from tests.report.hostile import RUNS, TEXT, law
from tests.report.test_probe import answer, output, probed

_cmarkgfm: Any = import_module("cmarkgfm")  # GitHub's parser; it ships no types
_UNSAFE: int = import_module("cmarkgfm.cmark").Options.CMARK_OPT_UNSAFE

_TABLE = {"table", "thead", "tbody", "tr", "th", "td", "code"}


class Page(HTMLParser):
    """The elements of a page, the cells of its table by row, and the text outside of code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.loose = ""
        self._open: list[str] = []
        # What is taken for markup passes through to where it can be seen.
        self.feed(_cmarkgfm.github_flavored_markdown_to_html(text, _UNSAFE))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_comment(self, data: str) -> None:
        self.tags.append("a comment")

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data
        if "code" not in self._open:
            self.loose += data


def test_the_counts_come_first_and_the_worst_rows_before_others() -> None:
    """What could not be read stands above all findings."""
    page = Page(
        render_markdown(
            [
                report("a", finding(severity=Severity.NOTE), finding("XX102")),
                FileReport("b", FileError("E001", "no such file")),
            ]
        )
    )
    assert "2 models, 1 layer: 1 unreadable, 1 warning, 1 note" in page.loose.split("\n")
    assert page.rows == [
        ["severity", "rule", "model", "node", "finding"],
        ["error", "E001 unreadable", "b", "", "no such file"],
        ["warning", "XX102 planted", "a", "conv", "planted here"],
        ["note", "XX101 planted", "a", "conv", "planted here"],
    ]


def test_a_clean_run_has_no_table() -> None:
    """It still says how much was looked at."""
    page = Page(render_markdown([report("a")]))
    assert page.tags == ["h2", "p"]
    assert "1 model, 1 layer: nothing found" in page.loose


def test_rows_beyond_the_limit_are_counted() -> None:
    """GitHub takes a page of 1 MiB, so the worst are kept and all cells bounded."""
    long = NodeRef("\U0001f6d1" * 5000, "Conv", "", ("入" * 5000,), ())
    many = [finding(node=long, message="| 入" * 5000) for _ in range(300)]
    text = render_markdown([report("入" * 5000, *many)])
    assert len(text.encode()) < 2**20
    assert len(Page(text).rows) == 201
    assert text.endswith("\n100 more are not listed.\n")


def test_what_a_probe_saw_stands_below() -> None:
    """As the text report has it, in a block of its own for each model."""
    seen = probed(output("y", answer("grey", 0.002)), output("```\n# x", problem="```"))
    page = Page(render_markdown([report("a.onnx")._replace(probed=seen), report("b.onnx")]))
    assert page.tags == ["h2", "p", "h3", "p", "code", "pre", "code"]
    assert "0.255/255" not in page.loose


def assert_faithful(reports: list[FileReport]) -> None:
    """One row a finding and five cells a row, each with its text and nothing else."""
    page = Page(render_markdown(reports))
    found = entries.worst_first(entries.flat(entries.entries(reports)))
    assert set(page.tags) <= _TABLE | {"h2", "p"}
    assert [len(row) for row in page.rows] == [5] * (len(found) + bool(found))
    for row, entry in zip(page.rows[1:], found, strict=True):
        told = (printable(entry.path), entry.where, entry.message)
        assert [cell.split() for cell in row[2:]] == [text.split() for text in told]
    assert_dead(page.loose)


def assert_dead(text: str) -> None:
    """Nothing outside of code is a mention, a reference or an address."""
    for sign in ("@", "#1", "://", "www.", ":+1"):
        assert sign not in text


@law
@given(RUNS)
def test_hostile_names_stay_text(reports: list[FileReport]) -> None:
    """Pipes, markup, elements, entities, links, mentions and fences in names change nothing."""
    assert_faithful(reports)


@law
@given(TEXT)
def test_escaped_text_is_read_as_it_is(text: str) -> None:
    """In a heading as in a cell; pipes in code are for cells."""
    page = Page(f"# x{escaped(text)}x\n")
    assert set(page.tags) <= {"h1", "code"}
    if "|" not in text:
        shown = f"x{printable(text)}x\n"
        assert "".join(Page(f"|a|\n|-|\n|x{escaped(text)}x|\n").rows[1]) == shown.strip()


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param("a|b", id="pipe"),
        pytest.param("a\\|b", id="backslash and pipe"),
        pytest.param("<b>x</b>", id="element"),
        pytest.param("&lt;", id="entity"),
        pytest.param("*a*", id="emphasis"),
        pytest.param("[a](b)", id="link"),
        pytest.param("![a](b)", id="picture"),
        pytest.param("http://a.b", id="address"),
        pytest.param("@octocat", id="mention"),
        pytest.param("`", id="backtick"),
    ],
)
def test_without_escapes_it_would_not(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    """The law above is red for each kind of markup that is passed on."""
    hostile = [report("m", finding(message=f"{bad} and `"), finding(node=CONV))]
    assert_faithful(hostile)
    monkeypatch.setattr(markdown, "escaped", str)
    with pytest.raises(AssertionError):
        assert_faithful(hostile)
