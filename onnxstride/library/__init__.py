"""The Python API: what the commands do, as functions that print nothing and return values.

::

    from onnxstride import library

    report = library.lint("models/")
    result = library.rewrite("in.onnx", output="out.onnx", use="maxpool-to-blurpool")
    verdict = library.verify("in.onnx", "out.onnx", min_snr=30.0)
    anatomy = library.analyse("in.onnx")

A model is a path, its bytes, or an ``onnx.ModelProto``, which is never changed. What comes back is
frozen and picklable; ``Report``, ``Result`` and ``ModelVerdict`` are true only when all is well.
What cannot be done as asked is raised as an ``OnnxstrideError``. Names that the commands take
joined by commas, or repeatedly, are given here as one text or as several.
"""

from ..errors import OnnxstrideError
from .functions import analyse, lint, rewrite, verify
from .given import Model, Names, PathLike, Shapes
from .values import Report, Result

__all__ = [
    "Model",
    "Names",
    "OnnxstrideError",
    "PathLike",
    "Report",
    "Result",
    "Shapes",
    "analyse",
    "lint",
    "rewrite",
    "verify",
]
