"""A smoothing filter on the image: less of a checkerboard, or none, without any data.

What it does
    Puts a depthwise convolution behind an image output that something enlarges on the way: after
    the bias and all else that makes the image, so that nothing after it can bring the pattern
    back. With S the period of the output's answer to a constant, the product of all upsampling
    strides of the path in most models, and s the stride of the last of them, the filter is

    - `--smooth binomial`: 1 2 1 along each enlarged axis, whatever S is: it removes what
      alternates from one element to the next;
    - `--smooth box`: a box of S convolved with one of s, and with one of 2 where the middle would
      fall between two elements: it removes all that repeats with S, exactly.

    The border is continued by its last elements, so a constant stays what it is everywhere, and
    the size is the same at every size.

What it costs
    Sharpness. Four decoders trained to the end (models/trained) lost 1.1 to 2.1 dB PSNR by 1 2 1,
    which left 34 to 38 % of their pattern of 9 to 13/255, and 3.0 to 4.4 dB by the boxes, which left
    nothing. One trained briefly gained 0.1 and lost 0.2 dB; decoders of other networks lost 0.1 to
    0.3 and 0.5 to 1.2 dB. Inside a network the same filter costs more.

What it refuses
    Layers that another upsampling follows, or that lead to no output or to several; outputs that
    are no images: more than 4 channels, fewer than two axes behind them, element types other than
    float32 and float16; outputs that are smoothed already; for the box, outputs whose period is
    not known.

References
    Sugawara, Shiota, Kiya, "Super-Resolution Using Convolutional Neural Networks without Any
    Checkerboard Artifacts", ICIP, 2018, which puts such filters into the network before training.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxstride.api import ConvTranspose, Field, Layer, Node, Shuffle, resolution
from onnxstride.surgery import (
    Fragment,
    Refusal,
    Rewrite,
    Safety,
    Site,
    nodes_before,
    padded,
)

REWRITE = Rewrite(
    "smooth-output", Safety.APPROXIMATE, on=(ConvTranspose, Shuffle), mends=("UP106",)
)

EXAMPLES = {
    "the layer makes the image itself": """
        decoder (float[N,2,H,W] x) => (float[N,3,P,Q] y) <float[2,3,4,4] w, float[3] b> {
            y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (x, w, b)  # smooth-output
        }""",
    "behind what makes the image of it": """
        decoder (float[N,2,H,W] x) => (float[N,1,P,Q] y) <float[4,2,3,3] w> {
            c = Conv <pads = [1,1,1,1]> (x, w)
            d = DepthToSpace <blocksize = 2> (c)  # smooth-output
            y = Tanh (d)
        }""",
    "a volume": """
        decoder (float[N,2,D,H,W] x) => (float[N,1,P,Q,R] y) <float[2,1,2,2,2] w> {
            y = ConvTranspose <strides = [2,2,2]> (x, w)  # smooth-output
        }""",
}
REFUSED = {
    "its output has 8 channels: that is no image": """
        decoder (float[N,2,H,W] x) => (float[N,8,P,Q] y) <float[2,8,2,2] w> {
            y = ConvTranspose <strides = [2,2]> (x, w)  # smooth-output
        }""",
    "its output has fewer than two axes behind the channels: that is no image": """
        vocoder (float[N,2,W] x) => (float[N,1,P] y) <float[2,1,2] w> {
            y = ConvTranspose <strides = [2]> (x, w)  # smooth-output
        }""",
    "it enlarges nothing": """
        decoder (float[N,2,H,W] x) => (float[N,1,P,Q] y) <float[2,1,3,3] w> {
            y = ConvTranspose (x, w)  # smooth-output
        }""",
    "it leads to several outputs": """
        decoder (float[N,2,H,W] x) => (float[N,1,P,Q] y, float[N,1,P,Q] z) <float[2,1,2,2] w> {
            y = ConvTranspose <strides = [2,2]> (x, w)  # smooth-output
            z = Relu (y)
        }""",
    "'late' enlarges after it": """
        decoder (float[N,1,H,W] x) => (float[N,8,P,Q] y) <float[1,1,2,2] w, float[1,8,2,2] v> {
            d = ConvTranspose <strides = [2,2]> (x, w)  # smooth-output
            [late] y = ConvTranspose <strides = [2,2]> (d, v)
        }""",
}

_MOST_CHANNELS = 4
_BINOMIAL = np.array([1.0, 2.0, 1.0])

Floats = NDArray[np.float64]


def fix(site: Site) -> Fragment | Refusal:
    image = _image(site)
    if isinstance(image, Refusal):
        return image
    filters = _filters(site, image)
    if isinstance(filters, Refusal):
        return filters
    maker = site.scope.producer(image)
    dtype = site.dtype_of(image)
    assert maker is not None
    assert dtype is not None
    weight = reduce(np.multiply.outer, filters)[np.newaxis, np.newaxis]
    weight = weight.repeat(_channels(site, image), axis=0).astype(dtype)
    if _is_smoothed(site, maker, weight):
        return Refusal("its output is smoothed already")
    fragment = site.fragment_at(maker)
    source = fragment.rename_output(maker, "unsmoothed")
    reach = [len(taps) // 2 for taps in filters]
    ends = {axis: (reach, reach) for axis, reach in enumerate(reach) if reach}
    edged = padded(fragment, site.opset, source, len(filters), ends, mode="edge")
    smooth = fragment.add(
        "Conv",
        [edged, fragment.constant(weight, "weight")],
        label="smooth",
        kernel_shape=list(weight.shape[2:]),
        group=len(weight),
    )
    fragment.figures["taps"] = [len(taps) for taps in filters]
    fragment.stand_in(image, smooth)
    return fragment


def _image(site: Site) -> str | Refusal:
    """The output to smooth, or why there is none."""
    if all(factor == 1 for factor in _factors(site.layer)):
        return Refusal("it enlarges nothing")
    main = site.graph.main
    if site.scope is not main:
        return Refusal("it stands inside a body or function")
    paths = {name: nodes_before(main, name) for name in main.outputs}
    images = [name for name, nodes in paths.items() if site.node in nodes]
    if len(images) != 1:
        return Refusal(f"it leads to {'several outputs' if images else 'no output'}")
    (image,) = images
    later = [
        layer.node.name
        for layer in site.graph.layers
        if layer.node in paths[image] and layer.node.index > site.node.index
        if isinstance(layer, REWRITE.on) and any(factor > 1 for factor in _factors(layer))
    ]
    reason = f"{later[0]!r} enlarges after it" if later else _no_image(site, image)
    return Refusal(reason) if reason else image


def _factors(layer: Layer) -> Sequence[int]:
    """How many times larger a layer makes each axis."""
    if isinstance(layer, ConvTranspose):
        return layer.strides
    assert isinstance(layer, Shuffle)
    return layer.blocks if layer.op == "DepthToSpace" else (1,) * layer.rank


def _no_image(site: Site, name: str) -> str:
    """Why an output is no image that can be smoothed; empty when it is one."""
    shape, dtype = site.scope.shape(name), site.dtype_of(name)
    if shape is None or dtype is None:
        return "the shape or element type of its output is not known"
    if dtype.name not in ("float32", "float16"):
        return f"the element type is {dtype}: only float32 and float16 can be rewritten"
    if len(shape) < 4:
        return "its output has fewer than two axes behind the channels: that is no image"
    if len(shape) != site.layer.rank + 2 or not isinstance(shape[1], int):
        return "the channels of its output are not known"
    if shape[1] > _MOST_CHANNELS:
        return f"its output has {shape[1]} channels: that is no image"
    maker = site.scope.producer(name)
    if maker is None or maker.output(0) != name:
        return "what makes its output makes something else first"
    return ""


def _channels(site: Site, image: str) -> int:
    shape = site.scope.shape(image)
    assert shape is not None
    assert isinstance(shape[1], int)
    return shape[1]


def _filters(site: Site, image: str) -> list[Floats] | Refusal:
    """The taps along each axis, an odd number that adds up to one."""
    factors = _factors(site.layer)
    if site.options.smooth == "binomial":
        return [_BINOMIAL / _BINOMIAL.sum() if factor > 1 else np.ones(1) for factor in factors]
    if site.options.smooth != "box":
        return Refusal(f"smooth is binomial or box, found {site.options.smooth!r}")
    fields = (resolution(site.graph).dims(site.scope, image) or ())[2:]
    periods = [field.period for field in fields if isinstance(field, Field)]
    if len(periods) != len(factors):
        return Refusal("the period with which its output repeats is not known")
    return [_boxes(period, factor) for period, factor in zip(periods, factors, strict=True)]


def _boxes(period: int, factor: int) -> Floats:
    taps = np.ones(period)
    if period > 1:
        taps = np.convolve(taps, np.ones(factor))
    if len(taps) % 2 == 0:
        taps = np.convolve(taps, np.ones(2))
    unit: Floats = taps / taps.sum()
    return unit


def _is_smoothed(site: Site, maker: Node, weight: NDArray[Any]) -> bool:
    found = site.graph.constant(maker, maker.input(1)) if maker.op_type == "Conv" else None
    return found is not None and np.array_equal(found, weight)
