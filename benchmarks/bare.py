"""Loads models and runs them on feeds, as ``onnxstride verify`` does, and looks at nothing.

    python benchmarks/bare.py FEEDS.npz MODEL...

Each model is loaded without optimisation and at ONNX Runtime's default level. FEEDS holds samples
for the only input.
"""

import sys
from importlib import import_module
from typing import Any

import numpy as np

ort: Any = import_module("onnxruntime")  # ships no types


def sessions(path: str) -> list[Any]:
    """The model at both levels."""
    made: list[Any] = []
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
        made.append(ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]))
    return made


def main(feeds: str, *models: str) -> None:
    """Runs every model, at both levels, on every sample."""
    loaded = [session for model in models for session in sessions(model)]
    with np.load(feeds) as samples:
        [name] = samples.files
        for sample in samples[name]:
            for session in loaded:
                session.run(None, {name: sample})


if __name__ == "__main__":
    main(*sys.argv[1:])
