"""A baseline lets known findings pass, shows new ones, and tells what is gone."""

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxstride.engine.baseline import (
    Baseline,
    name_in,
    pruned,
    read_baseline,
    recorded,
    refuse_changed,
    settle,
    spelled,
)
from onnxstride.engine.results import UNJUDGED, FileError, FileReport, Place, Stale
from onnxstride.errors import UsageError
from onnxstride.rule import Finding, NodeRef, Skip
from tests.planting import finding, report
from tests.report.hostile import FINDINGS, law

_jsonschema: Any = import_module("jsonschema")  # it ships no types
SCHEMA = json.loads(
    (Path(__file__).parents[2] / "onnxstride/schemas/baseline.schema.json").read_text()
)
CODES = frozenset({"XX101", "XX102"})


def at(name: str) -> NodeRef:
    return NodeRef(name, "Conv", "", ("f.body",), (f"{name}_out",))


def linted(path: str, *findings: Finding) -> FileReport:
    """A file that all rules were asked about."""
    return report(path, *findings)._replace(ran=CODES)


def baseline(path: str = "b.json", **counts: int) -> Baseline:
    """So many findings of XX101 at nodes of m.onnx."""
    places = {Place("m.onnx", "XX101", f"f.body > {node}"): n for node, n in counts.items()}
    return Baseline(path, places)


def shown(reports: FileReport, known: Baseline | None) -> int:
    """How many findings are left."""
    [settled] = settle([reports], [known]).reports
    assert len(settled.findings) + len(settled.ignored) == len(reports.findings)
    return len(settled.findings)


def stale(reports: FileReport, known: Baseline) -> dict[str, tuple[int, int]]:
    """What is recorded and found of each stale entry, by node."""
    found = settle([reports], [known]).stale
    return {each.place.node[9:]: (each.recorded, each.found) for each in found}


UP = finding(node=at("up"))


class TestPassing:
    @pytest.mark.parametrize(
        ("found", "recorded", "shown_"),
        [(0, 1, 0), (1, 1, 0), (1, 2, 0), (2, 2, 0), (2, 1, 2), (3, 2, 3)],
    )
    def test_as_many_as_are_recorded_pass(self, found: int, recorded: int, shown_: int) -> None:
        """With one more, all are shown: which one is new cannot be told."""
        assert shown(linted("m.onnx", *[UP] * found), baseline(up=recorded)) == shown_

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(linted("n.onnx", UP), id="another file"),
            pytest.param(linted("sub/m.onnx", UP), id="another folder"),
            pytest.param(linted("m.onnx", finding("XX102", node=at("up"))), id="another rule"),
            pytest.param(linted("m.onnx", finding(node=at("up2"))), id="another node"),
            pytest.param(
                linted("m.onnx", finding(node=NodeRef("up", "Conv", "", (), ()))),
                id="a node of that name elsewhere",
            ),
        ],
    )
    def test_what_is_not_recorded_is_shown(self, other: FileReport) -> None:
        """A record is about a rule at a node of a file."""
        assert shown(other, baseline(up=5)) == 1

    def test_it_says_what_lets_a_finding_pass(self) -> None:
        """After those that were ignored otherwise."""
        first = settle([linted("m.onnx", UP)], [baseline(up=1)]).reports[0]
        [ignored] = first.ignored
        assert ignored.finding == UP
        assert (ignored.ignore.by, ignored.ignore.where) == ("baseline", "b.json")

    def test_each_file_has_its_own(self) -> None:
        """Or none."""
        reports = [linted("m.onnx", UP), linted("m.onnx", UP)]
        settled = settle(reports, [None, baseline(up=1)]).reports
        assert [len(each.findings) for each in settled] == [1, 0]


class TestStale:
    def test_what_is_found_less_often_is_told(self) -> None:
        """What is missing could come back unseen."""
        known = baseline(up=2, down=1, left=1)
        found = linted("m.onnx", UP, finding(node=at("left")))
        assert stale(found, known) == {"up": (2, 1), "down": (1, 0)}

    @pytest.mark.parametrize(
        "unknown",
        [
            pytest.param(linted("n.onnx"), id="the file was not linted"),
            pytest.param(report("m.onnx"), id="the rule did not run"),
            pytest.param(
                linted("m.onnx")._replace(error=FileError("E005", "short")), id="not read in whole"
            ),
            pytest.param(
                linted("m.onnx")._replace(skips=(Skip("XX101", at("up"), "?"),)), id="not judged"
            ),
            pytest.param(
                linted("m.onnx")._replace(skips=(Skip(UNJUDGED, at("up"), "?"),)), id="unknown"
            ),
        ],
    )
    def test_what_cannot_be_told_is_not(self, unknown: FileReport) -> None:
        """It is neither gone nor there."""
        assert stale(unknown, baseline(up=1)) == {}

    def test_more_than_recorded_is_not_stale(self) -> None:
        """It is shown instead."""
        assert stale(linted("m.onnx", UP, UP), baseline(up=1)) == {}


