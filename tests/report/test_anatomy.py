"""The report of a model's geometry, in every form it takes."""

import csv
import json
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from onnxstride.engine.anatomy import Anatomy, anatomy
from onnxstride.graph import read_graph
from onnxstride.modelfile import open_model, parse_text
from onnxstride.report.anatomy import (
    anatomy_as_csv,
    anatomy_as_json,
    anatomy_as_markdown,
    render_anatomy,
)

ROOT = Path(__file__).parents[2]
_SCHEMA = json.loads((ROOT / "onnxstride" / "schemas" / "report.schema.json").read_text())
_jsonschema: Any = import_module("jsonschema")  # it ships no types

HOSTILE = """
net (float[1,1,9] x) => (float[1,1,4] y) <float[1,1,3] w> {
    ["=1+2|<b>`x`\\u001b[31m"] y = Conv <kernel_shape = [3], strides = [2]> (x, w)
}"""


def of_text(text: str) -> Anatomy:
    return anatomy(read_graph(parse_text(text)))


def of_model(path: Path) -> Anatomy:
    with open_model(path) as model:
        return anatomy(read_graph(model))


def is_valid(document: Any) -> bool:
    return bool(_jsonschema.Draft202012Validator(_SCHEMA).is_valid(document))


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.onnxtxt")), ids=lambda p: p.stem)
def test_the_document_is_what_the_schema_describes(path: Path) -> None:
    """For every model that comes along."""
    document = json.loads(anatomy_as_json(of_model(path), path=path.name))
    _jsonschema.Draft202012Validator(_SCHEMA).validate(document)
    for layer in document["layers"]:
        lists = [value for value in layer.values() if isinstance(value, list)]
        assert len({len(value) for value in lists if value is not layer["scope"]}) == 1


def test_a_document_that_lacks_something_is_noticed() -> None:
    """The schema is no formality."""
    document = json.loads(anatomy_as_json(of_model(ROOT / "models/lenet5.onnxtxt"), path="m"))
    del document["layers"][0]["total_stride"]
    assert not is_valid(document)


def test_fractions_and_unknowns() -> None:
    """A stride below one is a text such as 1/2, what is not known is null."""
    found = of_text(
        """net (float[1,1,N] x) => (float[1,1,M] y) <float[1,1,2] w> {
            y = ConvTranspose <kernel_shape = [2], strides = [2]> (x, w)
        }"""
    )
    [layer] = json.loads(anatomy_as_json(found, path="m"))["layers"]
    assert layer["total_stride"] == ["1/2"]
    assert layer["input_size"] == layer["output_size"] == [None]
    assert layer["multiply_adds"] is None


def test_the_table_lines_up() -> None:
    """Every line of the table has its columns under the head's."""
    text = render_anatomy(of_model(ROOT / "models/lenet5.onnxtxt"), title="lenet5", width=100)
    head, *rows = [line for line in text.splitlines() if "  " in line.strip()][:8]
    at = head.index("kernel")
    assert all(row[at - 1] == " " != row[at] for row in rows)
    assert "smaller by 2 AveragePool 2x2 /2" in text
    assert "H >= 32" in text


def test_csv_has_a_line_for_each_layer() -> None:
    """Read back by Python's own reader, under the names of the JSON document."""
    found = of_model(ROOT / "models/unet_deconv.onnxtxt")
    rows = list(csv.DictReader(StringIO(anatomy_as_csv(found))))
    assert [row["node"] for row in rows] == [layer.node.name for layer in found.layers]
    pool = next(row for row in rows if row["op_type"] == "MaxPool")
    assert (pool["kernel"], pool["total_stride"], pool["input_size"]) == ("2 2", "2 2", "? ?")


def test_names_from_strangers_stay_text() -> None:
    """No formula in a spreadsheet, no markup in Markdown, no escape on a terminal."""
    found = of_text(HOSTILE)
    [row] = list(csv.DictReader(StringIO(anatomy_as_csv(found))))
    assert row["node"].startswith("'=1+2")
    markdown = anatomy_as_markdown(found, title="<i>")
    assert "<b>" not in markdown.replace("\\<b\\>", "")
    assert markdown.startswith("# \\<i\\>")
    [line] = [line for line in markdown.splitlines() if line.startswith("| =1+2")]
    assert line.replace("\\|", "").count("|") == 16
    assert "\x1b" not in markdown + render_anatomy(found, title="\x1b", width=80)


def test_a_model_without_layers() -> None:
    """Says so in words, and is a valid document."""
    found = of_text("net (float[1,4] x) => (float[1,4] y) { y = Relu (x) }")
    assert "no layer" in render_anatomy(found, title="m", width=80)
    assert is_valid(json.loads(anatomy_as_json(found, path="m")))
    assert anatomy_as_csv(found).count("\n") == 1
    assert "|" not in anatomy_as_markdown(found, title="m")
