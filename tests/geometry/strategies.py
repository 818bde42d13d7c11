"""Windows for the property tests, and how those are run."""

from hypothesis import settings
from hypothesis import strategies as st

from onnxstride.geometry import Axis

# The same examples on every run, and no files left behind.
law = settings(derandomize=True, database=None, deadline=None, max_examples=150)

HUGE = 2**60


def axes(largest: int, *, least_padding: int = 0) -> st.SearchStrategy[Axis]:
    """Windows whose every number may be as large as ``largest``, and whose pads are free."""
    number = st.integers(1, largest)
    padding = st.integers(least_padding, largest)
    return st.builds(Axis, number, number, number, padding, padding)


def sizes(largest: int) -> st.SearchStrategy[int]:
    return st.integers(1, largest)
