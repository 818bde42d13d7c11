"""The model file on disk: a graph without its weights, and each weight on demand."""

from .reader import ModelFile, open_model, parse_text

__all__ = ["ModelFile", "open_model", "parse_text"]
