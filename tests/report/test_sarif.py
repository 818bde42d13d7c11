"""SARIF is what the standard describes and what code scanning takes."""

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given

from onnxstride.engine.results import FileError, FileReport
from onnxstride.report import sarif
from onnxstride.report.cards import RuleCard
from onnxstride.report.sarif import render_sarif
from onnxstride.rule import Severity
from tests.planting import finding, report
from tests.report.hostile import RUNS, law
from tests.report.samples import CARDS, REPORTS
from tests.report.sarif_checker import check

FAKE_CARDS = [
    RuleCard(code, "planted", "note", "Planted.", "Planted.", "Planted.")
    for code in ("XX101", "XX102", "E001")
]


def run_of(*reports: FileReport, cards: Sequence[RuleCard] = FAKE_CARDS) -> Any:
    """The one run of the document, held to the standard."""
    document = json.loads(render_sarif(reports, cards, root="."))
    check(document)
    (run,) = document["runs"]
    return run


def sample() -> Any:
    """The document of the sample run."""
    return json.loads(render_sarif(REPORTS, CARDS, root="."))


def test_the_sample_keeps_to_the_standard() -> None:
    """By the classes made from its schema, by types, and by GitHub's list."""
    check(sample())


def _in_results(change: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda document: change(document["runs"][0]["results"][0])


def _in_rules(change: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda document: change(document["runs"][0]["tool"]["driver"]["rules"][0])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda doc: doc.update(extra=1), id="a property no document has"),
        pytest.param(lambda doc: doc.update(version="2.0.0"), id="another version"),
        pytest.param(_in_results(lambda it: it.update(node="x")), id="one no result has"),
        pytest.param(_in_results(lambda it: it.pop("message")), id="no message"),
        pytest.param(_in_results(lambda it: it["message"].update(text=1)), id="text is a number"),
        pytest.param(_in_results(lambda it: it["message"].update(text="")), id="empty text"),
        pytest.param(_in_results(lambda it: it.update(level="bad")), id="unknown level"),
        pytest.param(_in_results(lambda it: it.update(ruleIndex=0)), id="index of another rule"),
        pytest.param(_in_results(lambda it: it.pop("partialFingerprints")), id="no fingerprint"),
        pytest.param(
            lambda doc: doc["runs"][0]["results"].append(doc["runs"][0]["results"][0]),
            id="a fingerprint twice",
        ),
        pytest.param(
            _in_results(
                lambda it: it["locations"][0]["physicalLocation"]["artifactLocation"].update(
                    uri="file:///home/m.onnx"
                )
            ),
            id="an absolute address",
        ),
        pytest.param(
            _in_results(
                lambda it: it["locations"][0]["physicalLocation"]["artifactLocation"].update(
                    uri="a b"
                )
            ),
            id="no address",
        ),
        pytest.param(_in_rules(lambda it: it.pop("id")), id="a rule without its code"),
        pytest.param(_in_rules(lambda it: it.update(helpText="x")), id="one no rule has"),
        pytest.param(
            _in_rules(lambda it: it["fullDescription"].update(text="x" * 1025)), id="too long"
        ),
        pytest.param(
            lambda doc: doc["runs"][0]["invocations"][0].pop("executionSuccessful"),
            id="no word of success",
        ),
        pytest.param(
            lambda doc: doc["runs"][0]["invocations"][0]["toolExecutionNotifications"][0].update(
                level="fatal"
            ),
            id="unknown level of a notification",
        ),
    ],
)
def test_other_documents_are_refused(change: Callable[[Any], object]) -> None:
    """Each departure is one the checker notices."""
    document = copy.deepcopy(sample())
    change(document)
    with pytest.raises((TypeError, ValueError, KeyError, AssertionError)):
        check(document)


