"""From where on a pattern counts as visible; rules find it with the graph they look at."""

from typing import NamedTuple

from ..geometry.ripple import VISIBLE_ABOVE_DB
from .layers import VISIBLE_SHARE


class Thresholds(NamedTuple):
    """What is not above these is not worth more than a note, or not worth a finding.

    Attributes:
        ripple_db: ripple of weights, in dB of the constant they answer.
        probe: pattern in an output, rms, as a share of the output's range.
    """

    ripple_db: float = VISIBLE_ABOVE_DB
    probe: float = VISIBLE_SHARE
