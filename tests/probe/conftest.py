"""One child process for all tests of a module."""

from collections.abc import Iterator

import pytest

from tests.probe.building import Probe, probing


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    """Probes models written as text, or built."""
    with probing() as started:
        yield started
