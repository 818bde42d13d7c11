"""The explain command leaves out nothing that a user of a rule or a rewrite would look for."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from onnxstride.cli import main
from onnxstride.engine.examples import messages_of
from onnxstride.explain import explain
from onnxstride.registry import LoadedRewrite, LoadedRule, load_rewrites, load_rules
from onnxstride.rule import Safety
from tests.planting import rule_source, write_files
from tests.rules.laws import HEADINGS

_cmarkgfm: Any = import_module("cmarkgfm")  # GitHub's parser; it ships no types

RULES, REWRITES = load_rules(), load_rewrites()
EVERYTHING: Sequence[LoadedRule | LoadedRewrite] = (*RULES, *REWRITES)
OF_REWRITES = {
    Safety.EXACT: ("What it does", "When it is exact", "What it refuses", "References"),
    Safety.APPROXIMATE: ("What it does", "What it costs", "What it refuses", "References"),
    Safety.TRAINING: ("What it does", "What it costs", "What it refuses", "References"),
}

each = pytest.mark.parametrize("loaded", EVERYTHING, ids=lambda loaded: loaded.name)


def sections(loaded: LoadedRule | LoadedRewrite) -> tuple[str, ...]:
    """The headings of an explanation, in order."""
    if isinstance(loaded, LoadedRule):
        return (*HEADINGS, "Remedies", "Flagged", "Left alone")
    return (*OF_REWRITES[loaded.rewrite.safety], "How to apply it", "Rewritten", "Refused")


def messages(loaded: LoadedRule | LoadedRewrite) -> Mapping[str, Sequence[str]]:
    return messages_of(loaded) if isinstance(loaded, LoadedRule) else {}


def explained(loaded: LoadedRule | LoadedRewrite, output_format: str) -> str:
    return explain(loaded, output_format, width=100, messages=messages(loaded))


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


@each
def test_every_section_stands_in_the_text(loaded: LoadedRule | LoadedRewrite) -> None:
    """At the margin, in order, each with something under it; the first line says the standing."""
    first, _, rest = explained(loaded, "text").partition("\n\n")
    kind = loaded.rule.severity if isinstance(loaded, LoadedRule) else loaded.rewrite.safety
    assert first.endswith(f"{loaded.name} ({kind})")
    lines = rest.splitlines()
    margin = [line for line in lines if line and not line.startswith(" ")]
    assert tuple(margin) == (loaded.summary, *sections(loaded))
    for heading in sections(loaded):
        assert lines[lines.index(heading) + 1].startswith("    "), heading


@each
def test_markdown_reads_as_meant(loaded: LoadedRule | LoadedRewrite) -> None:
    """Rendered, each section is a heading, each example code, and formulas are not taken for marks.

    Emphasis is where somebody wrote it: around a word or words, not between two products.
    """
    page = _cmarkgfm.github_flavored_markdown_to_html(explained(loaded, "markdown"))
    assert tuple(re.findall(r"<h2>(.*?)</h2>", page)) == sections(loaded)
    examples = model_examples(loaded)
    assert page.count("<pre") == len(examples) + page.count("<code>onnxstride rewrite MODEL")
    meant = re.findall(r"(?<!\S)\*[A-Z]\w+\*(?!\w)", loaded.documentation)
    assert (page.count("<em>"), page.count("<strong>")) == (len(meant), 0)
    seen = words(html.unescape(re.sub(r"<[^>]+>", " ", page)))
    told = [*words(loaded.documentation), *(word for text in examples for word in words(text))]
    assert [word for word in told if word not in set(seen)] == []


def model_examples(loaded: LoadedRule | LoadedRewrite) -> list[str]:
    if isinstance(loaded, LoadedRule):
        return [*loaded.bad.values(), *loaded.good.values()]
    return [*loaded.examples.values(), *loaded.refused.values()]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_json_of_a_rule(rule: LoadedRule) -> None:
    """What is flagged, why, the fix, when not, where from: each on its own, for programs."""
    told = json.loads(explained(rule, "json"))["rule"]
    assert (told["code"], told["name"], told["severity"], told["summary"]) == (
        rule.code, rule.name, rule.rule.severity, rule.summary
    )  # fmt: skip
    assert tuple(told["sections"]) == HEADINGS
    assert told["layers"] == [kind.__name__ for kind in rule.rule.on]
    assert told["remedies"] == [
        {"name": each.name, "safety": each.rewrite.safety}
        for each in REWRITES
        if rule.code in each.rewrite.mends
    ]
    assert labels(told["examples"]["bad"]) == [*rule.bad]
    assert labels(told["examples"]["good"]) == [*rule.good]
    assert_nothing_is_lost(told, rule)


@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda rewrite: rewrite.name)
def test_json_of_a_rewrite(rewrite: LoadedRewrite) -> None:
    """What it does, what it costs, what it refuses, and what it needs."""
    told = json.loads(explained(rewrite, "json"))["rewrite"]
    declared = rewrite.rewrite
    assert (told["name"], told["safety"], told["summary"]) == (
        rewrite.name, declared.safety, rewrite.summary
    )  # fmt: skip
    assert tuple(told["sections"]) == OF_REWRITES[declared.safety]
    assert told["mends"] == [rule.code for rule in RULES if mends(rewrite, rule)]
    assert told["at_best"] == (declared.at_best or declared.safety)
    assert told["opset"] == declared.opset
    assert labels(told["examples"]["rewritten"]) == [*rewrite.examples]
    assert labels(told["examples"]["refused"]) == [*rewrite.refused]
    assert_nothing_is_lost(told, rewrite)


def mends(rewrite: LoadedRewrite, rule: LoadedRule) -> bool:
    return rewrite.name in [remedy.name for remedy in rule.rule.remedies]


def labels(examples: list[dict[str, Any]]) -> list[str]:
    return [example["label"] for example in examples]


def assert_nothing_is_lost(told: dict[str, Any], loaded: LoadedRule | LoadedRewrite) -> None:
    """The summary and the sections together are the documentation, word for word."""
    parts = [loaded.summary, *(word for pair in told["sections"].items() for word in pair)]
    assert " ".join(parts).split() == loaded.documentation.split()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_what_lint_will_say_stands_below_the_example(rule: LoadedRule) -> None:
    """Each example to be flagged shows the message, except of what only a run can show."""
    told = json.loads(explained(rule, "json"))["rule"]["examples"]
    assert all(example["messages"] == [] for example in told["good"])
    for example in told["bad"]:
        assert bool(example["messages"]) is (rule.code != "UP106"), example["label"]
        for message in example["messages"]:
            assert re.match(r"(error|warning|note): \S", message)
            assert message in " ".join(explained(rule, "text").split())
            assert f"\n> {message}\n" in explained(rule, "markdown") + "\n"


def test_the_command_of_a_rule_allows_what_its_remedies_need() -> None:
    """The least of them, so that the command that is shown changes something."""
    shown = {rule.code: explained(rule, "text") for rule in RULES}
    assert "OUT --select BD304\n" in shown["BD304"]
    assert "OUT --select DN207 --allow approximate\n" in shown["DN207"]
    assert "\nRemedies\n    No rewrite mends it.\n" in shown["DN209"]


def test_the_command_works_as_it_is_shown(tmp_path: Path) -> None:
    """On the first example of a rule."""
    (rule,) = [each for each in RULES if each.code == "BD304"]
    (line,) = [
        each for each in explained(rule, "text").splitlines() if "onnxstride rewrite" in each
    ]
    model, out = tmp_path / "model.onnxtxt", tmp_path / "out.onnx"
    text = next(text for text in rule.bad.values() if "Indices" in text or ", i" in text)
    model.write_text(f'<ir_version: 8, opset_import: ["": 17]>\n{text}')
    command = line.split()[1:]
    swapped = [{"MODEL": str(model), "OUT": str(out)}.get(word, word) for word in command]
    assert main(swapped) == 0
    assert out.exists()


def test_an_example_that_cannot_be_judged_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever writes a rule sees its fault where the message would stand."""
    write_files(tmp_path, {"planted.py": rule_source().replace("y = Neg (x)", "y = Neg (")})
    assert main(["explain", "XX101", "--rules", str(tmp_path)]) == 0
    assert "        not judged: " in capsys.readouterr().out
