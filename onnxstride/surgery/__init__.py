"""Edits of a model: fragments of new nodes, put in place of old ones without loss.

With ``onnxstride.api`` this is all that a rewrite imports from onnxstride.
"""

from ..geometry.folding import Fold, fold, fold_weight
from ..geometry.polyphase import (
    Polyphase,
    cheapest,
    evened,
    from_phases,
    placed,
    to_phases,
    transposed_axis,
    trimmed,
)
from ..graph.dependence import nodes_before
from ..rewrite import Options, Refusal, Rewrite
from ..rule import Safety
from .blocks import calculated, gathered, is_single_operator, spatial_sizes
from .blurs import activation_of, blur_lengths, blurred, is_average
from .convolutions import (
    MOST_WEIGHTS,
    Weights,
    dense_axes,
    feeding,
    fixed_weights,
    stated_axes,
    terms,
    too_many,
)
from .cutout import Cutout, cut_out
from .fragment import Fragment, Replacement
from .pieces import cropped, interleaved, interleaving, padded
from .refusals import disputed_same, may_miss_the_data, no_depthwise, too_large
from .resizes import enlarged, no_enlargement
from .site import Samples, Site
from .skips import Skip, skip_of
from .splice import drop_unread, splice

__all__ = [
    "MOST_WEIGHTS",
    "Cutout",
    "Fold",
    "Fragment",
    "Options",
    "Polyphase",
    "Refusal",
    "Replacement",
    "Rewrite",
    "Safety",
    "Samples",
    "Site",
    "Skip",
    "Weights",
    "activation_of",
    "blur_lengths",
    "blurred",
    "calculated",
    "cheapest",
    "cropped",
    "cut_out",
    "dense_axes",
    "disputed_same",
    "drop_unread",
    "enlarged",
    "evened",
    "feeding",
    "fixed_weights",
    "fold",
    "fold_weight",
    "from_phases",
    "gathered",
    "interleaved",
    "interleaving",
    "is_average",
    "is_single_operator",
    "may_miss_the_data",
    "no_depthwise",
    "no_enlargement",
    "nodes_before",
    "padded",
    "placed",
    "skip_of",
    "spatial_sizes",
    "splice",
    "stated_axes",
    "terms",
    "to_phases",
    "too_large",
    "too_many",
    "transposed_axis",
    "trimmed",
]
