"""The schema of the JSON report, as the tests hold documents to it."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parents[1] / "onnxstride" / "schemas" / "lint.schema.json"
_jsonschema: Any = import_module("jsonschema")  # it ships no types

SCHEMA: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))


def check_schema() -> None:
    """Raise when the file is no valid JSON Schema."""
    _jsonschema.Draft202012Validator.check_schema(SCHEMA)


def validate(document: Any) -> None:
    """Raise when the document is not what the schema describes."""
    _jsonschema.Draft202012Validator(SCHEMA).validate(document)


def is_valid(document: Any) -> bool:
    """True when the document is what the schema describes."""
    return bool(_jsonschema.Draft202012Validator(SCHEMA).is_valid(document))