def test_an_unreadable_file_is_a_result_and_the_run_did_not_succeed() -> None:
    """Viewers show results only; programs ask whether the run succeeded."""
    run = run_of(FileReport("m.onnx", FileError("E001", "no such file")))
    assert [result["ruleId"] for result in run["results"]] == ["E001"]
    assert run["results"][0]["level"] == "error"
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    (told,) = invocation["toolExecutionNotifications"]
    assert told["message"]["text"] == "E001 no such file"
    assert run_of(report())["invocations"][0]["executionSuccessful"] is True


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        pytest.param("/repository/models/a.onnx", "models/a.onnx", id="in the repository"),
        pytest.param("/repository/a b#c?.onnx", "a%20b%23c%3F.onnx", id="letters of addresses"),
        pytest.param("/repository/100%.onnx", "100%25.onnx", id="a percent sign"),
        pytest.param("/repository/a:b.onnx", "a%3Ab.onnx", id="no scheme"),
        pytest.param("/repository/モデル.onnx", "%E3%83%A2%E3%83%87%E3%83%AB.onnx", id="UTF-8"),
        pytest.param("/repository/\udce9.onnx", "%E9.onnx", id="bytes that are no text"),
        pytest.param("/repository/\ud800.onnx", "%ED%A0%80.onnx", id="half a character"),
        pytest.param("/elsewhere/a.onnx", "../elsewhere/a.onnx", id="outside"),
    ],
)
def test_files_are_named_from_the_top_of_the_repository(path: str, uri: str) -> None:
    """As references by RFC 3986, for artifacts and for results."""
    document = json.loads(render_sarif([report(path, finding())], FAKE_CARDS, root="/repository"))
    check(document)
    (run,) = document["runs"]
    assert [artifact["location"]["uri"] for artifact in run["artifacts"]] == [uri]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == uri


def test_a_finding_may_be_worse_than_its_rule() -> None:
    """The level is the finding's, the rule keeps its own."""
    run = run_of(report("m", finding(severity=Severity.ERROR)))
    assert run["results"][0]["level"] == "error"
    assert run["tool"]["driver"]["rules"][0]["defaultConfiguration"]["level"] == "note"


def test_long_texts_are_cut_where_github_has_a_limit() -> None:
    """Descriptions, not the help."""
    card = RuleCard("XX101", "planted", "note", "s" * 2000, "d " * 2000, "m" * 2000)
    (rule,) = run_of(cards=[card])["tool"]["driver"]["rules"]
    assert [len(rule[key]["text"]) for key in ("shortDescription", "fullDescription")] == [1024] * 2
    assert rule["help"] == {"text": "d " * 2000, "markdown": "m" * 2000}


def test_results_beyond_the_limit_are_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worst are kept, for GitHub refuses the whole run otherwise."""
    monkeypatch.setattr(sarif, "_MOST_RESULTS", 2)
    notes = [finding("XX101", severity=Severity.NOTE) for _ in range(3)]
    run = run_of(report("m", *notes, finding("XX102")))
    assert [result["ruleId"] for result in run["results"]] == ["XX102", "XX101"]
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert told["message"]["text"].startswith("2 results are left out")


def test_empty_texts_in_figures_are_null() -> None:
    """GitHub refuses empty texts, wherever they are."""
    run = run_of(report("m", finding(names=["", "a"], deep={"x": ""})))
    data = run["results"][0]["properties"]["data"]
    assert data == {"names": [None, "a"], "deep": {"x": None}}


def test_an_upload_may_choose_the_category() -> None:
    """GitHub's action sets automationDetails only where a run has none."""
    assert "automationDetails" not in sample()["runs"][0]


@law
@given(RUNS)
def test_hostile_names_stay_text(reports: list[FileReport]) -> None:
    """The document keeps to the standard, is ASCII, and holds each finding once."""
    text = render_sarif(reports, FAKE_CARDS, root=".")
    document = json.loads(text)
    check(document)
    assert text.isascii()
    text.encode().decode()
    json.dumps(document, ensure_ascii=False).encode()  # no half characters
    expected = sum(len(each.findings) + (each.error is not None) for each in reports)
    assert len(document["runs"][0]["results"]) == expected
