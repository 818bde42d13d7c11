"""The values a rewrite is made of and answers with. All are frozen and picklable."""

from dataclasses import dataclass

from .rule import Safety


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The identity of a rewrite: a module in ``rules/rewrites/`` holds one as ``REWRITE``.

    ``on`` lists the layer types that the module's ``fix`` is given; ``mends`` the codes of the
    rules whose findings it takes away. ``at_best`` is what it changes at sites where that is less
    than ``safety``: there its fragment says so. It is asked where no more than that is allowed.
    ``opset`` is the oldest ONNX operator set in which what it makes is valid: a site of an older
    model is built for the version that the model may be raised to, or left alone.
    """

    name: str
    safety: Safety
    on: tuple[type, ...]
    mends: tuple[str, ...] = ()
    at_best: Safety | None = None
    opset: int = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a rewrite leaves a node as it is."""

    reason: str


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose about the new layers; a rewrite reads what concerns it.

    Attributes:
        form: ``additive`` (depthwise convolutions) or ``slice-max`` (bit exact), for
            maxpool-to-exact-conv.
        conv: ``full`` mixes channels, ``depthwise`` does not; None lets the rewrite choose.
        init: ``mean`` needs no data, ``fit`` solves for the weights on activations; None lets
            the rewrite choose by whether there is data.
        activation: a ReLU after the new convolution, as in All-CNN.
        blur: number of taps of a blur filter along each axis.
        kernel: number of taps, along each axis, of a convolution behind a Resize; None lets the
            rewrite choose.
        mode: ``nearest`` or ``linear``, how a new Resize interpolates.
        smooth: ``binomial`` ([1, 2, 1]) or ``box`` (over every upsampling period), for
            smooth-output.
        opset: version of the ONNX operator set that the model may be raised to; None keeps its
            own.
    """

    form: str = "additive"
    conv: str | None = None
    init: str | None = None
    activation: bool = False
    blur: int = 3
    kernel: int | None = None
    mode: str = "nearest"
    smooth: str = "binomial"
    opset: int | None = None


CHOICES: dict[str, tuple[str | None, ...]] = {
    "form": ("additive", "slice-max"),
    "conv": (None, "full", "depthwise"),
    "init": (None, "exact", "mean", "fit"),
    "mode": ("nearest", "linear"),
    "smooth": ("binomial", "box"),
}
"""What fields of ``Options`` that hold a word may be."""

RANGES: dict[str, tuple[int, int | None]] = {"blur": (2, 9), "kernel": (1, 15), "opset": (1, None)}
"""The least and the greatest value of those that hold a number; None for no end."""
