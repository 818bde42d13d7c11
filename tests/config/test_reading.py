"""What a configuration says, and what it cannot say."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxstride.config.keys import known
from onnxstride.config.reading import read
from onnxstride.config.values import Config
from onnxstride.errors import UsageError

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"```toml\n(.*?)```", re.DOTALL)


def said(text: str, name: str = "onnxstride.toml") -> Config:
    config = read(name, text.encode())
    assert config is not None
    return config


def complaint(text: str | bytes, name: str = "onnxstride.toml") -> str:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(UsageError) as error:
        read(name, content)
    return str(error.value)


class TestDocumentation:
    def test_the_example_holds_every_key_there_is(self) -> None:
        """And none that there is not: it is read without complaint.

        One is left out, in a comment, as it excludes two others.
        """
        [example] = EXAMPLE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
        config = said(example)
        assert keys_of(example) | {"rewrite.use"} == known()
        assert "\n# use = [" in example
        assert config.passing
        assert config.inputs

    def test_the_example_is_read_from_pyproject_too(self) -> None:
        """With its tables below [tool.onnxstride]."""
        [example] = EXAMPLE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
        moved = re.sub(r"^(\[+)", r"\1tool.onnxstride.", example, flags=re.MULTILINE)
        shared = said(f"[tool.onnxstride]\n{moved}", "pyproject.toml")
        own = said(example)
        assert shared[2:-1] == own[2:-1]


def keys_of(text: str) -> frozenset[str]:
    """The keys of a document, as ``known`` spells them; those of the user's own are left out."""
    import tomllib

    tables = {key.partition(".")[0] for key in known() if "." in key}
    found: set[str] = set()
    for key, value in tomllib.loads(text).items():
        if key not in tables:
            found.add(key)
        for each in value if isinstance(value, list) else [value]:
            found.update(f"{key}.{name}" for name in each if key in tables)
    return frozenset(found)


class TestWhatCannotBeSaid:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            pytest.param("selct = []", "1: unknown key 'selct'; did you mean 'select'", id="key"),
            pytest.param("\nextend_select = []", "2: unknown key", id="an underscore"),
            pytest.param("rules = ['x']", "1: unknown key 'rules'", id="folders of code"),
            pytest.param("[rewrite]\ndata = 'a:b'", "2: unknown key 'data'", id="code to call"),
            pytest.param("[thresholds]\n\nripple = 1", "3: unknown key 'ripple'", id="in a table"),
            pytest.param("select = 'UP'", "1: expected select to be a list", id="text for a list"),
            pytest.param("select = []", "1: expected select to be a list", id="nothing selected"),
            pytest.param("ignore = [\n'UP',\n3,\n]", "3: expected ignore[1] to be text", id="item"),
            pytest.param("fail-on = 'warn'", "did you mean 'warning'", id="a level"),
            pytest.param("fail-on = true", "1: expected fail-on to be one of", id="a truth value"),
            pytest.param("[severity]\nUP101 = 'off'", "2: expected severity.UP101", id="severity"),
            pytest.param("severity = 3", "1: expected severity to be a table", id="no table"),
            pytest.param("thresholds.probe = 1.5", "a number from 0 to 1", id="beyond a range"),
            pytest.param("thresholds.ripple-db = nan", "to be a number", id="no number"),
            pytest.param("thresholds.min-snr = inf", "to be a number", id="no end"),
            pytest.param("thresholds.min-snr = true", "to be a number", id="truth for a number"),
            pytest.param("[inputs]\ndims.H = 3", "1: expected inputs to be a list of", id="[ ]"),
            pytest.param("[[inputs]]\ndims.H = 0", "2: expected inputs[0].dims.H", id="size 0"),
            pytest.param("[[inputs]]\nshapes.x = []", "2: expected inputs[0].shapes.x", id="()"),
            pytest.param(
                "[[inputs]]\nshapes.x = [1, -1]", "2: expected inputs[0].shapes.x[1]", id="-1"
            ),
            pytest.param("[[inputs]]\nfiles = []", "2: expected inputs[0].files", id="no files"),
            pytest.param(
                "[[per-node-ignores]]\nnodes = 'a'", "1: expected per-node-ignores[0] to have 'co",
                id="no codes",
            ),
            pytest.param(
                "[[per-node-ignores]]\ncodes = ['UP']", "to have 'nodes'", id="no nodes"
            ),
            pytest.param("[per-file-ignores]\n'*' = 'UP'", "2: expected", id="text of ignores"),
            pytest.param("[per-file-ignores]\n'/a' = []", "2: expected a glob from", id="absolute"),
            pytest.param("[[inputs]]\nfiles = 'a\\*'", "2: expected a glob from", id="backslash"),
            pytest.param("[rewrite]\nblur = 10", "a whole number from 2 to 9", id="too large"),
            pytest.param("[rewrite]\nblur = 3.0", "2: expected rewrite.blur", id="no integer"),
            pytest.param("[rewrite]\nactivation = 1", "2: expected rewrite.activ", id="no truth"),
            pytest.param("[rewrite]\nform = 'add'", "additive, slice-max", id="no choice"),
            pytest.param(
                "[rewrite]\nuse = ['a']\nselect = ['UP']", "3: rewrite.use names", id="two kinds"
            ),
        ],
    )  # fmt: skip
    def test_it_is_told_with_its_line(self, text: str, expected: str) -> None:
        """And with what is expected, or the nearest name."""
        assert complaint(text).startswith("onnxstride.toml:")
        assert expected in complaint(text)

    def test_the_lines_of_pyproject_count_from_its_own_beginning(self) -> None:
        """Not from the table."""
        text = "[project]\nname = 'x'\n\n[tool.onnxstride]\nselct = 1"
        assert complaint(text, "pyproject.toml").startswith("pyproject.toml:5: unknown key 'selct'")

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            pytest.param(b"a = ", "onnxstride.toml:1:5: Invalid value", id="no value"),
            pytest.param(b"\n\na b = 1", "onnxstride.toml:3:3: Expected '='", id="no key"),
            pytest.param(b"a = [\n1,", "onnxstride.toml:2:3: ", id="at the end"),
            pytest.param(b"a = 1\na = 2", "onnxstride.toml:2:6: Cannot overwrite", id="twice"),
            pytest.param(b"a = 1\nb = '\xff'", "onnxstride.toml:2:6: expected UTF-8", id="bytes"),
            pytest.param(b"a = " + b"[" * 5_000, "nested too deeply", id="depth"),
            pytest.param(b"a = " + b"1" * 5_000, "integer string conversion", id="digits"),
        ],
    )
    def test_what_is_no_toml_is_told_with_its_place(self, content: bytes, expected: str) -> None:
        """Line and column where there is one."""
        assert expected in complaint(content)

    @given(st.text(max_size=40) | st.text('[]{}="\n.ab1,-', max_size=40))
    @settings(max_examples=300, deadline=None)
    def test_nothing_else_is_raised(self, text: str) -> None:
        """Whatever a file holds, it is a configuration or one error."""
        told = "onnxstride.toml"
        try:
            read("onnxstride.toml", text.encode("utf-8", "surrogatepass"))
        except UsageError as error:
            told = str(error)
        assert told.startswith("onnxstride.toml")


