"""The word somebody probably meant."""

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x' or 'y'?"`` with the known words most like this one; else empty."""
    from difflib import get_close_matches  # costs 2 ms that only a mistake should pay

    spelling = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), spelling, n=3, cutoff=0.6)
    choices = " or ".join(repr(spelling[name]) for name in close)
    return f"; did you mean {choices}?" if choices else ""
