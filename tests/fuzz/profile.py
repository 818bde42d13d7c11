"""How many examples the property tests of this folder try, and numbers that can be had again."""

import os
from random import Random

from hypothesis import settings

FACTOR = int(os.environ.get("ONNXSTRIDE_FUZZ", "1"))
"""Times as many as in a plain run of the tests; from 2 on they are other examples each time."""


def law(examples: int) -> settings:
    """The same examples on every run and no files left behind, unless there are to be more."""
    return settings(
        derandomize=FACTOR == 1, database=None, deadline=None, max_examples=examples * FACTOR
    )


def seeded(seed: int | str) -> Random:
    """A source of random numbers: the same for the same seed."""
    return Random(seed)  # noqa: S311 - nothing is to be kept secret
