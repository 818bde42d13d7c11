"""What every forked process needs is loaded once."""

from tests.faults.conftest import loaded

__all__ = ["loaded"]
