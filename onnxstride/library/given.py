"""What the functions are given, in the forms that the engine takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex, TypeAlias

from ..errors import ModelError, UsageError

if TYPE_CHECKING:
    from onnx import ModelProto

    from ..config import Configs
    from ..graph import Bindings
    from ..modelfile import ModelFile

PathLike: TypeAlias = "str | os.PathLike[str]"
Model: TypeAlias = "PathLike | bytes | ModelProto"
Names: TypeAlias = "str | Iterable[str]"
Shapes: TypeAlias = "Mapping[str, Sequence[SupportsIndex]]"

IN_MEMORY = "<model>"
"""How messages call a model that has no file."""

_LARGEST = 2**63 - 1  # dimensions are int64 in a model


def split(
    models: Model | Iterable[PathLike],
) -> tuple[bytes | ModelProto | None, tuple[str, ...]]:
    """The one model that is in memory, or the paths of others."""
    from onnx import ModelProto

    if isinstance(models, (bytes, ModelProto)):
        return models, ()
    return None, paths_of(models)


def path_of(model: Model) -> str | None:
    """Where the model is; None for one in memory."""
    return os.fspath(model) if isinstance(model, (str, os.PathLike)) else None


def configs(config: PathLike | None, *, isolated: bool) -> Configs:
    """Where configurations come from.

    Raises:
        UsageError: the one that is named cannot be read, or there is to be none.
    """
    from ..config import Configs

    return Configs(None if config is None else os.fspath(config), isolated=isolated)


def opened(model: Model) -> ModelFile:
    from ..modelfile import ModelFile, open_model

    if isinstance(model, (str, bytes, os.PathLike)):
        return open_model(model, IN_MEMORY if isinstance(model, bytes) else None)
    return ModelFile.from_proto(model, name=IN_MEMORY)


def read(model: Model) -> ModelFile:
    """The model; what is wrong with a file is told with its name."""
    try:
        return opened(model)
    except ModelError as error:
        name = os.fspath(model) if isinstance(model, (str, os.PathLike)) else IN_MEMORY
        raise type(error)(f"{name}: {error}") from error


def source_of(model: Model) -> Path | bytes:
    """The model as it is verified: where it is, or all of its bytes."""
    if isinstance(model, bytes):
        return model
    if isinstance(model, (str, os.PathLike)):
        return Path(model)
    from ..verify import complete

    return complete(opened(model))


def bindings_of(shapes: Shapes | None, dims: Mapping[str, SupportsIndex] | None) -> Bindings:
    from ..graph import Bindings

    found = {name: tuple(map(_size, shape)) for name, shape in (shapes or {}).items()}
    for name, shape in found.items():
        if not shape or 0 in shape:
            given = (shapes or {})[name]
            raise UsageError(
                f"expected a shape such as (1, 3, 224, 224) of {name!r}, found {given}"
            )
    sizes = {name: _size(size) for name, size in (dims or {}).items()}
    for name, size in sizes.items():
        if not size:
            raise UsageError(f"expected a positive size of {name!r}, found {(dims or {})[name]!r}")
    return Bindings(found, sizes)


def _size(size: SupportsIndex) -> int:
    """The positive int64 that ``size`` is, numpy's integers included; 0 when it is none."""
    try:
        value = index(size)
    except TypeError:
        return 0
    return 0 if isinstance(size, bool) or not 0 < value <= _LARGEST else value


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise UsageError(f"expected {name} to be one of {', '.join(choices)}, found {value!r}")
    return value


def listed(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def paths_of(paths: PathLike | Iterable[PathLike]) -> tuple[str, ...]:
    if isinstance(paths, (str, os.PathLike)):
        return (os.fspath(paths),)
    found = tuple(os.fspath(path) for path in paths)
    for path in found:
        if not isinstance(path, str):  # pyright: ignore[reportUnnecessaryIsInstance] - bytes
            raise UsageError(f"expected a path, found {path!r:.40}; a model in bytes stands alone")
    return found
