"""The rules and explain commands show what rule modules say, in each format."""

import json

import pytest

from onnxstride.cli import main
from onnxstride.registry import load_rules

RULES = load_rules()


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_every_rule_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """One entry each, in order, within the terminal's width."""
    assert main(["rules"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:5] for line in lines if line[:5].strip()] == [rule.code for rule in RULES]
    assert all(len(line) <= 80 for line in lines)


def test_rules_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Codes, names, severities and documentation for programs."""
    assert main(["rules", "--output-format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [rule["code"] for rule in document["rules"]] == [rule.code for rule in RULES]
    assert document["rules"][0]["documentation"] == RULES[0].documentation


def test_rules_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    """A table with a row for each rule."""
    assert main(["rules", "--output-format", "markdown"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[2] for row in rows] == [rule.name for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
@pytest.mark.parametrize("output_format", ["text", "markdown", "json"])
def test_every_rule_explains_itself_in_full(
    rule: object, output_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No word of the documentation and no example is lost in any format."""
    loaded = next(each for each in RULES if each is rule)
    assert main(["explain", loaded.name, "--output-format", output_format]) == 0
    out = capsys.readouterr().out
    if output_format == "json":
        out = "\n".join(_strings(json.loads(out)))
    assert _is_subsequence(loaded.documentation.split(), out.split())
    for label, model in {**loaded.bad, **loaded.good}.items():
        assert label in out
        assert all(line.strip() in out for line in model.splitlines())


def test_paragraphs_fill_the_width(capsys: pytest.CaptureFixture[str]) -> None:
    """Text is wrapped at the terminal's width, under its heading."""
    assert main(["explain", "UP101"]) == 0
    prose = capsys.readouterr().out.partition("\nFlagged\n")[0].splitlines()
    assert max(map(len, prose)) in range(70, 81)
    assert "What is flagged" in prose
    assert prose[prose.index("What is flagged") + 1].startswith("    ")


def test_an_unknown_rule_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest code or name is offered."""
    assert main(["explain", "UP110"]) == 2
    assert "did you mean 'UP10" in capsys.readouterr().err


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (str(key), *_strings(item))]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [str(value)]


def _is_subsequence(words: list[str], text: list[str]) -> bool:
    remaining = iter(text)
    return all(any(word == other.lstrip("#") for other in remaining) for word in words)
