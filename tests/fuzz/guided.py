"""Damages models where that reaches code of onnxstride that no input has reached before.

    python -m tests.fuzz.guided FOLDER [options of libFuzzer, such as -max_total_time=3600]

FOLDER gets the small models to begin with, and every input that reached something new; the same
command goes on where it ended. The first input that breaks a law of ``reading`` ends the run and
is kept as ``crash-..`` in the working directory. Needs atheris, which is no dependency of the
tests: ``pip install atheris``.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

_atheris: Any = import_module("atheris")

_PACKAGES = ["onnxstride"]
_LARGEST_SEED = 64 << 10
_MEGABYTES = 1024
_SECONDS = 30


def main() -> None:
    """Run until libFuzzer is told to stop, or a law is broken."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    # Only what is imported here is instrumented: with onnx and numpy it would take minutes.
    with _atheris.instrument_imports(include=_PACKAGES):
        from onnxstride.debug import DEBUG_VARIABLE
        from tests.fuzz import reading
    os.environ[DEBUG_VARIABLE] = "1"
    from tests.fuzz.seeds import small_models

    for name, data in small_models():
        if len(data) <= _LARGEST_SEED:
            (folder / f"seed-{name.replace('/', '-')}").write_bytes(data)

    def once(data: bytes) -> None:
        broken = reading.faults(data, reading.QUICK)
        if broken:
            raise AssertionError("\n".join(broken))

    limits = [f"-rss_limit_mb={_MEGABYTES}", f"-timeout={_SECONDS}", f"-max_len={_LARGEST_SEED}"]
    _atheris.Setup([sys.argv[0], *limits, *sys.argv[2:], str(folder)], once)
    _atheris.Fuzz()


if __name__ == "__main__":
    main()
