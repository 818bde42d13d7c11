"""Paths as reports for other machines spell them."""

import os
from pathlib import PurePath


def relative(path: str, root: str) -> str:
    """The path from the folder ``root``, with ``/`` between folders.

    CI servers know files by their path from the top of the repository, wherever a tool was run.
    What is not below leads up, ``../model.onnx``: servers have no name for it, but take it.
    """
    try:
        return PurePath(os.path.relpath(path, root)).as_posix()
    except ValueError:  # another drive of Windows
        return PurePath(os.path.abspath(path)).as_posix()
