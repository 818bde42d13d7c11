"""The built-in rewrites: one module each, imported as ``onnxstride.rules.rewrites``."""
