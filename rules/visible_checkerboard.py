"""Output that answers a constant image with a pattern.

What is flagged
    With `lint --probe` the model is run on constant images: grey, black, white and six saturated
    colours, or the mean colours of `--data`. Away from the border each output is folded: its
    elements are averaged by their position modulo the total upsampling factor. Flagged is an
    output whose averages deviate from their mean by more than 1/255 of the output's range, root
    mean square: the smallest step of an 8-bit image. The key `probe` of the configuration sets
    another share of the range. Without `--probe` the rule is silent.

    Models that draw from latent vectors have no constant image to be fed. Of eight of their
    pictures the energy at the folding frequencies of the spectrum is measured, less that of the
    frequencies beside them, which is the picture's content, and less what may be chance.

Why it hurts
    The image shows a checkerboard in flat regions, most in saturated colours. What single layers
    do says little: in trained decoders the layers cancel each other's patterns for typical images
    and for no others (-52 dB on such, 5 to 12/255 on constant colours).

What to do
    Resize by nearest neighbour and convolve in place of every transposed or sub-pixel convolution
    on the way: the pattern of a hidden one passes through what follows. Or smooth the output by
    a filter as wide as the period, which costs sharpness.

When to leave it alone
    When the images are never flat, or the output is no image. The range of the images fed is read
    from the model where it says something (its type, metadata or normalisation) and is 0 to 1
    otherwise; `--probe-range` sets it. The output's range is what its last operators allow, or
    that of the input where it looks like an image of the same kind, or else what was seen over all
    images. Where the border reaches everywhere, the middle half is measured, and the message says
    so.

References
    Odena, Dumoulin, Olah: Deconvolution and Checkerboard Artifacts. Distill, 2016.
"""

from collections.abc import Iterator
from typing import Any

from onnxstride.api import (
    Finding,
    Graph,
    Remedy,
    Reply,
    Response,
    Rule,
    Safety,
    Severity,
    Skip,
    by,
)

RULE = Rule(
    "UP106",
    "visible-checkerboard",
    Severity.WARNING,
    on=(Response,),
    remedies=(
        Remedy("deconv-to-resize-conv", Safety.APPROXIMATE),
        Remedy("smooth-output", Safety.APPROXIMATE),
    ),
)

_STEPS = 255

BAD = {
    "weights that add up differently on each of four phases": """
        decoder (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <float[1,1,2,2] w = {1.0, 1.1, 0.9, 1.0}> {
            y = ConvTranspose <strides = [2,2]> (x, w)  # UP106
        }""",
    "in a saturated colour alone": """
        decoder (float[1,3,H,W] x) => (float[1,1,H2,W] y) <float[3,1,2,1] w = {1.0, 0.9, 1.0, 1.1, 1.0, 1.0}> {
            y = ConvTranspose <strides = [2,1]> (x, w)  # UP106
        }""",
    "a hidden pattern that passes through what follows": """
        vocoder (float[1,1,T] x) => (float[1,1,T2] y) <float[1,1,2] w = {1.0, 2.0}, float[1,1,3] v = {1.0, 1.0, 1.0}> {
            d = ConvTranspose <strides = [2]> (x, w)
            c = Conv <pads = [1,1]> (d, v)
            y = Tanh (c)  # UP106
        }""",
    "a pixel shuffle of channels with different biases": """
        upscaler (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <float[4,1,1,1] w = {1.0, 1.0, 1.0, 1.0}, float[4] b = {0.0, 0.1, 0.2, 0.3}> {
            c = Conv (x, w, b)
            y = DepthToSpace <blocksize = 2> (c)  # UP106
        }""",
    "pictures drawn from latent vectors": """
        generator (float[1,1,1,1] z) => (float[1,1,16,16] y) <float[1,1,8,8] p = {1.0}, int64[4] s = {1,1,8,8}, float[1,1,2,2] w = {1.0, 0.5, 0.5, 1.0}> {
            m = Expand (z, s)
            d = ConvTranspose <strides = [2,2]> (m, w)
            y = Tanh (d)  # UP106
        }""",
}
GOOD = {
    "weights that add up alike on every phase": """
        decoder (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <float[1,1,2,2] w = {1.0, 1.0, 1.0, 1.0}> {
            y = ConvTranspose <strides = [2,2]> (x, w)
        }""",
    "a pattern under 1/255 of the range": """
        decoder (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <float[1,1,2,2] w = {1.0, 1.001, 0.999, 1.0}> {
            y = ConvTranspose <strides = [2,2]> (x, w)
        }""",
    "a hidden pattern that the next layer averages out": """
        vocoder (float[1,1,T] x) => (float[1,1,T2] y) <float[1,1,2] w = {1.0, 2.0}, float[1,1,2] v = {1.0, 1.0}> {
            d = ConvTranspose <strides = [2]> (x, w)
            c = Conv <pads = [1,1]> (d, v)
            y = Tanh (c)
        }""",
    "a resize in its place makes constants of constants": """
        decoder (float[1,1,H,W] x) => (float[1,1,H2,W2] y) <float[4] s = {1.0, 1.0, 2.0, 2.0}, float[1,1,2,2] w = {1.0, 1.1, 0.9, 1.0}> {
            r = Resize <mode = "nearest"> (x, , s)
            y = Conv <pads = [0,0,1,1]> (r, w)
        }""",
    "a single period is no pattern": """
        decoder (float[1,1,1,1] x) => (float[1,1,2,2] y) <float[1,1,2,2] w = {1.0, 1.1, 0.9, 1.0}> {
            y = ConvTranspose <strides = [2,2]> (x, w)
        }""",
}


def check(response: Response, graph: Graph) -> Iterator[Finding | Skip]:
    if response.problem:
        yield RULE.skip(response.ref, response.problem)
        return
    threshold = graph.thresholds.probe
    seen = [each for each in response.replies if each.least > threshold * response.span]
    if not seen:
        return
    worst = max(seen, key=_rms)
    border = "" if response.is_free else " The border reaches into what was measured."
    yield RULE.flag(
        response.ref,
        f"{_shown(worst)} a pattern that repeats every {by(response.period)} elements: "
        f"{_steps(worst.rms, response)} of the output's range rms, "
        f"{_steps(worst.peak_to_peak, response)} from peak to peak ({worst.rms:.3g} and "
        f"{worst.peak_to_peak:.3g} in output units); above {_of_steps(threshold)} it shows.{border} Use resizing "
        f"and convolution for every transposed or sub-pixel convolution on the way, or smooth "
        f"the output.",
        output=response.output,
        period=list(response.period),
        range=response.span,
        threshold=threshold,
        free_of_border=response.is_free,
        replies=[_figures(each, response) for each in response.replies],
    )


def _rms(reply: Reply) -> float:
    return reply.rms


def _shown(reply: Reply) -> str:
    if reply.stimulus.endswith("latent vectors"):
        return f"pictures drawn from {reply.stimulus} have"
    return f"a constant image ({reply.stimulus}) gives"


def _share(figure: float, response: Response) -> float:
    return figure / response.span if response.span > 0 else 0.0


def _steps(figure: float, response: Response) -> str:
    return _of_steps(_share(figure, response))


def _of_steps(share: float) -> str:
    return f"{_STEPS * share:.3g}/{_STEPS}"


def _figures(reply: Reply, response: Response) -> dict[str, Any]:
    return {
        "stimulus": reply.stimulus,
        "rms": reply.rms,
        "rms_share": _share(reply.rms, response),
        "least_share": _share(reply.least, response),
        "peak_to_peak": reply.peak_to_peak,
        "peak_to_peak_share": _share(reply.peak_to_peak, response),
    }
