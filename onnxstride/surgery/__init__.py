"""Edits of a model: fragments of new nodes, put in place of old ones without loss.

With ``onnxstride.api`` this is all that a rewrite imports from onnxstride.
"""

from ..rewrite import Options, Refusal, Rewrite
from ..rule import Safety
from .cutout import Cutout, cut_out
from .fragment import Fragment, Replacement
from .pieces import padded
from .refusals import disputed_same, may_miss_the_data, no_depthwise
from .site import Samples, Site
from .splice import drop_unread, splice

__all__ = [
    "Cutout",
    "Fragment",
    "Options",
    "Refusal",
    "Replacement",
    "Rewrite",
    "Safety",
    "Samples",
    "Site",
    "cut_out",
    "disputed_same",
    "drop_unread",
    "may_miss_the_data",
    "no_depthwise",
    "padded",
    "splice",
]
