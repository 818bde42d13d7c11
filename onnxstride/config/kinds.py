"""Kinds of values: each a function that gives back what a value of TOML means, or raises Misfit."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeAlias, TypeVar

from ..nearest import did_you_mean
from .values import Key

_Meaning = TypeVar("_Meaning")
Kind: TypeAlias = Callable[[Any, Key], _Meaning]

_LARGEST = 2**63 - 1  # dimensions are int64 in a model
_TYPES: dict[type, str] = {dict: "a table", list: "a list", str: "text", bool: "a truth value"}


class Misfit(Exception):
    """What is wrong at one place of a document; ``key`` is the way there."""

    def __init__(self, key: Key, message: str) -> None:
        super().__init__(message)
        self.key = key


def misfit(key: Key, expected: str, value: object) -> Misfit:
    found = _TYPES.get(type(value), "") if type(value) in (dict, list) else f"{value!r:.60}"
    return Misfit(key, f"expected {spelled(key)} to be {expected}, found {found}")


def spelled(key: Key) -> str:
    """``inputs[0].dims``."""
    words = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in key]
    return "".join(words).removeprefix(".") or "the configuration"


def text(value: Any, key: Key) -> str:
    if not isinstance(value, str) or not value:
        raise misfit(key, "text", value)
    return value


def any_text(value: Any, key: Key) -> str:
    if not isinstance(value, str):
        raise misfit(key, "text", value)
    return value


def texts(value: Any, key: Key) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise misfit(key, "a list of text", value)
    return tuple(text(each, (*key, index)) for index, each in enumerate(value))


def some_texts(value: Any, key: Key) -> tuple[str, ...]:
    found = texts(value, key)
    if not found:
        raise misfit(key, "a list of text, at least one", value)
    return found


def globs(value: Any, key: Key) -> tuple[str, ...]:
    """One or several; that none are meant is a mistake."""
    found = texts(value, key) if isinstance(value, list) else (text(value, key),)
    if not found:
        raise misfit(key, "a glob, or a list of globs", value)
    return found


def file_globs(value: Any, key: Key) -> tuple[str, ...]:
    """Globs over files, which are meant from the folder of the configuration."""
    found = globs(value, key)
    for glob in found:
        refuse_absolute(glob, key)
    return found


def refuse_absolute(glob: str, key: Key) -> None:
    if glob.startswith("/") or "\\" in glob:
        raise Misfit(
            key,
            f"expected a glob from the folder of this file on, with / between folders on every "
            f"system, found {glob!r:.60}",
        )


def truth(value: Any, key: Key) -> bool:
    if not isinstance(value, bool):
        raise misfit(key, "true or false", value)
    return value


def one_of(*choices: str) -> Kind[str]:
    def check(value: Any, key: Key) -> str:
        if not isinstance(value, str) or value not in choices:
            hint = did_you_mean(value, choices) if isinstance(value, str) else ""
            listed = ", ".join(choices)
            raise Misfit(key, f"{misfit(key, f'one of {listed}', value)}{hint}")
        return value

    return check


def integer(least: int, most: int | None = None) -> Kind[int]:
    def check(value: Any, key: Key) -> int:
        top = _LARGEST if most is None else most
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= top:
            upper = "on" if most is None else f"to {most}"
            raise misfit(key, f"a whole number from {least} {upper}", value)
        return value

    return check


def number(least: float | None = None, most: float | None = None) -> Kind[float]:
    def check(value: Any, key: Key) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        low, high = (bound if bound is not None else value for bound in (least, most))
        if not is_number or not isfinite(value) or not low <= value <= high:
            ends = (("from", least), ("to", most))
            limits = [f"{word} {bound:g}" for word, bound in ends if bound is not None]
            raise misfit(key, " ".join(["a number", *limits]), value)
        return float(value)

    return check


def sizes(value: Any, key: Key) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise misfit(key, "a shape such as [1, 3, 224, 224]", value)
    return tuple(integer(1)(each, (*key, index)) for index, each in enumerate(value))


def by_file(kind: Kind[_Meaning]) -> Kind[dict[str, _Meaning]]:
    """A table whose keys are globs over files."""

    def check(value: Any, key: Key) -> dict[str, _Meaning]:
        found = mapping(kind)(value, key)
        for glob in found:
            refuse_absolute(glob, (*key, glob))
        return found

    return check


def mapping(kind: Kind[_Meaning]) -> Kind[dict[str, _Meaning]]:
    """A table with keys of the user's own."""

    def check(value: Any, key: Key) -> dict[str, _Meaning]:
        if not isinstance(value, dict):
            raise misfit(key, "a table", value)
        return {name: kind(each, (*key, name)) for name, each in value.items()}

    return check


def table(kinds: Mapping[str, Kind[Any]], required: Sequence[str] = ()) -> Kind[dict[str, Any]]:
    """A table with these keys and no others, the required ones among them."""

    def check(value: Any, key: Key) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise misfit(key, "a table", value)
        for name in value:
            if name not in kinds:
                place = f" in {spelled(key)}" if key else ""
                hint = did_you_mean(name, kinds) or f"; known are {', '.join(kinds)}"
                raise Misfit((*key, name), f"unknown key {name!r}{place}{hint}")
        for name in required:
            if name not in value:
                raise Misfit(key, f"expected {spelled(key)} to have {name!r}")
        return {name: kinds[name](each, (*key, name)) for name, each in value.items()}

    return check


def tables(kind: Kind[_Meaning]) -> Kind[tuple[_Meaning, ...]]:
    """A list of tables."""

    def check(value: Any, key: Key) -> tuple[_Meaning, ...]:
        if not isinstance(value, list):
            raise misfit(key, f"a list of tables, [[{spelled(key)}]]", value)
        return tuple(kind(each, (*key, index)) for index, each in enumerate(value))

    return check
