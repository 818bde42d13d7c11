"""The word somebody probably meant."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Up to three known words most like this one, the likest first."""
    from difflib import get_close_matches  # costs 2 ms that only a mistake should pay

    spelling = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), spelling, n=3, cutoff=0.6)
    return [spelling[name] for name in close]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x' or 'y'?"`` with the known words most like this one; else empty."""
    choices = " or ".join(map(repr, nearest(word, known)))
    return f"; did you mean {choices}?" if choices else ""
