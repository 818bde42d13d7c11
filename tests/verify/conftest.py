"""One child process for all tests of a module."""

from collections.abc import Iterator

import pytest

from tests.verify.building import Bench
from tests.verify.building import bench as running


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """Verifies models written as text."""
    with running() as started:
        yield started
