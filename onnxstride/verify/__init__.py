"""Verification: whether a model still computes what it did, asked of ONNX Runtime.

Nothing here loads ONNX Runtime into this process: it runs in a child, see ``runtime``.
"""

from ..errors import Crashed, Refused, RunError, RuntimeUnavailable, TimedOut
from .check import SiteCase, VerifyOptions, verify, verify_site
from .complete import complete
from .data import load_data
from .inputs import Input, Kind, make_feed, read_inputs
from .runtime import Feeds, Level, Loadable, Runner
from .verdict import (
    Disagreement,
    ModelVerdict,
    OutputFigures,
    SiteVerdict,
    Verdict,
    Worst,
)

__all__ = [
    "Crashed",
    "Disagreement",
    "Feeds",
    "Input",
    "Kind",
    "Level",
    "Loadable",
    "ModelVerdict",
    "OutputFigures",
    "Refused",
    "RunError",
    "Runner",
    "RuntimeUnavailable",
    "SiteCase",
    "SiteVerdict",
    "TimedOut",
    "Verdict",
    "VerifyOptions",
    "Worst",
    "complete",
    "load_data",
    "make_feed",
    "read_inputs",
    "verify",
    "verify_site",
]
