"""The comparisons that the other tests rest on find what they are there to find."""

import numpy as np
import pytest

from .comparing import Disagreement, differ, disagreements


def double(number: int) -> int:
    return 2 * number


def test_agreement_is_no_disagreement() -> None:
    """A formula that gives every value is not accused."""
    assert disagreements(double, {1: 2, 3: 6}) == []


def test_a_disagreement_names_its_case() -> None:
    """The one wrong case is reported with what was expected and what was found."""
    assert disagreements(double, {1: 2, 3: 7}) == [Disagreement(3, 7, 6)]


def test_comparing_nothing_is_an_error() -> None:
    """An empty truth cannot be agreed with."""
    with pytest.raises(ValueError, match="nothing was compared"):
        disagreements(double, {})
    with pytest.raises(ValueError, match="nothing was compared"):
        differ(np.zeros(0), np.zeros(0), atol=1.0)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param([1.0, 2.1], id="one element off"),
        pytest.param([1.0, np.nan], id="nan"),
        pytest.param([1.0, np.inf], id="infinity"),
        pytest.param([1.0], id="another shape"),
        pytest.param([[1.0, 2.0]], id="another rank"),
    ],
)
def test_arrays_that_differ(found: list[float]) -> None:
    """An element out of tolerance, nan, infinity and another shape are all differences."""
    assert differ(np.array(found), np.array([1.0, 2.0]), atol=0.05)


def test_arrays_within_tolerance() -> None:
    """Elements that are ``atol`` apart at most do not differ."""
    assert not differ(np.array([1.0, 2.05]), np.array([1.0, 2.0]), atol=0.06)
