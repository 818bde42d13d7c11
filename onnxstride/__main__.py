"""The console script, and ``python -m onnxstride``."""

import gc
from collections.abc import Callable
from typing import NoReturn

from .process import claim_streams, leave, quiet_until_ready


def run() -> NoReturn:
    """Run the command line and leave at once."""
    # A run makes many objects that live to its end, and few cycles: looking for those less often
    # saves a tenth of the time on ten thousand nodes.
    gc.set_threshold(100_000, 20, 20)
    claim_streams()
    leave(quiet_until_ready(_command_line))


def _command_line() -> Callable[[], int]:
    from .cli import main

    return main


if __name__ == "__main__":
    run()
