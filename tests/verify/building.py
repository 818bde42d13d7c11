"""Models and reports for the tests of verification."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxstride.modelfile import parse_text
from onnxstride.verify import Loadable, ModelVerdict, Runner, VerifyOptions, complete, verify

ROOT = Path(__file__).parents[2]
_SCHEMA = json.loads((ROOT / "onnxstride" / "schemas" / "verify.schema.json").read_text())
_jsonschema: Any = import_module("jsonschema")  # it ships no types

Floats = NDArray[np.float32]

CONV = """
net (float[N,2,H,W] x) => (float[N,2,H2,W2] y) <float[2,2,3,3] w> {
    y = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x, w)
}"""

NEVER_ENDING = """
net (float[1] x) => (float[1] y) <int64 n = {4611686018427387904}, bool c = {1}> {
    y = Loop <body = b (int64 i, bool k, float[1] a) => (bool k2, float[1] a2) {
        k2 = Identity (k)
        a2 = Identity (a)
    }> (n, c, x)
}"""


def model(text: str) -> bytes:
    """The bytes of a model written as text, its weights made up."""
    return complete(parse_text(text))


def loadable(text: str, name: str = "model") -> Loadable:
    """A model written as text, as a runner takes it."""
    return Loadable(name, model(text))


def check_schema() -> None:
    """Raise when the schema is none."""
    _jsonschema.Draft202012Validator.check_schema(_SCHEMA)


def validated(text: str) -> Any:
    """The document in a JSON report; raises when it is not what the schema describes."""
    document = json.loads(text)
    _jsonschema.Draft202012Validator(_SCHEMA).validate(document)
    return document


def is_valid(document: Any) -> bool:
    """True when the document is what the schema describes."""
    return bool(_jsonschema.Draft202012Validator(_SCHEMA).is_valid(document))


class Bench:
    """Verifies models written as text, all in one child process."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    def verify(self, before: str, after: str, **options: Any) -> ModelVerdict:
        """The verdict on two models."""
        return verify(model(before), model(after), VerifyOptions(**options), runner=self.runner)


@contextmanager
def bench() -> Generator[Bench]:
    """A bench, closed at the end."""
    with Runner(timeout=120) as runner:
        yield Bench(runner)
