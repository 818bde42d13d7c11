"""Weights for a convolution that stands in for a maximum: expected, or fitted on activations.

Arrays in, arrays out: no model, no node and no runtime is known here, but in ``pools``, which
asks a site what the rewrites of a max pool need to know.
"""

from .fit import Fit, fitted
from .gaussian import Expectation, Line, estimated, expectation
from .interpolation import linear_weights, resized
from .moments import Accuracy

__all__ = [
    "Accuracy",
    "Expectation",
    "Fit",
    "Line",
    "estimated",
    "expectation",
    "fitted",
    "linear_weights",
    "resized",
]