class TestPruning:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("m.onnx", "n.onnx"):
            Path(name).touch()

    def test_what_is_stale_goes_and_nothing_comes(self) -> None:
        """Counts sink to what was found; findings beyond the record are not added."""
        known = baseline(up=3, down=1, left=1)
        more = [finding(node=at("left")), finding(node=at("left")), finding(node=at("new"))]
        found = linted("m.onnx", UP, *more)
        left = pruned(known, settle([found], [known]).stale)
        assert left.counts == baseline(up=1, left=1).counts

    def test_what_was_not_linted_stays(self) -> None:
        """Files that are there, and what other baselines say."""
        other = Place("n.onnx", "XX101", "up")
        known = Baseline("b.json", {other: 1, **baseline(up=1).counts})
        assert pruned(known, settle([linted("m.onnx")], [known]).stale).counts == {other: 1}
        elsewhere = Stale("c.json", other, 1, 0)
        assert pruned(known, [elsewhere]).counts == known.counts

    def test_files_that_are_gone_go(self) -> None:
        """Nothing could tell about them any more, wherever the command is run."""
        known = Baseline("b.json", {Place("old.onnx", "XX101", "up"): 1, **baseline(up=1).counts})
        assert pruned(known, []).counts == baseline(up=1).counts
        os.mkdir("sub")
        os.chdir("sub")
        below = Baseline("../b.json", known.counts)
        assert pruned(below, []).counts == baseline(up=1).counts

    def test_what_another_has_written_meanwhile_is_not_lost(self) -> None:
        """The file has to be what was read."""
        Path("b.json").write_text(spelled(baseline(up=1)))
        known = read_baseline("b.json")
        refuse_changed(known)
        Path("b.json").write_text(spelled(baseline(up=2)))
        with pytest.raises(UsageError, match="has changed while"):
            refuse_changed(known)


class TestNames:
    """How a baseline names files."""

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            pytest.param("m.onnx", "m.onnx", id="beside"),
            pytest.param("./x/../m.onnx", "m.onnx", id="steps are taken"),
            pytest.param("x/y/m.onnx", "x/y/m.onnx", id="below"),
            pytest.param("../m.onnx", "../m.onnx", id="above"),
            pytest.param("..m.onnx", "..m.onnx", id="a name with dots"),
        ],
    )
    def test_they_are_relative(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, expected: str
    ) -> None:
        """To the folder of the baseline, however both are spelled."""
        monkeypatch.chdir(tmp_path)
        for base in ("b.json", "./b.json", str(tmp_path / "b.json")):
            for model in (path, str(tmp_path / path)):
                assert name_in(base, model) == expected

    def test_a_folder_may_move(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the baseline in it: what is recorded still passes."""
        before, after = tmp_path / "before", tmp_path / "after"
        before.mkdir()
        known = recorded(str(before / "b.json"), [linted(str(before / "x/m.onnx"), UP)])
        before.rename(after)
        moved = Baseline(str(after / "b.json"), known.counts)
        assert shown(linted(str(after / "x/m.onnx"), UP), moved) == 0
        monkeypatch.chdir(after)
        assert shown(linted("x/m.onnx", UP), Baseline("b.json", known.counts)) == 0

    def test_a_checkout_reached_through_a_link_is_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And a model that is a link keeps its own name."""
        (tmp_path / "real").mkdir()
        (tmp_path / "store").touch()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        (tmp_path / "real" / "m.onnx").symlink_to(tmp_path / "store")
        monkeypatch.chdir(tmp_path / "real")
        assert name_in("b.json", str(tmp_path / "link" / "m.onnx")) == "m.onnx"
        assert name_in(str(tmp_path / "link" / "b.json"), "m.onnx") == "m.onnx"

    def test_a_renamed_file_is_a_new_one(self) -> None:
        """Its findings are shown; what was recorded of the old name tells nothing."""
        known = baseline(up=1)
        assert shown(linted("renamed.onnx", UP), known) == 1
        assert stale(linted("renamed.onnx", UP), known) == {}


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)  # a hole


