"""onnxstride: an ONNX linter and rewriter for the layers that change resolution."""

__version__ = "0.1.0"
