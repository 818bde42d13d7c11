"""protobuf's own errors, typed; the one place that reaches into a library without types."""

from typing import Final

from google.protobuf import message  # type: ignore[import-untyped]  # protobuf ships no types

DecodeError: Final[type[Exception]] = message.DecodeError
"""Raised for bytes that are no message of the type asked for."""


def explained(error: Exception) -> str:
    """A DecodeError in words: protobuf tells depth apart from damage, and no more."""
    if "MaxDepth" in str(error):
        return "more than 100 messages nested, protobuf's limit; flatten the nested subgraphs"
    return "the bytes are damaged: no ONNX model can be read from them; fetch the file again"


EncodeError: Final[type[Exception]] = message.EncodeError
"""Raised for a message that has no encoding: one of more than 2 GiB."""
