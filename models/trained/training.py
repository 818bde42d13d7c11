"""What the training scripts of this folder share; torch is imported here and there alone."""

import argparse
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import onnx

# torch need not be there when this file is type-checked.
torch: Any = importlib.import_module("torch")

OPSET = 17


def chosen(names: Iterable[str]) -> list[str]:
    """The models that the command line asks for, by default all; torch set to repeat itself."""
    known = ", ".join(names)
    parser = argparse.ArgumentParser(description="Train the models of this folder.")
    parser.add_argument("names", nargs="*", metavar="MODEL", help=known)
    asked: list[str] = parser.parse_args().names or list(names)
    if unknown := set(asked) - set(names):
        parser.error(f"no such model: {', '.join(sorted(unknown))}; there are {known}")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    return asked


def export(
    net: Any,
    path: Path,
    example: Any,
    axes: Mapping[str, Mapping[int, str]],
    facts: Mapping[str, str],
) -> None:
    """Write the network as ONNX with ``facts`` as metadata.

    ``axes`` holds the names of the input and the output, in that order, and of their dimensions
    that may have any size.
    """
    given, made = axes
    torch.onnx.export(
        net,
        (example,),
        path,
        opset_version=OPSET,
        input_names=[given],
        output_names=[made],
        dynamic_axes=axes,
        dynamo=False,
    )
    model = onnx.load(path)
    model.graph.name = path.stem
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
