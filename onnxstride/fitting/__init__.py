"""Weights for new layers: expected, projected, or fitted on activations.

Arrays in, arrays out: no model, no node and no runtime is known here, but in ``pools`` and
``resize_convs``, which ask a site what the rewrites of a layer need to know.
"""

from .equal_gains import equalised
from .fit import Fit, fitted
from .gaussian import Expectation, Line, estimated, expectation
from .interpolation import linear_weights, resized
from .moments import Accuracy

__all__ = [
    "Accuracy",
    "Expectation",
    "Fit",
    "Line",
    "equalised",
    "estimated",
    "expectation",
    "fitted",
    "linear_weights",
    "resized",
]
