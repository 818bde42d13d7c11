"""Layers whose windows span more elements than memory holds, and what asking to rewrite them takes.

    python -m tests.fuzz.spacious EXPONENT

asks every rewrite for each of them and prints the peak of its memory, in bytes, as JSON.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from onnxstride.registry import load_rewrites
from onnxstride.verify import Runner
from tests.graph.building import model, node

from . import agreement
from .graphs import Case

_KIB = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in


def layers(exponent: int) -> Iterator[onnx.ModelProto]:
    """Models of one layer that spans about 2^exponent elements, along one axis or along two."""
    most, side = 2**exponent - 1, 2 ** (exponent // 2)
    for steps in ([most, 1], [side, side]):
        kernel: dict[str, Any] = {"kernel_shape": [2, 2], "strides": steps}
        wide: dict[str, Any] = {"kernel_shape": steps, "strides": [2, 2]}
        apart: dict[str, Any] = {"strides": [2, 2], "dilations": steps}
        yield _of("MaxPool", **kernel)
        yield _of("MaxPool", **wide)
        yield _of("AveragePool", **wide)
        for op_type in ("Conv", "ConvTranspose"):
            yield _of(op_type, strides=steps)
            yield _of(op_type, **apart)
        yield _of("ConvTranspose", sizes=(3, 3), strides=steps)
    for op_type in ("MaxPool", "AveragePool"):
        yield _of(op_type, channels=most // 4, kernel_shape=[2, 2], strides=[2, 2])


def _of(
    op_type: str,
    channels: int = 2,
    sizes: tuple[int | str, int | str] = ("H", "W"),
    **given: object,
) -> onnx.ModelProto:
    is_pool = op_type.endswith("Pool")
    return model(
        node(op_type, "x" if is_pool else "x w", "y", **given),
        inputs={"x": [1, channels, *sizes]},
        weights={} if is_pool else {"w": [2, 2, 3, 3]},
    )


def ask(exponent: int) -> None:
    """Asks for every rewrite of every layer; each answers, with a rewritten model or a reason.

    Raises:
        AssertionError: one fails.
    """
    with Runner(threads=1, timeout=60) as runner:
        for proto in layers(exponent):
            for loaded in load_rewrites():
                found = agreement.rewritten(Case(proto, {}), loaded, runner)
                assert not isinstance(found, str), found


def peak_of(code: str) -> int:
    """Bytes that a process which runs the code holds at the most."""
    told = f"{code}\nfrom tests.fuzz.spacious import peak\nprint(peak())"
    root = Path(__file__).parents[2]
    return int(subprocess.check_output([sys.executable, "-c", told], cwd=root))


def peak() -> int:
    """Bytes that this process has held at the most."""
    from resource import RUSAGE_SELF, getrusage  # not on Windows

    return getrusage(RUSAGE_SELF).ru_maxrss * _KIB


if __name__ == "__main__":
    ask(int(sys.argv[1]))
    print(json.dumps({"peak": peak()}))  # noqa: T201
