"""The built-in rules: one module each, imported as ``onnxstride.rules`` by the registry alone."""
