"""What a probe leaves behind: frozen values that can be sent between processes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry import Axis
from ..graph.layers import VISIBLE_SHARE
from ..rule import NodeRef
from .ranges import Range


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one output made of one image, or of several latent vectors together.

    Attributes:
        stimulus: the image: ``grey``, ``red``, .. ``sample 1``; or ``8 latent vectors``.
        mean: of the output.
        rms: root mean square of the pattern, in output units.
        least: ``rms`` less what may be chance; the same for an image, which leaves none.
        peak_to_peak: of the phase means of the channel where it is largest.
        remainder: root mean square of what does not repeat.
        tile: the phase means, channels first.
        part: a part of the output to look at, channels first.
    """

    stimulus: str
    mean: float
    rms: float
    least: float
    peak_to_peak: float
    remainder: float
    tile: NDArray[np.float64]
    part: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class OutputProbe:
    """What the probe saw of one output.

    Attributes:
        name: of the output.
        node: what makes it.
        period: what it was folded by, one number per axis.
        sizes: of the output along those axes; empty where it was not seen.
        range: the output's; None where it was not seen.
        is_free: whether what was measured is free of the border; of a drawn picture the border
            is part, too.
        answers: one for each image; none where ``problem`` says why not.
        problem: why it could not be measured; empty where it was.
        threshold: share of the range above which a pattern counts as visible.
    """

    name: str
    node: NodeRef
    period: tuple[int, ...]
    sizes: tuple[int, ...] = ()
    range: Range | None = None
    is_free: bool = False
    answers: tuple[Answer, ...] = ()
    problem: str = ""
    threshold: float = VISIBLE_SHARE

    @property
    def is_visible(self) -> bool:
        """True where a pattern is above the threshold."""
        return any(self.share(answer.least) > self.threshold for answer in self.answers)

    @property
    def worst(self) -> Answer | None:
        """The answer with the strongest pattern."""
        return max(self.answers, key=lambda answer: answer.rms, default=None)

    def share(self, figure: float) -> float:
        """A figure in output units as a share of the output's range."""
        span = self.range.span if self.range is not None else 0.0
        return figure / span if span > 0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class InputProbe:
    """An input that was fed with constant images: at which size, from which value to which."""

    name: str
    shape: tuple[int, ...]
    range: Range


@dataclass(frozen=True, slots=True)
class TapMap:
    """A transposed convolution with a stride: how its taps fall follows from its window."""

    node: NodeRef
    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Probed:
    """What a probe of one model saw.

    Attributes:
        model: how messages call it.
        inputs: the images; none where the model draws from latent vectors.
        outputs: those that something enlarges on the way; the others cannot show a checkerboard.
        taps: the transposed convolutions with a stride.
        problem: why nothing could be measured although there was something to; else empty.
    """

    model: str
    inputs: tuple[InputProbe, ...] = ()
    outputs: tuple[OutputProbe, ...] = ()
    taps: tuple[TapMap, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How to probe.

    Attributes:
        data: the user's feeds, whose mean colours take the place of the built-in ones.
        range: lowest and highest value of an image; found out from the model otherwise.
        timeout: seconds for loading the model or running it once; None for ever.
    """

    data: str | None = None
    range: tuple[float, float] | None = None
    timeout: float | None = 600.0

    def declared(self) -> Range | None:
        """The range that was given."""
        return None if self.range is None else Range(*self.range, "as given")
