"""Sound models to damage, by name: those of this project, and those that come with onnx."""

import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import onnx

from onnxstride.modelfile import open_model
from onnxstride.verify.loading import complete
from tests.modelfile.everything import everything

MODELS = Path(__file__).parents[2] / "models"
LIGHT_MODELS = Path(onnx.__file__).parent / "backend/test/data/light"
_TEXT = ".onnxtxt"
_LARGEST = 2 << 20
"""Bytes; a heavier model is damaged in its weights, which few rules read."""


@cache
def small_models() -> tuple[tuple[str, bytes], ...]:
    """The lighter models of this project, and one that holds every kind of field."""
    found = dict(_of_folder(MODELS))
    return ("everything", everything().SerializeToString()), *sorted(found.items())


def all_models(folders: Iterable[Path] = ()) -> dict[str, bytes]:
    """``small_models``, the light models and operator tests of onnx, and what ``folders`` hold."""
    found = dict(small_models())
    found |= _of_folder(LIGHT_MODELS)
    found |= _node_tests()
    for folder in folders:
        found |= _of_folder(folder)
    return found


def _of_folder(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*.onnx*") if path.is_file())
    return {
        path.name: data
        for path in paths
        for data in [_text(path) if path.suffix == _TEXT else path.read_bytes()]
        if data and len(data) <= _LARGEST
    }


def _text(path: Path) -> bytes:
    """A model in ONNX text as binary: whole where that is small, without its weights otherwise."""
    with open_model(path) as model:
        tensors = model.proto.graph.initializer
        if sum(model.noise_size(tensor) or 0 for tensor in tensors) < _LARGEST:
            return complete(model)
        data: bytes = model.proto.SerializeToString()
        return data


def _node_tests() -> Iterator[tuple[str, bytes]]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the collected cases overflow on purpose
        for case in collect_testcases(None):
            if case.model is not None:
                yield case.name, case.model.SerializeToString()
