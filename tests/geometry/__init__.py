"""The geometry package against enumeration, ONNX Runtime and its own laws.

``placing`` puts windows down one at a time and writes down what they touch; ``runtime`` asks
ONNX Runtime the same questions; ``comparing`` holds a formula against either. Each comparison
is also run on formulas with a planted fault, which it has to find.
"""
