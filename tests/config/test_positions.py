"""A key is found on its line, however TOML spells it."""

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxstride.config.positions import Positions
from onnxstride.config.reading import read
from onnxstride.errors import UsageError

KEY = tuple[str | int, ...]

SPELLINGS = {
    "a key": ("a = 1\nb = 2", {("a",): 1, ("b",): 2}),
    "a dotted key": ("a.b = 1\na.c = 2", {("a", "b"): 1, ("a", "c"): 2, ("a",): 1}),
    "a quoted key": ('"a.b" = 1\n\n"c d".e = 2', {("a.b",): 1, ("c d", "e"): 3}),
    "a header": ("[a]\n\nb = 1", {("a",): 1, ("a", "b"): 3}),
    "a header of two names": ("[a.b]\nc = 1", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 2}),
    "a table below one": ("[a]\nx = 1\n[a.b]\nc = 1", {("a", "b", "c"): 4, ("a", "x"): 2}),
    "an inline table": ("x = 1\na = { b = 1, c = 2 }", {("a", "c"): 2}),
    "lists of tables": (
        "[[a]]\nb = 1\n[[a]]\nb = 2\nc = 3",
        {("a", 0, "b"): 2, ("a", 1): 3, ("a", 1, "b"): 4, ("a", 1, "c"): 5},
    ),
    "tables in lists of tables": (
        "[[a]]\n[a.b]\nc = 1\n[[a]]\n[a.b]\nc = 2",
        {("a", 0, "b", "c"): 3, ("a", 1, "b"): 5, ("a", 1, "b", "c"): 6},
    ),
    "lists in lists of tables": (
        "[[a]]\n[[a.b]]\nc = 1\n[[a.b]]\nc = 2\n[[a]]\n[[a.b]]\nc = 3",
        {("a", 0, "b", 1, "c"): 5, ("a", 1, "b", 0, "c"): 8},
    ),
    "a list over lines": (
        'a = [\n  "x", # y\n\n  "z",\n]\nb = 1',
        {("a",): 1, ("a", 0): 2, ("a", 1): 4, ("b",): 6},
    ),
    "inline tables over lines": (
        "a = [\n  { b = 1 },\n  { b = 2, c = 3 },\n]",
        {("a", 0, "b"): 2, ("a", 1): 3, ("a", 1, "c"): 3},
    ),
    "lists in inline tables over lines": (
        'a = [\n  { b = [\n    "x",\n    "y",\n  ], c = 3 },\n]',
        {("a", 0, "b"): 2, ("a", 0, "b", 1): 4, ("a", 0, "c"): 5},
    ),
    "text that looks like keys": (
        'a = """\n[x]\nb = 1\n"""\nb = 2',
        {("a",): 1, ("b",): 5},
    ),
    "comments that look like keys": ("# b = 1\n# [a]\nb = 2", {("b",): 3}),
    "Windows line ends": ("a = 1\r\n\r\n[b]\r\nc = 2\r\n", {("b", "c"): 4}),
    "what is not there": ("[a]\nb = 1", {("a", "x"): 1, ("x",): 1}),
}


