"""Baselines on the command line: recorded, heeded, pruned, and what makes the exit code."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onnxstride import library
from onnxstride.engine import baseline
from onnxstride.report.formats import FORMATS, TELLS_STALE
from tests import schema
from tests.cli.running import Lint, linting

HEAD = '<ir_version: 8, opset_import: ["": 17]>\n'
UNEVEN = f"""{HEAD}
decoder (float[1,8,4,4] image) => (float[1,4,9,9] y) <float[8,4,3,3] w> {{
    ["up"] y = ConvTranspose <kernel_shape = [3,3], strides = [2,2]> (image, w)
}}"""
EVEN = UNEVEN.replace("3,3", "4,4").replace("9,9", "10,10")
BROKEN = UNEVEN.replace("strides = [2,2]", "strides = [0,2]")
ONLY = ["--select", "UP101"]


@pytest.fixture
def lint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Lint:
    """Runs the lint command, with one rule, in a folder with two models that break it."""
    run = linting({"a": UNEVEN, "b": UNEVEN}, tmp_path, monkeypatch, capsys)
    return lambda *arguments: run(*ONLY, *arguments)


def entries() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("known.json").read_text())["files"]
    return found


AT_UP = {"UP101": {"up": 1}}


class TestWriting:
    def test_what_is_found_is_recorded_and_passes(self, lint: Lint) -> None:
        """The run that records ends well, and so do those that heed the record."""
        assert lint(".").code == 1
        result = lint(".", "--write-baseline", "known.json")
        assert result.code == 0
        assert result.out == "2 models, 2 layers: nothing found, 2 ignored\n"
        assert result.err == "onnxstride: known.json: 2 findings of 2 models recorded\n"
        assert entries() == {"a.onnxtxt": AT_UP, "b.onnxtxt": AT_UP}
        result = lint(".", "--baseline", "known.json")
        assert (result.code, result.err) == (0, "")
        assert lint(".", "--baseline", "known.json", "--no-ignore").code == 1

    def test_notes_are_recorded_too(self, lint: Lint) -> None:
        """All that would be shown is."""
        lint(".", "--extend-select", "ALL", "--write-baseline", "known.json")
        result = lint(".", "--extend-select", "ALL", "--baseline", "known.json", "-q")
        assert result.out == ""

    def test_what_is_ignored_otherwise_is_not_recorded(self, lint: Lint) -> None:
        """It needs no record."""
        Path("onnxstride.toml").write_text('[per-file-ignores]\n"a.*" = ["UP101"]\n')
        lint(".", "--write-baseline", "known.json")
        assert entries() == {"b.onnxtxt": AT_UP}

    def test_it_records_anew(self, lint: Lint) -> None:
        """Whatever a configuration lets pass by the old record."""
        Path("onnxstride.toml").write_text('baseline = "known.json"\n')
        lint(".", "--isolated", "--write-baseline", "known.json")
        assert lint(".").code == 0
        Path("b.onnxtxt").write_text(EVEN)
        assert lint(".", "--write-baseline", "known.json").code == 0
        assert entries() == {"a.onnxtxt": AT_UP}

    def test_nothing_is_written_where_a_file_cannot_be_read(self, lint: Lint) -> None:
        """The record would lack what it hides; the report is as ever."""
        Path("c.onnxtxt").write_text(BROKEN)
        result = lint(".", "--write-baseline", "known.json")
        assert result.code == 2
        assert "E004" in result.out
        assert "2 warnings" in result.out
        assert result.err == "onnxstride: known.json is not written: a model could not be read\n"
        assert not Path("known.json").exists()

    def test_errors_of_files_are_in_no_baseline(self, lint: Lint) -> None:
        """They are told, and make the exit code 2, with one as without."""
        lint(".", "--write-baseline", "known.json")
        Path("a.onnxtxt").write_text(BROKEN)
        result = lint(".", "--baseline", "known.json", "--prune")
        assert result.code == 2
        assert "E004" in result.out
        assert entries() == {"a.onnxtxt": AT_UP, "b.onnxtxt": AT_UP}


class TestHeeding:
    @pytest.fixture(autouse=True)
    def known(self, lint: Lint) -> None:
        lint(".", "--write-baseline", "known.json")

    def test_a_new_finding_fails(self, lint: Lint) -> None:
        """In a new file, or under a new name."""
        os.rename("b.onnxtxt", "c.onnxtxt")
        result = lint(".", "--baseline", "known.json")
        assert result.code == 1
        assert "c.onnxtxt" in result.out
        assert "1 warning, 1 ignored" in result.out

    def test_what_is_mended_is_told_and_fails(self, lint: Lint) -> None:
        """Else the record would hide its return; --exit-zero is of the other mind."""
        Path("b.onnxtxt").write_text(EVEN)
        result = lint(".", "--baseline", "known.json")
        assert result.code == 1
        told = "known.json: UP101 at up of b.onnxtxt: 1 recorded, 0 found; --prune takes out what"
        assert told in result.out
        assert told in lint(".", "--baseline", "known.json", "-q").out
        assert told in lint(".", "--baseline", "known.json", "--statistics").out
        assert lint(".", "--baseline", "known.json", "--fail-on", "never").code == 1
        assert lint(".", "--baseline", "known.json", "--exit-zero").code == 0
        assert lint("a.onnxtxt", "--baseline", "known.json").code == 0
        assert lint(".", "--baseline", "known.json", "--no-ignore").code == 1

    @pytest.mark.parametrize("name", FORMATS)
    def test_every_run_says_why_it_fails(self, lint: Lint, name: str) -> None:
        """In the report where it has a place for that, else on standard error."""
        Path("b.onnxtxt").write_text(EVEN)
        result = lint(".", "--baseline", "known.json", "--output-format", name)
        assert result.code == 1
        place = result.out if name in TELLS_STALE else result.err
        assert "b.onnxtxt" in place
        assert "known.json" in place
        assert (result.err == "") is (name in TELLS_STALE)

    @pytest.mark.parametrize(
        ("name", "count"),
        [
            ("sarif", lambda text: len(json.loads(text)["runs"][0]["results"])),
            ("gitlab", lambda text: len(json.loads(text))),
            ("github", lambda text: text.count("::warning")),
            ("junit", lambda text: text.count("<failure")),
            ("concise", lambda text: text.count("\n")),
            ("markdown", lambda text: text.count("| warning")),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_is_ignored_is_in_no_servers_report(
        self, lint: Lint, name: str, count: Callable[[str], int]
    ) -> None:
        """Code scanning would open an alert for it."""
        arguments = [".", "--output-format", name]
        assert count(lint(*arguments).out) == 2
        assert count(lint(*arguments, "--baseline", "known.json").out) == 0

    def test_json_has_all_of_it(self, lint: Lint) -> None:
        """What is stale is an empty list where nothing is, and absent without a baseline."""
        Path("b.onnxtxt").write_text(EVEN)
        for options, expected in (
            (["--baseline", "known.json"], [("b.onnxtxt", 1, 0)]),
            (["--baseline", "known.json", "--prune"], []),
            ([], None),
        ):
            document = json.loads(lint(".", *options, "--output-format", "json").out)
            schema.validate(document)
            stale = document.get("stale_baseline")
            found = stale and [(each["file"], each["recorded"], each["found"]) for each in stale]
            assert (found if stale else stale) == expected
            assert document["summary"]["ignored"] == (1 if options else 0)

    def test_several_processes_say_the_same(self, lint: Lint) -> None:
        """To the byte."""
        Path("b.onnxtxt").write_text(EVEN)
        arguments = [".", "--baseline", "known.json", "--output-format", "json"]
        assert lint(*arguments, "--jobs", "2") == lint(*arguments)

    def test_a_configuration_names_it(self, lint: Lint) -> None:
        """By the path from its own folder; an option comes first."""
        os.mkdir("ci")
        os.mkdir("models")
        for name in ("a.onnxtxt", "b.onnxtxt"):
            os.rename(name, f"models/{name}")
        lint("models", "--write-baseline", "ci/known.json")
        Path("models/onnxstride.toml").write_text('baseline = "../ci/known.json"\n')
        assert lint("models").code == 0
        assert lint("models", "--baseline", "known.json").code == 1
        assert lint("models", "--isolated").code == 1
        os.chdir("models")
        assert lint(".").code == 0
        os.remove("../ci/known.json")
        result = lint(".")
        assert result.code == 2
        assert "known.json" in result.err

    def test_report_and_annotate_heed_that_of_a_configuration(
        self, lint: Lint, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """They show what a lint would."""
        from onnxstride.cli import main

        Path("onnxstride.toml").write_text('select = ["UP101"]\nbaseline = "known.json"\n')
        assert main(["annotate", "a.onnxtxt", "-o", "o.onnx"]) == 0
        assert capsys.readouterr().out == "o.onnx: no finding to note, 1 ignored\n"
        main(["report", "a.onnxtxt", "--html", "a.html"])
        page = Path("a.html").read_text()
        assert "1 ignored" in page
        assert "UP101" not in page

    def test_the_library_heeds_it(self, lint: Lint) -> None:
        """That of an argument, or of the configuration; what is stale makes the report no good."""
        chosen: dict[str, Any] = {"select": "UP101"}
        report = library.lint(".", baseline="known.json", **chosen)
        assert report
        assert len(report.ignored) == 2
        assert report.stale == ()
        assert lint(".", "--baseline", "known.json", "--output-format", "json").out == (
            report.as_json()
        )
        Path("onnxstride.toml").write_text('baseline = "known.json"\n')
        assert library.lint(".", **chosen) == report
        assert not library.lint(".", heed_ignores=False, **chosen)
        assert not library.lint(Path("a.onnxtxt").read_bytes(), **chosen)
        Path("b.onnxtxt").write_text(EVEN)
        mended = library.lint(".", **chosen)
        assert [each.place.file for each in mended.stale or ()] == ["b.onnxtxt"]
        assert not mended.passes("never")
        assert lint(".").out == mended.as_text(width=100)


class TestPruning:
    @pytest.fixture(autouse=True)
    def known(self, lint: Lint) -> None:
        lint(".", "--write-baseline", "known.json")

    def test_what_is_mended_is_taken_out(self, lint: Lint) -> None:
        """And the run is good."""
        Path("b.onnxtxt").write_text(EVEN)
        result = lint(".", "--baseline", "known.json", "--prune")
        assert (result.code, result.err) == (0, "onnxstride: known.json: 1 entry pruned\n")
        assert entries() == {"a.onnxtxt": AT_UP}
        assert lint(".", "--baseline", "known.json").code == 0

    def test_a_part_of_the_files_prunes_a_part(self, lint: Lint) -> None:
        """What was not linted stays, and so does the file where nothing is to be done."""
        Path("b.onnxtxt").write_text(EVEN)
        before = os.stat("known.json")
        result = lint("a.onnxtxt", "--baseline", "known.json", "--prune")
        assert (result.code, result.err) == (0, "onnxstride: known.json: nothing to prune\n")
        assert os.stat("known.json") == before
        lint("b.onnxtxt", "--select", "DN", "--baseline", "known.json", "--prune")
        assert lint("b.onnxtxt", "--baseline", "known.json", "--prune").code == 0
        assert entries() == {"a.onnxtxt": AT_UP}

    def test_nothing_is_added(self, lint: Lint) -> None:
        """A new finding stays new."""
        Path("c.onnxtxt").write_text(UNEVEN)
        os.remove("b.onnxtxt")
        result = lint(".", "--baseline", "known.json", "--prune")
        assert result.code == 1
        assert entries() == {"a.onnxtxt": AT_UP}

    def test_a_change_meanwhile_is_not_lost(
        self, lint: Lint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run ends with 2, and what was written is there."""
        Path("b.onnxtxt").write_text(EVEN)
        written = Path("known.json").read_text().replace(": 1", ": 7")
        original = baseline.settle

        def settled_meanwhile(*arguments: Any) -> Any:
            Path("known.json").write_text(written)
            return original(*arguments)

        monkeypatch.setattr(baseline, "settle", settled_meanwhile)
        result = lint(".", "--baseline", "known.json", "--prune")
        assert (result.code, result.out) == (2, "")
        assert "has changed while" in result.err
        assert Path("known.json").read_text() == written

    def test_it_is_replaced_in_one_step(self, lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run that dies while it writes leaves the record as it was."""
        Path("b.onnxtxt").write_text(EVEN)
        before = Path("known.json").read_bytes()

        def dies(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", dies)
        result = lint(".", "--baseline", "known.json", "--prune")
        assert result.code == 2
        assert Path("known.json").read_bytes() == before
        assert sorted(os.listdir()) == ["a.onnxtxt", "b.onnxtxt", "known.json"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--baseline", "k.json", "--write-baseline", "k.json"], "give one"),
        (["--no-ignore", "--write-baseline", "k.json"], "--no-ignore heeds no baseline"),
        (["--no-ignore", "--prune"], "--no-ignore heeds no baseline"),
        (["--write-baseline", "k.json", "--prune"], "nothing to --prune"),
        (["--prune"], "add --baseline FILE"),
        (["--baseline", "k.json"], "baseline 'k.json' cannot be read"),
        (["--write-baseline", "a.onnxtxt"], "is one of the models"),
        (["--write-baseline", "new.onnx"], "is a name for a model"),
        (["-", "--write-baseline", "k.json"], "standard input is none"),
        (["--write-baseline", "k", "--output-file", "k"], "a file that a report goes to"),
        (["--write-baseline", "k", "--also", "json=./k"], "a file that a report goes to"),
        (["--baseline", "k", "--also", "json=k"], "a file that a report goes to"),
        (["--write-baseline", "no/k.json"], "no/k.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_refused(lint: Lint, options: list[str], told: str) -> None:
    """On one line; nothing is written, and nothing is printed as if it were a report."""
    result = lint(".", *options)
    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert result.err.count("\n") == 1
    assert sorted(os.listdir()) == ["a.onnxtxt", "b.onnxtxt"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--why", "--output-format", "sarif"], "--why is for text and json"),
        (["-q", "--output-format", "json"], "--quiet is for text"),
        (["--statistics", "--output-format", "jsonl"], "--statistics is for text"),
        (["--statistics", "--why"], "--statistics lists nothing"),
        (["--statistics", "-q"], "--statistics lists nothing"),
        (["--why", "--output-format", "sarif", "--also", "json=a.json"], None),
        (["-q", "--output-format", "sarif", "--also", "text=a.txt"], None),
        (["--statistics", "--why", "--also", "json=a.json"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_that_no_report_has_a_place_for_is_refused(
    lint: Lint, options: list[str], told: str | None
) -> None:
    """One of several reports is enough."""
    result = lint(".", *options)
    assert result.code == (1 if told is None else 2)
    if told is not None:
        assert told in result.err
        assert result.out == ""


def test_every_option_is_explained(lint: Lint) -> None:
    """The four of them, by what they do."""
    told = " ".join(lint("--help").out.split())
    for option in ("--no-ignore", "--baseline FILE", "--write-baseline FILE", "--prune"):
        assert option in told
