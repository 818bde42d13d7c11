"""Whether whoever runs onnxstride wants to see tracebacks."""

import os

DEBUG_VARIABLE = "ONNXSTRIDE_DEBUG"


def is_debugging() -> bool:
    """True when the environment asks for tracebacks instead of one-line errors."""
    return bool(os.environ.get(DEBUG_VARIABLE))


def unexpected(error: BaseException) -> str:
    """One line about an exception nobody planned for, and how to learn more."""
    detail = " ".join(str(error).split())[:300]
    return (
        f"internal error, {type(error).__name__}: {detail} "
        f"(set {DEBUG_VARIABLE}=1 for the traceback)"
    )
