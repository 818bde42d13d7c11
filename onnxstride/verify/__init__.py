"""Verification: whether a model still computes what it did, asked of ONNX Runtime.

Nothing here loads ONNX Runtime into this process: it runs in a child, see ``runtime``. Names are
imported from their modules when they are first asked for, so that ``runtime`` can start the child
before the rest, and onnx with it, is loaded here: the two then happen at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..errors import Crashed, Refused, RunError, RuntimeUnavailable, TimedOut
    from .check import SiteCase, VerifyOptions, verify, verify_site
    from .data import load_data
    from .inputs import Input, Kind, make_feed, read_inputs
    from .loading import complete
    from .runtime import Feeds, Level, Loadable, Runner
    from .verdict import (
        Disagreement,
        ModelVerdict,
        OutputFigures,
        SiteVerdict,
        Verdict,
        Worst,
    )

_HOMES = {
    "..errors": (
        "Crashed",
        "Refused",
        "RunError",
        "RuntimeUnavailable",
        "TimedOut",
    ),
    ".check": (
        "SiteCase",
        "VerifyOptions",
        "verify",
        "verify_site",
    ),
    ".loading": ("complete",),
    ".data": ("load_data",),
    ".inputs": (
        "Input",
        "Kind",
        "make_feed",
        "read_inputs",
    ),
    ".runtime": (
        "Feeds",
        "Level",
        "Loadable",
        "Runner",
    ),
    ".verdict": (
        "Disagreement",
        "ModelVerdict",
        "OutputFigures",
        "SiteVerdict",
        "Verdict",
        "Worst",
    ),
}

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


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
