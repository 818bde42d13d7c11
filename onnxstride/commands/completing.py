"""What a shell may offer for the values of options and arguments.

A shell waits for the answer: nothing is imported here before there is something to look up, and
what cannot be looked up offers nothing.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from ..errors import OnnxstrideError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..registry import LoadedRule

_EVERY_RULE = "ALL"


def a_file(_: click.Context, __: click.Parameter, begun: str) -> "list[CompletionItem[str]]":
    """Files, as the shell itself completes them."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(begun, type="file")]


def a_folder(_: click.Context, __: click.Parameter, begun: str) -> "list[CompletionItem[str]]":
    """Folders, as the shell itself completes them."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(begun, type="dir")]


def selectors(ctx: click.Context, _: click.Parameter, begun: str) -> "list[CompletionItem[str]]":
    """Codes of rules, or names once a small letter is typed, after the last comma."""
    before, comma, last = begun.rpartition(",")
    taken = before.split(",")
    words = {word: told for word, told in _of_rules(ctx, last).items() if word not in taken}
    return _items(before + comma, {**words, _EVERY_RULE: "Every rule."}, last)


def rewrites(_: click.Context, __: click.Parameter, begun: str) -> "list[CompletionItem[str]]":
    """Names of rewrites."""
    return _items("", _of_rewrites(), begun)


def explained(ctx: click.Context, _: click.Parameter, begun: str) -> "list[CompletionItem[str]]":
    """Names of rewrites, and codes of rules, or their names once a small letter is typed."""
    return _items("", {**_of_rules(ctx, begun), **_of_rewrites()}, begun)


def _items(before: str, words: dict[str, str], begun: str) -> "list[CompletionItem[str]]":
    from click.shell_completion import CompletionItem

    wanted: Iterable[str] = (word for word in words if word.startswith(begun))
    return [CompletionItem(before + word, help=words[word]) for word in wanted]


def _of_rules(ctx: click.Context, begun: str) -> dict[str, str]:
    """What each rule is about, by its name where a name is begun, else by its code."""
    names = begun[:1].islower()
    return {loaded.name if names else loaded.code: loaded.summary for loaded in _rules(ctx)}


def _rules(ctx: click.Context) -> "tuple[LoadedRule, ...]":
    from ..registry import load_rules

    try:
        return load_rules(ctx.params.get("folders") or ())
    except OnnxstrideError:
        return ()


def _of_rewrites() -> dict[str, str]:
    from ..registry import load_rewrites

    try:
        return {loaded.name: loaded.summary for loaded in load_rewrites()}
    except OnnxstrideError:
        return {}
