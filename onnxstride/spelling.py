"""How the codes of rules, and the names of rules and rewrites, are spelled."""

import re

_CODE = re.compile(r"[A-Z]{2,}[0-9]{3}")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def is_code(text: str) -> bool:
    """True for capital letters and three digits, such as ``XY101``."""
    return _CODE.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """True for lower-case words joined by hyphens, which a selector can tell from a code."""
    return _NAME.fullmatch(text) is not None
