"""The probe: runs a model on constant images and measures what its outputs repeat.

A network that draws a constant image as anything but a constant one, away from the border, draws a
checkerboard. What the weights of single layers do says little about that (trained layers cancel
each other's patterns, for typical images only), so it is measured end to end, with ONNX Runtime in
a child process. Modules: ``foldings`` (which outputs, modulo which period), ``fold`` (where the
border ends), ``stimuli`` and ``sizing`` (what the model is shown, how large), ``ranges`` (from
which value to which), ``ripple`` (what a map repeats), ``judge`` and ``run`` (all together).
"""

from ..graph.layers import VISIBLE_SHARE
from .run import probe_model
from .values import Answer, InputProbe, OutputProbe, Probed, ProbeOptions, TapMap

__all__ = [
    "VISIBLE_SHARE",
    "Answer",
    "InputProbe",
    "OutputProbe",
    "ProbeOptions",
    "Probed",
    "TapMap",
    "probe_model",
]
