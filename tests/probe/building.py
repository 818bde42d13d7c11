"""Models for the tests of the probe, and a probe that they share."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnxstride.geometry import Axis
from onnxstride.geometry.ripple import phase_gains
from onnxstride.graph import Bindings, read_graph
from onnxstride.modelfile import ModelFile, parse_text
from onnxstride.probe import OutputProbe, Probed, ProbeOptions, probe_model
from onnxstride.probe.fold import Folding
from onnxstride.probe.foldings import Target
from onnxstride.verify import Runner

Floats = NDArray[np.float64]
Probe = Callable[..., Probed]

HEAD = '<ir_version: 8, opset_import: ["": 17]>\n'


@contextmanager
def probing() -> Generator[Probe]:
    """A probe of models written as text, or built; all in one child process."""
    with Runner(timeout=120) as runner:

        def probe(
            model: str | onnx.ModelProto,
            *,
            bindings: Bindings | None = None,
            data: str | None = None,
            range: tuple[float, float] | None = None,  # noqa: A002 - as the options call it
            like: Probed | None = None,
        ) -> Probed:
            opened = _opened(model)
            options = ProbeOptions(data, range)
            return probe_model(opened, read_graph(opened, bindings), options, runner, like=like)

        yield probe


def _opened(model: str | onnx.ModelProto) -> ModelFile:
    if isinstance(model, str):
        return parse_text(model if model.lstrip().startswith("<") else HEAD + model)
    return ModelFile.from_proto(model)


def only(probed: Probed) -> OutputProbe:
    """The one output that was measured."""
    assert probed.problem == ""
    (output,) = probed.outputs
    assert output.problem == ""
    return output


def deconvolution(
    weight: NDArray[Any],
    axes: Sequence[Axis],
    bias: NDArray[Any] | None = None,
    *,
    sizes: Sequence[int | str] | None = None,
    output_padding: Sequence[int] | None = None,
) -> onnx.ModelProto:
    """One ConvTranspose from ``x`` to ``y``, of open sizes unless some are given."""
    rank = len(axes)
    dims = list(sizes or [f"S{axis}" for axis in range(rank)])
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w", *(["b"] if bias is not None else [])],
        ["y"],
        strides=[axis.stride for axis in axes],
        dilations=[axis.dilation for axis in axes],
        pads=[axis.begin for axis in axes] + [axis.end for axis in axes],
        output_padding=list(output_padding or [0] * rank),
    )
    weights = [numpy_helper.from_array(weight.astype(np.float32), "w")]
    if bias is not None:
        weights.append(numpy_helper.from_array(bias.astype(np.float32), "b"))
    graph = helper.make_graph(
        [node],
        "deconvolution",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", weight.shape[0], *dims])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None] * (rank + 2))],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def generator(kind: str, *, levels: int = 3, channels: int = 8, kernel: int = 4) -> str:
    """A DCGAN-like generator of random weights: ``deconv`` or ``resize`` at every level."""
    weights = [f"float[16,{channels},4,4] pw", "float[4] scales = {1.0, 1.0, 2.0, 2.0}"]
    lines = ["p = ConvTranspose <kernel_shape = [4,4]> (z, pw)", "x0 = Relu (p)"]
    pads = [(kernel - 2) // 2] * 4
    for level in range(levels):
        made = channels if level < levels - 1 else 3
        source, result = f"x{level}", f"u{level}"
        if kind == "deconv":
            weights.append(f"float[{channels},{made},{kernel},{kernel}] w{level}")
            lines.append(
                f"{result} = ConvTranspose <kernel_shape = [{kernel},{kernel}], strides = [2,2], "
                f"pads = {pads}> ({source}, w{level})"
            )
        else:
            weights.append(f"float[{made},{channels},3,3] w{level}")
            lines.append(
                f'r{level} = Resize <mode = "nearest", nearest_mode = "floor", '
                f'coordinate_transformation_mode = "asymmetric"> ({source}, , scales)'
            )
            lines.append(
                f"{result} = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (r{level}, w{level})"
            )
        lines.append(
            f"x{level + 1} = Relu ({result})" if level < levels - 1 else f"y = Tanh ({result})"
        )
    size, body = 4 * 2**levels, "\n".join(f"    {line}" for line in lines)
    return (
        f"{HEAD}generator (float[1,16,1,1] z) => (float[1,3,{size},{size}] y)\n"
        f"<{', '.join(weights)}>\n{{\n{body}\n}}"
    )


def picture(size: int, seed: int, *, channels: int = 3) -> Floats:
    """A made-up picture: noise whose spectrum falls as that of photographs does, in -1 to 1."""
    random = np.random.default_rng(seed)
    frequency = np.fft.fftfreq(2 * size)
    radius = np.hypot(frequency[:, np.newaxis], frequency[np.newaxis])
    radius[0, 0] = 1
    parts = []
    for _ in range(channels):
        noise = random.standard_normal((2 * size, 2 * size, 2)) @ np.array([1, 1j])
        part = np.fft.ifft2(noise / radius).real[:size, :size]
        parts.append(0.35 * part / part.std())
    return np.stack(parts)


def predicted(
    weight: NDArray[Any], axes: Sequence[Axis], bias: NDArray[Any], colour: Sequence[float]
) -> Floats:
    """What each phase of the output is for a constant input; phase 0 is that of output 0."""
    strides = [axis.stride for axis in axes]
    gains = phase_gains(weight, axes)
    answers = np.einsum("i,pio->op", np.asarray(colour), gains) + bias[:, np.newaxis]
    tile = answers.reshape(len(bias), *strides)
    return np.roll(tile, [-axis.begin for axis in axes], axis=tuple(range(1, len(axes) + 1)))


DEEP = """
decoder (float[1,3,H,W] x) => (float[1,3,H2,W2] y)
<float[3,6,4,4] u, float[6,6,3,3] v, float[6,3,3,3] w>
{
    a = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, u)
    b = Relu (a)
    c = Conv <pads = [1,1,1,1]> (b, v)
    d = ConvTranspose <strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]> (c, w)
    y = Sigmoid (d)
}"""
"""Two layers of stride 2: period 4."""


def forced(graph: Any, folding: Folding) -> Target:
    """The output ``y``, to be folded so whatever the analysis says."""
    return Target("y", graph.main.producer("y"), folding)
