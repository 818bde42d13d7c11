"""Configuration: ``onnxstride.toml``, or ``[tool.onnxstride]`` in ``pyproject.toml``.

The file closest to a model holds for it, alone: what is not in it is as by default, whatever other
files say. A configuration that was found by searching is data from strangers, as models are: no key
of it names code to run.
"""

from .search import Configs
from .values import Config, Key, Passing, Sizes, meant

__all__ = ["Config", "Configs", "Key", "Passing", "Sizes", "meant"]