@pytest.mark.parametrize(("text", "expected"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling(text: str, expected: dict[KEY, int]) -> None:
    """The line is that on which the key, or the item, begins."""
    tomllib.loads(text)
    positions = Positions(text)
    assert {key: positions.line_of(key) for key in expected} == expected


def test_a_document_that_takes_long_has_no_lines() -> None:
    """A list of many lines is not parsed over and over without end."""
    text = "a = [\n" + '"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",\n' * 2_000 + "]\nb = 1"
    tomllib.loads(text)
    assert Positions(text).line_of(("b",)) is None


Line = tuple[str, bool]
"""A line of a document, and whether it holds the planted key."""

TABLES: dict[str, dict[str, list[str]]] = {
    "severity": {"UP101": ['"note"'], "DN202": ["'error'"]},
    "thresholds": {"probe": ["0.5"], "ripple-db": ["-3"]},
    "rewrite": {"nodes": ['"""', "planted = 1", "[planted]", '"""'], "blur": ["5"]},
}
LISTS: dict[str, dict[str, list[str]]] = {
    "inputs": {"files": ['"*"'], "dims": ["{ H = 3 }"]},
    "per-node-ignores": {"codes": ['["UP101"]'], "nodes": ['["a",', ' "b"]'], "reason": ['"]"']},
}
PLANTED = ("planted = 1", '"planted" = [', "planted.x = {}", "'planted' = ''' ", "planted.x.y = 1")
FILLERS = ("", "# planted = 1", "   ", "\t# [[inputs]]")


def planted_lines(draw: st.DrawFn, prefix: str = "") -> list[Line]:
    spelled = draw(st.sampled_from(PLANTED))
    first = prefix + spelled
    if spelled.endswith("["):
        return [(first, True), ("1, # ]", False), ("]", False)]
    if spelled.endswith("''' "):
        return [(first, True), ("planted = 2", False), ("'''", False)]
    return [(first, True)]


def items(draw: st.DrawFn, keys: dict[str, list[str]], plant: bool, prefix: str) -> list[Line]:
    """Statements of a table in any order, each key after ``prefix``, fillers between them."""
    statements = [
        [(f"{prefix}{key} = {value[0]}", False), *((line, False) for line in value[1:])]
        for key, value in keys.items()
    ]
    if plant:
        statements.append(planted_lines(draw, prefix))
    ordered = draw(st.permutations(statements))
    fillers = [[(draw(st.sampled_from(FILLERS)), False)] for _ in ordered]
    return [line for pair in zip(fillers, ordered, strict=True) for part in pair for line in part]


def inline(draw: st.DrawFn, keys: dict[str, list[str]], plant: bool) -> Line:
    one_line = {key: "".join(value) for key, value in keys.items() if '"""' not in value}
    single = [f"{key} = {value}" for key, value in one_line.items()]
    parts = draw(st.permutations(single + ["planted.x = 1"] * plant))
    return "{ " + ", ".join(parts) + " }", plant


def table(draw: st.DrawFn, name: str, plant: bool, base: str) -> tuple[list[Line], list[Line]]:
    """The statements of one table: those before all headers, and those under its own."""
    keys = TABLES[name]
    match draw(st.sampled_from(["header", "dotted", "inline"])):
        case "header":
            return [], [(f"[{base}{name}]  # here", False), *items(draw, keys, plant, "")]
        case "dotted":
            return items(draw, keys, plant, f"{name}."), []
        case _:
            text, is_planted = inline(draw, keys, plant)
            return [(f"{name} = {text}", is_planted)], []


def tables(draw: st.DrawFn, name: str, plant: bool, base: str) -> tuple[list[Line], list[Line]]:
    """A list of tables in the same two parts."""
    count = draw(st.integers(1, 3))
    at = draw(st.integers(0, count - 1)) if plant else -1
    if draw(st.booleans()):
        lines: list[Line] = []
        for index in range(count):
            lines += [(f"[[{base}{name}]]", False), *items(draw, LISTS[name], index == at, "")]
        return [], lines
    entries = [inline(draw, LISTS[name], index == at) for index in range(count)]
    return [
        (f"{name} = [", False),
        *((f"{text},", is_it) for text, is_it in entries),
        ("]", False),
    ], []


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, str, int]:
    """The name of a file, a document with one unknown key, and the line of that."""
    name = draw(st.sampled_from(["onnxstride.toml", "pyproject.toml"]))
    base = "tool.onnxstride." if name == "pyproject.toml" else ""
    target = draw(st.sampled_from(["", "thresholds", "rewrite", *LISTS]))
    top = items(draw, {"fail-on": ['"note"'], "ignore": ["[", '"UP",', "]"]}, not target, "")
    below: list[list[Line]] = []
    for each in draw(st.permutations([*TABLES, *LISTS])):
        build = table if each in TABLES else tables
        before, after = build(draw, each, each == target, base)
        top += before
        below.append(after)
    lines = [line for part in [top, *below] for line in part]
    if base:
        lines = [("[project]", False), ("name = 'x'", False), ("[tool.onnxstride]", False), *lines]
    ends = draw(st.sampled_from(["\n", "\r\n"]))
    [planted] = [number for number, (_, is_it) in enumerate(lines, 1) if is_it]
    return name, ends.join(text for text, _ in lines), planted


@given(documents())
@settings(max_examples=400, deadline=None)
def test_an_unknown_key_is_found_on_its_line(drawn: tuple[str, str, int]) -> None:
    """Wherever it is planted, in whatever spelling."""
    name, text, line = drawn
    tomllib.loads(text)
    with pytest.raises(UsageError) as error:
        read(name, text.encode())
    assert str(error.value).startswith(f"{name}:{line}: unknown key 'planted'"), text


def test_the_documents_would_show_a_wrong_line() -> None:
    """Looking for the word finds other lines in a good part of them."""
    wrong: list[str] = []

    @given(documents())
    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    def count(drawn: tuple[str, str, int]) -> None:
        _, text, line = drawn
        first = next(n for n, each in enumerate(text.splitlines(), 1) if "planted" in each)
        if first != line:
            wrong.append(text)

    count()
    assert len(wrong) > 10


@given(st.text("[]{}=\"'\n.,# ab1", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_document_that_parses_has_its_lines(text: str) -> None:
    """No key is without one, and none lies beyond the end."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    positions = Positions(text)
    for key in keys(document):
        line = positions.line_of(key)
        assert line is not None
        assert 1 <= line <= text.count("\n") + 1


def keys(value: Any, above: KEY = ()) -> list[KEY]:
    below: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [above, *(key for part, each in below for key in keys(each, (*above, part)))]