class TestValues:
    def test_nothing_said_is_nothing(self) -> None:
        """An empty file leaves everything as it is."""
        config = said("")
        assert config[2:-1] == Config("", "")[2:-1]

    def test_a_byte_order_mark_is_no_content(self) -> None:
        """As editors on Windows write it."""
        assert said("\ufefffail-on = 'note'").fail_on == "note"

    def test_numbers_may_be_whole(self) -> None:
        """-20 is -20.0."""
        assert said("thresholds.ripple-db = -20").ripple_db == -20.0

    def test_every_ignore_knows_its_line(self) -> None:
        """One for each code, so that what meets nothing is told by its own."""
        text = (
            "[per-file-ignores]\n'*.onnx' = [\n  'UP101',\n  'DN2',\n]\n"
            "[[per-node-ignores]]\nnodes = 'a'\ncodes = ['UP']\nreason = 'why'\n"
        )
        config = said(text)
        found = [(each.code, config.where(*each.key), each.reason) for each in config.passing]
        assert found == [
            ("UP101", "onnxstride.toml:3", ""),
            ("DN2", "onnxstride.toml:4", ""),
            ("UP", "onnxstride.toml:8", "why"),
        ]

    @pytest.mark.parametrize(
        "text",
        ["", "[project]\nname = 'onnxstride'", "[tool]\nx = 1", "tool = 3", "[[tool]]\nx = 1"],
    )
    def test_pyproject_without_the_table_says_nothing(self, text: str) -> None:
        """It is passed over."""
        assert read("pyproject.toml", text.encode()) is None

    @pytest.mark.parametrize("value", ["3", "[1]", "'x'"])
    def test_a_table_that_is_none_is_told(self, value: str) -> None:
        """It is not passed over: somebody meant it."""
        text = f"[tool]\nonnxstride = {value}"
        found: Any = complaint(text, "pyproject.toml")
        assert found.startswith("pyproject.toml:2: expected the configuration to be a table")