class TestTheFile:
    def test_the_schema_is_itself_valid(self) -> None:
        """The shipped file is a JSON Schema of the draft it names."""
        _jsonschema.Draft202012Validator.check_schema(SCHEMA)

    @law
    @given(st.lists(FINDINGS, max_size=6))
    def test_what_is_written_is_read(
        self, tmp_path_factory: pytest.TempPathFactory, found: list[Finding]
    ) -> None:
        """Whatever names nodes have; and it lets all pass, with nothing stale."""
        path = tmp_path_factory.mktemp("b") / "b.json"
        known = recorded(str(path), [linted(str(path.with_name("m.onnx")), *found)])
        path.write_text(spelled(known))
        back = read_baseline(str(path))
        assert back.counts == known.counts
        settled = settle([linted(str(path.with_name("m.onnx")), *found)], [back])
        assert settled.reports[0].findings == ()
        assert settled.stale == ()
        _jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(path.read_text()))

    def test_it_is_sorted_and_plain(self) -> None:
        """So that two versions compare line by line; errors of files are not in it."""
        broken = FileReport("b.onnx", FileError("E001", "gone"))
        reports = [linted("m.onnx", finding("XX102", node=at("b")), UP, UP), broken]
        assert spelled(recorded("b.json", reports)) == (
            '{\n  "schema_version": "1",\n  "files": {\n    "m.onnx": {\n'
            '      "XX101": {\n        "f.body > up": 2\n      },\n'
            '      "XX102": {\n        "f.body > b": 1\n      }\n    }\n  }\n}\n'
        )

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            pytest.param('{"schema_version": "1",\n}', "b.json:2:1: ", id="no JSON"),
            pytest.param("<<<<<<< HEAD\n{}", "b.json:1:1: ", id="a merge left undone"),
            pytest.param("", "b.json:1:1: ", id="nothing"),
            pytest.param("[]", "expected an object, found a list", id="a list"),
            pytest.param("[" * 100_000, "expected JSON", id="deep"),
            pytest.param("{}", "schema_version and files", id="empty"),
            pytest.param('{"schema_version": "1", "schema_version": "1"}', "twice", id="twice"),
            pytest.param('{"schema_version": "2", "files": {}}', '"1", found a text', id="newer"),
            pytest.param(
                '{"schema_version": "1", "files": {}, "secret": 1}', "nothing else", id="more"
            ),
            pytest.param('{"schema_version": "1", "files": []}', "at files", id="no files"),
            pytest.param(
                '{"schema_version": "1", "files": {"m": 1}}', "at files, 'm'", id="no codes"
            ),
            pytest.param(
                '{"schema_version": "1", "files": {"m": {"E005": {"": 1}}}}',
                "codes of rules",
                id="the error of a file",
            ),
            *(
                pytest.param(
                    f'{{"schema_version": "1", "files": {{"m": {{"UP101": {{"n": {count}}}}}}}}}',
                    "a count from 1 on",
                    id=count,
                )
                for count in ("0", "-1", "1.0", "true", '"1"', "null")
            ),
            pytest.param("9" * 50_000, "expected JSON", id="a number beyond bounds"),
        ],
    )
    def test_what_is_no_baseline_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
    ) -> None:
        """With the place, and without quoting what may be somebody's secret."""
        monkeypatch.chdir(tmp_path)
        Path("b.json").write_text(text)
        with pytest.raises(UsageError) as caught:
            read_baseline("b.json")
        assert told in str(caught.value)
        assert "secret" not in str(caught.value)
        assert len(str(caught.value)) < 300

    @pytest.mark.parametrize(
        ("make", "told"),
        [
            pytest.param(lambda path: None, "cannot be read", id="missing"),
            pytest.param(Path.mkdir, "no regular file", id="a folder"),
            pytest.param(os.mkfifo, "no regular file", id="a pipe"),
            pytest.param(lambda path: path.symlink_to("/dev/zero"), "no regular", id="a device"),
            pytest.param(lambda path: path.write_bytes(b"\xff"), "UTF-8", id="no text"),
            pytest.param(_huge, "bytes", id="huge"),
        ],
    )
    def test_what_cannot_be_read_is_refused(
        self, tmp_path: Path, make: Callable[[Path], object], told: str
    ) -> None:
        """Without waiting for it, or reading it all: a configuration may name any file."""
        make(tmp_path / "b.json")
        with pytest.raises(UsageError, match=told):
            read_baseline(str(tmp_path / "b.json"))
