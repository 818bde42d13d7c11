"""What a probe saw, as people and programs read it."""

import json

import numpy as np

from onnxstride.probe import Answer, InputProbe, OutputProbe, Probed
from onnxstride.probe.ranges import Range
from onnxstride.report.json import json_value
from onnxstride.report.probe import probe_as_json, render_comparison, render_probe
from tests.planting import CONV

UNIT = Range(0.0, 1.0, "assumed")


def answer(stimulus: str, rms: float) -> Answer:
    """One answer; its tile and part are not printed."""
    nothing = np.zeros((1, 2, 2))
    return Answer(stimulus, 0.5, rms, rms, 3 * rms, 0.0, nothing, nothing.astype(np.float32))


def output(name: str, *answers: Answer, problem: str = "", is_free: bool = True) -> OutputProbe:
    """One output of period 2x2 in a range of 2."""
    limits = None if problem else Range(-1.0, 1.0, "Tanh bounds it")
    return OutputProbe(name, CONV, (2, 2), (8, 8), limits, is_free, answers, problem)


def probed(*outputs: OutputProbe, problem: str = "") -> Probed:
    """A probe of a model with one image."""
    return Probed("m", (InputProbe("x", (1, 3, 32, 32), UNIT),), outputs, problem=problem)


def test_a_table_for_each_output() -> None:
    """Colours one below the other, in output units and in 255ths of the range."""
    seen = probed(
        output("y", answer("grey", 0.002), answer("magenta", 0.0234)),
        output("z", problem="its shape 5 is not that of a map"),
    )
    assert render_probe(seen) == (
        "  probe  input x 1x3x32x32 from 0 to 1 (assumed, see --probe-range)\n"
        "         output y, period 2x2, range -1 to 1 (Tanh bounds it)\n"
        "           image    mean  rms     peak to peak  rms of range  peak to peak of range\n"
        "           grey     0.5   0.002   0.006         0.255/255     0.765/255\n"
        "           magenta  0.5   0.0234  0.0702        2.98/255      8.95/255\n"
        "         output z: not measured, its shape 5 is not that of a map\n"
    )


def test_a_border_that_reaches_in_is_told() -> None:
    """Behind the range."""
    seen = probed(output("y", answer("grey", 0.1), is_free=False))
    assert "(Tanh bounds it), the border reaches in\n" in render_probe(seen)


def test_nothing_to_see_is_said() -> None:
    """A model that enlarges nothing was not run."""
    assert render_probe(Probed("m")) == (
        "  probe  nothing enlarges by weights on the way to an output: no pattern can show\n"
    )


def test_names_cannot_move_the_cursor() -> None:
    """Control characters are spelled out."""
    text = render_probe(probed(output("\x1b[2J\n", problem="\x1b[31m")))
    assert "\x1b" not in text
    assert "\\x1b[2J\\n" in text


def test_before_and_after_stand_in_one_line() -> None:
    """The strongest pattern of each, and what could not be compared."""
    before = probed(
        output("y", answer("grey", 0.02), answer("red", 0.04)),
        output("flat", answer("grey", 0.02)),
        output("lost", answer("grey", 0.02)),
        output("never", problem="it is what it is"),
    )
    after = probed(
        output("y", answer("grey", 0.0), answer("red", 0.004)), output("lost", problem="gone")
    )
    assert render_comparison(before, after, width=200) == (
        "probe\n"
        "  y: 5.1/255 rms (red); now 0.51/255 (red)\n"
        "  flat: 2.55/255 rms (grey); now nothing enlarges by weights on the way to it, and no "
        "pattern can show\n"
        "  lost: 2.55/255 rms (grey); now not measured, gone\n"
        "  never: not measured, it is what it is\n"
    )
    assert render_comparison(Probed("m"), Probed("m")) == ""


def test_json_has_every_figure() -> None:
    """In output units and as shares."""
    document = probe_as_json(probed(output("y", answer("grey", 0.02)), problem=""))
    document = json.loads(json.dumps(json_value(document)))
    (only,) = document["outputs"]
    assert only["answers"][0]["rms_share"] == 0.01
    assert only["range"] == {"low": -1.0, "high": 1.0, "source": "Tanh bounds it"}
    assert document["inputs"][0]["shape"] == [1, 3, 32, 32]
