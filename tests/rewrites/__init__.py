"""Tests of the rewrites, with ONNX Runtime for an oracle."""
