"""Chain of dilated convolutions that never reads part of its receptive field.

What is flagged
    The last dilated Conv of a chain with two or more of them, where the elements that one
    output reads, by way of every window of the chain, are less than three quarters of its
    receptive field along some axis. A chain is what follows one another with nothing but pointwise
    operators between; it ends where maps meet or are read by several.

Why it hurts
    Dilations with a common factor read a grid: three windows of 3 at dilation 2 see 7 elements of
    13, and neighbouring outputs see grids that do not touch, so that segmentations come out in a
    checkered pattern and thin things fall through.

What to do
    Choose dilations without a common factor that grow slowly, such as 1, 2, 5, or let a dense
    convolution stand in the chain: it fills the gaps.

When to leave it alone
    When elements of the map in front of the chain already see their neighbours well enough, which
    is common behind a deep backbone; hence a note. A single dilated window, as in a
    pyramid of them, is meant to be sparse.

References
    Wang et al.: Understanding Convolution for Semantic Segmentation. WACV, 2018.
    Yu, Koltun, Funkhouser: Dilated Residual Networks. CVPR, 2017.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from onnxstride.api import (
    Conv,
    Finding,
    Graph,
    Rule,
    Severity,
    Skip,
    Window,
    by,
    density,
    listing,
    percent,
    windows_after,
    windows_before,
)

RULE = Rule("DN209", "gridding", Severity.NOTE, on=(Conv,))

_DENSE_ENOUGH = Fraction(3, 4)

BAD = {
    "dilation 2 twice reads every second element": """
        net (float[1,8,64] x) => (float[1,8,56] y) <float[8,8,3] v, float[8,8,3] w> {
            a = Conv <kernel_shape = [3], dilations = [2]> (x, v)
            r = Relu (a)
            y = Conv <kernel_shape = [3], dilations = [2]> (r, w)  # DN209
        }""",
    "doubling dilations from 2 leaves gaps": """
        net (float[1,8,64,64] x) => (float[1,8,36,36] y) <float[8,8,3,3] u, float[8,8,3,3] v, float[8,8,3,3] w> {
            a = Conv <kernel_shape = [3,3], dilations = [2,2]> (x, u)
            b = Conv <kernel_shape = [3,3], dilations = [4,4]> (a, v)
            y = Conv <kernel_shape = [3,3], dilations = [8,8]> (b, w)  # DN209
        }""",
}
GOOD = {
    "doubling dilations from 1 leaves none": """
        net (float[1,8,64] x) => (float[1,8,50] y) <float[8,8,3] u, float[8,8,3] v, float[8,8,3] w> {
            a = Conv <kernel_shape = [3], dilations = [1]> (x, u)
            b = Conv <kernel_shape = [3], dilations = [2]> (a, v)
            y = Conv <kernel_shape = [3], dilations = [4]> (b, w)
        }""",
    "a dense window behind fills the gaps": """
        net (float[1,8,64] x) => (float[1,8,54] y) <float[8,8,3] u, float[8,8,3] v, float[8,8,3] w> {
            a = Conv <kernel_shape = [3], dilations = [2]> (x, u)
            b = Conv <kernel_shape = [3], dilations = [2]> (a, v)
            y = Conv <kernel_shape = [3], dilations = [1]> (b, w)
        }""",
    "a single dilated window is meant to be sparse": """
        net (float[1,8,64] x) => (float[1,8,60] y) <float[8,8,3] w> {
            y = Conv <kernel_shape = [3], dilations = [2]> (x, w)
        }""",
    "where maps meet a new chain begins": """
        net (float[1,8,64] x) => (float[1,8,64] y) <float[8,8,3] v, float[8,8,3] w> {
            a = Conv <kernel_shape = [3], dilations = [2], pads = [2,2]> (x, v)
            b = Add (a, x)
            y = Conv <kernel_shape = [3], dilations = [2], pads = [2,2]> (b, w)
        }""",
}


def check(layer: Conv, graph: Graph) -> Iterator[Finding | Skip]:
    if not _is_dilated(layer):
        return
    after: list[Window] = []
    for window in windows_after(graph, layer):
        if _is_dilated(window):  # the last of a chain speaks for it
            return
        after.append(window)
    before = list(windows_before(graph, layer))
    dilated = [window for window in before if _is_dilated(window)]
    if not dilated:
        return
    chain = [*reversed(after), layer, *before]
    shares = [_density(chain, axis) for axis in range(layer.rank)]
    read = [share for share in shares if share is not None]
    if not read:
        yield RULE.skip(layer.ref, "the chain is too long to be followed")
    elif min(read) < _DENSE_ENOUGH:
        yield RULE.flag(
            layer.ref,
            f"{_in_words([layer, *dilated])} in a row read {percent(min(read))} of their receptive "
            f"field along an axis, and never the rest: what lies in the gaps of the grid is "
            f"not seen. Dilations without a common factor (1, 2, 5), or a dense convolution among "
            f"them, fill the gaps.",
            kernel=layer.kernel,
            dilations=[list(window.dilations) for window in reversed([layer, *dilated])],
            density=[None if share is None else float(share) for share in shares],
        )


def _is_dilated(layer: Window) -> bool:
    return any(axis.dilation > 1 and axis.kernel > 1 for axis in layer.axes)


def _density(chain: Sequence[Window], axis: int) -> Fraction | None:
    if any(window.rank <= axis for window in chain):
        return None
    return density(window.axes[axis] for window in chain)


def _in_words(dilated: Sequence[Window]) -> str:
    """Dilations from the first to the last: ``dilations 2x2, 4x4 and 8x8``."""
    return f"dilations {listing(by(window.dilations) for window in reversed(dilated))}"
