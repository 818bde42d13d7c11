"""From where on a ripple of weights shows is for the user to say, for both rules alike."""

from math import log10

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxstride.engine.lint import lint_graph
from onnxstride.graph import Thresholds, read_graph
from onnxstride.modelfile import ModelFile
from onnxstride.registry import load_rules
from onnxstride.rule import Finding, Severity

from .asking import model_of

DECONV = [helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2])]
SUBPIXEL = [
    helper.make_node("Conv", ["x", "w"], ["c"]),
    helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2),
]


def rippling(code: str, ripple: float) -> onnx.ModelProto:
    """A model whose phases, read by the rule, answer with 1 + ripple and 1 - ripple."""
    high, low = 1 + ripple, 1 - ripple
    if code == "UP103":
        return model_of(DECONV, 9, {"w": np.array([[[high, low]]], np.float32)})
    weight = np.array([high, low, high, low], np.float32).reshape(4, 1, 1, 1)
    return model_of(SUBPIXEL, 9, {"w": weight}, rank=2)


def found(code: str, ripple: float, threshold: float | None) -> Finding | None:
    rules = [loaded for loaded in load_rules() if loaded.code == code]
    thresholds = Thresholds() if threshold is None else Thresholds(ripple_db=threshold)
    model = ModelFile.from_proto(rippling(code, ripple))
    findings = lint_graph(read_graph(model, thresholds=thresholds), rules)[0]
    return findings[0] if findings else None


@pytest.mark.parametrize("code", ["UP103", "UP104"])
@pytest.mark.parametrize("ripple", [0.5, 0.15, 0.05, 0.02, 0.005, 0.001])
@pytest.mark.parametrize("threshold", [None, 0.0, -10.0, -30.0, -43.0, -50.0])
def test_above_it_a_ripple_is_a_warning(code: str, ripple: float, threshold: float | None) -> None:
    """Below it a note down to -40 dB; what is asked for below that is said as well."""
    level, shows_above = 20 * log10(ripple), -20.0 if threshold is None else threshold
    finding = found(code, ripple, threshold)
    if level > shows_above:
        assert finding is not None
        assert finding.severity is Severity.WARNING
        assert finding.data["threshold_db"] == shows_above
    elif level > -40:
        assert finding is not None
        assert finding.severity is Severity.NOTE
    else:
        assert finding is None


@pytest.mark.parametrize("code", ["UP103", "UP104"])
def test_the_models_ripple_as_they_say(code: str) -> None:
    """The figure of the finding is that of the weights."""
    finding = found(code, 0.15, None)
    assert finding is not None
    assert finding.data["ripple_db"] == pytest.approx(20 * log10(0.15), abs=1e-4)
