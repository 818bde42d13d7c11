"""A formula held against the truth, case by case."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Case = TypeVar("Case")


class Disagreement(NamedTuple):
    """One case in which a formula and the truth differ."""

    case: object
    expected: object
    found: object


def disagreements(
    claim: Callable[[Case], object], truth: Mapping[Case, object]
) -> list[Disagreement]:
    """Every case in which ``claim`` does not give the value in ``truth``.

    Raises:
        ValueError: there is no case, so that agreement would mean nothing.
    """
    if not truth:
        raise ValueError("nothing was compared")
    return [
        Disagreement(case, expected, found)
        for case, expected in truth.items()
        if (found := claim(case)) != expected
    ]


def differ(found: NDArray[Any], expected: NDArray[Any], *, atol: float) -> bool:
    """True when shapes differ, an element is nan, or two elements are over ``atol`` apart.

    Raises:
        ValueError: there is no element, so that agreement would mean nothing.
    """
    if expected.size == 0:
        raise ValueError("nothing was compared")
    if found.shape != expected.shape:
        return True
    return not bool(np.all(np.abs(found - expected) <= atol))
