"""A Resize by a factor as a Resize to the size of the map it is joined with.

What it does
    Where the result of a Resize by `scales` meets a skip connection at an Add or Concat, behind
    layers that keep its size or at once, the Resize is given `sizes` instead: those of the skip
    connection along the axes it enlarges, its own along the others. Both are read from a Shape. A
    decoder then fits at every input size, where it did for multiples of its strides only.

When it is exact
    At every size that the model accepts, bit for bit: there the two are equal, and the factor, a
    whole number, is the ratio of the sizes. At an addition a single element would be repeated
    over the map; where the skip connection has become that small, the old size is kept. At sizes
    that were refused the factor is what fits (7/4 for 2), so the result is new, and nothing says
    that the model is any good there. What is verified is the whole model, at sizes that both
    accept: the Resize alone says nothing.

What it refuses
    A size that is stated already, opsets before 11, factors that are not known or not whole
    numbers (by sizes, 2.5 becomes 2.4 at an input of 5), cropping, models whose sizes are known
    and fit; and maps that meet nothing of their rank, or only what is computed from them, or
    later in the file, or is one element wide.

References
    ONNX operator specification, Resize.
"""

from collections.abc import Sequence

import numpy as np

from onnxstride.api import Resize
from onnxstride.surgery import Fragment, Refusal, Rewrite, Safety, Site, Skip, skip_of

REWRITE = Rewrite("resize-to-skip-size", Safety.EXACT, on=(Resize,), mends=("SZ401",))

EXAMPLES = {
    "joined with the map it was pooled from": """
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[4] scales = {1, 1, 2, 2}> {
            p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            u = Resize <mode = "linear"> (p, , scales)  # resize-to-skip-size
            y = Concat <axis = 1> (x, u)
        }""",
    "added, behind a convolution and its activation": """
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4] scales = {1, 1, 2, 2}, float[4,4,3,3] w, float[4,4,3,3] v> {
            s = Relu (x)
            p = Conv <strides = [2,2], pads = [1,1,1,1]> (s, w)
            u = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"> (p, , scales)  # resize-to-skip-size
            c = Conv <pads = [1,1,1,1]> (u, v)
            r = Relu (c)
            y = Add (r, s)
        }""",
    "the side branch comes later in the file": """
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4] scales = {1, 1, 2, 2}, float[4,4,1,1] w> {
            p = AveragePool <kernel_shape = [2,2], strides = [2,2]> (x)
            u = Resize <mode = "nearest"> (p, , scales)  # resize-to-skip-size
            s = Conv (x, w)
            y = Add (u, s)
        }""",
    "along one axis, with the empty inputs of opset 11": """
        <ir_version: 6, opset_import: ["": 11]>
        net (float[N,4,H,W] x) => (float[N,8,H,Q] y) <float[4] scales = {1, 1, 1, 3}, float[0] roi> {
            p = MaxPool <kernel_shape = [1,3], strides = [1,3]> (x)
            u = Resize <mode = "nearest"> (p, roi, scales)  # resize-to-skip-size
            y = Concat <axis = 1> (u, x)
        }""",
    "scales for the axes that are named": """
        net (float[N,4,L] x) => (float[N,8,P] y) <float[1] scales = {2}> {
            p = MaxPool <kernel_shape = [2], strides = [2]> (x)
            u = Resize <mode = "linear", axes = [-1]> (p, , scales)  # resize-to-skip-size
            y = Concat <axis = 1> (x, u)
        }""",
}
REFUSED = {
    "its size is stated already": """
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) {
            s = Shape (x)
            p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            u = Resize <mode = "linear"> (p, , , s)  # resize-to-skip-size
            y = Add (x, u)
        }""",
    "a Resize to given sizes needs opset 11": """
        <ir_version: 5, opset_import: ["": 10]>
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[4] scales = {1, 1, 2, 2}> {
            p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            u = Resize <mode = "linear"> (p, scales)  # resize-to-skip-size
            y = Concat <axis = 1> (x, u)
        }""",
    "its scales are not known": """
        net (float[N,4,H,W] x, float[4] scales) => (float[N,8,P,Q] y) {
            p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            u = Resize <mode = "linear"> (p, , scales)  # resize-to-skip-size
            y = Concat <axis = 1> (x, u)
        }""",
    "its scales are not whole numbers: given a size it would read at other places": """
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[4] scales = {1, 1, 1.5, 1.5}> {
            p = MaxPool <kernel_shape = [3,3], strides = [2,2]> (x)
            u = Resize <mode = "linear"> (p, , scales)  # resize-to-skip-size
            y = Concat <axis = 1> (x, u)
        }""",
    "it enlarges no spatial axis": """
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[4] scales = {1, 1, 1, 1}> {
            u = Resize <mode = "linear"> (x, , scales)  # resize-to-skip-size
            y = Concat <axis = 1> (x, u)
        }""",
    "it crops": """
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[4] scales = {1, 1, 2, 2}, float[8] roi = {0, 0, 0, 0, 1, 1, 1, 1}> {
            p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            u = Resize <mode = "linear", coordinate_transformation_mode = "tf_crop_and_resize"> (p, roi, scales)  # resize-to-skip-size
            y = Concat <axis = 1> (x, u)
        }""",
    "every size is known, and it fits": """
        net (float[N,4,8,8] x) => (float[N,8,8,8] y) <float[4] scales = {1, 1, 2, 2}> {
            p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            u = Resize <mode = "linear"> (p, , scales)  # resize-to-skip-size
            y = Concat <axis = 1> (x, u)
        }""",
    "it meets no other map of its rank": """
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4] scales = {1, 1, 2, 2}> {
            u = Resize <mode = "linear"> (x, , scales)  # resize-to-skip-size
            y = Relu (u)
        }""",
    "what it meets is computed from it": """
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4] scales = {1, 1, 2, 2}, float[4,4,2,2] w> {
            u = Resize <mode = "linear"> (x, , scales)  # resize-to-skip-size
            c = Conv <pads = [0,0,1,1], strides = [1,1]> (u, w)
            g = GlobalAveragePool (c)
            y = Mul (u, g)
        }""",
    "what it meets is computed later in the file": """
        net (float[N,4,H,W] x) => (float[N,8,P,Q] y) <float[4] scales = {1, 1, 2, 2}, float[4,4,2,2] w> {
            p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            u = Resize <mode = "linear"> (p, , scales)  # resize-to-skip-size
            s = ConvTranspose <strides = [2,2]> (p, w)
            y = Concat <axis = 1> (s, u)
        }""",
    "what it meets is one element, repeated over the map": """
        net (float[N,4,H,W] x) => (float[N,4,P,Q] y) <float[4] scales = {1, 1, 2, 2}> {
            g = GlobalAveragePool (x)
            u = Resize <mode = "linear"> (x, , scales)  # resize-to-skip-size
            y = Add (u, g)
        }""",
}

_GIVEN_SIZES, _OPTIONAL_INPUTS = 11, 13
"""Opsets from which Resize takes sizes, and may do without its scales."""

_SCALES, _SIZES = 2, 3
"""Positions among the inputs of Resize."""


def fix(site: Site) -> Fragment | Refusal:
    layer = site.layer
    assert isinstance(layer, Resize)
    factors = _factors(site, layer)
    if isinstance(factors, str):
        return Refusal(factors)
    skip = skip_of(site, layer)
    if isinstance(skip, str):
        return Refusal(skip)
    if _fits(site, skip, factors):
        return Refusal("every size is known, and it fits")
    fragment = site.fragment()
    fragment.widens = True
    fragment.uncut = "its size is that of a map elsewhere in the model, so only the whole shows it"
    fragment.figures["size_of"] = skip.source
    none = "" if site.opset >= _OPTIONAL_INPUTS else fragment.constant(_empty(), "no_scales")
    fragment.edit(
        site.node,
        attributes={"axes": None, "keep_aspect_ratio_policy": None},
        inputs={_SCALES: none, _SIZES: _sizes(fragment, layer, skip, factors)},
    )
    return fragment


def _factors(site: Site, layer: Resize) -> list[int] | str:
    """The whole number by which each spatial axis grows; or what is in the way."""
    if layer.is_legacy:
        return "a Resize to given sizes needs opset 11"
    if site.node.input(_SIZES):
        return "its size is stated already"
    if None in layer.scales or site.constant(site.node.input(_SCALES)) is None:
        return "its scales are not known"
    shape = site.scope.shape(layer.input)
    if shape is None or len(shape) != layer.rank + 2 or shape[2:] != layer.dims:
        return "which of its axes are spatial is not known"
    factors = [int(scale) for scale in layer.scales if scale is not None]
    if factors != list(layer.scales) or _scales_others(site, layer):
        return "its scales are not whole numbers: given a size it would read at other places"
    if max(factors) == 1:
        return "it enlarges no spatial axis"
    return "it crops" if layer.coordinates == "tf_crop_and_resize" else factors


def _scales_others(site: Site, layer: Resize) -> bool:
    """True when batch or channels are resized too."""
    scales = site.constant(site.node.input(_SCALES))
    return scales is not None and scales.size == layer.rank + 2 and bool(np.any(scales[:2] != 1))


def _fits(site: Site, skip: Skip, factors: Sequence[int]) -> bool:
    dims = (site.scope.shape(skip.source) or ())[2:]
    return all(
        isinstance(size, int) and size * factor == dim
        for size, factor, dim in zip(site.layer.dims, factors, dims, strict=True)
    )


def _sizes(fragment: Fragment, layer: Resize, skip: Skip, factors: Sequence[int]) -> str:
    """Batch, channels and the axes that stay as they are; the size of the skip along the others."""
    rank = layer.rank
    own = fragment.add("Shape", [layer.input], label="shape")
    other = fragment.add("Shape", [skip.source], label="skip_shape")
    both = fragment.add("Concat", [own, other], label="shapes", axis=0)
    places = [2 + i + (rank + 2) * (factor > 1) for i, factor in enumerate(factors)]
    picked = _constant(fragment, [0, 1, *places], "sizes_places")
    sizes = fragment.add("Gather", [both, picked], label="sizes", axis=0)
    if skip.is_joined:
        return sizes
    grown = fragment.add(
        "Mul", [own, _constant(fragment, [1, 1, *factors], "factors")], label="grown"
    )
    is_one = fragment.add("Equal", [sizes, _constant(fragment, [1], "one")], label="is_repeated")
    return fragment.add("Where", [is_one, grown, sizes], label="sizes_kept")


def _constant(fragment: Fragment, values: Sequence[int], label: str) -> str:
    return fragment.constant(np.array(values, np.int64), label)


def _empty() -> np.ndarray:
    return np.zeros(0, np.float32)
